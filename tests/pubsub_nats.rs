//! Hubs joined by a real NATS server, which each test starts for itself on a free port.
#![cfg(unix)]

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

#[path = "pubsub_support/engines.rs"]
mod engines;

#[path = "pubsub_support/stories.rs"]
mod stories;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use async_nats::jetstream;
use engines::{
    Engine, Node, Output, Server, Storage, arrived_numbers, copy_directory, meet, pattern, publication, publications,
    run, texts, with,
};
use sockeye::pubsub::{Arrival, Backplane, Event, Inbound, NatsBackplane, NatsConfig, Outbound, Position, Publication};
use stories::Fate;

struct Nats {
    server: Server,
    address: String,
}

impl Engine for Nats {
    type Backplane = NatsBackplane;

    fn prepare(storage: Storage) -> Option<Self> {
        let mut server = Server::prepare("nats-server", Output::Stderr, "Server is ready")?;
        let store = server.directory.join("store");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        server.arguments(["-a", "127.0.0.1", "-p", &port, "-js", "-sd", store.to_str().unwrap()]);
        server.volatile = (storage == Storage::Lost).then_some(store);
        Some(Self { address: format!("nats://127.0.0.1:{port}"), server })
    }

    fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    async fn wipe(&self) {
        assert!(self.jetstream().await.delete_stream("test-1").await.unwrap().success);
    }

    fn backplane(&self, history: usize) -> NatsBackplane {
        self.with(|config| config.history = history.try_into().unwrap())
    }
}

impl Nats {
    fn with(&self, change: impl FnOnce(&mut NatsConfig)) -> NatsBackplane {
        let mut config = NatsConfig::default();
        config.prefix = "test-1".to_owned();
        change(&mut config);
        NatsBackplane::open(&self.address, config).unwrap()
    }

    async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(&self.address).await.unwrap())
    }
}

#[test]
fn publish_on_any_node_reaches_the_subscribers_of_all_once() {
    with(Storage::Lost, |engine: Nats| stories::all_nodes_are_one_system(engine, 0));
    with(Storage::Lost, |engine: Nats| stories::all_nodes_are_one_system(engine, 100));
}

#[test]
fn node_is_sent_only_what_somebody_there_has_subscribed_to_and_presence_is_its_own() {
    with(Storage::Lost, |engine: Nats| stories::each_node_has_only_what_it_wants(engine, 0));
    with(Storage::Lost, |engine: Nats| stories::each_node_has_only_what_it_wants(engine, 100));
}

#[test]
fn stream_of_messages_survives_a_server_that_is_killed_and_keeps_its_data() {
    with(Storage::Kept, |engine: Nats| stories::stream_of_messages_survives_an_engine_that_is_killed(engine));
}

#[test]
fn server_that_is_killed_again_and_again_under_load_costs_nothing_or_a_gap() {
    let story = stories::engine_that_is_away_again_and_again;
    with(Storage::Kept, |engine: Nats| story(engine, 5000, Fate::Killed));
    with(Storage::Kept, |engine: Nats| story(engine, 0, Fate::Killed));
}

#[test]
fn server_that_hangs_again_and_again_under_load_costs_nothing_or_a_gap() {
    let story = stories::engine_that_is_away_again_and_again;
    with(Storage::Kept, |engine: Nats| story(engine, 5000, Fate::Hangs));
    with(Storage::Kept, |engine: Nats| story(engine, 0, Fate::Hangs));
}

#[test]
fn stream_that_is_deleted_again_and_again_under_load_costs_a_gap_and_nothing_comes_twice() {
    with(Storage::Kept, |engine: Nats| stories::engine_that_is_away_again_and_again(engine, 5000, Fate::Wiped));
}

#[test]
fn server_that_is_killed_is_a_gap_where_nothing_is_kept() {
    with(Storage::Lost, |engine: Nats| stories::engine_that_is_killed_is_a_gap_where_nothing_is_kept(engine, 0));
    with(Storage::Lost, |engine: Nats| stories::engine_that_is_killed_is_a_gap_where_nothing_is_kept(engine, 100));
}

