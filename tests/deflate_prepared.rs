//! Prepared messages where an extension encodes: once for all connections that do it in the same way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use futures_util::future::join_all;
use sockeye::deflate::{Agreement, Context, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::{ClientRequest, Extensions};
use sockeye::tokio::{Acceptor, Connector, WebSocket};
use sockeye::{
    Assembler, Config, Connection, Encoder, ExtensionError, Fin, Message, MessageKind, MessageRef, PreparedMessage,
    Received, Role, Rsv, SendError, Uncompressed, Variant,
};
use tokio::io::{DuplexStream, duplex};

/// Turns each byte around, and counts how often.
struct Counting {
    calls: Arc<AtomicUsize>,
    variant: Option<u32>,
    threshold: usize,
}

impl Encoder for Counting {
    fn wants(&mut self, _: MessageKind, len: Option<usize>) -> bool {
        len.is_none_or(|len| len >= self.threshold)
    }

    fn encode(&mut self, piece: &[u8], _: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        output.extend(piece.iter().map(|byte| !byte));
        Ok(())
    }

    fn variant(&self) -> Option<Variant> {
        self.variant.map(|number| Variant { extension: "invert", number })
    }
}

/// A server with such an encoder.
fn counting(calls: &Arc<AtomicUsize>, variant: Option<u32>) -> Connection {
    let mut server = Connection::server(Config::default());
    server.extend(Rsv::RSV1, Box::new(Counting { calls: calls.clone(), variant, threshold: 3 }));
    server
}

fn inverted(first: u8, text: &str) -> Vec<u8> {
    let mut frame = vec![first, u8::try_from(text.len()).unwrap()];
    frame.extend(text.bytes().map(|byte| !byte));
    frame
}

fn settings(change: impl FnOnce(&mut Deflate)) -> Deflate {
    let mut deflate = Deflate::default();
    (deflate.context, deflate.peer_context) = (Context::NoTakeover, Context::NoTakeover);
    change(&mut deflate);
    deflate
}

fn agreed(deflate: &Deflate, role: Role, answer: &str) -> Agreement {
    deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap()
}

/// A connection that compresses, and its assembler.
fn end(deflate: &Deflate, role: Role) -> (Connection, Assembler) {
    let agreement = agreed(deflate, role, "permessage-deflate");
    let mut connection = match role {
        Role::Server => Connection::server(Config::default()),
        Role::Client => Connection::client_with_keys(Config::default(), || [0x37, 0xfa, 0x21, 0x3d]),
    };
    connection.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = connection.assembler();
    assembler.extend(agreement.decoder());
    (connection, assembler)
}

fn server(deflate: &Deflate) -> Connection {
    end(deflate, Role::Server).0
}

/// Where the payload lies that a connection lends of a prepared message, and whether it is compressed.
fn lent(connection: &mut Connection, message: &PreparedMessage) -> (*const u8, bool) {
    let [head, payload] = connection.prepared(message).unwrap();
    (payload.as_ptr(), head[0] & 0x40 != 0)
}

fn text() -> String {
    r#"{"price":17,"name":"a name that repeats"},"#.repeat(20)
}

#[test]
fn message_that_one_connection_cannot_encode_others_still_can() {
    struct Failing(bool);
    impl Encoder for Failing {
        fn encode(&mut self, piece: &[u8], _: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
            output.extend(piece.iter().map(|byte| !byte));
            if self.0 { Err(ExtensionError::new("broken", sockeye::CloseCode::INTERNAL_ERROR)) } else { Ok(()) }
        }
        fn variant(&self) -> Option<Variant> {
            Some(Variant { extension: "invert", number: 1 })
        }
    }
    let message = PreparedMessage::new("hello");
    for is_broken in [true, false, true, false] {
        let (mut server, mut output) = (Connection::server(Config::default()), Vec::new());
        server.extend(Rsv::RSV1, Box::new(Failing(is_broken)));
        let sent = server.send_prepared(&message, &mut output);
        assert_eq!((sent.is_err(), output), (is_broken, if is_broken { vec![] } else { inverted(0xc1, "hello") }));
    }
}

#[test]
fn message_that_would_not_get_shorter_is_shared_as_it_is() {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let message = PreparedMessage::new((0..1000).map(|_| next()).collect::<Vec<u8>>());
    let mut servers = [server(&settings(|_| {})), server(&settings(|_| {}))];
    for server in &mut servers {
        assert_eq!(lent(server, &message), (message.payload().as_ptr(), false));
        let mut output = Vec::new();
        server.send_prepared(&message, &mut output).unwrap();
        assert_eq!((output[0], &output[4..]), (0x82, &message.payload()[..]));
        assert_eq!((server.sent().decoded_bytes, server.sent().encoded_bytes), (0, 0));
    }
}

#[test]
fn message_is_encoded_once_for_all_connections_that_do_it_in_the_same_way() {
    let calls = Arc::default();
    let message = PreparedMessage::new("hello");
    let mut lent = Vec::new();
    for _ in 0..10 {
        let mut server = counting(&calls, Some(1));
        let [head, payload] = server.prepared(&message).unwrap();
        assert_eq!([head, payload].concat(), inverted(0xc1, "hello"));
        lent.push(payload.as_ptr());
        let mut output = Vec::new();
        server.send_prepared(&message, &mut output).unwrap();
        assert_eq!(output, inverted(0xc1, "hello"));
        let sent = server.sent();
        assert_eq!((sent.messages, sent.decoded_bytes, sent.encoded_bytes, sent.wire_bytes), (2, 10, 10, 14));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(lent.iter().all(|at| *at == lent[0]));
}

#[test]
fn each_way_and_each_mark_has_an_encoding_of_its_own_and_none_is_made_twice() {
    let calls = Arc::default();
    let message = PreparedMessage::new("hello");
    for round in 0..3 {
        for variant in 0..5 {
            let mut output = Vec::new();
            counting(&calls, Some(variant)).send_prepared(&message, &mut output).unwrap();
            assert_eq!(output, inverted(0xc1, "hello"));
            let mut other = Connection::server(Config::default());
            let encoder = Counting { calls: calls.clone(), variant: Some(variant), threshold: 0 };
            other.extend(Rsv::RSV2, Box::new(encoder));
            assert_eq!(other.prepared(&message).unwrap().concat(), inverted(0xa1, "hello"));
            let (counted, frame) = (other.sent(), other.prepared_frame(&message).unwrap());
            assert_eq!(frame, inverted(0xa1, "hello"));
            assert_eq!(other.sent().encoded_bytes, 2 * counted.encoded_bytes);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 10, "round {round}");
    }
}

#[test]
fn clones_share_what_was_encoded_before_and_after_they_were_made() {
    for is_encoded_first in [true, false] {
        let calls = Arc::default();
        let message = PreparedMessage::new(&b"binary"[..]);
        let send =
            |message: &PreparedMessage| counting(&calls, Some(1)).send_prepared(message, &mut Vec::new()).unwrap();
        if is_encoded_first {
            send(&message);
        }
        let clones = [message.clone(), message.clone().clone()];
        send(&clones[0]);
        send(&clones[1]);
        drop(message);
        send(&clones[1].clone());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        // Another message with the same payload is another message.
        send(&PreparedMessage::new(&b"binary"[..]));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn connection_that_refers_to_what_it_sent_before_encodes_its_own_and_lends_it_as_it_is() {
    let calls = Arc::default();
    let message = PreparedMessage::new("hello");
    for number in 1..4 {
        let mut server = counting(&calls, None);
        let mut output = Vec::new();
        server.send_prepared(&message, &mut output).unwrap();
        assert_eq!(output, inverted(0xc1, "hello"));
        assert_eq!(server.prepared(&message).unwrap().concat(), b"\x81\x05hello");
        assert_eq!(server.prepared_frame(&message).unwrap(), b"\x81\x05hello");
        assert_eq!(calls.load(Ordering::SeqCst), number);
    }
}

#[test]
fn what_the_encoder_does_not_want_goes_out_as_it_is() {
    let calls = Arc::default();
    for variant in [None, Some(1)] {
        let message = PreparedMessage::new("no");
        let mut server = counting(&calls, variant);
        let mut output = Vec::new();
        server.send_prepared(&message, &mut output).unwrap();
        assert_eq!(output, b"\x81\x02no");
        assert_eq!(server.prepared(&message).unwrap().concat(), b"\x81\x02no");
        assert_eq!(server.prepared_frame(&message).unwrap(), b"\x81\x02no");
        assert_eq!(server.sent().decoded_bytes, 0);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn message_that_cannot_be_sent_now_is_neither_encoded_nor_counted() {
    let calls = Arc::default();
    let message = PreparedMessage::new("hello");
    let mut server = counting(&calls, Some(1));
    server.send_fragment("open", Fin::More, &mut Vec::new()).unwrap();
    let before = (server.sent(), calls.load(Ordering::SeqCst));
    assert_eq!(server.prepared(&message).map(drop), Err(SendError::MessageOpen));
    assert_eq!(server.send_prepared(&message, &mut Vec::new()), Err(SendError::MessageOpen));
    assert_eq!((server.sent(), calls.load(Ordering::SeqCst)), before);
}

static TICK: PreparedMessage = PreparedMessage::from_static_text("a tick that many threads send at once");

#[test]
fn static_message_that_many_threads_send_at_once_is_encoded_once() {
    let calls = Arc::<AtomicUsize>::default();
    let barrier = Barrier::new(8);
    let lent: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number: u32| {
                let (calls, barrier) = (&calls, &barrier);
                scope.spawn(move || {
                    let mut server = counting(calls, Some(number % 2));
                    barrier.wait();
                    let [head, payload] = server.prepared(&TICK).unwrap();
                    assert_eq!([head, payload].concat(), inverted(0xc1, "a tick that many threads send at once"));
                    payload.as_ptr() as usize
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(lent.iter().enumerate().all(|(number, at)| *at == lent[number % 2]));
    assert_ne!(lent[0], lent[1]);
}

#[test]
fn compressed_message_is_lent_from_one_place_and_read_by_every_client() {
    let message = PreparedMessage::new(text());
    let deflate = settings(|_| {});
    let first = lent(&mut server(&deflate), &message);
    assert!(first.1 && first.0 != message.payload().as_ptr());
    for _ in 0..10 {
        let (mut server, (mut client, mut assembler)) = (server(&deflate), end(&deflate, Role::Client));
        for _ in 0..2 {
            assert_eq!(lent(&mut server, &message), first);
            let mut wire = server.prepared(&message).unwrap().concat();
            assert!(wire.len() < text().len() / 4);
            let received = client.receive_message(&mut &mut wire[..], &mut assembler, &mut Vec::new()).unwrap();
            assert_eq!(received, Some(Received::Message(MessageRef::Text(&text()))));
        }
        let sent = server.sent();
        assert_eq!((sent.messages, sent.decoded_bytes), (4, 4 * text().len() as u64));
        assert_eq!(sent.encoded_bytes, sent.payload_bytes);
    }
}

#[test]
fn levels_memory_and_windows_that_differ_have_encodings_that_differ() {
    let message = PreparedMessage::new(text());
    let bits = |bits| WindowBits::new(bits).unwrap();
    let all = [
        settings(|_| {}),
        settings(|deflate| deflate.level = Level::new(9).unwrap()),
        settings(|deflate| deflate.level = Level::new(2).unwrap()),
        settings(|deflate| deflate.memory_level = MemoryLevel::MAX),
        settings(|deflate| deflate.window_bits = WindowBits::MAX),
        settings(|deflate| deflate.window_bits = bits(10)),
    ];
    let first: Vec<_> = all.iter().map(|deflate| lent(&mut server(deflate), &message)).collect();
    for (number, one) in first.iter().enumerate() {
        assert!(one.1);
        assert!(!first[..number].contains(one), "{number}");
    }
    let again: Vec<_> = all.iter().map(|deflate| lent(&mut server(deflate), &message)).collect();
    assert_eq!(first, again);
    // What was agreed on counts, not what was set: a window of 15 where the peer allows 12 is the same as one of 12.
    let agreement = agreed(&all[4], Role::Server, "permessage-deflate; server_max_window_bits=12");
    let mut limited = Connection::server(Config::default());
    limited.extend(Rsv::RSV1, agreement.encoder());
    assert_eq!(lent(&mut limited, &message), first[0]);
    // And whoever has no context only because the peer asked for that.
    let asked = agreed(&Deflate::default(), Role::Server, "permessage-deflate; server_no_context_takeover");
    let mut asked_server = Connection::server(Config::default());
    asked_server.extend(Rsv::RSV1, asked.encoder());
    assert_eq!(lent(&mut asked_server, &message), first[0]);
}

#[test]
fn with_context_takeover_each_connection_compresses_by_what_it_sent_before() {
    let message = PreparedMessage::new(text());
    let deflate = Deflate::default();
    let (mut server, (mut client, mut assembler)) = (server(&deflate), end(&deflate, Role::Client));
    assert_eq!(lent(&mut server, &message), (message.payload().as_ptr(), false), "as it is");
    let mut lens = Vec::new();
    for _ in 0..3 {
        let mut wire = Vec::new();
        server.send_prepared(&message, &mut wire).unwrap();
        lens.push(wire.len());
        assert_eq!(wire[0], 0xc1);
        let received = client.receive_message(&mut &mut wire[..], &mut assembler, &mut Vec::new()).unwrap();
        assert_eq!(received, Some(Received::Message(MessageRef::Text(&text()))));
    }
    assert!(lens[1] < lens[0], "{lens:?}");
}

#[test]
fn short_message_is_not_compressed_and_an_empty_one_is_where_everything_is() {
    let deflate = settings(|_| {});
    for len in [0, 1, 63] {
        let message = PreparedMessage::new("a".repeat(len));
        assert_eq!(lent(&mut server(&deflate), &message), (message.payload().as_ptr(), false), "{len}");
        let mut output = Vec::new();
        server(&deflate).send_prepared(&message, &mut output).unwrap();
        assert_eq!(output[0], 0x81);
    }
    assert!(lent(&mut server(&deflate), &PreparedMessage::new("a".repeat(64))).1);
    let all = settings(|deflate| deflate.threshold = 0);
    assert_eq!(
        server(&all).prepared(&PreparedMessage::new("")).unwrap().concat(),
        b"\xc1\x01\x00",
        "RFC 7692 §7.2.3.6"
    );
}

#[test]
fn client_masks_its_copy_and_shares_the_compression() {
    let message = PreparedMessage::new(text());
    let deflate = settings(|_| {});
    let (mut client, _) = end(&deflate, Role::Client);
    assert_eq!(client.prepared(&message).map(drop), Err(SendError::MaskRequired));
    let [_, compressed] = server(&deflate).prepared(&message).map(|parts| parts.map(<[u8]>::to_vec)).unwrap();
    for _ in 0..2 {
        let mut wire = Vec::new();
        client.send_prepared(&message, &mut wire).unwrap();
        assert_eq!((wire[0], wire[1] & 0x80), (0xc1, 0x80));
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let payload = &wire[wire.len() - compressed.len()..];
        let unmasked: Vec<_> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        assert!(unmasked == compressed);
        let (mut server, mut assembler) = end(&deflate, Role::Server);
        let received = server.receive_message(&mut &mut wire[..], &mut assembler, &mut Vec::new()).unwrap();
        assert_eq!(received, Some(Received::Message(MessageRef::Text(&text()))));
    }
    assert!(lent(&mut server(&deflate), &message).1);
}

/// Connections in memory, some of which compress: as a server has them, and their clients.
async fn connections(count: usize) -> Vec<(WebSocket<DuplexStream>, WebSocket<DuplexStream>)> {
    let settings = [None, Some(settings(|_| {})), Some(Deflate::default())];
    join_all((0..count).map(|number| {
        let (client, server) = duplex(4096);
        let (mut acceptor, mut connector) = (Acceptor::default(), Connector::default());
        let deflate = settings[number % 3].clone();
        connector.handshake.deflate = deflate.clone();
        Arc::make_mut(&mut acceptor.handshake).deflate = deflate;
        async move {
            let request = ClientRequest::new("a.example", "/").unwrap();
            let (server, client) = tokio::join!(acceptor.accept(server), connector.handshake(client, request));
            let (server, client) = (server.unwrap(), client.unwrap());
            assert_eq!(server.deflate().is_some(), number % 3 > 0);
            let parameters = |agreement: &Agreement| {
                let contexts = (agreement.server_context(), agreement.client_context());
                (contexts, agreement.server_max_window_bits(), agreement.client_max_window_bits())
            };
            assert_eq!(server.deflate().map(parameters), client.deflate().map(parameters));
            (server, client)
        }
    }))
    .await
}

#[tokio::test(start_paused = true)]
async fn broadcast_arrives_at_every_connection_whether_and_however_it_compresses() {
    // One that is compressible, one that is hardly; longer than a fragment of 128 KiB, compressed or not.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(140_000)
    .chain([0; 10_000])
    .collect();
    let messages: [Message; 3] = [text().repeat(200).into(), noise.into(), "short".into()];
    let prepared: Vec<_> = messages.iter().cloned().map(PreparedMessage::new).collect();
    let connections = connections(50).await;
    let all = connections.into_iter().enumerate().map(|(number, (mut server, mut client))| {
        let (prepared, messages) = (prepared.clone(), &messages);
        async move {
            let sending = async {
                for _ in 0..2 {
                    for message in &prepared {
                        server.send(message).await.unwrap();
                    }
                }
                server
            };
            let receiving = async {
                for _ in 0..2 {
                    for message in messages {
                        assert!(client.receive().await.unwrap().as_ref() == Some(message), "connection {number}");
                    }
                }
                client
            };
            let (server, client) = tokio::join!(sending, receiving);
            assert_eq!(server.sent(), client.received(), "connection {number}");
            let sent = server.sent();
            assert_eq!(sent.messages, 6);
            match number % 3 {
                0 => assert_eq!(sent.decoded_bytes, 0),
                _ => {
                    let encoded: usize = messages[..2].iter().map(|message| message.as_ref().payload().len()).sum();
                    assert_eq!(sent.decoded_bytes, 2 * encoded as u64);
                    assert!(sent.encoded_bytes < sent.decoded_bytes * 9 / 10 || number % 3 == 2, "{sent:?}");
                }
            }
        }
    });
    join_all(all).await;
}

#[tokio::test(start_paused = true)]
async fn prepared_message_that_is_to_be_sent_as_it_is_is_not_compressed() {
    let message = PreparedMessage::new(text());
    for (mut server, mut client) in connections(3).await {
        server.send(Uncompressed(&message)).await.unwrap();
        server.send(Uncompressed(message.clone())).await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.receive().await.unwrap(), Some(text().into()));
        }
        let sent = server.sent();
        assert_eq!((sent.decoded_bytes, sent.payload_bytes), (0, 2 * text().len() as u64));
        // Both ways are one message still.
        server.send(&message).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), Some(text().into()));
        let is_compressed = client.response().unwrap().deflate().is_some();
        assert_eq!(server.sent().decoded_bytes, if is_compressed { text().len() as u64 } else { 0 });
    }
}
