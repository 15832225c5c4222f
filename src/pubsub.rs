//! Publish and subscribe: one message to very many connections.

mod backplane;
mod config;
mod pattern;
mod position;
mod trie;

pub use self::backplane::{
    Arrival, Arrived, Backplane, BackplaneError, DecodeError, History, Inbound, Numbering, Origin, Outbound,
    Publication,
};
pub use self::config::{Bounds, BridgeConfig, Envelope, HubConfig, SlowConsumer, Subscription};
pub use self::pattern::{Pattern, PatternError};
pub use self::position::{Position, PositionError};
