//! The hook for extensions (RFC 6455 §9, §5.8).
//!
//! An extension owns reserved bits and turns the payload of a message into another one: permessage-deflate owns RSV1
//! and compresses. Each direction is an object of its own, because the two directions can live in different
//! threads: an [`Encoder`] goes to the [`Sender`](crate::Sender), a [`Decoder`] to the
//! [`Assembler`](crate::Assembler), and the bits to the [`Receiver`](crate::Receiver). Who wants two extensions at once
//! composes them into one pair.

use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::close::CloseCode;
use crate::message::MessageKind;

/// Turns the payload of messages that we send into what goes on the wire.
///
/// Give it to [`Connection::extend`](crate::Connection::extend). An encoder that marks messages with RSV1 and turns
/// their bytes around:
///
/// ```
/// use sockeye::{Config, Connection, Decoded, Decoder, Encoder, ExtensionError, Fin, MessageRef, Received, Rsv};
///
/// struct Invert;
///
/// impl Encoder for Invert {
///     fn encode(&mut self, piece: &[u8], _: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
///         output.extend(piece.iter().map(|byte| !byte));
///         Ok(())
///     }
/// }
///
/// #[derive(Default)]
/// struct Revert(Vec<u8>);
///
/// impl Decoder for Revert {
///     fn decode(&mut self, input: &mut &[u8], _: Fin, room: usize) -> Result<Decoded<'_>, ExtensionError> {
///         let (now, later) = input.split_at(room.min(input.len()));
///         *input = later;
///         self.0 = now.iter().map(|byte| !byte).collect();
///         Ok(if later.is_empty() { Decoded::All(&self.0) } else { Decoded::More(&self.0) })
///     }
/// }
///
/// let mut server = Connection::server(Config::default());
/// server.extend(Rsv::RSV1, Box::new(Invert));
/// let mut wire = Vec::new();
/// server.send_text("Hi", &mut wire)?;
/// assert_eq!(wire, [0b1100_0001, 2, !b'H', !b'i']);
///
/// let mut client = Connection::client(Config::default());
/// client.extend(Rsv::RSV1, Box::new(Invert));
/// let mut assembler = client.assembler();
/// assembler.extend(Box::new(Revert::default()));
/// let (mut input, mut output) = (&mut wire[..], Vec::new());
/// let received = client.receive_message(&mut input, &mut assembler, &mut output)?;
/// assert_eq!(received, Some(Received::Message(MessageRef::Text("Hi"))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Encoder: Send + Sync {
    /// Says whether a message that begins now is to be encoded; `len` is its length in bytes where known.
    ///
    /// A message that is not is sent as it is, with its reserved bits clear. By default every message is encoded.
    fn wants(&mut self, kind: MessageKind, len: Option<usize>) -> bool {
        let _ = (kind, len);
        true
    }

    /// Encodes one piece of a message and appends what it gives, possibly nothing, to `output`.
    ///
    /// With [`Fin::Last`] the piece ends its message and everything held back must come out.
    ///
    /// # Errors
    ///
    /// What the extension cannot encode; the message is not sent.
    fn encode(&mut self, piece: &[u8], fin: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError>;

    /// Encodes a whole message and appends what it gives to `output`, as [`Self::encode`] does with [`Fin::Last`], which this is
    /// by default; or returns `false`, if the message had better be sent as it is.
    ///
    /// Then what was appended counts for nothing, the reserved bits stay clear, and the peer's decoder never sees the message.
    ///
    /// # Errors
    ///
    /// As [`Self::encode`].
    fn encode_whole(&mut self, message: &[u8], output: &mut Vec<u8>) -> Result<bool, ExtensionError> {
        self.encode(message, Fin::Last, output)?;
        Ok(true)
    }

    /// Appends everything that is held back of the message so far to `output`, though it goes on. By default nothing is.
    ///
    /// # Errors
    ///
    /// As [`Self::encode`].
    fn flush(&mut self, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        let _ = output;
        Ok(())
    }

    /// Names the way in which messages are encoded, if that does not depend on the messages before: then a
    /// [`PreparedMessage`](crate::PreparedMessage) is encoded once for all connections that encode in the same way. By
    /// default it does.
    fn variant(&self) -> Option<Variant> {
        None
    }
}

/// A way of encoding that gives the same for the same message, whatever came before.
///
/// ```
/// use sockeye::Variant;
///
/// let variant = Variant { extension: "permessage-deflate", number: 6 };
/// assert_ne!(variant, Variant { number: 9, ..variant });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The name of the extension.
    pub extension: &'static str,
    /// A number of the extension's own for its parameters.
    pub number: u32,
}

/// Turns what came over the wire back into the payload of a message, in bounded steps.
///
/// See [`Encoder`] for an example.
pub trait Decoder: Send + Sync {
    /// Decodes from the front of `input`, advances it over what was taken, and lends what that gives, at most `room` bytes.
    ///
    /// `fin` says whether `input` ends its message. [`Decoded::More`] asks to be called again, with new room, before
    /// any further input is given: so a small input that decodes into a large payload never holds more than one step.
    ///
    /// # Errors
    ///
    /// What the extension cannot decode; the connection is failed with [`ExtensionError::close_code`].
    fn decode(&mut self, input: &mut &[u8], fin: Fin, room: usize) -> Result<Decoded<'_>, ExtensionError>;

    /// Says that what was lent is not in use any more: the memory that is only needed within a message can be given back, if
    /// the message is over. By default nothing is.
    fn release(&mut self) {}
}

/// What a [`Decoder`] gave, lent from there until it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'d> {
    /// All input was taken, and this is the rest of what it decodes to.
    All(&'d [u8]),
    /// More output is waiting for room.
    More(&'d [u8]),
}

/// Whether a fragment is the last of its message (the FIN bit, RFC 6455 §5.2).
///
/// ```
/// use sockeye::{Config, Connection, Fin};
///
/// let mut output = Vec::new();
/// let mut server = Connection::server(Config::default());
/// server.send_fragment("he", Fin::More, &mut output)?;
/// server.send_fragment("llo", Fin::Last, &mut output)?;
/// assert_eq!(output, b"\x01\x02he\x80\x03llo");
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fin {
    /// More of the message follows.
    More,
    /// The message ends here.
    Last,
}

/// What an extension could not do, in words of its own.
///
/// ```
/// use sockeye::{CloseCode, ExtensionError};
///
/// let error = ExtensionError::new("corrupt deflate stream", CloseCode::INVALID_PAYLOAD);
/// assert_eq!(error.to_string(), "corrupt deflate stream");
/// ```
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{what}")]
pub struct ExtensionError {
    what: &'static str,
    close_code: CloseCode,
}

impl ExtensionError {
    /// Creates an error from what went wrong and the code that is to tell the peer.
    #[must_use]
    pub const fn new(what: &'static str, close_code: CloseCode) -> Self {
        Self { what, close_code }
    }

    /// Returns the status code that tells the peer.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        self.close_code
    }
}

impl fmt::Debug for dyn Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}

impl fmt::Debug for dyn Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}
