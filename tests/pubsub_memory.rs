//! What a subscription costs of memory, what a publish costs of allocations, and that a client that never reads costs its limit.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "a part of what it tells is wanted here")]
mod allocator;
#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::sync::Arc;
use std::time::Duration;

use allocator::Counting;
use pubsub_support::{Client, config, hub, messages};
use sockeye::PreparedMessage;
use sockeye::pubsub::{
    Arrival, Backplane, BackplaneError, Bounds, BridgeConfig, Event, Hub, Inbound, MemoryBackplane, Numbering,
    Outbound, Pattern, Position, Publication, Subscription,
};
use support::{now, poll, settle};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// So many members, each with so many subscriptions: bytes of heap for each of these.
fn cost(members: usize, topics: usize) -> i64 {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| config.max_subscriptions = topics);
    let names: Vec<String> = (0..topics).map(|topic| format!("room/{topic}")).collect();
    let mut clients: Vec<_> = (0..members).map(|_| Client::joining(&hub, ())).collect();
    // The topics are not what a subscription costs.
    let mut first = Client::joining(&hub, ());
    for name in &names {
        first.member.subscribe(name.as_str()).unwrap();
    }
    for name in &names {
        hub.publish(name, "x").unwrap();
    }
    first.run();
    first.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
    clients.iter_mut().for_each(|client| drop(client.run()));
    let before = allocator::held();
    for client in &mut clients {
        for name in &names {
            client.member.subscribe(name.as_str()).unwrap();
        }
        client.run();
    }
    // Each gets a message from each, so that everything that delivery wants is there.
    for name in &names {
        hub.publish(name, "x").unwrap();
    }
    for client in clients.iter_mut().chain([&mut first]) {
        client.run();
        client.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
    }
    (allocator::held() - before) / i64::try_from(members * topics).unwrap()
}

#[test]
fn subscription_takes_190_bytes_at_most() {
    // Among them sizes at which lists and tables have just grown.
    for (members, topics) in [(10, 1000), (10, 900), (15, 900), (100, 113), (100, 100), (1000, 10), (1000, 2)] {
        let each = cost(members, topics);
        println!("{members} members with {topics} subscriptions each: {each} bytes for each of these");
        assert!((40..=190).contains(&each), "{each} bytes, for {members} members with {topics}");
    }
}

#[test]
fn only_subscription_of_a_connection_takes_160_bytes_at_most() {
    // After the first time there is what belongs to the thread.
    cost(1000, 1);
    let only = cost(1000, 1);
    println!("1000 members with one subscription each: {only} bytes, what is there for the first included");
    assert!((40..=160).contains(&only), "{only} bytes");
}

#[test]
fn publish_and_delivery_allocate_nothing_for_each_subscriber() {
    let allocations = |members: usize| {
        let runtime = runtime();
        let _entered = runtime.enter();
        let hub = hub(|_| {});
        let mut clients: Vec<_> = (0..members).map(|_| Client::joining(&hub, ())).collect();
        for client in &mut clients {
            client.member.subscribe("a").unwrap();
            client.stream.script().output.reserve(1 << 20);
            client.stream.script().pieces.reserve(10_000);
            client.stream.script().writes.reserve(10_000);
        }
        let (message, woken) = (PreparedMessage::new("x".repeat(1024)), Arc::new(support::Woken::default()));
        let mut round = || {
            for _ in 0..10 {
                hub.publish("a", &message).unwrap();
            }
            for client in &mut clients {
                assert!(client.waits(&woken));
            }
        };
        // What is kept for the next time is there after the first two.
        round();
        round();
        let ((), taken) = allocator::measure(&mut round);
        (taken.allocations, taken.kept)
    };
    let (few, many) = (allocations(10), allocations(500));
    assert_eq!(few, many);
    // The place of each message in the log.
    assert!((1..=20).contains(&many.0), "{} allocations for ten messages", many.0);
    assert_eq!(many.1, 0, "nothing is kept");
}

#[test]
fn client_that_never_reads_costs_the_lag_that_all_share_and_nothing_else() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub: Hub = Hub::new(config(|config| config.lag = Bounds { messages: 1000, bytes: 64 * 1024 }));
    let mut clients: Vec<_> = (0..20).map(|_| Client::with_room(&hub, (), 0)).collect();
    for client in &mut clients {
        client.member.subscribe("a").unwrap();
        hub.publish("a", "the first waits in the connection").unwrap();
        client.run();
    }
    let mut reading = Client::joining(&hub, ());
    reading.member.subscribe("a").unwrap();
    let mut round = |count: usize| {
        for _ in 0..count {
            hub.publish("a", "x".repeat(1024)).unwrap();
            reading.run();
            reading.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
        }
        clients.iter_mut().for_each(|client| drop(client.run()));
        assert!(hub.held("a").bytes <= 64 * 1024);
    };
    round(200);
    let before = allocator::held();
    round(5000);
    let grown = allocator::held() - before;
    assert!(grown.abs() <= 4096, "{grown} bytes more for 5 MB");
    drop(clients);
    assert_eq!(hub.held("a"), Bounds { messages: 0, bytes: 0 });
}

