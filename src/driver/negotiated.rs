//! What is kept of the opening handshake for as long as the connection lives.

use alloc::boxed::Box;

use crate::handshake::Response;

/// What is kept of the opening handshake.
#[derive(Debug, Default)]
pub(super) struct Negotiated {
    pub(super) subprotocol: Option<Box<str>>,
    /// The server's answer, as a client got it.
    pub(super) response: Option<Response>,
}
