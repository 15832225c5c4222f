//! `ws:` addresses (RFC 6455 §3).

use alloc::string::{String, ToString};
use core::fmt;
use core::net::Ipv6Addr;

use http::Uri;
use thiserror::Error;

use crate::handshake::{BuildError, ClientRequest};

/// Where a `ws:` address leads: the host and port to connect to, and what the opening handshake asks for there.
///
/// ```
/// use sockeye::WsUri;
///
/// let uri: WsUri = "ws://[::1]:9001/chat?room=1".parse()?;
/// assert_eq!((uri.host(), uri.port()), ("::1", 9001));
/// assert_eq!((uri.authority(), uri.target()), ("[::1]:9001", "/chat?room=1"));
/// assert!("ws://example.com/#top".parse::<WsUri>().is_err());
/// # Ok::<(), sockeye::UriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsUri {
    host: String,
    port: u16,
    authority: String,
    target: String,
}

impl WsUri {
    /// Returns the host, a name or an address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port; 80 if the address has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port as they stand in the `Host` header field: without the port where it is the default one.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns path and query, at least `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Creates the request of an opening handshake for this address, to which more can be added.
    ///
    /// # Errors
    ///
    /// What a request cannot hold.
    pub fn request(&self) -> Result<ClientRequest, BuildError> {
        ClientRequest::new(&self.authority, &self.target)
    }
}

impl core::str::FromStr for WsUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        // §3: fragment identifiers MUST NOT be used; the parser would drop one.
        if text.contains('#') {
            return Err(UriError::Fragment);
        }
        let uri: Uri =
            text.parse().map_err(|error: http::uri::InvalidUri| UriError::Invalid { reason: error.to_string() })?;
        match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("ws") => {}
            Some(scheme) if scheme.eq_ignore_ascii_case("wss") => return Err(UriError::Tls),
            _ => return Err(UriError::Scheme),
        }
        let authority = uri.authority().ok_or(UriError::Host)?;
        // RFC 9110 §4.2.4: what stands before an @ is not sent, and dropping it in silence would surprise.
        if authority.as_str().contains('@') {
            return Err(UriError::UserInfo);
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(UriError::Host);
        }
        // RFC 3986 §3.2.2: what stands in brackets is an IPv6 address.
        let name = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
            Some(_) => return Err(UriError::Host),
            None => host,
        };
        let port = match authority.as_str().get(host.len()..) {
            None | Some("" | ":") => 80,
            Some(given) => {
                let digits = given.strip_prefix(':').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
                digits.and_then(|digits| digits.parse().ok()).filter(|&port| port != 0).ok_or(UriError::Port)?
            }
        };
        Ok(Self {
            host: name.into(),
            port,
            authority: if port == 80 { host.into() } else { alloc::format!("{host}:{port}") },
            target: match uri.query() {
                Some(query) => alloc::format!("{}?{query}", uri.path()),
                None => uri.path().into(),
            },
        })
    }
}

impl fmt::Display for WsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}{}", self.authority, self.target)
    }
}

/// Why a text is not an address to connect to.
///
/// ```
/// use sockeye::{UriError, WsUri};
///
/// assert!("http://example.com".parse::<WsUri>().is_err());
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// It is not a URI.
    #[error("not a URI: {reason}")]
    Invalid {
        /// What the parser says.
        reason: String,
    },
    /// It does not begin with `ws://`.
    #[error("not a ws:// address")]
    Scheme,
    /// It begins with `wss://`, and there is no TLS here: connect a TLS stream and hand it over, or take the
    /// module `client`, with one of its features for TLS.
    #[error("wss:// needs TLS: hand over a TLS stream, or connect by sockeye::client")]
    Tls,
    /// It has no host.
    #[error("the address has no host")]
    Host,
    /// Its port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// It has a fragment (RFC 6455 §3).
    #[error("a ws:// address has no fragment")]
    Fragment,
    /// It has a user name; send credentials in a header field.
    #[error("a user name in the address is not sent; use a header field")]
    UserInfo,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(String, u16, String, String), UriError> {
        text.parse::<WsUri>().map(|uri| (uri.host, uri.port, uri.authority, uri.target))
    }

    #[test]
    fn host_port_path_and_query_are_told_apart() {
        let ok = |host: &str, port, authority: &str, target: &str| {
            Ok((host.to_string(), port, authority.to_string(), target.to_string()))
        };
        assert_eq!(parts("ws://example.com"), ok("example.com", 80, "example.com", "/"));
        assert_eq!(parts("WS://example.com:80/a?b=c"), ok("example.com", 80, "example.com", "/a?b=c"));
        assert_eq!(parts("ws://127.0.0.1:9001?x"), ok("127.0.0.1", 9001, "127.0.0.1:9001", "/?x"));
        assert_eq!(parts("ws://[::1]:9001/%C3%A4"), ok("::1", 9001, "[::1]:9001", "/%C3%A4"));
        assert_eq!(parts("ws://[2001:db8::1]/"), ok("2001:db8::1", 80, "[2001:db8::1]", "/"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        assert_eq!(parts("wss://example.com"), Err(UriError::Tls));
        assert_eq!(parts("http://example.com"), Err(UriError::Scheme));
        assert_eq!(parts("example.com"), Err(UriError::Scheme));
        assert_eq!(parts("ws://example.com/#a"), Err(UriError::Fragment));
        assert_eq!(parts("ws://me:pw@example.com/"), Err(UriError::UserInfo));
        assert_eq!(parts("ws://example.com:0/"), Err(UriError::Port));
        assert_eq!(parts("ws://example.com:65536/"), Err(UriError::Port));
        assert_eq!(parts("ws://example.com:+80/"), Err(UriError::Port));
        assert!(parts("ws://[::1]x:80/").is_err());
        assert!(parts("ws://[::1/").is_err());
        assert!(parts("ws://[a]/").is_err());
        assert!(parts("ws://a:1:2/").is_err());
        assert!(matches!(parts("ws:///path"), Err(UriError::Invalid { .. } | UriError::Host)));
        assert!(matches!(parts("ws://exa mple.com/"), Err(UriError::Invalid { .. })));
        assert!(matches!(parts("ws://example.com/a\r\nb"), Err(UriError::Invalid { .. })));
    }
}
