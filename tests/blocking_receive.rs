//! Receiving over the blocking adapter: owned, lent and in chunks.

mod blocking_support;

use std::thread;

use blocking_support::*;
use proptest::prelude::*;
use sockeye::blocking::{Error, WebSocket};
use sockeye::{Close, CloseCode, Config, EndCause, Message, MessageKind, Payload, ProtocolError, State};

/// How messages are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Owned,
    Lent,
    Chunks,
    SplitOwned,
    SplitLent,
    SplitChunks,
}

const WAYS: [Way; 6] = [Way::Owned, Way::Lent, Way::Chunks, Way::SplitOwned, Way::SplitLent, Way::SplitChunks];

/// Puts chunks together until their message ends.
fn gather<'a>(
    message: &mut Option<(MessageKind, Vec<u8>)>,
    chunk: Option<sockeye::Chunk<'a>>,
) -> Option<Option<Message>> {
    let Some(chunk) = chunk else { return Some(None) };
    assert_eq!(chunk.is_first(), message.is_none());
    let (_, bytes) = message.get_or_insert_with(|| (chunk.kind(), Vec::new()));
    match chunk.payload() {
        Payload::Text { completed, text } => {
            bytes.extend_from_slice(completed.map(String::from).unwrap_or_default().as_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Payload::Binary(piece) => bytes.extend_from_slice(piece),
        Payload::Encoded { .. } => unreachable!(),
    }
    if !chunk.is_last() {
        return None;
    }
    message.take().map(|(kind, bytes)| {
        Some(match kind {
            MessageKind::Text => Message::Text(String::from_utf8(bytes).expect("text")),
            MessageKind::Binary => Message::from(bytes),
        })
    })
}

/// Everything that a server gets: the messages, and how it ends.
fn all(socket: WebSocket<Scripted>, way: Way) -> (Vec<Message>, Result<(), Error>) {
    let mut messages = Vec::new();
    let mut open = None;
    let mut whole = Some(socket);
    let mut split = None;
    if matches!(way, Way::SplitOwned | Way::SplitLent | Way::SplitChunks) {
        split = whole.take().map(|socket| socket.split().expect("halves"));
    }
    let mut next = || match (way, &mut whole, &mut split) {
        (Way::Owned, Some(socket), _) => socket.receive(),
        (Way::Lent, Some(socket), _) => Ok(socket.receive_ref()?.map(|message| message.to_owned())),
        (Way::SplitOwned, _, Some((receiver, _))) => receiver.receive(),
        (Way::SplitLent, _, Some((receiver, _))) => Ok(receiver.receive_ref()?.map(|message| message.to_owned())),
        (Way::Chunks, Some(socket), _) => loop {
            if let Some(message) = gather(&mut open, socket.receive_chunk()?) {
                return Ok(message);
            }
        },
        (Way::SplitChunks, _, Some((receiver, _))) => loop {
            if let Some(message) = gather(&mut open, receiver.receive_chunk()?) {
                return Ok(message);
            }
        },
        _ => unreachable!(),
    };
    loop {
        match persist(&mut next) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, Ok(())),
            Err(error) => return (messages, Err(error)),
        }
    }
}

/// Messages in all sizes and forms, with control frames between and inside them, then a Close.
fn exchange() -> (Vec<u8>, Vec<Message>) {
    let long = "äö€😀".repeat(20_000);
    let cut = 77_777; // inside a character
    let input = [
        masked(0x81, "hi".as_bytes()),
        masked(0x89, b"1"),
        masked(0x82, &[]),
        masked(0x01, &long.as_bytes()[..cut]),
        masked(0x89, b"2"),
        masked(0x8a, b"unasked"),
        masked(0x80, &long.as_bytes()[cut..]),
        masked(0x02, b"a"),
        masked(0x00, b""),
        masked(0x80, b"b"),
        masked(0x82, &[7; 70_000]),
        masked(0x88, &close_body(1000, "bye")),
        masked(0x81, b"ignored"),
    ]
    .concat();
    let messages = vec!["hi".into(), Vec::new().into(), long.into(), b"ab".to_vec().into(), vec![7; 70_000].into()];
    (input, messages)
}

