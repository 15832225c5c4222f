//! What costs no allocation, and what a connection holds.

extern crate alloc;

mod common;

use alloc::sync::Arc;

use bytes::BytesMut;
use common::allocator::{Counting, Taken, measure};
use common::wire::{BINARY, CONTINUATION, FIN, PING, PONG, ROLES, TEXT, to};
use common::{Side, at, config, secs};
use sockeye::{
    Assembler, Close, Config, Connection, Event, Fin, Message, MessageKind, MessageRef, PreparedMessage, Received,
    Receiver, Role, Sender,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Nothing at all.
const NOTHING: Taken = Taken { allocations: 0, bytes: 0, peak: 0, kept: 0 };

/// A connection of that role, and a buffer to write to.
fn ready(role: Role) -> (Connection, Vec<u8>) {
    (Side::of(role).connection, Vec::with_capacity(64 * 1024))
}

/// What it takes to receive what the peer of that role sends, as events and as messages.
fn receiving(role: Role, frames: &[u8]) -> [Taken; 2] {
    let (mut connection, mut output) = ready(role);
    let mut bytes = frames.to_vec();
    let ((), events) = measure(|| {
        let mut input = &mut bytes[..];
        while connection.receive(&mut input, &mut output).unwrap().is_some() {}
    });
    let (mut connection, mut output) = ready(role);
    let (mut bytes, mut assembler) = (frames.to_vec(), Assembler::new(Config::default()));
    let ((), messages) = measure(|| {
        let mut input = &mut bytes[..];
        while connection.receive_message(&mut input, &mut assembler, &mut output).unwrap().is_some() {}
    });
    [events, messages]
}

#[test]
fn the_counting_allocator_counts() {
    let (kept, taken) = measure(|| {
        drop(vec![0u8; 1000]);
        vec![0u8; 100]
    });
    assert_eq!(taken, Taken { allocations: 2, bytes: 1100, peak: 1000, kept: 100 });
    drop(kept);
}

#[test]
fn receiving_a_whole_message_of_any_length_allocates_nothing() {
    for role in ROLES {
        for len in [0, 16, 125, 126, 4096, 65_535, 65_536, 1 << 20] {
            for opcode in [TEXT, BINARY] {
                let frames = to(role, FIN | opcode, &vec![b'a'; len]).repeat(3);
                assert_eq!(receiving(role, &frames), [NOTHING; 2], "{role:?}, {len} bytes");
            }
        }
    }
}

#[test]
fn a_long_binary_message_that_is_given_away_is_not_copied() {
    for role in ROLES {
        let (mut connection, mut output) = ready(role);
        let (mut assembler, mut input) = (Assembler::new(Config::default()), BytesMut::new());
        let frames = to(role, FIN | BINARY, &vec![7; 100_000]).repeat(3);
        input.extend_from_slice(&frames);
        let (messages, taken) =
            measure(|| [(); 3].map(|()| connection.receive_owned(&mut input, &mut assembler, &mut output)));
        for message in messages {
            assert_eq!(message, Ok(Some(Message::from(vec![7; 100_000]))));
        }
        assert!(taken.bytes <= 128, "what counts who has a share of the input: {taken:?}");
    }
}

#[test]
fn pings_and_pongs_allocate_nothing() {
    for role in ROLES {
        let frames = [to(role, FIN | PING, &[7; 125]), to(role, FIN | PONG, &[7; 125])].concat().repeat(20);
        assert_eq!(receiving(role, &frames), [NOTHING; 2], "{role:?}");

        let (mut connection, mut output) = ready(role);
        let ((), taken) = measure(|| {
            connection.send_ping(&[7; 125], &mut output).unwrap();
            connection.send_pong(&[7; 125], &mut output).unwrap();
            connection.ping(&mut output).unwrap();
        });
        assert_eq!(taken, NOTHING);
    }
}

#[test]
fn streaming_the_fragments_of_a_message_allocates_nothing() {
    for role in ROLES {
        let frames =
            [to(role, TEXT, "€".as_bytes()), to(role, FIN | PING, b""), to(role, FIN | CONTINUATION, &[b'a'; 70_000])]
                .concat();
        let (mut connection, mut output) = ready(role);
        let mut bytes = frames.clone();
        let ((), taken) = measure(|| {
            for piece in bytes.chunks_mut(7) {
                let mut input = piece;
                while connection.receive(&mut input, &mut output).unwrap().is_some() {}
            }
        });
        assert_eq!(taken, NOTHING);
    }
}

#[test]
fn a_message_in_fragments_that_lies_whole_in_the_input_allocates_nothing() {
    for role in ROLES {
        let (mut connection, mut output) = ready(role);
        let mut assembler = Assembler::new(Config::default());
        let mut bytes = [
            to(role, TEXT, "a€".as_bytes()),
            to(role, CONTINUATION, b""),
            to(role, CONTINUATION, &[b'b'; 500]),
            to(role, FIN | CONTINUATION, b"c"),
        ]
        .concat();
        let mut input = &mut bytes[..];
        let (received, taken) = measure(|| connection.receive_message(&mut input, &mut assembler, &mut output));
        let expected = format!("a€{}c", "b".repeat(500));
        assert_eq!(received, Ok(Some(Received::Message(MessageRef::Text(&expected)))));
        assert_eq!(taken, NOTHING);
        assert!(input.is_empty());
    }
}

#[test]
fn a_second_short_message_in_fragments_reuses_the_memory_of_the_first() {
    for role in ROLES {
        let (mut connection, mut output) = ready(role);
        let mut assembler = Assembler::new(Config::default());
        let frames = [to(role, TEXT, &[b'a'; 500]), to(role, FIN | CONTINUATION, b"b")];
        let mut take_in = || {
            let mut frames = frames.clone();
            measure(|| {
                let [mut first, mut last] = frames.each_mut().map(|frame| &mut frame[..]);
                let received = connection.receive_message(&mut first, &mut assembler, &mut output).unwrap();
                assert!(received.is_none());
                let received = connection.receive_message(&mut last, &mut assembler, &mut output).unwrap();
                assert!(matches!(received, Some(Received::Message(_))));
            })
            .1
        };
        assert!(take_in().allocations > 0);
        assert_eq!(take_in(), NOTHING);
    }
}

#[test]
fn a_control_frame_that_breaks_off_holds_its_payload_until_it_is_whole() {
    for role in ROLES {
        let frame = to(role, FIN | PING, &[7; 125]);
        let header_len = frame.len() - 125;
        let (mut connection, mut output) = ready(role);
        let mut receive = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            measure(|| connection.receive(&mut &mut bytes[..], &mut output).unwrap().is_some())
        };
        for n in 0..header_len {
            assert_eq!(receive(&frame[n..=n]), (false, NOTHING), "byte {n} of the header");
        }
        let (_, taken) = receive(&frame[header_len..header_len + 1]);
        assert_eq!((taken.allocations, taken.kept), (1, 126));
        for n in header_len + 1..frame.len() - 1 {
            assert_eq!(receive(&frame[n..=n]), (false, NOTHING), "byte {n}");
        }
        let (is_whole, taken) = receive(&frame[frame.len() - 1..]);
        assert_eq!((is_whole, taken.allocations, taken.kept), (true, 0, -126), "and it is given back");
    }
}

