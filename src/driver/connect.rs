//! The client's opening handshake on a transport.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
#[cfg(any(feature = "tokio", feature = "futures"))]
use core::future::Future;
use core::future::poll_fn;
use core::marker::PhantomData;
#[cfg(any(feature = "tokio", feature = "futures"))]
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use core::time::Duration;
#[cfg(any(feature = "tokio", feature = "futures"))]
use std::io;
use std::io::ErrorKind;

use super::core::Core;
use super::negotiated::Negotiated;
use super::socket::WebSocket;
use super::transport::{Runtime, Transport};
use super::wire::Wire;
use crate::adapter::{Error, Inbox, assembler, defaults};
use crate::config::Config;
use crate::connection::Connection;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::{ClientConfig, ClientHandshake, ClientRequest, Response};

/// Opens connections as a client; use that of your runtime: [`tokio::Connector`](crate::tokio::Connector),
/// [`futures::Connector`](crate::futures::Connector).
#[derive(Debug)]
#[non_exhaustive]
pub struct Connector<R> {
    /// Limits and deadlines of the connections.
    pub config: Arc<Config>,
    /// Limits and timeout of the opening handshake, and compression. The timeout also holds for each attempt to connect.
    pub handshake: ClientConfig,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Default for Connector<R> {
    fn default() -> Self {
        Self { config: defaults(), handshake: ClientConfig::default(), runtime: PhantomData }
    }
}

impl<R> Clone for Connector<R> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), handshake: self.handshake.clone(), runtime: PhantomData }
    }
}

impl<R> Connector<R> {
    /// The same, with messages compressed as this says: [`ClientConfig::deflate`].
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use sockeye::tokio::Connector;
    /// use sockeye::deflate::Deflate;
    ///
    /// let connector = Connector::default().with_deflate(Deflate::default());
    /// assert!(connector.handshake.deflate.is_some());
    /// # }
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, deflate: Deflate) -> Self {
        self.handshake.deflate = Some(deflate);
        self
    }

    /// Opens a connection on a stream of the caller's own, such as one over TLS.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # async fn run(stream: tokio::io::DuplexStream) -> Result<(), Box<dyn std::error::Error>> {
    /// use sockeye::handshake::ClientRequest;
    ///
    /// let request = ClientRequest::new("example.com", "/chat")?.subprotocol("chat.v2")?;
    /// let socket = sockeye::tokio::Connector::default().handshake(stream, request).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Response`] if the server refuses, or answers wrongly or too late; [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream. To go on later, keep what [`Self::start`] gives.
    pub async fn handshake<S>(&self, stream: S, request: ClientRequest) -> Result<WebSocket<R::Transport>, Error>
    where
        R: Runtime<S>,
    {
        self.start(stream, request).connection().await
    }

    /// Begins to open a connection on a stream.
    pub fn start<S>(&self, stream: S, request: ClientRequest) -> Connecting<R::Transport>
    where
        R: Runtime<S>,
    {
        let mut wire = Wire::new(R::Transport::new(stream));
        let handshake = ClientHandshake::new(request, &self.handshake);
        handshake.request().write(&mut wire.output);
        let handshaking = Handshaking {
            handshake,
            config: self.config.clone(),
            wire: Some(wire),
            response: None,
            write_failure: None,
            timeout: self.handshake.timeout,
        };
        Connecting { handshaking: Box::new(handshaking) }
    }
}

/// Connects to one address after the other until one answers; says why the last one did not.
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) async fn connect_to_any<S, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// An opening handshake on the client's side that has begun.
///
/// ```
/// use sockeye::handshake::ClientRequest;
/// use sockeye::tokio::{Connector, WebSocket};
///
/// async fn connect<S>(stream: S) -> Result<WebSocket<S>, sockeye::Error>
/// where
///     S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
/// {
///     let mut connecting = Connector::default().start(stream, ClientRequest::new("example.com", "/")?);
///     connecting.connection().await   // may be dropped and asked again
/// }
/// ```
#[derive(Debug)]
pub struct Connecting<T: Transport> {
    /// Boxed for the same reason as that of a server.
    handshaking: Box<Handshaking<T>>,
}

/// The state of an opening handshake.
#[derive(Debug)]
struct Handshaking<T: Transport> {
    handshake: ClientHandshake,
    config: Arc<Config>,
    /// `None` once the handshake is over.
    wire: Option<Wire<T>>,
    /// The answer, if it came before the request was written.
    response: Option<Response>,
    /// What kept the request from being written.
    write_failure: Option<ErrorKind>,
    timeout: Option<Duration>,
}

impl<T: Transport> Connecting<T> {
    /// Waits for the connection.
    ///
    /// # Errors
    ///
    /// As [`Connector::handshake`]; [`Error::Lost`] once the handshake is over.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future; call it again.
    pub async fn connection(&mut self) -> Result<WebSocket<T>, Error> {
        poll_fn(|cx| self.handshaking.poll_connection(cx)).await
    }
}

impl<T: Transport> Handshaking<T> {
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Result<WebSocket<T>, Error>> {
        let result = ready!(self.poll_response(cx));
        let wire = self.wire.take();
        Poll::Ready(match (result, wire) {
            (Ok(response), Some(wire)) => {
                let (transport, leftover) = wire.into_parts();
                let subprotocol = response.subprotocol().map(|name| String::from(name).into());
                let mut connection = Connection::client(self.config.clone());
                let inbox = Inbox::new(assembler(&mut connection, Some(&response)), &leftover);
                let response = Some(Box::new(response));
                let negotiated = Some(Box::new(Negotiated {
                    subprotocol,
                    response,
                    #[cfg(feature = "deflate")]
                    deflate: None,
                }));
                Ok(WebSocket::from_parts(Core::new(transport, connection, None), inbox, negotiated))
            }
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(Error::Lost),
        })
    }

    /// Writes the request and receives the answer.
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Err(Error::Lost)) };
        loop {
            self.handshake.handle_timeout(wire.now())?;
            let written = match self.write_failure {
                Some(_) => Poll::Pending,
                None => wire.poll_write(None, cx),
            };
            // A server may answer, and refuse, before it has read everything: what it said comes before what broke.
            if let Poll::Ready(Err(error)) = &written {
                self.write_failure = Some(error.kind());
            }
            if self.response.is_none() {
                self.response = wire.receive(|input| self.handshake.receive(input))?;
            }
            // What follows the request must not be mixed with it.
            if self.response.is_some() {
                return match (wire.poll_write(self.timeout, cx), self.response.take()) {
                    (Poll::Ready(written), Some(response)) => {
                        Poll::Ready(written.map(|()| response).map_err(Error::from))
                    }
                    (_, response) => {
                        self.response = response;
                        Poll::Pending
                    }
                };
            }
            let read = match (wire.poll_read(self.handshake.poll_timeout(), cx), self.write_failure) {
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending | Poll::Ready(Ok(0)), Some(kind)) => Err(kind.into()),
                (Poll::Ready(read), _) => read,
            };
            if read? == 0 {
                self.handshake.receive_eof()?;
                return Poll::Ready(Err(Error::Lost));
            }
        }
    }
}
