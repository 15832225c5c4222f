//! sockeye on streams: its adapters for threads and for tokio.

use sockeye::{Config, blocking};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::library::{Role, runtime};
use crate::receive::{Gives, Incoming, Receive};
use crate::stream::Stream;

pub const BLOCKING: Library = Library::new("sockeye, blocking", Standing::Ours).receives::<Blocking>();
pub const TOKIO: Library = Library::new("sockeye, tokio", Standing::Ours).receives::<Tokio>();
pub const TOKIO_OWNED: Library = Library::new("sockeye, tokio, owned", Standing::Ours).receives::<TokioOwned>();

pub struct Blocking(blocking::WebSocket<Stream>);

impl Receive for Blocking {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(match job.role {
            Role::Server => blocking::WebSocket::server(stream, Config::default()),
            Role::Client => blocking::WebSocket::client(stream, Config::default()),
        })
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
        let runtime = runtime();
        // The connection has a timer, which has to know its runtime.
        let inside = runtime.enter();
        let socket = match job.role {
            Role::Server => sockeye::tokio::WebSocket::server(stream, Config::default()),
            Role::Client => sockeye::tokio::WebSocket::client(stream, Config::default()),
        };
        drop(inside);
        Self(socket, runtime)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.receive_ref().await.expect("it is right").expect("it is open").payload());
            }
        });
    }
}

pub struct TokioOwned(Tokio);

impl Receive for TokioOwned {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Tokio::open(job, stream))
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
