//! The two halves of a connection in threads of their own.

mod blocking_support;

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use blocking_support::*;
use sockeye::blocking::{Error, Receiver, Sender, Transport, WebSocket};
use sockeye::{Close, CloseCode, Config, EndCause, Fin, SendError, State, Timeout};

/// A stream whose writes wait at a gate, and whose reads wait for input.
#[derive(Clone, Debug, Default)]
struct Gated(Arc<(Mutex<Gate>, Condvar)>);

#[derive(Debug, Default)]
struct Gate {
    input: Vec<u8>,
    output: Vec<u8>,
    /// How many writes may still pass; `None` for all.
    passes: Option<usize>,
    waiting_writers: usize,
    failure: Option<ErrorKind>,
    read_timeout: Option<Duration>,
}

impl Gated {
    fn shut() -> Self {
        let this = Self::default();
        this.gate().passes = Some(0);
        this
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn change(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut self.gate());
        self.0.1.notify_all();
    }

    /// Waits until it is so.
    fn until(&self, what: &str, is_so: impl Fn(&Gate) -> bool) {
        let (gate, result) = self
            .0
            .1
            .wait_timeout_while(self.gate(), Duration::from_secs(10), |gate| !is_so(gate))
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        assert!(!result.timed_out(), "{what} never came: {gate:?}");
    }

    fn until_a_writer_is_stuck(&self) {
        self.until("a writer", |gate| gate.waiting_writers > 0);
    }

    fn halves(&self, config: Config) -> (Receiver<Self>, Sender<Self>) {
        WebSocket::server(self.clone(), config).split().unwrap()
    }
}

impl Read for Gated {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let gate = self.gate();
        let timeout = gate.read_timeout.unwrap_or(Duration::from_secs(60));
        let (mut gate, result) = self.0.1.wait_timeout_while(gate, timeout, |gate| gate.input.is_empty()).unwrap();
        if result.timed_out() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = buf.len().min(gate.input.len());
        buf[..n].copy_from_slice(&gate.input[..n]);
        gate.input.drain(..n);
        self.0.1.notify_all();
        Ok(n)
    }
}

impl Write for Gated {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let mut gate = self.gate();
        gate.waiting_writers += 1;
        self.0.1.notify_all();
        let mut gate = self.0.1.wait_while(gate, |gate| gate.passes == Some(0) && gate.failure.is_none()).unwrap();
        gate.waiting_writers -= 1;
        if let Some(kind) = gate.failure {
            return Err(kind.into());
        }
        gate.passes = gate.passes.map(|passes| passes - 1);
        gate.output.extend_from_slice(buf);
        self.0.1.notify_all();
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Transport for Gated {
    fn shutdown_write(&mut self) -> std::io::Result<()> {
        self.change(|gate| gate.failure = Some(ErrorKind::BrokenPipe));
        Ok(())
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<bool> {
        self.gate().read_timeout = timeout;
        Ok(true)
    }

    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }
}

fn is_broken<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe)
}

