//! Messages that the engine gives away, of lengths at which it matters how often they are copied.

mod common;
mod replay;

use bytes::{Buf, BytesMut};
use common::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, ROLES, TEXT, head_to, to};
use proptest::prelude::*;
use replay::{Seen, connection, cut, receive_messages, receive_owned, receive_shared};
use sockeye::{Assembler, Config, Connection, Message, ProtocolError, Received, Role, SharedMessage, State};

/// What receives.
struct Receiving {
    connection: Connection,
    assembler: Assembler,
    input: BytesMut,
    output: Vec<u8>,
}

impl Receiving {
    fn new(role: Role, config: &Config) -> Self {
        let connection = connection(role, config);
        Self { assembler: connection.assembler(), connection, input: BytesMut::new(), output: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<Option<Message>, ProtocolError> {
        self.input.extend_from_slice(bytes);
        self.connection.receive_owned(&mut self.input, &mut self.assembler, &mut self.output)
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(len).collect()
}

#[test]
fn a_long_binary_message_stays_where_it_was_read_to() {
    for role in ROLES {
        for len in [16 * 1024, 65_535, 65_536, 1 << 20] {
            let (mut receiving, frame) =
                (Receiving::new(role, &Config::default()), to(role, FIN | BINARY, &payload(len)));
            // The memory that the message will lie in is the input's.
            receiving.input.reserve(frame.len() + 2);
            let at = receiving.input.as_ptr();
            assert_eq!(receiving.read(&frame[..100]), Ok(None));
            assert_eq!(receiving.input.len(), 100, "it is left there");
            let Ok(Some(Message::Binary(bytes))) = receiving.read(&[&frame[100..], b"\x8a"].concat()) else {
                panic!("no message");
            };
            assert_eq!(bytes, payload(len));
            assert_eq!(bytes.as_ptr().addr(), at.addr() + frame.len() - len, "{role:?}, {len} bytes");
            assert_eq!(receiving.input[..], *b"\x8a");
        }
    }
}

#[test]
fn a_long_text_that_may_share_memory_stays_where_it_was_read_to() {
    let text = "añb".repeat(50_000);
    for role in ROLES {
        for (len, fragments) in [(16 * 1024, 1), (65_532, 1), (65_536, 1), (200_000, 1), (30_000, 2), (200_000, 2)] {
            let (first, rest) = text.as_bytes()[..len].split_at(if fragments == 1 { len } else { len / 2 });
            let frames = match fragments {
                1 => to(role, FIN | TEXT, first),
                _ => [to(role, TEXT, first), to(role, FIN | CONTINUATION, rest)].concat(),
            };
            let mut receiving = Receiving::new(role, &Config::default());
            receiving.input.reserve(frames.len() + 2);
            let memory = receiving.input.as_ptr().addr()..receiving.input.as_ptr().addr() + frames.len();
            let Receiving { connection, assembler, input, output } = &mut receiving;
            input.extend_from_slice(&frames[..100]);
            assert_eq!(connection.receive_shared(input, assembler, output), Ok(None));
            assert_eq!(input.len(), 100, "it is left there");
            input.extend_from_slice(&[&frames[100..], b"\x8a"].concat());
            let Ok(Some(SharedMessage::Text(given))) = connection.receive_shared(input, assembler, output) else {
                panic!("no message");
            };
            assert_eq!(given.as_str(), &text[..len]);
            assert!(memory.contains(&given.as_ptr().addr()), "{role:?}, {len} bytes in {fragments}");
            assert_eq!(input[..], *b"\x8a");
        }
    }
}

#[test]
fn a_short_message_that_may_share_memory_does_not_keep_the_input() {
    for role in ROLES {
        for first in [TEXT, BINARY] {
            let mut receiving = Receiving::new(role, &Config::default());
            let Receiving { connection, assembler, input, output } = &mut receiving;
            for len in [0, 5, 16 * 1024 - 1] {
                input.extend_from_slice(&to(role, FIN | first, &vec![b'a'; len]));
                let memory = input.as_ptr().addr()..input.as_ptr().addr() + input.len();
                let message = connection.receive_shared(input, assembler, output).unwrap().unwrap();
                assert_eq!(message.as_ref().payload(), vec![b'a'; len]);
                assert!(len == 0 || !memory.contains(&message.as_ref().payload().as_ptr().addr()));
            }
        }
    }
}

#[test]
fn the_fragments_of_a_long_binary_message_that_are_all_there_are_moved_together_there() {
    for role in ROLES {
        for (len, first) in [(30_000, 10_000), (200_000, 70_000), (200_000, 10), (150_000, 140_000)] {
            let (whole, mut receiving) = (payload(len), Receiving::new(role, &Config::default()));
            let frames = [to(role, BINARY, &whole[..first]), to(role, FIN | CONTINUATION, &whole[first..])].concat();
            receiving.input.reserve(frames.len());
            let memory = receiving.input.as_ptr().addr()..receiving.input.as_ptr().addr() + frames.len();
            assert_eq!(receiving.read(&frames[..20_000]), Ok(None));
            let Ok(Some(Message::Binary(bytes))) = receiving.read(&frames[20_000..]) else { panic!("no message") };
            assert_eq!(bytes, whole);
            assert!(memory.contains(&bytes.as_ptr().addr()));
            assert!(receiving.input.is_empty());
        }
    }
}

#[test]
fn a_long_message_that_is_cut_in_more_than_eight_fragments_or_by_a_ping_is_gathered() {
    for role in ROLES {
        for (fragments, ping, stays) in [(8, false, true), (9, false, false), (2, true, false)] {
            let (whole, mut receiving) = (payload(fragments * 10_000), Receiving::new(role, &Config::default()));
            let mut frames = Vec::new();
            for (number, fragment) in whole.chunks(10_000).enumerate() {
                let opcode = if number == 0 { BINARY } else { CONTINUATION };
                let fin = if number + 1 == fragments { FIN } else { 0 };
                frames.extend(to(role, fin | opcode, fragment));
                if ping && number == 0 {
                    frames.extend(to(role, FIN | PING, b""));
                }
            }
            receiving.input.reserve(frames.len());
            let memory = receiving.input.as_ptr().addr()..receiving.input.as_ptr().addr() + frames.len();
            let (most, last) = frames.split_at(frames.len() - 1);
            assert_eq!(receiving.read(most), Ok(None));
            let Ok(Some(Message::Binary(bytes))) = receiving.read(last) else { panic!("no message") };
            assert_eq!(bytes, whole);
            assert_eq!(memory.contains(&bytes.as_ptr().addr()), stays, "{role:?}, {fragments} fragments");
        }
    }
}

#[test]
fn long_fragments_that_are_all_there_are_lent_from_there() {
    let text = "añb".repeat(60_000);
    for role in ROLES {
        for first in [TEXT, BINARY] {
            // Cut within a character.
            let mut frames = [
                to(role, first, &text.as_bytes()[..100_002]),
                to(role, CONTINUATION, b""),
                to(role, FIN | CONTINUATION, &text.as_bytes()[100_002..]),
            ]
            .concat();
            let mut receiving = Receiving::new(role, &Config::default());
            let (memory, mut input) = (frames.as_ptr_range(), &mut frames[..]);
            let Receiving { connection, assembler, output, .. } = &mut receiving;
            let Ok(Some(Received::Message(message))) = connection.receive_message(&mut input, assembler, output) else {
                panic!("no message");
            };
            assert_eq!(message.payload(), text.as_bytes());
            assert!(memory.contains(&message.payload().as_ptr()), "lent from the input");
        }
    }
}

#[test]
fn a_long_fragment_is_refused_as_any_other() {
    let mut config = Config::default();
    config.max_frame_size = 100_000;
    for role in ROLES {
        let mut receiving = Receiving::new(role, &config);
        let frames = [to(role, BINARY, &payload(70_000)), to(role, FIN | CONTINUATION, &payload(100_001))].concat();
        assert_eq!(receiving.read(&frames), Err(ProtocolError::FrameTooBig { len: 100_001, max: 100_000 }));

        let mut receiving = Receiving::new(role, &Config::default());
        let mut frames = [to(role, TEXT, &[b'a'; 70_000]), to(role, FIN | CONTINUATION, &[0xff; 70_000])].concat();
        let Receiving { connection, assembler, output, .. } = &mut receiving;
        let received = connection.receive_message(&mut &mut frames[..], assembler, output);
        assert_eq!(received, Err(ProtocolError::InvalidUtf8));
    }
}

#[test]
fn what_is_left_in_the_input_can_be_received_as_far_as_it_is_there() {
    for role in ROLES {
        let (whole, mut receiving) = (payload(100_000), Receiving::new(role, &Config::default()));
        let frame = to(role, FIN | BINARY, &whole);
        assert_eq!(receiving.read(&frame[..60_000]), Ok(None));
        assert_eq!(receiving.connection.received().wire_bytes, 0, "nothing of it is received");
        let Receiving { connection, assembler, input, output } = &mut receiving;
        assert_eq!(connection.receive_message(&mut &mut input[..], assembler, output), Ok(None));
        input.clear();
        assert_eq!(connection.received().wire_bytes, 60_000);
        assert_eq!(receiving.read(&frame[60_000..]), Ok(Some(Message::from(whole))));
    }
}

#[test]
fn memory_is_not_taken_for_what_is_only_announced() {
    let text = vec![b'a'; 1 << 20];
    for role in ROLES {
        for first in [FIN | BINARY, FIN | TEXT, BINARY, TEXT] {
            let (mut receiving, frame) = (Receiving::new(role, &Config::default()), to(role, first, &text));
            let mut read = 0;
            for piece in [14, 6, 1000].into_iter().chain([20_000; 20]) {
                assert_eq!(receiving.read(&frame[read..read + piece]), Ok(None));
                read += piece;
                let capacity = receiving.input.capacity();
                // The input doubles its room, if it is given less than that.
                assert!(capacity <= 2 * (5 * read + 17_000), "{capacity} bytes for {read}");
            }
        }
    }
}

#[test]
fn a_message_beyond_a_limit_is_refused_by_its_header() {
    let mut config = Config::default();
    (config.max_frame_size, config.max_message_size) = (50_000, 40_000);
    for role in ROLES {
        for (len, error) in [
            (40_001, ProtocolError::MessageTooBig { len: 40_001, max: 40_000 }),
            (50_001, ProtocolError::FrameTooBig { len: 50_001, max: 50_000 }),
        ] {
            let mut receiving = Receiving::new(role, &config);
            assert_eq!(receiving.read(&head_to(role, FIN | BINARY, len)), Err(error.clone()));
            assert_eq!(receiving.read(b"more"), Err(error), "and again");
            assert!(receiving.input.is_empty() && !receiving.output.is_empty());
        }
    }
}

#[test]
fn what_is_wrong_in_a_text_is_found_though_it_has_not_ended() {
    for role in ROLES {
        let mut receiving = Receiving::new(role, &Config::default());
        let frame = to(role, FIN | TEXT, &[&[b'a'; 100_000][..], b"\xff", &[b'a'; 100_000]].concat());
        assert_eq!(receiving.read(&frame[..100_000]), Ok(None));
        assert_eq!(receiving.read(&frame[100_000..101_000]), Err(ProtocolError::InvalidUtf8));
    }
}

#[test]
fn pings_and_closes_are_answered_and_not_told_of() {
    let mut receiving = Receiving::new(Role::Server, &Config::default());
    let frames = [to(Role::Server, FIN | PING, b"p"), to(Role::Server, FIN | CLOSE, b"\x03\xe8")].concat();
    assert_eq!(receiving.read(&frames), Ok(None));
    assert_eq!(receiving.output, b"\x8a\x01p\x88\x02\x03\xe8");
    assert_eq!((receiving.connection.state(), receiving.input.len()), (State::Closed, 0));
    assert_eq!(receiving.read(b"what comes behind a Close"), Ok(None));
    assert!(receiving.input.is_empty());
}

#[test]
fn a_pong_that_was_owed_is_paid_by_a_call_with_nothing_in_the_input() {
    let mut config = Config::default();
    config.max_pending_pongs = 8;
    let mut receiving = Receiving::new(Role::Server, &config);
    receiving.output = vec![0; 8];
    assert_eq!(receiving.read(&to(Role::Server, FIN | PING, b"p")), Ok(None));
    assert!(receiving.connection.owes_pong());
    receiving.output.clear();
    assert_eq!(receiving.read(b""), Ok(None));
    assert_eq!(receiving.output, b"\x8a\x01p");
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        3 => 0usize..12,
        2 => 16_000usize..17_000,
        2 => 65_400usize..65_700,
        1 => 120_000usize..160_000
    ]
}

/// A message: whether it is text, and its frames by their lengths, with whether a ping follows.
type Sent = (bool, Vec<(usize, bool)>);

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec((size(), any::<bool>()), 1..4)), 1..6)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..20, 1_000usize..70_000], 1..8)
}

