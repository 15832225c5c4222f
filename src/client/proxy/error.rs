//! What can go wrong with a proxy, in words that its user can act on.
//!
//! [`TunnelError`] is the machine's, so it can be compared and repeated; [`ProxyError`] has the stream's errors, too.

use core::fmt;
use core::time::Duration;
use std::io;

use thiserror::Error;

use crate::client::credentials::InvalidCredentials;
use crate::client::error::words;
use crate::handshake::HeadError;

/// Why there is no tunnel through a proxy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy refused, or does not speak as it should.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// The stream to the proxy failed.
    #[error("the connection to the proxy failed: {}", words(.0))]
    Io(#[from] io::Error),
}

impl ProxyError {
    /// Returns whether another attempt would end the same way, see [`TunnelError::is_permanent`].
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Tunnel(error) => error.is_permanent(),
            Self::Io(_) => false,
        }
    }
}

/// Why a proxy gives no tunnel to the server that it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The host is neither a name nor an address that the proxy could be asked for.
    #[error("{host:?} is not a host that a proxy can be asked for")]
    Host {
        /// What was given.
        host: String,
    },
    /// An HTTP proxy wants a user name and a password, and there are none.
    #[error("the proxy wants a user name and a password ({status}): put them in its URL, http://user:password@proxy")]
    CredentialsWanted {
        /// 407, or 401 from a proxy that mixes them up.
        status: u16,
    },
    /// An HTTP proxy does not accept the user name and the password.
    #[error("the proxy does not accept the user name and the password ({status})")]
    CredentialsRefused {
        /// 407, or 401 from a proxy that mixes them up.
        status: u16,
    },
    /// An HTTP proxy wants an authentication that is not spoken here.
    #[error("the proxy wants {} authentication ({status}), and only Basic is spoken here", .schemes.join(" or "))]
    AuthenticationUnsupported {
        /// 407, or 401 from a proxy that mixes them up.
        status: u16,
        /// What it would accept, eight at most.
        schemes: Vec<String>,
    },
    /// An HTTP proxy answered with another status: 403 from its rules, 502 or 504 where it cannot reach the server.
    #[error("{}", refusal(target, *status, reason))]
    Refused {
        /// The server that it was asked for, with the port.
        target: String,
        /// The status.
        status: u16,
        /// The phrase behind the status; may be empty.
        reason: String,
    },
    /// What should be an HTTP proxy sent something else, or too much.
    #[error("the answer of the proxy is not that of an HTTP proxy: {0}")]
    Head(#[source] HeadError),
    /// The proxy closed the connection before the tunnel was open.
    #[error("the proxy closed the connection before there was a tunnel to {target}")]
    Closed {
        /// The server that it was asked for, with the port.
        target: String,
    },
    /// The proxy took too long.
    #[error("the proxy did not open a tunnel to {target} within {timeout:?}")]
    TimedOut {
        /// The server that it was asked for, with the port.
        target: String,
        /// The time that it had.
        timeout: Duration,
    },
    /// What should be a SOCKS5 proxy sent something else.
    #[error("the answer of the proxy is not that of a SOCKS5 proxy: it begins with {version:#04x}{}", http_hint(*version))]
    SocksVersion {
        /// The byte that stands where 5, the version, should.
        version: u8,
    },
    /// A SOCKS5 proxy wants a user name and a password, and there are none.
    #[error("the SOCKS proxy wants a user name and a password: put them in its URL, socks5://user:password@proxy")]
    SocksCredentialsWanted,
    /// A SOCKS5 proxy accepts neither no authentication nor a user name and a password.
    #[error("the SOCKS proxy accepts no authentication that is spoken here: neither none nor user name and password")]
    SocksMethodsRefused,
    /// A SOCKS5 proxy chose a method of authentication that was not offered.
    #[error("the SOCKS proxy chose the authentication method {method:#04x}, which was not offered")]
    SocksMethod {
        /// What it chose.
        method: u8,
    },
    /// SOCKS5 cannot carry the user name or the password (RFC 1929 §2).
    #[error("a SOCKS proxy can be given a user name of 1 to 255 bytes and a password of up to 255")]
    SocksCredentialsLength,
    /// A SOCKS5 proxy does not accept the user name and the password.
    #[error("the SOCKS proxy does not accept the user name and the password")]
    SocksCredentialsRefused,
    /// A SOCKS5 proxy could not, or would not, connect.
    #[error("the SOCKS proxy has no connection to {target}: {reply}")]
    SocksRefused {
        /// The server that it was asked for, with the port.
        target: String,
        /// Why.
        reply: SocksReply,
    },
    /// A SOCKS5 proxy sent an address of a kind that there is not.
    #[error("the answer of the SOCKS proxy has an address of the unknown kind {kind:#04x}")]
    SocksAddress {
        /// The byte that says what kind of address follows.
        kind: u8,
    },
}

