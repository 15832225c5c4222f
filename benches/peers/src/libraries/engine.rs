//! sockeye's engine alone: the caller reads into a buffer of its own and writes from one.

use sockeye::{Assembler, Assembly, Config, Connection, Event, MessageKind, MessageRef, Received};

use super::{Library, Standing};
use crate::library::Role;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LENT: Library = Library::new("sockeye", Standing::Ours).receives::<Lent>().sends::<Sending>();
pub const OWNED: Library = Library::new("sockeye, owned", Standing::Ours).receives::<Owned>();

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
    /// What of the buffer is not received.
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Caller {
    fn new(job: &Incoming, stream: Stream) -> Self {
        let connection = connection(job.role);
        let assembler = connection.assembler();
        Self { connection, assembler, stream, buffer: vec![0; job.read], start: 0, end: 0, output: Vec::new() }
    }

    fn read(&mut self) {
        (self.start, self.end) = (0, self.stream.fill(&mut self.buffer));
    }
}

/// The loop of the crate's documentation.
pub struct Lent(Caller);

impl Receive for Lent {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Caller::new(job, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let this = &mut self.0;
        let mut left = count;
        while left > 0 {
            if this.start == this.end {
                this.read();
            }
            let mut input = &mut this.buffer[this.start..this.end];
            while left > 0 {
                let received = this.connection.receive_message(&mut input, &mut this.assembler, &mut this.output);
                match received.expect("it is right") {
                    Some(Received::Message(message)) => {
                        visit(message.payload());
                        left -= 1;
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            this.start = this.end - input.len();
        }
    }
}

/// The loop of the assembler's documentation, in which each message becomes the caller's.
pub struct Owned(Caller);

impl Receive for Owned {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(Caller::new(job, stream))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let this = &mut self.0;
        let mut left = count;
        while left > 0 {
            if this.start == this.end {
                this.read();
            }
            let mut input = &mut this.buffer[this.start..this.end];
            while left > 0 {
                let chunk = match this.connection.receive(&mut input, &mut this.output).expect("it is right") {
                    Some(Event::Data(chunk)) => chunk,
                    Some(_) => continue,
                    None => break,
                };
                let message = match this.assembler.push(chunk).expect("it is right") {
                    Assembly::Whole(message) => MessageRef::to_owned(message),
                    Assembly::Complete => this.assembler.take(),
                    Assembly::Partial => continue,
                };
                visit(message.as_ref().payload());
                left -= 1;
            }
            this.start = this.end - input.len();
        }
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

/// From how many bytes on a payload is not copied.
const LONG: usize = 16 * 1024;
