//! Control frames: RFC 6455 §5.5.

mod common;

use common::wire::{BINARY, CLOSE, CONTINUATION, FIN, KEY, PING, PONG, ROLES, TEXT, only_close_code, plain, to};
use common::{Pair, Side, at, binary, close, config, failed, ping, pong, text};
use sockeye::{CloseCode, Config, ControlPayload, Fin, MessageRef, ProtocolError, Role, SendError, State};

/// A configuration in which pongs wait behind that much output.
fn pongs_up_to(bytes: usize) -> Config {
    config(|config| config.max_pending_pongs = bytes)
}

/// The payloads of the pongs in `bytes`.
fn pongs(bytes: &[u8]) -> Vec<Vec<u8>> {
    plain(bytes).into_iter().filter(|(first, _)| *first == FIN | PONG).map(|(_, payload)| payload).collect()
}

#[test]
fn a_fragmented_control_frame_is_refused_at_its_first_byte() {
    for role in ROLES {
        for opcode in [CLOSE, PING, PONG] {
            let mut side = Side::of(role);
            assert_eq!(side.receive(&[opcode]), [failed(ProtocolError::FragmentedControl)], "{role:?}, {opcode:x}");
            assert_eq!(only_close_code(&side.output), 1002);
        }
    }
}

#[test]
fn a_control_frame_of_more_than_125_bytes_is_refused_at_its_second_byte() {
    for role in ROLES {
        let mask = if role == Role::Server { 0x80 } else { 0 };
        for opcode in [CLOSE, PING, PONG] {
            for length in [126, 127] {
                let mut side = Side::of(role);
                let heard = side.receive(&[FIN | opcode, mask | length]);
                assert_eq!(heard, [failed(ProtocolError::ControlTooLong)], "{role:?}, {opcode:x}");
                assert_eq!(only_close_code(&side.output), 1002);
            }
        }
    }
}

#[test]
fn a_control_frame_may_have_up_to_125_bytes() {
    for role in ROLES {
        for len in [0, 1, 124, 125] {
            let payload = vec![b'x'; len];
            assert_eq!(Side::of(role).receive(&to(role, FIN | PING, &payload)), [ping(&payload)]);
            assert_eq!(Side::of(role).receive(&to(role, FIN | PONG, &payload)), [pong(&payload)]);
        }
        let reason = "r".repeat(123);
        let heard = Side::of(role).receive(&to(role, FIN | CLOSE, &common::wire::close_body(1000, &reason)));
        assert_eq!(heard, [close(CloseCode::NORMAL, &reason)]);
    }
}

#[test]
fn a_control_frame_is_not_bound_by_the_limit_on_frames() {
    for role in ROLES {
        let mut side = Side::of_with(role, config(|config| config.max_frame_size = 0));
        assert_eq!(side.receive(&to(role, FIN | PING, b"ping")), [ping(b"ping")]);
    }
}

#[test]
fn a_control_frame_is_received_at_every_split() {
    for role in ROLES {
        for (opcode, expected) in [(PING, ping(b"payload")), (PONG, pong(b"payload"))] {
            let frame = to(role, FIN | opcode, b"payload");
            for at in 0..=frame.len() {
                let mut side = Side::of(role);
                side.receive(&frame[..at]);
                side.receive(&frame[at..]);
                assert_eq!(side.heard, core::slice::from_ref(&expected), "split at {at}");
            }
        }
    }
}

#[test]
fn a_ping_or_pong_that_is_too_long_is_refused_and_nothing_written() {
    let mut server = Side::server();
    let long = [0; 126];
    let too_long = Err(SendError::ControlTooLong { len: 126 });
    assert_eq!(server.connection.send_ping(&long, &mut server.output), too_long);
    assert_eq!(server.connection.send_pong(&long, &mut server.output), too_long);
    assert_eq!(ControlPayload::new(&long).map(|_| ()), too_long);
    assert_eq!(server.output, b"");
    server.send_ping(&long[..125]);
    assert_eq!(server.output.len(), 127);
}

// §5.5.2, §5.5.3

#[test]
fn a_pong_echoes_the_ping_payload() {
    for role in ROLES {
        for payload in [&b""[..], b"x", b"are you there?", &[0xff; 125]] {
            let mut side = Side::of(role);
            side.receive(&to(role, FIN | PING, payload));
            assert_eq!(plain(&side.output), [(FIN | PONG, payload.to_vec())], "{role:?}");
        }
    }
}

