//! The hook for extensions, through an extension of the test's own: RFC 6455 §5.2, §5.8 and §9.

mod common;

use common::allocator::{Counting, measure};
use common::wire::{
    BINARY, CONTINUATION, FIN, PING, PONG, ROLES, RSV1, RSV2, RSV3, TEXT, head_to, only_close_code, plain, to,
};
use common::{Pair, Side, binary, config, failed, pong, text};
use sockeye::{
    Assembler, CloseCode, Config, Decoded, Decoder, Encoder, Event, ExtensionError, Fin, Message, MessageKind, Payload,
    PreparedMessage, ProtocolError, Rsv, SendError, State,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the extension says that cannot read its own runs.
const HALF_A_RUN: ExtensionError = ExtensionError::new("half a run", CloseCode::INVALID_PAYLOAD);

/// Run-length coding: each run of equal bytes becomes its length in four bytes, and the byte.
///
/// Five bytes can become four billion: as hostile as compression can get.
#[derive(Default)]
struct Runs {
    /// What the encoder leaves as it is.
    shorter_than: usize,
    /// A run that is not complete.
    held: Vec<u8>,
    /// A run that waits for room.
    run: (u32, u8),
    /// Times that the end of a message was seen.
    ends: u32,
    /// What is lent.
    output: Vec<u8>,
}

impl Encoder for Runs {
    fn wants(&mut self, _: MessageKind, len: Option<usize>) -> bool {
        len.is_none_or(|len| len >= self.shorter_than)
    }

    fn encode(&mut self, piece: &[u8], _: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        if piece == b"cannot be encoded" {
            return Err(HALF_A_RUN);
        }
        for run in piece.chunk_by(|a, b| a == b) {
            output.extend(u32::try_from(run.len()).unwrap().to_be_bytes());
            output.push(run[0]);
        }
        Ok(())
    }
}

impl Decoder for Runs {
    fn decode(&mut self, input: &mut &[u8], fin: Fin, room: usize) -> Result<Decoded<'_>, ExtensionError> {
        assert!(room > 0);
        let output = &mut self.output;
        output.clear();
        loop {
            let (left, byte) = &mut self.run;
            let now = (*left).min(u32::try_from(room - output.len()).unwrap());
            output.resize(output.len() + now as usize, *byte);
            *left -= now;
            if *left > 0 {
                return Ok(Decoded::More(output));
            }
            let Some((&byte, rest)) = input.split_first() else { break };
            *input = rest;
            self.held.push(byte);
            if let [a, b, c, d, byte] = self.held[..] {
                self.run = (u32::from_be_bytes([a, b, c, d]), byte);
                self.held.clear();
            }
        }
        if fin == Fin::Last {
            self.ends += 1;
            if !self.held.is_empty() {
                return Err(HALF_A_RUN);
            }
        }
        Ok(Decoded::All(output))
    }
}

/// Lets a side speak the extension.
fn extend(side: &mut Side, rsv: Rsv) {
    side.connection.extend(rsv, Box::new(Runs::default()));
    side.assembler.extend(Box::new(Runs::default()));
}

/// A pair that speaks the extension.
fn pair(rsv: Rsv) -> Pair {
    let mut pair = Pair::new();
    for role in ROLES {
        extend(pair.side(role), rsv);
    }
    pair
}

/// A side that speaks the extension on RSV1.
fn extended(role: sockeye::Role, config: Config) -> Side {
    let mut side = Side::of_with(role, config);
    extend(&mut side, Rsv::RSV1);
    side
}

/// Bytes encoded by hand.
fn runs(runs: &[(u32, u8)]) -> Vec<u8> {
    runs.iter().flat_map(|(len, byte)| [&len.to_be_bytes()[..], &[*byte]].concat()).collect()
}

/// Each byte of a payload as a run of its own.
fn one_by_one(payload: &[u8]) -> Vec<u8> {
    runs(&payload.iter().map(|byte| (1, *byte)).collect::<Vec<_>>())
}

// Sending

