//! What the tests against real engines share: a server that can be killed and started again, nodes, and the stories that must be
//! true of every engine.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::future::{Future, poll_fn};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use sockeye::pubsub::{
    Arrival, Arrived, Backplane, BridgeConfig, Event, Hub, Inbound, Numbering, Origin, Outbound, Pattern, Position,
    Publication, Reach, Subscription,
};
use sockeye::{Message, MessageKind};
use tokio::task::JoinHandle;

use crate::pubsub_support::{Client, hub, messages, numbers};
use crate::support::BINARY;

/// Whether what an engine has stored is there again after it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Kept,
    Lost,
}

/// A server of the test's own.
pub trait Engine: Sized {
    type Backplane: Backplane + Clone;

    /// Prepares one that is not running yet; `None` if it is not installed.
    fn prepare(storage: Storage) -> Option<Self>;
    fn server(&mut self) -> &mut Server;
    /// A node's backplane, with so many messages of history.
    fn backplane(&self, history: usize) -> Self::Backplane;
}

/// A process with a directory of its own, both gone at the end.
pub struct Server {
    program: &'static str,
    arguments: Vec<String>,
    /// What it says when it can be used, and where.
    ready: &'static str,
    says_on: Output,
    pub directory: PathBuf,
    /// What is gone when it is started.
    pub volatile: Option<PathBuf>,
    child: Option<Child>,
}

/// Where a program says what it does.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    Stdout,
    Stderr,
}

impl Server {
    /// `None`, and a line that says so, if there is no such program.
    pub fn prepare(program: &'static str, says_on: Output, ready: &'static str) -> Option<Self> {
        if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            // Not by a macro: what those write, the test harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {program} is not installed");
            return None;
        }
        let directory = std::env::temp_dir().join(format!("sockeye-{program}-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        Some(Self { program, arguments: Vec::new(), ready, says_on, directory, volatile: None, child: None })
    }

    pub fn arguments(&mut self, arguments: impl IntoIterator<Item = impl Into<String>>) {
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }

    /// Starts it, and waits until it is ready.
    pub fn start(&mut self) {
        if let Some(volatile) = self.volatile.as_ref().filter(|volatile| volatile.exists()) {
            std::fs::remove_dir_all(volatile).unwrap();
        }
        let mut command = Command::new(self.program);
        command.args(&self.arguments).current_dir(&self.directory).stdin(Stdio::null());
        let (stdout, stderr) = match self.says_on {
            Output::Stdout => (Stdio::piped(), Stdio::null()),
            Output::Stderr => (Stdio::null(), Stdio::piped()),
        };
        let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        let output: Box<dyn Read + Send> = match self.says_on {
            Output::Stdout => Box::new(child.stdout.take().unwrap()),
            Output::Stderr => Box::new(child.stderr.take().unwrap()),
        };
        self.child = Some(child);
        let mut output = BufReader::new(output);
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains(self.ready) {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "{} ended: {all}", self.program);
            all.push_str(&line);
        }
        // What it says from now on nobody reads, but it must not be stopped by that.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    }

    /// Kills it: it can do nothing about it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Runs a story with an engine that is running, if it is installed.
pub fn with<E: Engine, F: Future<Output = ()>>(storage: Storage, story: impl FnOnce(E) -> F) {
    let Some(mut engine) = E::prepare(storage) else { return };
    engine.server().start();
    run(story(engine));
}

/// Runs a story on real time, with an end.
pub fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(soon(story));
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it never ends")
}

/// Waits for what nobody tells of.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

/// A node: a hub and the task that joins it to the others.
pub struct Node {
    pub hub: Hub,
    bridge: JoinHandle<()>,
}

impl Node {
    /// One that is connected.
    pub async fn new(engine: &impl Engine, history: usize) -> Self {
        let node = Self::start(engine, history);
        until(|| node.is_up()).await;
        node
    }

