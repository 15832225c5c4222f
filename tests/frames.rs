//! Frames and messages: RFC 6455 §5.1 to §5.4 and §6.

mod common;

use common::wire::{
    self, BINARY, CLOSE, CONTINUATION, FIN, KEY, PING, PONG, ROLES, RSV1, RSV2, RSV3, TEXT, head_to, masked,
    masked_with, only_close_code, plain, to, unmasked,
};
use common::{Heard, Side, binary, config, failed, ping, pong, text};
use sockeye::{
    Config, Connection, Event, Fin, MaskingPolicy, MessageKind, MessageRef, Payload, PreparedMessage, ProtocolError,
    Role, SendError, State, mask,
};

/// A configuration without limits that a test could meet.
fn without_limits() -> Config {
    config(|config| config.max_frame_size = u64::MAX)
}

/// Bytes to fill a message with.
fn some_bytes(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(len).collect()
}

// §5.2 Payload length

#[test]
fn a_length_is_sent_in_its_shortest_form() {
    for (len, head) in [
        (0, &[0x82, 0][..]),
        (1, &[0x82, 1]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 0xff, 0xff]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut server = Side::server();
        server.send_binary(&some_bytes(len));
        assert_eq!(server.output, [head, &some_bytes(len)].concat(), "{len} bytes");

        let mut client = Side::client();
        client.send_binary(&some_bytes(len));
        let mut masked_head = head.to_vec();
        masked_head[1] |= 0x80;
        assert_eq!(client.output[..head.len()], masked_head, "{len} bytes");
        assert_eq!(plain(&client.output), [(FIN | BINARY, some_bytes(len))], "{len} bytes");
    }
}

#[test]
fn a_length_of_each_form_is_received_in_any_split() {
    for role in ROLES {
        for len in [0, 1, 2, 124, 125, 126, 127, 65_535, 65_536, 65_537] {
            let frame = to(role, FIN | BINARY, &some_bytes(len));
            for size in [1, 3, 14, 4096, usize::MAX] {
                let heard = Side::of(role).receive_by(size, &frame);
                assert_eq!(heard, [binary(&some_bytes(len))], "{role:?}, {len} bytes by {size}");
            }
        }
    }
}

#[test]
fn a_length_in_a_longer_form_than_it_needs_is_refused() {
    for role in ROLES {
        let mask = if role == Role::Server { 0x80 } else { 0 };
        for len in [0u16, 1, 125] {
            let head = [&[0x82, mask | 126][..], &len.to_be_bytes(), &KEY].concat();
            for size in [1, usize::MAX] {
                let mut side = Side::of(role);
                assert_eq!(side.receive_by(size, &head), [failed(ProtocolError::NonMinimalLength)], "{role:?}, {len}");
                assert_eq!(only_close_code(&side.output), 1002);
            }
        }
        for len in [0u64, 125, 126, 65_535] {
            let head = [&[0x82, mask | 127][..], &len.to_be_bytes(), &KEY].concat();
            for size in [1, usize::MAX] {
                let heard = Side::of(role).receive_by(size, &head);
                assert_eq!(heard, [failed(ProtocolError::NonMinimalLength)], "{role:?}, {len}");
            }
        }
    }
}

#[test]
fn a_64_bit_length_with_its_highest_bit_set_is_refused_at_that_bit() {
    for role in ROLES {
        let mask = if role == Role::Server { 0x80 } else { 0 };
        let mut side = Side::of_with(role, without_limits());
        assert_eq!(side.receive(&[0x82, mask | 127]), []);
        assert_eq!(side.receive(&[0x80]), [failed(ProtocolError::LengthOverflow)]);
        assert_eq!(only_close_code(&side.output), 1002);

        let all = [&[0x82, mask | 127][..], &[0xff; 8], &KEY].concat();
        assert_eq!(Side::of_with(role, without_limits()).receive(&all), [failed(ProtocolError::LengthOverflow)]);
    }
}

#[test]
fn a_length_just_below_2_to_the_63_overflows_nothing() {
    for role in ROLES {
        for less in 1..20 {
            let len = (1u64 << 63) - less;
            let mut connection = Side::of_with(role, without_limits()).connection;
            let mut bytes = [head_to(role, FIN | BINARY, len), vec![0; 5]].concat();
            let (mut input, mut output) = (&mut bytes[..], Vec::new());
            let Ok(Some(Event::Data(chunk))) = connection.receive(&mut input, &mut output) else { panic!("no chunk") };
            assert_eq!(chunk.frame_remaining(), len - 5);
            assert!(chunk.is_first() && !chunk.is_last());
            assert_eq!(connection.receive(&mut input, &mut output), Ok(None));
            assert_ne!(connection.peek(&head_to(role, FIN | BINARY, len)), sockeye::Next::Message);

            let heard = Side::of(role).receive(&head_to(role, FIN | BINARY, len));
            assert_eq!(heard, [failed(ProtocolError::FrameTooBig { len, max: 16 << 20 })]);
        }
    }
}

