//! permessage-deflate (RFC 7692) on the adapters: every way of sending and receiving, with no more code than without.

mod async_support;
mod blocking_support;

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::sync::Arc;
use std::thread;

use async_support::{Mock, at_every_drop, data, now, timeless};
use blocking_support::{Scripted, persist as persist_blocking, tcp};
use futures_util::future::join;
use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use sockeye::deflate::{Agreement, Context, Deflate, Level, WindowBits};
use sockeye::driver::{Transport, WebSocket};
use sockeye::handshake::{ClientRequest, Extensions};
use sockeye::test_kit::{self, Clock, Expect, Faults, Pair, RawPeer};
use sockeye::{
    Chunk, Close, CloseCode, Config, Connection, Counters, Error, Fin, Message, MessageKind, MessageRef, OpCode,
    OutgoingRef, Payload, PreparedMessage, ProtocolError, Role, Rsv, SendError, Uncompressed, blocking, futures,
    tokio as on_tokio,
};

/// The defaults with one change.
fn set(change: impl FnOnce(&mut Deflate)) -> Deflate {
    let mut deflate = Deflate::default();
    change(&mut deflate);
    deflate
}

/// Settings that tell: the defaults, no context, the largest window, the smallest.
fn all_settings() -> [Deflate; 4] {
    [
        Deflate::default(),
        set(|deflate| (deflate.context, deflate.peer_context) = (Context::NoTakeover, Context::NoTakeover)),
        set(|deflate| {
            (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX);
            (deflate.level, deflate.threshold) = (Level::new(6).unwrap(), 0);
        }),
        set(|deflate| (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MIN, WindowBits::MIN)),
    ]
}

/// Bytes without repetition.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 + len as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Text with characters of one to four bytes that hardly repeats.
fn noisy_text(len: usize) -> String {
    let letters = ['a', 'ö', '語', '🦀', '7', 'ß', 'z', '€'];
    let mut text: String = noise(len / 2).into_iter().map(|byte| letters[usize::from(byte % 8)]).collect();
    while text.len() > len {
        text.pop();
    }
    text.extend(std::iter::repeat_n('.', len - text.len()));
    text
}

/// A message of this length for each of what can be compressed and what cannot, text and binary.
fn messages_of(len: usize) -> [Message; 4] {
    let json = r#"{"name":"Grüße","values":[1,2,3]},"#.repeat(len / 8 + 1);
    let end = (0..=len).rev().find(|&at| json.is_char_boundary(at)).unwrap();
    [
        json[..end].into(),
        noisy_text(len).into(),
        (0..len).map(|at| u8::try_from(at / 100 % 256).unwrap()).collect::<Vec<_>>().into(),
        noise(len).into(),
    ]
}

/// Whether the message of this number of those that [`messages_of`] makes is sent compressed with all settings.
fn is_shortened(number: usize, message: &Message) -> bool {
    number % 2 == 0 && len(message) > 64
}

/// Messages of all lengths at which something changes: the threshold, the header, the step of a decoder.
fn messages() -> Vec<Message> {
    [0, 1, 63, 64, 125, 126, 1000, 16_383, 16_384, 16_385].into_iter().flat_map(messages_of).collect()
}

/// Messages that are longer than a fragment, or just not.
fn long_messages() -> Vec<Message> {
    [65_536, 131_072, 131_073, 300_000].into_iter().flat_map(messages_of).collect()
}

fn len(message: &Message) -> u64 {
    message.as_ref().payload().len() as u64
}

fn agreement(deflate: &Deflate, role: Role, answer: &str) -> Agreement {
    deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap()
}

fn request() -> ClientRequest {
    ClientRequest::new("a.example", "/").unwrap()
}

/// A client of the engine that compresses with the defaults, for input made by hand.
fn engine(deflate: &Deflate, role: Role) -> Connection {
    let mut connection = match role {
        Role::Client => Connection::client_with_keys(Config::default(), || [0x37, 0xfa, 0x21, 0x3d]),
        Role::Server => Connection::server(Config::default()),
    };
    connection.extend(Rsv::RSV1, agreement(deflate, role, "permessage-deflate").encoder());
    connection
}

/// What goes over the wire for these messages, in fragments of so many bytes of payload.
fn wire_of(deflate: &Deflate, fragment: usize, messages: &[Message]) -> Vec<u8> {
    let (mut client, mut wire) = (engine(deflate, Role::Client), Vec::new());
    for message in messages {
        let mut rest = message.as_ref();
        loop {
            let (piece, after) = rest.split_at(fragment);
            let fin = if after.payload().is_empty() { Fin::Last } else { Fin::More };
            client.send_fragment(piece, fin, &mut wire).unwrap();
            rest = after;
            if fin == Fin::Last {
                break;
            }
        }
    }
    wire
}

/// A message under assembly from chunks, each of which is checked.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    kind: Option<MessageKind>,
}

impl Gathered {
    /// Adds a chunk; the message, if that was the last one.
    fn add(&mut self, chunk: &Chunk<'_>) -> Option<Message> {
        assert_eq!(chunk.is_first(), self.kind.is_none());
        assert_eq!(*self.kind.get_or_insert(chunk.kind()), chunk.kind());
        match chunk.payload() {
            Payload::Text { completed, text } => {
                self.bytes.extend(completed.map(String::from).unwrap_or_default().bytes());
                self.bytes.extend(text.bytes());
                // All that came so far is text.
                assert!(core::str::from_utf8(&self.bytes[self.bytes.len() - text.len()..]).is_ok());
            }
            Payload::Binary(bytes) => self.bytes.extend(bytes),
            Payload::Encoded { .. } => panic!("an adapter decodes"),
        }
        if !chunk.is_last() {
            return None;
        }
        Some(match std::mem::take(self) {
            Self { bytes, kind: Some(MessageKind::Text) } => String::from_utf8(bytes).unwrap().into(),
            Self { bytes, .. } => bytes.into(),
        })
    }
}

