//! What the engine costs in time, beside tungstenite and beside the `memcpy` of the same bytes:
//!
//! ```text
//! cargo bench --bench engine                      everything
//! cargo bench --bench engine -- receive           one group
//! ```
//!
//! Each sample works on a batch of messages. What is received is first copied into the buffer that it is decoded in, as
//! a read from a socket would; both libraries pay for that once, and `memcpy` is nothing else.

use core::fmt;
use std::io::{self, Read, Write};

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use sockeye::{Assembler, Config, Connection, MessageKind, MessageRef, Received, Role};

fn main() {
    divan::main();
}

/// Who handles what.
#[derive(Clone, Copy)]
struct Case {
    role: Role,
    kind: MessageKind,
    len: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}, {}", self.role, self.kind, self.len)
    }
}

impl Case {
    /// Messages in a batch: as many as make about 64 KiB.
    fn batch(self) -> usize {
        (65536 / self.len).clamp(1, 1024)
    }

    fn payload(self) -> Vec<u8> {
        (b' '..=b'~').cycle().take(self.len).collect()
    }

    /// The batch as the peer sends it.
    fn wire(self) -> Vec<u8> {
        let payload = self.payload();
        let (mut peer, mut wire) = (connection(other(self.role)), Vec::new());
        for _ in 0..self.batch() {
            peer.send(message(self.kind, &payload), &mut wire).unwrap();
        }
        wire
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for role in [Role::Server, Role::Client] {
        for kind in [MessageKind::Binary, MessageKind::Text] {
            cases.extend(SIZES.map(|len| Case { role, kind, len }));
        }
    }
    cases
}

fn config() -> Config {
    let mut config = Config::default();
    config.fragment_size = usize::MAX;
    config
}

fn connection(role: Role) -> Connection {
    match role {
        Role::Server => Connection::server(config()),
        Role::Client => Connection::client(config()),
    }
}

fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

fn message(kind: MessageKind, payload: &[u8]) -> MessageRef<'_> {
    match kind {
        MessageKind::Text => MessageRef::Text(core::str::from_utf8(payload).unwrap()),
        MessageKind::Binary => MessageRef::Binary(payload),
    }
}

fn tungstenite_role(role: Role) -> tungstenite::protocol::Role {
    match role {
        Role::Server => tungstenite::protocol::Role::Server,
        Role::Client => tungstenite::protocol::Role::Client,
    }
}

mod receive {
    use super::*;

    #[divan::bench(args = cases())]
    fn memcpy(bencher: Bencher<'_, '_>, case: Case) {
        let wire = case.wire();
        let mut buffer = wire.clone();
        counted(bencher, case).bench_local(|| {
            black_box(&mut buffer[..]).copy_from_slice(black_box(&wire));
        });
    }

    #[divan::bench(args = cases())]
    fn sockeye(bencher: Bencher<'_, '_>, case: Case) {
        let wire = case.wire();
        let (mut buffer, mut output) = (wire.clone(), Vec::new());
        let (mut connection, mut assembler) = (connection(case.role), Assembler::new(config()));
        counted(bencher, case).bench_local(|| {
            buffer.copy_from_slice(&wire);
            let mut input = &mut buffer[..];
            let mut messages = 0;
            while let Some(received) = connection.receive_message(&mut input, &mut assembler, &mut output).unwrap() {
                black_box::<Received<'_>>(received);
                messages += 1;
            }
            assert_eq!(messages, case.batch());
        });
    }

    /// As an adapter with a read buffer of 16 KiB would get it: long messages are gathered.
    #[divan::bench(args = cases().into_iter().filter(|case| case.len >= 16384))]
    fn sockeye_in_reads_of_16_kib(bencher: Bencher<'_, '_>, case: Case) {
        let wire = case.wire();
        let (mut buffer, mut output) = (vec![0; 16384], Vec::new());
        let (mut connection, mut assembler) = (connection(case.role), Assembler::new(config()));
        counted(bencher, case).bench_local(|| {
            let mut messages = 0;
            for read in wire.chunks(16384) {
                let mut input = &mut buffer[..read.len()];
                input.copy_from_slice(read);
                while let Some(received) = connection.receive_message(&mut input, &mut assembler, &mut output).unwrap()
                {
                    black_box::<Received<'_>>(received);
                    messages += 1;
                }
            }
            assert_eq!(messages, case.batch());
        });
    }