#[test]
fn client_that_comes_back_gets_what_it_missed_or_is_told_if_the_server_has_forgotten() {
    with(Storage::Lost, |engine: Nats| stories::client_that_comes_back_gets_what_it_missed_or_is_told(engine));
}

#[test]
fn server_that_counts_on_while_it_is_looked_at_has_not_begun_anew() {
    let story = stories::engine_that_counts_on_while_it_is_looked_at_has_not_begun_anew;
    with(Storage::Lost, |engine: Nats| story(engine));
}

#[test]
fn server_that_is_away_at_start_is_waited_for() {
    for history in [0, 100] {
        let Some(engine) = Nats::prepare(Storage::Lost) else { return };
        run(stories::engine_that_is_away_at_start_is_waited_for(engine, history));
    }
}

#[test]
fn connection_catches_up_with_names_and_patterns() {
    with(Storage::Lost, |engine: Nats| stories::connection_catches_up(engine));
}

#[test]
fn history_is_whole_or_says_so() {
    with(Storage::Lost, |engine: Nats| stories::history_is_whole_or_says_so(engine, 11));
}

#[test]
fn history_that_is_just_full_is_whole_for_who_has_all_before_it() {
    with(Storage::Lost, async |engine: Nats| {
        let (mut outbound, mut inbound) = engine.backplane(10).connect().await.unwrap();
        let start = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        outbound.publish(&publications("t", 1..=11)).await.unwrap();
        let first = engines::arrivals(&mut inbound, 11).await[0].1.unwrap();
        let history = outbound.history("t", first, 100).await.unwrap();
        assert_eq!((history.messages.len(), history.is_complete), (10, true));
        assert!(!outbound.history("t", start, 100).await.unwrap().is_complete, "one more may have been there");
    });
}

#[test]
fn last_messages_are_read_from_the_end_wherever_they_lie_and_not_much_else() {
    let Some(mut engine) = Nats::prepare(Storage::Lost) else { return };
    let monitor = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    engine.server().arguments(["-m", &monitor.port().to_string()]);
    engine.server().start();
    run(async {
        let (mut outbound, mut inbound) = engine.backplane(5000).connect().await.unwrap();
        inbound.subscribe(&pattern("quiet"), None).await.unwrap();
        let long = |number| Publication { payload: "x".repeat(1000).into(), ..publication("t", number) };
        // Spread evenly, all at the beginning, all at the end, and in heaps.
        let shapes: [fn(u64) -> bool; 4] =
            [|n| n % 2 == 0, |n| n < 2000, |n| n >= 2000, |n| n < 100 || (1900..3700).contains(&n) || n == 3990];
        for (shape, first) in shapes.into_iter().zip([1, 10_000, 20_000, 30_000]) {
            let of_t: Vec<_> = (0..4000).filter(|number| shape(*number)).map(|number| first + number).collect();
            let batch: Vec<_> = (0..4000)
                .map(|number| if shape(number) { long(first + number) } else { publication("u", first + number) })
                .collect();
            for part in batch.chunks(500) {
                outbound.publish(part).await.unwrap();
            }
            for limit in [1, 50] {
                let before = sent_bytes(monitor);
                let history = outbound.history("t", Position { epoch: 0, sequence: 0 }, limit).await.unwrap();
                let sent = sent_bytes(monitor) - before;
                let numbers: Vec<_> =
                    history.messages.iter().map(|arrived| arrived.publication.origin.number).collect();
                assert_eq!(numbers, of_t[of_t.len() - limit..], "{first}");
                assert!(!history.is_complete);
                // Two megabytes are there; the rest are the answers that say how many messages lie where.
                assert!(sent < 100_000, "{sent} bytes for {limit} messages, {first}");
            }
        }
        // Where there are just so many, or all are asked for, nothing is left out.
        outbound.publish(&publications("quiet", 40_000..=40_100)).await.unwrap();
        let first = engines::arrivals(&mut inbound, 1).await[0].1.unwrap();
        let history = outbound.history("quiet", first, 100).await.unwrap();
        assert_eq!((history.messages.len(), history.is_complete), (100, true));
        let history = outbound.history("t", Position { epoch: 0, sequence: 0 }, usize::MAX).await.unwrap();
        assert_eq!(history.messages.len(), 5001);
    });
}

