//! Deadlines and keepalive, with time passed in. No test sleeps.

mod common;

use core::time::Duration;

use common::wire::{BINARY, CONTINUATION, FIN, PING, PONG, ROLES, TEXT, close_body, head_to, plain, to};
use common::{Pair, Side, at, config, pong, secs, text};
use sockeye::{CloseCode, Config, EndCause, Instant, Role, SendError, State, Teardown, Timeout};

/// A ping after 30 s of silence, the end 20 s after it.
fn pinging() -> Config {
    config(|config| config.ping_interval = Some(secs(30)))
}

/// No pings of the keepalive, and a change.
fn silent(change: impl FnOnce(&mut Config)) -> Config {
    config(|config| {
        config.ping_interval = None;
        change(config);
    })
}

/// An end after 10 s of silence.
fn idling() -> Config {
    silent(|config| config.idle_timeout = Some(secs(10)))
}

/// An end where a message takes longer than 10 s.
fn impatient() -> Config {
    silent(|config| config.message_timeout = Some(secs(10)))
}

/// An end where nothing of the output is taken for 10 s.
fn stalling() -> Config {
    silent(|config| config.output_timeout = Some(secs(10)))
}

/// Every deadline there is.
fn everything() -> Config {
    config(|config| {
        config.output_timeout = Some(secs(35));
        config.ping_interval = Some(secs(30));
        config.idle_timeout = Some(secs(40));
        config.message_timeout = Some(secs(15));
        config.lifetime = Some(secs(100));
    })
}

/// Tells the time as an adapter does that has written everything.
fn tick_flushed(side: &mut Side, secs: u64) -> Option<Timeout> {
    side.output.clear();
    side.tick(at(secs))
}

