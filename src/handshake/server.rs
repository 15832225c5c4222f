//! The server's side of the opening handshake over HTTP/1.1.

use super::deadline::{DEFAULT_TIMEOUT, Deadline};
use super::error::{HeadError, RequestError};
use super::head::{HeadReader, StartLine, parse_request};
use super::origin::OriginPolicy;
use super::rejection::Rejection;
use super::request::Request;
use super::{DEFAULT_MAX_HEAD_SIZE, DEFAULT_MAX_HEADERS};
use crate::Instant;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use core::time::Duration;

/// What a server accepts as an opening handshake.
///
/// ```
/// use core::time::Duration;
/// use sockeye::handshake::ServerConfig;
///
/// let mut config = ServerConfig::default();
/// config.timeout = Some(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How long a request head may be, in bytes; 16 KiB. A longer one is answered with 431.
    ///
    /// A head that arrives in pieces is gathered, so this is what a connection can hold of memory before it is open.
    pub max_head_size: usize,
    /// How many header fields a request may have; 100. More are answered with 431.
    pub max_headers: usize,
    /// How long the request may take to arrive; 10 seconds. `None` waits for ever. A slower one is answered with 408.
    pub timeout: Option<Duration>,
    /// Which web pages may open a connection; those of the same host.
    pub origins: OriginPolicy,
    /// Whether and how messages are compressed (permessage-deflate, RFC 7692); `None`, not at all. See
    /// [`deflate`](crate::deflate) for what it costs, and what must not be compressed.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_head_size: DEFAULT_MAX_HEAD_SIZE,
            max_headers: DEFAULT_MAX_HEADERS,
            timeout: Some(DEFAULT_TIMEOUT),
            origins: OriginPolicy::SameHost,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

/// The server's side of an opening handshake: bytes in, a [`Request`] out.
///
/// ```
/// use sockeye::handshake::{Rejection, ServerConfig, ServerHandshake};
///
/// # fn read() -> &'static [u8] {
/// #     b"GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
/// #       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x80...."
/// # }
/// let config = ServerConfig::default();
/// let mut handshake = ServerHandshake::new(&config);
/// let (request, frames) = loop {
///     let mut input = read();
///     if let Some(request) = handshake.receive(&mut input)? {
///         break (request, input); // the client's first frames may be there already
///     }
/// };
/// let mut output = Vec::new();
/// request.upgrade(&config)?.respond().write(&mut output);
/// assert_eq!(frames, b"\x81\x80....");
/// # Ok::<(), Rejection>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    max_headers: usize,
    deadline: Deadline,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Reading(HeadReader),
    Done,
    Failed(RequestError),
}

impl ServerHandshake {
    /// Creates a handshake that waits for its first byte.
    pub fn new(config: &ServerConfig) -> Self {
        Self {
            max_headers: config.max_headers,
            deadline: Deadline::new(config.timeout),
            state: State::Reading(HeadReader::new(StartLine::REQUEST, config.max_head_size)),
        }
    }

    /// Takes bytes off the front of `input` until the request is whole; `None` means that all were taken, read more.
    ///
    /// What is left in `input` afterwards belongs to the connection. After the request nothing is taken any more.
    ///
    /// # Errors
    /// A [`Rejection`] to be written, after which the connection is closed: the bytes are not an HTTP/1.1 request
    /// head, or it exceeds a limit. Every line must end with CR LF, nothing may stand before the first one, and no
    /// line may go on in the next.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Request>, Rejection> {
        let received = match &mut self.state {
            State::Reading(reader) => reader.receive(input, |bytes| parse_request(bytes, self.max_headers)),
            State::Done => return Ok(None),
            State::Failed(error) => return Err(error.clone().into()),
        };
        match received {
            Ok(Some(parsed)) => {
                self.state = State::Done;
                Ok(Some(parsed.head))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Takes note that the client has ended its stream.
    ///
    /// # Errors
    /// A [`Rejection`], unless the request was whole before.
    pub fn receive_eof(&mut self) -> Result<(), Rejection> {
        match &self.state {
            State::Reading(_) => Err(self.fail(HeadError::UnexpectedEof)),
            State::Done => Ok(()),
            State::Failed(error) => Err(error.clone().into()),
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) wants to be called: `None` before its first call,
    /// after the request, and where no timeout is configured.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Reading(_) => self.deadline.poll(),
            State::Done | State::Failed(_) => None,
        }
    }

    /// Tells the time. The first call starts the clock; one before the deadline changes nothing.
    ///
    /// # Errors
    /// A [`Rejection`] with status 408 if the time is over and the request is not whole.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Rejection> {
        match &self.state {
            State::Reading(_) => self.deadline.check(now).map_err(|error| self.fail(error)),
            State::Done => Ok(()),
            State::Failed(error) => Err(error.clone().into()),
        }
    }

    fn fail(&mut self, error: HeadError) -> Rejection {
        let error = RequestError::from(error);
        self.state = State::Failed(error.clone());
        error.into()
    }
}
