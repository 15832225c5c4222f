//! Messages, and the chunks in which they arrive (RFC 6455 §5.4, §5.6).
//!
//! A text message is `&str` or `String`, never bytes: what reaches the application has been checked. A chunk is what
//! one look at the input gave of a message; a message that lies whole in the input is one chunk.

use alloc::string::String;

use bytes::Bytes;

use crate::copy;
use crate::extension::Fin;
use crate::text::SharedText;

/// Whether a message is text or binary (RFC 6455 §5.6).
///
/// ```
/// use sockeye::{Message, MessageKind};
///
/// assert_eq!(Message::from("hi").as_ref().kind(), MessageKind::Text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// A whole message that owns its payload.
///
/// ```
/// use sockeye::{Message, MessageRef};
///
/// let message = Message::from("hello");
/// assert_eq!(message.as_ref(), MessageRef::Text("hello"));
/// assert_eq!(message.as_text(), Some("hello"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Lends the message.
    #[must_use]
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::Text(text),
            Self::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }

    /// Returns the text of a text message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the bytes of a binary message.
    #[must_use]
    pub fn as_binary(&self) -> Option<&[u8]> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            Self::Text(_) => None,
        }
    }

    /// Gives away the text of a text message; a binary one comes back as the error.
    ///
    /// # Errors
    ///
    /// The message itself, if it is binary.
    pub fn into_text(self) -> Result<String, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
        }
    }

    /// Gives away the payload, text as its UTF-8, without a copy.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<alloc::vec::Vec<u8>> for Message {
    fn from(bytes: alloc::vec::Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// A whole message whose payload may lie in memory that it shares with others: a clone copies nothing.
///
/// [`Connection::receive_shared`](crate::Connection::receive_shared) gives it.
///
/// ```
/// use sockeye::{Message, MessageRef, SharedMessage};
///
/// let message = SharedMessage::from(Message::from("hello"));
/// assert_eq!(message.as_ref(), MessageRef::Text("hello"));
/// assert_eq!(message.clone().into_payload(), "hello");
/// assert_eq!(Message::from(message), Message::from("hello"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SharedMessage {
    /// UTF-8 text.
    Text(SharedText),
    /// Bytes.
    Binary(Bytes),
}

impl SharedMessage {
    /// Lends the message.
    #[must_use]
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::Text(text),
            Self::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }

    /// Gives away the payload, text as its UTF-8, without a copy.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Takes the memory of the message.
impl From<Message> for SharedMessage {
    #[inline]
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.into()),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// Copies text, which a [`Message`] has in a `String`.
impl From<SharedMessage> for Message {
    #[inline]
    fn from(message: SharedMessage) -> Self {
        match message {
            SharedMessage::Text(text) => Self::Text(text.into()),
            SharedMessage::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// A whole message, lent.
///
/// What sends by reference takes `impl Into<MessageRef>`: a `&str` is text, a `&[u8]` is binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageRef<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// Returns the kind of the message.
    #[must_use]
    pub fn kind(self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// Returns the payload as it stands in frames, text as its UTF-8.
    #[must_use]
    pub fn payload(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the text of a text message.
    #[must_use]
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the bytes of a binary message.
    #[must_use]
    pub fn as_binary(self) -> Option<&'a [u8]> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            Self::Text(_) => None,
        }
    }

    /// Copies the message into one that owns its payload.
    #[must_use]
    pub fn to_owned(self) -> Message {
        match self {
            Self::Text(text) if text.len() <= copy::PIECE => Message::Text(text.into()),
            Self::Binary(bytes) if bytes.len() <= copy::PIECE => Message::Binary(Bytes::copy_from_slice(bytes)),
            Self::Text(_) | Self::Binary(_) => self.to_owned_in_pieces(),
        }
    }

    /// Copies one that is long. Apart, or what is short would have to save what this uses: eleven instructions for each message.
    #[inline(never)]
    fn to_owned_in_pieces(self) -> Message {
        match self {
            Self::Text(text) => Message::Text(copy::text(text)),
            Self::Binary(bytes) => Message::Binary(copy::bytes(bytes)),
        }
    }

    /// Splits off the first `at` bytes of the payload, fewer where `at` lies inside a character of a text.
    ///
    /// So a long message can be sent in fragments, each of which is text by itself. Where a single character is
    /// longer than `at`, the first part holds it whole.
    ///
    /// ```
    /// use sockeye::MessageRef;
    ///
    /// let (first, rest) = MessageRef::Text("añb").split_at(2);
    /// assert_eq!((first, rest), (MessageRef::Text("a"), MessageRef::Text("ñb")));
    /// ```
    #[must_use]
    pub fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Binary(bytes) => {
                let (first, rest) = bytes.split_at(at.min(bytes.len()));
                (Self::Binary(first), Self::Binary(rest))
            }
            Self::Text(text) => {
                let mut at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                if at == 0 {
                    at = text.chars().next().map_or(0, char::len_utf8);
                }
                let (first, rest) = text.split_at(at);
                (Self::Text(first), Self::Text(rest))
            }
        }
    }
}