#[test]
fn a_whole_message_is_encoded_and_marked() {
    for (rsv, bit) in [(Rsv::RSV1, RSV1), (Rsv::RSV2, RSV2), (Rsv::RSV3, RSV3), (Rsv::RSV1 | Rsv::RSV2, RSV1 | RSV2)] {
        for role in ROLES {
            let mut side = Side::of(role);
            extend(&mut side, rsv);
            side.send_text("aaaab");
            assert_eq!(plain(&side.output), [(FIN | bit | TEXT, runs(&[(4, b'a'), (1, b'b')]))]);
            assert_eq!(side.connection.sent().payload_bytes, 10, "as it stands on the wire");
        }
    }
}

#[test]
fn only_the_first_frame_of_a_message_is_marked() {
    let mut server = extended(sockeye::Role::Server, config(|config| config.fragment_size = 4));
    server.send_binary(b"aab");
    let encoded = runs(&[(2, b'a'), (1, b'b')]);
    assert_eq!(
        plain(&server.output),
        [
            (RSV1 | BINARY, encoded[..4].to_vec()),
            (CONTINUATION, encoded[4..8].to_vec()),
            (FIN | CONTINUATION, encoded[8..].to_vec())
        ]
    );
}

#[test]
fn a_message_in_fragments_is_encoded_piece_by_piece() {
    let mut server = extended(sockeye::Role::Server, Config::default());
    server.connection.send_fragment("aa", Fin::More, &mut server.output).unwrap();
    server.send_ping(b"as it is");
    server.connection.send_fragment("", Fin::More, &mut server.output).unwrap();
    server.connection.send_fragment("ab", Fin::Last, &mut server.output).unwrap();
    let frames = plain(&server.output);
    assert_eq!(frames[0], (RSV1 | TEXT, runs(&[(2, b'a')])));
    assert_eq!(frames[1], (FIN | PING, b"as it is".to_vec()));
    assert_eq!(frames.last(), Some(&(FIN | CONTINUATION, runs(&[(1, b'a'), (1, b'b')]))));
    let mut client = extended(sockeye::Role::Client, Config::default());
    assert_eq!(client.receive(&server.output), [common::ping(b"as it is"), text("aaab")]);
}

#[test]
fn a_message_that_the_extension_does_not_want_is_not_marked() {
    let mut server = Side::server();
    server.connection.extend(Rsv::RSV1, Box::new(Runs { shorter_than: 4, ..Runs::default() }));
    server.send_text("aaa");
    server.send_text("aaaa");
    server.connection.send_fragment("a", Fin::Last, &mut server.output).unwrap();
    server.connection.send_fragment("b", Fin::More, &mut server.output).unwrap();
    server.connection.send_fragment("b", Fin::Last, &mut server.output).unwrap();
    let firsts: Vec<_> = plain(&server.output).into_iter().map(|(first, _)| first).collect();
    let expected = [FIN | TEXT, FIN | RSV1 | TEXT, FIN | TEXT, RSV1 | TEXT, FIN | CONTINUATION];
    assert_eq!(firsts, expected, "a length that is not known is wanted");
}

#[test]
fn what_cannot_be_encoded_is_refused_and_the_connection_is_as_it_was() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let refused = side.connection.send_text("cannot be encoded", &mut side.output);
        assert_eq!(refused, Err(SendError::Extension(HALF_A_RUN)));
        assert_eq!((side.output.len(), side.connection.sent()), (0, sockeye::Counters::default()));
        side.send_text("a");
        assert_eq!(plain(&side.output), [(FIN | RSV1 | TEXT, runs(&[(1, b'a')]))]);
    }
}

#[test]
fn control_frames_and_heads_pass_the_extension_by() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        side.send_ping(b"ping");
        side.receive(&to(role, FIN | PING, b"pong"));
        let head = side.connection.head(MessageKind::Text, &mut b"alone".to_vec()).unwrap();
        assert_eq!(head[0], FIN | TEXT);
        side.close(CloseCode::NORMAL, "");
        assert!(plain(&side.output).iter().all(|(first, _)| first & 0x70 == 0));
    }
}

#[test]
fn a_prepared_message_is_encoded_like_any_other() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        side.connection.send_prepared(&PreparedMessage::new("aa"), &mut side.output).unwrap();
        assert_eq!(plain(&side.output), [(FIN | RSV1 | TEXT, runs(&[(2, b'a')]))]);
    }
}

