//! What makes several nodes one system: an engine that carries messages between them, named by its address.
//!
//! Each node brings what is published to the others, and a page can come back to any. The ticker should be one node's.

use sockeye::pubsub::Hub;
#[cfg(any(feature = "redis", feature = "nats"))]
use sockeye::pubsub::{Backplane, BridgeConfig};

use crate::people::Person;

/// Joins a hub to those of other nodes. While the engine is away, each goes on by itself.
pub(crate) type Join = Box<dyn FnOnce(&Hub<Person>)>;

/// Finds the engine that is asked for; does not connect to it yet.
pub(crate) fn find(kind: &str, address: &str) -> Result<Join, String> {
    match kind {
        #[cfg(feature = "redis")]
        "redis" => {
            use sockeye::pubsub::{RedisBackplane, RedisConfig};
            let mut config = RedisConfig::default();
            config.history = 1000;
            let engine =
                RedisBackplane::open(address, config).map_err(|error| format!("--redis {address}: {error}"))?;
            Ok(bridge(engine))
        }
        #[cfg(feature = "nats")]
        "nats" => {
            use sockeye::pubsub::{NatsBackplane, NatsConfig};
            let mut config = NatsConfig::default();
            config.history = 1000;
            let engine = NatsBackplane::open(address, config).map_err(|error| format!("--nats {address}: {error}"))?;
            Ok(bridge(engine))
        }
        _ => Err(format!("--{kind} {address} needs an example that was built with --features {kind}")),
    }
}

#[cfg(any(feature = "redis", feature = "nats"))]
fn bridge(engine: impl Backplane) -> Join {
    Box::new(|hub| drop(tokio::spawn(hub.bridge(engine, BridgeConfig::default()).run())))
}
