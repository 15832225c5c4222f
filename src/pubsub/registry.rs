//! Which topics there are, and who is in which: everything that changes that, under one lock, which publishing to a topic that
//! exists and delivering do not take.
//!
//! Topics come to exist when somebody subscribes to them, or when something is published to them that a pattern matches or that
//! is to be kept. They vanish with their last subscriber, unless they keep history; and where there are too many, those that
//! nobody asked for by name: as long as there are some, those of which everybody has been sent everything.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasherDefault;
use core::task::Waker;
use std::collections::HashMap;

use super::ask::Ask;
use super::attach::{By, Subscribed};
use super::attachments::Attachment;
use super::backplane::History;
use super::by_number::Numbers;
use super::changes::Interest;
use super::config::{Bounds, SlowConsumer, Start, Subscription};
use super::error::{PublishError, SubscribeError};
use super::hub::{Hub, Shared};
use super::log::Gone;
use super::pattern::Pattern;
use super::peer::Peer;
use super::position::Position;
use super::post::{Body, Topic};
use super::sync::{Ordering, lock};
use super::topic::Loss;
use super::trie::Trie;

/// Topics and patterns, as trees.
pub(super) struct Registry<S> {
    topics: Trie<Arc<Topic<S>>>,
    patterns: Trie<Listeners<S>>,
    /// Those that may vanish, the one that may do so for the longest first. Some may be needed again.
    idle: VecDeque<Arc<Topic<S>>>,
    /// How many topics there are.
    live: usize,
}

/// Who subscribes to a pattern, by number.
struct Listeners<S> {
    pattern: Pattern,
    by_number: HashMap<u64, Listener<S>, BuildHasherDefault<Numbers>>,
}

struct Listener<S> {
    peer: Peer<S>,
    slow_consumer: SlowConsumer,
    start: Start,
}

impl<S> Default for Registry<S> {
    fn default() -> Self {
        Self { topics: Trie::default(), patterns: Trie::default(), idle: VecDeque::new(), live: 0 }
    }
}

/// What is to be done when the locks are free, where somebody else's code runs.
#[derive(Default)]
pub(super) struct After {
    /// The tasks to be woken.
    pub(super) wakers: Vec<Waker>,
    /// The messages to be dropped.
    pub(super) gone: Gone<Arc<Body>>,
}

impl After {
    fn run(self) {
        drop(self.gone);
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

/// There are too many topics.
struct TooMany;

/// A topic that has vanished, what those lose who were in it, and what went.
type Vanished<S> = (Arc<Topic<S>>, (Vec<Loss<Peer<S>>>, Gone<Arc<Body>>));

impl<S: Send + Sync + 'static> Hub<S> {
    /// Subscribes a connection.
    pub(super) fn subscribe(&self, peer: &Peer<S>, wish: &Subscription) -> Result<Subscribed, SubscribeError> {
        let pattern = wish.pattern.clone()?;
        let (subscribed, has_joined) = self.shared.subscribe(peer, &pattern, wish)?;
        if has_joined {
            self.shared.hooks.joined(self, pattern.as_str(), peer);
        }
        Ok(subscribed)
    }

    /// Ends a subscription; says whether there was one.
    pub(super) fn unsubscribe(&self, peer: &Peer<S>, pattern: &Pattern) -> bool {
        let was_present = self.shared.unsubscribe(peer, pattern);
        if was_present == Some(true) {
            self.shared.hooks.left(self, pattern.as_str(), peer);
        }
        was_present.is_some()
    }

    /// Takes a connection out of everything, once.
    pub(super) fn leave(&self, peer: &Peer<S>) {
        for topic in self.shared.leave(peer) {
            self.shared.hooks.left(self, &topic.name, peer);
        }
    }
}

impl<S: Send + Sync + 'static> Shared<S> {
    /// Subscribes a connection; says whether it is seen in a topic for that.
    fn subscribe(
        &self,
        peer: &Peer<S>,
        pattern: &Pattern,
        wish: &Subscription,
    ) -> Result<(Subscribed, bool), SubscribeError> {
        let slow_consumer = wish.slow_consumer.unwrap_or(self.config.slow_consumer);
        if pattern.is_exact() {
            return self.subscribe_by_name(peer, pattern, wish, slow_consumer);
        }
        let mut after = After::default();
        {
            let mut registry = lock(&self.registry);
            if peer.mailbox().patterns.contains(pattern) {
                return Ok((Subscribed::Whole, false));
            }
            self.add_subscription(peer, pattern)?;
            let listener = Listener { peer: peer.clone(), slow_consumer, start: wish.start };
            let none = || Listeners { pattern: pattern.clone(), by_number: HashMap::default() };
            let listeners = registry.patterns.entry(pattern.as_str()).get_or_insert_with(none);
            let is_first = listeners.by_number.is_empty();
            listeners.by_number.insert(peer.id(), listener);
            self.patterns.fetch_add(1, Ordering::Release);
            let mut matched = Vec::new();
            registry.topics.for_each_matched(pattern, &mut |topic| matched.push(topic.clone()));
            for topic in matched {
                self.attach(&topic, peer, slow_consumer, wish.start, By::Pattern, &mut after);
            }
            if is_first {
                self.tell_interest(pattern.clone(), None, true);
            }
        }
        after.run();
        Ok((Subscribed::Whole, false))
    }

