//! Rooms, who is in them, and a live ticker, in a browser: one server for the page and its WebSocket, on one port.
//!
//! ```sh
//! cargo run --release --example pubsub   # then open http://127.0.0.1:8081/ in a few tabs
//! ```
//!
//! Several of these become one system where an engine carries messages between them, with the features `redis` or `nats`:
//!
//! ```sh
//! cargo run --release --features redis --example pubsub -- --redis redis://127.0.0.1/
//! cargo run --release --features redis --example pubsub -- --redis redis://127.0.0.1/ --port 8082 --no-ticker
//! ```
//!
//! | topic | what is published there | kept |
//! |---|---|---|
//! | `room/ROOM` | what is said | the last 1,000 messages |
//! | `people/ROOM/NODE` | who is in the room, on that node of the system, when that changes and every other second | – |
//! | `ticker` | a price, ten times a second | those of the last minute |
//!
//! Everything that a client is sent of a topic says its place in it ([`envelope`]). A client that comes back says the last one it
//! saw, and is sent exactly what it missed, or is told that not all of it is there: so close the page's laptop, wait, and open it.
//!
//! What the page and the server say to each other is in `wire.rs`, and what one connection does in `session.rs`.

mod engine;
mod options;
mod page;
mod people;
mod session;
mod ticker;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sockeye::Message;
use sockeye::driver::Limits;
use sockeye::pubsub::{Bounds, Envelope, Hooks, Hub, HubConfig, Pattern, Peer};
use sockeye::tokio::{Acceptor, Server};

use crate::options::Options;
use crate::people::Person;

/// Who may do what, and who is told of it.
struct Rules {
    /// What this node is called in a system of several.
    node: String,
}

impl Hooks<Person> for Rules {
    /// Sessions subscribe only to what they should, but it does no harm to say it once more.
    fn may_subscribe(&self, _: &Peer<Person>, pattern: &Pattern) -> bool {
        ["room/", "people/", "ticker"].iter().any(|start| pattern.as_str().starts_with(start))
    }

    fn may_publish(&self, _: &Peer<Person>, topic: &str) -> bool {
        topic.starts_with("room/")
    }

    fn joined(&self, hub: &Hub<Person>, topic: &str, _: &Peer<Person>) {
        people::tell(hub, topic, &self.node);
    }

    fn left(&self, hub: &Hub<Person>, topic: &str, _: &Peer<Person>) {
        people::tell(hub, topic, &self.node);
    }

    fn history(&self, topic: &str) -> Option<Bounds> {
        match topic {
            "ticker" => Some(Bounds { messages: 600, bytes: 128 * 1024 }),
            topic if topic.starts_with("room/") => Some(Bounds { messages: 1000, bytes: 1024 * 1024 }),
            _ => None,
        }
    }
}

/// What a client is sent of a message that was published, which is JSON: with its topic and its place.
fn envelope(inner: &Envelope<'_>) -> Message {
    let data = inner.message.as_text().unwrap_or("null");
    format!("{{\"topic\":\"{}\",\"at\":\"{}\",\"data\":{data}}}", inner.topic, inner.position).into()
}

async fn serve(options: Options) -> std::io::Result<()> {
    let mut config = HubConfig::default();
    config.envelope = Some(envelope);
    let node = format!("{:x}", rand::random::<u32>());
    let hub = Hub::with_hooks(config, Rules { node: node.clone() });

    let mut acceptor = Acceptor::default();
    Arc::make_mut(&mut acceptor.config).max_message_size = 16 * 1024;
    let mut limits = Limits::default();
    limits.connections = 10_000;
    let server = Server::bind((&*options.host, options.port)).await?.with_acceptor(acceptor).with_limits(limits);
    println!("listening on http://{}", server.local_addr()?);

    if let Some(join) = options.engine {
        join(&hub);
        // Who comes back is not told of a gap only because this node has just begun.
        if tokio::time::timeout(Duration::from_secs(5), hub.bridge_up()).await.is_err() {
            eprintln!("the engine is away: this node goes on by itself until it is there");
        }
    }
    tokio::spawn(people::tell_again_and_again(hub.clone(), node));
    if options.ticks {
        tokio::spawn(ticker::run(hub.clone()));
    }
    server.run(move |accepting, _| page::route(accepting, hub.clone())).await
}

/// Milliseconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(error) => return fail(&format!("{error}; {}", options::USAGE)),
    };
    let address = format!("{}:{}", options.host, options.port);
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("pubsub: {why}");
    ExitCode::FAILURE
}
