//! However reads cut what a peer sends, and in whatever way it is received, the messages and the end are those that the engine finds in
//! all of it at once.

mod async_support;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_support::*;
use proptest::prelude::*;
use sockeye::tokio::{Error, WebSocket};
use sockeye::{Config, Connection, Message, MessageKind, Payload, ProtocolError, Received, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

/// What one read gives.
#[derive(Clone, Copy, Debug)]
enum Read {
    Bytes(usize),
    Pending,
    Interrupted,
}

/// A stream that is read as a script says, over and over, and takes everything that is written.
#[derive(Debug)]
struct Scripted {
    input: Vec<u8>,
    read: usize,
    script: Vec<Read>,
    reads: usize,
    at_end: Option<ErrorKind>,
}

impl AsyncRead for Scripted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let step = self.script[self.reads % self.script.len()];
        self.reads += 1;
        match step {
            Read::Pending => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Read::Interrupted => return Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Read::Bytes(most) => {
                let len = most.min(buffer.remaining()).min(self.input.len() - self.read);
                assert!(buffer.remaining() > 0, "a read into nothing");
                if len == 0 {
                    return Poll::Ready(self.at_end.map_or(Ok(()), |kind| Err(kind.into())));
                }
                buffer.put_slice(&self.input[self.read..self.read + len]);
                self.read += len;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Lost,
    Broken,
    Wrong(ProtocolError),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Lost => Self::Lost,
            Error::Io(_) => Self::Broken,
            Error::Protocol(error) => Self::Wrong(error),
            other => panic!("{other:?}"),
        }
    }
}

/// In which way the next message is received.
#[derive(Clone, Copy, Debug)]
enum Way {
    Whole,
    Lent,
    Chunks,
    Reader,
}

/// What the engine finds in all of it.
fn expected(role: Role, config: &Config, wire: &[u8], at_end: Option<ErrorKind>) -> (Vec<Message>, End) {
    let mut connection = connection(role, config);
    let (mut assembler, mut output, mut messages) = (connection.assembler(), Vec::new(), Vec::new());
    let mut wire = wire.to_vec();
    let mut input = &mut wire[..];
    loop {
        match connection.receive_message(&mut input, &mut assembler, &mut output) {
            Ok(Some(Received::Message(message))) => messages.push(message.to_owned()),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return (messages, End::Wrong(error)),
        }
    }
    let end = match (connection.peer_close(), at_end) {
        (Some(_), _) => End::Closed,
        (None, Some(_)) => End::Broken,
        (None, None) => End::Lost,
    };
    (messages, end)
}

fn connection(role: Role, config: &Config) -> Connection {
    match role {
        Role::Client => Connection::client_with_keys(config.clone(), || [1, 2, 3, 4]),
        Role::Server => Connection::server(config.clone()),
    }
}

/// Awaits a call; where futures are dropped, one that is dropped whenever it waits, and made again.
macro_rules! call {
    ($drops:expr, $call:expr) => {
        loop {
            if $drops {
                tokio::select! {
                    biased;
                    output = $call => break output,
                    () = yield_now() => {}
                }
            } else {
                break $call.await;
            }
        }
    };
}

/// Receives to the end, each message in another way.
macro_rules! receive_all {
    ($socket:expr, $peer_close:expr, $ways:expr, $drops:expr) => {{
        let (mut messages, mut ways) = (Vec::new(), $ways.iter().cycle());
        let end = 'all: loop {
            match ways.next().unwrap() {
                Way::Whole => match call!($drops, $socket.receive()) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break End::Closed,
                    Err(error) => break error.into(),
                },
                Way::Lent => match $socket.receive_ref().await {
                    Ok(Some(message)) => messages.push(message.to_owned()),
                    Ok(None) => break End::Closed,
                    Err(error) => break error.into(),
                },
                Way::Chunks => {
                    let mut bytes = Vec::new();
                    let kind = loop {
                        match $socket.receive_chunk().await {
                            Ok(Some(chunk)) => {
                                match chunk.payload() {
                                    Payload::Text { completed, text } => {
                                        bytes.extend(completed.map(String::from).unwrap_or_default().bytes());
                                        bytes.extend(text.bytes());
                                    }
                                    Payload::Binary(binary) => bytes.extend(binary),
                                    Payload::Encoded { .. } => unreachable!(),
                                }
                                if chunk.is_last() {
                                    break chunk.kind();
                                }
                            }
                            Ok(None) => break 'all End::Closed,
                            Err(error) => break 'all error.into(),
                        }
                    };
                    messages.push(message(kind, bytes));
                }
                Way::Reader => {
                    let mut bytes = Vec::new();
                    let mut reader = match call!($drops, $socket.receive_reader()) {
                        Ok(Some(reader)) => reader,
                        Ok(None) => break End::Closed,
                        Err(error) => break error.into(),
                    };
                    loop {
                        match call!($drops, reader.next()) {
                            Ok(Some(piece)) => bytes.extend(piece),
                            Ok(None) => break,
                            // Or by a Close, which ends a message before its time.
                            Err(Error::Lost) => {
                                break 'all if $peer_close.is_some() { End::Closed } else { End::Lost };
                            }
                            Err(error) => break 'all error.into(),
                        }
                    }
                    let kind = reader.kind();
                    messages.push(message(kind, bytes));
                }
            }
        };
        (messages, end)
    }};
}

