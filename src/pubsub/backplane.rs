//! What joins the hubs of several machines: the contract that an engine, such as Redis or NATS, is put behind.
//!
//! A [`Bridge`](super::Bridge) does all that engines have in common: it says which topics this node wants, keeps what is to be
//! published while the engine is away, connects again and asks for what was missed, and delivers nothing twice. So an engine
//! is little more than its client: connect, publish, subscribe, receive.
//!
//! Nothing here is trusted: what comes in may be anything that somebody else has put into the engine.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error as StdError;
use core::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio::time::timeout;

use super::pattern::{Pattern, PatternError};
use super::position::Position;
use crate::message::MessageKind;

/// An engine that carries messages between nodes.
///
/// # The contract
///
/// **Who numbers.** [`Numbering::Engine`]: each message gets its [`Position`] from the engine, the same on all nodes, in an
/// order that is the same on all nodes; sequence numbers of a topic rise within an epoch and may leave some out. A node
/// delivers its own messages when they come back; while the engine is away at once, in an epoch of its own, and when they then
/// come back, only to who was not there. What other nodes published and comes before them has a position of that epoch, too, for who was. [`Numbering::Node`]: the engine just carries. Each node delivers its own
/// messages at once and those of others as they come, and counts for itself, in an epoch of its own.
///
/// **At least once.** A batch whose publish failed is published again after the next connect, with the same [`Origin`]s. An
/// engine that can (a message ID of JetStream, a script of Redis) ignores an origin that it has had already. What comes in
/// may come twice: the bridge drops a position that is not beyond the last one of its topic and epoch, and for each topic an
/// origin's number that is not beyond the last one of that origin. So the messages of an origin in a topic must come in
/// the order in which they were published; what overtakes is lost.
///
/// **What is missed.** After a reconnect the bridge subscribes again, `after` the last position that it has seen. An engine that
/// keeps messages sends those that followed, before any newer one. If it cannot, or does not have all of them any more, its
/// next arrival for that topic is an [`Arrival::Gap`]. What a pattern with wildcards missed, the engine's client has to
/// know for itself, for the bridge does not know of all its topics: how far the connection before had heard. An engine that keeps nothing need not say so: without positions, a
/// reconnect is a gap by itself.
///
/// **Failing.** Whatever fails ends the connection: both halves are dropped, and [`Backplane::connect`] is called again,
/// later each time. Nothing else is retried, so an engine's client should not connect again by itself, or must behave as
/// if it had not.
///
/// # Example
///
/// One that keeps nothing and numbers nothing: a channel between the hubs of a process, in place of a socket to an engine.
///
/// ```
/// use bytes::Bytes;
/// use sockeye::pubsub::{
///     Arrival, Arrived, Backplane, BackplaneError, Inbound, Numbering, Outbound, Pattern, Position, Publication,
/// };
/// use tokio::sync::broadcast;
///
/// type Line = (String, Bytes);
///
/// struct Engine(broadcast::Sender<Line>);
/// struct Publishes(broadcast::Sender<Line>);
/// struct Receives(broadcast::Receiver<Line>);
///
/// impl Backplane for Engine {
///     type Outbound = Publishes;
///     type Inbound = Receives;
///
///     fn numbering(&self) -> Numbering {
///         Numbering::Node
///     }
///     async fn connect(&self) -> Result<(Publishes, Receives), BackplaneError> {
///         Ok((Publishes(self.0.clone()), Receives(self.0.subscribe())))
///     }
/// }
///
/// impl Outbound for Publishes {
///     async fn publish(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
///         for publication in batch {
///             self.0.send((publication.topic.to_string(), publication.encode())).map_err(BackplaneError::new)?;
///         }
///         Ok(())
///     }
/// }
///
/// impl Inbound for Receives {
///     // All messages come anyway; the bridge passes over what nobody wants, and what is this node's own.
///     async fn subscribe(&mut self, _: &Pattern, _: Option<Position>) -> Result<Option<Position>, BackplaneError> {
///         Ok(None)
///     }
///     async fn unsubscribe(&mut self, _: &Pattern) -> Result<(), BackplaneError> {
///         Ok(())
///     }
///     async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
///         loop {
///             let (topic, encoded) = self.0.recv().await.map_err(BackplaneError::new)?;   // also if it has lost some
///             if let Ok(publication) = Publication::decode(&topic, encoded) {
///                 return Ok(Arrival::Message(Arrived { publication, position: None }));
///             }
///         }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sockeye::pubsub::{BridgeConfig, Hub, HubConfig};
/// # let (near, far) = tokio::io::duplex(4096);
/// # let request = sockeye::handshake::ClientRequest::new("example.com", "/")?;
/// # let connector = sockeye::tokio::Connector::default();
/// # let (socket, client) = tokio::join!(sockeye::tokio::accept(near), connector.handshake(far, request));
/// # let (channel, _) = broadcast::channel(16);
/// # let nodes = [(); 2].map(|()| Hub::<()>::new(HubConfig::default()));
/// # for node in &nodes {
/// #     tokio::spawn(node.bridge(Engine(channel.clone()), BridgeConfig::default()).run());
/// #     while !node.bridge_status().is_some_and(|status| status.is_up) {
/// #         tokio::task::yield_now().await;
/// #     }
/// # }
/// # let (mut member, mut client) = (nodes[0].join(socket?, ()), client?);
/// # member.subscribe("chat")?;
/// # nodes[1].publish("chat", "hello")?;
/// # let received = tokio::select! {
/// #     received = client.receive() => received?,
/// #     event = member.next() => panic!("{event:?}"),
/// # };
/// # assert_eq!(received, Some("hello".into()));
/// # Ok(())
/// # }
/// ```
pub trait Backplane: Send + Sync + 'static {
    /// The half that publishes.
    type Outbound: Outbound;

    /// The half that receives.
    type Inbound: Inbound;

    /// Returns who numbers the messages; always the same.
    fn numbering(&self) -> Numbering;

    /// Connects to the engine. Nothing is subscribed to on a new connection. The bridge gives up after
    /// [`BridgeConfig::timeout`](super::BridgeConfig::timeout), as with each call but [`Inbound::receive`].
    ///
    /// # Errors
    ///
    /// What the engine's client says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    fn connect(&self) -> impl Future<Output = Result<(Self::Outbound, Self::Inbound), BackplaneError>> + Send;
}

