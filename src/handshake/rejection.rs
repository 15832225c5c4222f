//! A server's answer that does not open a connection: an HTTP response, after which the connection is closed.

use super::error::{BuildError, HeadError, RequestError};
use super::headers::Headers;
use super::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE, is_one_of};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// An HTTP response that refuses a handshake: write it, then close.
///
/// The library makes one of everything that is wrong with a request, with a body that tells the client what; the
/// application makes its own with any status, header fields and body.
///
/// ```
/// use sockeye::handshake::Rejection;
///
/// let rejection = Rejection::new(401)?
///     .header("WWW-Authenticate", "Bearer")?
///     .body("Log in first.\n");
/// let mut output = Vec::new();
/// rejection.write(&mut output);
/// assert!(output.starts_with(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n"));
/// # Ok::<(), sockeye::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
    cause: Option<RequestError>,
}

impl Rejection {
    /// Creates a rejection with a status, and neither header fields of its own nor a body.
    ///
    /// # Errors
    /// A status outside of 200 to 599: it would end nothing.
    pub fn new(status: u16) -> Result<Self, BuildError> {
        if !(200..=599).contains(&status) {
            return Err(BuildError::Status { status });
        }
        Ok(Self::with_status(status))
    }

    /// Adds a header field.
    ///
    /// # Errors
    /// `Connection`, `Content-Length` or `Transfer-Encoding`, which are written without being asked for, or a header
    /// field that could break the head apart.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, BuildError> {
        if is_one_of(name, &[CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING]) {
            return Err(BuildError::ReservedHeader { name: name.to_owned() });
        }
        self.headers.append(name, value)?;
        Ok(self)
    }

    /// Sets the body. A response with status 204 or 304 cannot have one and is written without it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Appends the response to `output` as HTTP/1.1, `Connection: close` and `Content-Length` included.
    pub fn write(&self, output: &mut Vec<u8>) {
        let reason = reason_phrase(self.status);
        output.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", self.status).as_bytes());
        self.headers.write(output);
        // RFC 9110 §7.8: whoever sends Upgrade names it in Connection, too.
        let connection = if self.headers.contains(UPGRADE) { "Upgrade, close" } else { "close" };
        output.extend_from_slice(format!("{CONNECTION}: {connection}\r\n").as_bytes());
        // RFC 9112 §6.3: these end with their head.
        if matches!(self.status, 204 | 304) {
            output.extend_from_slice(b"\r\n");
        } else {
            output.extend_from_slice(format!("{CONTENT_LENGTH}: {}\r\n\r\n", self.body.len()).as_bytes());
            output.extend_from_slice(&self.body);
        }
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the header fields, without those that are written unasked.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns what is wrong with the request, if the library made the rejection of it.
    pub fn cause(&self) -> Option<&RequestError> {
        self.cause.as_ref()
    }

    pub(crate) fn with_status(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Vec::new(), cause: None }
    }
}

impl From<RequestError> for Rejection {
    /// Answers with the status that fits, and a body that tells the client what is wrong.
    fn from(cause: RequestError) -> Self {
        let status = status_of(&cause);
        let mut rejection = Self::with_status(status);
        match status {
            // RFC 9110 §15.5.6.
            405 => rejection.headers.push("Allow", b"GET"),
            // RFC 9110 §15.5.22 wants Upgrade, §4.4 the version.
            426 => {
                rejection.headers.push(UPGRADE, b"websocket");
                rejection.headers.push(SEC_WEBSOCKET_VERSION, b"13");
            }
            _ => {}
        }
        rejection.headers.push("Content-Type", b"text/plain; charset=utf-8");
        rejection.body = format!("{cause}\n").into_bytes();
        rejection.cause = Some(cause);
        rejection
    }
}

impl From<HeadError> for Rejection {
    fn from(cause: HeadError) -> Self {
        RequestError::from(cause).into()
    }
}

impl From<BuildError> for Rejection {
    /// Answers with 500: the fault is ours, and its details none of the client's business.
    fn from(_: BuildError) -> Self {
        Self::with_status(500)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handshake was answered with status {}", self.status)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Rejection {}

fn status_of(cause: &RequestError) -> u16 {
    match cause {
        RequestError::Head(HeadError::TooLarge { .. } | HeadError::TooManyHeaders { .. }) => 431,
        RequestError::Head(HeadError::HttpVersion) => 505,
        RequestError::Head(HeadError::TimedOut { .. }) => 408,
        RequestError::Method => 405,
        RequestError::NotAnUpgrade | RequestError::UnsupportedVersion => 426,
        RequestError::OriginRefused { .. } => 403,
        RequestError::Head(HeadError::Malformed { .. } | HeadError::UnexpectedEof)
        | RequestError::Target
        | RequestError::Body
        | RequestError::NotWebSocket
        | RequestError::ConnectionLacksUpgrade
        | RequestError::Missing { .. }
        | RequestError::Duplicate { .. }
        | RequestError::Malformed { .. }
        | RequestError::DuplicateSubprotocol
        | RequestError::DeflateRequired => 400,
    }
}

/// Returns the words that go with a status; none for one that is not registered, as RFC 9112 §4 allows.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}
