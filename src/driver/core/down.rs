//! Taking a connection down in the right order (RFC 6455 §7.1.1, §7.1.7).

use core::task::{Context, Poll};

use super::super::pool;
use super::super::transport::Transport;
use super::{Asker, Core, Heed};
use crate::adapter::{Error, ending};
use crate::connection::Teardown;

impl<T: Transport> Core<T> {
    /// Takes the connection down to its end, and says how it ended; after a clean close, that is `Ok`.
    ///
    /// Ever after, it says the same.
    pub(in super::super) fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        for _ in 0..DISCARDS {
            if self.transport.is_none() {
                return Poll::Ready(ending(&mut self.connection, self.failure, self.expired));
            }
            self.tell_time();
            let teardown = self.connection.teardown();
            let is_output_done = self.poll_end_output(teardown, cx).is_ready();
            // How long the peer may still take; where that is not limited, one that does not close first is not waited for.
            let is_timed = self.connection.poll_timeout().is_some();
            let is_unlimited = self.connection.config().close_timeout.is_none() && !self.connection.is_overdue();
            let may_wait_to_write = is_timed || (is_unlimited && !self.connection.is_transport_ended());
            if !is_output_done && may_wait_to_write {
                // The peer may want to write before it reads.
            } else if teardown == Teardown::Close || !is_timed {
                let ended = ending(&mut self.connection, self.failure, self.expired);
                self.flags.wakes_senders = true;
                if self.flags.is_split {
                    self.let_go();
                } else if let Some(seat) = self.host.seat.take() {
                    self.spent.get_or_insert_default().seat = Some(seat);
                }
                return Poll::Ready(ended);
            }
            match self.poll_discard(teardown, cx) {
                Poll::Ready(()) => {}
                Poll::Pending => {
                    self.register(Asker::Receiver(cx.waker()));
                    // Again, for what was said before that woke nobody.
                    if !self.obey(Heed::Abort) && !self.arm() {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is left and ends our direction. A transport that is broken no longer matters.
    fn poll_end_output(&mut self, teardown: Teardown, cx: &Context<'_>) -> Poll<()> {
        let asker = Asker::Receiver(cx.waker());
        if self.poll_flush(asker).is_pending() {
            return Poll::Pending;
        }
        // §7.1.1: the server closes first; and who lets the peer see the end of the input need not wait to be dropped.
        if teardown != Teardown::AwaitPeer && !self.flags.has_shut_down {
            match self.poll_output(asker, |transport, _, cx| transport.poll_shutdown(cx)) {
                Poll::Pending => return Poll::Pending,
                // A stream that is gone need not be shut down.
                Poll::Ready(Ok(()) | Err(_)) => self.flags.has_shut_down = true,
            }
        }
        Poll::Ready(())
    }

    /// Closes the stream, gives the seat back, and drops what can be written no more.
    pub(super) fn let_go(&mut self) {
        // Who waits for it must not take it for written.
        self.flags.is_cut_off |= self.queued() > 0 || self.flags.is_unflushed;
        let spent = self.spent.get_or_insert_default();
        if let Some(transport) = self.transport.take() {
            spent.transport = Some(transport);
        }
        if let Some(seat) = self.host.seat.take() {
            spent.seat = Some(seat);
        }
        self.connection.receive_eof();
        self.outbox.clear();
        self.long = None;
        self.flags.is_unflushed = false;
    }

    /// Reads what nobody will receive.
    fn poll_discard(&mut self, teardown: Teardown, cx: &mut Context<'_>) -> Poll<()> {
        // Once the input has ended, only our own output is waited for.
        if teardown == Teardown::Close && self.connection.is_transport_ended() {
            return Poll::Pending;
        }
        let Some(transport) = &mut self.transport else { return Poll::Pending };
        let mut buffer = pool::take_to_read();
        let read = transport.poll_read(cx, &mut buffer);
        pool::give_back_read(buffer);
        self.note_read(read).map(|_| ())
    }
}

/// Reads in one poll before others get their turn.
const DISCARDS: usize = 32;
