//! Properties of publish and subscribe, whatever members, publishers and sockets do: order, nothing twice, nothing missing that is
//! not told of, bounds.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use pubsub_support::{Client, config};
use sockeye::pubsub::{Bounds, Event, Hub, Pattern, Position, SlowConsumer, SubscribeError, Subscription};
use support::Mock;

const TOPICS: [&str; 4] = ["a", "a/b", "a/c", "b"];
const PATTERNS: [&str; 8] = ["a", "a/b", "a/c", "b", "a/#", "+", "a/+", "#"];
const MEMBERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Publish(usize),
    PublishToOthers(usize, usize),
    Send(usize),
    Run(usize),
    /// Lets the client take so many bytes more.
    Open(usize, usize),
    Rejoin(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (member, pattern, topic) = (0..MEMBERS, 0..PATTERNS.len(), 0..TOPICS.len());
    let step = prop_oneof![
        2 => (member.clone(), pattern.clone()).prop_map(|(m, p)| Step::Subscribe(m, p)),
        1 => (member.clone(), pattern).prop_map(|(m, p)| Step::Unsubscribe(m, p)),
        8 => topic.clone().prop_map(Step::Publish),
        2 => (member.clone(), topic).prop_map(|(m, t)| Step::PublishToOthers(m, t)),
        1 => member.clone().prop_map(Step::Send),
        6 => member.clone().prop_map(Step::Run),
        3 => (member.clone(), 0usize..60).prop_map(|(m, room)| Step::Open(m, room)),
        1 => member.prop_map(Step::Rejoin),
    ];
    proptest::collection::vec(step, 0..80)
}

/// What a member is to have got, as a simple mind has it: each message by its number, with whom it is for.
#[derive(Default)]
struct Model {
    /// The patterns of each member.
    patterns: [BTreeSet<usize>; MEMBERS],
    /// The messages that may come to each, by topic, in order.
    due: [BTreeMap<&'static str, Vec<u32>>; MEMBERS],
    /// What each must not get: published when it did not want it.
    next: u32,
}

impl Model {
    /// How many topics are asked for by their names.
    fn named(&self) -> usize {
        let exact = self.patterns.iter().flatten().filter(|pattern| TOPICS.contains(&PATTERNS[**pattern]));
        exact.collect::<BTreeSet<_>>().len()
    }

    fn wants(&self, member: usize, topic: &str) -> bool {
        self.patterns[member].iter().any(|pattern| Pattern::new(PATTERNS[*pattern]).unwrap().matches(topic))
    }

    /// Nobody is to get it.
    fn take_back(&mut self, message: &str) {
        let (topic, number) = topic_of(message).unwrap();
        self.due.iter_mut().filter_map(|due| due.get_mut(topic)).for_each(|due| due.retain(|due| *due != number));
    }

