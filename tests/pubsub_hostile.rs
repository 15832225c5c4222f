//! Publish and subscribe where somebody misbehaves: hooks that panic or call back, limits that are none, clients that never read,
//! and a storm of those who come and go.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;

use pubsub_support::{Client, Meanwhile, Runs, hub, messages, numbers};
use sockeye::pubsub::{
    Bounds, Envelope, Event, Hooks, Hub, HubConfig, Pattern, PatternError, Peer, Position, PublishError, SlowConsumer,
    SubscribeError, Subscription,
};
use sockeye::{Close, Message};
use support::{Mock, now, soon, timeless};

/// Hooks that use all of the hub that they are given.
struct Meddles;

impl Meddles {
    fn meddle(hub: &Hub<&'static str>, topic: &str, peer: &Peer<&'static str>) {
        let present = hub.present(topic);
        assert_eq!(hub.present_count(topic), present.len());
        let _ = (hub.stats(), hub.held(topic), hub.position(topic), hub.bridge_status());
        for topic in [topic, "told"] {
            hub.publish(topic, *peer.state()).unwrap();
        }
        present.iter().filter(|other| *other.state() == "closes").for_each(|other| other.close(Close::normal()));
    }
}

impl Hooks<&'static str> for Meddles {
    fn joined(&self, hub: &Hub<&'static str>, topic: &str, peer: &Peer<&'static str>) {
        Self::meddle(hub, topic, peer);
    }

    fn left(&self, hub: &Hub<&'static str>, topic: &str, peer: &Peer<&'static str>) {
        Self::meddle(hub, topic, peer);
    }
}

#[tokio::test(start_paused = true)]
async fn hook_that_uses_the_hub_stops_nobody() {
    let hub = Hub::with_hooks(HubConfig::default(), Meddles);
    let mut told = Client::joining(&hub, "told");
    told.member.subscribe(Subscription::to("told").hidden()).unwrap();
    let [mut a, mut b] = ["a", "closes"].map(|state| Client::joining(&hub, state));
    a.member.subscribe("t").unwrap();
    a.member.subscribe("+").unwrap();
    b.member.subscribe("t").unwrap();
    a.member.unsubscribe("t").unwrap();
    b.run();
    drop(a);
    assert_eq!(hub.present_count("t"), 0, "b was told to close");
    assert_eq!(told.got(), ["a", "closes", "a", "closes"]);
}

/// Hooks that panic when they are told to.
struct Panics;

static HOOKS_PANIC: AtomicBool = AtomicBool::new(false);

impl Panics {
    fn panic() {
        assert!(!HOOKS_PANIC.load(Ordering::Relaxed), "the hook fails");
    }
}

impl Hooks<()> for Panics {
    fn may_subscribe(&self, _: &Peer<()>, pattern: &Pattern) -> bool {
        pattern.as_str() != "asked" || catch_unwind(Self::panic).is_ok()
    }

    fn joined(&self, _: &Hub, _: &str, _: &Peer<()>) {
        Self::panic();
    }

    fn left(&self, _: &Hub, _: &str, _: &Peer<()>) {
        Self::panic();
    }

    fn history(&self, topic: &str) -> Option<Bounds> {
        (topic == "kept").then(Self::panic);
        None
    }
}

#[tokio::test(start_paused = true)]
async fn hook_that_panics_takes_only_its_caller_along() {
    let hub = Hub::with_hooks(HubConfig::default(), Panics);
    let [mut good, mut bad] = [(); 2].map(|()| Client::joining(&hub, ()));
    good.member.subscribe("t").unwrap();
    HOOKS_PANIC.store(true, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| bad.member.subscribe("t"))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| hub.publish("kept", ""))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(bad))).is_err());
    HOOKS_PANIC.store(false, Ordering::Relaxed);
    hub.publish("t", "0").unwrap();
    assert_eq!((good.got(), hub.stats().members, hub.present_count("t")), (numbers(0..1), 1, 1));
}

#[tokio::test(start_paused = true)]
async fn envelope_that_panics_takes_only_the_publisher_along() {
    fn envelope(inner: &Envelope<'_>) -> Message {
        let text = inner.message.as_text().unwrap();
        assert_ne!(text, "bad");
        text.into()
    }
    let hub = hub(|config| config.envelope = Some(envelope));
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("t").unwrap();
    for text in ["0", "bad", "1"] {
        let published = catch_unwind(AssertUnwindSafe(|| hub.publish("t", text)));
        assert_eq!(published.is_err(), text == "bad");
    }
    assert_eq!((client.got(), hub.position("t").unwrap().sequence), (numbers(0..2), 2));
}

