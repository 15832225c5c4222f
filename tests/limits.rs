//! Limits: what a hostile peer can make us hold, and what an honest one may send. RFC 6455 §10.4.

mod common;

use common::allocator::{Counting, Taken, measure};
use common::wire::{BINARY, CONTINUATION, FIN, PING, ROLES, TEXT, head_to, only_close_code, to};
use common::{Side, binary, config, failed, ping, text};
use sockeye::{Assembler, Config, Connection, Event, Message, ProtocolError, Role};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// Receives `bytes` in one read and drops what comes of it; what that took.
fn take_in(connection: &mut Connection, assembler: &mut Assembler, bytes: &mut [u8]) -> Taken {
    take_in_reads(connection, assembler, [bytes])
}

/// As [`take_in`], in a second read for the last byte: so that a message in fragments does not lie whole in either.
fn take_in_parts(connection: &mut Connection, assembler: &mut Assembler, bytes: &mut [u8]) -> Taken {
    let (most, last) = bytes.split_at_mut(bytes.len() - 1);
    take_in_reads(connection, assembler, [most, last])
}

fn take_in_reads<const N: usize>(
    connection: &mut Connection,
    assembler: &mut Assembler,
    reads: [&mut [u8]; N],
) -> Taken {
    let mut output = Vec::new();
    let (result, taken) = measure(|| {
        for mut input in reads {
            while connection.receive_message(&mut input, assembler, &mut output)?.is_some() {}
        }
        Ok::<(), ProtocolError>(())
    });
    result.unwrap();
    taken
}

// Frames

#[test]
fn a_frame_above_the_limit_is_refused_at_its_header() {
    for role in ROLES {
        for max in [0, 1, 100, 125, 126, 300, 65_535, 65_536, 100_000] {
            for first in [FIN | BINARY, BINARY, FIN | TEXT] {
                let mut side = Side::of_with(role, config(|config| config.max_frame_size = max));
                let heard = side.receive(&head_to(role, first, max + 1));
                assert_eq!(heard, [failed(ProtocolError::FrameTooBig { len: max + 1, max })], "{role:?}, {max}");
                assert_eq!(only_close_code(&side.output), 1009);

                // Also where all of it lies in the input.
                let mut side = Side::of_with(role, config(|config| config.max_frame_size = max));
                let heard = side.receive(&to(role, first, &vec![b'a'; usize::try_from(max).unwrap() + 1]));
                assert_eq!(heard, [failed(ProtocolError::FrameTooBig { len: max + 1, max })], "{role:?}, {max}");
            }
        }
    }
}

#[test]
fn a_frame_may_have_just_the_limit() {
    for role in ROLES {
        for max in [0, 1, 100, 125, 126, 300, 65_535, 65_536] {
            let mut side = Side::of_with(role, config(|config| config.max_frame_size = max as u64));
            let frame = to(role, FIN | BINARY, &vec![7; max]);
            for size in [11, usize::MAX] {
                assert_eq!(side.receive_by(size, &frame), [binary(&vec![7; max])], "{role:?}, {max} by {size}");
            }
        }
    }
}

#[test]
fn a_continuation_above_the_limit_is_refused_at_its_header() {
    for role in ROLES {
        let mut side = Side::of_with(role, config(|config| config.max_frame_size = 10));
        side.receive(&to(role, BINARY, b"first"));
        let heard = side.receive(&head_to(role, FIN | CONTINUATION, 11));
        assert_eq!(heard, [failed(ProtocolError::FrameTooBig { len: 11, max: 10 })]);
    }
}

// Messages

#[test]
fn a_message_above_the_limit_is_refused_at_its_header_before_its_payload_arrives() {
    for role in ROLES {
        for max in [0usize, 100, 300, 70_000] {
            for first in [FIN | BINARY, BINARY, FIN | TEXT, TEXT] {
                let mut side = Side::of_with(role, config(|config| config.max_message_size = max));
                let heard = side.receive(&head_to(role, first, max as u64 + 1));
                let error = ProtocolError::MessageTooBig { len: max as u64 + 1, max: max as u64 };
                assert_eq!(heard, [failed(error)], "{role:?}, {max}");
                assert_eq!(only_close_code(&side.output), 1009);
            }
        }
    }
}

#[test]
fn the_limit_on_messages_holds_for_one_that_lies_whole_in_the_input() {
    for role in ROLES {
        for max in [0usize, 100, 300, 70_000] {
            let mut side = Side::of_with(role, config(|config| config.max_message_size = max));
            assert_eq!(side.receive(&to(role, FIN | BINARY, &vec![7; max])), [binary(&vec![7; max])]);
            let heard = side.receive(&to(role, FIN | BINARY, &vec![7; max + 1]));
            let error = ProtocolError::MessageTooBig { len: max as u64 + 1, max: max as u64 };
            assert_eq!(heard, [failed(error.clone())], "{role:?}, {max}");
            assert_eq!(side.receive(b""), [failed(error)]);
            assert_eq!(only_close_code(&side.output), 1009);
        }
    }
}

