//! Sending: the turn and the room that a message waits for, and how it gets into the output.

use alloc::boxed::Box;
use core::task::{Context, Poll, Waker, ready};
use std::io::{ErrorKind, IoSlice};

use bytes::{Bytes, BytesMut};

use super::super::outgoing::Outgoing;
use super::super::transport::Transport;
use super::{Asker, Core, Heed};
use crate::adapter::Error;
use crate::close::{Close, CloseCode};
use crate::config::Role;
use crate::connection::{Coding, State};
use crate::error::SendError;
use crate::extension::Fin;
use crate::message::MessageKind;
use crate::outgoing::OutgoingKind;
use crate::prepared::PreparedMessage;

/// A message of more than one fragment that waits to go out: so control frames get in between.
#[derive(Debug)]
pub(super) struct Long {
    kind: MessageKind,
    coding: Coding,
    rest: Rest,
    /// The Close that goes out behind it.
    close: Option<Close>,
}

/// A payload that is kept.
#[derive(Debug)]
enum Rest {
    Shared(Bytes),
    /// One that nobody else sees, and that a client can mask where it lies.
    Own(BytesMut),
}

/// A place in the output, to be waited for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Mark {
    bytes: u64,
    longs: u32,
}

impl Long {
    pub(super) fn len(&self) -> usize {
        match &self.rest {
            Rest::Shared(bytes) => bytes.len(),
            Rest::Own(bytes) => bytes.len(),
        }
    }
}

impl Rest {
    /// Splits off the next fragment.
    fn next(&mut self, size: usize) -> Self {
        match self {
            Self::Shared(bytes) => Self::Shared(bytes.split_to(size.min(bytes.len()))),
            Self::Own(bytes) => Self::Own(bytes.split_to(size.min(bytes.len()))),
        }
    }
}

impl<T: Transport> Core<T> {
    /// Waits until a message can be queued: for its turn, and for room.
    pub(in super::super) fn poll_room(&mut self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.keep_time_if_due();
        loop {
            self.check()?;
            let has_room = !self.is_taken() && !self.flags.is_full;
            // What cannot be sent any more need not wait to be told so.
            if has_room || self.connection.is_close_sent() {
                return Poll::Ready(Ok(()));
            }
            let flushed = self.poll_flush(Asker::Sender(waker))?;
            if flushed.is_pending() && (self.is_taken() || self.flags.is_full) {
                return Poll::Pending;
            }
            if self.flags.has_writer && self.is_taken() {
                // Whoever is writing a message in pieces will end it, and then wakes us.
                self.register(Asker::Sender(waker));
                self.keep_time();
                if !self.obey(Heed::Abort) && self.is_taken() {
                    return Poll::Pending;
                }
            }
        }
    }

