//! Where a message lies that is to be given away, and how it is taken from there.
#![expect(unsafe_code, reason = "text that is split off with its bytes is not to be checked again")]

use bytes::{Buf, Bytes, BytesMut};

use crate::copy;
use crate::message::{Message, MessageKind, MessageRef, SharedMessage};
use crate::text::SharedText;

/// What messages are given away as.
pub(super) trait Given: Sized {
    /// Whether a text can stay where it was read to.
    const KEEPS_TEXT: bool;
    /// Copies one that is lent.
    fn copied(message: MessageRef<'_>) -> Self;
    /// Takes one that was gathered.
    fn gathered(message: Message) -> Self;
    /// Takes one that was split off.
    fn kept(message: SharedMessage) -> Self;
}

impl Given for Message {
    const KEEPS_TEXT: bool = false;

    #[inline]
    fn copied(message: MessageRef<'_>) -> Self {
        message.to_owned()
    }

    fn gathered(message: Message) -> Self {
        message
    }

    fn kept(message: SharedMessage) -> Self {
        message.into()
    }
}

impl Given for SharedMessage {
    const KEEPS_TEXT: bool = true;

    #[inline]
    fn copied(message: MessageRef<'_>) -> Self {
        match message {
            MessageRef::Text(text) => Self::Text(text.into()),
            MessageRef::Binary(bytes) if bytes.len() <= copy::PIECE => Self::Binary(Bytes::copy_from_slice(bytes)),
            MessageRef::Binary(bytes) => Self::Binary(copy::bytes(bytes)),
        }
    }

    fn gathered(message: Message) -> Self {
        message.into()
    }

    fn kept(message: SharedMessage) -> Self {
        message
    }
}

/// Where a message lies.
#[derive(Debug)]
pub(super) enum Place<M> {
    /// In memory of its own.
    Elsewhere(M),
    /// In the input, and its payload stays there.
    Input { kind: MessageKind, at: usize, len: usize },
}

impl<M: Given> Place<M> {
    /// That of a message in an input that lies at this address.
    #[inline]
    pub(super) fn new(message: MessageRef<'_>, origin: usize) -> Self {
        match message {
            MessageRef::Text(text) if M::KEEPS_TEXT && text.len() >= LONG => {
                Self::Input { kind: MessageKind::Text, at: text.as_ptr().addr() - origin, len: text.len() }
            }
            MessageRef::Binary(bytes) if bytes.len() >= LONG => {
                Self::Input { kind: MessageKind::Binary, at: bytes.as_ptr().addr() - origin, len: bytes.len() }
            }
            MessageRef::Text(_) | MessageRef::Binary(_) => Self::Elsewhere(M::copied(message)),
        }
    }

    /// Takes the message from the input, and so many bytes off that.
    ///
    /// It is to be called before anything else is done with the input.
    #[inline]
    pub(super) fn take(self, input: &mut BytesMut, taken: usize) -> M {
        match self {
            Self::Elsewhere(message) => {
                input.advance(taken);
                message
            }
            Self::Input { kind, at, len } => {
                let mut payload = input.split_to(taken);
                payload.advance(at);
                payload.truncate(len);
                let payload = payload.freeze();
                M::kept(match kind {
                    MessageKind::Binary => SharedMessage::Binary(payload),
                    // SAFETY: these are the bytes that `new` was given as a text, and nothing was done with them since.
                    MessageKind::Text => SharedMessage::Text(unsafe { SharedText::from_utf8_unchecked(payload) }),
                })
            }
        }
    }
}

/// From how many bytes on a message is not copied.
const LONG: usize = 16 * 1024;
