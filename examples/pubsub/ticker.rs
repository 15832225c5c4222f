//! The ticker: a price that moves at random, ten times a second.

use std::time::Duration;

use serde::Serialize;
use sockeye::pubsub::Hub;
use tokio::time::{MissedTickBehavior, interval};

use crate::now;
use crate::people::Person;

/// What is published.
#[derive(Serialize)]
struct Tick {
    /// Counts up by one, so that a page can see for itself whether it missed some.
    number: u64,
    /// Milliseconds since 1970.
    time: f64,
    price: f64,
}

pub(crate) async fn run(hub: Hub<Person>) {
    let mut clock = interval(Duration::from_millis(100));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut price, mut trend) = (100.0, 0.0);
    for number in 1.. {
        clock.tick().await;
        trend = 0.9 * trend + 0.12 * (rand::random::<f64>() - 0.5);
        price += trend + 0.004 * (100.0 - price);
        if let Ok(tick) = serde_json::to_string(&Tick { number, time: now(), price }) {
            let _ = hub.publish("ticker", tick); // see `people::tell`
        }
    }
}
