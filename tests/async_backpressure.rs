//! How much is queued, who waits for it, how it is written, and what becomes of a peer that takes nothing.

mod async_support;

use std::sync::Arc;

use async_support::*;
use bytes::Bytes;
use sockeye::tokio::{Error, WebSocket};
use sockeye::{Close, Config, PreparedMessage, SendError, State, Timeout};
use tokio::time::Instant;

/// Marks at 1000 and 100 bytes.
fn marks() -> Config {
    config(|config| (config.high_water_mark, config.low_water_mark) = (1000, 100))
}

#[tokio::test(start_paused = true)]
async fn send_waits_from_the_high_water_mark_until_the_low_one() {
    for split in [false, true] {
        let stream = Mock::with_room(0);
        let mut socket = server(&stream, marks());
        let mut fed = 0;
        while let Some(result) = now(socket.feed(&pattern(98))) {
            result.unwrap();
            fed += 100;
            assert_eq!(socket.queued(), fed);
        }
        assert_eq!(fed, 1000);
        if split {
            let (_receiver, sender) = socket.split();
            let mut feeding = Box::pin(sender.feed("late"));
            let woken = Arc::new(Woken::default());
            assert!(poll(feeding.as_mut(), &woken).is_pending());
            for written in [100, 899] {
                stream.change(|script| script.room = written - script.output.len());
                assert!(poll(feeding.as_mut(), &woken).is_pending(), "{written}");
                assert_eq!(sender.queued(), 1000 - written);
            }
            stream.change(|script| script.room = 1);
            assert!(poll(feeding.as_mut(), &woken).is_ready());
            assert_eq!(sender.queued(), 100 + 6);
        } else {
            let mut feeding = Box::pin(socket.feed("late"));
            let woken = Arc::new(Woken::default());
            assert!(poll(feeding.as_mut(), &woken).is_pending());
            stream.change(|script| script.room = 899);
            assert!(poll(feeding.as_mut(), &woken).is_pending());
            stream.change(|script| script.room = 1);
            assert!(poll(feeding.as_mut(), &woken).is_ready());
            drop(feeding);
            assert_eq!(socket.queued(), 100 + 6);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn try_send_says_full_and_queues_nothing() {
    let stream = Mock::with_room(10);
    let (_receiver, sender) = server(
        &stream,
        config(|config| {
            (config.high_water_mark, config.low_water_mark, config.fragment_size) = (1000, 100, 500);
        }),
    )
    .split();
    sender.try_send("hello").unwrap();
    assert_eq!((sender.queued(), stream.output().len()), (0, 7));
    sender.try_send(vec![1; 998]).unwrap();
    let queued = sender.queued();
    let sent = sender.sent();
    for _ in 0..3 {
        assert!(matches!(sender.try_send("no"), Err(Error::Full)));
        assert!(matches!(sender.try_send(&[0; 100_000]), Err(Error::Full)));
    }
    assert_eq!((sender.queued(), sender.sent()), (queued, sent));
    stream.release();
    sender.try_send("room again").unwrap();
    assert_eq!(data(&stream.frames()).len(), 3);
    assert_eq!(sender.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn memory_stays_bounded_while_the_peer_reads_nothing() {
    let stream = Mock::with_room(0);
    let config = config(|config| {
        (config.high_water_mark, config.low_water_mark) = (1000, 100);
        (config.output_timeout, config.max_pending_pongs) = (None, 500);
    });
    let (mut receiver, sender) = server(&stream, config).split();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let sender = sender.clone();
            tokio::spawn(async move { while sender.send(pattern(200)).await.is_ok() {} })
        })
        .collect();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    // Nor do pings make it more.
    for _ in 0..100 {
        stream.feed(&masked(PING, &[7; 100]));
        settle().await;
        let _ = sender.try_send(pattern(100));
        assert!(sender.queued() < 1000 + 202 + 500, "{}", sender.queued());
    }
    for task in senders {
        task.abort();
    }
    receiving.abort();
}

#[tokio::test(start_paused = true)]
async fn reader_that_stops_reading_stops_the_peer() {
    let (stream, peer) = tokio::io::duplex(5000);
    let mut socket = WebSocket::server(stream, Config::default());
    let (mut theirs, sender) = WebSocket::client(peer, config(|config| config.output_timeout = None)).split();
    let sending = tokio::spawn(async move {
        for _ in 0..1000 {
            sender.send(pattern(1000)).await.unwrap();
        }
        sender.sent().messages
    });
    let counting = theirs.sender();
    let theirs = tokio::spawn(async move { theirs.receive().await });
    assert!(socket.receive().await.unwrap().is_some());
    tokio::time::sleep(secs(60)).await;
    // What the pipe, our one buffer and their marks hold, and no more.
    let stopped = counting.sent().messages;
    assert!(stopped < 110, "{stopped}");
    tokio::time::sleep(secs(600)).await;
    assert_eq!(counting.sent().messages, stopped);
    for _ in 1..1000 {
        assert!(socket.receive().await.unwrap().is_some());
    }
    assert_eq!(soon(sending).await.unwrap(), 1000);
    theirs.abort();
}

#[tokio::test(start_paused = true)]
async fn peer_that_takes_nothing_is_ended_by_the_output_deadline_while_receiving() {
    for split in [false, true] {
        let stream = Mock::with_room(3);
        let mut socket = server(&stream, Config::default());
        now(socket.feed("never taken")).unwrap().unwrap();
        let started = Instant::now();
        let error = if split {
            let (mut receiver, sender) = socket.split();
            let waiting = tokio::spawn(async move { (sender.flush().await, sender) });
            let error = soon(receiver.receive()).await.unwrap_err();
            let (flushed, sender) = soon(waiting).await.unwrap();
            assert_eq!(timeout(flushed.unwrap_err()), Timeout::Output);
            assert!(is_refused(&sender.send("no").await));
            assert_eq!(timeout(receiver.receive().await.unwrap_err()), Timeout::Output);
            error
        } else {
            soon(socket.receive()).await.unwrap_err()
        };
        assert_eq!((timeout(error), started.elapsed()), (Timeout::Output, secs(30)));
        assert_eq!(stream.output().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_takes_nothing_is_ended_by_the_output_deadline_while_only_sending() {
    for large in [false, true] {
        let stream = Mock::with_room(3);
        let mut socket = server(&stream, Config::default());
        let started = Instant::now();
        let error = soon(socket.send(pattern(if large { 1 << 20 } else { 10 }))).await.unwrap_err();
        assert_eq!((timeout(error), started.elapsed()), (Timeout::Output, secs(30)));
        assert_eq!(socket.state(), State::Closed);

        let stream = Mock::with_room(3);
        let (_receiver, sender) = server(&stream, Config::default()).split();
        let started = Instant::now();
        let waits = sender.clone();
        let waiting = tokio::spawn(async move { waits.feed(&pattern(200_000)).await.and(waits.feed("room").await) });
        let error = soon(sender.send(pattern(if large { 1 << 20 } else { 10 }))).await.unwrap_err();
        assert_eq!((timeout(error), started.elapsed()), (Timeout::Output, secs(30)));
        assert!(is_refused(&soon(waiting).await.unwrap()));
    }
}

/// Whether a message that was not queued yet when the deadline passed is refused.
fn is_refused(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::Timeout(Timeout::Output) | Error::Send(SendError::Closed)))
}

#[tokio::test(start_paused = true)]
async fn any_progress_restarts_the_output_deadline() {
    let stream = Mock::with_room(0);
    let mut socket = server(&stream, Config::default());
    let started = Instant::now();
    let sending = tokio::spawn(async move { socket.send(pattern(8)).await });
    for _ in 0..9 {
        tokio::time::sleep(secs(29)).await;
        assert!(!sending.is_finished());
        stream.change(|script| script.room = 1);
        settle().await;
    }
    let error = soon(sending).await.unwrap().unwrap_err();
    assert_eq!((timeout(error), started.elapsed()), (Timeout::Output, secs(9 * 29 + 30)));
}

#[tokio::test(start_paused = true)]
async fn output_deadline_ends_the_connection_even_if_the_stream_cannot_be_shut_down() {
    let stream = Mock::with_room(3);
    stream.script().is_shutdown_stuck = true;
    let mut socket = server(&stream, config(|config| config.close_timeout = None));
    now(socket.feed("never taken")).unwrap().unwrap();
    let started = Instant::now();
    assert_eq!(timeout(soon(socket.receive()).await.unwrap_err()), Timeout::Output);
    assert_eq!(started.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_gone_and_takes_nothing_is_not_waited_for_for_ever() {
    let stream = Mock::with_room(3);
    stream.script().at_end = Some(Ok(()));
    let mut socket = server(&stream, config(|config| config.close_timeout = None));
    now(socket.feed("never taken")).unwrap().unwrap();
    let started = Instant::now();
    let error = soon(socket.receive()).await.unwrap_err();
    assert!(matches!(error, Error::Lost | Error::Timeout(Timeout::Output)), "{error:?}");
    assert!(started.elapsed() <= secs(30));
}

#[tokio::test(start_paused = true)]
async fn pong_and_close_are_never_dropped_by_a_limit() {
    let stream = Mock::with_room(0);
    let config = config(|config| {
        (config.high_water_mark, config.low_water_mark, config.fragment_size) = (100, 10, 50);
        config.max_pending_pongs = 20;
    });
    let (mut receiver, sender) = server(&stream, config).split();
    sender.try_send(pattern(500)).unwrap();
    assert!(matches!(sender.try_send("full"), Err(Error::Full)));
    stream.feed(&[masked(PING, b"old"), masked(PING, b"new")].concat());
    let receiving = tokio::spawn(async move { receiver.receive().await });
    settle().await;
    stream.release();
    settle().await;
    // §5.5.3: where pongs wait, the one for the newest ping is enough.
    assert_eq!(control(&stream.frames()).last(), Some(&(PONG, b"new".to_vec())));
    assert_eq!(data(&stream.frames()), [(BINARY, pattern(500))]);

    stream.change(|script| script.room = 0);
    sender.try_send(pattern(200)).unwrap();
    assert!(matches!(sender.try_send("full"), Err(Error::Full)));
    // Ours goes behind what is queued, whatever the limit.
    assert!(now(sender.close(Close::normal())).is_none());
    stream.release();
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    let messages = messages(&stream.frames());
    assert_eq!(messages[messages.len() - 2..], [(BINARY, pattern(200)), (CLOSE, close_body(1000, ""))]);
}

#[tokio::test(start_paused = true)]
async fn messages_fed_together_go_out_in_one_write() {
    let stream = Mock::new("");
    let mut socket = server(&stream, Config::default());
    for number in 0..50u8 {
        socket.feed(&[number; 100]).await.unwrap();
    }
    assert_eq!(stream.script().writes, [0_usize; 0]);
    assert_eq!(socket.queued(), 50 * 102);
    socket.flush().await.unwrap();
    let script = stream.script();
    assert_eq!((&script.writes[..], script.flushes), (&[50 * 102][..], 1));
}

#[tokio::test(start_paused = true)]
async fn queued_output_is_written_before_a_receive_waits() {
    let stream = Mock::new("");
    let mut socket = server(&stream, Config::default());
    socket.feed("one").await.unwrap();
    socket.feed("two").await.unwrap();
    assert!(now(socket.receive()).is_none());
    let script = stream.script();
    assert_eq!((&script.writes[..], script.flushes), (&[10][..], 1));
    drop(script);
    // Not while there is more to receive: then answers gather.
    stream.feed(&[masked(PING, b"1"), masked(TEXT, b"a"), masked(PING, b"2"), masked(TEXT, b"b")].concat());
    assert!(now(socket.receive()).is_some() && now(socket.receive()).is_some());
    assert_eq!(stream.script().writes.len(), 1);
    assert!(now(socket.receive()).is_none());
    assert_eq!(stream.script().writes, [10, 6]);
}

#[tokio::test(start_paused = true)]
async fn large_payload_of_a_server_goes_out_vectored_and_is_not_copied() {
    let stream = Mock::new("");
    stream.script().is_vectored = true;
    let mut socket = server(&stream, Config::default());
    let payload = Bytes::from(pattern(300_000));
    socket.feed("before").await.unwrap();
    socket.feed(&payload).await.unwrap();
    socket.flush().await.unwrap();
    assert_eq!(data(&stream.frames()), [(TEXT, b"before".to_vec()), (BINARY, payload.to_vec())]);
    // Three fragments of at most 128 KiB, each from where it lies.
    let start = payload.as_ptr() as usize;
    for at in [0, 128 * 1024, 256 * 1024] {
        let len = (300_000 - at).min(128 * 1024);
        assert!(stream.script().pieces.contains(&(start + at, len)), "{at}");
    }
    assert!(stream.script().vectored >= 3);

    // One fragment and what was queued before it: one write.
    let stream = Mock::new("");
    stream.script().is_vectored = true;
    let mut socket = server(&stream, Config::default());
    let payload = payload.slice(..20_000);
    socket.feed("before").await.unwrap();
    socket.feed(&payload).await.unwrap();
    socket.feed("behind").await.unwrap();
    socket.flush().await.unwrap();
    assert_eq!(stream.script().writes.len(), 1);
    assert!(stream.script().pieces.contains(&(payload.as_ptr() as usize, 20_000)));
    assert_eq!(data(&stream.frames()).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn prepared_message_of_a_server_is_not_copied_for_each_connection() {
    let message = PreparedMessage::new(pattern(50_000));
    for _ in 0..2 {
        let stream = Mock::new("");
        stream.script().is_vectored = true;
        let mut socket = server(&stream, Config::default());
        socket.send(&message).await.unwrap();
        assert!(stream.script().pieces.contains(&(message.payload().as_ptr() as usize, 50_000)));
        assert_eq!(data(&stream.frames()), [(BINARY, pattern(50_000))]);
    }
}

#[tokio::test(start_paused = true)]
async fn large_payload_that_only_the_client_has_is_masked_where_it_lies() {
    let stream = Mock::new("");
    stream.script().is_vectored = true;
    let mut socket = client(&stream, Config::default());
    let payload = pattern(100_000);
    let start = payload.as_ptr() as usize;
    socket.send(payload).await.unwrap();
    assert!(stream.script().pieces.contains(&(start, 100_000)));
    assert_eq!(data(&stream.frames()), [(BINARY, pattern(100_000))]);
    // One that others see is not touched.
    let shared = Bytes::from(pattern(100_000));
    stream.script().pieces.clear();
    socket.send(&shared).await.unwrap();
    assert_eq!(shared, pattern(100_000));
    assert_eq!(data(&stream.frames())[1], (BINARY, pattern(100_000)));
    assert!(!stream.script().pieces.iter().any(|(at, _)| *at == shared.as_ptr() as usize));
}

#[tokio::test(start_paused = true)]
async fn large_payload_is_copied_where_the_stream_does_not_write_vectored() {
    for make in [server, client] {
        let stream = Mock::new("");
        let mut socket = make(&stream, Config::default());
        let payload = Bytes::from(pattern(300_000));
        socket.send(payload.clone()).await.unwrap();
        assert_eq!(data(&stream.frames()), [(BINARY, pattern(300_000))]);
        let range = payload.as_ptr() as usize..payload.as_ptr() as usize + payload.len();
        assert!(!stream.script().pieces.iter().any(|(at, _)| range.contains(at)));
    }
}

#[tokio::test(start_paused = true)]
async fn vectored_write_that_takes_a_few_bytes_at_a_time_loses_nothing() {
    for most in [1, 7, 1000] {
        let stream = Mock::new("");
        stream.change(|script| (script.is_vectored, script.most, script.hiccups) = (true, most, true));
        let mut socket = server(&stream, config(|config| config.fragment_size = 9000));
        socket.feed("before").await.unwrap();
        socket.feed(Bytes::from(pattern(20_000))).await.unwrap();
        soon(socket.send("behind")).await.unwrap();
        let expected = [(TEXT, b"before".to_vec()), (BINARY, pattern(20_000)), (TEXT, b"behind".to_vec())];
        assert_eq!(data(&stream.frames()), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn prepared_message_is_written_from_where_it_lies_and_what_is_left_over_is_queued() {
    for len in [5, 1000, 20_000, 100_000] {
        let prepared = PreparedMessage::new(pattern(len));
        let at = prepared.payload().as_ptr();
        for (most, hiccups) in [(usize::MAX, false), (1, true), (3, true), (4, true), (7, true), (10_000, true)] {
            let stream = Mock::new("");
            stream.change(|script| (script.is_vectored, script.most, script.hiccups) = (true, most, hiccups));
            let mut socket = server(&stream, Config::default());
            soon(socket.send(&prepared)).await.unwrap();
            if most == usize::MAX {
                assert!(stream.script().pieces.contains(&(at as usize, len)));
            }
            socket.try_send(&prepared).unwrap();
            soon(socket.send("behind")).await.unwrap();
            let payload = || pattern(len);
            let expected = [(BINARY, payload()), (BINARY, payload()), (TEXT, b"behind".to_vec())];
            assert_eq!(data(&stream.frames()), expected, "{len} bytes, {most} at a time");
            assert_eq!((socket.queued(), socket.sent().messages), (0, 3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn message_that_cannot_be_sent_changes_nothing() {
    let stream = Mock::new("");
    let mut socket = server(&stream, Config::default());
    socket.close(Close::normal()).await.unwrap();
    assert!(matches!(socket.send("no").await, Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.feed(pattern(200_000)).await, Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.try_send("no"), Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.ping().await, Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.writer(sockeye::MessageKind::Text).await, Err(Error::Send(SendError::Closed))));
    assert_eq!((stream.frames(), socket.queued()), (vec![(CLOSE, close_body(1000, ""))], 0));
}

#[tokio::test]
async fn message_to_more_peers_than_a_task_has_turns_reaches_all_of_them() {
    let mut peers = Vec::new();
    for _ in 0..400 {
        let (stream, peer) = tokio::io::duplex(1024 * 1024);
        peers.push((sockeye::tokio::WebSocket::server(stream, Config::default()), peer));
    }
    for _ in 0..3 {
        for (socket, _) in &mut peers {
            // More than may be queued, so the next one is refused if this one did not go out at once.
            socket.try_send(pattern(100_000)).unwrap();
            assert_eq!(socket.queued(), 0);
        }
    }
}

#[tokio::test]
async fn message_can_be_sent_without_waiting_from_a_thread_that_is_no_part_of_the_runtime() {
    let (stream, _peer) = tokio::io::duplex(16);
    let (_receiver, sender) = sockeye::tokio::WebSocket::server(stream, Config::default()).split();
    // It has to wait for room, so a deadline has to be kept.
    let sent = std::thread::spawn(move || (sender.try_send(pattern(1000)), sender.queued()));
    let (sent, queued) = sent.join().unwrap();
    sent.unwrap();
    assert_eq!(queued, 1004 - 16);
}
