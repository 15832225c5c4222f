//! Chunks and whole messages of the same connection (RFC 6455 §5.4), through the engine and the blocking adapter.

use bytes::BytesMut;
use sockeye::blocking::{Plain, WebSocket};
use sockeye::{Assembler, Assembly, Config, Connection, Event, Message, MessageRef, Received};

/// "Hello" in two fragments, "A" and "B" in two, then "end", as a server sends them.
const WIRE: &[u8] = b"\x01\x03Hel\x80\x02lo\x01\x01A\x80\x01B\x81\x03end";

#[test]
fn the_rest_of_a_message_that_began_as_chunks_is_no_message() {
    let mut client = Connection::client(Config::default());
    let mut assembler = client.assembler();
    let (mut wire, mut output) = (WIRE.to_vec(), Vec::new());
    let mut input = &mut wire[..];
    let first = client.receive_message(&mut input, &mut assembler, &mut output).unwrap();
    assert_eq!(first, Some(Received::Message(MessageRef::Text("Hello"))));
    let Some(Event::Data(chunk)) = client.receive(&mut input, &mut output).unwrap() else { panic!("a chunk") };
    assert!(chunk.is_first() && !chunk.is_last());
    let next = client.receive_message(&mut input, &mut assembler, &mut output).unwrap();
    assert_eq!(next, Some(Received::Message(MessageRef::Text("end"))));
}

#[test]
fn the_blocking_adapter_skips_the_rest_of_a_message_that_began_as_chunks() {
    let mut socket = WebSocket::client(Plain(std::io::Cursor::new(WIRE.to_vec())), Config::default());
    assert_eq!(socket.receive().unwrap(), Some("Hello".into()));
    assert!(socket.receive_chunk().unwrap().unwrap().is_first());
    assert_eq!(socket.receive().unwrap(), Some("end".into()));
}

#[test]
fn bytes_in_flight_count_as_output_that_waits() {
    let mut config = Config::default();
    config.max_pending_pongs = 100;
    let mut client = Connection::client_with_keys(config, || [0; 4]);
    let mut output = Vec::new();
    client.set_in_flight(100);
    client.receive(&mut &mut b"\x89\x00".to_vec()[..], &mut output).unwrap();
    assert!(output.is_empty() && client.owes_pong());
    client.set_in_flight(0);
    client.receive(&mut &mut [][..], &mut output).unwrap();
    assert_eq!(output, b"\x8a\x80\0\0\0\0");
}

#[test]
fn a_message_gives_away_what_it_owns() {
    assert_eq!(Message::from("text").into_text(), Ok("text".to_string()));
    assert_eq!(Message::from(&b"bytes"[..]).into_text(), Err(Message::from(b"bytes".to_vec())));
    assert_eq!(&Message::from("text").into_payload()[..], b"text");
    assert_eq!((MessageRef::Text("a").as_text(), MessageRef::Text("a").as_binary()), (Some("a"), None));
    assert_eq!((MessageRef::Binary(b"a").as_text(), MessageRef::Binary(b"a").as_binary()), (None, Some(&b"a"[..])));
}

#[test]
fn a_message_whose_beginning_went_elsewhere_is_not_another_one() {
    let mut client = Connection::client(Config::default());
    let (mut assembler, mut output) = (client.assembler(), Vec::new());

    // A message begins in the assembler, and its end goes elsewhere.
    let mut wire = *b"\x02\x02AA\x80\x02AA";
    let (begin, end) = wire.split_at_mut(4);
    assert_eq!(client.receive_message(&mut &mut begin[..], &mut assembler, &mut output), Ok(None));
    assert!(matches!(client.receive(&mut &mut end[..], &mut output), Ok(Some(Event::Data(_)))));

    // Another one is received as a whole, in two frames.
    let mut wire = *b"\x02\x01B\x80\x01B";
    assert!(matches!(
        client.receive_message(&mut &mut wire[..], &mut assembler, &mut output),
        Ok(Some(Received::Message(_)))
    ));

    // The beginning of a third one goes elsewhere: "chunks of a message whose beginning went elsewhere are dropped".
    let mut wire = *b"\x02\x01C\x80\x01C";
    let (begin, end) = wire.split_at_mut(3);
    assert!(matches!(client.receive(&mut &mut begin[..], &mut output), Ok(Some(Event::Data(_)))));
    assert_eq!(client.receive_message(&mut &mut end[..], &mut assembler, &mut output), Ok(None));
}