// §5.2 RSV, opcode

#[test]
fn a_reserved_bit_that_nobody_owns_is_refused_on_every_opcode() {
    for role in ROLES {
        for bit in [RSV1, RSV2, RSV3, RSV1 | RSV2 | RSV3] {
            for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
                let mut side = Side::of(role);
                let heard = side.receive(&to(role, FIN | bit | opcode, b""));
                assert_eq!(heard, [failed(ProtocolError::ReservedBits)], "{role:?}, {bit:x}, {opcode:x}");
                assert_eq!(only_close_code(&side.output), 1002);
            }
            let continuation = [to(role, TEXT, b"a"), to(role, FIN | bit | CONTINUATION, b"b")].concat();
            assert_eq!(
                Side::of(role).receive(&continuation),
                [failed(ProtocolError::ReservedBits)],
                "{role:?}, {bit:x}"
            );
        }
    }
}

#[test]
fn a_reserved_opcode_is_refused_at_its_byte() {
    for role in ROLES {
        for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            for fin in [FIN, 0] {
                let mut side = Side::of(role);
                assert_eq!(side.receive(&[fin | opcode]), [failed(ProtocolError::ReservedOpCode(opcode))], "{role:?}");
                assert_eq!(only_close_code(&side.output), 1002);
            }
        }
    }
}

// §5.1, §5.3 Masking

#[test]
fn a_server_refuses_a_frame_that_is_not_masked_at_its_second_byte() {
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        for len in [0, 5, 125] {
            let mut server = Side::server();
            assert_eq!(server.receive(&[FIN | opcode]), []);
            assert_eq!(server.receive(&[len]), [failed(ProtocolError::Unmasked)]);
            assert_eq!(only_close_code(&server.output), 1002);
            assert_eq!(Side::server().receive(&unmasked(FIN | opcode, b"")), [failed(ProtocolError::Unmasked)]);
        }
    }
    for len in [5, 300, 70_000] {
        let heard = Side::server().receive(&unmasked(FIN | TEXT, &vec![b'a'; len]));
        assert_eq!(heard, [failed(ProtocolError::Unmasked)], "{len} bytes");
    }
}

#[test]
fn a_client_refuses_a_frame_that_is_masked_at_its_second_byte() {
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        let mut client = Side::client();
        assert_eq!(client.receive(&[FIN | opcode]), []);
        assert_eq!(client.receive(&[0x80]), [failed(ProtocolError::Masked)]);
        assert_eq!(only_close_code(&client.output), 1002);
        // A key of zeros changes nothing about it.
        assert_eq!(Side::client().receive(&masked_with([0; 4], FIN | opcode, b"")), [failed(ProtocolError::Masked)]);
    }
    for len in [5, 300, 70_000] {
        let heard = Side::client().receive(&masked(FIN | TEXT, &vec![b'a'; len]));
        assert_eq!(heard, [failed(ProtocolError::Masked)], "{len} bytes");
    }
}

#[test]
fn a_fragment_whose_masking_changes_within_the_message_is_refused() {
    let mut server = Side::server();
    assert_eq!(server.receive(&masked(TEXT, b"a")), []);
    assert_eq!(server.receive(&unmasked(FIN | CONTINUATION, b"b")), [failed(ProtocolError::Unmasked)]);
}

#[test]
fn the_policy_either_accepts_masked_and_unmasked_in_both_roles() {
    for role in ROLES {
        let mut side = Side::of_with(role, config(|config| config.masking = MaskingPolicy::Either));
        let bytes = [
            unmasked(FIN | TEXT, b"plain"),
            masked(FIN | TEXT, b"masked"),
            unmasked(BINARY, b"one"),
            masked(FIN | PING, b"ping"),
            masked(FIN | CONTINUATION, b"two"),
        ]
        .concat();
        for size in [1, 5, usize::MAX] {
            let heard = side.receive_by(size, &bytes);
            assert_eq!(heard, [text("plain"), text("masked"), ping(b"ping"), binary(b"onetwo")], "{role:?} by {size}");
        }
    }
}

