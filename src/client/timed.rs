//! A deadline for a handshake on a stream that blocks: each read takes no longer than the time that is left, however little
//! the peer sends at a time.

use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::time::Instant;

use thiserror::Error;

use crate::blocking::Transport;

/// A stream whose reads end at a deadline, until that is lifted.
#[derive(Debug)]
pub(crate) struct Timed<S> {
    stream: S,
    /// `None` once it is lifted.
    deadline: Option<Instant>,
    /// The bound on reads that the caller set, which is kept to and restored.
    callers: Option<Duration>,
}

impl<S: Transport> Timed<S> {
    /// Starts the clock.
    pub(crate) fn new(stream: S, limit: Option<Duration>) -> io::Result<Self> {
        let callers = if limit.is_some() { stream.read_timeout()? } else { None };
        Ok(Self { stream, deadline: limit.and_then(|limit| Instant::now().checked_add(limit)), callers })
    }

    /// Lifts the deadline.
    pub(crate) fn lift(&mut self) -> io::Result<()> {
        if self.deadline.take().is_some() {
            self.stream.set_read_timeout(self.callers)?;
        }
        Ok(())
    }

    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the stream, without the deadline.
    pub(crate) fn into_inner(mut self) -> io::Result<S> {
        self.lift()?;
        Ok(self.stream)
    }
}

/// Says whether a read ended because the deadline was reached.
pub(crate) fn is_time_over(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TimeOver>())
}

/// What a read says at the deadline.
#[derive(Debug, Error)]
#[error("the time for it is over")]
struct TimeOver;

impl<S: Transport> Read for Timed<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(deadline) = self.deadline else { return self.stream.read(buf) };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, TimeOver));
            }
            // A read that would wait for a shorter time than a system's timer knows.
            let left = left.max(Duration::from_millis(1));
            let is_ours = self.callers.is_none_or(|callers| left <= callers);
            let is_bounded =
                self.stream.set_read_timeout(Some(self.callers.map_or(left, |callers| callers.min(left))))?;
            match self.stream.read(buf) {
                // Timers may be early: whether it is time, only the clock can tell.
                Err(error)
                    if is_bounded
                        && is_ours
                        && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                        && Instant::now() + left / 2 >= deadline => {}
                read => return read,
            }
        }
    }
}

impl<S: Write> Write for Timed<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
