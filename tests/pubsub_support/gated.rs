//! An engine in the process that each node has behind a gate: what goes to it and comes from it can be held, and a node cut off alone.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use sockeye::Message;
use sockeye::pubsub::{
    Arrival, Backplane, BackplaneError, Envelope, History, Inbound, MemoryBackplane, MemoryInbound, MemoryOutbound,
    Numbering, Outbound, Pattern, Position, Publication,
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// An engine as one node has it: behind a gate.
#[derive(Clone)]
pub struct Gated {
    engine: MemoryBackplane,
    gate: Arc<Gate>,
    /// The numbers that it has taken, of all nodes.
    taken: Arc<Mutex<HashSet<u32>>>,
}

/// What may go through a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What is published and asked.
    Out,
    /// What comes from the engine.
    In,
    /// What is subscribed to, or is no more.
    Wishes,
}

struct Gate {
    is_cut: watch::Sender<bool>,
    ways: [Semaphore; 3],
}

pub struct GatedOutbound {
    outbound: MemoryOutbound,
    gated: Gated,
}

pub struct GatedInbound {
    inbound: MemoryInbound,
    gated: Gated,
}

impl Gated {
    /// So many nodes of one engine, with all gates open.
    pub fn nodes<const N: usize>(engine: &MemoryBackplane) -> [Self; N] {
        let taken = Arc::default();
        std::array::from_fn(|_| {
            let ways = [(); 3].map(|()| Semaphore::new(OPEN));
            let gate = Gate { is_cut: watch::Sender::new(false), ways };
            Self { engine: engine.clone(), gate: Arc::new(gate), taken: Arc::clone(&taken) }
        })
    }

    /// Ends the node's connection, and gives it no other.
    pub fn cut(&self) {
        self.gate.is_cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.gate.is_cut.send_replace(false);
    }

    /// Lets nothing through for now, but for what waits in the gate already.
    pub fn hold(&self, way: Way) {
        self.gate.way(way).forget_permits(usize::MAX);
    }

    /// Lets so many through.
    pub fn let_through(&self, way: Way, count: usize) {
        self.gate.way(way).add_permits(count);
    }

    pub fn open(&self, way: Way) {
        self.let_through(way, OPEN);
    }

    pub fn is_held(&self, way: Way) -> bool {
        self.gate.way(way).available_permits() == 0
    }

    /// The numbers that the engine has taken, of all nodes.
    pub fn taken(&self) -> HashSet<u32> {
        self.taken.lock().unwrap().clone()
    }
}

impl Gate {
    fn way(&self, way: Way) -> &Semaphore {
        &self.ways[way as usize]
    }

    /// Waits until something may go through, or the node is cut off.
    async fn pass(&self, way: Way) -> Result<SemaphorePermit<'_>, BackplaneError> {
        let mut is_cut = self.is_cut.subscribe();
        tokio::select! {
            biased;
            _ = is_cut.wait_for(|is_cut| *is_cut) => Err(BackplaneError::new("cut off")),
            permit = self.way(way).acquire() => permit.map_err(BackplaneError::new),
        }
    }
}

impl Backplane for Gated {
    type Outbound = GatedOutbound;
    type Inbound = GatedInbound;

    fn numbering(&self) -> Numbering {
        self.engine.numbering()
    }

    async fn connect(&self) -> Result<(GatedOutbound, GatedInbound), BackplaneError> {
        if *self.gate.is_cut.borrow() {
            return Err(BackplaneError::new("cut off"));
        }
        let (outbound, inbound) = self.engine.connect().await?;
        let (one, other) = (self.clone(), self.clone());
        Ok((GatedOutbound { outbound, gated: one }, GatedInbound { inbound, gated: other }))
    }
}

impl Outbound for GatedOutbound {
    async fn publish(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
        self.gated.gate.pass(Way::Out).await?.forget();
        self.outbound.publish(batch).await?;
        let numbers = batch.iter().map(|publication| number_of(&publication.payload));
        self.gated.taken.lock().unwrap().extend(numbers);
        Ok(())
    }

    async fn history(&mut self, topic: &str, after: Position, limit: usize) -> Result<History, BackplaneError> {
        self.gated.gate.pass(Way::Out).await?.forget();
        self.outbound.history(topic, after, limit).await
    }
}

impl Inbound for GatedInbound {
    async fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        self.gated.gate.pass(Way::Wishes).await?.forget();
        self.inbound.subscribe(pattern, after).await
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        self.gated.gate.pass(Way::Wishes).await?.forget();
        self.inbound.unsubscribe(pattern).await
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        let Self { inbound, gated } = self;
        let permit = gated.gate.pass(Way::In).await?;
        let mut is_cut = gated.gate.is_cut.subscribe();
        let arrival = tokio::select! {
            biased;
            _ = is_cut.wait_for(|is_cut| *is_cut) => return Err(BackplaneError::new("cut off")),
            arrival = inbound.receive() => arrival,
        };
        permit.forget();
        arrival
    }
}

/// The number that a test publishes.
pub fn number_of(payload: &[u8]) -> u32 {
    std::str::from_utf8(payload).unwrap().parse().unwrap()
}

/// Tells a message's position before it.
pub fn envelope(inner: &Envelope<'_>) -> Message {
    format!("{} {}", inner.position, inner.message.as_text().unwrap()).into()
}

/// What [`envelope`] has told.
pub fn told(text: &str) -> (Position, u32) {
    let (position, number) = text.split_once(' ').unwrap();
    (position.parse().unwrap(), number_of(number.as_bytes()))
}

/// More than any test lets through.
const OPEN: usize = 1 << 20;