#[test]
fn the_chunk_of_a_whole_message_is_the_same_wherever_it_stands() {
    let mut client = Connection::client(Config::default());
    let (frame, payload) = ([&b"\x82\x7f\0\0\0\0\0\x01\0\0"[..], &[7; 65_536]].concat(), [7; 65_536]);
    for _ in 0..2 {
        let (mut wire, mut output) = (frame.clone(), Vec::new());
        let whole = Event::Data(MessageRef::Binary(&payload).into());
        assert!(client.receive(&mut &mut wire[..], &mut output) == Ok(Some(whole)));
    }
}

/// All that a call makes of what is left.
type Call = fn(&mut Connection, &mut Assembler, &[u8]) -> Vec<Message>;

/// The calls that take an assembler, and pushing into it by hand.
const CALLS: [(&str, Call); 4] = [
    ("receive_message", |client, assembler, wire| buffered(client, assembler, wire, 0)),
    ("receive_buffered", |client, assembler, wire| buffered(client, assembler, wire, 1024)),
    ("receive_owned", |client, assembler, wire| {
        let (mut input, mut output) = (BytesMut::from(wire), Vec::new());
        let received = || client.receive_owned(&mut input, assembler, &mut output).unwrap();
        std::iter::from_fn(received).collect()
    }),
    ("push", |client, assembler, wire| {
        let (mut wire, mut output, mut messages) = (wire.to_vec(), Vec::new(), Vec::new());
        let mut input = &mut wire[..];
        while let Some(Event::Data(chunk)) = client.receive(&mut input, &mut output).unwrap() {
            match assembler.push(chunk).unwrap() {
                Assembly::Whole(message) => messages.push(message.to_owned()),
                Assembly::Complete => messages.push(assembler.take()),
                Assembly::Partial => {}
            }
        }
        messages
    }),
];

fn buffered(client: &mut Connection, assembler: &mut Assembler, wire: &[u8], room: usize) -> Vec<Message> {
    let (mut wire, mut output, mut messages) = (wire.to_vec(), Vec::new(), Vec::new());
    let mut input = &mut wire[..];
    while let Some(received) = client.receive_buffered(&mut input, room, assembler, &mut output).unwrap() {
        if let Received::Message(message) = received {
            messages.push(message.to_owned());
        }
    }
    messages
}

#[test]
fn the_end_of_a_message_is_not_put_to_the_beginning_of_one_before_it() {
    for (name, call) in CALLS {
        for between in [&b"\x80\x02AA\x02\x01B"[..], b"\x80\x02AA\x82\x01B\x01\x01C", b"\x00\x02AA\x80\x00\x01\x01B"] {
            let mut client = Connection::client(Config::default());
            let mut assembler = client.assembler();
            assert_eq!(buffered(&mut client, &mut assembler, b"\x02\x02AA", 0), []);
            // The end of that and the beginning of another go elsewhere.
            let (mut elsewhere, mut output) = (between.to_vec(), Vec::new());
            let mut input = &mut elsewhere[..];
            while client.receive(&mut input, &mut output).unwrap().is_some() {}
            assert_eq!(call(&mut client, &mut assembler, b"\x80\x01B\x81\x01D"), [Message::from("D")], "{name}");
        }
    }
}

#[test]
fn the_rest_of_a_message_that_began_as_chunks_may_be_longer_than_messages_are() {
    let mut config = Config::default();
    config.max_message_size = 4;
    for (name, call) in CALLS {
        // In one frame, in another, and where a message that went elsewhere has begun in the assembler.
        for (begin, begun, rest) in [
            (&b""[..], &b"\x82\x05AA"[..], &b"AAA\x81\x01D"[..]),
            (b"", b"\x02\x02AA", b"\x80\x03AAA\x81\x01D"),
            (b"\x02\x02AA", b"\x80\x00\x02\x02AA", b"\x80\x03AAA\x81\x01D"),
        ] {
            let mut client = Connection::client(config.clone());
            let mut assembler = client.assembler();
            assert_eq!(buffered(&mut client, &mut assembler, begin, 0), []);
            let (mut begun, mut output) = (begun.to_vec(), Vec::new());
            let mut input = &mut begun[..];
            while client.receive(&mut input, &mut output).unwrap().is_some() {}
            assert_eq!(call(&mut client, &mut assembler, rest), [Message::from("D")], "{name}");
        }
    }
}