/// The payload of the ping with that number.
fn numbered(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

// Time as such

#[test]
fn nothing_is_due_before_the_first_call() {
    for role in ROLES {
        let mut side = Side::of_with(role, everything());
        assert_eq!(side.connection.poll_timeout(), None);
        side.receive(&to(role, TEXT, b"open"));
        side.connection.ping(&mut side.output).unwrap();
        assert_eq!(side.connection.poll_timeout(), None);
        side.close(CloseCode::NORMAL, "");
        assert_eq!(side.connection.poll_timeout(), None);
    }
}

#[test]
fn the_first_call_does_nothing_but_start_the_clock() {
    for role in ROLES {
        let mut side = Side::of_with(role, everything());
        assert_eq!(side.tick(at(1_000_000)), None);
        assert_eq!((side.output.len(), side.state()), (0, State::Open));
        assert_eq!(side.connection.poll_timeout(), Some(at(1_000_030)));
    }
}

#[test]
fn without_deadlines_there_is_nothing_to_wait_for() {
    let mut side = Side::server_with(silent(|_| ()));
    side.tick(at(0));
    side.receive(&to(Role::Server, TEXT, b"open"));
    assert_eq!(side.tick(at(1_000_000)), None);
    assert_eq!(side.connection.poll_timeout(), None);
    assert_eq!(side.output, b"");
}

#[test]
fn a_call_that_is_early_does_nothing() {
    let mut side = Side::server_with(everything());
    side.tick(at(0));
    for second in 1..30 {
        assert_eq!(side.tick(at(second)), None);
        assert_eq!((side.output.len(), side.connection.poll_timeout()), (0, Some(at(30))));
    }
}

#[test]
fn the_earliest_deadline_is_the_one_to_wait_for() {
    for (change, due) in [
        (Box::new(|config: &mut Config| config.ping_interval = Some(secs(3))) as Box<dyn Fn(&mut Config)>, 3),
        (Box::new(|config| config.idle_timeout = Some(secs(2))), 2),
        (Box::new(|config| config.lifetime = Some(secs(1))), 1),
        (Box::new(|_| ()), 30),
    ] {
        let mut configured = everything();
        change(&mut configured);
        let mut side = Side::server_with(configured);
        side.tick(at(0));
        assert_eq!(side.connection.poll_timeout(), Some(at(due)));
    }
    let mut side = Side::server_with(everything());
    side.tick(at(0));
    side.receive(&to(Role::Server, TEXT, b"open"));
    side.tick(at(1));
    assert_eq!(side.connection.poll_timeout(), Some(at(16)), "the message began at 1 s");
}

#[test]
fn a_clock_that_goes_back_or_jumps_to_its_end_is_survived() {
    for role in ROLES {
        let mut side = Side::of_with(role, everything());
        side.tick(at(50));
        assert_eq!(side.tick(at(10)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(80)));
        assert!(side.tick(Instant::from(Duration::MAX)).is_some());
    }
}

#[test]
fn a_deadline_as_long_as_can_be_never_comes() {
    let mut side = Side::server_with(config(|config| {
        config.ping_interval = Some(Duration::MAX);
        config.idle_timeout = Some(Duration::MAX);
        config.lifetime = Some(Duration::MAX);
        config.close_timeout = Some(Duration::MAX);
        config.output_timeout = Some(Duration::MAX);
    }));
    side.tick(at(5));
    assert_eq!(side.tick(at(u64::MAX / 2)), None);
    side.close(CloseCode::NORMAL, "");
    assert_eq!(side.tick(at(u64::MAX / 2)), None);
    assert_eq!(side.tick(at(u64::MAX / 2 + 1)), None);
}

// Ping interval

#[test]
fn a_ping_is_sent_after_an_interval_of_silence() {
    for role in ROLES {
        let mut side = Side::of_with(role, pinging());
        side.tick(at(100));
        side.tick(at(129));
        assert_eq!(side.output, b"");
        assert_eq!(side.tick(at(130)), None);
        assert_eq!(plain(&side.output), [(FIN | PING, numbered(1))]);
        assert_eq!(side.state(), State::Open);
    }
}

#[test]
fn whatever_is_received_postpones_the_ping() {
    for role in ROLES {
        for bytes in [to(role, FIN | TEXT, b"text"), to(role, FIN | PONG, b""), vec![FIN | TEXT]] {
            let mut side = Side::of_with(role, pinging());
            side.tick(at(0));
            side.receive(&bytes);
            side.tick(at(20));
            assert_eq!(side.connection.poll_timeout(), Some(at(50)));
            side.tick(at(49));
            assert_eq!(side.output, b"");
            side.tick(at(50));
            assert_eq!(plain(&side.output).len(), 1);
        }
    }
}

#[test]
fn no_second_ping_is_sent_while_the_first_waits_for_a_sign_of_life() {
    let mut side = Side::server_with(config(|config| {
        config.ping_interval = Some(secs(5));
        config.pong_timeout = Some(secs(20));
    }));
    side.tick(at(0));
    side.tick(at(5));
    for second in 5..25 {
        tick_flushed(&mut side, second);
        assert_eq!(side.output, b"", "after {second} s");
    }
    assert_eq!(side.connection.sent().frames, 1);
}

#[test]
fn pings_do_not_pile_up_in_an_output_that_is_not_written() {
    let mut side = Side::server_with(config(|config| {
        config.ping_interval = Some(secs(30));
        config.output_timeout = None;
    }));
    side.tick(at(0));
    for second in 0..1000 {
        assert_eq!(side.tick(at(second)), None, "after {second} s");
    }
    assert_eq!(plain(&side.output), [(FIN | PING, numbered(1))]);
}

#[test]
fn the_next_ping_comes_an_interval_after_the_answer() {
    for role in ROLES {
        let mut side = Side::of_with(role, pinging());
        side.tick(at(0));
        side.tick(at(30));
        tick_flushed(&mut side, 30);
        side.receive(&to(role, FIN | PONG, &numbered(1)));
        tick_flushed(&mut side, 31);
        assert_eq!(side.connection.poll_timeout(), Some(at(61)));
        tick_flushed(&mut side, 61);
        assert_eq!(plain(&side.output), [(FIN | PING, numbered(2))]);
    }
}

#[test]
fn a_silent_pair_pings_itself_and_lives() {
    let mut pair = Pair::with(pinging(), pinging());
    for _ in 0..86_400 / 5 {
        pair.advance(secs(5));
        pair.deliver();
    }
    assert_eq!(pair.states(), (State::Open, State::Open));
    let pings = pair.client.connection.sent().frames + pair.server.connection.sent().frames;
    assert!((2000..20_000).contains(&pings), "{pings} frames in a day");
    assert_eq!((&pair.client.timeouts[..], &pair.server.timeouts[..]), (&[][..], &[][..]));
}

#[test]
fn by_default_a_peer_is_pinged_and_one_that_is_gone_is_found() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.tick(at(0));
        assert_eq!(side.connection.poll_timeout(), Some(at(30)));
        side.tick(at(30));
        assert_eq!(plain(&side.output), [(FIN | PING, numbered(1))]);
        tick_flushed(&mut side, 30);
        assert_eq!(tick_flushed(&mut side, 50), Some(Timeout::Pong));
    }
}

#[test]
fn the_keepalive_of_one_side_is_enough() {
    let mut pair = Pair::with(silent(|_| ()), pinging());
    for _ in 0..100 {
        pair.advance(secs(10));
        pair.deliver();
    }
    assert_eq!(pair.states(), (State::Open, State::Open));
    assert!(pair.server.heard.iter().all(|heard| matches!(heard, common::Heard::Pong(_))));
    assert!(pair.server.heard.len() > 20);
}

// Pong timeout

