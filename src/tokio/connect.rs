//! The way to a connection over TCP.

use ::tokio::net::{TcpStream, lookup_host};
use ::tokio::time::timeout;

use super::{Connector, Error, WebSocket};
use crate::driver::{self, connect_to_any};
use crate::handshake::ClientRequest;
use crate::uri::WsUri;

impl driver::Connector<super::Runtime> {
    /// Connects to a `ws:` address over TCP, with `TCP_NODELAY` set.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut connector = sockeye::tokio::Connector::default();
    /// connector.handshake.timeout = Some(core::time::Duration::from_secs(3));
    /// let socket = connector.connect("ws://127.0.0.1:9001/chat").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Uri`]; [`Error::Io`] if the name cannot be resolved or no address answers; [`Error::Response`] if the
    /// server refuses, or answers wrongly or too late.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), sockeye::Error> {
    /// let mut socket = sockeye::tokio::connect("ws://127.0.0.1:9001/chat").await?;
    /// socket.send("hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(&self, uri: &str) -> Result<WebSocket<TcpStream>, Error> {
        let uri: WsUri = uri.parse()?;
        self.connect_with(&uri, uri.request()?).await
    }

    /// Connects to a `ws:` address over TCP and sends a request made of [`WsUri::request`] and what was added to it.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::connect`].
    pub async fn connect_with(&self, uri: &WsUri, request: ClientRequest) -> Result<WebSocket<TcpStream>, Error> {
        let addresses = lookup_host((uri.host(), uri.port())).await?;
        let stream = connect_to_any(addresses, async |address| {
            let connecting = TcpStream::connect(address);
            match self.handshake.timeout {
                Some(limit) => timeout(limit, connecting).await?,
                None => connecting.await,
            }
        });
        let stream = stream.await?;
        stream.set_nodelay(true)?;
        self.handshake(stream, request).await
    }
}

/// Connects to a `ws:` address as a client, with the defaults: see [`Connector`].
///
/// # Errors
///
/// As [`Connector::connect`](driver::Connector::connect).
///
/// # Cancel safety
///
/// Dropping the future drops the stream.
pub async fn connect(uri: &str) -> Result<WebSocket<TcpStream>, Error> {
    Connector::default().connect(uri).await
}
