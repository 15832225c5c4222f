//! Where memory is allocated, and where it is not.

use allocation_counter::measure;
use sockeye::{Assembler, Config, Connection, MessageRef, Received, Role};

/// A hundred of each kind of short message, and what comes between messages.
fn wire(of: Role) -> Vec<u8> {
    let (mut peer, mut wire) = (connection(of), Vec::new());
    for _ in 0..100 {
        peer.send_text("sixteen bytes ->", &mut wire).unwrap();
        peer.send_binary(&[0x55; 16], &mut wire).unwrap();
        peer.send_binary(&[0x55; 4096], &mut wire).unwrap();
        peer.send_ping(b"ping", &mut wire).unwrap();
        peer.send_pong(b"pong", &mut wire).unwrap();
    }
    wire
}

fn connection(role: Role) -> Connection {
    match role {
        Role::Server => Connection::server(Config::default()),
        Role::Client => Connection::client_with_keys(Config::default(), || [1, 2, 3, 4]),
    }
}

#[test]
fn receiving_what_lies_whole_in_the_input_allocates_nothing() {
    for (us, them) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        let (mut wire, mut connection, mut output) = (wire(them), connection(us), Vec::with_capacity(64 * 1024));
        let (mut assembler, mut messages) = (Assembler::new(Config::default()), 0);
        let allocated = measure(|| {
            let mut input = &mut wire[..];
            while let Some(received) = connection.receive_message(&mut input, &mut assembler, &mut output).unwrap() {
                messages += usize::from(matches!(received, Received::Message(_)));
            }
        });
        assert_eq!((messages, allocated.count_total), (300, 0), "{us:?}");
    }
}

#[test]
fn sending_into_a_buffer_with_room_allocates_nothing() {
    for role in [Role::Server, Role::Client] {
        let (mut connection, mut output) = (connection(role), Vec::with_capacity(64 * 1024));
        let allocated = measure(|| {
            for _ in 0..100 {
                connection.send_text("sixteen bytes ->", &mut output).unwrap();
                connection.send_binary(&[0x55; 16], &mut output).unwrap();
                connection.send_ping(b"ping", &mut output).unwrap();
            }
        });
        assert_eq!(allocated.count_total, 0, "{role:?}");
    }
}

#[test]
fn a_length_that_is_only_announced_allocates_nothing() {
    let mut wire = *b"\x82\xff\x00\x00\x00\x00\x00\xff\xff\xff\x01\x02\x03\x04";
    let (mut server, mut output) = (connection(Role::Server), Vec::new());
    let mut assembler = Assembler::new(Config::default());
    let allocated = measure(|| {
        let mut input = &mut wire[..];
        assert_eq!(server.receive_message(&mut input, &mut assembler, &mut output), Ok(None));
    });
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn tiny_fragments_cost_their_bytes_and_not_an_allocation_each() {
    let mut wire = [&[0x02, 1, b'a'][..], &[0x00, 1, b'a'].repeat(99_998), &[0x80, 1, b'a']].concat();
    let (mut client, mut output) = (connection(Role::Client), Vec::new());
    let mut assembler = Assembler::new(Config::default());
    let allocated = measure(|| {
        let mut input = &mut wire[..];
        let received = client.receive_message(&mut input, &mut assembler, &mut output);
        assert_eq!(received, Ok(Some(Received::Message(MessageRef::Binary(&[b'a'; 100_000])))));
    });
    assert!(allocated.count_total <= 24, "{} allocations", allocated.count_total);
    assert!(allocated.bytes_max <= 300_000, "{} bytes at once", allocated.bytes_max);
}
