//! The client on threads, without a runtime: [`Client::connect_blocking`].
//!
//! ```
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let url = format!("ws://user:pw@{}/chat?room=1", listener.local_addr()?);
//! # std::thread::spawn(move || {
//! #     let mut socket = sockeye::blocking::accept(listener.accept()?.0)?;
//! #     while let Some(message) = socket.receive()? {
//! #         socket.send(&message)?;
//! #         socket.close(sockeye::Close::normal())?;
//! #     }
//! #     Ok::<_, sockeye::blocking::Error>(())
//! # });
//! // To a `url` such as `wss://user:pw@example.com/chat?room=1`.
//! let mut socket = sockeye::client::blocking::connect(&url)?;
//! socket.send("hello")?;
//! while let Some(message) = socket.receive()? {
//!     println!("{message:?}");
//! #     assert_eq!(message, "hello".into());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is the same [`Client`], with the same URLs, redirects, errors and limits, and the same policy of which address is tried when. Names
//! are looked up and connections attempted on threads of their own, each of which ends with what it does: of a race that is won, the
//! others go on until they fail, or connect and are closed at once.

mod race;
mod stream;

pub use self::stream::Stream;
pub use super::reconnect::blocking::{Reconnecting, Stop};

#[cfg(unix)]
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
#[cfg(unix)]
use core::time::Duration;
#[cfg(unix)]
use std::io::{self, ErrorKind};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::time::Instant;

#[cfg(unix)]
use socket2::{Domain, SockAddr, Socket, Type};

use self::race::race;
use super::budget::Budget;
use super::builder::Client;
use super::error::Error;
#[cfg(any(unix, feature = "rustls-no-provider", feature = "native-tls"))]
use super::error::Stage;
use super::proxy::Proxy;
use super::race::Target;
use super::redirect::Journey;
use super::route::{Route, check_tls, proxy_error, proxy_name};
use super::tcp::Connect;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
use super::tls::TlsError;
use super::url::WsUrl;
use crate::blocking::{Connector, Transport};
use crate::handshake::ClientConfig;

/// A connection that [`Client::connect_blocking`] opened.
pub type WebSocket = crate::blocking::WebSocket<Stream>;

/// Connects to a `ws:` or `wss:` URL with the defaults: see [`Client::connect_blocking`].
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("ws://{}/chat", listener.local_addr()?);
/// # let server = std::thread::spawn(move || {
/// #     let mut socket = sockeye::blocking::accept(listener.accept()?.0)?;
/// #     while let Some(message) = socket.receive()? {
/// #         socket.send(&message)?;
/// #     }
/// #     Ok::<_, sockeye::Error>(())
/// # });
/// let mut socket = sockeye::client::blocking::connect(&url)?;   // such as `wss://example.com/chat`
/// socket.send("hello")?;
/// assert_eq!(socket.receive()?, Some("hello".into()));
/// socket.close(sockeye::Close::normal())?;
/// while socket.receive()?.is_some() {} // what was on its way, until the server has closed, too
/// # server.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Client::connect_blocking`].
pub fn connect<U>(url: U) -> Result<WebSocket, Error>
where
    U: TryInto<WsUrl>,
    Error: From<U::Error>,
{
    Client::new().connect_blocking(url)
}

impl Client {
    /// Connects to a `ws:` or `wss:` URL as [`Self::connect`] does, and blocks until the connection is open.
    ///
    /// A [resolver](Self::resolver) or [connector](Self::connector) of one's own needs its blocking method.
    ///
    /// # Errors
    ///
    /// An [`Error`] says at which stage it went wrong, and why.
    pub fn connect_blocking<U>(&self, url: U) -> Result<WebSocket, Error>
    where
        U: TryInto<WsUrl>,
        Error: From<U::Error>,
    {
        let journey = self.journey(url.try_into()?);
        let budget = Budget::new(Instant::now(), self.timeouts.total);
        self.travel_blocking(journey, budget).map_err(|error| budget.judge(error))
    }

    fn travel_blocking(&self, mut journey: Journey, budget: Budget<Instant>) -> Result<WebSocket, Error> {
        loop {
            // What cannot be asked for needs no connection.
            journey.request()?;
            check_tls(journey.url())?;
            let stream = self.reach_blocking(journey.url(), budget)?;
            match self.open_blocking(stream, &journey, budget) {
                Ok(socket) => return Ok(socket),
                Err(error) => journey.follow(error)?,
            }
        }
    }

    /// Opens a connection to a URL on a stream of the caller's own, as [`Self::connect_over`] does. The stages can be bounded in time
    /// as far as reads of the stream can be ([`Transport::set_read_timeout`]).
    ///
    /// ```no_run
    /// use std::net::TcpStream;
    /// use sockeye::client::Client;
    ///
    /// let stream = TcpStream::connect("127.0.0.1:9001")?;
    /// let socket = Client::new().connect_blocking_over(stream, "ws://example.com/chat")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::connect_blocking`].
    pub fn connect_blocking_over<S, U>(&self, stream: S, url: U) -> Result<WebSocket, Error>
    where
        S: Transport + Send + 'static,
        U: TryInto<WsUrl>,
        Error: From<U::Error>,
    {
        let journey = self.journey(url.try_into()?);
        check_tls(journey.url())?;
        let budget = Budget::new(Instant::now(), self.timeouts.total);
        self.open_blocking(Stream::new(stream), &journey, budget).map_err(|error| budget.judge(error))
    }

