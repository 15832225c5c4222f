//! `ws:` and `wss:` URLs (RFC 6455 §3), read by a URL parser that knows what browsers know: IDNA, percent-encoding, IPv6.
//!
//! A browser's parser forgives a lot, which is right for what people type into it and wrong for what a program was given: here a
//! backslash, a missing slash or a line break in the middle is an error and not another URL than the one that was meant. What
//! stands before an `@` is taken out at once, so that a password is in no message and no log.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use ::url::{Host, SyntaxViolation, Url};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::credentials::Credentials;
use super::refused::excerpt;

/// The URL of a WebSocket server.
///
/// ```
/// use sockeye::client::WsUrl;
///
/// let url: WsUrl = "wss://me:secret@Bücher.example/chat room?id=1".parse()?;
/// assert_eq!((url.host(), url.port(), url.is_secure()), ("xn--bcher-kva.example", 443, true));
/// assert_eq!(url.target(), "/chat%20room?id=1");
/// assert_eq!(url.credentials().map(|credentials| credentials.user()), Some("me"));
/// // What is printed has no password in it.
/// assert_eq!(url.to_string(), "wss://xn--bcher-kva.example/chat%20room?id=1");
/// assert!("wss://example.com/#top".parse::<WsUrl>().is_err());
/// # Ok::<(), sockeye::client::UrlError>(())
/// ```
///
/// Two URLs are equal if they lead to the same place as the same user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsUrl {
    /// Of the scheme `ws` or `wss`, with a host, without user name, password and fragment.
    url: Url,
    port: u16,
    credentials: Option<Credentials>,
}

impl WsUrl {
    /// Returns whether the scheme is `wss`, which is WebSocket over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == WSS
    }

    /// Returns the scheme: `ws` or `wss`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// Returns the host: a name in ASCII and in lower case, or an address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Returns the host if it is an address and no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        }
    }

    /// Returns the port; 80 for `ws` and 443 for `wss` if the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port as they stand in the `Host` header field: without the port where it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> Cow<'_, str> {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}").into(),
            None => host.into(),
        }
    }

    /// Returns path and query, at least `/`, as the opening handshake asks for them.
    #[must_use]
    pub fn target(&self) -> Cow<'_, str> {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()).into(),
            None => self.url.path().into(),
        }
    }

    /// Returns the user name and password, if the URL has them.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Returns the URL as the parser has it, without user name and password.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// Returns whether both lead to the same server: scheme, host and port are the same.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme() == other.scheme() && self.url.host() == other.url.host() && self.port == other.port
    }

    /// Names the server in an error: the URL without its query, which may hold a secret, and cut, for another server may have sent
    /// us there.
    pub(super) fn endpoint(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), excerpt(self.url.path()))
    }

    /// Names the host and the port to connect to.
    pub(super) fn peer(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port)
    }

    /// Reads what the `Location` header field of a server's answer says, which may be relative to this URL, and of the scheme
    /// `http` or `https`, for that is what the server speaks when it says so. A user name in it is not used, and a fragment dropped
    /// (RFC 9110 §10.2.2).
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let mut url = parse(Some(&self.url), location)?;
        let scheme = match url.scheme() {
            "http" | WS => WS,
            "https" | WSS => WSS,
            scheme => return Err(UrlError::Scheme { scheme: excerpt(scheme) }),
        };
        // Of these four schemes any can be made another one of them, and all of them can have a user.
        let _ = url.set_scheme(scheme);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Self::try_from(url)
    }
}