#[test]
fn what_is_to_be_sent_uncompressed_passes_the_extension_by() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        side.connection.send(sockeye::Uncompressed("aa"), &mut side.output).unwrap();
        side.connection.send_fragment(sockeye::Uncompressed("b"), Fin::More, &mut side.output).unwrap();
        side.connection.send_fragment("c", Fin::Last, &mut side.output).unwrap();
        let expected = [(FIN | TEXT, b"aa".to_vec()), (TEXT, b"b".to_vec()), (FIN | CONTINUATION, b"c".to_vec())];
        assert_eq!(plain(&side.output), expected);
    }
}

// Receiving

#[test]
fn a_marked_message_is_decoded_in_any_split() {
    for role in ROLES {
        let encoded = runs(&[(3, b'a'), (0, b'z'), (1, b'b'), (70_000, b'c')]);
        let expected = format!("aaab{}", "c".repeat(70_000));
        let whole = to(role, FIN | RSV1 | TEXT, &encoded);
        let fragments = [
            to(role, RSV1 | TEXT, &encoded[..7]),
            to(role, FIN | PONG, b"between"),
            to(role, CONTINUATION, b""),
            to(role, FIN | CONTINUATION, &encoded[7..]),
        ]
        .concat();
        for size in [1, 2, 3, 6, 11, usize::MAX] {
            assert_eq!(extended(role, Config::default()).receive_by(size, &whole), [text(&expected)], "by {size}");
            let heard = extended(role, Config::default()).receive_by(size, &fragments);
            assert_eq!(heard, [pong(b"between"), text(&expected)], "by {size}");
        }
    }
}

#[test]
fn messages_go_through_the_extension_end_to_end() {
    for rsv in [Rsv::RSV1, Rsv::RSV2] {
        let mut pair = pair(rsv);
        for role in ROLES {
            let side = pair.side(role);
            side.send_text("ααα and more");
            side.send_binary(&[7; 300_000]);
            side.send_text("");
            side.connection.send_fragment("€", Fin::More, &mut side.output).unwrap();
            side.connection.send_fragment("€€", Fin::Last, &mut side.output).unwrap();
        }
        pair.deliver_by(7);
        for role in ROLES {
            assert_eq!(pair.side(role).heard, [text("ααα and more"), binary(&[7; 300_000]), text(""), text("€€€")]);
        }
    }
}

#[test]
fn a_message_that_is_not_marked_is_not_decoded() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let bytes = [to(role, FIN | TEXT, b"plain"), to(role, BINARY, b"in "), to(role, FIN | CONTINUATION, b"parts")];
        assert_eq!(side.receive(&bytes.concat()), [text("plain"), binary(b"in parts")]);
    }
}

#[test]
fn the_decoder_sees_the_end_of_a_message_even_where_the_last_fragment_is_empty() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let bytes = [to(role, RSV1 | BINARY, &[0, 0, 0]), to(role, FIN | CONTINUATION, b"")].concat();
        let error = ProtocolError::Extension(HALF_A_RUN);
        assert_eq!(side.receive(&bytes), [failed(error)]);
    }
}

#[test]
fn chunks_of_a_marked_message_are_streamed_encoded() {
    for role in ROLES {
        let mut connection = extended(role, Config::default()).connection;
        let mut bytes = to(role, FIN | RSV1 | TEXT, b"\xff\xfe not text yet");
        let Ok(Some(Event::Data(chunk))) = connection.receive(&mut &mut bytes[..], &mut Vec::new()) else { panic!() };
        let Payload::Encoded { kind, bytes } = chunk.payload() else { panic!("{chunk:?}") };
        assert_eq!((kind, bytes), (MessageKind::Text, &b"\xff\xfe not text yet"[..]));
        assert_eq!((chunk.kind(), chunk.whole()), (MessageKind::Text, None));
    }
}

#[test]
fn an_encoded_message_is_never_promised_to_lie_whole_in_the_input() {
    let server = extended(sockeye::Role::Server, Config::default()).connection;
    assert_ne!(server.peek(&to(sockeye::Role::Server, FIN | RSV1 | TEXT, b"")), sockeye::Next::Message);
}

// Text