    fn subscribe_by_name(
        &self,
        peer: &Peer<S>,
        pattern: &Pattern,
        wish: &Subscription,
        slow_consumer: SlowConsumer,
    ) -> Result<(Subscribed, bool), SubscribeError> {
        let name = pattern.as_str();
        let history = self.history_of(name);
        let (mut after, is_present, mut unasked) = (After::default(), !wish.is_hidden, None);
        let subscribed = {
            let mut registry = lock(&self.registry);
            let topic = self.find(name);
            if let Some(topic) = &topic {
                let mailbox = peer.mailbox();
                if mailbox.attachments.get(topic.id).is_some_and(|at| at.is_named) {
                    return Ok((Subscribed::Whole, false));
                }
            }
            self.check_subscription(peer)?;
            let topic = match topic {
                Some(topic) => topic,
                None => {
                    let made = registry.make(self, name, history, &mut after);
                    made.map_err(|TooMany| SubscribeError::TooManyTopics { max: self.config.max_topics })?
                }
            };
            self.add_subscription(peer, pattern)?;
            let by = By::Name { is_present };
            let subscribed = self.attach(&topic, peer, slow_consumer, wish.start, by, &mut after);
            if topic.lock().named() == 1 {
                self.tell_interest(pattern.clone(), None, true);
            }
            if let Subscribed::Behind(wish) = subscribed {
                // Behind the interest, so that nothing is missed in between.
                let at = peer.mailbox().attachments.get(topic.id).map(|at| at.seat);
                let ask = at.map(|seat| Ask { topic: topic.clone(), peer: peer.clone(), seat, wish });
                unasked = match self.bridge() {
                    Some(bridge) => ask.and_then(|ask| bridge.ask(ask)),
                    None => ask,
                };
            }
            subscribed
        };
        after.run();
        if let Some(ask) = unasked {
            ask.answer(self, History::default());
        }
        Ok((subscribed, is_present))
    }

    /// Ends a subscription; says whether the connection was seen in a topic for that, `None` if there was none.
    fn unsubscribe(&self, peer: &Peer<S>, pattern: &Pattern) -> Option<bool> {
        let mut after = After::default();
        let was_present = self.unsubscribe_with(peer, pattern, &mut after);
        after.run();
        was_present
    }

    fn unsubscribe_with(&self, peer: &Peer<S>, pattern: &Pattern, after: &mut After) -> Option<bool> {
        let mut registry = lock(&self.registry);
        if pattern.is_exact() {
            let topic = self.find(pattern.as_str())?;
            return self.detach_name(&mut registry, peer, &topic, after);
        }
        let matched: Vec<_> = {
            let mut mailbox = peer.mailbox();
            let known = mailbox.patterns.iter().position(|known| known == pattern)?;
            mailbox.patterns.swap_remove(known);
            let attached = mailbox.attachments.values().filter(|at| at.patterns > 0);
            attached.filter(|at| pattern.matches(&at.topic.name)).map(|at| at.topic.clone()).collect()
        };
        self.remove_listener(&mut registry, peer, pattern);
        for topic in matched {
            self.detach_pattern(&mut registry, peer, &topic, after);
        }
        Some(false)
    }

