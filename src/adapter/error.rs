//! What can go wrong on a connection, whatever the adapter.

use std::io;

use thiserror::Error;

use crate::error::{ProtocolError, SendError};
use crate::handshake::{BuildError, HeadError, Rejection, RequestError, ResponseError};
use crate::time::Timeout;
use crate::uri::UriError;

/// What ended, or prevented, a connection; or what the caller asked for and cannot have.
///
/// A connection that was closed in order is none of these: its receive gives `None`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed. [`io::ErrorKind::WouldBlock`] is no failure: nothing was lost, make the same call again.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke the protocol or went beyond a limit; it was told by the Close with the fitting code.
    #[error("the peer broke the protocol or a limit: {0}")]
    Protocol(#[from] ProtocolError),
    /// The caller asked for what cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// There is no room for a message that was not to wait: it was not queued.
    #[error("no room to queue the message")]
    Full,
    /// A deadline ended the connection.
    #[error("{0}")]
    Timeout(Timeout),
    /// The peer's side of the transport ended without a closing handshake (close code 1006).
    #[error("the connection was lost without a closing handshake")]
    Lost,
    /// The opening handshake was refused: by us, as the server. The peer got this answer.
    #[error("the opening handshake was refused with status {}{}", .0.status(), cause(.0))]
    Rejected(Box<Rejection>),
    /// The opening handshake was refused, or answered wrongly, by the server.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The request of the opening handshake cannot be built.
    #[error(transparent)]
    Request(#[from] BuildError),
    /// What the application says, see [`Self::application`].
    #[error(transparent)]
    Application(Box<dyn core::error::Error + Send + Sync>),
    /// The address to connect to is not one.
    #[error(transparent)]
    Uri(#[from] UriError),
}

impl Error {
    /// Makes an error of the application's own, for a handler that returns errors of this type.
    ///
    /// ```
    /// use sockeye::Error;
    ///
    /// let error = Error::application("no such room");
    /// assert_eq!(error.to_string(), "no such room");
    /// ```
    pub fn application(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        Self::Application(error.into())
    }

    /// Returns whether a time ran out: of connecting, of the opening handshake, or of the connection.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Response(ResponseError::Head(HeadError::TimedOut { .. })) => true,
            Self::Io(error) => error.kind() == io::ErrorKind::TimedOut,
            Self::Rejected(rejection) => {
                matches!(rejection.cause(), Some(RequestError::Head(HeadError::TimedOut { .. })))
            }
            _ => false,
        }
    }

    /// Returns whether a message could not be sent because the connection is closing or closed: no surprise where both
    /// sides, or a server that stops, may close at any time. What ended the connection, a receive tells.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Send(SendError::Closed))
    }

    /// Returns whether the call only found nothing to do for now, on a stream that does not block or that has a read
    /// timeout, and can be made again.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl From<Error> for io::Error {
    /// For a message that is read or written as a stream of bytes.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io(_) | Error::Application(_) => io::ErrorKind::Other,
            Error::Protocol(_) | Error::Response(_) => io::ErrorKind::InvalidData,
            Error::Send(SendError::Closed) => io::ErrorKind::BrokenPipe,
            Error::Timeout(_) => io::ErrorKind::TimedOut,
            Error::Lost => io::ErrorKind::UnexpectedEof,
            Error::Full => io::ErrorKind::WouldBlock,
            Error::Send(_) | Error::Rejected(_) | Error::Request(_) | Error::Uri(_) => io::ErrorKind::InvalidInput,
        };
        match error {
            Error::Io(error) => error,
            error => Self::new(kind, error),
        }
    }
}

/// Why we refused, to stand behind the status.
fn cause(rejection: &Rejection) -> String {
    rejection.cause().map(|cause| format!(": {cause}")).unwrap_or_default()
}