/// The half of a connection to an engine that publishes and asks for history. It is used while the other half waits.
///
/// ```
/// use sockeye::pubsub::{Backplane, MemoryBackplane, Numbering, Origin, Outbound, Position, Publication};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sockeye::pubsub::BackplaneError> {
/// let (mut outbound, _inbound) = MemoryBackplane::new(Numbering::Engine).connect().await?;
/// let publication = Publication {
///     topic: "room/1".into(),
///     origin: Origin { node: 7, number: 1 },
///     kind: sockeye::MessageKind::Text,
///     may_be_encoded: true,
///     payload: "hello".into(),
/// };
/// outbound.publish(&[publication.clone()]).await?;
///
/// let newest = outbound.history("room/1", Position { epoch: 0, sequence: 0 }, 10).await?;
/// assert_eq!(newest.messages[0].publication, publication);
/// # Ok(())
/// # }
/// ```
pub trait Outbound: Send + 'static {
    /// Publishes messages in this order, in one go: when it is ready, the engine has taken all of them, or will, unless the
    /// connection fails.
    ///
    /// # Errors
    ///
    /// What the engine's client says: then any number of them may have been published.
    fn publish(&mut self, batch: &[Publication]) -> impl Future<Output = Result<(), BackplaneError>> + Send;

    /// Reads what a topic has behind a position, up to now, and of that the newest `limit` messages. By default there is nothing,
    /// which is a gap.
    ///
    /// Asked where a client comes back that missed more than this node holds, or wants more of the last messages: those behind a
    /// position whose epoch is 0. The topic is subscribed to then, so what is
    /// published later comes as an [`Arrival`]; what is both in the history and an arrival is delivered once.
    ///
    /// The position is what a client says: its epoch may be another one, or its sequence one that never was. Then the answer
    /// is what there is, not complete.
    ///
    /// # Errors
    ///
    /// What the engine's client says.
    fn history(
        &mut self,
        topic: &str,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<History, BackplaneError>> + Send {
        let _ = (topic, after, limit);
        async { Ok(History::default()) }
    }
}

