//! The server's opening handshake on a stream.

use alloc::sync::Arc;
use std::time::Instant;

use super::WebSocket;
use super::handshake::{Wire, linger};
use super::transport::Transport;
use crate::adapter::{Error, defaults};
use crate::config::Config;
use crate::connection::Connection;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::{Acceptance, Rejection, Response, ServerConfig, ServerHandshake};

/// Accepts connections as a server.
///
/// ```no_run
/// use std::net::{TcpListener, TcpStream};
/// use std::thread;
/// use sockeye::blocking::{Acceptor, Error};
/// use sockeye::handshake::Rejection;
///
/// fn serve(acceptor: &Acceptor, stream: TcpStream) -> Result<(), Error> {
///     stream.set_nodelay(true)?; // as `Connector::connect` does for a client
///     let mut socket = acceptor.accept_with(stream, |acceptance| {
///         match acceptance.request().path() {
///             "/chat" => Ok(acceptance.select_subprotocol(&["chat.v2"]).header("Server", "sockeye")?.respond()),
///             _ => Err(Rejection::new(404)?),
///         }
///     })?;
///     socket.send("welcome")?;
///     while socket.receive()?.is_some() {}
///     Ok(())
/// }
///
/// let acceptor = Acceptor::default();
/// for stream in TcpListener::bind("127.0.0.1:0")?.incoming() {
///     let (acceptor, stream) = (acceptor.clone(), stream?);
///     // A client that is refused, or slow with its request, must hold up nobody else.
///     thread::spawn(move || serve(&acceptor, stream).unwrap_or_else(|error| eprintln!("{error}")));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Acceptor {
    /// Limits and deadlines of the connections.
    pub config: Arc<Config>,
    /// Limits, timeout and origins of the opening handshake, and compression.
    pub handshake: ServerConfig,
}

impl Default for Acceptor {
    fn default() -> Self {
        Self { config: defaults(), handshake: ServerConfig::default() }
    }
}

impl Acceptor {
    /// The same, with messages compressed as this says: [`ServerConfig::deflate`].
    ///
    /// ```
    /// use sockeye::blocking::Acceptor;
    /// use sockeye::deflate::Deflate;
    ///
    /// let acceptor = Acceptor::default().with_deflate(Deflate::default());
    /// assert!(acceptor.handshake.deflate.is_some());
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, deflate: Deflate) -> Self {
        self.handshake.deflate = Some(deflate);
        self
    }

    /// Accepts a connection on a stream.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if the request is not a valid opening handshake or comes from another site; the client got the
    /// answer. [`Error::Io`] if the stream fails; use [`Self::start`] for a stream that may have nothing to read for now.
    ///
    /// ```no_run
    /// let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
    /// let (stream, _) = listener.accept()?;
    /// let mut socket = sockeye::blocking::accept(stream)?;
    /// socket.send("welcome")?;
    /// # Ok::<(), sockeye::Error>(())
    /// ```
    pub fn accept<S: Transport>(&self, stream: S) -> Result<WebSocket<S>, Error> {
        self.accept_with(stream, |acceptance| Ok(acceptance.respond()))
    }

    /// Accepts a connection on a stream, or not, as `decide` says: it sees the request, picks a subprotocol and adds header
    /// fields, or rejects. What is needed of the request later (its path, a cookie) it copies out: the connection does not
    /// keep it. Agree on an extension only if you give it to [`WebSocket::extend`] afterwards.
    ///
    /// # Errors
    ///
    /// As [`Self::accept`], and [`Error::Rejected`] with the rejection of `decide`.
    pub fn accept_with<S: Transport>(
        &self,
        stream: S,
        decide: impl FnMut(Acceptance<'_>) -> Result<Response, Rejection>,
    ) -> Result<WebSocket<S>, Error> {
        self.start(stream).advance(decide)
    }

    /// Begins to accept a connection on a stream that may have nothing to read for now.
    pub fn start<S: Transport>(&self, stream: S) -> Accepting<S> {
        Accepting {
            handshake: ServerHandshake::new(&self.handshake),
            origins: self.handshake.clone(),
            config: self.config.clone(),
            wire: Wire::new(stream),
            outcome: None,
        }
    }
}

/// An opening handshake on the server's side that has begun.
#[derive(Debug)]
pub struct Accepting<S> {
    handshake: ServerHandshake,
    origins: ServerConfig,
    config: Arc<Config>,
    wire: Wire<S>,
    /// What was decided and is being written.
    outcome: Option<Result<Box<Response>, Box<Rejection>>>,
}

impl<S: Transport> Accepting<S> {
    /// Goes on with the handshake; `decide` is asked once.
    ///
    /// # Errors
    ///
    /// [`std::io::ErrorKind::WouldBlock`] where the stream has nothing for now: nothing was lost, call it again. Otherwise
    /// as [`Acceptor::accept_with`], and the handshake is over.
    pub fn advance(
        &mut self,
        mut decide: impl FnMut(Acceptance<'_>) -> Result<Response, Rejection>,
    ) -> Result<WebSocket<S>, Error> {
        while self.outcome.is_none() {
            let received = self
                .handshake
                .handle_timeout(self.wire.now())
                .and_then(|()| self.wire.receive(|input| self.handshake.receive(input)));
            let decided = match received {
                Ok(Some(request)) => request.upgrade(&self.origins).and_then(&mut decide),
                Ok(None) => {
                    if self.wire.read(self.handshake.poll_timeout())?.is_end() {
                        if let Err(rejection) = self.handshake.receive_eof() {
                            self.reject(rejection);
                        }
                    }
                    continue;
                }
                Err(rejection) => Err(rejection),
            };
            match decided {
                Ok(response) => {
                    response.write(&mut self.wire.output);
                    self.outcome = Some(Ok(Box::new(response)));
                }
                Err(rejection) => self.reject(rejection),
            }
        }

        self.wire.write()?;
        match self.outcome.take() {
            Some(Ok(response)) => {
                let connection = Connection::server(self.config.clone());
                self.wire.open(connection, Some(response))
            }
            Some(Err(rejection)) => {
                if let Some(stream) = self.wire.finish() {
                    linger(stream, Instant::now());
                }
                Err(Error::Rejected(rejection))
            }
            None => Err(Error::Lost),
        }
    }

    fn reject(&mut self, rejection: Rejection) {
        rejection.write(&mut self.wire.output);
        self.outcome = Some(Err(Box::new(rejection)));
    }
}

/// Accepts a connection as a server, with the defaults: see [`Acceptor`].
///
/// # Errors
///
/// As [`Acceptor::accept`].
pub fn accept<S: Transport>(stream: S) -> Result<WebSocket<S>, Error> {
    Acceptor::default().accept(stream)
}
