//! One connection on one transport: the state that everything else here looks at, and the steps that move it on.
//!
//! A step is a poll: it does what can be done now and says what it waits for. All that a step has done stays here, and
//! nothing is kept in the future that called it, so that a future can be dropped at any time. Whoever is polled moves
//! everything on, not only its own affair: a task that receives writes what others have queued, one that sends keeps the
//! deadlines. [`Wakers`] has why that is sound.

mod down;
#[cfg(feature = "pubsub")]
mod joined;
mod receive;
mod send;
#[cfg(feature = "pubsub")]
mod share;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker, ready};
use std::io::{self, ErrorKind, IoSlice};

use super::gate::Seat;
use super::outbox::Outbox;
use super::transport::{Timer, Transport};
use super::wakers::Wakers;
use crate::adapter::Error;
use crate::close::{Close, CloseCode};
use crate::connection::{Connection, State, Teardown};
use crate::time::{Instant, Timeout};

#[cfg(feature = "pubsub")]
use self::send::INSERTED;
use self::send::Long;
pub(super) use self::send::Mark;

/// A connection, its transport, and what is on the way between them.
#[derive(Debug)]
pub(super) struct Core<T: Transport> {
    /// `None` once the connection is down, if halves of it may live on for long.
    transport: Option<T>,
    pub(super) connection: Connection,
    outbox: Outbox,
    /// A long message that goes out fragment by fragment.
    long: Option<Box<Long>>,
    flags: Flags,
    /// What broke the transport.
    failure: Option<ErrorKind>,
    /// The deadline that passed last.
    expired: Option<Timeout>,
    host: Box<Host<T::Timer>>,
    /// What is to be dropped where no lock is held.
    spent: Option<Box<Spent<T>>>,
}

/// What the application or the runtime gave, and may do anything when it is dropped.
#[derive(Debug)]
struct Spent<T> {
    waker: Option<Waker>,
    /// Those who are to be woken, because they were listed for too long.
    listed: Vec<Waker>,
    transport: Option<T>,
    seat: Option<Seat>,
}

impl<T> Default for Spent<T> {
    fn default() -> Self {
        Self { waker: None, listed: Vec::new(), transport: None, seat: None }
    }
}

/// What the runtime and the server bring. It is looked at when something has to wait, and stands beside the connection so
/// that this can be moved cheaply.
#[derive(Debug)]
struct Host<C> {
    timer: C,
    /// When the timer fires.
    armed: Option<Instant>,
    wakers: Arc<Wakers>,
    /// Wakes everybody.
    waker: Waker,
    seat: Option<Seat>,
    /// Long messages so far, and where in the output the last complete one ended.
    longs: u32,
    long_end: u64,
}

#[derive(Debug)]
struct Flags {
    /// Where the connection stood after the last step.
    state: State,
    /// Whether more is queued than may be, until little enough is.
    is_full: bool,
    /// Whether the transport took bytes that it has not flushed yet.
    is_unflushed: bool,
    /// Whether a message is being sent in pieces.
    has_writer: bool,
    /// Whether a long message was dropped unfinished.
    was_cut: bool,
    has_shut_down: bool,
    /// Whether the connection went down with output that was not written.
    is_cut_off: bool,
    /// Whether the half that receives was dropped.
    has_no_receiver: bool,
    /// Whether the timer was set for the first deadline.
    has_kept_time: bool,
    /// Whether what the peer still sends is not for the application any more.
    is_deaf: bool,
    /// Whether senders may be kept that do not know that the connection is over.
    is_split: bool,
    /// Whether something happened that a task may be waiting for.
    wakes_senders: bool,
    wakes_receiver: bool,
    /// Whether such tasks were listed since they were woken last. Only steps list them, so if none is, the list need not be
    /// looked at: whoever was on it before is woken by an earlier step.
    lists_senders: bool,
    lists_receiver: bool,
    /// Reads so far, over and over from 0.
    reads: u8,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            state: State::Open,
            is_full: false,
            is_unflushed: false,
            has_writer: false,
            was_cut: false,
            has_shut_down: false,
            is_cut_off: false,
            has_no_receiver: false,
            has_kept_time: false,
            is_deaf: false,
            is_split: false,
            wakes_senders: false,
            wakes_receiver: false,
            lists_senders: false,
            lists_receiver: false,
            reads: 0,
        }
    }
}