    /// Takes a connection out of everything, once: the topics that it was seen in.
    fn leave(&self, peer: &Peer<S>) -> Vec<Arc<Topic<S>>> {
        let (mut left, mut after) = (Vec::new(), After::default());
        {
            let mut registry = lock(&self.registry);
            let (patterns, attachments) = {
                let mut mailbox = peer.mailbox();
                if mailbox.is_gone {
                    return left;
                }
                (core::mem::take(&mut mailbox.patterns), mailbox.leave())
            };
            for pattern in &patterns {
                self.remove_listener(&mut registry, peer, pattern);
            }
            for attachment in attachments.into_values() {
                let Attachment { topic, seat, is_present, .. } = attachment;
                let removed = topic.lock().remove(seat, peer.id());
                removed.into_iter().for_each(|(_, gone)| after.gone.append(gone));
                self.retire(&mut registry, &topic, &mut after);
                if is_present {
                    left.push(topic);
                }
            }
        }
        self.count_left();
        after.run();
        left
    }

    /// Makes the topic of this name, if a pattern matches or it is kept.
    pub(super) fn make(
        &self,
        name: &str,
        history: Bounds,
        is_kept: bool,
    ) -> Result<Option<Arc<Topic<S>>>, PublishError> {
        let mut after = After::default();
        let made = {
            let mut registry = lock(&self.registry);
            if let Some(topic) = self.find(name) {
                return Ok(Some(topic));
            }
            let mut is_wanted = is_kept;
            registry.patterns.for_each_that_matches(name, &mut |_| is_wanted = true);
            if !is_wanted {
                return Ok(None);
            }
            let made = registry.make(self, name, history, &mut after);
            let topic = made.map_err(|TooMany| PublishError::TooManyTopics { max: self.config.max_topics })?;
            registry.list(&topic);
            topic
        };
        after.run();
        Ok(Some(made))
    }

    fn check_subscription(&self, peer: &Peer<S>) -> Result<(), SubscribeError> {
        let mailbox = peer.mailbox();
        // As many as are counted in a topic that all of them match.
        let max = self.config.max_subscriptions.min(usize::from(u16::MAX));
        if mailbox.is_gone {
            return Err(SubscribeError::Left);
        }
        let count = mailbox.named as usize + mailbox.patterns.len();
        if count >= max { Err(SubscribeError::TooManySubscriptions { max }) } else { Ok(()) }
    }

    fn add_subscription(&self, peer: &Peer<S>, pattern: &Pattern) -> Result<(), SubscribeError> {
        self.check_subscription(peer)?;
        let mut mailbox = peer.mailbox();
        if pattern.is_exact() {
            mailbox.named += 1;
        } else {
            mailbox.patterns.push(pattern.clone());
        }
        Ok(())
    }

    fn remove_listener(&self, registry: &mut Registry<S>, peer: &Peer<S>, pattern: &Pattern) {
        let Some(listeners) = registry.patterns.get_mut(pattern.as_str()) else { return };
        if listeners.by_number.remove(&peer.id()).is_some() {
            self.patterns.fetch_sub(1, Ordering::Release);
        }
        if listeners.by_number.is_empty() {
            registry.patterns.remove(pattern.as_str());
            self.tell_interest(pattern.clone(), None, false);
        }
    }

    /// Tells the bridge what this node wants from others, or wants no more.
    pub(super) fn tell_interest(&self, pattern: Pattern, after: Option<Position>, is_wanted: bool) {
        if let Some(bridge) = self.bridge() {
            bridge.tell(Interest { pattern, after, is_wanted });
        }
    }

    /// Whether somebody subscribes to a pattern for this name.
    pub(super) fn has_pattern_for(&self, name: &str) -> bool {
        let mut is_wanted = false;
        lock(&self.registry).patterns.for_each_that_matches(name, &mut |_| is_wanted = true);
        is_wanted
    }

    /// Calls `f` with every topic, when the registry is free again.
    pub(super) fn for_each_topic(&self, f: impl FnMut(&Arc<Topic<S>>)) {
        let mut topics = Vec::new();
        lock(&self.registry).topics.for_each(&mut |topic: &Arc<Topic<S>>| topics.push(topic.clone()));
        topics.iter().for_each(f);
    }

