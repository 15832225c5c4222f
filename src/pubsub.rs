//! Publish and subscribe: one message to very many connections.

mod backplane;
#[cfg(any(feature = "nats", feature = "redis"))]
mod behind;
mod bridge;
mod config;
mod delivery;
mod error;
mod hooks;
mod hub;
mod log;
mod member;
mod memory;
#[cfg(feature = "nats")]
mod nats;
mod pattern;
mod peer;
mod position;
#[cfg(feature = "redis")]
mod redis;
mod registry;
mod relay;
mod remote;
mod sync;
mod topic;
mod trie;

pub use self::backplane::{
    Arrival, Arrived, Backplane, BackplaneError, DecodeError, History, Inbound, Numbering, Origin, Outbound,
    Publication,
};
pub use self::bridge::BridgeStatus;
pub use self::config::{Bounds, BridgeConfig, Envelope, HubConfig, SlowConsumer, Subscription};
pub use self::error::{PublishError, SubscribeError};
pub use self::hooks::Hooks;
pub use self::hub::{Hub, HubStats, Published, Reach};
pub use self::member::{Event, Member};
pub use self::memory::{MemoryBackplane, MemoryInbound, MemoryOutbound};
pub use self::pattern::{Pattern, PatternError};
pub use self::peer::Peer;
pub use self::position::{Position, PositionError};
#[cfg(feature = "nats")]
pub use self::nats::{NatsBackplane, NatsConfig, NatsInbound, NatsOutbound};
#[cfg(feature = "redis")]
pub use self::redis::{RedisBackplane, RedisConfig, RedisInbound, RedisOutbound};
pub use self::relay::Bridge;