#[test]
fn a_client_masks_every_frame_with_the_next_key_of_its_source() {
    let mut client = Side::client();
    client.send_text("one");
    client.send_ping(b"");
    client.connection.send_fragment("two", Fin::More, &mut client.output).unwrap();
    client.connection.send_fragment("three", Fin::Last, &mut client.output).unwrap();
    client.receive(&unmasked(FIN | PING, b"answer this"));
    client.connection.send_prepared(&PreparedMessage::new("four"), &mut client.output).unwrap();
    client.close(sockeye::CloseCode::NORMAL, "");
    let keys: Vec<_> = wire::frames(&client.output).into_iter().map(|frame| frame.masking_key).collect();
    assert_eq!(keys, (1..=7).map(|n| Some([n, 0, 0, 0x80])).collect::<Vec<_>>());
}

#[test]
fn a_message_that_is_cut_into_frames_has_a_key_for_each() {
    let mut client = Side::client_with(config(|config| config.fragment_size = 2));
    client.send_text("abcdef");
    let keys: Vec<_> = wire::frames(&client.output).into_iter().map(|frame| frame.masking_key).collect();
    assert_eq!(keys, [Some([1, 0, 0, 0x80]), Some([2, 0, 0, 0x80]), Some([3, 0, 0, 0x80])]);
}

#[test]
fn the_keys_of_the_default_source_differ_from_frame_to_frame_and_connection_to_connection() {
    let mut output = Vec::new();
    for _ in 0..8 {
        let mut client = Connection::client(Config::default());
        for _ in 0..8 {
            client.send_text("", &mut output).unwrap();
        }
    }
    let mut keys: Vec<_> = wire::frames(&output).into_iter().map(|frame| frame.masking_key.unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    // Two equal ones among 64 random keys come up once in two million runs.
    assert!(keys.len() >= 63, "{} different keys", keys.len());
}

#[test]
fn a_server_masks_nothing() {
    let mut server = Side::server();
    server.send_text("text");
    server.send_ping(b"ping");
    server.receive(&masked(FIN | PING, b"answer this"));
    server.close(sockeye::CloseCode::NORMAL, "");
    assert!(wire::frames(&server.output).iter().all(|frame| frame.masking_key.is_none()));
}

#[test]
fn a_masked_payload_is_unmasked_right_at_every_split() {
    let payload = some_bytes(300);
    let frame = masked(FIN | BINARY, &payload);
    for at in 0..=frame.len() {
        let mut server = Side::server();
        server.receive(&frame[..at]);
        server.receive(&frame[at..]);
        assert_eq!(server.heard, [binary(&payload)], "split at {at}");
    }
}

// §5.4 Fragmentation

#[test]
fn fragments_are_put_together() {
    for role in ROLES {
        let bytes =
            [to(role, BINARY, b"one "), to(role, CONTINUATION, b"two "), to(role, FIN | CONTINUATION, b"three")];
        for size in [1, 2, 9, usize::MAX] {
            assert_eq!(Side::of(role).receive_by(size, &bytes.concat()), [binary(b"one two three")], "by {size}");
        }
        let bytes = [to(role, TEXT, b"one "), to(role, CONTINUATION, b"two "), to(role, FIN | CONTINUATION, b"three")];
        for size in [1, 2, 9, usize::MAX] {
            assert_eq!(Side::of(role).receive_by(size, &bytes.concat()), [text("one two three")], "by {size}");
        }
    }
}

#[test]
fn empty_fragments_add_nothing_and_end_nothing() {
    for role in ROLES {
        let bytes = [
            to(role, TEXT, b""),
            to(role, CONTINUATION, b""),
            to(role, CONTINUATION, b"a"),
            to(role, CONTINUATION, b""),
            to(role, FIN | CONTINUATION, b""),
            to(role, BINARY, b""),
            to(role, FIN | CONTINUATION, b""),
        ];
        for size in [1, usize::MAX] {
            assert_eq!(Side::of(role).receive_by(size, &bytes.concat()), [text("a"), binary(b"")], "by {size}");
        }
    }
}

#[test]
fn a_pong_between_fragments_does_not_lose_the_message() {
    for role in ROLES {
        let bytes = [
            to(role, TEXT, b"one "),
            to(role, FIN | PONG, b"pong"),
            to(role, CONTINUATION, b"two "),
            to(role, FIN | PING, b"ping"),
            to(role, FIN | CONTINUATION, b"three"),
        ];
        for size in [1, 2, 3, 7, usize::MAX] {
            let heard = Side::of(role).receive_by(size, &bytes.concat());
            assert_eq!(heard, [pong(b"pong"), ping(b"ping"), text("one two three")], "{role:?} by {size}");
        }
    }
}

#[test]
fn a_close_between_fragments_ends_the_connection_without_the_message() {
    for role in ROLES {
        let mut side = Side::of(role);
        let heard = side.receive(&[to(role, TEXT, b"half"), to(role, FIN | CLOSE, b"\x03\xe8")].concat());
        assert_eq!(heard, [common::close(sockeye::CloseCode::NORMAL, "")]);
        assert_eq!(side.state(), State::Closed);
    }
}

#[test]
fn a_continuation_of_nothing_is_refused() {
    for role in ROLES {
        for fin in [FIN, 0] {
            let mut side = Side::of(role);
            let heard = side.receive(&[fin | CONTINUATION]);
            assert_eq!(heard, [failed(ProtocolError::UnexpectedContinuation)]);
            assert_eq!(only_close_code(&side.output), 1002);
        }
        let bytes = [to(role, TEXT, b"a"), to(role, FIN | CONTINUATION, b"b"), to(role, FIN | CONTINUATION, b"c")];
        let heard = Side::of(role).receive(&bytes.concat());
        assert_eq!(heard, [text("ab"), failed(ProtocolError::UnexpectedContinuation)]);
    }
}

#[test]
fn a_new_message_inside_a_fragmented_one_is_refused() {
    for role in ROLES {
        for first in [FIN | TEXT, FIN | BINARY, TEXT, BINARY] {
            for payload in [&b"b"[..], &[b'b'; 300]] {
                let mut side = Side::of(role);
                let heard = side.receive(&[to(role, TEXT, b"a"), to(role, first, payload)].concat());
                assert_eq!(heard, [failed(ProtocolError::ExpectedContinuation)], "{role:?}, {first:x}");
                assert_eq!(only_close_code(&side.output), 1002);
            }
        }
    }
}

#[test]
fn a_long_message_goes_out_in_fragments() {
    for role in ROLES {
        for (len, sizes) in
            [(0, &[0][..]), (7, &[7]), (8, &[8]), (9, &[8, 1]), (16, &[8, 8]), (17, &[8, 8, 1]), (24, &[8, 8, 8])]
        {
            let mut side = Side::of_with(role, config(|config| config.fragment_size = 8));
            side.send_binary(&some_bytes(len));
            let frames = plain(&side.output);
            assert_eq!(frames.iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), sizes, "{len} bytes");
            let last = frames.len() - 1;
            for (i, (first, _)) in frames.iter().enumerate() {
                let opcode = if i == 0 { BINARY } else { CONTINUATION };
                assert_eq!(*first, if i == last { FIN | opcode } else { opcode }, "frame {i} of {len} bytes");
            }
            let mut peer = match role {
                Role::Client => Side::server(),
                Role::Server => Side::client(),
            };
            assert_eq!(peer.receive(&side.output), [binary(&some_bytes(len))]);
        }
    }
}