    fn publish(&mut self, topic: &'static str, except: Option<usize>) -> String {
        let number = self.next;
        self.next += 1;
        for member in (0..MEMBERS).filter(|member| Some(*member) != except) {
            if self.wants(member, topic) {
                self.due[member].entry(topic).or_default().push(number);
            }
        }
        format!("{topic} {number}")
    }
}

fn topic_of(message: &str) -> Option<(&'static str, u32)> {
    let (topic, number) = message.split_once(' ')?;
    Some((TOPICS.into_iter().find(|known| *known == topic)?, number.parse().ok()?))
}

fn clients(hub: &Hub, room: usize) -> Vec<Client> {
    (0..MEMBERS).map(|_| Client::with_room(hub, (), room)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Without history: each member gets what was published while it was subscribed, in the order of all topics, once, and what
    /// it does not get was skipped and counted.
    #[test]
    fn what_is_published_comes_in_order_once_or_is_counted(
        steps in steps(),
        lag in 1usize..6,
        conflates: bool,
        max_topics in 1usize..6,
        room in prop_oneof![Just(usize::MAX), 0usize..50],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let slow_consumer = if conflates { SlowConsumer::KeepLatest } else { SlowConsumer::SkipOldest };
        let bounds = Bounds { messages: lag, bytes: usize::MAX };
        let hub = Hub::new(config(|config| {
            (config.lag, config.slow_consumer, config.max_topics) = (bounds, slow_consumer, max_topics);
        }));
        let mut clients = clients(&hub, room);
        let (mut model, mut told, mut own) = (Model::default(), [0u64; MEMBERS], 1_000_000);
        // Where a subscription was ended, what was due may not come any more.
        let mut was_ended = [false; MEMBERS];
        let leaves_out = steps.iter().any(|step| matches!(step, Step::PublishToOthers(..)));
        for step in steps {
            match step {
                Step::Subscribe(member, pattern) => {
                    match clients[member].member.subscribe(PATTERNS[pattern]) {
                        Err(SubscribeError::TooManyTopics { .. }) => prop_assert!(hub.stats().topics >= max_topics as u64),
                        subscribed => {
                            subscribed.unwrap();
                            model.patterns[member].insert(pattern);
                        }
                    }
                }
                Step::Unsubscribe(member, pattern) => {
                    let was = clients[member].member.unsubscribe(PATTERNS[pattern]).unwrap();
                    prop_assert_eq!(was, model.patterns[member].remove(&pattern));
                    was_ended[member] |= was;
                }
                Step::Publish(topic) => {
                    let message = model.publish(TOPICS[topic], None);
                    let Ok(published) = hub.publish(TOPICS[topic], message.as_str()) else {
                        model.take_back(&message);
                        prop_assert!(model.named() >= max_topics, "not all are asked for by their names");
                        continue;
                    };
                    let wanting = (0..MEMBERS).filter(|member| model.wants(*member, TOPICS[topic])).count();
                    prop_assert_eq!(published.receivers, wanting);
                }
                Step::PublishToOthers(member, topic) => {
                    let message = model.publish(TOPICS[topic], Some(member));
                    if clients[member].member.publish_to_others(TOPICS[topic], message.as_str()).is_err() {
                        model.take_back(&message);
                        prop_assert!(model.named() >= max_topics, "not all are asked for by their names");
                    }
                }
                // Where it does not wait, it is queued.
                Step::Send(member) => {
                    let stuck = clients[member].stream.script().room < usize::MAX;
                    if !stuck {
                        own += 1;
                        support::now(clients[member].member.send(format!("own {own}"))).unwrap().unwrap();
                    }
                }
                Step::Run(member) => {
                    for event in clients[member].run() {
                        let Event::Skipped { messages, .. } = event else { panic!("{event:?}") };
                        told[member] += messages;
                    }
                }
                Step::Open(member, room) => {
                    clients[member].stream.change(|script| script.room = script.room.saturating_add(room));
                }
                Step::Rejoin(member) => {
                    clients[member] = Client::with_room(&hub, (), room);
                    model.patterns[member].clear();
                    model.due[member].clear();
                    (told[member], was_ended[member]) = (0, false);
                }
            }
            for topic in TOPICS {
                prop_assert!(hub.held(topic).messages <= lag);
            }
            prop_assert!(hub.stats().topics <= max_topics as u64);
        }
        for member in 0..MEMBERS {
            let client = &mut clients[member];
            client.stream.release();
            for event in client.run() {
                let Event::Skipped { messages, .. } = event else { panic!("{event:?}") };
                told[member] += messages;
            }
            let got: Vec<_> = client.new_texts().iter().filter_map(|message| topic_of(message)).collect();
            // One count for all topics, so this says both: in order, and nothing twice.
            prop_assert!(got.windows(2).all(|pair| pair[0].1 < pair[1].1), "{:?}", got);
            let due = &model.due[member];
            prop_assert!(got.iter().all(|(topic, number)| due.get(topic).is_some_and(|due| due.contains(number))));
            let (due, got) = (due.values().map(Vec::len).sum::<usize>(), got.len());
            if !was_ended[member] {
                let missed = (due - got) as u64;
                // One of its own that was left out counts as skipped if it is gone before it is passed.
                prop_assert!(client.member.skipped() >= missed, "{} due, {} got", due, got);
                prop_assert!(leaves_out || client.member.skipped() == missed, "{} due, {} got", due, got);
                prop_assert!(conflates || told[member] == client.member.skipped());
            }
        }
        drop(clients);
        prop_assert_eq!((hub.stats().topics, hub.stats().members), (0, 0));
    }

    /// A client that comes back, however often, has everything that was published since it first came, once and in order, as
    /// long as the history goes back so far; and is told of a gap when it does not.
    #[test]
    fn who_comes_back_has_missed_nothing_or_is_told(
        rounds in proptest::collection::vec((0u32..12, 0u32..12, 0usize..120), 1..8),
        history in 0usize..12,
        lag in 20usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let all = |messages| Bounds { messages, bytes: usize::MAX };
        let hub = Hub::<()>::new(config(|config| (config.history, config.lag) = (all(history), all(lag))));
        // Somebody stays, so that the topic does.
        let mut staying = Client::joining(&hub, ());
        staying.member.subscribe("t").unwrap();
        let (mut number, mut expected, mut last_seen) = (0u32, 0u32, None::<Position>);
        let mut publish = |count: u32| {
            for _ in 0..count {
                hub.publish("t", number.to_string()).unwrap();
                number += 1;
            }
            number
        };
        for (present, absent, room) in rounds {
            let mut client = Client::on(&hub, (), Mock::with_room(room));
            client.member.subscribe(Subscription::to("t").since(last_seen)).unwrap();
            publish(present);
            let mut gap = client.run();
            // What it took before the connection broke.
            let at = client.member.position("t").unwrap();
            let queued = client.member.socket().queued();
            client.stream.release();
            if queued > 0 {
                // It took the rest of that one, too: the place says that it was sent.
                let _ = support::now(client.member.send_first("end"));
            }
            let got: Vec<u32> = client.new_texts().iter().filter_map(|text| text.parse().ok()).collect();
            prop_assert!(got.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", got);
            let has_gap = gap.pop().is_some();
            if let Some(first) = got.first() {
                prop_assert!(*first == expected || (has_gap && *first > expected), "{} instead of {}", first, expected);
                expected = got.last().unwrap() + 1;
            }
            prop_assert_eq!(at.sequence, u64::from(expected).max(at.sequence), "told too little");
            last_seen = Some(at);
            // If it was told of a gap and nothing came, what is missing is not missed again.
            expected = expected.max(u32::try_from(at.sequence).unwrap());
            drop(client);
            publish(absent);
            staying.run();
            staying.new_texts();
            prop_assert!(hub.held("t").messages <= history);
        }
    }
}
