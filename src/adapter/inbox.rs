//! The read buffer of a connection and the message that is put together from it.
//!
//! When to read, how much, and into which memory is the adapter's business; what to do with the bytes is the same for all.

#[cfg(feature = "driver")]
use core::mem;
use core::ops::Range;

#[cfg(feature = "driver")]
use bytes::Bytes;

use crate::assembler::{Assembler, Assembly};
#[cfg(feature = "driver")]
use crate::config::Config;
use crate::connection::{Connection, Event, Next, Received};
use crate::error::ProtocolError;
use crate::extension::Decoder;
use crate::frame::FrameHeader;
use crate::message::{Chunk, Message, MessageKind, MessageRef, Payload};

/// What was read and not yet received, and the message under assembly.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Empty while there is nothing to read, where the adapter sees to it.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Beside the inbox, because most messages lie whole in the buffer.
    assembler: Box<Assembler>,
    /// What an extension has still to decode of the chunk that was received last.
    undecoded: Option<Box<Undecoded>>,
}

/// A chunk that lies in the buffer, before `start`, and is not decoded to its end.
#[derive(Debug)]
struct Undecoded {
    bytes: Range<usize>,
    kind: MessageKind,
    is_first: bool,
    is_last: bool,
    frame_remaining: u64,
}

/// Whether whole messages are wanted, or chunks as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Messages,
    Chunks,
}

/// What to do with a message that was read in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partial {
    /// Receive what is there of it.
    Take,
    /// Leave it in the buffer, if the whole of it is no longer than that.
    #[cfg(feature = "driver")]
    Hold(usize),
}

/// What is there to be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// A whole message in the buffer, or a chunk of one.
    InBuffer,
    /// A whole message in the assembler.
    Assembled,
}

impl Inbox {
    /// Creates an inbox that begins with what was read behind the opening handshake.
    pub(crate) fn new(assembler: Assembler, leftover: &[u8]) -> Self {
        let assembler = Box::new(assembler);
        Self { buffer: leftover.to_vec(), start: 0, end: leftover.len(), assembler, undecoded: None }
    }

    /// Takes the inbox away, and leaves an empty one.
    #[cfg(feature = "driver")]
    pub(crate) fn take_all(&mut self) -> Self {
        core::mem::replace(self, Self::new(Assembler::new(Config::default()), &[]))
    }

    /// Lets an extension decode the messages that it marked.
    pub(crate) fn extend(&mut self, decoder: Box<dyn Decoder>) {
        self.assembler.extend(decoder);
    }

