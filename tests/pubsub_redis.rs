//! Hubs joined by a real Redis, which each test starts for itself on a socket in a directory of its own.
#![cfg(unix)]

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

#[path = "pubsub_support/engines.rs"]
mod engines;

#[path = "pubsub_support/stories.rs"]
mod stories;

use core::time::Duration;

use engines::{
    Engine, Node, Output, Server, Storage, arrived_numbers, copy_directory, meet, pattern, publication, publications,
    run, texts, with,
};
use sockeye::pubsub::{Backplane, Bounds, Inbound, Outbound, Pattern, Position, RedisBackplane, RedisConfig};
use stories::Fate;

struct Redis {
    server: Server,
    address: String,
}

impl Engine for Redis {
    type Backplane = RedisBackplane;

    fn prepare(storage: Storage) -> Option<Self> {
        let mut server = Server::prepare("redis-server", Output::Stdout, "eady to accept connections")?;
        let socket = server.directory.join("socket");
        let append = if storage == Storage::Kept { "yes" } else { "no" };
        let socket = socket.to_str().unwrap();
        server.arguments(["--port", "0", "--unixsocket", socket, "--save", ""]);
        server.arguments(["--appendonly", append, "--appendfsync", "always"]);
        Some(Self { address: format!("redis+unix://{socket}"), server })
    }

    fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    async fn wipe(&self) {
        let _: () = redis::cmd("FLUSHALL").exec_async(&mut self.client().await).await.unwrap();
    }

    fn backplane(&self, history: usize) -> RedisBackplane {
        self.with(|config| config.history = history)
    }
}

impl Redis {
    fn with(&self, change: impl FnOnce(&mut RedisConfig)) -> RedisBackplane {
        let mut config = RedisConfig::default();
        config.prefix = "test*:".to_owned();
        change(&mut config);
        RedisBackplane::open(&self.address, config).unwrap()
    }

    async fn client(&self) -> redis::aio::MultiplexedConnection {
        let mut client = redis::Client::open(&*self.address).unwrap().get_multiplexed_async_connection().await.unwrap();
        // Half a second by default: a server that writes to its disk while all else runs may take longer.
        client.set_response_timeout(Duration::from_secs(20));
        client
    }
}

#[test]
fn publish_on_any_node_reaches_the_subscribers_of_all_once() {
    with(Storage::Lost, |engine: Redis| stories::all_nodes_are_one_system(engine, 0));
    with(Storage::Lost, |engine: Redis| stories::all_nodes_are_one_system(engine, 100));
}

#[test]
fn node_is_sent_only_what_somebody_there_has_subscribed_to_and_presence_is_its_own() {
    with(Storage::Lost, |engine: Redis| stories::each_node_has_only_what_it_wants(engine, 0));
    with(Storage::Lost, |engine: Redis| stories::each_node_has_only_what_it_wants(engine, 100));
}

#[test]
fn stream_of_messages_survives_a_server_that_is_killed_and_keeps_its_data() {
    with(Storage::Kept, |engine: Redis| stories::stream_of_messages_survives_an_engine_that_is_killed(engine));
}

#[test]
fn server_that_is_killed_again_and_again_under_load_costs_nothing_or_a_gap() {
    let story = stories::engine_that_is_away_again_and_again;
    with(Storage::Kept, |engine: Redis| story(engine, 5000, Fate::Killed));
    with(Storage::Kept, |engine: Redis| story(engine, 0, Fate::Killed));
}

#[test]
fn server_that_hangs_again_and_again_under_load_costs_nothing_or_a_gap() {
    let story = stories::engine_that_is_away_again_and_again;
    with(Storage::Kept, |engine: Redis| story(engine, 5000, Fate::Hangs));
    with(Storage::Kept, |engine: Redis| story(engine, 0, Fate::Hangs));
}

#[test]
fn server_that_is_wiped_again_and_again_under_load_costs_a_gap_and_nothing_comes_twice() {
    with(Storage::Kept, |engine: Redis| stories::engine_that_is_away_again_and_again(engine, 5000, Fate::Wiped));
}