fn whole(kind: MessageKind, bytes: Vec<u8>) -> Message {
    match kind {
        MessageKind::Text => String::from_utf8(bytes).unwrap().into(),
        MessageKind::Binary => bytes.into(),
    }
}

/// The ways of receiving and of sending that the asynchronous adapters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    Lent,
    Chunks,
    /// Through a reader, with a buffer of so many bytes; written in pieces of a few times as many.
    Bytes(usize),
    /// Through a reader, as the pieces come; written in pieces with a flush after each.
    Pieces,
    Stream,
}

const WAYS: [Way; 9] = [
    Way::Whole,
    Way::Lent,
    Way::Chunks,
    Way::Bytes(1),
    Way::Bytes(4),
    Way::Bytes(9),
    Way::Bytes(5000),
    Way::Pieces,
    Way::Stream,
];

/// Receives a message in this way, from a connection or from its half.
macro_rules! receive {
    ($socket:expr, $way:expr) => {
        match $way {
            Way::Whole => $socket.receive().await.unwrap(),
            Way::Lent => $socket.receive_ref().await.unwrap().map(MessageRef::to_owned),
            Way::Stream => $socket.next().await.map(Result::unwrap),
            Way::Chunks => {
                let mut gathered = Gathered::default();
                loop {
                    match $socket.receive_chunk().await.unwrap() {
                        None => break None,
                        Some(chunk) => {
                            if let Some(message) = gathered.add(&chunk) {
                                break Some(message);
                            }
                        }
                    }
                }
            }
            Way::Bytes(most) => match $socket.receive_reader().await.unwrap() {
                None => None,
                Some(mut reader) => {
                    let (mut bytes, mut buffer) = (Vec::new(), vec![0; most]);
                    loop {
                        let len = poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap();
                        if len == 0 {
                            break Some(whole(reader.kind(), bytes));
                        }
                        bytes.extend(&buffer[..len]);
                    }
                }
            },
            Way::Pieces => match $socket.receive_reader().await.unwrap() {
                None => None,
                Some(mut reader) => {
                    let mut bytes = Vec::new();
                    while let Some(piece) = reader.next().await.unwrap() {
                        assert!(!piece.is_empty());
                        bytes.extend(piece);
                    }
                    Some(whole(reader.kind(), bytes))
                }
            },
        }
    };
}

/// Sends a message in this way; as it is, if that is said.
macro_rules! send {
    ($socket:expr, $message:expr, $way:expr, $is_plain:expr) => {{
        let (message, is_plain): (Message, bool) = ($message, $is_plain);
        let kind = message.as_ref().kind();
        match $way {
            Way::Whole if is_plain => $socket.send(Uncompressed(message)).await.unwrap(),
            Way::Whole => $socket.send(message).await.unwrap(),
            Way::Lent if is_plain => $socket.send(Uncompressed(&message)).await.unwrap(),
            Way::Lent => $socket.send(&message).await.unwrap(),
            Way::Stream if is_plain => {
                $socket.send(Uncompressed(PreparedMessage::new(message))).await.unwrap();
            }
            Way::Stream => SinkExt::send(&mut $socket, message).await.unwrap(),
            Way::Chunks => {
                let sent = match is_plain {
                    true => $socket.try_send(Uncompressed(&message)),
                    false => $socket.try_send(&message),
                };
                match sent {
                    Ok(()) => {}
                    Err(Error::Full) if is_plain => $socket.feed(Uncompressed(message)).await.unwrap(),
                    Err(Error::Full) => $socket.feed(message).await.unwrap(),
                    Err(error) => panic!("{error}"),
                }
                $socket.flush().await.unwrap();
            }
            Way::Bytes(_) | Way::Pieces => {
                let size = if let Way::Bytes(size) = $way { size * 7 } else { 40_000 };
                let writer = match is_plain {
                    true => $socket.writer(Uncompressed(kind)).await,
                    false => $socket.writer(kind).await,
                };
                let mut writer = writer.unwrap();
                for piece in message.as_ref().payload().chunks(size) {
                    writer.write_all(piece).await.unwrap();
                    if $way == Way::Pieces {
                        writer.flush().await.unwrap();
                    }
                }
                writer.finish().await.unwrap();
            }
        }
    }};
}

/// Sends everything back, in this way as it came, until the client closes; what was received and sent.
async fn echo<T: Transport>(mut server: WebSocket<T>, way: Way, is_split: bool) -> (Counters, Counters) {
    if is_split {
        let (mut receiver, mut sender) = server.split();
        while let Some(message) = receive!(receiver, way) {
            send!(sender, message, way, false);
        }
        return (sender.received(), sender.sent());
    }
    while let Some(message) = receive!(server, way) {
        send!(server, message, way, false);
    }
    (server.received(), server.sent())
}

/// Sends messages in this way, every third as it is, and expects each back; what was sent and received.
async fn ask<T: Transport>(mut client: WebSocket<T>, messages: &[Message], way: Way) -> (Counters, Counters) {
    for (number, message) in messages.iter().enumerate() {
        let before = client.sent();
        let is_plain = number % 3 == 2;
        send!(client, message.clone(), way, is_plain);
        let sent = client.sent();
        let (decoded, payload) = (sent.decoded_bytes - before.decoded_bytes, sent.payload_bytes - before.payload_bytes);
        match is_plain {
            true => assert_eq!((decoded, payload), (0, len(message)), "as it is"),
            false if is_shortened(number, message) => assert_eq!(decoded, len(message)),
            // Below the threshold, and where it would not get shorter, it may go either way.
            false => assert!(decoded == 0 || decoded == len(message)),
        }
        let echoed = client.receive().await.unwrap().unwrap();
        assert!(echoed == *message, "{way:?}: message {number} of {} bytes came back wrong", len(message));
    }
    client.close(Close::normal()).await.unwrap();
    assert_eq!(client.receive().await.unwrap(), None);
    (client.sent(), client.received())
}

