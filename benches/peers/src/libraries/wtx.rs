//! wtx: the last that Rust 1.95 can build. Messages are lent from its own buffer where they are whole.

use tokio::runtime::Runtime;
use wtx::collection::Vector;
use wtx::misc::UriRef;
use wtx::rng::Xorshift64;
use wtx::web_socket::{
    Frame, OpCode, WebSocketAcceptor, WebSocketBuffer, WebSocketConnector, WebSocketOwned, WebSocketPayloadOrigin,
};

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::{Role, at_once, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("wtx", Standing::Theirs)
    .receives::<Wtx>()
    .sends::<Wtx>()
    .opens::<Shaking>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::wtx::Wtx>()
    .broadcasts_deflated::<super::crowds::Each<super::compressing::wtx::Wtx>>();

/// One of its connections.
pub type End<const IS_CLIENT: bool> = WebSocketOwned<(), Xorshift64, Stream, IS_CLIENT>;

/// An end of a connection.
pub fn end<const IS_CLIENT: bool>(stream: Stream) -> End<IS_CLIENT> {
    let mut end = End::new((), false, Xorshift64::from(7), stream, WebSocketBuffer::new());
    end.set_max_payload_len(16 * 1024 * 1024);
    end
}

pub struct Wtx {
    end: Either,
    buffer: Vector<u8>,
    runtime: Runtime,
}

/// Its two roles are types.
enum Either {
    Server(End<false>),
    Client(End<true>),
}

impl Wtx {
    fn new(role: Role, stream: Stream) -> Self {
        let end = match role {
            Role::Server => Either::Server(end(stream)),
            Role::Client => Either::Client(end(stream)),
        };
        Self { end, buffer: Vector::new(), runtime: runtime() }
    }
}

impl Receive for Wtx {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn receive(&mut self, count: usize, visit: impl FnMut(&[u8])) {
        match &mut self.end {
            Either::Server(end) => self.runtime.block_on(receive(end, &mut self.buffer, count, visit)),
            Either::Client(end) => self.runtime.block_on(receive(end, &mut self.buffer, count, visit)),
        }
    }
}

async fn receive<const IS_CLIENT: bool>(
    end: &mut End<IS_CLIENT>,
    buffer: &mut Vector<u8>,
    count: usize,
    mut visit: impl FnMut(&[u8]),
) {
    for _ in 0..count {
        visit(end.read_frame(buffer, WebSocketPayloadOrigin::Adaptive).await.expect("it is right").payload());
    }
}

/// It writes each message by itself, and has no flush. A client masks it where it lies.
impl send::Send for Wtx {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn send(&mut self, turns: Turns<'_>) {
        match &mut self.end {
            Either::Server(end) => self.runtime.block_on(send(end, turns)),
            Either::Client(end) => self.runtime.block_on(send(end, turns)),
        }
    }
}

async fn send<const IS_CLIENT: bool>(end: &mut End<IS_CLIENT>, mut turns: Turns<'_>) {
    while let Some((message, _)) = turns.next() {
        let mut frame = Frame::new_fin(OpCode::Binary, &mut message.bytes[..]);
        end.write_frame(&mut frame).await.expect("it is open");
    }
}

pub struct Shaking(Runtime);

impl Handshake for Shaking {
    const CHECKS_ACCEPT_KEY: bool = false;

    fn new() -> Self {
        Self(runtime())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        let accepted = self.0.block_on(WebSocketAcceptor::default().no_masking(false).accept(stream));
        accepted.map(drop).map_err(|error: wtx::Error| error.to_string())
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let uri = format!("ws://{HOST}{PATH}");
        let connector = WebSocketConnector::default().no_masking(false);
        let connected = self.0.block_on(connector.connect(stream, &UriRef::new(&uri)));
        connected.map(drop).map_err(|error: wtx::Error| error.to_string())
    }
}

/// With the vector that it wants for messages.
pub struct Resting(End<false>, Vector<u8>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        Self(end(stream), Vector::new())
    }

    fn wait(&mut self) {
        // Nothing to read is for it the end, so it waits by not being asked.
    }

    fn echo(&mut self) {
        at_once(async {
            let Self(end, buffer) = self;
            let received = end.read_frame(buffer, WebSocketPayloadOrigin::Adaptive).await.expect("it is right");
            let mut payload = received.payload().to_vec();
            end.write_frame(&mut Frame::new_fin(OpCode::Binary, &mut payload[..])).await.expect("it is open");
        })
        .expect("the message is there");
    }
}
