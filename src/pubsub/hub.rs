//! The hub: topics by name, and publishing to them.
//!
//! A publish finds its topic under a lock for reading, appends under the topic's own lock, and wakes who waits when that is free
//! again. All that changes which topics there are and who is in which is the registry's, which a publish does not see.
//!
//! Locks are taken in this order: registry, names, a topic's turn, topic, mailbox; of the last two never both. With a topic locked, its turn
//! is tried for, and never waited for.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use std::collections::HashSet;
use std::sync::PoisonError;

use super::bridge::Queue;
use super::config::{Bounds, HubConfig};
use super::error::PublishError;
use super::hooks::Hooks;
use super::log::{Limits, View};
use super::member::Member;
use super::pattern::check_name;
use super::peer::Peer;
use super::position::Position;
use super::post::{Body, Delivered, Post, Topic, Whose};
use super::registry::Registry;
use super::sync::{Apart, AtomicU64, Counter, Mutex, Ordering, RwLock};
use crate::driver::{Outgoing, Transport, WebSocket};
use crate::prepared::PreparedMessage;

/// Topics, and the connections that subscribe to them: shared by all tasks, and cheap to clone.
///
/// Each connection carries an `S`, the state that the application gives it: see [`Self::join`].
///
/// ```
/// use sockeye::pubsub::{Bounds, Hub, HubConfig};
///
/// let mut config = HubConfig::default();
/// config.history = Bounds { messages: 100, bytes: 64 * 1024 };
/// let hub = Hub::<()>::new(config);   // a type is to be said, also where connections have no state
///
/// let published = hub.publish("room/1", "hello")?;
/// assert_eq!((published.receivers, published.position), (0, hub.position("room/1")));
/// assert_eq!(hub.held("room/1"), Bounds { messages: 1, bytes: 5 });
/// assert_eq!((hub.present_count("room/1"), hub.stats().topics), (0, 1));
/// # Ok::<(), sockeye::pubsub::PublishError>(())
/// ```
pub struct Hub<S = ()> {
    pub(super) shared: Arc<Shared<S>>,
}

pub(super) struct Shared<S> {
    pub(super) config: HubConfig,
    pub(super) hooks: Box<dyn Hooks<S>>,
    /// What topics hold, if the hooks do not say otherwise.
    pub(super) limits: Arc<Limits>,
    /// The topics by name, in several parts, so that threads seldom meet.
    names: Box<[Apart<RwLock<Names<S>>>]>,
    pub(super) registry: Mutex<Registry<S>>,
    /// How many messages were published.
    stamp: Apart<AtomicU64>,
    /// How many patterns are subscribed to.
    pub(super) patterns: AtomicU64,
    /// The number that a connection or topic was given last.
    numbers: Counter,
    members: Counter,
    pub(super) topics: Counter,
    skipped: Counter,
    /// Whether there is a bridge.
    is_bridged: AtomicU64,
    bridge: RwLock<Option<Arc<Queue<S>>>>,
}

type Names<S> = HashSet<Named<S>>;

/// A topic as it is found by its name.
struct Named<S>(Arc<Topic<S>>);

impl<S> Borrow<str> for Named<S> {
    fn borrow(&self) -> &str {
        &self.0.name
    }
}

impl<S> Hash for Named<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0.name).hash(state);
    }
}

impl<S> PartialEq for Named<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl<S> Eq for Named<S> {}

/// What became of a message that was published.
///
/// ```
/// use sockeye::pubsub::{Hub, HubConfig, Reach};
///
/// let published = Hub::<()>::new(HubConfig::default()).publish("room/1", "hello")?;
/// assert_eq!((published.receivers, published.position, published.reach), (0, None, Reach::Hub));   // nobody is there
/// # Ok::<(), sockeye::pubsub::PublishError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The subscribers here that will be sent it, unless they skip it. 0 where a backplane numbers: they are sent it when it
    /// comes back, and so 0 does not say that nobody listens.
    pub receivers: usize,
    /// The place that it got in its topic; `None` if there is no such topic here, because nobody subscribes and nothing is
    /// kept, and where a backplane numbers.
    pub position: Option<Position>,
    /// How far it goes.
    pub reach: Reach,
}

