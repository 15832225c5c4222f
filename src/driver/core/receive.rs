//! Receiving: read, receive, answer, keep deadlines.

use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::io::{self, ErrorKind};

use super::super::gate::Order;
use super::super::pool;
use super::super::transport::Transport;
use super::{Asker, Core, Heed};
use crate::adapter::{Error, Inbox, Mode, Partial, Ready};
use crate::connection::{State, Teardown};
use crate::error::ProtocolError;
use crate::message::{Chunk, Message, MessageKind, MessageRef};

impl<T: Transport> Core<T> {
    /// Whether a whole message is there to be lent, and nothing has to be done before. Then no step need be taken.
    #[inline]
    pub(in super::super) fn has_message(&self, inbox: &Inbox) -> bool {
        !self.flags.is_deaf && inbox.has_message(&self.connection)
    }

    /// As [`Self::has_message`], for a message that is best given away as a copy.
    #[inline]
    pub(in super::super) fn has_short_message(&self, inbox: &Inbox) -> bool {
        !self.flags.is_deaf && inbox.has_short_message(&self.connection)
    }

    /// Lends the whole message that is there; `None` if it turned out to be wrong, and the connection is to be taken down.
    #[inline]
    pub(in super::super) fn lend_whole<'i>(&mut self, inbox: &'i mut Inbox) -> Option<MessageRef<'i>> {
        inbox.lend_whole(&mut self.connection, &mut self.outbox.output)
    }

    /// Gives away the whole message that is there, or not, as [`Self::lend_whole`].
    #[inline]
    pub(in super::super) fn take_whole(&mut self, inbox: &mut Inbox) -> Option<Message> {
        let message = self.lend_whole(inbox).map(MessageRef::to_owned);
        release(inbox);
        message
    }

    /// Gives away the message that is ready; an error if it turned out to be wrong, and the connection is to be taken down.
    #[inline]
    pub(in super::super) fn take(&mut self, inbox: &mut Inbox, ready: Ready) -> Result<Option<Message>, ProtocolError> {
        let (connection, output) = (&mut self.connection, &mut self.outbox.output);
        let message = inbox.take_shared(ready, connection, output, pool::share, pool::take_with)?;
        release(inbox);
        Ok(message)
    }

    /// Receives until something can be lent; `None` after a clean close.
    pub(in super::super) fn poll_receive(
        &mut self,
        inbox: &mut Inbox,
        mode: Mode,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Ready>, Error>> {
        if mode == Mode::Messages && self.has_message(inbox) {
            return Poll::Ready(Ok(Some(Ready::InBuffer)));
        }
        let decoded = self.connection.received().decoded_bytes;
        for left in (0..=READS).rev() {
            if self.connection.received().decoded_bytes - decoded > DECODED {
                break;
            }
            self.note_waiting();
            // Before others get their turn, what was read is received: this future may be dropped then, and the buffer would stay.
            let partial = if left > 0 { Partial::Hold(pool::BUFFER) } else { Partial::Take };
            // What is wrong with the input decides the teardown, which comes next.
            let next = match self.flags.is_deaf {
                false => inbox.next(&mut self.connection, &mut self.outbox.output, mode, partial),
                true => inbox.skip(&mut self.connection, &mut self.outbox.output).map(|()| None),
            };
            if let Ok(Some(ready)) = next {
                if self.connection.has_pong() {
                    self.tell_time();
                }
                return Poll::Ready(Ok(Some(ready)));
            }
            if left == 0 {
                release(inbox);
                break;
            }
            self.obey(Heed::All);
            self.write_before_reading(mode, cx);
            // Only now, for a deadline may have ended the connection, and then no read would come back.
            if self.connection.teardown() != Teardown::Keep {
                self.receive_held(inbox);
                return self.poll_down(cx).map_ok(|()| None);
            }
            match self.poll_read(inbox, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // A transport that is broken in one direction is waited for in the other no longer.
                Poll::Pending if self.failure.is_some() => self.connection.receive_eof(),
                Poll::Pending => {
                    let waiting = self.outbox.waiting();
                    let now = self.tell_time();
                    let deadline = self.connection.poll_timeout();
                    let is_due = deadline.is_some_and(|deadline| deadline <= now);
                    // A ping's time runs from when it was written, so what that has queued is written first.
                    if is_due || self.outbox.waiting() > waiting || self.connection.teardown() != Teardown::Keep {
                        continue;
                    }
                    self.register(Asker::Receiver(cx.waker()));
                    // Again, for what was said before that woke nobody.
                    if !self.obey(Heed::All) && !self.arm_until(deadline) {
                        return Poll::Pending;
                    }
                }
            }
        }
        // A peer that never stops sending what is no message must not keep the thread from others, nor hold up the deadlines.
        self.tell_time();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Receives the next message.
    pub(in super::super) fn poll_message(
        &mut self,
        inbox: &mut Inbox,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        let Some(ready) = ready!(self.poll_receive(inbox, Mode::Messages, cx))? else { return Poll::Ready(Ok(None)) };
        match self.take(inbox, ready) {
            Ok(message) => Poll::Ready(Ok(message)),
            Err(_) => self.poll_down(cx).map_ok(|()| None),
        }
    }

    /// Lends the message that is ready; `None` if it turned out to be wrong, and the connection is to be taken down.
    pub(in super::super) fn lend<'i>(&mut self, inbox: &'i mut Inbox, ready: Ready) -> Option<MessageRef<'i>> {
        inbox.lend(ready, &mut self.connection, &mut self.outbox.output).ok().flatten()
    }

    /// Lends the chunk that is ready, or not, as [`Self::lend`].
    pub(in super::super) fn lend_chunk<'i>(&mut self, inbox: &'i mut Inbox) -> Option<Chunk<'i>> {
        inbox.lend_chunk(&mut self.connection, &mut self.outbox.output).ok().flatten()
    }

    /// Lends what `most` bytes give of the chunk that is ready; `None` if that is nothing yet.
    pub(in super::super) fn lend_chunk_of<'i>(
        &mut self,
        inbox: &'i mut Inbox,
        most: usize,
    ) -> Result<Option<Chunk<'i>>, ProtocolError> {
        inbox.lend_chunk_of(most, &mut self.connection, &mut self.outbox.output)
    }

    /// Takes the beginning of the message whose chunk is ready: its kind, and whether that is all of it.
    pub(in super::super) fn begin_reading(
        &mut self,
        inbox: &mut Inbox,
    ) -> Result<Option<(MessageKind, bool)>, ProtocolError> {
        inbox.begin_message(&mut self.connection, &mut self.outbox.output)
    }

    /// Waits for the pong of this ping, or a later one: its round-trip time.
    pub(in super::super) fn poll_pong(&mut self, waker: &Waker, number: u64) -> Poll<Result<Duration, Error>> {
        // Listed first, for what is looked at then.
        self.register(Asker::Sender(waker));
        self.keep_time();
        self.obey(Heed::Abort);
        let _ = self.poll_flush(Asker::Sender(waker))?;
        let is_over = self.connection.state() == State::Closed || self.flags.has_no_receiver;
        match self.connection.round_trip() {
            Some(round_trip) if self.connection.answered_ping() >= number => Poll::Ready(Ok(round_trip)),
            Some(_) | None if is_over => Poll::Ready(Err(Error::Lost)),
            Some(_) | None => Poll::Pending,
        }
    }

    /// Waits until the connection is closed, or nobody is left to see it closed.
    pub(in super::super) fn poll_closed(&mut self, waker: &Waker) -> Poll<()> {
        self.register(Asker::Sender(waker));
        self.keep_time();
        self.obey(Heed::Abort);
        let is_closed = self.connection.state() == State::Closed || self.failure.is_some();
        if is_closed || self.flags.has_no_receiver { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the connection at once.
    pub(in super::super) fn abort(&mut self) {
        self.fail(ErrorKind::ConnectionAborted);
        self.connection.receive_eof();
        if self.flags.is_split {
            self.let_go();
        }
    }

    /// Does what the server's gate says; returns whether it said something.
    pub(super) fn obey(&mut self, heed: Heed) -> bool {
        match self.host.seat.as_ref().and_then(|seat| seat.take_order(heed == Heed::All)) {
            Some(Order::Close(close)) => {
                self.flags.is_deaf = true;
                // Who has closed already needs not be told.
                let _ = self.close(close);
            }
            Some(Order::Abort) => self.abort(),
            None => return false,
        }
        true
    }

    /// Writes what is queued. The time is told when the read has nothing and there is a wait; before that only where the timer has
    /// fired, where input may go on and on without a wait (pieces of a message, or what is dropped), and once in many reads: where
    /// each of them has a message and the task never waits, a timer may have no turn to fire.
    fn write_before_reading(&mut self, mode: Mode, cx: &Context<'_>) {
        self.flags.reads = self.flags.reads.wrapping_add(1);
        let is_often = mode == Mode::Chunks || self.flags.is_deaf || self.connection.is_receiving_message();
        if is_often || self.flags.reads % UNTIMED == 0 {
            self.tell_time();
        } else {
            self.keep_time_if_due();
        }
        if self.outbox.is_empty() && !self.flags.is_unflushed && self.long.is_none() {
            return;
        }
        // A peer that does not read, now or ever, may still have something to say; if not, reading will tell.
        let _ = self.poll_flush(Asker::Receiver(cx.waker()));
    }

    /// Reads once. A message that was read in part is held where it lies as long as there is more to read at once.
    fn poll_read(&mut self, inbox: &mut Inbox, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let read = self.poll_fill(inbox, cx);
        if matches!(read, Poll::Ready(Ok(1..))) {
            return Poll::Ready(Ok(()));
        }
        let (was_holding, is_right) = (inbox.is_holding(), self.receive_held(inbox));
        // Deadlines may depend on what was held, or the teardown is next.
        if was_holding && (read.is_pending() || !is_right) {
            return Poll::Ready(Ok(()));
        }
        self.note_read(read)
    }

    /// Receives what was held, and gives the buffer back; returns whether nothing was wrong with it.
    fn receive_held(&mut self, inbox: &mut Inbox) -> bool {
        let is_right = !inbox.is_holding()
            || inbox.next(&mut self.connection, &mut self.outbox.output, Mode::Messages, Partial::Take).is_ok();
        release(inbox);
        is_right
    }

    /// Takes note of what a read gave.
    pub(super) fn note_read(&mut self, read: Poll<io::Result<usize>>) -> Poll<Result<(), Error>> {
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => self.connection.receive_eof(),
            Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => return Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => {
                // After the closing handshake it does not matter how the stream ends.
                let is_over = self.connection.state() == State::Closed;
                self.connection.receive_eof();
                if !is_over {
                    self.fail(error.kind());
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
        self.flags.wakes_senders = true;
        Poll::Ready(Ok(()))
    }

    /// Reads once into a buffer that is there only if something was read.
    fn poll_fill(&mut self, inbox: &mut Inbox, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(transport) = &mut self.transport else { return Poll::Ready(Ok(0)) };
        let (buffer, held) = inbox.buffer_mut();
        if buffer.len() != pool::BUFFER {
            let mut pooled = pool::take_to_read();
            pooled[..held].copy_from_slice(&buffer[..held]);
            *buffer = pooled;
        }
        // No more than there is room for, whatever the transport says.
        let room = &mut buffer[held..];
        let most = room.len();
        let read = transport.poll_read(cx, room).map_ok(|len| len.min(most));
        if let Poll::Ready(Ok(len)) = read {
            inbox.filled(len);
        }
        read
    }
}

/// Gives the read buffer back, if everything that was read was received.
pub(in super::super) fn release(inbox: &mut Inbox) {
    if let Some(buffer) = inbox.take_buffer() {
        pool::give_back_read(buffer);
    }
}

/// Reads in one poll that bring nothing to the application before others get their turn.
const READS: usize = 32;

/// Reads between two looks at the clock where no read has to wait. A power of two, so that counting may wrap.
const UNTIMED: u8 = 64;

/// Bytes that an extension decodes in one poll, of what the application has no use for, before others get their turn; not more
/// than what one read gives is added to that.
const DECODED: u64 = 1024 * 1024;
