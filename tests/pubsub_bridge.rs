//! Hubs of several nodes that a backplane joins, and what happens when that goes away.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pubsub_support::{Client, hub, messages, numbers};
use sockeye::Message;
use sockeye::pubsub::{
    Arrival, Backplane, BackplaneError, BridgeConfig, Envelope, Event, Hub, HubConfig, Inbound, MemoryBackplane,
    MemoryInbound, MemoryOutbound, Numbering, Outbound, Pattern, Position, Publication, Reach, Subscription,
};
use support::settle;
use tokio::sync::Semaphore;

const NUMBERINGS: [Numbering; 2] = [Numbering::Engine, Numbering::Node];

/// A node: a hub and the task that joins it to the others.
struct Node {
    hub: Hub,
    bridge: tokio::task::JoinHandle<()>,
}

impl Node {
    async fn new(engine: &MemoryBackplane) -> Self {
        Self::with(engine.clone(), hub(|_| {}), BridgeConfig::default()).await
    }

    async fn with(engine: impl Backplane, hub: Hub, config: BridgeConfig) -> Self {
        let bridge = tokio::spawn(hub.bridge(engine, config).run());
        settle().await;
        Self { hub, bridge }
    }

    async fn client(&self, subscription: impl Into<Subscription>) -> Client {
        let mut client = Client::joining(&self.hub, ());
        client.member.subscribe(subscription).unwrap();
        settle().await;
        client
    }

    async fn publish(&self, topic: &str, range: std::ops::Range<u32>) {
        for number in range {
            self.hub.publish(topic, number.to_string()).unwrap();
        }
        settle().await;
    }

    fn is_up(&self) -> bool {
        self.hub.bridge_status().unwrap().is_up
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.bridge.abort();
    }
}

fn gap(topic: &str) -> Event {
    Event::Gap { topic: topic.into() }
}

/// Waits for longer than the bridges do before they connect again.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(30)).await;
    settle().await;
}

async fn two(engine: &MemoryBackplane) -> [Node; 2] {
    [Node::new(engine).await, Node::new(engine).await]
}

#[tokio::test(start_paused = true)]
async fn publish_on_any_node_reaches_the_subscribers_of_all_once() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let [a, b] = two(&engine).await;
        let mut clients = [a.client("room/1").await, b.client("room/1").await, b.client("room/#").await];
        assert_eq!(a.hub.publish("room/1", "0").unwrap().reach, Reach::AllNodes);
        settle().await;
        b.publish("room/1", 1..3).await;
        b.publish("room/2", 3..4).await;
        let got = clients.each_mut().map(Client::got);
        assert_eq!(got, [numbers(0..3), numbers(0..3), numbers(0..4)], "{numbering:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_nodes_count_alike_where_the_engine_does_and_deliver_in_its_order() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let mut clients = [a.client("t").await, b.client("t").await];
    for number in 0..50 {
        [&a, &b][number as usize % 2].hub.publish("t", number.to_string()).unwrap();
    }
    settle().await;
    let [on_a, on_b] = clients.each_mut().map(Client::got);
    assert_eq!((on_a.len(), &on_a), (50, &on_b));
    assert_eq!(a.hub.position("t"), b.hub.position("t"));
    assert_eq!(clients[0].member.position("t"), a.hub.position("t"));
}

#[tokio::test(start_paused = true)]
async fn who_has_subscribed_gets_what_is_published_right_after() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let node = Node::new(&engine).await;
        let mut client = Client::joining(&node.hub, ());
        client.member.subscribe("t").unwrap();
        node.publish("t", 0..3).await;
        assert_eq!(client.got(), numbers(0..3), "{numbering:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn node_asks_for_a_topic_only_while_somebody_subscribes_there() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let wanted = || engine.wanted().iter().map(ToString::to_string).collect::<Vec<_>>();
    let node = Node::with(engine.clone(), hub(|config| config.history = messages(10)), BridgeConfig::default()).await;
    let first = node.client("a").await;
    let mut second = node.client("a").await;
    let third = node.client("b/#").await;
    assert_eq!(wanted(), ["a", "b/#"]);
    drop(first);
    settle().await;
    assert_eq!(wanted(), ["a", "b/#"]);
    second.member.unsubscribe("a").unwrap();
    drop(third);
    settle().await;
    assert_eq!((wanted(), node.hub.stats().topics), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn bridge_that_comes_late_asks_for_what_is_subscribed_to_already() {
    let engine = MemoryBackplane::new(Numbering::Node);
    let late = hub(|_| {});
    let mut client = Client::joining(&late, ());
    client.member.subscribe("a").unwrap();
    client.member.subscribe("b/+").unwrap();
    let other = Node::new(&engine).await;
    let _late = Node::with(engine.clone(), late, BridgeConfig::default()).await;
    other.publish("a", 0..1).await;
    other.publish("b/1", 1..2).await;
    assert_eq!(client.got(), numbers(0..2));
}

#[tokio::test(start_paused = true)]
async fn sender_is_left_out_on_its_node_also_where_its_message_comes_back() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let [a, b] = two(&engine).await;
        let mut clients = [a.client("t").await, a.client("t").await, b.client("t").await];
        clients[0].member.publish_to_others("t", "x").unwrap();
        settle().await;
        assert_eq!(clients.each_mut().map(Client::got), [vec![], vec!["x".to_owned()], vec!["x".to_owned()]]);
    }
}

