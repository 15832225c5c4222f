//! Hubs of several nodes joined by Redis, or by what speaks its protocol, such as Valkey.
//!
//! Without history, a topic is a channel and nothing else: `PUBLISH` and `SUBSCRIBE`. With it, a script gives each message the next
//! number, appends it to the topic's stream and publishes it, in one step; so whoever subscribes and then reads the stream
//! misses nothing. One connection serves both halves of a node.

mod inbound;
mod inbox;
mod keys;
mod outbound;
mod read;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, RedisError, Script};

pub use self::inbound::RedisInbound;
use self::inbox::{Inbox, Sender};
use self::keys::Keys;
pub use self::outbound::RedisOutbound;
use super::backplane::{Backplane, BackplaneError, Numbering};
use super::config::Bounds;
use super::knowledge::{Knowledge, Known};
use super::position::Position;

/// Redis as a backplane: see [`Hub::bridge`](super::Hub::bridge).
///
/// ```no_run
/// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, RedisBackplane, RedisConfig};
///
/// # async fn node() -> Result<(), sockeye::pubsub::BackplaneError> {
/// let hub = Hub::<()>::new(HubConfig::default());
/// let engine = RedisBackplane::open("redis://127.0.0.1/", RedisConfig::default())?;
/// tokio::spawn(hub.bridge(engine, BridgeConfig::default()).run());
/// # Ok(())
/// # }
/// ```
///
/// # What it needs
///
/// Redis 6 or later, or Valkey; one primary, not a cluster. Where there is history: the commands `INFO` and `EVALSHA`, and a
/// `maxmemory-policy` that leaves keys alone which do not expire (`noeviction` or one of `volatile-*`; streams do expire).
/// For `rediss://` addresses, ask for the feature `tokio-rustls-comp` of the crate `redis` in your own `Cargo.toml`.
///
/// # What is promised
///
/// With [`RedisConfig::history`], messages are numbered by Redis ([`Numbering::Engine`]). What was published while a node had lost its
/// connection comes when it has one again, also to subscribers of patterns; what the stream does not have any more is reported
/// as a gap. A batch that is published again is known by its origins, for a day.
///
/// If Redis was started anew and has lost something that a node knows of, a new epoch begins, and every client that
/// comes back is told of a gap. What no node had heard and Redis had confirmed to one that ended at the same time is lost
/// unseen: `appendfsync always` is against that.
///
/// Without history, each node counts for itself, and each lost connection is a gap ([`Numbering::Node`]).
///
/// Presence stays with the node: [`Hub::present`](super::Hub::present) and its like count those who are connected here.
///
/// # What is foreign
///
/// Whatever somebody else publishes on our channels and is none of our messages is not looked at, and counted by
/// [`Self::ignored`].
#[derive(Clone)]
pub struct RedisBackplane {
    client: Client,
    common: Arc<Common>,
}

/// What a node has of an engine, whatever connection it has.
pub(super) struct Common {
    config: RedisConfig,
    keys: Keys,
    scripts: Scripts,
    knowledge: Knowledge,
    /// The run of the server that counted when the node knew of a number last.
    run: Mutex<String>,
}

struct Scripts {
    open: Script,
    publish: Script,
    read: Script,
}

/// How a node uses Redis. All nodes must agree on `prefix`, and on whether there is history.
///
/// ```
/// use sockeye::pubsub::{RedisBackplane, RedisConfig};
///
/// let mut config = RedisConfig::default();
/// config.history = 500;   // clients may come back to any node, also after a restart of theirs
/// config.prefix = "auction:".into();
/// let engine = RedisBackplane::open("redis://127.0.0.1/", config)?;   // does not connect yet
/// # Ok::<(), sockeye::pubsub::BackplaneError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisConfig {
    /// What the names of channels and keys begin with, so that several systems can share a server. Default `sockeye:`.
    pub prefix: String,
    /// How many messages the stream of a topic keeps, at least: up to 100 more, which is how streams are cut. Default 0: no
    /// streams, plain publish and subscribe.
    pub history: usize,
    /// How long the stream of a topic stays after its last message. Default a day.
    pub retention: Duration,
    /// The most topics whose streams and last numbers Redis keeps; the one that has been quiet for the longest goes first.
    /// Default 100,000, some 100 bytes each besides the streams.
    pub max_topics: usize,
    /// How many messages, and bytes of payload, may have come and wait to be delivered here: beyond that the connection counts as lost, and
    /// what was missed is read again where there is history. Default 65,536 and 64 MiB.
    pub inbox: Bounds,
    /// How often the connection is tried, and how long an answer may take. Default 10 seconds.
    pub heartbeat: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            prefix: "sockeye:".to_string(),
            history: 0,
            retention: Duration::from_secs(24 * 60 * 60),
            max_topics: 100_000,
            inbox: Bounds { messages: 65_536, bytes: 64 * 1024 * 1024 },
            heartbeat: Duration::from_secs(10),
        }
    }
}

