//! What the tests against real engines share: a server that can be killed and started again, and nodes.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::future::{Future, poll_fn};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use sockeye::MessageKind;
use sockeye::pubsub::{
    Arrival, Arrived, Backplane, BridgeConfig, Event, Hub, Inbound, Origin, Pattern, Position, Publication,
    Subscription,
};
use tokio::task::JoinHandle;

use crate::pubsub_support::{Client, hub, messages};

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
    /// Lets it lose all that it keeps while it runs.
    fn wipe(&self) -> impl Future<Output = ()>;
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

    /// Stops it where it is: what it has in its hands stays there, and nobody gets an answer.
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(process, signal).unwrap();
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
        Self::with(engine.backplane(history), BridgeConfig::default().timeout)
    }

    /// One that waits so long for each answer.
    pub fn with(backplane: impl Backplane, timeout: Duration) -> Self {
        let hub = hub(|config| config.lag = messages(10_000));
        let mut config = BridgeConfig::default();
        config.backoff = Duration::from_millis(1);
        config.max_backoff = Duration::from_millis(20);
        config.timeout = timeout;
        let bridge = tokio::spawn(hub.bridge(backplane, config).run());
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

pub fn gap(topic: &str) -> Event {
    Event::Gap { topic: topic.into() }
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