impl<'a> From<&'a str> for MessageRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for MessageRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for MessageRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for MessageRef<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a alloc::vec::Vec<u8>> for MessageRef<'a> {
    fn from(bytes: &'a alloc::vec::Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Bytes> for MessageRef<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Message> for MessageRef<'a> {
    fn from(message: &'a Message) -> Self {
        message.as_ref()
    }
}

impl<'a> From<&'a SharedMessage> for MessageRef<'a> {
    fn from(message: &'a SharedMessage) -> Self {
        message.as_ref()
    }
}

/// What has arrived of a message, lent from the input.
///
/// The chunks of a message, one after the other, are its payload. How a message is cut into chunks follows from how
/// its bytes arrived and how its sender fragmented it, and means nothing. A chunk can be empty.
///
/// ```
/// use sockeye::{Config, Connection, Event, MessageRef};
///
/// let mut client = Connection::client(Config::default());
/// let mut input = *b"\x81\x02hi";
/// let event = client.receive(&mut &mut input[..], &mut Vec::new())?;
/// let Some(Event::Data(chunk)) = event else { panic!("{event:?}") };
/// assert!(chunk.is_first() && chunk.is_last());
/// assert_eq!(chunk.whole(), Some(MessageRef::Text("hi")));
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'b> {
    pub(crate) payload: Payload<'b>,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
    pub(crate) frame_remaining: u64,
    /// Payload bytes of the message's frames so far, those still to come included.
    pub(crate) message_len: u64,
    /// Which message it belongs to: how many ended before that on the connection, as far as 16 bits tell. 0 for a whole message,
    /// so that its chunk is the same wherever it stands.
    pub(crate) number: u16,
}

impl<'b> Chunk<'b> {
    /// Returns what the chunk carries.
    #[must_use]
    pub fn payload(&self) -> Payload<'b> {
        self.payload
    }

    /// Returns the kind of the message that the chunk belongs to.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self.payload {
            Payload::Text { .. } => MessageKind::Text,
            Payload::Binary(_) => MessageKind::Binary,
            Payload::Encoded { kind, .. } => kind,
        }
    }

    /// Returns whether the chunk begins its message.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns whether the chunk ends its message.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Whether it ends its message, as an extension is told.
    pub(crate) fn fin(&self) -> Fin {
        if self.is_last { Fin::Last } else { Fin::More }
    }

    /// Returns how many bytes of the current frame are still to come: its sender's promise, not a fact.
    #[must_use]
    pub fn frame_remaining(&self) -> u64 {
        self.frame_remaining
    }

    /// Returns the message, if the chunk is the whole of it and no extension has to decode it first.
    #[must_use]
    pub fn whole(&self) -> Option<MessageRef<'b>> {
        if !(self.is_first && self.is_last) {
            return None;
        }
        match self.payload {
            Payload::Text { completed: None, text } => Some(MessageRef::Text(text)),
            Payload::Binary(bytes) => Some(MessageRef::Binary(bytes)),
            Payload::Text { completed: Some(_), .. } | Payload::Encoded { .. } => None,
        }
    }
}

impl<'b> From<MessageRef<'b>> for Chunk<'b> {
    /// The chunk that is the whole of a message.
    #[inline]
    fn from(message: MessageRef<'b>) -> Self {
        let payload = match message {
            MessageRef::Text(text) => Payload::Text { completed: None, text },
            MessageRef::Binary(bytes) => Payload::Binary(bytes),
        };
        let message_len = message.payload().len() as u64;
        Self { payload, is_first: true, is_last: true, frame_remaining: 0, message_len, number: 0 }
    }
}

/// What a [`Chunk`] carries.
///
/// ```
/// use sockeye::Payload;
///
/// /// How many bytes of a message a chunk has.
/// fn bytes(payload: Payload<'_>) -> usize {
///     match payload {
///         Payload::Text { completed, text } => completed.map_or(0, char::len_utf8) + text.len(),
///         Payload::Binary(bytes) => bytes.len(),
///         Payload::Encoded { .. } => 0,   // not known before it is decoded
///     }
/// }
/// assert_eq!(bytes(Payload::Binary(b"hi")), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'b> {
    /// Text, checked. A character that was cut in two by the last chunk's end comes out in front.
    Text {
        /// The character that the last chunk broke off in, now complete; it stands before `text`.
        completed: Option<char>,
        /// The text that follows.
        text: &'b str,
    },
    /// Bytes.
    Binary(&'b [u8]),
    /// Bytes that an extension has to decode (its reserved bits were set on the message); text in it is not checked. Only
    /// the engine gives it, for [`Assembler::decode`](crate::Assembler::decode): the adapters decode.
    Encoded {
        /// What the message is once decoded.
        kind: MessageKind,
        /// Encoded bytes.
        bytes: &'b [u8],
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_of_a_text_put_together_are_the_text(text: String, at in 0usize..9) {
            let (mut rest, mut joined) = (MessageRef::Text(&text), String::new());
            while !rest.payload().is_empty() {
                let (MessageRef::Text(first), after) = rest.split_at(at) else { unreachable!() };
                prop_assert!(!first.is_empty() && first.len() <= at.max(4));
                joined.push_str(first);
                rest = after;
            }
            prop_assert_eq!(joined, text);
        }
    }
}