#[test]
fn a_ping_without_any_sign_of_life_after_it_ends_the_connection() {
    for role in ROLES {
        let mut side = Side::of_with(role, pinging());
        side.tick(at(0));
        side.tick(at(30));
        tick_flushed(&mut side, 30);
        assert_eq!(side.connection.poll_timeout(), Some(at(50)));
        assert_eq!(tick_flushed(&mut side, 49), None);
        assert_eq!(tick_flushed(&mut side, 50), Some(Timeout::Pong));
        assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Close));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Timeout(Timeout::Pong)));
        assert_eq!(side.connection.close_code(), Some(CloseCode::ABNORMAL));
        assert_eq!(plain(&side.output)[0].1[..2], 1011u16.to_be_bytes());
        assert_eq!(tick_flushed(&mut side, 51), None);
        assert_eq!((side.output.len(), side.connection.poll_timeout()), (0, None));
        assert_eq!(side.receive(&to(role, FIN | TEXT, b"late")), []);
    }
}

#[test]
fn a_ping_that_was_just_sent_is_due_for_being_noticed_as_written() {
    // Else the peer's time would only begin at the next deadline, which is an interval away.
    for role in ROLES {
        let mut side = Side::of_with(role, pinging());
        side.tick(at(0));
        side.tick(at(30));
        assert!(
            side.connection.poll_timeout().is_some_and(|due| due <= at(30)),
            "{:?}",
            side.connection.poll_timeout()
        );
        // Where it was not written yet, there is no use in asking again at once.
        side.tick(at(30));
        assert!(side.connection.poll_timeout().is_some_and(|due| due > at(30)), "{:?}", side.connection.poll_timeout());
    }
}

#[test]
fn a_peer_that_is_gone_is_found_an_interval_and_a_pong_timeout_after_its_last_sign() {
    let mut pair = Pair::with(silent(|_| ()), pinging());
    pair.client.send_text("the last thing you hear of me");
    pair.deliver();
    pair.advance(secs(49));
    assert_eq!(pair.server.timeouts, []);
    pair.advance(secs(1));
    assert_eq!(pair.server.timeouts, [Timeout::Pong]);
}

#[test]
fn the_pong_timeout_does_not_start_before_the_ping_was_flushed() {
    for role in ROLES {
        let patient = config(|config| {
            config.ping_interval = Some(secs(30));
            config.output_timeout = None;
        });
        let mut side = Side::of_with(role, patient);
        side.tick(at(0));
        side.tick(at(30));
        for second in 31..200 {
            assert_eq!(side.tick(at(second)), None, "after {second} s, with the ping still in the output");
        }
        assert_eq!(tick_flushed(&mut side, 200), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(220)));
        assert_eq!(tick_flushed(&mut side, 219), None);
        assert_eq!(tick_flushed(&mut side, 220), Some(Timeout::Pong));
    }
}

#[test]
fn any_inbound_byte_is_a_sign_of_life() {
    for role in ROLES {
        let signs = [
            to(role, FIN | PONG, b"not that ping"),
            to(role, FIN | PING, b""),
            to(role, FIN | TEXT, b"text"),
            vec![FIN | BINARY],
        ];
        for bytes in signs {
            let mut side = Side::of_with(role, pinging());
            side.tick(at(0));
            side.tick(at(30));
            tick_flushed(&mut side, 30);
            side.receive(&bytes);
            assert_eq!(tick_flushed(&mut side, 49), None);
            assert_eq!(tick_flushed(&mut side, 50), None);
            assert_eq!(tick_flushed(&mut side, 78), None);
            assert_eq!(side.state(), State::Open);
            assert_eq!(tick_flushed(&mut side, 79), None);
            assert_eq!(plain(&side.output), [(FIN | PING, numbered(2))], "the next one is due");
        }
    }
}

#[test]
fn the_bytes_of_a_long_message_that_is_not_complete_are_signs_of_life() {
    for role in ROLES {
        let mut side = Side::of_with(
            role,
            config(|config| {
                config.ping_interval = Some(secs(3));
                config.pong_timeout = Some(secs(3));
                config.idle_timeout = Some(secs(5));
            }),
        );
        side.tick(at(0));
        side.receive(&head_to(role, FIN | BINARY, 1_000_000));
        for second in 1..1000 {
            side.receive(&[0]);
            assert_eq!(tick_flushed(&mut side, second * 2), None, "after {} s", second * 2);
        }
        assert_eq!(side.state(), State::Open);
    }
}

#[test]
fn a_sign_of_life_from_before_the_ping_does_not_count() {
    let mut side = Side::server_with(pinging());
    side.tick(at(0));
    side.receive(&to(Role::Server, FIN | TEXT, b"still alive"));
    tick_flushed(&mut side, 10);
    tick_flushed(&mut side, 40);
    tick_flushed(&mut side, 40);
    assert_eq!(tick_flushed(&mut side, 60), Some(Timeout::Pong));
}

