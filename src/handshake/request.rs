//! A client's opening handshake as a server sees it, and the checks on it (§4.2.1).
//!
//! This is the half that knows nothing of bytes: whoever has the request parsed already, a web framework say, uses
//! this alone.

use super::acceptance::Acceptance;
use super::authority::Authority;
use super::error::RequestError;
use super::extension::Extensions;
use super::headers::Headers;
use super::key::{Key, accept_key};
use super::rejection::Rejection;
use super::server::ServerConfig;
use super::{
    CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE, token,
};
use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

/// A client's request to open a WebSocket connection: method, target and header fields.
///
/// It was read, but not judged: look at it, then answer it with [`upgrade`](Self::upgrade) or a [`Rejection`] of your
/// own.
///
/// ```
/// use sockeye::handshake::{Headers, Request, ServerConfig};
///
/// let mut headers = Headers::new();
/// headers.append("Host", "server.example.com")?;
/// headers.append("Upgrade", "websocket")?;
/// headers.append("Connection", "Upgrade")?;
/// headers.append("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")?;
/// headers.append("Sec-WebSocket-Protocol", "chat, superchat")?;
/// headers.append("Sec-WebSocket-Version", "13")?;
/// let request = Request::new("GET", "/chat", headers);
///
/// let acceptance = request.upgrade(&ServerConfig::default())?;
/// let response = acceptance.subprotocol("chat")?.respond();
/// assert_eq!(response.headers().get("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: Cow<'static, str>,
    target: String,
    headers: Headers,
}

impl Request {
    /// Creates a request from its parts; they are judged by [`upgrade`](Self::upgrade).
    pub fn new(method: &str, target: &str, headers: Headers) -> Self {
        let method = if method == GET { Cow::Borrowed(GET) } else { Cow::Owned(method.to_owned()) };
        Self { method, target: target.to_owned(), headers }
    }

