//! permessage-deflate against a second inflater, as plain as it can be: what is sent keeps to the window agreed on, and what
//! comes is taken for what it is.

mod common;
mod deflate_support;

use core::num::NonZeroU32;

use common::wire::{BINARY, CONTINUATION, FIN, RSV1, TEXT, frames, to};
use deflate_support::{Bits, TAIL, inflate};
use proptest::collection::vec;
use proptest::prelude::*;
use sockeye::deflate::{Agreement, Deflate, Level, MemoryLevel, WindowBits, keep_compressors};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, CloseCode, Config, Connection, Decoded, Encoder, Fin, Received, Role, Rsv};

const PLAIN: &str = "permessage-deflate";
const ALONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Everything is compressed, with the largest window that may be.
fn settings(level: u8, memory_level: u8) -> Deflate {
    let mut deflate = Deflate::default();
    deflate.threshold = 0;
    (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX);
    deflate.level = Level::new(level).unwrap();
    deflate.memory_level = MemoryLevel::new(memory_level).unwrap();
    deflate
}

fn agreed(deflate: &Deflate, answer: &str) -> Agreement {
    deflate.agreed(Role::Server, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap()
}

fn server(agreement: &Agreement) -> (Connection, Assembler) {
    let mut server = Connection::server(Config::default());
    server.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = server.assembler();
    assembler.extend(agreement.decoder());
    (server, assembler)
}

/// What a server makes of these bytes in reads of so many: whole messages, and the code with which it fails.
fn receive(
    (server, assembler): &mut (Connection, Assembler),
    wire: &[u8],
    piece: usize,
) -> (Vec<Vec<u8>>, Option<CloseCode>) {
    let (mut output, mut messages) = (Vec::new(), Vec::new());
    for piece in wire.chunks(piece) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            match server.receive_message(&mut input, assembler, &mut output) {
                Ok(Some(Received::Message(message))) => messages.push(message.payload().to_vec()),
                Ok(Some(other)) => panic!("{other:?}"),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.close_code())),
            }
        }
    }
    (messages, None)
}

/// Bytes that do not repeat.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// The payload of each message that these frames hold, which are all of a message each.
fn payloads(wire: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for frame in frames(wire) {
        match frame.first & RSV1 {
            0 => payloads.last_mut().unwrap().extend(frame.payload),
            _ => payloads.push(frame.payload),
        }
    }
    payloads
}

/// How a message is cut into frames, and the opcode.
type Cuts = (Vec<usize>, u8);

/// A message in frames of these sizes and a last one.
fn fragments(payload: &[u8], (cuts, opcode): &Cuts) -> Vec<u8> {
    let (mut wire, mut rest, mut first) = (Vec::new(), payload, RSV1 | opcode);
    for cut in cuts {
        let (piece, after) = rest.split_at(rest.len().min(*cut));
        wire.extend(to(Role::Server, first, piece));
        (rest, first) = (after, CONTINUATION);
    }
    wire.extend(to(Role::Server, FIN | first, rest));
    wire
}

