//! Every frame that RFC 6455 §5.7 prints, byte for byte, in both directions.

mod common;

use common::wire::{CONTINUATION, FIN, KEY, TEXT};
use common::{Side, binary, ping, pong, text};
use sockeye::{Config, Connection, Fin, PreparedMessage, Rsv};

const UNMASKED_HELLO: &[u8] = &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const MASKED_HELLO: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
const FRAGMENTED_HELLO: [&[u8]; 2] = [&[0x01, 0x03, 0x48, 0x65, 0x6c], &[0x80, 0x02, 0x6c, 0x6f]];
const UNMASKED_PING: &[u8] = &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const MASKED_PONG: &[u8] = &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

/// A client whose masking key is that of the examples.
fn example_client() -> Connection {
    Connection::client_with_keys(Config::default(), || KEY)
}

/// Bytes to fill a message with.
fn some_bytes(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(len).collect()
}

#[test]
fn a_single_frame_unmasked_text_message_is_sent_as_printed() {
    let mut server = Side::server();
    server.send_text("Hello");
    assert_eq!(server.output, UNMASKED_HELLO);
}

#[test]
fn a_single_frame_unmasked_text_message_is_received_as_printed() {
    assert_eq!(Side::client().receive(UNMASKED_HELLO), [text("Hello")]);
    assert_eq!(Side::client().receive_by(1, UNMASKED_HELLO), [text("Hello")]);
}

#[test]
fn a_single_frame_masked_text_message_is_sent_as_printed() {
    let mut output = Vec::new();
    example_client().send_text("Hello", &mut output).unwrap();
    assert_eq!(output, MASKED_HELLO);
}

#[test]
fn a_single_frame_masked_text_message_is_received_as_printed() {
    assert_eq!(Side::server().receive(MASKED_HELLO), [text("Hello")]);
    assert_eq!(Side::server().receive_by(1, MASKED_HELLO), [text("Hello")]);
}

#[test]
fn a_fragmented_unmasked_text_message_is_sent_as_printed() {
    let mut server = Side::server();
    server.connection.send_fragment("Hel", Fin::More, &mut server.output).unwrap();
    assert_eq!(server.output, FRAGMENTED_HELLO[0]);
    server.connection.send_fragment("lo", Fin::Last, &mut server.output).unwrap();
    assert_eq!(server.output, FRAGMENTED_HELLO.concat());
    assert_eq!((server.output[0], server.output[5]), (TEXT, FIN | CONTINUATION));
}

#[test]
fn a_fragmented_unmasked_text_message_is_received_as_printed() {
    let mut client = Side::client();
    assert_eq!(client.receive(FRAGMENTED_HELLO[0]), []);
    assert_eq!(client.receive(FRAGMENTED_HELLO[1]), [text("Hello")]);
    assert_eq!(Side::client().receive_by(1, &FRAGMENTED_HELLO.concat()), [text("Hello")]);
}

#[test]
fn an_unmasked_ping_is_sent_as_printed() {
    let mut server = Side::server();
    server.send_ping(b"Hello");
    assert_eq!(server.output, UNMASKED_PING);
}

#[test]
fn an_unmasked_ping_is_answered_with_the_masked_pong_as_printed() {
    let (mut input, mut output) = (UNMASKED_PING.to_vec(), Vec::new());
    let event = example_client().receive(&mut &mut input[..], &mut output).unwrap();
    assert!(matches!(event, Some(sockeye::Event::Ping(payload)) if *payload == *b"Hello"));
    assert_eq!(output, MASKED_PONG);
    assert_eq!(Side::client().receive_by(1, UNMASKED_PING), [ping(b"Hello")]);
}

#[test]
fn a_masked_pong_is_received_as_printed() {
    assert_eq!(Side::server().receive(MASKED_PONG), [pong(b"Hello")]);
    assert_eq!(Side::server().receive_by(1, MASKED_PONG), [pong(b"Hello")]);
}

#[test]
fn a_binary_message_of_256_bytes_is_sent_and_received_as_printed() {
    let payload = some_bytes(256);
    let frame = [&[0x82, 0x7e, 0x01, 0x00][..], &payload].concat();
    let mut server = Side::server();
    server.send_binary(&payload);
    assert_eq!(server.output, frame);
    assert_eq!(Side::client().receive(&frame), [binary(&payload)]);
    assert_eq!(Side::client().receive_by(1, &frame), [binary(&payload)]);
}

#[test]
fn a_binary_message_of_64_kib_is_sent_and_received_as_printed() {
    let payload = some_bytes(65536);
    let frame = [&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0][..], &payload].concat();
    let mut server = Side::server();
    server.send_binary(&payload);
    assert_eq!(server.output, frame);
    assert_eq!(Side::client().receive(&frame), [binary(&payload)]);
    assert_eq!(Side::client().receive_by(7, &frame), [binary(&payload)]);
}

#[test]
fn a_prepared_message_is_encoded_at_compile_time_as_printed() {
    static HELLO: PreparedMessage = PreparedMessage::from_static_text("Hello");
    let mut server = Side::server();
    let parts = server.connection.prepared(&HELLO).unwrap();
    assert_eq!(parts.concat(), UNMASKED_HELLO);
    server.connection.send_prepared(&HELLO, &mut server.output).unwrap();
    assert_eq!(server.output, UNMASKED_HELLO);

    let mut output = Vec::new();
    example_client().send_prepared(&HELLO, &mut output).unwrap();
    assert_eq!(output, MASKED_HELLO);
}

#[test]
fn a_header_alone_is_encoded_as_printed() {
    let header = sockeye::FrameHeader {
        fin: true,
        rsv: Rsv::NONE,
        opcode: sockeye::OpCode::Text,
        masking_key: Some(KEY),
        payload_len: 5,
    };
    assert_eq!(&header.encode()[..], &MASKED_HELLO[..6]);
    assert_eq!(sockeye::FrameHeader::parse(MASKED_HELLO), Ok(Some((header, 6))));
}
