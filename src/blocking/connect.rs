//! The client's opening handshake on a stream, and the way to one over TCP.

use alloc::sync::Arc;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};

use super::WebSocket;
use super::handshake::Wire;
use super::transport::Transport;
use crate::adapter::{Error, defaults};
use crate::config::Config;
use crate::connection::Connection;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::{ClientConfig, ClientHandshake, ClientRequest};
use crate::uri::WsUri;

/// Opens connections as a client.
///
/// ```no_run
/// use sockeye::WsUri;
/// use sockeye::blocking::Connector;
///
/// let uri: WsUri = "ws://127.0.0.1:9001/chat".parse()?;
/// let request = uri.request()?.subprotocol("chat.v2")?.header("Authorization", "Bearer abc")?;
/// let mut socket = Connector::default().connect_with(&uri, request)?;
/// assert_eq!(socket.subprotocol(), Some("chat.v2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connector {
    /// Limits and deadlines of the connections.
    pub config: Arc<Config>,
    /// Limits and timeout of the opening handshake, and compression. The timeout also holds for each attempt to connect.
    pub handshake: ClientConfig,
}

impl Default for Connector {
    fn default() -> Self {
        Self { config: defaults(), handshake: ClientConfig::default() }
    }
}

impl Connector {
    /// The same, with messages compressed as this says: [`ClientConfig::deflate`].
    ///
    /// ```
    /// use sockeye::blocking::Connector;
    /// use sockeye::deflate::Deflate;
    ///
    /// let connector = Connector::default().with_deflate(Deflate::default());
    /// assert!(connector.handshake.deflate.is_some());
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, deflate: Deflate) -> Self {
        self.handshake.deflate = Some(deflate);
        self
    }

    /// Connects to a `ws:` address over TCP, with `TCP_NODELAY` set.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`]; [`Error::Io`] if the name cannot be resolved or no address answers; [`Error::Response`] if the
    /// server refuses, or answers wrongly or too late.
    ///
    /// ```no_run
    /// let mut socket = sockeye::blocking::connect("ws://127.0.0.1:9001/chat")?;
    /// socket.send("hello")?;
    /// # Ok::<(), sockeye::Error>(())
    /// ```
    pub fn connect(&self, uri: &str) -> Result<WebSocket<TcpStream>, Error> {
        let uri: WsUri = uri.parse()?;
        self.connect_with(&uri, uri.request()?)
    }

    /// Connects to a `ws:` address over TCP and sends a request made of [`WsUri::request`] and what was added to it.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub fn connect_with(&self, uri: &WsUri, request: ClientRequest) -> Result<WebSocket<TcpStream>, Error> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (uri.host(), uri.port()).to_socket_addrs()? {
            let stream = match self.handshake.timeout {
                Some(timeout) => TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1))),
                None => TcpStream::connect(address),
            };
            match stream {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return self.handshake(stream, request);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure.into())
    }

    /// Opens a connection on a stream of the caller's own, such as one over TLS.
    ///
    /// # Errors
    ///
    /// [`Error::Response`] if the server refuses, or answers wrongly or too late; [`Error::Io`] if the stream fails. Use
    /// [`Self::start`] for a stream that may have nothing to read for now.
    pub fn handshake<S: Transport>(&self, stream: S, request: ClientRequest) -> Result<WebSocket<S>, Error> {
        self.start(stream, request).advance()
    }

    /// Begins to open a connection on a stream that may have nothing to read for now.
    pub fn start<S: Transport>(&self, stream: S, request: ClientRequest) -> Connecting<S> {
        let mut wire = Wire::new(stream);
        let handshake = ClientHandshake::new(request, &self.handshake);
        handshake.request().write(&mut wire.output);
        Connecting { handshake, config: self.config.clone(), wire }
    }
}

/// An opening handshake on the client's side that has begun.
#[derive(Debug)]
pub struct Connecting<S> {
    handshake: ClientHandshake,
    config: Arc<Config>,
    wire: Wire<S>,
}

impl<S: Transport> Connecting<S> {
    /// Goes on with the handshake.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] where the stream has nothing for now: nothing was lost, call it again. Otherwise as
    /// [`Connector::handshake`], and the handshake is over.
    pub fn advance(&mut self) -> Result<WebSocket<S>, Error> {
        loop {
            self.handshake.handle_timeout(self.wire.now())?;
            if let Some(response) = self.wire.receive(|input| self.handshake.receive(input))? {
                let connection = Connection::client(self.config.clone());
                return self.wire.open(connection, Some(Box::new(response)));
            }
            if self.wire.read(self.handshake.poll_timeout())?.is_end() {
                self.handshake.receive_eof()?;
            }
        }
    }
}

/// Connects to a `ws:` address as a client, with the defaults: see [`Connector`].
///
/// # Errors
///
/// As [`Connector::connect`].
pub fn connect(uri: &str) -> Result<WebSocket<TcpStream>, Error> {
    Connector::default().connect(uri)
}