#[test]
fn sending_into_a_buffer_with_room_allocates_nothing() {
    static PREPARED: PreparedMessage = PreparedMessage::from_static_text("prepared");
    for role in ROLES {
        let (mut connection, mut output) = ready(role);
        let (text, mut payload) = ("a".repeat(10_000), [7; 100]);
        let ((), taken) = measure(|| {
            connection.send_text("short", &mut output).unwrap();
            connection.send_text(&text, &mut output).unwrap();
            connection.send_binary(&[7; 16], &mut output).unwrap();
            connection.send_fragment("a", Fin::More, &mut output).unwrap();
            connection.send_fragment("b", Fin::Last, &mut output).unwrap();
            connection.send_prepared(&PREPARED, &mut output).unwrap();
            connection.head(MessageKind::Binary, &mut payload).unwrap();
            if role == Role::Server {
                connection.prepared(&PREPARED).unwrap();
            }
        });
        assert_eq!(taken, NOTHING, "{role:?}");
        let ((), taken) = measure(|| connection.close(Close::normal(), &mut output).unwrap());
        assert!(taken.allocations == 1 && taken.kept <= 32, "what ended the connection, once in its life: {taken:?}");
    }
}

#[test]
fn a_message_that_goes_out_in_fragments_allocates_nothing() {
    for role in ROLES {
        let mut connection = Side::of_with(role, config(|config| config.fragment_size = 1000)).connection;
        let (message, mut output) = (vec![7; 50_000], Vec::with_capacity(64 * 1024));
        let (result, taken) = measure(|| connection.send_binary(&message, &mut output));
        assert_eq!((result, taken), (Ok(()), NOTHING));
    }
}