#[test]
fn server_that_is_killed_is_a_gap_where_nothing_is_kept() {
    with(Storage::Lost, |engine: Redis| stories::engine_that_is_killed_is_a_gap_where_nothing_is_kept(engine, 0));
    with(Storage::Lost, |engine: Redis| stories::engine_that_is_killed_is_a_gap_where_nothing_is_kept(engine, 100));
}

#[test]
fn client_that_comes_back_gets_what_it_missed_or_is_told_if_the_server_has_forgotten() {
    with(Storage::Lost, |engine: Redis| stories::client_that_comes_back_gets_what_it_missed_or_is_told(engine));
}

#[test]
fn server_that_counts_on_while_it_is_looked_at_has_not_begun_anew() {
    let story = stories::engine_that_counts_on_while_it_is_looked_at_has_not_begun_anew;
    with(Storage::Lost, |engine: Redis| story(engine));
}

#[test]
fn server_that_is_away_at_start_is_waited_for() {
    for history in [0, 100] {
        let Some(engine) = Redis::prepare(Storage::Lost) else { return };
        run(stories::engine_that_is_away_at_start_is_waited_for(engine, history));
    }
}

#[test]
fn connection_catches_up_with_names_and_patterns() {
    with(Storage::Lost, |engine: Redis| stories::connection_catches_up(engine));
}

#[test]
fn history_is_whole_or_says_so() {
    with(Storage::Lost, |engine: Redis| stories::history_is_whole_or_says_so(engine, 110));
    // A hub whose history has no bound asks so, and a client may say any position.
    with(Storage::Lost, async |engine: Redis| {
        let (mut outbound, mut inbound) = engine.backplane(10).connect().await.unwrap();
        let start = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        outbound.publish(&publications("t", 1..=3)).await.unwrap();
        assert_eq!(outbound.history("t", start, usize::MAX).await.unwrap().messages.len(), 3);
        let beyond = Position { sequence: u64::MAX, ..start };
        assert!(!outbound.history("t", beyond, usize::MAX).await.unwrap().is_complete);
    });
}

#[test]
fn server_that_lost_everything_begins_a_new_epoch_and_one_that_lost_nothing_does_not() {
    with(Storage::Kept, async |mut engine: Redis| {
        let backplane = engine.backplane(100);
        let subscribe = async |after: Option<Position>| {
            let (outbound, mut inbound) = backplane.connect().await.unwrap();
            let newest = inbound.subscribe(&pattern("t"), after).await.unwrap().unwrap();
            (outbound, inbound, newest)
        };
        let (mut outbound, inbound, before) = subscribe(None).await;
        drop(inbound);
        outbound.publish(&[publication("t", 1)]).await.unwrap();
        engine.server().kill();
        engine.server().start();
        let (_, mut inbound, newest) = subscribe(Some(before)).await;
        assert_eq!(newest.epoch, before.epoch);
        assert_eq!(arrived_numbers(&mut inbound, 1).await, [1]);
        engine.server().kill();
        std::fs::remove_dir_all(engine.server().directory.join("appendonlydir")).unwrap();
        engine.server().start();
        let (mut outbound, mut inbound, anew) = subscribe(Some(newest)).await;
        assert!(anew.epoch != newest.epoch && anew.sequence > newest.sequence);
        outbound.publish(&[publication("t", 2)]).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 2).await, [0, 2]);
    });
}