    #[divan::bench(args = cases())]
    fn tungstenite(bencher: Bencher<'_, '_>, case: Case) {
        let stream = Endless { wire: case.wire(), at: 0 };
        let mut socket = ::tungstenite::WebSocket::from_raw_socket(stream, tungstenite_role(case.role), None);
        counted(bencher, case).bench_local(|| {
            for _ in 0..case.batch() {
                black_box(socket.read().unwrap());
            }
        });
    }
}

mod send {
    use super::*;

    #[divan::bench(args = cases())]
    fn memcpy(bencher: Bencher<'_, '_>, case: Case) {
        let (payload, mut output) = (case.payload(), Vec::new());
        counted(bencher, case).bench_local(|| {
            output.clear();
            for _ in 0..case.batch() {
                output.extend_from_slice(black_box(&payload));
            }
            black_box(&mut output);
        });
    }

    #[divan::bench(args = cases())]
    fn sockeye(bencher: Bencher<'_, '_>, case: Case) {
        let (payload, mut output, mut connection) = (case.payload(), Vec::new(), connection(case.role));
        let message = message(case.kind, &payload);
        counted(bencher, case).bench_local(|| {
            output.clear();
            for _ in 0..case.batch() {
                connection.send(black_box(message), &mut output).unwrap();
            }
            black_box(&mut output);
        });
    }

    #[divan::bench(args = cases())]
    fn tungstenite(bencher: Bencher<'_, '_>, case: Case) {
        let message = match case.kind {
            MessageKind::Text => ::tungstenite::Message::text(String::from_utf8(case.payload()).unwrap()),
            MessageKind::Binary => ::tungstenite::Message::binary(case.payload()),
        };
        let mut socket = ::tungstenite::WebSocket::from_raw_socket(Sink(Vec::new()), tungstenite_role(case.role), None);
        counted(bencher, case).bench_local(|| {
            socket.get_mut().0.clear();
            for _ in 0..case.batch() {
                socket.write(black_box(&message).clone()).unwrap();
            }
            socket.flush().unwrap();
        });
    }
}

mod mask {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn sockeye(bencher: Bencher<'_, '_>, len: usize) {
        let mut payload = vec![0x55u8; len];
        bencher
            .counter(BytesCount::from(len))
            .bench_local(|| ::sockeye::mask(black_box(&mut payload), black_box([1, 2, 3, 4])));
    }

    /// The loop of `sockeye::mask` as it is compiled for every processor of a kind, from a cache line on.
    #[divan::bench(args = SIZES)]
    fn for_every_processor(bencher: Bencher<'_, '_>, len: usize) {
        #[inline(never)]
        fn mask(payload: &mut [u8], key: [u8; 4]) {
            let at = payload.as_ptr().align_offset(64).min(payload.len());
            let (start, rest) = payload.split_at_mut(at);
            start.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            let mut turned = key;
            turned.rotate_left(at % 4);
            // What is left of less than four bytes takes no time.
            for word in rest.chunks_exact_mut(4) {
                if let Ok(word) = <&mut [u8; 4]>::try_from(word) {
                    *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(turned)).to_ne_bytes();
                }
            }
        }
        let mut payload = vec![0x55u8; len];
        bencher.counter(BytesCount::from(len)).bench_local(|| mask(black_box(&mut payload), black_box([1, 2, 3, 4])));
    }

    #[divan::bench(args = SIZES)]
    fn byte_by_byte(bencher: Bencher<'_, '_>, len: usize) {
        let mut payload = vec![0x55u8; len];
        bencher.counter(BytesCount::from(len)).bench_local(|| {
            let key = black_box([1u8, 2, 3, 4]);
            for (i, byte) in black_box(&mut payload).iter_mut().enumerate() {
                *byte ^= key[i % 4];
            }
        });
    }

    #[divan::bench(args = SIZES)]
    fn memcpy(bencher: Bencher<'_, '_>, len: usize) {
        let (payload, mut copy) = (vec![0x55u8; len], vec![0; len]);
        bencher
            .counter(BytesCount::from(len))
            .bench_local(|| black_box(&mut copy[..]).copy_from_slice(black_box(&payload)));
    }
}

