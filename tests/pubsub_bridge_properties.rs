//! Two nodes, an engine that comes and goes, and clients that move between the nodes with what they were told last: whatever happens in
//! whatever order, nobody gets a message twice or out of order, and who is told of no gap gets all of them.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

#[path = "pubsub_support/gated.rs"]
mod gated;

use std::collections::HashSet;
use std::time::Duration;

use gated::{Gated, Way, envelope, told};
use proptest::prelude::*;
use pubsub_support::{Client, hub, messages};
use sockeye::pubsub::{BridgeConfig, Event, Hub, MemoryBackplane, Numbering, Position, Subscription};
use support::{now, settle};
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Publishes so many messages on a node.
    Publish(usize, u32),
    Stop,
    Start,
    /// The engine loses all that it keeps.
    Forget,
    /// Lets so many milliseconds pass.
    Wait(u64),
    /// A client goes away, and comes back to a node with what it was told last, or with what its member knows.
    Move(usize, usize, Says),
    /// A node alone is cut off from the engine, or is so no longer.
    Cut(usize),
    Mend(usize),
    /// Nothing of a node goes to the engine, or comes from it, until so much may again.
    Hold(usize, Way),
    Let(usize, Way, usize),
    /// A node is started anew, and its clients come back to it, before it does anything or once it is there.
    Restart(usize, When),
}

#[derive(Clone, Copy, Debug)]
enum Says {
    WhatItWasTold,
    WhatItsMemberKnows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    AtOnce,
    OnceItIsThere,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0usize..2;
    let way = prop_oneof![2 => Just(Way::Out), 2 => Just(Way::In), 1 => Just(Way::Wishes)];
    let says = prop_oneof![Just(Says::WhatItWasTold), Just(Says::WhatItsMemberKnows)];
    let when = prop_oneof![Just(When::AtOnce), Just(When::OnceItIsThere)];
    let few = prop_oneof![1usize..4, Just(1000)];
    let step = prop_oneof![
        6 => (node.clone(), 1u32..4).prop_map(|(node, count)| Step::Publish(node, count)),
        1 => Just(Step::Stop),
        2 => Just(Step::Start),
        1 => Just(Step::Forget),
        5 => prop_oneof![Just(0), 1u64..200, Just(30_000)].prop_map(Step::Wait),
        4 => (0usize..3, node.clone(), says).prop_map(|(client, node, says)| Step::Move(client, node, says)),
        1 => node.clone().prop_map(Step::Cut),
        2 => node.clone().prop_map(Step::Mend),
        1 => (node.clone(), way.clone()).prop_map(|(node, way)| Step::Hold(node, way)),
        3 => (node.clone(), way, few).prop_map(|(node, way, count)| Step::Let(node, way, count)),
        1 => (node, when).prop_map(|(node, when)| Step::Restart(node, when)),
    ];
    proptest::collection::vec(step, 1..50)
}

/// A node, which may be started anew.
struct Node {
    engine: Gated,
    history: usize,
    batch: usize,
    hub: Hub,
    bridge: JoinHandle<()>,
}

impl Node {
    fn new(engine: Gated, history: usize, batch: usize) -> Self {
        let hub = hub(|config| {
            config.history = messages(history);
            config.envelope = Some(envelope);
        });
        let mut config = BridgeConfig::default();
        config.batch = batch;
        let bridge = tokio::spawn(hub.bridge(engine.clone(), config).run());
        Self { engine, history, batch, hub, bridge }
    }

    fn restart(&mut self) {
        let Self { engine, history, batch, .. } = self;
        *self = Self::new(engine.clone(), *history, *batch);
    }

    /// Whether it hears all that is wanted now.
    fn is_settled(&self) -> bool {
        self.hub.bridge_status().is_some_and(|status| status.is_up) && !self.engine.is_held(Way::Wishes)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.bridge.abort();
    }
}

/// A client, wherever it is.
struct Traveller {
    client: Client,
    node: usize,
    /// What it asks for.
    wish: &'static str,
    /// What it was told last.
    told: Option<Position>,
    /// What it has got since it was last told of a gap.
    got: Vec<u32>,
    /// From which message on it is to get all; not known while its node is not there.
    floor: Option<u32>,
    is_excused: bool,
}

impl Traveller {
    fn new(nodes: &[Node], node: usize, wish: &'static str) -> Self {
        let client = Self::at(&nodes[node].hub, wish, None);
        Self { client, node, wish, told: None, got: Vec::new(), floor: Some(0), is_excused: false }
    }

    fn at(hub: &Hub, wish: &str, since: Option<Position>) -> Client {
        let mut client = Client::joining(hub, ());
        client.member.subscribe(Subscription::to(wish).since(since)).unwrap();
        client
    }

    fn go(&mut self, nodes: &[Node], node: usize, says: Says) {
        let since = match says {
            Says::WhatItWasTold => self.told,
            Says::WhatItsMemberKnows => self.client.member.position("t"),
        };
        let connects = nodes[node].hub.bridge_status().map_or(0, |status| status.connects);
        if since.is_none() || self.wish != "t" || connects == 0 {
            // It begins with what comes next, or with what its node hears first.
            self.floor = None;
        }
        self.node = node;
        self.client = Self::at(&nodes[node].hub, self.wish, since);
    }

