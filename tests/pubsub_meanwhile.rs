//! What happens while a hub is at something else: a write during which others publish, and owners of payloads that publish when these
//! are dropped.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use pubsub_support::{Client, Meanwhile, hub, messages, numbers};
use sockeye::Message;
use sockeye::pubsub::{
    Arrival, Backplane, BackplaneError, Bounds, BridgeConfig, Envelope, Event, History, Hub, HubConfig, Inbound,
    MemoryBackplane, Numbering, Outbound, Pattern, Position, Publication, Reach, SlowConsumer, Subscription,
};
use support::{Mock, TEXT, now, timeless};

#[tokio::test(start_paused = true)]
async fn gap_that_comes_during_a_write_is_told_before_what_follows_it_is_sent() {
    let hub = hub(|_| {});
    let mut config = BridgeConfig::default();
    config.queue = messages(3);
    let mut bridge = Box::pin(hub.bridge(MemoryBackplane::new(Numbering::Engine), config).run());
    assert!(now(bridge.as_mut()).is_none() && hub.bridge_status().unwrap().is_up);
    // Nobody wants it yet: others may be told of it before what is delivered here.
    hub.publish("t", "0").unwrap();
    let stream = Mock::new("");
    stream.script().is_vectored = true;
    let mut bridge = Some(bridge);
    let ends = move || drop(bridge.take());
    let socket = sockeye::tokio::WebSocket::server(Meanwhile(stream.clone(), ends), timeless());
    let mut member = hub.join(socket, ());
    member.subscribe("t").unwrap();
    for number in 1..100 {
        let reach = hub.publish("t", number.to_string()).unwrap().reach;
        assert_eq!(reach, if number < 3 { Reach::AllNodes } else { Reach::Cut });
    }
    // With the first write, the bridge ends, so that 1 and 2 are delivered without 0.
    let event = now(member.next()).unwrap().unwrap();
    assert_eq!(event, Some(Event::Gap { topic: "t".into() }));
    let sent = |stream: &Mock| -> Vec<_> {
        let texts = stream.frames().into_iter().filter(|(first, _)| *first == TEXT);
        texts.map(|(_, payload)| String::from_utf8(payload).unwrap()).collect()
    };
    assert_eq!(sent(&stream), numbers(3..67));
    assert!(now(member.next()).is_none());
    assert_eq!(sent(&stream), numbers((3..100).chain(1..3)));
}

/// A payload of ten bytes that publishes to its topic when it is dropped.
struct Owned(Hub, mpsc::Sender<()>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        b"0123456789"
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.publish("t", "dropped").unwrap();
        // Nobody may wait for it any more.
        let _ = self.1.send(());
    }
}

