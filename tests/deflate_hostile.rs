//! permessage-deflate against peers that mean harm: bombs of every make, and floods that come to nothing.

mod common;

use common::allocator::{Counting, measure};
use common::wire::{BINARY, CONTINUATION, FIN, TEXT, to};
use core::num::NonZeroU32;
use flate2::{Compress, Compression, FlushCompress};
use sockeye::deflate::Deflate;
use sockeye::handshake::Extensions;
use sockeye::{Assembler, CloseCode, Config, Connection, Event, ProtocolError, Received, Role, Rsv};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RSV1: u8 = 0x40;

/// The limit on messages.
const LIMIT: usize = 1024 * 1024;

/// What is inflated in one step.
const STEP: usize = 64 * 1024;

/// What a decompressor takes, its output and its window among it: `deflate_memory` measures it.
const DECOMPRESSOR: usize = 128 * 1024;

fn end(role: Role, deflate: &Deflate, answer: &str) -> (Connection, Assembler) {
    let agreement = deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap();
    let mut config = Config::default();
    config.max_message_size = LIMIT;
    let mut connection = match role {
        Role::Server => Connection::server(config),
        Role::Client => Connection::client_with_keys(config, || [0; 4]),
    };
    connection.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = connection.assembler();
    assembler.extend(agreement.decoder());
    (connection, assembler)
}