#[test]
fn a_prepared_message_is_sent_to_many_without_copying_it() {
    let message = PreparedMessage::new(vec![7; 1 << 20]);
    let mut servers: Vec<_> = (0..100).map(|_| Connection::server(Config::default())).collect();
    let ((), taken) = measure(|| {
        for server in &mut servers {
            let [head, payload] = server.prepared(&message).unwrap();
            assert_eq!((head.len(), payload.len()), (10, 1 << 20));
        }
    });
    assert_eq!(taken, NOTHING);
}

#[test]
fn preparing_a_message_that_owns_its_payload_does_not_copy_it() {
    let payload = vec![7; 1 << 20];
    let (message, taken) = measure(|| PreparedMessage::new(payload));
    assert!(taken.bytes <= 64, "{taken:?}");
    let (clone, taken) = measure(|| message.clone());
    assert!(taken.bytes <= 64, "{taken:?}");
    assert_eq!(clone.payload(), message.payload());
}

#[test]
fn telling_the_time_allocates_nothing_while_nothing_ends() {
    for role in ROLES {
        let configured = config(|config| {
            config.ping_interval = Some(secs(1));
            config.idle_timeout = Some(secs(1000));
            config.message_timeout = Some(secs(1000));
            config.lifetime = Some(secs(1000));
        });
        let (mut connection, mut output) = (Side::of_with(role, configured).connection, Vec::with_capacity(1024));
        let ((), taken) = measure(|| {
            for second in 0..10 {
                assert_eq!(connection.handle_timeout(at(second), &mut output), None);
                assert!(connection.poll_timeout().is_some());
            }
        });
        assert_eq!(taken, NOTHING);
    }
}

#[test]
fn an_idle_connection_holds_its_deadlines_and_its_share_of_the_configuration() {
    let shared = Arc::new(Config::default());
    for role in ROLES {
        let (connection, taken) = measure(|| {
            let mut connection = match role {
                Role::Server => Connection::server(shared.clone()),
                // Keys of a source without state, as the default one has none.
                Role::Client => Connection::client_with_keys(shared.clone(), || [1, 2, 3, 4]),
            };
            traffic(&mut connection);
            connection
        });
        assert!(taken.kept > 0 && taken.kept <= 160, "{role:?}: {taken:?}");
        assert_eq!(Arc::strong_count(&shared) - 1, 2, "one for each half");
        drop(connection);
    }
    let (connection, taken) = measure(|| {
        let mut connection = Connection::client(shared.clone());
        traffic(&mut connection);
        connection
    });
    // The generator of the thread is made on first use, and is not the connection's.
    drop(connection);
    assert!(taken.kept < 2048, "{taken:?}");
}

/// Sends and receives a bit of everything.
fn traffic(connection: &mut Connection) {
    let (role, mut output) = (connection.role(), Vec::new());
    let mut bytes = [
        to(role, FIN | TEXT, &[b'a'; 100_000]),
        to(role, FIN | PING, b"ping").repeat(1000),
        to(role, TEXT, b"in "),
        to(role, FIN | PONG, b"pong"),
        to(role, FIN | CONTINUATION, b"parts"),
    ]
    .concat();
    for piece in bytes.chunks_mut(1009) {
        let mut input = piece;
        while connection.receive(&mut input, &mut output).unwrap().is_some() {}
        connection.send_binary(&[7; 10_000], &mut output).unwrap();
        connection.ping(&mut output).unwrap();
        connection.handle_timeout(at(1), &mut output);
        output.clear();
    }
    // The last pong that waited for room goes out here.
    connection.handle_timeout(at(2), &mut output);
}

#[test]
fn an_assembler_that_waits_holds_nothing() {
    let ((), taken) = measure(|| {
        let assembler = Assembler::new(Config::default());
        assert_eq!(assembler.message().payload(), b"");
    });
    assert_eq!(taken.kept, 0);
}

#[test]
fn a_connection_is_not_larger_than_documented() {
    assert!(size_of::<Connection>() <= 256, "{} bytes", size_of::<Connection>());
    assert!(size_of::<Receiver>() <= 112, "{} bytes", size_of::<Receiver>());
    assert!(size_of::<Sender>() <= 88, "{} bytes", size_of::<Sender>());
    assert!(size_of::<Assembler>() <= 64, "{} bytes", size_of::<Assembler>());
    assert!(size_of::<Event<'_>>() <= 136, "{} bytes", size_of::<Event<'_>>());
    assert!(size_of::<Message>() <= 32, "{} bytes", size_of::<Message>());
}