/// How many bytes the server has sent so far, by its monitoring port.
fn sent_bytes(monitor: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(monitor).unwrap();
    stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, number) = answer.split_once("\"out_bytes\": ").unwrap();
    number.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn stream_that_is_shorter_than_a_node_knows_begins_a_new_epoch_for_all() {
    with(Storage::Kept, async |mut engine: Nats| {
        let late = engine.backplane(100);
        let (mut outbound, mut inbound) = late.connect().await.unwrap();
        inbound.subscribe(&pattern("t"), None).await.unwrap();
        outbound.publish(&publications("t", 1..=3)).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 3).await, [1, 2, 3]);
        let (store, copy) = (engine.server().directory.join("store"), engine.server().directory.join("copy"));
        engine.server().kill();
        copy_directory(&store, &copy);
        engine.server().start();
        let (mut outbound, mut inbound) = late.connect().await.unwrap();
        let known = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        outbound.publish(&publications("t", 4..=5)).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 2).await, [4, 5]);
        engine.server().kill();
        std::fs::remove_dir_all(&store).unwrap();
        std::fs::rename(&copy, &store).unwrap();
        engine.server().start();
        // Who had heard only of what is still there goes on.
        let early = engine.backplane(100);
        let (_outbound, mut inbound_early) = early.connect().await.unwrap();
        assert_eq!(inbound_early.subscribe(&pattern("t"), None).await.unwrap(), Some(known));
        // Who had heard of more begins anew, and so do all who come after.
        let (_outbound, mut inbound) = late.connect().await.unwrap();
        let anew = inbound.subscribe(&pattern("t"), Some(known)).await.unwrap().unwrap();
        assert_ne!(anew.epoch, known.epoch);
        assert_eq!(arrived_numbers(&mut inbound, 4).await, [0, 1, 2, 3]);
        let (_outbound, mut inbound) = engine.backplane(100).connect().await.unwrap();
        assert_eq!(inbound.subscribe(&pattern("t"), None).await.unwrap(), Some(anew));
        assert!(inbound_early.subscribe(&pattern("u"), None).await.is_err());
    });
}

#[test]
fn node_that_publishes_to_a_stream_that_was_made_anew_sees_that() {
    with(Storage::Lost, async |engine: Nats| {
        let (mut outbound, _inbound) = engine.backplane(100).connect().await.unwrap();
        outbound.publish(&publications("t", 1..=3)).await.unwrap();
        engine.wipe().await;
        let _anew = engine.backplane(100).connect().await.unwrap();
        let error = outbound.publish(&[publication("t", 4)]).await.unwrap_err();
        assert!(error.to_string().contains("anew"), "{error}");
    });
}

#[test]
fn stream_that_was_purged_is_a_gap_for_who_missed_something_and_goes_on_counting() {
    with(Storage::Lost, async |engine: Nats| {
        let backplane = engine.backplane(100);
        let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
        inbound.subscribe(&pattern("t"), None).await.unwrap();
        inbound.subscribe(&pattern("p/#"), None).await.unwrap();
        outbound.publish(&publications("t", 1..=3)).await.unwrap();
        outbound.publish(&publications("p/1", 4..=6)).await.unwrap();
        let got = engines::arrivals(&mut inbound, 6).await;
        let [first, last] = [1, 3].map(|number| got.iter().find(|(got, _)| *got == number).unwrap().1.unwrap());
        drop(inbound);
        outbound.publish(&publications("p/1", 7..=8)).await.unwrap();
        engine.jetstream().await.get_stream("test-1").await.unwrap().purge().await.unwrap();
        outbound.publish(&publications("p/1", 9..=10)).await.unwrap();
        let history = outbound.history("t", first, 10).await.unwrap();
        assert_eq!((history.messages.len(), history.is_complete), (0, false));
        let (_outbound, mut inbound) = backplane.connect().await.unwrap();
        let newest = inbound.subscribe(&pattern("t"), Some(last)).await.unwrap().unwrap();
        assert!(newest.epoch == last.epoch && newest.sequence > last.sequence);
        inbound.subscribe(&pattern("p/#"), None).await.unwrap();
        // Nothing of the first topic was missed, but nobody can know.
        let mut gaps = Vec::new();
        let mut numbers = Vec::new();
        while numbers != [9, 10] {
            match inbound.receive().await.unwrap() {
                Arrival::Message(arrived) => numbers.push(arrived.publication.origin.number),
                Arrival::Gap { topic } => gaps.push(topic.to_string()),
                other => panic!("{other:?}"),
            }
        }
        gaps.sort();
        assert_eq!(gaps, ["p/1", "t"]);
    });
}