#[test]
fn a_text_may_be_cut_inside_a_character_when_it_goes_out_in_fragments() {
    for fragment_size in 1..6 {
        let mut server = Side::server_with(config(|config| config.fragment_size = fragment_size));
        server.send_text("añ€😀z");
        assert_eq!(Side::client().receive(&server.output), [text("añ€😀z")]);
    }
}

#[test]
fn a_fragment_size_of_zero_is_taken_as_one() {
    let mut server = Side::server_with(config(|config| config.fragment_size = 0));
    server.send_text("abc");
    server.send_text("");
    assert_eq!(Side::client().receive(&server.output), [text("abc"), text("")]);
}

#[test]
fn by_default_a_message_above_128_kib_leaves_room_for_control_frames() {
    let mut server = Side::server();
    server.send_binary(&some_bytes(128 * 1024));
    assert_eq!(plain(&server.take_output()).len(), 1);
    server.send_binary(&some_bytes(1 << 20));
    assert_eq!(plain(&server.take_output()).len(), 8);
}

#[test]
fn control_frames_can_be_sent_between_the_fragments_of_a_message() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.connection.send_fragment("one ", Fin::More, &mut side.output).unwrap();
        side.send_ping(b"now");
        side.receive(&to(role, FIN | PING, b"you"));
        side.connection.send_fragment("two", Fin::Last, &mut side.output).unwrap();
        let expected = [(TEXT, &b"one "[..]), (FIN | PING, b"now"), (FIN | PONG, b"you"), (FIN, b"two")];
        assert_eq!(plain(&side.output), expected.map(|(first, payload)| (first, payload.to_vec())));
    }
}

#[test]
fn a_fragment_that_opens_and_ends_its_message_is_a_whole_one() {
    let mut server = Side::server();
    server.connection.send_fragment(b"all", Fin::Last, &mut server.output).unwrap();
    server.send_text("next");
    assert_eq!(server.output, b"\x82\x03all\x81\x04next");
}

#[test]
fn a_long_fragment_is_cut_and_does_not_end_its_message() {
    let mut server = Side::server_with(config(|config| config.fragment_size = 2));
    server.connection.send_fragment("abc", Fin::More, &mut server.output).unwrap();
    server.connection.send_fragment("def", Fin::Last, &mut server.output).unwrap();
    assert_eq!(server.output, b"\x01\x02ab\x00\x01c\x00\x02de\x80\x01f");
}

