//! Deadlines on the virtual clock of tokio: each ends what it is for, at its time, whoever waits; and the timer is not set
//! anew for each message.

mod async_support;

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_support::*;
use sockeye::driver;
use sockeye::handshake::{ClientRequest, HeadError, RequestError, ResponseError};
use sockeye::tokio::{Acceptor, Connector, Error, WebSocket};
use sockeye::{Close, CloseCode, Config, Connection, EndCause, PreparedMessage, SendError, State, Timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn request_that_takes_too_long_is_answered_with_408() {
    let (stream, mut peer) = tokio::io::duplex(4096);
    peer.write_all(&REQUEST.as_bytes()[..20]).await.unwrap();
    let trickling = tokio::spawn(async move {
        for byte in &REQUEST.as_bytes()[20..] {
            tokio::time::sleep(secs(1)).await;
            if peer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let started = Instant::now();
    let error = soon(Acceptor::default().accept(stream)).await.unwrap_err();
    let Error::Rejected(rejection) = error else { panic!("{error:?}") };
    assert_eq!(rejection.status(), 408);
    assert!(matches!(rejection.cause(), Some(RequestError::Head(HeadError::TimedOut { .. }))));
    // The client had ten seconds, and two more to read the answer.
    assert!((secs(10)..=secs(12)).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert!(soon(trickling).await.unwrap().starts_with("HTTP/1.1 408 "));
}

#[tokio::test(start_paused = true)]
async fn answer_that_nobody_takes_is_given_up() {
    let stream = Mock::with_room(10);
    stream.feed(REQUEST.as_bytes());
    let started = Instant::now();
    let error = soon(Acceptor::default().accept(stream)).await.unwrap_err();
    assert!(matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::TimedOut));
    assert_eq!(started.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn answer_that_does_not_come_is_an_error() {
    for room in [10, usize::MAX] {
        let stream = Mock::with_room(room);
        let request = ClientRequest::new("a.example", "/").unwrap();
        let started = Instant::now();
        let error = soon(Connector::default().handshake(stream, request)).await.unwrap_err();
        assert!(matches!(error, Error::Response(ResponseError::Head(HeadError::TimedOut { .. }))), "{error:?}");
        assert_eq!(started.elapsed(), secs(10));
    }
}

/// A server whose one deadline passes while it receives, split or whole, and what the peer was told.
async fn expire(change: fn(&mut Config), input: &[u8], split: bool) -> (Timeout, u64, u16) {
    let stream = Mock::new(input);
    let config = config(|config| {
        (config.close_timeout, config.ping_interval) = (Some(secs(1)), None);
        change(config);
    });
    let mut socket = server(&stream, config);
    let started = Instant::now();
    let (error, again) = if split {
        let (mut receiver, sender) = socket.split();
        let closed = tokio::spawn(async move { sender.closed().await });
        let error = soon(receiver.receive()).await.unwrap_err();
        soon(closed).await.unwrap();
        (error, receiver.receive().await.unwrap_err())
    } else {
        (soon(socket.receive()).await.unwrap_err(), socket.receive().await.unwrap_err())
    };
    let elapsed = started.elapsed().as_secs();
    assert_eq!(timeout(again), timeout_of(&error));
    let (first, body) = stream.frames().pop().unwrap();
    assert_eq!(first, CLOSE);
    (timeout(error), elapsed, u16::from_be_bytes([body[0], body[1]]))
}

fn timeout_of(error: &Error) -> Timeout {
    let Error::Timeout(timeout) = error else { panic!("{error:?}") };
    *timeout
}

#[tokio::test(start_paused = true)]
async fn each_deadline_ends_the_connection_at_its_time_and_tells_the_peer() {
    let half = masked(0x01, b"half");
    for split in [false, true] {
        // One second more for the peer to answer the Close, which it does not.
        let idle = expire(|config| config.idle_timeout = Some(secs(60)), b"", split).await;
        assert_eq!(idle, (Timeout::Idle, 61, 1001));
        let lifetime = expire(|config| config.lifetime = Some(secs(100)), b"", split).await;
        assert_eq!(lifetime, (Timeout::Lifetime, 101, 1001));
        let message = expire(|config| config.message_timeout = Some(secs(5)), &half, split).await;
        assert_eq!(message, (Timeout::Message, 6, 1008));
        let pong = expire(|config| config.ping_interval = Some(secs(30)), b"", split).await;
        assert_eq!((pong.0, pong.2), (Timeout::Pong, 1011));
        assert!((50..=51).contains(&pong.1), "{pong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn close_that_is_not_answered_is_given_up_whatever_else_comes() {
    for split in [false, true] {
        let stream = Mock::new("");
        let mut socket = server(&stream, Config::default());
        let chatter = tokio::spawn({
            let stream = stream.clone();
            async move {
                for _ in 0..100 {
                    tokio::time::sleep(secs(1)).await;
                    stream.feed(&masked(PONG, b""));
                }
            }
        });
        let started = Instant::now();
        let error = if split {
            // The sender closes while the receiver waits already.
            let (mut receiver, sender) = socket.split();
            let receiving = tokio::spawn(async move { receiver.receive().await });
            settle().await;
            sender.close(Close::normal()).await.unwrap();
            let error = soon(receiving).await.unwrap().unwrap_err();
            assert_eq!((sender.state(), sender.close_code()), (State::Closed, Some(CloseCode::ABNORMAL)));
            error
        } else {
            socket.close(Close::normal()).await.unwrap();
            soon(socket.receive()).await.unwrap_err()
        };
        assert_eq!((timeout(error), started.elapsed()), (Timeout::Close, secs(10)));
        chatter.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn closing_deadline_runs_for_a_sender_that_cannot_write_its_close() {
    let stream = Mock::with_room(0);
    let (_receiver, sender) = server(&stream, config(|config| config.output_timeout = None)).split();
    let started = Instant::now();
    assert_eq!(timeout(soon(sender.close(Close::normal())).await.unwrap_err()), Timeout::Close);
    assert_eq!(started.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_where_there_is_always_something_to_read() {
    let stream = Mock::new("");
    let mut socket =
        server(&stream, config(|config| (config.lifetime, config.ping_interval) = (Some(secs(100)), None)));
    let started = Instant::now();
    for _ in 0..100 {
        stream.feed(&masked(0x81, b"more"));
        // A message is there, so this never waits.
        assert_eq!(socket.receive().await.unwrap(), Some("more".into()));
        tokio::time::advance(secs(1)).await;
    }
    stream.feed(&masked(0x81, b"too much"));
    // And then the peer has ten seconds to answer the Close.
    assert_eq!(timeout(soon(socket.receive()).await.unwrap_err()), Timeout::Lifetime);
    assert_eq!(started.elapsed(), secs(110));
}

/// The peer takes a little of a message in fragments every second, so nothing else would end this.
#[tokio::test(start_paused = true)]
async fn closing_deadline_runs_while_a_long_message_goes_out_before_the_close() {
    for split in [false, true] {
        let stream = Mock::with_room(0);
        let mut socket = server(&stream, config(|config| config.fragment_size = 1000));
        let trickle = tokio::spawn({
            let stream = stream.clone();
            async move {
                loop {
                    tokio::time::sleep(secs(1)).await;
                    stream.change(|script| script.room = 1);
                }
            }
        });
        soon(socket.feed(vec![7; 100_000])).await.unwrap();
        let started = Instant::now();
        let error = if split {
            let (_receiver, sender) = socket.split();
            soon(sender.close(Close::normal())).await.unwrap_err()
        } else {
            soon(socket.close(Close::normal())).await.unwrap_err()
        };
        assert_eq!((timeout(error), started.elapsed()), (Timeout::Close, secs(10)));
        trickle.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn sign_of_life_keeps_the_connection_and_messages_move_the_idle_deadline() {
    let stream = Mock::new("");
    let mut socket = server(
        &stream,
        config(|config| {
            (config.idle_timeout, config.close_timeout, config.ping_interval) = (Some(secs(60)), Some(secs(1)), None);
        }),
    );
    let talking = tokio::spawn({
        let stream = stream.clone();
        async move {
            for _ in 0..10 {
                tokio::time::sleep(secs(50)).await;
                stream.feed(&masked(TEXT, b"hello"));
            }
        }
    });
    let started = Instant::now();
    for _ in 0..10 {
        assert!(soon(socket.receive()).await.unwrap().is_some());
    }
    assert_eq!(started.elapsed(), secs(500));
    assert_eq!(timeout(soon(socket.receive()).await.unwrap_err()), Timeout::Idle);
    assert_eq!(started.elapsed(), secs(500 + 60 + 1));
    talking.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keepalive_of_two_sides_that_answer_goes_on() {
    let (stream, peer) = tokio::io::duplex(1000);
    let mut socket = WebSocket::server(stream, config(|config| config.ping_interval = Some(secs(30))));
    let mut peer = WebSocket::client(peer, config(|config| config.ping_interval = None));
    let answering = tokio::spawn(async move { (peer.receive().await, peer.received().frames) });
    let _ = tokio::time::timeout(secs(3605), socket.receive()).await.unwrap_err();
    socket.close(Close::normal()).await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    let (end, frames) = soon(answering).await.unwrap();
    assert_eq!((end.unwrap(), frames), (None, 3600 / 30 + 1));
}

#[tokio::test(start_paused = true)]
async fn without_deadlines_a_connection_waits_for_ever() {
    let config = config(|config| {
        (config.close_timeout, config.output_timeout, config.pong_timeout) = (None, None, None);
        config.ping_interval = None;
    });
    let stream = Mock::with_room(3);
    let (mut receiver, sender) = server(&stream, config.clone()).split();
    let sending = tokio::spawn(async move { sender.send("stuck").await });
    let receiving = tokio::spawn(async move { receiver.receive().await });
    tokio::time::sleep(secs(24 * 3600)).await;
    assert!(!sending.is_finished() && !receiving.is_finished());

    let stream = Mock::new("");
    let mut socket = server(&stream, config);
    socket.ping().await.unwrap();
    socket.close(Close::normal()).await.unwrap();
    let receiving = tokio::spawn(async move { socket.receive().await });
    tokio::time::sleep(secs(24 * 3600)).await;
    assert!(!receiving.is_finished());
}

#[tokio::test(start_paused = true)]
async fn ping_resolves_to_the_round_trip_time() {
    let stream = Mock::new("");
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    for wait in [1, 7] {
        let (one, other) = (tokio::spawn(sender.ping()), tokio::spawn(sender.ping()));
        tokio::time::sleep(secs(wait)).await;
        // Two who ask at once share a ping.
        let (first, payload) = stream.frames().pop().unwrap();
        assert_eq!(first, PING);
        // A pong that answers something else tells nothing.
        stream.feed(&masked(PONG, b"other"));
        settle().await;
        assert!(!one.is_finished());
        stream.feed(&masked(PONG, &payload));
        assert_eq!(soon(one).await.unwrap().unwrap(), secs(wait));
        assert_eq!(soon(other).await.unwrap().unwrap(), secs(wait));
        assert_eq!(sender.round_trip(), Some(secs(wait)));
    }
    assert_eq!(stream.frames().len(), 2);
    // One that is not answered ends with the connection.
    let pinging = tokio::spawn(sender.ping());
    settle().await;
    stream.feed(&masked(CLOSE, b""));
    assert!(matches!(soon(pinging).await.unwrap(), Err(Error::Lost)));
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    assert!(matches!(soon(sender.ping()).await, Err(Error::Send(SendError::Closed))));
}

#[tokio::test(start_paused = true)]
async fn ping_that_nobody_answers_ends_at_its_deadline() {
    let stream = Mock::new("");
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    settle().await;
    let started = Instant::now();
    assert!(soon(sender.ping()).await.is_err());
    assert_eq!(started.elapsed(), secs(20));
    assert_eq!(timeout(soon(receiving).await.unwrap().unwrap_err()), Timeout::Pong);
    assert_eq!(sender.end_cause(), Some(EndCause::Timeout(Timeout::Pong)));
}

#[tokio::test(start_paused = true)]
async fn ping_that_waits_in_a_full_pipe_has_its_time_from_when_it_went_out() {
    let stream = Mock::with_room(0);
    let (mut receiver, sender) = server(&stream, config(|config| config.output_timeout = None)).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    let pinging = tokio::spawn(sender.ping());
    tokio::time::sleep(secs(100)).await;
    assert!(!pinging.is_finished() && !receiving.is_finished());
    stream.release();
    tokio::time::sleep(secs(19)).await;
    let (_, payload) = stream.frames().pop().unwrap();
    stream.feed(&masked(PONG, &payload));
    assert_eq!(soon(pinging).await.unwrap().unwrap(), secs(19));
    receiving.abort();
}

#[tokio::test(start_paused = true)]
async fn connection_can_be_dropped_at_any_time() {
    for state in 0..6 {
        let stream = Mock::with_room(3);
        let mut socket =
            server(&stream, config(|config| (config.ping_interval, config.fragment_size) = (Some(secs(1)), 10)));
        match state {
            0 => {}
            1 => socket.try_send(pattern(100)).unwrap(),
            2 => assert!(now(socket.close(Close::normal())).is_none()),
            3 => {
                stream.feed(&masked(0x01, b"half"));
                assert!(now(socket.receive()).is_none());
            }
            4 => {
                stream.feed(&unmasked(0x81, b"violation"));
                assert!(now(socket.receive()).is_none());
            }
            _ => {
                tokio::time::sleep(secs(2)).await;
                assert!(now(socket.receive()).is_none());
            }
        }
        let started = Instant::now();
        drop(socket);
        assert_eq!(started.elapsed(), secs(0));
        // Only the stream itself is left, and no timer wakes anybody.
        tokio::time::sleep(secs(100)).await;
        assert!(stream.output().len() <= 3);
    }
}

/// A transport without a runtime, whose timer counts how often it is asked.
#[derive(Debug)]
struct Counted {
    stream: Mock,
    clock: Clock,
}

/// A clock in the test's hand.
#[derive(Clone, Debug, Default)]
struct Clock {
    millis: Rc<Cell<u64>>,
    armed: Rc<Cell<usize>>,
    timers: Rc<Cell<usize>>,
}

thread_local! {
    static CLOCK: Clock = Clock::default();
}

impl driver::Transport for Counted {
    type Stream = Mock;
    type Timer = Clock;

    fn new(stream: Mock) -> Self {
        Self { stream, clock: CLOCK.with(Clone::clone) }
    }

    fn timer(&self) -> Clock {
        self.clock.timers.set(self.clock.timers.get() + 1);
        self.clock.clone()
    }

    fn into_stream(self) -> Mock {
        self.stream
    }

    fn stream(&self) -> &Mock {
        &self.stream
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = tokio::io::ReadBuf::new(buffer);
        let read = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.stream), cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(std::pin::Pin::new(&mut self.stream), cx, bytes)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write_vectored(std::pin::Pin::new(&mut self.stream), cx, pieces)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(std::pin::Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(&mut self.stream), cx)
    }
}

impl driver::Timer for Clock {
    fn now(&self) -> sockeye::Instant {
        ms(self.millis.get()).into()
    }

    fn poll_until(&mut self, deadline: sockeye::Instant, _: &mut Context<'_>) -> Poll<()> {
        self.armed.set(self.armed.get() + 1);
        if deadline <= driver::Timer::now(self) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn thousand_messages_set_no_timer_and_a_connection_has_one() {
    let clock = CLOCK.with(Clone::clone);
    let stream = Mock::new("");
    let config = config(|config| {
        (config.idle_timeout, config.ping_interval) = (Some(secs(600)), Some(secs(300)));
        (config.message_timeout, config.lifetime) = (Some(secs(300)), Some(secs(3600)));
    });
    let mut socket: driver::WebSocket<Counted> =
        driver::WebSocket::resume(stream.clone(), Connection::server(config), &[]);
    assert!(now(socket.receive()).is_none());
    assert_eq!((clock.armed.get(), clock.timers.get()), (1, 1));
    for number in 0..1000u64 {
        clock.millis.set(number * 100);
        let message = masked(TEXT, b"hello");
        // In two reads, each of which has to wait.
        stream.feed(&message[..4]);
        assert!(now(socket.receive()).is_none());
        stream.feed(&message[4..]);
        assert_eq!(now(socket.receive()).unwrap().unwrap(), Some("hello".into()));
        now(socket.send("hello")).unwrap().unwrap();
        assert!(now(socket.receive()).is_none());
    }
    assert_eq!((clock.armed.get(), clock.timers.get()), (1, 1));
    // The deadline that has moved on is looked at when the timer fires for the old one: once.
    clock.millis.set(300_000);
    assert!(now(socket.receive()).is_none());
    assert_eq!((clock.armed.get(), clock.timers.get()), (2, 1));
    assert!(control(&stream.frames()).is_empty());
    // And then the ping.
    clock.millis.set(99_900 + 300_000);
    assert!(now(socket.receive()).is_none());
    assert_eq!(control(&stream.frames()).len(), 1);
    assert!(clock.armed.get() <= 4);
}

/// As on a runtime with one thread, whose timers fire between the turns of its tasks: this one never ends its turn.
#[test]
fn deadlines_are_kept_where_no_read_waits_and_no_timer_fires() {
    let clock = CLOCK.with(Clone::clone);
    let stream = Mock::new("");
    let config = config(|config| (config.lifetime, config.ping_interval) = (Some(secs(100)), None));
    let mut socket: driver::WebSocket<Counted> =
        driver::WebSocket::resume(stream.clone(), Connection::server(config), &[]);
    for number in 0..1000u64 {
        clock.millis.set(number * 1000);
        stream.feed(&masked(TEXT, b"hello"));
        let Some(received) = now(socket.receive()) else {
            // Our Close is out, and the peer's is waited for.
            assert!((100..200).contains(&number), "after {number} seconds");
            assert_eq!(socket.state(), State::Closing);
            return;
        };
        assert_eq!(received.unwrap(), Some("hello".into()));
    }
    panic!("it never ends");
}

#[test]
fn connection_without_deadlines_sets_no_timer() {
    let clock = CLOCK.with(Clone::clone);
    let before = clock.armed.get();
    let stream = Mock::new("");
    let mut socket: driver::WebSocket<Counted> = driver::WebSocket::resume(
        stream.clone(),
        Connection::server(config(|config| config.ping_interval = None)),
        &[],
    );
    for _ in 0..10 {
        stream.feed(&masked(TEXT, b"hello"));
        assert!(now(socket.receive()).is_some());
        now(socket.send("hello")).unwrap().unwrap();
        assert!(now(socket.receive()).is_none());
    }
    assert_eq!(clock.armed.get(), before);
}

#[tokio::test(start_paused = true)]
async fn deadline_wakes_a_task_that_only_sends_when_its_receive_was_dropped() {
    let stream = Mock::with_room(3);
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    // The timer is armed by a receive that is dropped.
    now(sender.feed("stuck")).unwrap().unwrap();
    assert!(now(receiver.receive()).is_none());
    let (woken, mut flushing) = (Arc::new(Woken::default()), Box::pin(sender.flush()));
    assert!(poll(flushing.as_mut(), &woken).is_pending());
    drop(receiver);
    let started = Instant::now();
    // Without its receiver the connection closes, and there is an end to that, too.
    assert_eq!(timeout(soon(flushing).await.unwrap_err()), Timeout::Close);
    assert_eq!(started.elapsed(), secs(10));
}

// Who feeds takes the short way, and nobody receives: the flush keeps the time.

fn pinging() -> Config {
    config(|config| (config.ping_interval, config.pong_timeout) = (Some(secs(30)), Some(secs(20))))
}

#[tokio::test(start_paused = true)]
async fn who_only_feeds_and_flushes_sends_the_pings_that_are_due() {
    let stream = Mock::new("");
    let mut socket = server(&stream, pinging());
    for _ in 0..5 {
        socket.feed("tick").await.unwrap();
        socket.flush().await.unwrap();
        tokio::time::sleep(secs(10)).await;
    }
    assert!(stream.frames().iter().any(|(first, _)| *first == PING), "{:?}", stream.frames());
}

#[tokio::test(start_paused = true)]
async fn who_only_feeds_and_flushes_learns_that_the_peer_is_gone() {
    let stream = Mock::new("");
    let mut socket = server(&stream, pinging());
    for _ in 0..30 {
        let fed = match socket.feed("tick").await {
            Ok(()) => socket.flush().await,
            Err(error) => Err(error),
        };
        match fed {
            Ok(()) => tokio::time::sleep(secs(10)).await,
            Err(Error::Timeout(Timeout::Pong) | Error::Send(SendError::Closed)) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("nobody told: {:?}", stream.frames().len());
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_feeds_and_flushes_keeps_the_lifetime_of_the_connection() {
    let stream = Mock::new("");
    let config = config(|config| (config.lifetime, config.ping_interval) = (Some(secs(60)), None));
    let (_receiver, sender) = server(&stream, config).split();
    for _ in 0..30 {
        if sender.feed("tick").await.is_err() {
            return;
        }
        let _ = sender.flush().await;
        tokio::time::sleep(secs(10)).await;
    }
    panic!("it lives for ever: {:?}", stream.frames().len());
}

#[tokio::test(start_paused = true)]
async fn who_feeds_what_is_prepared_and_flushes_sends_the_pings_that_are_due() {
    let stream = Mock::new("");
    let mut socket = server(&stream, pinging());
    let tick = PreparedMessage::new("tick");
    for _ in 0..5 {
        socket.feed(&tick).await.unwrap();
        socket.flush().await.unwrap();
        tokio::time::sleep(secs(10)).await;
    }
    assert!(stream.frames().iter().any(|(first, _)| *first == PING), "{:?}", stream.frames());
}
