//! ws-net, which does no input and output, and lends what it gives. Its input buffer takes 64 KiB.

use ws_net::{ClientHandshake, Connection, Event, ServerHandshake};

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::Role;
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("ws-net", Standing::Theirs)
    .receives::<WsNet>()
    .sends::<WsNet>()
    .opens::<Shaking>()
    .idles::<WsNet>()
    .broadcasts::<super::crowds::ws_net::WsNet>()
    .gathers::<super::crowds::ws_net::WsNet>();

/// An end of a connection.
pub fn connection(role: Role) -> Connection {
    match role {
        Role::Server => Connection::server(),
        Role::Client => Connection::client(),
    }
}

pub struct WsNet(Connection, Stream);

impl Receive for WsNet {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self(connection(job.role), stream)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let Self(connection, stream) = self;
        let mut left = count;
        while left > 0 {
            match connection.poll().expect("it is right") {
                Event::Text(text) => visit(text.as_bytes()),
                Event::Binary(bytes) => visit(bytes),
                Event::NeedInput => {
                    let read = stream.fill(connection.read_buf());
                    connection.commit(read);
                    continue;
                }
                other => panic!("it receives {other:?}"),
            }
            left -= 1;
        }
    }
}

impl send::Send for WsNet {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(connection(job.role), stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(connection, stream) = self;
        while let Some((message, is_flushed)) = turns.next() {
            connection.send_binary(&message.bytes).expect("it is open");
            if is_flushed {
                let written = stream.put(connection.output());
                connection.advance_output(written);
            }
        }
    }
}

/// Its handshake, in buffers of the caller's.
pub struct Shaking {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Handshake for Shaking {
    fn new() -> Self {
        Self { input: vec![0; 4096], output: Vec::new() }
    }

    fn accept(&mut self, mut stream: Stream) -> Result<(), String> {
        let len = stream.fill(&mut self.input);
        let request = ServerHandshake::from_head(&self.input[..len]).map_err(|error| error.to_string())?;
        self.output.clear();
        let (request, _) = request.ok_or("it wants more")?;
        request.write_response(None, &mut self.output).map_err(|error| error.to_string())?;
        stream.put(&self.output);
        std::hint::black_box(Connection::server());
        Ok(())
    }

    fn connect(&mut self, mut stream: Stream) -> Result<(), String> {
        let handshake = ClientHandshake::new();
        self.output.clear();
        handshake.write_request(HOST, PATH, &mut self.output).map_err(|error| error.to_string())?;
        stream.put(&self.output);
        let len = stream.fill(&mut self.input);
        let response = handshake.verify_head(&self.input[..len]).map_err(|error| error.to_string())?;
        response.ok_or("it wants more")?;
        std::hint::black_box(Connection::client());
        Ok(())
    }
}

impl Idle for WsNet {
    fn open(stream: Stream) -> Self {
        Self(connection(Role::Server), stream)
    }

    fn wait(&mut self) {
        assert!(matches!(self.0.poll(), Ok(Event::NeedInput)));
    }

    fn echo(&mut self) {
        let mut message = Vec::new();
        self.receive(1, |received| message.extend_from_slice(received));
        self.0.send_binary(&message).expect("it is open");
        let written = self.1.put(self.0.output());
        self.0.advance_output(written);
    }
}
