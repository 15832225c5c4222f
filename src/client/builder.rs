//! The client and what can be set of it.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
#[cfg(unix)]
use std::path::PathBuf;

use super::credentials::{Credentials, bearer};
use super::error::Error;
use super::options::{HappyEyeballs, TcpOptions, Timeouts};
use super::proxy::{Proxy, ProxyRules};
use super::redirect::AUTHORIZATION;
use super::resolve::{Resolve, SystemResolver};
use super::tcp::Connect;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
use super::tls::TlsConnector;
use crate::adapter::defaults;
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::{BuildError, ClientConfig, ClientRequest, Headers};

/// Opens WebSocket connections by their URL, through whatever lies between here and there.
///
/// A client is a description: it holds no connection and no thread, can be cloned, and opens as many connections as one likes.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::client::Client;
///
/// let client = Client::new()
///     .subprotocol("chat.v2")?
///     .header("User-Agent", "my-program/1.0")?
///     .bearer_auth("abc123")?
///     .redirects(3);
/// let mut socket = client.connect("wss://example.com/chat").await?;
/// socket.send("hello").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    /// What is asked for, but for where.
    pub(super) request: ClientRequest,
    pub(super) authorization: Option<String>,
    pub(super) config: Arc<Config>,
    /// Its timeout is that of [`Self::timeouts`].
    pub(super) handshake: ClientConfig,
    pub(super) timeouts: Timeouts,
    pub(super) tcp: TcpOptions,
    pub(super) happy_eyeballs: HappyEyeballs,
    pub(super) resolver: Arc<dyn Resolve>,
    /// What is there instead of TCP.
    pub(super) connector: Option<Arc<dyn Connect>>,
    #[cfg(unix)]
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) proxies: Option<ProxyRules>,
    /// `None` for the one that the process shares.
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    pub(super) tls: Option<TlsConnector>,
    pub(super) redirects: usize,
}

impl Client {
    /// Makes a client with the defaults: the system's resolver, `TCP_NODELAY`, ten seconds for each stage, no redirects, no
    /// proxy.
    #[must_use]
    pub fn new() -> Self {
        let timeouts = Timeouts::default();
        let handshake = ClientConfig { timeout: timeouts.handshake, ..ClientConfig::default() };
        Self {
            request: ClientRequest::template(),
            authorization: None,
            config: defaults(),
            handshake,
            timeouts,
            tcp: TcpOptions::default(),
            happy_eyeballs: HappyEyeballs::default(),
            resolver: Arc::new(SystemResolver),
            connector: None,
            #[cfg(unix)]
            unix_socket: None,
            proxies: None,
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            tls: None,
            redirects: 0,
        }
    }