/// How far a message goes.
///
/// ```
/// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, MemoryBackplane, Numbering, Reach};
///
/// let hub = Hub::<()>::new(HubConfig::default());
/// let _bridge = hub.bridge(MemoryBackplane::new(Numbering::Engine), BridgeConfig::default());
/// assert_eq!(hub.publish("room/1", "hello")?.reach, Reach::AllNodes);   // waits until the bridge is up
/// # Ok::<(), sockeye::pubsub::PublishError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// To the subscribers of this hub: there is no bridge.
    Hub,
    /// To those of all nodes: it is queued for the backplane.
    AllNodes,
    /// To those of this hub, because too much waits for the backplane already: see
    /// [`BridgeConfig::queue`](super::BridgeConfig::queue).
    Cut,
}

/// What a hub holds and has done.
///
/// ```
/// use sockeye::pubsub::{Hub, HubConfig};
///
/// let stats = Hub::<()>::new(HubConfig::default()).stats();
/// println!("{} connections, {} topics, {} messages skipped", stats.members, stats.topics, stats.skipped);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Connections that have joined and not left.
    pub members: u64,
    /// Topics that exist.
    pub topics: u64,
    /// Messages that were published to topics that existed.
    pub published: u64,
    /// Messages that subscribers were not sent because they were too slow, those that were conflated among them.
    pub skipped: u64,
}

impl<S: Send + Sync + 'static> Hub<S> {
    /// Creates a hub in which everybody may subscribe and publish everywhere.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self::with_hooks(config, ())
    }

    /// Creates a hub with rules.
    #[must_use]
    pub fn with_hooks(config: HubConfig, hooks: impl Hooks<S>) -> Self {
        let shared = Shared {
            limits: Arc::new(Limits { lag: config.lag, history: config.history }),
            config,
            hooks: Box::new(hooks),
            names: (0..PARTS).map(|_| Apart(RwLock::new(HashSet::new()))).collect(),
            registry: Mutex::new(Registry::default()),
            stamp: Apart(AtomicU64::new(0)),
            patterns: AtomicU64::new(0),
            numbers: Counter::new(0),
            members: Counter::new(0),
            topics: Counter::new(0),
            skipped: Counter::new(0),
            is_bridged: AtomicU64::new(0),
            bridge: RwLock::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lets a connection join, with a state of the application's, which others see: [`Self::present`].
    ///
    /// Who it is, the opening handshake tells, before the connection is accepted; here, by a token in the query of the URL, which
    /// is where browsers can put one:
    ///
    /// ```no_run
    /// use sockeye::handshake::Rejection;
    /// use sockeye::pubsub::{Hub, HubConfig};
    /// use sockeye::tokio::Server;
    ///
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// /// Tokens are such that nothing in them is percent-encoded: base64url, say.
    /// fn who(query: Option<&str>) -> Option<User> {
    ///     let token = query?.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    ///     (token == "abc123").then(|| User { name: "ann".into() })   // look it up
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let hub = Hub::<User>::new(HubConfig::default());
    /// let server = Server::bind("127.0.0.1:9001").await?;
    /// server.run(move |mut accepting, _peer| {
    ///     let hub = hub.clone();
    ///     async move {
    ///         let user = who(accepting.request().await?.query());
    ///         let Some(user) = user else {
    ///             return Err(accepting.reject(Rejection::new(401)?).await);
    ///         };
    ///         let mut member = hub.join(accepting.accept().await?, user);
    ///         while let Some(event) = member.next().await? {
    ///             println!("{}: {event:?}", member.state().name);
    ///         }
    ///         Ok(())
    ///     }
    /// }).await
    /// # }
    /// ```
    pub fn join<T: Transport>(&self, socket: WebSocket<T>, state: S) -> Member<T, S> {
        let peer = Peer::new(self.shared.next_number(), state);
        self.shared.members.fetch_add(1, Ordering::Relaxed);
        Member::new(self.clone(), peer, socket)
    }

    /// Publishes a message: it never waits, for nobody, and is encoded once for all. From any thread, also outside of a runtime.
    ///
    /// [`Uncompressed`](crate::Uncompressed) messages are sent as they are. A [`PreparedMessage`] is not copied, nor is what
    /// owns its payload, such as a `String` or [`Bytes`](bytes::Bytes); only where many connections of a thread are sent the same, in
    /// messages of less than 4 KiB, that is copied once for all of them.
    ///
    /// # Errors
    ///
    /// If the topic's name is none, or there are too many topics.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<Outgoing<'m>>) -> Result<Published, PublishError> {
        self.shared.publish(topic, message.into(), None)
    }

    /// Returns those who have subscribed to a topic by its name, on this node, and are not hidden; in no order.
    #[must_use]
    pub fn present(&self, topic: &str) -> Vec<Peer<S>> {
        self.shared.find(topic).map_or_else(Vec::new, |topic| topic.lock().present().cloned().collect())
    }

    /// Returns how many those are.
    #[must_use]
    pub fn present_count(&self, topic: &str) -> usize {
        self.shared.find(topic).map_or(0, |topic| topic.lock().present_count())
    }

    /// Returns the place of a topic's newest message, which a client may say when it comes back and was here all the time; `None` if there is
    /// no such topic.
    #[must_use]
    pub fn position(&self, topic: &str) -> Option<Position> {
        self.shared.find(topic).map(|topic| topic.lock().newest(View::EARLY))
    }

    /// Returns how many messages a topic holds, for its history and for those who were not sent them yet.
    #[must_use]
    pub fn held(&self, topic: &str) -> Bounds {
        let (messages, bytes) = self.shared.find(topic).map_or((0, 0), |topic| topic.lock().log.size());
        Bounds { messages, bytes }
    }

    /// Returns what the hub holds and has done.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let Shared { members, topics, skipped, .. } = &*self.shared;
        let [members, topics, skipped] = [members, topics, skipped].map(|counter| counter.load(Ordering::Relaxed));
        HubStats { members, topics, published: self.shared.now(), skipped }
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.shared.config
    }
}

