//! The server's opening handshake on a transport.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::net::IpAddr;
use core::task::{Context, Poll, ready};

use super::core::Core;
use super::gate::{Gate, Refusing, Seat, unavailable};
use super::negotiated::Negotiated;
use super::socket::WebSocket;
use super::transport::{Runtime, Transport};
use super::wire::Wire;
use crate::adapter::{Error, Inbox, assembler, defaults};
use crate::config::Config;
use crate::connection::Connection;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::{Acceptance, Rejection, Request, Response, ServerConfig, ServerHandshake};

/// Accepts connections as a server; use that of your runtime: [`tokio::Acceptor`](crate::tokio::Acceptor),
/// [`futures::Acceptor`](crate::futures::Acceptor).
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # async fn run(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::handshake::Rejection;
/// use sockeye::tokio::Acceptor;
///
/// let acceptor = Acceptor::default();
/// let socket = acceptor.accept_with(stream, |acceptance, _stream| match acceptance.request().path() {
///     "/chat" => Ok(acceptance.select_subprotocol(&["chat.v2"]).header("Server", "sockeye")?.respond()),
///     _ => Err(Rejection::new(404)?),
/// }).await?;
/// assert_eq!(socket.subprotocol(), Some("chat.v2"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Acceptor<R> {
    /// Limits and deadlines of the connections.
    pub config: Arc<Config>,
    /// Limits, timeout and origins of the opening handshake, and compression.
    pub handshake: Arc<ServerConfig>,
    /// Who may come in, and how the server is stopped. Default `None`: everybody may.
    pub gate: Option<Gate>,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Default for Acceptor<R> {
    fn default() -> Self {
        Self { config: defaults(), handshake: Arc::default(), gate: None, runtime: PhantomData }
    }
}

impl<R> Clone for Acceptor<R> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            handshake: self.handshake.clone(),
            gate: self.gate.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R> Acceptor<R> {
    /// The same, with messages compressed as this says: [`ServerConfig::deflate`].
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use sockeye::tokio::Acceptor;
    /// use sockeye::deflate::Deflate;
    ///
    /// let acceptor = Acceptor::default().with_deflate(Deflate::default());
    /// assert!(acceptor.handshake.deflate.is_some());
    /// # }
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, deflate: Deflate) -> Self {
        Arc::make_mut(&mut self.handshake).deflate = Some(deflate);
        self
    }

    /// Accepts a connection on a stream.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if the request is not a valid opening handshake, comes from another site, too late, or is not
    /// let in by the gate; the client got the answer. [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream. To go on later, keep what [`Self::start`] gives.
    pub async fn accept<S>(&self, stream: S) -> Result<WebSocket<R::Transport>, Error>
    where
        R: Runtime<S>,
    {
        self.start(stream).accept().await
    }

    /// Accepts a connection on a stream, or not, as `decide` says: it sees the request and the stream, picks a subprotocol
    /// and adds header fields, or rejects. Where the decision has to wait for something, take [`Self::start`].
    ///
    /// What is needed of the request later (its path, a cookie) is copied out here: the connection does not keep it.
    ///
    /// # Errors
    ///
    /// As [`Self::accept`], and [`Error::Rejected`] with the rejection of `decide`.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::accept`].
    pub async fn accept_with<S, D>(&self, stream: S, decide: D) -> Result<WebSocket<R::Transport>, Error>
    where
        R: Runtime<S>,
        D: FnOnce(Acceptance<'_>, &S) -> Result<Response, Rejection>,
    {
        self.start(stream).accept_with(decide).await
    }

    /// Begins to accept a connection on a stream.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # async fn run(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    /// # async fn is_known(_: Option<&str>) -> bool { true }
    /// use sockeye::handshake::Rejection;
    ///
    /// let mut accepting = sockeye::tokio::Acceptor::default().start(stream);
    /// let cookie = accepting.request().await?.headers().get("Cookie").map(str::to_owned);
    /// let socket = match is_known(cookie.as_deref()).await {
    ///     true => accepting.accept().await?,
    ///     false => return Err(accepting.reject(Rejection::new(403)?).await.into()),
    /// };
    /// # Ok(())
    /// # }
    /// ```
    pub fn start<S>(&self, stream: S) -> Accepting<R::Transport>
    where
        R: Runtime<S>,
    {
        self.start_from(stream, None)
    }

    /// Begins to accept a connection on a stream from this address, which counts against
    /// [`Limits::connections_per_peer`](super::Limits::connections_per_peer).
    pub fn start_from<S>(&self, stream: S, peer: Option<IpAddr>) -> Accepting<R::Transport>
    where
        R: Runtime<S>,
    {
        let admitted = self.gate.as_ref().map(|gate| gate.admit(peer)).transpose();
        self.begin(stream, admitted)
    }

    /// Begins to accept a connection on a stream for which a seat was taken already.
    pub fn start_seated<S>(&self, stream: S, seat: Seat) -> Accepting<R::Transport>
    where
        R: Runtime<S>,
    {
        self.begin(stream, Ok(Some(seat)))
    }

    fn begin<S>(&self, stream: S, admitted: Result<Option<Seat>, Rejection>) -> Accepting<R::Transport>
    where
        R: Runtime<S>,
    {
        let (seat, refusal) = match admitted {
            Ok(seat) => (seat, None),
            Err(rejection) => (None, Some(rejection)),
        };
        let mut handshaking = Box::new(Handshaking {
            handshake: ServerHandshake::new(&self.handshake),
            server: self.handshake.clone(),
            config: self.config.clone(),
            wire: Some(Wire::new(R::Transport::new(stream))),
            request: None,
            outcome: None,
            seat,
            refusing: None,
        });
        if let Some(rejection) = refusal {
            handshaking.outcome = Some(handshaking.answer(Err(rejection)));
            handshaking.refusing = self.gate.as_ref().and_then(Gate::refuse);
            if handshaking.refusing.is_none() {
                handshaking.wire = None;
            }
        }
        Accepting { handshaking }
    }
}

