//! tungstenite. Its read buffer is that of its defaults, 128 KiB, which is what it recommends for high read load.

use tungstenite::{Message, WebSocket, protocol};

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::Role;
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("tungstenite", Standing::Theirs)
    .receives::<Tungstenite>()
    .sends::<Tungstenite>()
    .opens::<Shaking>()
    .idles::<Tungstenite>()
    .broadcasts::<super::crowds::tungstenite::Tungstenite>();

/// Its name for a role.
pub fn role(role: Role) -> protocol::Role {
    match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    }
}

/// The payload of a message.
pub fn payload(message: &Message) -> &[u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        other => panic!("it receives {other:?}"),
    }
}

pub struct Tungstenite(WebSocket<Stream>);

impl Receive for Tungstenite {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(WebSocket::from_raw_socket(stream, role(job.role), None))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        for _ in 0..count {
            visit(payload(&self.0.read().expect("it is right")));
        }
    }
}

impl send::Send for Tungstenite {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(WebSocket::from_raw_socket(stream, role(job.role), None))
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        while let Some((message, is_flushed)) = turns.next() {
            self.0.write(Message::Binary(message.shared.clone())).expect("it is open");
            if is_flushed {
                self.0.flush().expect("it is open");
            }
        }
    }
}

pub struct Shaking;

impl Handshake for Shaking {
    fn new() -> Self {
        Self
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        tungstenite::accept(stream).map(drop).map_err(|error| error.to_string())
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let uri = format!("ws://{HOST}{PATH}");
        tungstenite::client(uri, stream).map(drop).map_err(|error| error.to_string())
    }
}

impl Idle for Tungstenite {
    fn open(stream: Stream) -> Self {
        Self(WebSocket::from_raw_socket(stream, protocol::Role::Server, None))
    }

    fn wait(&mut self) {
        assert!(matches!(self.0.read(), Err(tungstenite::Error::Io(_))));
    }

    fn echo(&mut self) {
        let message = self.0.read().expect("it is right");
        self.0.send(message).expect("it is open");
    }
}
