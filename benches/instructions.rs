//! What a message costs in instructions, which unlike time are the same on a busy machine:
//!
//! ```text
//! bin=$(cargo bench --bench instructions --no-run --message-format=json | sed -n 's/.*"executable":"\(.*instructions[^"]*\)".*/\1/p')
//! for what in nothing sockeye tungstenite; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin" $what
//! done
//! ```
//!
//! Each run receives 100,000 masked binary messages of 16 bytes, or only copies them; the difference to `nothing`, divided by
//! that, is the cost of one.

use core::hint::black_box;
use std::io::{Cursor, Read, Write};

use sockeye::{Assembler, Config, Connection};

fn main() {
    let (mut client, mut wire) = (Connection::client_with_keys(Config::default(), || [1, 2, 3, 4]), Vec::new());
    for _ in 0..MESSAGES {
        client.send(&[0x55; 16], &mut wire).unwrap();
    }
    let messages = match std::env::args().nth(1).as_deref() {
        Some("sockeye") => sockeye(&wire),
        Some("tungstenite") => tungstenite(&wire),
        Some("nothing") => nothing(&wire),
        // `cargo bench` without an argument of ours.
        _ => return,
    };
    assert_eq!(messages, MESSAGES);
}

fn nothing(wire: &[u8]) -> usize {
    black_box(wire.to_vec());
    MESSAGES
}

fn sockeye(wire: &[u8]) -> usize {
    let (mut wire, mut output) = (wire.to_vec(), Vec::new());
    let (mut server, mut assembler) = (Connection::server(Config::default()), Assembler::new(Config::default()));
    let (mut input, mut messages) = (&mut wire[..], 0);
    while let Some(received) = server.receive_message(&mut input, &mut assembler, &mut output).unwrap() {
        black_box(received);
        messages += 1;
    }
    messages
}

fn tungstenite(wire: &[u8]) -> usize {
    let stream = Stream(Cursor::new(wire));
    let mut server = ::tungstenite::WebSocket::from_raw_socket(stream, ::tungstenite::protocol::Role::Server, None);
    let mut messages = 0;
    while let Ok(received) = server.read() {
        black_box(received);
        messages += 1;
    }
    messages
}

struct Stream<'w>(Cursor<&'w [u8]>);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const MESSAGES: usize = 100_000;
