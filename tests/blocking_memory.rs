//! What a connection on a blocking stream holds of memory.

mod blocking_support;

use std::alloc::System;

use blocking_support::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Heap bytes held since then.
fn held(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

/// One test, so that no other one allocates meanwhile.
#[test]
fn idle_connection_holds_little_and_streaming_holds_the_read_buffer() {
    // The stream's own memory is there before; the answers fit.
    let input = [REQUEST.as_bytes(), &masked(0x81, &[b'x'; 1024])].concat();
    let stream = Scripted::open(input);
    stream.script().output.reserve(4096);
    stream.script().writes.reserve(64);
    stream.script().written_at_reads.reserve(64);
    let acceptor = sockeye::blocking::Acceptor::default();

    let region = Region::new(ALLOCATOR);
    let mut socket = acceptor.accept(stream.clone()).unwrap();
    let message = socket.receive().unwrap().unwrap();
    socket.send(&message).unwrap();
    drop(message);
    let before_reading = held(&region);
    assert!(socket.receive().unwrap_err().is_would_block());
    let idle = held(&region);
    println!("{before_reading} bytes after the echo, {idle} bytes idle");
    assert!(before_reading <= 8 * 1024, "{before_reading}");
    assert!(idle <= 2 * 1024, "{idle}");

    // A message of 40 MiB in pieces: what is held at its most is the read buffer.
    let piece = masked(0x00, &[7; 64 * 1024]);
    stream.script().input = masked(0x02, b"");
    stream.script().read = 0;
    let mut most = 0;
    let mut total = 0;
    for _ in 0..640 {
        stream.script().input.clear();
        stream.script().input.extend_from_slice(&piece);
        stream.script().read = 0;
        stream.script().written_at_reads.clear();
        if total == 0 {
            stream.script().input[0] = 0x02;
        }
        let region = Region::new(ALLOCATOR);
        loop {
            match socket.receive_chunk() {
                Ok(Some(chunk)) => {
                    let sockeye::Payload::Binary(bytes) = chunk.payload() else { panic!() };
                    total += bytes.len();
                }
                Ok(None) => panic!(),
                Err(error) => {
                    assert!(error.is_would_block());
                    break;
                }
            }
            most = most.max(held(&region));
        }
    }
    assert_eq!(total, 40 * 1024 * 1024);
    assert!(most <= 64 * 1024, "{most}");
}
