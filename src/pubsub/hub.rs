//! The hub: topics by name, and publishing to them.
//!
//! A publish finds its topic under a lock for reading, appends under the topic's own lock, and wakes who waits when that is free
//! again. All that changes which topics there are and who is in which is the registry's, which a publish does not see.
//!
//! Locks are taken in this order: registry, names, topic, mailbox; of the last two never both.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::collections::HashMap;
use std::sync::PoisonError;

use super::backplane::Origin;
use super::bridge::Queue;
use super::config::{Bounds, Envelope, HubConfig};
use super::delivery::Readable;
use super::error::PublishError;
use super::hooks::Hooks;
use super::log::{Entry, Log, Readers, Slot};
use super::member::Member;
use super::pattern::check_name;
use super::peer::{Mark, Peer};
use super::position::Position;
use super::registry::Registry;
use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, RwLock, lock};
use super::topic::{Reading, Settled, State};
use crate::driver::{Outgoing, Share, Transport, WebSocket};
use crate::message::{MessageKind, MessageRef};
use crate::prepared::PreparedMessage;

/// Topics, and the connections that subscribe to them: shared by all tasks, and cheap to clone.
///
/// Each connection carries an `S`, the state that the application gives it: see [`Self::join`].
pub struct Hub<S = ()> {
    pub(super) shared: Arc<Shared<S>>,
}

pub(super) struct Shared<S> {
    pub(super) config: HubConfig,
    pub(super) hooks: Box<dyn Hooks<S>>,
    /// The topics by name, in several parts, so that threads seldom meet.
    names: Box<[RwLock<Names<S>>]>,
    pub(super) registry: Mutex<Registry<S>>,
    /// How many messages were published.
    stamp: AtomicU64,
    /// The number that a connection or topic was given last.
    numbers: AtomicU64,
    members: AtomicU64,
    pub(super) topics: AtomicU64,
    pub(super) patterns: AtomicU64,
    skipped: AtomicU64,
    /// Whether there is a bridge.
    is_bridged: AtomicU64,
    bridge: RwLock<Option<Arc<Queue<S>>>>,
}

type Names<S> = HashMap<Arc<str>, Arc<Topic<S>>>;

/// A topic, shared by those who publish and those who read.
pub(super) struct Topic<S> {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    state: Mutex<State<Peer<S>, Arc<Body>>>,
}

/// A message as all subscribers get it.
#[derive(Debug)]
pub(super) struct Body {
    message: PreparedMessage,
    may_be_encoded: bool,
}

impl Share for Body {
    fn prepared(&self) -> &PreparedMessage {
        &self.message
    }

    fn may_be_encoded(&self) -> bool {
        self.may_be_encoded
    }
}

/// What became of a message that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The subscribers here that will be sent it, unless they skip it. 0 where a backplane numbers: they are sent it when it
    /// comes back.
    pub receivers: usize,
    /// The place that it got in its topic; `None` if there is no such topic here, because nobody subscribes and nothing is
    /// kept, and where a backplane numbers.
    pub position: Option<Position>,
    /// How far it goes.
    pub reach: Reach,
}

