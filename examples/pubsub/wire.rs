//! What a page and the server say to each other, as JSON in text messages.
//!
//! Besides this, the page is sent what was published: `{"topic": …, "at": …, "data": …}`.

use serde::{Deserialize, Serialize};

/// The rooms that there are.
pub(crate) const ROOMS: [&str; 3] = ["lobby", "river", "ocean"];

/// What a page says.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Request<'a> {
    /// Enter a room, and leave the one in which we are; with the place of the last message that was seen of it.
    Join { room: &'a str, name: String, seen: Option<String> },
    /// Be sent the ticker.
    Watch { seen: Option<String> },
    /// Say something in the room. The ID is the page's own, and comes back with what was said.
    Say { room: &'a str, id: String, text: String },
    /// Tell the time.
    Time { time: f64 },
}

/// What the server answers. Before it says `join` or `watch`, it has sent all that it had of what was missed.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Answer<'a> {
    Joined {
        did: &'static str,
        room: &'a str,
        at: Option<String>,
    },
    Watched {
        did: &'static str,
    },
    Time {
        did: &'static str,
        time: f64,
        now: f64,
    },
    /// Not all that was missed of the topic is there any more.
    Gap {
        gap: &'a str,
    },
    /// The page was too slow for so many messages of the topic.
    Skipped {
        skipped: &'a str,
        count: u64,
    },
    Refused {
        refused: String,
    },
}

/// What is published in a room.
#[derive(Serialize)]
pub(crate) struct Said<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// Milliseconds since 1970.
    pub(crate) time: f64,
}