/// Lets both ends talk, and compares what they have counted.
async fn talk<T: Transport>(
    client: WebSocket<T>,
    server: WebSocket<T>,
    messages: &[Message],
    way: Way,
    is_split: bool,
) {
    assert!(client.response().unwrap().deflate().is_some());
    let ((received, sent), (asked, answered)) = join(echo(server, way, is_split), ask(client, messages, way)).await;
    assert_eq!(asked, received, "{way:?}");
    assert_eq!(answered, sent, "{way:?}");
    assert_eq!(asked.messages, messages.len() as u64);
    assert!(sent.decoded_bytes > 0 && sent.encoded_bytes < sent.decoded_bytes, "{sent:?}");
    assert!(asked.encoded_bytes < asked.decoded_bytes, "{asked:?}");
    assert!(asked.encoded_bytes <= asked.payload_bytes);
}

/// The two ends of a connection in memory that has made the opening handshake with these settings.
async fn pair_in_memory(pair: &Pair, deflate: &Deflate) -> (test_kit::WebSocket, test_kit::WebSocket) {
    let (client, server) = pair.streams();
    let (mut acceptor, mut connector) = (test_kit::Acceptor::default(), test_kit::Connector::default());
    (acceptor.config, connector.config) = (Arc::new(pair.server.clone()), Arc::new(pair.client.clone()));
    Arc::make_mut(&mut acceptor.handshake).deflate = Some(deflate.clone());
    connector.handshake.deflate = Some(deflate.clone());
    let (client, server) = join(connector.handshake(client, request()), acceptor.accept(server)).await;
    (client.unwrap(), server.unwrap())
}

async fn pair_on_tokio(deflate: &Deflate) -> [on_tokio::WebSocket<tokio::io::DuplexStream>; 2] {
    let (client, server) = tokio::io::duplex(10_000);
    let (mut acceptor, mut connector) = (on_tokio::Acceptor::default(), on_tokio::Connector::default());
    Arc::make_mut(&mut acceptor.handshake).deflate = Some(deflate.clone());
    connector.handshake.deflate = Some(deflate.clone());
    let (client, server) = join(connector.handshake(client, request()), acceptor.accept(server)).await;
    [client.unwrap(), server.unwrap()]
}

async fn pair_on_smol(deflate: &Deflate) -> [futures::WebSocket<smol::net::TcpStream>; 2] {
    let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut acceptor, mut connector) = (futures::Acceptor::default(), futures::Connector::default());
    Arc::make_mut(&mut acceptor.handshake).deflate = Some(deflate.clone());
    connector.handshake.deflate = Some(deflate.clone());
    let address = format!("ws://{}/", listener.local_addr().unwrap());
    let accepting = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let (client, server) = join(connector.connect(&address), accepting).await;
    [client.unwrap(), server.unwrap()]
}

fn pair_of_threads(deflate: &Deflate) -> [blocking::WebSocket<std::net::TcpStream>; 2] {
    let (client, server) = tcp();
    let (mut acceptor, mut connector) = (blocking::Acceptor::default(), blocking::Connector::default());
    acceptor.handshake.deflate = Some(deflate.clone());
    connector.handshake.deflate = Some(deflate.clone());
    let accepting = thread::spawn(move || acceptor.accept(server).unwrap());
    let client = connector.handshake(client, request()).unwrap();
    [client, accepting.join().unwrap()]
}

#[test]
fn on_tokio_every_way_of_sending_and_receiving_compresses_with_no_more_code() {
    for way in WAYS {
        for is_split in [false, true] {
            runtime().block_on(async {
                let [client, server] = pair_on_tokio(&Deflate::default()).await;
                let is_fast = !matches!(way, Way::Bytes(..10));
                let messages = if is_split && is_fast { long_messages() } else { messages() };
                talk(client, server, &messages, way, is_split).await;
            });
        }
    }
}

#[test]
fn on_futures_every_way_of_sending_and_receiving_compresses_with_no_more_code() {
    for (number, way) in WAYS.into_iter().enumerate() {
        smol::block_on(async {
            let [client, server] = pair_on_smol(&Deflate::default()).await;
            talk(client, server, &messages(), way, number % 2 == 0).await;
        });
    }
}

#[test]
fn with_all_settings_and_streams_that_move_a_few_bytes_at_a_time_every_way_is_right() {
    let messages: Vec<Message> = [0, 1, 63, 64, 300, 2000].into_iter().flat_map(messages_of).collect();
    for deflate in all_settings() {
        for (number, way) in WAYS.into_iter().enumerate() {
            let clock = Clock::new();
            test_kit::run(&clock, async {
                let mut pair = Pair::new(&clock);
                let size = [1, 3, 17][number % 3];
                pair.to_server = Faults::new().max_read(size);
                pair.to_client = Faults::new().max_read(size + 1).max_write(5);
                (pair.client.fragment_size, pair.server.fragment_size) = (100, 1000);
                let (client, server) = pair_in_memory(&pair, &deflate).await;
                talk(client, server, &messages, way, number % 2 == 1).await;
            });
        }
    }
}

#[test]
fn messages_of_2_mib_arrive_whole_over_real_sockets() {
    smol::block_on(async {
        let [client, server] = pair_on_smol(&Deflate::default()).await;
        talk(client, server, &messages_of(2 * 1024 * 1024), Way::Whole, false).await;
        let [client, server] = pair_on_smol(&Deflate::default()).await;
        talk(client, server, &messages_of(2 * 1024 * 1024), Way::Pieces, true).await;
    });
}

/// Receives a message in one of the blocking ways.
macro_rules! receive_blocking {
    ($socket:expr, $way:expr) => {
        match $way % 3 {
            0 => $socket.receive().unwrap(),
            1 => $socket.receive_ref().unwrap().map(MessageRef::to_owned),
            _ => {
                let mut gathered = Gathered::default();
                loop {
                    let Some(chunk) = $socket.receive_chunk().unwrap() else { break None };
                    if let Some(message) = gathered.add(&chunk) {
                        break Some(message);
                    }
                }
            }
        }
    };
}

