//! The receiving half: bytes in, events out (RFC 6455 §5, §6.2).
//!
//! Input is decoded where it lies. What is kept between two calls is a header that broke off (at most 13 bytes), the
//! payload of a control frame that did (at most 124, and only then is there anything allocated), the key and rest of a
//! frame that goes on, and up to three bytes of a character; so one read buffer can serve any number of connections.
//!
//! Nearly every message of an interactive protocol takes a [short path](short). All else goes through
//! [`Receiver::step`].

mod short;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem;

use crate::close::Close;
use crate::config::{Config, MaskingPolicy, Role};
use crate::connection::counters::{Counters, Tally};
use crate::connection::event::Event;
use crate::connection::state::Receiving;
use crate::control::ControlPayload;
use crate::error::ProtocolError;
use crate::frame::{FrameHeader, OpCode, Rsv};
use crate::mask::{mask, turn};
use crate::message::{Chunk, MessageKind, Payload};
use crate::utf8::Utf8Tail;

/// The receiving half of a connection.
///
/// [`Connection::split`](crate::Connection::split) gives one. It owes the peer what [`Event::reply`] says for each
/// event, and a Close for an error (`Reply::from(&error)`); its owner passes these to the [`Sender`](crate::Sender).
///
/// ```
/// use sockeye::{Config, Connection, Event};
///
/// let (mut receiver, _sender, _owed) = Connection::client(Config::default()).split();
/// let mut input = *b"\x81\x02hi";
/// assert!(matches!(receiver.receive(&mut &mut input[..])?, Some(Event::Data(_))));
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Receiver {
    pace: Pace,
    role: Role,
    /// The longest frame that a short path may take.
    short_max: u16,
    /// What an extension owns and has decoded, if there is one.
    extension: Option<Box<Extension>>,
    tail: Utf8Tail,
    counters: Tally,
    stage: Stage,
    message: Option<OpenMessage>,
    held: Held,
    config: Arc<Config>,
}

/// The reserved bits that an extension owns, and how many bytes it was given and gave.
#[derive(Clone, Copy, Debug)]
struct Extension {
    rsv: Rsv,
    encoded_bytes: u64,
    decoded_bytes: u64,
}

/// What [`Receiver::receive`] is about to give.
///
/// ```
/// use sockeye::{Config, Connection, Next};
///
/// let client = Connection::client(Config::default());
/// assert_eq!(client.peek(b"\x81\x02hi"), Next::Message);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// A chunk that is a whole message, lent from the input; or an error.
    Message,
    /// Another chunk; or an error.
    Chunk,
    /// Something else: a control frame, an error, or nothing because bytes are missing.
    Other,
}

/// Where the receiver stands, as far as the short paths ask; the masking policy included, which they take to be by role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Between messages, and nothing is held.
    Quiet,
    /// Between the frames of a message, and nothing is held.
    Amid,
    Busy,
}

/// What the next byte of input belongs to.
#[derive(Debug)]
enum Stage {
    Header,
    Data(Frame),
    /// With the payload so far, if it broke off.
    Control(Frame, Option<Box<ControlPayload>>),
    Closed,
    Failed(Box<ProtocolError>),
    Lost,
}

/// A header that broke off: at most 13 bytes, for with 14 it would be whole.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    len: u8,
    bytes: [u8; FrameHeader::MAX - 1],
}

/// The frame whose payload is coming in.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    /// The masking key, turned to fit the next byte.
    masking_key: Option<[u8; 4]>,
    /// Payload bytes still to come.
    remaining: u64,
    /// Whether a chunk has told of the frame.
    is_announced: bool,
}

/// The message that is not complete.
#[derive(Clone, Copy, Debug)]
struct OpenMessage {
    kind: MessageKind,
    /// Whether an extension has to decode it.
    is_encoded: bool,
    /// Frames so far.
    fragments: u32,
    /// Payload bytes of these frames, those still to come included.
    len: u64,
    /// Whether a chunk has told of the message.
    is_announced: bool,
}

/// Something incomplete, by how many of its kind came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incomplete {
    Message(u64),
    /// A header or a control frame, outside of a message.
    Frame(u64),
}

impl Receiver {
    pub(crate) fn new(role: Role, config: Arc<Config>) -> Self {
        Self {
            pace: if config.masking == MaskingPolicy::ByRole { Pace::Quiet } else { Pace::Busy },
            role,
            short_max: u16::try_from(config.max_frame_size).unwrap_or(u16::MAX),
            extension: None,
            tail: Utf8Tail::default(),
            counters: Tally::default(),
            stage: Stage::Header,
            message: None,
            held: Held::default(),
            config,
        }
    }

