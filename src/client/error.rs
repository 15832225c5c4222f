//! Why there is no connection: at which stage, and in words that somebody can act on.
//!
//! A message is one line, and nothing that the other side sent stands in it unescaped. No message holds a password or the query of a
//! URL.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt::{self, Write as _};
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::credentials::InvalidCredentials;
use super::proxy::ProxyError;
use super::reconnect;
use super::redirect::RedirectError;
use super::refused::{Refused, excerpt};
use super::retry_after::RetryAfter;
use super::tls::TlsError;
use super::url::{UrlError, WsUrl};
use crate::adapter;
use crate::handshake::{BuildError, HeadError, InvalidHeader, RefusedResponse, ResponseError};

/// Why there is no connection.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::client::{Error, connect};
///
/// match connect("wss://example.com/chat").await {
///     Ok(mut socket) => socket.send("hello").await?,
///     Err(Error::Refused(refused)) if refused.response.status == 401 => eprintln!("log in first"),
///     Err(error) if error.is_permanent() => return Err(error.into()),
///     Err(error) => eprintln!("{error}; try again later"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is none of a WebSocket server.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// What the opening handshake is to ask for cannot be sent.
    #[error(transparent)]
    Request(#[from] BuildError),
    /// A user name, password or token cannot be sent.
    #[error(transparent)]
    Credentials(#[from] InvalidCredentials),
    /// The host has no address.
    #[error("no address was found for the name {host:?}: is it spelled right, and is there a network?")]
    NameNotFound {
        /// The name.
        host: String,
    },
    /// The addresses of the host could not be looked up.
    #[error("the address of {host:?} could not be looked up: {}", words(.source))]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No address of the host took the connection.
    #[error("cannot connect to {peer}: {}", Attempts(.attempts))]
    Connect {
        /// The host and port.
        peer: String,
        /// What became of each attempt, in their order; at least one.
        attempts: Vec<FailedAttempt>,
    },
    /// The Unix-domain socket took no connection.
    #[error("cannot connect to the socket {}: {}", .path.display(), words(.source))]
    Unix {
        /// Where the socket is.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The proxy gives no way to the server.
    #[error("there is no way through the proxy {proxy}: {source}")]
    Proxy {
        /// The proxy's URL, without user name and password.
        proxy: String,
        /// What is wrong with it.
        source: ProxyError,
    },
    /// There is no TLS with the server, or with a proxy.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The scheme is `wss`, and there is no TLS in this program.
    #[error(
        "{endpoint} needs TLS, and this program was built without it: turn on the feature rustls or native-tls of sockeye"
    )]
    NoTls {
        /// The URL without its query.
        endpoint: String,
    },
    /// A stage took longer than it may, see [`Timeouts`](super::Timeouts).
    #[error("{} {peer} took longer than {after:?}", .stage.doing())]
    TimedOut {
        /// The stage.
        stage: Stage,
        /// With whom.
        peer: String,
        /// The time that it was given.
        after: Duration,
    },
    /// The time for everything together was over, see [`Timeouts::total`](super::Timeouts::total).
    #[error("{} {peer} was not done when the {total:?} for everything were over", .stage.doing())]
    OutOfTime {
        /// The stage that was under way.
        stage: Stage,
        /// With whom.
        peer: String,
        /// The time that there was.
        total: Duration,
    },
    /// The server answered, but not with a WebSocket connection.
    #[error("{0}")]
    Refused(Box<Refused>),
    /// The server's answer is wrong.
    #[error("{endpoint} does not speak WebSocket as it should: {}", excerpt(&.source.to_string()))]
    Response {
        /// The URL without its query.
        endpoint: String,
        /// What is wrong with it.
        source: ResponseError,
    },
    /// The server closed the connection before its answer was whole.
    #[error("{endpoint} closed the connection during the opening handshake")]
    Closed {
        /// The URL without its query.
        endpoint: String,
    },
    /// The connection broke during the opening handshake.
    #[error("the connection to {endpoint} broke during the opening handshake: {}", words(.source))]
    Io {
        /// The URL without its query.
        endpoint: String,
        /// What the stream says.
        source: io::Error,
    },
    /// The server sends us elsewhere, and we do not go there.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
}