/// A byte that is another one on its way.
fn flip() -> impl Strategy<Value = Option<(prop::sample::Index, u8)>> {
    prop::option::weighted(0.2, (any::<prop::sample::Index>(), 1u8..))
}

fn wire(role: Role, sent: &[Sent], flip: Option<(prop::sample::Index, u8)>) -> Vec<u8> {
    let mut wire = Vec::new();
    for (is_text, frames) in sent {
        let len = frames.iter().map(|(len, _)| len).sum();
        let whole: String = "zwölf Boxkämpfer ".chars().cycle().take(len).collect();
        let (mut rest, mut opcode) = (whole.as_bytes(), if *is_text { TEXT } else { BINARY });
        for (number, (len, has_ping)) in frames.iter().enumerate() {
            let (piece, behind) = if number + 1 == frames.len() { (rest, &[][..]) } else { rest.split_at(*len) };
            let fin = if number + 1 == frames.len() { FIN } else { 0 };
            wire.extend(to(role, fin | opcode, piece));
            if *has_ping {
                wire.extend(to(role, FIN | PING, b"p"));
            }
            (rest, opcode) = (behind, CONTINUATION);
        }
    }
    if let Some((at, flip)) = flip {
        let at = at.index(wire.len());
        wire[at] ^= flip;
    }
    wire
}

