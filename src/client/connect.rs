//! From a URL to a connection, on tokio: stage after stage, each within its time.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use ::tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use ::tokio::net::UnixStream;
use ::tokio::time::{Instant, timeout};

use super::WebSocket;
use super::budget::Budget;
use super::builder::Client;
use super::error::{Error, Stage};
use super::options::Family;
use super::race::{Target, race};
use super::redirect::Journey;
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
            let stream = self.reach(journey.url(), budget).await?;
            match self.open(stream, &journey, budget).await {
                Ok(socket) => return Ok(socket),
                Err(error) => journey.follow(error)?,
            }
        }
    }

    /// Makes a stream that leads to the server.
    async fn reach(&self, url: &WsUrl, budget: Budget<Instant>) -> Result<Stream, Error> {
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            let peer = || format!("the socket {}", path.display());
            let limit = budget.limit(self.timeouts.connect);
            return match within(limit, Stage::Connect, peer, UnixStream::connect(path)).await? {
                Ok(stream) => Ok(stream.into()),
                Err(source) => Err(Error::Unix { path: path.clone(), source }),
            };
        }
        self.reach_by_tcp(url.host(), url.port(), &url.peer(), budget).await
    }

    async fn reach_by_tcp(&self, host: &str, port: u16, peer: &str, budget: Budget<Instant>) -> Result<Stream, Error> {
        let connector: &dyn Connect = match &self.connector {
            Some(connector) => &**connector,
            None => &self.tcp,
        };
        let target = self.target(host, port, peer, budget.left());
        race(&*self.resolver, |address| connector.connect(address), target).await
    }

    /// What to connect to, and within which time.
    pub(super) fn target<'a>(&self, host: &'a str, port: u16, peer: &'a str, left: Option<Duration>) -> Target<'a> {
        Target {
            host,
            port,
            peer,
            family: self.tcp.bind.map(Family::of),
            options: self.happy_eyeballs,
            lookup: self.timeouts.lookup,
            connect: self.timeouts.connect,
            left,
        }
    }

    /// Opens the connection on a stream that leads to the server.
    async fn open(&self, stream: Stream, journey: &Journey, budget: Budget<Instant>) -> Result<WebSocket, Error> {
        let url = journey.url();
        if url.is_secure() {
            return Err(Error::NoTls { endpoint: url.endpoint() });
        }
        let timeout = budget.limit(self.timeouts.handshake);
        let mut connector = Connector::default();
        connector.handshake = ClientConfig { timeout, ..self.handshake.clone() };
        connector.config = self.config.clone();
        let opened = connector.handshake(stream, journey.request()?).await;
        opened.map_err(|error| Error::from_handshake(error, url))
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