#[test]
fn node_that_comes_late_sees_that_messages_it_knows_of_were_lost() {
    with(Storage::Kept, async |mut engine: Redis| {
        let [early, late] = [engine.backplane(100), engine.backplane(100)];
        let (mut outbound, _inbound) = early.connect().await.unwrap();
        outbound.publish(&publications("t", 1..=3)).await.unwrap();
        let log = engine.server().directory.join("appendonlydir");
        let copy = engine.server().directory.join("copy");
        copy_directory(&log, &copy);
        let (mut outbound, mut inbound) = late.connect().await.unwrap();
        let known = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        outbound.publish(&[publication("t", 4)]).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 1).await, [4]);
        engine.server().kill();
        std::fs::remove_dir_all(&log).unwrap();
        std::fs::rename(&copy, &log).unwrap();
        engine.server().start();
        // Who had heard only of what is still there goes on.
        let early = engine.backplane(100);
        let (mut outbound, mut inbound) = early.connect().await.unwrap();
        let newest = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        assert_eq!(newest, known);
        outbound.publish(&publications("t", 5..=9)).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 5).await, [5, 6, 7, 8, 9]);
        // Who had heard of the fourth makes all begin anew.
        let (_, mut inbound_late) = late.connect().await.unwrap();
        let anew = inbound_late.subscribe(&pattern("t"), Some(known)).await.unwrap().unwrap();
        assert_ne!(anew.epoch, known.epoch);
        assert_eq!(arrived_numbers(&mut inbound_late, 9).await, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
        assert!(outbound.publish(&[publication("t", 10)]).await.is_err());
    });
}

#[test]
fn server_that_takes_nothing_for_a_while_gets_it_later_and_each_node_goes_on() {
    type Settings = [&'static [&'static str]; 2];
    let full: Settings = [&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]];
    let replica: Settings = [&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]];
    for [trouble, over] in [full, replica] {
        with(Storage::Kept, async |engine: Redis| {
            let mut client = engine.client().await;
            let mut set = async |words: &[&str]| {
                let mut command = redis::cmd(words[0]);
                command.arg(&words[1..]).exec_async(&mut client).await.unwrap();
            };
            let [a, b] = [Node::new(&engine, 100).await, Node::new(&engine, 100).await];
            let mut clients = [a.client("t"), b.client("t"), b.client("#")];
            for client in &mut clients {
                meet(&a, "t", client).await;
            }
            set(trouble).await;
            a.publish("t", 0..3);
            assert_eq!(texts(&mut clients[0], 3).await, ["0", "1", "2"], "{trouble:?}");
            let connects = a.connects();
            engines::until(|| a.connects() > connects + 2 || !a.is_up()).await;
            a.publish("t", 3..5);
            assert_eq!(texts(&mut clients[0], 2).await, ["3", "4"], "{trouble:?}");
            set(over).await;
            a.publish("t", 5..6);
            assert_eq!(texts(&mut clients[0], 1).await, ["5"]);
            for client in &mut clients[1..] {
                assert_eq!(texts(client, 6).await, ["0", "1", "2", "3", "4", "5"], "{trouble:?}");
            }
        });
    }
}