/// Sends a message in one of the blocking ways.
macro_rules! send_blocking {
    ($socket:expr, $message:expr, $way:expr, $is_plain:expr) => {{
        let message: &Message = $message;
        let outgoing = match $is_plain {
            true => OutgoingRef::from(Uncompressed(message)),
            false => OutgoingRef::from(message),
        };
        match $way % 4 {
            0 => $socket.send(outgoing).unwrap(),
            1 => {
                $socket.feed(outgoing).unwrap();
                $socket.flush().unwrap();
            }
            2 if !$is_plain => $socket.send_prepared(&PreparedMessage::new(message.clone())).unwrap(),
            _ => {
                let mut rest = message.as_ref();
                let mut is_first = true;
                loop {
                    let (piece, after) = rest.split_at(10_000);
                    let fin = if after.payload().is_empty() { Fin::Last } else { Fin::More };
                    // The first one decides.
                    match $is_plain && is_first {
                        true => $socket.send_fragment(Uncompressed(piece), fin).unwrap(),
                        false => $socket.send_fragment(piece, fin).unwrap(),
                    }
                    (rest, is_first) = (after, false);
                    if fin == Fin::Last {
                        break;
                    }
                }
            }
        }
    }};
}

#[test]
fn on_threads_every_way_of_sending_and_receiving_compresses_with_no_more_code() {
    for way in 0..12 {
        let mut messages = messages();
        if way % 7 == 0 {
            messages.extend(long_messages());
            messages.extend(messages_of(2 * 1024 * 1024));
        }
        let [mut client, server] = pair_of_threads(&all_settings()[way % 4]);
        assert!(client.response().unwrap().deflate().is_some());
        let echoing = thread::spawn(move || match way < 6 {
            true => {
                let mut server = server;
                while let Some(message) = receive_blocking!(server, way) {
                    send_blocking!(server, &message, way, false);
                }
                (server.received(), server.sent())
            }
            false => {
                let (mut receiver, sender) = server.split().unwrap();
                while let Some(message) = receive_blocking!(receiver, way) {
                    send_blocking!(sender, &message, way, false);
                }
                (sender.received(), sender.sent())
            }
        });
        for (number, message) in messages.iter().enumerate() {
            let before = client.sent().decoded_bytes;
            let is_plain = number % 3 == 2;
            // What is long is received while it is sent, so that nobody waits for the other for ever.
            send_blocking!(client, message, way, is_plain);
            let decoded = client.sent().decoded_bytes - before;
            assert!(
                decoded == if is_plain { 0 } else { len(message) } || (!is_shortened(number, message) && decoded == 0)
            );
            let echoed = client.receive().unwrap().unwrap();
            assert!(echoed == *message, "way {way}: message {number} of {} bytes came back wrong", len(message));
        }
        client.close(Close::normal()).unwrap();
        assert_eq!(client.receive().unwrap(), None);
        let (received, sent) = echoing.join().unwrap();
        assert_eq!((client.sent(), client.received()), (received, sent), "way {way}");
        assert!(sent.encoded_bytes < sent.decoded_bytes, "{sent:?}");
    }
}

/// A connection on a stream that somebody else has upgraded.
fn resumed(stream: &Mock, deflate: &Deflate, config: Config) -> on_tokio::WebSocket<Mock> {
    let agreement = agreement(deflate, Role::Server, "permessage-deflate");
    let mut socket = on_tokio::WebSocket::resume(stream.clone(), Connection::server(config), &[]);
    socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
    socket
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Messages each of which refers to the end of the one before, in as few bytes as that takes.
fn referring(count: usize) -> Vec<Message> {
    let text = noisy_text(20_000);
    let tail = text.char_indices().rev().map(|(at, _)| at).nth(800).unwrap();
    (0..count)
        .map(|number| match number % 4 {
            0 => Message::from(text.as_str()),
            1 => Message::from(&text[tail..]),
            2 => Message::from(text.as_bytes()[tail..].to_vec()),
            _ => Message::from(format!("{number} {}", &text[tail..])),
        })
        .collect()
}

#[test]
fn what_was_written_before_a_flush_is_there_before_the_message_ends() {
    let clock = Clock::new();
    test_kit::run(&clock, async {
        let (client, server) = pair_in_memory(&Pair::new(&clock), &Deflate::default()).await;
        let (mut answers, asking) = client.split();
        let (mut receiver, sender) = server.split();
        let pieces = ["a first piece", "and a second one, a second one", "€", "the end"];
        let writing = async {
            let mut writer = asking.writer(MessageKind::Text).await.unwrap();
            for piece in pieces {
                writer.write_all(piece.as_bytes()).await.unwrap();
                writer.flush().await.unwrap();
                // Twice is no more than once.
                let before = asking.sent();
                writer.flush().await.unwrap();
                assert_eq!(asking.sent(), before);
                answers.expect_text("seen").await;
            }
            writer.finish().await.unwrap();
        };
        let reading = async {
            let mut reader = receiver.receive_reader().await.unwrap().unwrap();
            for piece in pieces {
                let mut seen = Vec::new();
                while seen.len() < piece.len() {
                    seen.extend(reader.next().await.unwrap().unwrap());
                }
                assert_eq!(seen, piece.as_bytes());
                sender.send("seen").await.unwrap();
            }
            assert_eq!(reader.next().await.unwrap(), None);
        };
        join(writing, reading).await;
        let sent = asking.sent();
        assert_eq!(sent.decoded_bytes, pieces.concat().len() as u64);
    });
}

/// Begins a message of so many bytes and drops it, and then uses another connection that may be given its compressor.
async fn give_up<T: Transport>([mut client, mut server]: [WebSocket<T>; 2], others: [WebSocket<T>; 2], len: usize) {
    let sending = async {
        let mut writer = server.writer(MessageKind::Binary).await.unwrap();
        writer.write_all(&noise(len)).await.unwrap();
        writer.flush().await.unwrap();
        drop(writer);
        assert!(matches!(server.send("late").await, Err(Error::Send(SendError::Closed))));
        // To the end of the closing handshake.
        assert_eq!(server.receive().await.unwrap(), None);
    };
    // None of it is taken for a message.
    let (received, ()) = join(client.receive(), sending).await;
    assert_eq!(received.unwrap(), None);
    assert_eq!(client.close_code(), Some(CloseCode::INTERNAL_ERROR));
    let [mut client, mut server] = others;
    for message in messages_of(1000) {
        server.send(&message).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), Some(message));
    }
}