#[test]
fn text_is_checked_behind_the_extension() {
    for role in ROLES {
        let encoded = one_by_one("a€😀".as_bytes());
        for size in [1, 5, 7, usize::MAX] {
            let mut side = extended(role, Config::default());
            assert_eq!(side.receive_by(size, &to(role, FIN | RSV1 | TEXT, &encoded)), [text("a€😀")], "by {size}");
        }
        let mut side = extended(role, Config::default());
        let wrong = to(role, RSV1 | TEXT, &one_by_one(b"a\xff"));
        assert_eq!(side.receive(&wrong), [failed(ProtocolError::InvalidUtf8)], "before the message ends");
        assert_eq!(only_close_code(&side.output), 1007);
    }
}

#[test]
fn decoded_text_that_ends_inside_a_character_is_refused() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let bytes = to(role, FIN | RSV1 | TEXT, &one_by_one(&"€".as_bytes()[..2]));
        assert_eq!(side.receive(&bytes), [failed(ProtocolError::InvalidUtf8)]);

        let bytes = [
            to(role, RSV1 | TEXT, &one_by_one(&"€".as_bytes()[..2])),
            to(role, FIN | CONTINUATION, &one_by_one(&"€".as_bytes()[2..])),
        ];
        assert_eq!(extended(role, Config::default()).receive(&bytes.concat()), [text("€")]);
    }
}

#[test]
fn decoded_binary_is_not_checked() {
    for role in ROLES {
        let bytes = to(role, FIN | RSV1 | BINARY, &one_by_one(b"\xff\xfe"));
        assert_eq!(extended(role, Config::default()).receive(&bytes), [binary(b"\xff\xfe")]);
    }
}

#[test]
fn an_encoded_text_leaves_nothing_behind_for_the_next_one() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let bytes = [
            to(role, RSV1 | BINARY, &one_by_one(&"€".as_bytes()[..2])),
            to(role, FIN | CONTINUATION, b""),
            to(role, FIN | RSV1 | TEXT, &one_by_one(b"fine")),
        ];
        assert_eq!(side.receive(&bytes.concat()), [binary(&"€".as_bytes()[..2]), text("fine")]);
    }
}

#[test]
fn an_assembler_can_serve_another_connection_after_one_that_was_lost_inside_a_character() {
    for role in ROLES {
        let mut lost = extended(role, Config::default());
        lost.receive(&to(role, RSV1 | TEXT, &one_by_one(&"€".as_bytes()[..2])));
        lost.connection.receive_eof();

        let mut next = extended(role, Config::default());
        next.assembler = lost.assembler;
        assert_eq!(next.receive(&to(role, FIN | RSV1 | TEXT, &one_by_one(b"fine"))), [text("fine")]);
    }
}

// Limits

#[test]
fn a_bomb_is_refused_while_it_is_decoded_and_holds_no_more_than_the_limit_and_a_step() {
    const LIMIT: usize = 1 << 20;
    const STEP: i64 = 64 * 1024;
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            let mut side = extended(role, config(|config| config.max_message_size = LIMIT));
            let mut bomb = to(role, FIN | RSV1 | opcode, &runs(&[(u32::MAX, b'x')]));
            side.output.reserve(256);
            let (mut input, assembler) = (&mut bomb[..], &mut side.assembler);
            let (received, taken) =
                measure(|| side.connection.receive_message(&mut input, assembler, &mut side.output).map(|_| ()));
            let Err(ProtocolError::MessageTooBig { len, max }) = received else { panic!("{received:?}") };
            assert_eq!(max, LIMIT as u64);
            assert!(len <= LIMIT as u64 + STEP as u64, "refused at the first step beyond: {len}");
            assert!(taken.peak <= (LIMIT as i64) + STEP + 1024, "{taken:?}");
            assert_eq!(only_close_code(&side.output), 1009);
        }
    }
}

#[test]
fn a_decoded_message_may_have_just_the_limit() {
    for role in ROLES {
        for (len, is_fine) in [(100_000, true), (100_001, false)] {
            let mut side = extended(role, config(|config| config.max_message_size = 100_000));
            let heard = side.receive(&to(role, FIN | RSV1 | BINARY, &runs(&[(len, 7)])));
            assert_eq!(heard == [binary(&vec![7; len as usize])], is_fine, "{len} bytes");
            assert_eq!(side.state() == State::Open, is_fine);
        }
    }
}

