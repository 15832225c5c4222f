//! Proxies: HTTP `CONNECT` (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928, RFC 1929).
//!
//! ```text
//! ProxyRules ─▶ Proxy ─▶ connect to it ─▶ TLS to it, if https ─▶ Proxy::tunnel ─▶ Tunneled ─▶ TLS to the server ─▶ WebSocket
//! ```
//!
//! [`ProxyRules`] say which [`Proxy`] a connection goes through, if any. What is spoken with the proxy is a machine without
//! I/O, [`Tunnel`]; [`Proxy::tunnel`] drives it on a stream of tokio, [`Proxy::tunnel_blocking`] on one that blocks.
//!
//! ```no_run
//! use sockeye::client::proxy::{Proxy, TunnelConfig};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let proxy: Proxy = "http://user:password@proxy.example:3128".parse()?;
//! let stream = tokio::net::TcpStream::connect((proxy.host(), proxy.port())).await?;
//! let stream = proxy.tunnel(stream, "server.example", 80, &TunnelConfig::default()).await?;
//! let request = sockeye::handshake::ClientRequest::new("server.example", "/chat")?;
//! let socket = sockeye::tokio::Connector::default().handshake(stream, request).await?;
//! # Ok(())
//! # }
//! ```

// Why no library does this: each of those for one of the two protocols (tokio-socks, fast-socks5, socks, async-http-proxy) does I/O of one
// style, and none can be fed. hyper-util has both protocols, as services for hyper's connections, and a reader of the environment that
// wants hyper, tracing and tower, passes over what it cannot read in silence, knows no `ws:` and cannot be given another
// environment. The two protocols are two hundred lines on the reader of HTTP heads that is here anyway.

mod connect;
mod error;
mod rules;
mod socks5;
mod tunnel;
mod tunneled;

pub use self::error::{ProxyError, ProxyUrlError, SocksReply, TunnelError};
pub use self::rules::{InvalidProxyRules, ProxyRules, Security};
pub use self::tunnel::{Tunnel, TunnelConfig, TunnelState};
pub use self::tunneled::Tunneled;

use core::fmt;
use core::str::FromStr;

use ::url::Url;
use percent_encoding::percent_decode_str;

use super::credentials::Credentials;
use crate::handshake::{Headers, InvalidHeader};

/// A proxy to connect through.
///
/// It is read from a URL, `http://`, `https://`, `socks5://` or `socks5h://`, with a user name and a password where the proxy wants
/// them, percent-encoded. Without a scheme it is an HTTP proxy. The default ports are 80, 443 and, for SOCKS, 1080.
///
/// ```
/// use sockeye::client::proxy::{Proxy, ProxyScheme};
///
/// let proxy: Proxy = "socks5h://me:p%40ss@[::1]:9050".parse()?;
/// assert_eq!((proxy.scheme(), proxy.host(), proxy.port()), (ProxyScheme::Socks5h, "::1", 9050));
/// assert_eq!(proxy.to_string(), "socks5h://[::1]:9050", "secrets are not shown");
/// assert_eq!("proxy.example:3128".parse::<Proxy>()?.scheme(), ProxyScheme::Http);
/// assert!("ftp://proxy.example".parse::<Proxy>().is_err());
/// # Ok::<(), sockeye::client::proxy::ProxyUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    headers: Headers,
}

/// What is spoken with a proxy.
///
/// ```
/// use sockeye::client::proxy::{Proxy, ProxyScheme};
///
/// let proxy = Proxy::new(ProxyScheme::Socks5h, "localhost", 1080);
/// assert!(proxy.resolves_names());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// `CONNECT` of HTTP.
    Http,
    /// `CONNECT` of HTTP, over TLS to the proxy.
    Https,
    /// SOCKS5; names are resolved here, before, as curl does it.
    Socks5,
    /// SOCKS5; names are resolved by the proxy.
    Socks5h,
}

impl Proxy {
    /// Creates a proxy of its parts, without credentials; `host` is a name or an address, an IPv6 address without brackets.
    #[must_use]
    pub fn new(scheme: ProxyScheme, host: impl Into<String>, port: u16) -> Self {
        Self { scheme, host: host.into(), port, credentials: None, headers: Headers::new() }
    }