#[test]
fn a_sign_of_life_from_before_the_ping_was_flushed_does_not_count() {
    let mut side = Side::server_with(pinging());
    side.tick(at(0));
    side.tick(at(30));
    side.receive(&to(Role::Server, FIN | TEXT, b"still alive"));
    assert_eq!(side.tick(at(31)), None, "with the ping still in the output");
    assert_eq!(tick_flushed(&mut side, 40), None);
    assert_eq!(side.connection.poll_timeout(), Some(at(60)));
    assert_eq!(tick_flushed(&mut side, 60), Some(Timeout::Pong));
}

#[test]
fn without_a_pong_timeout_a_ping_waits_for_ever() {
    let mut side = Side::server_with(config(|config| {
        config.ping_interval = Some(secs(30));
        config.pong_timeout = None;
    }));
    side.tick(at(0));
    for second in (30..1000).step_by(30) {
        assert_eq!(tick_flushed(&mut side, second), None);
    }
    assert_eq!(side.state(), State::Open);
    assert_eq!(side.connection.sent().frames, 33, "and the next ones are sent all the same");
}

#[test]
fn a_ping_of_the_caller_has_the_pong_timeout() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.tick(at(0));
        side.connection.ping(&mut side.output).unwrap();
        assert!(side.connection.poll_timeout().is_some_and(|due| due <= at(0)));
        tick_flushed(&mut side, 5);
        assert_eq!(side.connection.poll_timeout(), Some(at(25)));
        assert_eq!(tick_flushed(&mut side, 24), None);
        assert_eq!(tick_flushed(&mut side, 25), Some(Timeout::Pong));
    }
}

#[test]
fn a_ping_with_a_payload_of_the_caller_has_no_deadline() {
    let mut side = Side::server_with(silent(|_| ()));
    side.tick(at(0));
    side.send_ping(b"hello?");
    tick_flushed(&mut side, 0);
    assert_eq!(side.connection.poll_timeout(), None);
    assert_eq!(tick_flushed(&mut side, 1_000_000), None);
}

// Round-trip time

#[test]
fn the_round_trip_of_a_ping_of_the_caller_is_measured() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.tick(at(0));
        assert_eq!(side.connection.round_trip(), None);
        side.connection.ping(&mut side.output).unwrap();
        tick_flushed(&mut side, 5);
        side.receive(&to(role, FIN | PONG, &numbered(1)));
        tick_flushed(&mut side, 8);
        assert_eq!(side.connection.round_trip(), Some(secs(3)));
    }
}

#[test]
fn the_round_trip_of_a_ping_of_the_keepalive_is_measured() {
    // As documented: a call when a deadline comes, and after each batch of input.
    for role in ROLES {
        let mut side = Side::of_with(role, pinging());
        side.tick(at(0));
        let mut now = 0;
        while side.output.is_empty() {
            now += 10;
            side.tick(at(now));
        }
        side.output.clear();
        while side.connection.poll_timeout().is_some_and(|due| due <= at(now)) {
            side.tick(at(now));
        }
        side.receive(&to(role, FIN | PONG, &numbered(1)));
        side.tick(at(32));
        assert_eq!(side.connection.round_trip(), Some(secs(2)));
    }
}

#[test]
fn a_round_trip_whose_beginning_nobody_noticed_is_not_claimed() {
    for role in ROLES {
        let mut side = Side::of_with(role, silent(|_| ()));
        side.tick(at(0));
        side.connection.ping(&mut side.output).unwrap();
        side.receive(&to(role, FIN | PONG, &numbered(1)));
        tick_flushed(&mut side, 7);
        assert_eq!(side.connection.round_trip(), None);
        assert_eq!(side.connection.poll_timeout(), None, "but it was answered");
    }
}

#[test]
fn only_the_pong_of_the_newest_ping_gives_a_round_trip() {
    let mut side = Side::server();
    side.tick(at(0));
    side.connection.ping(&mut side.output).unwrap();
    tick_flushed(&mut side, 0);
    side.connection.ping(&mut side.output).unwrap();
    tick_flushed(&mut side, 1);
    for payload in [numbered(1), numbered(3), vec![], b"other".to_vec()] {
        side.receive(&to(Role::Server, FIN | PONG, &payload));
        tick_flushed(&mut side, 2);
        assert_eq!(side.connection.round_trip(), None, "{payload:?}");
    }
    side.receive(&to(Role::Server, FIN | PONG, &numbered(2)));
    tick_flushed(&mut side, 4);
    assert_eq!(side.connection.round_trip(), Some(secs(3)));
    side.receive(&to(Role::Server, FIN | PONG, &numbered(2)));
    tick_flushed(&mut side, 9);
    assert_eq!(side.connection.round_trip(), Some(secs(3)), "the same pong again tells nothing");
}

