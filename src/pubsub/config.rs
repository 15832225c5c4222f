//! What can be set: of a hub, of a subscription, of a bridge to other nodes.

use core::time::Duration;

use super::pattern::{Pattern, PatternError};
use super::position::Position;
use crate::message::{Message, MessageRef};

/// The limits of a hub, and what it keeps.
///
/// ```
/// use sockeye::pubsub::{Bounds, Hub, HubConfig, SlowConsumer};
///
/// let mut config = HubConfig::default();
/// config.history = Bounds { messages: 500, bytes: 256 * 1024 };   // for who comes back
/// config.lag = Bounds { messages: 800, bytes: 512 * 1024 };       // who is further behind ...
/// config.slow_consumer = SlowConsumer::Close;                     // ... is closed, and may come back
/// let hub = Hub::<()>::new(config);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// How far a subscriber may lag behind its topic: a message is kept for those that have not been sent it yet, until it is
    /// older than this. Default 1024 messages and 1 MiB for each topic, whoever waits for them: all share what is kept. What
    /// [`Self::history`] keeps is there for them, too: where that is more, it is the bound.
    pub lag: Bounds,
    /// What a topic keeps for those who come back or come late ([`Subscription::since`], [`Subscription::last`]).
    /// Default none; both bounds must be more than 0 for it to keep anything. [`Hooks::history`](super::Hooks::history) can say
    /// otherwise for some topics. A topic with history stays when its last subscriber leaves, until there are too many topics. So
    /// it costs up to this, `max_topics` times.
    pub history: Bounds,
    /// What happens to a subscriber that lags too far behind. Default [`SlowConsumer::SkipOldest`].
    pub slow_consumer: SlowConsumer,
    /// The most topics that exist at a time. Default 100,000, at most 520 bytes each, one subscriber and a short name
    /// included, and what they keep. Where one is too many, the one that has been without need for the longest vanishes. If none
    /// is found, it is the oldest that is needed only by those who subscribe by a pattern and have not been sent all of it, one with
    /// history last: they lose what they were not sent, and [`Event::Skipped`](super::Event::Skipped) says how much, or are closed if
    /// they must not miss anything ([`SlowConsumer::Close`]). If all are subscribed to by their names, who asked for the new one gets
    /// an error.
    pub max_topics: usize,
    /// The most subscriptions of a connection, a pattern counting as one; never more than 65,535. Default 1,000, each at most
    /// 190 bytes. A pattern costs that for each topic that it matches, which may be all:
    /// [`Hooks::may_subscribe`](super::Hooks::may_subscribe) says who may have such.
    pub max_subscriptions: usize,
    /// Makes the message that subscribers get of the one that was published, so that it can tell its topic and its place in it.
    /// Default `None`: they get it as it is. See [`Envelope`].
    pub envelope: Option<fn(&Envelope<'_>) -> Message>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            lag: Bounds { messages: 1024, bytes: 1024 * 1024 },
            history: Bounds { messages: 0, bytes: 0 },
            slow_consumer: SlowConsumer::SkipOldest,
            max_topics: 100_000,
            max_subscriptions: 1_000,
            envelope: None,
        }
    }
}

/// The most messages, and the most bytes of payload, that something may hold: what is beyond either is too much.
///
/// ```
/// use sockeye::pubsub::{Bounds, HubConfig};
///
/// let mut config = HubConfig::default();
/// config.history = Bounds { messages: 1000, bytes: 1024 * 1024 };   // whichever is reached first
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Messages.
    pub messages: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

/// What a [`HubConfig::envelope`] is told: a message and where it stands. It is called once for each message that is
/// published, under the lock of the topic: it must not use the hub. While messages of this node that a backplane was not there for have not
/// come back, it is called twice for one of another node, with two positions: for who has had those, and for others. If it panics, so does the publish, and nobody gets the
/// message; where that came from another node, it is [`Bridge::run`](super::Bridge::run) that ends.
///
/// The name of a topic may hold any character, quotation marks and control characters among them, so it is to be escaped like
/// any other text:
///
/// ```
/// use sockeye::Message;
/// use sockeye::pubsub::{Envelope, HubConfig};
///
/// /// A client that comes back says the last `at` that it saw. What is published is JSON already.
/// fn envelope(inner: &Envelope<'_>) -> Message {
///     let topic = serde_json::Value::from(inner.topic);
///     let data = inner.message.as_text().unwrap_or("null");
///     format!("{{\"topic\":{topic},\"at\":\"{}\",\"data\":{data}}}", inner.position).into()
/// }
///
/// let mut config = HubConfig::default();
/// config.envelope = Some(envelope);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Envelope<'m> {
    /// The name of the topic.
    pub topic: &'m str,
    /// The place of the message in it.
    pub position: Position,
    /// The message that was published.
    pub message: MessageRef<'m>,
}