    /// The same, with this user name and this password.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The same, with a header field added to the `CONNECT` request, such as a `Proxy-Authorization` that is not Basic. SOCKS has
    /// none.
    ///
    /// # Errors
    ///
    /// A name or a value that no header field can have.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidHeader> {
        self.headers.append(name, value)?;
        Ok(self)
    }

    /// Returns what is spoken with it.
    #[must_use]
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Returns its host, a name or an address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the name of the server is left to the proxy to resolve. Where it is not, resolve it and give
    /// [`Self::tunnel`] the address; a name that it is given nonetheless is resolved by the proxy.
    #[must_use]
    pub fn resolves_names(&self) -> bool {
        match self.scheme {
            ProxyScheme::Http | ProxyScheme::Https | ProxyScheme::Socks5h => true,
            ProxyScheme::Socks5 => false,
        }
    }

    /// Returns whether TLS is to be spoken with the proxy itself, before [`Self::tunnel`].
    #[must_use]
    pub fn wants_tls(&self) -> bool {
        self.scheme == ProxyScheme::Https
    }
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let text = text.trim();
        // As curl has it; `host:port` would else have a scheme of that name.
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|error| ProxyUrlError::Invalid { reason: error.to_string() })?;
        let (scheme, default_port) = match url.scheme() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            "socks5" => (ProxyScheme::Socks5, 1080),
            "socks5h" => (ProxyScheme::Socks5h, 1080),
            other => return Err(ProxyUrlError::Scheme { scheme: other.to_owned() }),
        };
        // A slash behind the port is what people write; more would be lost.
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::Path);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ProxyUrlError::Host)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err(ProxyUrlError::Port);
        }
        let proxy = Self::new(scheme, host, port);
        if url.username().is_empty() && url.password().is_none() {
            return Ok(proxy);
        }
        let decode = |text| percent_decode_str(text).decode_utf8().map_err(|_| ProxyUrlError::UserInfo);
        let (user, password) = (decode(url.username())?, decode(url.password().unwrap_or_default())?);
        Ok(proxy.with_credentials(Credentials::new(&user, &password)?))
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        })
    }
}

impl fmt::Display for Proxy {
    /// Writes the URL, without the user name and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, host_and_port(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&format_args!("{self}")).finish()
    }
}

/// Writes a host, an IPv6 address in brackets, and a port.
fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials::new(user, password).unwrap()
    }

    #[test]
    fn user_name_and_password_are_decoded() {
        let proxy: Proxy = "http://a%40b:c%3Ad@proxy.example".parse().unwrap();
        assert_eq!(
            proxy,
            Proxy::new(ProxyScheme::Http, "proxy.example", 80).with_credentials(credentials("a@b", "c:d"))
        );
        let proxy: Proxy = "socks5://me@proxy.example".parse().unwrap();
        assert_eq!(
            proxy,
            Proxy::new(ProxyScheme::Socks5, "proxy.example", 1080).with_credentials(credentials("me", ""))
        );
    }

    #[test]
    fn each_scheme_has_its_default_port() {
        let port = |url: &str| url.parse::<Proxy>().map(|proxy| proxy.port());
        assert_eq!(port("http://p/"), Ok(80));
        assert_eq!(port("p"), Ok(80));
        assert_eq!(port("https://p"), Ok(443));
        assert_eq!(port("socks5://p"), Ok(1080));
        assert_eq!(port("socks5h://p:1/"), Ok(1));
        assert_eq!(port("p:3128"), Ok(3128));
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_the_reason() {
        let error = |url: &str| url.parse::<Proxy>().unwrap_err().to_string();
        assert_eq!(
            error("socks4://p"),
            "a proxy of the kind \"socks4\" is not supported: http, https, socks5 and socks5h are"
        );
        assert_eq!(error("http://p/path"), "the URL of a proxy has no path, query or fragment");
        assert_eq!(error("socks5://p?q"), "the URL of a proxy has no path, query or fragment");
        assert_eq!(error("http://"), "not the URL of a proxy: empty host");
        assert_eq!(error("socks5://:1080"), "not the URL of a proxy: empty host");
        assert_eq!(error("http://p:99999"), "not the URL of a proxy: invalid port number");
        assert_eq!(error("http://p:0"), "the port of a proxy is a number from 1 to 65535");
        assert_eq!(
            error("http://%ff@p"),
            "the user name or password of the proxy is not UTF-8 behind its percent-encoding"
        );
        assert_eq!(error("http://a%3Ab@p"), "a user name cannot have a colon in it");
        assert_eq!(error("http://a:b%0d%0a@p"), "a user name or password cannot have a control character in it");
        assert_eq!(error(""), "not the URL of a proxy: empty host");
    }

    #[test]
    fn nothing_that_is_shown_has_the_password_in_it() {
        let proxy: Proxy = "http://me:secret@[2001:db8::1]:3128".parse().unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "http://[2001:db8::1]:3128 Proxy(http://[2001:db8::1]:3128)");
    }
}
