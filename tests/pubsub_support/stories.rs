//! The stories that must be true of every engine.
#![allow(unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::time::Duration;

use bytes::Bytes;
use sockeye::Message;
use sockeye::pubsub::{Backplane, Event, Inbound, Numbering, Outbound, Position, Reach, Subscription};

use crate::engines::{
    Engine, Node, arrivals, arrived_numbers, gap, meet, pattern, publication, publications, receive, texts, until,
};
use crate::pubsub_support::numbers;
use crate::support::BINARY;

/// Publish on any node reaches all, once: names, patterns, text and bytes.
pub async fn all_nodes_are_one_system(engine: impl Engine, history: usize) {
    let [a, b] = [Node::new(&engine, history).await, Node::new(&engine, history).await];
    let names = ["room/1", "room", "a b/c.d/*/>", "%/$x/-", "/", "//x", "ü/\u{1f41f}/[^?]\\"];
    let mut on_b = names.map(|name| b.client(name));
    let mut all = b.client("#");
    let mut below = b.client("room/#");
    let mut one = b.client("room/+");
    for (name, client) in names.iter().zip(&mut on_b) {
        meet(&a, name, client).await;
    }
    for client in [&mut all, &mut below, &mut one] {
        meet(&a, "room/9", client).await;
    }
    for (name, client) in names.iter().zip(&mut on_b) {
        assert_eq!(a.hub.publish(name, *name).unwrap().reach, Reach::AllNodes);
        assert_eq!(texts(client, 1).await, [*name]);
    }
    assert_eq!(texts(&mut all, names.len()).await, names);
    assert_eq!(texts(&mut below, 2).await, ["room/1", "room"]);
    assert_eq!(texts(&mut one, 1).await, ["room/1"]);
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    a.hub.publish("room/1", Message::Binary(bytes.clone())).unwrap();
    a.publish("room/1", 0..1);
    assert_eq!(texts(&mut on_b[0], 1).await, ["0"]);
    assert!(on_b[0].stream.frames().contains(&(BINARY, bytes.to_vec())));
}

/// A message goes to other nodes only as long as somebody there has subscribed, and presence does not leave the node.
pub async fn each_node_has_only_what_it_wants(engine: impl Engine, history: usize) {
    let [a, b] = [Node::new(&engine, history).await, Node::new(&engine, history).await];
    let [mut on_t, mut on_u] = [b.client("t"), b.client("u")];
    meet(&a, "t", &mut on_t).await;
    assert_eq!((a.hub.present("t").len(), b.hub.present("t").len()), (0, 1));
    on_t.member.unsubscribe("t").unwrap();
    // Whatever is published now is of no topic that `b` knows: it would make one for a pattern.
    meet(&a, "u", &mut on_u).await;
    let topics = b.hub.stats().topics;
    a.publish("t", 0..10);
    meet(&a, "u", &mut on_u).await;
    assert_eq!((b.hub.stats().topics, topics), (1, 1));
}

/// The engine is killed while both nodes publish, and comes back with all that it had: everybody gets everything, once and in order.
pub async fn stream_of_messages_survives_an_engine_that_is_killed(mut engine: impl Engine) {
    let [a, b] = [Node::new(&engine, 1000).await, Node::new(&engine, 1000).await];
    let mut clients = [a.client("t"), b.client("t"), b.client("t")];
    let mut of_pattern = b.client("#");
    for client in &mut clients {
        meet(&a, "t", client).await;
    }
    let [connects_a, connects_b] = [a.connects(), b.connects()];
    for number in 0..300 {
        a.publish("t", number..number + 1);
        b.publish("t", 1000 + number..1001 + number);
        match number {
            100 => engine.server().kill(),
            200 => engine.server().start(),
            _ => tokio::task::yield_now().await,
        }
    }
    until(|| a.connects() > connects_a && b.connects() > connects_b && a.is_up() && b.is_up()).await;
    a.publish("t", 300..301);
    b.publish("t", 1300..1301);
    for client in clients.iter_mut().chain([&mut of_pattern]) {
        let (mut texts, events) = receive(client, 1).await;
        while !["300", "1300"].iter().all(|last| texts.iter().any(|text| text == last)) {
            texts.extend(receive(client, 1).await.0);
        }
        assert!(!events.iter().any(|event| matches!(event, Event::Gap { .. })), "{events:?}");
        let (of_b, of_a): (Vec<_>, Vec<_>) = texts.into_iter().partition(|text| text.parse::<u32>().unwrap() >= 1000);
        assert_eq!((of_a, of_b), (numbers(0..301), numbers(1000..1301)));
    }
}

/// What becomes of an engine under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is killed, and started again.
    Killed,
    /// It hangs, and goes on where it was.
    Hangs,
    /// It loses what it keeps, while it runs.
    Wiped,
}