#[test]
fn a_pong_is_there_before_its_ping_is_reported() {
    let mut server = Side::server().connection;
    let (mut bytes, mut output) = (to(Role::Server, FIN | PING, b"now"), Vec::new());
    let event = server.receive(&mut &mut bytes[..], &mut output).unwrap();
    assert!(matches!(event, Some(sockeye::Event::Ping(_))));
    assert_eq!(output, b"\x8a\x03now");
}

#[test]
fn a_ping_between_fragments_is_answered_before_the_message_ends() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.receive(&[to(role, TEXT, b"half"), to(role, FIN | PING, b"now")].concat());
        assert_eq!(pongs(&side.output), [b"now"]);
        assert_eq!(side.receive(&to(role, FIN | CONTINUATION, b"whole")), [text("halfwhole")]);
    }
}

#[test]
fn a_pong_is_not_starved_by_a_continuous_feed() {
    let mut server = Side::server();
    let mut bytes = Vec::new();
    for n in 0..1000u32 {
        bytes.extend(to(Role::Server, FIN | BINARY, &[0; 100]));
        bytes.extend(to(Role::Server, FIN | PING, &n.to_be_bytes()));
    }
    for (n, piece) in bytes.chunks(bytes.len() / 1000).enumerate() {
        server.receive(piece);
        // One pong for each ping, within the read that brought it.
        assert!(pongs(&server.take_output()).len() <= 1, "read {n}");
    }
    assert_eq!(server.connection.sent().frames, 1000);
}

#[test]
fn a_pong_and_a_close_wait_for_one_fragment_and_not_for_the_whole_of_a_long_message() {
    // An adapter hands a long message over a fragment at a time, writes that, and looks at what is owed in between.
    for role in ROLES {
        let mut side = Side::of(role);
        let payload = vec![7; 1 << 20];
        let (mut rest, mut written) = (MessageRef::Binary(&payload), Vec::new());
        for n in 0.. {
            let (fragment, after) = rest.split_at(64 * 1024);
            let fin = if after.payload().is_empty() { Fin::Last } else { Fin::More };
            side.connection.send_fragment(fragment, fin, &mut side.output).unwrap();
            written.append(&mut side.output);
            if n == 2 {
                side.receive(&to(role, FIN | PING, b"now"));
            }
            if fin == Fin::Last {
                break;
            }
            rest = after;
        }
        let frames = plain(&written);
        assert_eq!(frames.len(), 17);
        assert_eq!(frames[3], (FIN | PONG, b"now".to_vec()));

        let mut side = Side::of(role);
        side.connection.send_fragment(&payload[..64 * 1024], Fin::More, &mut side.output).unwrap();
        side.receive(&to(role, FIN | CLOSE, b"\x03\xe8"));
        let refused = side.connection.send_fragment(&payload[64 * 1024..], Fin::Last, &mut side.output);
        assert_eq!(refused, Err(SendError::Closed));
        assert_eq!(plain(&side.output).last(), Some(&(FIN | CLOSE, b"\x03\xe8".to_vec())));
    }
}

#[test]
fn every_ping_is_answered_in_order_while_there_is_room() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.receive(&[to(role, FIN | PING, b"1"), to(role, FIN | PING, b"2"), to(role, FIN | PING, b"3")].concat());
        assert_eq!(pongs(&side.output), [b"1", b"2", b"3"]);
    }
}

#[test]
fn only_the_newest_ping_is_answered_where_several_wait_for_room() {
    for role in ROLES {
        let mut side = Side::of_with(role, pongs_up_to(8));
        side.send_text("more than eight bytes");
        let queued = side.output.clone();
        let pings = [to(role, FIN | PING, b"1"), to(role, FIN | PING, b"2"), to(role, FIN | PING, b"3")].concat();
        assert_eq!(side.receive(&pings), [ping(b"1"), ping(b"2"), ping(b"3")]);
        assert_eq!(side.output, queued, "no room for a pong");

        side.output.clear();
        side.receive(&to(role, FIN | PONG, b""));
        assert_eq!(pongs(&side.take_output()), [b"3"]);
        side.receive(&to(role, FIN | PONG, b""));
        assert_eq!(side.output, b"", "it is sent once");
    }
}

