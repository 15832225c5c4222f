//! What a hub and its backplane have between them: messages that wait to be published, and what this node wants from others.
//!
//! ```text
//!            publish ─▶ Queue ─▶ Outbound ─▶ engine ─▶ Inbound ─▶ topics
//!                          │                               ▲
//!                          └─▶ topics, where nobody numbers, or the engine is away
//! ```
//!
//! Where the engine numbers, a message is delivered here when it comes back; until then it is *unheard*. When the engine goes away,
//! what is unheard is delivered here at once, and so is what is published from then on, in an epoch of this node's own; it is all
//! published again when the engine is back, and what then comes back is known by its origin.
//!
//! What was delivered so is *early*: it stays for those who were here then, and is no history. When it comes back it gets the place
//! that the engine gave it, for those who were not here: so history has only the engine's places, but while the engine is away.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::ask::Ask;
use super::backplane::{Arrival, Arrived, BackplaneError, History, Numbering, Origin, Publication};
use super::changes::{Change, Changes, Interest};
use super::config::BridgeConfig;
use super::error::PublishError;
use super::hub::{Hub, Published, Reach, Shared};
use super::pattern::Pattern;
use super::peer::Peer;
use super::position::Position;
use super::post::{Post, Whose};
use super::unheard::{Sent, Unheard};
use crate::prepared::PreparedMessage;

/// How a bridge stands: for a health check, and to see why other nodes are not heard.
///
/// ```
/// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, MemoryBackplane, Numbering};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let hub = Hub::<()>::new(HubConfig::default());
/// assert_eq!(hub.bridge_status(), None);
/// let bridge = hub.bridge(MemoryBackplane::new(Numbering::Engine), BridgeConfig::default());
/// let status = hub.bridge_status().unwrap_or_default();
/// assert!(!status.is_up, "not before it runs");
/// if let Some(error) = status.last_error {
///     eprintln!("{error}; {} messages wait", status.queued);
/// }
/// tokio::spawn(bridge.run());
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeStatus {
    /// Whether it is connected to its engine.
    pub is_up: bool,
    /// How many messages wait to be published to other nodes.
    pub queued: usize,
    /// How many messages went only to this node, because too many waited.
    pub cut: u64,
    /// How often it was connected.
    pub connects: u64,
    /// What the engine's client said when it failed last.
    pub last_error: Option<String>,
}

/// What is between a hub and its bridge.
pub(super) struct Queue<S> {
    numbering: Numbering,
    node: u64,
    config: BridgeConfig,
    waiting: Mutex<Waiting<S>>,
    /// Wakes the outbound half, and the inbound half.
    pub(super) outbound: Notify,
    pub(super) inbound: Notify,
    /// Wakes those who wait until the bridge is up, or is the hub's no more.
    pub(super) changed: Notify,
}

struct Waiting<S> {
    link: Link,
    /// The number of the last publication.
    number: u64,
    publications: VecDeque<Queued>,
    bytes: usize,
    unheard: Unheard<S>,
    changes: Changes<S>,
    asks: VecDeque<Ask<S>>,
    /// How many questions there are, here and among the changes.
    asking: usize,
    status: BridgeStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// The connection has failed, and what is unheard is being delivered.
    GoingDown,
    Down,
}

/// A publication that waits, behind so many changes of what is wanted: who has just subscribed is to get it.
#[derive(Debug)]
struct Queued {
    publication: Publication,
    behind: u64,
}

impl<S> Queue<S> {
    pub(super) fn new(numbering: Numbering, config: BridgeConfig) -> Self {
        let waiting = Waiting {
            link: Link::Down,
            number: 0,
            publications: VecDeque::new(),
            bytes: 0,
            unheard: Unheard::default(),
            changes: Changes::default(),
            asks: VecDeque::new(),
            asking: 0,
            status: BridgeStatus::default(),
        };
        let [outbound, inbound, changed] = [(); 3].map(|()| Notify::new());
        Self { numbering, node: rand::random(), config, waiting: Mutex::new(waiting), outbound, inbound, changed }
    }

