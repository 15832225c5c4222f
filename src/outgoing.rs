//! What is to be sent, and whether an extension may encode it.

use crate::message::{MessageKind, MessageRef};

/// A message, or the first piece or the kind of one, that is sent as it is where an extension would encode it.
///
/// Compressed data tells by its length how much of it repeats. Where a message holds a secret and text that an attacker
/// chose, or where the connection keeps its context and one message holds the one and one the other, the attacker finds out
/// the secret byte by byte from the lengths, though all of it is encrypted (CRIME, BREACH; RFC 7692 §8). Send what is secret
/// like this:
///
/// ```
/// use sockeye::{Config, Connection, Uncompressed};
///
/// let mut server = Connection::server(Config::default());
/// let mut output = Vec::new();
/// server.send(Uncompressed("token=7e9d"), &mut output)?;
/// assert_eq!(output, b"\x81\x0atoken=7e9d");
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uncompressed<M>(pub M);

/// A message to be sent, lent, and whether an extension may encode it: what can become a [`MessageRef`] can become this,
/// as can [`Uncompressed`] of it.
///
/// ```
/// use sockeye::{MessageRef, OutgoingRef, Uncompressed};
///
/// let (text, secret) = (OutgoingRef::from("text"), OutgoingRef::from(Uncompressed("text")));
/// assert_eq!(text.message(), secret.message());
/// assert!(text.may_be_encoded() && !secret.may_be_encoded());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingRef<'m> {
    message: MessageRef<'m>,
    may_be_encoded: bool,
}

impl<'m> OutgoingRef<'m> {
    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> MessageRef<'m> {
        self.message
    }

    /// Returns whether an extension may encode it.
    #[must_use]
    pub fn may_be_encoded(&self) -> bool {
        self.may_be_encoded
    }

    /// Splits off the first bytes, as [`MessageRef::split_at`] does.
    #[cfg(feature = "std")]
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        let (first, rest) = self.message.split_at(at);
        (Self { message: first, ..self }, Self { message: rest, ..self })
    }

    /// The same, to be sent as it is.
    #[cfg(feature = "std")]
    pub(crate) fn as_it_is(self) -> Self {
        Self { may_be_encoded: false, ..self }
    }

    /// How many bytes it has.
    #[cfg(feature = "std")]
    pub(crate) fn len(&self) -> usize {
        self.message.payload().len()
    }
}

impl<'m, M: Into<MessageRef<'m>>> From<M> for OutgoingRef<'m> {
    #[inline]
    fn from(message: M) -> Self {
        Self { message: message.into(), may_be_encoded: true }
    }
}

impl<'m, M: Into<MessageRef<'m>>> From<Uncompressed<M>> for OutgoingRef<'m> {
    fn from(message: Uncompressed<M>) -> Self {
        Self { message: message.0.into(), may_be_encoded: false }
    }
}

/// The kind of a message that is to be sent in pieces, and whether an extension may encode it: a [`MessageKind`] can become
/// this, as can [`Uncompressed`] of one.
///
/// ```
/// use sockeye::{MessageKind, OutgoingKind, Uncompressed};
///
/// assert!(OutgoingKind::from(MessageKind::Text).may_be_encoded());
/// assert!(!OutgoingKind::from(Uncompressed(MessageKind::Binary)).may_be_encoded());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingKind {
    kind: MessageKind,
    may_be_encoded: bool,
}

impl OutgoingKind {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns whether an extension may encode the message.
    #[must_use]
    pub fn may_be_encoded(&self) -> bool {
        self.may_be_encoded
    }
}

impl From<MessageKind> for OutgoingKind {
    fn from(kind: MessageKind) -> Self {
        Self { kind, may_be_encoded: true }
    }
}

impl From<Uncompressed<MessageKind>> for OutgoingKind {
    fn from(kind: Uncompressed<MessageKind>) -> Self {
        Self { kind: kind.0, may_be_encoded: false }
    }
}
