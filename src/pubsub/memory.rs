//! A backplane within the process: for tests of applications, and to show what the contract of one is.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::backplane::{
    Arrival, Arrived, Backplane, BackplaneError, History, Inbound, Numbering, Origin, Outbound, Publication,
};
use super::pattern::Pattern;
use super::position::Position;

/// An engine that lives in the process: hubs whose bridges have clones of it are one system.
///
/// Where it numbers, it keeps the last 10,000 messages of each topic as history. [`Self::stop`] and [`Self::start`] show what
/// happens when an engine goes away and comes back.
#[derive(Clone, Debug)]
pub struct MemoryBackplane {
    engine: Arc<Engine>,
}

#[derive(Debug)]
struct Engine {
    numbering: Numbering,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    epoch: u64,
    topics: BTreeMap<Arc<str>, Kept>,
    links: Vec<Weak<Link>>,
}

/// What is kept of a topic.
#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Arrived>,
    sequence: u64,
    /// The last number of each node, so that what is published again is known.
    origins: BTreeMap<u64, u64>,
}

/// A connection.
#[derive(Debug, Default)]
struct Link {
    state: Mutex<LinkState>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct LinkState {
    wanted: Vec<Pattern>,
    arrivals: VecDeque<Arrival>,
    is_lost: bool,
}

impl MemoryBackplane {
    /// Creates an engine.
    #[must_use]
    pub fn new(numbering: Numbering) -> Self {
        let state = Mutex::new(State { epoch: rand::random(), ..State::default() });
        Self { engine: Arc::new(Engine { numbering, state }) }
    }

    /// Ends all connections, and lets nobody connect.
    pub fn stop(&self) {
        let mut state = self.engine.lock();
        state.is_stopped = true;
        for link in state.links.drain(..).filter_map(|link| link.upgrade()) {
            link.lose();
        }
    }

    /// Lets nodes connect again. What was kept is still there.
    pub fn start(&self) {
        self.engine.lock().is_stopped = false;
    }

    /// Forgets what was kept, and begins to count anew.
    pub fn forget(&self) {
        let mut state = self.engine.lock();
        state.epoch = rand::random();
        state.topics.clear();
    }

    /// Returns what the nodes that are connected have subscribed to, in order.
    #[must_use]
    pub fn wanted(&self) -> Vec<Pattern> {
        let state = self.engine.lock();
        let links = state.links.iter().filter_map(Weak::upgrade);
        let mut wanted: Vec<_> = links.flat_map(|link| link.lock().wanted.clone()).collect();
        wanted.sort();
        wanted
    }
}

impl Backplane for MemoryBackplane {
    type Outbound = MemoryOutbound;
    type Inbound = MemoryInbound;

    fn numbering(&self) -> Numbering {
        self.engine.numbering
    }

    async fn connect(&self) -> Result<(MemoryOutbound, MemoryInbound), BackplaneError> {
        let mut state = self.engine.lock();
        if state.is_stopped {
            return Err(BackplaneError::new("the engine is stopped"));
        }
        let link = Arc::new(Link::default());
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&link));
        let outbound = MemoryOutbound { engine: self.engine.clone(), link: link.clone() };
        Ok((outbound, MemoryInbound { engine: self.engine.clone(), link }))
    }
}

/// The half of a connection to a [`MemoryBackplane`] that publishes.
#[derive(Debug)]
pub struct MemoryOutbound {
    engine: Arc<Engine>,
    link: Arc<Link>,
}

impl Outbound for MemoryOutbound {
    async fn publish(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
        self.link.check()?;
        let mut state = self.engine.lock();
        for publication in batch {
            state.publish(publication, self.engine.numbering);
        }
        Ok(())
    }

    async fn history(&mut self, topic: &str, after: Position, limit: usize) -> Result<History, BackplaneError> {
        self.link.check()?;
        let state = self.engine.lock();
        let Some(kept) = state.topics.get(topic) else {
            let is_complete = after == Position { epoch: state.epoch, sequence: 0 };
            return Ok(History { messages: Vec::new(), is_complete });
        };
        Ok(kept.history(state.epoch, after, limit))
    }
}

