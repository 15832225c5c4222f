//! permessage-deflate: whatever is sent arrives, under all parameters and however it is cut; whatever comes, the cut does not
//! matter; and another implementation understands us.

use core::ops::Range;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;
use sockeye::deflate::{Context, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{
    Assembler, Config, Connection, Event, Fin, FrameHeader, MessageRef, OpCode, Payload, ProtocolError, Received, Role,
    Rsv, Uncompressed,
};

/// One end of a connection that compresses.
struct End {
    connection: Connection,
    assembler: Assembler,
    output: Vec<u8>,
}

impl End {
    fn new(role: Role, deflate: &Deflate, answer: &str, config: Config) -> Self {
        let agreement = deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap();
        let mut connection = match role {
            Role::Server => Connection::server(config),
            Role::Client => Connection::client_with_keys(config, || [1, 2, 3, 4]),
        };
        connection.extend(Rsv::RSV1, agreement.encoder());
        let mut assembler = connection.assembler();
        assembler.extend(agreement.decoder());
        Self { connection, assembler, output: Vec::new() }
    }

    /// Receives bytes that are cut into pieces, by messages or by chunks; the messages, and what was wrong in the end.
    fn receive(&mut self, wire: &[u8], piece: usize, by: By) -> (Vec<Vec<u8>>, Option<ProtocolError>) {
        let (mut messages, mut partial) = (Vec::new(), Vec::new());
        for piece in wire.chunks(piece) {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            loop {
                let received = match by {
                    By::Messages => self.connection.receive_message(&mut input, &mut self.assembler, &mut self.output),
                    By::Chunks => self.receive_chunks(&mut input, &mut messages, &mut partial),
                };
                match received {
                    Ok(Some(Received::Message(message))) => messages.push(message.payload().to_vec()),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    }

    fn receive_chunks(
        &mut self,
        input: &mut &mut [u8],
        messages: &mut Vec<Vec<u8>>,
        partial: &mut Vec<u8>,
    ) -> Result<Option<Received<'static>>, ProtocolError> {
        while let Some(event) = self.connection.receive(input, &mut self.output)? {
            let Event::Data(chunk) = event else { continue };
            let mut rest = Some(chunk);
            while let Some(piece) =
                self.assembler.decode(&mut rest).map_err(|error| self.connection.fail(error, &mut self.output))?
            {
                match piece.payload() {
                    Payload::Text { completed, text } => {
                        partial.extend(completed.map(String::from).unwrap_or_default().as_bytes());
                        partial.extend(text.as_bytes());
                    }
                    Payload::Binary(bytes) => partial.extend(bytes),
                    Payload::Encoded { .. } => panic!("it was to be decoded"),
                }
                if piece.is_last() {
                    messages.push(core::mem::take(partial));
                }
            }
        }
        Ok(None)
    }
}

#[derive(Clone, Copy, Debug)]
enum By {
    Messages,
    Chunks,
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::Messages), Just(By::Chunks)]
}

/// The settings of a server, and the answer that it gave.
fn settings() -> impl Strategy<Value = (Deflate, String)> {
    (0u8..=9, 1u8..=9, 8u8..=15, 8u8..=15, any::<[bool; 2]>()).prop_map(|(level, memory, ours, theirs, [a, b])| {
        let mut deflate = Deflate::default();
        deflate.level = Level::new(level).unwrap();
        deflate.memory_level = MemoryLevel::new(memory).unwrap();
        deflate.threshold = 0;
        (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX);
        let mut answer = format!("permessage-deflate; server_max_window_bits={ours}; client_max_window_bits={theirs}");
        answer += if a { "; server_no_context_takeover" } else { "" };
        answer += if b { "; client_no_context_takeover" } else { "" };
        (deflate, answer)
    })
}

/// A message of words, of noise, or of one byte again and again.
fn message(len: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (0u8..3, len, any::<u64>()).prop_map(|(kind, len, seed)| {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        match kind {
            0 => (0..)
                .flat_map(|_| format!("{{\"user\":{},\"ok\":true}},", next() % 50).into_bytes())
                .take(len)
                .collect(),
            1 => (0..len).map(|_| next().to_be_bytes()[0]).collect(),
            _ => vec![b'a'; len],
        }
    })
}

fn is_text(message: &[u8]) -> bool {
    message.is_ascii()
}

/// Sends a message in pieces of so many bytes, or as a whole.
fn send(end: &mut End, message: &[u8], piece: Option<usize>, wire: &mut Vec<u8>) {
    let message = match core::str::from_utf8(message) {
        Ok(text) if is_text(message) => MessageRef::Text(text),
        _ => MessageRef::Binary(message),
    };
    let Some(piece) = piece else { return end.connection.send(message, wire).unwrap() };
    let mut rest = message;
    loop {
        let (first, after) = rest.split_at(piece);
        let fin = if after.payload().is_empty() { Fin::Last } else { Fin::More };
        end.connection.send_fragment(first, fin, wire).unwrap();
        rest = after;
        if fin == Fin::Last {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_sent_arrives(
        (deflate, answer) in settings(),
        messages in proptest::collection::vec((message(0..40_000), proptest::option::of(1usize..9_000)), 1..6),
        piece in prop_oneof![Just(usize::MAX), 1usize..9_000],
        by in by(),
        fragment_size in prop_oneof![Just(128 * 1024), 1usize..5_000],
    ) {
        for (from, to) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
            let mut config = Config::default();
            config.fragment_size = fragment_size;
            let mut sender = End::new(from, &deflate, &answer, config);
            let mut receiver = End::new(to, &deflate, &answer, Config::default());
            let mut wire = Vec::new();
            for (message, piece) in &messages {
                send(&mut sender, message, *piece, &mut wire);
            }
            let (arrived, error) = receiver.receive(&wire, piece.min(wire.len()), by);
            prop_assert_eq!(error, None);
            prop_assert!(arrived.iter().eq(messages.iter().map(|(message, _)| message)));
            let len: usize = messages.iter().map(|(message, _)| message.len()).sum();
            prop_assert_eq!(sender.connection.sent().decoded_bytes, len as u64);
            // What is lent by chunks is counted by who has the connection and the assembler at once.
            if let By::Messages = by {
                prop_assert_eq!(receiver.connection.received().decoded_bytes, len as u64);
            }
            prop_assert_eq!(
                receiver.connection.received().encoded_bytes,
                sender.connection.sent().encoded_bytes
            );
        }
    }

    #[test]
    fn connections_that_take_turns_do_not_get_each_others_context(
        (deflate, answer) in settings(),
        turns in proptest::collection::vec((0usize..80, message(0..3_000)), 1..120),
    ) {
        let end = |role| End::new(role, &deflate, &answer, Config::default());
        let mut pairs: Vec<_> = (0..80).map(|_| (end(Role::Server), end(Role::Client))).collect();
        for (at, message) in &turns {
            let (server, client) = &mut pairs[*at];
            let mut wire = Vec::new();
            send(server, message, None, &mut wire);
            let (arrived, error) = client.receive(&wire, wire.len(), By::Messages);
            prop_assert_eq!(error, None);
            prop_assert_eq!(&arrived, std::slice::from_ref(message));
        }
    }

    #[test]
    fn messages_that_are_open_on_many_connections_at_once_do_not_get_each_others_context(
        (deflate, answer) in settings(),
        pieces in proptest::collection::vec(message(0..2_000), 2..5),
    ) {
        let end = |role| End::new(role, &deflate, &answer, Config::default());
        let mut pairs: Vec<_> = (0..50).map(|_| (end(Role::Server), end(Role::Client))).collect();
        for round in 0..2 {
            let mut arrived = vec![Vec::new(); pairs.len()];
            for (i, piece) in pieces.iter().enumerate() {
                let fin = if i + 1 < pieces.len() { Fin::More } else { Fin::Last };
                for ((server, client), (n, arrived)) in pairs.iter_mut().zip((0u8..).zip(&mut arrived)) {
                    let (piece, mut wire) = ([&piece[..], &[n, round]].concat(), Vec::new());
                    server.connection.send_fragment(&piece[..], fin, &mut wire).unwrap();
                    let (messages, error) = client.receive(&wire, usize::MAX, By::Messages);
                    prop_assert_eq!(error, None);
                    arrived.extend(messages);
                }
            }
            for (n, arrived) in (0u8..).zip(&arrived) {
                let expected: Vec<_> = pieces.iter().flat_map(|piece| [&piece[..], &[n, round]].concat()).collect();
                prop_assert_eq!(arrived, std::slice::from_ref(&expected));
            }
        }
    }

    #[test]
    fn the_cut_does_not_matter_whatever_comes(
        (deflate, answer) in settings(),
        messages in proptest::collection::vec(message(0..2_000), 1..4),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u32..8), 0..4),
        pieces in [1usize..50, 1usize..3_000],
        by in by(),
        limit in prop_oneof![Just(16 << 20), 0usize..3_000],
    ) {
        let mut server = End::new(Role::Server, &deflate, &answer, Config::default());
        let mut wire = Vec::new();
        for message in &messages {
            send(&mut server, message, None, &mut wire);
        }
        for (at, bit) in &flips {
            let at = at.index(wire.len());
            wire[at] ^= 1 << bit;
        }
        let [a, b] = pieces.map(|piece| {
            let mut config = Config::default();
            config.max_message_size = limit;
            End::new(Role::Client, &deflate, &answer, config).receive(&wire, piece, by)
        });
        prop_assert_eq!(a, b);
    }

    #[test]
    fn another_implementation_reads_what_we_write(
        (deflate, answer) in settings(),
        messages in proptest::collection::vec(message(1..20_000), 1..6),
    ) {
        let mut server = End::new(Role::Server, &deflate, &answer, Config::default());
        let is_alone = answer.contains("server_no_context_takeover");
        let mut inflate = Decompress::new(false);
        for message in &messages {
            let mut wire = Vec::new();
            send(&mut server, message, None, &mut wire);
            let (header, head_len) = FrameHeader::parse(&wire).unwrap().unwrap();
            prop_assert!(header.fin && header.rsv == Rsv::RSV1 && header.payload_len == (wire.len() - head_len) as u64);
            let mut payload = wire.split_off(head_len);
            payload.extend([0, 0, 0xff, 0xff]);
            if is_alone {
                inflate = Decompress::new(false);
            }
            let mut read = Vec::with_capacity(message.len() + 1);
            inflate.decompress_vec(&payload, &mut read, FlushDecompress::Sync).unwrap();
            prop_assert_eq!(&read, message);
        }
    }

    #[test]
    fn we_read_what_another_implementation_writes(
        messages in proptest::collection::vec(message(1..20_000), 1..6),
        level in 0u32..=9,
        piece in 1usize..9_000,
        by in by(),
    ) {
        let mut client = End::new(Role::Client, &Deflate::default(), "permessage-deflate", Config::default());
        let mut compress = Compress::new(Compression::new(level), false);
        for message in &messages {
            let mut payload = Vec::with_capacity(message.len() * 2 + 1_000);
            compress.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
            prop_assert!(payload.ends_with(&[0, 0, 0xff, 0xff]));
            payload.truncate(payload.len() - 4);
            let opcode = if is_text(message) { OpCode::Text } else { OpCode::Binary };
            let payload_len = payload.len() as u64;
            let mut wire = FrameHeader { fin: true, rsv: Rsv::RSV1, opcode, masking_key: None, payload_len }.encode().to_vec();
            wire.extend(payload);
            let (arrived, error) = client.receive(&wire, piece, by);
            prop_assert_eq!(error, None);
            prop_assert_eq!(&arrived, std::slice::from_ref(message));
        }
    }
}

