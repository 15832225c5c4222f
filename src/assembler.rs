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
    max: usize,
    decoder: Option<Box<dyn Decoder>>,
    tail: Utf8Tail,
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

/// What became of a chunk that was pushed.
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
            max: config.max_message_size,
            decoder: None,
            tail: Utf8Tail::default(),
        }
    }

    /// Lets an extension decode the messages that it marked (RFC 6455 §9).
    pub fn extend(&mut self, decoder: Box<dyn Decoder>) {
        self.decoder = Some(decoder);
    }

    /// Takes the next chunk. A complete message that was not taken is dropped when the next one begins. Chunks of a
    /// message whose beginning went elsewhere are dropped.
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
            None => self.gather(chunk),
        }
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
        match core::mem::replace(&mut self.gathered, Gathered::Binary(Vec::new())) {
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

    /// Gives back the memory of the message that was completed last; an open one stays.
    pub fn release(&mut self) {
        if self.stage == Stage::Complete {
            self.gathered = Gathered::Binary(Vec::new());
        }
    }

    /// Forgets the message under assembly: the rest of it goes elsewhere.
    #[cfg(feature = "std")]
    pub(crate) fn abandon(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Empty;
            self.gathered = Gathered::Binary(Vec::new());
        }
    }

    /// Whether a message is under assembly.
    #[cfg(feature = "std")]
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
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

    /// Adds a chunk to the message under assembly, also one that is a whole message.
    pub(crate) fn gather<'b>(&mut self, chunk: Chunk<'b>) -> Result<Assembly<'b>, ProtocolError> {
        if chunk.is_first {
            self.begin(chunk.kind());
        }
        // What goes on with a message that began elsewhere, as a stream of chunks, is no message.
        if self.stage != Stage::Open {
            return Ok(Assembly::Partial);
        }
        // What the headers say counts, so that it does not matter how much of the payload is here.
        if chunk.message_len > self.max as u64 && !matches!(chunk.payload, Payload::Encoded { .. }) {
            return Err(ProtocolError::MessageTooBig { len: chunk.message_len, max: self.max as u64 });
        }
        match chunk.payload {
            Payload::Text { completed, text } => {
                self.reserve(text.len() + completed.map_or(0, char::len_utf8), chunk.frame_remaining)?;
                if let Gathered::Text(gathered) = &mut self.gathered {
                    gathered.extend(completed);
                    gathered.push_str(text);
                }
            }
            Payload::Binary(bytes) => {
                self.reserve(bytes.len(), chunk.frame_remaining)?;
                if let Gathered::Binary(gathered) = &mut self.gathered {
                    gathered.extend_from_slice(bytes);
                }
            }
            Payload::Encoded { bytes, .. } => self.decode(bytes, if chunk.is_last { Fin::Last } else { Fin::More })?,
        }
        if !chunk.is_last {
            return Ok(Assembly::Partial);
        }
        self.stage = Stage::Complete;
        Ok(Assembly::Complete)
    }

    /// Empties the buffer for a message of `kind`; a large one is not kept for a message that may be small.
    fn begin(&mut self, kind: MessageKind) {
        match (&mut self.gathered, kind) {
            (Gathered::Text(text), MessageKind::Text) if text.capacity() <= KEPT => text.clear(),
            (Gathered::Binary(bytes), MessageKind::Binary) if bytes.capacity() <= KEPT => bytes.clear(),
            (_, MessageKind::Text) => self.gathered = Gathered::Text(String::new()),
            (_, MessageKind::Binary) => self.gathered = Gathered::Binary(Vec::new()),
        }
        self.tail.reset();
        self.stage = Stage::Open;
    }

    /// Makes room for `more` bytes that are there, and refuses them where they go beyond the limit.
    ///
    /// The buffer doubles, so that tiny fragments cost linear time. Where the sender has `announced` more of the frame, it
    /// grows faster, but never beyond four times the bytes that are there: what is only announced allocates nothing.
    fn reserve(&mut self, more: usize, announced: u64) -> Result<(), ProtocolError> {
        let needed = self.len() + more;
        if needed > self.max {
            return Err(ProtocolError::MessageTooBig { len: needed as u64, max: self.max as u64 });
        }
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let expected = needed.saturating_add(announced).min(needed.saturating_mul(4));
        let additional = |capacity: usize, len: usize| match capacity {
            enough if needed <= enough => 0,
            short => expected.max(short.saturating_mul(2)).min(self.max) - len,
        };
        match &mut self.gathered {
            Gathered::Text(text) => text.reserve_exact(additional(text.capacity(), text.len())),
            Gathered::Binary(bytes) => bytes.reserve_exact(additional(bytes.capacity(), bytes.len())),
        }
        Ok(())
    }

    /// Lets the extension decode one chunk, a step at a time, each checked before the next is made.
    fn decode(&mut self, mut bytes: &[u8], fin: Fin) -> Result<(), ProtocolError> {
        // The receiver lets reserved bits pass only where an extension owns them: without a decoder they are nobody's.
        let Some(mut decoder) = self.decoder.take() else { return Err(ProtocolError::ReservedBits) };
        let result = self.decode_with(&mut *decoder, &mut bytes, fin);
        self.decoder = Some(decoder);
        result
    }

    /// The loop of [`Self::decode`].
    fn decode_with(&mut self, decoder: &mut dyn Decoder, bytes: &mut &[u8], fin: Fin) -> Result<(), ProtocolError> {
        let mut step = Vec::new();
        loop {
            step.clear();
            let before = bytes.len();
            let decoded = decoder.decode(bytes, fin, &mut step, STEP)?;
            // Asked again, one that took nothing and gave nothing would do the same for ever.
            if decoded == Decoded::More && step.is_empty() && bytes.len() == before {
                return Err(ExtensionError::new("the decoder makes no progress", CloseCode::INTERNAL_ERROR).into());
            }
            self.reserve(step.len(), 0)?;
            match &mut self.gathered {
                Gathered::Binary(gathered) => gathered.extend_from_slice(&step),
                Gathered::Text(gathered) => {
                    let (completed, text) = self.tail.check(&step)?;
                    gathered.extend(completed);
                    gathered.push_str(text);
                }
            }
            if decoded == Decoded::All {
                break;
            }
        }
        if fin == Fin::Last && !self.tail.is_boundary() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(())
    }

    /// Bytes gathered so far.
    fn len(&self) -> usize {
        match &self.gathered {
            Gathered::Text(text) => text.len(),
            Gathered::Binary(bytes) => bytes.len(),
        }
    }
}

/// The largest buffer that is kept from one message to the next, in bytes.
const KEPT: usize = 4 * 1024;

/// The largest piece that an extension decodes at once, in bytes.
const STEP: usize = 16 * 1024;
