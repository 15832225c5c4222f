//! sockeye on streams: its adapters for threads and for tokio.

use sockeye::{Config, Message, blocking};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::library::{Role, runtime};
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const BLOCKING: Library =
    Library::new("sockeye, blocking", Standing::Ours).receives::<Blocking>().sends::<Blocking>();
pub const TOKIO: Library = Library::new("sockeye, tokio", Standing::Ours).receives::<Tokio>().sends::<Tokio>();
pub const TOKIO_OWNED: Library = Library::new("sockeye, tokio, owned", Standing::Ours).receives::<TokioOwned>();

/// An end of a connection for threads.
pub fn blocking(role: Role, stream: Stream) -> blocking::WebSocket<Stream> {
    match role {
        Role::Server => blocking::WebSocket::server(stream, Config::default()),
        Role::Client => blocking::WebSocket::client(stream, Config::default()),
    }
}

/// An end of a connection for tokio.
pub fn socket(role: Role, stream: Stream) -> sockeye::tokio::WebSocket<Stream> {
    match role {
        Role::Server => sockeye::tokio::WebSocket::server(stream, Config::default()),
        Role::Client => sockeye::tokio::WebSocket::client(stream, Config::default()),
    }
}

pub struct Blocking(blocking::WebSocket<Stream>);

impl Receive for Blocking {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(blocking(job.role, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        for _ in 0..count {
            visit(self.0.receive_ref().expect("it is right").expect("it is open").payload());
        }
    }
}

pub struct Tokio(sockeye::tokio::WebSocket<Stream>, Runtime);

impl Receive for Tokio {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.receive_ref().await.expect("it is right").expect("it is open").payload());
            }
        });
    }
}

impl Tokio {
    fn new(role: Role, stream: Stream) -> Self {
        let runtime = runtime();
        // The connection has a timer, which has to know its runtime.
        let inside = runtime.enter();
        let socket = socket(role, stream);
        drop(inside);
        Self(socket, runtime)
    }
}

pub struct TokioOwned(Tokio);

impl Receive for TokioOwned {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Tokio::new(job.role, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let Tokio(socket, runtime) = &mut self.0;
        runtime.block_on(async {
            for _ in 0..count {
                let message = socket.receive().await.expect("it is right").expect("it is open");
                visit(message.as_ref().payload());
            }
        });
    }
}

impl send::Send for Blocking {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(blocking(job.role, stream))
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        while let Some((message, is_flushed)) = turns.next() {
            match is_flushed {
                true => self.0.send(&message.bytes[..]).expect("it is open"),
                false => self.0.feed(&message.bytes[..]).expect("it is open"),
            }
        }
    }
}

impl send::Send for Tokio {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(socket, runtime) = self;
        runtime.block_on(async {
            while let Some((message, is_flushed)) = turns.next() {
                let message = Message::Binary(message.shared.clone());
                match is_flushed {
                    true => socket.send(message).await.expect("it is open"),
                    false => socket.feed(message).await.expect("it is open"),
                }
            }
        });
    }
}
