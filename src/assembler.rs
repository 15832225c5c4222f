//! From chunks to whole messages.
//!
//! The assembler stands beside the connection, not inside it: who streams has none. A message that lies whole in the
//! input is lent from there and leaves no trace here; one that came in pieces is gathered in one contiguous buffer,
//! so that a fragment costs its bytes and nothing else, however small the peer makes it. Memory follows bytes
//! received, never a length field, and stays within the message limit. What an extension encoded is decoded here in
//! bounded steps, and checked as UTF-8 behind that.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use crate::close::CloseCode;
use crate::config::Config;
use crate::error::ProtocolError;
use crate::extension::{Decoded, Decoder, ExtensionError, Fin};
use crate::message::{Chunk, Message, MessageKind, MessageRef, Payload};
use crate::utf8::Utf8Tail;

/// Puts the chunks of a message together, within [`Config::max_message_size`].
///
/// Most programs let [`Connection::receive_message`](crate::Connection::receive_message) feed it. By hand:
///
/// ```
/// use sockeye::{Assembly, Config, Connection, Event, MessageRef};
///
/// let mut client = Connection::client(Config::default());
/// let mut assembler = client.assembler();
/// let mut wire = *b"\x01\x03Hel\x80\x02lo";   // the second example of RFC 6455 §5.7
/// let (mut input, mut output) = (&mut wire[..], Vec::new());
/// while let Some(event) = client.receive(&mut input, &mut output)? {
///     let Event::Data(chunk) = event else { continue };
///     match assembler.push(chunk)? {
///         Assembly::Whole(message) => println!("lent from the input: {message:?}"),
///         Assembly::Complete => assert_eq!(assembler.message(), MessageRef::Text("Hello")),
///         Assembly::Partial => {}
///     }
/// }
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Assembler {
    gathered: Gathered,
    stage: Stage,
    /// Which message it is: see [`Chunk`].
    number: u16,
    max: usize,
    /// Boxed, for most connections have none.
    decoding: Option<Box<Decoding>>,
    tail: Utf8Tail,
}

/// The extension that decodes messages.
#[derive(Debug)]
struct Decoding {
    decoder: Box<dyn Decoder>,
    /// How many bytes it gave since that was asked last.
    given: u64,
}

/// How far the message in the assembler has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none, or the beginning of it went elsewhere.
    Empty,
    Open,
    Complete,
}

/// The message under assembly.
#[derive(Debug)]
enum Gathered {
    Text(String),
    Binary(Vec<u8>),
}

/// Who counts what was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Here,
    /// The caller, who sees it.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "that is the adapters"))]
    Elsewhere,
}

/// What became of a chunk that was pushed.
///
/// ```
/// use sockeye::{Assembly, Config, Connection, Event, Message};
///
/// let mut client = Connection::client(Config::default());
/// let mut assembler = client.assembler();
/// let (mut input, mut output) = (*b"\x01\x01h\x80\x01i", Vec::new());   // a text in two frames
/// let mut input = &mut input[..];
/// let mut messages = Vec::new();
/// while let Some(Event::Data(chunk)) = client.receive(&mut input, &mut output)? {
///     match assembler.push(chunk)? {
///         Assembly::Partial => {}
///         Assembly::Whole(message) => messages.push(message.to_owned()),
///         Assembly::Complete => messages.push(assembler.take()),
///     }
/// }
/// assert_eq!(messages, [Message::from("hi")]);
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembly<'b> {
    /// The chunk was a whole message, lent from the input.
    Whole(MessageRef<'b>),
    /// The chunk completed the message that is now in the assembler: [`Assembler::message`], [`Assembler::take`].
    Complete,
    /// More of the message is to come.
    Partial,
}