#[test]
fn stream_that_others_have_made_without_what_is_needed_is_changed_or_refused() {
    with(Storage::Lost, async |engine: Nats| {
        let foreign = jetstream::stream::Config {
            name: "test-1".to_owned(),
            subjects: vec!["test-1.t.>".to_owned()],
            max_messages_per_subject: 101,
            max_age: NatsConfig::default().retention,
            ..jetstream::stream::Config::default()
        };
        engine.jetstream().await.create_stream(foreign).await.unwrap();
        // Otherwise nothing would ever come.
        if let Ok((mut outbound, mut inbound)) = engine.backplane(100).connect().await {
            inbound.subscribe(&pattern("t"), None).await.unwrap();
            outbound.publish(&publications("t", 1..=3)).await.unwrap();
            assert_eq!(arrived_numbers(&mut inbound, 3).await, [1, 2, 3]);
        }
    });
}

#[test]
fn message_that_the_server_does_not_take_is_a_gap_and_stops_nobody() {
    for history in [0, 10] {
        with(Storage::Lost, async |engine: Nats| {
            let [a, b] = [Node::new(&engine, history).await, Node::new(&engine, history).await];
            let mut client = b.client("t");
            meet(&a, "t", &mut client).await;
            a.hub.publish("t", "x".repeat(2_000_000)).unwrap();
            a.publish("t", 0..2);
            let (got, events) = engines::receive(&mut client, 2).await;
            assert_eq!((got, events), (vec!["0".to_owned(), "1".to_owned()], vec![Event::Gap { topic: "t".into() }]));
            let mut late = b.client("t");
            meet(&a, "t", &mut late).await;
            a.publish("t", 2..3);
            assert_eq!(texts(&mut late, 1).await, ["2"]);
        });
    }
}

#[test]
fn what_others_publish_on_our_subjects_is_ignored() {
    with(Storage::Lost, async |engine: Nats| {
        let other = async_nats::connect(&engine.address).await.unwrap();
        for (history, letter) in [(0, "c"), (10, "r")] {
            let backplane = engine.backplane(history);
            let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
            inbound.subscribe(&pattern("#"), None).await.unwrap();
            for (tokens, data) in
                [("t", &b"hello"[..]), ("%2E", b""), ("a.%ff", b""), ("a%", b"x"), ("%2b", b""), ("t", &[0xff; 5000])]
            {
                other.publish(format!("test-1.{letter}.{tokens}"), data.to_vec().into()).await.unwrap();
            }
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Stream", "test-1");
            headers.insert("Nats-Sequence", "-1");
            other.publish_with_headers(format!("test-1.{letter}.t"), headers, "x".into()).await.unwrap();
            // What follows on the same connection comes behind it.
            let (mut behind, _inbound) = backplane.connect().await.unwrap();
            other.flush().await.unwrap();
            let last = publication("t", 2);
            other.publish(format!("test-1.{}.t", if history == 0 { "c" } else { "t" }), last.encode()).await.unwrap();
            assert_eq!(arrived_numbers(&mut inbound, 1).await, [2], "{history}");
            assert_eq!(backplane.ignored(), 7, "{history}");
            behind.publish(&[publication("t", 3)]).await.unwrap();
            outbound.publish(&[publication("t", 4)]).await.unwrap();
            assert_eq!(arrived_numbers(&mut inbound, 2).await, [3, 4], "{history}");
        }
    });
}