/// How far a message goes.
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
            config,
            hooks: Box::new(hooks),
            names: (0..PARTS).map(|_| RwLock::new(HashMap::new())).collect(),
            registry: Mutex::new(Registry::default()),
            stamp: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            members: AtomicU64::new(0),
            topics: AtomicU64::new(0),
            patterns: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            is_bridged: AtomicU64::new(0),
            bridge: RwLock::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lets a connection join, with a state of the application's, which others see: [`Self::present`].
    pub fn join<T: Transport>(&self, socket: WebSocket<T>, state: S) -> Member<T, S> {
        let peer = Peer::new(self.shared.next_number(), state);
        self.shared.members.fetch_add(1, Ordering::Relaxed);
        Member::new(self.clone(), peer, socket)
    }

    /// Publishes a message: it never waits, for nobody, and is encoded once for all. From any thread, also outside of a runtime.
    ///
    /// [`Uncompressed`](crate::Uncompressed) messages are sent as they are. A [`PreparedMessage`] is not copied, nor is what
    /// owns its payload, such as a `String` or [`Bytes`](bytes::Bytes).
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

    /// Returns the place of a topic's newest message, which a client may say when it comes back; `None` if there is no such
    /// topic.
    #[must_use]
    pub fn position(&self, topic: &str) -> Option<Position> {
        self.shared.find(topic).map(|topic| topic.lock().log.last())
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
        let Shared { members, topics, stamp, skipped, .. } = &*self.shared;
        let [members, topics, published, skipped] =
            [members, topics, stamp, skipped].map(|counter| counter.load(Ordering::Relaxed));
        HubStats { members, topics, published, skipped }
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
        let names = self.names[part(name)].read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).cloned()
    }

    /// A new topic, under its name. Only the registry does that.
    pub(super) fn add(&self, name: &str, history: Bounds) -> Arc<Topic<S>> {
        let name: Arc<str> = name.into();
        let log = Log::new(rand::random(), self.config.lag, history);
        let state = Mutex::new(State::new(log));
        let topic = Arc::new(Topic { id: self.next_number(), name: name.clone(), state });
        self.topics.fetch_add(1, Ordering::Relaxed);
        let mut names = self.names[part(&name)].write().unwrap_or_else(PoisonError::into_inner);
        names.insert(name, topic.clone());
        topic
    }

    /// Lets nobody find a topic any more. Only the registry does that.
    pub(super) fn remove(&self, name: &str) {
        let removed = {
            let mut names = self.names[part(name)].write().unwrap_or_else(PoisonError::into_inner);
            let removed = names.remove(name);
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
        self.stamp.load(Ordering::SeqCst)
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
        self.is_bridged.store(u64::from(bridge.is_some()), Ordering::Release);
        core::mem::replace(&mut *self.bridge.write().unwrap_or_else(PoisonError::into_inner), bridge)
    }

    /// Lets a bridge be the one of this hub no longer, if it still is.
    pub(super) fn unset_bridge(&self, known: &Arc<Queue<S>>) {
        let mut bridge = self.bridge.write().unwrap_or_else(PoisonError::into_inner);
        if bridge.as_ref().is_some_and(|bridge| Arc::ptr_eq(bridge, known)) {
            self.is_bridged.store(0, Ordering::Release);
            *bridge = None;
        }
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
        let (message, may_be_encoded) = message.into_prepared();
        let Some(bridge) = self.bridge() else {
            let post = Post { message: &message, may_be_encoded, sender, whose: Whose::Here, position: None };
            let delivered = self.deliver(name, post)?;
            let (receivers, position) = delivered.map_or((0, None), |(count, position)| (count, Some(position)));
            return Ok(Published { receivers, position, reach: Reach::Hub });
        };
        check_name(name)?;
        bridge.publish(self, name, &message, may_be_encoded, sender)
    }

    /// Delivers a message to the subscribers here: how many those are, and the place that it got. `None` if there is no such
    /// topic and none is wanted, or it was delivered before.
    pub(super) fn deliver(&self, name: &str, post: Post<'_, S>) -> Result<Option<(usize, Position)>, PublishError> {
        loop {
            let Some(topic) = self.find_or_make(name)? else { return Ok(None) };
            match topic.deliver(self, post) {
                Delivered::To(receivers, position) => return Ok(Some((receivers, position))),
                Delivered::Known => return Ok(None),
                // It vanished in between: look again.
                Delivered::Gone => {}
            }
        }
    }

    /// Whether a message to a topic of this name would be delivered to anybody here.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.find(name).is_some() || (self.patterns.load(Ordering::Acquire) > 0 && self.has_pattern_for(name))
    }

    /// What stands in the log of a topic for a message.
    pub(super) fn entry(
        &self,
        topic: &str,
        (message, may_be_encoded): (&PreparedMessage, bool),
        position: Position,
        stamp: u64,
        except: Option<u64>,
    ) -> Entry<Arc<Body>> {
        let message = match self.config.envelope {
            Some(envelope) => PreparedMessage::new(envelope(&Envelope { topic, position, message: lend(message) })),
            None => message.clone(),
        };
        let len = message.payload().len();
        let body = Arc::new(Body { message, may_be_encoded });
        Entry { position, stamp, except, len, unread: Readers::default(), body }
    }

    /// The topic of this name, made if there are patterns for it or it is to be kept.
    pub(super) fn find_or_make(&self, name: &str) -> Result<Option<Arc<Topic<S>>>, PublishError> {
        if let Some(topic) = self.find(name) {
            return Ok(Some(topic));
        }
        check_name(name)?;
        let history = self.history_of(name);
        let is_kept = history.messages > 0 && history.bytes > 0;
        if !is_kept && self.patterns.load(Ordering::Acquire) == 0 {
            return Ok(None);
        }
        self.make(name, history, is_kept)
    }
}