/// An opening handshake on the server's side that has begun.
///
/// ```
/// use sockeye::handshake::Rejection;
/// use sockeye::tokio::{Accepting, Acceptor, WebSocket};
///
/// /// Lets those in who ask for the chat.
/// async fn chat<S>(stream: S) -> Result<WebSocket<S>, sockeye::Error>
/// where
///     S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
/// {
///     let mut accepting = Acceptor::default().start(stream);
///     if accepting.request().await?.path() != "/chat" {
///         return Err(accepting.reject(Rejection::new(404)?).await);
///     }
///     accepting.accept().await
/// }
/// ```
#[derive(Debug)]
pub struct Accepting<T: Transport> {
    /// Boxed, so that the task that answers the handshake is not made larger by it for as long as the connection lives.
    handshaking: Box<Handshaking<T>>,
}

/// The state of an opening handshake.
#[derive(Debug)]
struct Handshaking<T: Transport> {
    handshake: ServerHandshake,
    server: Arc<ServerConfig>,
    config: Arc<Config>,
    /// `None` once the handshake is over.
    wire: Option<Wire<T>>,
    request: Option<Box<Request>>,
    /// What was decided and is being written.
    outcome: Option<Outcome>,
    seat: Option<Seat>,
    /// There while somebody who is not let in is told so.
    refusing: Option<Refusing>,
}

#[derive(Debug)]
enum Outcome {
    Accepted(Box<Response>),
    Rejected(Box<Rejection>),
}

impl<T: Transport> Accepting<T> {
    /// Begins with bytes that were read from the stream already.
    #[must_use]
    pub fn with_input(mut self, input: &[u8]) -> Self {
        if let Some(wire) = &mut self.handshaking.wire {
            wire.input.extend_from_slice(input);
        }
        self
    }

    /// Receives the request, so that a decision on it can be made before it is answered.
    ///
    /// It is a request in the form of HTTP/1.1, which may be a plain GET; whether it is a valid opening handshake, accepting it
    /// will tell, or [`Request::upgrade`] before.
    ///
    /// # Errors
    ///
    /// As [`Acceptor::accept`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future; call it again.
    pub async fn request(&mut self) -> Result<&Request, Error> {
        poll_fn(|cx| self.handshaking.poll_request(cx)).await?;
        // It is there, or an error was returned.
        self.handshaking.request.as_deref().ok_or(Error::Lost)
    }

    /// Accepts the connection.
    ///
    /// # Errors
    ///
    /// As [`Acceptor::accept`].
    ///
    /// # Cancel safety
    ///
    /// As [`Acceptor::accept`].
    pub async fn accept(self) -> Result<WebSocket<T>, Error> {
        self.accept_with(|acceptance, _| Ok(acceptance.respond())).await
    }

