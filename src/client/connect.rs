//! From a URL to a connection, on tokio: stage after stage, each within its time.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use ::tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use ::tokio::net::UnixStream;
use ::tokio::time::{Instant, timeout};

use super::WebSocket;
use super::builder::Client;
use super::error::{Error, Stage};
use super::options::Family;
use super::race::{Target, race};
use super::redirect::Journey;
use super::stream::Stream;
use super::url::WsUrl;
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
        let url = url.try_into()?;
        // Boxed, because it is large and waits for long, in a task that does other things later.
        Box::pin(self.travel(self.journey(url))).await
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
        let url = url.try_into()?;
        let budget = Budget::new(self.timeouts.total);
        let journey = self.journey(url);
        Box::pin(self.open(Stream::new(stream), &journey, budget)).await
    }

    fn journey(&self, url: WsUrl) -> Journey {
        Journey::new(url, self.request.clone(), self.authorization.clone(), self.redirects)
    }

    async fn travel(&self, mut journey: Journey) -> Result<WebSocket, Error> {
        let budget = Budget::new(self.timeouts.total);
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
    async fn reach(&self, url: &WsUrl, budget: Budget) -> Result<Stream, Error> {
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            let peer = || format!("the socket {}", path.display());
            let connecting = UnixStream::connect(path);
            return match budget.run(Stage::Connect, self.timeouts.connect, peer, connecting).await? {
                Ok(stream) => Ok(stream.into()),
                Err(source) => Err(Error::Unix { path: path.clone(), source }),
            };
        }
        self.reach_by_tcp(url.host(), url.port(), &url.peer(), budget).await
    }

    async fn reach_by_tcp(&self, host: &str, port: u16, peer: &str, budget: Budget) -> Result<Stream, Error> {
        let target = Target {
            host,
            port,
            peer,
            family: self.tcp.bind.map(Family::of),
            options: self.happy_eyeballs,
            lookup: budget.limit(self.timeouts.lookup),
            connect: budget.limit(self.timeouts.connect),
        };
        match &self.connector {
            Some(connector) => race(&*self.resolver, &**connector, target).await,
            None => race(&*self.resolver, &self.tcp, target).await,
        }
    }

    /// Opens the connection on a stream that leads to the server.
    async fn open(&self, stream: Stream, journey: &Journey, budget: Budget) -> Result<WebSocket, Error> {
        let url = journey.url();
        if url.is_secure() {
            return Err(Error::NoTls { endpoint: url.endpoint() });
        }
        let mut connector = Connector::default();
        connector.config = self.config.clone();
        connector.handshake = self.handshake.clone();
        connector.handshake.timeout = budget.limit(self.timeouts.handshake);
        let opened = connector.handshake(stream, journey.request()?).await;
        opened.map_err(|error| Error::from_handshake(error, url))
    }
}

/// The time for everything together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    started: Instant,
    total: Option<Duration>,
}

impl Budget {
    pub(super) fn new(total: Option<Duration>) -> Self {
        Self { started: Instant::now(), total }
    }

    /// Returns the time that a stage may take: its own, but no more than is left.
    pub(super) fn limit(self, stage: Option<Duration>) -> Option<Duration> {
        let left = self.total.map(|total| total.saturating_sub(self.started.elapsed()));
        [stage, left].into_iter().flatten().min()
    }

    /// Runs a stage within its time.
    pub(super) async fn run<T>(
        self,
        stage: Stage,
        own: Option<Duration>,
        peer: impl FnOnce() -> String,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        match self.limit(own) {
            Some(after) => timeout(after, work).await.map_err(|_| Error::TimedOut { stage, peer: peer(), after }),
            None => Ok(work.await),
        }
    }
}