    /// One that tries to connect.
    pub fn start(engine: &impl Engine, history: usize) -> Self {
        let hub = hub(|config| config.lag = messages(10_000));
        let mut config = BridgeConfig::default();
        config.backoff = Duration::from_millis(1);
        config.max_backoff = Duration::from_millis(20);
        let bridge = tokio::spawn(hub.bridge(engine.backplane(history), config).run());
        Self { hub, bridge }
    }

    pub fn is_up(&self) -> bool {
        self.hub.bridge_status().unwrap().is_up
    }

    pub fn connects(&self) -> u64 {
        self.hub.bridge_status().unwrap().connects
    }

    /// A client that is subscribed to here; there is no telling when the engine knows.
    pub fn client(&self, subscription: impl Into<Subscription>) -> Client {
        let mut client = Client::joining(&self.hub, ());
        client.member.subscribe(subscription).unwrap();
        client
    }

    pub fn publish(&self, topic: &str, range: std::ops::Range<u32>) {
        for number in range {
            self.hub.publish(topic, number.to_string()).unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.bridge.abort();
    }
}

/// Runs a client's task until the client has got so many texts: those, and what the task was told.
pub async fn receive(client: &mut Client, count: usize) -> (Vec<String>, Vec<Event>) {
    let (mut texts, mut events) = (Vec::new(), Vec::new());
    let received = poll_fn(|cx| {
        while let Poll::Ready(event) = client.member.poll_next(cx) {
            events.push(event.unwrap().expect("the client has not closed"));
        }
        texts.extend(client.new_texts().into_iter().filter(|text| text != MEETING));
        if texts.len() < count { Poll::Pending } else { Poll::Ready(()) }
    });
    let is_late = tokio::time::timeout(Duration::from_secs(20), received).await.is_err();
    assert!(!is_late, "{} of {count}, {events:?}: {texts:?}", texts.len());
    (texts, events)
}

/// The same, where there is nothing to be told.
pub async fn texts(client: &mut Client, count: usize) -> Vec<String> {
    let (texts, events) = receive(client, count).await;
    assert_eq!(events, []);
    texts
}

/// Waits until what one node publishes to a topic comes to a client of another. What says so is not among what is received.
pub async fn meet(node: &Node, topic: &str, client: &mut Client) {
    loop {
        node.hub.publish(topic, MEETING).unwrap();
        let arrived = poll_fn(|cx| {
            let told = client.member.poll_next(cx);
            assert!(told.is_pending(), "{told:?}");
            if client.new_texts().is_empty() { Poll::Pending } else { Poll::Ready(()) }
        });
        if tokio::time::timeout(Duration::from_millis(50), arrived).await.is_ok() {
            return;
        }
    }
}

/// What is published until it comes.
const MEETING: &str = "are you there?";

fn gap(topic: &str) -> Event {
    Event::Gap { topic: topic.into() }
}

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

/// A publication of a node that is none.
pub fn publication(topic: &str, number: u64) -> Publication {
    let payload = number.to_string().into();
    let origin = Origin { node: 1, number };
    Publication { topic: topic.into(), origin, kind: MessageKind::Text, may_be_encoded: true, payload }
}

pub fn publications(topic: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<Publication> {
    numbers.map(|number| publication(topic, number)).collect()
}

/// The numbers of what comes next, each with its place; a gap is 0.
pub async fn arrivals(inbound: &mut impl Inbound, count: usize) -> Vec<(u64, Option<Position>)> {
    let mut arrivals = Vec::new();
    while arrivals.len() < count {
        match soon(inbound.receive()).await.unwrap() {
            Arrival::Message(Arrived { publication, position }) => arrivals.push((publication.origin.number, position)),
            Arrival::Gap { .. } => arrivals.push((0, None)),
            other => panic!("{other:?}"),
        }
    }
    arrivals
}

pub async fn arrived_numbers(inbound: &mut impl Inbound, count: usize) -> Vec<u64> {
    arrivals(inbound, count).await.into_iter().map(|(number, _)| number).collect()
}

pub fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
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

pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() {
            copy_directory(&entry, &to);
        } else {
            std::fs::copy(&entry, &to).unwrap();
        }
    }
}