#[test]
fn a_pong_goes_out_where_nothing_waits_even_if_none_may_wait() {
    for role in ROLES {
        let mut side = Side::of_with(role, pongs_up_to(0));
        side.receive(&to(role, FIN | PING, b"1"));
        assert_eq!(pongs(&side.output), [b"1"]);
        side.receive(&to(role, FIN | PING, b"2"));
        assert_eq!(pongs(&side.take_output()), [b"1"], "the second one has to wait");
        side.receive(&to(role, FIN | PONG, b""));
        assert_eq!(pongs(&side.take_output()), [b"2"]);
    }
}

#[test]
fn a_pong_that_waited_goes_out_before_a_newer_one() {
    let mut server = Side::server_with(pongs_up_to(8));
    server.send_text("more than eight bytes");
    server.receive(&to(Role::Server, FIN | PING, b"1"));
    server.output.clear();
    server.receive(&to(Role::Server, FIN | PING, b"2"));
    assert_eq!(pongs(&server.output), [b"1", b"2"]);
}

#[test]
fn a_pong_that_waited_goes_out_with_the_next_message_received() {
    let mut server = Side::server_with(pongs_up_to(8));
    server.send_text("more than eight bytes");
    server.receive(&to(Role::Server, FIN | PING, b"1"));
    server.output.clear();
    assert_eq!(server.receive(&to(Role::Server, FIN | BINARY, b"x")), [binary(b"x")]);
    assert_eq!(pongs(&server.output), [b"1"]);
}

#[test]
fn a_pong_that_waited_goes_out_when_time_is_told() {
    let mut server = Side::server_with(pongs_up_to(8));
    server.tick(at(0));
    server.send_text("more than eight bytes");
    server.receive(&to(Role::Server, FIN | PING, b"1"));
    server.tick(at(1));
    assert_eq!(pongs(&server.take_output()), [b""; 0], "still no room");
    server.tick(at(2));
    assert_eq!(pongs(&server.output), [b"1"]);
}

#[test]
fn a_pong_that_waits_can_be_asked_for_and_crosses_a_split() {
    let mut server = Side::server_with(pongs_up_to(8));
    assert!(!server.connection.owes_pong());
    server.send_text("more than eight bytes");
    server.receive(&to(Role::Server, FIN | PING, b"1"));
    assert!(server.connection.owes_pong());
    let (_, mut sender, owed) = server.connection.split();
    let mut output = Vec::new();
    sender.reply(owed.expect("the pong"), &mut output);
    assert_eq!(pongs(&output), [b"1"]);
}

#[test]
fn a_flood_of_pings_holds_no_more_than_the_limit_and_one_pong() {
    let mut server = Side::server();
    let flood = to(Role::Server, FIN | PING, &[7; 125]).repeat(1000);
    for _ in 0..20 {
        server.receive(&flood);
    }
    assert_eq!(server.heard.len(), 20_000);
    assert!(server.output.len() <= 16 * 1024 + 127, "{} bytes", server.output.len());
}

#[test]
fn a_pong_that_no_ping_asked_for_is_surfaced_and_not_answered() {
    for role in ROLES {
        let mut side = Side::of(role);
        assert_eq!(side.receive(&to(role, FIN | PONG, b"unasked")), [pong(b"unasked")]);
        assert_eq!(side.output, b"");
    }
}

#[test]
fn an_unasked_pong_can_be_sent() {
    let mut pair = Pair::new();
    pair.client.connection.send_pong(b"alive", &mut pair.client.output).unwrap();
    pair.deliver();
    assert_eq!(pair.server.heard, [pong(b"alive")]);
    assert_eq!(pair.client.heard, []);
}

#[test]
fn a_ping_is_answered_across_the_pair() {
    let mut pair = Pair::new();
    pair.client.send_ping(b"up");
    pair.server.send_ping(b"down");
    pair.deliver_by(1);
    assert_eq!(pair.server.heard, [ping(b"up"), pong(b"down")]);
    assert_eq!(pair.client.heard, [ping(b"down"), pong(b"up")]);
}

#[test]
fn a_ping_after_our_close_is_surfaced_and_not_answered() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.close(CloseCode::NORMAL, "");
        side.output.clear();
        assert_eq!(side.receive(&to(role, FIN | PING, b"late")), [ping(b"late")]);
        assert_eq!(side.output, b"", "nothing follows our Close");
    }
}

