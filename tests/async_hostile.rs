//! What an attacker found, from outside and from inside: floods, splices, panics and deadlines that did not come.

mod async_support;

use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use async_support::*;
use sockeye::driver::{Gate, Limits};
use sockeye::handshake::{ClientRequest, accept_key};
use sockeye::tokio::{Connector, Error, Sender, Timer, WebSocket};
use sockeye::{Config, Connection, MessageKind, Timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout as limit;

/// Longer than any deadline here.
const LONG: std::time::Duration = secs(3600);

fn pipe(size: usize) -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(size)
}

#[tokio::test(start_paused = true)]
async fn deadline_comes_although_the_task_had_used_up_its_turn_when_it_was_set() {
    // By what else the task does.
    let (stream, _peer) = pipe(1024);
    let (sender, mut news) = tokio::sync::mpsc::unbounded_channel();
    (0..500).for_each(|_| sender.send(()).unwrap());
    let serving = tokio::spawn(async move {
        let mut socket = WebSocket::server(stream, config(|config| config.idle_timeout = Some(secs(5))));
        for _ in 0..128 {
            news.recv().await;
        }
        socket.receive().await
    });
    assert_eq!(timeout(limit(LONG, serving).await.unwrap().unwrap().unwrap_err()), Timeout::Idle);

    // By a flood of the peer's.
    let (stream, mut peer) = pipe(64 * 1024 * 1024);
    let message = masked(BINARY, &pattern(0x8000));
    for _ in 0..300 {
        peer.write_all(&message).await.unwrap();
    }
    let serving = tokio::spawn(async move {
        let mut socket = WebSocket::server(stream, config(|config| config.idle_timeout = Some(secs(5))));
        loop {
            match socket.receive().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    });
    assert_eq!(timeout(limit(LONG, serving).await.unwrap().unwrap().unwrap_err()), Timeout::Idle);
}

#[tokio::test(start_paused = true)]
async fn message_that_is_read_in_part_as_chunks_is_never_mixed_with_another() {
    for by_reader in [true, false] {
        let (stream, mut peer) = pipe(1024);
        let mut socket = WebSocket::client(stream, Config::default());
        // The first message is begun by a receive that is given up, and ended by chunks.
        peer.write_all(b"\x01\x05AAAAA").await.unwrap();
        assert!(now(socket.receive()).is_none());
        peer.write_all(b"\x80\x05aaaaa\x01\x05BBBBB").await.unwrap();
        if by_reader {
            let mut reader = socket.receive_reader().await.unwrap().unwrap();
            assert_eq!(reader.next().await.unwrap().unwrap(), "BBBBB");
        } else {
            while !socket.receive_chunk().await.unwrap().unwrap().is_first() {}
        }
        peer.write_all(b"\x80\x05bbbbb\x81\x05CCCCC").await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), Some("CCCCC".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_skipped_of_a_message_does_not_count_against_the_limit() {
    let (stream, mut peer) = pipe(1024);
    let mut socket = WebSocket::client(stream, config(|config| config.max_message_size = 8));
    peer.write_all(b"\x02\x05AAAAA").await.unwrap();
    {
        let mut reader = socket.receive_reader().await.unwrap().unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap(), "AAAAA");
    }
    peer.write_all(b"\x00\x05bbbbb\x80\x05ccccc\x82\x05CCCCC").await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(b"CCCCC"[..].into()));
    // The limit still holds for what is received.
    peer.write_all(b"\x02\x05AAAAA\x80\x05aaaaa").await.unwrap();
    assert!(matches!(socket.receive().await, Err(Error::Protocol(_))));
}

#[tokio::test(start_paused = true)]
async fn server_that_answers_before_it_has_read_the_request_cannot_fill_the_client() {
    let (stream, mut peer) = pipe(256);
    let request = ClientRequest::new("a", "/").unwrap().header("X-Token", "t".repeat(1000)).unwrap();
    let client = tokio::spawn(async move { Connector::default().handshake(stream, request).await.map(drop) });
    let mut head = String::new();
    while !head.contains("==\r\n") {
        head.push(char::from(peer.read_u8().await.unwrap()));
    }
    let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key).as_str()
    );
    peer.write_all(answer.as_bytes()).await.unwrap();
    let mut sent = 0;
    let flood = async {
        loop {
            peer.write_all(&[0; 1024]).await.unwrap();
            sent += 1024;
        }
    };
    assert!(limit(secs(5), flood).await.is_err());
    assert!(sent < 64 * 1024, "{sent} bytes were taken");
    let Err(Error::Io(error)) = limit(LONG, client).await.unwrap().unwrap() else {
        panic!("the request is not written")
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_for_a_connection_that_only_sends() {
    let (stream, mut peer) = pipe(1024);
    tokio::spawn(async move { while peer.read(&mut [0; 4096]).await.unwrap_or(0) > 0 {} });
    let change = |config: &mut Config| {
        (config.ping_interval, config.pong_timeout) = (Some(secs(10)), Some(secs(3)));
    };
    let mut socket = WebSocket::server(stream, config(change));
    let mut seconds = 0;
    let error = loop {
        tokio::time::sleep(secs(1)).await;
        seconds += 1;
        assert!(seconds < 60, "no deadline came");
        if let Err(error) = socket.send("tick").await {
            break error;
        }
    };
    // The ping at ten seconds, and no sign of life for three.
    assert!(error.is_closed() && (13..=16).contains(&seconds), "{error:?} after {seconds} s");
    assert_eq!(timeout(socket.receive().await.unwrap_err()), Timeout::Pong);
}

#[tokio::test(start_paused = true)]
async fn sender_that_waits_for_its_turn_keeps_the_deadlines() {
    let (stream, _peer) = pipe(1024);
    let (receiver, sender) = WebSocket::server(stream, config(|config| config.lifetime = Some(secs(5)))).split();
    let _writer = sender.writer(MessageKind::Binary).await.unwrap();
    let other = sender.clone();
    let error = limit(LONG, other.send("x")).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    drop(receiver);
}

#[tokio::test(start_paused = true)]
async fn long_message_is_reported_as_sent_only_when_all_of_it_is_written() {
    let (stream, mut peer) = pipe(100 * 1024);
    let marks = |config: &mut Config| (config.low_water_mark, config.high_water_mark) = (100 * 1024, 100 * 1024);
    let (_receiver, sender) = WebSocket::server(stream, config(marks)).split();
    let (first, second) = (sender.clone(), sender.clone());
    let long = tokio::spawn(async move { first.send(pattern(190 * 1024)).await });
    settle().await;
    let short = tokio::spawn(async move { second.feed(pattern(10 * 1024)).await });
    settle().await;
    peer.read_exact(&mut vec![0; 50 * 1024]).await.unwrap();
    settle().await;
    assert!(!long.is_finished() || sender.queued() <= 10 * 1024 + 4, "{} bytes wait", sender.queued());
    let reading = tokio::spawn(async move { peer.read_exact(&mut vec![0; 140 * 1024 + 14]).await.map(drop) });
    soon(long).await.unwrap().unwrap();
    soon(short).await.unwrap().unwrap();
    soon(reading).await.unwrap().unwrap();
}

#[test]
fn writer_can_be_dropped_outside_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stream, _peer) = pipe(1024);
    let mut socket = {
        let _entered = runtime.enter();
        WebSocket::server(stream, Config::default())
    };
    let mut writer = runtime.block_on(socket.writer(MessageKind::Binary)).unwrap();
    runtime.block_on(writer.write_all(&[0; 500])).unwrap();
    runtime.block_on(writer.flush()).unwrap();
    drop(writer);
}