/// What a client has got of one node's numbers.
#[derive(Debug, Default)]
struct Got {
    numbers: Vec<u32>,
    gaps: usize,
}

/// The engine is away again and again while both nodes publish. With history nobody notices; without it nobody gets anything twice
/// or in another order, all get what their own node has published, and who misses something is told.
pub async fn engine_that_is_away_again_and_again(mut engine: impl Engine, history: usize, fate: Fate) {
    let [a, b] = [(); 2].map(|()| Node::with(engine.backplane(history), Duration::from_millis(300)));
    until(|| a.is_up() && b.is_up()).await;
    let mut clients = [(0, a.client("t")), (1, b.client("t")), (0, a.client("#")), (1, b.client("+"))];
    for (_, client) in &mut clients {
        meet(&a, "t", client).await;
    }
    let mut got: [[Got; 2]; 4] = Default::default();
    let mut number = 0;
    let mut drain = async |got: &mut [[Got; 2]; 4]| {
        for ((_, client), got) in clients.iter_mut().zip(got) {
            let (texts, events) = receive(client, 0).await;
            for text in texts {
                let text: u32 = text.parse().unwrap();
                got[usize::from(text >= OF_B)].numbers.push(text % OF_B);
            }
            got.iter_mut().for_each(|got| got.gaps += events.len());
        }
    };
    for _ in 0..3 {
        let connects = [a.connects(), b.connects()];
        for step in 0..300 {
            a.publish("t", number..number + 1);
            b.publish("t", OF_B + number..OF_B + number + 1);
            number += 1;
            match (step, fate) {
                (100, Fate::Killed) => engine.server().kill(),
                (200, Fate::Killed) => engine.server().start(),
                (100, Fate::Wiped) => engine.wipe().await,
                (100, Fate::Hangs) => engine.server().pause(),
                // Until both have given up, so that what it has in its hands was published again.
                (200, Fate::Hangs) => {
                    until(|| !a.is_up() && !b.is_up()).await;
                    engine.server().go_on();
                }
                _ => tokio::task::yield_now().await,
            }
            if step % 10 == 0 {
                drain(&mut got).await;
            }
        }
        until(|| a.connects() > connects[0] && b.connects() > connects[1] && a.is_up() && b.is_up()).await;
        drain(&mut got).await;
    }
    // From now on all of it comes, once both have subscribed again.
    let last = number;
    while !got.iter().flatten().all(|got| got.numbers.last().is_some_and(|got| *got >= last)) {
        a.publish("t", number..number + 1);
        b.publish("t", OF_B + number..OF_B + number + 1);
        number += 1;
        tokio::task::yield_now().await;
        drain(&mut got).await;
    }
    for ((node, _), got) in clients.iter().zip(&got) {
        for (of, Got { numbers, gaps }) in got.iter().enumerate() {
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "twice or out of order: {numbers:?}");
            let is_whole = numbers.iter().copied().eq(0..=*numbers.last().unwrap());
            let is_kept = history > 0 && fate != Fate::Wiped;
            let must_be_whole = is_kept || (history == 0 && *node == of) || *gaps == 0;
            assert!(is_whole || !must_be_whole, "at {node}, of {of}, {gaps} gaps: {numbers:?}");
            assert!(!is_kept || *gaps == 0, "at {node}, of {of}: {gaps} gaps");
        }
    }
}

/// What the numbers of the second node begin with.
const OF_B: u32 = 1_000_000;

/// The same where nothing is kept: nobody gets anything twice, and whoever may have missed something is told.
pub async fn engine_that_is_killed_is_a_gap_where_nothing_is_kept(mut engine: impl Engine, history: usize) {
    let [a, b] = [Node::new(&engine, history).await, Node::new(&engine, history).await];
    let mut clients = [a.client("t"), b.client("t")];
    let mut of_pattern = a.client("#");
    for client in clients.iter_mut().chain([&mut of_pattern]) {
        meet(&a, "t", client).await;
    }
    let connects = b.connects();
    a.publish("t", 0..5);
    for client in &mut clients {
        assert_eq!(texts(client, 5).await, numbers(0..5));
    }
    engine.server().kill();
    until(|| !a.is_up() && !b.is_up()).await;
    assert!(a.hub.bridge_status().unwrap().last_error.is_some());
    // Here it goes on.
    a.publish("t", 5..8);
    assert_eq!(texts(&mut clients[0], 3).await, numbers(5..8));
    // Those, and what the engine had not confirmed yet.
    assert!(a.hub.bridge_status().unwrap().queued >= 3);
    engine.server().start();
    until(|| a.is_up() && b.connects() > connects && b.is_up()).await;
    // The other node is connected, but may not have subscribed yet.
    until(|| b.hub.bridge_status().unwrap().is_up).await;
    a.publish("t", 8..9);
    let (texts_a, events_a) = receive(&mut clients[0], 1).await;
    assert_eq!((texts_a, events_a), (numbers(8..9), vec![gap("t")]));
    assert_eq!(receive(&mut of_pattern, 9).await, (numbers(0..9), vec![gap("t")]));
    // What was published before the other node was there again may be lost to it, which is what a gap says.
    let (mut texts_b, events_b) = receive(&mut clients[1], 1).await;
    while texts_b.last().map(String::as_str) != Some("8") {
        texts_b.extend(receive(&mut clients[1], 1).await.0);
    }
    assert_eq!(events_b, [gap("t")]);
    let mut rising: Vec<u32> = texts_b.iter().map(|text| text.parse().unwrap()).collect();
    rising.dedup();
    assert!(rising.is_sorted() && rising[0] >= 5, "{rising:?}");
}

