//! What must hold for any bytes and any messages, in both roles.
//!
//! The recorder in `replay` adds what must hold at every step: an event takes input, `None` leaves none behind, output
//! and memory stay within their limits, a failed connection says the same again.

mod replay;

use proptest::collection::vec;
use proptest::prelude::*;
use sockeye::{Close, CloseCode, Config, Fin, FrameHeader, Message, MessageRef, OpCode, Role, Rsv};

use replay::{
    Seen, Step, connection, cut, other, receive_buffered, receive_chunks, receive_messages, receive_owned,
    receive_shared, send, small_limits,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_split_of_the_same_bytes_gives_the_same_events_and_errors(
        (role, wire) in wire(),
        sizes in vec(0usize..40, 1..8),
    ) {
        let config = small_limits();
        for receive in [receive_chunks, receive_messages, receive_buffered, receive_owned, receive_shared] {
            let whole = receive(&mut connection(role, &config), &config, vec![&wire[..]]);
            for sizes in [&sizes[..], &[1]] {
                let pieces = receive(&mut connection(role, &config), &config, cut(&wire, sizes));
                prop_assert_eq!(pieces, whole.clone(), "{:02x?}", wire);
            }
        }
    }

    #[test]
    fn chunks_put_together_are_the_messages((role, wire) in wire()) {
        let config = Config::default();
        let chunks = receive_chunks(&mut connection(role, &config), &config, [&wire[..]]);
        let mut messages = receive_messages(&mut connection(role, &config), &config, [&wire[..]]);
        messages.unfinished = chunks.unfinished.clone();
        prop_assert_eq!(chunks, messages);
    }

    #[test]
    fn messages_that_are_held_in_the_input_are_those_that_are_not((role, wire) in wire(), sizes in vec(0usize..40, 1..8)) {
        let config = small_limits();
        let messages = receive_messages(&mut connection(role, &config), &config, cut(&wire, &sizes));
        prop_assert_eq!(receive_buffered(&mut connection(role, &config), &config, cut(&wire, &sizes)), messages);
    }

    #[test]
    fn messages_that_are_given_away_are_those_that_are_lent((role, wire) in wire(), sizes in vec(0usize..40, 1..8)) {
        let config = small_limits();
        let mut messages = receive_messages(&mut connection(role, &config), &config, cut(&wire, &sizes));
        messages.seen.retain(|seen| matches!(seen, Seen::Message(_)));
        for receive in [receive_owned, receive_shared] {
            let given = receive(&mut connection(role, &config), &config, cut(&wire, &sizes));
            prop_assert_eq!(given, messages.clone());
        }
    }

    #[test]
    fn what_one_end_sends_the_other_end_sees(
        role in role(),
        steps in vec(step(), 0..12),
        close in close(),
        sizes in vec(0usize..40, 1..8),
    ) {
        let config = Config::default();
        let (wire, sent) = send(&mut connection(role, &small_limits()), &steps, &close);
        for sizes in [&sizes[..], &[usize::MAX], &[1]] {
            let received = receive_messages(&mut connection(other(role), &config), &config, cut(&wire, sizes));
            prop_assert_eq!(&received.seen, &sent);
            prop_assert_eq!(received.error, None);
        }
        let streamed = receive_chunks(&mut connection(other(role), &config), &config, cut(&wire, &sizes));
        prop_assert_eq!(&streamed.seen, &sent);
    }

    #[test]
    fn a_text_arrives_byte_by_byte_as_it_was_sent(role in role(), text in "\\PC{0,40}") {
        let (config, mut wire) = (Config::default(), Vec::new());
        connection(role, &config).send(&text, &mut wire)?;
        let received = receive_messages(&mut connection(other(role), &config), &config, cut(&wire, &[1]));
        prop_assert_eq!(received.seen, [Seen::Message(Message::Text(text))]);
    }

    #[test]
    fn a_long_message_goes_out_in_fragments_and_arrives_whole(
        role in role(),
        message in message(0..300),
        fragment_size in 0usize..100,
    ) {
        let (mut config, mut wire) = (Config::default(), Vec::new());
        config.fragment_size = fragment_size;
        connection(role, &config).send(message.as_ref(), &mut wire)?;

        let (mut rest, mut frames, fragment_size) = (&wire[..], 0, fragment_size.max(1));
        while let Some((header, len)) = FrameHeader::parse(rest)? {
            let payload_len = usize::try_from(header.payload_len)?;
            frames += 1;
            rest = &rest[len + payload_len..];
            prop_assert!(payload_len <= fragment_size, "{} bytes in a frame", payload_len);
            prop_assert_eq!(header.fin, rest.is_empty());
        }
        prop_assert_eq!(frames, message.as_ref().payload().len().div_ceil(fragment_size).max(1));
        let received = receive_messages(&mut connection(other(role), &config), &config, [&wire[..]]);
        prop_assert_eq!(received.seen, [Seen::Message(message)]);
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn message(len: core::ops::Range<usize>) -> impl Strategy<Value = Message> {
    prop_oneof![
        vec(any::<char>(), len.start..len.end.div_ceil(2)).prop_map(|text| Message::Text(text.into_iter().collect())),
        vec(any::<u8>(), len).prop_map(Message::from),
    ]
}

fn fin() -> impl Strategy<Value = Fin> {
    prop_oneof![Just(Fin::More), Just(Fin::Last)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => message(0..80).prop_map(Step::Send),
        1 => message(0..20).prop_map(Step::Prepared),
        1 => message(0..20).prop_map(Step::Head),
        4 => (message(0..20), fin()).prop_map(|(fragment, fin)| Step::Fragment(fragment, fin)),
        2 => vec(any::<u8>(), 0..127).prop_map(Step::Ping),
        1 => vec(any::<u8>(), 0..127).prop_map(Step::Pong),
    ]
}

fn close() -> impl Strategy<Value = Close> {
    prop_oneof![
        Just(Close::without_status()),
        (3000u16..5000, "\\PC{0,30}").prop_map(|(code, reason)| {
            Close::new(CloseCode::from(code), &reason).expect("an application may send these codes")
        }),
    ]
}

/// What a connection of this role might receive: frames that are mostly right.
fn wire() -> impl Strategy<Value = (Role, Vec<u8>)> {
    (role(), vec(piece(), 0..10), any::<[u8; 4]>()).prop_map(|(role, pieces, key)| {
        let masking_key = (role == Role::Server).then_some(key);
        let mut wire = Vec::new();
        for piece in pieces {
            piece.write(masking_key, &mut wire);
        }
        (role, wire)
    })
}

/// A piece of what goes over the wire.
#[derive(Clone, Debug)]
enum Piece {
    /// A message cut in fragments, a ping behind all but the last one.
    Message(Message, Vec<usize>),
    Control(OpCode, Vec<u8>),
    /// A frame that may well be out of place.
    Frame(FrameHeader, Vec<u8>),
    /// Masked, or not, against the role.
    WronglyMasked,
    Bytes(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let control = prop_oneof![Just(OpCode::Ping), Just(OpCode::Pong)];
    prop_oneof![
        8 => (message(0..60), vec(0usize..30, 0..3)).prop_map(|(message, sizes)| Piece::Message(message, sizes)),
        3 => (control, vec(any::<u8>(), 0..126)).prop_map(|(opcode, payload)| Piece::Control(opcode, payload)),
        1 => close_body().prop_map(|body| Piece::Control(OpCode::Close, body)),
        2 => odd_frame(),
        1 => Just(Piece::WronglyMasked),
        1 => vec(any::<u8>(), 0..6).prop_map(Piece::Bytes),
    ]
}

fn close_body() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![Just(1000u16), 990u16..1020, 2990u16..5010], vec(any::<u8>(), 0..4), 0usize..6).prop_map(
        |(code, reason, len)| {
            let mut body = [&code.to_be_bytes()[..], &reason].concat();
            body.truncate(len);
            body
        },
    )
}

fn odd_frame() -> impl Strategy<Value = Piece> {
    let opcode = prop_oneof![Just(OpCode::Continuation), Just(OpCode::Text), Just(OpCode::Binary), Just(OpCode::Ping)];
    let payload = prop_oneof![
        vec(any::<u8>(), 0..110),
        "[é€𝄞]{1,9}".prop_map(|text| text.into_bytes()[1..].to_vec()),
        "[é€𝄞]{1,9}".prop_map(|text| text.into_bytes().split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()),
    ];
    let rsv = prop_oneof![9 => Just(Rsv::NONE), 1 => Just(Rsv::RSV1)];
    (any::<bool>(), rsv, opcode, payload).prop_map(|(fin, rsv, opcode, payload)| {
        Piece::Frame(FrameHeader { fin, rsv, opcode, masking_key: None, payload_len: 0 }, payload)
    })
}

impl Piece {
    fn write(&self, masking_key: Option<[u8; 4]>, wire: &mut Vec<u8>) {
        let header = FrameHeader { fin: true, rsv: Rsv::NONE, opcode: OpCode::Ping, masking_key, payload_len: 0 };
        match self {
            Self::Message(message, sizes) => {
                let mut opcode = match message.as_ref() {
                    MessageRef::Text(_) => OpCode::Text,
                    MessageRef::Binary(_) => OpCode::Binary,
                };
                let mut rest = message.as_ref().payload();
                for &size in sizes {
                    let (fragment, after) = rest.split_at(size.min(rest.len()));
                    write_frame(FrameHeader { fin: false, opcode, ..header }, fragment, wire);
                    write_frame(header, b"ping", wire);
                    (opcode, rest) = (OpCode::Continuation, after);
                }
                write_frame(FrameHeader { opcode, ..header }, rest, wire);
            }
            Self::Control(opcode, payload) => write_frame(FrameHeader { opcode: *opcode, ..header }, payload, wire),
            Self::Frame(odd, payload) => write_frame(FrameHeader { masking_key, ..*odd }, payload, wire),
            Self::WronglyMasked => {
                let masking_key = masking_key.is_none().then_some([0; 4]);
                write_frame(FrameHeader { masking_key, ..header }, b"", wire);
            }
            Self::Bytes(bytes) => wire.extend_from_slice(bytes),
        }
    }
}

/// Appends a frame, whatever it is.
fn write_frame(header: FrameHeader, payload: &[u8], wire: &mut Vec<u8>) {
    wire.extend_from_slice(&FrameHeader { payload_len: payload.len() as u64, ..header }.encode());
    let start = wire.len();
    wire.extend_from_slice(payload);
    sockeye::mask(&mut wire[start..], header.masking_key.unwrap_or_default());
}
