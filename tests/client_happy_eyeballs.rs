//! Happy Eyeballs (RFC 8305) under a paused clock, with a resolver and a connector of the test's own.

mod client_support;

use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound, Other};

use client_support::*;
use sockeye::client::Family::{V4, V6};
use sockeye::client::{Error, HappyEyeballs, Stage, TcpOptions};
use tokio::time::Instant;

const V4_ADDRESS: &str = "192.0.2.1";
const V6_ADDRESS: &str = "2001:db8::1";
const V4_HOST: &str = "192.0.2.1:80";
const V6_HOST: &str = "[2001:db8::1]:80";
const URL: &str = "ws://test.example/";

#[tokio::test(start_paused = true)]
async fn both_families_are_asked_for_at_once_and_ipv6_is_tried_first() {
    let network = Network::new()
        .finds(V4, ms(5), &[V4_ADDRESS])
        .finds(V6, ms(7), &[V6_ADDRESS])
        .host(V4_HOST, ms(10), Reaction::Accept)
        .host(V6_HOST, ms(20), Reaction::Accept);
    let mut socket = soon(network.client().connect(URL)).await.unwrap();
    assert_works(&mut socket).await;
    assert_eq!(network.log(), ["0 V6 of test.example", "0 V4 of test.example", "7 [2001:db8::1]:80"]);
    assert_eq!(network.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn broken_ipv6_costs_a_quarter_of_a_second() {
    let network = Network::new()
        .finds(V4, ms(5), &[V4_ADDRESS])
        .finds(V6, ms(5), &[V6_ADDRESS])
        .host(V4_HOST, ms(10), Reaction::Accept)
        .host(V6_HOST, ms(0), Reaction::Nothing);
    let client = network.client();
    let started = Instant::now();
    let mut socket = soon(client.connect(URL)).await.unwrap();
    assert_eq!(started.elapsed(), ms(265));
    assert_eq!(network.under_way(), 0, "the attempt that lost is dropped");
    assert_works(&mut socket).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_ipv6_loses_no_time() {
    let network = Network::new()
        .finds(V4, ms(5), &[V4_ADDRESS])
        .finds(V6, ms(5), &[V6_ADDRESS])
        .host(V4_HOST, ms(10), Reaction::Accept)
        .host(V6_HOST, ms(0), Reaction::Refuse(NetworkUnreachable));
    let client = network.client();
    let started = Instant::now();
    soon(client.connect(URL)).await.unwrap();
    assert!(started.elapsed() < ms(20), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn name_server_that_drops_the_question_for_ipv6_costs_50_milliseconds() {
    let network = Network::new().finds(V4, ms(5), &[V4_ADDRESS]).host(V4_HOST, ms(10), Reaction::Accept);
    let client = network.client();
    let started = Instant::now();
    soon(client.connect(URL)).await.unwrap();
    assert_eq!(started.elapsed(), ms(65));
    assert_eq!(network.under_way(), 0, "the question that nobody answers is dropped");
}

#[tokio::test(start_paused = true)]
async fn slow_ipv4_does_not_hold_up_ipv6() {
    let network = Network::new().finds(V4, secs(5), &[V4_ADDRESS]).finds(V6, ms(5), &[V6_ADDRESS]).host(
        V6_HOST,
        ms(10),
        Reaction::Accept,
    );
    let client = network.client();
    let started = Instant::now();
    soon(client.connect(URL)).await.unwrap();
    assert_eq!(started.elapsed(), ms(15));
}

#[tokio::test(start_paused = true)]
async fn slow_ipv4_that_is_all_there_is_is_waited_for() {
    let network = Network::new().finds(V4, ms(900), &[V4_ADDRESS]).finds_nothing(V6, ms(1), NotFound).host(
        V4_HOST,
        secs(4),
        Reaction::Accept,
    );
    let client = network.client();
    let started = Instant::now();
    let mut socket = soon(client.connect(URL)).await.unwrap();
    assert_eq!(started.elapsed(), ms(4900));
    assert_works(&mut socket).await;
}

#[tokio::test(start_paused = true)]
async fn ipv6_addresses_that_come_late_join_the_race() {
    let network = Network::new()
        .finds(V4, ms(5), &[V4_ADDRESS, "192.0.2.2"])
        .finds(V6, ms(200), &[V6_ADDRESS])
        .host(V4_HOST, ms(0), Reaction::Nothing)
        .host("192.0.2.2:80", ms(0), Reaction::Nothing)
        .host(V6_HOST, ms(10), Reaction::Accept);
    soon(network.client().connect(URL)).await.unwrap();
    // Before the second address of IPv4.
    assert_eq!(network.log()[2..], ["55 192.0.2.1:80", "305 [2001:db8::1]:80"]);
}

#[tokio::test(start_paused = true)]
async fn where_all_fail_the_error_has_every_address_and_its_reason() {
    let network = Network::new()
        .finds(V4, ms(0), &[V4_ADDRESS, "192.0.2.2"])
        .finds(V6, ms(0), &[V6_ADDRESS])
        .host(V4_HOST, ms(10), Reaction::Refuse(ConnectionRefused))
        .host("192.0.2.2:80", ms(10), Reaction::Refuse(HostUnreachable))
        .host(V6_HOST, ms(10), Reaction::Refuse(ConnectionRefused));
    let error = failure(&network.client(), URL).await;
    assert_eq!(
        error.to_string(),
        "cannot connect to test.example:80: connection refused ([2001:db8::1]:80, 192.0.2.1:80); \
         host unreachable (192.0.2.2:80)"
    );
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Connect, false));
    let Error::Connect { attempts, .. } = error else { panic!("{error:?}") };
    let addresses: Vec<_> = attempts.iter().map(|attempt| attempt.address.to_string()).collect();
    assert_eq!(addresses, [V6_HOST, V4_HOST, "192.0.2.2:80"]);
    assert_eq!(attempts[2].error.kind(), HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_answers_the_time_for_connecting_ends_it() {
    let network = Network::new()
        .finds(V4, ms(0), &[V4_ADDRESS])
        .finds(V6, ms(0), &[V6_ADDRESS])
        .host(V4_HOST, ms(0), Reaction::Nothing)
        .host(V6_HOST, ms(0), Reaction::Nothing);
    let client = network.client();
    let started = Instant::now();
    let error = failure(&client, URL).await;
    assert_eq!(started.elapsed(), secs(10));
    assert_eq!(error.to_string(), "connecting to test.example:80 took longer than 10s");
    assert!(error.is_timeout());
    assert_eq!(network.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn name_without_addresses_and_name_servers_that_fail_are_told_apart() {
    let network = Network::new().finds_nothing(V4, ms(5), NotFound).finds(V6, ms(5), &[]);
    let error = failure(&network.client(), URL).await;
    assert!(matches!(&error, Error::NameNotFound { host } if host == "test.example"), "{error:?}");

    let network = Network::new().finds_nothing(V4, ms(5), Other).finds_nothing(V6, ms(5), NotFound);
    let error = failure(&network.client(), URL).await;
    assert!(matches!(&error, Error::Lookup { host, .. } if host == "test.example"), "{error:?}");
    assert_eq!(error.stage(), Stage::Lookup);
}

#[tokio::test(start_paused = true)]
async fn lookup_that_takes_too_long_is_an_error_of_its_own() {
    let network = Network::new();
    let client = network.client();
    let started = Instant::now();
    let error = failure(&client, URL).await;
    assert_eq!(started.elapsed(), secs(10));
    assert_eq!(error.to_string(), "looking up the address of test.example took longer than 10s");
    assert_eq!((error.stage(), error.is_timeout()), (Stage::Lookup, true));
    assert_eq!(network.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_drops_all_lookups_and_attempts() {
    let network = Network::new()
        .finds(V4, ms(10), &[V4_ADDRESS, "192.0.2.2"])
        .host(V4_HOST, ms(0), Reaction::Nothing)
        .host("192.0.2.2:80", ms(0), Reaction::Nothing);
    let client = network.client();
    for (after, under_way) in [(ms(5), 2), (ms(70), 2), (ms(320), 3)] {
        let mut connecting = Box::pin(client.connect(URL));
        assert!(tokio::time::timeout(after, &mut connecting).await.is_err());
        assert_eq!(network.under_way(), under_way, "after {after:?}");
        drop(connecting);
        assert_eq!(network.under_way(), 0, "after {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_in_the_url_is_not_looked_up() {
    let network = Network::new().host("[2001:db8::1]:9001", ms(10), Reaction::Accept);
    soon(network.client().connect("ws://[2001:db8::1]:9001/")).await.unwrap();
    assert_eq!(network.log(), ["0 [2001:db8::1]:9001"]);

    let network = Network::new().host("192.0.2.1:9001", ms(10), Reaction::Refuse(AddrNotAvailable));
    let error = failure(&network.client(), "ws://192.0.2.1:9001/").await;
    assert_eq!(error.to_string(), "cannot connect to 192.0.2.1:9001: address not available (192.0.2.1:9001)");
}

#[tokio::test(start_paused = true)]
async fn only_addresses_of_the_family_that_is_bound_to_are_looked_up() {
    let mut tcp = TcpOptions::default();
    tcp.bind = Some("127.0.0.1".parse().unwrap());
    let network = Network::new().finds(V4, ms(5), &[V4_ADDRESS]).host(V4_HOST, ms(10), Reaction::Accept);
    soon(network.client().tcp(tcp.clone()).connect(URL)).await.unwrap();
    assert_eq!(network.log(), ["0 V4 of test.example", "5 192.0.2.1:80"]);

    let network = Network::new();
    let error = failure(&network.client().tcp(tcp), "ws://[::1]/").await;
    assert_eq!(
        error.to_string(),
        "the address of \"::1\" could not be looked up: it has no address of the family that TcpOptions::bind is of"
    );
}

#[tokio::test(start_paused = true)]
async fn resolver_that_answers_with_the_other_family_or_very_much_is_not_followed() {
    let many: Vec<String> = (0..1000).map(|last| format!("2001:db8::{last:x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut network = Network::new().finds(V4, ms(0), &[V6_ADDRESS]).finds(V6, ms(0), &many);
    for last in 0..8 {
        network = network.host(&format!("[2001:db8::{last:x}]:80"), ms(1), Reaction::Refuse(ConnectionRefused));
    }
    let error = failure(&network.client(), URL).await;
    assert!(matches!(error, Error::Connect { attempts, .. } if attempts.len() == 8));
}

#[tokio::test(start_paused = true)]
async fn delays_and_the_preferred_family_can_be_set() {
    let mut options = HappyEyeballs::default();
    options.prefer = V4;
    options.attempt_delay = secs(1);
    let network = Network::new()
        .finds(V4, ms(0), &[V4_ADDRESS])
        .finds(V6, ms(0), &[V6_ADDRESS])
        .host(V4_HOST, ms(0), Reaction::Nothing)
        .host(V6_HOST, ms(1), Reaction::Accept);
    soon(network.client().happy_eyeballs(options).connect(URL)).await.unwrap();
    assert_eq!(network.log()[2..], ["0 192.0.2.1:80", "1000 [2001:db8::1]:80"]);
}
