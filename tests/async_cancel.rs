//! Every future of the adapter can be dropped at every point where it waits: nothing is lost, doubled or out of frame.
//!
//! The stream of these tests lets one read and one write of a few bytes pass before each poll, so each poll is a point at
//! which the future waits and may be dropped.

mod async_support;

use std::pin::pin;
use std::sync::Arc;

use async_support::*;
use proptest::prelude::*;
use sockeye::handshake::{ClientRequest, Rejection};
use sockeye::tokio::{Acceptor, Connector, Error, WebSocket};
use sockeye::{Close, CloseCode, Config, Message, MessageKind, Payload, PreparedMessage, SendError, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// What a client sends: messages whole and in fragments, pings in between, characters cut in two, and a Close.
fn incoming() -> Vec<u8> {
    let text = "zwölf Boxkämpfer".as_bytes();
    [
        masked(TEXT, b"hello"),
        masked(0x02, &[1; 20]),
        masked(PING, b"first"),
        masked(0x00, &[2; 30]),
        masked(0x80, &[3; 10]),
        masked(0x01, &text[..3]),
        masked(PING, b"second"),
        masked(0x80, &text[3..]),
        masked(BINARY, b""),
        masked(CLOSE, &close_body(1000, "enough")),
    ]
    .concat()
}

/// The messages in it.
fn told() -> Vec<Message> {
    let binary = [[1; 20].as_slice(), &[2; 30], &[3; 10]].concat();
    vec!["hello".into(), binary.into(), "zwölf Boxkämpfer".into(), b"".as_slice().into()]
}

/// What a server answers to it.
fn answers() -> Vec<(u8, Vec<u8>)> {
    vec![(PONG, b"first".to_vec()), (PONG, b"second".to_vec()), (CLOSE, close_body(1000, ""))]
}

fn assert_told(stream: &Mock, received: &[Message]) {
    assert_eq!(received, told());
    assert_eq!(stream.frames(), answers());
}

#[tokio::test(start_paused = true)]
async fn receive() {
    at_every_drop(
        || Mock::held(incoming(), 3),
        |stream, dropping| {
            let mut socket = server(stream, Config::default());
            let mut received = Vec::new();
            while let Some(message) = persist!(dropping, socket.receive()).unwrap() {
                received.push(message);
            }
            assert_told(stream, &received);
            assert_eq!(socket.peer_close().unwrap().reason(), "enough");
        },
    );
}

#[tokio::test(start_paused = true)]
async fn receive_byte_by_byte_of_a_split_connection() {
    at_every_drop(
        || Mock::held(incoming(), 1),
        |stream, dropping| {
            let (mut receiver, _sender) = server(stream, Config::default()).split();
            let mut received = Vec::new();
            while let Some(message) = persist!(dropping, receiver.receive()).unwrap() {
                received.push(message);
            }
            assert_told(stream, &received);
        },
    );
}

#[tokio::test(start_paused = true)]
async fn receive_ref() {
    at_every_drop(
        || Mock::held(incoming(), 3),
        |stream, dropping| {
            let mut socket = server(stream, Config::default());
            let mut received = Vec::new();
            while let Some(message) = persist!(dropping, socket.receive_ref()).unwrap() {
                received.push(message.to_owned());
            }
            assert_told(stream, &received);
        },
    );
    at_every_drop(
        || Mock::held(incoming(), 5),
        |stream, dropping| {
            let (mut receiver, _) = server(stream, Config::default()).split();
            let mut received = Vec::new();
            while let Some(message) = persist!(dropping, receiver.receive_ref()).unwrap() {
                received.push(message.to_owned());
            }
            assert_told(stream, &received);
        },
    );
}

/// The messages that chunks make.
#[derive(Default)]
struct Chunks {
    bytes: Vec<u8>,
    is_open: bool,
    messages: Vec<Message>,
}

impl Chunks {
    fn add(&mut self, chunk: sockeye::Chunk<'_>) {
        assert_eq!(chunk.is_first(), !self.is_open);
        self.is_open = !chunk.is_last();
        match chunk.payload() {
            Payload::Text { completed, text } => {
                self.bytes.extend(completed.map(String::from).unwrap_or_default().as_bytes());
                self.bytes.extend_from_slice(text.as_bytes());
            }
            Payload::Binary(bytes) => self.bytes.extend_from_slice(bytes),
            Payload::Encoded { .. } => panic!("nothing is encoded"),
        }
        if chunk.is_last() {
            let bytes = core::mem::take(&mut self.bytes);
            self.messages.push(match chunk.kind() {
                MessageKind::Text => String::from_utf8(bytes).unwrap().into(),
                MessageKind::Binary => bytes.into(),
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn receive_chunk() {
    at_every_drop(
        || Mock::held(incoming(), 3),
        |stream, dropping| {
            let mut socket = server(stream, Config::default());
            let mut chunks = Chunks::default();
            while let Some(chunk) = persist!(dropping, socket.receive_chunk()).unwrap() {
                chunks.add(chunk);
            }
            assert_told(stream, &chunks.messages);
        },
    );
    at_every_drop(
        || Mock::held(incoming(), 4),
        |stream, dropping| {
            let (mut receiver, _sender) = server(stream, Config::default()).split();
            let mut chunks = Chunks::default();
            while let Some(chunk) = persist!(dropping, receiver.receive_chunk()).unwrap() {
                chunks.add(chunk);
            }
            assert_told(stream, &chunks.messages);
        },
    );
}

#[tokio::test(start_paused = true)]
async fn receive_reader_and_next() {
    at_every_drop(
        || Mock::held(incoming(), 3),
        |stream, dropping| {
            let mut socket = server(stream, Config::default());
            let mut received = Vec::new();
            while let Some(mut reader) = persist!(dropping, socket.receive_reader()).unwrap() {
                let mut bytes = Vec::new();
                while let Some(piece) = persist!(dropping, reader.next()).unwrap() {
                    bytes.extend_from_slice(&piece);
                }
                received.push(match reader.kind() {
                    MessageKind::Text => Message::Text(String::from_utf8(bytes).unwrap()),
                    MessageKind::Binary => bytes.into(),
                });
            }
            assert_told(stream, &received);
        },
    );
}

#[tokio::test(start_paused = true)]
async fn reader_as_async_read() {
    for size in [1, 3, 7, 64] {
        at_every_drop(
            || Mock::held(incoming(), 5),
            |stream, dropping| {
                let (mut receiver, _sender) = server(stream, Config::default()).split();
                let mut received = Vec::new();
                while let Some(mut reader) = persist!(dropping, receiver.receive_reader()).unwrap() {
                    let (mut bytes, mut buffer) = (Vec::new(), vec![0; size]);
                    loop {
                        match persist!(dropping, reader.read(&mut buffer)).unwrap() {
                            0 => break,
                            len => bytes.extend_from_slice(&buffer[..len]),
                        }
                    }
                    received.push(match reader.kind() {
                        MessageKind::Text => Message::Text(String::from_utf8(bytes).unwrap()),
                        MessageKind::Binary => bytes.into(),
                    });
                }
                assert_told(stream, &received);
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn reader_that_is_dropped_at_any_point_leaves_the_next_message_whole() {
    at_every_drop(
        || {
            Mock::held(
                [masked(0x01, b"one "), masked(PING, b""), masked(0x80, b"two"), masked(TEXT, b"next")].concat(),
                2,
            )
        },
        |stream, dropping| {
            let mut socket = server(stream, Config::default());
            let mut seen = Vec::new();
            {
                let mut reader = persist!(dropping, socket.receive_reader()).unwrap().unwrap();
                while let Some(Ok(Some(piece))) = dropping.run(reader.next()) {
                    seen.extend_from_slice(&piece);
                }
            }
            assert!(b"one two".starts_with(&seen), "{seen:?}");
            assert_eq!(persist!(dropping, socket.receive()).unwrap(), Some("next".into()));
        },
    );
}

/// Small fragments and marks, so that a message waits at many points.
fn small() -> Config {
    config(|config| (config.fragment_size, config.high_water_mark, config.low_water_mark) = (10, 30, 5))
}

/// As small, for a message that is large enough to be written from where it lies.
fn small_for(message: &Message) -> Config {
    let mut config = small();
    config.fragment_size *= if message.as_ref().payload().len() > 1000 { 400 } else { 1 };
    config
}

/// A message of each form that can be sent.
fn forms() -> Vec<(Message, bool)> {
    vec![
        ("short".into(), false),
        (pattern(45).into(), false),
        ("ein Wort über Gebühr".into(), true),
        (pattern(9000).into(), false),
    ]
}

#[tokio::test(start_paused = true)]
async fn send_sends_all_of_a_message_or_nothing() {
    for (message, is_prepared) in forms() {
        let most = if message.as_ref().payload().len() > 1000 { 1000 } else { 4 };
        for make in [server, client] {
            let mut sent_at = Vec::new();
            at_every_drop(
                || Mock::held("", most),
                |stream, dropping| {
                    let mut socket = make(stream, small_for(&message));
                    // What is in its way.
                    socket.try_send(pattern(35)).unwrap();
                    let form = is_prepared.then(|| PreparedMessage::new(message.clone()));
                    let sending = async {
                        match form {
                            Some(prepared) => socket.send(prepared).await,
                            None => socket.send(message.clone()).await,
                        }
                    };
                    let is_through = dropping.run(sending).transpose().unwrap().is_some();
                    persist!(dropping, socket.flush()).unwrap();
                    stream.release();
                    now(socket.send("next")).expect("nothing is in its way").unwrap();
                    let whole = match &message {
                        Message::Text(text) => (TEXT, text.clone().into_bytes()),
                        Message::Binary(bytes) => (BINARY, bytes.to_vec()),
                    };
                    let data = data(&stream.frames());
                    assert_eq!(data.first(), Some(&(BINARY, pattern(35))));
                    assert_eq!(data.last(), Some(&(TEXT, b"next".to_vec())));
                    match &data[1..data.len() - 1] {
                        [] => assert!(!is_through),
                        [one] => assert_eq!(one, &whole),
                        more => panic!("sent {} times", more.len()),
                    }
                    sent_at.push(data.len() == 3);
                },
            );
            // Not queued while there is no room, and queued ever after.
            assert!(sent_at.contains(&true) && sent_at.contains(&false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn send_of_a_cloned_sender_sends_all_of_a_message_or_nothing() {
    for (message, _) in forms() {
        let most = if message.as_ref().payload().len() > 1000 { 1000 } else { 4 };
        at_every_drop(
            || Mock::held("", most),
            |stream, dropping| {
                let (_receiver, sender) = server(stream, small_for(&message)).split();
                let other = sender.clone();
                // A long message of another sender has the turn.
                other.try_send(pattern(25)).unwrap();
                let is_through = dropping.run(sender.send(message.clone())).transpose().unwrap().is_some();
                let is_next = dropping.run(other.send("next")).transpose().unwrap().is_some();
                stream.release();
                now(other.flush()).unwrap().unwrap();
                let data = data(&stream.frames());
                let first = data.iter().filter(|(_, payload)| payload == message.as_ref().payload()).count();
                assert!(first == 1 || (first == 0 && !is_through), "{first}");
                assert_eq!(data[0].1, pattern(25));
                let next = data.iter().filter(|(_, payload)| payload == b"next").count();
                assert!(next == 1 || (next == 0 && !is_next), "{next}");
                assert_eq!(data.len(), 1 + first + next);
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn feed_queues_a_message_when_it_is_through_and_not_before() {
    for split in [false, true] {
        at_every_drop(
            || Mock::held("", 3),
            |stream, dropping| {
                let mut expected = vec![(BINARY, pattern(35))];
                let feeds = (0..6u8).map(|number| vec![number; 12]);
                if split {
                    let (_receiver, sender) = server(stream, small()).split();
                    sender.try_send(pattern(35)).unwrap();
                    for bytes in feeds {
                        if dropping.run(sender.feed(bytes.clone())).transpose().unwrap().is_some() {
                            expected.push((BINARY, bytes));
                        }
                    }
                    persist!(dropping, sender.flush()).unwrap();
                } else {
                    let mut socket = server(stream, small());
                    socket.try_send(pattern(35)).unwrap();
                    for bytes in feeds {
                        if dropping.run(socket.feed(bytes.clone())).transpose().unwrap().is_some() {
                            expected.push((BINARY, bytes));
                        }
                    }
                    persist!(dropping, socket.flush()).unwrap();
                }
                assert_eq!(data(&stream.frames()), expected);
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn flush_writes_everything_once() {
    for split in [false, true] {
        at_every_drop(
            || Mock::held("", 3),
            |stream, dropping| {
                let mut socket = server(stream, config(|config| config.fragment_size = 10));
                for message in ["one", "two", "a longer one, in fragments"] {
                    now(socket.feed(message)).unwrap().unwrap();
                }
                if split {
                    let (_receiver, sender) = socket.split();
                    persist!(dropping, sender.flush()).unwrap();
                    assert_eq!(sender.queued(), 0);
                } else {
                    persist!(dropping, socket.flush()).unwrap();
                    assert_eq!(socket.queued(), 0);
                }
                let expected =
                    ["one", "two", "a longer one, in fragments"].map(|text| (TEXT, text.as_bytes().to_vec()));
                assert_eq!(data(&stream.frames()), expected);
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn writer_begins_nothing_when_it_is_dropped() {
    for split in [false, true] {
        at_every_drop(
            || Mock::held("", 5),
            |stream, dropping| {
                let mut socket = server(stream, small());
                socket.try_send(pattern(60)).unwrap();
                if split {
                    let (_receiver, sender) = socket.split();
                    let writer = dropping.run(sender.writer(MessageKind::Text)).transpose().unwrap();
                    if let Some(mut writer) = writer {
                        persist!(dropping, AsyncWriteExt::write(&mut writer, b"piece")).unwrap();
                        persist!(dropping, AsyncWriteExt::shutdown(&mut writer)).unwrap();
                    }
                    persist!(dropping, sender.close(Close::normal())).or_else(already_closed).unwrap();
                    persist!(dropping, sender.flush()).unwrap();
                } else {
                    if let Some(mut writer) = dropping.run(socket.writer(MessageKind::Text)).transpose().unwrap() {
                        persist!(dropping, AsyncWriteExt::write(&mut writer, b"piece")).unwrap();
                        persist!(dropping, AsyncWriteExt::shutdown(&mut writer)).unwrap();
                    }
                    persist!(dropping, socket.close(Close::normal())).or_else(already_closed).unwrap();
                    persist!(dropping, socket.flush()).unwrap();
                }
                let messages = messages(&stream.frames());
                assert_eq!(messages[0], (BINARY, pattern(60)));
                assert_eq!(messages.last(), Some(&(CLOSE, close_body(1000, ""))));
                match &messages[1..messages.len() - 1] {
                    [] => assert!(dropping.dropped > 0),
                    [piece] => assert_eq!(piece, &(TEXT, b"piece".to_vec())),
                    more => panic!("{more:?}"),
                }
            },
        );
    }
}

/// Whoever drops a close that has begun finds it begun.
fn already_closed(error: Error) -> Result<(), Error> {
    match error {
        Error::Send(SendError::Closed) => Ok(()),
        error => Err(error),
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_of_a_writer_are_written_once() {
    let payload = pattern(100_000);
    for split in [false, true] {
        let story = |stream: &Mock, dropping: &mut Dropping| {
            let mut socket = client(stream, config(|config| config.high_water_mark = 30_000));
            macro_rules! write {
                ($from:expr) => {{
                    let mut writer = persist!(dropping, $from.writer(MessageKind::Binary)).unwrap();
                    let mut rest = &payload[..];
                    for size in [1, 20_000, 3, 40_000, 7, 100_000].into_iter().cycle() {
                        if rest.is_empty() {
                            break;
                        }
                        let piece = &rest[..rest.len().min(size)];
                        let len = persist!(dropping, AsyncWriteExt::write(&mut writer, piece)).unwrap();
                        rest = &rest[len..];
                        if size == 3 {
                            persist!(dropping, AsyncWriteExt::flush(&mut writer)).unwrap();
                        }
                    }
                    persist!(dropping, AsyncWriteExt::shutdown(&mut writer)).unwrap();
                    drop(writer);
                    stream.release();
                    now($from.send("next")).unwrap().unwrap();
                }};
            }
            if split {
                let (_receiver, sender) = socket.split();
                write!(sender);
            } else {
                write!(socket);
            }
            assert_eq!(data(&stream.frames()), [(BINARY, payload.clone()), (TEXT, b"next".to_vec())]);
        };
        at_every_drop(|| Mock::held("", 4999), story);
    }
}

#[tokio::test(start_paused = true)]
async fn finish_ends_the_message_or_the_connection() {
    let mut both = [false; 2];
    at_every_drop(
        || Mock::held("", 4),
        |stream, dropping| {
            let mut socket = server(stream, small());
            socket.try_send(pattern(60)).unwrap();
            stream.release();
            let mut writer = now(socket.writer(MessageKind::Text)).unwrap().unwrap();
            now(writer.write_all(b"some words that are written")).unwrap().unwrap();
            now(AsyncWriteExt::flush(&mut writer)).unwrap().unwrap();
            now(writer.write_all(b", and more")).unwrap().unwrap();
            stream.change(|script| script.may_write = Some(0));
            let is_through = dropping.run(writer.finish()).transpose().unwrap().is_some();
            stream.release();
            now(socket.flush()).unwrap().unwrap();
            if socket.state() == State::Open {
                let whole = (TEXT, b"some words that are written, and more".to_vec());
                assert_eq!(data(&stream.frames()), [(BINARY, pattern(60)), whole]);
            } else {
                assert!(!is_through);
                let mut frames = stream.frames();
                let (first, close) = frames.pop().unwrap();
                assert_eq!((first, &close[..2]), (CLOSE, &1011u16.to_be_bytes()[..]));
                assert!(frames.iter().skip_while(|(first, _)| *first != 0x01).all(|(first, _)| first & 0x80 == 0));
                let pieces: Vec<u8> = frames.into_iter().flat_map(|(_, piece)| piece).collect();
                assert!([pattern(60), b"some words that are written".to_vec()].concat() == pieces);
            }
            both[usize::from(socket.state() == State::Open)] = true;
        },
    );
    assert_eq!(both, [true; 2]);
}

#[tokio::test(start_paused = true)]
async fn ping_is_sent_once() {
    for split in [false, true] {
        at_every_drop(
            || Mock::held("", 1),
            |stream, dropping| {
                let mut socket = server(stream, Config::default());
                let frames = if split {
                    let (mut receiver, sender) = socket.split();
                    for _ in 0..3 {
                        // It waits for a pong that does not come.
                        let woken = Arc::new(Woken::default());
                        assert!(poll(pin!(sender.ping()), &woken).is_pending());
                    }
                    persist!(dropping, sender.flush()).unwrap();
                    let pong = stream.frames().remove(0).1;
                    stream.feed(&masked(PONG, &pong));
                    let mut pinged = pin!(sender.ping());
                    assert!(poll(pinged.as_mut(), &Arc::default()).is_pending());
                    let _ = dropping.run(async {
                        tokio::select! {
                            biased;
                            received = receiver.receive() => panic!("{received:?}"),
                            time = pinged.as_mut() => assert!(time.is_ok()),
                        }
                    });
                    // Before the halves are dropped.
                    stream.frames()
                } else {
                    persist!(dropping, socket.ping()).unwrap();
                    persist!(dropping, socket.flush()).unwrap();
                    stream.frames()
                };
                assert_eq!((frames.len(), frames[0].0), (1, PING));
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn close_is_sent_once_behind_what_is_queued() {
    for split in [false, true] {
        at_every_drop(
            || Mock::held(masked(CLOSE, &close_body(1000, "")), 3),
            |stream, dropping| {
                let mut socket = server(stream, config(|config| config.fragment_size = 10));
                now(socket.feed("a message in more than one fragment")).unwrap().unwrap();
                let close = Close::new(CloseCode::NORMAL, "bye").unwrap();
                if split {
                    let (mut receiver, sender) = socket.split();
                    persist!(dropping, sender.close(close.clone())).or_else(already_closed).unwrap();
                    persist!(dropping, sender.flush()).unwrap();
                    assert_eq!(persist!(dropping, receiver.receive()).unwrap(), None);
                } else {
                    persist!(dropping, socket.close(close.clone())).or_else(already_closed).unwrap();
                    persist!(dropping, socket.flush()).unwrap();
                    assert_eq!(persist!(dropping, socket.receive()).unwrap(), None);
                }
                let expected =
                    [(TEXT, b"a message in more than one fragment".to_vec()), (CLOSE, close_body(1000, "bye"))];
                assert_eq!(messages(&stream.frames()), expected);
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_end_changes_nothing() {
    let stream = Mock::new("");
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    for _ in 0..3 {
        assert!(poll(pin!(sender.closed()), &Arc::default()).is_pending());
    }
    let (woken, mut closed) = (Arc::new(Woken::default()), Box::pin(sender.closed()));
    assert!(poll(closed.as_mut(), &woken).is_pending());
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    assert_eq!(now(receiver.receive()).unwrap().unwrap(), None);
    assert!(woken.count() > 0);
    assert!(poll(closed.as_mut(), &woken).is_ready());
}

#[tokio::test(start_paused = true)]
async fn request_and_what_came_behind_it() {
    let input = [REQUEST.as_bytes(), &masked(TEXT, b"early")].concat();
    at_every_drop(
        || Mock::held(input.clone(), 7),
        |stream, dropping| {
            let mut accepting = Acceptor::default().start(stream.clone());
            let request = persist!(dropping, accepting.request()).unwrap();
            assert_eq!(request.target(), "/chat?room=1");
            stream.release();
            let mut socket = now(accepting.accept()).unwrap().unwrap();
            assert_eq!(String::from_utf8(stream.output()).unwrap(), RESPONSE);
            assert_eq!(now(socket.receive()).unwrap().unwrap(), Some("early".into()));
        },
    );
}

#[tokio::test(start_paused = true)]
async fn request_that_is_refused_is_answered_once() {
    at_every_drop(
        || Mock::held("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n not a handshake", 5),
        |stream, dropping| {
            let mut accepting = Acceptor::default().start(stream.clone());
            persist!(dropping, accepting.request()).unwrap();
            stream.change(|script| script.at_end = Some(Ok(())));
            if let Some(error) = dropping.run(accepting.reject(Rejection::new(403).unwrap())) {
                assert!(matches!(error, Error::Rejected(rejection) if rejection.status() == 403));
                let answer = String::from_utf8(stream.output()).unwrap();
                assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
                assert_eq!(answer.matches("HTTP/1.1").count(), 1);
                assert_eq!(stream.script().shutdowns, 1);
            }
        },
    );
}

#[tokio::test(start_paused = true)]
async fn connection_of_a_client() {
    let answer = [RESPONSE.as_bytes(), &unmasked(TEXT, b"early")].concat();
    at_every_drop(
        || Mock::held(answer.clone(), 7),
        |stream, dropping| {
            let request = ClientRequest::with_key("a.example", "/chat", *b"the sample nonce").unwrap();
            let mut written = Vec::new();
            request.write(&mut written);
            stream.script().reads_from = written.len();
            let mut connecting = Connector::default().start(stream.clone(), request);
            let mut socket = persist!(dropping, connecting.connection()).unwrap();
            assert_eq!(stream.output(), written);
            assert_eq!(persist!(dropping, socket.receive()).unwrap(), Some("early".into()));
        },
    );
}

#[tokio::test(start_paused = true)]
async fn select_in_a_loop_of_the_peer_and_another_source() {
    let (stream, peer) = tokio::io::duplex(64);
    let mut socket = WebSocket::server(stream, small());
    let mut peer = WebSocket::client(peer, small());
    let (news, mut heard) = mpsc::channel::<String>(4);
    let source = tokio::spawn(async move {
        for number in 0..200 {
            news.send(format!("news number {number}")).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let server = tokio::spawn(async move {
        let (mut received, mut is_over) = (Vec::new(), false);
        loop {
            tokio::select! {
                message = socket.receive() => match message.unwrap() {
                    Some(message) => received.push(message),
                    None => return received,
                },
                item = heard.recv(), if !is_over => match item {
                    Some(text) => socket.send(text).await.unwrap(),
                    None => is_over = true,
                },
            }
        }
    });
    let client = tokio::spawn(async move {
        let mut news = Vec::new();
        let mut sent = 0;
        while news.len() < 200 {
            tokio::select! {
                message = peer.receive() => news.push(message.unwrap().unwrap().into_text().unwrap()),
                () = tokio::task::yield_now(), if sent < 100 => {
                    peer.send(format!("client number {sent}")).await.unwrap();
                    sent += 1;
                }
                () = tokio::time::sleep(ms(1)) => {}
            }
        }
        while sent < 100 {
            peer.send(format!("client number {sent}")).await.unwrap();
            sent += 1;
        }
        peer.close(Close::normal()).await.unwrap();
        while peer.receive().await.unwrap().is_some() {}
        news
    });
    let news = soon(client).await.unwrap();
    assert_eq!(news, (0..200).map(|number| format!("news number {number}")).collect::<Vec<_>>());
    let received = soon(server).await.unwrap();
    assert_eq!(received, (0..100).map(|number| format!("client number {number}").into()).collect::<Vec<Message>>());
    source.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn select_of_receive_and_send_on_the_halves() {
    let (stream, peer) = tokio::io::duplex(100);
    let (mut receiver, sender) = WebSocket::server(stream, small()).split();
    let (mut theirs, ours) = WebSocket::client(peer, small()).split();
    let peer = tokio::spawn(async move {
        let mut received = Vec::new();
        let sending = tokio::spawn(async move {
            for number in 0..150u8 {
                ours.send(vec![number; 60]).await.unwrap();
            }
            ours
        });
        for _ in 0..150 {
            received.push(theirs.receive().await.unwrap().unwrap());
        }
        // Goes on receiving, so that the others can go on.
        let ours = tokio::select! {
            ours = sending => ours.unwrap(),
            message = theirs.receive() => panic!("{message:?}"),
        };
        ours.close(Close::normal()).await.unwrap();
        assert_eq!(theirs.receive().await.unwrap(), None);
        received
    });
    let (mut received, mut next) = (Vec::new(), 0u8);
    let mut feeding = None;
    loop {
        tokio::select! {
            message = receiver.receive() => match message.unwrap() {
                Some(message) => received.push(message),
                None => break,
            },
            // Dropped whenever a message comes, and then made again, for it was not queued.
            fed = sender.feed(vec![next; 60]), if next < 150 => {
                fed.unwrap();
                feeding = Some(next);
                next += 1;
            }
        }
    }
    assert_eq!(feeding, Some(149));
    let expected: Vec<Message> = (0..150u8).map(|number| vec![number; 60].into()).collect();
    assert_eq!(received, expected);
    assert_eq!(soon(peer).await.unwrap(), expected);
}

/// What a side does next, in the property below.
#[derive(Clone, Debug)]
enum Step {
    Receive(usize),
    Feed(usize, usize),
    Flush(usize),
    Ping(usize),
    Pieces(Vec<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let polls = 0usize..12;
    let step = prop_oneof![
        4 => polls.clone().prop_map(Step::Receive),
        4 => (polls.clone(), 0usize..60).prop_map(|(polls, len)| Step::Feed(polls, len)),
        2 => polls.clone().prop_map(Step::Flush),
        1 => polls.prop_map(Step::Ping),
        1 => proptest::collection::vec(0usize..40, 0..4).prop_map(Step::Pieces),
    ];
    proptest::collection::vec(step, 0..40)
}

/// Frames of messages, cut and mixed with pings.
fn peers() -> impl Strategy<Value = Vec<(String, usize, bool)>> {
    proptest::collection::vec((".{0,20}", 1usize..20, any::<bool>()), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_drops_at_any_chunking_give_the_messages_in_order(
        steps in steps(),
        peers in peers(),
        most in 1usize..30,
        fragment_size in 1usize..50,
        hiccups: bool,
        is_server: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let frame = |first, payload: &[u8]| if is_server { masked(first, payload) } else { unmasked(first, payload) };
        let (mut input, mut pings) = (Vec::new(), Vec::new());
        for (text, size, has_ping) in &peers {
            let pieces: Vec<&[u8]> = match text.as_bytes() {
                b"" => vec![b""],
                bytes => bytes.chunks(*size).collect(),
            };
            for (number, piece) in pieces.iter().enumerate() {
                let first = u8::from(number == 0) | if number + 1 == pieces.len() { 0x80 } else { 0 };
                input.extend(frame(first, piece));
                if *has_ping {
                    pings.push(u8::try_from(pings.len()).unwrap());
                    input.extend(frame(PING, &pings[pings.len() - 1..]));
                }
            }
        }
        let stream = Mock::held(input, most);
        stream.script().hiccups = hiccups;
        let config = config(|config| {
            (config.fragment_size, config.high_water_mark, config.low_water_mark) = (fragment_size, 100, 20);
            (config.output_timeout, config.pong_timeout) = (None, None);
        });
        let mut socket = if is_server { server(&stream, config) } else { client(&stream, config) };
        let (mut received, mut sent, mut was_pinged) = (Vec::new(), Vec::new(), false);
        let run = |polls| Dropping::at(&stream, polls);
        for step in steps {
            match step {
                Step::Receive(polls) => received.extend(run(polls).run(socket.receive()).transpose().unwrap().flatten()),
                Step::Feed(polls, len) => {
                    let bytes = pattern(len);
                    if run(polls).run(socket.feed(bytes.clone())).transpose().unwrap().is_some() {
                        sent.push(bytes);
                    }
                }
                Step::Flush(polls) => {
                    let _ = run(polls).run(socket.flush()).transpose().unwrap();
                }
                Step::Ping(polls) => {
                    was_pinged |= polls > 0;
                    let _ = run(polls).run(socket.ping()).transpose().unwrap();
                }
                Step::Pieces(sizes) => {
                    let mut writer = persist!(run(3), socket.writer(MessageKind::Binary)).unwrap();
                    let mut whole = Vec::new();
                    for size in sizes {
                        let bytes = pattern(size);
                        run(usize::MAX).run(writer.write_all(&bytes)).unwrap().unwrap();
                        whole.extend(bytes);
                    }
                    let mut dropping = Dropping::every(&stream, 2);
                    persist!(dropping, AsyncWriteExt::shutdown(&mut writer)).unwrap();
                    sent.push(whole);
                }
            }
        }
        run(usize::MAX).run(socket.flush()).unwrap().unwrap();
        stream.release();
        stream.change(|script| (script.hiccups, script.most) = (false, usize::MAX));
        while let Some(message) = now(socket.receive()) {
            received.extend(message.unwrap());
        }
        let texts: Vec<Message> = peers.iter().map(|(text, ..)| text.as_str().into()).collect();
        prop_assert_eq!(received, texts);
        let frames = stream.frames();
        let binaries: Vec<Vec<u8>> = data(&frames).into_iter().map(|(_, payload)| payload).collect();
        prop_assert_eq!(binaries, sent);
        let control = control(&frames);
        let pongs: Vec<Vec<u8>> =
            control.iter().filter(|(first, _)| *first == PONG).map(|(_, payload)| payload.clone()).collect();
        prop_assert_eq!(pongs, pings.iter().map(|ping| vec![*ping]).collect::<Vec<_>>());
        prop_assert_eq!(control.iter().any(|(first, _)| *first == PING), was_pinged);
    }
}

#[tokio::test(start_paused = true)]
async fn poll_that_wakes_itself_loses_nothing() {
    let stream = Mock::new(incoming());
    stream.change(|script| (script.hiccups, script.most) = (true, 3));
    let mut socket = server(&stream, Config::default());
    let receiving = async {
        let mut received = Vec::new();
        while let Some(message) = socket.receive().await.unwrap() {
            received.push(message);
        }
        received
    };
    let received = soon(receiving).await;
    assert_told(&stream, &received);
}