#[test]
fn the_limit_holds_over_all_fragments_of_an_encoded_message() {
    for role in ROLES {
        let mut side = extended(role, config(|config| config.max_message_size = 100));
        let part = runs(&[(60, 7)]);
        assert_eq!(side.receive(&to(role, RSV1 | BINARY, &part)), []);
        // One byte too many is enough to know.
        let error = ProtocolError::MessageTooBig { len: 101, max: 100 };
        assert_eq!(side.receive(&to(role, CONTINUATION, &part)), [failed(error)]);
    }
}

#[test]
fn an_encoded_message_may_be_longer_on_the_wire_than_decoded() {
    // Only what comes out is the message; the wire is bounded by the frame limit.
    for role in ROLES {
        let mut side = extended(role, config(|config| config.max_message_size = 4));
        assert_eq!(side.receive(&to(role, FIN | RSV1 | TEXT, &one_by_one(b"abcd"))), [text("abcd")]);
        let mut side = extended(role, config(|config| config.max_frame_size = 19));
        let error = ProtocolError::FrameTooBig { len: 20, max: 19 };
        assert_eq!(side.receive(&head_to(role, FIN | RSV1 | TEXT, 20)), [failed(error)]);
    }
}

#[test]
fn what_cannot_be_decoded_fails_the_connection_with_the_code_of_the_extension() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let error = ProtocolError::Extension(HALF_A_RUN);
        let bytes = to(role, FIN | RSV1 | TEXT, b"???");
        assert_eq!(side.receive(&bytes), [failed(error.clone())]);
        assert_eq!(only_close_code(&side.output), 1007);
        assert_eq!(side.receive(&bytes), [failed(error)], "it says the same again");
        assert_eq!(plain(&side.output).len(), 1);
    }
}

// Reserved bits

#[test]
fn a_mark_on_a_continuation_is_refused() {
    for role in ROLES {
        let mut side = extended(role, Config::default());
        let bytes = [to(role, RSV1 | TEXT, b""), to(role, FIN | RSV1 | CONTINUATION, b"")].concat();
        assert_eq!(side.receive(&bytes), [failed(ProtocolError::ReservedBits)]);
        assert_eq!(only_close_code(&side.output), 1002);
    }
}

#[test]
fn a_mark_on_a_control_frame_is_refused() {
    for role in ROLES {
        for opcode in [PING, PONG, common::wire::CLOSE] {
            let mut side = extended(role, Config::default());
            assert_eq!(side.receive(&[FIN | RSV1 | opcode]), [failed(ProtocolError::ReservedBits)]);
            assert_eq!(only_close_code(&side.output), 1002);
        }
    }
}

#[test]
fn bits_that_the_extension_does_not_own_stay_refused() {
    for role in ROLES {
        for bits in [RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV2 | RSV3] {
            let mut side = extended(role, Config::default());
            assert_eq!(side.receive(&to(role, FIN | bits | TEXT, b"")), [failed(ProtocolError::ReservedBits)]);
        }
    }
}

#[test]
fn a_marked_message_without_a_decoder_is_refused() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.connection.extend(Rsv::RSV1, Box::new(Runs::default()));
        let heard = side.receive(&to(role, FIN | RSV1 | TEXT, b""));
        assert_eq!(heard, [failed(ProtocolError::ReservedBits)]);
        assert_eq!(only_close_code(&side.output), 1002);
    }
}

// Halves

#[test]
fn the_halves_of_a_connection_keep_their_extension() {
    let (mut receiver, mut sender, _) = extended(sockeye::Role::Server, Config::default()).connection.split();
    let mut output = Vec::new();
    sender.send_text("aa", &mut output).unwrap();
    assert_eq!(output[0], FIN | RSV1 | TEXT);

    let mut assembler = Assembler::new(Config::default());
    assembler.extend(Box::new(Runs::default()));
    let mut bytes = to(sockeye::Role::Server, FIN | RSV1 | TEXT, &runs(&[(2, b'b')]));
    let Ok(Some(Event::Data(chunk))) = receiver.receive(&mut &mut bytes[..]) else { panic!() };
    assert_eq!(assembler.push(chunk), Ok(sockeye::Assembly::Complete));
    assert_eq!(assembler.take(), Message::from("bb"));
}

