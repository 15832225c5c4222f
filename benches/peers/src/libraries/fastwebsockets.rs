//! fastwebsockets, with its `FragmentCollector`: without it a program gets fragments, and has to check text in them itself.

use fastwebsockets::{FragmentCollector, WebSocket};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::library::{Role, runtime};
use crate::receive::{Gives, Incoming, Receive};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("fastwebsockets", Standing::Theirs).receives::<Fastwebsockets>();

/// An end of a connection.
pub fn socket(role: Role, stream: Stream) -> WebSocket<Stream> {
    WebSocket::after_handshake(
        stream,
        match role {
            Role::Server => fastwebsockets::Role::Server,
            Role::Client => fastwebsockets::Role::Client,
        },
    )
}

pub struct Fastwebsockets(FragmentCollector<Stream>, Runtime);

impl Receive for Fastwebsockets {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(FragmentCollector::new(socket(job.role, stream)), runtime())
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(&self.0.read_frame().await.expect("it is right").payload);
            }
        });
    }
}
