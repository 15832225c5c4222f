//! What is kept of the opening handshake for as long as the connection lives.

use alloc::boxed::Box;

#[cfg(feature = "deflate")]
use crate::deflate::Agreement;
use crate::handshake::Response;

/// What is kept of the opening handshake.
#[derive(Debug, Default)]
pub(super) struct Negotiated {
    pub(super) subprotocol: Option<Box<str>>,
    /// The server's answer, as a client got it.
    pub(super) response: Option<Box<Response>>,
    /// What was agreed on about compression, as a server keeps it; a client has it in the response.
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<Agreement>,
}

impl Negotiated {
    /// Whether there is anything to keep.
    pub(super) fn is_something(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() {
            return true;
        }
        self.subprotocol.is_some() || self.response.is_some()
    }

    #[cfg(feature = "deflate")]
    pub(super) fn deflate(&self) -> Option<&Agreement> {
        self.deflate.as_ref().or_else(|| self.response.as_ref()?.deflate())
    }
}
