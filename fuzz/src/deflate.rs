//! Connections that compress, for the fuzz targets: settings, frames and programs out of bytes, and what comes of them.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use sockeye::deflate::{Agreement, Context, Deflate, Level, MemoryLevel, PeerLimits, WindowBits};
use sockeye::handshake::{Extension, Extensions};
use sockeye::{
    Assembler, Config, Connection, Event, Fin, Message, MessageKind, Payload, PreparedMessage, ProtocolError, Received,
    Role, Rsv, SendError, Uncompressed,
};

use crate::replay::{connection, cut};
use crate::{held, peak_of};

/// Bytes for [`settings`].
pub const SETTINGS: usize = 5;

/// All that may be set, out of bytes.
pub fn settings(bytes: [u8; SETTINGS]) -> Deflate {
    let [flags, windows, levels, threshold, max_ratio] = bytes;
    let context = |bit: u8| if flags & bit == 0 { Context::Takeover } else { Context::NoTakeover };
    let mut deflate = Deflate::default();
    deflate.context = context(1);
    deflate.peer_context = context(2);
    deflate.peer_limits = if flags & 4 == 0 { PeerLimits::Wished } else { PeerLimits::Demanded };
    deflate.window_bits = WindowBits::new(8 + windows % 8).expect("8 to 15");
    deflate.peer_window_bits = WindowBits::new(8 + windows / 8 % 8).expect("8 to 15");
    deflate.level = Level::new(levels % 10).expect("0 to 9");
    deflate.memory_level = MemoryLevel::new(1 + levels / 10 % 9).expect("1 to 9");
    deflate.threshold = threshold.into();
    deflate.max_ratio = NonZeroU32::new(u32::from(max_ratio) * 2);
    deflate
}

/// What an answer says, as the end of that role has it.
pub fn agreed(deflate: &Deflate, role: Role, answer: &str) -> Agreement {
    let answer = Extensions::parse(answer).next().expect("one").expect("well-formed");
    deflate.agreed(role, &answer).expect("right")
}

/// One end of a connection that compresses.
pub fn end(role: Role, config: &Config, agreement: &Agreement) -> (Connection, Assembler) {
    let mut connection = connection(role, config);
    connection.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = connection.assembler();
    assembler.extend(agreement.decoder());
    (connection, assembler)
}

/// Reads bytes as a list of frames and writes them as the peer of that role would: each has a first byte, whose reserved
/// bits but RSV1 are taken for how long it is in 256 bytes, a length, and its payload.
pub fn frames(role: Role, mut script: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while let [first, len, rest @ ..] = script {
        let len = usize::from(*first & 0x30) << 4 | usize::from(*len);
        let (payload, rest) = rest.split_at(len.min(rest.len()));
        script = rest;
        let mask = if role == Role::Server { 0x80 } else { 0 };
        wire.push(first & !0x30);
        match u8::try_from(payload.len()) {
            Ok(len @ 0..126) => wire.push(mask | len),
            _ => {
                wire.push(mask | 126);
                wire.extend((payload.len() as u16).to_be_bytes());
            }
        }
        // A key of zeros masks nothing.
        wire.extend([0; 4].iter().take(usize::from(mask) / 32));
        wire.extend(payload);
    }
    wire
}

/// Messages as they were taken, chunk by chunk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub messages: Vec<(MessageKind, Vec<u8>)>,
    pub error: Option<ProtocolError>,
}

/// Receives in chunks, and decodes those.
pub fn decode<'i>(
    (mut connection, mut assembler): (Connection, Assembler),
    pieces: impl IntoIterator<Item = &'i [u8]>,
) -> Decoded {
    let (mut decoded, mut output, mut open) = (Decoded::default(), Vec::new(), None);
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            let mut rest = match connection.receive(&mut input, &mut output) {
                Ok(Some(Event::Data(chunk))) => Some(chunk),
                Ok(Some(_)) => continue,
                Ok(None) => break,
                Err(error) => {
                    decoded.error = Some(error);
                    return decoded;
                }
            };
            loop {
                let chunk = match assembler.decode(&mut rest) {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    Err(error) => {
                        decoded.error = Some(connection.fail(error, &mut output));
                        return decoded;
                    }
                };
                assert_eq!(chunk.is_first(), open.is_none(), "a chunk is the first if no message is open");
                let (_, bytes) = open.get_or_insert_with(|| (chunk.kind(), Vec::new()));
                match chunk.payload() {
                    Payload::Text { completed, text } => {
                        bytes.extend(completed.map(String::from).unwrap_or_default().bytes());
                        bytes.extend(text.bytes());
                    }
                    Payload::Binary(piece) => bytes.extend(piece),
                    Payload::Encoded { .. } => unreachable!("it was decoded"),
                }
                if chunk.is_last() {
                    decoded.messages.extend(open.take());
                }
            }
        }
    }
    decoded
}