/// Parses, and refuses what a browser would take for something else.
fn parse(base: Option<&Url>, text: &str) -> Result<Url, UrlError> {
    let violation = Cell::new(None);
    let note = |found| match found {
        // These are taken care of, or encoded.
        SyntaxViolation::EmbeddedCredentials | SyntaxViolation::NonUrlCodePoint => {}
        found => violation.set(Some(found)),
    };
    let parsed = Url::options().base_url(base).syntax_violation_callback(Some(&note)).parse(text);
    match (parsed, violation.get()) {
        (_, Some(violation)) => Err(UrlError::Ambiguous { reason: violation.description() }),
        (Err(::url::ParseError::RelativeUrlWithoutBase), _) => Err(UrlError::NoScheme),
        (Err(::url::ParseError::EmptyHost), _) => Err(UrlError::Host),
        (Err(::url::ParseError::InvalidPort), _) => Err(UrlError::Port),
        (Err(error), _) => Err(UrlError::Invalid { reason: error.to_string() }),
        (Ok(url), None) => Ok(url),
    }
}

impl FromStr for WsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::try_from(parse(None, text)?)
    }
}

impl TryFrom<Url> for WsUrl {
    type Error = UrlError;

    fn try_from(mut url: Url) -> Result<Self, UrlError> {
        if !matches!(url.scheme(), WS | WSS) {
            return Err(UrlError::Scheme { scheme: excerpt(url.scheme()) });
        }
        // RFC 6455 §3: fragment identifiers MUST NOT be used.
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        match url.host_str() {
            Some(host) if (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(is_host_byte) => {}
            Some(_) | None => return Err(UrlError::Host),
        }
        let port = url.port_or_known_default().filter(|&port| port != 0).ok_or(UrlError::Port)?;
        let credentials = credentials(&url)?;
        // It has a host, so it can have a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { url, port, credentials })
    }
}

impl TryFrom<&str> for WsUrl {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<&String> for WsUrl {
    type Error = UrlError;

    fn try_from(text: &String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<String> for WsUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<&Self> for WsUrl {
    fn from(url: &Self) -> Self {
        url.clone()
    }
}

impl fmt::Display for WsUrl {
    /// Writes the URL without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// What stands before the `@`, decoded.
fn credentials(url: &Url) -> Result<Option<Credentials>, UrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text| percent_decode_str(text).decode_utf8().map_err(|_| UrlError::UserInfo);
    let password = decode(url.password().unwrap_or_default())?;
    Credentials::new(&decode(url.username())?, &password).map(Some).map_err(|_| UrlError::UserInfo)
}

/// Says whether a byte may stand in a name (RFC 3986 §3.2.2) or an address, which is what the `Host` header field can hold.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b'[' | b']' | b':')
}

/// Why a text is not the URL of a WebSocket server. None of the variants repeats it, for there may be a password in it.
///
/// ```
/// use sockeye::client::{UrlError, WsUrl};
///
/// assert_eq!("ftp://example.com".parse::<WsUrl>(), Err(UrlError::Scheme { scheme: "ftp".into() }));
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not a URL.
    #[error("not a URL: {reason}")]
    Invalid {
        /// What the parser says.
        reason: String,
    },
    /// It begins with no scheme.
    #[error("the URL does not begin with ws:// or wss://")]
    NoScheme,
    /// It is of another scheme.
    #[error("the URL of a WebSocket server begins with ws:// or wss://, not with {scheme}:")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// It could be read in more than one way: a backslash, white space around it or a line break in it, slashes missing, a `%` that
    /// encodes nothing, two `@`.
    #[error("the URL could be misunderstood: {reason}")]
    Ambiguous {
        /// What the parser says.
        reason: &'static str,
    },
    /// It has no host, or one that is neither a name nor an address, or a name of more than 254 bytes.
    #[error("the URL has no host, or one that is neither a name nor an address")]
    Host,
    /// Its port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// It has a fragment (RFC 6455 §3).
    #[error("the URL of a WebSocket server has no fragment: write %23 for a # that is part of it")]
    Fragment,
    /// The user name or password is not UTF-8, has a control character in it, or the user name a colon (RFC 7617 §2).
    #[error("the user name or password in the URL cannot be sent")]
    UserInfo,
}

const WS: &str = "ws";
const WSS: &str = "wss";

/// The longest name, a dot behind it included (RFC 1035 §2.3.4).
const MAX_HOST: usize = 254;
