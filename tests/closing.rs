//! The closing handshake, in every order, and every other end of a connection: RFC 6455 §5.5.1 and §7.

mod common;

use common::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, ROLES, TEXT, close_body, only_close_code, plain, to};
use common::{Heard, Pair, Side, at, binary, close, config, failed, ping, secs, text};
use sockeye::{
    Close, CloseCode, EndCause, ExtensionError, Fin, MessageKind, PreparedMessage, ProtocolError, Role, SendError,
    State, Teardown, Timeout,
};

/// Asserts that nothing can be sent, and that nothing is written for the attempt.
fn assert_nothing_can_be_sent(side: &mut Side) {
    let before = (side.output.clone(), side.connection.sent(), side.connection.end_cause().cloned());
    let prepared = PreparedMessage::new("late");
    let (connection, output) = (&mut side.connection, &mut side.output);
    assert_eq!(connection.send("late", output), Err(SendError::Closed));
    assert_eq!(connection.send_text("late", output), Err(SendError::Closed));
    assert_eq!(connection.send_binary(b"late", output), Err(SendError::Closed));
    assert_eq!(connection.send_fragment("late", Fin::Last, output), Err(SendError::Closed));
    assert_eq!(connection.send_prepared(&prepared, output), Err(SendError::Closed));
    assert_eq!(connection.head(MessageKind::Text, &mut []), Err(SendError::Closed));
    if connection.role() == Role::Server {
        assert_eq!(connection.shared_head(MessageKind::Text, b"late"), Err(SendError::Closed));
        assert_eq!(connection.prepared(&prepared), Err(SendError::Closed));
        assert_eq!(connection.prepared_frame(&prepared), Err(SendError::Closed));
    }
    assert_eq!(connection.ping(output), Err(SendError::Closed));
    assert_eq!(connection.send_ping(b"late", output), Err(SendError::Closed));
    assert_eq!(connection.send_pong(b"late", output), Err(SendError::Closed));
    assert_eq!(connection.close(Close::normal(), output), Err(SendError::Closed));
    assert_eq!((side.output.clone(), side.connection.sent(), side.connection.end_cause().cloned()), before);
}

// §7.1.2 The closing handshake

#[test]
fn a_new_connection_is_open_and_nothing_ends_it_by_itself() {
    let without_pings = config(|config| config.ping_interval = None);
    let mut pair = Pair::with(without_pings.clone(), without_pings);
    pair.advance(secs(10_000_000));
    pair.deliver();
    assert_eq!(pair.states(), (State::Open, State::Open));
    for role in ROLES {
        let side = pair.side(role);
        assert_eq!(side.teardown(), Teardown::Keep);
        assert_eq!(side.connection.end_cause(), None);
        assert_eq!(side.connection.close_code(), None);
        assert_eq!(side.connection.peer_close(), None);
        assert_eq!(side.connection.poll_timeout(), None);
        assert_eq!(side.connection.role(), role);
    }
}

#[test]
fn the_side_that_closes_first_waits_for_the_other_one() {
    for role in ROLES {
        let mut pair = Pair::new();
        pair.side(role).close(CloseCode::GOING_AWAY, "moving on");
        assert_eq!(pair.side(role).state(), State::Closing);
        assert_eq!(pair.side(role).teardown(), Teardown::Keep);
        assert_eq!(pair.side(role).connection.end_cause(), Some(&EndCause::Local));
        assert_eq!(pair.side(role).connection.close_code(), None);
        assert_nothing_can_be_sent(pair.side(role));

        pair.deliver();
        assert_eq!(pair.states(), (State::Closed, State::Closed));
        assert_eq!(pair.peer_of(role).heard, [close(CloseCode::GOING_AWAY, "moving on")]);
        assert_eq!(pair.peer_of(role).connection.end_cause(), Some(&EndCause::Remote));
        assert_eq!(pair.side(role).heard, [close(CloseCode::GOING_AWAY, "")], "the code is echoed");
        assert_eq!(pair.side(role).connection.end_cause(), Some(&EndCause::Local));
        for role in ROLES {
            assert_eq!(pair.side(role).connection.close_code(), Some(CloseCode::GOING_AWAY));
            assert_nothing_can_be_sent(pair.side(role));
        }
        let peer_close = pair.peer_of(role).connection.peer_close().cloned();
        assert_eq!(peer_close, Some(Close::new(CloseCode::GOING_AWAY, "moving on").unwrap()));
    }
}

