//! sockudo-ws: its stream, and its `Protocol`, which does no input and output. SIMD is on, and chosen when it runs.

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::{client_handshake, server_handshake};
use sockudo_ws::protocol::Protocol;
use sockudo_ws::{Config, Message, WebSocketStream};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::{Role, at_once, inside, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const STREAM: Library = Library::new("sockudo-ws", Standing::Theirs)
    .receives::<Socket>()
    .sends::<Socket>()
    .opens::<Shaking>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::sockudo::Socket>();
pub const PROTOCOL: Library = Library::new("sockudo-ws, protocol", Standing::Theirs)
    .receives::<Bare>()
    .sends::<Encoding>()
    .broadcasts::<super::crowds::sockudo::Encoding>()
    .broadcasts_deflated::<super::crowds::Each<super::compressing::sockudo::Sockudo>>();
pub const PUBSUB: Library =
    Library::new("sockudo-ws, PubSub", Standing::Theirs).broadcasts::<super::crowds::sockudo::Subscribed>();

/// Its name for a role.
pub fn role(role: Role) -> sockudo_ws::Role {
    match role {
        Role::Server => sockudo_ws::Role::Server,
        Role::Client => sockudo_ws::Role::Client,
    }
}

pub struct Socket(WebSocketStream<Stream>, Runtime);

impl Socket {
    fn new(end: Role, stream: Stream) -> Self {
        sockudo_ws::init_clock();
        Self(WebSocketStream::from_raw(stream, role(end), Config::default()), runtime())
    }
}

impl Receive for Socket {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.next().await.expect("it is open").expect("it is right").as_bytes());
            }
        });
    }
}

/// The protocol of an end, with the limits that are the default.
pub fn protocol(end: Role) -> Protocol {
    let config = Config::default();
    Protocol::new(role(end), config.max_frame_size, config.max_message_size)
}

/// The protocol with the buffers that its stream has.
pub struct Bare {
    protocol: Protocol,
    buffer: BytesMut,
    messages: Vec<Message>,
    /// How many of the messages were looked at.
    seen: usize,
    stream: Stream,
}

impl Receive for Bare {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self { protocol: protocol(job.role), buffer: BytesMut::new(), messages: Vec::new(), seen: 0, stream }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        for _ in 0..count {
            while self.seen == self.messages.len() {
                self.messages.clear();
                self.seen = 0;
                self.stream.append(sockudo_ws::RECV_BUFFER_SIZE, &mut self.buffer);
                self.protocol.process_into(&mut self.buffer, &mut self.messages).expect("it is right");
            }
            visit(self.messages[self.seen].as_bytes());
            self.seen += 1;
        }
    }
}

impl send::Send for Socket {
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

/// The protocol, writing at a flush.
pub struct Encoding(Protocol, BytesMut, Stream);

impl send::Send for Encoding {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(protocol(job.role), BytesMut::new(), stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        while let Some((message, is_flushed)) = turns.next() {
            let message = Message::Binary(message.shared.clone());
            self.0.encode_message(&message, &mut self.1).expect("it is open");
            if is_flushed {
                self.2.put(&self.1);
                self.1.clear();
            }
        }
    }
}

pub struct Shaking(Runtime);

impl Handshake for Shaking {
    fn new() -> Self {
        sockudo_ws::init_clock();
        Self(runtime())
    }

    fn accept(&mut self, mut stream: Stream) -> Result<(), String> {
        let result = self.0.block_on(server_handshake(&mut stream)).map_err(|error| error.to_string())?;
        let (role, config) = (role(Role::Server), Config::default());
        drop(WebSocketStream::from_raw_with_leftover(stream, role, config, result.leftover));
        Ok(())
    }

    fn connect(&mut self, mut stream: Stream) -> Result<(), String> {
        let result = self.0.block_on(client_handshake(&mut stream, HOST, PATH, None));
        let (role, config) = (role(Role::Client), Config::default());
        let leftover = result.map_err(|error| error.to_string())?.leftover;
        drop(WebSocketStream::from_raw_with_leftover(stream, role, config, leftover));
        Ok(())
    }
}

pub struct Resting(WebSocketStream<Stream>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        sockudo_ws::init_clock();
        Self(inside(|| WebSocketStream::from_raw(stream, role(Role::Server), Config::default())))
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