/// What nobody can do without who hands out a whole message: bytes are read, as by a copy, and passed over once more to be unmasked,
/// looked at, moved together or copied. For one message.
mod limits {
    use super::*;

    const SIZES: [usize; 4] = [1024, 16384, 65536, 1048576];

    /// Reads at least 16 KiB, and does something with each message in it.
    fn read_then(bencher: Bencher<'_, '_>, len: usize, mut then: impl FnMut(&mut [u8])) {
        let count = (16384 / len).max(1);
        let (wire, mut buffer) = (vec![b'a'; (len * count).max(65536)], vec![0; len * count + 14]);
        let mut at = 0;
        bencher.counter(ItemsCount::new(count)).bench_local(|| {
            // In pieces, because a long copy may take many times as long by where it lies.
            let (read, from) = (&mut black_box(&mut buffer)[14..], &black_box(&wire)[at..]);
            for (to, from) in read.chunks_mut(2048).zip(from.chunks(2048)) {
                to.copy_from_slice(from);
            }
            at = (at + len * count) % wire.len();
            read.chunks_exact_mut(len).for_each(&mut then);
        });
    }

    #[divan::bench(args = SIZES)]
    fn read(bencher: Bencher<'_, '_>, len: usize) {
        read_then(bencher, len, |message| _ = black_box(message));
    }

    #[divan::bench(args = SIZES)]
    fn read_then_unmask(bencher: Bencher<'_, '_>, len: usize) {
        read_then(bencher, len, |message| sockeye::mask(message, black_box([1, 2, 3, 4])));
    }

    #[divan::bench(args = SIZES)]
    fn read_then_check_ascii(bencher: Bencher<'_, '_>, len: usize) {
        read_then(bencher, len, |message| _ = black_box(simdutf8::basic::from_utf8(message).is_ok()));
    }

    /// As of four fragments.
    #[divan::bench(args = SIZES)]
    fn read_then_move_three_quarters(bencher: Bencher<'_, '_>, len: usize) {
        read_then(bencher, len, |message| {
            for from in [len / 4, len / 2, len / 4 * 3] {
                message.copy_within(from..from + len / 4 - 10, from - 10);
            }
        });
    }

    #[divan::bench(args = SIZES)]
    fn read_then_copy(bencher: Bencher<'_, '_>, len: usize) {
        let mut copy = vec![0; len];
        read_then(bencher, len, |message| {
            for (to, from) in black_box(&mut copy).chunks_mut(2048).zip(message.chunks(2048)) {
                to.copy_from_slice(from);
            }
        });
    }
}

/// Text of 16 KiB: whole, and in reads of 1 KiB that cut characters in two. And short ASCII, beside as many bytes.
mod utf8 {
    use super::*;

    const TEXTS: [&str; 4] =
        ["plain ASCII text ", "mostly ASCII, sometimes é or € ", "сплошь кириллица ", "日本語の文章"];

    fn text(of: &str) -> String {
        of.repeat(16384 / of.len())
    }

    fn receive(bencher: Bencher<'_, '_>, of: &str, read: usize) {
        let (mut wire, mut output) = (Vec::new(), Vec::new());
        connection(Role::Server).send_text(&text(of), &mut wire).unwrap();
        let mut connection = connection(Role::Client);
        bencher.counter(BytesCount::from(wire.len())).bench_local(|| {
            for mut input in black_box(&mut wire).chunks_mut(read) {
                while let Some(event) = connection.receive(&mut input, &mut output).unwrap() {
                    black_box(event);
                }
            }
        });
    }

    #[divan::bench(args = TEXTS)]
    fn sockeye(bencher: Bencher<'_, '_>, of: &str) {
        receive(bencher, of, usize::MAX);
    }

    #[divan::bench(args = TEXTS)]
    fn sockeye_in_reads_of_1_kib(bencher: Bencher<'_, '_>, of: &str) {
        receive(bencher, of, 1024);
    }

    #[divan::bench(args = TEXTS)]
    fn core_str(bencher: Bencher<'_, '_>, of: &str) {
        let text = text(of);
        bencher
            .counter(BytesCount::from(text.len()))
            .bench_local(|| black_box(core::str::from_utf8(black_box(text.as_bytes()))).is_ok());
    }

