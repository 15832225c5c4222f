//! What can go wrong, by whose fault it is.
//!
//! [`ProtocolError`] is the peer's doing: the connection is failed (RFC 6455 §7.1.7) and the peer is told why by
//! the close code of [`ProtocolError::close_code`], the one place where errors map to codes. [`SendError`] is the
//! caller's doing: nothing was written and the connection is as it was. A normal closure is neither.

use thiserror::Error;

use crate::close::CloseCode;
use crate::extension::ExtensionError;
use crate::utf8::InvalidUtf8;

/// What the peer did that RFC 6455, or a limit of ours, forbids. The connection is failed.
///
/// ```
/// use sockeye::{CloseCode, ProtocolError};
///
/// assert_eq!(ProtocolError::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
/// assert_eq!(ProtocolError::Unmasked.close_code(), CloseCode::PROTOCOL_ERROR);
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no negotiated extension owns here (§5.2).
    #[error("reserved bit set that no extension owns")]
    ReservedBits,
    /// The opcode has no meaning (§5.2).
    #[error("reserved opcode {0:#x}")]
    ReservedOpCode(u8),
    /// A control frame without FIN (§5.5).
    #[error("fragmented control frame")]
    FragmentedControl,
    /// A control frame that claims more than 125 bytes (§5.5).
    #[error("control frame of more than 125 bytes")]
    ControlTooLong,
    /// A frame to a server that is not masked (§5.1).
    #[error("frame from a client is not masked")]
    Unmasked,
    /// A frame to a client that is masked (§5.1).
    #[error("frame from a server is masked")]
    Masked,
    /// A length in a longer form than it needs (§5.2).
    #[error("payload length not in its shortest form")]
    NonMinimalLength,
    /// A 64-bit length with its highest bit set (§5.2).
    #[error("payload length of more than 63 bits")]
    LengthOverflow,
    /// A continuation frame where no message is open (§5.4).
    #[error("continuation of no message")]
    UnexpectedContinuation,
    /// A new message before the open one ended (§5.4).
    #[error("new message inside a fragmented one")]
    ExpectedContinuation,
    /// Text that is not UTF-8, or a close reason that is not (§8.1).
    #[error("text is not valid UTF-8")]
    InvalidUtf8,
    /// A Close frame with a body of one byte (§5.5.1).
    #[error("close frame with half a status code")]
    TruncatedCloseCode,
    /// A Close frame whose status code must not be sent (§7.4).
    #[error("close frame with status code {0}")]
    InvalidCloseCode(u16),
    /// A frame longer than [`Config::max_frame_size`](crate::Config::max_frame_size).
    #[error("frame of {len} bytes, the limit is {max}")]
    FrameTooBig {
        /// Payload length that the frame's header announces, in bytes.
        len: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// A message longer than [`Config::max_message_size`](crate::Config::max_message_size).
    #[error("message of at least {len} bytes, the limit is {max}")]
    MessageTooBig {
        /// Bytes that the message has at least.
        len: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// A message in more frames than [`Config::max_fragments`](crate::Config::max_fragments).
    #[error("message in more than {max} fragments")]
    TooManyFragments {
        /// The limit.
        max: u32,
    },
    /// An extension could not decode what it was given.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
}

impl ProtocolError {
    /// Returns the status code that tells the peer what it did (RFC 6455 §7.4.1).
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpCode(_)
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::Unmasked
            | Self::Masked
            | Self::NonMinimalLength
            | Self::LengthOverflow
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => {
                CloseCode::MESSAGE_TOO_BIG
            }
            Self::Extension(error) => error.close_code(),
        }
    }
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

/// What the caller asked for and cannot have. Nothing was written; the connection is as it was.
///
/// ```
/// use sockeye::{Close, Config, Connection, SendError};
///
/// let (mut server, mut output) = (Connection::server(Config::default()), Vec::new());
/// server.close(Close::normal(), &mut output)?;
/// assert_eq!(server.send_text("too late", &mut output), Err(SendError::Closed));
/// # Ok::<(), SendError>(())
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Our Close was sent, or the connection ended: nothing more may follow (§5.5.1).
    #[error("the connection is closing or closed")]
    Closed,
    /// A ping or pong payload of more than 125 bytes (§5.5).
    #[error("control payload of {len} bytes, at most 125 fit")]
    ControlTooLong {
        /// Length of what was to be sent, in bytes.
        len: usize,
    },
    /// A whole message while a fragmented one is open; end that first (§5.4).
    #[error("a fragmented message is open")]
    MessageOpen,
    /// A fragment of the other kind than the message it would continue (§5.4).
    #[error("fragment of another kind than its message")]
    FragmentKind,
    /// A fragment as [`Uncompressed`](crate::Uncompressed), of a message that is compressed: its first fragment decides.
    #[error("fragment that must not be compressed, of a message that is")]
    FragmentCompressed,
    /// A status code that must not be sent (§7.4).
    #[error("status code {0} must not be sent")]
    CloseCode(u16),
    /// A close reason of more than 123 bytes (§5.5.1).
    #[error("close reason of {len} bytes, at most 123 fit")]
    ReasonTooLong {
        /// Length of the reason, in bytes.
        len: usize,
    },
    /// A client must mask, so it needs the payload as `&mut` (§5.3).
    #[error("a client cannot send a payload that it may not mask in place")]
    MaskRequired,
    /// An extension could not encode the message.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
}
