//! sockeye: a message is prepared once for all. By the engine alone, where the caller writes; by the adapter for threads; and by
//! that for tokio, by `send`, and by `try_send` of halves that were split, as in its example.

use std::sync::Arc;

use sockeye::deflate::{Agreement, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, Connection, PreparedMessage, Received, Rsv, blocking};
use tokio::runtime::Runtime;

use super::crowd;
use crate::broadcast::{AGREEMENT, Broadcast, LEVEL, Payload, Publication};
use crate::curves::{Gather, once};
use crate::libraries::engine::CONFIG;
use crate::library::runtime;
use crate::messages::{Kind, Message};
use crate::stream::Stream;

fn prepared(message: &Message) -> PreparedMessage {
    match message.kind {
        Kind::Text => PreparedMessage::new(message.text.clone()),
        Kind::Binary => PreparedMessage::new(message.shared.clone()),
    }
}

/// What was agreed on where messages are compressed.
fn agreement(job: &Publication) -> Option<Agreement> {
    if job.payload != Payload::Deflated {
        return None;
    }
    let mut deflate = Deflate::default();
    deflate.level = Level::new(LEVEL).expect("it is a level");
    deflate.memory_level = MemoryLevel::new(8).expect("it is a memory level");
    (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX);
    let header = AGREEMENT.header();
    let answer = Extensions::parse(&header).next().expect("there is one").expect("it is well-formed");
    Some(deflate.agreed(sockeye::Role::Server, &answer).expect("it is what was offered"))
}

/// The engine: a frame in one piece for all.
pub struct Engine {
    ends: Vec<Box<End>>,
    buffer: Vec<u8>,
    output: Vec<u8>,
}

struct End {
    connection: Connection,
    assembler: Assembler,
    stream: Stream,
}

impl Engine {
    fn new(streams: Vec<Stream>, agreement: Option<&Agreement>) -> Self {
        let end = |stream| {
            let mut connection = Connection::server(CONFIG.with(Arc::clone));
            let mut assembler = connection.assembler();
            if let Some(agreement) = agreement {
                connection.extend(Rsv::RSV1, agreement.encoder());
                assembler.extend(agreement.decoder());
            }
            End { connection, assembler, stream }
        };
        Self { ends: crowd(streams, end), buffer: vec![0; 64 * 1024], output: Vec::new() }
    }
}

impl Broadcast for Engine {
    fn open(job: &Publication, streams: Vec<Stream>) -> Self {
        Self::new(streams, agreement(job).as_ref())
    }

    fn publish(&mut self, message: &mut Message) {
        let message = prepared(message);
        for end in &mut self.ends {
            end.stream.put(end.connection.prepared_frame(&message).expect("it is open"));
        }
    }
}

/// One read buffer serves all.
impl Gather for Engine {
    fn open(streams: Vec<Stream>) -> Self {
        Self::new(streams, None)
    }

    fn gather(&mut self, mut visit: impl FnMut(&[u8])) {
        let Self { ends, buffer, output } = self;
        for end in ends {
            let End { connection, assembler, stream } = &mut **end;
            loop {
                let len = stream.fill(buffer);
                if len == 0 {
                    break;
                }
                let mut input = &mut buffer[..len];
                while let Some(received) =
                    connection.receive_message(&mut input, assembler, output).expect("it is right")
                {
                    if let Received::Message(message) = received {
                        visit(message.payload());
                    }
                }
            }
        }
    }
}

/// The adapter for threads.
pub struct Blocking(Vec<Box<blocking::WebSocket<Stream>>>);

impl Broadcast for Blocking {
    fn open(job: &Publication, streams: Vec<Stream>) -> Self {
        let agreement = agreement(job);
        Self(crowd(streams, |stream| {
            let mut socket = blocking::WebSocket::server(stream, CONFIG.with(Arc::clone));
            if let Some(agreement) = &agreement {
                socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
            }
            socket
        }))
    }

    fn publish(&mut self, message: &mut Message) {
        let message = prepared(message);
        for socket in &mut self.0 {
            socket.send_prepared(&message).expect("it is open");
        }
    }
}

/// The adapter for tokio.
pub struct Tokio(Vec<Box<sockeye::tokio::WebSocket<Stream>>>, Runtime);

impl Tokio {
    fn new(streams: Vec<Stream>, agreement: Option<&Agreement>) -> Self {
        let runtime = runtime();
        // A connection has a timer, which has to know its runtime.
        let inside = runtime.enter();
        let ends = crowd(streams, |stream| {
            let mut socket = sockeye::tokio::WebSocket::server(stream, CONFIG.with(Arc::clone));
            if let Some(agreement) = agreement {
                socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
            }
            socket
        });
        drop(inside);
        Self(ends, runtime)
    }
}

impl Broadcast for Tokio {
    fn open(job: &Publication, streams: Vec<Stream>) -> Self {
        Self::new(streams, agreement(job).as_ref())
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            let message = prepared(message);
            for socket in ends {
                socket.send(&message).await.expect("it is open");
            }
        });
    }
}

impl Gather for Tokio {
    fn open(streams: Vec<Stream>) -> Self {
        Self::new(streams, None)
    }

    fn gather(&mut self, mut visit: impl FnMut(&[u8])) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            for socket in ends {
                while let Some(received) = once(socket.receive_ref()).await {
                    visit(received.expect("it is right").expect("it is open").payload());
                }
            }
        });
    }
}

/// The same, split: others than the task that receives send, and do not wait.
pub struct Split(Vec<Box<Halves>>, Runtime);

type Halves = (sockeye::tokio::Receiver<Stream>, sockeye::tokio::Sender<Stream>);

impl Broadcast for Split {
    fn open(job: &Publication, streams: Vec<Stream>) -> Self {
        let Tokio(sockets, runtime) = <Tokio as Broadcast>::open(job, streams);
        Self(sockets.into_iter().map(|socket| Box::new(socket.split())).collect(), runtime)
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            let message = prepared(message);
            for end in ends {
                let (_, sender) = &**end;
                sender.try_send(&message).expect("there is room");
            }
        });
    }
}
