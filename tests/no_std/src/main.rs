//! A program without the standard library that opens a connection, echoes and closes, with both ends in memory.
//!
//! ```text
//! cargo run --release --manifest-path tests/no_std/Cargo.toml
//! ```
//!
//! It proves that `sockeye` without its default features does not link `std`, nor does anything that it depends on: the
//! panic handler below may be there only once in a program, and `std` would bring its own (try it with `--features
//! sockeye/std`: error E0152). That it runs and exits with 0 proves that nothing is missing. In release, because `alloc`
//! before optimisation asks for a way to unwind that only `std` has.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest, ServerConfig, ServerHandshake};
use sockeye::{Assembler, Close, Config, Connection, MessageRef, Received, State, Teardown};

/// Called by the C runtime; 0 is success, and a panic aborts.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    open(&mut up, &mut down);

    // A source of randomness is for the target to bring; this one only counts.
    let mut keys = (1u32..).map(u32::to_be_bytes);
    let mut client = Connection::client_with_keys(Config::default(), move || keys.next().unwrap_or_default());
    let mut server = Connection::server(Config::default());
    for text in ["hello", "", "wörld"] {
        client.send_text(text, &mut up).unwrap();
        client.send_ping(b"?", &mut up).unwrap();
        echo(&mut server, &mut up, &mut down);

        let (mut assembler, mut input) = (Assembler::new(Config::default()), &mut down[..]);
        let received = client.receive_message(&mut input, &mut assembler, &mut up).unwrap();
        assert!(received == Some(Received::Message(MessageRef::Text(text))));
        assert!(matches!(client.receive_message(&mut input, &mut assembler, &mut up), Ok(Some(Received::Pong(_)))));
        down.clear();
    }

    client.close(Close::normal(), &mut up).unwrap();
    echo(&mut server, &mut up, &mut down);
    assert!(matches!(client.receive(&mut &mut down[..], &mut up), Ok(Some(_))));
    assert!(client.state() == State::Closed && server.teardown() == Teardown::Close);
    0
}

/// The opening handshake; nothing is left in the buffers.
fn open(up: &mut Vec<u8>, down: &mut Vec<u8>) {
    let request = ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce").unwrap();
    let mut client = ClientHandshake::new(request, &ClientConfig::default());
    client.request().write(up);

    let config = ServerConfig::default();
    let request = ServerHandshake::new(&config).receive(&mut &up[..]).unwrap().unwrap();
    request.upgrade(&config).unwrap().respond().write(down);

    let response = client.receive(&mut &down[..]).unwrap().unwrap();
    assert!(response.headers().get("Sec-WebSocket-Accept") == Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    up.clear();
    down.clear();
}

/// Sends back every message that came in.
fn echo(server: &mut Connection, up: &mut Vec<u8>, down: &mut Vec<u8>) {
    let (mut assembler, mut input) = (Assembler::new(Config::default()), &mut up[..]);
    while let Some(received) = server.receive_message(&mut input, &mut assembler, down).unwrap() {
        if let Received::Message(message) = received {
            server.send(message, down).unwrap();
        }
    }
    up.clear();
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: `abort` takes nothing and does not come back.
    unsafe { abort() }
}

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
}

/// Hands out memory from one piece, and never takes it back.
struct Bump {
    arena: UnsafeCell<[u8; ARENA]>,
    used: AtomicUsize,
}

// SAFETY: no byte of the arena is handed out twice.
unsafe impl Sync for Bump {}

// SAFETY: what is handed out is aligned, inside the arena and nobody else's; else there is a null pointer.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let arena = self.arena.get().cast::<u8>();
        let used = self.used.fetch_add(layout.size() + layout.align(), Ordering::Relaxed);
        let start = used + arena.wrapping_add(used).align_offset(layout.align());
        if start + layout.size() > ARENA { ptr::null_mut() } else { arena.wrapping_add(start) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump { arena: UnsafeCell::new([0; ARENA]), used: AtomicUsize::new(0) };

const ARENA: usize = 256 * 1024;