#[test]
fn messages_of_many_senders_do_not_interleave() {
    let (client, server) = tcp();
    let (mut receiver, sender) =
        WebSocket::client(client, config(|config| config.fragment_size = 1000)).split().unwrap();
    let senders: Vec<_> = (0..6u8)
        .map(|id| {
            let sender = sender.clone();
            thread::spawn(move || {
                for round in 0..20 {
                    match round % 3 {
                        0 => sender.send(&vec![id; 50_000]).unwrap(),
                        1 => sender.send(&[id; 10]).unwrap(),
                        _ => {
                            sender.feed(&[id; 20]).unwrap();
                            sender.flush().unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    let mut socket = WebSocket::server(server, Config::default());
    let mut counts = [0; 6];
    for _ in 0..120 {
        let message = socket.receive().unwrap().unwrap();
        let bytes = message.as_binary().unwrap();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]) && [10, 20, 50_000].contains(&bytes.len()));
        counts[usize::from(bytes[0])] += 1;
    }
    assert_eq!(counts, [20; 6]);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    sender.close(Close::normal()).unwrap();
    assert_eq!(socket.receive().unwrap(), None);
    assert_eq!(receiver.receive().unwrap(), None);
}

#[test]
fn two_threads_push_at_will_while_the_peer_does_too() {
    let (client, server) = tcp();
    let ends = [WebSocket::client(client, Config::default()), WebSocket::server(server, Config::default())];
    let threads: Vec<_> = ends
        .into_iter()
        .map(|socket| {
            let (mut receiver, sender) = socket.split().unwrap();
            let sending = thread::spawn(move || (0..100).for_each(|_| sender.send(&vec![1; 200_000]).unwrap()));
            let receiving = thread::spawn(move || {
                (0..100)
                    .for_each(|_| assert_eq!(receiver.receive().unwrap().unwrap().as_ref().payload().len(), 200_000));
                receiver
            });
            (sending, receiving)
        })
        .collect();
    // Neither end lets go of its halves before both are through.
    let _halves: Vec<_> = threads
        .into_iter()
        .map(|(sending, receiving)| {
            sending.join().unwrap();
            receiving.join().unwrap()
        })
        .collect();
}

#[test]
fn sender_that_is_stuck_does_not_stop_the_receiver_and_a_pong_goes_at_the_next_frame() {
    let stream = Gated::shut();
    let (mut receiver, sender) = stream.halves(config(|config| config.fragment_size = 1000));
    let sending = thread::spawn(move || sender.send(&vec![7; 3000]));
    stream.until_a_writer_is_stuck();
    stream.change(|gate| gate.input = [masked(0x89, b"alive?"), masked(0x81, b"hello")].concat());
    assert_eq!(receiver.receive().unwrap(), Some("hello".into()));
    stream.change(|gate| gate.input = masked(0x81, b"again"));
    assert_eq!(receiver.receive().unwrap(), Some("again".into()));
    stream.change(|gate| gate.passes = None);
    sending.join().unwrap().unwrap();
    let firsts: Vec<_> = frames(&stream.gate().output).into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0x02, 0x8a, 0x00, 0x80]);
}

#[test]
fn senders_that_wait_behind_a_stuck_one_do_not_stop_the_receiver() {
    let stream = Gated::shut();
    let (mut receiver, sender) = stream.halves(Config::default());
    let sending: Vec<_> =
        (0..4).map(|_| sender.clone()).map(|sender| thread::spawn(move || sender.send(&[7; 1000]))).collect();
    stream.until_a_writer_is_stuck();
    // One is stuck, and the others wait behind it.
    while sender.sent().messages < 4 {
        thread::yield_now();
    }
    for _ in 0..2 {
        stream.change(|gate| gate.input = [masked(0x89, b"1"), masked(0x81, b"hello")].concat());
        assert_eq!(receiver.receive().unwrap(), Some("hello".into()));
        // One write passes: whoever waits goes on, and not the receiver.
        stream.change(|gate| gate.passes = Some(1));
        stream.until("the pass", |gate| gate.passes == Some(0));
    }
    stream.change(|gate| gate.passes = None);
    sending.into_iter().for_each(|sending| sending.join().unwrap().unwrap());
    sender.flush().unwrap();
    let written = frames(&stream.gate().output);
    assert_eq!(written.iter().filter(|(first, _)| *first == 0x82).count(), 4);
}

#[test]
fn close_reply_goes_out_when_every_sender_was_dropped() {
    let stream = Scripted::new([masked(0x89, b"1"), masked(0x88, &close_body(1000, ""))].concat());
    let (mut receiver, sender) = server(stream.clone(), Config::default()).split().unwrap();
    drop(sender);
    assert_eq!(receiver.receive().unwrap(), None);
    assert_eq!(frames(&stream.output()), [(0x8a, b"1".to_vec()), (0x88, close_body(1000, ""))]);
    let sender = receiver.sender();
    assert_eq!((sender.state(), sender.close_code()), (State::Closed, Some(CloseCode::NORMAL)));
    assert_eq!((sender.peer_close(), sender.end_cause()), (Some(Close::normal()), Some(EndCause::Remote)));
}

#[test]
fn close_ends_the_receiver_within_the_close_timeout_though_the_peer_never_answers() {
    let (client, _silent) = tcp();
    let (mut receiver, sender) =
        WebSocket::client(client, config(|config| config.close_timeout = Some(ms(400)))).split().unwrap();
    let receiving = thread::spawn(move || receiver.receive().map(drop).unwrap_err());
    let started = Instant::now();
    sender.close(Close::normal()).unwrap();
    assert!(matches!(receiving.join().unwrap(), Error::Timeout(Timeout::Close)));
    assert!((ms(400)..ms(780)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[test]
fn close_ends_the_receiver_and_frees_a_sender_that_is_stuck() {
    let stream = Gated::shut();
    let (mut receiver, sender) = stream.halves(config(|config| config.close_timeout = Some(ms(50))));
    let stuck = thread::spawn({
        let sender = sender.clone();
        move || sender.send(&vec![7; 300_000])
    });
    stream.until_a_writer_is_stuck();
    let closing = thread::spawn(move || sender.close(Close::normal()));
    assert!(matches!(receiver.receive(), Err(Error::Timeout(Timeout::Close))));
    assert!(is_broken(&stuck.join().unwrap()));
    assert!(is_broken(&closing.join().unwrap()));
    assert!(matches!(receiver.receive(), Err(Error::Timeout(Timeout::Close))));
}

#[test]
fn sender_that_is_stuck_ends_the_receiver_within_the_output_timeout_and_is_freed() {
    let stream = Gated::shut();
    let (mut receiver, sender) = stream.halves(config(|config| config.output_timeout = Some(ms(50))));
    let stuck = thread::spawn(move || sender.send(&vec![7; 300_000]));
    stream.until_a_writer_is_stuck();
    assert!(matches!(receiver.receive(), Err(Error::Timeout(Timeout::Output))));
    assert!(is_broken(&stuck.join().unwrap()));
    assert_eq!(receiver.sender().end_cause(), Some(EndCause::Timeout(Timeout::Output)));
}

#[test]
fn what_is_taken_of_a_long_frame_no_longer_counts_as_queued() {
    // So a peer that reads it slowly is told from one that does not read.
    let stream = Gated::shut();
    let (_receiver, sender) = stream.halves(config(|config| config.fragment_size = 1 << 20));
    let sending = thread::spawn({
        let sender = sender.clone();
        move || sender.send(&vec![7; 1 << 20])
    });
    let whole = 10 + (1 << 20);
    for _ in 0..10 {
        stream.until_a_writer_is_stuck();
        assert_eq!(sender.queued(), whole - stream.gate().output.len());
        stream.change(|gate| gate.passes = Some(1));
        stream.until("the pass", |gate| gate.passes == Some(0));
    }
    assert!(stream.gate().output.len() < whole);
    stream.change(|gate| gate.passes = None);
    sending.join().unwrap().unwrap();
    assert_eq!((sender.queued(), stream.gate().output.len()), (0, whole));
}

#[test]
fn peers_close_is_answered_behind_the_frame_in_the_making_and_ends_the_message() {
    let stream = Gated::shut();
    let (mut receiver, sender) = stream.halves(config(|config| config.fragment_size = 1000));
    let sending = thread::spawn(move || sender.send(&vec![7; 3000]));
    stream.until_a_writer_is_stuck();
    stream.change(|gate| gate.input = masked(0x88, &close_body(1000, "")));
    let receiving = thread::spawn(move || receiver.receive());
    // The Close has been received once the input is gone; then the gate opens.
    stream.until("the receiver", |gate| gate.input.is_empty());
    stream.change(|gate| gate.passes = None);
    assert_eq!(receiving.join().unwrap().unwrap(), None);
    let sent = sending.join().unwrap();
    let written = frames(&stream.gate().output);
    assert_eq!(written.last().unwrap(), &(0x88, close_body(1000, "")));
    // The sender may have got its next fragment in before the receiver had the lock.
    assert!(matches!(sent, Err(Error::Send(SendError::Closed))) || written.len() > 2, "{sent:?}");
}

#[test]
fn flush_waits_for_what_another_thread_is_writing() {
    let stream = Gated::shut();
    let (_receiver, sender) = stream.halves(Config::default());
    sender.feed("fed").unwrap();
    let writing = thread::spawn({
        let sender = sender.clone();
        move || sender.flush()
    });
    stream.until_a_writer_is_stuck();
    let is_open = Arc::new(AtomicBool::new(false));
    let flushing = thread::spawn({
        let is_open = is_open.clone();
        move || {
            sender.flush().unwrap();
            is_open.load(Ordering::SeqCst)
        }
    });
    // Give the flush every chance to come back too early.
    (0..1000).for_each(|_| thread::yield_now());
    is_open.store(true, Ordering::SeqCst);
    stream.change(|gate| gate.passes = None);
    assert!(flushing.join().unwrap());
    writing.join().unwrap().unwrap();
}

#[test]
fn everyone_whose_message_was_not_written_is_told() {
    let stream = Gated::shut();
    let (_receiver, sender) = stream.halves(Config::default());
    let sending: Vec<_> =
        (0..4).map(|_| sender.clone()).map(|sender| thread::spawn(move || sender.send(&[7; 1000]))).collect();
    stream.until_a_writer_is_stuck();
    stream.change(|gate| gate.failure = Some(ErrorKind::BrokenPipe));
    assert!(sending.into_iter().all(|sending| is_broken(&sending.join().unwrap())));
    assert!(is_broken(&sender.send("later")));
}

#[test]
fn stream_that_panics_leaves_nobody_waiting() {
    let stream = Scripted::open(masked(0x81, b"hello"));
    let (mut receiver, sender) = server(stream.clone(), Config::default()).split().unwrap();
    stream.script().panics_on_write = true;
    let panicking = sender.clone();
    assert!(thread::spawn(move || panicking.send(&vec![7; 300_000])).join().is_err());
    assert!(is_broken(&sender.send("later")));
    assert!(is_broken(&sender.send(&vec![7; 300_000])));
    assert!(is_broken(&sender.flush()));
    assert_eq!(receiver.receive().unwrap(), Some("hello".into()));
    assert_eq!(sender.state(), State::Open);
}

#[test]
fn message_in_the_callers_fragments_keeps_others_out() {
    let stream = Scripted::open("");
    let (_receiver, sender) = server(stream.clone(), Config::default()).split().unwrap();
    sender.send_fragment("a", Fin::More).unwrap();
    assert!(matches!(sender.clone().send("no"), Err(Error::Send(SendError::MessageOpen))));
    assert!(matches!(sender.clone().send(&vec![0; 300_000]), Err(Error::Send(SendError::MessageOpen))));
    sender.ping().unwrap();
    sender.send_fragment("b", Fin::Last).unwrap();
    sender.clone().send("yes").unwrap();
    assert_eq!(frames(&stream.output()).last().unwrap(), &(0x81, b"yes".to_vec()));
}

#[test]
fn subprotocol_outlives_the_split() {
    let request = REQUEST.replace("Host:", "Sec-WebSocket-Protocol: chat\r\nHost:");
    let socket = sockeye::blocking::Acceptor::default()
        .accept_with(Scripted::new(request), |acceptance| Ok(acceptance.subprotocol("chat")?.respond()))
        .unwrap();
    assert_eq!(socket.split().unwrap().1.subprotocol(), Some("chat"));
}

/// Nothing that was queued is left lying, whoever was about to stop writing when it was: each pong comes without another
/// call of anybody's being needed.
#[test]
fn no_pong_is_left_lying_while_senders_come_and_go() {
    let stream = Gated::default();
    let (mut receiver, sender) = stream.halves(Config::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..3)
        .map(|id| {
            let (sender, is_over) = (sender.clone(), is_over.clone());
            thread::spawn(move || {
                let mut sent = 0;
                while !is_over.load(Ordering::Relaxed) {
                    sender.send(&[id; 30]).unwrap();
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let receiving = thread::spawn(move || receiver.receive());
    let mut others = Vec::new();
    for number in 0..500u32 {
        stream.change(|gate| gate.input.extend(masked(0x89, &number.to_be_bytes())));
        let pong = plain(0x8a, &number.to_be_bytes());
        stream.until("the pong", |gate| gate.output.windows(pong.len()).any(|window| window == pong));
        let output = core::mem::take(&mut stream.gate().output);
        others.extend(frames(&output).into_iter().filter(|(first, _)| *first == 0x82));
    }
    is_over.store(true, Ordering::Relaxed);
    let sent: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    others.extend(frames(&stream.gate().output).into_iter().filter(|(first, _)| *first == 0x82));
    assert_eq!(others.len(), sent);
    stream.change(|gate| gate.input = masked(0x88, &close_body(1000, "")));
    assert_eq!(receiving.join().unwrap().unwrap(), None);
}
