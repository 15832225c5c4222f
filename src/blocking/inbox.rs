//! The read buffer of a connection and the message that is put together from it.

use std::io::{self, ErrorKind, Read};

use super::outbox::Outbox;
use crate::assembler::{Assembler, Assembly};
use crate::connection::{Connection, Event, Next, Received};
use crate::error::ProtocolError;
use crate::extension::Decoder;
use crate::message::{Chunk, Message, MessageRef};
use crate::time::{Instant, Timeout};

/// A connection and the bytes that it wants written.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) connection: Connection,
    pub(super) output: Vec<u8>,
    pub(super) outbox: Outbox,
    /// The deadline that passed last. What ended the connection is the first thing that did, and may be another one.
    pub(super) expired: Option<Timeout>,
}

impl Engine {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, output: Vec::new(), outbox: Outbox::default(), expired: None }
    }

    /// How many bytes are not written yet.
    pub(super) fn queued(&self) -> usize {
        self.output.len() + self.connection.in_flight()
    }

    /// Tells the engine the time.
    pub(super) fn tell_time(&mut self, now: Instant) {
        let expired = self.connection.handle_timeout(now, &mut self.output);
        self.expired = expired.or(self.expired);
    }
}

/// What was read and not yet received, and the message under assembly.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Empty while there is nothing to read, where the stream can say so.
    buffer: Vec<u8>,
    /// How much is read at once: more where much arrives, so that a connection that is mostly idle holds little.
    room: usize,
    start: usize,
    end: usize,
    assembler: Assembler,
}

/// Whether whole messages are wanted, or chunks as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Messages,
    Chunks,
}

/// What is there to be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// A whole message in the buffer, or a chunk of one.
    InBuffer,
    /// A whole message in the assembler.
    Assembled,
}

impl Inbox {
    /// Creates an inbox that begins with what was read behind the opening handshake.
    pub(super) fn new(assembler: Assembler, leftover: &[u8]) -> Self {
        Self { buffer: leftover.to_vec(), room: MIN_BUFFER, start: 0, end: leftover.len(), assembler }
    }

    /// Lets an extension decode the messages that it marked.
    pub(super) fn extend(&mut self, decoder: Box<dyn Decoder>) {
        self.assembler.extend(decoder);
    }

    /// Reads once; 0 bytes are the end of the input. Everything read before must have been received.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        (self.start, self.end) = (0, 0);
        // Whatever was lent is no longer in use.
        self.assembler.release();
        if self.buffer.len() != self.room {
            self.buffer = vec![0; self.room];
        }
        match stream.read(&mut self.buffer) {
            Ok(n) => {
                self.end = n;
                if n == self.room && self.room < MAX_BUFFER {
                    self.room *= 2;
                }
                Ok(n)
            }
            Err(error) => {
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    self.buffer = Vec::new();
                    self.room = MIN_BUFFER;
                }
                Err(error)
            }
        }
    }

    /// Receives until something can be lent; `None` when all that was read was received.
    pub(super) fn next(&mut self, engine: &mut Engine, mode: Mode) -> Result<Option<Ready>, ProtocolError> {
        while self.start < self.end {
            let mut input = &mut self.buffer[self.start..self.end];
            match (engine.connection.peek(input), mode) {
                (Next::Message, _) | (Next::Chunk, Mode::Chunks) => return Ok(Some(Ready::InBuffer)),
                (Next::Chunk, Mode::Messages) | (Next::Other, _) => {}
            }
            let max = match mode {
                Mode::Messages => self.assembler.max() as u64,
                Mode::Chunks => u64::MAX,
            };
            let assembly = match engine.connection.receive_any(&mut input, max, &mut engine.output)? {
                Some(Event::Data(chunk)) => self.assembler.gather(chunk),
                Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => Ok(Assembly::Partial),
            };
            self.start = self.end - input.len();
            match assembly {
                Ok(Assembly::Complete) => return Ok(Some(Ready::Assembled)),
                Ok(Assembly::Whole(_) | Assembly::Partial) => {}
                Err(error) => return Err(engine.connection.fail(error, &mut engine.output)),
            }
        }
        Ok(None)
    }

    /// Lends the message that is ready.
    pub(super) fn lend(&mut self, ready: Ready, engine: &mut Engine) -> Result<Option<MessageRef<'_>>, ProtocolError> {
        let Self { buffer, start, end, assembler, .. } = self;
        if ready == Ready::Assembled {
            return Ok(Some(assembler.message()));
        }
        let mut input = &mut buffer[*start..*end];
        let received = engine.connection.receive_message(&mut input, assembler, &mut engine.output)?;
        *start = *end - input.len();
        Ok(match received {
            Some(Received::Message(message)) => Some(message),
            // A message was announced, so it is one.
            Some(Received::Ping(_) | Received::Pong(_) | Received::Close(_)) | None => None,
        })
    }

    /// Gives away the message that is ready.
    pub(super) fn take(&mut self, ready: Ready, engine: &mut Engine) -> Result<Option<Message>, ProtocolError> {
        match ready {
            Ready::InBuffer => Ok(self.lend(ready, engine)?.map(MessageRef::to_owned)),
            Ready::Assembled => Ok(Some(self.assembler.take())),
        }
    }

    /// Lends the chunk that is ready.
    pub(super) fn lend_chunk(&mut self, engine: &mut Engine) -> Result<Option<Chunk<'_>>, ProtocolError> {
        let mut input = &mut self.buffer[self.start..self.end];
        let event = engine.connection.receive(&mut input, &mut engine.output)?;
        self.start = self.end - input.len();
        Ok(match event {
            Some(Event::Data(chunk)) => Some(chunk),
            // A chunk was announced, so it is one.
            Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => None,
        })
    }
}

/// Bytes that are read at once, at first.
const MIN_BUFFER: usize = 4 * 1024;

/// Bytes that are read at once where they keep coming.
const MAX_BUFFER: usize = 32 * 1024;
