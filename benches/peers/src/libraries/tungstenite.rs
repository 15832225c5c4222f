//! tungstenite. Its read buffer is that of its defaults, 128 KiB, which is what it recommends for high read load.

use tungstenite::{Message, WebSocket, protocol};

use super::{Library, Standing};
use crate::library::Role;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library =
    Library::new("tungstenite", Standing::Theirs).receives::<Tungstenite>().sends::<Tungstenite>();

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
