//! The client's side of the opening handshake over HTTP/1.1.

use super::acceptance::Response;
use super::body::{BodyReader, Progress};
use super::client_request::ClientRequest;
use super::deadline::{DEFAULT_TIMEOUT, Deadline};
use super::error::{HeadError, HeadPart, ResponseError};
use super::head::{HeadReader, ResponseHead, StartLine, parse_response};
use super::headers::Headers;
use super::{DEFAULT_MAX_HEAD_SIZE, DEFAULT_MAX_HEADERS};
use crate::Instant;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What a client accepts as an answer to its opening handshake.
///
/// ```
/// use core::time::Duration;
/// use sockeye::handshake::ClientConfig;
///
/// let mut config = ClientConfig::default();
/// config.timeout = Some(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long the response head may be, in bytes, interim responses included; 16 KiB.
    pub max_head_size: usize,
    /// How many header fields a response may have; 100.
    pub max_headers: usize,
    /// How many bytes of the body are kept of an answer that is not 101; 4 KiB. With 0 none are waited for.
    pub max_refusal_body: usize,
    /// How long the answer may take to arrive; 10 seconds. `None` waits for ever.
    pub timeout: Option<Duration>,
    /// Whether and how messages are compressed (permessage-deflate, RFC 7692), unless the request itself says so; `None`,
    /// not at all. See [`deflate`](crate::deflate) for what it costs, and what must not be compressed.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_head_size: DEFAULT_MAX_HEAD_SIZE,
            max_headers: DEFAULT_MAX_HEADERS,
            max_refusal_body: 4 * 1024,
            timeout: Some(DEFAULT_TIMEOUT),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

/// The client's side of an opening handshake: a request to write, bytes in, a checked [`Response`] out.
///
/// ```
/// use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest};
///
/// # fn read() -> &'static [u8] {
/// #     b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
/// #       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x89\x00"
/// # }
/// let request = ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce")?;
/// let mut handshake = ClientHandshake::new(request, &ClientConfig::default());
/// let mut output = Vec::new();
/// handshake.request().write(&mut output);
/// let (response, frames) = loop {
///     let mut input = read();
///     if let Some(response) = handshake.receive(&mut input)? {
///         break (response, input); // the server's first frames may be there already
///     }
/// };
/// assert_eq!(response.subprotocol(), None);
/// assert_eq!(frames, b"\x89\x00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    request: ClientRequest,
    max_headers: usize,
    max_refusal_body: usize,
    deadline: Deadline,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Reading the head of a response.
    Reading(HeadReader),
    /// The answer is not 101: reading its body.
    Refused(Box<(RefusedResponse, BodyReader)>),
    Done,
    Failed(ResponseError),
}

impl ClientHandshake {
    /// Creates a handshake that waits for the answer to `request`; write [`Self::request`] to the server, which is this one and
    /// the offers that the configuration adds.
    pub fn new(request: ClientRequest, config: &ClientConfig) -> Self {
        #[cfg(feature = "deflate")]
        let request = request.or_deflate(config.deflate.as_ref());
        Self {
            request,
            max_headers: config.max_headers,
            max_refusal_body: config.max_refusal_body,
            deadline: Deadline::new(config.timeout),
            state: State::Reading(HeadReader::new(StartLine::STATUS, config.max_head_size)),
        }
    }

