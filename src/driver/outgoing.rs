//! What can be sent.

use alloc::boxed::Box;

use bytes::Bytes;

use crate::message::{Message, MessageKind, MessageRef};
use crate::outgoing::{OutgoingRef, Uncompressed};
use crate::prepared::PreparedMessage;

/// A message to be sent, lent, owned or prepared: everything that sends takes what can become one.
///
/// A `&str` or `&String` is text, a `&[u8]` or `&Vec<u8>` is binary; both are copied when they are queued. What owns its
/// payload (`String`, `Vec<u8>`, [`Bytes`], [`Message`], [`PreparedMessage`], and references to those that share theirs)
/// is not, if it is large and the transport writes vectored.
///
/// [`Uncompressed`] of any of them is sent as it is where an extension would encode it.
///
/// ```
/// use sockeye::Uncompressed;
/// use sockeye::driver::Outgoing;
///
/// let messages: [Outgoing<'_>; 4] =
///     ["text".into(), b"binary".into(), String::from("text").into(), Uncompressed("a secret").into()];
/// assert_eq!(messages[3].payload(), b"a secret");
/// ```
#[derive(Clone, Debug)]
pub struct Outgoing<'m> {
    body: Body<'m>,
    may_be_encoded: bool,
}

#[derive(Clone, Debug)]
enum Body<'m> {
    /// A message whose payload is the caller's.
    Lent(MessageRef<'m>),
    /// A message that owns its payload.
    Owned(Message),
    /// A message that is prepared for many: ours, or the caller's. Boxed, for a future that sends holds this.
    Prepared(Box<PreparedMessage>),
    PreparedLent(&'m PreparedMessage),
}

/// One of many messages that go to many: what is lent to be written is this.
#[cfg(feature = "pubsub")]
pub(crate) trait Share {
    /// A number that no other message of this program has or had.
    fn number(&self) -> u64;

    /// The message.
    fn prepared(&self) -> &PreparedMessage;

    /// Whether an extension may encode it.
    fn may_be_encoded(&self) -> bool;
}

impl Outgoing<'_> {
    /// Returns the kind of the message.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match &self.body {
            Body::Lent(message) => message.kind(),
            Body::Owned(message) => message.as_ref().kind(),
            Body::Prepared(message) => message.kind(),
            Body::PreparedLent(message) => message.kind(),
        }
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match &self.body {
            Body::Lent(message) => message.payload(),
            Body::Owned(Message::Text(text)) => text.as_bytes(),
            Body::Owned(Message::Binary(bytes)) => bytes,
            Body::Prepared(message) => message.payload(),
            Body::PreparedLent(message) => message.payload(),
        }
    }

    /// Returns whether an extension may encode it.
    #[must_use]
    pub fn may_be_encoded(&self) -> bool {
        self.may_be_encoded
    }

    /// The message, lent; `None` for one that is prepared.
    #[inline]
    pub(super) fn lent(&self) -> Option<OutgoingRef<'_>> {
        let message = match &self.body {
            Body::Lent(message) => *message,
            Body::Owned(message) => message.as_ref(),
            Body::Prepared(_) | Body::PreparedLent(_) => return None,
        };
        let outgoing = OutgoingRef::from(message);
        Some(if self.may_be_encoded { outgoing } else { outgoing.as_it_is() })
    }

    /// Whether the payload can be kept without a copy.
    pub(super) fn is_owned(&self) -> bool {
        !matches!(self.body, Body::Lent(_))
    }

    /// The message that is prepared for many, if it is one.
    pub(super) fn prepared(&self) -> Option<&PreparedMessage> {
        match &self.body {
            Body::Prepared(message) => Some(message),
            Body::PreparedLent(message) => Some(message),
            Body::Lent(_) | Body::Owned(_) => None,
        }
    }

    /// One of those that many share, lent.
    #[cfg(feature = "pubsub")]
    pub(super) fn shared(message: &impl Share) -> Outgoing<'_> {
        Outgoing { body: Body::PreparedLent(message.prepared()), may_be_encoded: message.may_be_encoded() }
    }

    /// The message as one that is prepared for many, and whether an extension may encode it.
    #[cfg(feature = "pubsub")]
    pub(crate) fn into_prepared(self) -> (PreparedMessage, bool) {
        let prepared = match self.body {
            Body::Lent(message) => {
                PreparedMessage::of_checked(message.kind(), Bytes::copy_from_slice(message.payload()))
            }
            Body::Owned(message) => PreparedMessage::of_checked(message.as_ref().kind(), message.into_payload()),
            Body::Prepared(message) => *message,
            Body::PreparedLent(message) => message.clone(),
        };
        (prepared, self.may_be_encoded)
    }

    /// The payload, to be kept: a copy of one that was lent.
    pub(super) fn into_payload(self) -> Bytes {
        match self.body {
            Body::Lent(message) => Bytes::copy_from_slice(message.payload()),
            Body::Owned(message) => message.into_payload(),
            Body::Prepared(message) => message.payload().clone(),
            Body::PreparedLent(message) => message.payload().clone(),
        }
    }
}

impl<'m> From<Body<'m>> for Outgoing<'m> {
    fn from(body: Body<'m>) -> Self {
        Self { body, may_be_encoded: true }
    }
}

impl<'m, M: Into<Outgoing<'m>>> From<Uncompressed<M>> for Outgoing<'m> {
    fn from(message: Uncompressed<M>) -> Self {
        Self { may_be_encoded: false, ..message.0.into() }
    }
}

/// What is lent, and copied when it is queued.
macro_rules! lent {
    ($($of:ty),*) => {
        $(impl<'m> From<&'m $of> for Outgoing<'m> {
            fn from(message: &'m $of) -> Self {
                Body::Lent(message.into()).into()
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
                Body::Owned(message.into()).into()
            }
        })*
    };
}

owned!(alloc::string::String, alloc::vec::Vec<u8>, Bytes, Message);

impl<'m, const N: usize> From<&'m [u8; N]> for Outgoing<'m> {
    fn from(bytes: &'m [u8; N]) -> Self {
        Body::Lent(bytes.into()).into()
    }
}

impl<'m> From<MessageRef<'m>> for Outgoing<'m> {
    fn from(message: MessageRef<'m>) -> Self {
        Body::Lent(message).into()
    }
}

impl From<&Bytes> for Outgoing<'_> {
    fn from(bytes: &Bytes) -> Self {
        Body::Owned(bytes.clone().into()).into()
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

/// Asks for memory; a message that is lent, as it should be to many, does not.
impl From<PreparedMessage> for Outgoing<'_> {
    fn from(message: PreparedMessage) -> Self {
        Body::Prepared(Box::new(message)).into()
    }
}

impl<'m> From<&'m PreparedMessage> for Outgoing<'m> {
    fn from(message: &'m PreparedMessage) -> Self {
        Body::PreparedLent(message).into()
    }
}
