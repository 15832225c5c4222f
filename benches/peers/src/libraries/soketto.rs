//! soketto, whose user gives it a vector to receive into. It does not check text: that is done here, as its user has to.

use soketto::Data;
use soketto::connection::{Builder, Mode, Receiver, Sender};
use tokio::runtime::Runtime;

use super::{Library, Standing};
use crate::library::{Role, runtime};
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("soketto", Standing::Theirs).receives::<Soketto>().sends::<Sending>();

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