#[tokio::test(start_paused = true)]
async fn limits_of_nothing_and_without_end_are_kept() {
    let nothing = Bounds { messages: 0, bytes: 0 };
    let strict = hub(|config| (config.lag, config.history) = (nothing, messages(usize::MAX)));
    let all = hub(|config| {
        config.lag = messages(usize::MAX);
        config.history = messages(usize::MAX);
        (config.max_topics, config.max_subscriptions) = (usize::MAX, usize::MAX);
    });
    for hub in [strict, all, hub(|config| config.lag = nothing)] {
        let [mut a, mut b] = [(); 2].map(|()| Client::joining(&hub, ()));
        a.member.subscribe(Subscription::to("t").last(usize::MAX)).unwrap();
        for number in 0..3 {
            hub.publish("t", number.to_string()).unwrap();
            assert_eq!(a.got(), numbers(number..number + 1));
        }
        b.member.subscribe(Subscription::to("t").last(usize::MAX)).unwrap();
        let held = u32::try_from(hub.held("t").messages).unwrap();
        assert_eq!(b.got(), numbers(3 - held..3));
    }
    let none = hub(|config| (config.max_topics, config.max_subscriptions) = (0, 0));
    let mut client = Client::joining(&none, ());
    for name in ["t", "#"] {
        assert_eq!(client.member.subscribe(name), Err(SubscribeError::TooManySubscriptions { max: 0 }));
    }
    let none = hub(|config| (config.max_topics, config.history) = (0, messages(1)));
    assert_eq!(none.publish("t", ""), Err(PublishError::TooManyTopics { max: 0 }));
}

#[tokio::test(start_paused = true)]
async fn position_that_a_client_made_up_is_a_gap_and_silences_nobody() {
    let hub = hub(|config| config.history = messages(2));
    for number in 0..4 {
        hub.publish("t", number.to_string()).unwrap();
    }
    let newest = hub.position("t").unwrap();
    for position in [
        Position { sequence: 5, ..newest },
        Position { sequence: u64::MAX, ..newest },
        Position { sequence: 1, ..newest },
        Position { epoch: !newest.epoch, ..newest },
        Position { epoch: 0, sequence: 0 },
    ] {
        let mut client = Client::joining(&hub, ());
        client.member.subscribe(Subscription::to("t").since(position)).unwrap();
        assert_eq!(client.run(), [Event::Gap { topic: "t".into() }]);
        assert_eq!(client.new_texts(), numbers(2..4), "{position}");
    }
}