#[test]
fn a_pong_that_waits_when_we_close_is_not_sent_after_the_close() {
    for role in ROLES {
        let mut side = Side::of_with(role, pongs_up_to(8));
        side.send_text("more than eight bytes");
        side.receive(&to(role, FIN | PING, b"1"));
        side.close(CloseCode::NORMAL, "");
        side.output.clear();
        side.receive(&to(role, FIN | PONG, b""));
        side.tick(at(0));
        assert_eq!(side.output, b"");
    }
}

// §5.5.1

#[test]
fn a_close_is_answered_however_much_output_waits() {
    for role in ROLES {
        let mut side = Side::of_with(role, pongs_up_to(0));
        side.send_binary(&[0; 100_000]);
        side.receive(&to(role, FIN | CLOSE, b"\x03\xe8"));
        assert_eq!(plain(&side.output).last(), Some(&(FIN | CLOSE, b"\x03\xe8".to_vec())));
        assert_eq!(side.state(), State::Closed);
    }
}

#[test]
fn a_close_body_holds_its_code_and_reason_and_not_a_byte_more() {
    for (reason, len) in [("", 2), ("bye", 5)] {
        let mut server = Side::server();
        // What was held before must not come out again.
        server.receive(&to(Role::Server, FIN | PING, &[0xaa; 125]));
        server.output.clear();
        server.close(CloseCode::GOING_AWAY, reason);
        let expected = [&[0x88, len, 0x03, 0xe9][..], reason.as_bytes()].concat();
        assert_eq!(server.output, expected);
    }
    let mut server = Side::server();
    server.connection.close(sockeye::Close::without_status(), &mut server.output).unwrap();
    assert_eq!(server.output, [0x88, 0]);
}

#[test]
fn a_reason_longer_than_123_bytes_never_reaches_the_wire() {
    let refused = sockeye::Close::new(CloseCode::NORMAL, &"x".repeat(124));
    assert_eq!(refused, Err(SendError::ReasonTooLong { len: 124 }));

    // The reasons that the library writes itself are cut to fit.
    for role in ROLES {
        let mut side = Side::of_with(role, config(|config| config.max_frame_size = u64::MAX >> 2));
        side.receive(&common::wire::head_to(role, FIN | BINARY, u64::MAX >> 1));
        assert!(plain(&side.output)[0].1.len() <= 125);
        assert_eq!(only_close_code(&side.output), 1009);
    }
}

#[test]
fn a_close_with_a_body_of_one_byte_is_refused() {
    for role in ROLES {
        let mut side = Side::of(role);
        assert_eq!(side.receive(&to(role, FIN | CLOSE, b"\x03")), [failed(ProtocolError::TruncatedCloseCode)]);
        assert_eq!(only_close_code(&side.output), 1002);
        assert_eq!(side.connection.peer_close(), None);
    }
}

#[test]
fn a_close_with_a_code_that_must_not_be_sent_is_refused() {
    for role in ROLES {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535u16] {
            let mut side = Side::of(role);
            let heard = side.receive(&to(role, FIN | CLOSE, &code.to_be_bytes()));
            assert_eq!(heard, [failed(ProtocolError::InvalidCloseCode(code))]);
            assert_eq!(only_close_code(&side.output), 1002);
        }
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999u16] {
            let mut side = Side::of(role);
            assert_eq!(side.receive(&to(role, FIN | CLOSE, &code.to_be_bytes())), [close(code.into(), "")]);
            assert_eq!(only_close_code(&side.output), code, "the code is echoed");
        }
    }
}

#[test]
fn control_frames_between_our_own_fragments_leave_the_message_open() {
    let mut pair = Pair::new();
    pair.server.connection.send_fragment(b"one ", Fin::More, &mut pair.server.output).unwrap();
    pair.client.send_ping(b"?");
    pair.deliver();
    assert_eq!(pair.client.heard, [pong(b"?")]);
    pair.server.connection.send_fragment(b"two", Fin::Last, &mut pair.server.output).unwrap();
    pair.deliver();
    assert_eq!(pair.client.heard, [pong(b"?"), binary(b"one two")]);
}

#[test]
fn an_empty_masked_ping_still_has_its_key() {
    let frame = [&[FIN | PING, 0x80][..], &KEY].concat();
    let mut server = Side::server();
    assert_eq!(server.receive(&frame[..5]), []);
    assert_eq!(server.receive(&frame[5..]), [ping(b"")]);
}