#[test]
fn owned_lent_and_chunked_messages_are_the_same() {
    let (input, expected) = exchange();
    for way in WAYS {
        let stream = Scripted::new(&input[..]);
        let (messages, end) = all(server(stream.clone(), Config::default()), way);
        assert!(messages == expected, "{way:?}");
        assert!(end.is_ok(), "{way:?}: {end:?}");
        let written = frames(&stream.output());
        let (last, pongs) = written.split_last().unwrap();
        assert_eq!(last, &(0x88, close_body(1000, "")), "{way:?}");
        assert_eq!(pongs, [(0x8a, b"1".to_vec()), (0x8a, b"2".to_vec())], "{way:?}");
    }
}

/// Sends a violation behind a good message, and checks what both sides see.
fn violation(bad: &[u8], change: impl Fn(&mut Config), is_seen_in_chunks: bool) -> ProtocolError {
    let mut errors = Vec::new();
    for way in WAYS {
        if matches!(way, Way::Chunks | Way::SplitChunks) && !is_seen_in_chunks {
            continue;
        }
        let stream = Scripted::new([&masked(0x81, b"good"), bad].concat());
        let (messages, end) = all(server(stream.clone(), config(&change)), way);
        assert_eq!(messages, [Message::from("good")], "{way:?}");
        let Err(Error::Protocol(error)) = end else { panic!("{way:?}: {end:?}") };
        let written = frames(&stream.output());
        assert_eq!(written.len(), 1, "{way:?}");
        assert_eq!(written[0].0, 0x88, "{way:?}");
        assert_eq!(written[0].1[..2], u16::from(error.close_code()).to_be_bytes(), "{way:?}");
        assert!(stream.script().is_shut_down, "{way:?}");
        errors.push(error);
    }
    assert!(errors.windows(2).all(|pair| pair[0] == pair[1]), "{errors:?}");
    errors.remove(0)
}

#[test]
fn violations_are_told_to_the_peer_before_they_are_reported() {
    assert_eq!(violation(&masked(0x81, b"\xff"), |_| {}, true), ProtocolError::InvalidUtf8);
    assert_eq!(violation(&masked(0x81, &[0x80; 70_000]), |_| {}, true), ProtocolError::InvalidUtf8);
    assert_eq!(violation(&plain(0x81, b"hi"), |_| {}, true), ProtocolError::Unmasked);
    assert_eq!(violation(&masked(0x80, b"hi"), |_| {}, true), ProtocolError::UnexpectedContinuation);
    assert_eq!(violation(&masked(0x83, b"hi"), |_| {}, true), ProtocolError::ReservedOpCode(3));
    let limit = |config: &mut Config| config.max_message_size = 10;
    let too_big = ProtocolError::MessageTooBig { len: 11, max: 10 };
    assert_eq!(violation(&masked(0x82, &[0; 11]), limit, false), too_big);
    let limit = |config: &mut Config| config.max_frame_size = 10;
    let too_big = ProtocolError::FrameTooBig { len: 11, max: 10 };
    assert_eq!(violation(&masked(0x82, &[0; 11]), limit, true), too_big);
}