impl Error {
    /// Returns at which stage it went wrong.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Url(_) | Self::Request(_) | Self::Credentials(_) => Stage::Request,
            Self::NameNotFound { .. } | Self::Lookup { .. } => Stage::Lookup,
            Self::Connect { .. } | Self::Unix { .. } => Stage::Connect,
            Self::Proxy { .. } => Stage::Proxy,
            Self::Tls(_) | Self::NoTls { .. } => Stage::Tls,
            Self::TimedOut { stage, .. } | Self::OutOfTime { stage, .. } => *stage,
            Self::Refused(_) | Self::Response { .. } | Self::Closed { .. } | Self::Io { .. } => Stage::Handshake,
            Self::Redirect(_) => Stage::Redirect,
        }
    }

    /// Returns whether the same attempt would fail again for as long as nobody changes anything: a wrong URL, a status like 401, 403
    /// or 404, a certificate that is not trusted. What reconnects stops there.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Url(_) | Self::Request(_) | Self::Credentials(_) | Self::Redirect(_) | Self::NoTls { .. } => true,
            // A machine that wakes up has no network for a moment, and then no name has an address.
            Self::NameNotFound { .. } | Self::Lookup { .. } | Self::Connect { .. } | Self::Unix { .. } => false,
            Self::TimedOut { .. } | Self::OutOfTime { .. } | Self::Closed { .. } | Self::Io { .. } => false,
            Self::Proxy { source, .. } => source.is_permanent(),
            Self::Tls(error) => error.is_permanent(),
            Self::Refused(refused) => reconnect::is_permanent(refused.response.status),
            // Half a head is what is left of a server that restarts.
            Self::Response { source, .. } => !matches!(source, ResponseError::Head(_)),
        }
    }

    /// Returns when the server wants to be asked again, if it refused and said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Refused(refused) => reconnect::retry_after(&refused.response),
            _ => None,
        }
    }

    /// Returns the answer of a server that refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&RefusedResponse> {
        match self {
            Self::Refused(refused) => Some(&refused.response),
            _ => None,
        }
    }

    /// Returns whether a time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::OutOfTime { .. })
    }

    /// Makes one of what went wrong with the opening handshake.
    pub(super) fn from_handshake(error: adapter::Error, url: &WsUrl) -> Self {
        let endpoint = url.endpoint();
        match error {
            adapter::Error::Response(ResponseError::Refused(response)) => {
                Self::Refused(Box::new(Refused { endpoint, response: *response }))
            }
            adapter::Error::Response(ResponseError::Head(HeadError::TimedOut { timeout })) => {
                Self::TimedOut { stage: Stage::Handshake, peer: endpoint, after: timeout }
            }
            adapter::Error::Response(ResponseError::Head(HeadError::UnexpectedEof)) | adapter::Error::Lost => {
                Self::Closed { endpoint }
            }
            adapter::Error::Response(source) => Self::Response { endpoint, source },
            adapter::Error::Request(error) => Self::Request(error),
            // With TLS 1.3 a server that refuses our certificate says so only here.
            error => match TlsError::from_stream(url.host(), error.into()) {
                Ok(error) => Self::Tls(error),
                Err(source) if is_closed(&source) => Self::Closed { endpoint },
                Err(source) => Self::Io { endpoint, source },
            },
        }
    }
}

impl From<InvalidHeader> for Error {
    fn from(error: InvalidHeader) -> Self {
        Self::Request(error.into())
    }
}

impl From<Infallible> for Error {
    /// A [`WsUrl`] is one already.
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A stage of connecting.
///
/// ```
/// use sockeye::client::{Stage, WsUrl};
///
/// let error = sockeye::client::Error::from("http:/".parse::<WsUrl>().unwrap_err());
/// assert_eq!(error.stage(), Stage::Request);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// What is asked for: the URL, the header fields.
    Request,
    /// The addresses of the host.
    Lookup,
    /// The connection to one of them.
    Connect,
    /// The way through a proxy.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The opening handshake.
    Handshake,
    /// The way to where the server sends us.
    Redirect,
}

impl Stage {
    /// Says what is done, to stand before with whom.
    const fn doing(self) -> &'static str {
        match self {
            Self::Request => "asking",
            Self::Lookup => "looking up the address of",
            Self::Connect => "connecting to",
            Self::Proxy => "opening a tunnel through",
            Self::Tls => "the TLS handshake with",
            Self::Handshake => "the opening handshake with",
            Self::Redirect => "the redirect by",
        }
    }
}

/// An address that took no connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

impl FailedAttempt {
    pub(super) const fn new(address: SocketAddr, error: io::Error) -> Self {
        Self { address, error }
    }
}

/// Says what became of the attempts, the same thing only once.
struct Attempts<'a>(&'a [FailedAttempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(String, Vec<SocketAddr>)> = Vec::new();
        for attempt in self.0 {
            let said = words(&attempt.error);
            match groups.iter_mut().find(|(other, _)| *other == said) {
                Some((_, addresses)) => addresses.push(attempt.address),
                None => groups.push((said, Vec::from([attempt.address]))),
            }
        }
        for (index, (said, addresses)) in groups.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{said} (")?;
            for (index, address) in addresses.iter().enumerate() {
                let separator = if index == 0 { "" } else { ", " };
                write!(f, "{separator}{address}")?;
            }
            f.write_char(')')?;
        }
        Ok(())
    }
}

/// What the system says, in words and without its number.
pub(super) fn words(error: &io::Error) -> String {
    let said = format!("{error}");
    let Some(number) = error.raw_os_error() else { return said };
    // The kinds are the same everywhere, but some say less than the system does, and those that have no name yet nothing.
    let kind = format!("{}", error.kind());
    match error.kind() {
        io::ErrorKind::NotFound => {}
        _ if kind == "uncategorized error" => {}
        _ => return kind,
    }
    let said = said.trim_end_matches(&format!(" (os error {number})"));
    said.chars().take(1).flat_map(char::to_lowercase).chain(said.chars().skip(1)).collect()
}

/// Says whether the other side has closed the stream, in whatever way.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_the_system_says_is_said_in_words() {
        for (number, text) in [
            (rustix::io::Errno::CONNREFUSED, "connection refused"),
            (rustix::io::Errno::NOENT, "no such file or directory"),
            (rustix::io::Errno::NETUNREACH, "network unreachable"),
            (rustix::io::Errno::ACCESS, "permission denied"),
            (rustix::io::Errno::PROTO, "protocol error"),
        ] {
            assert_eq!(words(&io::Error::from_raw_os_error(number.raw_os_error())), text);
        }
        assert_eq!(words(&io::Error::other("The name server")), "The name server");
        assert_eq!(words(&io::ErrorKind::TimedOut.into()), "timed out");
    }
}
