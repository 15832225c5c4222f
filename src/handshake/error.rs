//! What can be wrong with an opening handshake, by whose fault it is.
//!
//! [`RequestError`] is the client's, seen by a server; [`ResponseError`] is the server's, seen by a client;
//! [`BuildError`] is our own: what the application asked to send cannot be sent. [`HeadError`] is the part that
//! both peers can get wrong, the bytes of an HTTP head.

use super::client::RefusedResponse;
use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;
use thiserror::Error;

/// Why the head of a request or response could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The head is longer than the configured limit.
    #[error("the head is longer than {max} bytes")]
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// The head has more header fields than the configured limit.
    #[error("the head has more than {max} header fields")]
    TooManyHeaders {
        /// The limit.
        max: usize,
    },
    /// The bytes are not an HTTP/1.1 head.
    #[error("the head is not HTTP/1.1: malformed {part}")]
    Malformed {
        /// What did not parse.
        part: HeadPart,
    },
    /// The head is of another HTTP version; a handshake needs 1.1 (§4.1, §4.2.1).
    #[error("the HTTP version is not 1.1")]
    HttpVersion,
    /// The peer ended the stream before its head was whole.
    #[error("the stream ended before the head was whole")]
    UnexpectedEof,
    /// The head was not whole when the time configured for the handshake was over.
    #[error("the handshake took longer than {timeout:?}")]
    TimedOut {
        /// The time it was given.
        timeout: Duration,
    },
}

/// A part of an HTTP head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadPart {
    /// The request line or status line.
    StartLine,
    /// A header field's name; a continuation line (obs-fold) is reported so, too.
    HeaderName,
    /// A header field's value.
    HeaderValue,
    /// A CR or LF that stands alone.
    LineEnding,
    /// A control character, which no part may contain.
    ControlCharacter,
}

impl core::fmt::Display for HeadPart {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::StartLine => "start line",
            Self::HeaderName => "header field name",
            Self::HeaderValue => "header field value",
            Self::LineEnding => "line ending",
            Self::ControlCharacter => "control character",
        })
    }
}

/// What is wrong with a client's opening handshake (§4.2.1).
///
/// A [`Rejection`](super::Rejection) is made of it, with the status that fits and the text as its body.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The head could not be read. Status 400; 408, 431 or 505 where that fits better.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The method is not GET. Status 405.
    #[error("the method of a WebSocket handshake is GET")]
    Method,
    /// The request target is neither a path nor an absolute `http` or `https` URI, or has a fragment. Status 400.
    #[error("the request target is neither a path nor an absolute http URI")]
    Target,
    /// The request announces a body. Status 400.
    #[error("a WebSocket handshake has no body")]
    Body,
    /// A plain HTTP request: there is no `Upgrade` header field. Status 426.
    #[error("this resource speaks WebSocket only: the request has no Upgrade header field")]
    NotAnUpgrade,
    /// `Upgrade` does not list `websocket`. Status 400.
    #[error("the Upgrade header field does not list websocket")]
    NotWebSocket,
    /// `Connection` does not list `Upgrade`. Status 400.
    #[error("the Connection header field does not list Upgrade")]
    ConnectionLacksUpgrade,
    /// `Sec-WebSocket-Version` is missing or another than 13. Status 426.
    #[error("the Sec-WebSocket-Version is not 13, the only version spoken here")]
    UnsupportedVersion,
    /// A header field that must be there is not. Status 400.
    #[error("the {header} header field is missing")]
    Missing {
        /// The name of the header field.
        header: &'static str,
    },
    /// A header field that may be there only once stands there more often. Status 400.
    #[error("the {header} header field is there more than once")]
    Duplicate {
        /// The name of the header field.
        header: &'static str,
    },
    /// A header field's value is not what its grammar says. Status 400.
    #[error("the {header} header field is malformed")]
    Malformed {
        /// The name of the header field.
        header: &'static str,
    },
    /// A subprotocol is offered twice (§4.1 wants them unique). Status 400.
    #[error("a subprotocol is offered more than once")]
    DuplicateSubprotocol,
    /// The page that opens the connection comes from an origin that the server's policy refuses (§10.2). Status 403.
    #[error(
        "the origin {origin:?} is not allowed here; a server that wants it lists it in ServerConfig::origins \
         (OriginPolicy::AllowList, or OriginPolicy::Any for all)"
    )]
    OriginRefused {
        /// The `Origin` header field as the client sent it.
        origin: String,
    },
    /// Messages are to be compressed here, and the client offers no permessage-deflate that can be accepted (RFC 7692).
    /// Status 400.
    #[error("this resource demands permessage-deflate, and no acceptable offer of it was made")]
    DeflateRequired,
}

