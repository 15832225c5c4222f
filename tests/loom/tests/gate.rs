//! The gate: who is told to go while it is being polled goes, and who waits for an empty house learns of it.

use loom::thread;
use sockeye::driver::{Accepting, Acceptor, Drain, Error, Gate, Transport};
use sockeye_loom::{Line, Lines, block_on, check};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// The length of the answer.
const RESPONSE: usize = 129;
/// A Close (1001), from us and from the peer.
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe9";

/// Begins to accept a connection through a gate.
fn start(line: &Line, gate: &Gate) -> Accepting<Line> {
    let mut acceptor = Acceptor::<Lines>::default();
    acceptor.gate = Some(gate.clone());
    acceptor.start(line.clone())
}

#[test]
fn connection_that_is_aborted_while_it_is_polled_fails() {
    check(|| {
        let (line, gate) = (Line::new(usize::MAX, REQUEST), Gate::default());
        let mut socket = block_on(start(&line, &gate).accept()).unwrap();
        let aborting = thread::spawn(move || gate.abort());
        assert!(matches!(block_on(socket.receive()), Err(Error::Io(_))));
        aborting.join().unwrap();
    });
}

#[test]
fn sender_that_is_stuck_fails_when_its_connection_is_aborted_though_nobody_receives() {
    check(|| {
        let (line, gate) = (Line::new(RESPONSE, REQUEST), Gate::default());
        let (_receiver, sender) = block_on(start(&line, &gate).accept()).unwrap().split();
        let aborting = thread::spawn(move || gate.abort());
        assert!(matches!(block_on(sender.send("stuck")), Err(Error::Io(_))));
        aborting.join().unwrap();
    });
}

#[test]
fn connection_that_is_told_to_close_while_it_is_polled_closes() {
    check(|| {
        let (line, gate) = (Line::new(usize::MAX, REQUEST), Gate::default());
        let mut socket = block_on(start(&line, &gate).accept()).unwrap();
        let timer = line.timer();
        let draining = thread::spawn(move || block_on(gate.drain(timer, Drain::default())));
        let receiving = thread::spawn(move || block_on(socket.receive()).map(drop));
        line.wait_written(|written| written.ends_with(GOING_AWAY));
        line.give(CLOSE);
        receiving.join().unwrap().unwrap();
        let drained = draining.join().unwrap();
        assert_eq!((drained.ended, drained.aborted), (1, 0));
    });
}

#[test]
fn handshake_is_answered_when_the_gate_stops_while_it_is_polled() {
    check(|| {
        let (line, gate) = (Line::new(usize::MAX, b""), Gate::default());
        let accepting = start(&line, &gate);
        let stopping = thread::spawn(move || gate.stop());
        let rejecting = thread::spawn(move || matches!(block_on(accepting.accept()), Err(Error::Rejected(_))));
        line.wait_written(|written| written.starts_with(b"HTTP/1.1 503 "));
        line.end();
        assert!(rejecting.join().unwrap());
        stopping.join().unwrap();
    });
}

#[test]
fn drain_ends_when_the_last_seat_is_given_back() {
    check(|| {
        let (line, gate) = (Line::new(0, b""), Gate::default());
        let seat = gate.admit(None).unwrap();
        let leaving = thread::spawn(move || drop(seat));
        let drained = block_on(gate.drain(line.timer(), Drain::default()));
        assert_eq!(drained.aborted, 0);
        leaving.join().unwrap();
    });
}