    /// Gives the buffer to be read into, behind so many bytes at its front that were read and not yet received.
    pub(crate) fn buffer_mut(&mut self) -> (&mut Vec<u8>, usize) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Whatever was lent is no longer in use.
        self.assembler.release();
        (&mut self.buffer, self.end)
    }

    /// Takes note that so many more bytes were read into the buffer.
    pub(crate) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    /// Whether something was read and not yet received.
    #[cfg(feature = "driver")]
    pub(crate) fn is_holding(&self) -> bool {
        self.start < self.end
    }

    /// Takes the buffer away, if everything read was received.
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        if self.start < self.end || self.undecoded.is_some() || self.buffer.capacity() == 0 {
            return None;
        }
        (self.start, self.end) = (0, 0);
        Some(core::mem::take(&mut self.buffer))
    }

    /// Whether a message in one frame is there to be lent, and nothing has to be done before: what is nearly always the case
    /// where several were read at once.
    #[inline]
    pub(crate) fn has_message(&self, connection: &Connection) -> bool {
        self.has_message_of(usize::MAX, connection)
    }

    /// Whether a message is there that is best given away as a copy of what lies in the buffer.
    #[cfg(feature = "driver")]
    #[inline]
    pub(crate) fn has_short_message(&self, connection: &Connection) -> bool {
        self.has_message_of(LONG - 1, connection)
    }

    #[inline(always)]
    fn has_message_of(&self, most: usize, connection: &Connection) -> bool {
        let max = self.assembler.max().min(most);
        self.undecoded.is_none() && connection.has_single(&self.buffer[self.start..self.end], max)
    }

    /// Receives until something can be lent; `None` when all that was read was received, but for what is to be held.
    pub(crate) fn next(
        &mut self,
        connection: &mut Connection,
        output: &mut Vec<u8>,
        mode: Mode,
        partial: Partial,
    ) -> Result<Option<Ready>, ProtocolError> {
        if self.undecoded.is_some() {
            match mode {
                Mode::Chunks => return Ok(Some(Ready::InBuffer)),
                // The rest of a chunk whose beginning was received as one is skipped.
                Mode::Messages => while self.decode(usize::MAX, connection, output)?.is_some() {},
            }
        }
        let room = match (mode, partial) {
            #[cfg(feature = "driver")]
            (Mode::Messages, Partial::Hold(room)) => room,
            _ => 0,
        };
        while self.start < self.end {
            let input = &self.buffer[self.start..self.end];
            if mode == Mode::Messages && connection.has_whole(input, self.assembler.max()) {
                return Ok(Some(Ready::InBuffer));
            }
            if room > 0 && connection.lacks_within(input, room, self.assembler.max()).is_some() {
                return Ok(None);
            }
            match (connection.peek(input), mode) {
                (Next::Message, _) | (Next::Chunk, Mode::Chunks) => return Ok(Some(Ready::InBuffer)),
                (Next::Chunk, Mode::Messages) | (Next::Other, _) => {}
            }
            let max = match mode {
                Mode::Messages => connection.longest_for(&self.assembler),
                Mode::Chunks => u64::MAX,
            };
            // No more than stays in the cache next to the core until it is unmasked, checked and gathered.
            let end = self.end.min(self.start.saturating_add(STEP));
            let mut input = &mut self.buffer[self.start..end];
            let received = match connection.receive_fragment(&mut input, max, output) {
                Ok(None) => connection.receive_any(&mut input, max, output),
                Ok(Some(chunk)) => Ok(Some(Event::Data(chunk))),
                Err(error) => Err(error),
            };
            // What is wrong makes all that follows it void.
            self.start = if received.is_ok() { end - input.len() } else { self.end };
            let assembly = match received? {
                Some(Event::Data(chunk)) => self.assembler.gather(chunk, self.end - self.start),
                Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => Ok(Assembly::Partial),
            };
            connection.note_decoded(&mut self.assembler);
            match assembly {
                Ok(Assembly::Complete) => return Ok(Some(Ready::Assembled)),
                Ok(Assembly::Whole(_) | Assembly::Partial) => {}
                Err(error) => return Err(connection.fail(error, output)),
            }
        }
        Ok(None)
    }

    /// Receives all that was read, and drops the messages in it.
    #[cfg(feature = "driver")]
    pub(crate) fn skip(&mut self, connection: &mut Connection, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.assembler.abandon();
        self.undecoded = None;
        let mut input = self.buffer.get_mut(self.start..self.end).unwrap_or_default();
        let result = loop {
            match connection.receive(&mut input, output) {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.start = self.end;
        result
    }

    /// Lends the message that is ready.
    pub(crate) fn lend(
        &mut self,
        ready: Ready,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<Option<MessageRef<'_>>, ProtocolError> {
        let Self { buffer, start, end, assembler, .. } = self;
        if ready == Ready::Assembled {
            return Ok(Some(assembler.message()));
        }
        let mut input = &mut buffer[*start..*end];
        let message = match connection.receive_whole(&mut input, assembler.max(), output) {
            Ok(None) => connection.receive_message(&mut input, assembler, output).map(|received| match received {
                Some(Received::Message(message)) => Some(message),
                // A message was announced, so it is one.
                Some(Received::Ping(_) | Received::Pong(_) | Received::Close(_)) | None => None,
            }),
            received => received,
        };
        *start = *end - input.len();
        message
    }

    /// Lends the message that is [there](Self::has_message); `None` if it turns out to be wrong.
    #[cfg(feature = "driver")]
    #[inline(always)]
    pub(crate) fn lend_whole(&mut self, connection: &mut Connection, output: &mut Vec<u8>) -> Option<MessageRef<'_>> {
        let Self { buffer, start, end, assembler, .. } = self;
        let mut input = &mut buffer[*start..*end];
        let message = connection.receive_single(&mut input, assembler.max(), output);
        *start = *end - input.len();
        message
    }

    /// Gives away the message that is ready.
    pub(crate) fn take(
        &mut self,
        ready: Ready,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<Option<Message>, ProtocolError> {
        match ready {
            Ready::InBuffer => Ok(self.lend(ready, connection, output)?.map(MessageRef::to_owned)),
            Ready::Assembled => Ok(Some(self.assembler.take())),
        }
    }

    /// As [`Self::take`], without a copy where a binary message takes at least half of the buffer: then `share` makes it of that,
    /// and `next` another buffer of what is not received.
    #[cfg(feature = "driver")]
    pub(crate) fn take_shared(
        &mut self,
        ready: Ready,
        connection: &mut Connection,
        output: &mut Vec<u8>,
        share: impl FnOnce(Vec<u8>, Range<usize>) -> Bytes,
        next: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Option<Message>, ProtocolError> {
        if ready == Ready::Assembled {
            return self.take(ready, connection, output);
        }
        // Rounded to whole KiB, for headers need room, too.
        let (origin, half) = (self.buffer.as_ptr().addr(), self.buffer.len() / 2048 * 1024);
        let part = match self.lend(ready, connection, output)? {
            Some(MessageRef::Binary(payload)) if payload.len() >= LONG.max(half) => {
                let at = payload.as_ptr().addr() - origin;
                at..at + payload.len()
            }
            other => return Ok(other.map(MessageRef::to_owned)),
        };
        let buffer = next(&self.buffer[self.start..self.end]);
        (self.start, self.end) = (0, self.end - self.start);
        Ok(Some(Message::Binary(share(mem::replace(&mut self.buffer, buffer), part))))
    }

    /// Lends the chunk that is ready.
    pub(crate) fn lend_chunk(
        &mut self,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<Option<Chunk<'_>>, ProtocolError> {
        self.lend_chunk_of(usize::MAX, connection, output)
    }

    /// Lends what `most` bytes give of the chunk that is ready, and no more than `most`; `None` if that is nothing yet.
    pub(crate) fn lend_chunk_of(
        &mut self,
        most: usize,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<Option<Chunk<'_>>, ProtocolError> {
        if self.undecoded.is_some() {
            return self.decode(most, connection, output);
        }
        // A piece that goes past the assembler must not be missing in a message there.
        self.assembler.abandon();
        let end = self.end.min(self.start.saturating_add(most));
        if connection.is_next_encoded(&self.buffer[self.start..end]) {
            self.receive_encoded(end, connection, output)?;
            return self.decode(most, connection, output);
        }
        let mut input = &mut self.buffer[self.start..end];
        let event = connection.receive(&mut input, output);
        self.start = if event.is_ok() { end - input.len() } else { self.end };
        Ok(match event? {
            Some(Event::Data(chunk)) => Some(chunk),
            // A chunk was announced, so what else there is is the rest of its header.
            Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => None,
        })
    }

    /// Receives the chunk of an encoded message that is ready, up to `end`, and leaves it to be decoded.
    fn receive_encoded(
        &mut self,
        end: usize,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let mut input = &mut self.buffer[self.start..end];
        let event = connection.receive(&mut input, output);
        let at = end - input.len();
        self.start = if event.is_ok() { at } else { self.end };
        let Some(Event::Data(chunk)) = event? else { return Ok(()) };
        if let Payload::Encoded { kind, bytes } = chunk.payload {
            let Chunk { is_first, is_last, frame_remaining, .. } = chunk;
            let bytes = at - bytes.len()..at;
            self.undecoded = Some(Box::new(Undecoded { bytes, kind, is_first, is_last, frame_remaining }));
        }
        Ok(())
    }

    /// Lends the next piece of what is left to be decoded, of no more than so many bytes; `None` if nothing is left.
    fn decode(
        &mut self,
        most: usize,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<Option<Chunk<'_>>, ProtocolError> {
        let Some(mut undecoded) = self.undecoded.take() else { return Ok(None) };
        let Undecoded { ref bytes, kind, is_first, is_last, frame_remaining } = *undecoded;
        let payload = Payload::Encoded { kind, bytes: &self.buffer[bytes.clone()] };
        let mut rest = Some(Chunk { payload, is_first, is_last, frame_remaining, message_len: 0, number: 0 });
        match self.assembler.decode_some(&mut rest, most) {
            Ok(decoded) => {
                if let Some(Payload::Encoded { bytes, .. }) = rest.map(|rest| rest.payload) {
                    undecoded.is_first = false;
                    undecoded.bytes.start = undecoded.bytes.end - bytes.len();
                    self.undecoded = Some(undecoded);
                }
                Ok(decoded.map(|(chunk, len)| {
                    connection.count_decoded(len);
                    chunk
                }))
            }
            Err(error) => Err(connection.fail(error, output)),
        }
    }

    /// Takes the beginning of the message whose chunk is ready, and none of its payload; its kind, and whether that is all
    /// of it. `None` for a chunk that
    /// goes on with a message that began before, which is dropped.
    #[cfg(feature = "driver")]
    pub(crate) fn begin_message(
        &mut self,
        connection: &mut Connection,
        output: &mut Vec<u8>,
    ) -> Result<Option<(MessageKind, bool)>, ProtocolError> {
        while self.decode(usize::MAX, connection, output)?.is_some() {}
        while self.start < self.end {
            // Byte by byte, a frame is told of before its payload.
            let Some(chunk) = self.lend_chunk_of(1, connection, output)? else { continue };
            if chunk.is_first() {
                return Ok(Some((chunk.kind(), chunk.is_last())));
            }
            if chunk.frame_remaining() > 0 && self.start < self.end {
                self.lend_chunk(connection, output)?;
            }
            break;
        }
        Ok(None)
    }
}

/// From how many bytes on it matters how often a message is copied.
#[cfg(feature = "driver")]
const LONG: usize = 16 * 1024;

/// The most bytes that are received at once to be gathered, as much as takes half of the smallest cache next to a core: a frame
/// of 16 KiB.
const STEP: usize = 16 * 1024 + FrameHeader::MAX;
