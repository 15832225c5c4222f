//! The receiving loop: read, receive, answer, keep deadlines, and take the connection down in the right order.
//!
//! It is written once and serves a whole connection and the receiving half of a split one; where the engine and the
//! sending side are, a [`Link`] knows. The line to the peer stands beside the inbox, so that a connection can be taken
//! down while the inbox is lent.

use core::time::Duration;
use std::io::{self, ErrorKind, Read};
use std::time::Instant as StdInstant;

use super::engine::Engine;
use super::timer::ReadTimer;
use super::transport::Transport;
use crate::adapter::{Error, Inbox, Mode, Partial, Ready, ending};
use crate::connection::{State, Teardown};
use crate::time::Instant;

/// The way from the receiving loop to the engine and to the sending side.
pub(super) trait Link<S> {
    /// Lets `f` use the engine; nothing blocks meanwhile.
    fn with<R>(&mut self, f: impl FnOnce(&mut Engine) -> R) -> R;

    /// Writes what the engine wants written, unless somebody else is about to; returns whether it wrote.
    fn flush(&mut self, stream: &mut S) -> Result<bool, Error>;

    /// Writes what is left when the connection is over; waits for somebody else who is writing no longer than that.
    fn flush_last(&mut self, stream: &mut S, patience: Option<Duration>) -> Result<(), Error>;

    /// The longest time that a read may wait, because others can give the engine something to do meanwhile.
    fn longest_wait(&mut self) -> Option<Duration>;
}

/// The receiving side of a stream.
#[derive(Debug)]
pub(super) struct Reader<S> {
    pub(super) inbox: Inbox,
    room: Room,
    pub(super) line: Line<S>,
}

/// The stream, with the clock and the timer.
#[derive(Debug)]
pub(super) struct Line<S> {
    pub(super) stream: S,
    pub(super) origin: StdInstant,
    timer: ReadTimer,
    has_shut_down: bool,
    /// What broke the stream while the connection was not over.
    failure: Option<ErrorKind>,
}

/// How much is read at once: more where much arrives, so that a connection that is mostly idle holds little.
#[derive(Debug)]
struct Room(usize);

impl<S: Transport> Reader<S> {
    pub(super) fn new(stream: S, inbox: Inbox) -> Self {
        let timer = ReadTimer::default();
        Self {
            inbox,
            room: Room::default(),
            line: Line { stream, origin: StdInstant::now(), timer, has_shut_down: false, failure: None },
        }
    }

    /// Receives until something can be lent; `None` after a clean close.
    pub(super) fn next(&mut self, link: &mut impl Link<S>, mode: Mode) -> Result<Option<Ready>, Error> {
        if mode == Mode::Messages && link.with(|engine| self.inbox.has_message(&engine.connection)) {
            return Ok(Some(Ready::InBuffer));
        }
        loop {
            // What is wrong with the input decides the teardown, which comes next.
            if let Ok(Some(ready)) =
                link.with(|engine| self.inbox.next(&mut engine.connection, &mut engine.output, mode, Partial::Take))
            {
                if link.with(|engine| engine.connection.has_pong()) {
                    self.line.tell_time(link);
                }
                return Ok(Some(ready));
            }
            self.line.flush(link);
            // Only now, for a deadline may have ended the connection, and then no read would come back.
            if link.with(|engine| engine.connection.teardown()) != Teardown::Keep {
                return self.line.take_down(link).map(|()| None);
            }
            self.line.read(link, |stream| self.room.fill(&mut self.inbox, stream))?;
        }
    }
}

impl<S: Transport> Line<S> {
    /// Tells the engine the time.
    pub(super) fn tell_time(&self, link: &mut impl Link<S>) {
        let now = self.now();
        link.with(|engine| engine.tell_time(now));
    }

    /// Takes the connection down to its end, and says how it ended; after a clean close, that is `Ok`.
    ///
    /// Call it again after [`ErrorKind::WouldBlock`], or ever after: it says the same.
    pub(super) fn take_down(&mut self, link: &mut impl Link<S>) -> Result<(), Error> {
        loop {
            self.tell_time(link);
            let teardown = link.with(|engine| engine.connection.teardown());
            let patience = self.patience(link);
            match link.flush_last(&mut self.stream, patience) {
                // The peer has not read it in time, and now never will.
                Err(error) if error.is_would_block() && patience != Some(Duration::ZERO) => return Err(error),
                // A stream that is broken no longer matters.
                Ok(()) | Err(_) => {}
            }
            // §7.1.1: the server closes first; and who lets the peer see the end of the input need not wait to be dropped.
            if teardown != Teardown::AwaitPeer && !self.has_shut_down {
                self.has_shut_down = true;
                // A stream that is gone need not be shut down.
                let _ = self.stream.shutdown_write();
            }
            // Without a read timeout the peer could make us wait for ever.
            if teardown == Teardown::Close || !self.bound_read(link) {
                return link.with(|engine| ending(&mut engine.connection, self.failure, engine.expired));
            }
            self.read(link, |stream| stream.read(&mut [0; 4096]))?;
        }
    }

