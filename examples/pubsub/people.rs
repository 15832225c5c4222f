//! Who is where. The hub knows who is in a room on this node; what all nodes know together is for the page to put together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sockeye::pubsub::Hub;
use tokio::time::interval;

use crate::wire::ROOMS;

/// The state of a connection: who it is.
#[derive(Default)]
pub(crate) struct Person {
    name: Mutex<String>,
}

impl Person {
    pub(crate) fn name(&self) -> String {
        self.name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn rename(&self, name: String) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

/// Who is in a room, on one node.
#[derive(Serialize)]
struct People {
    count: usize,
    /// Some of them, if they are many.
    names: Vec<String>,
}

/// Tells who is in the room of this topic, if it is one.
pub(crate) fn tell(hub: &Hub<Person>, topic: &str, node: &str) {
    let Some(room) = topic.strip_prefix("room/") else { return };
    let present = hub.present(topic);
    let mut names: Vec<_> = present.iter().take(NAMED).map(|peer| peer.state().name()).collect();
    names.sort();
    let people = People { count: present.len(), names };
    if let Ok(people) = serde_json::to_string(&people) {
        // Too many topics are the only error that there could be, and there are few.
        let _ = hub.publish(&format!("people/{room}/{node}"), people);
    }
}

/// Tells it of each room in which somebody is, so that other nodes know, and forget those of a node that has died.
pub(crate) async fn tell_again_and_again(hub: Hub<Person>, node: String) {
    let mut clock = interval(Duration::from_secs(2));
    loop {
        clock.tick().await;
        for topic in ROOMS.map(|room| format!("room/{room}")) {
            if hub.present_count(&topic) > 0 {
                tell(&hub, &topic, &node);
            }
        }
    }
}

/// How many are named.
const NAMED: usize = 50;
