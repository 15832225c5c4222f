//! Publish and subscribe, told as stories: who gets what, in which order, and what it costs.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::sync::{Arc, Mutex};

use pubsub_support::{Client, config, hub, messages, numbers};
use sockeye::pubsub::{
    Bounds, Envelope, Event, Hooks, Hub, HubConfig, Pattern, PatternError, Peer, Position, PublishError, Reach,
    SlowConsumer, SubscribeError, Subscription,
};
use sockeye::{Close, Message, PreparedMessage, Uncompressed};
use support::{CLOSE, Mock, Woken, close_body, now};

/// Publishes numbers to the topic `a`.
fn publish(hub: &Hub, range: std::ops::Range<u32>) {
    for number in range {
        hub.publish("a", number.to_string()).unwrap();
    }
}

fn text(text: &str) -> Event {
    Event::Message(text.into())
}

#[tokio::test(start_paused = true)]
async fn subscribers_of_a_topic_get_what_is_published_there_and_nothing_else() {
    let hub = hub(|_| {});
    let [mut a, mut b, mut c] = [(); 3].map(|()| Client::joining(&hub, ()));
    a.member.subscribe("room/1").unwrap();
    b.member.subscribe("room/1").unwrap();
    c.member.subscribe("room/2").unwrap();
    let published = hub.publish("room/1", "hello").unwrap();
    assert_eq!((published.receivers, published.reach), (2, Reach::Hub));
    assert_eq!(hub.publish("room/3", "nobody").unwrap().receivers, 0);
    assert_eq!((a.got(), b.got(), c.got()), (vec!["hello".into()], vec!["hello".into()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_client_are_events_while_topics_are_delivered() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("news").unwrap();
    hub.publish("news", "one").unwrap();
    client.says("hi");
    assert_eq!(client.run(), [text("hi")]);
    assert_eq!(client.new_texts(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn subscriber_is_woken_once_for_many_messages_and_not_while_it_is_awake() {
    let hub = hub(|_| {});
    let (mut client, woken) = (Client::joining(&hub, ()), Arc::new(Woken::default()));
    client.member.subscribe("news").unwrap();
    while !client.waits(&woken) {}
    let before = woken.count();
    for number in 0..100 {
        hub.publish("news", number.to_string()).unwrap();
    }
    assert_eq!(woken.count(), before + 1);
    assert_eq!(client.got(), numbers(0..100));
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_does_not_read_is_not_woken_for_each_message() {
    let hub = hub(|_| {});
    let (mut client, woken) = (Client::with_room(&hub, (), 0), Arc::new(Woken::default()));
    client.member.subscribe("news").unwrap();
    hub.publish("news", "first").unwrap();
    while !client.waits(&woken) {}
    let before = woken.count();
    (0..100).for_each(|_| assert_eq!(hub.publish("news", "more").unwrap().receivers, 1));
    assert_eq!(woken.count(), before + 1, "the first went to the connection, so it waited for the next");
    while !client.waits(&woken) {}
    (0..100).for_each(|_| assert_eq!(hub.publish("news", "more").unwrap().receivers, 1));
    assert_eq!(woken.count(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn publishes_of_one_turn_go_out_in_one_vectored_write_uncopied_and_in_order_of_all_topics() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    client.member.subscribe("b").unwrap();
    assert_eq!(client.run(), []);
    client.stream.script().pieces.clear();
    let payloads: Vec<PreparedMessage> = (0..10).map(|number| PreparedMessage::new(number.to_string())).collect();
    for (number, payload) in payloads.iter().enumerate() {
        hub.publish(["a", "b", "b"][number % 3], payload).unwrap();
    }
    assert_eq!(client.got(), numbers(0..10));
    assert_eq!(client.writes(), 1);
    let pieces = client.stream.script().pieces.clone();
    let written: Vec<usize> = pieces.iter().skip(1).step_by(2).map(|(address, _)| *address).collect();
    let lie: Vec<usize> = payloads.iter().map(|payload| payload.payload().as_ptr() as usize).collect();
    assert_eq!(written, lie);
}

#[tokio::test(start_paused = true)]
async fn own_sends_and_messages_of_topics_keep_the_order_in_which_they_were_made() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    client.member.subscribe("b").unwrap();
    hub.publish("a", "1").unwrap();
    hub.publish("b", "2").unwrap();
    client.member.send("3").await.unwrap();
    client.member.publish("b", "4").unwrap();
    client.member.feed("5").await.unwrap();
    client.member.publish("a", "6").unwrap();
    assert_eq!(client.got(), numbers(1..7));
}

#[tokio::test(start_paused = true)]
async fn what_is_fed_and_what_is_published_after_it_go_out_in_one_write() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    assert_eq!(client.run(), []);
    client.member.feed("1").await.unwrap();
    client.member.publish("a", "2").unwrap();
    client.member.publish("a", "3").unwrap();
    assert_eq!((client.writes(), client.got(), client.writes()), (0, numbers(1..4), 1));
}

#[tokio::test(start_paused = true)]
async fn what_explains_a_gap_can_be_sent_before_what_waits() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    client.member.publish("a", "waits").unwrap();
    client.member.send_first("first").await.unwrap();
    assert_eq!(client.got(), ["first", "waits"]);
}

#[tokio::test(start_paused = true)]
async fn sender_can_be_left_out_asleep_or_awake() {
    let hub = hub(|config| config.history = messages(10));
    let [mut a, mut b] = [(); 2].map(|()| Client::joining(&hub, ()));
    a.member.subscribe("a").unwrap();
    b.member.subscribe("a").unwrap();
    // Both are awake, as they have not looked yet.
    assert_eq!(a.member.publish_to_others("a", "1").unwrap().receivers, 1);
    hub.publish("a", "2").unwrap();
    assert_eq!((a.got(), b.got()), (vec!["2".into()], numbers(1..3)));
    // Both are asleep.
    assert_eq!(a.member.publish_to_others("a", "3").unwrap().receivers, 1);
    assert_eq!(a.member.lag("a"), Some(0));
    assert_eq!((a.got(), b.got()), (vec![], vec!["3".into()]));
    hub.publish("a", "4").unwrap();
    assert_eq!((a.got(), b.got()), (vec!["4".into()], vec!["4".into()]));
}

#[tokio::test(start_paused = true)]
async fn message_that_several_subscriptions_match_is_delivered_once_until_the_last_of_them_ends() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    for pattern in ["room/#", "room/1", "room/+", "#"] {
        client.member.subscribe(pattern).unwrap();
    }
    hub.publish("room/1", "once").unwrap();
    assert_eq!(client.got(), ["once"]);
    for pattern in ["room/1", "#", "room/#"] {
        assert_eq!(client.member.unsubscribe(pattern), Ok(true));
        hub.publish("room/1", pattern).unwrap();
        assert_eq!(client.got(), [pattern]);
    }
    assert_eq!(client.member.unsubscribe("room/+"), Ok(true));
    assert_eq!(client.member.unsubscribe("room/+"), Ok(false));
    assert_eq!((hub.publish("room/1", "nobody").unwrap().receivers, client.got()), (0, vec![]));
    assert_eq!(hub.stats().topics, 0);
}

#[tokio::test(start_paused = true)]
async fn pattern_attaches_to_topics_that_are_there_and_to_those_that_come() {
    let hub = hub(|_| {});
    let [mut old, mut all] = [(); 2].map(|()| Client::joining(&hub, ()));
    old.member.subscribe("room/1/typing").unwrap();
    all.member.subscribe("room/+/typing").unwrap();
    for topic in ["room/1/typing", "room/2/typing", "room/2", "room/2/typing/x"] {
        hub.publish(topic, topic).unwrap();
    }
    assert_eq!(
        (old.got(), all.got()),
        (vec!["room/1/typing".into()], vec!["room/1/typing".into(), "room/2/typing".into()])
    );
    assert_eq!(hub.stats().topics, 2, "there is none that nobody wants");
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_an_unsubscribe_and_not_sent_is_not_sent() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    hub.publish("a", "late").unwrap();
    client.member.unsubscribe("a").unwrap();
    assert_eq!(client.got(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_a_topic_with_news_and_comes_back_at_once_gets_what_follows_once() {
    let hub = hub(|_| {});
    let [mut client, mut stays] = [(); 2].map(|()| Client::joining(&hub, ()));
    stays.member.subscribe("a").unwrap();
    for subscription in ["a", "#"] {
        client.member.subscribe(subscription).unwrap();
        publish(&hub, 0..1);
        client.member.unsubscribe(subscription).unwrap();
        client.member.subscribe(subscription).unwrap();
        publish(&hub, 1..3);
        assert_eq!(client.got(), numbers(1..3));
        publish(&hub, 3..4);
        assert_eq!(client.got(), numbers(3..4));
        client.member.unsubscribe(subscription).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_gets_exactly_what_it_missed() {
    let hub = hub(|config| config.history = messages(10));
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    publish(&hub, 0..3);
    assert_eq!(client.got(), numbers(0..3));
    let last_seen = client.member.position("a").unwrap();
    drop(client);
    publish(&hub, 3..8);
    let mut client = Client::joining(&hub, ());
    client.member.subscribe(Subscription::to("a").since(last_seen)).unwrap();
    hub.publish("a", "8").unwrap();
    assert_eq!(client.got(), numbers(3..9));
    assert_eq!(client.member.position("a"), hub.position("a"));
    // Nothing was missed.
    let mut again = Client::joining(&hub, ());
    again.member.subscribe(Subscription::to("a").since(hub.position("a"))).unwrap();
    assert_eq!(again.got(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn client_that_comes_back_too_late_is_told_of_the_gap_and_gets_what_is_there() {
    let hub = hub(|config| config.history = messages(3));
    let position = hub.publish("a", "0").unwrap().position.unwrap();
    publish(&hub, 1..4);
    let mut in_time = Client::joining(&hub, ());
    in_time.member.subscribe(Subscription::to("a").since(position)).unwrap();
    assert_eq!(in_time.got(), numbers(1..4));
    hub.publish("a", "4").unwrap();
    let unknown = [position, Position { epoch: position.epoch ^ 1, ..position }, Position { sequence: 99, ..position }];
    for position in unknown {
        let mut late = Client::joining(&hub, ());
        late.member.subscribe(Subscription::to("a").since(position)).unwrap();
        assert_eq!(late.run(), [Event::Gap { topic: "a".into() }]);
        assert_eq!(late.new_texts(), numbers(2..5));
    }
    let mut newcomer = Client::joining(&hub, ());
    newcomer.member.subscribe(Subscription::to("a").last(2)).unwrap();
    assert_eq!(newcomer.got(), numbers(3..5));
}

#[tokio::test(start_paused = true)]
async fn history_that_vanished_is_another_epoch() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    let before = hub.publish("a", "1").unwrap().position.unwrap();
    client.member.unsubscribe("a").unwrap();
    client.member.subscribe(Subscription::to("a").since(before)).unwrap();
    assert_eq!(client.run(), [Event::Gap { topic: "a".into() }]);
    assert_ne!(client.member.position("a").unwrap().epoch, before.epoch);
}

#[tokio::test(start_paused = true)]
async fn slow_subscriber_skips_the_oldest_and_both_sides_can_know_how_many() {
    let hub = hub(|config| config.lag = messages(3));
    let mut client = Client::with_room(&hub, (), 0);
    client.member.subscribe("a").unwrap();
    hub.publish("a", "0").unwrap();
    assert_eq!(client.run(), [], "the first waits in the connection, and its time runs");
    publish(&hub, 1..10);
    assert_eq!((client.member.lag("a"), hub.held("a").messages), (Some(9), 3));
    client.stream.release();
    assert_eq!(client.run(), [Event::Skipped { topic: "a".into(), messages: 6 }]);
    assert_eq!(client.new_texts(), ["0", "7", "8", "9"]);
    assert_eq!((client.member.skipped(), hub.stats().skipped, client.member.lag("a")), (6, 6, Some(0)));
    assert_eq!(hub.held("a").messages, 0, "nobody needs them any more");
}

#[tokio::test(start_paused = true)]
async fn slow_subscriber_skips_nothing_that_the_history_keeps() {
    let hub = hub(|config| (config.lag, config.history) = (messages(3), messages(6)));
    let mut client = Client::with_room(&hub, (), 0);
    client.member.subscribe("a").unwrap();
    hub.publish("a", "0").unwrap();
    assert_eq!(client.run(), [], "the first waits in the connection, and its time runs");
    publish(&hub, 1..10);
    client.stream.release();
    assert_eq!(client.run(), [Event::Skipped { topic: "a".into(), messages: 3 }]);
    assert_eq!(client.new_texts(), ["0", "4", "5", "6", "7", "8", "9"]);
}

#[tokio::test(start_paused = true)]
async fn client_of_a_pattern_that_comes_back_names_what_it_knows_first() {
    let hub = hub(|config| (config.lag, config.history) = (messages(1), messages(10)));
    publish(&hub, 0..3);
    let seen = Position { sequence: 1, ..hub.position("a").unwrap() };
    hub.publish("b", "new").unwrap();

    let mut client = Client::joining(&hub, ());
    client.member.subscribe(Subscription::to("a").since(seen)).unwrap();
    client.member.subscribe(Subscription::to("+").last(10)).unwrap();
    assert_eq!(client.got(), ["1", "2", "new"], "each once, though there is room for a lag of 1");

    let mut client = Client::joining(&hub, ());
    client.member.subscribe("+").unwrap();
    client.member.subscribe(Subscription::to("a").since(seen)).unwrap();
    assert_eq!((client.run(), client.new_texts()), (vec![], vec![]), "the pattern is what counts");
}

#[tokio::test(start_paused = true)]
async fn who_was_left_out_as_the_sender_is_sent_it_when_it_comes_back() {
    let hub = hub(|config| config.history = messages(10));
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    publish(&hub, 0..1);
    let mine = client.member.publish_to_others("a", "mine").unwrap();
    publish(&hub, 2..3);
    assert_eq!(client.got(), ["0", "2"]);
    let position = mine.position.unwrap();
    assert_eq!(position.sequence, 2, "which is the hole in what it was sent");
    let mut again = Client::joining(&hub, ());
    again.member.subscribe(Subscription::to("a").since(Position { sequence: 1, ..position })).unwrap();
    assert_eq!(again.got(), ["mine", "2"]);
}

#[tokio::test(start_paused = true)]
async fn lag_is_bounded_in_bytes_and_the_newest_message_is_always_there() {
    let hub = hub(|config| config.lag.bytes = 100);
    let mut client = Client::with_room(&hub, (), 0);
    client.member.subscribe("a").unwrap();
    for len in [10, 40, 40, 40, 1000] {
        hub.publish("a", "x".repeat(len)).unwrap();
    }
    assert_eq!(hub.held("a").messages, 1);
    client.stream.release();
    assert_eq!(client.run(), [Event::Skipped { topic: "a".into(), messages: 4 }]);
    assert_eq!(client.new_texts(), ["x".repeat(1000)]);
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_wants_the_latest_gets_that_alone() {
    let hub = hub(|_| {});
    let mut client = Client::with_room(&hub, (), 0);
    client.member.subscribe(Subscription::to("price/+").slow_consumer(SlowConsumer::KeepLatest)).unwrap();
    hub.publish("price/a", "a0").unwrap();
    assert_eq!(client.run(), []);
    for number in 1..=100 {
        hub.publish("price/a", format!("a{number}")).unwrap();
        hub.publish("price/b", format!("b{number}")).unwrap();
    }
    assert_eq!((hub.held("price/a").messages, hub.held("price/b").messages), (1, 1));
    client.stream.release();
    assert_eq!(client.got(), ["a0", "a100", "b100"]);
    assert_eq!(client.member.skipped(), 198);
    // One that keeps up gets all.
    hub.publish("price/a", "a101").unwrap();
    assert_eq!(client.got(), ["a101"]);
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_must_not_miss_anything_is_closed_with_1013() {
    let hub = hub(|config| (config.lag, config.slow_consumer) = (messages(3), SlowConsumer::Close));
    let [mut slow, mut skipping] = [(); 2].map(|()| Client::with_room(&hub, (), 0));
    slow.member.subscribe("a").unwrap();
    skipping.member.subscribe(Subscription::to("a").slow_consumer(SlowConsumer::SkipOldest)).unwrap();
    assert_eq!((slow.run(), skipping.run()), (vec![], vec![]));
    let woken = Arc::new(Woken::default());
    for number in 0..4 {
        hub.publish("a", number.to_string()).unwrap();
        // The first is the connection's.
        while !slow.waits(&woken) {}
    }
    let before = woken.count();
    hub.publish("a", "4").unwrap();
    assert_eq!(woken.count(), before + 1);
    assert_eq!(slow.run(), [Event::Overrun { topic: "a".into() }]);
    assert_eq!(hub.present_count("a"), 1);
    slow.stream.release();
    assert_eq!(slow.run(), []);
    let last = slow.stream.frames().pop().unwrap();
    assert_eq!(last, (CLOSE, close_body(1013, "too slow")));
    assert!(slow.member.subscribe("b").is_err_and(|error| error == SubscribeError::Left));
    skipping.stream.release();
    assert_eq!(skipping.run(), [Event::Skipped { topic: "a".into(), messages: 2 }]);
}

#[tokio::test(start_paused = true)]
async fn message_that_broke_off_in_the_socket_goes_on_where_it_broke_off() {
    let hub = hub(|_| {});
    let mut client = Client::with_room(&hub, (), 5);
    client.member.subscribe("a").unwrap();
    for number in 0..200 {
        hub.publish("a", format!("{number:050}")).unwrap();
    }
    assert_eq!(client.run(), []);
    while client.member.lag("a") != Some(0) || client.member.socket().queued() > 0 {
        client.stream.change(|script| script.room = 777);
        assert_eq!(client.run(), []);
    }
    assert_eq!(client.new_texts(), (0..200).map(|number| format!("{number:050}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn stream_without_vectored_writes_gets_the_same() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.stream.script().is_vectored = false;
    client.member.subscribe("a").unwrap();
    let long = "x".repeat(300_000);
    hub.publish("a", "1").unwrap();
    hub.publish("a", long.as_str()).unwrap();
    hub.publish("a", Uncompressed("2")).unwrap();
    assert_eq!(client.run(), []);
    let payloads: Vec<u8> = client.stream.frames().into_iter().flat_map(|(_, payload)| payload).collect();
    assert!(payloads == format!("1{long}2").into_bytes());
}

/// What the hooks were told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Hooks<&'static str> for Told {
    fn may_subscribe(&self, peer: &Peer<&'static str>, pattern: &Pattern) -> bool {
        *peer.state() == "admin" || pattern.is_exact()
    }

    fn may_publish(&self, peer: &Peer<&'static str>, topic: &str) -> bool {
        *peer.state() == "admin" || topic != "news"
    }

    fn joined(&self, hub: &Hub<&'static str>, topic: &str, peer: &Peer<&'static str>) {
        self.0.lock().unwrap().push(format!("+{} {topic}", peer.state()));
        hub.publish(topic, format!("{} joined", peer.state())).unwrap();
    }

    fn left(&self, _: &Hub<&'static str>, topic: &str, peer: &Peer<&'static str>) {
        self.0.lock().unwrap().push(format!("-{} {topic}", peer.state()));
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_decide_who_may_and_are_told_who_joins_and_leaves() {
    let told = Told::default();
    let hub = Hub::with_hooks(HubConfig::default(), told.clone());
    let [mut ann, mut admin] = ["ann", "admin"].map(|name| Client::joining(&hub, name));
    assert_eq!(ann.member.subscribe("#"), Err(SubscribeError::Refused));
    admin.member.subscribe("#").unwrap();
    ann.member.subscribe("news").unwrap();
    ann.member.subscribe("news").unwrap();
    ann.member.subscribe(Subscription::to("quiet").hidden()).unwrap();
    assert_eq!(ann.member.publish("news", "fake"), Err(PublishError::Refused));
    admin.member.publish("news", "real").unwrap();
    assert_eq!(ann.got(), ["ann joined", "real"]);
    admin.member.subscribe("news").unwrap();
    drop(ann);
    admin.member.unsubscribe("news").unwrap();
    assert_eq!(*told.0.lock().unwrap(), ["+ann news", "+admin news", "-ann news", "-admin news"]);
    assert_eq!(admin.got(), ["ann joined", "real", "admin joined"]);
}

#[tokio::test(start_paused = true)]
async fn presence_is_who_subscribed_by_name_with_its_state() {
    let hub = Hub::new(HubConfig::default());
    let mut clients = ["ann", "bob", "monitor"].map(|name| Client::joining(&hub, name));
    clients[0].member.subscribe("room").unwrap();
    clients[1].member.subscribe("room").unwrap();
    clients[2].member.subscribe("#").unwrap();
    let names = || {
        let mut names: Vec<_> = hub.present("room").iter().map(|peer| *peer.state()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!((names(), hub.present_count("room")), (vec!["ann", "bob"], 2));
    assert_eq!(hub.publish("room", "x").unwrap().receivers, 3);
    let [ann, bob, mut monitor] = clients;
    drop(bob);
    monitor.member.subscribe(Subscription::to("room").hidden()).unwrap();
    assert_eq!((names(), hub.stats().members), (vec!["ann"], 2));
    let peer = hub.present("room").remove(0);
    assert_eq!((&peer, peer.id()), (ann.member.peer(), ann.member.peer().id()));
    assert_eq!((hub.present("nowhere").len(), hub.present_count("nowhere")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn peer_can_be_told_to_close() {
    let hub = hub(|_| {});
    let (mut client, woken) = (Client::joining(&hub, ()), Arc::new(Woken::default()));
    client.member.subscribe("a").unwrap();
    while !client.waits(&woken) {}
    hub.present("a")[0].close(Close::normal());
    assert_eq!((woken.count(), client.run()), (1, vec![]));
    assert_eq!(client.stream.frames(), [(CLOSE, close_body(1000, ""))]);
    assert_eq!((hub.present_count("a"), hub.stats().members), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn envelope_tells_the_client_where_it_is_and_is_made_once() {
    fn envelope(inner: &Envelope<'_>) -> Message {
        format!("{} {} {}", inner.topic, inner.position.sequence, inner.message.as_text().unwrap_or("?")).into()
    }
    let hub = hub(|config| config.envelope = Some(envelope));
    let [mut a, mut b] = [(); 2].map(|()| Client::joining(&hub, ()));
    a.member.subscribe("t").unwrap();
    b.member.subscribe("t").unwrap();
    hub.publish("t", "x").unwrap();
    hub.publish("t", &b"bytes"[..]).unwrap();
    assert_eq!((a.got(), b.got()), (vec!["t 1 x".into(), "t 2 ?".into()], vec!["t 1 x".into(), "t 2 ?".into()]));
    let pieces = |client: &Client| client.stream.script().pieces[1].0;
    assert_eq!(pieces(&a), pieces(&b), "both were written from the same place");
}

#[tokio::test(start_paused = true)]
async fn limits_are_kept() {
    let hub = hub(|config| (config.max_subscriptions, config.max_topics) = (3, 4));
    let [mut a, mut b] = [(); 2].map(|()| Client::joining(&hub, ()));
    for name in ["1", "2", "x/#"] {
        a.member.subscribe(name).unwrap();
    }
    assert_eq!(a.member.subscribe("3"), Err(SubscribeError::TooManySubscriptions { max: 3 }));
    a.member.subscribe("1").unwrap();
    for name in ["3", "4"] {
        b.member.subscribe(name).unwrap();
    }
    assert_eq!(b.member.subscribe("5"), Err(SubscribeError::TooManyTopics { max: 4 }));
    assert_eq!(hub.publish("x/1", ""), Err(PublishError::TooManyTopics { max: 4 }));
    b.member.unsubscribe("4").unwrap();
    hub.publish("x/1", "").unwrap();
    assert_eq!(a.got(), [""], "it is sent, so the topic may vanish for another");
    for topic in ["x/2", "x/2", "x/3"] {
        hub.publish(topic, topic).unwrap();
    }
    assert_eq!(
        a.run(),
        [Event::Skipped { topic: "x/#".into(), messages: 2 }],
        "x/2 was not sent yet, and is there for that alone"
    );
    assert_eq!((a.new_texts(), a.member.skipped(), hub.stats().skipped), (vec!["x/3".into()], 2, 2));
    b.member.subscribe("5").unwrap();
    assert_eq!(hub.publish("x/4", ""), Err(PublishError::TooManyTopics { max: 4 }), "all are asked for by their names");
    assert_eq!(hub.stats().topics, 4);
    assert_eq!(b.member.subscribe("a/#/b"), Err(SubscribeError::Pattern(PatternError::Wildcard)));
    assert_eq!(hub.publish("a/+", ""), Err(PublishError::Topic(PatternError::NotExact)));
    assert_eq!(b.member.unsubscribe(""), Err(PatternError::Empty));
}

#[tokio::test(start_paused = true)]
async fn topic_with_history_stays_until_another_needs_its_place() {
    let hub = hub(|config| (config.history, config.max_topics) = (messages(1), 2));
    for topic in ["a", "b", "c"] {
        hub.publish(topic, topic).unwrap();
    }
    let held = ["a", "b", "c"].map(|topic| hub.held(topic).messages);
    assert_eq!((held, hub.stats().topics), ([0, 1, 1], 2));
}

/// Topics below `kept` have history.
struct Keeps;

impl Hooks<()> for Keeps {
    fn history(&self, topic: &str) -> Option<Bounds> {
        topic.starts_with("kept/").then_some(messages(5))
    }
}

#[tokio::test(start_paused = true)]
async fn topic_that_is_there_for_the_slow_alone_goes_before_one_with_history_and_after_one_that_nobody_needs() {
    let hub = Hub::with_hooks(config(|config| config.max_topics = 3), Keeps);
    let [mut slow, mut reading] = [0, usize::MAX].map(|room| Client::with_room(&hub, (), room));
    slow.member.subscribe("kept/#").unwrap();
    slow.member.subscribe("slow/#").unwrap();
    reading.member.subscribe("read/#").unwrap();
    for topic in ["kept/1", "slow/1", "read/1"] {
        hub.publish(topic, topic).unwrap();
    }
    assert_eq!(reading.got(), ["read/1"]);
    let there = || ["kept/1", "slow/1", "read/1"].map(|topic| hub.position(topic).is_some());
    hub.publish("slow/2", "").unwrap();
    assert_eq!(there(), [true, true, false]);
    hub.publish("slow/3", "").unwrap();
    assert_eq!(there(), [true, false, false]);
    reading.member.subscribe("a").unwrap();
    reading.member.subscribe("b").unwrap();
    assert_eq!(there(), [true, false, false]);
    reading.member.subscribe("c").unwrap();
    assert_eq!((there(), hub.stats().topics), ([false; 3], 3));
    let told = [("slow/#", 3), ("kept/#", 1)].map(|(topic, messages)| Event::Skipped { topic: topic.into(), messages });
    assert_eq!((slow.run(), slow.member.skipped(), hub.stats().skipped), (told.into(), 4, 4));
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_must_not_miss_anything_is_closed_when_a_topic_vanishes_that_it_was_not_sent() {
    let hub = hub(|config| config.max_topics = 1);
    let mut client = Client::joining(&hub, ());
    client.member.subscribe(Subscription::to("#").slow_consumer(SlowConsumer::Close)).unwrap();
    hub.publish("1", "").unwrap();
    hub.publish("2", "").unwrap();
    assert_eq!(client.run(), [Event::Overrun { topic: "1".into() }]);
    assert_eq!(client.stream.frames(), [(CLOSE, close_body(1013, "too slow"))]);
}

#[tokio::test(start_paused = true)]
async fn members_that_go_leave_nothing_behind() {
    let hub = hub(|_| {});
    for _ in 0..1000 {
        let mut client = Client::joining(&hub, ());
        client.member.subscribe("a").unwrap();
        client.member.subscribe("b/#").unwrap();
        hub.publish("b/1", "x").unwrap();
    }
    assert_eq!((hub.stats().members, hub.stats().topics), (0, 0));
    assert_eq!(hub.publish("b/1", "x").unwrap().receivers, 0);
}

#[tokio::test(start_paused = true)]
async fn member_that_closes_gets_what_was_published_before_and_nothing_after() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    hub.publish("a", "before").unwrap();
    client.member.close(Close::normal()).await.unwrap();
    assert_eq!(hub.publish("a", "after").unwrap().receivers, 0);
    assert_eq!(client.got(), ["before"]);
    assert_eq!(client.stream.frames().len(), 2);
    assert!(now(client.member.send("late")).unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn peer_that_closes_is_no_subscriber_any_more_and_its_end_is_clean() {
    let hub = hub(|_| {});
    let mut client = Client::joining(&hub, ());
    client.member.subscribe("a").unwrap();
    client.stream.feed(&support::masked(CLOSE, &close_body(1000, "")));
    client.stream.change(|script| script.at_end = Some(Ok(())));
    hub.publish("a", "x").unwrap();
    assert!(matches!(now(client.member.next()), Some(Ok(None))));
    assert_eq!(hub.publish("a", "y").unwrap().receivers, 0);
}

#[tokio::test(start_paused = true)]
async fn stream_that_fails_ends_the_member_with_its_error() {
    let hub = hub(|_| {});
    let stream = Mock::new("");
    stream.script().write_error = Some((3, std::io::ErrorKind::BrokenPipe));
    let mut client = Client::on(&hub, (), stream);
    client.member.subscribe("a").unwrap();
    hub.publish("a", "broken").unwrap();
    assert!(now(client.member.next()).unwrap().is_err());
    assert_eq!(hub.stats().members, 0);
}

#[test]
fn a_hub_is_used_from_any_thread_and_publishing_needs_no_runtime() {
    let hub = Hub::<()>::new(config(|config| config.history = messages(1000)));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| publish(&hub, 0..100));
        }
    });
    assert_eq!(hub.held("a").messages, 400);
    assert_eq!(hub.position("a").unwrap().sequence, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribers_and_publishers_on_many_threads_miss_nothing() {
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 500;
    let hub = hub(|config| config.lag = messages(PUBLISHERS * MESSAGES));
    let mut clients = Vec::new();
    for number in 0..8 {
        let (ours, theirs) = tokio::io::duplex(1000);
        let mut member = hub.join(sockeye::tokio::WebSocket::server(ours, support::timeless()), ());
        member.subscribe(["t", "#"][number % 2]).unwrap();
        tokio::spawn(async move { while let Ok(Some(_)) = member.next().await {} });
        clients.push(tokio::spawn(async move {
            let mut socket = sockeye::tokio::WebSocket::client(theirs, support::timeless());
            let mut next = [0; PUBLISHERS];
            while next.iter().sum::<usize>() < PUBLISHERS * MESSAGES {
                let message = socket.receive().await.unwrap().unwrap();
                let (publisher, number) = message.as_text().unwrap().split_once(' ').unwrap();
                let next = &mut next[publisher.parse::<usize>().unwrap()];
                assert_eq!(number.parse(), Ok(*next));
                *next += 1;
            }
        }));
    }
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let hub = &hub;
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    hub.publish("t", format!("{publisher} {number}")).unwrap();
                }
            });
        }
    });
    for client in clients {
        client.await.unwrap();
    }
}
