//! Hubs of several nodes joined by NATS.
//!
//! Without history, a topic is a subject and nothing else. With it, all topics are in one stream of JetStream, which numbers the messages
//! and publishes each again on a second subject, with its number; so whoever subscribes to that and then reads the stream misses
//! nothing, and no topic needs a consumer while all goes well.

mod inbound;
mod outbound;
mod stream;
mod subject;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Subscriber};
use futures_util::StreamExt;
use tokio::sync::watch;

pub use self::inbound::NatsInbound;
pub use self::outbound::NatsOutbound;
use self::stream::Log;
use self::subject::Subjects;
use super::backplane::{Backplane, BackplaneError, Numbering};
use super::knowledge::Knowledge;

/// NATS as a backplane: see [`Hub::bridge`](super::Hub::bridge).
///
/// ```no_run
/// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, NatsBackplane, NatsConfig};
///
/// # async fn node() -> Result<(), sockeye::pubsub::BackplaneError> {
/// let hub = Hub::<()>::new(HubConfig::default());
/// let engine = NatsBackplane::open("nats://127.0.0.1/", NatsConfig::default())?;
/// tokio::spawn(hub.bridge(engine, BridgeConfig::default()).run());
/// # Ok(())
/// # }
/// ```
///
/// # What it needs
///
/// A server of version 2.9 or later, with JetStream where there is history. The stream, of the name of
/// [`NatsConfig::prefix`], is made when it is not there.
///
/// # What is promised
///
/// With [`NatsConfig::history`], messages are numbered by the stream ([`Numbering::Engine`]). What was published while a node had lost
/// its connection comes when it has one again, also to subscribers of patterns; what the stream does not have any more is
/// reported as a gap. A batch that is published again within two minutes is known by its origins.
///
/// If the stream was made anew, or is shorter than a node knows that it was, a new epoch begins, and every client that comes
/// back is told of a gap. A node that publishes sees that at once, one that only listens within [`NatsConfig::heartbeat`]. What a crash of the server's machine took, and others have written over before such a node is back,
/// is not seen.
///
/// Without history, each node counts for itself, and each lost connection is a gap ([`Numbering::Node`]).
///
/// A message that is longer than the server takes (1 MiB by default) goes to the subscribers of its own node, if each counts for
/// itself, and is a gap for all others.
///
/// Presence stays with the node: [`Hub::present`](super::Hub::present) and its like count those who are connected here.
///
/// # What is foreign
///
/// Whatever somebody else publishes on our subjects and is none of our messages is not looked at, and counted by
/// [`Self::ignored`].
#[derive(Clone)]
pub struct NatsBackplane {
    address: Arc<str>,
    options: Arc<dyn Fn() -> ConnectOptions + Send + Sync>,
    common: Arc<Common>,
}

/// What a node has of an engine, whatever connection it has.
pub(super) struct Common {
    config: NatsConfig,
    subjects: Subjects,
    knowledge: Knowledge,
}

/// How a node uses NATS. All nodes must agree on all of it but the last two.
///
/// ```
/// use sockeye::pubsub::{NatsBackplane, NatsConfig};
///
/// let mut config = NatsConfig::default();
/// config.history = 500;   // clients may come back to any node, also after a restart of theirs; wants JetStream
/// config.prefix = "auction".into();
/// let engine = NatsBackplane::open("nats://127.0.0.1/", config)?;   // does not connect yet
/// # Ok::<(), sockeye::pubsub::BackplaneError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NatsConfig {
    /// What subjects begin with, and the name of the stream: letters, digits, `-` and `_`, so that several systems can share a
    /// server. Default `sockeye`.
    pub prefix: String,
    /// How many messages of a topic the stream keeps. Default 0: no stream, plain publish and subscribe.
    pub history: u32,
    /// How long the stream keeps a message. Default a day.
    pub retention: Duration,
    /// On how many servers of a cluster the stream is kept. Default 1.
    pub replicas: usize,
    /// How many messages may have come for each subscription and wait to be delivered here: beyond that the connection counts as lost,
    /// and what was missed is read again where there is history. Default 8192, and 1024 at least.
    pub inbox: usize,
    /// How often the connection is tried, and how long an answer may take. Default 10 seconds.
    pub heartbeat: Duration,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            prefix: "sockeye".to_string(),
            history: 0,
            retention: Duration::from_secs(24 * 60 * 60),
            replicas: 1,
            inbox: 8192,
            heartbeat: Duration::from_secs(10),
        }
    }
}

impl NatsBackplane {
    /// Makes one for the server at an address, such as `nats://user:password@host:4222` or `tls://host`; does not connect yet.
    ///
    /// # Errors
    ///
    /// If it is no address, or the prefix is none.
    pub fn open(address: &str, config: NatsConfig) -> Result<Self, BackplaneError> {
        Self::with_options(address, config, ConnectOptions::new)
    }

