//! sockeye on streams: its adapters for threads and for tokio.

use std::sync::Arc;

use sockeye::handshake::ClientRequest;
use sockeye::{Config, Message, blocking};
use tokio::runtime::Runtime;

use super::engine::CONFIG;
use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::{Role, at_once, inside, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const BLOCKING: Library = Library::new("sockeye, blocking", Standing::Ours)
    .receives::<Blocking>()
    .sends::<Blocking>()
    .opens::<ShakingBlocking>()
    .idles::<RestingBlocking>()
    .broadcasts::<super::crowds::ours::Blocking>()
    .broadcasts_deflated::<super::crowds::ours::Blocking>();
pub const TOKIO: Library = Library::new("sockeye, tokio", Standing::Ours)
    .receives::<Tokio>()
    .sends::<Tokio>()
    .opens::<ShakingTokio>()
    .idles::<RestingTokio>()
    .broadcasts::<super::crowds::ours::Tokio>()
    .broadcasts_deflated::<super::crowds::ours::Tokio>()
    .gathers::<super::crowds::ours::Tokio>();
pub const TOKIO_SPLIT: Library = Library::new("sockeye, tokio, split", Standing::Ours)
    .broadcasts::<super::crowds::ours::Split>()
    .broadcasts_deflated::<super::crowds::ours::Split>();
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

pub struct ShakingBlocking(blocking::Acceptor, blocking::Connector);

impl Handshake for ShakingBlocking {
    fn new() -> Self {
        Self(blocking::Acceptor::default(), blocking::Connector::default())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        self.0.accept(stream).map(drop).map_err(|error| error.to_string())
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let request = ClientRequest::new(HOST, PATH).map_err(|error| error.to_string())?;
        self.1.handshake(stream, request).map(drop).map_err(|error| error.to_string())
    }
}

pub struct ShakingTokio(sockeye::tokio::Acceptor, sockeye::tokio::Connector, Runtime);

impl Handshake for ShakingTokio {
    fn new() -> Self {
        Self(sockeye::tokio::Acceptor::default(), sockeye::tokio::Connector::default(), runtime())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        self.2.block_on(self.0.accept(stream)).map(drop).map_err(|error| error.to_string())
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let request = ClientRequest::new(HOST, PATH).map_err(|error| error.to_string())?;
        self.2.block_on(self.1.handshake(stream, request)).map(drop).map_err(|error| error.to_string())
    }
}

pub struct RestingBlocking(blocking::WebSocket<Stream>);

impl Idle for RestingBlocking {
    fn open(stream: Stream) -> Self {
        Self(blocking::WebSocket::server(stream, CONFIG.with(Arc::clone)))
    }

    fn wait(&mut self) {
        assert!(self.0.receive_ref().is_err_and(|error| error.is_would_block()));
    }

    fn echo(&mut self) {
        let message = self.0.receive().expect("it is right").expect("it is open");
        self.0.send(&message).expect("it is open");
    }
}

pub struct RestingTokio(sockeye::tokio::WebSocket<Stream>);

impl Idle for RestingTokio {
    fn open(stream: Stream) -> Self {
        Self(inside(|| sockeye::tokio::WebSocket::server(stream, CONFIG.with(Arc::clone))))
    }

    fn wait(&mut self) {
        assert!(at_once(self.0.receive()).is_none());
    }

    fn echo(&mut self) {
        at_once(async {
            let message = self.0.receive().await.expect("it is right").expect("it is open");
            self.0.send(message).await.expect("it is open");
        })
        .expect("the message is there");
    }
}