#[test]
fn a_whole_message_inside_a_fragmented_one_is_refused_and_nothing_written() {
    let mut server = Side::server();
    server.connection.send_fragment("one", Fin::More, &mut server.output).unwrap();
    server.output.clear();
    let prepared = PreparedMessage::new("two");
    let (connection, output) = (&mut server.connection, &mut server.output);
    assert_eq!(connection.send_text("two", output), Err(SendError::MessageOpen));
    assert_eq!(connection.send_binary(b"two", output), Err(SendError::MessageOpen));
    assert_eq!(connection.send_prepared(&prepared, output), Err(SendError::MessageOpen));
    assert_eq!(connection.prepared(&prepared), Err(SendError::MessageOpen));
    assert_eq!(connection.prepared_frame(&prepared), Err(SendError::MessageOpen));
    assert_eq!(connection.head(MessageKind::Text, &mut b"two".to_vec()), Err(SendError::MessageOpen));
    assert_eq!(connection.shared_head(MessageKind::Text, b"two"), Err(SendError::MessageOpen));
    assert_eq!(connection.send_fragment(b"two", Fin::Last, output), Err(SendError::FragmentKind));
    assert_eq!((output.len(), connection.sent().frames), (0, 1));
    connection.send_fragment("two", Fin::Last, output).unwrap();
    assert_eq!(server.output, b"\x80\x03two");
}

// §6 Sending and receiving

#[test]
fn every_kind_of_message_can_be_sent_by_its_type() {
    let mut server = Side::server();
    let (connection, output) = (&mut server.connection, &mut server.output);
    connection.send("str", output).unwrap();
    connection.send(&String::from("String"), output).unwrap();
    connection.send(b"array", output).unwrap();
    connection.send(&b"slice"[..], output).unwrap();
    connection.send(&b"vec".to_vec(), output).unwrap();
    connection.send(&sockeye::Message::from("message"), output).unwrap();
    connection.send(MessageRef::Binary(b"ref"), output).unwrap();
    assert_eq!(
        Side::client().receive(&server.output),
        [
            text("str"),
            text("String"),
            binary(b"array"),
            binary(b"slice"),
            binary(b"vec"),
            text("message"),
            binary(b"ref")
        ]
    );
}

#[test]
fn a_header_alone_and_its_payload_are_the_whole_frame() {
    for role in ROLES {
        for len in [0, 5, 300, 70_000] {
            let mut whole = Side::of_with(role, config(|config| config.fragment_size = usize::MAX));
            whole.send_binary(&some_bytes(len));

            let mut parts = Side::of(role);
            let mut payload = some_bytes(len);
            let head = parts.connection.head(MessageKind::Binary, &mut payload).unwrap();
            assert_eq!([&head[..], &payload].concat(), whole.output, "{role:?}, {len} bytes");
            assert_eq!(parts.connection.sent(), whole.connection.sent());
        }
    }
}

#[test]
fn a_shared_payload_needs_only_a_header_on_a_server() {
    let mut server = Side::server();
    let head = server.connection.shared_head(MessageKind::Text, b"shared").unwrap();
    assert_eq!(&head[..], [0x81, 6]);
}

#[test]
fn a_client_refuses_to_send_a_payload_that_it_may_not_mask() {
    let mut client = Side::client();
    let prepared = PreparedMessage::new("shared");
    assert_eq!(client.connection.shared_head(MessageKind::Text, b"shared"), Err(SendError::MaskRequired));
    assert_eq!(client.connection.prepared(&prepared), Err(SendError::MaskRequired));
    assert_eq!(client.connection.prepared_frame(&prepared), Err(SendError::MaskRequired));
    assert_eq!(client.connection.sent(), sockeye::Counters::default());
    client.connection.send_prepared(&prepared, &mut client.output).unwrap();
    assert_eq!(plain(&client.output), [(FIN | TEXT, b"shared".to_vec())]);
    assert_eq!(prepared.payload(), "shared", "the shared payload itself stays unmasked");
}

#[test]
fn a_prepared_message_is_the_same_frame_as_one_sent() {
    for len in [0, 125, 126, 65_535, 65_536] {
        let mut sent = Side::server();
        sent.send_binary(&some_bytes(len));
        let prepared = PreparedMessage::new(some_bytes(len));
        let mut server = Side::server();
        assert_eq!(server.connection.prepared(&prepared).unwrap().concat(), sent.output, "{len} bytes");
        assert_eq!(server.connection.sent(), sent.connection.sent());
    }
}