/// A client that comes back to another node gets what it missed; one that comes back after the engine has lost its memory is told.
pub async fn client_that_comes_back_gets_what_it_missed_or_is_told(mut engine: impl Engine) {
    let [a, b] = [Node::new(&engine, 100).await, Node::new(&engine, 100).await];
    let mut client = a.client("t");
    a.publish("t", 0..10);
    assert_eq!(texts(&mut client, 10).await, numbers(0..10));
    let last_seen = client.member.position("t").unwrap();
    drop(client);
    b.publish("t", 10..30);
    let mut client = b.client(Subscription::to("t").since(last_seen));
    assert_eq!(texts(&mut client, 20).await, numbers(10..30));
    assert_eq!(client.member.position("t").unwrap().epoch, last_seen.epoch);
    let unknown = Position { epoch: last_seen.epoch ^ 1, ..last_seen };
    let mut liar = b.client(Subscription::to("t").since(unknown));
    let (_, events) = receive(&mut liar, 30).await;
    assert_eq!(events, [gap("t")]);
    // A topic that never had a message has a place, too.
    let mut quiet = a.client("quiet");
    let start = loop {
        let position = quiet.member.position("quiet").unwrap();
        if position.epoch == last_seen.epoch {
            break position;
        }
        tokio::task::yield_now().await;
    };
    b.publish("t", 30..31);
    b.publish("quiet", 0..2);
    assert_eq!(texts(&mut quiet, 2).await, numbers(0..2));
    let mut quiet = b.client(Subscription::to("quiet").since(start));
    assert_eq!(texts(&mut quiet, 2).await, numbers(0..2));
    // The engine loses its memory.
    let connects = [a.connects(), b.connects()];
    let last_seen = client.member.position("t").unwrap();
    engine.server().kill();
    until(|| !a.is_up() && !b.is_up()).await;
    engine.server().start();
    until(|| a.connects() > connects[0] && b.connects() > connects[1]).await;
    let [mut on_a, mut on_b] = [&a, &b].map(|node| node.client(Subscription::to("t").since(last_seen)));
    let (mut seen_a, mut seen_b) = (Vec::new(), Vec::new());
    until(|| {
        seen_a.extend(on_a.run());
        seen_b.extend(on_b.run());
        !seen_a.is_empty() && (!seen_b.is_empty() || on_b.member.position("t").is_some_and(|at| at == last_seen))
    })
    .await;
    assert_eq!(seen_a, [gap("t")]);
}

/// Nodes work by themselves until the engine is there, and then what they had comes to all.
pub async fn engine_that_is_away_at_start_is_waited_for(mut engine: impl Engine, history: usize) {
    let [a, b] = [Node::start(&engine, history), Node::start(&engine, history)];
    let mut clients = [a.client("t"), b.client("t")];
    a.publish("t", 0..3);
    assert_eq!(texts(&mut clients[0], 3).await, numbers(0..3));
    until(|| a.hub.bridge_status().unwrap().last_error.is_some()).await;
    assert!(!a.is_up() && a.hub.bridge_status().unwrap().queued == 3);
    engine.server().start();
    until(|| a.is_up() && b.is_up() && a.hub.bridge_status().unwrap().queued == 0).await;
    meet(&a, "t", &mut clients[1]).await;
    a.publish("t", 3..5);
    assert_eq!(texts(&mut clients[1], 2).await, numbers(3..5));
    assert_eq!(texts(&mut clients[0], 2).await, numbers(3..5));
}