#[tokio::test(start_paused = true)]
async fn panic_in_one_half_ends_the_connection_for_the_other() {
    let (stream, mut peer) = pipe(1024);
    let mut keys = 0;
    let next_key = move || {
        keys += 1;
        assert!(keys != 3, "no key");
        [1, 2, 3, 4]
    };
    let connection = Connection::client_with_keys(config(|config| config.fragment_size = 1000), next_key);
    let (mut receiver, sender) = WebSocket::resume(stream, connection, b"").split();
    let sending = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send(pattern(10_000)).await }
    });
    settle().await;
    let receiving = tokio::spawn(async move { receiver.receive().await });
    tokio::spawn(async move { while peer.read(&mut [0; 4096]).await.unwrap_or(0) > 0 {} });
    // Whichever of the two met the panic, the other learns of it.
    let (sent, received) = (soon(sending).await, soon(receiving).await);
    assert!(sent.is_err() ^ received.is_err(), "{sent:?} {received:?}");
    assert!(!matches!(sent, Ok(Ok(()))), "a message that broke off was reported as sent");
    assert!(!matches!(received, Ok(Ok(_))), "{received:?}");
    assert!(sender.send("next").await.is_err());
}

/// A waker that comes back to the connection at once.
struct Returns(Sender<DuplexStream>);