impl Assembler {
    /// Creates an assembler with the limit of a configuration, that of the connection that feeds it; it holds no memory
    /// until a message comes in pieces.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        let config: Arc<Config> = config.into();
        Self {
            gathered: Gathered::Binary(Vec::new()),
            stage: Stage::Empty,
            number: 0,
            max: config.max_message_size,
            decoding: None,
            tail: Utf8Tail::default(),
        }
    }

    /// Lets an extension decode the messages that it marked (RFC 6455 §9).
    pub fn extend(&mut self, decoder: Box<dyn Decoder>) {
        self.decoding = Some(Box::new(Decoding { decoder, given: 0 }));
    }

    /// Takes the next chunk. A complete message that was not taken is dropped when the next one begins. Chunks of a
    /// message whose beginning went elsewhere are dropped, though what an extension encoded is decoded all the same: the
    /// next message may refer to it.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MessageTooBig`] as soon as the message, with what its frame has still to come, goes beyond the
    /// limit; for encoded messages what the extension says, and [`ProtocolError::InvalidUtf8`]. The caller then
    /// fails the connection: [`Connection::fail`](crate::Connection::fail).
    #[inline]
    pub fn push<'b>(&mut self, chunk: Chunk<'b>) -> Result<Assembly<'b>, ProtocolError> {
        match chunk.whole() {
            Some(message) if self.has_room_for(message) => Ok(Assembly::Whole(message)),
            Some(message) => Err(self.too_big(message)),
            None => self.gather(chunk, 0),
        }
    }

    /// Decodes the next piece of a chunk and lends it, for who takes messages chunk by chunk; `None`, and no chunk left, when
    /// there is no more of it. One that no extension encoded comes back as it is.
    ///
    /// A piece has 64 KiB at most, and text in it is checked, as it is in chunks that need not be decoded. Let no chunk of an
    /// encoded message out, even if the message is of no interest: the next one may refer to it.
    ///
    /// ```
    /// # #[cfg(feature = "deflate")] {
    /// # use sockeye::{Config, Connection, Event, Payload, Rsv, deflate::Deflate, handshake::Extensions, Role};
    /// # let agreed = Extensions::parse("permessage-deflate").next().unwrap().unwrap();
    /// # let agreement = Deflate::default().agreed(Role::Client, &agreed).unwrap();
    /// let mut client = Connection::client(Config::default());
    /// client.extend(Rsv::RSV1, agreement.encoder());
    /// let mut assembler = client.assembler();
    /// assembler.extend(agreement.decoder());
    ///
    /// let mut wire = *b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";   // RFC 7692 §7.2.3.1
    /// let (mut input, mut output, mut text) = (&mut wire[..], Vec::new(), String::new());
    /// while let Some(event) = client.receive(&mut input, &mut output)? {
    ///     let Event::Data(chunk) = event else { continue };
    ///     let mut rest = Some(chunk);
    ///     while let Some(piece) = assembler.decode(&mut rest)? {
    ///         if let Payload::Text { completed, text: more } = piece.payload() {
    ///             text.extend(completed);
    ///             text.push_str(more);
    ///         }
    ///     }
    /// }
    /// assert_eq!(text, "Hello");
    /// # }
    /// # Ok::<(), sockeye::ProtocolError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the extension says, and [`ProtocolError::InvalidUtf8`]. The caller then fails the connection.
    pub fn decode<'a, 'b: 'a>(&'a mut self, rest: &mut Option<Chunk<'b>>) -> Result<Option<Chunk<'a>>, ProtocolError> {
        Ok(self.decode_step(rest, STEP, Count::Here)?.map(|(chunk, _)| chunk))
    }

    /// As [`Self::decode`], for pieces of no more than so many bytes, and 64 KiB. The caller counts what was decoded:
    /// so many bytes, which need not be those in the piece where that ends within a character.
    #[cfg(feature = "std")]
    pub(crate) fn decode_some<'a, 'b: 'a>(
        &'a mut self,
        rest: &mut Option<Chunk<'b>>,
        room: usize,
    ) -> Result<Option<(Chunk<'a>, u64)>, ProtocolError> {
        self.decode_step(rest, room, Count::Elsewhere)
    }

    fn decode_step<'a, 'b: 'a>(
        &'a mut self,
        rest: &mut Option<Chunk<'b>>,
        room: usize,
        count: Count,
    ) -> Result<Option<(Chunk<'a>, u64)>, ProtocolError> {
        let Some(mut chunk) = rest.take() else {
            // What was lent last is not in use any more.
            if let Some(decoding) = &mut self.decoding {
                decoding.decoder.release();
            }
            return Ok(None);
        };
        let Payload::Encoded { kind, mut bytes } = chunk.payload else { return Ok(Some((chunk, 0))) };
        if chunk.is_first {
            self.tail.reset();
        }
        let (piece, is_all) = Decoding::step(&mut self.decoding, &mut bytes, chunk.fin(), room.clamp(1, STEP), count)?;
        let (is_last, len) = (chunk.is_last && is_all, piece.len() as u64);
        let payload = match kind {
            MessageKind::Binary => Payload::Binary(piece),
            MessageKind::Text => {
                let (completed, text) = self.tail.check(piece)?;
                if is_last && !self.tail.is_boundary() {
                    return Err(ProtocolError::InvalidUtf8);
                }
                Payload::Text { completed, text }
            }
        };
        let decoded = Chunk { payload, is_last, ..chunk };
        if !is_all {
            chunk.payload = Payload::Encoded { kind, bytes };
            chunk.is_first = false;
            *rest = Some(chunk);
        }
        Ok(Some((decoded, len)))
    }

    /// Lends the message that was completed last; an empty one if there is none.
    #[must_use]
    pub fn message(&self) -> MessageRef<'_> {
        match &self.gathered {
            _ if self.stage != Stage::Complete => MessageRef::Binary(&[]),
            Gathered::Text(text) => MessageRef::Text(text),
            Gathered::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }

    /// Gives away the message that was completed last; an empty one if there is none.
    ///
    /// The message owns at most twice the memory that its payload needs.
    pub fn take(&mut self) -> Message {
        if self.stage != Stage::Complete {
            return Message::Binary(Bytes::new());
        }
        match mem::replace(&mut self.gathered, Gathered::Binary(Vec::new())) {
            Gathered::Text(mut text) => {
                if text.capacity() / 2 > text.len() {
                    text.shrink_to_fit();
                }
                Message::Text(text)
            }
            Gathered::Binary(mut bytes) => {
                if bytes.capacity() / 2 > bytes.len() {
                    bytes.shrink_to_fit();
                }
                Message::Binary(bytes.into())
            }
        }
    }

    /// Gives back the memory of the message that was completed last, and of what [`Self::decode`] lent of it; an open one
    /// stays.
    pub fn release(&mut self) {
        if let Some(decoding) = &mut self.decoding {
            decoding.decoder.release();
        }
        if self.stage == Stage::Complete {
            self.gathered = Gathered::Binary(Vec::new());
        }
    }

    /// Forgets the message under assembly, unless it is the one that is under way: the rest of it went elsewhere.
    pub(crate) fn keep_only(&mut self, under_way: Option<u16>) {
        if under_way != Some(self.number) {
            self.abandon();
        }
    }

    /// Forgets the message under assembly: the rest of it goes elsewhere.
    pub(crate) fn abandon(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Empty;
            self.gathered = Gathered::Binary(Vec::new());
        }
    }

    /// Whether a message is under assembly.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// How many bytes the extension gave since that was asked last.
    pub(crate) fn take_decoded(&mut self) -> u64 {
        self.decoding.as_mut().map_or(0, |decoding| mem::take(&mut decoding.given))
    }

    /// The longest message there may be.
    #[inline]
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Whether a whole message is within the limit.
    #[inline]
    fn has_room_for(&self, message: MessageRef<'_>) -> bool {
        message.payload().len() <= self.max
    }

    /// What is wrong with a message that is not.
    #[cold]
    fn too_big(&self, message: MessageRef<'_>) -> ProtocolError {
        ProtocolError::MessageTooBig { len: message.payload().len() as u64, max: self.max as u64 }
    }

    /// Adds a chunk to the message under assembly, also one that is a whole message, where so many bytes have been read behind
    /// it.
    pub(crate) fn gather<'b>(&mut self, chunk: Chunk<'b>, read: usize) -> Result<Assembly<'b>, ProtocolError> {
        if chunk.is_first {
            self.begin(&chunk);
        }
        self.keep_only(Some(chunk.number));
        // What goes on with a message that began elsewhere, as a stream of chunks, is no message.
        if self.stage != Stage::Open {
            self.drop_encoded(chunk)?;
            return Ok(Assembly::Partial);
        }
        // What the headers say counts, so that it does not matter how much of the payload is here.
        if chunk.message_len > self.max as u64 && !matches!(chunk.payload, Payload::Encoded { .. }) {
            return Err(ProtocolError::MessageTooBig { len: chunk.message_len, max: self.max as u64 });
        }
        match chunk.payload {
            Payload::Text { completed, text } => {
                let more = text.len() + completed.map_or(0, char::len_utf8);
                self.gathered.reserve(more, chunk.frame_remaining, read, self.max)?;
                if let Gathered::Text(gathered) = &mut self.gathered {
                    gathered.extend(completed);
                    gathered.push_str(text);
                }
            }
            Payload::Binary(bytes) => {
                self.gathered.reserve(bytes.len(), chunk.frame_remaining, read, self.max)?;
                if let Gathered::Binary(gathered) = &mut self.gathered {
                    gathered.extend_from_slice(bytes);
                }
            }
            Payload::Encoded { bytes, .. } => self.gather_encoded(bytes, chunk.fin())?,
        }
        if !chunk.is_last {
            return Ok(Assembly::Partial);
        }
        self.stage = Stage::Complete;
        Ok(Assembly::Complete)
    }

    /// Empties the buffer for the message that this chunk begins. It is kept if it is small, or what is here of the message
    /// could have grown to it by itself: what is only announced keeps nothing.
    fn begin(&mut self, chunk: &Chunk<'_>) {
        let here = match chunk.payload {
            Payload::Text { text, .. } => text.len(),
            Payload::Binary(bytes) => bytes.len(),
            Payload::Encoded { .. } => 0,
        };
        let (kind, kept) = (chunk.kind(), KEPT.max(here.saturating_mul(4)));
        self.gathered = match (mem::replace(&mut self.gathered, Gathered::Binary(Vec::new())), kind) {
            (Gathered::Text(mut text), MessageKind::Text) if text.capacity() <= kept => {
                text.clear();
                Gathered::Text(text)
            }
            (Gathered::Binary(mut bytes), MessageKind::Binary) if bytes.capacity() <= kept => {
                bytes.clear();
                Gathered::Binary(bytes)
            }
            (_, MessageKind::Text) => Gathered::Text(String::new()),
            (_, MessageKind::Binary) => Gathered::Binary(Vec::new()),
        };
        self.tail.reset();
        (self.stage, self.number) = (Stage::Open, chunk.number);
    }

    /// Lets the extension decode one chunk, a step at a time, each checked before the next is made.
    fn gather_encoded(&mut self, mut bytes: &[u8], fin: Fin) -> Result<(), ProtocolError> {
        loop {
            // One more than there may be, to see that there is too much. What a character lacks is not gathered yet.
            let before = self.gathered.len() + self.tail.len();
            let room = STEP.min(self.max.saturating_sub(before).saturating_add(1));
            let (piece, is_all) = Decoding::step(&mut self.decoding, &mut bytes, fin, room, Count::Here)?;
            let len = before + piece.len();
            let too_big = ProtocolError::MessageTooBig { len: len as u64, max: self.max as u64 };
            match &self.gathered {
                Gathered::Binary(_) if len > self.max => return Err(too_big),
                Gathered::Binary(_) => {
                    self.gathered.reserve(piece.len(), 0, 0, self.max)?;
                    if let Gathered::Binary(gathered) = &mut self.gathered {
                        gathered.extend_from_slice(piece);
                    }
                }
                Gathered::Text(_) => {
                    // First what is wrong with the bytes, then how many there are, so that the cut does not matter.
                    let (completed, text) = self.tail.check(piece)?;
                    if len > self.max {
                        return Err(too_big);
                    }
                    self.gathered.reserve(text.len() + completed.map_or(0, char::len_utf8), 0, 0, self.max)?;
                    if let Gathered::Text(gathered) = &mut self.gathered {
                        gathered.extend(completed);
                        gathered.push_str(text);
                    }
                }
            }
            if is_all {
                break;
            }
        }
        if fin == Fin::Last {
            if !self.tail.is_boundary() {
                return Err(ProtocolError::InvalidUtf8);
            }
            if let Some(decoding) = &mut self.decoding {
                decoding.decoder.release();
            }
        }
        Ok(())
    }

    /// Lets the extension see what nobody wants; text is checked all the same.
    fn drop_encoded(&mut self, chunk: Chunk<'_>) -> Result<(), ProtocolError> {
        let Payload::Encoded { kind, mut bytes } = chunk.payload else { return Ok(()) };
        loop {
            let (piece, is_all) = Decoding::step(&mut self.decoding, &mut bytes, chunk.fin(), STEP, Count::Here)?;
            if kind == MessageKind::Text {
                self.tail.check(piece)?;
            }
            if is_all {
                break;
            }
        }
        if kind == MessageKind::Text && chunk.is_last && !self.tail.is_boundary() {
            return Err(ProtocolError::InvalidUtf8);
        }
        match &mut self.decoding {
            Some(decoding) if chunk.is_last => decoding.decoder.release(),
            Some(_) | None => {}
        }
        Ok(())
    }
}

