//! What a connection reports, and what it owes for it.

use alloc::string::ToString;

use crate::close::Close;
use crate::control::ControlPayload;
use crate::error::ProtocolError;
use crate::message::{Chunk, MessageRef};

/// Something that the peer sent, at the level of chunks.
///
/// ```
/// use sockeye::{Config, Connection, Event, Payload};
///
/// let mut client = Connection::client(Config::default());
/// let mut input = *b"\x82\x02hi";   // a binary message in one frame, from a server
/// let event = client.receive(&mut &mut input[..], &mut Vec::new())?;
/// assert!(matches!(event, Some(Event::Data(chunk)) if chunk.payload() == Payload::Binary(b"hi")));
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A piece of a message, or a whole one, lent from the input.
    Data(Chunk<'b>),
    /// A ping. The connection answers it by itself; a [`Receiver`](crate::Receiver) on its own leaves that to its owner.
    Ping(ControlPayload),
    /// A pong, asked for or not.
    Pong(ControlPayload),
    /// The peer's Close. Nothing more will be received.
    Close(Close),
}

impl Event<'_> {
    /// Returns the frame that we owe the peer for this event, if any: the pong for a ping, the Close for a Close.
    ///
    /// For a connection that was split: give it to [`Sender::reply`](crate::Sender::reply).
    #[must_use]
    pub fn reply(&self) -> Option<Reply> {
        match self {
            Self::Data(_) | Self::Pong(_) => None,
            Self::Ping(payload) => Some(Reply::Pong(*payload)),
            // §5.5.1: the endpoint typically echoes the status code.
            Self::Close(close) => Some(Reply::Close(Close::bare(close.code()))),
        }
    }
}

/// Something that the peer sent, at the level of messages.
///
/// ```
/// use sockeye::{Config, Connection, MessageRef, Received};
///
/// let mut client = Connection::client(Config::default());
/// let (mut input, mut output) = (*b"\x81\x02hi", Vec::new());   // a text from a server
/// let mut assembler = client.assembler();
/// let received = client.receive_message(&mut &mut input[..], &mut assembler, &mut output)?;
/// assert_eq!(received, Some(Received::Message(MessageRef::Text("hi"))));
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<'b> {
    /// A whole message, lent from the input or from the assembler.
    Message(MessageRef<'b>),
    /// A ping, already answered.
    Ping(ControlPayload),
    /// A pong, asked for or not.
    Pong(ControlPayload),
    /// The peer's Close, already answered. Nothing more will be received.
    Close(Close),
}

/// A frame that we owe the peer: a value, so that it can cross from the receiving half to the sending one.
///
/// ```
/// use sockeye::{Config, Connection};
///
/// let (mut receiver, mut sender, _) = Connection::client(Config::default()).split();
/// let (mut input, mut output) = (*b"\x89\x02hi", Vec::new());   // a ping from a server
/// let event = receiver.receive(&mut &mut input[..])?.expect("the frame is whole");
/// if let Some(reply) = event.reply() {
///     sender.reply(reply, &mut output);
/// }
/// assert_eq!(output.len(), 8);   // a pong: two bytes of header, four of key, two of payload
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to a ping (RFC 6455 §5.5.3).
    Pong(ControlPayload),
    /// The answer to a Close, or the Close that fails a connection (§5.5.1, §7.1.7).
    Close(Close),
}

impl From<&ProtocolError> for Reply {
    /// The Close that tells the peer what it did.
    fn from(error: &ProtocolError) -> Self {
        Self::Close(Close::explaining(error.close_code(), &error.to_string()))
    }
}
