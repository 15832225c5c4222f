//! One connection: does what its page asks, and is sent what its topics have meanwhile.

use serde::Serialize;
use sockeye::driver::Error;
use sockeye::pubsub::{Event, Hub, Member, Position, SlowConsumer, SubscribeError, Subscription};
use sockeye::tokio::{Transport, WebSocket};
use sockeye::{Close, CloseCode};
use tokio::net::TcpStream;

use crate::now;
use crate::people::Person;
use crate::wire::{Answer, ROOMS, Request, Said};

struct Session {
    member: Member<Transport<TcpStream>, Person>,
    room: Option<&'static str>,
    /// What was subscribed to and not said yet: it is, once all that was missed has been sent.
    joined: Option<&'static str>,
    watches: bool,
}

/// Serves the connection to its end.
pub(crate) async fn run(socket: WebSocket<TcpStream>, hub: &Hub<Person>) -> Result<(), Error> {
    let member = hub.join(socket, Person::default());
    let mut session = Session { member, room: None, joined: None, watches: false };
    loop {
        let owes = session.joined.is_some() || session.watches;
        tokio::select! {
            biased; // so that a gap is told of, and the missed messages are under way, before we say that these were all
            event = session.member.next() => match event? {
                Some(event) => session.handle(event).await?,
                None => return Ok(()),
            },
            () = std::future::ready(()), if owes => session.welcome().await?,
        }
    }
}

impl Session {
    async fn handle(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Message(message) => {
                let request = message.as_text().and_then(|text| serde_json::from_str(text).ok());
                match request {
                    Some(request) => self.answer(request).await,
                    None => self.member.close(Close::new(CloseCode::POLICY_VIOLATION, "not a request")?).await,
                }
            }
            // Before what follows the gap.
            Event::Gap { topic } => self.member.send_first(json(&Answer::Gap { gap: &topic })).await,
            Event::Skipped { topic, messages } => {
                self.member.send_first(json(&Answer::Skipped { skipped: &topic, count: messages })).await
            }
            _ => Ok(()), // is being closed
        }
    }

    async fn answer(&mut self, request: Request<'_>) -> Result<(), Error> {
        let refused = match request {
            Request::Join { room, name, seen } => self.join(room, name, position(seen.as_deref())).err(),
            Request::Watch { seen } => {
                let (ticker, seen) = (Subscription::to("ticker"), position(seen.as_deref()));
                self.watches = true;
                let subscribed = self.member.subscribe(from(ticker, seen, 600));
                subscribed.err().map(|error| error.to_string())
            }
            Request::Say { room, id, text } => self.say(room, &id, &text).err(),
            Request::Time { time } => {
                return self.member.send(json(&Answer::Time { did: "time", time, now: now() })).await;
            }
        };
        match refused {
            Some(refused) => self.member.send(json(&Answer::Refused { refused })).await,
            None => Ok(()),
        }
    }

    /// Enters a room, and leaves the one of before; that may be the same one, by another name.
    fn join(&mut self, room: &str, name: String, seen: Option<Position>) -> Result<(), String> {
        let room = ROOMS.into_iter().find(|known| *known == room).ok_or("there is no such room")?;
        if name.is_empty() || name.chars().count() > 24 {
            return Err("a name has 1 to 24 characters".into());
        }
        if let Some(old) = self.room.take() {
            for topic in [format!("room/{old}"), format!("people/{old}/+")] {
                self.member.unsubscribe(&topic).map_err(|error| error.to_string())?;
            }
        }
        self.member.state().rename(name);
        self.enter(room, seen).map_err(|error| error.to_string())?;
        (self.room, self.joined) = (Some(room), Some(room));
        Ok(())
    }

    fn enter(&mut self, room: &str, seen: Option<Position>) -> Result<(), SubscribeError> {
        // First this, so that the page is told of itself, too. Who was there before somebody else came is of no interest.
        let people = Subscription::to(&format!("people/{room}/+")).slow_consumer(SlowConsumer::KeepLatest);
        self.member.subscribe(people)?;
        self.member.subscribe(from(Subscription::to(&format!("room/{room}")), seen, 200))
    }

    fn say(&self, room: &str, id: &str, text: &str) -> Result<(), String> {
        if self.room != Some(room) {
            return Err("only who is in a room can say something there".into());
        }
        if id.len() > 40 || text.is_empty() || text.chars().count() > 1000 {
            return Err("what is said has 1 to 1,000 characters".into());
        }
        let name = self.member.state().name();
        let said = Said { id, name: &name, text, time: now() };
        // Who has said it is sent it, too, and knows by that that it was said.
        self.member.publish(&format!("room/{room}"), json(&said)).map(drop).map_err(|error| error.to_string())
    }

    /// Says that all that was missed has been sent.
    async fn welcome(&mut self) -> Result<(), Error> {
        if let Some(room) = self.joined.take() {
            let at = self.member.hub().position(&format!("room/{room}")).map(|position| position.to_string());
            self.member.send(json(&Answer::Joined { did: "join", room, at })).await?;
        }
        if std::mem::take(&mut self.watches) {
            self.member.send(json(&Answer::Watched { did: "watch" })).await?;
        }
        Ok(())
    }
}

/// Begins with what was missed, or for a client that is new, with the last of what there was.
fn from(subscription: Subscription, seen: Option<Position>, last: usize) -> Subscription {
    match seen {
        Some(_) => subscription.since(seen),
        None => subscription.last(last),
    }
}

/// The place that a client says it has seen last; what is none is as if it had seen nothing.
fn position(seen: Option<&str>) -> Option<Position> {
    seen?.parse().ok()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() // is never wrong with what we have
}
