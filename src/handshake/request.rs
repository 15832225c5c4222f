//! A client's opening handshake as a server sees it, and the checks on it (§4.2.1).
//!
//! This is the half that knows nothing of bytes: whoever has the request parsed already, a web framework say, uses
//! this alone.

use super::acceptance::Acceptance;
use super::authority::Authority;
use super::error::RequestError;
use super::extension::Extensions;
use super::fields::Fields;
use super::headers::Headers;
use super::key::Key;
use super::rejection::Rejection;
use super::server::ServerConfig;
use super::{HOST, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, token};
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

    /// Creates a request with the method of a handshake.
    pub(super) fn get(target: &str, headers: Headers) -> Self {
        Self { method: Cow::Borrowed(GET), target: target.to_owned(), headers }
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
        let acceptance = Acceptance::new(self, key.accept());
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
        let fields = Fields::of(&self.headers);
        // RFC 9112 §3.2: a request with no `Host`, with several, or with one that is no host, is answered with 400.
        let malformed = RequestError::Malformed { header: HOST };
        let host = core::str::from_utf8(fields.host.only(HOST)?).map_err(|_| malformed.clone())?;
        let host = Authority::parse(host).ok_or(malformed)?;
        // Bytes behind the head are frames: a body would be taken for them.
        if fields.has_body {
            return Err(RequestError::Body);
        }
        fields.check_upgrade()?;
        fields.check_version()?;
        let key = fields.key.only(SEC_WEBSOCKET_KEY)?;
        let key = Key::parse(key).ok_or(RequestError::Malformed { header: SEC_WEBSOCKET_KEY })?;
        if fields.has_subprotocols {
            self.check_subprotocols()?;
        }
        if fields.has_extensions && self.extensions().any(|extension| extension.is_err()) {
            return Err(RequestError::Malformed { header: SEC_WEBSOCKET_EXTENSIONS });
        }
        fields.check_origin(config, host)?;
        Ok(key)
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