/// The half of a connection to an engine that subscribes and receives.
///
/// ```
/// use sockeye::pubsub::{Arrival, Backplane, Inbound, MemoryBackplane, Numbering, Origin, Outbound, Pattern, Publication};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut outbound, mut inbound) = MemoryBackplane::new(Numbering::Engine).connect().await?;
/// let newest = inbound.subscribe(&Pattern::new("room/1")?, None).await?;
/// assert_eq!(newest.map(|position| position.sequence), Some(0));   // nothing has been published yet
///
/// outbound.publish(&[Publication {
///     topic: "room/1".into(),
///     origin: Origin { node: 7, number: 1 },
///     kind: sockeye::MessageKind::Text,
///     may_be_encoded: true,
///     payload: "hello".into(),
/// }]).await?;
/// let Arrival::Message(arrived) = inbound.receive().await? else { panic!("nothing was missed") };
/// assert_eq!(arrived.publication.payload, "hello");
/// # Ok(())
/// # }
/// ```
pub trait Inbound: Send + 'static {
    /// Asks for the messages of a topic, or of all that a pattern matches. Ready when none that is published from now on is
    /// missed. Where both a topic and a pattern for it are asked for, its messages may come twice.
    ///
    /// `after` is there only for a single topic: what was published behind it is sent first, and if that is not there any
    /// more, [`Arrival::Gap`] and then what is there. An engine without wildcards of the same meaning asks for more, such as
    /// all, and need not look at the rest: the bridge does.
    ///
    /// Gives the position of the newest message of a single topic, where the engine numbers: looked up *after* it was
    /// subscribed to, so that all newer ones come as arrivals. Those up to it may come, too, and are not looked at unless
    /// `after` asked for them. Where there was none yet, that is the epoch and a sequence before the first. For a pattern with
    /// wildcards it says the epoch alone: those who hear topics by it that were heard in another one are told of a gap. Where each
    /// node numbers, `None`.
    ///
    /// # Errors
    ///
    /// What the engine's client says.
    fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> impl Future<Output = Result<Option<Position>, BackplaneError>> + Send;

    /// Asks for them no more. Some may still come.
    ///
    /// # Errors
    ///
    /// What the engine's client says.
    fn unsubscribe(&mut self, pattern: &Pattern) -> impl Future<Output = Result<(), BackplaneError>> + Send;

    /// Waits for what comes next.
    ///
    /// # Errors
    ///
    /// When the connection has ended, which it must notice within a reasonable time.
    ///
    /// # Cancel safety
    ///
    /// Nothing may be lost by dropping the future: it is dropped whenever something is to be subscribed to.
    fn receive(&mut self) -> impl Future<Output = Result<Arrival, BackplaneError>> + Send;
}

/// Who gives messages their positions.
///
/// ```
/// use sockeye::pubsub::{Backplane, MemoryBackplane, Numbering};
///
/// assert_eq!(MemoryBackplane::new(Numbering::Engine).numbering(), Numbering::Engine);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// The engine, for all nodes.
    Engine,
    /// Each node for itself.
    Node,
}

/// Which publication it is: a number that rises on its node, and never comes again there.
///
/// ```
/// use sockeye::pubsub::Origin;
///
/// let (first, second) = (Origin { node: 7, number: 1 }, Origin { node: 7, number: 2 });
/// assert!(first.node == second.node && first.number < second.number);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The node: a random number, made anew for each bridge.
    pub node: u64,
    /// The number of the publication.
    pub number: u64,
}