impl RedisBackplane {
    /// Makes one for the server at an address, such as `redis://user:password@host:6379/`; does not connect yet.
    ///
    /// # Errors
    ///
    /// If it is no address, or one for TLS and the crate `redis` was built without.
    pub fn open(address: &str, config: RedisConfig) -> Result<Self, BackplaneError> {
        let info = address.into_connection_info().map_err(failed)?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(failed)?;
        let scripts = Scripts {
            open: Script::new(include_str!("redis/open.lua")),
            publish: Script::new(include_str!("redis/publish.lua")),
            read: Script::new(include_str!("redis/read.lua")),
        };
        let keys = Keys::new(&config.prefix);
        let common = Common { config, keys, scripts, knowledge: Knowledge::default(), run: Mutex::default() };
        Ok(Self { client, common: Arc::new(common) })
    }

    /// Returns how many messages have come that were none of ours.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.common.knowledge.ignored()
    }
}

impl Backplane for RedisBackplane {
    type Outbound = RedisOutbound;
    type Inbound = RedisInbound;

    fn numbering(&self) -> Numbering {
        if self.common.config.history > 0 { Numbering::Engine } else { Numbering::Node }
    }

    async fn connect(&self) -> Result<(RedisOutbound, RedisInbound), BackplaneError> {
        let inbox = Arc::new(Inbox::new(self.common.config.inbox));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(Sender(inbox.clone()));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        let begun = match self.numbering() {
            Numbering::Engine => Some(self.begin(&mut connection).await?),
            Numbering::Node => None,
        };
        let outbound = RedisOutbound::new(connection.clone(), self.common.clone(), begun.map(|begun| begun.epoch));
        let inbound = RedisInbound::new(connection, inbox, self.common.clone(), begun);
        Ok((outbound, inbound))
    }
}

impl RedisBackplane {
    /// Looks whether the engine has lost something, and gives the epoch and how far it has counted.
    async fn begin(&self, connection: &mut MultiplexedConnection) -> Result<Position, BackplaneError> {
        let info: String = ::redis::cmd("INFO").arg("server").query_async(connection).await.map_err(failed)?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run = run.ok_or_else(|| BackplaneError::new("the server does not tell its run_id"))?.trim();
        let known = *self.common.knowledge.known();
        let known_run = self.common.run().clone();
        let keys = &self.common.keys;
        let mut call = self.common.scripts.open.prepare_invoke();
        call.key(&keys.state).key(&keys.topics).key(&keys.runs);
        call.arg(run).arg(hex(rand::random()));
        call.arg(known.epoch.map(hex)).arg(known.epoch.map(|_| known_run)).arg(known.epoch.map(|_| known.last));
        let (epoch, count): (String, u64) = call.invoke_async(connection).await.map_err(failed)?;
        let epoch = u64::from_str_radix(&epoch, 16).map_err(BackplaneError::new)?;
        *self.common.knowledge.known() = Known { epoch: Some(epoch), last: count };
        *self.common.run() = run.to_string();
        Ok(Position { epoch, sequence: count })
    }
}

impl Common {
    fn run(&self) -> MutexGuard<'_, String> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("RedisBackplane").field("config", &self.common.config).finish_non_exhaustive()
    }
}

/// An epoch as it is written in Redis.
fn hex(epoch: u64) -> String {
    alloc::format!("{epoch:x}")
}

fn failed(error: RedisError) -> BackplaneError {
    BackplaneError::new(Box::new(error))
}