/// What a connection that is gone had not heard comes on the next one, page by page and once, whatever comes meanwhile.
pub async fn connection_catches_up(engine: impl Engine) {
    let backplane = engine.backplane(1000);
    assert_eq!(backplane.numbering(), Numbering::Engine);
    let (mut other, _kept) = engine.backplane(1000).connect().await.unwrap();
    let (_, mut inbound) = backplane.connect().await.unwrap();
    let newest = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
    inbound.subscribe(&pattern("p/#"), None).await.unwrap();
    let mixed = |first: u64| [publication("t", first), publication("p", first + 1), publication("p/1/x", first + 2)];
    other.publish(&mixed(1)).await.unwrap();
    let mut got = arrivals(&mut inbound, 3).await;
    // Only within a topic is there an order.
    got.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(got.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    let last = got[0].1.unwrap();
    assert!(last.epoch == newest.epoch && last.sequence > newest.sequence, "{last:?} {newest:?}");
    drop(inbound);
    for first in (4..=304).step_by(3) {
        other.publish(&mixed(first)).await.unwrap();
    }
    let (_, mut inbound) = backplane.connect().await.unwrap();
    assert!(inbound.subscribe(&pattern("t"), Some(last)).await.unwrap().unwrap().sequence > last.sequence);
    inbound.subscribe(&pattern("p/#"), None).await.unwrap();
    // One comes meanwhile, of a topic that nobody has heard of, and others of those that are behind.
    other.publish(&mixed(307)).await.unwrap();
    other.publish(&[publication("p/new", 310)]).await.unwrap();
    let mut got = arrived_numbers(&mut inbound, 310 - 3).await;
    for of_topic in 0..3 {
        let of_topic: Vec<_> = got.iter().copied().filter(|number| number % 3 == of_topic && *number < 310).collect();
        assert!(of_topic.is_sorted(), "{of_topic:?}");
    }
    got.sort_unstable();
    assert_eq!(got, (4..=310).collect::<Vec<_>>());
    // Nothing is left over, and who no longer asks gets no more.
    inbound.unsubscribe(&pattern("t")).await.unwrap();
    other.publish(&[publication("t", 311), publication("p", 312)]).await.unwrap();
    assert_eq!(arrived_numbers(&mut inbound, 1).await, [312]);
}

/// One half reads history, and looks at the engine for that, while the other hears of ever newer messages.
pub async fn engine_that_counts_on_while_it_is_looked_at_has_not_begun_anew(engine: impl Engine) {
    let (mut other, _kept) = engine.backplane(1000).connect().await.unwrap();
    let (mut outbound, mut inbound) = engine.backplane(1000).connect().await.unwrap();
    let start = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
    let publish = async {
        for number in 1..=1000 {
            other.publish(&[publication("t", number)]).await.unwrap();
        }
    };
    let look = async {
        for _ in 0..200 {
            outbound.history("t", start, 1).await.unwrap();
        }
    };
    let ((), (), numbers) = tokio::join!(publish, look, arrived_numbers(&mut inbound, 1000));
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
}

/// A batch that is published again is stored once, history is the newest part of what there is, and what is gone is a gap. `most`
/// is what a history of 10 messages may really be.
pub async fn history_is_whole_or_says_so(engine: impl Engine, most: usize) {
    let backplane = engine.backplane(10);
    let (mut outbound, mut inbound) = backplane.connect().await.unwrap();
    let start = inbound.subscribe(&pattern("t"), None).await.unwrap().unwrap();
    outbound.publish(&publications("t", 1..=5)).await.unwrap();
    outbound.publish(&publications("t", 1..=6)).await.unwrap();
    let places: Vec<_> = arrivals(&mut inbound, 6).await;
    assert_eq!(places.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let [second, last] = [1, 5].map(|index| places[index].1.unwrap());
    let epoch = last.epoch ^ 1;
    for (after, limit, expected, is_complete) in [
        (second, 100, 3..7, true),
        (start, 100, 1..7, true),
        (second, 2, 5..7, false),
        (last, 100, 7..7, true),
        (Position { epoch, ..second }, 100, 1..7, false),
        (Position { sequence: u64::MAX, ..second }, 100, 1..7, false),
    ] {
        let expected = (expected.collect(), is_complete);
        assert_eq!(history(&mut outbound, "t", after, limit).await, expected, "{after:?} {limit}");
    }
    assert_eq!(history(&mut outbound, "never", last, 100).await, (vec![], true));
    outbound.publish(&publications("t", 7..=300)).await.unwrap();
    let (numbers, is_complete) = history(&mut outbound, "t", last, 1000).await;
    assert!((10..=most).contains(&numbers.len()) && !is_complete, "{numbers:?}");
    assert_eq!(numbers, (301 - numbers.len() as u64..=300).collect::<Vec<_>>());
    let (_, mut inbound) = backplane.connect().await.unwrap();
    inbound.subscribe(&pattern("t"), Some(last)).await.unwrap();
    assert_eq!(arrived_numbers(&mut inbound, numbers.len() + 1).await, [vec![0], numbers].concat());
}

async fn history(outbound: &mut impl Outbound, topic: &str, after: Position, limit: usize) -> (Vec<u64>, bool) {
    let history = outbound.history(topic, after, limit).await.unwrap();
    (history.messages.iter().map(|arrived| arrived.publication.origin.number).collect(), history.is_complete)
}