/// Receives messages, and the same in chunks, and checks that memory follows the limits.
pub fn receive_within_memory(role: Role, config: &Config, agreement: &Agreement, pieces: &[&[u8]]) {
    let pieces = || pieces.iter().map(|piece| piece.to_vec()).collect::<Vec<_>>();
    let (mut input, mut output) = (pieces(), Vec::with_capacity(1024));
    within(2 * config.max_message_size + INFLATING, || {
        let (mut connection, mut assembler) = end(role, config, agreement);
        for mut input in input.iter_mut().map(|piece| &mut piece[..]) {
            while let Ok(Some(received)) = connection.receive_message(&mut input, &mut assembler, &mut output) {
                drop::<Received<'_>>(received);
                output.clear();
            }
        }
    });
    let mut input = pieces();
    within(INFLATING, || {
        let (mut connection, mut assembler) = end(role, config, agreement);
        for mut input in input.iter_mut().map(|piece| &mut piece[..]) {
            while let Ok(Some(event)) = connection.receive(&mut input, &mut output) {
                output.clear();
                let Event::Data(chunk) = event else { continue };
                let mut rest = Some(chunk);
                loop {
                    match assembler.decode(&mut rest) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return,
                    }
                }
            }
        }
    });
}

/// Sees to it that no more memory is in use at once, and that no more is left than the pool may have got.
fn within(max: usize, receive: impl FnOnce()) {
    let before = held();
    let peak = peak_of(receive);
    assert!(peak <= max, "{peak} bytes in use, {max} allowed");
    let left = held().saturating_sub(before);
    assert!(left <= POOLED, "{left} bytes are left, {POOLED} may be in the pool");
}

/// A client and a server that have agreed on compression.
pub struct Line([End; 2]);

struct End {
    connection: Connection,
    assembler: Assembler,
    /// What it has sent, as far as it is on its way.
    wire: Vec<u8>,
    /// The message that it is in the middle of.
    open: Option<Message>,
    /// What the other end has still to see.
    expected: VecDeque<Message>,
}

/// Something that one end of a line does.
pub struct Turn {
    end: usize,
    what: u8,
    message: Message,
    /// How many bytes are left on their way after it.
    left: usize,
}

/// Reads bytes as a program for two lines: what to do, with how long a payload, and the payload.
pub fn turns(mut script: &[u8]) -> Vec<(usize, Turn)> {
    let mut turns = Vec::new();
    while let [what, how, len, rest @ ..] = script {
        let (payload, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        script = rest;
        let payload = match how & 0x0f {
            0 => payload.repeat(100),
            1 => noise(payload).take(payload.len() * 100).collect(),
            2 => payload.iter().flat_map(|byte| [*byte; 3]).collect(),
            _ => payload.to_vec(),
        };
        let message = if what & 0x80 == 0 {
            Message::Text(String::from_utf8_lossy(&payload).into())
        } else {
            Message::from(payload)
        };
        let turn = Turn { end: usize::from(what & 2) / 2, what: what >> 2 & 7, message, left: usize::from(how >> 4) };
        turns.push((usize::from(what & 1), turn));
    }
    turns
}

/// What cannot be compressed (xorshift).
fn noise(seed: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let mut state = seed.iter().fold(1u32, |state, byte| state.wrapping_mul(31).wrapping_add(u32::from(*byte))) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    })
}

impl Line {
    /// Two lines whose ends find their compressors in the same parts of the pool.
    pub fn two(settings: &[Deflate; 2], config: &Config) -> [Self; 2] {
        let first = Self::new(settings, config);
        let unused = agreed(&settings[0], Role::Client, "permessage-deflate");
        (4..PARTS_OF_THE_POOL).for_each(|_| drop(unused.encoder()));
        [first, Self::new(settings, config)]
    }

    /// Negotiates between a client and a server that have set this.
    fn new([client, server]: &[Deflate; 2], config: &Config) -> Self {
        let offers = client.offers().iter().map(Extension::to_string).collect::<Vec<_>>().join(", ");
        let (agreement, answer) = server.answer(Extensions::parse(&offers)).expect("an answer");
        let confirmed = client.confirm(&answer.view()).expect("it answers what was offered");
        let ends = [(Role::Client, confirmed), (Role::Server, agreement)];
        Self(ends.map(|(role, agreement)| {
            let (connection, assembler) = end(role, config, &agreement);
            End { connection, assembler, wire: Vec::new(), open: None, expected: VecDeque::new() }
        }))
    }

