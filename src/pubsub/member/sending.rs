//! What a member sends to its own client, and that it does not wait for that when the connection is to close.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, ready};

use super::{Heed, Member, Progress};
use crate::close::Close;
use crate::driver::{Error, Outgoing, Transport};
use crate::error::SendError;
use crate::pubsub::peer::{Attention, Peer};
use crate::pubsub::told::Told;

impl<T: Transport, S: Send + Sync + 'static> Member<T, S> {
    /// Sends a message to this connection alone, behind all that was published before and is here, and waits until it is written:
    /// see [`WebSocket::send`](crate::driver::WebSocket::send).
    ///
    /// It waits for no event: where [`Event::Gap`](crate::pubsub::Event::Gap) or
    /// [`Event::Skipped`](crate::pubsub::Event::Skipped) is still to be told by [`Self::next`], what follows that, and this message,
    /// go out before. Nor does it wait for what has to come from a backplane: what that numbers and has not brought back, and what
    /// a subscription asks it for.
    ///
    /// # Errors
    ///
    /// As there; and [`SendError::Closed`] if it has to wait for the client and the connection is ordered to close meanwhile, by
    /// [`Peer::close`] or [`SlowConsumer::Close`](crate::pubsub::SlowConsumer::Close). Then closing has begun: go on with
    /// [`Self::next`] until `None` or an error, so that the client is told if it reads again, and the connection ends if it does
    /// not, by [`Config::close_timeout`](crate::Config::close_timeout). The message may have been queued.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.deliver_until_now().await?;
        let Self { socket, place, told, .. } = self;
        let sent = unless_ordered(socket.send(message), &place.peer, told).await;
        self.sent(sent)
    }

    /// Queues a message to this connection alone, behind all that was published before, as [`Self::send`] does: see
    /// [`WebSocket::feed`](crate::driver::WebSocket::feed). It goes out with whatever is awaited next, together with what is
    /// published meanwhile.
    ///
    /// # Errors
    ///
    /// As there and for [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn feed<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.deliver_until_now().await?;
        let Self { socket, place, told, .. } = self;
        let fed = unless_ordered(socket.feed(message), &place.peer, told).await;
        self.sent(fed)
    }

    /// Sends a message to this connection alone before what was published and it has not been sent yet: for what explains
    /// that, such as [`Event::Gap`](crate::pubsub::Event::Gap).
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn send_first<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        let Self { socket, place, told, .. } = self;
        let sent = unless_ordered(socket.send(message), &place.peer, told).await;
        self.sent(sent)
    }

    /// What has become of something that was being sent; where the connection was ordered to close meanwhile, it does.
    fn sent(&mut self, sent: Result<Result<(), Error>, Close>) -> Result<(), Error> {
        sent.unwrap_or_else(|close| {
            self.close_as_ordered(close);
            Err(SendError::Closed.into())
        })
    }

    /// Delivers what was published so far, waiting for the client to take it.
    async fn deliver_until_now(&mut self) -> Result<(), Error> {
        let until = self.place.hub.shared.now();
        poll_fn(|cx| {
            if self.has_left {
                return Poll::Ready(Ok(()));
            }
            match self.deliver(cx, until, Heed::Nothing) {
                Progress::All if self.has_left => Poll::Ready(Err(SendError::Closed.into())),
                Progress::All => Poll::Ready(Ok(())),
                Progress::Stuck | Progress::Yielded => {
                    let close = ready!(poll_ordered(cx, &self.place.peer, &mut self.told));
                    Poll::Ready(self.sent(Err(close)))
                }
            }
        })
        .await
    }
}

/// Waits for a future, but no longer than until others order the connection to close; says how, then.
async fn unless_ordered<R, S>(future: impl Future<Output = R>, peer: &Peer<S>, told: &mut Told) -> Result<R, Close> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => poll_ordered(cx, peer, told).map(Err),
    })
    .await
}

/// Waits until others order the connection to close, and takes note of what else they say meanwhile.
fn poll_ordered<S>(cx: &Context<'_>, peer: &Peer<S>, told: &mut Told) -> Poll<Close> {
    loop {
        if let Some(close) = peer.take_orders().and_then(|orders| told.note(*orders)) {
            return Poll::Ready(close);
        }
        if peer.wait(cx.waker(), true) == Attention::None {
            return Poll::Pending;
        }
    }
}
