//! The receiving loop: read, receive, answer, keep deadlines, and take the connection down in the right order.
//!
//! It is written once and serves a whole connection and the receiving half of a split one; where the engine and the
//! sending side are, a [`Link`] knows.

use core::time::Duration;
use std::io::ErrorKind;
use std::time::Instant as StdInstant;

use super::error::Error;
use super::inbox::{Engine, Inbox, Mode, Ready};
use super::timer::ReadTimer;
use super::transport::Transport;
use crate::connection::{EndCause, State, Teardown};
use crate::time::Instant;

/// The way from the receiving loop to the engine and to the sending side.
pub(super) trait Link<S> {
    /// Lets `f` use the engine; nothing blocks meanwhile.
    fn with<R>(&mut self, f: impl FnOnce(&mut Engine) -> R) -> R;

    /// Writes what the engine wants written, unless somebody else is about to.
    fn flush(&mut self, stream: &mut S) -> Result<(), Error>;

    /// The longest time that a read may wait, because others can give the engine something to do meanwhile.
    fn longest_wait(&mut self) -> Option<Duration>;
}

/// The receiving side of a stream.
#[derive(Debug)]
pub(super) struct Reader<S> {
    pub(super) stream: S,
    pub(super) inbox: Inbox,
    origin: StdInstant,
    timer: ReadTimer,
    has_shut_down: bool,
}

impl<S: Transport> Reader<S> {
    pub(super) fn new(stream: S, inbox: Inbox) -> Self {
        Self { stream, inbox, origin: StdInstant::now(), timer: ReadTimer::default(), has_shut_down: false }
    }

    /// Receives until something can be lent; `None` after a clean close.
    pub(super) fn next(&mut self, link: &mut impl Link<S>, mode: Mode) -> Result<Option<Ready>, Error> {
        loop {
            // What is wrong with the input decides the teardown, which comes next.
            if let Ok(Some(ready)) = link.with(|engine| self.inbox.next(engine, mode)) {
                return Ok(Some(ready));
            }
            match link.with(|engine| engine.connection.teardown()) {
                Teardown::Keep => {
                    self.wait(link)?;
                    continue;
                }
                Teardown::Close => {}
                teardown @ (Teardown::AwaitPeer | Teardown::Linger) => {
                    self.inbox.discard();
                    self.flush_last(link)?;
                    if teardown == Teardown::Linger && !self.has_shut_down {
                        self.has_shut_down = true;
                        // A stream that is gone need not be shut down.
                        let _ = self.stream.shutdown_write();
                    }
                    // Without a read timeout the peer could make us wait for ever.
                    if self.wait_is_bounded(link)? {
                        self.wait(link)?;
                        continue;
                    }
                }
            }
            self.flush_last(link)?;
            return link.with(|engine| ending(engine));
        }
    }

    /// Tells the engine the time.
    pub(super) fn tell_time(&self, link: &mut impl Link<S>) {
        let now = self.now();
        link.with(|engine| engine.connection.handle_timeout(now, &mut engine.output));
    }

    /// Writes what is queued, then reads once, as long as the deadlines allow.
    fn wait(&mut self, link: &mut impl Link<S>) -> Result<(), Error> {
        self.tell_time(link);
        // A peer that does not read, now or ever, may still have something to say; if not, reading will tell.
        let _ = link.flush(&mut self.stream);
        self.wait_is_bounded(link)?;
        let started = self.now();
        let error = match self.inbox.fill(&mut self.stream) {
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
                self.tell_time(link);
                if self.timer.is_cause(self.now() - started) {
                    Ok(())
                } else {
                    Err(Error::Io(ErrorKind::WouldBlock.into()))
                }
            }
            // After the closing handshake it does not matter how the stream ends.
            _ => link.with(|engine| {
                let is_over = engine.connection.state() == State::Closed;
                engine.connection.receive_eof();
                if is_over { Ok(()) } else { Err(Error::Io(error)) }
            }),
        }
    }

    /// Writes what is queued when the connection is over: a stream that is broken no longer matters.
    fn flush_last(&mut self, link: &mut impl Link<S>) -> Result<(), Error> {
        link.flush(&mut self.stream).or_else(|error| if error.is_would_block() { Err(error) } else { Ok(()) })
    }

    /// Sets the read timeout for the next deadline, if there is one; returns whether the next read has one.
    fn wait_is_bounded(&mut self, link: &mut impl Link<S>) -> Result<bool, Error> {
        let deadline = link.with(|engine| engine.connection.poll_timeout());
        let until = deadline.map(|deadline| (deadline - self.now()).max(Duration::from_millis(1)));
        let wanted = match (until, link.longest_wait()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(self.timer.arm(&mut self.stream, wanted)?)
    }

    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }
}

/// How the connection ended, to be told again whenever asked.
fn ending(engine: &Engine) -> Result<Option<Ready>, Error> {
    match (engine.connection.end_cause(), engine.connection.peer_close()) {
        (Some(EndCause::Violation(error)), _) => Err(error.clone().into()),
        (Some(EndCause::Timeout(timeout)), _) => Err(Error::Timeout(*timeout)),
        (Some(EndCause::Local | EndCause::Remote | EndCause::TransportLost) | None, Some(_)) => Ok(None),
        (Some(EndCause::Local | EndCause::Remote | EndCause::TransportLost) | None, None) => Err(Error::Lost),
    }
}