    pub(super) fn config(&self) -> &BridgeConfig {
        &self.config
    }

    /// Whether the engine is there, and may know more of a topic than this node.
    pub(super) fn has_history(&self) -> bool {
        self.numbering == Numbering::Engine && self.lock().link == Link::Up
    }

    /// Takes note of what this node wants. While the engine is away that is nothing to do: when it is back, it is told all.
    pub(super) fn tell(&self, interest: Interest) {
        let mut waiting = self.lock();
        if waiting.link == Link::Up {
            waiting.changes.push(Change::Interest(interest));
            drop(waiting);
            self.inbound.notify_one();
        }
    }

    /// Takes note that nobody has listened to a topic so far: what has not come back may have been told to others, and is not
    /// delivered here before it comes.
    pub(super) fn forget_unheard(&self, topic: &str) {
        let Waiting { unheard, publications, .. } = &mut *self.lock();
        unheard.forget(topic, publications.iter().map(|queued| &queued.publication));
    }

    /// Asks for what a connection has missed. Gives the question back where the engine has gone away meanwhile, or too many wait
    /// for an answer.
    #[must_use]
    pub(super) fn ask(&self, ask: Ask<S>) -> Option<Ask<S>> {
        {
            let mut waiting = self.lock();
            if waiting.link != Link::Up || waiting.asking >= ASKS {
                return Some(ask);
            }
            waiting.asking += 1;
            waiting.changes.push(Change::Ask(ask));
        }
        self.inbound.notify_one();
        None
    }

    pub(super) fn status(&self) -> BridgeStatus {
        let waiting = self.lock();
        let (is_up, queued) = (waiting.link == Link::Up, waiting.publications.len());
        BridgeStatus { is_up, queued, ..waiting.status.clone() }
    }

    /// Takes the next change, which counts as done when the next one is taken; and with [`Change::Renew`] all before it.
    pub(super) fn next_change(&self) -> Option<Change<S>> {
        let mut waiting = self.lock();
        let (next, is_forward) = waiting.changes.next();
        drop(waiting);
        if is_forward {
            self.outbound.notify_one();
        }
        next
    }

    /// Puts a question to the half that can ask.
    pub(super) fn pass_on(&self, ask: Ask<S>) {
        self.lock().asks.push_back(ask);
        self.outbound.notify_one();
    }

    pub(super) fn next_ask(&self) -> Option<Ask<S>> {
        let mut waiting = self.lock();
        let ask = waiting.asks.pop_front();
        waiting.asking -= usize::from(ask.is_some());
        ask
    }

    /// The next publications that may go out; they stay until [`Self::published`] is told.
    pub(super) fn batch(&self) -> Vec<Publication> {
        let waiting = self.lock();
        let ready = waiting.publications.iter().take_while(|queued| queued.behind <= waiting.changes.done());
        ready.take(self.config.batch.max(1)).map(|queued| queued.publication.clone()).collect()
    }

    /// Takes note that the first so many publications are out.
    pub(super) fn published(&self, count: usize) {
        let mut waiting = self.lock();
        for _ in 0..count {
            if let Some(queued) = waiting.publications.pop_front() {
                waiting.bytes -= queued.publication.payload.len();
            }
        }
        if waiting.publications.is_empty() && waiting.publications.capacity() > self.config.batch {
            waiting.publications = VecDeque::new();
        }
    }

    /// Takes note that the engine is there. Nothing is wanted yet on the new connection: what is published from now on waits
    /// until all is. Gives the changes that were not made.
    pub(super) fn up(&self) -> VecDeque<Change<S>> {
        let changes = {
            let mut waiting = self.lock();
            waiting.link = Link::Up;
            waiting.status.connects += 1;
            waiting.asking = waiting.asks.len();
            waiting.changes.begin()
        };
        self.changed.notify_waiters();
        changes
    }

