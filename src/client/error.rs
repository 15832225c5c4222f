//! Why there is no connection: at which stage, and in words that somebody can act on.
//!
//! A message is one line, and nothing that the other side sent stands in it unescaped. No message holds a password or the query of a
//! URL.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
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
use super::retry_after::RetryAfter;
use super::url::{UrlError, WsUrl};
use crate::adapter;
use crate::handshake::{BuildError, HeadError, Headers, InvalidHeader, RefusedResponse, ResponseError};

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
    #[error("{endpoint} does not speak WebSocket as it should: {source}")]
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
            Self::NoTls { .. } => Stage::Tls,
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
            adapter::Error::Io(error) if is_closed(&error) => Self::Closed { endpoint },
            error => Self::Io { endpoint, source: error.into() },
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

/// The answer of a server that opens no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The URL that was asked, without its query.
    pub endpoint: String,
    /// Status, header fields and the beginning of the body.
    pub response: RefusedResponse,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RefusedResponse { status, reason, headers, body, .. } = &self.response;
        match status {
            200..=299 => write!(f, "{} is not a WebSocket endpoint: the server answered ", self.endpoint)?,
            300..=399 => write!(f, "{} is somewhere else: the server answered ", self.endpoint)?,
            _ => write!(f, "{} refused the connection: the server answered ", self.endpoint)?,
        }
        write!(f, "{status}")?;
        if !reason.is_empty() {
            write!(f, " {}", excerpt(reason))?;
        }
        if let (300..=399, Some(location)) = (status, headers.get(LOCATION)) {
            return write!(f, ", to go to {}", excerpt(without_secrets(location)));
        }
        match media_type(headers) {
            Some(kind) if kind.eq_ignore_ascii_case("text/plain") || kind.eq_ignore_ascii_case("application/json") => {
                match core::str::from_utf8(body) {
                    Ok(text) if !text.trim().is_empty() => write!(f, ", saying {:?}", excerpt(text)),
                    Ok(_) | Err(_) => Ok(()),
                }
            }
            Some(kind) if !body.is_empty() => write!(f, " with {}", excerpt(kind)),
            Some(_) => Ok(()),
            None => match core::str::from_utf8(body) {
                Ok(text) if !text.trim().is_empty() => write!(f, ", saying {:?}", excerpt(text)),
                Ok(_) | Err(_) => Ok(()),
            },
        }
    }
}

impl core::error::Error for Refused {}

/// The type of the body, without its parameters.
fn media_type(headers: &Headers) -> Option<&str> {
    headers.get("Content-Type")?.split(';').next().map(str::trim)
}

/// What can be shown of a `Location`: neither a query nor a user name.
fn without_secrets(location: &str) -> &str {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let shown = location.get(..end).unwrap_or_default();
    shown.rsplit_once('@').map_or(shown, |(_, shown)| shown)
}

/// The beginning of what somebody else wrote, in one line, with nothing in it that would steer a terminal.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut is_blank = false;
    for character in text.trim().chars() {
        if shown.len() >= MAX_EXCERPT {
            shown.push('…');
            break;
        }
        match character {
            ' ' | '\t' | '\r' | '\n' => is_blank = true,
            character => {
                if core::mem::take(&mut is_blank) {
                    shown.push(' ');
                }
                // What changes the direction of writing is no control character, and would turn the rest of the line around.
                let is_hidden = character.is_control()
                    || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                shown.push(if is_hidden { char::REPLACEMENT_CHARACTER } else { character });
            }
        }
    }
    shown
}

/// What the system says, in words and without its number.
pub(super) fn words(error: &io::Error) -> String {
    let kind = error.kind();
    match error.raw_os_error() {
        // The kinds that have no name yet say less than the system does.
        Some(_) if !matches!(kind, io::ErrorKind::Other) && format!("{kind}") != "uncategorized error" => {
            format!("{kind}")
        }
        _ => format!("{error}"),
    }
}

/// Says whether the other side has closed the stream, in whatever way.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

/// How many bytes of what a server wrote stand in a message.
const MAX_EXCERPT: usize = 200;

pub(super) const LOCATION: &str = "Location";
