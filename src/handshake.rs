//! The opening handshake (RFC 6455 §4): an HTTP request that asks for a WebSocket connection, and its answer.
//!
//! There are two levels. [`ServerHandshake`] and [`ClientHandshake`] take the bytes of HTTP/1.1 heads, in pieces
//! of any size, and hand back what follows them:
//!
//! ```text
//!  client                                                                       server
//!  ClientRequest ── write ──▶ GET /chat HTTP/1.1 ... ──▶ ServerHandshake ──▶ Request
//!                                                                              │ upgrade
//!                                                          Rejection ◀─────────┴─────▶ Acceptance
//!  Response ◀── ClientHandshake ◀── HTTP/1.1 101 ... ◀── write ── Response ◀── respond ──┘
//! ```
//!
//! The level below knows header fields only: a framework that has parsed the request itself makes a [`Request`] of
//! it, and takes the header fields of the [`Response`]; a client has [`ClientRequest::verify`].
//!
//! Whatever a peer sends is checked to the letter. What the application supplies cannot break the head apart: CR, LF
//! and NUL are refused everywhere, by a [`BuildError`].

mod acceptance;
mod authority;
mod body;
mod client;
mod client_request;
mod deadline;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod extension;
mod fields;
mod head;
mod headers;
mod key;
mod lines;
mod origin;
mod rejection;
mod request;
mod server;
mod token;

pub use self::acceptance::{Acceptance, Response};
pub use self::client::{ClientConfig, ClientHandshake, RefusedResponse};
pub use self::client_request::ClientRequest;
pub use self::error::{
    BuildError, HeadError, HeadPart, InvalidDeflate, InvalidExtensions, InvalidHeader, InvalidOriginPattern,
    RequestError, ResponseError,
};
pub use self::extension::{Extension, ExtensionRef, Extensions};
#[cfg(feature = "client")]
pub(crate) use self::head::{HeadReader, StartLine, parse_response};
pub use self::headers::{Headers, Values};
pub use self::key::{AcceptKey, accept_key};
pub use self::origin::{OriginPattern, OriginPolicy};
pub use self::rejection::Rejection;
pub use self::request::Request;
pub use self::server::{ServerConfig, ServerHandshake};

/// Says whether a header field's name is one of those, without regard to case.
fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn starts_with_ignore_case(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

const CONNECTION: &str = "Connection";
const CONTENT_LENGTH: &str = "Content-Length";
const HOST: &str = "Host";
const ORIGIN: &str = "Origin";
const SEC_WEBSOCKET_ACCEPT: &str = "Sec-WebSocket-Accept";
const SEC_WEBSOCKET_EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const SEC_WEBSOCKET_KEY: &str = "Sec-WebSocket-Key";
const SEC_WEBSOCKET_PREFIX: &str = "Sec-WebSocket-";
const SEC_WEBSOCKET_PROTOCOL: &str = "Sec-WebSocket-Protocol";
const SEC_WEBSOCKET_VERSION: &str = "Sec-WebSocket-Version";
const TRANSFER_ENCODING: &str = "Transfer-Encoding";
const UPGRADE: &str = "Upgrade";

/// Enough for a browser's request with its cookies; what other servers allow.
const DEFAULT_MAX_HEAD_SIZE: usize = 16 * 1024;
const DEFAULT_MAX_HEADERS: usize = 100;