/// An encoder that holds everything back until the message ends.
#[derive(Default)]
struct Hoard(Vec<u8>);

impl Encoder for Hoard {
    fn encode(&mut self, piece: &[u8], fin: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        self.0.extend(piece);
        if fin == Fin::Last {
            output.append(&mut self.0);
        }
        Ok(())
    }
}

#[test]
fn a_piece_that_the_encoder_holds_back_makes_no_frame() {
    let (mut server, mut output) = (sockeye::Connection::server(Config::default()), Vec::new());
    server.extend(Rsv::RSV1, Box::new(Hoard::default()));
    server.send_fragment("He", Fin::More, &mut output).unwrap();
    server.send_fragment("l", Fin::More, &mut output).unwrap();
    assert_eq!(output, b"");
    server.send_fragment("lo", Fin::Last, &mut output).unwrap();
    assert_eq!(output, [&[FIN | RSV1 | TEXT, 5], &b"Hello"[..]].concat());
}

/// An encoder that holds back, and declines whole messages.
#[derive(Default)]
struct HoardAndDecline(Hoard);

impl Encoder for HoardAndDecline {
    fn encode(&mut self, piece: &[u8], fin: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        self.0.encode(piece, fin, output)
    }

    fn encode_whole(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<bool, ExtensionError> {
        Ok(false)
    }
}

#[test]
fn a_message_whose_beginning_the_encoder_holds_back_is_not_asked_for_as_a_whole() {
    let (mut server, mut output) = (sockeye::Connection::server(Config::default()), Vec::new());
    server.extend(Rsv::RSV1, Box::new(HoardAndDecline::default()));
    server.send_fragment("first ", Fin::More, &mut output).unwrap();
    server.send_fragment("last", Fin::Last, &mut output).unwrap();
    assert_eq!(output, [&[FIN | RSV1 | TEXT, 10], &b"first last"[..]].concat());
}

/// An encoder that declines whole messages after having written something, and marks what it is given in pieces.
struct Decline;

impl Encoder for Decline {
    fn encode(&mut self, piece: &[u8], _: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        output.push(b'+');
        output.extend(piece);
        Ok(())
    }

    fn encode_whole(&mut self, message: &[u8], output: &mut Vec<u8>) -> Result<bool, ExtensionError> {
        output.extend(message.repeat(2));
        Ok(false)
    }
}

#[test]
fn a_whole_message_that_the_encoder_declines_goes_out_as_it_is() {
    let mut config = Config::default();
    config.fragment_size = 2;
    let mut server = sockeye::Connection::server(config);
    server.extend(Rsv::RSV1, Box::new(Decline));
    let mut output = b"before".to_vec();
    server.send("ab", &mut output).unwrap();
    server.send_fragment("cd", Fin::Last, &mut output).unwrap();
    server.send_prepared(&sockeye::PreparedMessage::new("e"), &mut output).unwrap();
    server.send("fgh", &mut output).unwrap();
    assert_eq!(output, b"before\x81\x02ab\x81\x02cd\x81\x01e\x01\x02fg\x80\x01h");
    assert_eq!((server.sent().messages, server.sent().decoded_bytes, server.sent().encoded_bytes), (4, 0, 0));
    output.clear();
    server.send_fragment("i", Fin::More, &mut output).unwrap();
    server.send_fragment("j", Fin::Last, &mut output).unwrap();
    assert_eq!(output, [&[RSV1 | TEXT, 2], &b"+i"[..], &[FIN, 2], b"+j"].concat());
}

#[test]
fn an_extension_takes_the_place_of_the_one_before_it() {
    let mut server = sockeye::Connection::server(Config::default());
    server.extend(Rsv::RSV1, Box::new(Hoard::default()));
    server.extend(Rsv::RSV2, Box::new(Hoard::default()));
    let (mut wire, mut output) = (to(sockeye::Role::Server, FIN | RSV1 | TEXT, b"x"), Vec::new());
    assert_eq!(server.receive(&mut &mut wire[..], &mut output), Err(ProtocolError::ReservedBits));
}