    /// Accepts the connection, or not, as `decide` says: see [`Acceptor::accept_with`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn accept_with<D>(mut self, decide: D) -> Result<WebSocket<T>, Error>
    where
        D: FnOnce(Acceptance<'_>, &T::Stream) -> Result<Response, Rejection>,
    {
        poll_fn(|cx| self.handshaking.poll_request(cx)).await?;
        self.handshaking.decide(decide);
        poll_fn(|cx| self.handshaking.poll_outcome(cx)).await
    }

    /// Rejects the connection; gives what was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream; the answer may not have been written.
    pub async fn reject(mut self, rejection: Rejection) -> Error {
        let handshaking = &mut self.handshaking;
        if handshaking.outcome.is_none() {
            handshaking.outcome = Some(handshaking.answer(Err(rejection)));
        }
        match poll_fn(|cx| handshaking.poll_outcome(cx)).await {
            Ok(_) => Error::Lost,
            Err(error) => error,
        }
    }

    /// Returns the stream, such as to look at the peer's certificate; `None` once the handshake is over.
    #[must_use]
    pub fn get_ref(&self) -> Option<&T::Stream> {
        self.handshaking.wire.as_ref().map(Wire::stream)
    }
}

impl<T: Transport> Handshaking<T> {
    /// Receives the request; where there is none, the error comes once the client was told.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(Outcome::Rejected(_)) = self.outcome {
                return self.poll_outcome(cx).map(|outcome| outcome.map(|_| ()));
            }
            if self.request.is_some() || self.outcome.is_some() {
                return Poll::Ready(Ok(()));
            }
            let Some(wire) = &mut self.wire else { return Poll::Ready(Err(Error::Lost)) };
            if let Some(seat) = &self.seat {
                drop(seat.wakers().set_receiver(cx.waker()));
                if seat.is_stopping() {
                    self.outcome = Some(self.answer(Err(unavailable())));
                    continue;
                }
            }
            let handshake = &mut self.handshake;
            let received =
                handshake.handle_timeout(wire.now()).and_then(|()| wire.receive(|input| handshake.receive(input)));
            match received {
                Ok(Some(request)) => self.request = Some(Box::new(request)),
                Err(rejection) => self.outcome = Some(self.answer(Err(rejection))),
                Ok(None) => {
                    let end = match wire.poll_read(self.handshake.poll_timeout(), cx) {
                        Poll::Ready(Ok(len)) => len == 0,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(self.lose(error))),
                        Poll::Pending => return Poll::Pending,
                    };
                    if let Some(Err(rejection)) = end.then(|| self.handshake.receive_eof()) {
                        self.outcome = Some(self.answer(Err(rejection)));
                    }
                }
            }
        }
    }

    /// Writes the answer, then opens the connection or ends the stream.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<WebSocket<T>, Error>> {
        let Some(wire) = &mut self.wire else {
            return Poll::Ready(Err(match self.outcome.take() {
                Some(Outcome::Rejected(rejection)) => Error::Rejected(rejection),
                Some(Outcome::Accepted(_)) | None => Error::Lost,
            }));
        };
        if let Err(error) = ready!(wire.poll_write(self.server.timeout, cx)) {
            return Poll::Ready(Err(self.lose(error)));
        }
        if let Some(Outcome::Rejected(_)) = self.outcome {
            ready!(wire.poll_linger(cx));
        }
        let wire = self.wire.take();
        let seat = self.seat.take();
        match (self.outcome.take(), wire) {
            (Some(Outcome::Accepted(response)), Some(wire)) => {
                if let Some(seat) = &seat {
                    seat.open();
                }
                let (transport, leftover) = wire.into_parts();
                let mut connection = Connection::server(self.config.clone());
                let inbox = Inbox::new(assembler(&mut connection, Some(&response)), &leftover);
                let subprotocol = response.subprotocol().map(|name| String::from(name).into());
                let negotiated = Negotiated {
                    subprotocol,
                    response: None,
                    #[cfg(feature = "deflate")]
                    deflate: response.deflate().cloned(),
                };
                let negotiated = negotiated.is_something().then(|| Box::new(negotiated));
                Poll::Ready(Ok(WebSocket::from_parts(Core::new(transport, connection, seat), inbox, negotiated)))
            }
            (Some(Outcome::Rejected(rejection)), _) => Poll::Ready(Err(Error::Rejected(rejection))),
            (Some(Outcome::Accepted(_)) | None, _) => Poll::Ready(Err(Error::Lost)),
        }
    }

    /// Gives up a stream that failed.
    fn lose(&mut self, error: std::io::Error) -> Error {
        (self.wire, self.seat) = (None, None);
        error.into()
    }

    /// Lets the application decide on the request, unless that was done for it.
    fn decide(&mut self, decide: impl FnOnce(Acceptance<'_>, &T::Stream) -> Result<Response, Rejection>) {
        let (Some(request), Some(wire)) = (self.request.take(), &self.wire) else { return };
        let decided = match &self.seat {
            // The server may have been stopped while the decision was waited for.
            Some(seat) if seat.is_stopping() => Err(unavailable()),
            Some(_) | None => request.upgrade(&self.server).and_then(|acceptance| decide(acceptance, wire.stream())),
        };
        self.outcome = Some(self.answer(decided));
    }

    /// Queues the answer.
    fn answer(&mut self, decided: Result<Response, Rejection>) -> Outcome {
        let mut unwritten = alloc::vec::Vec::new();
        let output = self.wire.as_mut().map_or(&mut unwritten, |wire| &mut wire.output);
        match decided {
            Ok(response) => {
                response.write(output);
                Outcome::Accepted(Box::new(response))
            }
            Err(rejection) => {
                rejection.write(output);
                Outcome::Rejected(Box::new(rejection))
            }
        }
    }
}