#[test]
fn a_prepared_frame_in_one_piece_is_made_once_for_all_connections_and_clones() {
    static TICK: PreparedMessage = PreparedMessage::from_static_text("tick");
    for len in [0, 125, 126, 65_536] {
        let prepared = PreparedMessage::new(some_bytes(len));
        let (clone, mut sent) = (prepared.clone(), Side::server());
        sent.send_binary(&some_bytes(len));
        let mut places = Vec::new();
        for message in [&prepared, &clone, &prepared] {
            let mut server = Side::server();
            let frame = server.connection.prepared_frame(message).unwrap();
            assert_eq!(frame, sent.output, "{len} bytes");
            places.push(frame.as_ptr());
            assert_eq!(server.connection.sent(), sent.connection.sent());
        }
        assert!(places.iter().all(|place| *place == places[0]), "{len} bytes");
    }
    assert_eq!(Side::server().connection.prepared_frame(&TICK).unwrap(), b"\x81\x04tick");
}

#[test]
fn the_frames_of_one_read_are_received_one_by_one_in_order() {
    for role in ROLES {
        let bytes = [
            to(role, FIN | TEXT, b"one"),
            to(role, FIN | PING, b"two"),
            to(role, FIN | BINARY, b"three"),
            to(role, FIN | PONG, b"four"),
            to(role, FIN | TEXT, b"five"),
        ];
        for size in [1, 2, 3, 5, 8, 13, usize::MAX] {
            let heard = Side::of(role).receive_by(size, &bytes.concat());
            assert_eq!(heard, [text("one"), ping(b"two"), binary(b"three"), pong(b"four"), text("five")], "by {size}");
        }
    }
}

#[test]
fn a_message_that_lies_whole_in_the_input_is_lent_from_there() {
    for role in ROLES {
        for len in [0, 16, 125, 126, 300, 65_535, 65_536] {
            let mut bytes = to(role, FIN | BINARY, &some_bytes(len));
            let lies = bytes.as_ptr_range();
            let mut connection = Side::of(role).connection;
            assert_eq!(connection.peek(&bytes), sockeye::Next::Message);
            assert_ne!(connection.peek(&bytes[..bytes.len() - 1]), sockeye::Next::Message);
            let mut input = &mut bytes[..];
            let Ok(Some(Event::Data(chunk))) = connection.receive(&mut input, &mut Vec::new()) else { panic!() };
            let Some(MessageRef::Binary(message)) = chunk.whole() else { panic!("{len} bytes are not whole") };
            assert_eq!(message, some_bytes(len));
            assert!(lies.contains(&message.as_ptr()) || len == 0);
        }
    }
}

#[test]
fn a_message_is_streamed_as_it_arrives() {
    let mut server = Side::server().connection;
    let frame = masked(FIN | BINARY, b"abcdefgh");
    let mut seen = Vec::new();
    for piece in [&frame[..6], &frame[6..9], &frame[9..10], &frame[10..]] {
        let (mut bytes, mut output) = (piece.to_vec(), Vec::new());
        let mut input = &mut bytes[..];
        while let Some(Event::Data(chunk)) = server.receive(&mut input, &mut output).unwrap() {
            let Payload::Binary(bytes) = chunk.payload() else { panic!("not binary") };
            seen.push((bytes.to_vec(), chunk.is_first(), chunk.is_last(), chunk.frame_remaining()));
        }
    }
    let expected =
        [(&b""[..], true, false, 8), (b"abc", false, false, 5), (b"d", false, false, 4), (b"efgh", false, true, 0)];
    assert_eq!(seen, expected.map(|(bytes, first, last, rest)| (bytes.to_vec(), first, last, rest)));
}

#[test]
fn no_whole_message_is_promised_where_another_thing_comes_next() {
    let mut server = Side::server();
    let message = masked(FIN | TEXT, b"whole");
    assert_eq!(server.connection.peek(&message), sockeye::Next::Message);
    assert_ne!(server.connection.peek(&masked(FIN | PING, b"ping")), sockeye::Next::Message);
    assert_ne!(server.connection.peek(&masked(TEXT, b"part")), sockeye::Next::Message);
    assert_ne!(server.connection.peek(&[FIN | 0x3]), sockeye::Next::Message);
    assert_ne!(server.connection.peek(&[]), sockeye::Next::Message);
    server.receive(&masked(TEXT, b"open"));
    assert_ne!(server.connection.peek(&masked(FIN | CONTINUATION, b"end")), sockeye::Next::Message);
    server.receive(&masked(FIN | CONTINUATION, b"end"));
    assert_eq!(server.connection.peek(&message), sockeye::Next::Message);
    server.receive(&message[..1]);
    assert_ne!(server.connection.peek(&message[1..]), sockeye::Next::Message);
    assert_eq!(server.receive(&message[1..]), [text("whole")]);

    // The rest of a frame that looks like a message by itself: the header was cut after its first byte.
    let message = masked_with([0x80, 1, 2, 3], FIN | BINARY, b"x");
    server.receive(&message[..1]);
    assert_eq!(message[1..3], [0x81, 0x80]);
    assert_ne!(server.connection.peek(&message[1..]), sockeye::Next::Message);
}

