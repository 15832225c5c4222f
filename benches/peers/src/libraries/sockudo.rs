//! sockudo-ws: its stream, and its `Protocol`, which does no input and output. SIMD is on, and chosen when it runs.

use bytes::BytesMut;
use futures_util::StreamExt;
use sockudo_ws::protocol::Protocol;
use sockudo_ws::{Config, Message, WebSocketStream};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::library::{Role, runtime};
use crate::receive::{Gives, Incoming, Receive};
use crate::stream::Stream;

pub const STREAM: Library = Library::new("sockudo-ws", Standing::Theirs).receives::<Socket>();
pub const PROTOCOL: Library = Library::new("sockudo-ws, protocol", Standing::Theirs).receives::<Bare>();

/// Its name for a role.
pub fn role(role: Role) -> sockudo_ws::Role {
    match role {
        Role::Server => sockudo_ws::Role::Server,
        Role::Client => sockudo_ws::Role::Client,
    }
}

pub struct Socket(WebSocketStream<Stream>, Runtime);

impl Receive for Socket {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        sockudo_ws::init_clock();
        Self(WebSocketStream::from_raw(stream, role(job.role), Config::default()), runtime())
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.next().await.expect("it is open").expect("it is right").as_bytes());
            }
        });
    }
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
        let config = Config::default();
        let protocol = Protocol::new(role(job.role), config.max_frame_size, config.max_message_size);
        Self { protocol, buffer: BytesMut::new(), messages: Vec::new(), seen: 0, stream }
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