#[test]
fn what_was_said_at_the_end_is_said_again() {
    let stream = Scripted::new(masked(0x81, b"\xff"));
    let mut socket = server(stream.clone(), Config::default());
    for _ in 0..3 {
        assert!(matches!(socket.receive(), Err(Error::Protocol(ProtocolError::InvalidUtf8))));
        assert!(matches!(socket.receive_ref(), Err(Error::Protocol(ProtocolError::InvalidUtf8))));
        assert!(matches!(socket.receive_chunk(), Err(Error::Protocol(ProtocolError::InvalidUtf8))));
    }
    assert_eq!(frames(&stream.output()).len(), 1);
    assert!(matches!(socket.send("no"), Err(Error::Send(sockeye::SendError::Closed))));
    assert_eq!(socket.state(), State::Closed);

    let mut socket = server(Scripted::new(masked(0x88, &[])), Config::default());
    for _ in 0..3 {
        assert_eq!(socket.receive().unwrap(), None);
    }
    assert_eq!(socket.close_code(), Some(CloseCode::NO_STATUS));
    assert_eq!(socket.peer_close(), Some(&Close::without_status()));
    assert_eq!(socket.end_cause(), Some(&EndCause::Remote));

    let mut socket = server(Scripted::new(masked(0x01, b"half")), Config::default());
    for _ in 0..3 {
        assert!(matches!(socket.receive(), Err(Error::Lost)));
    }
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));

    let stream = Scripted::new(masked(0x81, b"good"));
    stream.script().at_end = Some(std::io::ErrorKind::ConnectionReset);
    let mut socket = server(stream, Config::default());
    assert_eq!(socket.receive().unwrap(), Some("good".into()));
    for _ in 0..3 {
        let Err(Error::Io(error)) = socket.receive() else { panic!() };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(socket.end_cause(), Some(&EndCause::TransportLost));
}

#[test]
fn reset_after_the_closing_handshake_does_not_matter() {
    let stream = Scripted::new(plain(0x88, &close_body(1000, "")));
    stream.script().at_end = Some(std::io::ErrorKind::ConnectionReset);
    let mut socket = client(stream, Config::default());
    assert_eq!(socket.receive().unwrap(), None);
    assert_eq!(socket.receive().unwrap(), None);
}

#[test]
fn message_beyond_the_limit_streams_through_a_buffer_that_stays_small() {
    let (client, server) = tcp();
    let sending = thread::spawn(move || {
        let mut socket = WebSocket::client(client, Config::default());
        let piece = vec![0xa5; 100_000];
        for _ in 0..419 {
            socket.send_fragment(&piece, sockeye::Fin::More).unwrap();
        }
        socket.send_fragment(b"", sockeye::Fin::Last).unwrap();
        socket.close(Close::normal()).unwrap();
        socket.receive().unwrap()
    });
    let mut socket = WebSocket::server(server, Config::default());
    let (mut total, mut largest) = (0, 0);
    while let Some(chunk) = socket.receive_chunk().unwrap() {
        let Payload::Binary(bytes) = chunk.payload() else { panic!() };
        assert!(bytes.iter().all(|&byte| byte == 0xa5));
        total += bytes.len();
        largest = largest.max(bytes.len());
    }
    drop(socket);
    assert_eq!(total, 41_900_000);
    assert!(largest <= 32 * 1024, "{largest}");
    assert_eq!(sending.join().unwrap(), None);
}

#[test]
fn little_is_read_at_once_until_much_arrives_and_again_when_there_was_nothing() {
    let stream = Scripted::open(masked(0x82, &[1; 200_000]));
    let mut socket = server(stream.clone(), Config::default());
    assert!(socket.receive().unwrap().is_some());
    assert_eq!(stream.script().largest_read, 32 * 1024);
    assert!(socket.receive().unwrap_err().is_would_block());
    stream.script().largest_read = 0;
    assert!(socket.receive().unwrap_err().is_would_block());
    assert_eq!(stream.script().largest_read, 4 * 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_split_of_the_bytes_gives_the_same_messages(
        cuts in prop::collection::btree_set(0usize..320_000, 0..40),
        way in prop::sample::select(&WAYS[..]),
    ) {
        let (input, expected) = exchange();
        let stream = Scripted::new(&input[..]);
        stream.script().read_stops = cuts.into_iter().map(|cut| (cut, None)).collect();
        let (messages, end) = all(server(stream, Config::default()), way);
        prop_assert!(messages == expected);
        prop_assert!(end.is_ok());
    }
}