    /// Lets the reserved bits pass that an extension owns, and no others.
    pub(crate) fn allow(&mut self, rsv: Rsv) {
        self.extension = Some(Box::new(Extension { rsv, encoded_bytes: 0, decoded_bytes: 0 }));
    }

    /// Takes note of what the decoder of the extension has made of what it owns.
    pub(crate) fn note_decoded(&mut self, bytes: u64) {
        if let Some(extension) = &mut self.extension {
            extension.decoded_bytes += bytes;
        }
    }

    /// Receives the next event from the front of `input` and advances `input` over what it took.
    ///
    /// `None` means that every byte was taken and more are needed. Payloads are unmasked in place.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. The receiver stays failed and says the same again.
    #[inline]
    pub fn receive<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, ProtocolError> {
        if let Some(message) = self.receive_single(input, usize::MAX)? {
            return Ok(Some(Event::Data(Chunk::from(message))));
        }
        match self.receive_fragment(input, u64::MAX)? {
            Some(chunk) => Ok(Some(Event::Data(chunk))),
            None => self.receive_any(input, u64::MAX),
        }
    }

    /// Takes note that the input ended: without a Close, the connection is lost (RFC 6455 §7.1.5).
    pub fn receive_eof(&mut self) {
        if let Stage::Header | Stage::Data(_) | Stage::Control(..) = self.stage {
            self.stage = Stage::Lost;
            self.pace = Pace::Busy;
        }
    }

    /// Fails the receiver for what its owner found wrong, such as a message beyond a limit.
    pub fn fail(&mut self, error: ProtocolError) {
        if let Stage::Header | Stage::Data(_) | Stage::Control(..) | Stage::Lost = self.stage {
            self.stage = Stage::Failed(Box::new(error));
            self.pace = Pace::Busy;
        }
    }

    /// Returns where the receiving direction stands.
    #[must_use]
    pub fn state(&self) -> Receiving {
        match self.stage {
            Stage::Header | Stage::Data(_) | Stage::Control(..) => Receiving::Open,
            Stage::Closed => Receiving::Closed,
            Stage::Failed(_) => Receiving::Failed,
            Stage::Lost => Receiving::Lost,
        }
    }

    /// Returns what a call of [`Self::receive`] with this input will give.
    ///
    /// For adapters that lend messages out of a buffer of their own, where a borrow may be taken only in the last
    /// step: loop until the answer is the wanted one, then receive and lend.
    #[must_use]
    pub fn peek(&self, input: &[u8]) -> Next {
        match &self.stage {
            Stage::Data(_) if input.is_empty() => Next::Other,
            Stage::Data(_) => Next::Chunk,
            Stage::Header if self.held.is_empty() => self.peek_header(input, input.len()),
            Stage::Header => {
                let (bytes, len) = self.held.and(input);
                self.peek_header(&bytes[..len], self.held.len() + input.len())
            }
            Stage::Control(..) | Stage::Closed | Stage::Failed(_) | Stage::Lost => Next::Other,
        }
    }

