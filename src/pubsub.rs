//! Publish and subscribe: one message to very many connections, in the browser and across machines.
//!
//! A chat server:
//!
//! ```no_run
//! use sockeye::pubsub::{Event, Hub, HubConfig};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let hub = Hub::<()>::new(HubConfig::default());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//!     loop {
//!         let ((stream, _), hub) = (listener.accept().await?, hub.clone());
//!         tokio::spawn(async move {
//!             let mut member = hub.join(sockeye::tokio::accept(stream).await?, ());
//!             member.subscribe("chat")?;
//!             while let Some(event) = member.next().await? {
//!                 if let Event::Message(message) = event {
//!                     member.publish("chat", message)?;
//!                 }
//!             }
//!             Ok::<_, sockeye::Error>(())
//!         });
//!     }
//! }
//! ```
//!
//! The example `pubsub_chat` has rooms, presence, history and clients that come back.
//!
//! # How it works
//!
//! ```text
//!  publish ──▶ topic: a log ┌───┬───┬───┬───┬───┐      a subscription is a place in it
//!                           │ 3 │ 4 │ 5 │ 6 │ 7 │──▶   asleep at the end: woken by the next
//!                           └───┴───┴───┴───┴───┘
//!                             ▲       ▲ another, which reads on as its socket takes more
//!                             └ a slow one: what goes before it has read it, it skips, or is closed
//! ```
//!
//! To publish is to append to a log and to wake those who have read all of it. It never waits, and does not touch who is slow:
//! a [`Member`] reads the log from its place whenever its socket can take more, and writes the messages from where they lie,
//! many in one write. So the payload is encoded once, compressed once where no context is kept, and never copied; nothing is
//! allocated for a subscriber and a message; and a client that does not read costs the [lag](HubConfig::lag) that all share.
//!
//! - **Topics** are named by paths, [patterns](Pattern) match many. They come to exist when somebody needs them, and vanish
//!   when nobody does.
//! - **Slow clients** skip the oldest messages, get only the latest, or are closed: [`SlowConsumer`]. What was skipped is
//!   counted ([`Member::skipped`], [`HubStats::skipped`]) and an [`Event`], so that the application can tell the client.
//! - **Coming back**: a message has a [`Position`] in its topic. A client that is told it ([`HubConfig::envelope`]) says it
//!   again ([`Subscription::since`]), and gets what it has missed, or is told that not all of it is there.
//! - **State**: each connection carries a value of the application's own, which others see: [`Hub::present`].
//! - **Rules**: [`Hooks`] decide who may subscribe and publish, and are told who joins and leaves.
//! - **Many machines**: a [`Bridge`] joins hubs by a [`Backplane`]: `RedisBackplane` with the feature `redis`, `NatsBackplane`
//!   with `nats`, or one of your own.
//!
//! # Coming back
//!
//! A client remembers, for each topic, the [`Position`] of the last message that it has handled, and says it when it is back. Of a
//! topic that it names, [`Subscription::since`] is all there is to it. Who is in rooms by a pattern may have seen only some of
//! them, so it is subscribed to these first, by their names, and then to the pattern, from the beginning of what is new to it.
//! The other way round, the pattern is what counts, and what was missed is not sent.
//!
//! ```
//! use sockeye::pubsub::{Bounds, Hub, HubConfig, Subscription};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (near, far) = tokio::io::duplex(4096);
//! # let request = sockeye::handshake::ClientRequest::new("example.com", "/")?;
//! # let connector = sockeye::tokio::Connector::default();
//! # let (socket, client) = tokio::join!(sockeye::tokio::accept(near), connector.handshake(far, request));
//! # let (socket, mut client) = (socket?, client?);
//! let mut config = HubConfig::default();
//! config.history = Bounds { messages: 100, bytes: 64 * 1024 };
//! let hub = Hub::<()>::new(config);
//! hub.publish("room/1", "seen")?;
//! let seen = [("room/1", hub.position("room/1"))];   // which an envelope tells the client, and the client says again
//! hub.publish("room/1", "missed")?;
//! hub.publish("room/2", "a room that is new to the client")?;
//!
//! let mut member = hub.join(socket, ());
//! for (room, position) in seen {
//!     member.subscribe(Subscription::to(room).since(position).hidden())?;
//! }
//! member.subscribe(Subscription::to("room/+").last(100))?;
//! # for expected in ["missed", "a room that is new to the client"] {
//! #     let received = tokio::select! {
//! #         received = client.receive() => received?,
//! #         event = member.next() => panic!("{event:?}"),
//! #     };
//! #     assert_eq!(received, Some(expected.into()));
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! A hub has its history in memory: when its process is started anew, positions of before are of another epoch, and everybody who comes
//! back with one gets [`Event::Gap`] and then what is there. With a backplane that has history, clients may come back to another node,
//! or to the same one after a restart, and miss nothing: see [`Numbering::Engine`]. Only rooms that are new to a client of a pattern
//! begin with what its node has of them.
//!
//! While the backplane is away, a node sends its own messages to its clients at once, at positions of its own. When it is back, these get
//! places there, behind those of other nodes that came before them. Until all of them have one, clients that have had them are sent what
//! the others published at positions of the node's own, too. With such a position a client may come back to the same node, and misses
//! nothing and gets nothing twice, as long as somebody else has stayed in the topic there. To another node, or to the same one after a
//! restart, it is one of an unknown epoch: [`Event::Gap`], and then what is there. With the next message after that, all is as before.
//!
//! The node tells the same of who goes by the backplane's order and is there when it goes away once more, before all has come back: it
//! could not say any more what they have had. So nobody gets a message twice, out of order or not at all without [`Event::Gap`] before.
//!
//! A hub is for any [transport](crate::driver::Transport); only a bridge needs tokio.

mod ask;
mod attach;
mod attachments;
mod backplane;
#[cfg(any(feature = "nats", feature = "redis"))]
mod behind;
mod bridge;
mod by_number;
#[cfg(any(feature = "nats", feature = "redis"))]
mod catch_up;
mod changes;
mod config;
mod delivery;
mod error;
mod event;
mod heard;
mod hooks;
mod hub;
#[cfg(any(feature = "nats", feature = "redis"))]
mod knowledge;
mod log;
mod marks;
mod member;
mod memory;
#[cfg(feature = "nats")]
mod nats;
mod pattern;
mod peer;
mod position;
mod post;
#[cfg(feature = "redis")]
mod redis;
mod registry;
mod relay;
mod remote;
mod room;
mod sync;
mod told;
mod topic;
mod trie;
mod unheard;

pub use self::backplane::{
    Arrival, Arrived, Backplane, BackplaneError, DecodeError, History, Inbound, Numbering, Origin, Outbound,
    Publication,
};
pub use self::bridge::BridgeStatus;
pub use self::config::{Bounds, BridgeConfig, Envelope, HubConfig, SlowConsumer, Subscription};
pub use self::error::{PublishError, SubscribeError};
pub use self::event::Event;
pub use self::hooks::Hooks;
pub use self::hub::{Hub, HubStats, Published, Reach};
pub use self::member::Member;
pub use self::memory::{MemoryBackplane, MemoryInbound, MemoryOutbound};
#[cfg(feature = "nats")]
pub use self::nats::{NatsBackplane, NatsConfig, NatsInbound, NatsOutbound};
pub use self::pattern::{Pattern, PatternError};
pub use self::peer::Peer;
pub use self::position::{Position, PositionError};
#[cfg(feature = "redis")]
pub use self::redis::{RedisBackplane, RedisConfig, RedisInbound, RedisOutbound};
pub use self::relay::Bridge;
