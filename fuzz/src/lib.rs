//! What the fuzz targets share: the recorder of the integration tests, small limits, and an allocator that keeps count.

pub mod deflate;
#[path = "../../tests/replay/mod.rs"]
pub mod replay;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sockeye::client::proxy::{Proxy, Tunnel, TunnelConfig, TunnelState};
use sockeye::{Assembler, Fin, Message, Received, Role};

use self::replay::{Step, connection, receive_chunks, receive_messages, small_limits};

/// Receives, once as chunks and once as messages, with limits that are soon reached; the recorder checks each step.
pub fn receive(role: Role, bytes: &[u8]) {
    let config = small_limits();
    receive_chunks(&mut connection(role, &config), &config, [bytes]);
    receive_messages(&mut connection(role, &config), &config, [bytes]);
}

/// Receives messages in pieces of three bytes and checks that memory follows the limits, not what headers announce.
pub fn receive_within_memory(role: Role, bytes: &[u8]) {
    let config = small_limits();
    let (mut connection, mut output) = (connection(role, &config), Vec::with_capacity(1024));
    let mut assembler = Assembler::new(config.clone());
    let mut bytes = bytes.to_vec();
    let before = LIVE.load(Relaxed);
    for mut piece in bytes.chunks_mut(3) {
        while let Ok(Some(received)) = connection.receive_message(&mut piece, &mut assembler, &mut output) {
            drop::<Received<'_>>(received);
            output.clear();
        }
        let held = LIVE.load(Relaxed) - before;
        assert!(held <= config.max_message_size + FIXED, "{held} bytes held");
    }
}

/// Has a proxy answer, in two pieces and in one; both must be read the same.
pub fn tunnel(proxy: &str, (cut, bytes): (u16, &[u8])) {
    let proxy: Proxy = proxy.parse().unwrap();
    let (left, right) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let mut sent = Vec::new();
    let mut one = Tunnel::new(&proxy, "server.example", 443, &TunnelConfig::default(), &mut sent).unwrap();
    let mut two = one.clone();
    let mut sent_by_two = sent.clone();
    let (mut whole, mut first, mut second) = (bytes, left, right);
    let expected = one.receive(&mut whole, &mut sent);
    let received = match two.receive(&mut first, &mut sent_by_two) {
        Ok(TunnelState::Opening) => two.receive(&mut second, &mut sent_by_two),
        received => received,
    };
    assert_eq!((&received, &sent_by_two), (&expected, &sent));
    assert_eq!(two.receive_eof(), one.receive_eof());
    if received == Ok(TunnelState::Open) {
        assert_eq!([first, second].concat(), whole);
    }
}

/// Sizes of pieces to cut the input into, out of one byte: anything from byte by byte to a hundred at once.
pub fn sizes(seed: u8) -> [usize; 7] {
    let mut state = usize::from(seed);
    [(); 7].map(|()| {
        state = (state * 75 + 74) % 65537;
        state % (2 + state % 50)
    })
}

/// Reads bytes as a program: what to do, with how long a payload, and the payload.
pub fn steps(mut script: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let [what, len, rest @ ..] = script {
        let (payload, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        script = rest;
        let message = if what & 0x10 == 0 {
            Message::Text(String::from_utf8_lossy(payload).into())
        } else {
            Message::from(payload.to_vec())
        };
        steps.push(match what & 0x07 {
            0 | 1 => Step::Send(message),
            2 => Step::Prepared(message),
            3 => Step::Head(message),
            4 => Step::Fragment(message, Fin::More),
            5 => Step::Fragment(message, Fin::Last),
            6 => Step::Ping(payload.to_vec()),
            _ => Step::Pong(payload.to_vec()),
        });
    }
    steps
}

/// How many bytes are in use.
fn held() -> usize {
    LIVE.load(Relaxed)
}

/// How many more bytes were in use at once while that ran than before.
fn peak_of(run: impl FnOnce()) -> usize {
    let before = held();
    PEAK.store(before, Relaxed);
    run();
    PEAK.load(Relaxed) - before
}

/// The system's allocator, with a count of the bytes that are in use, and of the most that were.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What a connection may hold besides the message: a Close of the peer's with its reason, in it and in the event.
const FIXED: usize = 512;