#[test]
fn the_round_trip_across_the_pair_is_the_time_that_passed() {
    let mut pair = Pair::new();
    pair.client.connection.ping(&mut pair.client.output).unwrap();
    pair.flush();
    pair.advance(Duration::from_millis(0));
    pair.advance(Duration::from_millis(40));
    pair.deliver_to_server(usize::MAX);
    pair.flush();
    pair.advance(Duration::from_millis(35));
    pair.deliver_to_client(usize::MAX);
    pair.advance(Duration::ZERO);
    assert_eq!(pair.client.connection.round_trip(), Some(Duration::from_millis(75)));
    assert_eq!(pair.client.heard, [pong(&numbered(1))]);
}

// Output timeout

#[test]
fn output_of_which_nothing_is_taken_ends_the_connection_without_a_close() {
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.tick(at(0));
        side.send_text("will you read this?");
        let queued = side.output.len();
        assert_eq!(side.tick(at(5)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(15)));
        assert_eq!(side.tick(at(14)), None);
        assert_eq!((side.state(), side.connection.end_cause()), (State::Open, None));
        assert_eq!(side.tick(at(15)), Some(Timeout::Output));
        assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Close));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Timeout(Timeout::Output)));
        assert_eq!(side.connection.close_code(), Some(CloseCode::ABNORMAL));
        assert_eq!(side.output.len(), queued, "nobody would take a Close");
        assert_eq!(side.connection.send_text("more", &mut side.output), Err(SendError::Closed));
        assert_eq!((side.tick(at(100)), side.connection.poll_timeout()), (None, None), "it is said once");
        assert_eq!(side.receive(&to(role, FIN | TEXT, b"late")), []);
    }
}

#[test]
fn output_does_not_start_its_time_before_it_is_noticed() {
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.send_text("from before the clock was seen");
        assert_eq!(side.connection.poll_timeout(), None);
        side.tick(at(100));
        assert_eq!(side.connection.poll_timeout(), Some(at(110)));
        side.output.clear();
        side.tick(at(101));
        assert_eq!(side.connection.poll_timeout(), None, "nothing waits");
        side.send_text("not noticed yet");
        assert_eq!(side.connection.poll_timeout(), None);
        assert_eq!(side.tick(at(500)), None);
        assert_eq!(side.tick(at(509)), None);
        assert_eq!(side.tick(at(510)), Some(Timeout::Output));
    }
}

#[test]
fn a_byte_that_is_taken_gives_the_rest_of_the_output_new_time() {
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.tick(at(0));
        side.send_binary(&[7; 1000]);
        side.tick(at(0));
        for step in 1..100 {
            side.output.remove(0);
            assert_eq!(side.tick(at(step * 9)), None, "after {} s", step * 9);
            assert_eq!(side.connection.poll_timeout(), Some(at(step * 9 + 10)));
        }
        assert_eq!(side.tick(at(99 * 9 + 9)), None);
        assert_eq!(side.tick(at(99 * 9 + 10)), Some(Timeout::Output));
    }
}

#[test]
fn more_output_gives_what_waits_no_new_time() {
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.tick(at(0));
        for second in 0..10 {
            side.send_text("and another thing");
            assert_eq!(side.tick(at(second)), None);
            assert_eq!(side.connection.poll_timeout(), Some(at(10)));
        }
        assert_eq!(side.tick(at(10)), Some(Timeout::Output));
    }
}

#[test]
fn output_that_is_taken_while_more_is_added_is_progress() {
    // As long as before, or longer, but not the same bytes.
    for role in ROLES {
        for added in [10, 11, 300] {
            let mut side = Side::of_with(role, stalling());
            side.tick(at(0));
            side.send_binary(&[7; 100]);
            side.tick(at(0));
            for step in 1..100 {
                side.output.drain(..10);
                side.send_binary(&vec![7; added]);
                assert_eq!(side.tick(at(step * 9)), None, "{added} bytes, after {} s", step * 9);
            }
            assert_eq!(side.state(), State::Open);
        }
    }
}

#[test]
fn output_that_was_written_in_between_leaves_no_deadline() {
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.tick(at(0));
        for second in 0..100 {
            side.send_text("quickly taken");
            side.tick(at(second));
            assert_eq!(side.connection.poll_timeout(), Some(at(second + 10)));
            assert_eq!(tick_flushed(&mut side, second), None);
            assert_eq!(side.connection.poll_timeout(), None);
        }
        side.send_text("the next one has all of its time");
        side.tick(at(1000));
        assert_eq!(side.connection.poll_timeout(), Some(at(1010)));
    }
}

