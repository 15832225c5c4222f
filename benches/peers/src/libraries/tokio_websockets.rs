//! tokio-websockets, with its SIMD, which is always on and chosen when it runs.

use futures_util::{SinkExt, StreamExt};
use tokio::runtime::Runtime;
use tokio_websockets::{ClientBuilder, Message, ServerBuilder, WebSocketStream};

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::{Role, at_once, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("tokio-websockets", Standing::Theirs)
    .receives::<TokioWebsockets>()
    .sends::<TokioWebsockets>()
    .opens::<Shaking>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::tokio_websockets::TokioWebsockets>()
    .gathers::<super::crowds::tokio_websockets::TokioWebsockets>();

/// An end of a connection.
pub fn socket(role: Role, stream: Stream) -> WebSocketStream<Stream> {
    match role {
        Role::Server => ServerBuilder::new().serve(stream),
        Role::Client => ClientBuilder::new().take_over(stream),
    }
}

pub struct TokioWebsockets(WebSocketStream<Stream>, Runtime);

impl Receive for TokioWebsockets {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(socket(job.role, stream), runtime())
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.next().await.expect("it is open").expect("it is right").as_payload());
            }
        });
    }
}

impl send::Send for TokioWebsockets {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(socket(job.role, stream), runtime())
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(socket, runtime) = self;
        runtime.block_on(async {
            while let Some((message, is_flushed)) = turns.next() {
                let message = Message::binary(message.shared.clone());
                match is_flushed {
                    true => socket.send(message).await.expect("it is open"),
                    false => socket.feed(message).await.expect("it is open"),
                }
            }
        });
    }
}

pub struct Shaking(Runtime);

impl Handshake for Shaking {
    fn new() -> Self {
        Self(runtime())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        let accepted = self.0.block_on(ServerBuilder::new().accept(stream));
        accepted.map(drop).map_err(|error| error.to_string())
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let uri = format!("ws://{HOST}{PATH}");
        let client = ClientBuilder::new().uri(&uri).map_err(|error| error.to_string())?;
        self.0.block_on(client.connect_on(stream)).map(drop).map_err(|error| error.to_string())
    }
}

pub struct Resting(WebSocketStream<Stream>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        Self(socket(Role::Server, stream))
    }

    fn wait(&mut self) {
        assert!(at_once(self.0.next()).is_none());
    }

    fn echo(&mut self) {
        at_once(async {
            let message = self.0.next().await.expect("it is open").expect("it is right");
            self.0.send(message).await.expect("it is open");
        })
        .expect("the message is there");
    }
}
