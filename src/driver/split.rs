//! A connection in two halves, for different tasks (or more: the sending half can be cloned).
//!
//! Both share the core. Whichever task is polled writes what is queued, by whomever, so a pong or a Close that receiving
//! owes goes out at the next frame boundary whether or not anybody sends; and a message is queued in one step, or holds
//! the turn until its last piece is, so that those of several senders never mix.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;

use super::core::Core;
use super::handle::{Handle, Look, Shared};
use super::negotiated::Negotiated;
use super::outgoing::Outgoing;
use super::reader::MessageReader;
use super::sending::{Feeding, Sending};
use super::socket::WebSocket;
use super::transport::Transport;
use super::writer::MessageWriter;
use crate::adapter::{Error, Inbox, Mode};
use crate::close::{Close, CloseCode};
use crate::connection::{Counters, EndCause, State};
#[cfg(feature = "deflate")]
use crate::deflate::Agreement;
use crate::message::{Chunk, Message, MessageRef};
use crate::outgoing::OutgoingKind;

/// The receiving half of a split connection. It is a [`Stream`] of messages, too.
///
/// It keeps the connection alive: pings are answered, deadlines kept and what has no room yet is written while it
/// receives, so receive on it for as long as the connection is used. When a receive has told that the connection is over, its
/// stream is closed, even if senders are kept.
///
/// Dropping it ends the connection: a Close (1001) goes out behind what is queued, nobody waits for the peer's, and
/// sends fail from then on.
///
/// ```
/// use sockeye::tokio::WebSocket;
///
/// /// Receives in this task, and sends in another.
/// async fn run<S>(socket: WebSocket<S>) -> Result<(), sockeye::Error>
/// where
///     S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
/// {
///     let (mut receiver, sender) = socket.split();
///     let sending = tokio::spawn(async move { sender.send("hello").await });
///     while let Some(message) = receiver.receive().await? {
///         println!("{message:?}");
///     }
///     sending.await.expect("it does not panic")
/// }
/// ```
#[derive(Debug)]
pub struct Receiver<T: Transport> {
    shared: Arc<Shared<T>>,
    inbox: Inbox,
    is_stream_over: bool,
    /// Whether it is not this half any more that receives.
    is_given_up: bool,
}

/// The sending half of a split connection. Clones send on the same connection, each message in one piece. Dropping them
/// changes nothing.
///
/// It is a [`Sink`] for messages, too, whose closing, which `forward` does at its end, closes the connection for all.
#[derive(Debug)]
pub struct Sender<T: Transport> {
    shared: Arc<Shared<T>>,
    /// What the sink was given while another message had the turn.
    held: Option<Message>,
}

impl<T: Transport> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), held: None }
    }
}

/// Makes two halves of a connection.
pub(super) fn split<T: Transport>(
    mut core: Core<T>,
    inbox: Inbox,
    negotiated: Option<Box<Negotiated>>,
) -> (Receiver<T>, Sender<T>) {
    core.set_split(true);
    let shared = Shared::new(core, negotiated);
    (
        Receiver { shared: shared.clone(), inbox, is_stream_over: false, is_given_up: false },
        Sender { shared, held: None },
    )
}

impl<T: Transport> Receiver<T> {
    /// Receives the next message; `None` after a clean close.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::receive`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future: what has arrived of a message is kept.
    pub async fn receive(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Receives the next message and lends it: see [`WebSocket::receive_ref`].
    ///
    /// # Errors
    ///
    /// As [`WebSocket::receive`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::receive`].
    pub async fn receive_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        let Self { shared, inbox, .. } = self;
        let lent = match shared.lend_whole(inbox) {
            Look::Lent(lent) => lent,
            Look::NotThere(inbox) => {
                let received = poll_fn(|cx| shared.with(|core| core.poll_receive(inbox, Mode::Messages, cx)));
                let Some(ready) = received.await? else { return Ok(None) };
                shared.with(|core| core.lend(inbox, ready))
            }
        };
        match lent {
            Some(message) => Ok(Some(message)),
            None => Self::down(shared).await.map(|()| None),
        }
    }