    /// Checks that the request is a WebSocket handshake (§4.2.1) from an allowed origin (§10.2), ready to be
    /// accepted.
    ///
    /// Choose a subprotocol, extensions and header fields on the [`Acceptance`], then write its response.
    ///
    /// # Errors
    /// A [`Rejection`] to be written to the client, after which the connection is closed. Its
    /// [`cause`](Rejection::cause) says what is wrong; each [`RequestError`] names its status.
    pub fn upgrade(&self, config: &ServerConfig) -> Result<Acceptance<'_>, Rejection> {
        let key = self.check(config)?;
        let acceptance = Acceptance::new(self, accept_key(key.as_str()));
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &config.deflate {
            return acceptance.deflate(Some(deflate));
        }
        Ok(acceptance)
    }

    /// Returns the method, `GET` for a handshake.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the request target as it stands in the request line: a path with an optional query, or an absolute
    /// URI.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the path within the target.
    ///
    /// ```
    /// use sockeye::handshake::{Headers, Request};
    ///
    /// let request = Request::new("GET", "/chat?room=7", Headers::new());
    /// assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
    /// let request = Request::new("GET", "http://example.com", Headers::new());
    /// assert_eq!((request.path(), request.query()), ("/", None));
    /// ```
    pub fn path(&self) -> &str {
        let path = self.path_and_query().split('?').next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// Returns what follows the question mark in the target, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query().split_once('?').map(|(_, query)| query)
    }

    /// Returns the header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the host that the client wants to reach, with the port if it named one.
    pub fn host(&self) -> Option<&str> {
        self.headers.get(HOST)
    }

    /// Returns the origin of the page that opens the connection; programs other than browsers send none.
    pub fn origin(&self) -> Option<&str> {
        self.headers.get(ORIGIN)
    }

    /// Iterates over the subprotocols that the client offers, in its order of preference.
    ///
    /// What is no subprotocol's name is passed over; [`upgrade`](Self::upgrade) refuses a request that has any.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .flat_map(token::elements)
            .filter(|element| token::is_token(element))
            .filter_map(|element| core::str::from_utf8(element).ok())
    }

    /// Iterates over the extensions that the client offers, in its order of preference (§9.1).
    pub fn extensions(&self) -> Extensions<'_> {
        Extensions::new(&self.headers)
    }

    fn path_and_query(&self) -> &str {
        match self.target.split_once("://") {
            Some((_, rest)) if !self.target.starts_with('/') => {
                rest.find(['/', '?']).and_then(|start| rest.get(start..)).unwrap_or_default()
            }
            _ => &self.target,
        }
    }

    fn check(&self, config: &ServerConfig) -> Result<Key, RequestError> {
        if self.method != GET {
            return Err(RequestError::Method);
        }
        if !is_target(&self.target) {
            return Err(RequestError::Target);
        }
        let host = self.check_host()?;
        self.check_body()?;
        self.check_upgrade()?;
        self.check_version()?;
        let key =
            Key::parse(self.only(SEC_WEBSOCKET_KEY)?).ok_or(RequestError::Malformed { header: SEC_WEBSOCKET_KEY })?;
        self.check_subprotocols()?;
        if self.extensions().any(|extension| extension.is_err()) {
            return Err(RequestError::Malformed { header: SEC_WEBSOCKET_EXTENSIONS });
        }
        self.check_origin(config, host)?;
        Ok(key)
    }

    /// RFC 9112 §3.2: a request with no `Host`, with several, or with one that is no host, is answered with 400.
    fn check_host(&self) -> Result<&str, RequestError> {
        let malformed = RequestError::Malformed { header: HOST };
        let host = core::str::from_utf8(self.only(HOST)?).map_err(|_| malformed.clone())?;
        Authority::parse(host).map(|_| host).ok_or(malformed)
    }

    /// Bytes behind the head are frames: a body would be taken for them.
    fn check_body(&self) -> Result<(), RequestError> {
        let has_length = self.headers.get_all(CONTENT_LENGTH).any(|value| value != b"0");
        if has_length || self.headers.contains(TRANSFER_ENCODING) { Err(RequestError::Body) } else { Ok(()) }
    }

    /// §4.2.1, items 3 and 4.
    fn check_upgrade(&self) -> Result<(), RequestError> {
        if !self.headers.contains(UPGRADE) {
            return Err(RequestError::NotAnUpgrade);
        }
        if !self.headers.list_contains(UPGRADE, "websocket") {
            return Err(RequestError::NotWebSocket);
        }
        if !self.headers.list_contains(CONNECTION, "upgrade") {
            return Err(RequestError::ConnectionLacksUpgrade);
        }
        Ok(())
    }

    /// §4.2.1, item 6, and §4.4: a client of another version is told which one is spoken here.
    fn check_version(&self) -> Result<(), RequestError> {
        match self.only(SEC_WEBSOCKET_VERSION) {
            Ok(b"13") => Ok(()),
            Ok(_) | Err(RequestError::Missing { .. }) => Err(RequestError::UnsupportedVersion),
            Err(duplicate) => Err(duplicate),
        }
    }

    /// §4.1, item 10: one or more tokens, all unique.
    fn check_subprotocols(&self) -> Result<(), RequestError> {
        let malformed = RequestError::Malformed { header: SEC_WEBSOCKET_PROTOCOL };
        for value in self.headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
            let mut elements = token::elements(value).peekable();
            if elements.peek().is_none() || !elements.all(token::is_token) {
                return Err(malformed);
            }
        }
        if self.subprotocols().nth(1).is_none() {
            return Ok(());
        }
        // Sorted, as a head has room for thousands of them.
        let mut offered: Vec<&str> = self.subprotocols().collect();
        offered.sort_unstable();
        if offered.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(RequestError::DuplicateSubprotocol);
        }
        Ok(())
    }

    /// §10.2. More than one origin is refused under every policy: which one would count?
    fn check_origin(&self, config: &ServerConfig, host: &str) -> Result<(), RequestError> {
        let origin = match self.only(ORIGIN) {
            Ok(origin) => String::from_utf8_lossy(origin),
            Err(RequestError::Missing { .. }) => return Ok(()),
            Err(duplicate) => return Err(duplicate),
        };
        if config.origins.allows(&origin, host) {
            Ok(())
        } else {
            Err(RequestError::OriginRefused { origin: origin.into_owned() })
        }
    }

    /// Returns the value of a header field that must be there once.
    fn only(&self, header: &'static str) -> Result<&[u8], RequestError> {
        let mut values = self.headers.get_all(header);
        let value = values.next().ok_or(RequestError::Missing { header })?;
        if values.next().is_some() { Err(RequestError::Duplicate { header }) } else { Ok(value) }
    }
}

/// §4.2.1, item 1: a path, or an absolute `http` or `https` URI; RFC 9112 §3.2 allows no fragment in either.
fn is_target(target: &str) -> bool {
    let is_absolute = || {
        let (scheme, rest) = target.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
            && Authority::parse(authority).is_some()
    };
    target.bytes().all(is_target_byte) && (target.starts_with('/') || is_absolute())
}

/// Visible ASCII but `#`, which would begin a fragment.
pub(super) const fn is_target_byte(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && byte != b'#'
}

const GET: &str = "GET";
