//! A transport that is always ready, because its peer never stops sending, and a runtime that counts no turns: one poll must
//! come to an end, so that the thread can serve others. And a transport that lies.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use sockeye::driver::{Acceptor, Runtime, Timer, Transport, WebSocket};
use sockeye::{Config, Instant, MessageKind};

/// Sends this, then that for ever.
struct Flood {
    first: Vec<u8>,
    then: Vec<u8>,
    reads: Rc<Cell<u64>>,
    /// By how much it says more than is true.
    lie: usize,
}

#[derive(Debug)]
struct Standstill;

impl Timer for Standstill {
    fn now(&self) -> Instant {
        Instant::default()
    }

    fn poll_until(&mut self, _: Instant, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Transport for Flood {
    type Stream = Self;
    type Timer = Standstill;

    fn new(stream: Self) -> Self {
        stream
    }

    fn timer(&self) -> Standstill {
        Standstill
    }

    fn into_stream(self) -> Self {
        self
    }

    fn stream(&self) -> &Self {
        self
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < 10_000, "one poll goes on for as long as the peer sends");
        let source = if self.first.is_empty() { &self.then } else { &self.first };
        let len = buffer.len().min(source.len());
        buffer[..len].copy_from_slice(&source[..len]);
        self.first.drain(..len.min(self.first.len()));
        Poll::Ready(Ok(len + self.lie))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len() + self.lie))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Always;

impl Runtime<Flood> for Always {
    type Transport = Flood;
}

fn flood(first: &[u8], then: &[u8]) -> Flood {
    Flood { first: first.to_vec(), then: then.to_vec(), reads: Rc::default(), lie: 0 }
}

/// The beginning of a frame of a server's with more than anybody sends.
const ENDLESS: [u8; 11] = [0x82, 127, 0x0f, 0, 0, 0, 0, 0, 0, 0, 1];

fn client(first: &[u8], then: &[u8]) -> WebSocket<Flood> {
    let mut config = Config::default();
    (config.max_frame_size, config.max_fragments) = (u64::MAX, u32::MAX);
    WebSocket::client(flood(first, then), config)
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn refused_client_that_goes_on_sending_is_left_to_itself_in_between() {
    let stream = flood(b"GARBAGE\r\n\r\n", &[0; 32 * 1024]);
    assert!(poll(Acceptor::<Always>::default().start(stream).accept()).is_pending());
}

#[test]
fn what_is_no_message_holds_no_receive_for_ever() {
    // Pings, the rest of a message that is skipped, and fragments of nothing.
    assert!(poll(client(&[], &[0x89, 0].repeat(1000)).receive()).is_pending());
    let mut socket = client(&ENDLESS, &[0; 32 * 1024]);
    {
        let Poll::Ready(Ok(Some(reader))) = poll(socket.receive_reader()) else { panic!("a message has begun") };
        assert_eq!(reader.kind(), MessageKind::Binary);
    }
    assert!(poll(socket.receive()).is_pending());
    assert!(poll(socket.receive_reader()).is_pending());
    assert!(poll(client(&[2, 0], &[0, 0].repeat(16_000)).receive()).is_pending());
}

#[test]
fn fragments_of_nothing_hold_no_reader_for_ever() {
    let mut socket = client(&[2, 0], &[0, 0].repeat(16_000));
    let Poll::Ready(Ok(Some(mut reader))) = poll(socket.receive_reader()) else { panic!("a message has begun") };
    assert!(poll(reader.next()).is_pending());
    let reading = std::future::poll_fn(|cx| reader.poll_read(cx, &mut [0; 8]));
    assert!(poll(reading).is_pending());
}

#[test]
fn transport_that_says_more_than_is_true_breaks_nothing_else() {
    let mut stream = flood(b"\x82\x01a", &[]);
    stream.lie = 1_000_000;
    let mut socket = WebSocket::<Flood>::client(stream, Config::default());
    assert!(matches!(poll(socket.send("hello")), Poll::Ready(Ok(()))));
    assert_eq!(socket.queued(), 0);
    // What it says to have read is taken from the buffer, whatever lies there.
    let _ = poll(socket.receive());
    let mut stream = flood(b"GET / HTTP/1.1\r\n\r\n", &[]);
    stream.lie = 1_000_000;
    let _ = poll(Acceptor::<Always>::default().start(stream).accept());
}
