//! What a connection on a blocking stream holds of memory.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "one half of what it tells is wanted here")]
mod allocator;
mod blocking_support;

use allocator::{Counting, measure};
use blocking_support::*;
use sockeye::Payload;
use sockeye::blocking::{Acceptor, WebSocket};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A server that has echoed a message of a kibibyte, and the bytes that it holds.
fn echoed(stream: &Scripted) -> (WebSocket<Scripted>, i64) {
    // The stream's own memory is there before.
    let mut script = stream.script();
    script.input = [REQUEST.as_bytes(), &masked(0x81, &[b'x'; 1024])].concat();
    script.output.reserve(4096);
    script.writes.reserve(64);
    script.written_at_reads.reserve(64);
    drop(script);
    let acceptor = Acceptor::default();
    let (socket, taken) = measure(|| {
        let mut socket = acceptor.accept(stream.clone()).unwrap();
        let message = socket.receive().unwrap().unwrap();
        socket.send(&message).unwrap();
        socket
    });
    (socket, taken.kept)
}

#[test]
fn connection_that_waits_holds_a_small_buffer_or_none() {
    let stream = Scripted::open("");
    let (mut socket, after_the_echo) = echoed(&stream);
    let (result, taken) = measure(|| socket.receive().map(drop));
    assert!(result.unwrap_err().is_would_block());
    let idle = after_the_echo + taken.kept;
    println!("{after_the_echo} bytes after the echo, {idle} when there is nothing to read");
    assert!(after_the_echo + taken.peak <= 8 * 1024, "{taken:?}");
    assert!(idle <= 2 * 1024, "{idle}");
}

#[test]
fn gathered_message_is_given_back_before_the_next_wait() {
    let stream = Scripted::open("");
    let (mut socket, _) = echoed(&stream);
    stream.script().input.extend(masked(0x82, &[7; 1024 * 1024]));
    let (_, taken) = measure(|| {
        assert!(socket.receive_ref().unwrap().is_some());
        assert!(socket.receive().unwrap_err().is_would_block());
    });
    assert!(taken.peak >= 1024 * 1024 && taken.kept <= 2 * 1024, "{taken:?}");
}

#[test]
fn message_of_40_mib_streams_through_the_read_buffer() {
    let stream = Scripted::open("");
    let (mut socket, _) = echoed(&stream);
    let (mut total, mut most) = (0, 0);
    for number in 0..640 {
        let mut script = stream.script();
        script.input = masked(if number == 0 { 0x02 } else { 0x00 }, &[7; 64 * 1024]);
        script.read = 0;
        script.written_at_reads.clear();
        drop(script);
        let (error, taken) = measure(|| {
            loop {
                match socket.receive_chunk() {
                    Ok(Some(chunk)) => {
                        let Payload::Binary(bytes) = chunk.payload() else { panic!() };
                        total += bytes.len();
                    }
                    Ok(None) => panic!(),
                    Err(error) => break error,
                }
            }
        });
        assert!(error.is_would_block());
        most = most.max(taken.peak);
    }
    assert_eq!(total, 40 * 1024 * 1024);
    assert!(most <= 64 * 1024, "{most}");
}