#[test]
fn the_answer_to_a_close_is_there_before_the_close_is_reported() {
    for role in ROLES {
        let mut side = Side::of(role);
        assert_eq!(side.receive(&to(role, FIN | CLOSE, b"\x0f\xa0why")), [close(4000.into(), "why")]);
        assert_eq!(plain(&side.output), [(FIN | CLOSE, b"\x0f\xa0".to_vec())]);
        assert_eq!(side.state(), State::Closed);
    }
}

#[test]
fn a_close_without_a_code_is_1005_and_answered_without_a_code() {
    for role in ROLES {
        let mut side = Side::of(role);
        assert_eq!(side.receive(&to(role, FIN | CLOSE, b"")), [Heard::Close(Close::without_status())]);
        assert_eq!(plain(&side.output), [(FIN | CLOSE, vec![])], "1005 is never sent");
        assert_eq!(side.connection.close_code(), Some(CloseCode::NO_STATUS));
    }
}

#[test]
fn when_both_close_at_once_each_sends_one_close() {
    let mut pair = Pair::new();
    pair.client.close(CloseCode::NORMAL, "mine");
    pair.server.close(CloseCode::GOING_AWAY, "no, mine");
    pair.deliver();
    assert_eq!(pair.states(), (State::Closed, State::Closed));
    assert_eq!(pair.client.heard, [close(CloseCode::GOING_AWAY, "no, mine")]);
    assert_eq!(pair.server.heard, [close(CloseCode::NORMAL, "mine")]);
    assert_eq!(pair.client.connection.end_cause(), Some(&EndCause::Local));
    assert_eq!(pair.server.connection.end_cause(), Some(&EndCause::Local));
    assert_eq!(pair.client.connection.close_code(), Some(CloseCode::GOING_AWAY));
    assert_eq!(pair.server.connection.close_code(), Some(CloseCode::NORMAL));
    assert_eq!((pair.client.connection.sent().frames, pair.server.connection.sent().frames), (1, 1));
}

#[test]
fn what_was_queued_goes_out_before_the_close() {
    for role in ROLES {
        let mut pair = Pair::new();
        let side = pair.side(role);
        side.send_text("first");
        side.send_binary(&[1; 200_000]);
        side.send_ping(b"second");
        side.close(CloseCode::NORMAL, "");
        pair.deliver_by(1000);
        let heard = [text("first"), binary(&[1; 200_000]), ping(b"second"), close(CloseCode::NORMAL, "")];
        assert_eq!(pair.peer_of(role).heard, heard);
    }
}

#[test]
fn a_message_that_is_open_in_fragments_does_not_hinder_a_close() {
    for role in ROLES {
        let mut pair = Pair::new();
        let side = pair.side(role);
        side.connection.send_fragment("half", Fin::More, &mut side.output).unwrap();
        side.close(CloseCode::NORMAL, "");
        pair.deliver();
        assert_eq!(pair.states(), (State::Closed, State::Closed));
    }
}

#[test]
fn messages_that_were_on_their_way_when_we_closed_are_still_received() {
    for role in ROLES {
        let mut pair = Pair::new();
        pair.side(role).close(CloseCode::NORMAL, "");
        pair.peer_of(role).send_text("on its way");
        pair.peer_of(role).send_ping(b"too");
        pair.deliver();
        assert_eq!(pair.side(role).heard, [text("on its way"), ping(b"too"), close(CloseCode::NORMAL, "")]);
    }
}