#[test]
fn what_was_taken_between_two_calls_counts_as_of_the_second() {
    let mut side = Side::server_with(stalling());
    side.tick(at(0));
    side.send_binary(&[7; 100]);
    side.tick(at(0));
    side.output.drain(..50);
    assert_eq!(side.tick(at(1000)), None, "late, for nobody knows when it was, but never early");
    assert_eq!(side.connection.poll_timeout(), Some(at(1010)));
    assert_eq!(side.tick(at(1010)), Some(Timeout::Output));
}

#[test]
fn bytes_in_flight_wait_until_they_are_said_to_be_written() {
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.tick(at(0));
        side.send_binary(&[7; 100]);
        side.tick(at(0));
        let taken = side.take_output().len();
        side.connection.set_in_flight(taken);
        assert_eq!(side.tick(at(9)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(10)), "that they were taken out is no progress");
        side.connection.set_in_flight(taken - 1);
        assert_eq!(side.tick(at(9)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(19)));
        assert_eq!(side.tick(at(19)), Some(Timeout::Output));
    }
}

#[test]
fn bytes_of_the_callers_in_the_output_are_output_too() {
    // The answer of the opening handshake, as often as not: it is more than the connection ever sent.
    for role in ROLES {
        let mut side = Side::of_with(role, stalling());
        side.output.extend([b'x'; 1000]);
        side.send_text("hi");
        side.tick(at(0));
        for step in 1..100 {
            side.output.drain(..10);
            assert_eq!(side.tick(at(step * 9)), None, "after {} s", step * 9);
        }
        side.output.extend([b'x'; 1000]);
        assert_eq!(side.tick(at(99 * 9 + 9)), None);
        side.output.drain(..1);
        assert_eq!(side.tick(at(99 * 9 + 9)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(99 * 9 + 19)));
    }
}

#[test]
fn output_that_stalls_while_closing_ends_the_connection_too() {
    for role in ROLES {
        let mut side = Side::of_with(
            role,
            config(|config| {
                config.output_timeout = Some(secs(10));
                config.close_timeout = Some(secs(15));
            }),
        );
        side.tick(at(0));
        side.close(CloseCode::NORMAL, "");
        side.tick(at(0));
        assert_eq!(side.connection.poll_timeout(), Some(at(10)));
        assert_eq!(side.tick(at(9)), None);
        assert_eq!(side.tick(at(10)), Some(Timeout::Output));
        assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Close));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Local), "what ended it first");
        assert_eq!((side.tick(at(15)), side.connection.poll_timeout()), (None, None));
    }
}

#[test]
fn the_close_that_fails_a_connection_has_the_time_of_any_output() {
    for role in ROLES {
        let mut side = Side::of_with(
            role,
            config(|config| {
                config.output_timeout = Some(secs(10));
                config.close_timeout = None;
            }),
        );
        side.tick(at(0));
        side.receive(&to(role, FIN | 0x40 | TEXT, b""));
        assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Linger));
        side.tick(at(1));
        assert_eq!(side.connection.poll_timeout(), Some(at(11)));
        assert_eq!(side.tick(at(11)), Some(Timeout::Output));
        assert_eq!(side.teardown(), Teardown::Close);
        assert!(matches!(side.connection.end_cause(), Some(EndCause::Violation(_))));
    }
}

#[test]
fn output_that_flows_while_closing_leaves_the_deadline_of_the_closing_handshake() {
    for role in ROLES {
        let mut side = Side::of_with(
            role,
            config(|config| {
                config.output_timeout = Some(secs(3));
                config.close_timeout = Some(secs(10));
            }),
        );
        side.tick(at(0));
        side.send_binary(&[7; 100]);
        side.close(CloseCode::NORMAL, "");
        for second in 0..10 {
            side.output.remove(0);
            assert_eq!(side.tick(at(second)), None);
        }
        side.output.remove(0);
        assert_eq!(side.tick(at(10)), Some(Timeout::Close));
    }
}

#[test]
fn a_peer_that_sends_but_does_not_read_is_not_waited_for() {
    for role in ROLES {
        let mut side = Side::of_with(role, everything());
        side.tick(at(0));
        side.send_text("will you read this?");
        for second in 0..35 {
            side.receive(&to(role, FIN | TEXT, b"busy"));
            assert_eq!(side.tick(at(second)), None, "after {second} s");
        }
        side.receive(&to(role, FIN | TEXT, b"busy"));
        assert_eq!(side.tick(at(35)), Some(Timeout::Output));
    }
}

#[test]
fn where_a_close_would_not_be_taken_either_the_output_is_what_expires() {
    for role in ROLES {
        let mut side = Side::of_with(
            role,
            config(|config| {
                config.output_timeout = Some(secs(10));
                config.idle_timeout = Some(secs(10));
                config.lifetime = Some(secs(10));
            }),
        );
        side.send_text("will you read this?");
        side.tick(at(0));
        assert_eq!(side.tick(at(10)), Some(Timeout::Output));
        assert_eq!(side.teardown(), Teardown::Close);
    }
}