impl TunnelError {
    /// Returns whether another attempt would end the same way: the proxy refuses by its rules, wants other credentials, or is none.
    /// A server that the proxy cannot reach may be back; so may a proxy that is overloaded.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { status, .. } => !matches!(status, 408 | 425 | 429 | 500..),
            Self::SocksRefused { reply, .. } => reply.is_permanent(),
            Self::Closed { .. } | Self::TimedOut { .. } => false,
            Self::Head(error) => !matches!(error, HeadError::UnexpectedEof | HeadError::TimedOut { .. }),
            Self::Host { .. }
            | Self::CredentialsWanted { .. }
            | Self::CredentialsRefused { .. }
            | Self::AuthenticationUnsupported { .. }
            | Self::SocksVersion { .. }
            | Self::SocksCredentialsWanted
            | Self::SocksMethodsRefused
            | Self::SocksMethod { .. }
            | Self::SocksCredentialsLength
            | Self::SocksCredentialsRefused
            | Self::SocksAddress { .. } => true,
        }
    }
}

/// What a SOCKS5 proxy says why it does not connect (RFC 1928 §6).
///
/// ```
/// use sockeye::client::proxy::SocksReply;
///
/// assert!(SocksReply(2).is_permanent());    // not allowed by the rules of the proxy
/// assert!(!SocksReply(5).is_permanent());   // connection refused, perhaps not for long
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocksReply(pub u8);

impl SocksReply {
    /// The proxy itself has a problem; some say so of a server that does not answer.
    pub const GENERAL_FAILURE: Self = Self(1);
    /// The rules of the proxy do not allow it.
    pub const NOT_ALLOWED: Self = Self(2);
    /// There is no way to the network of the server.
    pub const NETWORK_UNREACHABLE: Self = Self(3);
    /// There is no way to the server; some say so of a name that has no address.
    pub const HOST_UNREACHABLE: Self = Self(4);
    /// The server refused the connection.
    pub const CONNECTION_REFUSED: Self = Self(5);
    /// The time to live of a packet expired; some say so where the server does not answer.
    pub const TTL_EXPIRED: Self = Self(6);
    /// The proxy does not know how to connect.
    pub const COMMAND_NOT_SUPPORTED: Self = Self(7);
    /// The proxy does not take this kind of address: a name, or IPv6.
    pub const ADDRESS_NOT_SUPPORTED: Self = Self(8);

    /// Returns whether another attempt would end the same way.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::NOT_ALLOWED | Self::COMMAND_NOT_SUPPORTED | Self::ADDRESS_NOT_SUPPORTED)
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match *self {
            Self::GENERAL_FAILURE => "general failure",
            Self::NOT_ALLOWED => "not allowed by its rules",
            Self::NETWORK_UNREACHABLE => "network unreachable",
            Self::HOST_UNREACHABLE => "host unreachable",
            Self::CONNECTION_REFUSED => "connection refused",
            Self::TTL_EXPIRED => "time to live expired",
            Self::COMMAND_NOT_SUPPORTED => "command not supported",
            Self::ADDRESS_NOT_SUPPORTED => "kind of address not supported",
            Self(other) => return write!(f, "unknown reason {other}"),
        };
        f.write_str(words)
    }
}

/// Why a text is not the URL of a proxy. The text is not repeated, for it may hold a password.
///
/// ```
/// use sockeye::client::proxy::{Proxy, ProxyUrlError};
///
/// assert!(matches!("ftp://proxy".parse::<Proxy>(), Err(ProxyUrlError::Scheme { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is not a URL.
    #[error("not the URL of a proxy: {reason}")]
    Invalid {
        /// What the parser says.
        reason: String,
    },
    /// It is for another kind of proxy.
    #[error("a proxy of the kind {scheme:?} is not supported: http, https, socks5 and socks5h are")]
    Scheme {
        /// The scheme that it has.
        scheme: String,
    },
    /// It has no host.
    #[error("the URL of the proxy has no host")]
    Host,
    /// Its port is 0.
    #[error("the port of a proxy is a number from 1 to 65535")]
    Port,
    /// It has a path, a query or a fragment.
    #[error("the URL of a proxy has no path, query or fragment")]
    Path,
    /// The user name or the password is not text.
    #[error("the user name or password of the proxy is not UTF-8 behind its percent-encoding")]
    UserInfo,
    /// The user name and the password cannot be sent.
    #[error(transparent)]
    Credentials(#[from] InvalidCredentials),
}

fn refusal(target: &str, status: u16, reason: &str) -> String {
    let what = match status {
        403 => "does not allow a connection to",
        502..=504 => "cannot reach",
        _ => "refused to connect to",
    };
    let space = if reason.is_empty() { "" } else { " " };
    format!("the proxy {what} {target}: {status}{space}{reason}")
}

fn http_hint(version: u8) -> &'static str {
    match version {
        b'H' => "; is it an HTTP proxy?",
        4 | 0 => "; is it a SOCKS4 proxy?",
        _ => "",
    }
}