#[test]
fn client_that_never_reads_costs_nothing_for_topics_that_vanish() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| config.max_topics = 100);
    let mut client = Client::with_room(&hub, (), 0);
    client.member.subscribe("#").unwrap();
    client.run();
    let round = |numbers: std::ops::Range<usize>| {
        numbers.for_each(|number| assert_eq!(hub.publish(&format!("{number:05}"), "x").unwrap().receivers, 1));
    };
    round(0..1000);
    let before = allocator::held();
    round(1000..20_000);
    let grown = allocator::held() - before;
    assert!(grown.abs() <= 16 * 1024, "{grown} bytes more for 19,000 topics");
    assert_eq!((hub.stats().topics, hub.stats().skipped), (100, 19_900));
}

/// An engine that knows of gaps only, and tells of those that a test names.
struct Gaps(Arc<Mutex<UnboundedReceiver<String>>>);

impl Backplane for Gaps {
    type Outbound = Self;
    type Inbound = Self;

    fn numbering(&self) -> Numbering {
        Numbering::Node
    }

    async fn connect(&self) -> Result<(Self, Self), BackplaneError> {
        Ok((Self(self.0.clone()), Self(self.0.clone())))
    }
}

impl Outbound for Gaps {
    async fn publish(&mut self, _: &[Publication]) -> Result<(), BackplaneError> {
        Ok(())
    }
}

impl Inbound for Gaps {
    async fn subscribe(&mut self, _: &Pattern, _: Option<Position>) -> Result<Option<Position>, BackplaneError> {
        Ok(None)
    }

    async fn unsubscribe(&mut self, _: &Pattern) -> Result<(), BackplaneError> {
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        let topic = self.0.lock().await.recv().await.ok_or_else(BackplaneError::lost)?;
        Ok(Arrival::Gap { topic: topic.into() })
    }
}

#[test]
fn client_that_never_reads_costs_nothing_for_gaps_in_topics_that_vanish() {
    for is_sending in [false, true] {
        runtime().block_on(async {
            let hub = hub(|config| config.max_topics = 100);
            let (name, named) = unbounded_channel();
            let engine = Gaps(Arc::new(Mutex::new(named)));
            let bridge = tokio::spawn(hub.bridge(engine, BridgeConfig::default()).run());
            settle().await;
            let (mut client, woken) = (Client::with_room(&hub, (), 0), Arc::new(support::Woken::default()));
            client.member.subscribe("by/+").unwrap();
            client.member.subscribe("named").unwrap();
            client.run();
            let mut sending = Box::pin(client.member.send("own"));
            let mut held = 0;
            for number in 0..3000 {
                let topic = format!("by/{number:05}");
                hub.publish(&topic, "").unwrap();
                name.send(topic).unwrap();
                name.send("named".into()).unwrap();
                settle().await;
                assert!(!is_sending || poll(sending.as_mut(), &woken).is_pending());
                if number == 999 {
                    held = allocator::held();
                }
            }
            let grown = allocator::held() - held;
            assert!(grown.abs() <= 16 * 1024, "{grown} bytes more for gaps in 2,000 topics");
            drop(sending);
            // The first ones by their names, the others by the pattern.
            let mut gaps: Vec<String> = Vec::new();
            for event in client.run() {
                match event {
                    Event::Gap { topic } => gaps.push(topic.to_string()),
                    Event::Skipped { topic, .. } => assert_eq!(&*topic, "by/+"),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(gaps[..3], ["by/00000", "named", "by/00001"]);
            assert!(gaps.len() < 100 && gaps.iter().filter(|gap| *gap == "by/+").count() == 1, "{gaps:?}");
            bridge.abort();
        });
    }
}

#[test]
fn member_that_only_sends_costs_nothing_for_what_it_skips_in_topics_that_vanish() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| (config.max_topics, config.lag) = (100, messages(1)));
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("by/+").unwrap();
    let (mut held, rounds) = (0, 3000);
    for number in 0..rounds {
        (0..3).for_each(|_| assert!(hub.publish(&format!("by/{number:05}"), "x").unwrap().receivers <= 1));
        now(client.member.send("own")).unwrap().unwrap();
        client.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
        if number == 999 {
            held = allocator::held();
        }
    }
    let grown = allocator::held() - held;
    assert!(grown.abs() <= 16 * 1024, "{grown} bytes more for 2,000 topics");
    let skipped = |event| match event {
        Event::Skipped { topic, messages } => (topic.to_string(), messages),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = client.run().into_iter().map(skipped).collect();
    assert_eq!(told[0], ("by/00000".to_owned(), 2));
    // The first ones by their names, all others by the pattern.
    assert_eq!(told.iter().map(|(_, messages)| messages).sum::<u64>(), 2 * rounds);
    assert!(told.len() < 100 && told.last().unwrap().0 == "by/+", "{told:?}");
}

#[test]
fn client_that_never_reads_costs_nothing_for_subscriptions_that_come_and_go() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| (config.history, config.max_topics) = (messages(2), 200));
    let mut client = Client::with_room(&hub, (), 0);
    client.member.subscribe("first").unwrap();
    (0..100).for_each(|_| assert!(hub.publish("first", "x").unwrap().receivers <= 1));
    (0..50).for_each(|number| assert!(hub.publish(&format!("room/{number}"), "x").unwrap().receivers <= 1));
    let mut round = |count: usize| {
        for _ in 0..count {
            client.member.subscribe(Subscription::to("room/+").last(1)).unwrap();
            client.member.subscribe(Subscription::to("room/1").last(1)).unwrap();
            assert_eq!(client.run(), []);
            client.member.unsubscribe("room/+").unwrap();
            client.member.unsubscribe("room/1").unwrap();
        }
    };
    round(100);
    let before = allocator::held();
    round(1000);
    let grown = allocator::held() - before;
    assert!(grown.abs() <= 4096, "{grown} bytes more for 1,000 times 51 topics");
}