#[tokio::test(start_paused = true)]
async fn local_delivery_goes_on_while_the_engine_is_away_and_others_get_it_later_once() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let [a, b] = two(&engine).await;
        let mut clients = [a.client("t").await, b.client("t").await];
        a.publish("t", 0..2).await;
        assert_eq!(clients.each_mut().map(Client::got), [numbers(0..2), numbers(0..2)]);
        engine.stop();
        settle().await;
        assert!(!a.is_up() && a.hub.bridge_status().unwrap().last_error.is_some());
        a.publish("t", 2..5).await;
        assert_eq!(clients.each_mut().map(Client::got), [numbers(2..5), vec![]], "{numbering:?}");
        assert_eq!(a.hub.bridge_status().unwrap().queued, 3);
        engine.start();
        a_while().await;
        assert!(a.is_up() && b.is_up());
        a.publish("t", 5..6).await;
        let gaps = clients.each_mut().map(Client::run);
        let [on_a, on_b] = clients.each_mut().map(Client::new_texts);
        assert_eq!(on_a, numbers(5..6), "{numbering:?}");
        match numbering {
            Numbering::Engine => assert_eq!((gaps, on_b), ([vec![], vec![]], numbers(2..6))),
            // What is carried while the other is not there yet is lost, and nobody can know whether something was.
            Numbering::Node => {
                let gap = || vec![Event::Gap { topic: "t".into() }];
                assert_eq!(gaps, [gap(), gap()]);
                assert!(on_b == numbers(2..6) || on_b == numbers(5..6), "{on_b:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_other_nodes_published_while_one_was_away_comes_when_it_is_back() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let mut client = a.client("t").await;
    b.publish("t", 0..2).await;
    engine.stop();
    engine.start();
    // `b` was woken first, and `a` has not connected yet: what comes in between is asked for.
    let late = Node::new(&engine).await;
    late.publish("t", 2..5).await;
    a_while().await;
    late.publish("t", 5..6).await;
    assert_eq!(client.got(), numbers(0..6));
}

#[tokio::test(start_paused = true)]
async fn engine_that_has_forgotten_is_a_gap() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let mut clients = [a.client("t").await, b.client("#").await];
    b.publish("t", 0..2).await;
    assert_eq!(clients.each_mut().map(Client::got), [numbers(0..2), numbers(0..2)]);
    engine.stop();
    engine.forget();
    engine.start();
    a_while().await;
    b.publish("t", 2..3).await;
    let gap = || vec![Event::Gap { topic: "t".into() }];
    assert_eq!(clients.each_mut().map(Client::run), [gap(), gap()]);
    assert_eq!(clients.each_mut().map(Client::new_texts), [numbers(2..3), numbers(2..3)]);
}

#[tokio::test(start_paused = true)]
async fn patterns_get_what_was_published_while_their_node_was_away_in_topics_known_and_new() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let mut clients = [a.client("p/#").await, a.client("p/+").await, a.client("+/1").await];
    b.publish("p/1", 0..2).await;
    assert_eq!(clients.each_mut().map(Client::got), [numbers(0..2), numbers(0..2), numbers(0..2)]);
    engine.stop();
    engine.start();
    // The node has not connected yet.
    let late = Node::new(&engine).await;
    late.publish("p/1", 2..4).await;
    late.publish("p/new", 4..6).await;
    late.publish("p", 6..7).await;
    assert!(!a.is_up());
    a_while().await;
    late.publish("p/new", 7..8).await;
    let got = clients.each_mut().map(|client| {
        let mut got = client.got();
        got.sort_unstable();
        got
    });
    let [of_one, of_new] = [numbers(2..4), numbers(4..6)];
    assert_eq!(got[0], [&of_one[..], &of_new, &numbers(6..8)].concat());
    assert_eq!(got[1], [&of_one[..], &of_new, &numbers(7..8)].concat());
    assert_eq!(got[2], of_one);
}

