//! Clients that come back with what they were told last, while the engine is away or has just come back: to their node that is exact,
//! elsewhere it is a gap at worst.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

#[path = "pubsub_support/gated.rs"]
mod gated;

use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Context;
use std::thread;
use std::time::Duration;

use gated::{Gated, Way, envelope, told};
use pubsub_support::{Client, Runs, hub, messages};
use sockeye::pubsub::{BridgeConfig, Event, Hub, MemoryBackplane, Numbering, Position, Subscription};
use support::settle;
use tokio::task::JoinHandle;

/// A node whose messages tell their positions.
struct Node {
    engine: Gated,
    hub: Hub,
    bridge: JoinHandle<()>,
}

impl Node {
    async fn new(engine: Gated) -> Self {
        let node = Self::unsettled(engine);
        settle().await;
        node
    }

    /// One that has done nothing so far.
    fn unsettled(engine: Gated) -> Self {
        let hub = hub(|config| {
            config.history = messages(100);
            config.envelope = Some(envelope);
        });
        let bridge = tokio::spawn(hub.bridge(engine.clone(), BridgeConfig::default()).run());
        Self { engine, hub, bridge }
    }

    /// Gets another bridge, which counts anew.
    async fn join(&mut self, engine: Gated) {
        self.bridge.abort();
        self.bridge = tokio::spawn(self.hub.bridge(engine.clone(), BridgeConfig::default()).run());
        self.engine = engine;
        settle().await;
    }

    async fn publish(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.hub.publish("t", number.to_string()).unwrap();
        }
        settle().await;
    }

    /// Is cut off from its engine, while that is there for others.
    async fn cut(&self) {
        self.engine.cut();
        settle().await;
    }

    /// Has its engine again, which does not take what was published meanwhile yet.
    async fn mend_and_hold(&self) {
        self.engine.hold(Way::Out);
        self.engine.mend();
        self.connect().await;
    }

    async fn connect(&self) {
        while !self.hub.bridge_status().unwrap().is_up {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        settle().await;
    }

    /// Lets the engine take what was published, and give it back.
    async fn open(&self) {
        self.engine.open(Way::Out);
        settle().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.bridge.abort();
    }
}

/// A client and what it was told last.
struct Visitor {
    client: Client,
    told: Option<Position>,
}

impl Visitor {
    async fn at(node: &Node, wish: Subscription) -> Self {
        let mut client = Client::joining(&node.hub, ());
        client.member.subscribe(wish).unwrap();
        settle().await;
        Self { client, told: None }
    }

    async fn new(node: &Node) -> Self {
        Self::at(node, "t".into()).await
    }

    /// Goes, and comes back to a node with what it was told last.
    async fn go_to(&self, node: &Node) -> Self {
        Self { told: self.told, ..Self::at(node, Subscription::to("t").since(self.told)).await }
    }

    /// What it has got since it was last asked, without a gap.
    fn got(&mut self) -> Vec<u32> {
        assert_eq!(self.client.run(), []);
        self.texts()
    }

    /// The same, with a gap before.
    fn got_behind_gap(&mut self) -> Vec<u32> {
        assert_eq!(self.client.run(), [Event::Gap { topic: "t".into() }]);
        self.texts()
    }

    fn texts(&mut self) -> Vec<u32> {
        let texts = self.client.new_texts();
        let all = texts.iter().map(|text| {
            let (position, number) = told(text);
            self.told = Some(position);
            number
        });
        all.collect()
    }
}

async fn two() -> [Node; 2] {
    let [a, b] = Gated::nodes(&MemoryBackplane::new(Numbering::Engine));
    [Node::new(a).await, Node::new(b).await]
}

/// A node that has delivered 1 and 2 without its engine, has that again, and has heard 10 of another node, before 1 and 2 come back;
/// a client that was there, and that other node.
async fn early() -> ([Node; 2], Visitor) {
    let [a, b] = two().await;
    let mut client = Visitor::new(&a).await;
    a.publish([0]).await;
    assert_eq!(client.got(), [0]);
    a.cut().await;
    a.publish([1, 2]).await;
    b.publish([10]).await;
    assert_eq!(client.got(), [1, 2]);
    a.mend_and_hold().await;
    assert_eq!(client.got(), [10]);
    ([a, b], client)
}

