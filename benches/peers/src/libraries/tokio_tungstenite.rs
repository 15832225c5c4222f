//! tokio-tungstenite: tungstenite as a `Stream` and a `Sink`, with the same buffers.

use futures_util::{SinkExt, StreamExt};
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;

use super::tungstenite::{payload, role};
use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::{Role, at_once, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("tokio-tungstenite", Standing::Theirs)
    .receives::<TokioTungstenite>()
    .sends::<TokioTungstenite>()
    .opens::<Shaking>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::tungstenite::Tokio>()
    .gathers::<super::crowds::tungstenite::Tokio>();

pub struct TokioTungstenite(WebSocketStream<Stream>, Runtime);

impl TokioTungstenite {
    fn new(end: Role, stream: Stream) -> Self {
        let runtime = runtime();
        Self(runtime.block_on(WebSocketStream::from_raw_socket(stream, role(end), None)), runtime)
    }
}

impl Receive for TokioTungstenite {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(payload(&self.0.next().await.expect("it is open").expect("it is right")));
            }
        });
    }
}

impl send::Send for TokioTungstenite {
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

pub struct Shaking(Runtime);

impl Handshake for Shaking {
    fn new() -> Self {
        Self(runtime())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        let accepted = self.0.block_on(tokio_tungstenite::accept_async(stream));
        accepted.map(drop).map_err(|error| error.to_string())
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let uri = format!("ws://{HOST}{PATH}");
        let connected = self.0.block_on(tokio_tungstenite::client_async(uri, stream));
        connected.map(drop).map_err(|error| error.to_string())
    }
}

pub struct Resting(WebSocketStream<Stream>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        let role = role(Role::Server);
        Self(at_once(WebSocketStream::from_raw_socket(stream, role, None)).expect("it waits for nothing"))
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