#[test]
fn messages_before_a_malformed_frame_in_the_same_read_are_delivered_first() {
    for role in ROLES {
        let mut side = Side::of(role);
        let bytes = [
            to(role, FIN | TEXT, b"one"),
            to(role, FIN | PING, b"two"),
            to(role, BINARY, b"th"),
            to(role, FIN | CONTINUATION, b"ree"),
            vec![FIN | 0x3, 0],
            to(role, FIN | TEXT, b"never"),
        ];
        let heard = side.receive(&bytes.concat());
        assert_eq!(heard, [text("one"), ping(b"two"), binary(b"three"), failed(ProtocolError::ReservedOpCode(3))]);
        let sent: Vec<_> = plain(&side.output).into_iter().map(|(first, _)| first).collect();
        assert_eq!(sent, [FIN | PONG, FIN | CLOSE]);
    }
}

#[test]
fn a_failed_connection_says_the_same_again_and_closes_once() {
    for role in ROLES {
        let mut side = Side::of(role);
        side.receive(&[FIN | 0x3]);
        let closed = side.take_output();
        assert_eq!(only_close_code(&closed), 1002);
        for bytes in [&b""[..], b"\x81", &to(role, FIN | TEXT, b"fine"), b"\xff\xff\xff"] {
            assert_eq!(side.receive(bytes), [failed(ProtocolError::ReservedOpCode(3))]);
        }
        assert_eq!((side.output.len(), side.state()), (0, State::Closed));
    }
}

#[test]
fn any_split_of_a_conversation_is_heard_the_same() {
    for role in ROLES {
        let bytes = [
            to(role, FIN | TEXT, "grüße".as_bytes()),
            to(role, TEXT, &"€".as_bytes()[..1]),
            to(role, FIN | PING, b"in between"),
            to(role, CONTINUATION, &"€".as_bytes()[1..]),
            to(role, FIN | CONTINUATION, b""),
            to(role, FIN | BINARY, &some_bytes(130)),
            to(role, FIN | PONG, b""),
            to(role, FIN | CLOSE, b"\x03\xe9bye"),
        ]
        .concat();
        let mut whole = Side::of(role);
        let expected = whole.receive(&bytes);
        assert_eq!(expected.len(), 6);
        for first in 0..bytes.len() {
            for second in [first, first + 1, first + 4, bytes.len()].map(|at| at.min(bytes.len())) {
                let mut side = Side::of(role);
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    side.receive(piece);
                }
                assert_eq!(side.heard, expected, "split at {first} and {second}");
                assert_eq!(side.output, whole.output, "split at {first} and {second}");
                assert_eq!(side.connection.received(), whole.connection.received(), "split at {first} and {second}");
            }
        }
    }
}

// Counters

#[test]
fn what_was_sent_and_received_is_counted_alike_on_both_sides() {
    let mut pair = common::Pair::new();
    pair.client.send_text("five!");
    pair.client.connection.send_fragment(b"a", Fin::More, &mut pair.client.output).unwrap();
    pair.client.send_ping(b"ping");
    pair.client.connection.send_fragment(b"bc", Fin::Last, &mut pair.client.output).unwrap();
    let sent = pair.client.connection.sent();
    assert_eq!((sent.messages, sent.frames, sent.payload_bytes), (2, 4, 8));
    assert_eq!(sent.wire_bytes, pair.client.output.len() as u64);
    pair.deliver_by(3);
    assert_eq!(pair.server.connection.received(), pair.client.connection.sent());
    assert_eq!(pair.client.connection.received(), pair.server.connection.sent());
    assert_eq!(pair.client.heard, [pong(b"ping")]);
}

#[test]
fn a_message_counts_when_it_is_complete() {
    let mut server = Side::server();
    server.receive(&masked(TEXT, b"half"));
    assert_eq!((server.connection.received().messages, server.connection.received().frames), (0, 1));
    server.receive(&masked(FIN | CONTINUATION, b""));
    assert_eq!((server.connection.received().messages, server.connection.received().frames), (1, 2));
    server.connection.send_fragment("half", Fin::More, &mut server.output).unwrap();
    assert_eq!(server.connection.sent().messages, 0);
    server.connection.send_fragment("", Fin::Last, &mut server.output).unwrap();
    assert_eq!(server.connection.sent().messages, 1);
}

// Halves

