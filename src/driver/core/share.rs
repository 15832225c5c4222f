//! Writing what many connections share: many messages in one vectored write, from where they lie, or from where they were joined
//! for all connections of the thread.
//!
//! What the transport does not take stays with the caller, but for the one message that it broke off in. So a peer that does
//! not read holds one message here, and what else waits for it can still be left out.

use core::task::{Context, Poll, Waker};
use std::io::{ErrorKind, IoSlice};

use bytes::Bytes;

use super::super::outgoing::{Outgoing, Share};
use super::super::transport::Transport;
use super::{Asker, Core, INSERTED, joined};
use crate::adapter::Error;
use crate::error::SendError;
use crate::frame::FrameHead;

impl<T: Transport> Core<T> {
    /// Writes the first of these messages, as many as can be, and says how many those are; waits if there is none. Who asks
    /// is who receives.
    pub(in super::super) fn poll_share<M: Share>(
        &mut self,
        waker: &Waker,
        messages: &[M],
    ) -> Poll<Result<usize, Error>> {
        self.keep_time_if_due();
        self.check()?;
        if self.connection.is_close_sent() {
            return Poll::Ready(Err(SendError::Closed.into()));
        }
        let asker = Asker::Receiver(waker);
        if self.is_taken() && self.poll_flush(asker)?.is_pending() && self.is_taken() {
            return Poll::Pending;
        }
        let taken = match self.write_shares(messages)? {
            // The transport takes nothing: the first waits here, so that its time runs.
            Some(0) if self.outbox.is_empty() => self.queue_shares(messages.get(..1).unwrap_or_default())?,
            Some(taken) => taken,
            None => {
                if self.flags.is_full {
                    let _ = self.poll_flush(asker)?;
                }
                if self.flags.is_full { 0 } else { self.queue_shares(messages)? }
            }
        };
        let is_flushed = self.poll_flush(asker)?.is_ready();
        if taken == 0 && !is_flushed && !messages.is_empty() { Poll::Pending } else { Poll::Ready(Ok(taken)) }
    }

    /// Writes what is queued and the first of these messages, in one go; how many were begun. `None` if the first makes a
    /// frame of its own on this connection.
    fn write_shares<M: Share>(&mut self, messages: &[M]) -> Result<Option<usize>, Error> {
        if !self.is_write_vectored() {
            return Ok(None);
        }
        // Most writes are of few pieces, and what is not used need not be set to nothing.
        match (messages.len(), self.outbox.is_empty()) {
            (0..=4, true) => self.write_shares_of::<M, 4, 8>(messages),
            _ => self.write_shares_of::<M, SHARES, { 2 * SHARES }>(messages),
        }
    }

    fn write_shares_of<M: Share, const MOST: usize, const PIECES: usize>(
        &mut self,
        messages: &[M],
    ) -> Result<Option<usize>, Error> {
        let longest = self.connection.config().fragment_size;
        let mut parts: [Option<(&FrameHead, &Bytes)>; MOST] = [None; MOST];
        let mut count = 0;
        for (slot, message) in parts.iter_mut().zip(messages) {
            if message.prepared().payload().len() > longest {
                break;
            }
            *slot = self.connection.shared_parts(message.prepared(), message.may_be_encoded())?;
            if slot.is_none() {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let parts = parts.iter().flatten();
        let Some(transport) = &mut self.transport else { return Ok(Some(0)) };
        let cx = &mut Context::from_waker(Waker::noop());
        let waiting = self.outbox.waiting();
        let joined = if waiting == 0 {
            let numbered = messages.iter().zip(parts.clone());
            let numbered = numbered.map(|(message, (head, payload))| (message.number(), *head, *payload));
            joined::with(numbered, |bytes| T::poll_uncounted(cx, |cx| transport.poll_write(cx, bytes)))
        } else {
            None
        };
        let (written, offered) = joined.map(|written| (written, count)).unwrap_or_else(|| {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let before = self.outbox.pieces(&mut pieces);
            // Half of a frame may stand at the end of what is queued only if all of it is written before.
            let is_whole = pieces[..before].iter().map(|piece| piece.len()).sum::<usize>() == waiting;
            let mut filled = before;
            if is_whole {
                for ((head, payload), slots) in parts.clone().zip(pieces[before..].chunks_exact_mut(2)) {
                    (slots[0], slots[1]) = (IoSlice::new(head), IoSlice::new(payload));
                    filled += 2;
                }
            }
            let written = T::poll_uncounted(cx, |cx| transport.poll_write_vectored(cx, &pieces[..filled]));
            (written, (filled - before) / 2)
        });
        let mut written = match written {
            Poll::Ready(Ok(0)) => {
                self.fail(ErrorKind::WriteZero);
                0
            }
            Poll::Ready(Ok(len)) => {
                self.flags.is_unflushed = true;
                len
            }
            Poll::Ready(Err(error)) => {
                self.fail_unless_interrupted(&error);
                0
            }
            Poll::Pending => 0,
        };
        self.check()?;
        if written > 0 {
            let of_queue = written.min(waiting);
            self.outbox.advance(of_queue);
            written -= of_queue;
            self.note_progress();
        }
        let mut begun = 0;
        for ((head, payload), message) in parts.zip(messages).take(offered) {
            if written == 0 {
                break;
            }
            self.connection.count_shared(message.prepared(), head, payload);
            begun += 1;
            let of_head = written.min(head.len());
            // No more than there was, whatever the transport says.
            let of_payload = (written - of_head).min(payload.len());
            written -= of_head + of_payload;
            self.queue_rest(&head[of_head..], payload, of_payload);
        }
        self.note_level();
        Ok(Some(begun))
    }

    /// Queues what was not written of a message.
    fn queue_rest(&mut self, head: &[u8], payload: &Bytes, written: usize) {
        if !head.is_empty() {
            self.outbox.open().extend_from_slice(head);
        }
        match payload.len() - written {
            0 => {}
            INSERTED.. => self.outbox.insert(payload.slice(written..)),
            _ => self.outbox.open().extend_from_slice(&payload[written..]),
        }
    }

    /// Queues the first of these messages as this connection sends them, until there is no room; how many those are.
    fn queue_shares<M: Share>(&mut self, messages: &[M]) -> Result<usize, Error> {
        let mut queued = 0;
        for message in messages {
            if queued > 0 && (self.flags.is_full || self.is_taken()) {
                break;
            }
            let outgoing = Outgoing::shared(message);
            self.queue(outgoing)?;
            queued += 1;
        }
        Ok(queued)
    }
}

/// The most messages of one write.
const SHARES: usize = 64;