/// A client whose next message has three bytes of five.
fn held() -> (Connection, Vec<u8>) {
    (Connection::client(Config::default()), b"\x81\x05Hel".to_vec())
}

#[test]
fn a_message_that_has_only_begun_is_left_where_it_lies_and_lent_from_there() {
    let (mut client, mut wire) = held();
    let (mut assembler, mut output) = (client.assembler(), Vec::new());
    let mut input = &mut wire[..];
    assert_eq!(client.receive_buffered(&mut input, 7, &mut assembler, &mut output), Ok(None));
    assert_eq!((&*input, client.lacks(input)), (&b"\x81\x05Hel"[..], Some(2)));
    assert!(client.received().wire_bytes == 0, "nothing of it is received");

    wire.extend_from_slice(b"lo");
    let at = wire[2..].as_ptr();
    let mut input = &mut wire[..];
    assert_eq!(client.lacks(input), None);
    match client.receive_buffered(&mut input, 7, &mut assembler, &mut output) {
        Ok(Some(Received::Message(MessageRef::Text("Hello")))) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!((input.len(), at), (0, wire[2..].as_ptr()));
    assert_eq!(assembler.message(), MessageRef::Binary(&[]), "it did not go through the assembler");
}

#[test]
fn a_message_that_will_not_fit_is_not_left_in_the_input() {
    let (mut client, mut wire) = held();
    let (mut assembler, mut output) = (client.assembler(), Vec::new());
    let mut input = &mut wire[..];
    assert_eq!(client.receive_buffered(&mut input, 6, &mut assembler, &mut output), Ok(None));
    assert!(input.is_empty());
    let mut rest = *b"lo";
    let received = client.receive_message(&mut &mut rest[..], &mut assembler, &mut output);
    assert_eq!(received, Ok(Some(Received::Message(MessageRef::Text("Hello")))));
}

#[test]
fn what_is_no_message_or_wrong_already_lacks_nothing() {
    let mut config = Config::default();
    (config.max_frame_size, config.max_message_size, config.max_fragments) = (200, 300, 3);
    let client = Connection::client(config);
    let nothing: [&[u8]; 13] = [
        b"",
        b"\x82\x00",                                                     // whole
        b"\x89\x05pi",                                                   // a ping
        b"\xc2\x05ab",                                                   // a reserved bit
        b"\x83\x05ab",                                                   // an opcode that there is not
        b"\x80\x05ab",                                                   // goes on with nothing
        b"\x82\x85\0\0\0\0ab",                                           // masked by a server
        b"\x82\x7e\x00\x05ab",                                           // not the shortest length
        b"\x82\x7e\x00\xc9ab",                                           // a frame of 201 bytes
        b"\x02\x7e\x00\x01a\x82\x05ab",                                  // a message in a message
        b"\x02\x02ab\x89\x05pi",                                         // a ping amid
        b"\x02\x00\x00\x00\x00\x00\x00\x00\x80\x05ab",                   // a fourth frame, and a fifth
        &[&[0x02, 0x7e, 0, 200][..], &[0; 200], &[0x80, 0x65]].concat(), // 301 bytes
    ];
    for input in nothing {
        assert_eq!(client.lacks(input), None, "{input:02x?}");
    }
    let something: [(&[u8], usize); 8] = [
        (b"\x82", 1),
        (b"\x82\x05", 5),
        (b"\x82\x7e", 2),
        (b"\x82\x7e\x00", 1),
        (b"\x82\x7e\x00\xc8", 200),
        (b"\x02\x02ab", 2),
        (b"\x02\x02ab\x00\x05", 5),
        (b"\x02\x02ab\x00\x00\x80\x05a", 4),
    ];
    for (input, lacking) in something {
        assert_eq!(client.lacks(input), Some(lacking), "{input:02x?}");
    }
    assert_eq!(Connection::server(Config::default()).lacks(b"\x82\x85\0"), Some(3));
}

#[test]
fn a_message_in_very_many_frames_is_not_looked_through_again_and_again() {
    let client = Connection::client(Config::default());
    let begun = [&b"\x02\x01a"[..], &b"\x00\x01a".repeat(6)].concat();
    assert_eq!(client.lacks(&begun), Some(2));
    assert_eq!(client.lacks(&[&begun[..], b"\x00\x01a"].concat()), None);
}