impl<S: 'static> Shared<S> {
    /// The topic of this name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Topic<S>>> {
        let names = self.names[part(name)].0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).map(|named| named.0.clone())
    }

    /// Lets a topic be found. Only the registry does that.
    pub(super) fn add(&self, topic: &Arc<Topic<S>>) {
        self.topics.fetch_add(1, Ordering::Relaxed);
        let mut names = self.names[part(&topic.name)].0.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(Named(topic.clone()));
    }

    /// Lets nobody find a topic any more. Only the registry does that.
    pub(super) fn remove(&self, name: &str) {
        let removed = {
            let mut names = self.names[part(name)].0.write().unwrap_or_else(PoisonError::into_inner);
            let removed = names.take(name);
            if names.capacity() > 64 && names.len() < names.capacity() / 8 {
                names.shrink_to_fit();
            }
            removed
        };
        if removed.is_some() {
            self.topics.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What a topic of this name keeps.
    pub(super) fn history_of(&self, name: &str) -> Bounds {
        self.hooks.history(name).unwrap_or(self.config.history)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The stamp of the newest message.
    pub(super) fn now(&self) -> u64 {
        self.stamp.0.load(Ordering::SeqCst)
    }

    /// The stamp of the next message.
    pub(super) fn next_stamp(&self) -> u64 {
        self.stamp.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn count_skipped(&self, messages: u64) {
        self.skipped.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn count_left(&self) {
        self.members.fetch_sub(1, Ordering::Relaxed);
    }

    /// What waits for other nodes, if there is a bridge to them.
    pub(super) fn bridge(&self) -> Option<Arc<Queue<S>>> {
        if self.is_bridged.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.bridge.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a bridge be the one of this hub; gives back one that was before.
    pub(super) fn set_bridge(&self, bridge: Option<Arc<Queue<S>>>) -> Option<Arc<Queue<S>>> {
        let before = {
            let mut known = self.bridge.write().unwrap_or_else(PoisonError::into_inner);
            self.is_bridged.store(u64::from(bridge.is_some()), Ordering::Release);
            core::mem::replace(&mut *known, bridge)
        };
        before.inspect(|bridge| bridge.changed.notify_waiters())
    }

    /// Whether this bridge is still that of this hub.
    pub(super) fn is_bridge(&self, known: &Arc<Queue<S>>) -> bool {
        self.bridge().is_some_and(|bridge| Arc::ptr_eq(&bridge, known))
    }

    /// Lets a bridge be the one of this hub no longer, if it still is.
    pub(super) fn unset_bridge(&self, known: &Arc<Queue<S>>) {
        {
            let mut bridge = self.bridge.write().unwrap_or_else(PoisonError::into_inner);
            if bridge.as_ref().is_some_and(|bridge| Arc::ptr_eq(bridge, known)) {
                self.is_bridged.store(0, Ordering::Release);
                *bridge = None;
            }
        }
        known.changed.notify_waiters();
    }
}

impl<S: Send + Sync + 'static> Shared<S> {
    /// Publishes a message, here and elsewhere; `sender` is not sent it.
    pub(super) fn publish(
        &self,
        name: &str,
        message: Outgoing<'_>,
        sender: Option<&Peer<S>>,
    ) -> Result<Published, PublishError> {
        let Some(bridge) = self.bridge() else {
            let post = Post { sender, whose: Whose::Here, position: None };
            let delivered = self.deliver(name, || message.into_prepared(), post)?;
            let (receivers, position) = delivered.map_or((0, None), |(count, position)| (count, Some(position)));
            return Ok(Published { receivers, position, reach: Reach::Hub });
        };
        check_name(name)?;
        let (message, may_be_encoded) = message.into_prepared();
        bridge.publish(self, name, &message, may_be_encoded, sender)
    }

    /// Delivers a message to the subscribers here: how many those are, and the place that it got. `None` if there is no such
    /// topic and none is wanted, or it was delivered before. The message is made only if there is one.
    pub(super) fn deliver(
        &self,
        name: &str,
        message: impl FnOnce() -> (PreparedMessage, bool),
        post: Post<'_, S>,
    ) -> Result<Option<(usize, Position)>, PublishError> {
        let mut found = match self.find(name) {
            Some(topic) => Some(topic),
            None => self.make_if_wanted(name)?,
        };
        if found.is_none() {
            return Ok(None);
        }
        let (message, may_be_encoded) = message();
        let mut body = Body::new(message, may_be_encoded);
        while let Some(topic) = found {
            match topic.deliver(self, body, post) {
                Delivered::To(receivers, position) => return Ok(Some((receivers, position))),
                Delivered::Known => return Ok(None),
                // It is vanishing: what the registry has is not.
                Delivered::Gone(undelivered) => {
                    body = undelivered;
                    found = self.make_if_wanted(name)?;
                }
            }
        }
        Ok(None)
    }

    /// Whether a message to a topic of this name would be delivered to anybody here.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.find(name).is_some() || (self.patterns.load(Ordering::Acquire) > 0 && self.has_pattern_for(name))
    }

    /// The topic of this name that the registry has, or has made because a pattern matches or it is to be kept.
    fn make_if_wanted(&self, name: &str) -> Result<Option<Arc<Topic<S>>>, PublishError> {
        check_name(name)?;
        let history = self.history_of(name);
        let is_kept = history.messages > 0 && history.bytes > 0;
        if !is_kept && self.patterns.load(Ordering::Acquire) == 0 && self.find(name).is_none() {
            return Ok(None);
        }
        self.make(name, history, is_kept)
    }
}

/// In which part a name is: the same in every run, which the models of `loom` need. Whoever chooses names so that all are in
/// one makes threads wait for each other, and no look-up longer.
fn part(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The last letters, in which names differ most, are in the middle bits until now. Less than `PARTS`.
    usize::try_from((hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60).unwrap_or_default() % PARTS
}

/// The number of parts.
const PARTS: usize = 16;

impl<S> Clone for Hub<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S> fmt::Debug for Hub<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    #[test]
    fn names_that_differ_in_their_last_letter_are_in_different_parts() {
        let parts: BTreeSet<usize> = (0..64).map(|number| part(&format!("room/{number}"))).collect();
        assert!(parts.len() > PARTS * 3 / 4 && parts.iter().all(|part| *part < PARTS), "{parts:?}");
    }
}