#[test]
fn the_sum_of_the_fragments_is_bounded_at_the_header_that_exceeds_it() {
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            let mut side = Side::of_with(role, config(|config| config.max_message_size = 10));
            assert_eq!(side.receive(&to(role, opcode, b"12345")), []);
            assert_eq!(side.receive(&to(role, CONTINUATION, b"678")), []);
            let error = ProtocolError::MessageTooBig { len: 11, max: 10 };
            assert_eq!(side.receive(&head_to(role, FIN | CONTINUATION, 3)), [failed(error)]);
            assert_eq!(only_close_code(&side.output), 1009);

            let mut side = Side::of_with(role, config(|config| config.max_message_size = 10));
            side.receive(&[to(role, opcode, b"12345"), to(role, FIN | CONTINUATION, b"67890")].concat());
            let expected = if opcode == TEXT { text("1234567890") } else { binary(b"1234567890") };
            assert_eq!(side.heard, [expected], "just the limit is fine");
        }
    }
}

#[test]
fn each_message_is_measured_by_itself() {
    for role in ROLES {
        let mut side = Side::of_with(role, config(|config| config.max_message_size = 10));
        for _ in 0..100 {
            let bytes = [to(role, TEXT, b"12345"), to(role, FIN | CONTINUATION, b"67890")].concat();
            assert_eq!(side.receive_by(3, &bytes), [text("1234567890")]);
        }
    }
}

#[test]
fn a_message_that_is_streamed_is_not_bound_by_the_limit_on_messages() {
    let mut server = Side::server_with(config(|config| config.max_message_size = 10)).connection;
    let mut bytes = to(Role::Server, FIN | BINARY, &[7; 1000]);
    let event = server.receive(&mut &mut bytes[..], &mut Vec::new()).unwrap();
    assert!(matches!(event, Some(Event::Data(chunk)) if chunk.whole().is_some()));
}

// Fragments

#[test]
fn the_number_of_fragments_is_bounded() {
    for role in ROLES {
        for max in [1, 2, 5] {
            let mut side = Side::of_with(role, config(|config| config.max_fragments = max));
            let mut bytes = to(role, TEXT, b"");
            bytes.extend(to(role, CONTINUATION, b"").repeat(max as usize - 1));
            assert_eq!(side.receive(&bytes), []);
            let heard = side.receive(&to(role, FIN | CONTINUATION, b""));
            assert_eq!(heard, [failed(ProtocolError::TooManyFragments { max })]);
            assert_eq!(only_close_code(&side.output), 1009);
        }
    }
}

#[test]
fn a_message_may_come_in_just_as_many_fragments_as_the_limit() {
    for role in ROLES {
        let mut side = Side::of_with(role, config(|config| config.max_fragments = 3));
        let message = [
            to(role, TEXT, b"a"),
            to(role, CONTINUATION, b"b"),
            to(role, FIN | PING, b""),
            to(role, FIN | CONTINUATION, b"c"),
        ]
        .concat();
        for _ in 0..3 {
            assert_eq!(
                side.receive(&message),
                [ping(b""), text("abc")],
                "control frames and other messages don't count"
            );
        }
    }
}

#[test]
fn a_message_of_empty_fragments_ends_and_holds_nothing() {
    for role in ROLES {
        let (mut side, config) = (Side::of(role), Config::default());
        let mut endless = to(role, TEXT, b"");
        endless.extend(to(role, CONTINUATION, b"").repeat(config.max_fragments as usize - 1));
        let taken = take_in(&mut side.connection, &mut side.assembler, &mut endless);
        assert_eq!((taken.allocations, taken.peak), (0, 0));
        let heard = side.receive(&to(role, CONTINUATION, b""));
        assert_eq!(heard, [failed(ProtocolError::TooManyFragments { max: config.max_fragments })]);
    }
}

// Memory

#[test]
fn a_length_field_never_allocates() {
    for role in ROLES {
        for (len, first) in [(1 << 62, FIN | BINARY), (1 << 62, TEXT), (15 << 20, FIN | BINARY), (15 << 20, TEXT)] {
            let configured = config(|config| {
                config.max_frame_size = u64::MAX;
                config.max_message_size = usize::MAX;
            });
            let mut side = Side::of_with(role, configured);
            let mut header = head_to(role, first, len);
            let taken = take_in(&mut side.connection, &mut side.assembler, &mut header);
            assert_eq!((taken.allocations, taken.peak), (0, 0), "{role:?}, {len} bytes announced");
        }
    }
}

