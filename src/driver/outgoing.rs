//! What can be sent.

use bytes::Bytes;

use crate::message::{Message, MessageKind, MessageRef};
use crate::prepared::PreparedMessage;

/// A message to be sent, lent, owned or prepared: everything that sends takes what can become one.
///
/// A `&str` or `&String` is text, a `&[u8]` or `&Vec<u8>` is binary; both are copied when they are queued. What owns its
/// payload (`String`, `Vec<u8>`, [`Bytes`], [`Message`], [`PreparedMessage`], and references to those that share theirs)
/// is not, if it is large and the transport writes vectored.
///
/// ```
/// use sockeye::driver::Outgoing;
///
/// let messages: [Outgoing<'_>; 3] = ["text".into(), b"binary".into(), String::from("text").into()];
/// assert!(matches!(messages[0], Outgoing::Lent(_)));
/// assert!(matches!(messages[2], Outgoing::Owned(_)));
/// ```
#[derive(Clone, Debug)]
pub enum Outgoing<'m> {
    /// A message whose payload is the caller's.
    Lent(MessageRef<'m>),
    /// A message that owns its payload.
    Owned(Message),
    /// A message whose frame is encoded already.
    Prepared(PreparedMessage),
}

impl Outgoing<'_> {
    /// The kind of the message.
    pub(super) fn kind(&self) -> MessageKind {
        match self {
            Self::Lent(message) => message.kind(),
            Self::Owned(message) => message.as_ref().kind(),
            Self::Prepared(message) => message.kind(),
        }
    }

    /// The payload, lent.
    pub(super) fn payload(&self) -> &[u8] {
        match self {
            Self::Lent(message) => message.payload(),
            Self::Owned(Message::Text(text)) => text.as_bytes(),
            Self::Owned(Message::Binary(bytes)) => bytes,
            Self::Prepared(message) => message.payload(),
        }
    }

    /// Whether the payload can be kept without a copy.
    pub(super) fn is_owned(&self) -> bool {
        !matches!(self, Self::Lent(_))
    }

    /// The payload, to be kept: a copy of one that was lent.
    pub(super) fn into_payload(self) -> Bytes {
        match self {
            Self::Lent(message) => Bytes::copy_from_slice(message.payload()),
            Self::Owned(message) => message.into_payload(),
            Self::Prepared(message) => message.payload().clone(),
        }
    }
}

/// What is lent, and copied when it is queued.
macro_rules! lent {
    ($($of:ty),*) => {
        $(impl<'m> From<&'m $of> for Outgoing<'m> {
            fn from(message: &'m $of) -> Self {
                Self::Lent(message.into())
            }
        })*
    };
}

lent!(str, alloc::string::String, [u8], alloc::vec::Vec<u8>);

/// What owns its payload.
macro_rules! owned {
    ($($of:ty),*) => {
        $(impl From<$of> for Outgoing<'_> {
            fn from(message: $of) -> Self {
                Self::Owned(message.into())
            }
        })*
    };
}

owned!(alloc::string::String, alloc::vec::Vec<u8>, Bytes, Message);

impl<'m, const N: usize> From<&'m [u8; N]> for Outgoing<'m> {
    fn from(bytes: &'m [u8; N]) -> Self {
        Self::Lent(bytes.into())
    }
}

impl<'m> From<MessageRef<'m>> for Outgoing<'m> {
    fn from(message: MessageRef<'m>) -> Self {
        Self::Lent(message)
    }
}

impl From<&Bytes> for Outgoing<'_> {
    fn from(bytes: &Bytes) -> Self {
        Self::Owned(bytes.clone().into())
    }
}

impl<'m> From<&'m Message> for Outgoing<'m> {
    fn from(message: &'m Message) -> Self {
        match message {
            Message::Text(text) => text.into(),
            Message::Binary(bytes) => bytes.into(),
        }
    }
}

impl From<PreparedMessage> for Outgoing<'_> {
    fn from(message: PreparedMessage) -> Self {
        Self::Prepared(message)
    }
}

impl From<&PreparedMessage> for Outgoing<'_> {
    fn from(message: &PreparedMessage) -> Self {
        Self::Prepared(message.clone())
    }
}
