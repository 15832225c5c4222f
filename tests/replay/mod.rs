//! What a connection makes of bytes, written down in a form that does not tell how they were cut up on the way.
//!
//! The properties, the transcripts and the fuzz targets all compare such outcomes. While it watches, the recorder checks
//! what must hold at every single step, whatever the bytes.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs, and the fuzz targets are another crate")]

use bytes::BytesMut;
use sockeye::{
    Assembler, Close, Config, Connection, ControlPayload, Counters, EndCause, Event, Fin, Message, MessageKind,
    MessageRef, Next, Payload, PreparedMessage, ProtocolError, Received, Role, SendError, State, Teardown,
};

/// Something that a connection reported; chunks are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Message(Message),
    Ping(ControlPayload),
    Pong(ControlPayload),
    Close(Close),
}

/// All that a connection made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub seen: Vec<Seen>,
    pub error: Option<ProtocolError>,
    pub output: Vec<u8>,
    pub state: State,
    pub teardown: Teardown,
    pub end_cause: Option<EndCause>,
    /// The bytes of the message that did not end, as far as they were streamed; none where an error cut it off.
    pub unfinished: Option<Vec<u8>>,
    /// What was counted; nothing where an error cut it off.
    pub received: Option<Counters>,
}

/// Limits that a few dozen bytes reach.
pub fn small_limits() -> Config {
    let mut config = Config::default();
    config.max_frame_size = 96;
    config.max_message_size = 64;
    config.max_fragments = 4;
    config.max_pending_pongs = 48;
    config.fragment_size = 16;
    config
}

/// A connection whose masking keys, if it needs any, can be told in advance: 37 fa 21 3d (RFC 6455 §5.7) for each frame.
pub fn connection(role: Role, config: &Config) -> Connection {
    match role {
        Role::Server => Connection::server(config.clone()),
        Role::Client => Connection::client_with_keys(config.clone(), || [0x37, 0xfa, 0x21, 0x3d]),
    }
}

/// The role at the other end.
pub fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// Gives a connection its input piece by piece and takes chunks out of it.
pub fn receive_chunks<'i>(
    connection: &mut Connection,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Outcome {
    let (mut seen, mut output, mut error, mut buffer) = (Vec::new(), Vec::new(), None, Vec::new());
    let mut open: Option<(MessageKind, Vec<u8>)> = None;
    for piece in pieces {
        buffer.clear();
        buffer.extend_from_slice(piece);
        let mut input = &mut buffer[..];
        loop {
            let (before, next) = (input.len(), connection.peek(input));
            let received = connection.receive(&mut input, &mut output);
            if let Ok(event) = &received {
                match next {
                    Next::Message => assert!(matches!(event, Some(Event::Data(chunk)) if chunk.whole().is_some())),
                    Next::Chunk => assert!(matches!(event, Some(Event::Data(_)))),
                    Next::Other => assert!(!matches!(event, Some(Event::Data(_)))),
                }
            }
            let chunk = match received {
                Ok(Some(Event::Data(chunk))) => chunk,
                Ok(Some(Event::Ping(payload))) => {
                    seen.push(Seen::Ping(payload));
                    continue;
                }
                Ok(Some(Event::Pong(payload))) => {
                    seen.push(Seen::Pong(payload));
                    continue;
                }
                Ok(Some(Event::Close(close))) => {
                    seen.push(Seen::Close(close));
                    continue;
                }
                Ok(None) => break assert!(input.is_empty(), "bytes were left behind"),
                Err(now) => break note(&mut error, now),
            };
            assert!(input.len() < before, "an event took no input");
            assert!(chunk.frame_remaining() <= config.max_frame_size, "frame beyond its limit");
            assert_eq!(chunk.is_first(), open.is_none(), "a chunk is the first if no message is open");
            let (kind, bytes) = open.get_or_insert_with(|| (chunk.kind(), Vec::new()));
            assert_eq!(*kind, chunk.kind(), "a message of two kinds");
            match chunk.payload() {
                Payload::Text { completed, text } => {
                    bytes.extend(completed.map(String::from).unwrap_or_default().bytes());
                    bytes.extend(text.bytes());
                }
                Payload::Binary(piece) => bytes.extend(piece),
                Payload::Encoded { .. } => unreachable!("there is no extension"),
            }
            if chunk.is_last() {
                seen.extend(open.take().map(|(kind, bytes)| Seen::Message(message(kind, bytes))));
            }
        }
        assert_output_is_bounded(&output, config);
    }
    let mut outcome = outcome(connection, seen, error, output);
    outcome.unfinished = open.map(|(_, bytes)| bytes).filter(|_| outcome.error.is_none());
    outcome
}

