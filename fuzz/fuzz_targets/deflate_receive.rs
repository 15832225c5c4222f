//! Compressed frames of whatever content never panic, hold no more than the limit and one step, and give the same in
//! pieces as at once.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sockeye::deflate::Deflate;
use sockeye::handshake::Extensions;
use sockeye::{Config, Connection, Received, Role, Rsv};

/// The limit on messages; and what a decompressor, the pool and the fuzzer take beside.
const LIMIT: usize = 64 * 1024;
const BESIDE: usize = 512 * 1024;

struct Counting;
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [setup, bytes @ ..] = bytes else { return };
    let (role, is_alone) = (if setup & 1 == 0 { Role::Client } else { Role::Server }, setup & 2 != 0);
    let bits = 8 + (setup >> 2 & 7);
    let mut answer = format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}");
    answer += if is_alone { "; server_no_context_takeover; client_no_context_takeover" } else { "" };
    let Some(Ok(answer)) = Extensions::parse(&answer).next() else { return };
    let Ok(agreement) = Deflate::default().agreed(role, &answer) else { return };
    let receive = |piece: usize| {
        let mut config = Config::default();
        config.max_message_size = LIMIT;
        config.masking = sockeye::MaskingPolicy::Either;
        let mut connection = match role {
            Role::Client => Connection::client_with_keys(config, || [0; 4]),
            Role::Server => Connection::server(config),
        };
        connection.extend(Rsv::RSV1, agreement.encoder());
        let mut assembler = connection.assembler();
        assembler.extend(agreement.decoder());
        let (mut wire, mut output, mut messages) = (bytes.to_vec(), Vec::new(), Vec::new());
        for piece in wire.chunks_mut(piece.max(1)) {
            let mut input = piece;
            loop {
                match connection.receive_message(&mut input, &mut assembler, &mut output) {
                    Ok(Some(Received::Message(message))) => messages.push(message.payload().len()),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    };
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let whole = receive(usize::MAX);
    let taken = PEAK.load(Relaxed) - before;
    assert!(taken <= 2 * LIMIT + BESIDE + 4 * bytes.len(), "{taken} bytes");
    assert_eq!(receive(1 + usize::from(*setup >> 5)), whole);
});