#[test]
fn a_keepalive_ping_that_nobody_takes_ends_the_connection() {
    for role in ROLES {
        let mut side = Side::of_with(role, pinging());
        side.tick(at(0));
        side.tick(at(30));
        side.tick(at(30));
        for second in 31..60 {
            assert_eq!(side.tick(at(second)), None);
        }
        assert_eq!(side.tick(at(60)), Some(Timeout::Output), "30 s after the ping was queued");
    }
}

#[test]
fn without_an_output_timeout_output_waits_for_ever() {
    let mut side = Side::server_with(silent(|config| config.output_timeout = None));
    side.send_text("whenever you like");
    side.tick(at(0));
    assert_eq!((side.tick(at(1_000_000)), side.connection.poll_timeout()), (None, None));
}

#[test]
fn the_pair_that_writes_all_it_has_never_stalls() {
    let mut pair = Pair::with(stalling(), stalling());
    for _ in 0..100 {
        pair.client.send_text("hello");
        pair.server.send_text("hello");
        pair.deliver();
        pair.advance(secs(60));
    }
    assert_eq!((&pair.client.timeouts[..], &pair.server.timeouts[..]), (&[][..], &[][..]));
}

// Idle timeout

#[test]
fn silence_closes_the_connection_with_1001() {
    for role in ROLES {
        let mut side = Side::of_with(role, idling());
        side.tick(at(0));
        assert_eq!(side.connection.poll_timeout(), Some(at(10)));
        assert_eq!(side.tick(at(9)), None);
        assert_eq!(side.tick(at(10)), Some(Timeout::Idle));
        assert_eq!(plain(&side.output), [(0x88, close_body(1001, "nothing received for too long"))]);
        assert_eq!((side.state(), side.teardown()), (State::Closing, Teardown::Keep));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Timeout(Timeout::Idle)));
        assert_eq!(side.connection.poll_timeout(), Some(at(20)), "now the closing handshake has its time");
        assert_eq!(side.tick(at(11)), None, "it is said once");
        assert_eq!(side.tick(at(20)), Some(Timeout::Close));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Timeout(Timeout::Idle)));
    }
}

#[test]
fn what_we_send_does_not_make_the_peer_less_idle() {
    let mut side = Side::server_with(idling());
    side.tick(at(0));
    for second in 1..10 {
        side.send_text("anyone?");
        assert_eq!(tick_flushed(&mut side, second), None);
    }
    assert_eq!(tick_flushed(&mut side, 10), Some(Timeout::Idle));
}

#[test]
fn a_peer_that_sends_a_byte_in_time_is_not_idle() {
    let mut side = Side::server_with(idling());
    side.tick(at(0));
    for second in (9..900).step_by(9) {
        side.receive(&to(Role::Server, FIN | PONG, b""));
        assert_eq!(side.tick(at(second)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(second + 10)));
    }
}

#[test]
fn an_idle_pair_closes_cleanly() {
    for role in ROLES {
        let (client, server) = match role {
            Role::Client => (idling(), silent(|_| ())),
            Role::Server => (silent(|_| ()), idling()),
        };
        let mut pair = Pair::with(client, server);
        pair.advance(secs(10));
        pair.obey_teardown();
        assert_eq!(pair.states(), (State::Closed, State::Closed));
        assert_eq!(pair.hung_up, [Role::Server, Role::Client]);
        assert_eq!(pair.peer_of(role).connection.end_cause(), Some(&EndCause::Remote));
        assert_eq!(pair.side(role).connection.close_code(), Some(CloseCode::GOING_AWAY));
    }
}

// Message timeout

#[test]
fn a_message_that_takes_too_long_closes_the_connection_with_1008() {
    for role in ROLES {
        for begun in [to(role, TEXT, b"open"), head_to(role, FIN | BINARY, 5), vec![FIN | TEXT]] {
            let mut side = Side::of_with(role, impatient());
            side.tick(at(0));
            assert_eq!(side.connection.poll_timeout(), None, "no message, no deadline");
            side.receive(&begun);
            side.tick(at(3));
            assert_eq!(side.connection.poll_timeout(), Some(at(13)));
            assert_eq!(side.tick(at(12)), None);
            assert_eq!(side.tick(at(13)), Some(Timeout::Message));
            assert_eq!(plain(&side.output), [(0x88, close_body(1008, "message took too long to arrive"))]);
            assert_eq!(side.connection.end_cause(), Some(&EndCause::Timeout(Timeout::Message)));
            assert_eq!(side.state(), State::Closing);
        }
    }
}