#[test]
fn patterns_that_overlap_keep_the_order_of_a_topic() {
    with(Storage::Lost, async |engine: Nats| {
        for history in [0, 100] {
            let (mut outbound, mut inbound) = engine.backplane(history).connect().await.unwrap();
            inbound.subscribe(&pattern("a/#"), None).await.unwrap();
            outbound.publish(&publications("a/1", 1..=50)).await.unwrap();
            // What came before is still in the first subscription when this one is made.
            inbound.subscribe(&pattern("a/1"), None).await.unwrap();
            outbound.publish(&publications("a/1", 51..=60)).await.unwrap();
            let numbers = arrived_numbers(&mut inbound, 70).await;
            let mut seen = 0;
            for number in numbers {
                assert!(number <= seen + 1, "{number} after {seen}");
                seen = seen.max(number);
            }
            assert_eq!(seen, 60);
            inbound.unsubscribe(&pattern("a/#")).await.unwrap();
            outbound.publish(&[publication("a/1", 61), publication("a/2", 62), publication("a/1", 63)]).await.unwrap();
            assert_eq!(arrived_numbers(&mut inbound, 2).await, [61, 63]);
        }
    });
}

#[test]
fn node_that_does_not_take_what_comes_loses_its_connection_and_nothing_else() {
    with(Storage::Lost, async |engine: Nats| {
        let slow = engine.with(|config| (config.history, config.inbox) = (5000, 1));
        let (mut outbound, _kept) = engine.backplane(5000).connect().await.unwrap();
        let (_outbound, mut inbound) = slow.connect().await.unwrap();
        let start = inbound.subscribe(&pattern("t"), None).await.unwrap();
        inbound.subscribe(&pattern("p/#"), None).await.unwrap();
        for first in (1..=3000).step_by(500) {
            outbound.publish(&publications("t", first..=first + 499)).await.unwrap();
            outbound.publish(&publications("p/1", first + 3000..=first + 3499)).await.unwrap();
        }
        let (mut last, mut next) = (start, [1, 3001]);
        let error = loop {
            match inbound.receive().await {
                Ok(Arrival::Message(arrived)) => {
                    let of_p = usize::from(&*arrived.publication.topic == "p/1");
                    assert_eq!(arrived.publication.origin.number, next[of_p]);
                    next[of_p] += 1;
                    last = if of_p == 0 { arrived.position } else { last };
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("slow"), "{error}");
        drop(inbound);
        let (_outbound, mut inbound) = slow.connect().await.unwrap();
        inbound.subscribe(&pattern("t"), last).await.unwrap();
        inbound.subscribe(&pattern("p/#"), None).await.unwrap();
        while next != [3001, 6001] {
            let number = arrived_numbers(&mut inbound, 1).await[0];
            let of_p = usize::from(number > 3000);
            assert!((1..=next[of_p]).contains(&number), "{number} comes before {}", next[of_p]);
            next[of_p] = next[of_p].max(number + 1);
        }
    });
}

#[test]
fn address_that_is_none_is_refused_and_one_without_a_server_cannot_be_connected_to() {
    assert!(NatsBackplane::open("nats://user@ /", NatsConfig::default()).is_err());
    for prefix in ["", "a.b", "a b", "*", "ü"] {
        let mut config = NatsConfig::default();
        config.prefix = prefix.to_owned();
        assert!(NatsBackplane::open("nats://127.0.0.1", config).is_err(), "{prefix}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("nats://secret@{}", listener.local_addr().unwrap());
    drop(listener);
    let nowhere = NatsBackplane::open(&address, NatsConfig::default()).unwrap();
    assert!(!format!("{nowhere:?}").contains("secret"), "an address may hold a password");
    run(async { assert!(nowhere.connect().await.is_err()) });
}