    /// Whose a publication of this node is that is delivered before it comes back.
    fn whose(&self, origin: Origin) -> Whose {
        match self.numbering {
            Numbering::Engine => Whose::Early(origin),
            Numbering::Node => Whose::Ours(origin),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<S>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send + Sync + 'static> Queue<S> {
    /// Publishes a message to all nodes.
    pub(super) fn publish(
        &self,
        hub: &Shared<S>,
        name: &str,
        message: &PreparedMessage,
        may_be_encoded: bool,
        sender: Option<&Peer<S>>,
    ) -> Result<Published, PublishError> {
        let (kind, payload) = (message.kind(), message.payload().clone());
        let len = payload.len();
        let is_wanted = self.numbering == Numbering::Engine && hub.wants(name);
        let mut gone = Vec::new();
        let (origin, reach, is_delivered) = {
            let mut waiting = self.lock();
            waiting.number += 1;
            let origin = Origin { node: self.node, number: waiting.number };
            let bounds = self.config.queue;
            let is_full = waiting.publications.len() >= bounds.messages || waiting.bytes + len > bounds.bytes;
            let publication = Publication { topic: name.into(), origin, kind, may_be_encoded, payload };
            let is_delivered = match (self.numbering, waiting.link) {
                (Numbering::Engine, Link::Up) => is_full,
                (Numbering::Engine, Link::GoingDown) => false,
                (Numbering::Engine, Link::Down) | (Numbering::Node, _) => true,
            };
            if is_wanted && !is_delivered {
                let sent = Sent { publication: publication.clone(), sender: sender.cloned(), is_forgotten: false };
                gone = waiting.unheard.push(sent, bounds);
            }
            if is_full {
                waiting.status.cut += 1;
            } else {
                waiting.bytes += len;
                let behind = waiting.changes.count();
                waiting.publications.push_back(Queued { publication, behind });
            }
            (origin, if is_full { Reach::Cut } else { Reach::AllNodes }, is_delivered)
        };
        drop(gone);
        self.outbound.notify_one();
        if !is_delivered {
            return Ok(Published { receivers: 0, position: None, reach });
        }
        let whose = if reach == Reach::Cut { Whose::Cut } else { self.whose(origin) };
        let message = || (message.clone(), may_be_encoded);
        let delivered = hub.deliver(name, message, Post { sender, whose, position: None })?;
        let (receivers, position) = delivered.map_or((0, None), |(count, position)| (count, Some(position)));
        Ok(Published { receivers, position, reach })
    }

    /// Takes note that the engine is away, and why: what has not come back is delivered here.
    pub(super) fn down(&self, hub: &Shared<S>, error: &BackplaneError) {
        {
            let mut waiting = self.lock();
            waiting.status.last_error = Some(error.to_string());
            if waiting.link == Link::Down {
                return;
            }
            waiting.link = Link::GoingDown;
        }
        loop {
            let sent = {
                let mut waiting = self.lock();
                let sent = waiting.unheard.pop();
                if sent.is_none() {
                    waiting.link = Link::Down;
                }
                sent
            };
            let Some(Sent { publication, sender, is_forgotten }) = sent else { break };
            let Publication { topic, origin, kind, may_be_encoded, payload } = publication;
            if is_forgotten {
                // When it comes, it is behind what is delivered here until then.
                if let Some(topic) = hub.find(&topic) {
                    topic.tell_gap();
                }
                continue;
            }
            let message = || (PreparedMessage::of_checked(kind, payload), may_be_encoded);
            let (sender, whose) = (sender.as_ref(), self.whose(origin));
            // Where there is no place for another topic, nobody waits for it.
            let _ = hub.deliver(&topic, message, Post { sender, whose, position: None });
        }
        // Who waits for what was missed does so no longer.
        let mut asks = Vec::new();
        {
            let mut waiting = self.lock();
            waiting.asking = 0;
            asks.extend(core::mem::take(&mut waiting.asks));
            for change in waiting.changes.take() {
                match change {
                    Change::Ask(ask) => asks.push(ask),
                    // All that is wanted is told anew.
                    Change::Interest(_) | Change::Renew => {}
                }
            }
        }
        asks.into_iter().for_each(|ask| ask.answer(hub, History::default()));
    }

    /// Takes note of where a topic stands that is subscribed to now.
    pub(super) fn begin(&self, hub: &Shared<S>, pattern: &Pattern, newest: Option<Position>) {
        let Some(newest) = newest.filter(|_| self.numbering == Numbering::Engine) else { return };
        if !pattern.is_exact() {
            hub.for_each_topic(|topic| {
                let (is_named, last) = {
                    let state = topic.lock();
                    (state.named() > 0, state.remote.as_ref().and_then(|remote| remote.heard_up_to()))
                };
                // Of those that are asked for by name, the engine tells.
                let is_behind = !is_named && last.is_some_and(|last| last.epoch != newest.epoch);
                if is_behind && pattern.matches(&topic.name) {
                    topic.tell_gap();
                }
            });
        } else if let Some(topic) = hub.find(pattern.as_str()) {
            let mut state = topic.lock();
            let has_patterns = state.len() > state.named() as usize;
            let remote = state.remote.get_or_insert_default();
            if remote.heard_up_to().is_none() {
                // What they had asked for before may be on its way.
                let place = if has_patterns { &mut remote.begun } else { &mut remote.last };
                *place = Some(newest);
                state.log.begin(newest);
            }
        }
    }

    /// Delivers what has come from the engine.
    pub(super) fn arrive(&self, hub: &Shared<S>, arrival: Arrival) {
        let Arrived { publication, position } = match arrival {
            Arrival::Message(arrived) => arrived,
            Arrival::Gap { topic } => {
                if let Some(topic) = hub.find(&topic) {
                    topic.tell_gap();
                }
                return;
            }
        };
        let is_ours = publication.origin.node == self.node;
        let position = position.filter(|_| self.numbering == Numbering::Engine);
        if is_ours && self.numbering == Numbering::Node {
            return;
        }
        let sender = if is_ours { self.heard(&publication) } else { None };
        let Publication { topic, origin, kind, may_be_encoded, payload } = publication;
        let message = || (PreparedMessage::of_checked(kind, payload), may_be_encoded);
        let (sender, whose) = (sender.as_ref(), Whose::Theirs(origin));
        // Where there is no place for another topic, nobody waits for it.
        let _ = hub.deliver(&topic, message, Post { sender, whose, position });
    }

    /// Takes note that a publication of ours has come back, and with it all before in its topic; whom it is not for.
    fn heard(&self, publication: &Publication) -> Option<Peer<S>> {
        let (sender, _heard) = self.lock().unheard.heard(publication);
        sender
    }

    /// Tells everybody who waits for other nodes that something may have been missed: where nobody numbers, nobody knows.
    pub(super) fn tell_gaps(&self, hub: &Shared<S>) {
        if self.numbering == Numbering::Node {
            hub.for_each_topic(|topic| topic.tell_gap());
        }
    }
}

impl<S: Send + Sync + 'static> Hub<S> {
    /// Returns how the bridge to other nodes stands; `None` if there is none.
    #[must_use]
    pub fn bridge_status(&self) -> Option<BridgeStatus> {
        self.shared.bridge().map(|bridge| bridge.status())
    }

    /// Waits until the bridge to other nodes is up. It does not give up by itself: put a time limit around it. Ready at once if
    /// there is no bridge.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, MemoryBackplane, Numbering};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let hub = Hub::<()>::new(HubConfig::default());
    /// tokio::spawn(hub.bridge(MemoryBackplane::new(Numbering::Engine), BridgeConfig::default()).run());
    /// if tokio::time::timeout(Duration::from_secs(5), hub.bridge_up()).await.is_err() {
    ///     eprintln!("the engine is away: clients are taken in all the same");
    /// }
    /// # assert!(hub.bridge_status().unwrap().is_up);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn bridge_up(&self) {
        while let Some(bridge) = self.shared.bridge() {
            let changed = bridge.changed.notified();
            if bridge.lock().link == Link::Up {
                return;
            }
            // Else whoever took it away did not see that somebody waits.
            if self.shared.is_bridge(&bridge) {
                changed.await;
            }
        }
    }
}

/// How many questions wait for the engine.
const ASKS: usize = 1024;