#[test]
fn memory_follows_the_bytes_received_and_not_those_announced() {
    for role in ROLES {
        let mut side = Side::of(role);
        let mut begun = head_to(role, FIN | BINARY, 15 << 20);
        begun.extend([7; 1000]);
        let taken = take_in(&mut side.connection, &mut side.assembler, &mut begun);
        assert!(taken.peak <= 4 * 1000, "{taken:?}");
        let taken = take_in(&mut side.connection, &mut side.assembler, &mut [7; 1000]);
        assert!(taken.peak <= 4 * 2000, "{taken:?}");
    }
}

#[test]
fn tiny_fragments_cost_linear_time_and_memory() {
    for role in ROLES {
        for (fragments, size) in [(100_000, 1), (65_536, 64)] {
            let mut side = Side::of(role);
            let payload = vec![b'a'; size];
            let mut bytes = to(role, TEXT, &payload);
            bytes.extend(to(role, CONTINUATION, &payload).repeat(fragments - 2));
            bytes.extend(to(role, FIN | CONTINUATION, &payload));
            let taken = take_in_parts(&mut side.connection, &mut side.assembler, &mut bytes);
            let message = i64::try_from(fragments * size).unwrap();
            assert!(taken.peak <= 2 * message, "no more than twice the message is held: {taken:?}");
            assert!(taken.bytes <= 4 * message, "nor copied again and again: {taken:?}");
            assert!(taken.allocations <= 24, "nor is a fragment worth an allocation: {taken:?}");
            assert_eq!(side.assembler.message().payload().len(), fragments * size);
        }
    }
}

#[test]
fn a_message_that_arrives_byte_by_byte_costs_linear_time_and_memory() {
    for role in ROLES {
        let mut side = Side::of(role);
        let mut bytes = to(role, FIN | BINARY, &[7; 100_000]);
        let (assembler, connection) = (&mut side.assembler, &mut side.connection);
        let ((), taken) = measure(|| {
            for byte in bytes.chunks_mut(1) {
                let mut input = byte;
                while connection.receive_message(&mut input, assembler, &mut Vec::new()).unwrap().is_some() {}
            }
        });
        assert!(taken.peak <= 200_000 && taken.bytes <= 400_000 && taken.allocations <= 24, "{taken:?}");
    }
}

#[test]
fn a_message_under_assembly_never_holds_more_than_the_limit() {
    for role in ROLES {
        let limit = 3 * MIB + 17;
        let mut side = Side::of_with(role, config(|config| config.max_message_size = limit));
        let mut bytes = to(role, BINARY, &[7; 1000]);
        bytes.extend(to(role, CONTINUATION, &[7; 1000]).repeat(limit / 1000 - 1));
        bytes.extend(to(role, FIN | CONTINUATION, &vec![7; limit % 1000]));
        let taken = take_in_parts(&mut side.connection, &mut side.assembler, &mut bytes);
        assert!(taken.peak <= i64::try_from(limit).unwrap(), "{taken:?}");
        assert_eq!(side.assembler.message().payload().len(), limit);
    }
}

#[test]
fn a_message_in_fragments_that_lies_whole_in_the_input_takes_no_memory() {
    for role in ROLES {
        for (fragments, size) in [(100_000, 1), (65_536, 64), (17, 65_535)] {
            let mut side = Side::of(role);
            let payload = vec![b'a'; size];
            let mut bytes = to(role, TEXT, &payload);
            bytes.extend(to(role, CONTINUATION, &payload).repeat(fragments - 2));
            bytes.extend(to(role, FIN | CONTINUATION, &payload));
            let taken = take_in(&mut side.connection, &mut side.assembler, &mut bytes);
            assert_eq!((taken.allocations, taken.peak), (0, 0));
            assert_eq!(side.connection.received().payload_bytes, (fragments * size) as u64);
        }
    }
}

#[test]
fn a_small_message_that_is_kept_does_not_pin_a_large_buffer() {
    for role in ROLES {
        for (opcode, large) in [(TEXT, 4 * MIB), (BINARY, 4 * MIB), (TEXT, 2000), (BINARY, 2000)] {
            let mut side = Side::of(role);
            let parts = |size| [to(role, opcode, &vec![b'a'; size]), to(role, FIN | CONTINUATION, b"b")].concat();
            let (mut large, mut small) = (parts(large), parts(10));
            let (kept, taken) = measure(|| {
                take_in_parts(&mut side.connection, &mut side.assembler, &mut large);
                take_in_parts(&mut side.connection, &mut side.assembler, &mut small);
                side.assembler.take()
            });
            assert!(taken.kept <= 64, "{taken:?} kept for 11 bytes");
            assert_eq!(kept.as_ref().payload(), b"aaaaaaaaaab");
        }
    }
}

