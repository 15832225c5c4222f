//! What the opening handshakes of both sides need of a stream.

use core::time::Duration;
use std::io::ErrorKind;
use std::time::Instant as StdInstant;

use super::WebSocket;
use super::engine::Engine;
use super::outbox::Outbox;
use super::reader::Reader;
use super::timer::ReadTimer;
use super::transport::Transport;
use crate::adapter::assembler;
use crate::adapter::{Error, Inbox};
use crate::connection::Connection;
use crate::handshake::Response;
use crate::time::Instant;

/// A stream before its connection is open, with what was read and what is to be written.
#[derive(Debug)]
pub(super) struct Wire<S> {
    /// `None` once the handshake is over.
    stream: Option<S>,
    input: Vec<u8>,
    pub(super) output: Vec<u8>,
    outbox: Outbox,
    origin: StdInstant,
    timer: ReadTimer,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// More input, or only the time for a deadline to be looked at.
    Continue,
    /// The end of the input.
    End,
}

impl ReadOutcome {
    pub(super) fn is_end(self) -> bool {
        self == Self::End
    }
}

impl<S: Transport> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: Some(stream),
            input: Vec::new(),
            output: Vec::new(),
            outbox: Outbox::default(),
            origin: StdInstant::now(),
            timer: ReadTimer::default(),
        }
    }

    /// Lets `f` take bytes off the front of what was read.
    pub(super) fn receive<R>(&mut self, f: impl FnOnce(&mut &[u8]) -> R) -> R {
        let mut input = &self.input[..];
        let result = f(&mut input);
        let taken = self.input.len() - input.len();
        self.input.drain(..taken);
        result
    }

    /// Writes what is queued, then reads once, for no longer than until the deadline.
    pub(super) fn read(&mut self, deadline: Option<Instant>) -> Result<ReadOutcome, Error> {
        self.write()?;
        let now = self.now();
        let wanted = deadline.map(|deadline| (deadline - now).max(Duration::from_millis(1)));
        let Some(stream) = &mut self.stream else { return Err(Error::Lost) };
        self.timer.arm(stream, wanted)?;
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => Ok(ReadOutcome::End),
            Ok(n) => {
                self.input.extend_from_slice(&buffer[..n]);
                Ok(ReadOutcome::Continue)
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(ReadOutcome::Continue),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    let elapsed = self.now() - now;
                    if deadline.is_some_and(|deadline| self.now() >= deadline) || self.timer.is_cause(elapsed) {
                        Ok(ReadOutcome::Continue)
                    } else {
                        Err(Error::Io(ErrorKind::WouldBlock.into()))
                    }
                }
                _ => Err(Error::Io(error)),
            },
        }
    }

    /// Writes what is queued.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        let Some(stream) = &mut self.stream else { return Err(Error::Lost) };
        Ok(self.outbox.write(&mut self.output, stream)?)
    }

    /// Takes the stream out, with the read timeout that it came with.
    pub(super) fn finish(&mut self) -> Option<S> {
        let mut stream = self.stream.take()?;
        // Where the timeout cannot be restored, the stream is broken, and the next read will say so.
        let _ = self.timer.arm(&mut stream, None);
        Some(stream)
    }

    /// Opens the connection on the stream; what was read behind the handshake is its first input.
    pub(super) fn open(
        &mut self,
        connection: Connection,
        response: Option<Box<Response>>,
    ) -> Result<WebSocket<S>, Error> {
        let stream = self.finish().ok_or(Error::Lost)?;
        Ok(WebSocket::open(stream, connection, &self.input, response))
    }

    pub(super) fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }
}

impl<S: Transport> WebSocket<S> {
    /// Makes a connection of a stream whose opening handshake is done.
    pub(super) fn open(
        stream: S,
        mut connection: Connection,
        leftover: &[u8],
        response: Option<Box<Response>>,
    ) -> Self {
        let assembler = assembler(&mut connection, response.as_deref());
        let reader = Reader::new(stream, Inbox::new(assembler, leftover));
        let mut this = Self { reader, direct: super::Direct { engine: Engine::new(connection) }, response };
        this.reader.line.tell_time(&mut this.direct);
        this
    }
}

/// Ends our direction and reads on for a moment, so that what was written is not lost to a reset that unread input
/// would cause. Only where the time can be bounded.
pub(super) fn linger(mut stream: impl Transport, started: StdInstant) {
    let mut buffer = [0; 4096];
    if stream.shutdown_write().is_err() {
        return;
    }
    while let Some(left) = LINGER_TIME.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        if !matches!(stream.set_read_timeout(Some(left)), Ok(true)) {
            return;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// How long a refused client may take to close.
const LINGER_TIME: Duration = Duration::from_secs(2);