#[test]
fn what_follows_the_close_of_the_peer_is_ignored() {
    for role in ROLES {
        let after = [
            to(role, FIN | TEXT, b"late"),
            to(role, FIN | PING, b"late"),
            to(role, FIN | CLOSE, b"\x03\xe8"),
            vec![0xff; 20],
        ];
        for size in [1, usize::MAX] {
            let mut side = Side::of(role);
            let bytes = [to(role, FIN | CLOSE, b"\x03\xe8"), after.concat()].concat();
            assert_eq!(side.receive_by(size, &bytes), [close(CloseCode::NORMAL, "")]);
            assert_eq!(plain(&side.output).len(), 1, "one Close, no pong");
            assert_eq!(side.connection.end_cause(), Some(&EndCause::Remote));
            assert_eq!(side.state(), State::Closed);
        }
    }
}

#[test]
fn closing_twice_is_refused_the_second_time() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.close(CloseCode::NORMAL, "");
        let written = side.output.clone();
        assert_eq!(side.connection.close(Close::normal(), &mut side.output), Err(SendError::Closed));
        assert_eq!(side.output, written);
    }
}

// §7.1.1 The transport

#[test]
fn the_server_closes_the_transport_first_whoever_began() {
    for who in [vec![Role::Client], vec![Role::Server], vec![Role::Client, Role::Server]] {
        let mut pair = Pair::new();
        for role in &who {
            pair.side(*role).close(CloseCode::NORMAL, "");
        }
        pair.deliver();
        assert_eq!(pair.server.teardown(), Teardown::Close);
        assert_eq!(pair.client.teardown(), Teardown::AwaitPeer);
        pair.obey_teardown();
        assert_eq!(pair.hung_up, [Role::Server, Role::Client], "begun by {who:?}");
        assert_eq!(pair.client.connection.close_code(), Some(CloseCode::NORMAL));
        assert_eq!(pair.client.timeouts, []);
    }
}

#[test]
fn a_client_whose_server_does_not_close_the_transport_does_it_when_the_deadline_comes() {
    let mut pair = Pair::new();
    pair.client.close(CloseCode::NORMAL, "");
    pair.deliver();
    pair.advance(secs(9));
    assert_eq!(pair.client.teardown(), Teardown::AwaitPeer);
    pair.advance(secs(1));
    assert_eq!(pair.client.teardown(), Teardown::Close);
    assert_eq!(pair.client.connection.close_code(), Some(CloseCode::NORMAL));
    assert_eq!(pair.client.connection.end_cause(), Some(&EndCause::Local));
}

#[test]
fn a_side_that_failed_the_connection_lingers_until_the_peer_is_gone() {
    for role in ROLES {
        let mut pair = Pair::new();
        let side = pair.side(role);
        side.receive(&[FIN | 0x3]);
        assert_eq!(side.teardown(), Teardown::Linger);
        pair.obey_teardown();
        assert_eq!(pair.peer_of(role).heard, [close(CloseCode::PROTOCOL_ERROR, "reserved opcode 0x3")]);
        assert_eq!(pair.side(role).teardown(), Teardown::Close);
        assert_eq!(pair.hung_up.len(), 2);
    }
}

#[test]
fn a_side_that_failed_the_connection_lingers_no_longer_than_the_deadline() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.tick(at(100));
        side.receive(&[FIN | 0x3]);
        side.output.clear();
        assert_eq!(side.tick(at(100)), None);
        assert_eq!(side.connection.poll_timeout(), Some(at(110)));
        assert_eq!(side.tick(at(109)), None);
        assert_eq!(side.teardown(), Teardown::Linger);
        assert_eq!(side.tick(at(110)), Some(Timeout::Close));
        assert_eq!(side.teardown(), Teardown::Close);
        assert_eq!(side.connection.poll_timeout(), None);
        let violation = EndCause::Violation(ProtocolError::ReservedOpCode(3));
        assert_eq!(side.connection.end_cause(), Some(&violation), "the first cause stays");
        assert_eq!(side.output, b"");
    }
}

#[test]
fn a_side_whose_transport_is_lost_has_only_to_close_it() {
    for role in ROLES {
        for send_close_first in [false, true] {
            let mut side = Side::of(role);
            if send_close_first {
                side.close(CloseCode::NORMAL, "");
            }
            side.connection.receive_eof();
            assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Close));
        }
    }
}

