//! The time that each stage may take, under a paused clock; those of looking up and connecting are with Happy Eyeballs.

mod client_support;

use client_support::*;
use sockeye::client::Family::V4;
use sockeye::client::{Client, Stage, Timeouts};
use tokio::time::Instant;

const HOST: &str = "192.0.2.1:80";

/// A network where the name is found after a second, and the server takes a connection after another one.
fn network() -> Network {
    Network::new().finds(V4, secs(1), &["192.0.2.1"]).host(HOST, secs(1), Reaction::Accept)
}

fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Timeouts {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    timeouts
}

#[tokio::test(start_paused = true)]
async fn each_stage_has_its_own_time() {
    for (timeouts, after, stage, message) in [
        (
            timeouts(|timeouts| timeouts.lookup = Some(ms(500))),
            ms(500),
            Stage::Lookup,
            "looking up the address of test.example took longer than 500ms",
        ),
        (
            timeouts(|timeouts| timeouts.connect = Some(ms(500))),
            ms(1550),
            Stage::Connect,
            "connecting to test.example:80 took longer than 500ms",
        ),
    ] {
        let network = network();
        let client = network.client().timeouts(timeouts);
        let started = Instant::now();
        let error = failure(&client, "ws://test.example/").await;
        assert_eq!((error.to_string().as_str(), error.stage()), (message, stage));
        assert_eq!(started.elapsed(), after);
        assert_eq!(network.under_way(), 0);
        assert!(error.is_timeout() && !error.is_permanent());
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_says_nothing_or_too_little_ends_the_opening_handshake_in_time() {
    let answers = [Answer::Silence, Answer::Trickle(b"HTTP/1.1 101 Switching Protocols\r\nX: ", b"x")];
    for answer in answers {
        let client = Client::new().timeouts(timeouts(|timeouts| timeouts.handshake = Some(secs(3))));
        let started = Instant::now();
        let error = client.connect_over(answering(answer), "ws://test.example/chat?q").await.unwrap_err();
        assert_eq!(error.to_string(), "the opening handshake with ws://test.example/chat took longer than 3s");
        assert_eq!(started.elapsed(), secs(3));
        assert_eq!((error.stage(), error.is_timeout()), (Stage::Handshake, true));
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_for_everything_cuts_the_stage_that_is_under_way() {
    for (total, stage, message) in [
        (
            ms(500),
            Stage::Lookup,
            "looking up the address of test.example was not done when the 500ms for everything were over",
        ),
        (ms(1500), Stage::Connect, "connecting to test.example:80 was not done when the 1.5s for everything were over"),
        (
            ms(2500),
            Stage::Handshake,
            "the opening handshake with ws://test.example/ was not done when the 2.5s for everything were over",
        ),
    ] {
        let network = Network::new().finds(V4, secs(1), &["192.0.2.1"]).host(HOST, secs(1), Reaction::Ignore);
        let client = network.client().timeouts(timeouts(|timeouts| timeouts.total = Some(total)));
        let started = Instant::now();
        let error = failure(&client, "ws://test.example/").await;
        assert_eq!((error.to_string().as_str(), error.stage(), error.is_timeout()), (message, stage, true));
        assert_eq!(started.elapsed(), total);
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_limit_it_takes_as_long_as_it_takes() {
    let network = Network::new().finds(V4, secs(500), &["192.0.2.1"]).host(HOST, secs(400), Reaction::Accept);
    let timeouts = timeouts(|timeouts| {
        (timeouts.lookup, timeouts.connect, timeouts.handshake) = (None, None, None);
    });
    let mut socket = soon(network.client().timeouts(timeouts).connect("ws://test.example/")).await.unwrap();
    assert_works(&mut socket).await;
}