/// What is wrong with a server's opening handshake (§4.1, the second list).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head could not be read.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The server answered with another status than 101: no WebSocket here, or not for us, or elsewhere.
    #[error("the server refused the WebSocket handshake with status {}", .0.status)]
    Refused(Box<RefusedResponse>),
    /// `Upgrade` is not `websocket`.
    #[error("the Upgrade header field is not websocket")]
    NotWebSocket,
    /// `Connection` does not list `Upgrade`.
    #[error("the Connection header field does not list Upgrade")]
    ConnectionLacksUpgrade,
    /// `Sec-WebSocket-Accept` does not answer the key that was sent: the server has not read it, or it is a cache.
    #[error("the Sec-WebSocket-Accept header field does not answer our key")]
    AcceptMismatch,
    /// The server chose a subprotocol that was not offered.
    #[error("the server chose the subprotocol {subprotocol:?}, which was not offered")]
    UnofferedSubprotocol {
        /// What it chose.
        subprotocol: String,
    },
    /// The server uses an extension that was not offered.
    #[error("the server uses the extension {name:?}, which was not offered")]
    UnofferedExtension {
        /// The extension's name.
        name: String,
    },
    /// The server uses an extension twice.
    #[error("the server uses the extension {name:?} more than once")]
    DuplicateExtension {
        /// The extension's name.
        name: String,
    },
    /// A header field that must be there is not.
    #[error("the {header} header field is missing")]
    Missing {
        /// The name of the header field.
        header: &'static str,
    },
    /// A header field that may be there only once stands there more often.
    #[error("the {header} header field is there more than once")]
    Duplicate {
        /// The name of the header field.
        header: &'static str,
    },
    /// A header field's value is not what its grammar says.
    #[error("the {header} header field is malformed")]
    Malformed {
        /// The name of the header field.
        header: &'static str,
    },
    /// The server's answer about permessage-deflate is wrong, or is none where one is demanded (RFC 7692 §7.1).
    #[error(transparent)]
    Deflate(#[from] InvalidDeflate),
}

/// What is wrong with a server's answer to an offer of permessage-deflate (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidDeflate {
    /// It is another extension.
    #[error("the extension is not permessage-deflate")]
    Name,
    /// A parameter that there is not.
    #[error("permessage-deflate has no such parameter")]
    UnknownParameter,
    /// A parameter that stands there twice.
    #[error("a parameter of permessage-deflate is there more than once")]
    DuplicateParameter,
    /// A parameter with a value that it cannot have, or without one that it must have.
    #[error("a parameter of permessage-deflate has a wrong value")]
    Value,
    /// A parameter, or a value of one, that does not answer the offer: a larger window than was offered, or
    /// no `server_no_context_takeover` where that was demanded.
    #[error("the answer does not keep to what was offered of permessage-deflate")]
    NotOffered,
    /// There is no compression, and we insist on it.
    #[error("the peer does not use permessage-deflate as demanded here")]
    Required,
}

/// Why a request, response or rejection cannot be built as the application asks.
///
/// ```
/// use sockeye::handshake::{BuildError, ClientRequest};
///
/// assert!(matches!(ClientRequest::new("example.com", "no slash"), Err(BuildError::Target { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A header field that could break the head apart.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// A header field that the handshake writes itself.
    #[error("the {name} header field is written by the handshake itself")]
    ReservedHeader {
        /// The name of the header field.
        name: String,
    },
    /// Not a host with an optional port.
    #[error("{authority:?} is not a host with an optional port")]
    Authority {
        /// What was given.
        authority: String,
    },
    /// Not a path with an optional query: it starts with `/`, has no fragment, and is visible ASCII throughout.
    #[error("{target:?} is not a path with an optional query")]
    Target {
        /// What was given.
        target: String,
    },
    /// Not an origin: a scheme, a host and an optional port, or `null`.
    #[error("{origin:?} is not an origin")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// A subprotocol that is not a token.
    #[error("the subprotocol {subprotocol:?} is not a token")]
    Subprotocol {
        /// What was given.
        subprotocol: String,
    },
    /// A subprotocol offered twice.
    #[error("the subprotocol {subprotocol:?} is offered already")]
    DuplicateSubprotocol {
        /// What was given.
        subprotocol: String,
    },
    /// A subprotocol chosen that the client did not offer.
    #[error("the client does not offer the subprotocol {subprotocol:?}")]
    SubprotocolNotOffered {
        /// What was given.
        subprotocol: String,
    },
    /// An extension's name or parameter that is not a token.
    #[error("{text:?} is not a token, as an extension's names and values must be")]
    Extension {
        /// What was given.
        text: String,
    },
    /// An extension used that the client did not offer.
    #[error("the client does not offer the extension {name:?}")]
    ExtensionNotOffered {
        /// The extension's name.
        name: String,
    },
    /// An extension used twice.
    #[error("the extension {name:?} is used already")]
    DuplicateExtension {
        /// The extension's name.
        name: String,
    },
    /// A status that cannot reject a handshake: it must be 200 to 599.
    #[error("the status {status} cannot reject a handshake")]
    Status {
        /// What was given.
        status: u16,
    },
}

/// A header field that could break the head apart.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not a token.
    #[error("{name:?} is not a header field name")]
    Name {
        /// What was given.
        name: String,
    },
    /// The value has a control character in it. The value itself is not kept: it may be a secret.
    #[error("the value given for the header field {name:?} has a control character in it")]
    Value {
        /// The name of the header field.
        name: String,
    },
}

/// A `Sec-WebSocket-Extensions` header field that does not follow the grammar of §9.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Error)]
#[error("the Sec-WebSocket-Extensions header field is malformed")]
#[non_exhaustive]
pub struct InvalidExtensions;

/// An origin pattern that cannot be read; see [`OriginPattern`](super::OriginPattern) for the forms there are.
///
/// ```
/// use sockeye::handshake::OriginPolicy;
///
/// assert!(OriginPolicy::allow_list(["example.com"]).is_err());   // no scheme
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{pattern:?} is not an origin pattern")]
#[non_exhaustive]
pub struct InvalidOriginPattern {
    /// What was given.
    pub pattern: String,
}