    /// The same with options of the client, such as credentials or certificates, made for each connection. What it sets for
    /// events, reconnects, pings and the capacity of subscriptions is overruled; `no_echo` must not be set.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn with_options(
        address: &str,
        config: NatsConfig,
        options: impl Fn() -> ConnectOptions + Send + Sync + 'static,
    ) -> Result<Self, BackplaneError> {
        address.parse::<async_nats::ServerAddr>().map_err(failed)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if config.prefix.is_empty() || !config.prefix.bytes().all(is_plain) {
            return Err(BackplaneError::new(
                "the prefix of subjects has other characters than letters, digits, - and _",
            ));
        }
        let subjects = Subjects::new(&config.prefix, config.history > 0);
        let common = Common { config, subjects, knowledge: Knowledge::default() };
        Ok(Self { address: address.into(), options: Arc::new(options), common: Arc::new(common) })
    }

    /// Returns how many messages have come that were none of ours.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.common.knowledge.ignored()
    }
}

impl Backplane for NatsBackplane {
    type Outbound = NatsOutbound;
    type Inbound = NatsInbound;

    fn numbering(&self) -> Numbering {
        if self.common.config.history > 0 { Numbering::Engine } else { Numbering::Node }
    }

    async fn connect(&self) -> Result<(NatsOutbound, NatsInbound), BackplaneError> {
        let (told, lost) = watch::channel(None);
        let config = &self.common.config;
        // The client connects again by itself, once: we are told that the connection was lost, and let it go.
        let options = (self.options)()
            .max_reconnects(1)
            .ping_interval(config.heartbeat)
            .subscription_capacity(config.inbox.max(LEAST_INBOX))
            .event_callback(move |event| {
                match event {
                    Event::Connected | Event::LameDuckMode => {}
                    event => drop(told.send_replace(Some(event.to_string()))),
                }
                async {}
            });
        let client = options.connect(&*self.address).await.map_err(failed)?;
        let log = match self.numbering() {
            Numbering::Engine => Some(Arc::new(Log::open(&client, self.common.clone()).await?)),
            Numbering::Node => None,
        };
        let lost = Lost(lost);
        let echo = Echo::new(client.clone()).await?;
        let outbound = NatsOutbound::new(client.clone(), echo, lost.clone(), self.common.clone(), log.clone());
        let echo = Echo::new(client.clone()).await?;
        Ok((outbound, NatsInbound::new(client, echo, lost, self.common.clone(), log)))
    }
}

impl fmt::Debug for NatsBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("NatsBackplane").field("config", &self.common.config).finish_non_exhaustive()
    }
}

/// Says whether a connection is lost, and why.
#[derive(Clone)]
struct Lost(watch::Receiver<Option<String>>);

impl Lost {
    /// Waits until it is.
    async fn wait(mut self) -> BackplaneError {
        match self.0.wait_for(Option::is_some).await {
            Ok(why) => BackplaneError::new(why.clone().unwrap_or_default()),
            Err(_) => BackplaneError::lost(),
        }
    }

    fn check(&self) -> Result<(), BackplaneError> {
        match &*self.0.borrow() {
            Some(why) => Err(BackplaneError::new(why.clone())),
            None => Ok(()),
        }
    }
}

/// A subject of a half's own: what is published to it comes back behind all that the server did before.
struct Echo {
    client: Client,
    subject: String,
    subscriber: Subscriber,
    number: u64,
}

impl Echo {
    async fn new(client: Client) -> Result<Self, BackplaneError> {
        let subject = client.new_inbox();
        let subscriber = client.subscribe(subject.clone()).await.map_err(failed)?;
        Ok(Self { client, subject, subscriber, number: 0 })
    }

    /// Waits until the server has done all that it was told before.
    async fn round_trip(&mut self) -> Result<(), BackplaneError> {
        self.number += 1;
        let number = self.number.to_string();
        self.client.publish(self.subject.clone(), number.clone().into()).await.map_err(failed)?;
        // What was sent by a call that was dropped comes before.
        while let Some(message) = self.subscriber.next().await {
            if message.payload == number {
                return Ok(());
            }
        }
        Err(BackplaneError::lost())
    }
}

/// The client tells a task of its own that it has dropped a message, and goes on with the next. Before that is taken out, so many others
/// are, and the task has had its turn.
const LEAST_INBOX: usize = 1024;

fn began_anew() -> BackplaneError {
    BackplaneError::new("the stream has begun to count anew")
}

fn failed(error: impl StdError + Send + Sync + 'static) -> BackplaneError {
    BackplaneError::new(Box::new(error))
}