#[test]
fn the_context_of_settings_is_kept_by_default() {
    assert_eq!((Deflate::default().context, Deflate::default().peer_context), (Context::Takeover, Context::Takeover));
}

/// Sends a message in one of several ways, says whether it arrives, and whether the connection is over.
fn talk(from: &mut End, to: &mut End, message: &str, way: usize, piece: usize) -> bool {
    let mut wire = Vec::new();
    let half = message.len() / 2;
    match way {
        // It is given up half way, by both.
        0 => {
            from.connection.send_fragment(&message[..half], Fin::More, &mut wire).unwrap();
            let (messages, error) = to.receive(&wire[..wire.len() / 2], piece, By::Messages);
            assert_eq!((messages.len(), error), (0, None));
            return false;
        }
        // It is corrupt.
        1 => {
            from.connection.send(message, &mut wire).unwrap();
            let at = wire.len() - 1;
            wire[at] ^= 0xff;
            to.receive(&wire, piece, By::Messages);
            return false;
        }
        2 => {
            from.connection.send_fragment(&message[..half], Fin::More, &mut wire).unwrap();
            from.connection.send_fragment(&message[half..], Fin::Last, &mut wire).unwrap();
        }
        3 => from.connection.send(Uncompressed(message), &mut wire).unwrap(),
        _ => from.connection.send(message, &mut wire).unwrap(),
    }
    let (messages, error) = to.receive(&wire, piece, By::Messages);
    assert!(messages == [message.as_bytes()] && error.is_none(), "{error:?}");
    true
}

#[test]
fn threads_share_compressors_and_nothing_of_what_went_through_them_whatever_breaks_off() {
    std::thread::scope(|scope| {
        for thread in 1..=4u64 {
            scope.spawn(move || {
                let mut state = thread;
                let mut next = |below: usize| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    usize::try_from(state >> 40).unwrap() % below
                };
                let mut deflate = Deflate::default();
                deflate.threshold = 0;
                let alone = "; server_no_context_takeover; client_no_context_takeover";
                let answers = ["", alone, "; server_max_window_bits=9", "; server_max_window_bits=15"];
                let pair = |kind: usize| {
                    let answer = format!("permessage-deflate{}", answers[kind % answers.len()]);
                    [Role::Server, Role::Client].map(|role| End::new(role, &deflate, &answer, Config::default()))
                };
                let mut pairs: Vec<_> = (0..12).map(pair).collect();
                for _ in 0..500 {
                    let at = next(12);
                    let tag = format!("of thread {thread} and connection {at} ");
                    let message: String = tag.chars().cycle().take(next(6_000)).collect();
                    let [server, client] = &mut pairs[at];
                    if !talk(server, client, &message, next(8), 1 + next(3_000)) {
                        pairs[at] = pair(at);
                    }
                }
            });
        }
    });
}