/// A message on its way to other nodes.
///
/// ```
/// use sockeye::MessageKind;
/// use sockeye::pubsub::{Origin, Publication};
///
/// let publication = Publication {
///     topic: "room/1".into(),
///     origin: Origin { node: 7, number: 1 },
///     kind: MessageKind::Text,
///     may_be_encoded: true,
///     payload: "hello".into(),
/// };
/// assert_eq!(Publication::decode("room/1", publication.encode()), Ok(publication));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The name of the topic.
    pub topic: Arc<str>,
    /// Which publication it is.
    pub origin: Origin,
    /// Whether it is text.
    pub kind: MessageKind,
    /// Whether an extension may compress it.
    pub may_be_encoded: bool,
    /// Text as its UTF-8, or bytes.
    pub payload: Bytes,
}

impl Publication {
    /// Writes all but the topic, as one value for the engine: a byte of flags, the origin's two numbers in network byte order,
    /// and the payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut encoded = BytesMut::with_capacity(HEADER + self.payload.len());
        let text = if self.kind == MessageKind::Text { TEXT } else { 0 };
        let plain = if self.may_be_encoded { 0 } else { PLAIN };
        encoded.put_u8(VERSION | text | plain);
        encoded.put_u64(self.origin.node);
        encoded.put_u64(self.origin.number);
        encoded.put_slice(&self.payload);
        encoded.freeze()
    }

    /// Reads what [`Self::encode`] has written; the payload is not copied.
    ///
    /// # Errors
    ///
    /// If it cannot have been written so, or not by a version of this crate that we understand.
    pub fn decode(topic: &str, mut encoded: Bytes) -> Result<Self, DecodeError> {
        super::pattern::check_name(topic)?;
        if encoded.len() < HEADER {
            return Err(DecodeError::TooShort { len: encoded.len() });
        }
        let flags = encoded.get_u8();
        if flags & !(TEXT | PLAIN) != VERSION {
            return Err(DecodeError::Version { flags });
        }
        let origin = Origin { node: encoded.get_u64(), number: encoded.get_u64() };
        let kind = if flags & TEXT == 0 { MessageKind::Binary } else { MessageKind::Text };
        if kind == MessageKind::Text && simdutf8::basic::from_utf8(&encoded).is_err() {
            return Err(DecodeError::Utf8);
        }
        let may_be_encoded = flags & PLAIN == 0;
        Ok(Self { topic: topic.into(), origin, kind, may_be_encoded, payload: encoded })
    }
}

/// Why bytes are not a publication.
///
/// ```
/// use sockeye::pubsub::{DecodeError, Publication};
///
/// assert_eq!(Publication::decode("room/1", "foreign".into()), Err(DecodeError::TooShort { len: 7 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are too few.
    #[error("a publication of {len} bytes is too short")]
    TooShort {
        /// How many there are.
        len: usize,
    },
    /// The first says that they mean something else.
    #[error("a publication that begins with {flags:#04x} is of no version that is known")]
    Version {
        /// The first byte.
        flags: u8,
    },
    /// A text is not UTF-8.
    #[error("the text of a publication is not valid UTF-8")]
    Utf8,
    /// The name of the topic is none.
    #[error(transparent)]
    Topic(#[from] PatternError),
}

/// What comes from an engine.
///
/// ```
/// use sockeye::pubsub::{Arrival, Arrived};
///
/// fn topic(arrival: &Arrival) -> Option<&str> {
///     match arrival {
///         Arrival::Message(Arrived { publication, .. }) => Some(&publication.topic),
///         Arrival::Gap { topic } => Some(topic),
///         _ => None,
///     }
/// }
/// assert_eq!(topic(&Arrival::Gap { topic: "room/1".into() }), Some("room/1"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// A message.
    Message(Arrived),
    /// Messages of this topic were missed that will not come any more.
    Gap {
        /// The name of the topic.
        topic: Arc<str>,
    },
}