impl Wake for Returns {
    fn wake(self: Arc<Self>) {
        let _ = self.0.queued();
    }
}

#[tokio::test(start_paused = true)]
async fn waker_may_use_the_connection_that_wakes_it() {
    let (stream, _peer) = pipe(1024);
    let (receiver, sender) = WebSocket::client(stream, Config::default()).split();
    let mut waiting: Vec<_> = (0..1100).map(|_| Box::pin(sender.closed())).collect();
    for closed in &mut waiting {
        // Each a task of its own.
        let waker = Waker::from(Arc::new(Returns(sender.clone())));
        assert!(closed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(receiver);
    for mut closed in waiting {
        assert_eq!(closed.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }
}

#[tokio::test(start_paused = true)]
async fn reunion_that_fails_is_noticed_by_nobody() {
    let (stream, _peer) = pipe(1024);
    let (receiver, sender) = WebSocket::client(stream, Config::default()).split();
    let other = sender.clone();
    let woken = Arc::new(Woken::default());
    let mut closed = pin!(other.closed());
    assert!(poll(closed.as_mut(), &woken).is_pending());
    let halves = receiver.reunite(sender).unwrap_err();
    assert_eq!(woken.count(), 0);
    assert!(poll(closed.as_mut(), &woken).is_pending());
    drop(halves);
    assert!(poll(closed.as_mut(), &woken).is_ready());
}

#[tokio::test(start_paused = true)]
async fn drain_takes_any_times() {
    for interval in [secs(0), std::time::Duration::MAX] {
        let gate = Gate::default();
        let seats = (gate.admit(None).unwrap(), gate.admit(None).unwrap());
        let mut drain = sockeye::driver::Drain::default();
        (drain.batch, drain.interval, drain.patience) = (0, interval, secs(1));
        let _ = limit(secs(3), gate.drain(Timer::default(), drain)).await;
        drop(seats);
    }
}

#[test]
fn one_address_in_two_forms_is_one_peer() {
    let mut limits = Limits::default();
    limits.connections_per_peer = 1;
    let gate = Gate::new(limits);
    let _seat = gate.admit(Some("10.0.0.1".parse().unwrap())).unwrap();
    assert_eq!(gate.admit(Some("::ffff:10.0.0.1".parse().unwrap())).unwrap_err().status(), 429);
}

#[tokio::test(start_paused = true)]
async fn deadline_that_a_send_notices_is_told_by_the_next_receive() {
    for split in [false, true] {
        let (stream, mut peer) = pipe(1024);
        peer.write_all(&masked(TEXT, b"hi")).await.unwrap();
        let change = |config: &mut Config| (config.lifetime, config.ping_interval) = (Some(secs(5)), None);
        let mut socket = WebSocket::server(stream, config(change));
        assert_eq!(socket.receive().await.unwrap(), Some("hi".into()));
        tokio::time::sleep(secs(6)).await;
        let answer = masked(CLOSE, &close_body(1001, ""));
        let (sent, received) = if split {
            let (mut receiver, sender) = socket.split();
            let sent = sender.send("too late").await;
            peer.write_all(&answer).await.unwrap();
            (sent, receiver.receive().await)
        } else {
            let sent = socket.send("too late").await;
            peer.write_all(&answer).await.unwrap();
            (sent, socket.receive().await)
        };
        assert!(sent.unwrap_err().is_closed());
        assert_eq!(timeout(received.unwrap_err()), Timeout::Lifetime);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_pong_or_the_end_keeps_the_deadlines_though_nobody_receives() {
    for pings in [false, true] {
        let (stream, _peer) = pipe(1024);
        let change = |config: &mut Config| (config.lifetime, config.ping_interval) = (Some(secs(5)), None);
        let (_receiver, sender) = WebSocket::server(stream, config(change)).split();
        if pings {
            assert!(limit(LONG, sender.ping()).await.unwrap().is_err());
        } else {
            limit(LONG, sender.closed()).await.unwrap();
        }
    }
}
