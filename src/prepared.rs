//! Messages encoded once and sent to many (or many times).
//!
//! A server's frames are not masked, so every peer gets the same bytes: the header is made once and the payload is
//! shared. A client masks each frame anew (RFC 6455 §5.3), so for it a prepared message is only a convenience.

use bytes::Bytes;

use crate::frame::{FrameHead, FrameHeader, OpCode, Rsv};
use crate::message::{Message, MessageKind};

/// A message whose frame was encoded once, to be sent any number of times. Cloning shares the payload.
///
/// ```
/// use sockeye::{Config, Connection, PreparedMessage};
///
/// static TICK: PreparedMessage = PreparedMessage::from_static_text("tick");   // encoded at compile time
///
/// let mut servers = [Connection::server(Config::default()), Connection::server(Config::default())];
/// for server in &mut servers {
///     let [head, payload] = server.prepared(&TICK)?;   // write both, vectored: nothing was copied
///     assert_eq!((head, payload), (&[0x81, 4][..], &b"tick"[..]));
/// }
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    pub(crate) head: FrameHead,
    pub(crate) kind: MessageKind,
    pub(crate) payload: Bytes,
}

impl PreparedMessage {
    /// Prepares a message; one that owns its payload is not copied.
    #[must_use]
    pub fn new(message: impl Into<Message>) -> Self {
        let (kind, payload) = match message.into() {
            Message::Text(text) => (MessageKind::Text, Bytes::from(text)),
            Message::Binary(bytes) => (MessageKind::Binary, bytes),
        };
        Self { head: head(kind, payload.len()), kind, payload }
    }

    /// Prepares a text message at compile time.
    #[must_use]
    pub const fn from_static_text(text: &'static str) -> Self {
        let payload = Bytes::from_static(text.as_bytes());
        Self { head: head(MessageKind::Text, text.len()), kind: MessageKind::Text, payload }
    }

    /// Prepares a binary message at compile time.
    #[must_use]
    pub const fn from_static_binary(bytes: &'static [u8]) -> Self {
        let payload = Bytes::from_static(bytes);
        Self { head: head(MessageKind::Binary, bytes.len()), kind: MessageKind::Binary, payload }
    }

    /// Returns the kind of the message.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

/// The head of a server's frame that holds a whole message.
const fn head(kind: MessageKind, len: usize) -> FrameHead {
    let opcode = match kind {
        MessageKind::Text => OpCode::Text,
        MessageKind::Binary => OpCode::Binary,
    };
    FrameHeader { fin: true, rsv: Rsv::NONE, opcode, masking_key: None, payload_len: len as u64 }.encode()
}