/// What happens to a subscriber that lags further behind than [`HubConfig::lag`] and [`HubConfig::history`].
///
/// ```
/// use sockeye::pubsub::{HubConfig, SlowConsumer, Subscription};
///
/// let mut config = HubConfig::default();
/// config.slow_consumer = SlowConsumer::Close;                       // for all
/// let prices = Subscription::to("price/+").slow_consumer(SlowConsumer::KeepLatest);   // but not for these
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// It misses the oldest messages, and [`Event::Skipped`](super::Event::Skipped) says how many.
    #[default]
    SkipOldest,
    /// It gets only the latest message of the topic, whenever there are several that it has not been sent: for prices and
    /// positions, where the latest replaces those before. It never lags by more than one.
    KeepLatest,
    /// Its connection is closed with 1013 (Try Again Later), the next time that [`Member::next`](super::Member::next) is
    /// awaited. If [`Member::send`](super::Member::send) waits for the client, that ends with an error.
    Close,
}

/// A wish to be sent the messages of a topic, or of all that match a pattern.
///
/// ```
/// use sockeye::pubsub::{SlowConsumer, Subscription};
///
/// let prices = Subscription::to("price/+").slow_consumer(SlowConsumer::KeepLatest);
/// let chat = Subscription::to("room/1").last(50);
/// ```
///
/// A `&str` or a [`Pattern`] is one, too, without more.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub(super) pattern: Result<Pattern, PatternError>,
    pub(super) start: Start,
    pub(super) slow_consumer: Option<SlowConsumer>,
    pub(super) is_hidden: bool,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With what is published next.
    Next,
    /// Behind this message.
    Since(Position),
    /// With the last messages of the history.
    Last(usize),
}

impl Subscription {
    /// Makes one of the name of a topic, or a pattern. What is wrong with that is said when it is used.
    #[must_use]
    pub fn to(pattern: &str) -> Self {
        Self { pattern: Pattern::new(pattern), start: Start::Next, slow_consumer: None, is_hidden: false }
    }

    /// Begins behind the message that the client has seen last, for a client that comes back: it is sent what it has missed. If
    /// not all of that is there any more, or its node itself has missed some of it, [`Event::Gap`](super::Event::Gap) says so, and it is
    /// sent what is there.
    ///
    /// It is sent all of it that the history holds, also where that is more than [`HubConfig::lag`]; with
    /// [`SlowConsumer::KeepLatest`] the latest message alone, and those before count as skipped.
    ///
    /// A position is one of a single topic: for a pattern, this is not looked at. Nor is it where a pattern of the connection
    /// matches the topic already: what was missed before is not sent then, and there is no [`Event::Gap`](super::Event::Gap). So a
    /// client of a pattern that comes back is subscribed to the names that it knows first, and to the pattern behind them: see
    /// [coming back](super#coming-back). `None` changes nothing.
    #[must_use]
    pub fn since(mut self, last_seen: impl Into<Option<Position>>) -> Self {
        if let Some(position) = last_seen.into() {
            self.start = Start::Since(position);
        }
        self
    }

    /// Begins with the last messages of the topic's history, so many or as many as there are; of a pattern, with so many of each
    /// topic that it matches, but for those that the connection is in already. Not looked at where a pattern of the connection
    /// matches the topic already.
    ///
    /// Where a backplane numbers and this node has fewer of a topic, the backplane is asked for its newest, but never for more than
    /// [`HubConfig::lag`] or [`HubConfig::history`] has room for. While it is away, and for a pattern, it is what is here.
    #[must_use]
    pub fn last(mut self, messages: usize) -> Self {
        self.start = Start::Last(messages);
        self
    }

    /// Says what happens when the subscriber is too slow, otherwise than [`HubConfig::slow_consumer`] does.
    #[must_use]
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.slow_consumer = Some(policy);
        self
    }

    /// Keeps it out of presence: not counted, not listed, no join and no leave. For who looks on, such as a monitor of all
    /// rooms.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }
}

impl From<&str> for Subscription {
    fn from(pattern: &str) -> Self {
        Self::to(pattern)
    }
}

impl From<Pattern> for Subscription {
    fn from(pattern: Pattern) -> Self {
        Self { pattern: Ok(pattern), start: Start::Next, slow_consumer: None, is_hidden: false }
    }
}

/// How a bridge treats its engine.
///
/// ```
/// use core::time::Duration;
/// use sockeye::pubsub::{Bounds, BridgeConfig};
///
/// let mut config = BridgeConfig::default();
/// config.queue = Bounds { messages: 100_000, bytes: 64 * 1024 * 1024 };   // for long outages
/// config.max_backoff = Duration::from_secs(2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// How many messages, and bytes, wait to be published while the engine is away or slow. Default 10,000 and 16 MiB. What
    /// is beyond is not published to other nodes: see [`Reach`](super::Reach).
    pub queue: Bounds,
    /// The most messages that are published in one go. Default 256.
    pub batch: usize,
    /// The longest that connecting, and each call but receiving, may take. Default 10 seconds.
    pub timeout: Duration,
    /// How long it waits before it connects anew, at first; twice as long each time that it fails, or that the connection fails
    /// sooner than it was waited for; and a random part of that. Default 100 milliseconds.
    pub backoff: Duration,
    /// The longest that it waits. Default 10 seconds.
    pub max_backoff: Duration,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            queue: Bounds { messages: 10_000, bytes: 16 * 1024 * 1024 },
            batch: 256,
            timeout: Duration::from_secs(10),
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
        }
    }
}