    /// Returns whether a frame or a fragmented message has begun and not ended.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        match self.stage {
            Stage::Header => self.message.is_some() || !self.held.is_empty(),
            Stage::Data(_) | Stage::Control(..) => true,
            Stage::Closed | Stage::Failed(_) | Stage::Lost => false,
        }
    }

    /// The header of the frame that begins at the front of the input, where it is whole and nothing is under way.
    pub(crate) fn next_frame(&self, input: &[u8]) -> Option<FrameHeader> {
        if self.pace != Pace::Quiet {
            return None;
        }
        FrameHeader::parse(input).ok().flatten().map(|(header, _)| header)
    }

    /// The number of the message that is under way, as its chunks have it.
    pub(crate) fn open_message(&self) -> Option<u16> {
        self.message.map(|_| self.message_number())
    }

    /// The number of the message that is under way or comes next.
    #[expect(clippy::cast_possible_truncation, reason = "it wraps around")]
    fn message_number(&self) -> u16 {
        self.counters.messages as u16
    }

    /// Whether a message has begun, was told of, and has not ended.
    pub(crate) fn is_inside_message(&self) -> bool {
        self.message.is_some_and(|message| message.is_announced)
    }

    /// Whether the chunk that this input will give is for an extension to decode.
    #[cfg(feature = "std")]
    pub(crate) fn is_next_encoded(&self, input: &[u8]) -> bool {
        match self.message {
            Some(message) => message.is_encoded,
            None => {
                let first = if self.held.is_empty() { input.first() } else { self.held.bytes.first() };
                self.extension.is_some() && first.is_some_and(|&first| !Rsv::from_bits(first).is_empty())
            }
        }
    }

    /// What has begun and not ended, told apart from what began before it.
    pub(crate) fn incomplete(&self) -> Option<Incomplete> {
        match self.message {
            _ if !self.is_mid_message() => None,
            Some(_) => Some(Incomplete::Message(self.counters.messages)),
            None => Some(Incomplete::Frame(self.counters.frames)),
        }
    }

    /// The configuration, which the connection shares with its halves.
    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Returns what was received so far.
    #[must_use]
    pub fn received(&self) -> Counters {
        let extension = self.extension.as_ref();
        let (decoded, encoded) =
            extension.map_or((0, 0), |extension| (extension.decoded_bytes, extension.encoded_bytes));
        self.counters.with(decoded, encoded)
    }

    /// The long path, for everything. A message of more than `max` bytes is refused by the header that makes it so,
    /// before anything is said about the payload.
    pub(crate) fn receive_any<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max: u64,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let before = input.len();
        let result = self.step(input, max);
        self.counters.wire_bytes += (before - input.len()) as u64;
        self.pace = self.find_pace();
        result.map_err(|error| self.refuse(error, input))
    }

    fn find_pace(&self) -> Pace {
        match (&self.stage, &self.message) {
            (Stage::Header, _) if !self.held.is_empty() || self.config.masking != MaskingPolicy::ByRole => Pace::Busy,
            (Stage::Header, None) => Pace::Quiet,
            (Stage::Header, Some(_)) => Pace::Amid,
            (Stage::Data(_) | Stage::Control(..) | Stage::Closed | Stage::Failed(_) | Stage::Lost, _) => Pace::Busy,
        }
    }

    /// What the frame that begins with `bytes` will give, where `len` bytes of it and what follows are there.
    fn peek_header(&self, bytes: &[u8], len: usize) -> Next {
        match FrameHeader::parse(bytes) {
            Ok(Some((header, head_len))) if !header.opcode.is_control() => {
                let is_whole = self.held.is_empty()
                    && self.message.is_none()
                    && header.fin
                    && header.rsv.is_empty()
                    && header.payload_len <= (len - head_len) as u64;
                if is_whole { Next::Message } else { Next::Chunk }
            }
            Ok(Some(_) | None) | Err(_) => Next::Other,
        }
    }

    /// Fails, and drops the input that is left: it means nothing any more (RFC 6455 §7.1.7).
    #[cold]
    #[inline] // Or the compiler moves the result of the short path once more: ten instructions for each message.
    fn refuse(&mut self, error: ProtocolError, input: &mut &mut [u8]) -> ProtocolError {
        *input = &mut [];
        self.fail(error.clone());
        error
    }

    /// Goes on with whatever the next byte belongs to, until there is an event or no more input.
    fn step<'b>(&mut self, input: &mut &'b mut [u8], max: u64) -> Result<Option<Event<'b>>, ProtocolError> {
        loop {
            match &mut self.stage {
                Stage::Header => {
                    let Some(header) = self.header(input)? else { return Ok(None) };
                    self.begin(header, max)?;
                }
                &mut Stage::Data(frame) => return self.data(frame, input),
                Stage::Control(frame, held) => {
                    let (frame, held) = (*frame, held.take());
                    return self.control(frame, held, input);
                }
                // §5.5.1: what follows a Close is ignored.
                Stage::Closed | Stage::Lost => {
                    *input = &mut [];
                    return Ok(None);
                }
                Stage::Failed(error) => return Err((**error).clone()),
            }
        }
    }

    /// Takes a header from the input, or holds what there is of one.
    fn header(&mut self, input: &mut &mut [u8]) -> Result<Option<FrameHeader>, ProtocolError> {
        if self.held.is_empty() {
            if let Some((header, len)) = self.parse(input)? {
                advance(input, len);
                return Ok(Some(header));
            }
        }
        let (bytes, len) = self.held.and(input);
        let header = self.parse(&bytes[..len])?;
        let taken = header.map_or(len, |(_, header_len)| header_len) - self.held.len();
        advance(input, taken);
        self.held = if header.is_some() { Held::default() } else { Held::new(&bytes[..len]) };
        Ok(header.map(|(header, _)| header))
    }

    /// Parses a header and checks it against the state of the connection, byte by byte so that what is refused does not
    /// depend on how many bytes are there.
    fn parse(&self, bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        FrameHeader::parse(&bytes[..1])?;
        self.check_first(first)?;
        if let Some(&second) = bytes.get(1) {
            FrameHeader::parse(&bytes[..2])?;
            self.check_second(second)?;
        }
        FrameHeader::parse(bytes)
    }

    /// Checks FIN, reserved bits and opcode.
    fn check_first(&self, first: u8) -> Result<(), ProtocolError> {
        let opcode = first & 0x0f;
        let is_data = opcode == OpCode::Text as u8 || opcode == OpCode::Binary as u8;
        // §5.2: reserved bits MUST be 0 unless an extension gives them a meaning; RFC 7692 §6.1: not on a
        // continuation or control frame.
        let owned = self.extension.as_ref().filter(|_| is_data).map_or(Rsv::NONE, |extension| extension.rsv);
        if !owned.contains(Rsv::from_bits(first)) {
            return Err(ProtocolError::ReservedBits);
        }
        // §5.4: fragments of one message MUST NOT be interleaved with those of another.
        match self.message {
            Some(_) if is_data => Err(ProtocolError::ExpectedContinuation),
            None if opcode == OpCode::Continuation as u8 => Err(ProtocolError::UnexpectedContinuation),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the mask bit.
    fn check_second(&self, second: u8) -> Result<(), ProtocolError> {
        // §5.1: a server MUST close upon a frame that is not masked, a client upon one that is.
        match (self.config.masking, self.role, second & 0x80 != 0) {
            (MaskingPolicy::ByRole, Role::Server, false) => Err(ProtocolError::Unmasked),
            (MaskingPolicy::ByRole, Role::Client, true) => Err(ProtocolError::Masked),
            (MaskingPolicy::ByRole, Role::Server, true)
            | (MaskingPolicy::ByRole, Role::Client, false)
            | (MaskingPolicy::Either, _, _) => Ok(()),
        }
    }

    /// Begins the frame of this header, in a message of at most `max_message` bytes.
    fn begin(&mut self, header: FrameHeader, max_message: u64) -> Result<(), ProtocolError> {
        let FrameHeader { fin, rsv, opcode, masking_key, payload_len } = header;
        if payload_len > self.config.max_frame_size && !opcode.is_control() {
            return Err(ProtocolError::FrameTooBig { len: payload_len, max: self.config.max_frame_size });
        }
        self.counters.frames += 1;
        let frame = Frame { opcode, fin, masking_key, remaining: payload_len, is_announced: false };
        let new = |kind| OpenMessage { is_encoded: !rsv.is_empty(), ..OpenMessage::new(kind) };
        let message = match opcode {
            OpCode::Text => self.message.insert(new(MessageKind::Text)),
            OpCode::Binary => self.message.insert(new(MessageKind::Binary)),
            OpCode::Continuation => match &mut self.message {
                Some(message) => message,
                // A continuation of nothing does not get past `check_first`.
                None => return Err(ProtocolError::UnexpectedContinuation),
            },
            OpCode::Close | OpCode::Ping | OpCode::Pong => {
                self.stage = Stage::Control(frame, None);
                return Ok(());
            }
        };
        let max = self.config.max_fragments;
        if message.fragments >= max && opcode == OpCode::Continuation {
            return Err(ProtocolError::TooManyFragments { max });
        }
        message.fragments += 1;
        message.len = message.len.saturating_add(payload_len);
        // How long an encoded message is, its decoder tells.
        if message.len > max_message && !message.is_encoded {
            return Err(ProtocolError::MessageTooBig { len: message.len, max: max_message });
        }
        self.stage = Stage::Data(frame);
        Ok(())
    }

    /// Takes what the input holds of a data frame's payload.
    ///
    /// A frame is told of as soon as its header is there, if need be by an empty chunk, so that a message too big is
    /// refused before it is sent.
    fn data<'b>(&mut self, mut frame: Frame, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, ProtocolError> {
        let number = self.message_number();
        // A data frame without an open message does not get past `check_first`.
        let Some(message) = &mut self.message else { return Err(ProtocolError::UnexpectedContinuation) };
        let available = usize::try_from(frame.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        if available == 0 && frame.remaining > 0 && frame.is_announced {
            return Ok(None);
        }
        let (piece, after) = mem::take(input).split_at_mut(available);
        *input = after;
        let masking_key = frame.masking_key;
        frame.masking_key = masking_key.map(|key| turn(key, available));
        frame.remaining -= available as u64;
        frame.is_announced = true;

        let is_first = !message.is_announced;
        let is_last = frame.fin && frame.remaining == 0;
        let number = if is_first && is_last { 0 } else { number };
        let message_len = message.len;
        message.is_announced = true;
        if let (MessageKind::Binary, _, Some(key)) | (_, true, Some(key)) =
            (message.kind, message.is_encoded, masking_key)
        {
            mask(piece, key);
        }
        let payload = match (message.kind, message.is_encoded) {
            (kind, true) => {
                if let Some(extension) = &mut self.extension {
                    extension.encoded_bytes += available as u64;
                }
                Payload::Encoded { kind, bytes: piece }
            }
            (MessageKind::Binary, false) => Payload::Binary(piece),
            (MessageKind::Text, false) => self.text(piece, masking_key, is_last)?,
        };

        self.counters.payload_bytes += available as u64;
        if is_last {
            self.counters.messages += 1;
            self.message = None;
        }
        self.stage = if frame.remaining == 0 { Stage::Header } else { Stage::Data(frame) };
        let frame_remaining = frame.remaining;
        Ok(Some(Event::Data(Chunk { payload, is_first, is_last, frame_remaining, message_len, number })))
    }

    /// Unmasks a piece of a text message, and checks it.
    fn text<'b>(
        &mut self,
        piece: &'b mut [u8],
        masking_key: Option<[u8; 4]>,
        is_last: bool,
    ) -> Result<Payload<'b>, ProtocolError> {
        let (completed, text) = match masking_key {
            Some(key) => self.tail.unmask(piece, key)?,
            None => self.tail.check(piece)?,
        };
        if is_last && !self.tail.is_boundary() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(Payload::Text { completed, text })
    }

    /// Takes what the input holds of a control frame's payload, behind what is held of it; the event, once it is whole.
    fn control<'b>(
        &mut self,
        mut frame: Frame,
        mut held: Option<Box<ControlPayload>>,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let available = usize::try_from(frame.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        let (piece, after) = mem::take(input).split_at_mut(available);
        *input = after;
        frame.remaining -= available as u64;
        if frame.remaining > 0 {
            if available > 0 {
                held.get_or_insert_default().fill(piece);
            }
            self.stage = Stage::Control(frame, held);
            return Ok(None);
        }

        let mut payload = held.map_or(ControlPayload::EMPTY, |held| *held);
        payload.fill(piece);
        self.stage = Stage::Header;
        if let Some(key) = frame.masking_key {
            mask(payload.as_mut(), key);
        }
        Ok(Some(match frame.opcode {
            OpCode::Ping => Event::Ping(payload),
            OpCode::Pong => Event::Pong(payload),
            OpCode::Close | OpCode::Continuation | OpCode::Text | OpCode::Binary => {
                let close = Close::parse(&payload)?;
                self.stage = Stage::Closed;
                Event::Close(close)
            }
        }))
    }
}

impl OpenMessage {
    fn new(kind: MessageKind) -> Self {
        Self { kind, is_encoded: false, fragments: 0, len: 0, is_announced: false }
    }
}

impl Held {
    /// Holds a header that is not whole.
    fn new(header: &[u8]) -> Self {
        let mut this = Self::default();
        for (slot, &byte) in this.bytes.iter_mut().zip(header) {
            *slot = byte;
            this.len += 1;
        }
        this
    }

    /// What is held and what follows it, as far as a header can reach; and how long that is.
    fn and(&self, input: &[u8]) -> ([u8; FrameHeader::MAX], usize) {
        let mut bytes = [0; FrameHeader::MAX];
        let (held, free) = bytes.split_at_mut(self.len());
        held.copy_from_slice(&self.bytes[..self.len()]);
        let taken = free.len().min(input.len());
        free[..taken].copy_from_slice(&input[..taken]);
        (bytes, self.len() + taken)
    }

    fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Drops the first `len` bytes of the input.
fn advance(input: &mut &mut [u8], len: usize) {
    let (_, after) = mem::take(input).split_at_mut(len);
    *input = after;
}