fn message(kind: MessageKind, bytes: Vec<u8>) -> Message {
    match kind {
        MessageKind::Text => String::from_utf8(bytes).unwrap().into(),
        MessageKind::Binary => Message::Binary(bytes.into()),
    }
}

/// A message, as frames of these sizes, with pings behind some.
type Sent = (bool, Vec<(usize, bool)>);

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0usize..12, 3 => 100usize..140, 2 => 1000usize..9000, 1 => 30_000usize..40_000, 1 => 65_400usize..65_700, 1 => 120_000usize..140_000]
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let frames = prop_oneof![
        3 => prop::collection::vec((size(), prop::bool::weighted(0.1)), 1..2),
        2 => prop::collection::vec((size(), prop::bool::weighted(0.2)), 1..4),
        1 => prop::collection::vec((0usize..3, prop::bool::weighted(0.05)), 5..20),
    ];
    prop::collection::vec((any::<bool>(), frames), 0..8)
}

fn script() -> impl Strategy<Value = Vec<Read>> {
    let read = prop_oneof![
        6 => (1usize..9).prop_map(Read::Bytes),
        3 => (10usize..3000).prop_map(Read::Bytes),
        3 => Just(Read::Bytes(usize::MAX)),
        2 => Just(Read::Pending),
        1 => Just(Read::Interrupted),
    ];
    // At least one that gives something.
    (prop::collection::vec(read, 0..12), 1usize..5000)
        .prop_map(|(script, last)| script.into_iter().chain([Read::Bytes(last)]).collect())
}

fn ways() -> impl Strategy<Value = Vec<Way>> {
    let way = prop_oneof![4 => Just(Way::Whole), 3 => Just(Way::Lent), 1 => Just(Way::Chunks), 1 => Just(Way::Reader)];
    prop::collection::vec(way, 1..5)
}

proptest! {
    #[test]
    fn however_reads_cut_it_and_however_it_is_received_it_is_the_same(
        sent in sent(),
        script in script(),
        ways in ways(),
        leftover in prop_oneof![3 => Just(0usize), 2 => 0usize..300, 1 => 60_000usize..200_000],
        flips in prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec((0usize..400, any::<u8>()), 1..3)],
        closes: bool,
        breaks: bool,
        drops: bool,
        is_split: bool,
        is_server: bool,
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let frame = |first, payload: &[u8]| if is_server { masked(first, payload) } else { unmasked(first, payload) };
        let mut wire = Vec::new();
        for (is_text, frames) in &sent {
            let whole: String = "zwölf Boxkämpfer ".chars().cycle().take(frames.iter().map(|(len, _)| len).sum()).collect();
            let mut rest = whole.as_bytes();
            for (number, (len, has_ping)) in frames.iter().enumerate() {
                let is_last = number + 1 == frames.len();
                let (piece, behind) = if is_last { (rest, &[][..]) } else { rest.split_at(*len) };
                rest = behind;
                let kind = if *is_text { 1 } else { 2 };
                wire.extend(frame(if number == 0 { kind } else { 0 } | if is_last { 0x80 } else { 0 }, piece));
                if *has_ping {
                    wire.extend(frame(PING, b"p"));
                }
            }
        }
        if closes {
            wire.extend(frame(CLOSE, &close_body(1000, "")));
        }
        for (at, flip) in flips {
            if let Some(byte) = wire.get_mut(at) {
                *byte ^= flip;
            }
        }
        let at_end = breaks.then_some(ErrorKind::ConnectionReset);
        let config = Config::default();
        let expected = expected(role, &config, &wire, at_end);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (leftover, input) = wire.split_at(leftover.min(wire.len()));
        let stream = Scripted { input: input.to_vec(), read: 0, script, reads: 0, at_end };
        let got = runtime.block_on(async {
            let mut socket = WebSocket::resume(stream, connection(role, &config), leftover);
            if is_split {
                let (mut receiver, sender) = socket.split();
                receive_all!(receiver, sender.peer_close(), ways, drops)
            } else {
                receive_all!(socket, socket.peer_close(), ways, drops)
            }
        });
        prop_assert_eq!(got.1, expected.1);
        prop_assert!(got.0 == expected.0, "{} instead of {} messages, or others", got.0.len(), expected.0.len());
    }
}
