//! ws-net, which does no input and output, and lends what it gives. Its input buffer takes 64 KiB.

use ws_net::{Connection, Event};

use super::{Library, Standing};
use crate::library::Role;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("ws-net", Standing::Theirs).receives::<WsNet>().sends::<WsNet>();

/// An end of a connection.
pub fn connection(role: Role) -> Connection {
    match role {
        Role::Server => Connection::server(),
        Role::Client => Connection::client(),
    }
}

pub struct WsNet(Connection, Stream);

impl Receive for WsNet {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(connection(job.role), stream)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let Self(connection, stream) = self;
        let mut left = count;
        while left > 0 {
            match connection.poll().expect("it is right") {
                Event::Text(text) => visit(text.as_bytes()),
                Event::Binary(bytes) => visit(bytes),
                Event::NeedInput => {
                    let read = stream.fill(connection.read_buf());
                    connection.commit(read);
                    continue;
                }
                other => panic!("it receives {other:?}"),
            }
            left -= 1;
        }
    }
}

impl send::Send for WsNet {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(connection(job.role), stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(connection, stream) = self;
        while let Some((message, is_flushed)) = turns.next() {
            connection.send_binary(&message.bytes).expect("it is open");
            if is_flushed {
                let written = stream.put(connection.output());
                connection.advance_output(written);
            }
        }
    }
}
