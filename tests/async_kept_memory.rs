//! Memory that a peer, or a call that fails, makes a connection keep.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "one half of what it tells is wanted here")]
mod allocator;
mod async_support;

use allocator::{Counting, held};
use async_support::*;
use sockeye::{Close, Config, Connection, Received};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BIG: usize = 8 * 1024 * 1024;

/// Two fragments of half of it each.
fn big() -> Vec<u8> {
    let half = vec![7; BIG / 2];
    [unmasked(0x02, &half), unmasked(0x80, &half)].concat()
}

/// The header of the first of several frames, which announces a quarter of it, and no payload.
fn announcement() -> Vec<u8> {
    let len = (BIG / 4) as u64;
    [&[0x02, 127][..], &len.to_be_bytes()].concat()
}

#[test]
fn a_length_field_keeps_no_memory_of_the_message_before() {
    let mut client = Connection::client(Config::default());
    let (mut assembler, mut output) = (client.assembler(), Vec::new());
    let (mut wire, mut next) = (big(), announcement());
    let before = held();
    let mut input = &mut wire[..];
    assert!(matches!(
        client.receive_message(&mut input, &mut assembler, &mut output),
        Ok(Some(Received::Message(message))) if message.payload().len() == BIG
    ));
    assert_eq!(client.receive_message(&mut &mut next[..], &mut assembler, &mut output), Ok(None));
    assert!(held() - before < 64 * 1024, "{} bytes for ten", held() - before);
}

#[tokio::test(start_paused = true)]
async fn a_length_field_keeps_no_memory_of_the_message_before_on_tokio() {
    let stream = Mock::new([big(), announcement()].concat());
    let before = held();
    let mut socket = client(&stream, timeless());
    let message = soon(socket.receive_ref()).await.unwrap().unwrap();
    assert_eq!(message.payload().len(), BIG);
    assert!(now(socket.receive_ref()).is_none());
    assert!(held() - before < 256 * 1024, "{} bytes", held() - before);
}

#[test]
fn what_is_refused_on_a_closed_connection_keeps_no_buffer() {
    let streams: Vec<_> = (0..100).map(|_| Mock::new("")).collect();
    let mut sockets: Vec<_> = streams.iter().map(|stream| server(stream, timeless())).collect();
    for socket in &mut sockets {
        now(socket.feed("hello")).unwrap().unwrap();
        now(socket.close(Close::normal())).unwrap().unwrap();
    }
    let before = held();
    for socket in &mut sockets {
        now(socket.feed("too late")).unwrap().unwrap_err();
    }
    assert!(held() - before < 100 * 1024, "{} bytes for 100 connections", held() - before);
}