    const SHORT: [usize; 4] = [4, 16, 125, 400];

    /// Receives a batch of messages, as a client.
    fn receive_short(bencher: Bencher<'_, '_>, message: MessageRef<'_>) {
        let (mut wire, mut output) = (Vec::new(), Vec::new());
        let mut server = connection(Role::Server);
        for _ in 0..32 {
            server.send(message, &mut wire).unwrap();
        }
        let mut connection = connection(Role::Client);
        bencher.counter(ItemsCount::new(32usize)).bench_local(|| {
            let mut input = &mut black_box(&mut wire)[..];
            while let Some(event) = connection.receive(&mut input, &mut output).unwrap() {
                black_box(event);
            }
        });
    }

    #[divan::bench(args = SHORT)]
    fn short_ascii(bencher: Bencher<'_, '_>, len: usize) {
        receive_short(bencher, MessageRef::Text(&"a".repeat(len)));
    }

    #[divan::bench(args = SHORT)]
    fn short_binary(bencher: Bencher<'_, '_>, len: usize) {
        receive_short(bencher, MessageRef::Binary(&vec![b'a'; len]));
    }

    #[divan::bench(args = SHORT)]
    fn short_core_str(bencher: Bencher<'_, '_>, len: usize) {
        let text = "a".repeat(len);
        bencher.bench_local(|| black_box(core::str::from_utf8(black_box(text.as_bytes()))).is_ok());
    }
}

mod handshake {
    use super::*;
    use ::sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest, ServerConfig, ServerHandshake};

    /// What a browser sends, more or less.
    fn request() -> Vec<u8> {
        let mut request = Vec::new();
        ClientRequest::with_key("server.example.com", "/chat?room=1", *b"the sample nonce")
            .and_then(|request| {
                request.header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101")
            })
            .and_then(|request| request.header("Accept-Language", "en-US,en;q=0.5"))
            .and_then(|request| request.header("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"))
            .and_then(|request| request.header("Cache-Control", "no-cache"))
            .unwrap()
            .write(&mut request);
        request
    }

    fn answer(request: &[u8], config: &ServerConfig, output: &mut Vec<u8>) {
        let request = ServerHandshake::new(config).receive(&mut &*request).unwrap().unwrap();
        request.upgrade(config).unwrap().respond().write(output);
    }

    #[divan::bench]
    fn server(bencher: Bencher<'_, '_>) {
        let (request, config, mut output) = (request(), ServerConfig::default(), Vec::new());
        bencher.counter(ItemsCount::from(1u32)).bench_local(|| {
            output.clear();
            answer(black_box(&request), &config, &mut output);
        });
    }

    #[divan::bench]
    fn client(bencher: Bencher<'_, '_>) {
        let (config, mut response, mut output) = (ClientConfig::default(), Vec::new(), Vec::new());
        answer(&request(), &ServerConfig::default(), &mut response);
        bencher.counter(ItemsCount::from(1u32)).bench_local(|| {
            let request = ClientRequest::with_key("server.example.com", "/chat?room=1", *b"the sample nonce").unwrap();
            output.clear();
            request.write(&mut output);
            let mut handshake = ClientHandshake::new(request, &config);
            black_box(handshake.receive(&mut &black_box(&response)[..]).unwrap().unwrap());
        });
    }
}

/// Counts the messages and the payload of a batch.
fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, case: Case) -> Bencher<'a, 'b> {
    bencher.counter(ItemsCount::from(case.batch())).counter(BytesCount::from(case.batch() * case.len))
}

/// A stream that gives the same batch over and over.
struct Endless {
    wire: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let len = (buffer.len() - done).min(self.wire.len() - self.at);
            buffer[done..done + len].copy_from_slice(&self.wire[self.at..self.at + len]);
            done += len;
            self.at = (self.at + len) % self.wire.len();
        }
        Ok(done)
    }
}

impl Write for Endless {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that takes everything and gives nothing.
struct Sink(Vec<u8>);

impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const SIZES: [usize; 6] = [16, 125, 1024, 16 * 1024, 64 * 1024, 1024 * 1024];
