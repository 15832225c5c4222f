//! sockeye's engine alone: the caller reads into a buffer of its own and writes from one.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::BytesMut;
use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest, ServerConfig, ServerHandshake};
use sockeye::{Assembler, Config, Connection, FrameHeader, MessageKind, ProtocolError, Received};

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::Role;
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LENT: Library = Library::new("sockeye", Standing::Ours)
    .receives::<Lent>()
    .sends::<Sending>()
    .opens::<Shaking>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::ours::Engine>()
    .broadcasts_deflated::<super::crowds::ours::Engine>()
    .gathers::<super::crowds::ours::Engine>();
pub const OWNED: Library = Library::new("sockeye, owned", Standing::Ours).receives::<Owned>();
pub const SHARED: Library = Library::new("sockeye, shared", Standing::Ours).receives::<Shared>();

/// An end of a connection.
pub fn connection(role: Role) -> Connection {
    match role {
        Role::Server => Connection::server(Config::default()),
        Role::Client => Connection::client(Config::default()),
    }
}

/// What the caller of the engine has.
struct Caller {
    connection: Connection,
    assembler: Assembler,
    stream: Stream,
    buffer: Vec<u8>,
    /// The most that is read at once, where nothing lacks.
    read: usize,
    /// What of the buffer is not received.
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Caller {
    fn new(job: &Incoming, stream: Stream) -> Self {
        let connection = connection(job.role);
        let assembler = connection.assembler();
        Self {
            connection,
            assembler,
            stream,
            buffer: vec![0; ROOM],
            read: job.read.min(READ),
            start: 0,
            end: 0,
            output: Vec::new(),
        }
    }

    /// Reads what a message in the buffer lacks, or else as much as it may.
    fn read(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let lacking = if self.end == 0 { None } else { self.connection.lacks(&self.buffer[..self.end]) };
        let end = self.end.saturating_add(lacking.unwrap_or(self.read)).min(ROOM);
        self.end += self.stream.fill(&mut self.buffer[self.end..end]);
    }

    /// The loop of [`Connection::receive_buffered`].
    fn receive(&mut self, count: usize, mut visit: impl FnMut(Received<'_>)) {
        let mut left = count;
        while left > 0 {
            let mut input = &mut self.buffer[self.start..self.end];
            while left > 0 {
                let received =
                    self.connection.receive_buffered(&mut input, ROOM, &mut self.assembler, &mut self.output);
                match received.expect("it is right") {
                    Some(received) => visit(received),
                    None => break,
                }
                left -= 1;
            }
            self.start = self.end - input.len();
            if left > 0 {
                self.read();
            }
        }
    }
}

/// Messages are lent.
pub struct Lent(Caller);

impl Receive for Lent {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Caller::new(job, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.0.receive(count, |received| match received {
            Received::Message(message) => visit(message.payload()),
            other => panic!("there is none: {other:?}"),
        });
    }
}

/// What the caller has who keeps messages.
struct Keeper {
    connection: Connection,
    assembler: Assembler,
    stream: Stream,
    buffer: BytesMut,
    read: usize,
    output: Vec<u8>,
}

impl Keeper {
    fn new(job: &Incoming, stream: Stream) -> Self {
        let connection = connection(job.role);
        let assembler = connection.assembler();
        Self { connection, assembler, stream, buffer: BytesMut::new(), read: job.read, output: Vec::new() }
    }

    /// The loop of [`Connection::receive_owned`], by a call that is like it.
    fn receive<M>(
        &mut self,
        count: usize,
        call: impl Fn(&mut Connection, &mut BytesMut, &mut Assembler, &mut Vec<u8>) -> Result<Option<M>, ProtocolError>,
        mut visit: impl FnMut(M),
    ) {
        let Self { connection, assembler, stream, buffer, read, output } = self;
        for _ in 0..count {
            let message = loop {
                match call(connection, buffer, assembler, output).expect("it is right") {
                    Some(message) => break message,
                    None => {
                        if buffer.is_empty() {
                            // So that a frame fits whose payload is as long as a read.
                            buffer.reserve(READ + FrameHeader::MAX);
                        }
                        let room = buffer.capacity() - buffer.len();
                        stream.append(connection.lacks(buffer).unwrap_or(READ).min(room).min(*read), buffer);
                    }
                }
            };
            visit(message);
        }
    }
}

/// Messages become the caller's.
pub struct Owned(Keeper);

impl Receive for Owned {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Keeper::new(job, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.0.receive(count, Connection::receive_owned, |message| visit(message.as_ref().payload()));
    }
}

/// Messages become the caller's, long ones in memory that they share.
pub struct Shared(Keeper);

impl Receive for Shared {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Keeper::new(job, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.0.receive(count, Connection::receive_shared, |message| visit(message.as_ref().payload()));
    }
}

/// The caller's output is written at a flush. Long payloads are not copied into it: the header is, and goes out with them.
pub struct Sending {
    connection: Connection,
    stream: Stream,
    output: Vec<u8>,
}

impl send::Send for Sending {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self { connection: connection(job.role), stream, output: Vec::new() }
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        while let Some((message, is_flushed)) = turns.next() {
            let payload = &mut message.bytes[..];
            if payload.len() < LONG {
                self.connection.send(&*payload, &mut self.output).expect("it is open");
                if is_flushed {
                    self.stream.put(&self.output);
                    self.output.clear();
                }
            } else {
                let head = self.connection.head(MessageKind::Binary, payload).expect("it is open");
                self.output.extend_from_slice(&head);
                self.stream.put(&self.output);
                self.output.clear();
                self.stream.put(payload);
            }
        }
    }
}

/// The engine's handshake, in buffers of the caller's.
pub struct Shaking {
    server: ServerConfig,
    client: ClientConfig,
    config: Arc<Config>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Handshake for Shaking {
    fn new() -> Self {
        Self {
            server: ServerConfig::default(),
            client: ClientConfig::default(),
            config: Arc::default(),
            input: vec![0; 4096],
            output: Vec::new(),
        }
    }

    fn accept(&mut self, mut stream: Stream) -> Result<(), String> {
        let len = stream.fill(&mut self.input);
        let request = ServerHandshake::new(&self.server).receive(&mut &self.input[..len]);
        let request = request.map_err(|rejection| rejection.to_string())?.ok_or("it wants more")?;
        let response = request.upgrade(&self.server).map_err(|rejection| rejection.to_string())?.respond();
        self.output.clear();
        response.write(&mut self.output);
        stream.put(&self.output);
        let connection = Connection::server(self.config.clone());
        std::hint::black_box((connection.assembler(), connection));
        Ok(())
    }

    fn connect(&mut self, mut stream: Stream) -> Result<(), String> {
        let request = ClientRequest::new(HOST, PATH).map_err(|error| error.to_string())?;
        self.output.clear();
        request.write(&mut self.output);
        stream.put(&self.output);
        let len = stream.fill(&mut self.input);
        let response = ClientHandshake::new(request, &self.client).receive(&mut &self.input[..len]);
        std::hint::black_box(response.map_err(|error| error.to_string())?.ok_or("it wants more")?);
        let connection = Connection::client(self.config.clone());
        std::hint::black_box((connection.assembler(), connection));
        Ok(())
    }
}

/// A connection and its assembler. Buffers and the configuration are there once for all.
pub struct Resting {
    connection: Connection,
    assembler: Assembler,
    stream: Stream,
}

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; 64 * 1024], Vec::new()));
    pub static CONFIG: Arc<Config> = Arc::default();
}

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        let connection = Connection::server(CONFIG.with(Arc::clone));
        Self { assembler: connection.assembler(), connection, stream }
    }

    fn wait(&mut self) {
        BUFFERS.with_borrow_mut(|(input, _)| assert_eq!(self.stream.fill(input), 0));
    }

    fn echo(&mut self) {
        BUFFERS.with_borrow_mut(|(input, output)| {
            let len = self.stream.fill(input);
            let mut input = &mut input[..len];
            match self.connection.receive_message(&mut input, &mut self.assembler, output) {
                Ok(Some(Received::Message(message))) => self.connection.send(message, output).expect("it is open"),
                other => panic!("it receives {other:?}"),
            }
            self.stream.put(output);
            output.clear();
        });
    }
}

/// From how many bytes on a payload is not copied.
const LONG: usize = 16 * 1024;

/// The caller's buffer: as for the longest of the messages, in fragments with a header each, and one serves all connections of a thread.
const ROOM: usize = 1280 * 1024;

/// How much the caller reads at once.
const READ: usize = 16 * 1024;