#[tokio::test(start_paused = true)]
async fn pattern_whose_node_was_away_for_longer_than_is_kept_is_told_of_the_gap() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let mut client = a.client("p/+").await;
    b.publish("p/1", 0..1).await;
    assert_eq!(client.got(), numbers(0..1));
    engine.stop();
    engine.start();
    let late = Node::new(&engine).await;
    for first in (1..10_002).step_by(1000) {
        late.publish("p/1", first..(first + 1000).min(10_002)).await;
    }
    a_while().await;
    assert_eq!(client.run().first(), Some(&gap("p/1")));
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_with_a_position_before_a_gap_of_its_node_is_told() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let node = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
        let mut witness = node.client("t").await;
        let mut client = node.client("t").await;
        node.publish("t", 0..3).await;
        assert_eq!(client.got(), numbers(0..3));
        let before = client.member.position("t").unwrap();
        drop(client);
        engine.stop();
        engine.forget();
        engine.start();
        a_while().await;
        // At the very gap, and with messages behind it.
        let since = |position| Subscription::to("t").since(position);
        assert_eq!(node.client(since(before)).await.run(), [gap("t")], "{numbering:?}");
        node.publish("t", 3..5).await;
        let mut late = node.client(since(before)).await;
        assert_eq!((late.run(), late.new_texts()), (vec![gap("t")], numbers(3..5)), "{numbering:?}");
        let older = Position { sequence: before.sequence - 1, ..before };
        let mut older = node.client(since(older)).await;
        assert_eq!((older.run(), older.new_texts()), (vec![gap("t")], numbers(2..5)), "{numbering:?}");
        // Who has seen what came behind it misses nothing.
        assert_eq!((witness.run(), witness.new_texts()), (vec![gap("t")], numbers(0..5)));
        let behind = witness.member.position("t").unwrap();
        node.publish("t", 5..6).await;
        assert_eq!(node.client(since(behind)).await.got(), numbers(5..6), "{numbering:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn history_of_the_engine_is_not_put_before_what_it_counted_in_another_epoch() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = [(); 2].map(|()| Node::with(engine.clone(), with_history(), BridgeConfig::default()));
    let (a, b) = (a.await, b.await);
    let [_on_a, mut on_b] = [a.client("t").await, b.client("t").await];
    a.publish("t", 0..1).await;
    engine.forget();
    a.publish("t", 1..4).await;
    assert_eq!(on_b.got(), numbers(0..4));
    let second = on_b.member.position("t").map(|last| Position { sequence: 1, ..last });
    let unknown = second.map(|second| Position { epoch: second.epoch ^ 1, ..second });
    let mut client = b.client(Subscription::to("t").since(unknown)).await;
    assert_eq!((client.run(), client.new_texts()), (vec![gap("t")], numbers(0..4)));
    assert_eq!(b.client(Subscription::to("t").since(second)).await.got(), numbers(2..4));
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_to_another_node_gets_what_it_missed_from_the_engine() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let mut client = a.client("t").await;
    a.publish("t", 0..3).await;
    assert_eq!(client.got(), numbers(0..3));
    let last_seen = client.member.position("t").unwrap();
    drop(client);
    a.publish("t", 3..6).await;
    // Nobody has subscribed there so far; what is published meanwhile is not missed or doubled.
    let mut client = Client::joining(&b.hub, ());
    client.member.subscribe(Subscription::to("t").since(last_seen)).unwrap();
    b.publish("t", 6..8).await;
    assert_eq!(client.got(), numbers(3..8));
    // Somebody who came later is not sent what is old, and one that missed even more is.
    let mut newcomer = b.client("t").await;
    let mut older = b.client(Subscription::to("t").since(Position { sequence: 1, ..last_seen })).await;
    b.publish("t", 8..9).await;
    assert_eq!(
        [&mut client, &mut newcomer, &mut older].map(Client::got),
        [numbers(8..9), numbers(8..9), numbers(1..9)]
    );
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_is_sent_nothing_twice_where_another_had_missed_more() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    a.publish("t", 0..5).await;
    let mut slow = Client::with_room(&b.hub, (), 0);
    slow.member.subscribe("t").unwrap();
    settle().await;
    let five = b.hub.position("t").unwrap();
    a.publish("t", 5..7).await;
    let mut older = b.client(Subscription::to("t").since(Position { sequence: 2, ..five })).await;
    assert_eq!(older.member.position("t").unwrap().sequence, 2);
    let mut back = b.client(Subscription::to("t").since(five)).await;
    let mut between = b.client(Subscription::to("t").since(Position { sequence: 3, ..five })).await;
    assert_eq!([&mut older, &mut back, &mut between].map(Client::got), [numbers(2..7), numbers(5..7), numbers(3..7)]);
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_with_what_the_engine_does_not_know_is_told() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let [a, b] = two(&engine).await;
        let _other = a.client("t").await;
        a.publish("t", 0..3).await;
        let known = a.hub.position("t").unwrap();
        let unknown = Position { epoch: known.epoch ^ 1, ..known };
        let mut client = b.client(Subscription::to("t").since(unknown)).await;
        a.publish("t", 3..4).await;
        assert_eq!(client.run(), [Event::Gap { topic: "t".into() }], "{numbering:?}");
        let expected = if numbering == Numbering::Engine { numbers(0..4) } else { numbers(3..4) };
        assert_eq!(client.new_texts(), expected);
        // A number that is a lie silences nobody.
        let lie = Position { sequence: u64::MAX, ..known };
        let mut liar = b.client(Subscription::to("t").since(lie)).await;
        assert_eq!(liar.run(), [Event::Gap { topic: "t".into() }]);
        liar.new_texts();
        b.publish("t", 4..5).await;
        assert_eq!([&mut client, &mut liar].map(Client::got), [numbers(4..5), numbers(4..5)], "{numbering:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_while_the_engine_is_away_is_told_of_the_gap_and_goes_on() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let [a, b] = two(&engine).await;
    let _other = a.client("t").await;
    a.publish("t", 0..3).await;
    let known = a.hub.position("t").unwrap();
    let mut client = Client::joining(&b.hub, ());
    client.member.subscribe(Subscription::to("t").since(Position { sequence: 1, ..known })).unwrap();
    engine.stop();
    settle().await;
    b.publish("t", 3..4).await;
    assert_eq!(client.run(), [Event::Gap { topic: "t".into() }]);
    assert_eq!(client.new_texts(), numbers(3..4));
    assert!(!b.is_up());
    let mut late = b.client(Subscription::to("t").since(known)).await;
    b.publish("t", 4..5).await;
    a_while().await;
    assert_eq!(late.run(), [Event::Gap { topic: "t".into() }]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_engine_is_bounded_and_its_end_is_told() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    engine.stop();
    let mut config = BridgeConfig::default();
    config.queue = messages(2);
    let node = Node::with(engine.clone(), hub(|_| {}), config).await;
    let mut client = node.client("t").await;
    let reach = [0, 1, 2].map(|number| node.hub.publish("t", number.to_string()).unwrap().reach);
    assert_eq!(reach, [Reach::AllNodes, Reach::AllNodes, Reach::Cut]);
    assert_eq!((client.got(), node.hub.bridge_status().unwrap().cut), (numbers(0..3), 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_takes_nothing_from_what_is_still_to_come_back() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let mut config = BridgeConfig::default();
    config.queue = messages(2);
    let node = Node::with(engine.clone(), with_history(), config).await;
    let mut client = node.client("t").await;
    let reach = [0, 1, 2].map(|number| node.hub.publish("t", number.to_string()).unwrap().reach);
    assert_eq!(reach, [Reach::AllNodes, Reach::AllNodes, Reach::Cut]);
    settle().await;
    let mut got = client.got();
    got.sort();
    assert_eq!(got, numbers(0..3));
    // No other node has it, so it is no history.
    assert_eq!(node.client(Subscription::to("t").last(5)).await.got(), numbers(0..2));
}

#[tokio::test(start_paused = true)]
async fn message_to_one_goes_behind_what_was_published_and_waits_for_no_event() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        let node = Node::new(&engine).await;
        let mut client = node.client("t").await;
        node.publish("t", 0..1).await;
        assert_eq!(client.got(), numbers(0..1));
        engine.stop();
        engine.forget();
        engine.start();
        a_while().await;
        node.publish("t", 1..3).await;
        client.member.send("mine").await.unwrap();
        assert_eq!(client.new_texts(), ["1", "2", "mine"], "{numbering:?}");
        assert_eq!(client.run(), [Event::Gap { topic: "t".into() }]);
        client.member.send_first("a gap").await.unwrap();
        assert_eq!(client.new_texts(), ["a gap"]);
    }
}

#[tokio::test(start_paused = true)]
async fn hub_is_by_itself_again_when_its_bridge_is_dropped() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let node = Node::new(&engine).await;
    let mut client = node.client("t").await;
    node.publish("t", 0..1).await;
    node.bridge.abort();
    settle().await;
    assert_eq!(node.hub.publish("t", "1").unwrap().reach, Reach::Hub);
    assert_eq!((client.got(), node.hub.bridge_status()), (numbers(0..2), None));
}

#[tokio::test(start_paused = true)]
async fn envelope_has_the_position_of_the_engine() {
    fn envelope(inner: &Envelope<'_>) -> Message {
        format!("{}:{}", inner.position.sequence, inner.message.as_text().unwrap_or("?")).into()
    }
    let engine = MemoryBackplane::new(Numbering::Engine);
    let a = Node::new(&engine).await;
    let b = Node::with(engine.clone(), hub(|config| config.envelope = Some(envelope)), BridgeConfig::default()).await;
    a.publish("t", 7..9).await;
    let mut client = b.client("t").await;
    let start = b.hub.position("t").unwrap();
    assert_eq!(start.sequence, 2, "a client that has got nothing yet can come back to there");
    b.publish("t", 9..10).await;
    assert_eq!(client.got(), ["3:9"]);
    let mut back = b.client(Subscription::to("t").since(start)).await;
    assert_eq!(back.got(), ["3:9"]);
}

/// An engine that fails as it is told, and counts.
#[derive(Clone)]
struct Flaky {
    engine: MemoryBackplane,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    connects: Vec<tokio::time::Instant>,
    refuses: u32,
    /// How many batches fail after they were published.
    fails_late: u32,
    hangs: bool,
    batches: Vec<usize>,
}

struct FlakyOutbound {
    outbound: MemoryOutbound,
    script: Arc<Mutex<Script>>,
}

impl Flaky {
    fn new(numbering: Numbering) -> Self {
        Self { engine: MemoryBackplane::new(numbering), script: Arc::default() }
    }
}

impl Backplane for Flaky {
    type Outbound = FlakyOutbound;
    type Inbound = MemoryInbound;

    fn numbering(&self) -> Numbering {
        self.engine.numbering()
    }

    async fn connect(&self) -> Result<(FlakyOutbound, MemoryInbound), BackplaneError> {
        let hangs = {
            let mut script = self.script.lock().unwrap();
            script.connects.push(tokio::time::Instant::now());
            if script.refuses > 0 {
                script.refuses -= 1;
                return Err(BackplaneError::new("refused"));
            }
            script.hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let (outbound, inbound) = self.engine.connect().await?;
        Ok((FlakyOutbound { outbound, script: self.script.clone() }, inbound))
    }
}

impl Outbound for FlakyOutbound {
    async fn publish(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
        self.script.lock().unwrap().batches.push(batch.len());
        self.outbound.publish(batch).await?;
        let mut script = self.script.lock().unwrap();
        if script.fails_late > 0 {
            script.fails_late -= 1;
            return Err(BackplaneError::new("the answer was lost"));
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn batch_whose_answer_was_lost_is_published_again_and_delivered_once() {
    for numbering in NUMBERINGS {
        let flaky = Flaky::new(numbering);
        let a = Node::with(flaky.clone(), hub(|_| {}), BridgeConfig::default()).await;
        let b = Node::new(&flaky.engine).await;
        let mut clients = [a.client("t").await, b.client("t").await];
        flaky.script.lock().unwrap().fails_late = 2;
        a.publish("t", 0..3).await;
        a_while().await;
        a.publish("t", 3..4).await;
        clients.iter_mut().for_each(|client| drop(client.run()));
        assert_eq!(clients.each_mut().map(Client::new_texts), [numbers(0..4), numbers(0..4)], "{numbering:?}");
        assert_eq!(flaky.script.lock().unwrap().batches, [3, 3, 3, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_again_takes_longer_each_time_up_to_a_limit() {
    let flaky = Flaky::new(Numbering::Node);
    flaky.script.lock().unwrap().refuses = 12;
    let _node = Node::with(flaky.clone(), hub(|_| {}), BridgeConfig::default()).await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let connects = flaky.script.lock().unwrap().connects.clone();
    assert_eq!(connects.len(), 13);
    let waits: Vec<_> = connects.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    for (index, wait) in waits.iter().enumerate() {
        let most = (100u128 << index).min(10_000);
        assert!((most / 2..=most + 1).contains(wait), "{index}: {wait} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn engine_that_connects_and_refuses_what_is_published_is_tried_ever_less_and_local_delivery_goes_on() {
    for numbering in NUMBERINGS {
        let flaky = Flaky::new(numbering);
        let node = Node::with(flaky.clone(), hub(|_| {}), BridgeConfig::default()).await;
        let mut client = node.client("t").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        flaky.script.lock().unwrap().fails_late = 12;
        node.publish("t", 0..3).await;
        tokio::time::sleep(Duration::from_secs(200)).await;
        let connects = flaky.script.lock().unwrap().connects.clone();
        let waits: Vec<_> = connects.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).skip(1).collect();
        assert!(waits.len() == 11 && waits.last().is_some_and(|last| *last >= 5000), "{waits:?}");
        node.publish("t", 3..4).await;
        client.run();
        assert_eq!((client.new_texts(), node.is_up()), (numbers(0..4), true));
        // Once it has been well for a while, it is soon tried again.
        flaky.script.lock().unwrap().fails_late = 1;
        tokio::time::sleep(Duration::from_secs(20)).await;
        node.publish("t", 4..5).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(flaky.script.lock().unwrap().connects.len(), connects.len() + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn engine_that_hangs_is_given_up_on() {
    let flaky = Flaky::new(Numbering::Engine);
    flaky.script.lock().unwrap().hangs = true;
    let node = Node::with(flaky.clone(), hub(|_| {}), BridgeConfig::default()).await;
    let mut client = node.client("t").await;
    node.publish("t", 0..1).await;
    assert_eq!(client.got(), numbers(0..1));
    flaky.script.lock().unwrap().hangs = false;
    a_while().await;
    assert!(node.is_up());
}

fn with_history() -> Hub {
    hub(|config| config.history = messages(100))
}

#[tokio::test(start_paused = true)]
async fn what_is_published_before_the_engine_is_there_comes_once_in_order() {
    for numbering in NUMBERINGS {
        let engine = MemoryBackplane::new(numbering);
        engine.stop();
        let node = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
        node.publish("t", 0..1).await;
        let mut client = node.client(Subscription::to("t").last(10)).await;
        node.publish("t", 1..4).await;
        engine.start();
        a_while().await;
        node.publish("t", 4..6).await;
        client.run();
        assert_eq!(client.new_texts(), numbers(0..6), "{numbering:?}");
        let mut newcomer = node.client(Subscription::to("t").last(5)).await;
        node.publish("t", 6..7).await;
        assert_eq!([&mut client, &mut newcomer].map(Client::got), [numbers(6..7), numbers(1..7)], "{numbering:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_to_a_node_that_was_started_before_its_engine_was_there_gets_what_it_missed_once() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let one = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
    let mut client = one.client("t").await;
    one.publish("t", 0..3).await;
    assert_eq!(client.got(), numbers(0..3));
    let seen = client.member.position("t").unwrap();
    drop((client, one));
    let hub = with_history();
    let bridge = hub.bridge(engine.clone(), BridgeConfig::default());
    hub.publish("t", "3").unwrap();
    let two = Node { hub, bridge: tokio::spawn(bridge.run()) };
    a_while().await;
    let mut client = two.client(Subscription::to("t").since(seen)).await;
    two.publish("t", 4..6).await;
    assert_eq!(client.got(), numbers(3..6));
}

/// Two nodes that were both without their engine: what each published meanwhile has two orders, of which a client sees one.
#[tokio::test(start_paused = true)]
async fn client_that_comes_back_to_either_node_after_both_were_without_the_engine_gets_everything_once() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let a = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
    let b = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
    let [mut on_a, mut on_b] = [a.client("t").await, b.client("t").await];
    a.publish("t", 0..3).await;
    let before = a.hub.position("t").unwrap();
    engine.stop();
    settle().await;
    a.publish("t", 3..5).await;
    b.publish("t", 10..12).await;
    let early = a.hub.position("t").unwrap();
    // Who comes back meanwhile to where it was misses nothing.
    let mut meanwhile = a.client(Subscription::to("t").since(before)).await;
    assert_eq!(meanwhile.got(), numbers(3..5));
    engine.start();
    a_while().await;
    a.publish("t", 5..6).await;
    let all = [&mut on_a, &mut on_b, &mut meanwhile].map(Client::got);
    for (known, got) in [0..5, 10..12, 10..12].into_iter().zip(&all) {
        let mut sorted: Vec<u32> = got.iter().map(|text| text.parse().unwrap()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), got.len(), "{known:?} {got:?}");
    }
    assert_eq!([all[0].len(), all[1].len(), all[2].len()], [8, 8, 3]);
    // The engine's order, as it has it.
    let reference = Node::new(&engine).await;
    let expected = reference.client(Subscription::to("t").since(before)).await.got();
    assert_eq!(expected.len(), 5);
    for node in [&a, &b] {
        for last in 0..=8 {
            let mut newcomer = node.client(Subscription::to("t").last(last)).await;
            let whole: Vec<_> = numbers(0..3).into_iter().chain(expected.clone()).collect();
            assert_eq!(newcomer.got(), whole[8 - last..]);
        }
        for (seen, behind) in (before.sequence..).zip(0..=5) {
            let seen = Position { sequence: seen, ..before };
            let mut back = node.client(Subscription::to("t").since(seen)).await;
            assert_eq!(back.got(), expected[behind..]);
        }
    }
    // Who has seen what had no place yet goes on as it was.
    let mut back = a.client(Subscription::to("t").since(early)).await;
    let rest: Vec<_> = expected.iter().filter(|text| !["3", "4"].contains(&text.as_str())).cloned().collect();
    assert_eq!(back.got(), rest);
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_between_the_engine_and_what_it_is_yet_to_give_places_misses_nothing() {
    let flaky = Flaky::new(Numbering::Engine);
    let node = Node::with(flaky.clone(), with_history(), BridgeConfig::default()).await;
    let other = Node::new(&flaky.engine).await;
    let mut client = node.client("t").await;
    other.publish("t", 0..1).await;
    let seen = node.hub.position("t").unwrap();
    flaky.engine.stop();
    settle().await;
    node.publish("t", 1..3).await;
    flaky.engine.start();
    // Connected, and nothing has come back.
    while !node.is_up() {
        tokio::time::advance(Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }
    let mut back = Client::joining(&node.hub, ());
    back.member.subscribe(Subscription::to("t").since(seen)).unwrap();
    let mut newcomer = Client::joining(&node.hub, ());
    newcomer.member.subscribe("t").unwrap();
    a_while().await;
    node.publish("t", 3..5).await;
    let got = [&mut client, &mut back, &mut newcomer].map(Client::got);
    assert_eq!(got, [numbers(0..5), numbers(1..5), numbers(3..5)]);
}

#[tokio::test(start_paused = true)]
async fn price_that_was_delivered_without_the_engine_is_not_followed_by_an_older_one() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    let node = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
    let latest = || Subscription::to("t").slow_consumer(sockeye::pubsub::SlowConsumer::KeepLatest);
    let [mut quick, mut slow] = [node.client(latest()).await, node.client(latest()).await];
    engine.stop();
    settle().await;
    node.publish("t", 0..3).await;
    assert_eq!(quick.got(), ["2"]);
    engine.start();
    a_while().await;
    assert_eq!([&mut quick, &mut slow].map(Client::got), [vec![], vec!["2".to_owned()]]);
}

#[tokio::test(start_paused = true)]
async fn last_messages_are_those_of_the_engine_where_nobody_has_listened_here() {
    let engine = MemoryBackplane::new(Numbering::Engine);
    engine.stop();
    let node = Node::with(engine.clone(), with_history(), BridgeConfig::default()).await;
    node.publish("t", 0..2).await;
    engine.start();
    a_while().await;
    let other = Node::new(&engine).await;
    other.publish("t", 2..6).await;
    // What is published before the engine answers is among them, or follows: nothing is missing and nothing is there twice.
    let mut client = Client::joining(&node.hub, ());
    client.member.subscribe(Subscription::to("t").last(3)).unwrap();
    node.publish("t", 6..8).await;
    let got = client.got();
    assert!(got.len() >= 3 && numbers(0..8).ends_with(&got), "{got:?}");
    // More than is here, less, all, and none; also where nothing is kept here.
    for (node, last) in [(&node, 5), (&node, 2), (&node, 100), (&node, 0), (&other, 6), (&other, 3)] {
        let mut client = node.client(Subscription::to("t").last(last)).await;
        assert_eq!(client.got(), numbers(8 - u32::try_from(last.min(8)).unwrap()..8), "{last}");
    }
    // While the engine is away, what is here.
    engine.stop();
    settle().await;
    let mut client = node.client(Subscription::to("t").last(2)).await;
    node.publish("t", 8..9).await;
    assert_eq!(client.got(), numbers(6..9));
}

/// An engine that says whatever it likes, once, and then nothing.
struct Hostile(Mutex<Vec<Arrival>>);

struct Says(std::vec::IntoIter<Arrival>);

struct Hears;

impl Hostile {
    fn saying(arrivals: Vec<Arrival>) -> Self {
        Self(Mutex::new(arrivals))
    }
}

impl Backplane for Hostile {
    type Outbound = Hears;
    type Inbound = Says;

    fn numbering(&self) -> Numbering {
        Numbering::Engine
    }

    async fn connect(&self) -> Result<(Hears, Says), BackplaneError> {
        Ok((Hears, Says(std::mem::take(&mut *self.0.lock().unwrap()).into_iter())))
    }
}

impl Outbound for Hears {
    async fn publish(&mut self, _: &[Publication]) -> Result<(), BackplaneError> {
        Ok(())
    }
}

impl Inbound for Says {
    async fn subscribe(&mut self, _: &Pattern, _: Option<Position>) -> Result<Option<Position>, BackplaneError> {
        Ok(None)
    }

    async fn unsubscribe(&mut self, _: &Pattern) -> Result<(), BackplaneError> {
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        match self.0.next() {
            Some(arrival) => Ok(arrival),
            None => std::future::pending().await,
        }
    }
}

/// A publication of a node 1.
fn arrived(topic: &str, number: u64, position: Option<Position>) -> Arrival {
    let publication = Publication {
        topic: topic.into(),
        origin: sockeye::pubsub::Origin { node: 1, number },
        kind: sockeye::MessageKind::Binary,
        may_be_encoded: true,
        payload: bytes::Bytes::from_static(b"x"),
    };
    Arrival::Message(sockeye::pubsub::Arrived { publication, position })
}

fn at(sequence: u64) -> Option<Position> {
    Some(Position { epoch: 1, sequence })
}

#[tokio::test(start_paused = true)]
async fn anything_that_comes_in_is_taken_or_ignored() {
    let arrivals = vec![
        Arrival::Gap { topic: "a".into() },
        Arrival::Gap { topic: "".into() },
        arrived("a", 1, at(0)),
        arrived("a", 2, None),
        arrived("nobody", 1, at(1)),
        arrived(&"x".repeat(10_000), 0, at(0)),
        arrived("a/#", 0, at(0)),
        arrived("", 0, None),
        arrived("a", u64::MAX, at(u64::MAX)),
    ];
    let hub = Hub::<()>::new(HubConfig::default());
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    let node = Node::with(Hostile::saying(arrivals), hub, BridgeConfig::default()).await;
    assert_eq!(client.run(), [Event::Gap { topic: "a".into() }]);
    assert_eq!((node.hub.stats().topics, client.stream.frames().len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn what_a_node_numbers_by_itself_is_never_in_an_epoch_of_the_engines() {
    // The engine gave the second publication two places, and then the highest that there is.
    let twice = vec![arrived("a", 1, at(5)), arrived("a", 2, at(6)), arrived("a", 2, at(u64::MAX))];
    let hub = Hub::<()>::new(HubConfig::default());
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    let node = Node::with(Hostile::saying(twice), hub.clone(), BridgeConfig::default()).await;
    drop(node);
    settle().await;
    assert_eq!(hub.position("a"), at(6));
    let [first, second] = ["0", "1"].map(|text| hub.publish("a", text).unwrap().position.unwrap());
    assert_ne!(first.epoch, 1, "another node may number so, too");
    assert_eq!(second, Position { sequence: first.sequence + 1, ..first });
    assert_eq!(client.got(), numbers(0..2));
}

/// An engine that takes its time with each topic that is asked for, until there are permits.
#[derive(Clone)]
struct Busy {
    engine: MemoryBackplane,
    calls: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

struct BusyInbound {
    inbound: MemoryInbound,
    busy: Busy,
}

impl Busy {
    fn new() -> Self {
        let engine = MemoryBackplane::new(Numbering::Engine);
        Self { engine, calls: Arc::default(), permits: Arc::new(Semaphore::new(0)) }
    }
}

impl Backplane for Busy {
    type Outbound = MemoryOutbound;
    type Inbound = BusyInbound;

    fn numbering(&self) -> Numbering {
        self.engine.numbering()
    }

    async fn connect(&self) -> Result<(MemoryOutbound, BusyInbound), BackplaneError> {
        let (outbound, inbound) = self.engine.connect().await?;
        Ok((outbound, BusyInbound { inbound, busy: self.clone() }))
    }
}

impl BusyInbound {
    async fn wait(&self) {
        self.busy.calls.fetch_add(1, Ordering::Relaxed);
        self.busy.permits.acquire().await.unwrap().forget();
    }
}

impl Inbound for BusyInbound {
    async fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        self.wait().await;
        self.inbound.subscribe(pattern, after).await
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        self.wait().await;
        self.inbound.unsubscribe(pattern).await
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        self.inbound.receive().await
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_and_goes_faster_than_the_engine_costs_no_memory_and_the_end_is_right() {
    let busy = Busy::new();
    let node = Node::with(busy.clone(), hub(|_| {}), BridgeConfig::default()).await;
    let mut client = Client::joining(&node.hub, ());
    for name in ["stays", "goes", "late/+", "gone/+"] {
        client.member.subscribe(name).unwrap();
    }
    busy.permits.add_permits(4);
    settle().await;
    for number in 0..20_000 {
        let name = format!("churn/{number}");
        client.member.subscribe(name.as_str()).unwrap();
        client.member.unsubscribe(&name).unwrap();
    }
    client.member.unsubscribe("goes").unwrap();
    client.member.unsubscribe("gone/+").unwrap();
    client.member.subscribe("comes").unwrap();
    client.member.unsubscribe("stays").unwrap();
    client.member.subscribe("stays").unwrap();
    // Behind what was subscribed to before it.
    node.publish("comes", 0..1).await;
    busy.permits.add_permits(1_000_000);
    for _ in 0..500 {
        settle().await;
    }
    let calls = busy.calls.load(Ordering::Relaxed);
    assert!(calls < 10_000, "{calls} calls");
    let wanted: Vec<_> = busy.engine.wanted().iter().map(ToString::to_string).collect();
    assert_eq!(wanted, ["comes", "late/+", "stays"]);
    assert_eq!(node.hub.position("stays").unwrap().epoch, node.hub.position("comes").unwrap().epoch);
    node.publish("stays", 1..2).await;
    node.publish("late/1", 2..3).await;
    assert_eq!(client.got(), numbers(0..3));
}

#[tokio::test(start_paused = true)]
async fn questions_that_wait_for_a_busy_engine_are_bounded_and_those_beyond_are_a_gap() {
    let busy = Busy::new();
    let node = Node::with(busy.clone(), hub(|_| {}), BridgeConfig::default()).await;
    let since = |name: &str| Subscription::to(name).since(Position { epoch: 9, sequence: 9 });
    let mut client = Client::joining(&node.hub, ());
    for number in 0..5_000 {
        let name = format!("churn/{number}");
        client.member.subscribe(since(&name)).unwrap();
        client.member.unsubscribe(&name).unwrap();
    }
    client.run();
    client.member.subscribe(since("t")).unwrap();
    assert_eq!(client.run(), [Event::Gap { topic: "t".into() }], "nobody waits for an answer that will not come");
}

/// A state that says goodbye when its last owner lets it go.
struct SaysGoodbye(Hub<SaysGoodbye>);

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        self.0.publish("goodbye", "").unwrap();
    }
}

/// Runs something that must not wait for itself.
fn without_deadlock(story: impl AsyncFnOnce() + Send + 'static) {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(story());
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(10)).expect("a lock is held while a state is dropped");
}

/// A hub where nothing comes back, and somebody listens to all.
async fn hub_of_goodbyes(queue: usize) -> (Hub<SaysGoodbye>, tokio::task::JoinHandle<()>, Client<SaysGoodbye>) {
    let hub = Hub::new(HubConfig::default());
    let mut config = BridgeConfig::default();
    config.queue = messages(queue);
    let bridge = tokio::spawn(hub.bridge(Hostile::saying(vec![]), config).run());
    settle().await;
    let mut stays = Client::joining(&hub, SaysGoodbye(Hub::new(HubConfig::default())));
    stays.member.subscribe("#").unwrap();
    // What is published by it is all that is kept of it.
    let goes = Client::joining(&hub, SaysGoodbye(hub.clone()));
    goes.member.publish_to_others("t", "").unwrap();
    drop(goes);
    settle().await;
    (hub, bridge, stays)
}

#[test]
fn state_that_uses_the_hub_when_it_is_dropped_stops_nobody() {
    without_deadlock(async || {
        let (hub, bridge, _stays) = hub_of_goodbyes(2).await;
        for _ in 0..3 {
            hub.publish("t", "").unwrap();
            settle().await;
        }
        bridge.abort();
    });
}

#[test]
fn state_that_uses_the_hub_stops_nobody_who_subscribes_to_what_its_owner_has_published() {
    without_deadlock(async || {
        let (_hub, bridge, mut stays) = hub_of_goodbyes(100).await;
        stays.member.subscribe("t").unwrap();
        bridge.abort();
    });
}