    /// Lets one end do something, and the other see most of it, in pieces of these sizes.
    pub fn take(&mut self, turn: Turn, sizes: &[usize]) {
        self.0[turn.end].send(turn.what, turn.message);
        self.deliver(turn.end, turn.left, sizes);
    }

    /// Ends what is open and delivers the rest.
    pub fn finish(mut self) {
        for at in [0, 1] {
            if let Some(open) = &self.0[at].open {
                let end = match open {
                    Message::Text(_) => Message::Text(String::new()),
                    Message::Binary(_) => Message::from(Vec::new()),
                };
                self.0[at].send(LAST_FRAGMENT, end);
            }
        }
        for at in [0, 1, 0] {
            self.deliver(at, 0, &[usize::MAX]);
        }
        let [client, server] = self.0;
        for (end, other) in [(&client, &server), (&server, &client)] {
            assert!(end.expected.is_empty(), "all was seen");
            assert_eq!(end.connection.sent(), other.connection.received());
        }
    }

    fn deliver(&mut self, from: usize, left: usize, sizes: &[usize]) {
        let [client, server] = &mut self.0;
        let (from, to) = if from == 0 { (client, server) } else { (server, client) };
        let now: Vec<_> = from.wire.drain(..from.wire.len().saturating_sub(left)).collect();
        for piece in cut(&now, sizes) {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            while let Some(received) =
                to.connection.receive_message(&mut input, &mut to.assembler, &mut to.wire).expect("it is all right")
            {
                if let Received::Message(message) = received {
                    assert_eq!(Some(message), from.expected.pop_front().as_ref().map(Message::as_ref));
                }
            }
        }
    }
}

impl End {
    fn send(&mut self, what: u8, message: Message) {
        let before = self.wire.len();
        let sent = match what {
            PREPARED => self.connection.send_prepared(&PreparedMessage::new(message.clone()), &mut self.wire),
            UNCOMPRESSED => self.connection.send(Uncompressed(message.as_ref()), &mut self.wire),
            FRAGMENT | LAST_FRAGMENT => {
                let fin = if what == FRAGMENT { Fin::More } else { Fin::Last };
                return self.send_fragment(message, fin);
            }
            PING => {
                let payload = message.as_ref().payload();
                let sent = self.connection.send_ping(&payload[..payload.len().min(125)], &mut self.wire);
                return assert_eq!(sent, Ok(()));
            }
            _ => self.connection.send(message.as_ref(), &mut self.wire),
        };
        if self.open.is_some() {
            assert_eq!((sent, self.wire.len()), (Err(SendError::MessageOpen), before));
        } else {
            assert_eq!(sent, Ok(()));
            self.expected.push_back(message);
        }
    }

    fn send_fragment(&mut self, fragment: Message, fin: Fin) {
        if self.open.as_ref().is_some_and(|open| open.as_ref().kind() != fragment.as_ref().kind()) {
            let sent = self.connection.send_fragment(fragment.as_ref(), fin, &mut self.wire);
            return assert_eq!(sent, Err(SendError::FragmentKind));
        }
        assert_eq!(self.connection.send_fragment(fragment.as_ref(), fin, &mut self.wire), Ok(()));
        let whole = match (self.open.take(), fragment) {
            (Some(Message::Text(open)), Message::Text(more)) => Message::Text(open + &more),
            (Some(Message::Binary(open)), Message::Binary(more)) => Message::from([open, more].concat()),
            (_, first) => first,
        };
        match fin {
            Fin::More => self.open = Some(whole),
            Fin::Last => self.expected.push_back(whole),
        }
    }
}

/// What is made goes to one after the other; an end has a compressor and a decompressor.
const PARTS_OF_THE_POOL: usize = 16;

const PREPARED: u8 = 2;
const UNCOMPRESSED: u8 = 3;
const FRAGMENT: u8 = 4;
const LAST_FRAGMENT: u8 = 5;
const PING: u8 = 6;

/// A decompressor in the pool: 112 KiB, of which 64 KiB are what it writes to, and a window of 32 KiB at most; and a place for
/// it.
const POOLED: usize = 145 * 1024;

/// What inflating takes besides the message, which counts twice while its buffer grows: a decompressor from the pool, the
/// connection's own window, a window once more while it grows, and some for the connection and a Close.
const INFLATING: usize = POOLED + 2 * 32 * 1024 + 4096;