#[tokio::test(start_paused = true)]
async fn who_has_had_messages_early_comes_back_to_its_node_before_and_after_they_have_a_place() {
    let ([a, b], client) = early().await;
    let mut before = client.go_to(&a).await;
    b.publish([11]).await;
    assert_eq!(before.got(), [11]);
    let mut between = client.go_to(&a).await;
    assert_eq!(between.got(), [11]);
    a.open().await;
    // What was told last is a message of another node still.
    let mut after = before.go_to(&a).await;
    b.publish([12]).await;
    assert_eq!([&mut before, &mut between, &mut after].map(Visitor::got), [[12], [12], [12]]);
    // From then on it is as if nothing had been.
    let mut elsewhere = after.go_to(&b).await;
    a.publish([3]).await;
    assert_eq!([&mut after, &mut elsewhere].map(Visitor::got), [[3], [3]]);
}

#[tokio::test(start_paused = true)]
async fn who_has_had_messages_early_and_comes_back_elsewhere_is_told_of_a_gap() {
    for is_open in [false, true] {
        let ([a, b], client) = early().await;
        if is_open {
            a.open().await;
        }
        let mut elsewhere = client.go_to(&b).await;
        let there = if is_open { vec![0, 10, 1, 2] } else { vec![0, 10] };
        assert_eq!(elsewhere.got_behind_gap(), there);
        a.open().await;
        b.publish([11]).await;
        assert_eq!(elsewhere.got(), if is_open { vec![11] } else { vec![1, 2, 11] });
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_had_nothing_early_goes_by_the_order_of_the_engine_and_is_told_of_no_gap() {
    let ([a, b], client) = early().await;
    let mut on_b = Visitor::new(&b).await;
    b.publish([11]).await;
    assert_eq!(on_b.got(), [11]);
    // From before, from another node, and with nothing.
    let zero = client.client.member.hub().position("t");
    assert_eq!(zero.map(|position| position.epoch), client.told.map(|position| position.epoch), "for who has had all");
    let mut older =
        Visitor::at(&a, Subscription::to("t").since(on_b.told.map(|at| Position { sequence: 1, ..at }))).await;
    let mut other = on_b.go_to(&a).await;
    let mut new = Visitor::new(&a).await;
    assert_eq!([&mut older, &mut other, &mut new].map(Visitor::got), [vec![10, 11], vec![], vec![]]);
    b.publish([12]).await;
    assert_eq!([&mut older, &mut other, &mut new].map(Visitor::got), [[12], [12], [12]]);
    let mut back = [other.go_to(&b).await, older.go_to(&a).await];
    a.open().await;
    assert_eq!([&mut older, &mut other, &mut new].map(Visitor::got), [[1, 2], [1, 2], [1, 2]]);
    assert_eq!(back.each_mut().map(Visitor::got), [[1, 2], [1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_what_comes_back_is_told_of_a_gap_where_more_is_delivered_early() {
    let ([a, b], mut client) = early().await;
    let mut waits = Visitor::new(&a).await;
    b.publish([11]).await;
    assert_eq!([&mut client, &mut waits].map(Visitor::got), [[11], [11]]);
    a.cut().await;
    a.publish([3]).await;
    assert_eq!((client.got(), waits.got_behind_gap()), (vec![3], vec![3]));
    // Also who comes then, in the order of the engine.
    let mut engines = Visitor::new(&b).await;
    b.publish([12]).await;
    assert_eq!(engines.got(), [12]);
    a.mend_and_hold().await;
    assert_eq!([&mut client, &mut waits].map(Visitor::got), [[12], [12]]);
    let mut back = [client.go_to(&a).await, waits.go_to(&a).await, engines.go_to(&a).await];
    a.open().await;
    b.publish([13]).await;
    assert_eq!(back.each_mut().map(Visitor::got), [vec![13], vec![13], vec![1, 2, 3, 13]]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_in_the_order_of_the_engine_while_that_is_away_is_told_of_a_gap() {
    let ([a, b], _client) = early().await;
    let mut engines = Visitor::new(&a).await;
    b.publish([11]).await;
    assert_eq!(engines.got(), [11]);
    a.cut().await;
    a.publish([3]).await;
    assert_eq!(engines.go_to(&a).await.got_behind_gap(), [3]);
    engines.got_behind_gap();
}

#[tokio::test(start_paused = true)]
async fn node_that_publishes_before_its_bridge_has_connected_sends_nothing_twice() {
    let [a, b] = two().await;
    a.publish([0]).await;
    let engine = a.engine.clone();
    drop(a);
    engine.hold(Way::Out);
    let a = Node::unsettled(engine);
    let mut client = Visitor { client: Client::joining(&a.hub, ()), told: None };
    client.client.member.subscribe("t").unwrap();
    a.publish([1]).await;
    a.connect().await;
    b.publish([10]).await;
    assert_eq!(client.got(), [1, 10]);
    let mut back = client.go_to(&a).await;
    a.open().await;
    assert_eq!([&mut client, &mut back].map(Visitor::got), [[0; 0], []]);
    assert_eq!(back.go_to(&b).await.got_behind_gap(), [0, 10, 1]);
}

#[tokio::test(start_paused = true)]
async fn client_that_is_ahead_of_a_node_with_early_messages_gets_nothing_twice() {
    let [a, b] = two().await;
    let [mut on_a, mut on_b] = [Visitor::new(&a).await, Visitor::new(&b).await];
    b.publish([10]).await;
    a.cut().await;
    a.publish([1]).await;
    b.publish([11, 12]).await;
    assert_eq!([&mut on_a, &mut on_b].map(Visitor::got), [vec![10, 1], vec![10, 11, 12]]);
    a.engine.hold(Way::In);
    a.mend_and_hold().await;
    let mut ahead = on_b.go_to(&a).await;
    a.open().await;
    assert_eq!(ahead.got(), [0; 0]);
    a.engine.open(Way::In);
    settle().await;
    assert_eq!([&mut on_a, &mut ahead].map(Visitor::got), [vec![11, 12], vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn client_that_is_ahead_of_its_node_when_the_engine_goes_is_told_of_a_gap() {
    let [a, b] = two().await;
    let [mut on_a, mut on_b] = [Visitor::new(&a).await, Visitor::new(&b).await];
    a.publish([0]).await;
    a.engine.hold(Way::In);
    a.publish([1, 2]).await;
    assert_eq!(on_b.got(), [0, 1, 2]);
    let mut ahead = on_b.go_to(&a).await;
    assert_eq!(ahead.client.member.position("t"), on_b.told, "not what its node has heard");
    assert_eq!(ahead.got(), [0; 0]);
    on_a.got();
    a.cut().await;
    let last = *ahead.got_behind_gap().last().unwrap();
    assert_eq!((last, *on_a.got().last().unwrap()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn client_whose_question_is_under_way_when_the_engine_goes_is_told_of_a_gap_and_goes_on() {
    let [a, b] = two().await;
    let mut on_b = Visitor::new(&b).await;
    b.publish([0]).await;
    assert_eq!(on_b.got(), [0]);
    a.engine.hold(Way::Out);
    let mut asks = on_b.go_to(&a).await;
    a.cut().await;
    a.publish([1]).await;
    assert_eq!(asks.got_behind_gap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_to_a_pattern_is_not_lost_where_its_topic_is_asked_for_by_name() {
    let [a, b] = two().await;
    let mut on_b = Visitor::new(&b).await;
    b.publish([0]).await;
    assert_eq!(on_b.got(), [0]);
    let mut pattern = Visitor::at(&a, "+".into()).await;
    a.engine.hold(Way::In);
    // What was waited for already still comes.
    b.hub.publish("u", "100").unwrap();
    b.publish([1, 2]).await;
    let mut named = on_b.go_to(&a).await;
    assert_eq!((pattern.got(), named.got()), (vec![100], vec![1, 2]), "the engine has it");
    a.engine.open(Way::In);
    b.publish([3]).await;
    assert_eq!(pattern.got(), [1, 2, 3]);
    assert_eq!(named.got(), [3]);
    assert_eq!(named.go_to(&a).await.got(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_come_back_is_delivered_to_a_pattern_where_its_topic_is_asked_for_by_name_meanwhile() {
    let [a, _b] = two().await;
    let mut pattern = Visitor::at(&a, "+".into()).await;
    a.engine.hold(Way::Out);
    a.publish([0, 1]).await;
    let _named = Visitor::new(&a).await;
    a.publish([2]).await;
    a.cut().await;
    assert_eq!(pattern.got(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_anybody_wanted_it_is_a_gap_where_newer_messages_are_delivered_early() {
    let [a, b] = two().await;
    let mut on_b = Visitor::new(&b).await;
    b.publish([10]).await;
    assert_eq!(on_b.got(), [10]);
    a.engine.hold(Way::Out);
    a.publish([0]).await;
    let mut client = Visitor::new(&a).await;
    a.publish([1]).await;
    a.cut().await;
    assert_eq!(client.got_behind_gap(), [1]);
    a.engine.open(Way::Out);
    a.engine.mend();
    a.connect().await;
    b.publish([11]).await;
    assert_eq!((client.got(), on_b.got()), (vec![11], vec![0, 1, 11]));
}

#[tokio::test(start_paused = true)]
async fn hub_that_gets_another_bridge_tells_of_a_gap_where_it_cannot_tell_the_numbers_of_both_apart() {
    let [a, b, again] = Gated::nodes(&MemoryBackplane::new(Numbering::Engine));
    let (mut a, b) = (Node::new(a).await, Node::new(b).await);
    let mut client = Visitor::new(&a).await;
    a.cut().await;
    a.publish([1, 2]).await;
    assert_eq!(client.got(), [1, 2]);
    a.join(again).await;
    let mut new = Visitor::new(&b).await;
    b.publish([10]).await;
    assert_eq!([&mut client, &mut new].map(Visitor::got), [[10], [10]]);
    let mut new = new.go_to(&a).await;
    a.cut().await;
    a.publish([3]).await;
    assert_eq!((client.got(), new.got_behind_gap()), (vec![3], vec![3]));
    assert_eq!(client.go_to(&a).await.got(), [0; 0]);
    a.engine.mend();
    a.connect().await;
    b.publish([11]).await;
    assert_eq!([&mut client, &mut new].map(Visitor::got), [[11], [11]]);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_of_a_gap_may_publish_to_the_topic_when_it_is_woken() {
    let ([a, b], _client) = early().await;
    let mut engines = Visitor::new(&a).await;
    b.publish([11]).await;
    assert_eq!(engines.got(), [11]);
    a.cut().await;
    let hub = a.hub.clone();
    let publish = move || assert_eq!(hub.publish("t", "4").unwrap().receivers, 2);
    let waker = Arc::new(Runs(Mutex::new(Some(publish)))).into();
    assert!(pin!(engines.client.member.next()).poll(&mut Context::from_waker(&waker)).is_pending());
    let (done, is_done) = mpsc::channel();
    let hub = a.hub.clone();
    thread::spawn(move || done.send(hub.publish("t", "3").unwrap().receivers).unwrap());
    assert_eq!(is_done.recv_timeout(Duration::from_secs(20)), Ok(2), "it waits for itself");
    assert_eq!(engines.got_behind_gap(), [3, 4]);
}

/// A node whose topic has somebody in it and 4 and 5, and a member that is to be sent these, has left the topic and has come back
/// behind 1, which its node has not.
async fn asking() -> (Node, Visitor, Visitor) {
    let [a, b] = two().await;
    let mut on_a = Visitor::new(&a).await;
    a.publish([0, 1]).await;
    assert_eq!(on_a.got(), [0, 1]);
    a.publish([2, 3]).await;
    let [other, mut asks] = [Visitor::new(&b).await, Visitor::new(&b).await];
    // So that what it was marked for is not forgotten.
    asks.client.member.subscribe("u").unwrap();
    a.publish([4, 5]).await;
    asks.client.member.unsubscribe("t").unwrap();
    asks.client.member.subscribe(Subscription::to("t").since(on_a.told)).unwrap();
    (b, other, asks)
}

#[tokio::test(start_paused = true)]
async fn member_that_comes_back_to_a_topic_is_sent_nothing_before_what_it_has_missed() {
    let (_b, mut other, mut asks) = asking().await;
    assert_eq!(asks.got(), [0; 0], "what came before it left says nothing any more");
    settle().await;
    assert_eq!((asks.got(), other.got()), (vec![2, 3, 4, 5], vec![4, 5]));
}

#[tokio::test(start_paused = true)]
async fn answer_for_a_member_that_has_left_is_not_for_itself_when_it_has_come_again() {
    let (b, _other, mut asks) = asking().await;
    asks.client.member.unsubscribe("t").unwrap();
    asks.client.member.subscribe("t").unwrap();
    settle().await;
    b.publish([6]).await;
    assert_eq!(asks.got(), [6]);
}

#[tokio::test(start_paused = true)]
async fn sender_that_is_left_out_has_the_position_that_others_are_told() {
    let [a, b, again] = Gated::nodes(&MemoryBackplane::new(Numbering::Engine));
    let (mut a, b) = (Node::new(a).await, Node::new(b).await);
    let [mut client, mut sender] = [Visitor::new(&a).await, Visitor::new(&a).await];
    b.publish([0]).await;
    a.cut().await;
    a.publish([1, 2]).await;
    assert_eq!([&mut client, &mut sender].map(Visitor::got), [[0, 1, 2]; 2]);
    // What the bridge of before had numbered does not come back.
    a.join(again).await;
    sender.client.member.publish_to_others("t", "3").unwrap();
    settle().await;
    assert_eq!(client.got(), [3]);
    b.publish([4]).await;
    assert_eq!(sender.client.member.position("t"), client.told);
    assert_eq!([&mut client, &mut sender].map(Visitor::got), [[4]; 2]);
}