    fn run(&mut self, publisher: &[usize]) {
        while let Some(event) = now(self.client.member.next()) {
            assert_eq!(event.unwrap(), Some(Event::Gap { topic: "t".into() }));
            // What was got before may come again.
            self.take_texts();
            (self.got, self.floor) = (Vec::new(), None);
        }
        self.take_texts();
        let different: HashSet<_> = self.got.iter().collect();
        assert_eq!(different.len(), self.got.len(), "twice: {:?}", self.got);
        for node in 0..2 {
            let of_node: Vec<_> = self.got.iter().filter(|number| publisher[**number as usize] == node).collect();
            assert!(of_node.is_sorted(), "out of order: {:?}", self.got);
        }
    }

    /// Takes note that the engine forgets: of a topic of which its node has heard nothing so far, nobody can say that something is missing.
    fn excuse(&mut self) {
        if self.wish != "t" {
            (self.is_excused, self.floor) = (true, None);
        }
    }

    /// Takes note that all that is to be done at once was done.
    fn settle(&mut self, nodes: &[Node], number: u32) {
        if nodes[self.node].is_settled() && !self.is_excused {
            self.floor.get_or_insert(number);
        }
    }

    fn take_texts(&mut self) {
        for text in self.client.new_texts() {
            let (position, number) = told(&text);
            self.told = Some(position);
            self.got.push(number);
            self.is_excused = false;
        }
    }
}

async fn story(steps: &[Step], history: usize, batch: usize, are_watched: bool) {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let gates = Gated::nodes::<2>(&engine);
    let mut nodes = gates.each_ref().map(|gated| Node::new(gated.clone(), history, batch));
    settle().await;
    let mut travellers: Vec<_> = [0, 1, 1].map(|node| Traveller::new(&nodes, node, "t")).into();
    if are_watched {
        // Those who never move, and ask for all topics.
        travellers.extend([0, 1].map(|node| Traveller::new(&nodes, node, "+")));
    }
    settle().await;
    let mut publisher = Vec::new();
    let publish = |publisher: &mut Vec<usize>, nodes: &[Node], node: usize| {
        nodes[node].hub.publish("t", publisher.len().to_string()).unwrap();
        publisher.push(node);
    };
    let count = |publisher: &[usize]| u32::try_from(publisher.len()).unwrap();
    for step in steps {
        match *step {
            Step::Publish(node, count) => (0..count).for_each(|_| publish(&mut publisher, &nodes, node)),
            Step::Stop => engine.stop(),
            Step::Start => engine.start(),
            Step::Forget => {
                engine.forget();
                travellers.iter_mut().for_each(Traveller::excuse);
            }
            Step::Wait(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                settle().await;
                travellers.iter_mut().for_each(|traveller| {
                    traveller.run(&publisher);
                    traveller.settle(&nodes, count(&publisher));
                });
            }
            Step::Move(which, node, says) => {
                let traveller = &mut travellers[which];
                traveller.run(&publisher);
                traveller.go(&nodes, node, says);
            }
            Step::Cut(node) => gates[node].cut(),
            Step::Mend(node) => gates[node].mend(),
            Step::Hold(node, way) => gates[node].hold(way),
            Step::Let(node, way, count) => gates[node].let_through(way, count),
            Step::Restart(node, when) => {
                nodes[node].restart();
                if when == When::OnceItIsThere {
                    settle().await;
                }
                for traveller in travellers.iter_mut().filter(|traveller| traveller.node == node) {
                    traveller.go(&nodes, node, Says::WhatItWasTold);
                }
            }
        }
        travellers.iter_mut().for_each(|traveller| traveller.run(&publisher));
    }
    engine.start();
    for gate in &gates {
        gate.mend();
        [Way::Out, Way::In, Way::Wishes].into_iter().for_each(|way| gate.open(way));
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    settle().await;
    travellers.iter_mut().for_each(|traveller| {
        traveller.run(&publisher);
        traveller.settle(&nodes, count(&publisher));
    });
    for node in 0..2 {
        publish(&mut publisher, &nodes, node);
        settle().await;
    }
    let taken = gates[0].taken();
    for traveller in &mut travellers {
        traveller.run(&publisher);
        let is_missing = |number: &u32| taken.contains(number) && !traveller.got.contains(number);
        let missing: Vec<_> = (traveller.floor.unwrap_or(u32::MAX)..count(&publisher)).filter(is_missing).collect();
        assert!(missing.is_empty(), "missing: {missing:?} in {:?}", traveller.got);
    }
}

fn run(steps: &[Step], history: usize, batch: usize, are_watched: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story(steps, history, batch, are_watched));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_a_message_twice_or_out_of_order_and_who_is_told_of_no_gap_gets_all(
        steps in steps(),
        history in prop_oneof![Just(0usize), 1usize..6, Just(100)],
        batch in prop_oneof![Just(1usize), Just(256)],
        are_watched: bool,
    ) {
        run(&steps, history, batch, are_watched);
    }
}