/// Receives frames one by one; how many messages came whole, and what was wrong.
fn receive(
    (connection, assembler): &mut (Connection, Assembler),
    frames: &mut [Vec<u8>],
) -> (usize, Option<ProtocolError>) {
    let (mut output, mut messages) = (Vec::new(), 0);
    for frame in frames {
        let mut input = &mut frame[..];
        loop {
            match connection.receive_message(&mut input, assembler, &mut output) {
                Ok(Some(Received::Message(_))) => messages += 1,
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

/// Zeros, compressed a thousand to one.
fn zeros(len: usize) -> Vec<u8> {
    let (mut compress, mut output) = (Compress::new(Compression::best(), false), Vec::with_capacity(len / 500 + 1000));
    let piece = vec![0; 1 << 20];
    for _ in 0..len >> 20 {
        compress.compress_vec(&piece, &mut output, FlushCompress::None).unwrap();
    }
    compress.compress_vec(&[], &mut output, FlushCompress::Sync).unwrap();
    output
}

/// The payload of a message, less the tail of its last block.
fn payload(mut blocks: Vec<u8>) -> Vec<u8> {
    assert!(blocks.ends_with(&[0, 0, 0xff, 0xff]));
    blocks.truncate(blocks.len() - 4);
    blocks
}

/// A block without compression.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), bytes].concat()
}

/// Zeros in a final block.
fn final_block(len: usize) -> Vec<u8> {
    let (mut compress, mut output) = (Compress::new(Compression::best(), false), Vec::with_capacity(len / 500 + 1000));
    compress.compress_vec(&vec![0; len], &mut output, FlushCompress::Finish).unwrap();
    output
}

/// A message in frames of so many bytes.
fn fragments(role: Role, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let frame = |(at, piece)| {
        let first = if at == 0 { RSV1 | BINARY } else { CONTINUATION };
        to(role, first | if at + 1 == count { FIN } else { 0 }, piece)
    };
    payload.chunks(size).enumerate().map(frame).collect()
}

#[test]
fn bombs_are_cut_off_at_the_limit() {
    let bomb = zeros(64 << 20);
    let role = Role::Client;
    let whole = |payload: &[u8]| vec![to(role, FIN | RSV1 | BINARY, payload)];
    let ways: [(&str, Vec<Vec<u8>>); 6] = [
        ("one frame", whole(&payload(bomb.clone()))),
        ("one frame of text", vec![to(role, FIN | RSV1 | TEXT, &payload(bomb.clone()))]),
        ("fragments", fragments(role, &payload(bomb.clone()), 7)),
        ("stored blocks", whole(&payload([stored(&[7; 60_000]).repeat(40), stored(&[])].concat()))),
        ("final blocks", whole(&[final_block(1 << 16).repeat(1000), vec![0]].concat())),
        ("many blocks", whole(&payload(zeros(1 << 20).repeat(64)))),
    ];
    println!("{:<20} {:>9} {:>6} {:>9} {:>9}", "way", "bytes in", "code", "peak", "bound");
    for (way, frames) in ways {
        for answer in ["permessage-deflate", "permessage-deflate; server_no_context_takeover"] {
            let len: usize = frames.iter().map(Vec::len).sum();
            let mut client = end(role, &Deflate::default(), answer);
            let mut frames = frames.clone();
            let ((messages, error), taken) = measure(|| receive(&mut client, &mut frames));
            let code = error.as_ref().map(ProtocolError::close_code);
            let bound = LIMIT + STEP + DECOMPRESSOR;
            println!("{way:<20} {len:>9} {:>6} {:>9} {bound:>9}", code.map_or(0, u16::from), taken.peak);
            assert_eq!((messages, code), (0, Some(CloseCode::MESSAGE_TOO_BIG)), "{way}: {error:?}");
            assert!(usize::try_from(taken.peak).unwrap() <= bound, "{way}: {taken:?}");
        }
    }
}

#[test]
fn many_small_messages_with_context_hold_one_and_the_window() {
    let mut client = end(Role::Client, &Deflate::default(), "permessage-deflate");
    // Each refers to the one before: 64 KiB in some 80 bytes.
    let mut compress = Compress::new(Compression::best(), false);
    let frame = |_| {
        let mut output = Vec::with_capacity(70_000);
        compress.compress_vec(&vec![5; 1 << 16], &mut output, FlushCompress::Sync).unwrap();
        to(Role::Client, FIN | RSV1 | BINARY, &payload(output))
    };
    let mut frames: Vec<_> = (0..500).map(frame).collect();
    let len: usize = frames.iter().map(Vec::len).sum();
    let ((messages, error), taken) = measure(|| receive(&mut client, &mut frames));
    assert_eq!((messages, error), (500, None));
    println!("500 messages of 64 KiB in {len} bytes: peak {}", taken.peak);
    assert!(taken.peak <= (2 * (1 << 16) + STEP + DECOMPRESSOR + (1 << 15)) as i64, "{taken:?}");
}

#[test]
fn floods_that_come_to_nothing_end() {
    let role = Role::Server;
    // Blocks that hold nothing: without compression, and with fixed codes (three in four bytes; whole bytes of them here).
    let empty_stored = payload(stored(&[]).repeat(100_000));
    let (messages, error) = receive(
        &mut end(role, &Deflate::default(), "permessage-deflate"),
        &mut [to(role, FIN | RSV1 | BINARY, &empty_stored)],
    );
    assert_eq!((messages, error), (1, None), "half a megabyte of nothing is an empty message");

    // Final blocks, for each of which the decompressor begins anew.
    let finals = [3, 0].repeat(100_000);
    let (messages, error) = receive(
        &mut end(role, &Deflate::default(), "permessage-deflate"),
        &mut [to(role, FIN | RSV1 | BINARY, &finals)],
    );
    assert_eq!((messages, error.map(|error| error.close_code())), (0, Some(CloseCode::POLICY_VIOLATION)));

    // So many as anybody may have use for are fine.
    let finals = [[3, 0].repeat(60), vec![0]].concat();
    let (messages, error) = receive(
        &mut end(role, &Deflate::default(), "permessage-deflate"),
        &mut [to(role, FIN | RSV1 | BINARY, &finals)],
    );
    assert_eq!((messages, error), (1, None));
}

#[test]
fn a_message_that_expands_too_much_is_refused_where_that_is_set() {
    let mut deflate = Deflate::default();
    deflate.max_ratio = NonZeroU32::new(100);
    let role = Role::Server;
    let bomb = to(role, FIN | RSV1 | BINARY, &payload(zeros(1 << 20)));
    let (messages, error) = receive(&mut end(role, &deflate, "permessage-deflate"), &mut [bomb.clone()]);
    assert_eq!((messages, error.map(|error| error.close_code())), (0, Some(CloseCode::MESSAGE_TOO_BIG)));
    let (messages, error) = receive(&mut end(role, &Deflate::default(), "permessage-deflate"), &mut [bomb]);
    assert_eq!((messages, error), (1, None), "it is within the limit");
    // A short one may be as dense as it likes.
    let mut short = Compress::new(Compression::best(), false);
    let mut output = Vec::with_capacity(1000);
    short.compress_vec(&[0; 60_000], &mut output, FlushCompress::Sync).unwrap();
    let frame = to(role, FIN | RSV1 | BINARY, &payload(output));
    let (messages, error) = receive(&mut end(role, &deflate, "permessage-deflate"), &mut [frame]);
    assert_eq!((messages, error), (1, None));
}

#[test]
fn what_is_streamed_is_held_a_step_at_a_time() {
    let bomb = payload(zeros(64 << 20));
    let (mut client, mut assembler) = end(Role::Client, &Deflate::default(), "permessage-deflate");
    let mut wire = to(Role::Client, FIN | RSV1 | BINARY, &bomb);
    let (len, taken) = measure(|| {
        let (mut input, mut output, mut len) = (&mut wire[..], Vec::new(), 0);
        while let Some(event) = client.receive(&mut input, &mut output).unwrap() {
            let Event::Data(chunk) = event else { continue };
            let mut rest = Some(chunk);
            while let Some(piece) = assembler.decode(&mut rest).unwrap() {
                let sockeye::Payload::Binary(bytes) = piece.payload() else { panic!("{piece:?}") };
                assert!(bytes.len() <= STEP);
                len += bytes.len();
            }
        }
        len
    });
    assert_eq!(len, 64 << 20);
    assert!(taken.peak <= (STEP + DECOMPRESSOR) as i64, "{taken:?}");
}

#[test]
fn final_blocks_are_counted_over_the_connection_but_for_one_in_each_message() {
    let role = Role::Server;
    let flood = [[3, 0].repeat(60), vec![0]].concat();
    let mut frames: Vec<_> = (0..50).map(|_| to(role, FIN | RSV1 | BINARY, &flood)).collect();
    let (messages, error) = receive(&mut end(role, &Deflate::default(), "permessage-deflate"), &mut frames);
    assert_eq!(error.map(|error| error.close_code()), Some(CloseCode::POLICY_VIOLATION));
    assert!(messages < 3, "{messages}");
    // Who ends each message with one may go on for ever.
    let mut frames: Vec<_> = (0..5000).map(|_| to(role, FIN | RSV1 | BINARY, &[3, 0, 0])).collect();
    let (messages, error) = receive(&mut end(role, &Deflate::default(), "permessage-deflate"), &mut frames);
    assert_eq!((messages, error), (5000, None));
}

#[test]
fn the_bytes_of_a_character_that_breaks_off_count_against_the_limit() {
    let text: Vec<u8> = "\u{20ac}".repeat(LIMIT / 3 + 1).into_bytes();
    assert!(text.len() > LIMIT && text.len() - LIMIT < 3);
    let blocks: Vec<u8> = text.chunks(60_000).flat_map(stored).chain(stored(&[])).collect();
    let mut frames = [to(Role::Client, FIN | RSV1 | TEXT, &payload(blocks))];
    let (messages, error) = receive(&mut end(Role::Client, &Deflate::default(), "permessage-deflate"), &mut frames);
    let too_big = ProtocolError::MessageTooBig { len: LIMIT as u64 + 1, max: LIMIT as u64 };
    assert_eq!((messages, error), (0, Some(too_big)));
}

/// How many pieces the chunks of these frames are decoded in.
fn pieces(frames: &[Vec<u8>]) -> usize {
    let (mut client, mut assembler) = end(Role::Client, &Deflate::default(), "permessage-deflate");
    let mut wire = frames.concat();
    let (mut input, mut output, mut pieces) = (&mut wire[..], Vec::new(), 0);
    while let Some(event) = client.receive(&mut input, &mut output).unwrap() {
        let Event::Data(chunk) = event else { panic!("{event:?}") };
        let mut rest = Some(chunk);
        while assembler.decode(&mut rest).unwrap().is_some() {
            pieces += 1;
        }
    }
    pieces
}

#[test]
fn what_is_streamed_comes_in_no_more_pieces_than_its_bytes_and_steps_make() {
    let role = Role::Client;
    let bomb = payload(zeros(4 << 20));
    assert!(pieces(&[to(role, FIN | RSV1 | BINARY, &bomb)]) <= (4 << 20) / STEP + 1);
    let frames = fragments(role, &bomb, 1);
    assert!(pieces(&frames) <= (4 << 20) / STEP + frames.len());
    // What comes to nothing comes to it at once.
    let empty_stored = payload(stored(&[]).repeat(100_000));
    // Four blocks with fixed codes in five bytes.
    let empty_fixed = [&[0b10, 0x08, 0x20, 0x80, 0x00].repeat(50_000)[..], &[0]].concat();
    for nothing in [empty_stored, empty_fixed] {
        assert_eq!(pieces(&[to(role, FIN | RSV1 | BINARY, &nothing)]), 1);
    }
}

#[test]
fn final_blocks_that_hold_something_may_be_many_and_others_may_not_be_in_however_many_fragments() {
    // A sender that can only flush with final blocks (RFC 7692 §7.2.3.4) does so for 100 bytes or more.
    let mut block = stored(&[7; 100]);
    block[0] = 1;
    let worth_it = [block.repeat(1000), vec![0]].concat();
    let role = Role::Server;
    for size in [1, worth_it.len()] {
        let mut server = end(role, &Deflate::default(), "permessage-deflate");
        assert_eq!(receive(&mut server, &mut fragments(role, &worth_it, size)), (1, None));
    }
    let nothing = [[3, 0].repeat(1000), vec![0]].concat();
    for size in [1, 2, 3] {
        let mut server = end(role, &Deflate::default(), "permessage-deflate");
        let (messages, error) = receive(&mut server, &mut fragments(role, &nothing, size));
        assert_eq!((messages, error.map(|error| error.close_code())), (0, Some(CloseCode::POLICY_VIOLATION)));
    }
}

#[test]
fn a_compressed_message_of_empty_fragments_ends_at_the_limit_on_fragments() {
    let role = Role::Client;
    let (mut client, mut assembler) = end(role, &Deflate::default(), "permessage-deflate");
    let max = client.config().max_fragments;
    let mut wire = to(role, RSV1 | BINARY, &[]);
    wire.extend(to(role, CONTINUATION, &[]).repeat(max as usize));
    let ((), taken) = measure(|| {
        let mut input = &mut wire[..];
        let received = client.receive_message(&mut input, &mut assembler, &mut Vec::new()).map(|_| ());
        assert_eq!(received, Err(ProtocolError::TooManyFragments { max }));
    });
    assert!(taken.peak <= DECOMPRESSOR as i64, "{taken:?}");
}
