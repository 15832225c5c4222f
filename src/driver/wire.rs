//! What the opening handshakes of both sides need of a transport.

use alloc::vec::Vec;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::{self, ErrorKind};

use super::pool;
use super::transport::{Timer, Transport};
use crate::time::Instant;

/// A transport before its connection is open, with what was read and what is to be written.
#[derive(Debug)]
pub(super) struct Wire<T: Transport> {
    transport: T,
    timer: T::Timer,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    written: usize,
    is_flushed: bool,
    /// Until when the answer must be written.
    write_until: Option<Instant>,
    /// Until when a refused client may go on; and whether our direction was ended for it.
    linger_until: Option<Instant>,
    has_shut_down: bool,
}

impl<T: Transport> Wire<T> {
    pub(super) fn new(transport: T) -> Self {
        Self {
            timer: transport.timer(),
            transport,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            is_flushed: false,
            write_until: None,
            linger_until: None,
            has_shut_down: false,
        }
    }

    pub(super) fn stream(&self) -> &T::Stream {
        self.transport.stream()
    }

    /// Gives the transport, and what was read behind the handshake.
    pub(super) fn into_parts(self) -> (T, Vec<u8>) {
        (self.transport, self.input)
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    /// Lets `f` take bytes off the front of what was read.
    pub(super) fn receive<R>(&mut self, f: impl FnOnce(&mut &[u8]) -> R) -> R {
        let mut input = &self.input[..];
        let result = f(&mut input);
        let taken = self.input.len() - input.len();
        self.input.drain(..taken);
        result
    }

    /// Reads once, or waits until the deadline, which the caller looks at; 0 bytes are the end of the input.
    pub(super) fn poll_read(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = pool::take_to_read();
        let read = loop {
            match self.transport.poll_read(cx, &mut buffer) {
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        if let Poll::Ready(Ok(len)) = read {
            self.input.extend_from_slice(&buffer[..len.min(buffer.len())]);
        }
        pool::give_back_read(buffer);
        match (read, deadline) {
            (Poll::Pending, Some(deadline)) => self.timer.poll_until(deadline, cx).map(|()| Ok(usize::MAX)),
            (read, _) => read,
        }
    }

    /// Writes what is queued, in no more time than that.
    pub(super) fn poll_write(&mut self, timeout: Option<Duration>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_written = self.written == self.output.len();
            let step = match is_written {
                true if self.is_flushed => return Poll::Ready(Ok(())),
                true => self.transport.poll_flush(cx).map_ok(|()| None),
                false => self.transport.poll_write(cx, &self.output[self.written..]).map_ok(Some),
            };
            match step {
                Poll::Ready(Ok(None)) => self.is_flushed = true,
                Poll::Ready(Ok(Some(0))) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(Some(len))) => self.written = self.output.len().min(self.written + len),
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let Some(timeout) = timeout else { return Poll::Pending };
                    let until = *self.write_until.get_or_insert_with(|| self.timer.now() + timeout);
                    return self.timer.poll_until(until, cx).map(|()| Err(ErrorKind::TimedOut.into()));
                }
            }
        }
    }

    /// Ends our direction and reads on for a moment, so that what was written is not lost to a reset that unread input
    /// would cause.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.linger_until.get_or_insert_with(|| self.timer.now() + LINGER_TIME);
        if !self.has_shut_down {
            let shut_down = self.transport.poll_shutdown(cx);
            if shut_down.is_pending() {
                return self.timer.poll_until(until, cx);
            }
            self.has_shut_down = true;
        }
        for _ in 0..READS {
            self.input.clear();
            match ready!(self.poll_read(Some(until), cx)) {
                Ok(1..) if self.timer.now() < until => {}
                Ok(_) | Err(_) => return Poll::Ready(()),
            }
        }
        // A client that never stops sending must not keep the thread from others.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Reads in one poll before others get their turn.
const READS: usize = 32;

/// How long a refused client may take to close.
const LINGER_TIME: Duration = Duration::from_secs(2);
