//! Transports that break, on the virtual clock of the test kit.

use std::io::ErrorKind;
use std::time::Duration;

use sockeye::driver::Error;
use sockeye::test_kit::{Clock, Expect, Faults, Pair, run, spawn};
use sockeye::{CloseCode, EndCause, State, Timeout};

fn io_kind(error: &Error) -> ErrorKind {
    let Error::Io(error) = error else { panic!("{error:?}") };
    error.kind()
}

#[test]
fn connection_whose_writes_fail_ends_although_nothing_arrives() {
    let clock = Clock::new();
    let mut pair = Pair::new(&clock);
    pair.client.ping_interval = None;
    pair.to_server = Faults::new().fail_writes(0, ErrorKind::ConnectionReset);
    let (mut client, _server) = pair.sockets();
    run(&clock, async {
        assert_eq!(io_kind(&client.send("x").await.unwrap_err()), ErrorKind::ConnectionReset);
        for _ in 0..2 {
            assert_eq!(io_kind(&client.receive().await.unwrap_err()), ErrorKind::ConnectionReset);
        }
        assert_eq!((client.state(), client.end_cause()), (State::Closed, Some(&EndCause::TransportLost)));
    });
}

#[test]
fn what_has_arrived_is_received_before_a_failed_write_ends_the_connection() {
    let clock = Clock::new();
    let mut pair = Pair::new(&clock);
    pair.to_server = Faults::new().fail_writes(0, ErrorKind::BrokenPipe);
    let (mut client, mut server) = pair.sockets();
    run(&clock, async {
        server.send("one").await.unwrap();
        server.send("two").await.unwrap();
        assert!(client.send("x").await.is_err());
        client.expect_text("one").await;
        client.expect_text("two").await;
        assert_eq!(io_kind(&client.expect_error().await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn receiver_that_waits_learns_at_once_that_a_sender_met_a_broken_stream() {
    let clock = Clock::new();
    let mut pair = Pair::new(&clock);
    pair.client.ping_interval = None;
    pair.to_server = Faults::new().fail_writes(10, ErrorKind::BrokenPipe);
    let (client, _server) = pair.sockets();
    run(&clock, async {
        let (mut receiver, sender) = client.split();
        let receiving = spawn(async move { receiver.receive().await });
        assert!(sender.send("more than ten bytes").await.is_err());
        assert_eq!(io_kind(&receiving.await.unwrap_err()), ErrorKind::BrokenPipe);
        sender.closed().await;
        assert_eq!(sender.state(), State::Closed);
    });
}

#[test]
fn peer_that_does_not_answer_a_ping_is_told_why_it_is_left() {
    let clock = Clock::new();
    let mut pair = Pair::new(&clock);
    pair.server.pong_timeout = Some(Duration::from_secs(5));
    let (mut client, server) = pair.raw_client();
    run(&clock, async {
        let (mut receiver, sender) = server.split();
        let receiving = spawn(async move { receiver.receive().await });
        let pinging = spawn(sender.ping());
        client.expect_ping().await;
        assert!(matches!(receiving.await, Err(Error::Timeout(Timeout::Pong))));
        assert!(pinging.await.is_err());
        client.expect_close(CloseCode::INTERNAL_ERROR).await;
        client.expect_end().await;
    });
}