    /// Makes a stream that leads to the server.
    fn reach_blocking(&self, url: &WsUrl, budget: Budget<Instant>) -> Result<Stream, Error> {
        match self.route(url) {
            #[cfg(unix)]
            Route::Unix(path) => {
                let limit = budget.limit(self.timeouts.connect);
                match (connect_unix(path, limit), limit) {
                    (Ok(stream), _) => Ok(stream.into()),
                    (Err(error), Some(after))
                        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                    {
                        Err(Error::TimedOut {
                            stage: Stage::Connect,
                            peer: format!("the socket {}", path.display()),
                            after,
                        })
                    }
                    (Err(source), _) => Err(Error::Unix { path: path.into(), source }),
                }
            }
            Route::Direct => self.dial_blocking(self.target(url.host(), url.port(), &url.peer(), budget.left())),
            Route::Proxy(proxy) => self.reach_through_blocking(proxy, url, budget),
        }
    }

    fn reach_through_blocking(&self, proxy: &Proxy, url: &WsUrl, budget: Budget<Instant>) -> Result<Stream, Error> {
        let name = proxy_name(proxy);
        // Before anybody is connected to, for there may be no address.
        let host = if proxy.resolves_names() { url.host().into() } else { self.look_up_blocking(url, budget)? };
        let mut stream = self.dial_blocking(self.target(proxy.host(), proxy.port(), &name, budget.left()))?;
        if proxy.wants_tls() {
            stream = self.secure_blocking(stream, proxy.host(), &name, budget)?;
        }
        let config = self.tunnel_config(budget.limit(self.timeouts.proxy));
        let tunneled = proxy.tunnel_blocking(stream, &host, url.port(), &config);
        Ok(Stream::tunneled(tunneled.map_err(|error| proxy_error(proxy, error))?))
    }

    /// Connects to the address of the target that answers first.
    fn dial_blocking(&self, target: Target<'_>) -> Result<Stream, Error> {
        let connector: Arc<dyn Connect> = match &self.connector {
            Some(connector) => connector.clone(),
            None => Arc::new(self.tcp.clone()),
        };
        let timeout = [target.connect, target.left].into_iter().flatten().min();
        race(&self.resolver, move |address| connector.connect_blocking(address, timeout), target)
    }

    /// Finds the address that would be tried first, for a proxy that is to be told no name.
    fn look_up_blocking(&self, url: &WsUrl, budget: Budget<Instant>) -> Result<String, Error> {
        let peer = url.peer();
        // What this machine connects from matters to the proxy's address alone.
        let target = Target { family: None, ..self.target(url.host(), url.port(), &peer, budget.left()) };
        let address = race(&self.resolver, Ok, target)?;
        Ok(address.ip().to_string())
    }

    /// Speaks TLS on a stream that leads to this host.
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    fn secure_blocking(
        &self,
        stream: Stream,
        host: &str,
        peer: &str,
        budget: Budget<Instant>,
    ) -> Result<Stream, Error> {
        let limit = budget.limit(self.timeouts.tls);
        match self.tls_connector()?.handshake_blocking(stream, host, limit) {
            Ok(stream) => Ok(stream.into()),
            Err(TlsError::TimedOut { timeout, .. }) => {
                Err(Error::TimedOut { stage: Stage::Tls, peer: peer.into(), after: timeout })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Speaks no TLS on any stream.
    #[cfg(not(any(feature = "rustls-no-provider", feature = "native-tls")))]
    #[expect(clippy::unused_self, reason = "with TLS it is not")]
    fn secure_blocking(&self, _: Stream, _: &str, peer: &str, _: Budget<Instant>) -> Result<Stream, Error> {
        Err(Error::NoTls { endpoint: peer.into() })
    }

    /// Opens the connection on a stream that leads to the server.
    fn open_blocking(
        &self,
        mut stream: Stream,
        journey: &Journey,
        budget: Budget<Instant>,
    ) -> Result<WebSocket, Error> {
        let url = journey.url();
        if url.is_secure() {
            stream = self.secure_blocking(stream, url.host(), &url.peer(), budget)?;
        }
        let timeout = budget.limit(self.timeouts.handshake);
        let handshake = ClientConfig { timeout, ..self.handshake.clone() };
        let connector = Connector { config: self.config.clone(), handshake };
        let opened = connector.handshake(stream, journey.request()?);
        opened.map_err(|error| Error::from_handshake(error, url))
    }
}

/// Connects to a Unix-domain socket, within that time: a server that takes no more connections makes the system wait for it.
#[cfg(unix)]
fn connect_unix(path: &Path, limit: Option<Duration>) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // What bounds a write bounds connecting, too; the system takes zero for no bound at all.
    socket.set_write_timeout(limit.map(|limit| limit.max(Duration::from_millis(1))))?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_write_timeout(None)?;
    Ok(socket.into())
}