#[test]
fn the_halves_of_a_connection_go_on_where_it_was_split() {
    let bytes = [masked(TEXT, "€".as_bytes()), masked(FIN | CONTINUATION, "ü".as_bytes())].concat();
    for at in 0..bytes.len() {
        let mut server = Side::server();
        server.connection.send_fragment("half", Fin::More, &mut server.output).unwrap();
        let mut seen = String::new();
        let (mut head, mut tail) = (bytes[..at].to_vec(), bytes[at..].to_vec());
        let mut input = &mut head[..];
        while let Some(event) = server.connection.receive(&mut input, &mut server.output).unwrap() {
            seen.push_str(&text_of(&event));
        }
        let (mut receiver, mut sender, _) = server.connection.split();
        let mut input = &mut tail[..];
        while let Some(event) = receiver.receive(&mut input).unwrap() {
            seen.push_str(&text_of(&event));
        }
        assert_eq!(seen, "€ü", "split at {at}");
        assert_eq!(receiver.received().messages, 1);

        let mut output = Vec::new();
        assert_eq!(sender.send_text("whole", &mut output), Err(SendError::MessageOpen));
        sender.send_fragment("end", Fin::Last, &mut output).unwrap();
        assert_eq!(output, b"\x80\x03end");
    }
}

#[test]
fn the_halves_pass_what_is_owed_as_values() {
    let (mut receiver, mut sender, _) = Connection::server(Config::default()).split();
    let mut bytes = [masked(FIN | PING, b"ping"), masked(FIN | PONG, b""), masked(FIN | CLOSE, b"\x03\xe9")].concat();
    let (mut input, mut output) = (&mut bytes[..], Vec::new());
    while let Some(event) = receiver.receive(&mut input).unwrap() {
        if let Some(reply) = event.reply() {
            sender.reply(reply, &mut output);
        }
    }
    assert_eq!(output, b"\x8a\x04ping\x88\x02\x03\xe9");
    assert_eq!((receiver.state(), sender.is_closed()), (sockeye::Receiving::Closed, true));
    sender.reply(sockeye::Reply::Close(sockeye::Close::normal()), &mut output);
    assert_eq!(output.len(), 10, "nothing follows a Close");
}

#[test]
fn a_receiving_half_that_fails_owes_a_close_with_its_code() {
    let (mut receiver, mut sender, _) = Connection::server(Config::default()).split();
    let mut bytes = masked(FIN | TEXT, b"\xff");
    let error = receiver.receive(&mut &mut bytes[..]).unwrap_err();
    assert_eq!(receiver.state(), sockeye::Receiving::Failed);
    assert_eq!(receiver.receive(&mut &mut b"\x81"[..].to_vec()[..]), Err(error.clone()));
    let mut output = Vec::new();
    sender.reply(sockeye::Reply::from(&error), &mut output);
    assert_eq!(only_close_code(&output), 1007);
}

#[test]
fn a_receiving_half_cannot_fail_after_the_close_of_the_peer() {
    let (mut receiver, _, _) = Connection::server(Config::default()).split();
    receiver.receive(&mut &mut masked(FIN | CLOSE, b"")[..]).unwrap();
    receiver.fail(ProtocolError::InvalidUtf8);
    receiver.receive_eof();
    assert_eq!(receiver.state(), sockeye::Receiving::Closed);
    assert_eq!(receiver.receive(&mut &mut masked(FIN | TEXT, b"x")[..]), Ok(None));
}

#[test]
fn a_receiving_half_whose_input_ends_is_lost() {
    let (mut receiver, _, _) = Connection::server(Config::default()).split();
    receiver.receive(&mut &mut masked(FIN | TEXT, b"x")[..]).unwrap();
    receiver.receive_eof();
    assert_eq!(receiver.state(), sockeye::Receiving::Lost);
    assert_eq!(receiver.receive(&mut &mut masked(FIN | TEXT, b"x")[..]), Ok(None));
}

/// The text of a chunk.
fn text_of(event: &Event<'_>) -> String {
    match event {
        Event::Data(chunk) => match chunk.payload() {
            Payload::Text { completed, text } => completed.into_iter().chain(text.chars()).collect(),
            other => panic!("not text: {other:?}"),
        },
        other => panic!("not data: {other:?}"),
    }
}

#[test]
fn masking_by_hand_is_what_a_client_sends() {
    let mut client = Side::client();
    client.send_binary(&some_bytes(10));
    let mut payload = some_bytes(10);
    mask(&mut payload, [1, 0, 0, 0x80]);
    assert_eq!(client.output[6..], payload);
    let heard: Vec<Heard> = Side::server().receive(&client.output);
    assert_eq!(heard, [binary(&some_bytes(10))]);
}