/// Lets a story publish such payloads in a hub, and waits until so many were dropped.
fn drops(count: usize, change: impl FnOnce(&mut HubConfig), story: impl FnOnce(&Hub, &dyn Fn()) + Send + 'static) {
    let hub = hub(change);
    let (dropped, is_dropped) = mpsc::channel();
    thread::spawn(move || {
        let publish = || {
            let owned = Owned(hub.clone(), dropped.clone());
            hub.publish("t", Bytes::from_owner(owned)).unwrap();
        };
        story(&hub, &publish);
    });
    for _ in 0..count {
        is_dropped.recv_timeout(Duration::from_secs(20)).expect("it waits for itself");
    }
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_go_for_a_newer_message() {
    let history = Bounds { messages: 10, bytes: 100 };
    drops(
        5,
        |config| config.history = history,
        |hub, publish| {
            (0..5).for_each(|_| publish());
            hub.publish("t", "x".repeat(100)).unwrap();
        },
    );
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_have_been_sent_to_all() {
    drops(
        3,
        |_| {},
        |hub, publish| {
            let mut client = Client::joining(hub, ());
            client.member.subscribe("t").unwrap();
            (0..3).for_each(|_| publish());
            client.run();
        },
    );
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_go_with_those_who_were_to_be_sent_it() {
    let policies = [SlowConsumer::SkipOldest, SlowConsumer::KeepLatest, SlowConsumer::Close];
    for (policy, leaves) in policies.into_iter().flat_map(|policy| [(policy, true), (policy, false)]) {
        drops(
            1,
            |_| {},
            move |hub, publish| {
                let mut client = Client::joining(hub, ());
                client.member.subscribe(Subscription::to("t").slow_consumer(policy)).unwrap();
                // It makes topics, too, if it has to.
                client.member.subscribe("#").unwrap();
                publish();
                if leaves {
                    drop(client);
                } else {
                    client.member.unsubscribe("#").unwrap();
                    client.member.unsubscribe("t").unwrap();
                }
            },
        );
    }
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_go_with_those_who_are_too_slow() {
    let change = |config: &mut HubConfig| (config.lag, config.slow_consumer) = (messages(2), SlowConsumer::Close);
    drops(3, change, |hub, publish| {
        let mut client = Client::joining(hub, ());
        client.member.subscribe("t").unwrap();
        (0..3).for_each(|_| publish());
    });
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_go_with_its_topic() {
    drops(
        1,
        |config| config.max_topics = 1,
        |hub, publish| {
            let mut client = Client::joining(hub, ());
            client.member.subscribe("#").unwrap();
            publish();
            hub.publish("u", "").unwrap();
        },
    );
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_go_where_a_hub_gets_a_bridge() {
    drops(
        1,
        |config| config.history = messages(1),
        |hub, publish| {
            publish();
            let mut bridge =
                Box::pin(hub.bridge(MemoryBackplane::new(Numbering::Engine), BridgeConfig::default()).run());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _in_it = runtime.enter();
            assert!(now(bridge.as_mut()).is_none() && hub.bridge_status().unwrap().is_up);
            Client::joining(hub, ()).member.subscribe("t").unwrap();
        },
    );
}

/// An engine that numbers, they say: it takes what it is told, and tells nothing back.
#[derive(Clone, Copy)]
struct Takes;

impl Backplane for Takes {
    type Outbound = Self;
    type Inbound = Self;

    fn numbering(&self) -> Numbering {
        Numbering::Engine
    }

    async fn connect(&self) -> Result<(Self, Self), BackplaneError> {
        Ok((Self, Self))
    }
}

impl Outbound for Takes {
    async fn publish(&mut self, _: &[Publication]) -> Result<(), BackplaneError> {
        Ok(())
    }

    async fn history(&mut self, _: &str, _: Position, _: usize) -> Result<History, BackplaneError> {
        Ok(History::default())
    }
}

impl Inbound for Takes {
    async fn subscribe(&mut self, _: &Pattern, _: Option<Position>) -> Result<Option<Position>, BackplaneError> {
        Ok(None)
    }

    async fn unsubscribe(&mut self, _: &Pattern) -> Result<(), BackplaneError> {
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        std::future::pending().await
    }
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_go_where_too_much_has_not_come_back() {
    drops(
        1,
        |_| {},
        |hub, publish| {
            let mut config = BridgeConfig::default();
            config.queue = messages(1);
            let mut bridge = Box::pin(hub.bridge(Takes, config).run());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _in_it = runtime.enter();
            assert!(now(bridge.as_mut()).is_none() && hub.bridge_status().unwrap().is_up);
            let mut client = Client::joining(hub, ());
            client.member.subscribe("t").unwrap();
            assert!(now(bridge.as_mut()).is_none());
            publish();
            assert!(now(bridge.as_mut()).is_none());
            assert_eq!(hub.bridge_status().unwrap().queued, 0);
            hub.publish("t", "newer").unwrap();
        },
    );
}

#[test]
fn payload_that_publishes_when_it_is_dropped_may_be_put_into_an_envelope() {
    fn envelope(inner: &Envelope<'_>) -> Message {
        format!("{} {}", inner.position, inner.message.payload().len()).into()
    }
    let change = |config: &mut HubConfig| {
        config.history = messages(1);
        config.envelope = Some(envelope);
    };
    drops(1, change, |_, publish| publish());
}
