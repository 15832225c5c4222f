//! The whole connection, as one task uses it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;

use super::core::{Asker, Core};
use super::gate::Seat;
use super::handle::{Handle, step};
use super::negotiated::Negotiated;
use super::outgoing::Outgoing;
#[cfg(feature = "pubsub")]
use super::outgoing::Share;
use super::reader::MessageReader;
use super::sending::{Feeding, Sending};
use super::split::{Receiver, Sender, split};
use super::transport::Transport;
use super::writer::MessageWriter;
use crate::adapter::{Error, Inbox, Mode};
use crate::close::{Close, CloseCode};
use crate::config::Config;
use crate::connection::{Connection, Counters, EndCause, State};
#[cfg(feature = "deflate")]
use crate::deflate::Agreement;
use crate::extension::{Decoder, Encoder};
use crate::frame::Rsv;
use crate::handshake::Response;
use crate::message::{Chunk, Message, MessageRef};
use crate::outgoing::OutgoingKind;

/// A WebSocket connection on an asynchronous transport.
///
/// [`tokio::WebSocket`](crate::tokio::WebSocket) and [`futures::WebSocket`](crate::futures::WebSocket) are this type on
/// the streams of these worlds. It is a [`Stream`] of messages and a [`Sink`] for them, too.
///
/// Pings are answered, deadlines kept and queued output written while something is awaited, above all a receive: a
/// connection on which nobody receives looks dead to its peer.
#[derive(Debug)]
pub struct WebSocket<T: Transport> {
    core: Core<T>,
    inbox: Inbox,
    negotiated: Option<Box<Negotiated>>,
    /// Whether the stream of messages has ended.
    is_stream_over: bool,
}

impl<T: Transport> WebSocket<T> {
    /// Makes a connection of a stream that somebody else has upgraded, as the server.
    pub fn server(stream: T::Stream, config: impl Into<Arc<Config>>) -> Self {
        Self::resume(stream, Connection::server(config), &[])
    }

    /// Makes a connection of a stream that somebody else has upgraded, as the client.
    pub fn client(stream: T::Stream, config: impl Into<Arc<Config>>) -> Self {
        Self::resume(stream, Connection::client(config), &[])
    }

    /// Makes a connection of a stream that somebody else has upgraded; `leftover` is what was read behind the handshake.
    /// Extensions come afterwards, with [`Self::extend`]: those that `connection` has are not enough.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sockeye::tokio::Error> {
    /// use sockeye::tokio::WebSocket;
    /// use sockeye::{Config, Connection};
    ///
    /// let (stream, _peer) = tokio::io::duplex(1024);
    /// let mut socket = WebSocket::resume(stream, Connection::client(Config::default()), b"\x81\x02hi");
    /// assert_eq!(socket.receive().await?, Some("hi".into()));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "tokio"))]
    /// # fn main() {}
    /// ```
    pub fn resume(stream: T::Stream, connection: Connection, leftover: &[u8]) -> Self {
        let inbox = Inbox::new(connection.assembler(), leftover);
        Self::from_parts(Core::new(T::new(stream), connection, None), inbox, None)
    }