/// A message that has come.
///
/// ```
/// use sockeye::MessageKind;
/// use sockeye::pubsub::{Arrival, Arrived, Origin, Position, Publication};
///
/// let publication = Publication {
///     topic: "room/1".into(),
///     origin: Origin { node: 7, number: 1 },
///     kind: MessageKind::Text,
///     may_be_encoded: true,
///     payload: "hello".into(),
/// };
/// let arrived = Arrived { publication, position: Some(Position { epoch: 1, sequence: 42 }) };
/// let arrival = Arrival::Message(arrived);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// What was published.
    pub publication: Publication,
    /// Its place in its topic, where the engine numbers; looked at only there.
    pub position: Option<Position>,
}

/// What an engine still had.
///
/// ```
/// use sockeye::pubsub::History;
///
/// // What a backplane without history gives: nothing, and that is not all.
/// let history = History::default();
/// assert!(history.messages.is_empty() && !history.is_complete);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The messages, oldest first, each with its position.
    pub messages: Vec<Arrived>,
    /// Whether the first of them is the one that followed the position that was asked for, or none followed: nothing is
    /// missing.
    pub is_complete: bool,
}

/// The engine, or the way to it, failed.
///
/// ```
/// use sockeye::pubsub::BackplaneError;
///
/// let error = BackplaneError::new("no route to the engine");
/// assert_eq!(error.to_string(), "the backplane failed: no route to the engine");
/// ```
#[derive(Debug, Error)]
#[error("the backplane failed: {source}")]
pub struct BackplaneError {
    source: Box<dyn StdError + Send + Sync>,
}

impl BackplaneError {
    /// Makes one of what the engine's client says.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }

    /// Says that the connection has ended and nothing else is known.
    #[must_use]
    pub fn lost() -> Self {
        Self::new("the connection was lost".to_string())
    }
}

/// Gives a call to the engine so much time and no more.
pub(super) async fn within<T>(
    most: Duration,
    call: impl Future<Output = Result<T, BackplaneError>>,
) -> Result<T, BackplaneError> {
    match timeout(most, call).await {
        Ok(result) => result,
        Err(late) => Err(BackplaneError::new(late)),
    }
}

/// The bytes before the payload.
const HEADER: usize = 1 + 8 + 8;

/// The upper bits of the first byte.
const VERSION: u8 = 0x10;

/// The bit that says that the payload is text, and the one that says that it is not to be compressed.
const TEXT: u8 = 0x01;
const PLAIN: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(node: u64, number: u64, text: String, is_text: bool, may_be_encoded: bool) {
            let kind = if is_text { MessageKind::Text } else { MessageKind::Binary };
            let origin = Origin { node, number };
            let publication = Publication { topic: "a/b".into(), origin, kind, may_be_encoded, payload: text.into() };
            prop_assert_eq!(Publication::decode("a/b", publication.encode()), Ok(publication));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            if let Ok(publication) = Publication::decode("a", Bytes::from(bytes.clone())) {
                prop_assert_eq!(&publication.encode()[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn what_is_no_publication_is_refused() {
        let mut bytes = [0u8; HEADER + 1];
        bytes[0] = VERSION | TEXT;
        bytes[HEADER] = 0xff;
        let decode = |bytes: &[u8]| Publication::decode("a", Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(decode(&bytes), DecodeError::Utf8);
        assert_eq!(decode(&bytes[..HEADER - 1]), DecodeError::TooShort { len: 16 });
        bytes[0] = 0x20;
        assert_eq!(decode(&bytes), DecodeError::Version { flags: 0x20 });
        let topic = Publication::decode("a/+", Bytes::copy_from_slice(&bytes)).unwrap_err();
        assert_eq!(topic, DecodeError::Topic(PatternError::NotExact));
    }
}
