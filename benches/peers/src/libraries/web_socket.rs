//! web-socket, with a `BufReader`, because it reads each part of a header by itself. It gives fragments and does not check text:
//! both is done here, as its user has to.

use tokio::io::BufReader;
use tokio::runtime::Runtime;
use web_socket::{DataType, Event, MessageType, Stream as Fragment, WebSocket};

use super::{Library, Standing};
use crate::library::{Role, at_once, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("web-socket", Standing::Theirs)
    .receives::<Web>()
    .sends::<Web>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::web_socket::Web>();

/// An end of a connection.
pub fn socket(role: Role, stream: Stream) -> WebSocket<BufReader<Stream>> {
    match role {
        Role::Server => WebSocket::server(BufReader::new(stream)),
        Role::Client => WebSocket::client(BufReader::new(stream)),
    }
}

pub struct Web(WebSocket<BufReader<Stream>>, Runtime);

impl Receive for Web {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(socket(job.role, stream), runtime())
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let Self(socket, runtime) = self;
        runtime.block_on(async {
            for _ in 0..count {
                let (kind, message) = receive(socket).await;
                match kind {
                    MessageType::Text => visit(str::from_utf8(&message).expect("it is text").as_bytes()),
                    MessageType::Binary => visit(&message),
                }
            }
        });
    }
}

async fn receive(socket: &mut WebSocket<BufReader<Stream>>) -> (MessageType, Box<[u8]>) {
    let mut gathered = Vec::new();
    loop {
        match socket.recv().await.expect("it is right") {
            Event::Data { ty: DataType::Complete(kind), data } => return (kind, data),
            Event::Data { ty: DataType::Stream(fragment), data } => {
                gathered.extend_from_slice(&data);
                if let Fragment::End(kind) = fragment {
                    return (kind, gathered.into());
                }
            }
            _ => panic!("it receives something else"),
        }
    }
}

/// It writes each message by itself.
impl send::Send for Web {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(socket(job.role, stream), runtime())
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(socket, runtime) = self;
        runtime.block_on(async {
            while let Some((message, is_flushed)) = turns.next() {
                socket.send(&message.bytes[..]).await.expect("it is open");
                if is_flushed {
                    socket.flash().await.expect("it is open");
                }
            }
        });
    }
}

/// With the buffer of its `BufReader`.
pub struct Resting(WebSocket<BufReader<Stream>>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        Self(socket(Role::Server, stream))
    }

    fn wait(&mut self) {
        assert!(at_once(self.0.recv()).is_none());
    }

    fn echo(&mut self) {
        at_once(async {
            let (_, message) = receive(&mut self.0).await;
            self.0.send(&message[..]).await.expect("it is open");
        })
        .expect("the message is there");
    }
}