/// The half of a connection to a [`MemoryBackplane`] that subscribes and receives.
#[derive(Debug)]
pub struct MemoryInbound {
    engine: Arc<Engine>,
    link: Arc<Link>,
}

impl Inbound for MemoryInbound {
    async fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        self.link.check()?;
        let state = self.engine.lock();
        let mut link = self.link.lock();
        link.wanted.push(pattern.clone());
        if let Some(after) = after.filter(|_| self.engine.numbering == Numbering::Engine) {
            let topic: Arc<str> = pattern.as_str().into();
            let none = Kept::default();
            let history = state.topics.get(&topic).unwrap_or(&none).history(state.epoch, after, usize::MAX);
            if !history.is_complete {
                link.arrivals.push_back(Arrival::Gap { topic });
            }
            link.arrivals.extend(history.messages.into_iter().map(Arrival::Message));
            self.link.notify.notify_one();
        }
        let is_numbered = self.engine.numbering == Numbering::Engine;
        let sequence = state.topics.get(pattern.as_str()).map_or(0, |kept| kept.sequence);
        Ok(is_numbered.then_some(Position { epoch: state.epoch, sequence }))
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        self.link.check()?;
        self.link.lock().wanted.retain(|wanted| wanted != pattern);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        loop {
            {
                let mut link = self.link.lock();
                if let Some(arrival) = link.arrivals.pop_front() {
                    return Ok(arrival);
                }
                if link.is_lost {
                    return Err(BackplaneError::lost());
                }
            }
            self.link.notify.notified().await;
        }
    }
}

impl Engine {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn publish(&mut self, publication: &Publication, numbering: Numbering) {
        let mut arrived = Arrived { publication: publication.clone(), position: None };
        if numbering == Numbering::Engine {
            let kept = self.topics.entry(publication.topic.clone()).or_default();
            let Origin { node, number } = publication.origin;
            let known = kept.origins.entry(node).or_default();
            if number <= *known {
                return;
            }
            *known = number;
            kept.sequence += 1;
            arrived.position = Some(Position { epoch: self.epoch, sequence: kept.sequence });
            kept.messages.push_back(arrived.clone());
            if kept.messages.len() > KEPT {
                kept.messages.pop_front();
            }
        }
        for link in self.links.iter().filter_map(Weak::upgrade) {
            link.deliver(&arrived);
        }
    }
}

impl Kept {
    fn history(&self, epoch: u64, after: Position, limit: usize) -> History {
        let oldest = self.sequence - self.messages.len() as u64 + 1;
        let is_known = after.epoch == epoch && after.sequence <= self.sequence && after.sequence + 1 >= oldest;
        let from = if is_known { after.sequence + 1 - oldest } else { 0 };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.messages.len());
        let cut = self.messages.len().saturating_sub(limit).max(from);
        History { messages: self.messages.range(cut..).cloned().collect(), is_complete: is_known && cut == from }
    }
}

impl Link {
    fn deliver(&self, arrived: &Arrived) {
        let mut state = self.lock();
        if !state.wanted.iter().any(|pattern| pattern.matches(&arrived.publication.topic)) {
            return;
        }
        if state.arrivals.len() < KEPT {
            state.arrivals.push_back(Arrival::Message(arrived.clone()));
        } else {
            // Who does not receive is dropped.
            state.is_lost = true;
        }
        drop(state);
        self.notify.notify_one();
    }

    fn lose(&self) {
        let mut state = self.lock();
        state.is_lost = true;
        state.arrivals.clear();
        drop(state);
        self.notify.notify_one();
    }

    fn check(&self) -> Result<(), BackplaneError> {
        if self.lock().is_lost { Err(BackplaneError::lost()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most messages that are kept of a topic, and that wait for a connection.
const KEPT: usize = 10_000;