    /// All that this node wants from others, each from where it was heard last.
    pub(super) fn interests(&self) -> Vec<Interest> {
        let mut interests = Vec::new();
        let registry = lock(&self.registry);
        registry.topics.for_each(&mut |topic: &Arc<Topic<S>>| {
            let state = topic.lock();
            if state.named() > 0 {
                let after = state.remote.as_ref().and_then(|remote| remote.heard_up_to());
                interests.push(Interest { pattern: Pattern::of_name(topic.name.clone()), after, is_wanted: true });
            }
        });
        registry.patterns.for_each(&mut |listeners: &Listeners<S>| {
            interests.push(Interest { pattern: listeners.pattern.clone(), after: None, is_wanted: true });
        });
        interests
    }
}

impl<S: Send + Sync + 'static> Registry<S> {
    /// Makes a topic, with those in it who subscribe to a pattern for it.
    fn make(
        &mut self,
        hub: &Shared<S>,
        name: &str,
        history: Bounds,
        after: &mut After,
    ) -> Result<Arc<Topic<S>>, TooMany> {
        self.make_room(hub, after)?;
        let topic = hub.new_topic(name, history);
        let mut listening = Vec::new();
        self.patterns.for_each_that_matches(name, &mut |listeners| {
            let each = listeners.by_number.values();
            listening.extend(each.map(|listener| (listener.peer.clone(), listener.slow_consumer, listener.start)));
        });
        for (peer, slow_consumer, start) in listening {
            hub.attach(&topic, &peer, slow_consumer, start, By::Pattern, after);
        }
        // Found only now, so that who publishes finds nobody missing.
        *self.topics.entry(name) = Some(topic.clone());
        self.live += 1;
        hub.add(&topic);
        Ok(topic)
    }

    /// Sees to it that there may be one topic more.
    fn make_room(&mut self, hub: &Shared<S>, after: &mut After) -> Result<(), TooMany> {
        while hub.topics.load(Ordering::Relaxed) >= hub.config.max_topics as u64 {
            let (topic, (losses, gone)) = self.take_out().ok_or(TooMany)?;
            after.gone.append(gone);
            for Loss { peer, messages, is_strict } in losses {
                after.wakers.extend(peer.lose(&topic, messages, is_strict));
                hub.count_skipped(if is_strict { 0 } else { messages });
            }
            self.forget(hub, &topic);
        }
        Ok(())
    }

    /// Lets a topic vanish: one that nobody needs, and if none is found, the oldest that is there only for those who are slow; one with
    /// history last.
    fn take_out(&mut self) -> Option<Vanished<S>> {
        let (mut taken, mut others, mut tries) = (None, Vec::new(), 0);
        while taken.is_none() && tries < TRIES {
            let Some(topic) = self.idle.pop_front() else { break };
            let mut state = topic.lock();
            if state.is_gone || state.named() > 0 {
                state.is_listed = false;
                continue;
            }
            let losses = if state.is_idle() { state.vanish() } else { None };
            let has_history = state.log.has_history();
            // What is just being sent does not count: it is the oldest mostly, as much as goes into the writes that are under way.
            tries += usize::from(!state.is_in_hand());
            drop(state);
            match losses {
                Some(losses) => taken = Some((topic, losses)),
                None => others.push((topic, has_history)),
            }
        }
        for with_history in [false, true] {
            let mut slow = others.iter().filter(|(_, has_history)| *has_history == with_history);
            taken = taken.or_else(|| slow.find_map(|(topic, _)| Some((topic.clone(), topic.lock().vanish()?))));
        }
        for (topic, _) in others.into_iter().rev() {
            let is_gone = topic.lock().is_gone;
            if !is_gone {
                self.idle.push_front(topic);
            }
        }
        taken
    }

    /// Lists a topic as one that may vanish.
    pub(super) fn list(&mut self, topic: &Arc<Topic<S>>) {
        let mut state = topic.lock();
        if !state.is_listed && !state.is_gone {
            state.is_listed = true;
            drop(state);
            self.idle.push_back(topic.clone());
        }
    }

    /// Takes out a topic that is gone.
    pub(super) fn forget(&mut self, hub: &Shared<S>, topic: &Arc<Topic<S>>) {
        hub.remove(&topic.name);
        self.live -= 1;
        self.topics.remove(&topic.name);
        // Those that are gone already need not be listed.
        if self.idle.len() > 2 * self.live + 64 {
            self.idle.retain(|topic| !topic.lock().is_gone);
            self.idle.shrink_to(2 * self.idle.len());
        }
    }
}

/// How many topics are looked at, to find one that nobody needs.
const TRIES: usize = 64;