/// Blocks of every kind, one behind the other, whether that makes sense or not.
fn blocks() -> impl Strategy<Value = Vec<u8>> {
    let block = (0u8..7, 1u32..600, any::<u8>(), any::<bool>());
    vec(block, 0..8).prop_map(|blocks| {
        let mut bits = Bits::default();
        for (kind, distance, byte, is_final) in blocks {
            bits = match kind {
                0 => bits.stored(is_final, &[byte; 7]),
                1 => bits.fixed(is_final).literal(byte % 144).longest(1).end(),
                2 => bits.fixed(is_final).three_from(distance).end(),
                3 => bits.fixed(is_final).literal(b'a').literal(b'b').end(),
                4 => bits.fixed(is_final).end(),
                5 => bits.stored(is_final, b""),
                _ => bits.number(u32::from(byte), 8),
            };
            if is_final && kind < 6 {
                bits = bits.aligned();
            }
        }
        bits.message()
    })
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let compressed =
        (any::<u64>(), 0usize..2000, any::<prop::sample::Index>(), 0u8..=8).prop_map(|(seed, len, at, bit)| {
            let (mut connection, _) = server(&agreed(&settings(6, 8), ALONE));
            let mut wire = Vec::new();
            connection.send_binary(&noise(seed, len / 9).repeat(9), &mut wire).unwrap();
            let mut payload = payloads(&wire).remove(0);
            let at = at.index(payload.len());
            payload[at] ^= u8::try_from(1u32 << bit & 0xff).unwrap();
            payload
        });
    // Three bits that begin a block with codes of its own, and anything behind them.
    let begun = vec(any::<u8>(), 1..40).prop_map(|mut bytes| {
        bytes[0] = bytes[0] & !7 | 0b100;
        bytes
    });
    prop_oneof![4 => blocks(), 2 => compressed, 1 => begun, 1 => vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_sent_the_second_inflater_reads_within_the_window_agreed_on(
        (level, memory_level, bits) in (0u8..=9, 1u8..=9, 8u8..=15),
        is_alone in any::<bool>(),
        messages in vec((any::<u64>(), 1usize..1500, 0usize..20, vec(0usize..9000, 0..3)), 1..6),
    ) {
        let start = if is_alone { ALONE } else { PLAIN };
        let answer = format!("{start}; server_max_window_bits={bits}");
        let (mut server, _) = server(&agreed(&settings(level, memory_level), &answer));
        let (mut wire, mut context) = (Vec::new(), Vec::new());
        for (seed, period, times, cuts) in &messages {
            // Of three that repeat in themselves, two repeat each other.
            let message = noise(seed % 2, *period).repeat(*times);
            let mut rest = &message[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                server.send_fragment(piece, Fin::More, &mut wire).unwrap();
                rest = after;
            }
            server.send_fragment(rest, Fin::Last, &mut wire).unwrap();
            let payload = payloads(&core::mem::take(&mut wire)).remove(0);
            prop_assert!(!payload.ends_with(&TAIL), "§7.2.1: the tail is taken off");
            prop_assert!(inflate(&payload, &context, 1 << bits).as_ref() == Some(&message));
            if !is_alone {
                context.extend(message);
            }
        }
    }
}

/// One of the messages of a test: noise, or a period that some of them share.
fn message() -> impl Strategy<Value = Vec<u8>> {
    (0u64..5, 1usize..300, 0usize..1500).prop_map(|(seed, period, len)| match seed {
        0 => noise(len as u64, len),
        seed => noise(seed, period).into_iter().cycle().take(len).collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_would_not_get_shorter_is_in_no_context_whoever_had_the_compressor_before(
        (level, memory_level, bits) in (0u8..=9, 1u8..=9, 8u8..=15),
        messages in vec((0usize..40, message(), any::<bool>()), 1..120),
    ) {
        let mut deflate = settings(level, memory_level);
        deflate.threshold = 1;
        let agreement = agreed(&deflate, &format!("{PLAIN}; server_max_window_bits={bits}"));
        let mut servers: Vec<_> = (0..40).map(|_| (server(&agreement).0, Vec::new())).collect();
        for (at, message, is_whole) in &messages {
            let ((server, context), mut wire) = (&mut servers[*at], Vec::new());
            if *is_whole {
                server.send_binary(message, &mut wire).unwrap();
            } else {
                let (first, rest) = message.split_at(message.len() / 2);
                server.send_fragment(first, Fin::More, &mut wire).unwrap();
                server.send_fragment(rest, Fin::Last, &mut wire).unwrap();
            }
            if wire[0] & RSV1 == 0 {
                prop_assert!(frames(&wire).iter().flat_map(|frame| &frame.payload).eq(message));
                continue;
            }
            let payload = payloads(&wire).remove(0);
            prop_assert!(!is_whole || payload.len() < message.len());
            prop_assert!(inflate(&payload, context, 1 << bits).as_ref() == Some(message));
            context.extend(message);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_is_taken_as_the_second_inflater_takes_it_however_it_is_cut(
        is_alone in any::<bool>(),
        messages in vec((payload(), vec(0usize..40, 0..4), any::<bool>()), 1..6),
        piece in 1usize..60,
    ) {
        let (mut wire, mut context, mut expected, mut code) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (payload, cuts, is_text) in messages {
            wire.extend(fragments(&payload, &(cuts, if is_text { TEXT } else { BINARY })));
            let message = inflate(&payload, &context, 1 << 15).filter(|message| !is_text || str::from_utf8(message).is_ok());
            let Some(message) = message.filter(|_| code.is_none()) else {
                code = Some(CloseCode::INVALID_PAYLOAD);
                continue;
            };
            if !is_alone {
                context.extend(&message);
            }
            expected.push(message);
        }
        let agreement = agreed(&settings(1, 5), if is_alone { ALONE } else { PLAIN });
        for piece in [usize::MAX, piece, 1] {
            prop_assert_eq!(&receive(&mut server(&agreement), &wire, piece), &(expected.clone(), code));
        }
    }
}

#[test]
fn every_payload_of_up_to_two_bytes_is_taken_as_the_second_inflater_takes_it() {
    let agreement = agreed(&settings(1, 5), ALONE);
    let one = (0..=255).map(|byte| vec![byte]);
    let two = (0..=u16::MAX).map(|number| number.to_be_bytes().to_vec());
    let mut accepted = 0;
    for payload in one.chain(two).chain([Vec::new()]) {
        let (messages, code) = receive(&mut server(&agreement), &to(Role::Server, FIN | RSV1 | BINARY, &payload), 64);
        let expected = inflate(&payload, &[], 1 << 15);
        assert_eq!((messages.first(), code.is_none()), (expected.as_ref(), expected.is_some()), "{payload:02x?}");
        accepted += usize::from(code.is_none());
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn a_window_of_8_bits_is_never_left_though_others_use_the_same_compressor() {
    // What repeats does so at about the distance that is allowed, within messages and from one to the next.
    let messages = [200, 249, 250, 251, 255, 256, 257, 258, 262, 300, 511, 512, 513].map(|len| noise(1, len).repeat(4));
    for (level, memory_level) in (0..=9).flat_map(|level| [1, 5, 9].map(|memory_level| (level, memory_level))) {
        for bits in [8, 9] {
            let agreement = agreed(&settings(level, memory_level), &format!("{PLAIN}; server_max_window_bits={bits}"));
            // As many as share one compressor between them.
            let mut servers: Vec<_> = (0..48).map(|_| server(&agreement).0).collect();
            let (mut wire, mut context) = (Vec::new(), Vec::new());
            for message in &messages {
                servers[0].send_binary(message, &mut wire).unwrap();
                let payload = payloads(&core::mem::take(&mut wire)).remove(0);
                let read = inflate(&payload, &context, 1 << bits);
                assert!(read.as_ref() == Some(message), "level {level}, memory level {memory_level}, {bits} bits");
                context.extend(message);
                for other in &mut servers[1..] {
                    other.send_binary(b"of another connection", &mut wire).unwrap();
                }
                wire.clear();
            }
        }
    }
}

/// Uses an encoder that keeps no context in one of several ways, and leaves what it gives.
fn use_up(encoder: &mut dyn Encoder, message: &[u8], way: usize) {
    let (mut output, (first, rest)) = (Vec::new(), message.split_at(message.len() / 3));
    match way {
        0 => encoder.encode(message, Fin::Last, &mut output).unwrap(),
        1 => drop(encoder.encode_whole(message, &mut output).unwrap()),
        2 => {
            encoder.encode(message, Fin::More, &mut output).unwrap();
            encoder.flush(&mut output).unwrap();
            encoder.encode(b"", Fin::Last, &mut output).unwrap();
        }
        3 => {
            encoder.encode(first, Fin::More, &mut output).unwrap();
            encoder.flush(&mut output).unwrap();
            encoder.encode(rest, Fin::Last, &mut output).unwrap();
        }
        // It is never ended.
        _ => encoder.encode(message, Fin::More, &mut output).unwrap(),
    }
}

#[test]
fn without_context_a_compressor_that_was_used_gives_what_a_new_one_gives() {
    for (level, (memory_level, bits)) in (0..=9).flat_map(|level| [(1, 9), (5, 12), (9, 15)].map(|rest| (level, rest)))
    {
        let mut deflate = settings(level, memory_level);
        let answer = format!("{PLAIN}; server_max_window_bits={bits}");
        let alone = agreed(&deflate, &format!("{answer}; server_no_context_takeover"));
        deflate.threshold = 1;
        let [declining, with_context] =
            ["; server_no_context_takeover", ""].map(|more| agreed(&deflate, &(answer.clone() + more)));
        for (number, len) in [100, 3_000, 70_000].into_iter().enumerate() {
            let message = noise(3, 250).into_iter().cycle().take(len).collect::<Vec<_>>();
            let compressed = || {
                let mut payload = Vec::new();
                alone.encoder().encode(&message, Fin::Last, &mut payload).unwrap();
                payload
            };
            // Only now is there surely none that was used.
            keep_compressors(0);
            let new = compressed();
            keep_compressors(32);
            for round in 0..40 {
                // What repeats in the message, so that it would be referred to; and noise that does not get shorter.
                let before = if round % 3 == 0 { noise(9, 900) } else { noise(3, 250).repeat(8) };
                let agreement = [&alone, &declining, &with_context][round % 3];
                use_up(&mut *agreement.encoder(), &before, (round + number) % 5);
            }
            for _ in 0..16 {
                assert!(compressed() == new, "level {level}, memory level {memory_level}, {bits} bits, {len} bytes");
            }
        }
    }
}

#[test]
fn a_reference_beyond_the_window_agreed_on_is_refused_to_the_byte() {
    let first = Bits::default().stored(false, &noise(1, 40_000)).message();
    for bits in 8..=15 {
        let size = 1 << bits;
        let answer = format!("{PLAIN}; client_max_window_bits={bits}");
        let referring = |distance| {
            let second = Bits::default().fixed(false).three_from(distance).end().message();
            let wire = [&first, &second].map(|payload| to(Role::Server, FIN | RSV1 | BINARY, payload)).concat();
            let (messages, code) = receive(&mut server(&agreed(&settings(1, 5), &answer)), &wire, usize::MAX);
            (messages.len(), code)
        };
        assert_eq!(referring(size), (2, None), "{bits} bits");
        if bits < 15 {
            assert_eq!(referring(size + 1), (1, Some(CloseCode::INVALID_PAYLOAD)), "{bits} bits");
        }
    }
}

#[test]
fn nothing_of_another_connection_can_be_referred_to() {
    let secret = noise(7, 40_000);
    for (answer, window) in [(PLAIN, ""), (ALONE, ""), (PLAIN, "; client_max_window_bits=9")] {
        let agreement = agreed(&settings(1, 5), &format!("{answer}{window}"));
        // So many that all decompressors which are kept have seen it.
        let wire = to(Role::Server, FIN | RSV1 | BINARY, &Bits::default().stored(false, &secret).message());
        for _ in 0..64 {
            assert_eq!(receive(&mut server(&agreement), &wire, usize::MAX).0.len(), 1);
        }
        for distance in (1..=40).chain([257, 258, 511, 512, 513, 4096, 16_384, 32_767, 32_768]) {
            // Behind nothing, some bytes, and a final block.
            let starts = [
                Bits::default(),
                Bits::default().fixed(false).literal(b'a').literal(b'b').end(),
                Bits::default().fixed(true).literal(b'a').end().aligned(),
            ];
            for (start, own) in starts.into_iter().zip([0, 2, 1]) {
                let payload = start.fixed(false).three_from(distance).end().message();
                let (messages, code) =
                    receive(&mut server(&agreement), &to(Role::Server, FIN | RSV1 | BINARY, &payload), usize::MAX);
                let expected = (distance > own).then_some(CloseCode::INVALID_PAYLOAD);
                assert_eq!((code, messages.len()), (expected, usize::from(distance <= own)), "{distance} of {own}");
            }
        }
    }
}

#[test]
fn the_second_inflater_reads_the_examples_of_rfc_7692_and_keeps_to_a_window() {
    let hello = Some(b"Hello".to_vec());
    assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"", 1 << 15), hello, "§7.2.3.1");
    assert_eq!(inflate(b"\xf2\x00\x11\x00\x00", b"Hello", 1 << 15), hello, "§7.2.3.2");
    assert_eq!(inflate(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"", 1 << 15), hello, "§7.2.3.3");
    assert_eq!(inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"", 1 << 15), hello, "§7.2.3.4");
    assert_eq!(inflate(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"", 1 << 15), hello, "§7.2.3.5");
    assert_eq!(inflate(b"\x00", b"", 1 << 15), Some(Vec::new()), "§7.2.3.6");
    let referring = |distance| Bits::default().fixed(false).three_from(distance).end().message();
    assert_eq!(inflate(&referring(256), &noise(1, 300), 256), Some(noise(1, 300)[44..47].to_vec()));
    assert_eq!(inflate(&referring(257), &noise(1, 300), 256), None);
}

/// Something whose ratio is below 66 behind the first 64 KiB, and above it behind the last of its 73,615 bytes.
fn dense(is_final: bool) -> Bits {
    let start = Bits::default().stored(false, &noise(7, 600)).fixed(is_final).literal(0);
    (0..283).fold(start, |bits, _| bits.longest(1)).end()
}

/// What a payload comes to where a ratio of 66 is allowed, decoded in steps of so many bytes: its length, or the close code.
fn decode(payload: &[u8], room: usize) -> Result<usize, CloseCode> {
    let mut deflate = Deflate::default();
    deflate.peer_window_bits = WindowBits::MAX;
    deflate.max_ratio = NonZeroU32::new(66);
    let answer = Extensions::parse("permessage-deflate").next().unwrap().unwrap();
    let mut decoder = deflate.agreed(Role::Server, &answer).unwrap().decoder();
    let (mut input, mut len) = (payload, 0);
    loop {
        match decoder.decode(&mut input, Fin::Last, room).map_err(|error| error.close_code())? {
            Decoded::All(piece) => return Ok(len + piece.len()),
            Decoded::More(piece) => len += piece.len(),
        }
    }
}

#[test]
fn the_ratio_that_is_accepted_does_not_depend_on_how_much_is_read_at_once() {
    let payload = dense(false).stored(false, &noise(7, 20_000)).message();
    let [large, small] = [64 * 1024, 1000].map(|room| decode(&payload, room));
    assert_eq!(large, small);
}

#[test]
fn the_ratio_of_a_message_that_ends_with_a_final_block_is_looked_at_as_well() {
    let [flushed, finished] = [dense(false).message(), dense(true).aligned().bytes()];
    assert_eq!(decode(&flushed, 64 * 1024), Err(CloseCode::MESSAGE_TOO_BIG));
    assert_eq!(decode(&finished, 64 * 1024), Err(CloseCode::MESSAGE_TOO_BIG));
}