/// Gives a connection its input piece by piece and takes whole messages out of it.
pub fn receive_messages<'i>(
    connection: &mut Connection,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Outcome {
    receive_messages_with(connection, &mut Assembler::new(config.clone()), config, pieces)
}

/// Goes on with an assembler that may hold the beginning of a message.
pub fn receive_messages_with<'i>(
    connection: &mut Connection,
    assembler: &mut Assembler,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Outcome {
    let (mut seen, mut output, mut error, mut buffer) = (Vec::new(), Vec::new(), None, Vec::new());
    for piece in pieces {
        buffer.clear();
        buffer.extend_from_slice(piece);
        let mut input = &mut buffer[..];
        loop {
            let next = connection.peek(input);
            match connection.receive_message(&mut input, assembler, &mut output) {
                Ok(Some(received)) => {
                    assert!(next != Next::Message || matches!(received, Received::Message(_)), "it was foretold");
                    seen.push(match received {
                        Received::Message(message) => Seen::Message(message.to_owned()),
                        Received::Ping(payload) => Seen::Ping(payload),
                        Received::Pong(payload) => Seen::Pong(payload),
                        Received::Close(close) => Seen::Close(close),
                    });
                }
                Ok(None) => break assert!(input.is_empty() && next != Next::Message, "bytes were left behind"),
                Err(now) => break note(&mut error, now),
            }
        }
        assert!(assembler.message().payload().len() <= config.max_message_size, "message beyond its limit");
        assert_output_is_bounded(&output, config);
    }
    outcome(connection, seen, error, output)
}

/// Gives a connection its input piece by piece, and takes whole messages out of a buffer that holds what has only begun, until
/// the input ends.
pub fn receive_buffered<'i>(
    connection: &mut Connection,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Outcome {
    let mut assembler = Assembler::new(config.clone());
    let (mut seen, mut output, mut error, mut buffer) = (Vec::new(), Vec::new(), None, Vec::new());
    let pieces = pieces.into_iter().map(Some).chain([None]);
    for piece in pieces {
        buffer.extend_from_slice(piece.unwrap_or_default());
        // At the end nothing is held any more.
        let room = if piece.is_some() { ROOM } else { 0 };
        let mut input = &mut buffer[..];
        loop {
            match connection.receive_buffered(&mut input, room, &mut assembler, &mut output) {
                Ok(Some(Received::Message(message))) => seen.push(Seen::Message(message.to_owned())),
                Ok(Some(Received::Ping(payload))) => seen.push(Seen::Ping(payload)),
                Ok(Some(Received::Pong(payload))) => seen.push(Seen::Pong(payload)),
                Ok(Some(Received::Close(close))) => seen.push(Seen::Close(close)),
                Ok(None) => break,
                Err(now) => break note(&mut error, now),
            }
        }
        match (input.len(), connection.lacks(input)) {
            (0, _) => {}
            (held, Some(lacking)) => assert!(held + lacking <= room, "more is held than there is room for"),
            (held, None) => panic!("{held} bytes were left behind"),
        }
        let held = input.len();
        buffer.drain(..buffer.len() - held);
        assert!(assembler.message().payload().len() <= config.max_message_size, "message beyond its limit");
        assert_output_is_bounded(&output, config);
    }
    outcome(connection, seen, error, output)
}