/// Which call receives what was read.
#[derive(Clone, Copy, Debug)]
enum Call {
    Owned,
    /// After the input was to be given memory back that messages have.
    OwnedReclaimed,
    /// With so much room.
    Buffered(usize),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        2 => Just(Call::Owned),
        1 => Just(Call::OwnedReclaimed),
        1 => prop_oneof![Just(0), Just(60_000)].prop_map(Call::Buffered),
    ];
    prop::collection::vec(call, 1..7)
}

/// The messages, the error and the output, where each piece is received by another call.
fn receive_by_turns(
    role: Role,
    config: &Config,
    pieces: &[&[u8]],
    calls: &[Call],
) -> (Vec<Seen>, Option<ProtocolError>, Vec<u8>) {
    let Receiving { mut connection, mut assembler, mut input, mut output } = Receiving::new(role, config);
    let (mut seen, mut error) = (Vec::new(), None);
    // At the end nothing is held any more.
    let pieces = pieces.iter().copied().zip(calls.iter().copied().cycle()).chain([(&[][..], Call::Buffered(0))]);
    for (piece, call) in pieces {
        input.extend_from_slice(piece);
        loop {
            let received = match call {
                Call::Owned | Call::OwnedReclaimed => {
                    if let Call::OwnedReclaimed = call {
                        let _ = input.try_reclaim(70_000);
                    }
                    connection.receive_owned(&mut input, &mut assembler, &mut output)
                }
                Call::Buffered(room) => {
                    let mut rest = &mut input[..];
                    let received = loop {
                        match connection.receive_buffered(&mut rest, room, &mut assembler, &mut output) {
                            Ok(Some(Received::Message(message))) => break Ok(Some(message.to_owned())),
                            Ok(Some(_)) => {}
                            Ok(None) => break Ok(None),
                            Err(error) => break Err(error),
                        }
                    };
                    let left = rest.len();
                    input.advance(input.len() - left);
                    received
                }
            };
            match received {
                Ok(Some(message)) => seen.push(Seen::Message(message)),
                Ok(None) => break,
                Err(now) => break error = Some(now),
            }
        }
    }
    assert!(input.is_empty());
    (seen, error, output)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The messages that were given away before are kept until the end, so nobody writes into them.
    #[test]
    fn long_messages_that_are_given_away_are_those_that_are_lent(
        sent in sent(),
        sizes in sizes(),
        flip in flip(),
        is_server: bool,
    ) {
        let (role, config) = (if is_server { Role::Server } else { Role::Client }, Config::default());
        let wire = wire(role, &sent, flip);
        let mut lent = receive_messages(&mut connection(role, &config), &config, [&wire[..]]);
        lent.seen.retain(|seen| matches!(seen, Seen::Message(_)));
        for receive in [receive_owned, receive_shared] {
            let given = receive(&mut connection(role, &config), &config, cut(&wire, &sizes));
            prop_assert!(given == lent, "{} instead of {} messages, or others", given.seen.len(), lent.seen.len());
        }
    }

    /// Within limits that some of them break.
    #[test]
    fn messages_are_the_same_whichever_call_receives_them(
        sent in sent(),
        (sizes, calls) in (sizes(), calls()),
        flip in flip(),
        is_server: bool,
        max_message_size in prop_oneof![Just(20_000), Just(65_536), Just(1 << 20)],
        max_frame_size in prop_oneof![Just(16_384), Just(65_535), Just(65_536), Just(1 << 20)],
        max_fragments in prop_oneof![Just(2), Just(1024)],
    ) {
        let (role, mut config) = (if is_server { Role::Server } else { Role::Client }, Config::default());
        config.max_message_size = max_message_size;
        (config.max_frame_size, config.max_fragments) = (max_frame_size, max_fragments);
        let wire = wire(role, &sent, flip);
        let mut lent = receive_messages(&mut connection(role, &config), &config, [&wire[..]]);
        lent.seen.retain(|seen| matches!(seen, Seen::Message(_)));
        let (seen, error, output) = receive_by_turns(role, &config, &cut(&wire, &sizes), &calls);
        prop_assert!(seen == lent.seen, "{} instead of {} messages, or others", seen.len(), lent.seen.len());
        prop_assert_eq!((error, output), (lent.error, lent.output));
    }
}