#[test]
fn a_transport_that_ends_after_the_handshake_is_no_news() {
    for role in ROLES {
        let mut pair = Pair::new();
        pair.side(role).close(CloseCode::NORMAL, "");
        pair.deliver();
        for role in ROLES {
            let side = pair.side(role);
            let before = (side.connection.end_cause().cloned(), side.connection.close_code());
            side.connection.receive_eof();
            assert_eq!((side.connection.end_cause().cloned(), side.connection.close_code()), before);
            assert_eq!(side.teardown(), Teardown::Close);
            assert_eq!(side.connection.poll_timeout(), None);
        }
    }
}

#[test]
fn a_side_that_failed_and_whose_transport_ended_has_only_to_close_it() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.receive(&[FIN | 0x3]);
        side.connection.receive_eof();
        assert_eq!(side.teardown(), Teardown::Close);
        assert_eq!(side.receive(b"more"), [failed(ProtocolError::ReservedOpCode(3))], "it says the same again");
    }
}

// §7.1.5 End of input without a Close

#[test]
fn an_end_of_input_without_a_close_is_reported_as_1006_and_nothing_is_sent() {
    for role in ROLES {
        let beginnings = [vec![], to(role, FIN | TEXT, b"whole"), to(role, TEXT, b"open"), to(role, FIN | PING, b"")];
        for bytes in beginnings.iter().flat_map(|bytes| [&bytes[..], &bytes[..bytes.len() / 2]]) {
            let mut side = Side::of(role);
            side.tick(at(0));
            side.receive(bytes);
            side.output.clear();
            side.connection.receive_eof();
            assert_eq!(side.state(), State::Closed);
            assert_eq!(side.connection.close_code(), Some(CloseCode::ABNORMAL));
            assert_eq!(side.connection.end_cause(), Some(&EndCause::TransportLost));
            assert_eq!(side.connection.peer_close(), None);
            assert_nothing_can_be_sent(&mut side);
            assert_eq!(side.tick(at(1000)), None);
            assert_eq!(side.receive(&to(role, FIN | TEXT, b"late")), [], "nothing comes after the end");
            assert_eq!(side.output, b"");
        }
    }
}

#[test]
fn a_transport_that_ends_after_our_close_leaves_us_as_the_cause_and_1006_as_the_code() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.close(CloseCode::NORMAL, "");
        side.connection.receive_eof();
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Local));
        assert_eq!(side.connection.close_code(), Some(CloseCode::ABNORMAL));
    }
}

#[test]
fn a_transport_that_is_lost_closes_both_sides() {
    let mut pair = Pair::new();
    pair.client.send_text("never arrives");
    pair.flush();
    pair.lose_transport();
    pair.deliver();
    assert_eq!(pair.states(), (State::Closed, State::Closed));
    assert_eq!(pair.server.heard, []);
    assert_eq!((pair.client.teardown(), pair.server.teardown()), (Teardown::Close, Teardown::Close));
}

#[test]
fn an_end_of_input_twice_is_as_one() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.connection.receive_eof();
        side.connection.receive_eof();
        assert_eq!(side.connection.end_cause(), Some(&EndCause::TransportLost));
        assert_eq!(side.teardown(), Teardown::Close);
    }
}

// §7.1.1 The deadline of the closing handshake

#[test]
fn a_close_that_is_not_answered_ends_when_its_deadline_comes() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.tick(at(0));
        side.close(CloseCode::NORMAL, "");
        side.output.clear();
        side.tick(at(50));
        assert_eq!(side.connection.poll_timeout(), Some(at(60)));
        assert_eq!(side.tick(at(59)), None);
        assert_eq!(side.state(), State::Closing);
        assert_eq!(side.tick(at(60)), Some(Timeout::Close));
        assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Close));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Local));
        assert_eq!(side.connection.close_code(), Some(CloseCode::ABNORMAL));
        assert_eq!(side.tick(at(61)), None, "it is said once");
        assert_eq!(side.connection.poll_timeout(), None);
        assert_eq!(side.output, b"");
    }
}

