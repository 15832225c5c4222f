//! Two nodes and an engine that comes and goes, and clients that move between the nodes: whatever happens in whatever order, nobody
//! gets a message twice, and who is told of no gap gets all of them.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::collections::HashSet;
use std::time::Duration;

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
    /// A client goes away, and comes back to a node with what it saw last.
    Move(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..2, 1u32..4).prop_map(|(node, count)| Step::Publish(node, count)),
        1 => Just(Step::Stop),
        2 => Just(Step::Start),
        1 => Just(Step::Forget),
        2 => prop_oneof![Just(0), 1u64..200, Just(30_000)].prop_map(Step::Wait),
        3 => (0usize..3, 0usize..2).prop_map(|(client, node)| Step::Move(client, node)),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A client, wherever it is.
struct Traveller {
    client: Client,
    /// What it has got since it was last told of a gap and came back.
    got: Vec<String>,
    /// Whether it was never told of a gap.
    has_all: bool,
}

impl Traveller {
    fn at(hub: &Hub, since: Option<Position>) -> Client {
        let mut client = Client::joining(hub, ());
        client.member.subscribe(Subscription::to("t").since(since)).unwrap();
        client
    }

    fn run(&mut self) {
        while let Some(event) = now(self.client.member.next()) {
            assert_eq!(event.unwrap(), Some(Event::Gap { topic: "t".into() }));
            // What was got before may come again.
            self.client.new_texts();
            (self.got, self.has_all) = (Vec::new(), false);
        }
        self.got.extend(self.client.new_texts());
        let different: HashSet<_> = self.got.iter().collect();
        assert_eq!(different.len(), self.got.len(), "twice: {:?}", self.got);
    }
}

async fn story(steps: &[Step], history: usize, are_watched: bool) {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let nodes: Vec<(Hub, JoinHandle<()>)> = (0..2)
        .map(|_| {
            let hub = hub(|config| config.history = messages(history));
            let bridge = tokio::spawn(hub.bridge(engine.clone(), BridgeConfig::default()).run());
            (hub, bridge)
        })
        .collect();
    settle().await;
    let mut travellers: Vec<_> = [0, 1, 1]
        .map(|node: usize| Traveller { client: Traveller::at(&nodes[node].0, None), got: Vec::new(), has_all: true })
        .into();
    if are_watched {
        // Those who never move, and ask for all topics.
        travellers.extend(nodes.iter().map(|(hub, _)| {
            let mut client = Client::joining(hub, ());
            client.member.subscribe("+").unwrap();
            Traveller { client, got: Vec::new(), has_all: true }
        }));
    }
    settle().await;
    let mut number = 0u32;
    let publish = |number: &mut u32, node: usize| {
        nodes[node].0.publish("t", number.to_string()).unwrap();
        *number += 1;
    };
    for step in steps {
        match *step {
            Step::Publish(node, count) => (0..count).for_each(|_| publish(&mut number, node)),
            Step::Stop => engine.stop(),
            Step::Start => engine.start(),
            Step::Forget => engine.forget(),
            Step::Wait(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                settle().await;
            }
            Step::Move(which, node) => {
                let traveller = &mut travellers[which];
                traveller.run();
                let since = traveller.client.member.position("t");
                traveller.client = Traveller::at(&nodes[node].0, since);
            }
        }
        travellers.iter_mut().for_each(Traveller::run);
    }
    engine.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    settle().await;
    for node in 0..2 {
        publish(&mut number, node);
        settle().await;
    }
    for traveller in &mut travellers {
        traveller.run();
        if traveller.has_all {
            assert_eq!(traveller.got.len(), number as usize, "missing: {:?}", traveller.got);
        }
        let last_of_all = (number - 2).to_string();
        assert!(traveller.got.contains(&last_of_all), "it is cut off: {:?}", traveller.got);
    }
    nodes.iter().for_each(|(_, bridge)| bridge.abort());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_a_message_twice_and_who_is_told_of_no_gap_gets_all(
        steps in steps(),
        history in prop_oneof![Just(0usize), 1usize..6, Just(100)],
        are_watched: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(story(&steps, history, are_watched));
    }
}