#[test]
fn topics_that_vanish_with_a_pattern_leave_no_memory_behind() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    let mut round = |count: usize| {
        client.member.subscribe("#").unwrap();
        (0..count).for_each(|number| assert!(hub.publish(&format!("room/{number}"), "x").unwrap().receivers <= 1));
        client.run();
        client.member.unsubscribe("#").unwrap();
        client.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
    };
    round(10);
    let before = allocator::held();
    round(10_000);
    let grown = allocator::held() - before;
    assert!(grown <= 32 * 1024, "{grown} bytes more");
}

#[test]
fn engine_that_is_away_costs_the_queue_and_leaves_nothing_behind_when_it_is_back() {
    for numbering in [Numbering::Engine, Numbering::Node] {
        runtime().block_on(async {
            let engine = MemoryBackplane::new(numbering);
            let hub = hub(|config| config.lag = Bounds { messages: 1000, bytes: 64 * 1024 });
            let mut config = BridgeConfig::default();
            config.queue = Bounds { messages: 1000, bytes: 256 * 1024 };
            let bridge = tokio::spawn(hub.bridge(engine.clone(), config).run());
            settle().await;
            let mut client = Client::joining(&hub, ());
            client.member.subscribe("t").unwrap();
            let mut read = || {
                client.run();
                client.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
            };
            let mut cycles = Vec::new();
            for _ in 0..4 {
                engine.stop();
                settle().await;
                let before = allocator::held();
                for _ in 0..20_000 {
                    hub.publish("t", "x".repeat(1024)).unwrap();
                    read();
                }
                let away = allocator::held() - before;
                // The payloads; and for each of them the topic's name, and where it is in the queue.
                assert!(away <= 256 * 1024 + 1000 * 256, "{away} bytes, {numbering:?}");
                engine.start();
                tokio::time::sleep(Duration::from_secs(60)).await;
                settle().await;
                read();
                assert_eq!(hub.bridge_status().unwrap().queued, 0);
                engine.forget();
                cycles.push(allocator::held());
            }
            let grown = cycles[3] - cycles[1];
            assert!(grown <= 8192, "{grown} bytes more, {numbering:?}");
            bridge.abort();
        });
    }
}

#[test]
fn topics_and_members_that_come_and_go_leave_no_memory_behind() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| (config.history, config.max_topics) = (messages(2), 100));
    let round = |count: usize| {
        for number in 0..count {
            let mut client = Client::joining(&hub, ());
            client.member.subscribe("room/#").unwrap();
            client.member.subscribe(format!("room/{}", number % 500).as_str()).unwrap();
            hub.publish(&format!("room/{}/x", number % 500), "x").unwrap();
            client.run();
        }
    };
    round(2000);
    let before = allocator::held();
    round(5000);
    let grown = allocator::held() - before;
    assert!(grown.abs() <= 8192, "{grown} bytes more");
}

#[test]
fn topic_takes_520_bytes_at_most_with_its_subscriber() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| config.max_subscriptions = 20_000);
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("first").unwrap();
    let before = allocator::held();
    for number in 0..10_000 {
        client.member.subscribe(format!("room/{number}").as_str()).unwrap();
    }
    let each = (allocator::held() - before) / 10_000;
    println!("a topic with its subscriber: {each} bytes");
    assert!((200..=520).contains(&each), "{each} bytes");
}

#[test]
fn topic_with_its_subscriber_takes_120_bytes_more_at_most_once_it_has_had_a_message() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let hub = hub(|config| config.max_subscriptions = 20_000);
    let mut client = Client::joining(&hub, ());
    let names: Vec<String> = (0..10_000).map(|number| format!("room/{number}")).collect();
    names.iter().for_each(|name| client.member.subscribe(name.as_str()).unwrap());
    let mut round = |names: &[String]| {
        for name in names {
            assert_eq!(hub.publish(name, "x").unwrap().receivers, 1);
            client.run();
            client.stream.change(|script| (script.output, script.pieces, script.writes) = Default::default());
        }
    };
    round(&names[..1]);
    let before = allocator::held();
    round(&names[1..]);
    let each = (allocator::held() - before) / 9_999;
    println!("a topic that has had a message: {each} bytes more");
    assert!((40..=120).contains(&each), "{each} bytes more");
}