#[test]
fn server_without_memory_keeps_what_it_has_and_says_so() {
    with(Storage::Lost, async |engine: Redis| {
        let (mut outbound, mut inbound) = engine.backplane(100).connect().await.unwrap();
        let start = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        outbound.publish(&publications("t", 1..=3)).await.unwrap();
        let mut client = engine.client().await;
        let mut limit = async |bytes: u32| {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut client).await.unwrap();
        };
        limit(1).await;
        let error = outbound.publish(&publications("t", 4..=5)).await.unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
        limit(0).await;
        outbound.publish(&publications("t", 4..=5)).await.unwrap();
        let history = outbound.history("t", start, 100).await.unwrap();
        assert_eq!((history.messages.len(), history.is_complete), (5, true));
        assert_eq!(arrived_numbers(&mut inbound, 5).await, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn stream_that_was_trimmed_or_deleted_is_a_gap_for_who_missed_something() {
    for command in [&["XTRIM", "test*:t:t", "MAXLEN", "2"][..], &["DEL", "test*:t:t"]] {
        with(Storage::Lost, async |engine: Redis| {
            let backplane = engine.backplane(100);
            let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
            for text in ["t", "+"] {
                inbound.subscribe(&pattern(text), None).await.unwrap();
            }
            outbound.publish(&publications("t", 1..=3)).await.unwrap();
            let first = engines::arrivals(&mut inbound, 1).await[0].1.unwrap();
            drop(inbound);
            outbound.publish(&publications("t", 4..=8)).await.unwrap();
            let mut trim = redis::cmd(command[0]);
            trim.arg(&command[1..]).exec_async(&mut engine.client().await).await.unwrap();
            let left: Vec<u64> = if command[0] == "DEL" { vec![] } else { vec![7, 8] };
            let history = outbound.history("t", first, 100).await.unwrap();
            assert_eq!((history.messages.len(), history.is_complete), (left.len(), false));
            // What its last message was is known all the same, and who has that misses nothing.
            let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
            let newest = inbound.subscribe(&pattern("t"), Some(first)).await.unwrap().unwrap();
            assert!(outbound.history("t", newest, 100).await.unwrap().is_complete);
            outbound.publish(&publications("t", 9..=9)).await.unwrap();
            let expected = [vec![0], left, vec![9]].concat();
            assert_eq!(arrived_numbers(&mut inbound, expected.len()).await, expected, "{command:?}");
        });
    }
}

#[test]
fn server_that_forgets_scripts_or_hangs_up_loses_nothing() {
    with(Storage::Lost, async |engine: Redis| {
        let [a, b] = [Node::new(&engine, 100).await, Node::new(&engine, 100).await];
        let mut clients = [a.client("t"), b.client("t")];
        for client in &mut clients {
            meet(&a, "t", client).await;
        }
        let mut client = engine.client().await;
        for (round, words) in [["SCRIPT", "FLUSH"], ["CLIENT", "KILL"]].into_iter().enumerate() {
            let round = u32::try_from(round).unwrap() * 10;
            a.publish("t", round..round + 5);
            let mut command = redis::cmd(words[0]);
            command.arg(words[1]);
            if words[1] == "KILL" {
                command.arg("TYPE").arg("pubsub").arg("SKIPME").arg("yes");
            }
            command.exec_async(&mut client).await.unwrap();
            a.publish("t", round + 5..round + 10);
        }
        for client in &mut clients {
            assert_eq!(texts(client, 20).await, pubsub_support::numbers(0..20));
        }
    });
}

#[test]
fn topics_beyond_the_limit_are_forgotten_and_who_comes_back_to_one_is_told() {
    with(Storage::Lost, async |engine: Redis| {
        let backplane = engine.with(|config| (config.history, config.max_topics) = (10, 3));
        let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
        let start = inbound.subscribe(&pattern("a"), None).await.unwrap().unwrap();
        let batch: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().zip(1..).map(|(t, n)| publication(t, n)).collect();
        outbound.publish(&batch).await.unwrap();
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("test[*]:t:*").query_async(&mut engine.client().await).await.unwrap();
        assert_eq!(keys.len(), 3, "{keys:?}");
        let history = outbound.history("a", start, 10).await.unwrap();
        assert_eq!((history.messages.len(), history.is_complete), (0, false));
        assert!(outbound.history("e", start, 10).await.unwrap().messages.len() == 1);
    });
}

#[test]
fn what_others_publish_on_our_channels_is_ignored() {
    with(Storage::Lost, async |engine: Redis| {
        for history in [0, 10] {
            let backplane = engine.backplane(history);
            let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
            inbound.subscribe(&pattern("t"), None).await.unwrap();
            inbound.subscribe(&pattern("#"), None).await.unwrap();
            let mut client = engine.client().await;
            let wrong: [(&[u8], &[u8]); 8] = [
                (b"test*:c:t", b""),
                (b"test*:c:t", b"hello"),
                (b"test*:c:t", b"f-1 hello"),
                (b"test*:c:t", b"ffffffffffffffff-18446744073709551615 "),
                (b"test*:c:t", &[0xff; 5000]),
                (b"test*:c:\xff", b"f-1 x"),
                (b"test*:c:", b"f-1 x"),
                (b"test*:c:t/#", b"\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            ];
            for (channel, data) in wrong {
                let _: i64 = redis::cmd("PUBLISH").arg(channel).arg(data).query_async(&mut client).await.unwrap();
            }
            outbound.publish(&[publication("t", 1 + history as u64)]).await.unwrap();
            assert_eq!(arrived_numbers(&mut inbound, 1).await, [1 + history as u64], "{history}");
            // Five come by the name and by the pattern, three by the pattern alone.
            assert_eq!(backplane.ignored(), 2 * 5 + 3, "{history}");
        }
        // Nor is an entry of a stream.
        let backplane = engine.backplane(10);
        let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
        let newest = inbound.subscribe(&pattern("u"), None).await.unwrap().unwrap();
        outbound.publish(&[publication("u", 20)]).await.unwrap();
        for fields in [&["d", "x"][..], &["b", "1", "d", "x"], &["d", "1", "b", "2"], &["b", "y", "d", "x"]] {
            let mut add = redis::cmd("XADD");
            let _: String =
                add.arg("test*:t:u").arg("*").arg(fields).query_async(&mut engine.client().await).await.unwrap();
        }
        let history = outbound.history("u", newest, 10).await.unwrap();
        assert_eq!((history.messages.len(), backplane.ignored()), (1, 4));
        // What is not a stream is replaced.
        let _: () = redis::cmd("SET").arg("test*:t:v").arg(1).exec_async(&mut engine.client().await).await.unwrap();
        outbound.publish(&[publication("v", 21)]).await.unwrap();
        assert_eq!(outbound.history("v", newest, 10).await.unwrap().messages.len(), 1);
    });
}

#[test]
fn patterns_that_are_the_same_to_the_server_do_not_take_each_other_away() {
    with(Storage::Lost, async |engine: Redis| {
        let (mut outbound, mut inbound) = engine.backplane(10).connect().await.unwrap();
        for text in ["a/+", "a/#"] {
            inbound.subscribe(&pattern(text), None).await.unwrap();
        }
        inbound.unsubscribe(&pattern("a/+")).await.unwrap();
        outbound.publish(&[publication("a/1", 1), publication("a", 2)]).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 2).await, [1, 2]);
        inbound.unsubscribe(&Pattern::new("a/#").unwrap()).await.unwrap();
        inbound.subscribe(&pattern("b"), None).await.unwrap();
        outbound.publish(&[publication("a/1", 3), publication("b", 4)]).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 1).await, [4]);
    });
}

#[test]
fn node_that_does_not_take_what_comes_loses_its_connection_and_nothing_else() {
    with(Storage::Lost, async |engine: Redis| {
        let slow = engine.with(|config| {
            config.history = 100;
            config.inbox = Bounds { messages: 5, bytes: 1000 };
        });
        let (mut outbound, mut inbound) = slow.connect().await.unwrap();
        let newest = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
        outbound.publish(&publications("t", 1..=20)).await.unwrap();
        // The answer to this comes behind all of them.
        outbound.history("t", newest, 1).await.unwrap();
        let mut last = None;
        let error = loop {
            match inbound.receive().await {
                Ok(sockeye::pubsub::Arrival::Message(arrived)) => last = arrived.position,
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("lost"), "{error}");
        let (_, mut inbound) = slow.connect().await.unwrap();
        inbound.subscribe(&pattern("t"), last).await.unwrap();
        assert_eq!(arrived_numbers(&mut inbound, 15).await, (6..=20).collect::<Vec<_>>());
    });
}

#[test]
fn address_that_is_none_is_refused_and_one_without_a_server_cannot_be_connected_to() {
    assert!(RedisBackplane::open("http://example/", RedisConfig::default()).is_err());
    let nowhere = RedisBackplane::open("redis+unix:///nowhere/socket", RedisConfig::default()).unwrap();
    assert!(!format!("{nowhere:?}").contains("nowhere"), "an address may hold a password");
    run(async { assert!(nowhere.connect().await.is_err()) });
}