    /// Adds a header field to the opening handshake. One of the name `Authorization` takes the place of that which was set before.
    ///
    /// # Errors
    ///
    /// One that the handshake writes itself, or that could break the head apart.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, BuildError> {
        if !name.eq_ignore_ascii_case(AUTHORIZATION) {
            self.request = self.request.header(name, value)?;
            return Ok(self);
        }
        let mut checked = Headers::new();
        checked.append(name, &value)?;
        let value = checked.get(name).ok_or_else(|| crate::handshake::InvalidHeader::Value { name: name.into() })?;
        self.authorization = Some(value.into());
        Ok(self)
    }

    /// Offers a subprotocol, after those that are offered already: put the one that you like best first.
    ///
    /// # Errors
    ///
    /// A name that is not a token, or that is offered already.
    pub fn subprotocol(mut self, subprotocol: &str) -> Result<Self, BuildError> {
        self.request = self.request.subprotocol(subprotocol)?;
        Ok(self)
    }

    /// Names the origin of the page on whose behalf connections are opened; for what acts as a browser.
    ///
    /// # Errors
    ///
    /// What is neither a scheme, host and optional port, nor `null`.
    pub fn origin(mut self, origin: &str) -> Result<Self, BuildError> {
        self.request = self.request.origin(origin)?;
        Ok(self)
    }

    /// Logs in with a user name and password (RFC 7617), whatever the URL says. They are readable for everybody on the way
    /// where the scheme is `ws`.
    ///
    /// # Errors
    ///
    /// A user name with a colon, or a control character in either.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Result<Self, Error> {
        self.authorization = Some(Credentials::new(user, password)?.to_basic());
        Ok(self)
    }

    /// Logs in with a bearer token (RFC 6750), whatever the URL says. It is readable for everybody on the way where the scheme
    /// is `ws`.
    ///
    /// # Errors
    ///
    /// What is not a token.
    pub fn bearer_auth(mut self, token: &str) -> Result<Self, Error> {
        self.authorization = Some(bearer(token)?);
        Ok(self)
    }

    /// Compresses messages (permessage-deflate, RFC 7692) where the server does, too.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.handshake.deflate = Some(deflate);
        self
    }

    /// Sets limits and deadlines of the connections.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Sets the limits of the opening handshake, its timeout, and compression.
    #[must_use]
    pub fn handshake(mut self, handshake: ClientConfig) -> Self {
        self.timeouts.handshake = handshake.timeout;
        self.handshake = handshake;
        self
    }

    /// Sets how long each stage of connecting may take.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.handshake.timeout = timeouts.handshake;
        self.timeouts = timeouts;
        self
    }

    /// Sets how TCP connections are made, where there is no other connector.
    #[must_use]
    pub fn tcp(mut self, tcp: TcpOptions) -> Self {
        self.tcp = tcp;
        self
    }

    /// Sets how several addresses of a host are tried.
    #[must_use]
    pub const fn happy_eyeballs(mut self, happy_eyeballs: HappyEyeballs) -> Self {
        self.happy_eyeballs = happy_eyeballs;
        self
    }

    /// Finds the addresses of names by this resolver instead of the system's.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Connects to addresses by this connector instead of over TCP; then [`TcpOptions`] count for nothing but the family of
    /// [`TcpOptions::bind`].
    #[must_use]
    pub fn connector(mut self, connector: impl Connect + 'static) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Speaks TLS with servers and proxies so, instead of as [`TlsConnector::shared`] does.
    ///
    /// ```no_run
    /// use sockeye::client::Client;
    /// use sockeye::client::tls::TlsConfig;
    ///
    /// let tls = TlsConfig::new().ca_file("company-ca.pem")?.connector()?;
    /// let client = Client::new().tls(tls);
    /// # Ok::<(), sockeye::client::tls::TlsError>(())
    /// ```
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    #[must_use]
    pub fn tls(mut self, connector: TlsConnector) -> Self {
        self.tls = Some(connector);
        self
    }

    /// Connects through this proxy, whatever the host.
    ///
    /// ```
    /// use sockeye::client::Client;
    ///
    /// let client = Client::new().proxy("socks5h://me:pw@127.0.0.1:9050".parse()?);
    /// # Ok::<(), sockeye::client::proxy::ProxyUrlError>(())
    /// ```
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        self.proxies(ProxyRules::all(proxy))
    }

    /// Connects through a proxy where these rules say so. Those of the environment are not asked for unless you do:
    ///
    /// ```
    /// use sockeye::client::Client;
    /// use sockeye::client::proxy::ProxyRules;
    ///
    /// let client = Client::new().proxies(ProxyRules::from_env()?);
    /// # Ok::<(), sockeye::client::proxy::InvalidProxyRules>(())
    /// ```
    #[must_use]
    pub fn proxies(mut self, rules: ProxyRules) -> Self {
        self.proxies = Some(rules);
        self
    }

    /// Connects to a Unix-domain socket, whatever the host of the URL, and without a proxy.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// Follows so many redirects; 0 by default, for a server that can send a client elsewhere can send it anywhere.
    ///
    /// None leads from `wss` to `ws`. To another origin (scheme, host and port), neither user name and password nor any header field
    /// of [`Self::header`] goes along, but `User-Agent` and `Accept-Language`. Subprotocols and the origin do, and a client certificate
    /// is shown to each server that asks for one: where a subprotocol carries a token, follow no redirects.
    #[must_use]
    pub const fn redirects(mut self, max: usize) -> Self {
        self.redirects = max;
        self
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    /// Writes nothing that may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Client");
        debug.field("timeouts", &self.timeouts).field("tcp", &self.tcp).field("redirects", &self.redirects);
        #[cfg(unix)]
        debug.field("unix_socket", &self.unix_socket);
        debug.finish_non_exhaustive()
    }
}
