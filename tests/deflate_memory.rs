//! What permessage-deflate holds, for each setting.

mod common;

use common::allocator::{Counting, measure};
use sockeye::deflate::{Deflate, MemoryLevel, WindowBits, keep_compressors};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, Config, Connection, Fin, Received, Role, Rsv};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type End = (Connection, Assembler);

fn pair(deflate: &Deflate, answer: &str) -> (End, End) {
    let end = |role| {
        let agreement = deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap();
        let mut connection = match role {
            Role::Server => Connection::server(Config::default()),
            Role::Client => Connection::client_with_keys(Config::default(), || [0; 4]),
        };
        connection.extend(Rsv::RSV1, agreement.encoder());
        let mut assembler = connection.assembler();
        assembler.extend(agreement.decoder());
        (connection, assembler)
    };
    (end(Role::Server), end(Role::Client))
}

/// Sends a message there and back.
fn exchange((server, client): &mut (End, End), message: &str) {
    let mut wire = Vec::new();
    client.0.send_text(message, &mut wire).unwrap();
    pass(&mut wire, server, message);
    wire.clear();
    server.0.send_text(message, &mut wire).unwrap();
    pass(&mut wire, client, message);
}

fn pass(wire: &mut [u8], to: &mut End, message: &str) {
    let (mut input, mut output) = (wire, Vec::new());
    let received = to.0.receive_message(&mut input, &mut to.1, &mut output).unwrap();
    assert_eq!(received, Some(Received::Message(message.into())));
    to.1.release();
}

/// A message of so many bytes in which hardly anything repeats.
fn message(seed: usize, len: usize) -> String {
    let mut state = seed as u64 * 2 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + (state % 90) as u8)
    };
    (0..len).map(|_| next()).collect()
}

// One test, for the pool is one for the process.
#[test]
fn a_connection_holds_its_context_and_nothing_else() {
    // What is put back is given up, so that only what connections hold is counted.
    keep_compressors(0);
    let mut deflate = Deflate::default();
    (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX);
    // What hardly repeats would be sent as it is.
    deflate.threshold = 0;
    // The pool's own lists are there for good.
    (0..40).for_each(|_| exchange(&mut pair(&deflate, "permessage-deflate"), &message(1, 100)));
    println!("{:>6} {:>12} {:>12}", "window", "with context", "without");
    for bits in 8..=15 {
        let size = 1usize << bits;
        let answer = format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}");
        let mut held = [0; 2];
        let alone = format!("{answer}; server_no_context_takeover; client_no_context_takeover");
        for (held, answer) in held.iter_mut().zip([&answer, &alone]) {
            let mut pairs: Vec<_> = (0..3).map(|_| pair(&deflate, answer)).collect();
            let ((), taken) = measure(|| {
                for (seed, pair) in pairs.iter_mut().enumerate() {
                    for round in 0..2 {
                        exchange(pair, &message(seed * 7 + round, size * 2 / 3));
                    }
                }
            });
            *held = taken.kept / 3;
        }
        println!("{bits:>6} {:>12} {:>12}", held[0], held[1]);
        // Two ends, each with what it sent and what it received.
        assert_eq!(held, [4 * size as i64, 0]);
    }

    // A short life takes no more than it has seen.
    let mut young = pair(&deflate, "permessage-deflate");
    let ((), taken) = measure(|| exchange(&mut young, &message(1, 1000)));
    assert!(taken.kept <= 4 * 1000, "{taken:?}");

    // Of what it sent, it keeps only what it will refer to, though it might refer to more.
    let mut modest = deflate.clone();
    modest.window_bits = WindowBits::new(10).unwrap();
    let mut pairs = [pair(&modest, "permessage-deflate")];
    let ((), taken) = measure(|| exchange(&mut pairs[0], &message(1, 40_000)));
    assert_eq!(taken.kept, 2 * (1024 + 32 * 1024));

    // Before the first message there are four objects and nothing in them.
    let agreement = deflate.agreed(Role::Server, &Extensions::parse("permessage-deflate").next().unwrap().unwrap());
    let agreement = agreement.unwrap();
    let mut server = Connection::server(Config::default());
    let mut assembler = server.assembler();
    let ((), taken) = measure(|| {
        server.extend(Rsv::RSV1, agreement.encoder());
        assembler.extend(agreement.decoder());
    });
    assert!(taken.kept <= 512, "{taken:?}");

    // What the pool keeps is bounded, and shared.
    keep_compressors(32);
    println!("{:>6} {:>6} {:>10}", "window", "memory", "compressor");
    for (bits, level) in [(9, 1), (11, 3), (12, 5), (12, 8), (15, 5), (15, 8), (15, 9)] {
        deflate.memory_level = MemoryLevel::new(level).unwrap();
        deflate.window_bits = WindowBits::new(bits).unwrap();
        let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let (mut server, _) = pair(&deflate, answer).0;
        let ((), taken) = measure(|| server.send_text(&message(1, 1000), &mut Vec::with_capacity(4000)).unwrap());
        println!("{bits:>6} {level:>6} {:>10}", taken.kept);
        assert!((100_000..600_000).contains(&taken.kept), "{taken:?}");
        keep_compressors(0);
        keep_compressors(32);
    }
    let (mut server, mut client) = pair(&deflate, "permessage-deflate; server_no_context_takeover");
    let mut wire = Vec::new();
    server.0.send_text(&message(1, 1000), &mut wire).unwrap();
    let ((), taken) = measure(|| pass(&mut wire, &mut client, &message(1, 1000)));
    println!("decompressor {}", taken.kept);
    assert!((100_000..200_000).contains(&taken.kept), "{taken:?}");
    let mut pairs: Vec<_> =
        (0..200).map(|_| pair(&deflate, "permessage-deflate; server_no_context_takeover")).collect();
    let hundred = |pairs: &mut [(End, End)]| {
        let ((), taken) = measure(|| pairs.iter_mut().for_each(|pair| exchange(pair, &message(1, 100))));
        taken.kept
    };
    let first = hundred(&mut pairs);
    let second = hundred(&mut pairs);
    println!("200 connections, and the pool: {first}; another message each: {second}");
    assert!(first < 32 * 600_000 + 32 * 150_000, "{first}");
    assert!(second <= 200 * 4 * 200, "{second}");

    // Also where as many are in use at once as there are connections.
    let mut wire = Vec::with_capacity(1 << 20);
    let mut fragment = |pairs: &mut [(End, End)], fin| {
        for (server, client) in pairs {
            server.0.send_fragment(&message(2, 40_000)[..], fin, &mut wire).unwrap();
            let mut input = &mut wire[..];
            let received = client.0.receive_message(&mut input, &mut client.1, &mut Vec::new()).unwrap();
            assert_eq!(received.is_some(), fin == Fin::Last);
            client.1.release();
            wire.clear();
        }
    };
    let ((), taken) = measure(|| {
        let ((), open) = measure(|| fragment(&mut pairs[..100], Fin::More));
        fragment(&mut pairs[..100], Fin::Last);
        println!("100 messages at once: {}", open.kept);
        assert!(open.kept > (100 - 32) * 400_000, "each has a compressor and a decompressor: {open:?}");
    });
    println!("and behind them: {}", taken.kept);
    assert!(taken.kept < 32 * 600_000, "{taken:?}");
}