    /// Gives a seat at a server's [`Gate`](super::Gate) to a connection whose opening handshake somebody else made, before it
    /// is used: it counts, and is told to close when the server stops.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sockeye::driver::Gate;
    /// use sockeye::{Config, tokio::WebSocket};
    ///
    /// # let (upgraded, _peer) = tokio::io::duplex(1024);
    /// let gate = Gate::default();
    /// let seat = gate.admit(None)?;   // before the handshake
    /// let socket = WebSocket::server(upgraded, Config::default()).with_seat(seat);
    /// assert_eq!((gate.connections(), gate.handshakes()), (1, 0));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "tokio"))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn with_seat(mut self, seat: Seat) -> Self {
        seat.open();
        self.core.set_seat(seat);
        self
    }

    pub(super) fn from_parts(core: Core<T>, inbox: Inbox, negotiated: Option<Box<Negotiated>>) -> Self {
        Self { core, inbox, negotiated, is_stream_over: false }
    }

    /// Receives the next message; `None` after a clean close.
    ///
    /// A binary message of 32 to 64 KiB that came at once is given away with the read buffer of 64 KiB that it lies in, and not
    /// copied; the buffer goes back to the thread where the message is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the protocol or a limit, [`Error::Timeout`] when a deadline ended the
    /// connection, [`Error::Lost`] when it ended without a closing handshake, [`Error::Io`] when the stream failed. The
    /// connection stays ended and says the same again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future: what has arrived of a message is kept.
    pub async fn receive(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Receives the next message and lends it, without a copy if it was read as a whole; `None` after a clean close.
    ///
    /// The buffer that it is lent from goes back to its thread with the next receive, or with [`Self::receive`] at once: a
    /// connection that waits for something else meanwhile holds it.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::receive`].
    pub async fn receive_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        let Self { core, inbox, .. } = self;
        let lent = if core.has_message(inbox) {
            core.lend_whole(inbox)
        } else {
            match poll_fn(|cx| step(core, |core| core.poll_receive(inbox, Mode::Messages, cx))).await? {
                Some(ready) => core.lend(inbox, ready),
                None => return Ok(None),
            }
        };
        match lent {
            Some(message) => Ok(Some(message)),
            None => Self::down(core).await.map(|()| None),
        }
    }

    /// Receives the next piece of a message, as it arrived, and lends it; `None` after a clean close.
    ///
    /// The message may be of any size: [`Config::max_frame_size`] and [`Config::max_fragments`] hold, and
    /// [`Config::max_message_size`] does not. Receive a message to its end (until [`Chunk::is_last`]) in the way that you
    /// began it: [`Self::receive`] in the middle of one skips the rest of it.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::receive`].
    pub async fn receive_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        let Self { core, inbox, .. } = self;
        if poll_fn(|cx| step(core, |core| core.poll_receive(inbox, Mode::Chunks, cx))).await?.is_none() {
            return Ok(None);
        }
        match core.lend_chunk(inbox) {
            Some(chunk) => Ok(Some(chunk)),
            None => Self::down(core).await.map(|()| None),
        }
    }

    /// Receives the beginning of the next message and gives a reader for all of it, in memory that does not grow with
    /// its size; `None` after a clean close.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use sockeye::{Config, Connection, tokio::WebSocket};
    /// # let (stream, _peer) = tokio::io::duplex(1024);
    /// # let mut socket = WebSocket::resume(stream, Connection::client(Config::default()), b"\x02\x02ab\x80\x01c");
    /// use tokio::io::AsyncReadExt;
    ///
    /// if let Some(mut reader) = socket.receive_reader().await? {
    ///     let mut file = Vec::new();   // or any `AsyncWrite`, with `tokio::io::copy`
    ///     reader.read_to_end(&mut file).await?;
    ///     assert_eq!(file, b"abc");
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "tokio"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::receive`]. The reader can be dropped: what is left of its message is skipped.
    pub async fn receive_reader(&mut self) -> Result<Option<MessageReader<'_, T>>, Error> {
        MessageReader::begin(Handle::Direct(&mut self.core), &mut self.inbox).await
    }

    /// Sends a message and waits until it is written, with all that was queued before. Nothing is received meanwhile.
    ///
    /// A message longer than [`Config::fragment_size`] goes out in fragments, so that pongs get in between.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if it cannot be sent; [`Error::Io`] if the stream failed; [`Error::Timeout`] if the peer took
    /// nothing for too long.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the message was queued as a whole or not at all; what is queued goes out with
    /// whatever is awaited next. To know which, use [`Self::feed`] and [`Self::flush`].
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> impl Future<Output = Result<(), Error>> {
        Sending::new(Handle::Direct(&mut self.core), message.into())
    }

    /// Queues a message once less than [`Config::high_water_mark`] is queued. It is written by the next flush or send,
    /// or before a receive waits.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is ready, the message was not queued.
    pub fn feed<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> impl Future<Output = Result<(), Error>> {
        Feeding::new(Handle::Direct(&mut self.core), message.into())
    }

    /// Writes everything that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Timeout`], as for [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost or written twice by dropping the future.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.step(|core| core.poll_flush_queued(cx.waker()))).await
    }

    /// Queues a message, and writes what can be written, without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] if there is no room: the message was not queued. Otherwise as [`Self::send`].
    pub fn try_send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.step(|core| core.try_queue(message))
    }

    /// Begins a message that is written in pieces, of a length that need not be known: see [`MessageWriter`].
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// Nothing has begun when the future is dropped.
    pub async fn writer(&mut self, kind: impl Into<OutgoingKind>) -> Result<MessageWriter<'_, T>, Error> {
        MessageWriter::begin(Handle::Direct(&mut self.core), kind.into()).await
    }

    /// Sends a ping and waits until it is written; [`Self::round_trip`] tells how long its pong took, once a receive has
    /// seen it. After [`Self::split`], [`Sender::ping`] waits for it.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// The ping is sent even if the future is dropped, once it was polled.
    pub async fn ping(&mut self) -> Result<(), Error> {
        let mut number = None;
        poll_fn(|cx| {
            self.step(|core| {
                if number.is_none() {
                    number = Some(core.ping()?);
                }
                core.poll_flush(Asker::Sender(cx.waker()))
            })
        })
        .await
    }

    /// Begins the closing handshake, behind everything that is queued, and writes it. Go on receiving until `None`: then
    /// the peer has closed, too. [`Config::close_timeout`] runs from now, whatever is queued: to wait for that, [flush](Self::flush)
    /// before.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`](crate::SendError::Closed) if we have closed before; otherwise as [`Self::send`].
    ///
    /// # Cancel safety
    ///
    /// The closing handshake has begun even if the future is dropped, once it was polled.
    pub async fn close(&mut self, close: Close) -> Result<(), Error> {
        let mut close = Some(close);
        poll_fn(|cx| self.step(|core| core.poll_close(cx.waker(), &mut close))).await
    }

    /// Lets an extension that the opening handshake agreed on encode and decode messages (RFC 6455 §9), before any is sent
    /// or received: see [`Encoder`].
    ///
    /// An acceptor or connector that negotiates permessage-deflate has done it already. For a stream that somebody else has
    /// upgraded, `deflate::Agreement` makes both.
    pub fn extend(&mut self, rsv: Rsv, encoder: Box<dyn Encoder>, decoder: Box<dyn Decoder>) {
        self.core.connection.extend(rsv, encoder);
        self.inbox.extend(decoder);
    }

    /// Splits the connection into halves for different tasks. The sending half can be cloned.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # async fn run(stream: tokio::net::TcpStream) -> Result<(), sockeye::tokio::Error> {
    /// let (mut receiver, sender) = sockeye::tokio::accept(stream).await?.split();
    /// tokio::spawn(async move { sender.send("from another task").await });
    /// while let Some(message) = receiver.receive().await? {
    ///     println!("{message:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(self) -> (Receiver<T>, Sender<T>) {
        split(self.core, self.inbox, self.negotiated)
    }

    /// Gives the stream back. What was read and not received, or queued and not written, is lost.
    pub fn into_inner(self) -> T::Stream {
        match self.core.into_transport() {
            Some(transport) => transport.into_stream(),
            None => unreachable!("{WHOLE}"),
        }
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &T::Stream {
        match self.core.transport() {
            Some(transport) => transport.stream(),
            None => unreachable!("{WHOLE}"),
        }
    }

    /// Returns the server's answer in the opening handshake, with its header fields; `None` on a server, and where
    /// somebody else did the handshake.
    #[must_use]
    pub fn response(&self) -> Option<&Response> {
        self.negotiated.as_ref()?.response.as_deref()
    }

    /// Returns what the opening handshake agreed on about compression (RFC 7692 §7.1); `None` where messages are not
    /// compressed, and where somebody else did the handshake.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&Agreement> {
        self.negotiated.as_ref()?.deflate()
    }

    /// Returns the subprotocol that the opening handshake agreed on, if this connection made it.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.negotiated.as_ref()?.subprotocol.as_deref()
    }

    /// Returns where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.core.connection.state()
    }

    /// Returns the close code of the connection once it is closed (RFC 6455 §7.1.5): that of the peer's Close, or 1006 if
    /// none came, as when it was we who failed the connection; then see [`Self::end_cause`].
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.core.connection.close_code()
    }

    /// Returns the Close that the peer sent.
    #[must_use]
    pub fn peer_close(&self) -> Option<&Close> {
        self.core.connection.peer_close()
    }

    /// Returns what ended the connection, or is ending it.
    #[must_use]
    pub fn end_cause(&self) -> Option<&EndCause> {
        self.core.connection.end_cause()
    }

    /// Returns how many bytes are queued and not written yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.core.queued()
    }

    /// Returns the round-trip time of the last ping that was answered.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.core.connection.round_trip()
    }

    /// Returns what was received so far.
    #[must_use]
    pub fn received(&self) -> Counters {
        self.core.connection.received()
    }

    /// Returns what was sent so far.
    #[must_use]
    pub fn sent(&self) -> Counters {
        self.core.connection.sent()
    }

    /// Writes messages that many connections share, as many as the transport takes, and says how many: what is told of is
    /// written or queued, and nothing of the others is. When none is, it waits, as who receives does.
    #[cfg(feature = "pubsub")]
    pub(crate) fn poll_share<M: Share>(&mut self, cx: &Context<'_>, messages: &[M]) -> Poll<Result<usize, Error>> {
        self.step(|core| core.poll_share(cx.waker(), messages))
    }

    /// Receives the next message; `None` after a clean close.
    #[cfg(feature = "pubsub")]
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.poll_message(cx)
    }

    /// Begins the closing handshake, behind everything that is queued; what is received next writes it.
    #[cfg(feature = "pubsub")]
    pub(crate) fn start_close(&mut self, close: Close) -> Result<(), Error> {
        self.step(|core| core.close(close))
    }

    fn step<R>(&mut self, f: impl FnOnce(&mut Core<T>) -> R) -> R {
        step(&mut self.core, f)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let Self { core, inbox, .. } = self;
        if core.has_short_message(inbox) {
            return match core.take_whole(inbox) {
                Some(message) => Poll::Ready(Ok(Some(message))),
                None => step(core, |core| core.poll_down(cx)).map_ok(|()| None),
            };
        }
        step(core, |core| core.poll_message(inbox, cx))
    }

    /// Takes the connection down after something that was about to be lent turned out to be wrong.
    async fn down(core: &mut Core<T>) -> Result<(), Error> {
        poll_fn(|cx| step(core, |core| core.poll_down(cx))).await
    }
}

impl<T: Transport> Stream for WebSocket<T> {
    type Item = Result<Message, Error>;

    /// As [`WebSocket::receive`]; ends after a clean close, and after an error.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_stream_over {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_message(cx)).transpose();
        self.is_stream_over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<T: Transport> Sink<Message> for WebSocket<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.step(|core| core.poll_room(cx.waker()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.step(|core| core.queue(message.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.step(|core| core.poll_flush_queued(cx.waker()))
    }

    /// Sends a Close (1000), unless one was sent, and writes it. The stream of messages ends when the peer has closed, too.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.step(|core| core.poll_close_sink(cx.waker()))
    }
}

/// Why there is a transport.
const WHOLE: &str = "only a connection that is split lets its transport go";