#[test]
fn a_message_that_was_lent_whole_leaves_nothing_behind() {
    for role in ROLES {
        let mut side = Side::of(role);
        let mut bytes = to(role, FIN | BINARY, &vec![7; MIB]);
        let taken = take_in(&mut side.connection, &mut side.assembler, &mut bytes);
        assert_eq!((taken.allocations, taken.kept), (0, 0));
    }
}

#[test]
fn the_memory_of_a_message_is_given_back_when_asked() {
    for role in ROLES {
        let mut side = Side::of(role);
        let mut bytes = [to(role, BINARY, &vec![7; MIB]), to(role, FIN | CONTINUATION, b"")].concat();
        let ((), taken) = measure(|| {
            take_in_parts(&mut side.connection, &mut side.assembler, &mut bytes);
            side.assembler.release();
        });
        assert_eq!(taken.kept, 0);

        // But an open message is not dropped.
        side.receive(&to(role, TEXT, b"still "));
        side.assembler.release();
        assert_eq!(side.receive(&to(role, FIN | CONTINUATION, b"here")), [text("still here")]);
    }
}

#[test]
fn a_large_buffer_is_not_kept_for_the_next_message() {
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            let mut side = Side::of(role);
            let mut large = [to(role, opcode, &vec![b'a'; MIB]), to(role, FIN | CONTINUATION, b"")].concat();
            let mut small = [to(role, opcode, b"a"), to(role, FIN | CONTINUATION, b"b")].concat();
            let ((), taken) = measure(|| {
                take_in_parts(&mut side.connection, &mut side.assembler, &mut large);
                take_in_parts(&mut side.connection, &mut side.assembler, &mut small);
            });
            assert!(taken.kept <= 4096, "{taken:?}");
        }
    }
}

// Defaults

#[test]
fn the_defaults_let_a_message_of_16_mib_pass_and_not_a_byte_more() {
    for role in ROLES {
        let mut side = Side::of(role);
        let payload = vec![b'a'; 16 * MIB];
        side.receive(&to(role, FIN | BINARY, &payload));
        side.receive_by(MIB, &to(role, FIN | BINARY, &payload));
        assert!(side.heard == [binary(&payload), binary(&payload)]);
        let (len, max) = (16 * MIB as u64 + 1, 16 * MIB as u64);
        let heard = side.receive(&head_to(role, FIN | BINARY, len));
        assert_eq!(heard, [failed(ProtocolError::FrameTooBig { len, max })]);
    }
}

#[test]
fn the_defaults_let_a_message_of_16_mib_in_1000_fragments_and_more_pass() {
    for role in ROLES {
        for fragments in [1000, 100_000] {
            let mut side = Side::of(role);
            let payload = vec![7; 16 * MIB];
            let mut pieces = payload.chunks(payload.len().div_ceil(fragments));
            let mut bytes = to(role, BINARY, pieces.next().unwrap());
            for piece in pieces {
                bytes.extend(to(role, CONTINUATION, piece));
            }
            bytes.extend(to(role, FIN | CONTINUATION, b""));
            assert!(side.receive(&bytes) == [binary(&payload)], "{fragments} fragments");
        }
    }
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let config = Config::default();
    assert_eq!((config.max_frame_size, config.max_message_size), (16 << 20, 16 << 20));
    assert_eq!((config.max_fragments, config.max_pending_pongs, config.fragment_size), (131_072, 16_384, 131_072));
    assert_eq!((config.high_water_mark, config.low_water_mark), (65_536, 16_384));
    assert_eq!(config.masking, sockeye::MaskingPolicy::ByRole);
    assert_eq!((config.pong_timeout, config.close_timeout), (Some(common::secs(20)), Some(common::secs(10))));
    assert_eq!(config.output_timeout, Some(common::secs(30)));
    assert_eq!(config.ping_interval, Some(common::secs(30)));
    assert_eq!((config.idle_timeout, config.message_timeout, config.lifetime), (None, None, None));
}

// The assembler by itself

#[test]
fn a_message_that_is_open_is_neither_lent_nor_given_away() {
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            let mut side = Side::of(role);
            assert_eq!(side.assembler.message().payload(), b"");
            side.receive(&to(role, opcode, b"half "));
            assert_eq!(side.assembler.message().payload(), b"", "it is not complete");
            assert_eq!(side.assembler.take().as_ref().payload(), b"");
            let expected = if opcode == TEXT { text("half whole") } else { binary(b"half whole") };
            assert_eq!(side.receive(&to(role, FIN | CONTINUATION, b"whole")), [expected], "nothing was lost");
            assert_eq!(side.assembler.message().payload(), b"half whole");
            assert_eq!(side.assembler.take().as_ref().payload(), b"half whole");
            assert_eq!(side.assembler.take(), Message::Binary(bytes::Bytes::new()), "it is given away once");
        }
    }
}
