//! The adapter for `futures-io` (smol, async-std and others): WebSocket connections on anything that is
//! `AsyncRead + AsyncWrite` there.
//!
//! A server that echoes what it gets:
//!
//! ```no_run
//! fn main() -> std::io::Result<()> {
//!     smol::block_on(async {
//!         let listener = smol::net::TcpListener::bind("127.0.0.1:9001").await?;
//!         loop {
//!             let (stream, _) = listener.accept().await?;
//!             let serving = async move {
//!                 let mut socket = sockeye::futures::accept(stream).await?;
//!                 while let Some(message) = socket.receive().await? {
//!                     socket.send(message).await?;
//!                 }
//!                 Ok::<_, sockeye::futures::Error>(())
//!             };
//!             smol::spawn(serving).detach();
//!         }
//!     })
//! }
//! ```
//!
//! and a client:
//!
//! ```no_run
//! # fn main() -> Result<(), sockeye::futures::Error> {
//! smol::block_on(async {
//!     let mut socket = sockeye::futures::connect("ws://127.0.0.1:9001/").await?;
//!     socket.send("hello").await?;
//!     println!("{:?}", socket.receive().await?);
//!     socket.close(sockeye::Close::normal()).await?;
//!     while socket.receive().await?.is_some() {} // what was on its way, until the server has closed, too
//!     Ok(())
//! })
//! # }
//! ```
//!
//! The types are those of [`driver`], whose page tells what holds for all of them. Timers are those of
//! `async-io`, which has a thread of its own and works under any executor.

mod connect;
mod stream;
mod transport;

pub use self::connect::connect;
pub use self::transport::{Runtime, Timer, Transport};
pub use crate::adapter::Error;

use futures_io::{AsyncRead, AsyncWrite};

use crate::driver;

/// A WebSocket connection on a stream of `futures-io`.
pub type WebSocket<S> = driver::WebSocket<Transport<S>>;

/// The receiving half of a split connection.
pub type Receiver<S> = driver::Receiver<Transport<S>>;

/// The sending half of a split connection.
pub type Sender<S> = driver::Sender<Transport<S>>;

/// Reads one message of any size; it is an [`AsyncRead`].
pub type MessageReader<'c, S> = driver::MessageReader<'c, Transport<S>>;

/// Writes one message of any size; it is an [`AsyncWrite`].
pub type MessageWriter<'c, S> = driver::MessageWriter<'c, Transport<S>>;

/// Accepts connections as a server.
pub type Acceptor = driver::Acceptor<Runtime>;

/// An opening handshake on the server's side that has begun.
pub type Accepting<S> = driver::Accepting<Transport<S>>;

/// Opens connections as a client.
pub type Connector = driver::Connector<Runtime>;

/// An opening handshake on the client's side that has begun.
pub type Connecting<S> = driver::Connecting<Transport<S>>;

/// Accepts a connection as a server, with the defaults: see [`Acceptor`].
///
/// # Errors
///
/// As [`Acceptor::accept`](driver::Acceptor::accept).
///
/// # Cancel safety
///
/// Dropping the future drops the stream.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<WebSocket<S>, Error> {
    Acceptor::default().accept(stream).await
}