#[test]
fn a_close_that_nobody_told_the_time_of_is_due_for_being_noticed() {
    let mut side = Side::server();
    side.tick(at(50));
    side.close(CloseCode::NORMAL, "");
    let due = side.connection.poll_timeout();
    assert!(due.is_some_and(|due| due <= at(50)), "{due:?}");
}

#[test]
fn traffic_does_not_restart_the_deadline_of_the_closing_handshake() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.tick(at(0));
        side.close(CloseCode::NORMAL, "");
        for second in 0..10 {
            side.receive(&to(role, FIN | TEXT, b"I do not care"));
            side.receive(&to(role, FIN | PING, b"nor do I"));
            assert_eq!(side.tick(at(second)), None, "after {second} s");
        }
        assert_eq!(side.tick(at(10)), Some(Timeout::Close));
        assert_eq!(side.receive(&to(role, FIN | TEXT, b"still here")), []);
    }
}

#[test]
fn without_a_close_timeout_a_closing_handshake_waits_for_ever() {
    let mut side = Side::server_with(config(|config| config.close_timeout = None));
    side.tick(at(0));
    side.close(CloseCode::NORMAL, "");
    side.output.clear();
    assert_eq!(side.tick(at(1_000_000)), None);
    assert_eq!((side.connection.poll_timeout(), side.state()), (None, State::Closing));
}

// §7.1.7 Failing the connection

#[test]
fn every_violation_is_told_to_the_peer_by_a_close_with_its_code() {
    for role in ROLES {
        let own = |first, payload: &[u8]| to(role, first, payload);
        let wrong = match role {
            Role::Client => (common::wire::masked(FIN | TEXT, b""), ProtocolError::Masked),
            Role::Server => (common::wire::unmasked(FIN | TEXT, b""), ProtocolError::Unmasked),
        };
        let mask = if role == Role::Server { 0x80 } else { 0 };
        let cases = [
            (own(FIN | 0x40 | TEXT, b""), ProtocolError::ReservedBits, 1002),
            (own(FIN | 0x7, b""), ProtocolError::ReservedOpCode(7), 1002),
            (own(PING, b""), ProtocolError::FragmentedControl, 1002),
            (own(FIN | PONG, &[0; 126]), ProtocolError::ControlTooLong, 1002),
            (wrong.0, wrong.1, 1002),
            (vec![FIN | TEXT, mask | 126, 0, 1, 0, 0, 0, 0, 0], ProtocolError::NonMinimalLength, 1002),
            (vec![FIN | TEXT, mask | 127, 0x80], ProtocolError::LengthOverflow, 1002),
            (own(FIN | CONTINUATION, b""), ProtocolError::UnexpectedContinuation, 1002),
            ([own(TEXT, b""), own(TEXT, b"")].concat(), ProtocolError::ExpectedContinuation, 1002),
            (own(FIN | CLOSE, b"\x03"), ProtocolError::TruncatedCloseCode, 1002),
            (own(FIN | CLOSE, &close_body(1005, "")), ProtocolError::InvalidCloseCode(1005), 1002),
            (own(FIN | TEXT, b"\xff"), ProtocolError::InvalidUtf8, 1007),
            (own(FIN | BINARY, &[0; 100]), ProtocolError::FrameTooBig { len: 100, max: 99 }, 1009),
            (
                [own(BINARY, &[0; 99]), own(FIN, &[0; 99])].concat(),
                ProtocolError::MessageTooBig { len: 198, max: 150 },
                1009,
            ),
            (
                [own(TEXT, b""), own(0, b""), own(0, b""), own(0, b"")].concat(),
                ProtocolError::TooManyFragments { max: 3 },
                1009,
            ),
        ];
        for (bytes, error, code) in cases {
            for size in [1, usize::MAX] {
                let mut side = Side::of_with(
                    role,
                    config(|config| {
                        config.max_frame_size = 99;
                        config.max_message_size = 150;
                        config.max_fragments = 3;
                    }),
                );
                assert_eq!(side.receive_by(size, &bytes), [failed(error.clone())], "{role:?}");
                assert_eq!(only_close_code(&side.output), code, "{error}");
                assert_eq!(u16::from(error.close_code()), code);
                let reason = plain(&side.output)[0].1[2..].to_vec();
                assert_eq!(String::from_utf8(reason).unwrap(), error.to_string(), "the reason says what was wrong");

                assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Linger));
                assert_eq!(side.connection.end_cause(), Some(&EndCause::Violation(error.clone())));
                assert_eq!(side.connection.close_code(), Some(CloseCode::ABNORMAL), "no Close of theirs was received");
                assert_nothing_can_be_sent(&mut side);
                let written = side.output.clone();
                assert_eq!(
                    side.receive(&to(role, FIN | TEXT, b"fine")),
                    [failed(error.clone())],
                    "it says the same again"
                );
                assert_eq!(side.output, written, "and closes once");
            }
        }
    }
}