    /// Receives the next chunk and lends it: see [`WebSocket::receive_chunk`].
    ///
    /// # Errors
    ///
    /// As [`WebSocket::receive`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::receive`].
    pub async fn receive_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        let Self { shared, inbox, .. } = self;
        let received = poll_fn(|cx| shared.with(|core| core.poll_receive(inbox, Mode::Chunks, cx)));
        if received.await?.is_none() {
            return Ok(None);
        }
        match shared.with(|core| core.lend_chunk(inbox)) {
            Some(chunk) => Ok(Some(chunk)),
            None => Self::down(shared).await.map(|()| None),
        }
    }

    /// Receives the beginning of the next message and gives a reader for all of it: see [`WebSocket::receive_reader`].
    ///
    /// # Errors
    ///
    /// As [`WebSocket::receive`].
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::receive_reader`].
    pub async fn receive_reader(&mut self) -> Result<Option<MessageReader<'_, T>>, Error> {
        MessageReader::begin(Handle::Shared(&self.shared), &mut self.inbox).await
    }

    /// Returns a sending half of the same connection, which also tells where that stands.
    #[must_use]
    pub fn sender(&self) -> Sender<T> {
        Sender { shared: self.shared.clone(), held: None }
    }

    /// Puts the two halves together again.
    ///
    /// # Errors
    ///
    /// The halves as they were, if they are not of one connection, if there is another sender, or if the connection is over.
    pub fn reunite(mut self, sender: Sender<T>) -> Result<WebSocket<T>, (Self, Sender<T>)> {
        let is_over = self.shared.with(|core| core.transport().is_none());
        if is_over || !Arc::ptr_eq(&self.shared, &sender.shared) || sender.held.is_some() {
            return Err((self, sender));
        }
        let (inbox, is_stream_over) = (self.inbox.take_all(), self.is_stream_over);
        self.is_given_up = true;
        drop(self);
        match Arc::try_unwrap(sender.shared) {
            Ok(shared) => {
                let (mut core, negotiated) = shared.into_parts();
                core.set_split(false);
                Ok(WebSocket::from_parts(core, inbox, negotiated))
            }
            Err(shared) => {
                let receiver = Self { shared: shared.clone(), inbox, is_stream_over, is_given_up: false };
                Err((receiver, Sender { shared, held: None }))
            }
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let Self { shared, inbox, .. } = self;
        let mut core = shared.lock();
        if !core.has_short_message(inbox) {
            drop(core);
            return shared.with(|core| core.poll_message(inbox, cx));
        }
        let taken = core.take_whole(inbox);
        drop(core);
        match taken {
            Some(message) => Poll::Ready(Ok(Some(message))),
            None => shared.with(|core| core.poll_down(cx)).map_ok(|()| None),
        }
    }

    /// Takes the connection down after something that was about to be lent turned out to be wrong.
    async fn down(shared: &Shared<T>) -> Result<(), Error> {
        poll_fn(|cx| shared.with(|core| core.poll_down(cx))).await
    }
}

impl<T: Transport> Drop for Receiver<T> {
    fn drop(&mut self) {
        if !self.is_given_up {
            self.shared.with(Core::end_receiving);
        }
    }
}

impl<T: Transport> Sender<T> {
    /// Sends a message and waits until it is written, with all that was queued before: see [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the message was queued as a whole or not at all; what is queued goes out with
    /// whatever is awaited next, on either half. To know which, use [`Self::feed`] and [`Self::flush`].
    pub fn send<'m>(&self, message: impl Into<Outgoing<'m>>) -> impl Future<Output = Result<(), Error>> {
        Sending::new(Handle::Shared(&self.shared), message.into())
    }

    /// Queues a message once there is room: see [`WebSocket::feed`]. Where the receiving half waits already, it is written by the
    /// next flush or send.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is ready, the message was not queued.
    pub fn feed<'m>(&self, message: impl Into<Outgoing<'m>>) -> impl Future<Output = Result<(), Error>> {
        Feeding::new(Handle::Shared(&self.shared), message.into())
    }

    /// Writes what is queued now.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::flush`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost or written twice by dropping the future.
    pub async fn flush(&self) -> Result<(), Error> {
        let mut mark = None;
        poll_fn(|cx| {
            self.shared.with(|core| {
                let mark = *mark.get_or_insert_with(|| core.mark());
                ready!(core.poll_written(cx.waker(), mark))?;
                core.keep_time_flushed(cx.waker());
                Poll::Ready(Ok(()))
            })
        })
        .await
    }

    /// Queues a message, and writes what can be written, without waiting: see [`WebSocket::try_send`].
    ///
    /// # Errors
    ///
    /// [`Error::Full`] if there is no room, or another message is being sent, which may be a long one: this one was not queued.
    /// A peer is slow if that stays so. Otherwise as [`Self::send`].
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.shared.with(|core| core.try_queue(message))
    }

    /// Begins a message that is written in pieces: see [`MessageWriter`]. Messages of other senders wait until it ends.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// Nothing has begun when the future is dropped.
    pub async fn writer(&self, kind: impl Into<OutgoingKind>) -> Result<MessageWriter<'_, T>, Error> {
        MessageWriter::begin(Handle::Shared(&self.shared), kind.into()).await
    }

    /// Sends a ping, also in the middle of a message; the future resolves to its round-trip time, once the receiving half,
    /// on which somebody has to receive meanwhile, has seen the pong. If a ping is under way, its pong counts.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # async fn run(stream: tokio::net::TcpStream) -> Result<(), sockeye::tokio::Error> {
    /// let (mut receiver, sender) = sockeye::tokio::accept(stream).await?.split();
    /// let receiving = tokio::spawn(async move { while let Ok(Some(_)) = receiver.receive().await {} });
    /// println!("{:?}", sender.ping().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::send`], and [`Error::Lost`] if the connection ends, or the receiving half is dropped, before the pong.
    ///
    /// # Cancel safety
    ///
    /// The ping is sent even if the future is dropped, once it was polled.
    pub fn ping(&self) -> impl Future<Output = Result<Duration, Error>> + use<T> {
        let shared = self.shared.clone();
        let mut number = None;
        poll_fn(move |cx| {
            shared.with(|core| {
                let number = match number {
                    Some(number) => number,
                    None => *number.insert(core.ping()?),
                };
                core.poll_pong(cx.waker(), number)
            })
        })
    }

    /// Begins the closing handshake, behind everything that is queued, and writes it. A message that is being written in
    /// pieces is cut off. See [`WebSocket::close`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn close(&self, close: Close) -> Result<(), Error> {
        let mut close = Some(close);
        poll_fn(|cx| self.shared.with(|core| core.poll_close(cx.waker(), &mut close))).await
    }

    /// Ends the connection at once, without a closing handshake: for a peer that takes too long. What is queued is lost,
    /// and the receiving half gets [`Error::Io`] with [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted).
    pub fn abort(&self) {
        self.shared.with(Core::abort);
    }

    /// Waits until the connection is closed, whose receiving half learns how, or until that half is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) {
        poll_fn(|cx| self.shared.with(|core| core.poll_closed(cx.waker()))).await;
    }

    /// Returns where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.with(|core| core.connection.state())
    }

    /// Returns the close code of the connection once it is closed (RFC 6455 §7.1.5).
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.shared.with(|core| core.connection.close_code())
    }

    /// Returns the Close that the peer sent.
    #[must_use]
    pub fn peer_close(&self) -> Option<Close> {
        self.shared.with(|core| core.connection.peer_close().cloned())
    }

    /// Returns what ended the connection, or is ending it.
    #[must_use]
    pub fn end_cause(&self) -> Option<EndCause> {
        self.shared.with(|core| core.connection.end_cause().cloned())
    }

    /// Returns what the opening handshake agreed on about compression (RFC 7692 §7.1); `None` where messages are not
    /// compressed, and where somebody else did the handshake.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&Agreement> {
        self.shared.negotiated.as_ref()?.deflate()
    }

    /// Returns the subprotocol that the opening handshake agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.negotiated.as_ref()?.subprotocol.as_deref()
    }

    /// Returns how many bytes are queued and not written yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.with(|core| core.queued())
    }

    /// Returns the round-trip time of the last ping that was answered.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared.with(|core| core.connection.round_trip())
    }

    /// Returns what was received so far.
    #[must_use]
    pub fn received(&self) -> Counters {
        self.shared.with(|core| core.connection.received())
    }

    /// Returns what was sent so far.
    #[must_use]
    pub fn sent(&self) -> Counters {
        self.shared.with(|core| core.connection.sent())
    }

    /// Queues what the sink was given while another message had the turn.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.held.is_some() {
            ready!(self.shared.with(|core| core.poll_room(cx.waker())))?;
        }
        Poll::Ready(match self.held.take() {
            Some(message) => self.start(message),
            None => Ok(()),
        })
    }

    /// Queues a message, or holds it if another one has the turn.
    fn start(&mut self, message: Message) -> Result<(), Error> {
        let Self { shared, held } = self;
        shared.with(|core| match core.is_taken() {
            true => {
                *held = Some(message);
                Ok(())
            }
            false => core.queue(message.into()),
        })
    }
}

impl<T: Transport> Stream for Receiver<T> {
    type Item = Result<Message, Error>;

    /// As [`Receiver::receive`]; ends after a clean close, and after an error.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_stream_over {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_message(cx)).transpose();
        self.is_stream_over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<T: Transport> Sink<Message> for Sender<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_held(cx))?;
        self.shared.with(|core| core.poll_room(cx.waker()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.start(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_held(cx))?;
        self.shared.with(|core| core.poll_flush_queued(cx.waker()))
    }

    /// Sends a Close (1000), unless one was sent, and writes it.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_held(cx))?;
        self.shared.with(|core| core.poll_close_sink(cx.waker()))
    }
}
