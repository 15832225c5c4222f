//! A backplane within the process: for tests of applications, and to show what the contract of one is.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::backplane::{
    Arrival, Arrived, Backplane, BackplaneError, History, Inbound, Numbering, Origin, Outbound, Publication,
};
use super::heard::Heard;
use super::pattern::Pattern;
use super::position::Position;

/// An engine that lives in the process: hubs whose bridges have clones of it are one system, and each clone is a node's.
///
/// Where it numbers, it keeps the last 10,000 messages of each topic as history. [`Self::stop`] and [`Self::start`] show what
/// happens when an engine goes away and comes back.
///
/// ```
/// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, MemoryBackplane, Numbering, Reach};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sockeye::pubsub::PublishError> {
/// let engine = MemoryBackplane::new(Numbering::Engine);
/// let nodes = [(); 2].map(|()| Hub::<()>::new(HubConfig::default()));
/// for node in &nodes {
///     tokio::spawn(node.bridge(engine.clone(), BridgeConfig::default()).run());
/// }
/// let published = nodes[0].publish("room/1", "hello")?;
/// assert_eq!(published.reach, Reach::AllNodes);
/// assert_eq!((published.receivers, published.position), (0, None), "not known before it comes back");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryBackplane {
    engine: Arc<Engine>,
    /// How far the node has heard patterns, as all messages are counted.
    heard: Arc<Mutex<Heard>>,
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
    /// How many messages there were, of all topics.
    count: u64,
    topics: BTreeMap<Arc<str>, Kept>,
    links: Vec<Weak<Link>>,
}

/// What is kept of a topic.
#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Counted>,
    sequence: u64,
    /// The count of the last message that is not there any more.
    gone: u64,
    /// The last number of each node, so that what is published again is known.
    origins: BTreeMap<u64, u64>,
}

/// A message, and how many there were with it, of all topics.
#[derive(Clone, Debug)]
struct Counted {
    count: u64,
    arrived: Arrived,
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
    arrivals: VecDeque<Next>,
    /// The count of the last message that was handed out, or of all that there were when it began.
    last: u64,
    /// If it is lost: the epoch then, and the count up to which all was handed out.
    end: Option<Position>,
    /// The topics with a gap that was not handed out before it was lost.
    gaps: Vec<Arc<str>>,
}

/// What is to be handed out next.
#[derive(Debug)]
enum Next {
    Message(Counted),
    Gap(Arc<str>),
}

impl MemoryBackplane {
    /// Creates an engine.
    #[must_use]
    pub fn new(numbering: Numbering) -> Self {
        let state = Mutex::new(State { epoch: rand::random(), ..State::default() });
        Self { engine: Arc::new(Engine { numbering, state }), heard: Arc::default() }
    }

    /// Ends all connections, and lets nobody connect.
    pub fn stop(&self) {
        let mut state = self.engine.lock();
        state.is_stopped = true;
        let epoch = state.epoch;
        for link in state.links.drain(..).filter_map(|link| link.upgrade()) {
            link.lock().end(epoch);
            link.notify.notify_one();
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

impl Clone for MemoryBackplane {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), heard: Arc::default() }
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
        let link = LinkState { last: state.count, ..LinkState::default() };
        let link = Arc::new(Link { state: Mutex::new(link), notify: Notify::new() });
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&link));
        let outbound = MemoryOutbound { engine: self.engine.clone(), link: link.clone() };
        let (engine, heard) = (self.engine.clone(), self.heard.clone());
        Ok((outbound, MemoryInbound { engine, heard, link, patterns: HashMap::new(), is_settled: false }))
    }
}

/// The half of a connection to a [`MemoryBackplane`] that publishes.
///
/// See [`Outbound`], whose example uses it.
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
///
/// See [`Inbound`], whose example uses it.
#[derive(Debug)]
pub struct MemoryInbound {
    engine: Arc<Engine>,
    heard: Arc<Mutex<Heard>>,
    link: Arc<Link>,
    /// The patterns with wildcards, and with which count each began.
    patterns: HashMap<Pattern, u64>,
    /// Whether all was subscribed to that was before.
    is_settled: bool,
}

impl MemoryInbound {
    /// Lets what a topic has behind a position come first.
    fn subscribe_to_topic(&self, state: &State, topic: &str, after: Option<Position>) -> Position {
        let none = Kept::default();
        let kept = state.topics.get(topic).unwrap_or(&none);
        if let Some(after) = after {
            let (from, is_complete) = kept.from(state.epoch, after);
            self.link.lock().catch_up(topic, is_complete, kept.messages.range(from..));
        }
        Position { epoch: state.epoch, sequence: kept.sequence }
    }

    /// The same with what the connection before had not heard, in any topic.
    fn subscribe_to_pattern(&mut self, state: &State, pattern: &Pattern) -> Position {
        let heard = lock(&self.heard);
        let was_heard = heard.of(pattern).is_some();
        self.patterns.insert(pattern.clone(), if was_heard { 0 } else { state.count });
        for (topic, kept) in state.topics.iter().filter(|(topic, _)| was_heard && pattern.matches(topic)) {
            let Some(heard) = heard.of_topic(topic) else { continue };
            let from = if heard.epoch == state.epoch { heard.sequence } else { 0 };
            let is_complete = heard.epoch == state.epoch && kept.gone <= from;
            let missed = kept.messages.iter().filter(|message| message.count > from);
            self.link.lock().catch_up(topic, is_complete, missed);
        }
        Position { epoch: state.epoch, sequence: 0 }
    }
}