/// Gives a connection its input piece by piece and has it give messages away, until the input ends. Only messages are seen.
pub fn receive_owned<'i>(
    connection: &mut Connection,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Outcome {
    receive_given(connection, config, pieces, Connection::receive_owned)
}

/// The same with messages in memory that they share. They are kept until the end, so nobody writes into them.
pub fn receive_shared<'i>(
    connection: &mut Connection,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Outcome {
    let mut kept = Vec::new();
    let outcome = receive_given(connection, config, pieces, |connection, input, assembler, output| {
        let message = connection.receive_shared(input, assembler, output)?;
        kept.extend(message.clone());
        Ok(message.map(Message::from))
    });
    let seen: Vec<Message> = outcome
        .seen
        .iter()
        .filter_map(|seen| if let Seen::Message(message) = seen { Some(message.clone()) } else { None })
        .collect();
    let kept: Vec<Message> = kept.into_iter().map(Message::from).collect();
    assert_eq!(kept[..], seen[..kept.len()], "somebody wrote into what was given away");
    outcome
}

fn receive_given<'i>(
    connection: &mut Connection,
    config: &Config,
    pieces: impl IntoIterator<Item = &'i [u8]>,
    mut receive: impl FnMut(
        &mut Connection,
        &mut BytesMut,
        &mut Assembler,
        &mut Vec<u8>,
    ) -> Result<Option<Message>, ProtocolError>,
) -> Outcome {
    let mut assembler = Assembler::new(config.clone());
    let (mut seen, mut output, mut error, mut input) = (Vec::new(), Vec::new(), None, BytesMut::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match receive(connection, &mut input, &mut assembler, &mut output) {
                Ok(Some(message)) => seen.push(Seen::Message(message)),
                Ok(None) => break,
                Err(now) => break note(&mut error, now),
            }
        }
        assert!(input.is_empty() || connection.lacks(&input).is_some(), "{} bytes were left behind", input.len());
        assert!(assembler.message().payload().len() <= config.max_message_size, "message beyond its limit");
        assert_output_is_bounded(&output, config);
    }
    // At the end nothing is held any more.
    let mut rest = &mut input[..];
    loop {
        match connection.receive_message(&mut rest, &mut assembler, &mut output) {
            Ok(Some(Received::Message(message))) => seen.push(Seen::Message(message.to_owned())),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(now) => break note(&mut error, now),
        }
    }
    outcome(connection, seen, error, output)
}

/// Cuts `bytes` into pieces of these sizes, over and over; a size of zero gives an empty piece.
pub fn cut<'i>(bytes: &'i [u8], sizes: &[usize]) -> Vec<&'i [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    for &size in sizes.iter().chain([&1]).cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Something that a program does with its end of a connection.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Message),
    Prepared(Message),
    /// The header alone, with the payload written behind it.
    Head(Message),
    Fragment(Message, Fin),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// Takes the steps, ends the message that is open, and closes: what is on the wire, and what the peer must see of it.
