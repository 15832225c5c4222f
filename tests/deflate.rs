//! permessage-deflate (RFC 7692) in the engine: the RFC's worked examples, the shape of what is sent, and what is made of
//! whatever comes.

use std::num::NonZeroU32;

use sockeye::deflate::{Agreement, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{
    Assembler, CloseCode, Config, Connection, Event, Fin, FrameHeader, OpCode, ProtocolError, Received, Role, Rsv,
    Uncompressed,
};

const PLAIN: &str = "permessage-deflate";

const NO_CONTEXT: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Bytes that cannot be compressed.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The settings of the RFC's examples: everything is compressed.
fn settings() -> Deflate {
    let mut deflate = Deflate::default();
    deflate.threshold = 0;
    deflate.window_bits = WindowBits::MAX;
    deflate.level = Level::new(6).unwrap();
    deflate.memory_level = MemoryLevel::new(8).unwrap();
    deflate
}

fn agreed(deflate: &Deflate, role: Role, answer: &str) -> Agreement {
    deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap()
}

/// A connection that compresses, and its assembler.
fn end(deflate: &Deflate, role: Role, answer: &str) -> (Connection, Assembler) {
    let agreement = agreed(deflate, role, answer);
    let mut connection = match role {
        Role::Server => Connection::server(Config::default()),
        Role::Client => Connection::client_with_keys(Config::default(), || [0; 4]),
    };
    connection.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = connection.assembler();
    assembler.extend(agreement.decoder());
    (connection, assembler)
}

/// What a client makes of these bytes from its server: whole messages, or what is wrong.
fn receive((client, assembler): &mut (Connection, Assembler), wire: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let (mut wire, mut output, mut messages) = (wire.to_vec(), Vec::new(), Vec::new());
    let mut input = &mut wire[..];
    while let Some(received) = client.receive_message(&mut input, assembler, &mut output)? {
        let Received::Message(message) = received else { continue };
        messages.push(message.payload().to_vec());
    }
    Ok(messages)
}

#[test]
fn the_examples_of_rfc_7692_are_read() {
    let client = || end(&settings(), Role::Client, PLAIN);
    let hello = vec![b"Hello".to_vec()];
    // §7.2.3.1: one frame; the same in two.
    let one = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_eq!(receive(&mut client(), one).unwrap(), hello);
    assert_eq!(receive(&mut client(), b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00").unwrap(), hello);
    // §7.2.3.2: a second message that refers to the first.
    let mut both = client();
    assert_eq!(receive(&mut both, one).unwrap(), hello);
    assert_eq!(receive(&mut both, b"\xc1\x05\xf2\x00\x11\x00\x00").unwrap(), hello);
    // §7.2.3.3: a block without compression.
    let stored = b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    assert_eq!(receive(&mut client(), stored).unwrap(), hello);
    // §7.2.3.4: a final block, and an empty one behind it.
    assert_eq!(receive(&mut client(), b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00").unwrap(), hello);
    // §7.2.3.5: two blocks.
    let two = b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    assert_eq!(receive(&mut client(), two).unwrap(), hello);
    // §7.2.3.6: nothing.
    assert_eq!(receive(&mut client(), b"\xc1\x01\x00").unwrap(), [b""]);
}

#[test]
fn the_examples_of_rfc_7692_are_written() {
    let mut output = Vec::new();
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    server.send_text("Hello", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", "§7.2.3.1");
    output.clear();
    server.send_text("Hello", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x05\xf2\x00\x11\x00\x00", "§7.2.3.2");
    output.clear();
    server.send_text("", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x01\x00", "§7.2.3.6");

    output.clear();
    let mut stored = settings();
    stored.level = Level::MIN;
    let (mut server, _) = end(&stored, Role::Server, PLAIN);
    server.send_text("Hello", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "§7.2.3.3");
}

/// The first byte and the payload of each frame that a server sent.
fn frames(mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((header, len)) = FrameHeader::parse(wire).unwrap() {
        let (frame, rest) = wire.split_at(len + usize::try_from(header.payload_len).unwrap());
        frames.push((frame[0], frame[len..].to_vec()));
        wire = rest;
    }
    assert!(wire.is_empty());
    frames
}

/// A frame from a server.
fn frame(fin: bool, rsv: Rsv, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { fin, rsv, opcode, masking_key: None, payload_len: payload.len() as u64 };
    [&header.encode()[..], payload].concat()
}

/// What becomes of a compressed text message with this payload: its text, or the close code.
fn inflated(payload: &[u8]) -> Result<Vec<Vec<u8>>, CloseCode> {
    let mut client = end(&settings(), Role::Client, PLAIN);
    receive(&mut client, &frame(true, Rsv::RSV1, OpCode::Text, payload)).map_err(|error| error.close_code())
}

// What is sent

#[test]
fn a_message_is_one_frame_and_marked() {
    for level in 0..=9 {
        let mut deflate = settings();
        deflate.level = Level::new(level).unwrap();
        let (mut server, _) = end(&deflate, Role::Server, PLAIN);
        let mut output = Vec::new();
        for message in ["a".repeat(100_000), "short".into()] {
            output.clear();
            server.send_text(&message, &mut output).unwrap();
            let frames = frames(&output);
            assert_eq!((frames.len(), frames[0].0), (1, 0xc1), "level {level}");
        }
    }
}

#[test]
fn a_message_below_the_threshold_is_sent_as_it_is() {
    let mut deflate = settings();
    deflate.threshold = 10;
    let (mut server, _) = end(&deflate, Role::Server, PLAIN);
    let mut output = Vec::new();
    server.send_text("aaaaaaaaa", &mut output).unwrap();
    server.send_text("aaaaaaaaaa", &mut output).unwrap();
    let firsts: Vec<_> = frames(&output).into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0x81, 0xc1]);
    assert_eq!((server.sent().decoded_bytes, server.sent().payload_bytes - server.sent().encoded_bytes), (10, 9));
}

#[test]
fn a_message_that_would_not_get_shorter_is_sent_as_it_is_and_is_not_in_the_context() {
    let (text, noise) = ("what the two ends know. ".repeat(8), noise(1024));
    for (answer, level) in [PLAIN, NO_CONTEXT].into_iter().flat_map(|answer| (0..=9).map(move |level| (answer, level)))
    {
        let mut deflate = settings();
        (deflate.threshold, deflate.level) = (1, Level::new(level).unwrap());
        let (mut server, _) = end(&deflate, Role::Server, answer);
        let mut client = end(&deflate, Role::Client, answer);
        let mut output = Vec::new();
        server.send_text(&text, &mut output).unwrap();
        let counted = (server.sent().decoded_bytes, server.sent().encoded_bytes);
        server.send_binary(&noise, &mut output).unwrap();
        assert_eq!(counted, (server.sent().decoded_bytes, server.sent().encoded_bytes), "it is not counted as encoded");
        server.send_text(&text, &mut output).unwrap();
        let sent = frames(&output);
        assert_eq!(sent[1], (0x82, noise.clone()), "{answer}, level {level}");
        let is_compressed = level > 0;
        assert_eq!(sent[2].0, if is_compressed { 0xc1 } else { 0x81 }, "{answer}, level {level}");
        if is_compressed && answer == PLAIN {
            assert!(sent[2].1.len() < sent[0].1.len() / 2, "it refers to the first, level {level}");
        }
        let received = receive(&mut client, &output).unwrap();
        assert_eq!(received, [text.as_bytes(), &noise, text.as_bytes()], "{answer}, level {level}");
    }
}

#[test]
fn without_a_threshold_everything_is_compressed_whatever_comes_of_it() {
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    let mut output = Vec::new();
    server.send_binary(&noise(1024), &mut output).unwrap();
    assert_eq!(frames(&output)[0].0, 0xc2);
    assert!(frames(&output)[0].1.len() > 1024);
}

#[test]
fn only_a_message_whose_length_is_known_has_to_come_up_to_the_threshold() {
    let mut deflate = settings();
    deflate.threshold = usize::MAX;
    let (mut server, _) = end(&deflate, Role::Server, PLAIN);
    let mut output = Vec::new();
    server.send_fragment("whole, whole, whole, whole", Fin::Last, &mut output).unwrap();
    server.send_fragment("in pieces, ", Fin::More, &mut output).unwrap();
    server.send_fragment("in pieces, in pieces", Fin::Last, &mut output).unwrap();
    let firsts: Vec<_> = frames(&output).into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0x81, 0xc1]);
}

#[test]
fn what_is_sent_uncompressed_is_not_in_the_context() {
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    let mut client = end(&settings(), Role::Client, PLAIN);
    let mut output = Vec::new();
    server.send(Uncompressed("a secret, a secret"), &mut output).unwrap();
    assert_eq!(frames(&output)[0], (0x81, b"a secret, a secret".to_vec()));
    server.send("a secret, a secret", &mut output).unwrap();
    assert_eq!(frames(&output)[1].0, 0xc1);
    assert_eq!(receive(&mut client, &output).unwrap(), vec![b"a secret, a secret".to_vec(); 2]);
}

#[test]
fn the_fragments_of_a_message_are_compressed_as_one_and_the_first_is_marked() {
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    let mut client = end(&settings(), Role::Client, PLAIN);
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + (state >> 58) as u8)
    };
    let noise: String = (0..300_000).map(|_| next()).collect();
    let mut output = Vec::new();
    for (piece, fin) in
        [("", Fin::More), (&noise[..150_000], Fin::More), (&noise[150_000..], Fin::More), ("", Fin::Last)]
    {
        server.send_fragment(piece, fin, &mut output).unwrap();
        server.send_ping(b"between", &mut output).unwrap();
    }
    let data: Vec<_> = frames(&output).into_iter().filter(|(first, _)| first & 8 == 0).collect();
    assert!(data.len() > 1);
    assert_eq!(data[0].0, 0x41, "RSV1, and no FIN");
    assert!(data[1..data.len() - 1].iter().all(|(first, _)| *first == 0), "no RSV1 on what continues");
    assert_eq!(data[data.len() - 1].0, 0x80);
    assert_eq!(receive(&mut client, &output).unwrap(), [noise.into_bytes()]);
}

#[test]
fn a_message_in_empty_fragments_is_an_empty_message() {
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    let mut output = Vec::new();
    server.send_fragment("", Fin::More, &mut output).unwrap();
    server.send_fragment("", Fin::Last, &mut output).unwrap();
    assert_eq!(output, b"\xc1\x01\x00");
    assert_eq!(receive(&mut end(&settings(), Role::Client, PLAIN), &output).unwrap(), [b""]);
}

#[test]
fn a_window_of_8_bits_is_kept_to() {
    // What repeats does so 300 bytes later, and each message is too short to repeat itself.
    let block: Vec<u8> = (0..300u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let messages: Vec<_> = block.repeat(4).chunks(12).map(<[u8]>::to_vec).collect();
    for level in 1..=9 {
        let mut deflate = settings();
        deflate.level = Level::new(level).unwrap();
        for (bits, is_kept_to) in [(8, true), (10, false)] {
            let answer = format!("permessage-deflate; server_max_window_bits={bits}");
            let (mut server, _) = end(&deflate, Role::Server, &answer);
            // The client keeps the last 256 bytes, and no more.
            let mut client = end(&deflate, Role::Client, "permessage-deflate; server_max_window_bits=8");
            let mut output = Vec::new();
            messages.iter().for_each(|message| server.send_binary(message, &mut output).unwrap());
            let received = receive(&mut client, &output);
            match is_kept_to {
                true => assert_eq!(received.unwrap(), messages, "level {level}"),
                false => assert_eq!(received.unwrap_err().close_code(), CloseCode::INVALID_PAYLOAD, "level {level}"),
            }
        }
    }
}

#[test]
fn without_context_a_compressor_forgets_every_message_however_that_ended() {
    let agreement = agreed(&settings(), Role::Server, NO_CONTEXT);
    let secret = b"a secret that is long enough to be referred to";
    let alone = {
        let (mut encoder, mut payload) = (agreement.encoder(), Vec::new());
        encoder.encode(secret, Fin::Last, &mut payload).unwrap();
        payload
    };
    for way in 0..4 {
        let (mut encoder, mut payload) = (agreement.encoder(), Vec::new());
        match way {
            0 => encoder.encode(secret, Fin::Last, &mut payload).unwrap(),
            1 => assert!(encoder.encode_whole(secret, &mut payload).unwrap()),
            _ => {
                encoder.encode(secret, Fin::More, &mut payload).unwrap();
                if way == 2 {
                    encoder.flush(&mut payload).unwrap();
                }
                encoder.encode(b"", Fin::Last, &mut payload).unwrap();
            }
        }
        // All connections here share what compresses.
        for encoder in [&mut encoder, &mut agreement.encoder()] {
            payload.clear();
            encoder.encode(secret, Fin::Last, &mut payload).unwrap();
            assert_eq!(payload, alone, "way {way}");
        }
    }
}

#[test]
fn what_an_encoder_holds_back_can_be_flushed_in_the_middle_of_a_message() {
    let agreement = agreed(&settings(), Role::Server, PLAIN);
    let mut encoder = agreement.encoder();
    let mut payload = Vec::new();
    encoder.encode(b"Hello", Fin::More, &mut payload).unwrap();
    encoder.flush(&mut payload).unwrap();
    assert!(payload.ends_with(&[0, 0, 0xff, 0xff]), "all of it is out");
    let flushed = payload.len();
    encoder.flush(&mut payload).unwrap();
    assert_eq!(payload.len(), flushed, "and it is not there twice");
    encoder.encode(b"", Fin::Last, &mut payload).unwrap();
    assert_eq!(inflated(&payload).unwrap(), [b"Hello"]);
}

#[test]
fn a_secret_cannot_be_added_to_a_message_that_is_compressed() {
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    let mut output = Vec::new();
    server.send_fragment("public", Fin::More, &mut output).unwrap();
    let refused = server.send_fragment(Uncompressed("secret"), Fin::Last, &mut output);
    assert_eq!((refused, &output[..]), (Err(sockeye::SendError::FragmentCompressed), &b""[..]));
    server.send_fragment("!", Fin::Last, &mut output).unwrap();
    // The other way round the first one decides, too.
    output.clear();
    server.send_fragment(Uncompressed("secret"), Fin::More, &mut output).unwrap();
    server.send_fragment("public", Fin::Last, &mut output).unwrap();
    assert_eq!(output, b"\x01\x06secret\x80\x06public");
}

#[test]
fn what_an_engine_holds_back_is_flushed_as_one_more_fragment() {
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    let mut client = end(&settings(), Role::Client, PLAIN);
    let mut output = Vec::new();
    server.flush_message(&mut output).unwrap();
    server.send_fragment("Hel", Fin::More, &mut output).unwrap();
    assert_eq!(output, b"", "it is held back");
    server.flush_message(&mut output).unwrap();
    server.flush_message(&mut output).unwrap();
    assert_eq!(frames(&output).len(), 1);
    server.send_fragment("lo", Fin::Last, &mut output).unwrap();
    server.flush_message(&mut output).unwrap();
    assert_eq!(frames(&output).into_iter().map(|(first, _)| first).collect::<Vec<_>>(), [0x41, 0x80]);
    assert_eq!(receive(&mut client, &output).unwrap(), [b"Hello"]);
}

#[test]
fn when_the_source_of_keys_panics_amid_a_compressed_message_nothing_can_be_sent_after_it() {
    let agreement = agreed(&settings(), Role::Client, PLAIN);
    let mut config = Config::default();
    config.fragment_size = 100;
    let mut left = 3;
    let mut client = Connection::client_with_keys(config, move || {
        left -= 1;
        assert!(left > 0, "no key");
        [1; 4]
    });
    client.extend(Rsv::RSV1, agreement.encoder());
    let mut output = Vec::new();
    let sending = std::panic::AssertUnwindSafe(|| client.send_binary(&noise(1000), &mut output));
    assert!(std::panic::catch_unwind(sending).is_err());
    assert_eq!(client.send_text("more", &mut output), Err(sockeye::SendError::Closed));
}

// What is received

#[test]
fn the_mark_is_refused_where_it_may_not_be() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let first = frame(false, Rsv::RSV1, OpCode::Text, &hello[..3]);
    for wrong in [
        [first, frame(true, Rsv::RSV1, OpCode::Continuation, &hello[3..])].concat(),
        [frame(false, Rsv::NONE, OpCode::Text, b"a"), frame(true, Rsv::RSV1, OpCode::Continuation, hello)].concat(),
        frame(true, Rsv::RSV1, OpCode::Ping, b""),
        frame(true, Rsv::RSV1, OpCode::Pong, b""),
        frame(true, Rsv::RSV1, OpCode::Close, b""),
        frame(true, Rsv::RSV2, OpCode::Text, hello),
        frame(true, Rsv::RSV3, OpCode::Text, hello),
        [&[0b1110_0001, 7], &hello[..]].concat(),
    ] {
        let refused = receive(&mut end(&settings(), Role::Client, PLAIN), &wrong);
        assert_eq!(refused, Err(ProtocolError::ReservedBits));
    }
    let mut plain = Connection::client_with_keys(Config::default(), || [0; 4]);
    let assembler = plain.assembler();
    let mut wire = frame(true, Rsv::RSV1, OpCode::Text, hello);
    assert_eq!(plain.receive(&mut &mut wire[..], &mut Vec::new()), Err(ProtocolError::ReservedBits));
    drop(assembler);
}

#[test]
fn what_is_corrupt_or_breaks_off_is_refused() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for (what, payload) in [
        ("nothing at all", &b""[..]),
        ("a kind of block that there is not", b"\x06\x00"),
        ("a block that breaks off", &hello[..4]),
        ("a block that breaks off before its end", &hello[..6]),
        ("a tail that was not taken off", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"),
        ("a length that is not twice the same", b"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"),
        ("a block without compression that breaks off", b"\x00\x05\x00\xfa\xff\x48"),
        ("one that breaks off by more than the tail", b"\x00\x05\x00\xfa\xff"),
        ("one without an empty one behind it", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f"),
        ("a reference to what was before the first byte", b"\xf2\x00\x11\x00\x00"),
        ("UTF-8 that is none", b"\x00\x01\x00\xfe\xff\xff\x00"),
        ("a character that breaks off", b"\x00\x01\x00\xfe\xff\xc3\x00"),
    ] {
        assert_eq!(inflated(payload), Err(CloseCode::INVALID_PAYLOAD), "{what}");
    }
}

#[test]
fn a_message_that_breaks_off_anywhere_is_refused_when_it_ends_and_not_before() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for at in 0..hello.len() {
        let mut client = end(&settings(), Role::Client, PLAIN);
        assert_eq!(receive(&mut client, &frame(false, Rsv::RSV1, OpCode::Text, &hello[..at])), Ok(vec![]));
        let refused = receive(&mut client, &frame(true, Rsv::NONE, OpCode::Continuation, b""));
        assert_eq!(refused.map_err(|error| error.close_code()), Err(CloseCode::INVALID_PAYLOAD), "{at} bytes");
    }
}

#[test]
fn a_tail_that_was_not_taken_off_does_no_harm_before_another_empty_block() {
    assert_eq!(inflated(b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00").unwrap(), [b"Hello"]);
}

#[test]
fn final_blocks_end_nothing_but_themselves() {
    let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    // As the RFC has it, with an empty block behind; and as some senders have it, without.
    assert_eq!(inflated(&[&last[..], &[0]].concat()).unwrap(), [b"Hello"]);
    assert_eq!(inflated(last).unwrap(), [b"Hello"]);
    assert_eq!(inflated(&[last, last, &[0][..]].concat()).unwrap(), [b"HelloHello"]);
    // The empty block whose tail is not sent may be a final one, too.
    assert_eq!(inflated(b"\x01").unwrap(), [b""]);
    assert_eq!(inflated(&[&last[..], &[1]].concat()).unwrap(), [b"Hello"]);
    // What follows refers to what came before, in the same message and in the next.
    assert_eq!(inflated(b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00").unwrap(), [b"HelloHello"]);
    let mut client = end(&settings(), Role::Client, PLAIN);
    let all =
        [&last[..], b"\x01", b"\xf2\x00\x11\x00\x00"].map(|payload| frame(true, Rsv::RSV1, OpCode::Text, payload));
    assert_eq!(receive(&mut client, &all.concat()).unwrap(), [&b"Hello"[..], b"", b"Hello"]);
    // In fragments, cut behind the final block.
    let mut client = end(&settings(), Role::Client, PLAIN);
    let cut = [frame(false, Rsv::RSV1, OpCode::Text, last), frame(true, Rsv::NONE, OpCode::Continuation, b"")];
    assert_eq!(receive(&mut client, &cut.concat()).unwrap(), [b"Hello"]);
}

#[test]
fn a_final_block_that_ends_a_message_is_not_taken_for_one_of_the_next() {
    // Hello, and an empty final block whose tail is not sent; as often as there could not be final blocks besides.
    let message = [frame(true, Rsv::RSV1, OpCode::Text, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x01")];
    let nothing = [frame(false, Rsv::RSV1, OpCode::Text, b""), frame(true, Rsv::NONE, OpCode::Continuation, b"")];
    let mut client = end(&settings(), Role::Client, PLAIN);
    for _ in 0..64 {
        assert_eq!(receive(&mut client, &message.concat()).unwrap(), [b"Hello"]);
    }
    assert_eq!(
        receive(&mut client, &nothing.concat()).map_err(|error| error.close_code()),
        Err(CloseCode::INVALID_PAYLOAD)
    );
}

#[test]
fn the_ratio_is_looked_at_in_the_same_places_wherever_the_message_is_cut() {
    let mut deflate = settings();
    deflate.max_ratio = NonZeroU32::new(100);
    let frame_of = |message: &[u8]| {
        let mut payload = Vec::new();
        agreed(&settings(), Role::Server, PLAIN).encoder().encode(message, Fin::Last, &mut payload).unwrap();
        frame(true, Rsv::RSV1, OpCode::Binary, &payload)
    };
    // Too dense in the beginning; dense enough to be so at the end alone; and not before the first 64 KiB.
    let dense_first = [vec![0; 70_000], noise(20_000)].concat();
    let dense_last = [noise(600), vec![0; 90_000]].concat();
    let short = [vec![0; 60_000], noise(20_000)].concat();
    for (message, is_fine) in [(dense_first, false), (dense_last, false), (short, true)] {
        let wire = frame_of(&message);
        for cut in [1, 7, 100, usize::MAX] {
            let (mut client, mut assembler) = end(&deflate, Role::Client, PLAIN);
            let result = wire.chunks(cut.min(wire.len())).try_fold(0, |count, piece| {
                let mut piece = piece.to_vec();
                let received = client.receive_message(&mut &mut piece[..], &mut assembler, &mut Vec::new())?;
                Ok::<_, ProtocolError>(count + usize::from(received.is_some()))
            });
            let expected = if is_fine { Ok(1) } else { Err(CloseCode::MESSAGE_TOO_BIG) };
            assert_eq!(result.map_err(|error| error.close_code()), expected, "{} bytes by {cut}", message.len());
        }
    }
}

#[test]
fn all_input_is_taken_also_where_what_it_decodes_to_is_wrong() {
    let (mut client, mut assembler) = end(&settings(), Role::Client, PLAIN);
    let mut wire =
        [frame(true, Rsv::RSV1, OpCode::Text, b"\x06\x00"), frame(true, Rsv::NONE, OpCode::Text, b"more")].concat();
    let mut input = &mut wire[..];
    assert!(client.receive_message(&mut input, &mut assembler, &mut Vec::new()).is_err());
    assert!(input.is_empty());
}

#[test]
fn text_that_nobody_takes_is_checked_all_the_same() {
    for (rest, is_text) in [(&b"caf\xc3\xa9"[..], true), (b"caf\xc3", false), (b"caf\xff", false), (b"\xa9", false)] {
        let len = u8::try_from(rest.len()).unwrap();
        let mut payload = vec![0, 1, 0, 0xfe, 0xff, b'a', 0, len, 0, !len, 0xff];
        let cut = 6;
        payload.extend(rest);
        payload.push(0);
        let (mut client, mut assembler) = end(&settings(), Role::Client, PLAIN);
        let mut first = frame(false, Rsv::RSV1, OpCode::Text, &payload[..cut]);
        let mut input = &mut first[..];
        let Ok(Some(Event::Data(chunk))) = client.receive(&mut input, &mut Vec::new()) else { panic!() };
        let mut left = Some(chunk);
        while assembler.decode(&mut left).unwrap().is_some() {}
        // From here on it takes messages.
        let last = frame(true, Rsv::NONE, OpCode::Continuation, &payload[cut..]);
        let next = frame(true, Rsv::NONE, OpCode::Text, b"next");
        let received = receive(&mut (client, assembler), &[last, next].concat());
        match is_text {
            true => assert_eq!(received.unwrap(), [b"next"]),
            false => assert_eq!(received, Err(ProtocolError::InvalidUtf8)),
        }
    }
}

#[test]
fn without_context_nothing_may_refer_to_the_message_before() {
    let mut client = end(&settings(), Role::Client, "permessage-deflate; server_no_context_takeover");
    let hello = frame(true, Rsv::RSV1, OpCode::Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let again = frame(true, Rsv::RSV1, OpCode::Text, b"\xf2\x00\x11\x00\x00");
    assert_eq!(receive(&mut client, &hello).unwrap(), [b"Hello"]);
    assert_eq!(receive(&mut client, &again).map_err(|error| error.close_code()), Err(CloseCode::INVALID_PAYLOAD));
}

#[test]
fn without_context_a_message_may_refer_across_its_own_final_blocks_and_no_further() {
    let alone = "permessage-deflate; server_no_context_takeover; server_max_window_bits=8";
    let mut client = end(&settings(), Role::Client, alone);
    let [last, again] = [b"\xf3\x48\xcd\xc9\xc9\x07\x00".as_slice(), b"\xf2\x00\x11\x00\x00"];
    let across = [frame(false, Rsv::RSV1, OpCode::Text, last), frame(true, Rsv::NONE, OpCode::Continuation, again)];
    assert_eq!(receive(&mut client, &across.concat()).unwrap(), [b"HelloHello"]);
    let refused = receive(&mut client, &frame(true, Rsv::RSV1, OpCode::Text, again));
    assert_eq!(refused.map_err(|error| error.close_code()), Err(CloseCode::INVALID_PAYLOAD));
}

#[test]
fn the_characters_of_a_text_may_be_cut_wherever_a_step_ends_and_it_may_have_just_the_limit() {
    for start in ["", "a", "ab", "abc"] {
        let message = start.to_owned() + &"€😀é".repeat(6_000);
        let mut wire = Vec::new();
        end(&settings(), Role::Server, PLAIN).0.send_text(&message, &mut wire).unwrap();
        for (max, is_within) in [(message.len(), true), (message.len() - 1, false), (message.len() - 2, false)] {
            for piece in [7, wire.len()] {
                let mut config = Config::default();
                config.max_message_size = max;
                let mut client = end(&settings(), Role::Client, PLAIN);
                client.1 = Assembler::new(config);
                client.1.extend(agreed(&settings(), Role::Client, PLAIN).decoder());
                let received: Result<Vec<_>, _> = wire.chunks(piece).map(|piece| receive(&mut client, piece)).collect();
                let len = max as u64 + 1;
                match is_within {
                    true => assert!(received.unwrap().concat() == [message.as_bytes()]),
                    false => assert_eq!(received, Err(ProtocolError::MessageTooBig { len, max: max as u64 })),
                }
            }
        }
    }
}

#[test]
fn every_limit_on_messages_from_0_to_the_largest_is_kept_to() {
    for (max, len) in [0, 1, 2, usize::MAX].into_iter().flat_map(|max| [0, 1, 2, 3, 20_000].map(|len| (max, len))) {
        for fragment_size in [0, 1, usize::MAX] {
            let mut config = Config::default();
            (config.max_message_size, config.fragment_size, config.max_fragments) = (max, fragment_size, u32::MAX);
            let agreement = agreed(&settings(), Role::Server, PLAIN);
            let (mut server, mut wire) = (Connection::server(config.clone()), Vec::new());
            server.extend(Rsv::RSV1, agreement.encoder());
            server.send_binary(&vec![7; len], &mut wire).unwrap();
            let mut client = end(&settings(), Role::Client, PLAIN);
            client.1 = Assembler::new(config);
            client.1.extend(agreement.decoder());
            match len <= max {
                true => assert_eq!(receive(&mut client, &wire), Ok(vec![vec![7; len]])),
                false => assert_eq!(
                    receive(&mut client, &wire),
                    Err(ProtocolError::MessageTooBig { len: max as u64 + 1, max: max as u64 })
                ),
            }
        }
    }
}

#[test]
fn text_is_refused_as_soon_as_it_is_wrong_and_not_when_it_ends() {
    // A byte that no text has, and then a megabyte that never comes.
    let mut wire = b"\x41\x7f\xff\xff".to_vec();
    wire.truncate(1);
    wire.extend([127, 0, 0, 0, 0, 0, 16, 0, 0]);
    wire.extend(b"\x00\x02\x00\xfd\xff\xffa");
    let refused = receive(&mut end(&settings(), Role::Client, PLAIN), &wire);
    assert_eq!(refused.map_err(|error| error.close_code()), Err(CloseCode::INVALID_PAYLOAD));
}

#[test]
fn a_message_that_was_dropped_is_in_the_context_all_the_same() {
    let (mut client, mut assembler) = end(&settings(), Role::Client, PLAIN);
    let mut output = Vec::new();
    let mut first = frame(false, Rsv::RSV1, OpCode::Text, b"\xf2\x48\xcd");
    // The beginning is streamed and the rest goes to an assembler that has not seen it.
    let mut input = &mut first[..];
    while let Some(event) = client.receive(&mut input, &mut output).unwrap() {
        let sockeye::Event::Data(chunk) = event else { panic!("{event:?}") };
        let mut rest = Some(chunk);
        while assembler.decode(&mut rest).unwrap().is_some() {}
    }
    let mut end = (client, assembler);
    let rest = frame(true, Rsv::NONE, OpCode::Continuation, b"\xc9\xc9\x07\x00");
    assert_eq!(receive(&mut end, &rest).unwrap(), Vec::<Vec<u8>>::new());
    let again = frame(true, Rsv::RSV1, OpCode::Text, b"\xf2\x00\x11\x00\x00");
    assert_eq!(receive(&mut end, &again).unwrap(), [b"Hello"]);
}

#[test]
fn what_is_wrong_first_is_told_however_the_input_is_cut() {
    // A byte that no text has, and then a block of a kind that there is not; and the same before a flood of final blocks.
    for rest in [vec![6, 0], [3, 0].repeat(500)] {
        let wire = frame(true, Rsv::RSV1, OpCode::Text, &[&b"\x00\x01\x00\xfe\xff\xff"[..], &rest].concat());
        let whole = receive(&mut end(&settings(), Role::Client, PLAIN), &wire);
        let mut client = end(&settings(), Role::Client, PLAIN);
        let in_bytes = wire.iter().find_map(|byte| receive(&mut client, &[*byte]).err());
        assert_eq!((whole, in_bytes), (Err(ProtocolError::InvalidUtf8), Some(ProtocolError::InvalidUtf8)));
    }
}
