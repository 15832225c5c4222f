//! Connections on asynchronous transports, whatever the runtime: what [`tokio`](crate::tokio) and
//! [`futures`](crate::futures) have in common, which is nearly everything.
//!
//! Everything is polled, and generic over a [`Transport`], which brings a stream and the timer of its runtime. Programs
//! use the types of this module by the names that the adapters give them; a new runtime needs the three traits
//! [`Transport`], [`Timer`] and [`Runtime`].
//!
//! # Cancel safety
//!
//! Every future here can be dropped at any time, as `select!` does, and nothing is lost, doubled or out of frame: what a
//! future has done so far is kept in the connection and not in the future. Each function says what that means for it.
//!
//! # Who does the work
//!
//! There is no task in the background. Whatever is awaited moves everything on: a receive writes what is queued before it
//! waits, answers pings and keeps the deadlines; a send that waits for room keeps them, too. So let one task receive for
//! as long as the connection lives: what stops receiving for a while, as `for_each_concurrent` does at its limit, stops the
//! answers to pings, too. A send does not receive: two sides that only send to each other wait for each other.
//!
//! # The end
//!
//! Dropping a connection closes its stream at once: what was queued is lost, and the peer reports 1006. Call
//! [`WebSocket::close`] and receive until `None`. When a server's [`Gate`] or a deadline closes the connection, what the peer
//! sends before it has learned of that is dropped, and the receive tells how it ended.
//!
//! # Memory
//!
//! Between messages a connection holds no read buffer and no write buffer: both come from a pool of the thread, and a
//! read that has to wait gives its buffer back. What is queued is bounded by
//! [`Config::high_water_mark`](crate::Config::high_water_mark) and one message.

mod accept;
mod connect;
mod core;
mod gate;
mod handle;
mod negotiated;
mod outbox;
mod outgoing;
mod pool;
mod reader;
mod sending;
mod socket;
mod split;
mod sync;
mod transport;
mod wakers;
mod wire;
mod writer;

pub use self::accept::{Accepting, Acceptor};
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use self::connect::connect_to_any;
pub use self::connect::{Connecting, Connector};
pub use self::gate::{Drain, Drained, Gate, Limits, Seat};
pub use self::outgoing::Outgoing;
#[cfg(feature = "pubsub")]
pub(crate) use self::outgoing::Share;
pub use self::reader::MessageReader;
pub use self::socket::WebSocket;
pub use self::split::{Receiver, Sender};
pub use self::transport::{Runtime, Timer, Transport};
pub use self::writer::MessageWriter;
pub use crate::adapter::Error;