/// A message to be delivered.
pub(super) struct Post<'m, S> {
    pub(super) message: &'m PreparedMessage,
    pub(super) may_be_encoded: bool,
    /// Whom it is not for.
    pub(super) sender: Option<&'m Peer<S>>,
    pub(super) whose: Whose,
    /// The place that an engine gave it.
    pub(super) position: Option<Position>,
}

impl<S> Clone for Post<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Post<'_, S> {}

/// Where a message is from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// From here, where there is no bridge.
    Here,
    /// From here: if it comes back, it was delivered.
    Ours(Origin),
    /// From the engine, which may tell of it twice.
    Theirs(Origin),
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
enum Delivered {
    /// So many will be sent it, and it has this place.
    To(usize, Position),
    /// It was delivered before.
    Known,
    /// The topic has vanished.
    Gone,
}

impl<S: Send + Sync + 'static> Topic<S> {
    /// Appends a message and wakes who waits for it.
    fn deliver(&self, hub: &Shared<S>, post: Post<'_, S>) -> Delivered {
        let Post { message, may_be_encoded, sender, whose, position } = post;
        // Where the sender is in this topic, if it is.
        let seat = sender.and_then(|peer| peer.mailbox().attachments.get(&self.id).map(|at| at.seat));
        let (woken, stamp, position) = {
            let mut state = self.lock();
            if state.is_gone {
                return Delivered::Gone;
            }
            let position = position.unwrap_or_else(|| state.next_position());
            match whose {
                Whose::Here => {}
                Whose::Ours(origin) => state.remote.get_or_insert_default().note(origin),
                Whose::Theirs(origin) => {
                    let engines = post.position;
                    if !state.remote.get_or_insert_default().admit(origin, engines) {
                        return Delivered::Known;
                    }
                }
            }
            let stamp = hub.stamp.fetch_add(1, Ordering::SeqCst) + 1;
            let entry = hub.entry(&self.name, (message, may_be_encoded), position, stamp, sender.map(Peer::id));
            (state.publish(entry, seat), stamp, position)
        };
        for peer in woken.overrun {
            peer.order(|orders| orders.overrun = Some(self.name.clone()));
        }
        let mut sleepers = woken.sleepers;
        let mark = Mark { stamp, topic: self.id };
        sleepers.iter().for_each(|peer| peer.mark(mark));
        sleepers.clear();
        if sleepers.capacity() > 0 {
            self.lock().give_back(sleepers);
        }
        Delivered::To(woken.receivers, position)
    }

    /// Tells all subscribers that messages are missing.
    pub(super) fn tell_gap(&self) {
        let peers: Vec<_> = self.lock().subscribers().map(|(peer, _)| peer.clone()).collect();
        peers.iter().for_each(|peer| peer.order(|orders| orders.tell_gap(&self.name)));
    }
}

impl<S: Send + Sync + 'static> Readable for Topic<S> {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn read(
        &self,
        who: (u32, u64),
        from: u64,
        until: u64,
        take: &mut dyn FnMut(u64, &Slot<Arc<Body>>) -> bool,
    ) -> Option<Reading> {
        self.lock().read(who, from, until, take)
    }

    fn settle(&self, who: (u32, u64), sent: Option<(u64, Position)>) -> Settled {
        self.lock().settle(who, sent)
    }
}

impl<S> Topic<S> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<Peer<S>, Arc<Body>>> {
        lock(&self.state)
    }
}

/// A prepared message as a message.
pub(super) fn lend(message: &PreparedMessage) -> MessageRef<'_> {
    match message.kind() {
        // It was text when it was prepared.
        MessageKind::Text => MessageRef::Text(simdutf8::basic::from_utf8(message.payload()).unwrap_or_default()),
        MessageKind::Binary => MessageRef::Binary(message.payload()),
    }
}

/// In which part a name is: the same in every run, which the models of `loom` need. Whoever chooses names so that all are in
/// one makes threads wait for each other, and no look-up longer.
fn part(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // Less than `PARTS`.
    usize::try_from(hash >> 60).unwrap_or_default() % PARTS
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