#[test]
fn a_violation_reaches_the_peer_as_a_close_and_not_as_a_lost_transport() {
    for role in ROLES {
        let mut pair = Pair::new();
        pair.side(role).receive(&[FIN | 0x3]);
        pair.obey_teardown();
        let peer = pair.peer_of(role);
        assert_eq!(peer.connection.end_cause(), Some(&EndCause::Remote));
        assert_eq!(peer.connection.close_code(), Some(CloseCode::PROTOCOL_ERROR));
    }
}

#[test]
fn a_violation_after_our_close_sends_no_second_one() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.close(CloseCode::NORMAL, "");
        side.output.clear();
        assert_eq!(side.receive(&[FIN | 0x3]), [failed(ProtocolError::ReservedOpCode(3))]);
        assert_eq!(side.output, b"");
        assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Linger));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Local), "we had closed before");
    }
}

#[test]
fn a_caller_can_fail_the_connection_for_what_it_found_itself() {
    for role in ROLES {
        let mut side = Side::of(role);
        let error = ProtocolError::Extension(ExtensionError::new("not my dialect", CloseCode::UNSUPPORTED_DATA));
        assert_eq!(side.connection.fail(error.clone(), &mut side.output), error);
        assert_eq!(plain(&side.output), [(FIN | CLOSE, close_body(1003, "not my dialect"))]);
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Violation(error.clone())));
        assert_eq!(side.receive(&to(role, FIN | TEXT, b"fine")), [failed(error)]);
    }
}

#[test]
fn a_reason_that_is_too_long_is_cut_between_characters_when_the_connection_is_failed() {
    const LONG: &str = "x€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€";
    for role in ROLES {
        let mut pair = Pair::new();
        let error = ProtocolError::Extension(ExtensionError::new(LONG, CloseCode::UNSUPPORTED_DATA));
        let side = pair.side(role);
        side.connection.fail(error, &mut side.output);
        pair.deliver();
        let reason = &LONG[..1 + 40 * "€".len()];
        assert_eq!(pair.peer_of(role).heard, [close(CloseCode::UNSUPPORTED_DATA, reason)]);
    }
}

#[test]
fn failing_after_the_end_changes_nothing() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.receive(&to(role, FIN | CLOSE, b""));
        side.output.clear();
        side.connection.fail(ProtocolError::InvalidUtf8, &mut side.output);
        assert_eq!((side.output.len(), side.state()), (0, State::Closed));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::Remote));
        assert_eq!(side.connection.close_code(), Some(CloseCode::NO_STATUS));

        let mut side = Side::of(role);
        side.connection.receive_eof();
        side.connection.fail(ProtocolError::InvalidUtf8, &mut side.output);
        assert_eq!((side.output.len(), side.state()), (0, State::Closed));
        assert_eq!(side.connection.end_cause(), Some(&EndCause::TransportLost));
        assert_eq!(side.teardown(), Teardown::Close);
    }
}

#[test]
fn half_a_violation_is_none() {
    for role in ROLES {
        let mut side = Side::of(role);
        let mask = if role == Role::Server { 0x80 } else { 0 };
        assert_eq!(side.receive(&[FIN | TEXT, mask | 126, 0]), []);
        side.connection.receive_eof();
        assert_eq!(side.connection.end_cause(), Some(&EndCause::TransportLost));
    }
}
