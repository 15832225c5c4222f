//! The two halves of a connection: who writes what, in which order, and who is woken.

mod async_support;

use std::pin::pin;
use std::sync::Arc;

use async_support::*;
use futures_util::{SinkExt, StreamExt};
use sockeye::tokio::{Error, WebSocket};
use sockeye::{Close, CloseCode, Config, EndCause, Message, MessageKind, SendError, State};
use tokio::io::AsyncWriteExt;

#[tokio::test(start_paused = true)]
async fn pongs_and_the_close_go_out_without_a_sender_in_use() {
    for drop_sender in [false, true] {
        let stream = Mock::new([masked(PING, b"1"), masked(PING, b"2"), masked(CLOSE, &close_body(1000, ""))].concat());
        let (mut receiver, sender) = server(&stream, Config::default()).split();
        let kept = (!drop_sender).then_some(sender);
        assert_eq!(soon(receiver.receive()).await.unwrap(), None);
        let answers = [(PONG, b"1".to_vec()), (PONG, b"2".to_vec()), (CLOSE, close_body(1000, ""))];
        assert_eq!(stream.frames(), answers);
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn pong_goes_at_the_next_frame_boundary_of_a_message_that_is_being_sent() {
    let stream = Mock::with_room(150);
    let (mut receiver, sender) = server(&stream, config(|config| config.fragment_size = 100)).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    let sending = tokio::spawn(async move { sender.send(pattern(1000)).await });
    settle().await;
    // Stuck in the second of ten frames.
    assert_eq!(stream.output().len(), 150);
    stream.feed(&masked(PING, b"now"));
    settle().await;
    stream.release();
    soon(sending).await.unwrap().unwrap();
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    let frames = stream.frames();
    let at = frames.iter().position(|(first, _)| *first == PONG).unwrap();
    assert_eq!((at, &frames[at].1[..]), (2, &b"now"[..]));
    assert_eq!(data(&frames), [(BINARY, pattern(1000))]);
    assert_eq!(frames.len(), 10 + 2);
}

#[tokio::test(start_paused = true)]
async fn close_reply_cuts_off_a_message_at_the_next_frame_boundary() {
    let stream = Mock::with_room(150);
    let (mut receiver, sender) = server(&stream, config(|config| config.fragment_size = 100)).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    let sending = tokio::spawn(async move { sender.send(pattern(1000)).await });
    settle().await;
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    settle().await;
    stream.release();
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    // The sender learns that its message was cut off.
    assert!(matches!(soon(sending).await.unwrap(), Err(Error::Send(SendError::Closed))));
    let frames = stream.frames();
    assert_eq!(frames.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0x02, 0x00, CLOSE]);
}

#[tokio::test(start_paused = true)]
async fn close_of_our_own_goes_behind_the_message_that_is_being_sent() {
    let stream = Mock::with_room(150);
    let (mut receiver, sender) = server(&stream, config(|config| config.fragment_size = 100)).split();
    let (first, second) = (sender.clone(), sender.clone());
    let sending = tokio::spawn(async move { first.send(pattern(1000)).await });
    settle().await;
    let waiting = tokio::spawn(async move { second.send("too late").await });
    settle().await;
    let closing =
        tokio::spawn(async move { (sender.close(Close::normal()).await, sender.close(Close::normal()).await) });
    settle().await;
    stream.release();
    soon(sending).await.unwrap().unwrap();
    let (closed, again) = soon(closing).await.unwrap();
    closed.unwrap();
    assert!(matches!(again, Err(Error::Send(SendError::Closed))));
    assert!(matches!(soon(waiting).await.unwrap(), Err(Error::Send(SendError::Closed))));
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    assert_eq!(soon(receiver.receive()).await.unwrap(), None);
    assert_eq!(messages(&stream.frames()), [(BINARY, pattern(1000)), (CLOSE, close_body(1000, ""))]);
}

#[tokio::test(start_paused = true)]
async fn messages_of_many_senders_do_not_interleave_and_each_keeps_its_order() {
    for role in 0..2 {
        let (stream, peer) = tokio::io::duplex(700);
        let config =
            config(|config| (config.fragment_size, config.high_water_mark, config.low_water_mark) = (100, 900, 300));
        let (ours, theirs) = match role {
            0 => (WebSocket::server(stream, config), WebSocket::client(peer, Config::default())),
            _ => (WebSocket::client(stream, config), WebSocket::server(peer, Config::default())),
        };
        let ((mut receiver, sender), mut theirs) = (ours.split(), theirs);
        let mut tasks = Vec::new();
        for id in 0..8u8 {
            let mut sender = sender.clone();
            tasks.push(tokio::spawn(async move {
                for number in 0..30u8 {
                    let message = |len: usize| [vec![id, number], vec![id; len]].concat();
                    match (id + number) % 6 {
                        0 => sender.send(message(5)).await.unwrap(),
                        1 => sender.send(message(1000)).await.unwrap(),
                        2 => {
                            sender.feed(&message(450)).await.unwrap();
                            tokio::task::yield_now().await;
                            sender.flush().await.unwrap();
                        }
                        3 => {
                            let mut writer = sender.writer(MessageKind::Binary).await.unwrap();
                            for piece in message(700).chunks(90) {
                                writer.write_all(piece).await.unwrap();
                                writer.flush().await.unwrap();
                                tokio::task::yield_now().await;
                            }
                            writer.finish().await.unwrap();
                        }
                        4 => SinkExt::send(&mut sender, message(333).into()).await.unwrap(),
                        _ => loop {
                            match sender.try_send(message(60)) {
                                Ok(()) => break,
                                Err(Error::Full) => sender.flush().await.unwrap(),
                                Err(error) => panic!("{error:?}"),
                            }
                            tokio::task::yield_now().await;
                        },
                    }
                }
            }));
        }
        let receiving = tokio::spawn(async move { receiver.receive().await });
        let mut next = [0u8; 8];
        for _ in 0..240 {
            let message = soon(theirs.receive()).await.unwrap().unwrap();
            let bytes = message.as_binary().unwrap();
            let (id, number) = (bytes[0], bytes[1]);
            assert!(bytes[2..].iter().all(|byte| *byte == id));
            assert_eq!(bytes.len() - 2, [5, 1000, 450, 700, 333, 60][usize::from(id + number) % 6]);
            assert_eq!(number, next[usize::from(id)]);
            next[usize::from(id)] += 1;
        }
        for task in tasks {
            task.await.unwrap();
        }
        theirs.close(Close::normal()).await.unwrap();
        let (end, receiving) = tokio::join!(soon(theirs.receive()), soon(receiving));
        assert_eq!((end.unwrap(), receiving.unwrap().unwrap()), (None, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn halves_on_several_threads_lose_no_wake_up() {
    let (stream, peer) = tokio::io::duplex(333);
    let config =
        || config(|config| (config.fragment_size, config.high_water_mark, config.low_water_mark) = (50, 200, 20));
    let sides = [WebSocket::server(stream, config()), WebSocket::client(peer, config())];
    let (mut sending, mut receiving, mut halves) = (Vec::new(), Vec::new(), Vec::new());
    for side in sides {
        let (mut receiver, sender) = side.split();
        for id in 0..4u8 {
            let sender = sender.clone();
            sending.push(tokio::spawn(async move {
                for len in 0..250 {
                    sender.send(vec![id; len]).await.unwrap();
                }
            }));
        }
        halves.push(sender);
        receiving.push(tokio::spawn(async move {
            let mut count = 0;
            while let Some(message) = receiver.receive().await.unwrap() {
                let bytes = message.as_binary().unwrap();
                assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                count += 1;
            }
            count
        }));
    }
    let all = async {
        for task in sending {
            task.await.unwrap();
        }
        // What is behind all messages is received behind them.
        halves[0].close(Close::normal()).await.unwrap();
        let mut counts = Vec::new();
        for task in receiving {
            counts.push(task.await.unwrap());
        }
        counts
    };
    // Only a test that goes wrong looks at the clock. The side that closes first may leave messages of the other behind.
    let counts = tokio::time::timeout(secs(60), all).await.expect("a wake-up was lost");
    assert_eq!(counts[1], 1000);
}

#[tokio::test(start_paused = true)]
async fn sink_and_stream_of_a_whole_connection_in_two_tasks_are_both_woken() {
    for hiccups in [false, true] {
        let stream = Mock::with_room(100);
        stream.script().hiccups = hiccups;
        let socket = server(&stream, config(|config| (config.high_water_mark, config.low_water_mark) = (200, 50)));
        let (mut sink, mut incoming) = StreamExt::split::<Message>(socket);
        let receiving = tokio::spawn(async move {
            let mut received = Vec::new();
            while let Some(message) = incoming.next().await {
                received.push(message.unwrap());
            }
            received
        });
        let sending = tokio::spawn(async move {
            for number in 0..100u8 {
                sink.feed(vec![number; 30].into()).await.unwrap();
            }
            sink.flush().await.unwrap();
            sink
        });
        for number in 0..100u8 {
            settle().await;
            stream.feed(&masked(TEXT, &[number % 100]));
            if number % 2 == 0 {
                stream.feed(&masked(PING, &[number]));
            }
            settle().await;
            stream.change(|script| script.room += 37);
        }
        settle().await;
        stream.release();
        let sink = soon(sending).await.unwrap();
        stream.feed(&masked(CLOSE, &close_body(1000, "")));
        let received = soon(receiving).await.unwrap();
        assert_eq!(received.len(), 100);
        drop(sink);
        let frames = stream.frames();
        let sent: Vec<_> = (0..100u8).map(|number| (BINARY, vec![number; 30])).collect();
        assert_eq!(data(&frames), sent);
        assert_eq!(frames.iter().filter(|(first, _)| *first == PONG).count(), 50);
    }
}

#[tokio::test(start_paused = true)]
async fn sender_that_waits_for_room_is_woken_though_another_task_polled_the_stream_last() {
    let stream = Mock::with_room(10);
    let (mut receiver, sender) =
        server(&stream, config(|config| (config.high_water_mark, config.low_water_mark) = (50, 10))).split();
    let (first, second, third) = (Arc::new(Woken::default()), Arc::new(Woken::default()), Arc::new(Woken::default()));
    let mut sending = Box::pin(sender.send(pattern(100)));
    assert!(poll(sending.as_mut(), &first).is_pending());
    let mut waiting = Box::pin(sender.send("behind"));
    assert!(poll(waiting.as_mut(), &second).is_pending());
    let mut receiving = Box::pin(receiver.receive());
    assert!(poll(receiving.as_mut(), &third).is_pending());
    stream.change(|script| script.room = 30);
    assert!([&first, &second, &third].iter().all(|woken| woken.count() > 0), "{first:?} {second:?} {third:?}");
    // The receiver alone moves everything on, and then they are told.
    stream.release();
    let before = [first.count(), second.count()];
    assert!(poll(receiving.as_mut(), &third).is_pending());
    // Already woken by the stream, or woken again now.
    assert!([first.count(), second.count()].iter().zip(before).all(|(after, before)| *after >= before));
    assert!(poll(sending.as_mut(), &first).is_ready());
    assert!(poll(waiting.as_mut(), &second).is_ready());
    assert_eq!(stream.frames(), [(BINARY, pattern(100)), (TEXT, b"behind".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn receive_that_moved_to_another_task_is_woken_there() {
    let stream = Mock::new("");
    let (mut receiver, _sender) = server(&stream, config(|config| config.idle_timeout = Some(secs(5)))).split();
    let (old, new) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    {
        let mut receiving = pin!(receiver.receive());
        assert!(poll(receiving.as_mut(), &old).is_pending());
    }
    let mut receiving = Box::pin(receiver.receive());
    assert!(poll(receiving.as_mut(), &new).is_pending());
    stream.feed(&masked(TEXT, b"hello"));
    assert!(new.count() > 0 && old.count() == 0);
    assert_eq!(soon(receiving.as_mut()).await.unwrap(), Some("hello".into()));
    drop(receiving);
    // And by the timer.
    let mut receiving = Box::pin(receiver.receive());
    let (old, new) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    assert!(poll(receiving.as_mut(), &old).is_pending());
    assert!(poll(receiving.as_mut(), &new).is_pending());
    tokio::time::sleep(secs(6)).await;
    assert!(new.count() > 0);
    assert!(poll(receiving.as_mut(), &new).is_pending());
    assert_eq!(stream.frames()[0].0, CLOSE);
}

#[tokio::test(start_paused = true)]
async fn closed_is_told_even_while_the_peer_takes_no_answer() {
    for input in [masked(CLOSE, &close_body(1000, "")), unmasked(TEXT, b"a violation")] {
        let stream = Mock::with_room(0);
        let (mut receiver, sender) = server(&stream, Config::default()).split();
        let woken = [Arc::new(Woken::default()), Arc::new(Woken::default()), Arc::new(Woken::default())];
        let _writer = now(sender.writer(MessageKind::Text)).unwrap().unwrap();
        let mut closed = pin!(sender.closed());
        assert!(poll(closed.as_mut(), &woken[0]).is_pending());
        let mut pinged = pin!(sender.ping());
        assert!(poll(pinged.as_mut(), &woken[1]).is_pending());
        let mut sending = pin!(sender.send("no"));
        assert!(poll(sending.as_mut(), &woken[2]).is_pending());
        stream.script().input = input;
        assert!(now(receiver.receive()).is_none());
        assert_eq!(sender.state(), State::Closed);
        assert!(woken.iter().all(|woken| woken.count() > 0), "{woken:?}");
        assert!(poll(closed, &woken[0]).is_ready());
        assert!(matches!(now(pinged), Some(Err(Error::Lost))));
        assert!(matches!(now(sending), Some(Err(Error::Send(SendError::Closed)))));
    }
}

#[tokio::test(start_paused = true)]
async fn closed_waits_for_the_end_however_it_comes() {
    // The peer closes, the stream ends, the stream fails.
    for end in [masked(CLOSE, b""), Vec::new(), vec![0xff]] {
        let stream = Mock::new("");
        let (mut receiver, sender) = server(&stream, Config::default()).split();
        let closed = tokio::spawn(async move { sender.closed().await });
        let receiving = tokio::spawn(async move {
            let _ = receiver.receive().await;
        });
        settle().await;
        assert!(!closed.is_finished());
        stream.change(|script| {
            script.input.extend_from_slice(&end);
            script.at_end = Some(Ok(()));
        });
        soon(closed).await.unwrap();
        soon(receiving).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn reunited_halves_are_the_connection_that_they_were() {
    let stream = Mock::new([masked(0x01, b"ha")].concat());
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    assert!(now(receiver.receive()).is_none());
    now(sender.feed("queued")).unwrap().unwrap();
    // Another sender stands in the way.
    let other = receiver.sender();
    let (receiver, sender) = receiver.reunite(sender).unwrap_err();
    drop(other);
    // That of another connection is another one.
    let (foreign, foreign_sender) = server(&Mock::new(""), Config::default()).split();
    let (foreign, sender) = foreign.reunite(sender).unwrap_err();
    drop((foreign, foreign_sender));
    let mut socket = receiver.reunite(sender).unwrap();
    stream.feed(&masked(0x80, b"lf"));
    assert_eq!(socket.receive().await.unwrap(), Some("half".into()));
    socket.flush().await.unwrap();
    assert_eq!(stream.frames(), [(TEXT, b"queued".to_vec())]);
    let (mut receiver, sender) = socket.split();
    stream.feed(&masked(TEXT, b"again"));
    assert_eq!(receiver.receive().await.unwrap(), Some("again".into()));
    assert_eq!(sender.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn either_half_can_be_dropped_in_any_state() {
    for stuck in [false, true] {
        // The receiver first: what is queued goes out, and a Close behind it.
        let stream = Mock::with_room(if stuck { 20 } else { usize::MAX });
        let (mut receiver, sender) = server(&stream, config(|config| config.fragment_size = 30)).split();
        stream.feed(&masked(0x01, b"half"));
        assert!(now(receiver.receive()).is_none());
        let sending = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send(pattern(100)).await }
        });
        settle().await;
        drop(receiver);
        settle().await;
        stream.release();
        soon(sending).await.unwrap().unwrap();
        assert_eq!(messages(&stream.frames()), [(BINARY, pattern(100)), (CLOSE, close_body(1001, ""))]);
        assert!(sender.send("late").await.unwrap_err().is_closed());
        assert!(stream.is_dropped());
        drop(sender);

        // The senders first, in the middle of a message: the receiver writes the rest.
        let stream = Mock::with_room(if stuck { 20 } else { usize::MAX });
        let (mut receiver, sender) = server(&stream, config(|config| config.fragment_size = 30)).split();
        {
            let mut sending = pin!(sender.send(pattern(100)));
            let _ = poll(sending.as_mut(), &Arc::default());
        }
        drop(sender);
        stream.release();
        stream.feed(&masked(TEXT, b"hello"));
        assert_eq!(soon(receiver.receive()).await.unwrap(), Some("hello".into()));
        assert!(now(receiver.receive()).is_none());
        assert_eq!(data(&stream.frames()), [(BINARY, pattern(100))]);
        drop(receiver);
    }
}

#[tokio::test(start_paused = true)]
async fn writer_that_is_dropped_unfinished_closes_with_1011_and_lets_others_on() {
    let stream = Mock::new("");
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    let other = sender.clone();
    let mut writer = sender.writer(MessageKind::Text).await.unwrap();
    writer.write_all(b"some").await.unwrap();
    AsyncWriteExt::flush(&mut writer).await.unwrap();
    let waiting = tokio::spawn(async move { other.send("waits").await });
    settle().await;
    assert!(!waiting.is_finished() && matches!(sender.try_send("no"), Err(Error::Full)));
    drop(writer);
    assert!(matches!(soon(waiting).await.unwrap(), Err(Error::Send(SendError::Closed))));
    let frames = stream.frames();
    assert_eq!((frames.len(), &frames[0]), (2, &(0x01, b"some".to_vec())));
    assert_eq!(frames[1].1[..2], 1011u16.to_be_bytes());
    stream.feed(&masked(CLOSE, &close_body(1011, "")));
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    assert_eq!(sender.end_cause(), Some(EndCause::Local));

    // One that had written nothing yet did no harm.
    let stream = Mock::new("");
    let (_receiver, sender) = server(&stream, Config::default()).split();
    let writer = sender.writer(MessageKind::Text).await.unwrap();
    let waiting = tokio::spawn({
        let other = sender.clone();
        async move { other.send("waits").await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    drop(writer);
    soon(waiting).await.unwrap().unwrap();
    let mut writer = sender.writer(MessageKind::Text).await.unwrap();
    writer.write_all(b"gathered").await.unwrap();
    drop(writer);
    sender.send("next").await.unwrap();
    assert_eq!(stream.frames(), [(TEXT, b"waits".to_vec()), (TEXT, b"next".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn control_frames_go_between_the_pieces_of_a_writer() {
    let stream = Mock::new("");
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    let mut writer = sender.writer(MessageKind::Text).await.unwrap();
    writer.write_all("ä".as_bytes().split_at(1).0).await.unwrap();
    AsyncWriteExt::flush(&mut writer).await.unwrap();
    stream.feed(&masked(PING, b"?"));
    assert!(now(receiver.receive()).is_none());
    writer.write_all("ä".as_bytes().split_at(1).1).await.unwrap();
    writer.finish().await.unwrap();
    let expected = [(0x01, vec![0xc3]), (PONG, b"?".to_vec()), (0x80, vec![0xa4])];
    assert_eq!(stream.frames(), expected);
}

#[tokio::test(start_paused = true)]
async fn writer_refuses_what_is_not_utf_8() {
    let stream = Mock::new("");
    let mut socket = server(&stream, Config::default());
    let mut writer = socket.writer(MessageKind::Text).await.unwrap();
    writer.write_all(b"ok \xc3").await.unwrap();
    assert!(matches!(writer.write_all(b"\xff").await, Err(Error::Io(_))));
    writer.write_all(b"\xa4").await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(data(&stream.frames()), [(TEXT, "ok ä".as_bytes().to_vec())]);
    let mut writer = socket.writer(MessageKind::Text).await.unwrap();
    writer.write_all(b"breaks off \xc3").await.unwrap();
    assert!(matches!(writer.finish().await, Err(Error::Io(_))));
}

#[tokio::test(start_paused = true)]
async fn sink_of_a_sender_holds_its_message_while_another_has_the_turn() {
    let stream = Mock::new("");
    let (_receiver, mut sender) = server(&stream, Config::default()).split();
    core::future::poll_fn(|cx| sender.poll_ready_unpin(cx)).await.unwrap();
    let other = sender.clone();
    let mut writer = other.writer(MessageKind::Binary).await.unwrap();
    writer.write_all(b"first").await.unwrap();
    sender.start_send_unpin("second".into()).unwrap();
    let mut flushing = Box::pin(async move { SinkExt::<Message>::flush(&mut sender).await.map(|()| sender) });
    assert!(poll(flushing.as_mut(), &Arc::default()).is_pending());
    writer.finish().await.unwrap();
    let mut sender = soon(flushing).await.unwrap();
    SinkExt::<Message>::close(&mut sender).await.unwrap();
    SinkExt::<Message>::close(&mut sender).await.unwrap();
    let expected = [(BINARY, b"first".to_vec()), (TEXT, b"second".to_vec()), (CLOSE, close_body(1000, ""))];
    assert_eq!(messages(&stream.frames()), expected);
}

#[tokio::test(start_paused = true)]
async fn both_sides_close_at_once_and_each_sends_one_close() {
    let stream = Mock::with_room(0);
    let (mut receiver, sender) = client(&stream, Config::default()).split();
    let closing = tokio::spawn({
        let sender = sender.clone();
        async move { sender.close(Close::new(CloseCode::GOING_AWAY, "").unwrap()).await }
    });
    settle().await;
    stream.feed(&unmasked(CLOSE, &close_body(1000, "")));
    let receiving = tokio::spawn(async move { receiver.receive().await });
    settle().await;
    stream.release();
    stream.change(|script| script.at_end = Some(Ok(())));
    soon(closing).await.unwrap().unwrap();
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    assert_eq!(stream.frames(), [(CLOSE, close_body(1001, ""))]);
    assert_eq!(sender.close_code(), Some(CloseCode::NORMAL));
}

#[tokio::test(start_paused = true)]
async fn pong_is_not_starved_by_senders_that_never_pause() {
    let stream = Mock::with_room(0);
    let (mut receiver, sender) =
        server(&stream, config(|config| (config.high_water_mark, config.low_water_mark) = (2000, 500))).split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    let senders: Vec<_> = (0..3u8)
        .map(|id| {
            let sender = sender.clone();
            tokio::spawn(async move { while sender.send(vec![id; 300]).await.is_ok() {} })
        })
        .collect();
    settle().await;
    for number in 0..20u8 {
        let before = stream.output().len();
        stream.feed(&masked(PING, &[number]));
        settle().await;
        stream.change(|script| script.room = 2000 + 300 + 2 * 4);
        settle().await;
        let pong = unmasked(PONG, &[number]);
        assert!(stream.output()[before..].windows(3).any(|window| window == pong), "{number}");
    }
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    receiving.abort();
}

#[tokio::test(start_paused = true)]
async fn close_cuts_off_a_message_that_is_written_in_pieces() {
    let stream = Mock::new("");
    let (_receiver, sender) = server(&stream, Config::default()).split();
    let mut writer = sender.writer(MessageKind::Binary).await.unwrap();
    writer.write_all(&pattern(20_000)).await.unwrap();
    AsyncWriteExt::flush(&mut writer).await.unwrap();
    soon(sender.close(Close::normal())).await.unwrap();
    writer.write_all(b"gathered").await.unwrap();
    assert!(matches!(writer.finish().await, Err(Error::Send(SendError::Closed))));
    let frames = stream.frames();
    assert_eq!(frames.last(), Some(&(CLOSE, close_body(1000, ""))));
    assert!(frames[..frames.len() - 1].iter().all(|(first, _)| first & 0x80 == 0));
}