#[test]
fn message_that_was_dropped_half_way_ends_its_connection_and_leaves_nothing_to_others() {
    for deflate in all_settings() {
        for len in [1, 10_000, 70_000] {
            runtime().block_on(async {
                give_up(pair_on_tokio(&deflate).await, pair_on_tokio(&deflate).await, len).await;
            });
            smol::block_on(async { give_up(pair_on_smol(&deflate).await, pair_on_smol(&deflate).await, len).await });
            // On a thread there is nothing to be dropped but the connection.
            let ([mut client, mut server], [mut other, mut sender]) =
                (pair_of_threads(&deflate), pair_of_threads(&deflate));
            server.send_fragment(&noise(len), Fin::More).unwrap();
            drop(server);
            assert!(client.receive().is_err(), "it is lost in the middle");
            for message in messages_of(1000) {
                sender.send(&message).unwrap();
                assert_eq!(other.receive().unwrap(), Some(message));
            }
        }
    }
}

#[test]
fn skipping_the_rest_of_a_message_gives_others_their_turn() {
    const LEN: usize = 64 << 20;
    let messages = [Message::from(vec![0; LEN]), Message::from("the next")];
    let wire = wire_of(&Deflate::default(), usize::MAX, &messages);
    assert!(wire.len() > 8 * 32 * 1024, "many reads");
    runtime().block_on(async {
        let mut socket = resumed(&Mock::new(wire), &Deflate::default(), timeless());
        assert!(!socket.receive_chunk().await.unwrap().unwrap().is_last());
        let (mut decoded, mut most) = (socket.received().decoded_bytes, 0);
        let next = loop {
            let polled = poll_fn(|cx| Poll::Ready(pin!(socket.receive()).poll(cx))).await;
            let now = socket.received().decoded_bytes;
            (most, decoded) = (most.max(now - decoded), now);
            if let Poll::Ready(received) = polled {
                break received.unwrap();
            }
        };
        assert_eq!(next, Some(messages[1].clone()));
        assert!(most <= 8 << 20, "{most} bytes in one poll");
    });
}

#[test]
fn what_is_sent_uncompressed_has_no_mark_and_its_own_bytes_on_the_wire() {
    let message =
        Message::from("a secret that repeats, a secret that repeats, a secret that repeats, a secret that repeats");
    for way in [Way::Whole, Way::Lent, Way::Chunks, Way::Stream, Way::Bytes(3), Way::Pieces] {
        for is_split in [false, true] {
            runtime().block_on(async {
                let stream = Mock::new("");
                let mut socket = resumed(&stream, &Deflate::default(), timeless());
                if is_split {
                    let (_receiver, mut sender) = socket.split();
                    send!(sender, message.clone(), way, true);
                    send!(sender, message.clone(), way, false);
                } else {
                    send!(socket, message.clone(), way, true);
                    send!(socket, message.clone(), way, false);
                }
                let frames = stream.frames();
                let end = frames.iter().position(|(first, _)| first & 0x80 != 0).unwrap() + 1;
                let (plain, encoded) = frames.split_at(end);
                assert!(plain.iter().all(|(first, _)| first & 0x70 == 0), "{way:?}");
                assert_eq!(data(plain), [(0x81, message.as_ref().payload().to_vec())], "{way:?}");
                assert_eq!(encoded[0].0 & 0x70, 0x40, "{way:?}");
                let len: usize = encoded.iter().map(|(_, payload)| payload.len()).sum();
                assert!(len < message.as_ref().payload().len(), "{way:?}");
                assert!(encoded[1..].iter().all(|(first, _)| first & 0x70 == 0), "RFC 7692 §6.1: the first one only");
            });
        }
    }
}

/// What a test does next with a connection.
#[derive(Clone, Debug)]
enum Step {
    Receive,
    Lend,
    Chunks(usize),
    Read { buffer: usize, times: usize },
    Next(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Receive),
        Just(Step::Lend),
        (1usize..5).prop_map(Step::Chunks),
        (1usize..10, 1usize..60).prop_map(|(buffer, times)| Step::Read { buffer, times }),
        (1usize..4000, 1usize..60).prop_map(|(buffer, times)| Step::Read { buffer, times }),
        (1usize..5).prop_map(Step::Next),
    ]
}