#[test]
fn neither_fragments_nor_control_frames_give_a_message_more_time() {
    for role in ROLES {
        let mut side = Side::of_with(role, impatient());
        side.receive(&to(role, TEXT, b"slowly"));
        for second in 0..10 {
            side.receive(&to(role, CONTINUATION, b"."));
            side.receive(&to(role, FIN | PING, b""));
            assert_eq!(side.tick(at(second)), None);
        }
        assert_eq!(side.tick(at(10)), Some(Timeout::Message));
    }
}

#[test]
fn each_message_has_its_own_time() {
    for role in ROLES {
        let mut side = Side::of_with(role, impatient());
        side.tick(at(0));
        for n in 0..50 {
            side.receive(&to(role, TEXT, b"in "));
            assert_eq!(side.tick(at(n * 9)), None);
            // One ends and the next begins between two looks at the clock.
            side.receive(&to(role, FIN | CONTINUATION, b"time"));
        }
        assert_eq!(side.tick(at(1000)), None, "none is open");
        assert_eq!(side.connection.poll_timeout(), None);
        assert_eq!(side.heard.len(), 50);
    }
}

#[test]
fn the_time_of_a_message_is_not_that_of_a_control_frame_before_it() {
    for role in ROLES {
        let mut side = Side::of_with(role, impatient());
        side.tick(at(0));
        let slow_ping = to(role, FIN | PING, b"slow");
        side.receive(&slow_ping[..3]);
        side.tick(at(0));
        side.receive(&slow_ping[3..]);
        side.receive(&to(role, TEXT, b"just begun"));
        assert_eq!(side.tick(at(9)), None);
        assert_eq!(side.tick(at(10)), None, "the message began 1 s ago");
        assert_eq!(side.tick(at(19)), Some(Timeout::Message));
    }
}

// Lifetime

#[test]
fn a_connection_of_its_longest_age_closes_with_1001_whatever_goes_on() {
    for role in ROLES {
        let mut side = Side::of_with(role, silent(|config| config.lifetime = Some(secs(100))));
        side.tick(at(50));
        for second in 50..150 {
            side.receive(&to(role, FIN | TEXT, b"busy"));
            assert_eq!(side.tick(at(second)), None);
            assert_eq!(side.connection.poll_timeout(), Some(at(150)));
        }
        assert_eq!(side.tick(at(150)), Some(Timeout::Lifetime));
        assert_eq!(plain(&side.output), [(0x88, close_body(1001, "connection reached its longest lifetime"))]);
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Timeout(Timeout::Lifetime)));
        assert_eq!(side.state(), State::Closing);
    }
}

#[test]
fn messages_that_are_on_their_way_at_a_deadline_are_still_received() {
    let mut pair = Pair::with(silent(|_| ()), silent(|config| config.lifetime = Some(secs(100))));
    pair.client.send_text("on its way");
    pair.flush();
    pair.advance(secs(100));
    pair.obey_teardown();
    assert_eq!(pair.server.heard[0], text("on its way"));
    assert_eq!(pair.client.connection.close_code(), Some(CloseCode::GOING_AWAY));
}

// What does not matter any more

#[test]
fn once_closing_only_the_deadline_of_the_closing_handshake_counts() {
    for role in ROLES {
        let mut side = Side::of_with(
            role,
            config(|config| {
                config.ping_interval = Some(secs(1));
                config.pong_timeout = Some(secs(1));
                config.idle_timeout = Some(secs(2));
                config.message_timeout = Some(secs(2));
                config.lifetime = Some(secs(3));
            }),
        );
        side.tick(at(0));
        side.receive(&to(role, TEXT, b"open"));
        side.close(CloseCode::NORMAL, "");
        side.tick(at(0));
        side.output.clear();
        assert_eq!(side.connection.poll_timeout(), Some(at(10)));
        for second in 1..10 {
            assert_eq!(side.tick(at(second)), None);
        }
        assert_eq!(side.output, b"", "no ping after our Close");
        assert_eq!(side.tick(at(10)), Some(Timeout::Close));
    }
}

#[test]
fn a_closed_connection_whose_transport_ended_has_no_deadline() {
    for role in ROLES {
        let mut side = Side::of_with(role, everything());
        side.tick(at(0));
        side.connection.receive_eof();
        assert_eq!(side.connection.poll_timeout(), None);
        assert_eq!(side.tick(at(1_000_000)), None);
        assert_eq!(side.output, b"");
    }
}

#[test]
fn every_deadline_says_in_words_what_it_was() {
    let all = [Timeout::Pong, Timeout::Output, Timeout::Idle, Timeout::Message, Timeout::Lifetime, Timeout::Close];
    let mut words: Vec<_> = all.iter().map(ToString::to_string).collect();
    words.dedup();
    assert_eq!(words.len(), all.len());
    assert!(words.iter().all(|words| !words.is_empty() && words.len() <= 123));
}
