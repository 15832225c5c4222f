//! fastwebsockets, with its `FragmentCollector`: without it a program gets fragments, and has to check text in them itself.

use fastwebsockets::{FragmentCollector, Frame, Payload, WebSocket};
use tokio::runtime::Runtime;

use super::{Library, Standing, over_hyper};
use crate::library::{Role, at_once, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("fastwebsockets", Standing::Theirs)
    .receives::<Fastwebsockets>()
    .sends::<Sending>()
    .opens::<over_hyper::Fastwebsockets>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::fastwebsockets::Sending>()
    .gathers::<super::crowds::fastwebsockets::Receiving>();

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

/// It writes each message by itself. A client masks it where it lies.
pub struct Sending(WebSocket<Stream>, Runtime);

impl send::Send for Sending {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(socket(job.role, stream), runtime())
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(socket, runtime) = self;
        runtime.block_on(async {
            while let Some((message, is_flushed)) = turns.next() {
                let frame = Frame::binary(Payload::BorrowedMut(&mut message.bytes));
                socket.write_frame(frame).await.expect("it is open");
                if is_flushed {
                    socket.flush().await.expect("it is open");
                }
            }
        });
    }
}

pub struct Resting(FragmentCollector<Stream>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        Self(FragmentCollector::new(socket(Role::Server, stream)))
    }

    fn wait(&mut self) {
        assert!(at_once(self.0.read_frame()).is_none());
    }

    fn echo(&mut self) {
        at_once(async {
            let received = self.0.read_frame().await.expect("it is right");
            self.0.write_frame(Frame::binary(received.payload)).await.expect("it is open");
        })
        .expect("the message is there");
    }
}