impl Inbound for MemoryInbound {
    async fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        self.link.check()?;
        let engine = self.engine.clone();
        let state = engine.lock();
        self.link.lock().wanted.push(pattern.clone());
        if engine.numbering == Numbering::Node {
            return Ok(None);
        }
        let newest = match pattern.is_exact() {
            true => self.subscribe_to_topic(&state, pattern.as_str(), after),
            false => self.subscribe_to_pattern(&state, pattern),
        };
        self.link.notify.notify_one();
        Ok(Some(newest))
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        self.link.check()?;
        self.link.lock().forget(pattern);
        self.patterns.remove(pattern);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        if !core::mem::replace(&mut self.is_settled, true) {
            let gaps = lock(&self.heard).settle();
            gaps.into_iter().for_each(|topic| self.link.lock().arrivals.push_front(Next::Gap(topic)));
        }
        loop {
            {
                let mut link = self.link.lock();
                match link.arrivals.pop_front() {
                    Some(Next::Message(Counted { count, arrived })) => {
                        link.last = link.last.max(count);
                        return Ok(Arrival::Message(arrived));
                    }
                    Some(Next::Gap(topic)) => return Ok(Arrival::Gap { topic }),
                    None if link.end.is_some() => return Err(BackplaneError::lost()),
                    None => {}
                }
            }
            self.link.notify.notified().await;
        }
    }
}

impl Drop for MemoryInbound {
    fn drop(&mut self) {
        let epoch = self.engine.lock().epoch;
        let mut link = self.link.lock();
        let Position { epoch, sequence } = link.end(epoch);
        let patterns = self.patterns.drain().map(|(pattern, from)| (pattern, from.max(sequence)));
        lock(&self.heard).end(epoch, patterns, link.gaps.drain(..));
    }
}

impl Engine {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn publish(&mut self, publication: &Publication, numbering: Numbering) {
        let mut arrived = Arrived { publication: publication.clone(), position: None };
        let count = self.count + 1;
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
            kept.messages.push_back(Counted { count, arrived: arrived.clone() });
            if kept.messages.len() > KEPT {
                kept.gone = kept.messages.pop_front().map_or(0, |gone| gone.count);
            }
        }
        self.count = count;
        let counted = Counted { count, arrived };
        for link in self.links.iter().filter_map(Weak::upgrade) {
            link.deliver(&counted, self.epoch);
        }
    }
}

impl Kept {
    /// The index of the first message behind a position, and whether nothing is missing between.
    fn from(&self, epoch: u64, after: Position) -> (usize, bool) {
        let oldest = self.sequence - self.messages.len() as u64 + 1;
        let is_known = after.epoch == epoch && after.sequence <= self.sequence && after.sequence + 1 >= oldest;
        let from = if is_known { after.sequence + 1 - oldest } else { 0 };
        (usize::try_from(from).unwrap_or(usize::MAX).min(self.messages.len()), is_known)
    }

    fn history(&self, epoch: u64, after: Position, limit: usize) -> History {
        let (from, is_known) = self.from(epoch, after);
        let cut = self.messages.len().saturating_sub(limit).max(from);
        let messages = self.messages.range(cut..).map(|message| message.arrived.clone()).collect();
        History { messages, is_complete: is_known && cut == from }
    }
}

impl Link {
    fn deliver(&self, counted: &Counted, epoch: u64) {
        let mut state = self.lock();
        if state.end.is_some()
            || !state.wanted.iter().any(|pattern| pattern.matches(&counted.arrived.publication.topic))
        {
            return;
        }
        if state.arrivals.len() < KEPT {
            state.arrivals.push_back(Next::Message(counted.clone()));
        } else {
            // Who does not receive is dropped.
            state.end(epoch);
        }
        drop(state);
        self.notify.notify_one();
    }

    fn check(&self) -> Result<(), BackplaneError> {
        if self.lock().end.is_some() { Err(BackplaneError::lost()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        lock(&self.state)
    }
}

impl LinkState {
    /// Lets what a topic has come first.
    fn catch_up<'m>(&mut self, topic: &str, is_complete: bool, messages: impl Iterator<Item = &'m Counted>) {
        if !is_complete {
            self.arrivals.push_back(Next::Gap(topic.into()));
        }
        self.arrivals.extend(messages.cloned().map(Next::Message));
    }

    /// Lets nothing come of what nobody wants any more: if it is wanted again, what is newer is told of first.
    fn forget(&mut self, pattern: &Pattern) {
        let Self { wanted, arrivals, .. } = self;
        wanted.retain(|wanted| wanted != pattern);
        arrivals.retain(|next| {
            let topic = match next {
                Next::Message(message) => &message.arrived.publication.topic,
                Next::Gap(topic) => topic,
            };
            wanted.iter().any(|wanted| wanted.matches(topic))
        });
    }

    /// Loses the connection, if it is not lost yet: how far all was handed out.
    fn end(&mut self, epoch: u64) -> Position {
        let mut sequence = self.last;
        for next in self.arrivals.drain(..) {
            match next {
                Next::Message(message) => sequence = sequence.min(message.count - 1),
                Next::Gap(topic) => self.gaps.push(topic),
            }
        }
        *self.end.get_or_insert(Position { epoch, sequence })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most messages that are kept of a topic, and that wait for a connection.
const KEPT: usize = 10_000;
