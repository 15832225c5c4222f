//! From a URL to a connection, on tokio: stage after stage, each within its time.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::future::ready;
use core::time::Duration;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::path::Path;

use ::tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use ::tokio::net::UnixStream;
#[cfg(unix)]
use ::tokio::time::sleep;
use ::tokio::time::{Instant, timeout};

use super::WebSocket;
use super::budget::Budget;
use super::builder::Client;
use super::error::{Error, Stage};
use super::proxy::Proxy;
use super::race::{Target, race};
use super::redirect::Journey;
use super::route::{Route, check_tls, proxy_error, proxy_name};
use super::stream::Stream;
use super::tcp::Connect;
use super::url::WsUrl;
use crate::handshake::ClientConfig;
use crate::tokio::Connector;

/// Connects to a `ws:` or `wss:` URL with the defaults: see [`Client`].
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), sockeye::client::Error> {
/// let mut socket = sockeye::client::connect("wss://user:pw@example.com/chat").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Client::connect`].
///
/// # Cancel safety
///
/// Dropping the future drops everything that is under way.
pub async fn connect<U>(url: U) -> Result<WebSocket, Error>
where
    U: TryInto<WsUrl>,
    Error: From<U::Error>,
{
    Client::new().connect(url).await
}

impl Client {
    /// Connects to a `ws:` or `wss:` URL: a text, a [`WsUrl`], or a [`Url`](::url::Url).
    ///
    /// # Errors
    ///
    /// An [`Error`] says at which stage it went wrong, and why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops everything that is under way.
    pub async fn connect<U>(&self, url: U) -> Result<WebSocket, Error>
    where
        U: TryInto<WsUrl>,
        Error: From<U::Error>,
    {
        let journey = self.journey(url.try_into()?);
        let budget = Budget::new(Instant::now(), self.timeouts.total);
        // Boxed, because it is large, and so would be the future of every caller.
        let opened = Box::pin(self.travel(journey, budget)).await;
        opened.map_err(|error| budget.judge(error))
    }

    /// Opens a connection to a URL on a stream of the caller's own, which leads to the server already. Under `wss`, TLS is spoken
    /// on it. Redirects are not followed.
    ///
    /// ```
    /// # async fn run(stream: tokio::io::DuplexStream) -> Result<(), Box<dyn std::error::Error>> {
    /// let socket = sockeye::client::Client::new().connect_over(stream, "ws://example.com/chat").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn connect_over<S, U>(&self, stream: S, url: U) -> Result<WebSocket, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        U: TryInto<WsUrl>,
        Error: From<U::Error>,
    {
        let journey = self.journey(url.try_into()?);
        check_tls(journey.url())?;
        let budget = Budget::new(Instant::now(), self.timeouts.total);
        let opened = Box::pin(self.open(Stream::new(stream), &journey, budget)).await;
        opened.map_err(|error| budget.judge(error))
    }

    pub(super) fn journey(&self, url: WsUrl) -> Journey {
        Journey::new(url, self.request.clone(), self.authorization.clone(), self.redirects)
    }

    async fn travel(&self, mut journey: Journey, budget: Budget<Instant>) -> Result<WebSocket, Error> {
        loop {
            // What cannot be asked for needs no connection.
            journey.request()?;
            check_tls(journey.url())?;
            let stream = self.reach(journey.url(), budget).await?;
            match self.open(stream, &journey, budget).await {
                Ok(socket) => return Ok(socket),
                Err(error) => journey.follow(error)?,
            }
        }
    }

    /// Makes a stream that leads to the server.
    async fn reach(&self, url: &WsUrl, budget: Budget<Instant>) -> Result<Stream, Error> {
        match self.route(url) {
            #[cfg(unix)]
            Route::Unix(path) => {
                let peer = || format!("the socket {}", path.display());
                let limit = budget.limit(self.timeouts.connect);
                match within(limit, Stage::Connect, peer, connect_unix(path)).await? {
                    Ok(stream) => Ok(stream.into()),
                    Err(source) => Err(Error::Unix { path: path.into(), source }),
                }
            }
            Route::Direct => self.dial(self.target(url.host(), url.port(), &url.peer(), budget.left())).await,
            Route::Proxy(proxy) => self.reach_through(proxy, url, budget).await,
        }
    }

    async fn reach_through(&self, proxy: &Proxy, url: &WsUrl, budget: Budget<Instant>) -> Result<Stream, Error> {
        let name = proxy_name(proxy);
        // Before anybody is connected to, for there may be no address.
        let host = if proxy.resolves_names() { url.host().into() } else { self.look_up(url, budget).await? };
        let mut stream = self.dial(self.target(proxy.host(), proxy.port(), &name, budget.left())).await?;
        if proxy.wants_tls() {
            stream = self.secure(stream, proxy.host(), &name, budget).await?;
        }
        let config = self.tunnel_config(budget.limit(self.timeouts.proxy));
        let tunneled = proxy.tunnel(stream, &host, url.port(), &config).await;
        Ok(Stream::tunneled(tunneled.map_err(|error| proxy_error(proxy, error))?))
    }

    /// Connects to the address of the target that answers first.
    async fn dial(&self, target: Target<'_>) -> Result<Stream, Error> {
        let connector: &dyn Connect = match &self.connector {
            Some(connector) => &**connector,
            None => &self.tcp,
        };
        race(&*self.resolver, |address| connector.connect(address), target).await
    }

    /// Finds the address that would be tried first, for a proxy that is to be told no name.
    async fn look_up(&self, url: &WsUrl, budget: Budget<Instant>) -> Result<String, Error> {
        let peer = url.peer();
        // What this machine connects from matters to the proxy's address alone.
        let target = Target { family: None, ..self.target(url.host(), url.port(), &peer, budget.left()) };
        let address = race(&*self.resolver, |address| Box::pin(ready(Ok(address))), target).await?;
        Ok(address.ip().to_string())
    }

    /// Speaks TLS on a stream that leads to this host.
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    async fn secure(&self, stream: Stream, host: &str, peer: &str, budget: Budget<Instant>) -> Result<Stream, Error> {
        let connector = self.tls_connector()?;
        let limit = budget.limit(self.timeouts.tls);
        let handshake = within(limit, Stage::Tls, || peer.into(), connector.handshake(stream, host));
        Ok(handshake.await??.into())
    }

    /// Speaks no TLS on any stream.
    #[cfg(not(any(feature = "rustls-no-provider", feature = "native-tls")))]
    #[expect(clippy::unused_async, reason = "with TLS it is")]
    async fn secure(&self, _: Stream, _: &str, peer: &str, _: Budget<Instant>) -> Result<Stream, Error> {
        Err(Error::NoTls { endpoint: peer.into() })
    }

    /// Opens the connection on a stream that leads to the server.
    async fn open(&self, mut stream: Stream, journey: &Journey, budget: Budget<Instant>) -> Result<WebSocket, Error> {
        let url = journey.url();
        if url.is_secure() {
            stream = self.secure(stream, url.host(), &url.peer(), budget).await?;
        }
        let timeout = budget.limit(self.timeouts.handshake);
        let mut connector = Connector::default();
        connector.handshake = ClientConfig { timeout, ..self.handshake.clone() };
        connector.config = self.config.clone();
        let opened = connector.handshake(stream, journey.request()?).await;
        opened.map_err(|error| Error::from_handshake(error, url))
    }
}

/// Connects to a Unix-domain socket. Where too many wait already, the system says so at once instead of when that has changed, so it is
/// asked again.
#[cfg(unix)]
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_SOCKET_PAUSE).await,
            connected => return connected,
        }
    }
}

/// Runs a stage within its time.
async fn within<T>(
    limit: Option<Duration>,
    stage: Stage,
    peer: impl FnOnce() -> String,
    work: impl Future<Output = T>,
) -> Result<T, Error> {
    match limit {
        Some(after) => timeout(after, work).await.map_err(|_| Error::TimedOut { stage, peer: peer(), after }),
        None => Ok(work.await),
    }
}

/// How long a full Unix-domain socket is left alone: a server takes connections in far less.
#[cfg(unix)]
const FULL_SOCKET_PAUSE: Duration = Duration::from_millis(5);