/// Which orders of the gate are followed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heed {
    /// All, where the application receives: it sees the end.
    All,
    /// Only to end at once. A Close in the middle of what the application does would only make its sends fail.
    Abort,
}

/// Who asks for something to be written, and is woken when there is more to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker<'w> {
    Receiver(&'w Waker),
    Sender(&'w Waker),
    /// Somebody who does not wait.
    Nobody,
}

/// What is left to be done when the core is not in use any more: tasks to be woken, and things to be dropped.
#[derive(Debug)]
pub(super) struct Wakes<T> {
    wakers: Option<Arc<Wakers>>,
    senders: bool,
    receiver: bool,
    spent: Option<Box<Spent<T>>>,
}

impl<T> Wakes<T> {
    pub(super) fn wake(self) {
        if let Some(spent) = self.spent {
            spent.listed.into_iter().for_each(Waker::wake);
        }
        let Some(wakers) = self.wakers else { return };
        if self.receiver {
            wakers.wake_receiver();
        }
        if self.senders {
            wakers.wake_senders();
        }
    }
}

impl<T: Transport> Core<T> {
    pub(super) fn new(transport: T, connection: Connection, seat: Option<Seat>) -> Self {
        let wakers = seat.as_ref().map_or_else(Arc::default, Seat::wakers);
        let timer = transport.timer();
        let host = Host { timer, armed: None, waker: wakers.clone().into(), wakers, seat, longs: 0, long_end: 0 };
        let mut this = Self {
            transport: Some(transport),
            connection,
            outbox: Outbox::default(),
            long: None,
            flags: Flags::default(),
            failure: None,
            expired: None,
            host: Box::new(host),
            spent: None,
        };
        this.tell_time();
        this
    }

    /// Says whom to wake, now that the core is about to be left; `None` if there is nothing to be done.
    #[inline]
    pub(super) fn wakes(&mut self) -> Option<Wakes<T>> {
        let state = self.connection.state();
        self.flags.wakes_senders |= state != self.flags.state;
        self.flags.state = state;
        let Flags { wakes_senders, wakes_receiver, lists_senders, lists_receiver, .. } = &mut self.flags;
        let senders = core::mem::take(wakes_senders) && core::mem::take(lists_senders);
        let receiver = core::mem::take(wakes_receiver) && core::mem::take(lists_receiver);
        if !senders && !receiver && self.spent.is_none() {
            return None;
        }
        let wakers = (senders || receiver).then(|| self.host.wakers.clone());
        Some(Wakes { wakers, senders, receiver, spent: self.spent.take() })
    }

    /// Gives the connection a seat, before anybody waits for it.
    pub(super) fn set_seat(&mut self, seat: Seat) {
        self.host.wakers = seat.wakers();
        self.host.waker = self.host.wakers.clone().into();
        self.host.seat = Some(seat);
        // One that was set before wakes nobody any more.
        self.host.armed = None;
    }

    /// The transport. Only a connection that was split lets it go, and such a one is not whole again.
    pub(super) fn transport(&self) -> Option<&T> {
        self.transport.as_ref()
    }

    /// Takes the transport out.
    pub(super) fn into_transport(self) -> Option<T> {
        self.transport
    }

    /// Takes note that nobody receives any more: the connection closes, behind what is queued, and is not waited for.
    pub(super) fn end_receiving(&mut self) {
        self.flags.has_no_receiver = true;
        self.flags.wakes_senders = true;
        // One that is closing already needs not be told.
        let _ = self.close(Close::bare(CloseCode::GOING_AWAY));
        if self.poll_flush(Asker::Nobody).is_ready() {
            self.let_go();
        }
    }

    /// Takes note that halves of the connection are in different hands.
    pub(super) fn set_split(&mut self, is_split: bool) {
        self.flags.is_split = is_split;
    }

    /// How many bytes are queued and not written.
    pub(super) fn queued(&self) -> usize {
        self.outbox.waiting() + self.long.as_ref().map_or(0, |long| long.len())
    }

    /// Writes what is queued, for who may have queued it without a step, and so without a look at the time.
    pub(super) fn poll_flush_queued(&mut self, waker: &Waker) -> Poll<Result<(), Error>> {
        ready!(self.poll_flush(Asker::Sender(waker)))?;
        self.keep_time_flushed(waker);
        Poll::Ready(Ok(()))
    }

    /// Keeps time for who has flushed. What that queues, such as a ping, is written if it can be, and its time runs from then.
    pub(super) fn keep_time_flushed(&mut self, waker: &Waker) {
        let before = self.outbox.waiting();
        self.keep_time_if_due();
        if self.outbox.waiting() > before {
            // If it fails, the next call says so.
            let _ = self.poll_flush(Asker::Sender(waker));
            self.keep_time();
        }
    }

    /// Writes what is queued; ready when nothing is left.
    pub(super) fn poll_flush(&mut self, asker: Asker<'_>) -> Poll<Result<(), Error>> {
        for _ in 0..FRAGMENTS {
            match self.poll_write_out(asker) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.obey(Heed::Abort);
                    // The peer's time to take it runs.
                    self.keep_time();
                    self.check()?;
                    return match self.expired {
                        // The peer has had its time; what is still queued is not written any more.
                        Some(timeout) if self.connection.is_overdue() => {
                            if self.flags.has_no_receiver {
                                self.let_go();
                            }
                            Poll::Ready(Err(Error::Timeout(timeout)))
                        }
                        Some(_) | None => Poll::Pending,
                    };
                }
            }
            if self.connection.owes_pong() {
                self.tell_time();
            }
            if self.outbox.is_empty() && (self.long.is_none() || !self.encode_long()) {
                if self.flags.has_no_receiver && self.connection.is_close_sent() {
                    self.let_go();
                }
                return Poll::Ready(Ok(()));
            }
        }
        // A peer that takes everything at once must not keep the thread from others.
        self.register(asker);
        (self.flags.wakes_senders, self.flags.wakes_receiver) = (true, true);
        Poll::Pending
    }

    /// Says what stands in the way of writing anything more.
    #[inline]
    fn check(&self) -> Result<(), Error> {
        if self.failure.is_none() && !self.flags.is_cut_off { Ok(()) } else { Err(self.obstacle()) }
    }

    #[cold]
    fn obstacle(&self) -> Error {
        match (self.failure, self.expired) {
            (Some(kind), _) => Error::Io(kind.into()),
            (None, Some(timeout)) => Error::Timeout(timeout),
            (None, None) => Error::Lost,
        }
    }

    /// Writes and flushes what is encoded.
    fn poll_write_out(&mut self, asker: Asker<'_>) -> Poll<Result<(), Error>> {
        let mut has_progressed = false;
        let written = loop {
            if let Err(error) = self.check() {
                break Poll::Ready(Err(error));
            }
            if self.outbox.is_empty() {
                if !self.flags.is_unflushed {
                    break Poll::Ready(Ok(()));
                }
                match self.poll_output(asker, |transport, _, cx| transport.poll_flush(cx).map_ok(|()| 0)) {
                    Poll::Ready(Ok(_)) => self.flags.is_unflushed = false,
                    Poll::Ready(Err(error)) => self.fail_unless_interrupted(&error),
                    Poll::Pending => break Poll::Pending,
                }
                has_progressed = true;
                continue;
            }
            match self.poll_output(asker, write) {
                Poll::Ready(Ok(0)) => self.fail(ErrorKind::WriteZero),
                Poll::Ready(Ok(len)) => {
                    // No more than there was, whatever the transport says.
                    self.outbox.advance(len.min(self.outbox.waiting()));
                    self.flags.is_unflushed = true;
                    self.note_level();
                    has_progressed = true;
                }
                Poll::Ready(Err(error)) => self.fail_unless_interrupted(&error),
                Poll::Pending => break Poll::Pending,
            }
        };
        if has_progressed {
            self.note_progress();
        }
        written
    }

    /// Polls the transport's output so that everybody is woken when it is worth asking again.
    ///
    /// It is asked once without a waker, because most of the time it is ready, and again with everybody's once whoever
    /// asks is among them.
    fn poll_output<R>(
        &mut self,
        asker: Asker<'_>,
        mut poll: impl FnMut(&mut T, &Outbox, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let Some(transport) = &mut self.transport else { return Poll::Ready(Err(ErrorKind::NotConnected.into())) };
        let first = poll(transport, &self.outbox, &mut Context::from_waker(Waker::noop()));
        if first.is_ready() {
            return first;
        }
        self.register(asker);
        let Some(transport) = &mut self.transport else { return first };
        poll(transport, &self.outbox, &mut Context::from_waker(&self.host.waker))
    }

    /// Lets whoever asks be woken.
    fn register(&mut self, asker: Asker<'_>) {
        match asker {
            Asker::Receiver(waker) => {
                self.flags.lists_receiver = true;
                if let Some(waker) = self.host.wakers.set_receiver(waker) {
                    self.spent.get_or_insert_default().waker = Some(waker);
                }
            }
            Asker::Sender(waker) => {
                self.flags.lists_senders = true;
                let listed = self.host.wakers.add_sender(waker);
                if !listed.is_empty() {
                    self.spent.get_or_insert_default().listed = listed;
                }
            }
            Asker::Nobody => {}
        }
    }

    /// Takes note that output was written. Receiving waits for that only to take the connection down.
    fn note_progress(&mut self) {
        self.flags.wakes_senders = true;
        self.flags.wakes_receiver |= self.connection.teardown() != Teardown::Keep;
    }

    fn fail_unless_interrupted(&mut self, error: &io::Error) {
        if error.kind() != ErrorKind::Interrupted {
            self.fail(error.kind());
        }
    }

    /// Takes note that the transport is broken. A frame may have broken off, so nothing may follow it.
    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.failure.get_or_insert(kind);
        self.outbox.clear();
        self.long = None;
        self.flags.is_unflushed = false;
        self.note_level();
        (self.flags.wakes_senders, self.flags.wakes_receiver) = (true, true);
    }

    /// Tells the engine the time, which may queue a ping or end the connection.
    fn tell_time(&mut self) -> Instant {
        let now = self.host.timer.now();
        let answered = self.connection.answered_ping();
        self.note_waiting();
        if let Some(timeout) = self.connection.handle_timeout(now, &mut self.outbox.output) {
            self.expired = Some(timeout);
            // The application learns that the connection has ended, and cannot answer any more.
            self.flags.is_deaf = true;
            self.flags.wakes_receiver = true;
        }
        if self.connection.answered_ping() != answered {
            self.flags.wakes_senders = true;
        }
        if self.host.armed.is_some_and(|armed| armed <= now) {
            self.host.armed = None;
        }
        now
    }

    /// Tells the engine the time, and sets the timer for what comes next.
    fn keep_time(&mut self) {
        for _ in 0..4 {
            self.tell_time();
            if !self.arm() {
                return;
            }
        }
        // A timer that is ready before its time: ask again rather than wait for ever.
        (self.flags.wakes_senders, self.flags.wakes_receiver) = (true, true);
    }

    /// Keeps time for somebody who only sends and need not wait: when the timer may have fired, and once at the beginning.
    fn keep_time_if_due(&mut self) {
        let was_woken = self.host.wakers.take_woken();
        if was_woken || !self.flags.has_kept_time {
            self.flags.has_kept_time = true;
            self.keep_time();
        }
    }

    /// Sets the timer for the next deadline, unless it fires before; returns whether that one has come already.
    fn arm(&mut self) -> bool {
        self.arm_until(self.connection.poll_timeout())
    }

    /// As [`Self::arm`], for the next deadline as it is since the time was told last.
    fn arm_until(&mut self, deadline: Option<Instant>) -> bool {
        let Some(deadline) = deadline else { return false };
        if self.host.armed.is_some_and(|armed| armed <= deadline) {
            // It may have fired before whoever waits now was listed.
            return self.host.wakers.take_woken();
        }
        self.host.armed = Some(deadline);
        let is_due = self.host.timer.poll_until(deadline, &mut Context::from_waker(&self.host.waker)).is_ready();
        if is_due {
            self.host.armed = None;
        }
        is_due
    }

    /// Tells the engine how much of its output waits.
    fn note_waiting(&mut self) {
        self.connection.set_in_flight(self.outbox.inserted());
        self.connection.set_written(self.outbox.written());
    }

    /// Takes note of how much is queued.
    fn note_level(&mut self) {
        let (queued, config) = (self.queued(), self.connection.config());
        if queued <= config.low_water_mark {
            self.flags.is_full = false;
        } else if queued >= config.high_water_mark {
            self.flags.is_full = true;
        }
    }
}

/// Writes as much of the output as one call takes.
fn write<T: Transport>(transport: &mut T, outbox: &Outbox, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    if let Some(whole) = outbox.whole() {
        return transport.poll_write(cx, whole);
    }
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let count = outbox.pieces(&mut pieces);
    match &pieces[..count] {
        [piece] => transport.poll_write(cx, piece),
        pieces => transport.poll_write_vectored(cx, pieces),
    }
}

/// Fragments that are written in one poll before others get their turn.
const FRAGMENTS: usize = 32;

/// The most pieces of one vectored write.
const PIECES: usize = 32;