/// Does the steps, and compares what comes with the messages that were sent.
async fn check_steps(mut socket: on_tokio::WebSocket<Mock>, messages: &[Message], steps: &[Step]) {
    // The message that comes next, and how much was taken of it if it has begun.
    let (mut number, mut taken) = (0, None::<usize>);
    let payload = |number: usize| messages[number].as_ref().payload();
    for step in steps {
        if number + usize::from(taken.is_some()) >= messages.len() {
            break;
        }
        match step {
            Step::Receive | Step::Lend => {
                let received = match step {
                    Step::Receive => socket.receive().await.unwrap().unwrap(),
                    _ => socket.receive_ref().await.unwrap().unwrap().to_owned(),
                };
                // The rest of what was begun otherwise is skipped.
                number += usize::from(taken.take().is_some());
                assert!(received == messages[number], "message {number} after {steps:?}");
                number += 1;
            }
            Step::Chunks(count) => {
                for _ in 0..*count {
                    let chunk = socket.receive_chunk().await.unwrap().unwrap();
                    assert_eq!(chunk.is_first(), taken.is_none());
                    let at = taken.unwrap_or_default();
                    let (completed, bytes) = match chunk.payload() {
                        Payload::Text { completed, text } => {
                            (completed.map_or(String::new(), String::from), text.as_bytes())
                        }
                        Payload::Binary(bytes) => (String::new(), bytes),
                        Payload::Encoded { .. } => panic!("an adapter decodes"),
                    };
                    let bytes = [completed.as_bytes(), bytes].concat();
                    // A reader before may have seen the beginning of a character that a chunk has whole, or not at all.
                    assert!(payload(number)[at..].starts_with(&bytes), "message {number} at {at} after {steps:?}");
                    taken = Some(at + bytes.len());
                    if chunk.is_last() {
                        assert_eq!(at + bytes.len(), payload(number).len());
                        (number, taken) = (number + 1, None);
                    }
                    if number == messages.len() {
                        break;
                    }
                }
            }
            Step::Read { .. } | Step::Next(_) => {
                let mut reader = socket.receive_reader().await.unwrap().unwrap();
                number += usize::from(taken.take().is_some());
                assert_eq!(reader.kind(), messages[number].as_ref().kind());
                let (mut at, mut is_over) = (0, false);
                let mut more = Vec::new();
                match step {
                    Step::Read { buffer, times } => {
                        let mut buffer = vec![0; *buffer];
                        for _ in 0..*times {
                            let len = poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap();
                            more.extend(&buffer[..len]);
                            is_over |= len == 0;
                        }
                    }
                    Step::Next(times) => {
                        for _ in 0..*times {
                            let next = reader.next().await.unwrap();
                            is_over |= next.is_none();
                            more.extend(next.unwrap_or_default());
                        }
                    }
                    Step::Receive | Step::Lend | Step::Chunks(_) => unreachable!(),
                }
                assert!(payload(number).starts_with(&more), "message {number} after {steps:?}");
                at += more.len();
                assert!(!is_over || at == payload(number).len());
                // Whether all of it was read and only its end is open cannot be seen: let a whole message tell.
                match socket.receive().await.unwrap() {
                    Some(message) => {
                        number += 1;
                        assert!(message == messages[number], "message {number} after {steps:?}");
                        number += 1;
                    }
                    None => {
                        number += 1;
                        assert_eq!(number, messages.len());
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Also: whatever was skipped of a message, the next one, which refers to it, is right.
    #[test]
    fn ways_of_receiving_can_be_changed_at_any_point(
        steps in prop::collection::vec(step(), 1..20),
        most in prop_oneof![Just(1usize), 2usize..40, 1000usize..3000, Just(usize::MAX)],
        fragment in prop_oneof![1usize..200, 5000usize..20_000, Just(usize::MAX)],
        without_context: bool,
    ) {
        let mut deflate = Deflate::default();
        if without_context {
            (deflate.context, deflate.peer_context) = (Context::NoTakeover, Context::NoTakeover);
        }
        let mut messages = referring(12);
        // Some that nobody encodes between them.
        messages.insert(3, "short".into());
        messages.insert(7, "".into());
        let mut input = wire_of(&deflate, fragment.max(4), &messages);
        input.extend(async_support::masked(async_support::CLOSE, &async_support::close_body(1000, "")));
        let stream = Mock::ending(input);
        stream.change(|script| script.most = most);
        let socket = resumed(&stream, &deflate, timeless());
        runtime().block_on(check_steps(socket, &messages, &steps));
    }
}

#[test]
fn messages_refer_to_those_before_them_or_the_tests_above_prove_nothing() {
    let (messages, deflate) = (referring(3), Deflate::default());
    let first = wire_of(&deflate, usize::MAX, &messages[..1]).len();
    let both = wire_of(&deflate, usize::MAX, &messages[..2]).len();
    assert!(both - first < 100, "{} bytes for {}", both - first, len(&messages[1]));
}

#[test]
fn receive_that_was_dropped_in_the_middle_loses_nothing() {
    let messages: Vec<_> = [0, 64, 700].into_iter().flat_map(messages_of).collect();
    let input = wire_of(&Deflate::default(), 300, &messages);
    at_every_drop(
        || Mock::held(&input[..], 70),
        |stream, dropping| {
            runtime().block_on(async {
                let mut socket = resumed(stream, &Deflate::default(), timeless());
                for message in &messages {
                    assert_eq!(persist!(dropping, socket.receive()).unwrap().as_ref(), Some(message));
                }
            });
        },
    );
    at_every_drop(
        || Mock::held(&input[..], 70),
        |stream, dropping| {
            runtime().block_on(async {
                let mut socket = resumed(stream, &Deflate::default(), timeless());
                for message in &messages {
                    let mut gathered = Gathered::default();
                    let received = loop {
                        let chunk = persist!(dropping, socket.receive_chunk()).unwrap().unwrap();
                        if let Some(message) = gathered.add(&chunk) {
                            break message;
                        }
                    };
                    assert_eq!(received, *message);
                }
            });
        },
    );
}

#[test]
fn rest_of_a_message_whose_receive_was_given_up_can_be_had_in_chunks() {
    let message = Message::from(noisy_text(3000));
    let next = Message::from(&message.as_text().unwrap()[..1000]);
    let wire = wire_of(&Deflate::default(), usize::MAX, &[message.clone(), next.clone()]);
    for cut in [2, 5, 9, 10, 11, 12, 13, 500, 1200] {
        runtime().block_on(async {
            let stream = Mock::new(&wire[..cut]);
            let mut socket = resumed(&stream, &Deflate::default(), timeless());
            assert!(now(socket.receive()).is_none());
            stream.feed(&wire[cut..]);
            let mut rest = String::new();
            loop {
                let chunk = socket.receive_chunk().await.unwrap().unwrap();
                let Payload::Text { completed, text } = chunk.payload() else { panic!("{chunk:?}") };
                rest.extend(completed);
                rest.push_str(text);
                if chunk.is_last() {
                    break;
                }
            }
            assert!(message.as_text().unwrap().ends_with(&rest), "cut at {cut}");
            assert!(!rest.is_empty());
            assert_eq!(socket.receive().await.unwrap().as_ref(), Some(&next), "cut at {cut}");
        });
    }
}

/// A good message and then something wrong, and the code that tells the peer.
fn wrong() -> Vec<(Deflate, Config, Vec<u8>, u16, &'static str)> {
    let good = || {
        wire_of(
            &Deflate::default(),
            usize::MAX,
            &["good and long enough to be compressed, good and long enough".repeat(3).into()],
        )
    };
    let frame = |first: u8, payload: &[u8]| async_support::masked(first, payload);
    let bomb = |len: usize| {
        let mut client = engine(&Deflate::default(), Role::Client);
        let mut wire = Vec::new();
        client.send(&"good and long enough to be compressed, good and long enough".repeat(3), &mut wire).unwrap();
        client.send(&vec![0; len], &mut wire).unwrap();
        wire
    };
    let ratio = set(|deflate| deflate.max_ratio = core::num::NonZeroU32::new(100));
    let mut small = timeless();
    small.max_message_size = 100_000;
    let with = |more: Vec<u8>| [good(), more].concat();
    vec![
        (Deflate::default(), timeless(), with(frame(0xc2, b"\xff\xff\xff\xff")), 1007, "no block is of that kind"),
        (Deflate::default(), timeless(), with(frame(0xc2, b"\xf2\x48")), 1007, "broken off"),
        (Deflate::default(), timeless(), with(frame(0xc1, &[0, 2, 0, 0xfd, 0xff, 0xc3, 0x28, 0])), 1007, "not UTF-8"),
        (Deflate::default(), timeless(), with(frame(0xc1, &[0, 1, 0, 0xfe, 0xff, 0xc3, 0])), 1007, "half a character"),
        (
            Deflate::default(),
            timeless(),
            with([frame(0x42, b"\xf2\x48"), frame(0xc0, b"\xcd")].concat()),
            1002,
            "RSV1 on a continuation",
        ),
        (Deflate::default(), timeless(), with(frame(0xa2, b"\0")), 1002, "RSV2 is nobody's"),
        (Deflate::default(), timeless(), with(frame(0xc9, b"")), 1002, "RSV1 on a ping"),
        (ratio, timeless(), bomb(4 * 1024 * 1024), 1009, "too dense"),
        (Deflate::default(), small, bomb(4 * 1024 * 1024), 1009, "too big"),
    ]
}

#[test]
fn corrupt_data_and_bombs_end_the_connection_with_the_code_that_fits_and_nothing_before_is_lost() {
    for (deflate, config, input, code, what) in wrong() {
        for way in WAYS {
            // Chunks are not counted against the limit on messages.
            if what == "too big" && !matches!(way, Way::Whole | Way::Lent | Way::Stream) {
                continue;
            }
            runtime().block_on(async {
                let stream = Mock::new(&input[..]);
                let mut socket = resumed(&stream, &deflate, config.clone());
                let good = receive!(socket, way).unwrap();
                assert!(good.as_text().unwrap().starts_with("good"), "{what}");
                let error = loop {
                    let ended = match way {
                        Way::Whole | Way::Stream | Way::Lent => socket.receive().await.map(drop),
                        Way::Chunks => socket.receive_chunk().await.map(drop),
                        Way::Bytes(_) | Way::Pieces => match socket.receive_reader().await {
                            Ok(Some(mut reader)) => {
                                let mut buffer = [0; 9000];
                                loop {
                                    match poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await {
                                        Ok(0) => panic!("{what}: it ended"),
                                        Ok(_) => {}
                                        Err(error) => break Err(error),
                                    }
                                }
                            }
                            other => other.map(drop),
                        },
                    };
                    if let Err(error) = ended {
                        break error;
                    }
                    assert_eq!(way, Way::Chunks, "{what}");
                };
                let Error::Protocol(error) = error else { panic!("{what}: {error}") };
                let frames = stream.frames();
                let [(async_support::CLOSE, body)] = &frames[..] else { panic!("{what}: {frames:?}") };
                assert_eq!(body[..2], code.to_be_bytes(), "{what}, {way:?}: {error}");
            });
        }
        for way in 0..3 {
            if what == "too big" && way == 2 {
                continue;
            }
            let agreement = agreement(&deflate, Role::Server, "permessage-deflate");
            let stream = Scripted::new(&input[..]);
            let mut socket = blocking::WebSocket::resume(stream.clone(), Connection::server(config.clone()), &[]);
            socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
            assert!(receive_blocking!(socket, way).is_some());
            let error = loop {
                let ended = if way == 2 { socket.receive_chunk().map(drop) } else { socket.receive().map(drop) };
                if let Err(error) = ended {
                    break error;
                }
                assert_eq!(way, 2, "{what}");
            };
            assert!(matches!(error, Error::Protocol(_)), "{what}: {error}");
            assert_eq!(socket.close_code().map(u16::from), Some(1006), "{what}: the peer said nothing");
            let frames = async_support::plain(&stream.output());
            let [(async_support::CLOSE, body)] = &frames[..] else { panic!("{what}: {frames:?}") };
            assert_eq!(body[..2], code.to_be_bytes(), "{what}: {error}");
        }
    }
}

#[test]
fn threshold_holds_for_messages_that_go_out_in_fragments_too() {
    let message = "a".repeat(300_000);
    for (threshold, first) in [(300_000, 0x41), (300_001, 0x01)] {
        let deflate = set(|deflate| deflate.threshold = threshold);
        let agreement = agreement(&deflate, Role::Server, "permessage-deflate");
        for is_split in [false, true] {
            let stream = Scripted::open(&b""[..]);
            let mut socket = blocking::WebSocket::resume(stream.clone(), Connection::server(timeless()), &[]);
            socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
            match is_split {
                true => socket.split().unwrap().1.send(&message).unwrap(),
                false => socket.send(&message).unwrap(),
            }
            assert_eq!(stream.output()[0], first);
        }
        runtime().block_on(async {
            let stream = Mock::new("");
            let mut socket = resumed(&stream, &deflate, timeless());
            socket.send(&message).await.unwrap();
            assert_eq!(stream.output()[0], first);
        });
    }
}

#[test]
fn blocking_flush_sends_what_is_held_back_of_a_message_in_fragments() {
    let agreement = agreement(&Deflate::default(), Role::Server, "permessage-deflate");
    for is_split in [false, true] {
        let stream = Scripted::open(&b""[..]);
        let mut socket = blocking::WebSocket::resume(stream.clone(), Connection::server(timeless()), &[]);
        socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
        if is_split {
            let (_receiver, sender) = socket.split().unwrap();
            sender.send_fragment("held", Fin::More).unwrap();
            assert_eq!(stream.output(), b"");
            sender.flush().unwrap();
        } else {
            socket.send_fragment("held", Fin::More).unwrap();
            assert_eq!(stream.output(), b"");
            socket.flush().unwrap();
        }
        assert_eq!(stream.output()[0], 0x41);
    }
}

#[test]
fn message_as_long_as_one_may_be_is_taken_though_it_is_longer_on_the_wire_and_one_byte_more_is_not() {
    let deflate = set(|deflate| deflate.threshold = 0);
    for (excess, is_taken) in [(0, true), (1, false)] {
        for most in [100, usize::MAX] {
            runtime().block_on(async {
                let message = Message::from(noise(5000 + excess));
                let wire = wire_of(&deflate, usize::MAX, core::slice::from_ref(&message));
                assert!(wire.len() > 5000 + 8, "not compressible");
                let stream = Mock::new(wire);
                stream.change(|script| script.most = most);
                let mut config = timeless();
                config.max_message_size = 5000;
                let mut socket = resumed(&stream, &Deflate::default(), config);
                match socket.receive().await {
                    Ok(received) => assert!(is_taken && received == Some(message)),
                    Err(Error::Protocol(ProtocolError::MessageTooBig { len: 5001, max: 5000 })) => assert!(!is_taken),
                    Err(error) => panic!("{error}"),
                }
            });
        }
    }
}

#[test]
fn stream_that_would_block_anywhere_gives_the_same_on_the_blocking_adapter() {
    let messages: Vec<_> = [0, 64, 300].into_iter().flat_map(messages_of).chain(referring(3)).collect();
    let input = wire_of(&set(|deflate| deflate.threshold = 0), 250, &messages);
    for way in 0..3 {
        let agreement = agreement(&Deflate::default(), Role::Server, "permessage-deflate");
        let stream = Scripted::open(&input[..]);
        let stops = (0..input.len()).step_by(7).map(|at| (at, Some(std::io::ErrorKind::WouldBlock)));
        stream.script().read_stops = stops.collect();
        let mut socket = blocking::WebSocket::resume(stream.clone(), Connection::server(timeless()), &[]);
        socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
        for message in &messages {
            let received = match way {
                0 => persist_blocking(|| socket.receive()).unwrap().unwrap(),
                1 => loop {
                    match socket.receive_ref() {
                        Ok(message) => break message.unwrap().to_owned(),
                        Err(error) => assert!(error.is_would_block()),
                    }
                },
                _ => {
                    let mut gathered = Gathered::default();
                    loop {
                        match socket.receive_chunk() {
                            Ok(chunk) => {
                                if let Some(message) = gathered.add(&chunk.unwrap()) {
                                    break message;
                                }
                            }
                            Err(error) => assert!(error.is_would_block()),
                        }
                    }
                }
            };
            assert!(received == *message, "way {way}");
        }
        let encoded: u64 = messages.iter().map(len).sum();
        assert_eq!(socket.received().decoded_bytes, encoded);
    }
}

#[test]
fn bytes_behind_the_handshake_are_the_first_message_and_a_peer_that_knows_nothing_of_it_is_served() {
    let clock = Clock::new();
    test_kit::run(&clock, async {
        let pair = Pair::new(&clock);
        let (client, server) = pair.streams();
        let mut raw = RawPeer::client(client);
        let request = "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        raw.write(&[request.as_bytes(), &async_support::masked(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")].concat());
        let mut acceptor = test_kit::Acceptor::default();
        Arc::make_mut(&mut acceptor.handshake).deflate = Some(Deflate::default());
        let mut server = acceptor.accept(server).await.unwrap();
        server.expect_text("Hello").await;
        let head = String::from_utf8(raw.read_head().await).unwrap();
        assert!(head.contains("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"), "{head}");

        let (client, server) = pair.streams();
        let mut raw = RawPeer::client(client);
        raw.write(request.replace("Sec-WebSocket-Extensions: permessage-deflate\r\n", "").as_bytes());
        let mut server = acceptor.accept(server).await.unwrap();
        assert!(!String::from_utf8(raw.read_head().await).unwrap().contains("Extensions"));
        let long = "plain ".repeat(100);
        server.send(&long).await.unwrap();
        raw.expect_frame(OpCode::Text, long.as_bytes()).await;
        raw.write(&async_support::masked(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
        assert!(matches!(server.receive().await, Err(Error::Protocol(ProtocolError::ReservedBits))));
        raw.expect_close(CloseCode::PROTOCOL_ERROR).await;
    });
}

#[test]
fn bytes_of_a_character_that_is_cut_are_counted_once_where_the_way_of_receiving_changes() {
    let message = Message::from(noisy_text(3000));
    let next = Message::from(&message.as_text().unwrap()[..1000]);
    let wire = wire_of(&Deflate::default(), usize::MAX, &[message.clone(), next.clone()]);
    // From behind the header on.
    for cut in 9..40 {
        runtime().block_on(async {
            // Begun whole, and the rest in chunks; begun in chunks, and the rest skipped.
            for begins_whole in [true, false] {
                let stream = Mock::new(&wire[..cut]);
                let mut socket = resumed(&stream, &Deflate::default(), timeless());
                if begins_whole {
                    assert!(now(socket.receive()).is_none());
                } else {
                    while now(socket.receive_chunk()).is_some() {}
                }
                stream.feed(&wire[cut..]);
                while begins_whole && !socket.receive_chunk().await.unwrap().unwrap().is_last() {}
                assert_eq!(socket.receive().await.unwrap().as_ref(), Some(&next), "cut at {cut}");
                assert_eq!(socket.received().decoded_bytes, len(&message) + len(&next), "cut at {cut}, {begins_whole}");
            }
        });
    }
}