impl Decoding {
    /// Decodes from the front of `bytes` at most `room` bytes; says whether that was all.
    fn step<'d>(
        this: &'d mut Option<Box<Self>>,
        bytes: &mut &[u8],
        fin: Fin,
        room: usize,
        count: Count,
    ) -> Result<(&'d [u8], bool), ProtocolError> {
        // The receiver lets reserved bits pass only where an extension owns them: without a decoder they are nobody's.
        let Some(this) = this else { return Err(ProtocolError::ReservedBits) };
        let before = bytes.len();
        let (piece, is_all) = match this.decoder.decode(bytes, fin, room)? {
            Decoded::All(piece) => (piece, true),
            Decoded::More(piece) => (piece, false),
        };
        // Asked again, one that took nothing and gave nothing would do the same for ever.
        if !is_all && piece.is_empty() && bytes.len() == before {
            return Err(ExtensionError::new("the decoder makes no progress", CloseCode::INTERNAL_ERROR).into());
        }
        if count == Count::Here {
            this.given += piece.len() as u64;
        }
        Ok((piece, is_all))
    }
}

impl Gathered {
    /// Makes room for `more` bytes that are there, and refuses them where they go beyond the limit.
    ///
    /// The buffer doubles, so that tiny fragments cost linear time. Where the sender has `announced` more of the frame, it
    /// grows faster, but never beyond four times the bytes that are there, those included that have been `read` behind them: what
    /// is only announced allocates nothing.
    fn reserve(&mut self, more: usize, announced: u64, read: usize, max: usize) -> Result<(), ProtocolError> {
        let needed = self.len() + more;
        if needed > max {
            return Err(ProtocolError::MessageTooBig { len: needed as u64, max: max as u64 });
        }
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let here = needed.saturating_add(read.min(announced));
        let expected = needed.saturating_add(announced).min(here.saturating_mul(4));
        let additional = |capacity: usize, len: usize| match capacity {
            enough if needed <= enough => 0,
            short => expected.max(short.saturating_mul(2)).min(max) - len,
        };
        match self {
            Self::Text(text) => text.reserve_exact(additional(text.capacity(), text.len())),
            Self::Binary(bytes) => bytes.reserve_exact(additional(bytes.capacity(), bytes.len())),
        }
        Ok(())
    }

    /// Bytes gathered so far.
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// The largest buffer that is kept from one message to the next, in bytes.
const KEPT: usize = 4 * 1024;

/// The largest piece that an extension decodes at once, in bytes.
const STEP: usize = 64 * 1024;
