//! One direction of a pair: the bytes under way, who waits at its ends, and what is wrong with it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::task::{Context, Poll, Waker};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Mutex, PoisonError};

use super::faults::Faults;

/// A handle on one direction of a pair, to change during a test what goes wrong with it: see
/// [`Stream::incoming`](super::Stream::incoming) and [`Stream::outgoing`](super::Stream::outgoing). Clones are the same
/// direction.
///
/// ```
/// use core::time::Duration;
/// use sockeye::test_kit::{Clock, Expect, Faults, Pair, run};
///
/// let clock = Clock::new();
/// run(&clock, async {
///     let (mut client, mut server) = Pair::new(&clock).sockets();
///     let link = client.get_ref().incoming();
///     link.set_faults(Faults::new().stall_reads(0));
///     server.send("hello").await.unwrap();
///     client.expect_nothing(&clock, Duration::from_secs(3)).await;
///     link.resume();
///     client.expect_text("hello").await;
///     assert_eq!((link.written(), link.read()), (7, 7));
/// });
/// ```
#[derive(Clone)]
pub struct Link {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// How many bytes were written and read so far.
    written: u64,
    read: u64,
    faults: Faults,
    /// Whether whoever writes has ended the direction, or is gone; and whether whoever reads is gone.
    has_ended: bool,
    is_unread: bool,
    /// Who waits.
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Whom to wake, once the lock is released.
    wakes_reader: bool,
    wakes_writer: bool,
}

impl Link {
    pub(super) fn new(capacity: usize, faults: Faults) -> Self {
        let state = State {
            bytes: VecDeque::new(),
            capacity: capacity.max(1),
            written: 0,
            read: 0,
            faults,
            has_ended: false,
            is_unread: false,
            reader: None,
            writer: None,
            wakes_reader: false,
            wakes_writer: false,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Changes what goes wrong from now on. Positions still count from the first byte of the direction.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|state| {
            if let Some(end) = faults.end {
                let kept = usize::try_from(end.saturating_sub(state.read)).unwrap_or(usize::MAX);
                state.bytes.truncate(kept);
            }
            state.faults = faults;
            (state.wakes_reader, state.wakes_writer) = (true, true);
        });
    }

    /// Lets reads and writes that stall, or are to stall, go on.
    pub fn resume(&self) {
        self.with(|state| {
            (state.faults.stalled_reads, state.faults.stalled_writes) = (None, None);
            (state.wakes_reader, state.wakes_writer) = (true, true);
        });
    }

    /// Returns how many bytes were written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.with(|state| state.written)
    }

    /// Returns how many bytes were read so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.with(|state| state.read)
    }

    /// Ends the direction, from the side of whoever writes.
    pub(super) fn end(&self) {
        self.with(|state| {
            state.has_ended = true;
            // Whoever waits to write as well, so that nothing is kept of a task that is gone.
            (state.wakes_reader, state.wakes_writer) = (true, true);
        });
    }

    /// Gives the direction up, from the side of whoever reads.
    pub(super) fn abandon(&self) {
        self.with(|state| {
            state.is_unread = true;
            state.bytes = VecDeque::new();
            (state.wakes_reader, state.wakes_writer) = (true, true);
        });
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let (read, _replaced) = self.with(|state| {
            let read = state.poll_read(buffer);
            let replaced = read.is_pending().then(|| state.reader.replace(cx.waker().clone()));
            (read, replaced)
        });
        read
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let (written, _replaced) = self.with(|state| {
            let written = state.poll_write(pieces);
            let replaced = written.is_pending().then(|| state.writer.replace(cx.waker().clone()));
            (written, replaced)
        });
        written
    }

    /// Lets `f` use the state. A waker that it replaces is to be returned: dropping it may drop a task, and with it an
    /// end of this pair.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut state);
        let reader = core::mem::take(&mut state.wakes_reader).then(|| state.reader.take()).flatten();
        let writer = core::mem::take(&mut state.wakes_writer).then(|| state.writer.take()).flatten();
        // Not under the lock: who is woken may come back at once.
        drop(state);
        reader.into_iter().chain(writer).for_each(Waker::wake);
        result
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|state| {
            f.debug_struct("Link")
                .field("written", &state.written)
                .field("read", &state.read)
                .field("has_ended", &state.has_ended)
                .field("faults", &state.faults)
                .finish_non_exhaustive()
        })
    }
}

impl State {
    fn poll_read(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Faults { end, stalled_reads, .. } = self.faults;
        if let Some(error) = due(&mut self.faults.read_error, self.read) {
            return Poll::Ready(Err(error));
        }
        if end.is_some_and(|end| end <= self.read) {
            return Poll::Ready(Ok(0));
        }
        if stalled_reads.is_some_and(|at| at <= self.read) {
            return Poll::Pending;
        }
        if self.bytes.is_empty() && !self.has_ended && !buffer.is_empty() {
            return Poll::Pending;
        }
        let error_at = self.faults.read_error.map(|(at, _)| at);
        let len = buffer.len().min(self.bytes.len()).min(self.faults.max_read.unwrap_or(usize::MAX));
        let len = until([error_at, end, stalled_reads], self.read, len);
        for (byte, position) in buffer.iter_mut().zip(self.read..).take(len) {
            let spoilt = self.faults.corrupt.iter().filter(|(at, _)| *at == position);
            let bits = spoilt.fold(0, |bits, (_, more)| bits ^ more);
            *byte = self.bytes.pop_front().unwrap_or_default() ^ bits;
        }
        self.read += len as u64;
        self.wakes_writer = len > 0;
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Faults { end, stalled_writes, .. } = self.faults;
        if self.is_unread || self.has_ended {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if let Some(error) = due(&mut self.faults.write_error, self.written) {
            return Poll::Ready(Err(error));
        }
        if stalled_writes.is_some_and(|at| at <= self.written) {
            return Poll::Pending;
        }
        let is_lost = end.is_some_and(|end| end <= self.written);
        let (len, room) =
            (pieces.iter().map(|piece| piece.len()).sum(), self.capacity.saturating_sub(self.bytes.len()));
        if room == 0 && len > 0 && !is_lost {
            return Poll::Pending;
        }
        let error_at = self.faults.write_error.map(|(at, _)| at);
        let len = if is_lost { len } else { room.min(len) }.min(self.faults.max_write.unwrap_or(usize::MAX));
        let end = end.filter(|_| !is_lost);
        let len = until([error_at, end, stalled_writes], self.written, len);
        if !is_lost {
            self.bytes.extend(pieces.iter().flat_map(|piece| piece.iter()).take(len));
        }
        self.written += len as u64;
        self.wakes_reader = len > 0;
        Poll::Ready(Ok(len))
    }
}

/// The error that is due at a position.
fn due(fault: &mut Option<(u64, ErrorKind)>, position: u64) -> Option<io::Error> {
    let (_, kind) = fault.filter(|(at, _)| *at <= position)?;
    // Who was interrupted tries again, and again.
    if kind == ErrorKind::Interrupted {
        *fault = None;
    }
    Some(kind.into())
}

/// How many of `len` bytes come before the next fault.
fn until(faults: [Option<u64>; 3], position: u64, len: usize) -> usize {
    let next = faults.into_iter().flatten().min().map(|at| at.saturating_sub(position));
    next.and_then(|next| usize::try_from(next).ok()).map_or(len, |next| next.min(len))
}