#[tokio::test(start_paused = true)]
async fn odd_names_are_names_and_nothing_else_matches_them() {
    let hub = hub(|_| {});
    let odd = ["/", "//", "a//b", "a/", "/a", " ", "$SYS/x", "\0", "é/\u{202e}", "#x"];
    let mut monitor = Client::joining(&hub, ());
    monitor.member.subscribe("#").unwrap();
    for name in odd {
        let mut client = Client::joining(&hub, ());
        let subscribed = client.member.subscribe(name);
        if name == "#x" {
            assert_eq!(subscribed, Err(SubscribeError::Pattern(PatternError::Wildcard)));
            continue;
        }
        for other in odd.iter().filter(|other| **other != "#x") {
            hub.publish(other, *other).unwrap();
        }
        assert_eq!((client.got(), monitor.got().len()), (vec![name.to_owned()], odd.len() - 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_member_that_only_sends_is_to_be_told_does_not_grow() {
    let hub = hub(|config| config.lag = messages(1));
    let mut client = Client::joining(&hub, ());
    for topic in ["a", "b"] {
        client.member.subscribe(topic).unwrap();
    }
    for _ in 0..1000 {
        for topic in ["a", "a", "a", "b", "b"] {
            hub.publish(topic, "").unwrap();
        }
        now(client.member.send("own")).unwrap().unwrap();
    }
    let skipped = |topic: &str, messages| Event::Skipped { topic: topic.into(), messages };
    assert_eq!(client.run(), [skipped("a", 2000), skipped("b", 1000)]);
}

#[tokio::test(start_paused = true)]
async fn topic_is_made_while_the_oldest_ones_are_being_sent() {
    let hub = hub(|config| config.max_topics = 100);
    let stream = Mock::new("");
    stream.script().is_vectored = true;
    let (publisher, mut number) = (hub.clone(), 100);
    let publish = move || {
        let published = publisher.publish(&number.to_string(), number.to_string());
        assert_eq!(published.map(|published| published.receivers), Ok(1));
        number += 1;
    };
    let socket = sockeye::tokio::WebSocket::server(Meanwhile(stream.clone(), publish), timeless());
    let mut member = hub.join(socket, ());
    member.subscribe("#").unwrap();
    (0..100).for_each(|number| assert!(hub.publish(&number.to_string(), number.to_string()).is_ok()));
    // As many as go into one write are in hand while the first of the others vanishes for the new one.
    let event = now(member.next()).unwrap().unwrap();
    assert!(matches!(event, Some(Event::Skipped { topic, .. }) if *topic == *"#"));
    assert_eq!(stream.frames()[63].1, b"63");
}

#[tokio::test(start_paused = true)]
async fn own_message_goes_behind_what_was_published_before_it_while_another_publisher_still_wakes() {
    for is_first in [true, false] {
        let hub = hub(|_| {});
        let [mut woken, mut sends] = [(); 2].map(|()| Client::joining(&hub, ()));
        let mut members = [&mut woken.member, &mut sends.member];
        if !is_first {
            members.reverse();
        }
        members.into_iter().for_each(|member| member.subscribe("t").unwrap());
        assert_eq!(sends.run(), []);
        let sends = Arc::new(Mutex::new(sends));
        let other = sends.clone();
        let task = move || {
            let member = &mut other.lock().unwrap().member;
            member.publish("t", "1").unwrap();
            now(member.send("2")).unwrap().unwrap();
        };
        let waker = Arc::new(Runs(Mutex::new(Some(task)))).into();
        assert!(pin!(woken.member.next()).poll(&mut Context::from_waker(&waker)).is_pending());
        hub.publish("t", "0").unwrap();
        assert_eq!(sends.lock().unwrap().got(), numbers(0..3));
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_never_reads_is_gone_some_time_after_it_was_closed() {
    let hub = hub(|config| (config.lag, config.slow_consumer) = (messages(3), SlowConsumer::Close));
    let (ours, _theirs) = tokio::io::duplex(100);
    let mut member = hub.join(sockeye::tokio::WebSocket::server(ours, sockeye::Config::default()), ());
    member.subscribe("t").unwrap();
    let serves = tokio::spawn(async move {
        let mut events = Vec::new();
        while let Ok(Some(event)) = member.next().await {
            events.push(event);
        }
        events
    });
    for _ in 0..100 {
        hub.publish("t", "x".repeat(100)).unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(soon(serves).await.unwrap(), [Event::Overrun { topic: "t".into() }]);
    assert_eq!((hub.stats().members, hub.stats().topics), (0, 0));
}

#[test]
fn storm_of_those_who_come_and_go_leaves_nothing_behind_and_nobody_unheard() {
    let hub = hub(|config| config.max_topics = 12);
    let mut stays = Client::joining(&hub, ());
    stays.member.subscribe("stays").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6usize {
            let hub = &hub;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
                let _entered = runtime.as_ref().unwrap().enter();
                for round in 0..300 {
                    let mut client = Client::joining(hub, ());
                    for step in 0..12usize {
                        let name = format!("room/{}", (thread * 7 + round * 3 + step) % 16);
                        // There may be too many topics.
                        match step % 6 {
                            0 => drop(client.member.subscribe(["room/+", "#", "+/1"][round % 3])),
                            1 => drop(client.member.subscribe(Subscription::to(&name).last(3))),
                            2 => drop(client.member.publish_to_others(&name, name.as_str())),
                            3 => {
                                let _ = hub.publish(&name, "x");
                            }
                            4 => drop(client.member.unsubscribe(["#", "room/+"][step % 2]).unwrap()),
                            _ => drop(client.run()),
                        }
                    }
                    if round % 2 == 0 {
                        hub.publish("stays", "x").unwrap();
                    }
                }
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    assert_eq!(stays.got().len(), 6 * 150);
    assert_eq!((hub.stats().members, hub.stats().topics), (1, 1));
    assert_eq!(hub.publish("room/1", "").unwrap().receivers, 0);
}