    /// Gives the stream back, with the read timeout that it came with.
    pub(super) fn into_stream(mut self) -> S {
        // Where the timeout cannot be restored, the stream is broken, and the next read will say so.
        let _ = self.timer.arm(&mut self.stream, None);
        self.stream
    }

    /// Tells the time and writes what is queued; then again, for a ping's time runs from when it was written, and a pong
    /// that was held back may have room now.
    fn flush(&mut self, link: &mut impl Link<S>) {
        self.tell_time(link);
        // A peer that does not read, now or ever, may still have something to say; if not, reading will tell.
        if matches!(link.flush(&mut self.stream), Ok(true)) {
            let owed_pong = link.with(|engine| engine.connection.owes_pong());
            self.tell_time(link);
            if owed_pong {
                let _ = link.flush(&mut self.stream);
            }
        }
    }

    /// Reads once by `read`, for no longer than the deadlines allow.
    fn read(&mut self, link: &mut impl Link<S>, read: impl FnOnce(&mut S) -> io::Result<usize>) -> Result<(), Error> {
        self.bound_read(link);
        let started = self.now();
        let error = match read(&mut self.stream) {
            Ok(0) => {
                link.with(|engine| engine.connection.receive_eof());
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                if self.timer.is_cause(self.now() - started) {
                    Ok(())
                } else {
                    Err(Error::Io(ErrorKind::WouldBlock.into()))
                }
            }
            kind => {
                let is_over = link.with(|engine| {
                    let is_over = engine.connection.state() == State::Closed;
                    engine.connection.receive_eof();
                    is_over
                });
                // After the closing handshake it does not matter how the stream ends.
                if is_over {
                    return Ok(());
                }
                self.failure = Some(kind);
                Err(Error::Io(error))
            }
        }
    }

    /// Sets the read timeout for the next deadline, if there is one; returns whether one will end the next read.
    fn bound_read(&mut self, link: &mut impl Link<S>) -> bool {
        let deadline = link.with(|engine| engine.connection.poll_timeout());
        let until = deadline.map(|deadline| (deadline - self.now()).max(Duration::from_millis(1)));
        let wanted = match (until, link.longest_wait()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // A timeout of zero is none at all, and refused.
        let wanted = wanted.map(|wanted| wanted.max(Duration::from_millis(1)));
        // Some systems set no timeout on a stream that has ended; then the read comes back by itself.
        self.timer.arm(&mut self.stream, wanted).unwrap_or(false) && until.is_some()
    }

    /// How long the peer may still take with the closing handshake; `None` where that is not limited.
    fn patience(&self, link: &mut impl Link<S>) -> Option<Duration> {
        let now = self.now();
        link.with(|engine| match engine.connection.poll_timeout() {
            Some(deadline) => Some(deadline - now),
            None => engine.connection.config().close_timeout.map(|_| Duration::ZERO),
        })
    }

    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self(MIN_BUFFER)
    }
}

impl Room {
    /// Reads once; 0 bytes are the end of the input.
    fn fill(&mut self, inbox: &mut Inbox, stream: &mut impl Read) -> io::Result<usize> {
        let (buffer, _) = inbox.buffer_mut();
        if buffer.len() != self.0 {
            *buffer = vec![0; self.0];
        }
        match stream.read(buffer) {
            Ok(n) => {
                inbox.filled(n);
                if n == self.0 && self.0 < MAX_BUFFER {
                    self.0 *= 2;
                }
                Ok(n)
            }
            Err(error) => {
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    drop(inbox.take_buffer());
                    *self = Self::default();
                }
                Err(error)
            }
        }
    }
}

/// Bytes that are read at once, at first.
const MIN_BUFFER: usize = 4 * 1024;

/// Bytes that are read at once where they keep coming.
const MAX_BUFFER: usize = 32 * 1024;