    /// Takes bytes off the front of `input` until the answer is whole; `None` means that all were taken, read more.
    ///
    /// What is left in `input` afterwards belongs to the connection. Interim responses (100, 103) are passed over.
    /// After the answer nothing is taken any more.
    ///
    /// # Errors
    /// The connection is to be closed: the server refused ([`ResponseError::Refused`], once the body is whole or
    /// its limit reached), or its answer is wrong, or exceeds a limit.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Response>, ResponseError> {
        loop {
            match &mut self.state {
                State::Reading(reader) => {
                    let parsed = match reader.receive(input, |bytes| parse_response(bytes, self.max_headers)) {
                        Ok(Some(parsed)) => parsed,
                        Ok(None) => return Ok(None),
                        Err(error) => return Err(self.fail(error.into())),
                    };
                    if let Some(response) = self.receive_head(parsed.head, parsed.len)? {
                        return Ok(Some(response));
                    }
                }
                State::Refused(refused) => {
                    let (response, body) = &mut **refused;
                    return match body.receive(input, &mut response.body) {
                        Progress::NeedsMore => Ok(None),
                        Progress::Over => Err(self.fail_refused(BodyIs::AsItCame)),
                        Progress::CutOff => Err(self.fail_refused(BodyIs::Truncated)),
                    };
                }
                State::Done => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// Takes note that the server has ended its stream.
    ///
    /// # Errors
    /// [`ResponseError::Refused`] if a body was being read, [`HeadError::UnexpectedEof`] if a head; none once the
    /// answer was whole.
    pub fn receive_eof(&mut self) -> Result<(), ResponseError> {
        match &self.state {
            State::Reading(_) => Err(self.fail(HeadError::UnexpectedEof.into())),
            State::Refused(refused) if refused.1.ends_with_stream() => Err(self.fail_refused(BodyIs::AsItCame)),
            State::Refused(_) => Err(self.fail_refused(BodyIs::Truncated)),
            State::Done => Ok(()),
            State::Failed(error) => Err(error.clone()),
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) wants to be called: `None` before its first call,
    /// after the answer, and where no timeout is configured.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Reading(_) | State::Refused(_) => self.deadline.poll(),
            State::Done | State::Failed(_) => None,
        }
    }

    /// Tells the time. The first call starts the clock; one before the deadline changes nothing.
    ///
    /// # Errors
    /// [`HeadError::TimedOut`] if the time is over and no answer is there, [`ResponseError::Refused`] if only the
    /// rest of its body is missing.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ResponseError> {
        match &self.state {
            State::Reading(_) => self.deadline.check(now).map_err(|error| self.fail(error.into())),
            State::Refused(_) => self.deadline.check(now).map_err(|_| self.fail_refused(BodyIs::Truncated)),
            State::Done => Ok(()),
            State::Failed(error) => Err(error.clone()),
        }
    }

    /// Returns the request that is to be written.
    pub fn request(&self) -> &ClientRequest {
        &self.request
    }

    /// Acts on a response head that was `len` bytes long.
    fn receive_head(&mut self, head: ResponseHead, len: usize) -> Result<Option<Response>, ResponseError> {
        match head.status {
            0..=99 => Err(self.fail(HeadError::Malformed { part: HeadPart::StartLine }.into())),
            // §4.1 asks for HTTP/1.1, and only that knows what 101 means.
            101 if head.version != 1 => Err(self.fail(HeadError::HttpVersion.into())),
            101 => {
                let response = self.request.verify(head.status, head.headers).map_err(|error| self.fail(error))?;
                self.state = State::Done;
                Ok(Some(response))
            }
            // RFC 9110 §15.2: interim responses may come unasked for.
            100..=199 => {
                if let State::Reading(reader) = &mut self.state {
                    reader.next_response(len);
                }
                Ok(None)
            }
            _ => {
                let body = BodyReader::new(head.status, &head.headers, self.max_refusal_body);
                let response = RefusedResponse::new(head.status, head.reason.into_owned(), head.headers);
                self.state = State::Refused(Box::new((response, body)));
                Ok(None)
            }
        }
    }

    fn fail(&mut self, error: ResponseError) -> ResponseError {
        self.state = State::Failed(error.clone());
        error
    }

    fn fail_refused(&mut self, body: BodyIs) -> ResponseError {
        match core::mem::replace(&mut self.state, State::Done) {
            State::Refused(refused) => {
                let (mut response, _) = *refused;
                response.truncated = matches!(body, BodyIs::Truncated);
                self.fail(ResponseError::Refused(Box::new(response)))
            }
            State::Reading(_) | State::Done | State::Failed(_) => self.fail(HeadError::UnexpectedEof.into()),
        }
    }
}

enum BodyIs {
    AsItCame,
    Truncated,
}

/// A server's answer that does not open a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedResponse {
    /// The status, anything but 101.
    pub status: u16,
    /// The words behind the status; often empty.
    pub reason: String,
    /// The header fields: where to go (`Location`), when to come back (`Retry-After`), how to log in.
    pub headers: Headers,
    /// The body, up to [`ClientConfig::max_refusal_body`]; chunks are joined, compression is left as it is.
    pub body: Vec<u8>,
    /// Whether the body is known or likely to go on behind what was kept.
    pub truncated: bool,
}

impl RefusedResponse {
    pub(super) fn new(status: u16, reason: String, headers: Headers) -> Self {
        Self { status, reason, headers, body: Vec::new(), truncated: false }
    }
}
