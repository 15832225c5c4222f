//! What a library has to do to be measured.

use std::future::Future;
use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};

use serde::{Deserialize, Serialize};

use crate::messages::Message;
use crate::wire::Wire;
use crate::worker::Job;

/// One end of one connection of a library, which reads from and writes to memory.
pub trait Library: Sized {
    /// What its connections agree on where nothing is set.
    const DEFAULTS: Agreement;
    /// Why the cell cannot be had of it, if so.
    fn refusal(job: Job) -> Option<&'static str>;
    /// Makes an end whose opening handshake is over.
    fn open(role: Role, setting: Setting, wire: &Wire) -> Self;
    /// Sends a message: all of its bytes are in `wire` afterwards.
    fn send(&mut self, message: &mut Message);
    /// Receives the message that is in `wire`, and lends it to `visit` the way that it lends or gives messages to anybody.
    fn receive(&mut self, visit: impl FnOnce(&[u8]));
}

/// The longest message that everybody accepts, in bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    Server,
    Client,
}

/// Whether messages may refer to those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Context {
    Takeover,
    NoTakeover,
}

/// How a library is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// As everybody is: a window of 15 bits, memory level 8 (nobody but us has a choice there), and every message compressed.
    Same { level: u8, context: Context },
    /// As it comes.
    Defaults,
}

impl Setting {
    /// What the two ends agreed on.
    pub fn agreement<L: Library>(self) -> Agreement {
        match self {
            Self::Same { context, .. } => Agreement { context, window_bits: 15 },
            Self::Defaults => L::DEFAULTS,
        }
    }
}

/// What the opening handshake settles, for both directions alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub context: Context,
    pub window_bits: u8,
}

impl Agreement {
    /// The `Sec-WebSocket-Extensions` of the response.
    pub fn header(self) -> String {
        let mut header = String::from("permessage-deflate");
        if self.context == Context::NoTakeover {
            header += "; server_no_context_takeover; client_no_context_takeover";
        }
        if self.window_bits != 15 {
            header += &format!("; server_max_window_bits={0}; client_max_window_bits={0}", self.window_bits);
        }
        header
    }
}

/// Runs what only waits for memory.
///
/// # Panics
///
/// Where it still waits after some polls: then it waits for bytes that will never come.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut task = Task::from_waker(Waker::noop());
    for _ in 0..64 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut task) {
            return value;
        }
    }
    panic!("it waits for more than the message")
}

/// A runtime of tokio on this thread, with its clock, for those libraries that want one.
#[cfg(feature = "all")]
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("it takes no more than memory")
}
