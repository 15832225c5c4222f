//! soketto, whose user gives it a vector to receive into. It does not check text: that is done here, as its user has to.

use soketto::Data;
use soketto::connection::{Builder, Mode, Receiver, Sender};
use soketto::handshake::{Client, Server, ServerResponse, server::Response};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::handshake::{HOST, Handshake, PATH};
use crate::library::{Role, at_once, runtime};
use crate::memory::Idle;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("soketto", Standing::Theirs)
    .receives::<Soketto>()
    .sends::<Sending>()
    .opens::<Shaking>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::soketto::Soketto>();

/// Both halves of an end of a connection.
pub fn halves(role: Role, stream: Stream) -> (Sender<Stream>, Receiver<Stream>) {
    Builder::new(
        stream,
        match role {
            Role::Server => Mode::Server,
            Role::Client => Mode::Client,
        },
    )
    .finish()
}

pub struct Soketto {
    receiver: Receiver<Stream>,
    message: Vec<u8>,
    runtime: Runtime,
}

impl Receive for Soketto {
    const GIVES: Gives = Gives::Lent;

    fn open(job: &Incoming, stream: Stream) -> Self {
        let (_, receiver) = halves(job.role, stream);
        Self { receiver, message: Vec::new(), runtime: runtime() }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.runtime.block_on(async {
            for _ in 0..count {
                self.message.clear();
                match self.receiver.receive_data(&mut self.message).await.expect("it is right") {
                    Data::Text(_) => visit(str::from_utf8(&self.message).expect("it is text").as_bytes()),
                    Data::Binary(_) => visit(&self.message),
                }
            }
        });
    }
}

/// A client masks a message where it lies.
pub struct Sending {
    sender: Sender<Stream>,
    runtime: Runtime,
}

impl send::Send for Sending {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        let (sender, _) = halves(job.role, stream);
        Self { sender, runtime: runtime() }
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self { sender, runtime } = self;
        runtime.block_on(async {
            while let Some((message, is_flushed)) = turns.next() {
                sender.send_binary_mut(&mut message.bytes).await.expect("it is open");
                if is_flushed {
                    sender.flush().await.expect("it is open");
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
        self.0.block_on(async {
            let mut server = Server::new(stream);
            let key = server.receive_request().await.map_err(|error| error.to_string())?.key();
            let response = Response::Accept { key, protocol: None };
            server.send_response(&response).await.map_err(|error| error.to_string())?;
            drop(server.into_builder().finish());
            Ok(())
        })
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        self.0.block_on(async {
            let mut client = Client::new(stream, HOST, PATH);
            match client.handshake().await.map_err(|error| error.to_string())? {
                ServerResponse::Accepted { .. } => drop(client.into_builder().finish()),
                other => return Err(format!("{other:?}")),
            }
            Ok(())
        })
    }
}

/// With the vector that it wants for messages.
pub struct Resting(Sender<Stream>, Receiver<Stream>, Vec<u8>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        let (sender, receiver) = halves(Role::Server, stream);
        Self(sender, receiver, Vec::new())
    }

    fn wait(&mut self) {
        assert!(at_once(self.1.receive_data(&mut self.2)).is_none());
    }

    fn echo(&mut self) {
        at_once(async {
            let Self(sender, receiver, message) = self;
            receiver.receive_data(message).await.expect("it is right");
            sender.send_binary_mut(&mut *message).await.expect("it is open");
            sender.flush().await.expect("it is open");
            message.clear();
        })
        .expect("the message is there");
    }
}