    /// Waits until a piece of the message that is being written can be queued.
    pub(in super::super) fn poll_piece_room(&mut self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.keep_time_if_due();
        self.check()?;
        if !self.flags.is_full {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.poll_flush(Asker::Sender(waker))?;
        if flushed.is_pending() && self.flags.is_full { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Queues a message that has its turn and its room.
    pub(in super::super) fn queue(&mut self, message: Outgoing<'_>) -> Result<(), Error> {
        self.check()?;
        // Who has not waited for the turn has none.
        if self.is_taken() {
            return Err(Error::Full);
        }
        match self.queue_short(&message) {
            Some(queued) => Ok(queued?),
            None => self.queue_long(message),
        }
    }

    /// Queues a message that has its turn and its room as most are queued: copied, whoever owns the payload. `None` if it is
    /// not one of these.
    #[inline(always)]
    fn queue_short(&mut self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        let message = message.lent()?;
        let fragment_size = self.connection.config().fragment_size.max(1);
        if message.len() >= INSERTED || message.len() > fragment_size {
            return None;
        }
        if let Err(error) = self.connection.send(message, self.outbox.open()) {
            self.outbox.close();
            return Some(Err(error));
        }
        self.note_level();
        Some(Ok(()))
    }

    /// Queues a message as most are queued, where nothing stands in its way and no code of others runs: then no step need be
    /// taken. Says whether it did; where not, a step will, or say why not.
    #[inline]
    pub(in super::super) fn queue_at_once(&mut self, message: &Outgoing<'_>) -> bool {
        let is_free = self.flags.has_kept_time
            && !self.flags.is_full
            && !self.is_taken()
            && self.check().is_ok()
            && self.connection.sends_plainly();
        is_free && matches!(self.queue_short(message), Some(Ok(())))
    }

    /// Queues a message that is long, or prepared.
    fn queue_long(&mut self, message: Outgoing<'_>) -> Result<(), Error> {
        if let Some(prepared) = message.prepared().filter(|_| message.may_be_encoded()) {
            let (len, fragment_size) = (prepared.payload().len(), self.connection.config().fragment_size);
            if len < INSERTED && len <= fragment_size {
                let sent = self.connection.send_prepared(prepared, self.outbox.open());
                if sent.is_err() {
                    self.outbox.close();
                }
                self.note_level();
                return sent.map_err(Error::from);
            }
        }
        self.check_between_messages()?;
        let kind = message.kind();
        let coding = self.connection.coding(kind, Some(message.payload().len()), message.may_be_encoded());
        if let (Coding::Encoded, Some(prepared)) = (coding, message.prepared()) {
            if let Some(encoded) = self.connection.encoding(prepared)? {
                let (rsv, payload) = (encoded.rsv, encoded.payload.clone());
                return self.queue_as(kind, Coding::AsIs(rsv), payload.into());
            }
        }
        self.queue_as(kind, coding, message)
    }

    /// Queues a message that is to be encoded in this way.
    fn queue_as(&mut self, kind: MessageKind, coding: Coding, message: Outgoing<'_>) -> Result<(), Error> {
        let fragment_size = self.connection.config().fragment_size.max(1);
        let len = message.payload().len();
        let is_kept = message.is_owned() && len >= INSERTED && coding != Coding::Encoded;
        if len <= fragment_size && !is_kept {
            self.connection.send_piece(kind, coding, message.payload(), Fin::Last, self.outbox.open())?;
            self.note_level();
            return Ok(());
        }
        let rest = self.keep(message.into_payload());
        if len <= fragment_size {
            self.encode(kind, coding, rest, Fin::Last)?;
        } else {
            self.host.longs = self.host.longs.wrapping_add(1);
            self.long = Some(Box::new(Long { kind, coding, rest, close: None }));
            if self.outbox.is_empty() {
                self.encode_long();
            }
        }
        self.note_level();
        Ok(())
    }

    /// Writes a prepared message from where it lies, if nothing waits before it and it can be one frame; what the transport
    /// does not take now is queued. `None` if the message was not taken.
    fn write_prepared(&mut self, message: &Outgoing<'_>) -> Option<Result<(), Error>> {
        let prepared = message.prepared()?;
        let can_be_written = self.outbox.is_empty()
            && !self.is_taken()
            && self.is_write_vectored()
            && message.may_be_encoded()
            && self.connection.shares(prepared)
            && prepared.payload().len() <= self.connection.config().fragment_size;
        if !can_be_written {
            return None;
        }
        Some(self.write_shared(prepared))
    }

    fn write_shared(&mut self, prepared: &PreparedMessage) -> Result<(), Error> {
        self.check()?;
        let (head, payload) = self.connection.prepared_parts(prepared)?;
        let Some(transport) = &mut self.transport else { return Ok(()) };
        let pieces = [IoSlice::new(head), IoSlice::new(payload)];
        // Whoever asks is listed when it waits for what is left.
        let written = match transport.poll_write_vectored(&mut Context::from_waker(Waker::noop()), &pieces) {
            Poll::Ready(Ok(0)) => {
                self.fail(ErrorKind::WriteZero);
                0
            }
            Poll::Ready(Ok(len)) => {
                self.flags.is_unflushed = true;
                // No more than there was, whatever the transport says.
                len.min(head.len() + payload.len())
            }
            Poll::Ready(Err(error)) => {
                self.fail_unless_interrupted(&error);
                0
            }
            Poll::Pending => 0,
        };
        self.check()?;
        let of_head = written.min(head.len());
        let (head, payload) = (&head[of_head..], payload.slice(written - of_head..));
        if !head.is_empty() {
            self.outbox.open().extend_from_slice(head);
        }
        if payload.len() >= INSERTED {
            self.outbox.insert(payload);
        } else if !payload.is_empty() {
            self.outbox.open().extend_from_slice(&payload);
        }
        self.note_level();
        Ok(())
    }

    /// Queues a message if that can be done without waiting; says whether it was.
    pub(in super::super) fn try_queue(&mut self, message: Outgoing<'_>) -> Result<(), Error> {
        self.keep_time_if_due();
        self.check()?;
        if self.is_taken() || self.flags.is_full {
            // What is queued may have gone out by now.
            self.flush_now()?;
        }
        if self.is_taken() || self.flags.is_full {
            return Err(Error::Full);
        }
        let cx = &mut Context::from_waker(Waker::noop());
        match T::poll_uncounted(cx, |_| Poll::Ready(self.write_prepared(&message))) {
            Poll::Ready(Some(written)) => written?,
            Poll::Ready(None) | Poll::Pending => self.queue(message)?,
        }
        self.flush_now()
    }

    /// Writes what can be written now, for somebody who does not wait.
    fn flush_now(&mut self) -> Result<(), Error> {
        let cx = &mut Context::from_waker(Waker::noop());
        match T::poll_uncounted(cx, |_| self.poll_flush(Asker::Nobody)) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Queues a message once there is room, then waits until it is written: `message` is taken once it is queued.
    pub(in super::super) fn poll_send(
        &mut self,
        waker: &Waker,
        message: &mut Option<Outgoing<'_>>,
        mark: &mut Option<Mark>,
    ) -> Poll<Result<(), Error>> {
        if message.as_ref().is_some_and(|message| message.prepared().is_some()) {
            ready!(self.poll_room(waker))?;
            if let Some(written) = message.as_ref().and_then(|message| self.write_prepared(message)) {
                *message = None;
                written?;
            }
        }
        ready!(self.poll_feed(waker, message))?;
        let mark = *mark.get_or_insert_with(|| self.mark());
        self.poll_written(waker, mark)
    }

    /// Queues a message once there is room: `message` is taken then.
    pub(in super::super) fn poll_feed(
        &mut self,
        waker: &Waker,
        message: &mut Option<Outgoing<'_>>,
    ) -> Poll<Result<(), Error>> {
        let Some(waiting) = message else { return Poll::Ready(Ok(())) };
        ready!(self.poll_room(waker))?;
        if let Some(queued) = self.queue_short(waiting) {
            *message = None;
            return Poll::Ready(queued.map_err(Error::from));
        }
        Poll::Ready(message.take().map_or(Ok(()), |message| self.queue(message)))
    }

    /// The end of what is queued now.
    pub(in super::super) fn mark(&self) -> Mark {
        Mark { bytes: self.connection.sent_bytes(), longs: self.host.longs }
    }

    /// Waits until everything before a mark is written.
    pub(in super::super) fn poll_written(&mut self, waker: &Waker, mark: Mark) -> Poll<Result<(), Error>> {
        let flushed = self.poll_flush(Asker::Sender(waker))?;
        // A message that the end of the connection has cut off was not sent.
        if self.flags.was_cut && self.long.is_none() && mark.longs == self.host.longs {
            return Poll::Ready(Err(SendError::Closed.into()));
        }
        if flushed.is_ready() || self.is_written(mark) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Sends a Close behind everything that is queued.
    pub(in super::super) fn close(&mut self, close: Close) -> Result<(), Error> {
        match &mut self.long {
            Some(long) if self.connection.state() == State::Open => match long.close {
                Some(_) => return Err(SendError::Closed.into()),
                None => {
                    long.close = Some(close);
                    self.connection.note_close_asked();
                }
            },
            Some(_) | None => self.connection.close(close, &mut self.outbox.output)?,
        }
        (self.flags.wakes_senders, self.flags.wakes_receiver) = (true, true);
        // The time for the closing handshake runs from now.
        self.keep_time();
        Ok(())
    }

    /// Sends a Close behind everything that is queued, and waits until it is written: `close` is taken at once.
    pub(in super::super) fn poll_close(&mut self, waker: &Waker, close: &mut Option<Close>) -> Poll<Result<(), Error>> {
        if let Some(close) = close.take() {
            self.close(close)?;
        }
        self.poll_flush(Asker::Sender(waker))
    }

    /// Sends a Close, if none was sent or is about to be, and waits until it is written.
    pub(in super::super) fn poll_close_sink(&mut self, waker: &Waker) -> Poll<Result<(), Error>> {
        let is_closing = self.connection.is_close_sent() || self.long.as_ref().is_some_and(|long| long.close.is_some());
        self.poll_close(waker, &mut (!is_closing).then(Close::normal))
    }

    /// Sends a ping; its number.
    pub(in super::super) fn ping(&mut self) -> Result<u64, Error> {
        self.check()?;
        let number = self.connection.newest_ping();
        // One that is under way will do, so that no number of them fills the output.
        if number != self.connection.answered_ping() && self.connection.state() == State::Open {
            return Ok(number);
        }
        self.connection.ping(&mut self.outbox.output)?;
        let number = self.connection.newest_ping();
        // It goes out between these two: what its round trip is counted from, and what its deadline is.
        self.tell_time();
        self.flush_now()?;
        self.keep_time();
        Ok(number)
    }

    /// Takes the turn for a message that is written in pieces.
    pub(in super::super) fn begin_pieces(&mut self, outgoing: OutgoingKind) -> Result<Coding, Error> {
        self.check_between_messages()?;
        self.flags.has_writer = true;
        Ok(self.connection.coding(outgoing.kind(), None, outgoing.may_be_encoded()))
    }

    /// Queues the next piece of the message that is being written.
    pub(in super::super) fn queue_piece(
        &mut self,
        kind: MessageKind,
        coding: Coding,
        piece: &[u8],
        fin: Fin,
    ) -> Result<(), Error> {
        self.check()?;
        self.connection.send_piece(kind, coding, piece, fin, self.outbox.open())?;
        self.note_level();
        Ok(())
    }

    /// Queues what an extension holds back of the message that is being written.
    pub(in super::super) fn flush_pieces(&mut self) -> Result<(), Error> {
        self.check()?;
        self.connection.flush_message(self.outbox.open())?;
        self.note_level();
        Ok(())
    }

    /// Gives the turn back. A message that was left unfinished cannot be taken back, so the connection ends with it.
    pub(in super::super) fn end_pieces(&mut self) {
        self.flags.has_writer = false;
        self.flags.wakes_senders = true;
        if self.connection.is_sending_message() && self.connection.state() == State::Open {
            let close = Close::explaining(CloseCode::INTERNAL_ERROR, "message abandoned");
            let _ = self.close(close);
            let _ = self.flush_now();
        }
    }

    /// Encodes the next fragment of the long message; returns whether there was one.
    pub(super) fn encode_long(&mut self) -> bool {
        let Some(mut long) = self.long.take() else { return false };
        let fragment_size = self.connection.config().fragment_size.max(1);
        let piece = long.rest.next(fragment_size);
        let fin = if long.len() == 0 { Fin::Last } else { Fin::More };
        if self.encode(long.kind, long.coding, piece, fin).is_err() {
            // The connection is closing: what is left of the message has nowhere to go.
            self.flags.was_cut = true;
            self.flags.wakes_senders = true;
            self.note_level();
            if self.connection.state() == State::Open {
                let close = Close::explaining(CloseCode::INTERNAL_ERROR, "message cannot be encoded");
                let _ = self.connection.close(close, &mut self.outbox.output);
                self.flags.wakes_receiver = true;
            }
            return !self.outbox.is_empty();
        }
        match (fin, long.close.take()) {
            (Fin::More, close) => {
                long.close = close;
                self.long = Some(long);
            }
            (Fin::Last, close) => {
                self.host.long_end = self.connection.sent_bytes();
                if let Some(close) = close {
                    // It could be sent when it was asked for; that it no longer can only means that the peer was first.
                    let _ = self.connection.close(close, &mut self.outbox.output);
                    self.flags.wakes_receiver = true;
                }
            }
        }
        true
    }

    /// Puts a fragment into the output, by reference where the transport can write that.
    fn encode(&mut self, kind: MessageKind, coding: Coding, piece: Rest, fin: Fin) -> Result<(), SendError> {
        let is_client = self.connection.role() == Role::Client;
        match (piece, coding) {
            (Rest::Shared(piece), Coding::AsIs(rsv)) if !is_client && self.is_inserted(piece.len()) => {
                let head = self.connection.shared_fragment_head(kind, rsv, fin, piece.len())?;
                self.outbox.open().extend_from_slice(&head);
                self.outbox.insert(piece);
                Ok(())
            }
            (Rest::Own(mut piece), Coding::AsIs(rsv)) if self.is_inserted(piece.len()) => {
                let head = self.connection.fragment_head(kind, rsv, fin, &mut piece)?;
                self.outbox.open().extend_from_slice(&head);
                self.outbox.insert(piece.freeze());
                Ok(())
            }
            (Rest::Shared(piece), _) => self.connection.send_piece(kind, coding, &piece, fin, self.outbox.open()),
            (Rest::Own(piece), _) => self.connection.send_piece(kind, coding, &piece, fin, self.outbox.open()),
        }
    }

    /// Whether a payload of so many bytes gets a place of its own in a vectored write.
    fn is_inserted(&self, len: usize) -> bool {
        len >= INSERTED && self.is_write_vectored()
    }

    /// Keeps a payload in the way that suits how it is sent.
    fn keep(&self, payload: Bytes) -> Rest {
        if self.connection.role() == Role::Client && self.is_write_vectored() {
            return payload.try_into_mut().map_or_else(Rest::Shared, Rest::Own);
        }
        Rest::Shared(payload)
    }

    /// Whether another message has the turn. Once the connection is not open any more, nobody has it.
    pub(in super::super) fn is_taken(&self) -> bool {
        (self.flags.has_writer || self.long.is_some()) && self.connection.state() == State::Open
    }

    pub(super) fn is_write_vectored(&self) -> bool {
        self.transport.as_ref().is_some_and(T::is_write_vectored)
    }

    /// Whether everything before a mark is written.
    fn is_written(&self, mark: Mark) -> bool {
        let written = self.connection.sent_bytes() - self.outbox.waiting() as u64;
        let done = self.host.longs.wrapping_sub(u32::from(self.long.is_some()));
        match done.wrapping_sub(mark.longs) {
            // The message that was the last long one is the last one still.
            0 => written >= mark.bytes.max(self.host.long_end),
            // A later one began, for which this one had to be written.
            1..=0x7fff_ffff => written >= mark.bytes,
            0x8000_0000.. => false,
        }
    }

    /// §5.4: a new message may begin only where no other is open.
    fn check_between_messages(&self) -> Result<(), SendError> {
        match self.connection.state() {
            _ if self.connection.is_close_sent() => Err(SendError::Closed),
            State::Closed => Err(SendError::Closed),
            State::Open | State::Closing if self.connection.is_sending_message() => Err(SendError::MessageOpen),
            State::Open | State::Closing => Ok(()),
        }
    }
}

/// The shortest payload that is worth a place of its own in a vectored write, in bytes.
pub(super) const INSERTED: usize = 4 * 1024;
