//! For tests of applications that use WebSockets: connections in memory, a clock in the test's hand, and transports
//! that fail where the test says. Nothing sleeps, nothing opens a socket, and nothing depends on a runtime.
//!
//! An application can be tested on this if it is written for any transport. So is the one here, which greets its
//! clients and says goodbye to those that say nothing for a minute:
//!
//! ```
//! use core::time::Duration;
//! use sockeye::driver::{Error, Transport, WebSocket};
//! use sockeye::{Close, CloseCode};
//!
//! async fn serve<T: Transport>(mut socket: WebSocket<T>) -> Result<(), Error> {
//!     while let Some(message) = socket.receive().await? {
//!         match message.as_text() {
//!             Some(name) => socket.send(format!("hello {name}")).await?,
//!             None => socket.close(Close::new(CloseCode::UNSUPPORTED_DATA, "text only")?).await?,
//!         }
//!     }
//!     Ok(())
//! }
//!
//! // And in its tests:
//! use sockeye::test_kit::{Clock, Expect, Faults, Pair, run, spawn};
//!
//! # fn it_greets() {
//! let clock = Clock::new();
//! run(&clock, async {
//!     let mut pair = Pair::new(&clock);
//!     pair.server.idle_timeout = Some(Duration::from_secs(60));
//!     let (mut client, server) = pair.sockets();
//!     let serving = spawn(serve(server));
//!
//!     client.send("Ann").await.unwrap();
//!     client.expect_text("hello Ann").await;
//!     client.expect_close(CloseCode::GOING_AWAY).await;   // a minute later, and at once
//!     assert!(matches!(serving.await, Err(Error::Timeout(_))));
//! });
//! # }
//! # it_greets();
//!
//! # fn it_survives_a_client_that_breaks_off() {
//! let clock = Clock::new();
//! run(&clock, async {
//!     let mut pair = Pair::new(&clock);
//!     pair.to_server = Faults::new().end(3);   // in the middle of the first frame
//!     let (mut client, server) = pair.sockets();
//!     client.send("Ann").await.unwrap();
//!     assert!(matches!(serve(server).await, Err(Error::Lost)));
//! });
//! # }
//! # it_survives_a_client_that_breaks_off();
//! ```
//!
//! - [`Pair`] makes two ends: sockets, streams on which the opening handshake is still to be made, or a socket and a
//!   [`RawPeer`], which sends what no WebSocket would.
//! - [`Clock`] is the time of their deadlines. [`run()`] is an executor that moves it on whenever every task waits; under
//!   tokio, or another executor, the test calls [`Clock::advance`].
//! - [`Expect`] gives every socket and receiver its expectations, which panic with what came instead.
//! - [`Faults`] are errors, ends, stalls, short reads and writes and spoilt bytes, at chosen bytes of a direction; a
//!   [`Link`] changes them during a test.
//!
//! An application that is written for `sockeye::tokio` or `sockeye::futures` can be tested on a [`Stream`],
//! which is one of theirs, too, on their runtime and with their timers.

mod clock;
mod expect;
mod faults;
#[cfg(feature = "futures")]
mod futures;
mod link;
mod pair;
mod raw;
mod run;
mod stream;
#[cfg(feature = "tokio")]
mod tokio;

pub use self::clock::{Clock, Sleep, Timer};
pub use self::expect::Expect;
pub use self::faults::Faults;
pub use self::link::Link;
pub use self::pair::Pair;
pub use self::raw::RawPeer;
pub use self::run::{JoinHandle, run, spawn};
pub use self::stream::{Runtime, Stream, Transport};

use crate::driver;

/// A WebSocket connection in memory.
pub type WebSocket = driver::WebSocket<Transport>;

/// The receiving half of a split connection.
pub type Receiver = driver::Receiver<Transport>;

/// The sending half of a split connection.
pub type Sender = driver::Sender<Transport>;

/// Reads one message of any size.
pub type MessageReader<'c> = driver::MessageReader<'c, Transport>;

/// Writes one message of any size.
pub type MessageWriter<'c> = driver::MessageWriter<'c, Transport>;

/// Accepts connections as a server.
pub type Acceptor = driver::Acceptor<Runtime>;

/// An opening handshake on the server's side that has begun.
pub type Accepting = driver::Accepting<Transport>;

/// Opens connections as a client.
pub type Connector = driver::Connector<Runtime>;

/// An opening handshake on the client's side that has begun.
pub type Connecting = driver::Connecting<Transport>;
