//! A chat with rooms, presence and history: whoever loses the connection comes back and has missed nothing.
//!
//! The server is `serve` and `Rules`; the clients below it show that it works, and check it. What clients send here:
//! `/join ROOM`, `/join ROOM POSITION` to come back, `/who`, and anything else is said in the room.
//!
//! ```sh
//! cargo run --example pubsub_chat
//! ```

use std::sync::{Mutex, PoisonError};

use sockeye::driver::Drain;
use sockeye::pubsub::{Bounds, Envelope, Event, Hooks, Hub, HubConfig, Member, Pattern, Peer, Position, Subscription};
use sockeye::tokio::{Accepting, Error, Server, WebSocket, connect};
use sockeye::{Close, Message};
use tokio::net::TcpStream;

/// What the server knows of a connection.
struct User {
    name: String,
    room: Mutex<String>,
}

/// Who may do what, and who is told.
struct Rules;

impl Hooks<User> for Rules {
    fn may_subscribe(&self, _: &Peer<User>, pattern: &Pattern) -> bool {
        pattern.is_exact() && pattern.as_str().starts_with("room/")
    }

    fn joined(&self, hub: &Hub<User>, room: &str, peer: &Peer<User>) {
        let _ = hub.publish(room, format!("* {} joins", peer.state().name));
    }

    fn left(&self, hub: &Hub<User>, room: &str, peer: &Peer<User>) {
        let _ = hub.publish(room, format!("* {} leaves", peer.state().name));
    }
}

/// Each message says where it is, so that its client can say where it was.
fn envelope(inner: &Envelope<'_>) -> Message {
    format!("{} {}", inner.position, inner.message.as_text().unwrap_or_default()).into()
}

/// Serves a connection.
async fn serve(accepting: Accepting<TcpStream>, name: String, hub: Hub<User>) -> Result<(), Error> {
    let user = User { name, room: Mutex::default() };
    let mut member = hub.join(accepting.accept().await?, user);
    while let Some(event) = member.next().await? {
        match event {
            Event::Message(message) => obey(&mut member, message.as_text().unwrap_or_default()).await?,
            Event::Gap { .. } => member.send_first("! some of it is not there any more").await?,
            Event::Skipped { messages, .. } => member.send_first(format!("! you missed {messages}")).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn obey(member: &mut Member<sockeye::tokio::Transport<TcpStream>, User>, line: &str) -> Result<(), Error> {
    let room = member.state().room.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut words = line.split(' ');
    match words.next() {
        Some("/join") => {
            let joined = format!("room/{}", words.next().unwrap_or_default());
            let last_seen: Option<Position> = words.next().and_then(|position| position.parse().ok());
            let _ = member.unsubscribe(&room);
            match member.subscribe(Subscription::to(&joined).since(last_seen)) {
                Ok(()) => *member.state().room.lock().unwrap_or_else(PoisonError::into_inner) = joined,
                Err(error) => member.send(format!("! {error}")).await?,
            }
        }
        Some("/who") => {
            let mut names: Vec<_> = member.hub().present(&room).iter().map(|peer| peer.state().name.clone()).collect();
            names.sort();
            member.send(format!("! here are {}", names.join(", "))).await?;
        }
        _ => {
            let said = member.publish(&room, format!("{}: {line}", member.state().name));
            if let Err(error) = said {
                member.send(format!("! {error}")).await?;
            }
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = HubConfig::default();
    config.history = Bounds { messages: 100, bytes: 64 * 1024 };
    config.envelope = Some(envelope);
    let hub = Hub::with_hooks(config, Rules);
    let server = Server::bind("127.0.0.1:0").await?;
    let (uri, handle) = (format!("ws://{}", server.local_addr()?), server.handle());
    // A real server asks who it is; here the first is ann, the second bob, and so on.
    let names = Mutex::new(["ann", "bob", "ann"].into_iter());
    let serving = tokio::spawn(server.run(move |accepting, _| {
        let name = names.lock().unwrap_or_else(PoisonError::into_inner).next().unwrap_or("somebody");
        serve(accepting, name.to_owned(), hub.clone())
    }));

    let mut ann = connect(&uri).await?;
    ann.send("/join tea").await?;
    hear(&mut ann, "* ann joins").await?;
    let mut bob = connect(&uri).await?;
    bob.send("/join tea").await?;
    hear(&mut bob, "* bob joins").await?;
    hear(&mut ann, "* bob joins").await?;
    ann.send("/who").await?;
    hear(&mut ann, "! here are ann, bob").await?;
    ann.send("hello").await?;
    let last_seen = hear(&mut ann, "ann: hello").await?;
    hear(&mut bob, "ann: hello").await?;

    // Ann's connection breaks; Bob goes on.
    drop(ann);
    hear(&mut bob, "* ann leaves").await?;
    for line in ["are you there?", "never mind"] {
        bob.send(line).await?;
        hear(&mut bob, &format!("bob: {line}")).await?;
    }
    let mut ann = connect(&uri).await?;
    ann.send(format!("/join tea {last_seen}")).await?;
    for line in ["* ann leaves", "bob: are you there?", "bob: never mind", "* ann joins"] {
        hear(&mut ann, line).await?;
    }
    ann.send("/join ../secrets#").await?;
    hear(&mut ann, "! a wildcard is a level by itself, and # the last one").await?;
    println!("ann was away for three messages, and has them all");

    ann.close(Close::normal()).await?;
    while ann.receive().await?.is_some() {}
    handle.shutdown(Drain::default()).await;
    serving.await??;
    Ok(())
}

/// Receives one message, and sees to it that it is this; its position.
async fn hear(socket: &mut WebSocket<TcpStream>, expected: &str) -> Result<String, Error> {
    let received = socket.receive().await?.ok_or(Error::Lost)?;
    let text = received.as_text().unwrap_or_default();
    let (position, rest) = if text.starts_with('!') { ("", text) } else { text.split_once(' ').unwrap_or(("", text)) };
    println!("{rest}");
    assert_eq!(rest, expected);
    Ok(position.to_owned())
}