pub fn send(connection: &mut Connection, steps: &[Step], close: &Close) -> (Vec<u8>, Vec<Seen>) {
    let (mut wire, mut expected) = (Vec::new(), Vec::new());
    let mut open: Option<(MessageKind, Vec<u8>)> = None;
    for step in steps {
        match step {
            Step::Send(message) | Step::Prepared(message) | Step::Head(message) => {
                let before = wire.len();
                let sent = match step {
                    Step::Prepared(_) => connection.send_prepared(&PreparedMessage::new(message.clone()), &mut wire),
                    Step::Head(_) => {
                        let mut payload = message.as_ref().payload().to_vec();
                        connection.head(message.as_ref().kind(), &mut payload).map(|head| {
                            wire.extend_from_slice(&head);
                            wire.extend_from_slice(&payload);
                        })
                    }
                    _ => connection.send(message.as_ref(), &mut wire),
                };
                if open.is_some() {
                    assert_eq!((sent, wire.len()), (Err(SendError::MessageOpen), before));
                } else {
                    assert_eq!(sent, Ok(()));
                    expected.push(Seen::Message(message.clone()));
                }
            }
            Step::Fragment(fragment, fin) => {
                let fragment = fragment.as_ref();
                let before = wire.len();
                let sent = connection.send_fragment(fragment, *fin, &mut wire);
                let (kind, bytes) = open.get_or_insert_with(|| (fragment.kind(), Vec::new()));
                if *kind != fragment.kind() {
                    assert_eq!((sent, wire.len()), (Err(SendError::FragmentKind), before));
                    continue;
                }
                assert_eq!(sent, Ok(()));
                bytes.extend(fragment.payload());
                if *fin == Fin::Last {
                    expected.extend(open.take().map(|(kind, bytes)| Seen::Message(message(kind, bytes))));
                }
            }
            Step::Ping(payload) => match connection.send_ping(payload, &mut wire) {
                Ok(()) => expected.push(Seen::Ping(ControlPayload::new(payload).expect("it was sent"))),
                Err(error) => assert_eq!(error, SendError::ControlTooLong { len: payload.len() }),
            },
            Step::Pong(payload) => match connection.send_pong(payload, &mut wire) {
                Ok(()) => expected.push(Seen::Pong(ControlPayload::new(payload).expect("it was sent"))),
                Err(error) => assert_eq!(error, SendError::ControlTooLong { len: payload.len() }),
            },
        }
    }
    if let Some((kind, bytes)) = open {
        let end = match kind {
            MessageKind::Text => MessageRef::Text(""),
            MessageKind::Binary => MessageRef::Binary(b""),
        };
        assert_eq!(connection.send_fragment(end, Fin::Last, &mut wire), Ok(()));
        expected.push(Seen::Message(message(kind, bytes)));
    }
    assert_eq!(connection.close(close.clone(), &mut wire), Ok(()));
    assert_eq!(connection.send_ping(b"", &mut wire), Err(SendError::Closed));
    expected.push(Seen::Close(close.clone()));
    (wire, expected)
}

/// Remembers the first error; every later one must be the same.
fn note(error: &mut Option<ProtocolError>, now: ProtocolError) {
    let first = error.get_or_insert_with(|| now.clone());
    assert_eq!(*first, now, "a failed connection says the same again");
}

/// Pongs are added while the output is short; behind them stands at most one more frame of ours, the Close.
fn assert_output_is_bounded(output: &[u8], config: &Config) {
    const LONGEST_CONTROL_FRAME: usize = 2 + 4 + ControlPayload::MAX;
    let bound = config.max_pending_pongs + 2 * LONGEST_CONTROL_FRAME;
    assert!(output.len() <= bound, "{} bytes of output, {bound} allowed", output.len());
}

/// A message from its bytes; text must be text.
fn message(kind: MessageKind, bytes: Vec<u8>) -> Message {
    match kind {
        MessageKind::Text => Message::Text(String::from_utf8(bytes).expect("text that was reported is UTF-8")),
        MessageKind::Binary => Message::from(bytes),
    }
}

fn outcome(connection: &Connection, seen: Vec<Seen>, error: Option<ProtocolError>, output: Vec<u8>) -> Outcome {
    assert_eq!(error.is_some(), matches!(connection.end_cause(), Some(EndCause::Violation(_))));
    Outcome {
        state: connection.state(),
        teardown: connection.teardown(),
        end_cause: connection.end_cause().cloned(),
        unfinished: None,
        received: error.is_none().then(|| connection.received()),
        seen,
        error,
        output,
    }
}

/// The buffer that a message may be held in: less than the longest that there may be.
const ROOM: usize = 56;
