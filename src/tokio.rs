//! The adapter for [tokio](https://tokio.rs): WebSocket connections on anything that is `AsyncRead + AsyncWrite`.
//!
//! A server in ten lines, which echoes what it gets:
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         tokio::spawn(async move {
//!             let mut socket = sockeye::tokio::accept(stream).await?;
//!             while let Some(message) = socket.receive().await? {
//!                 socket.send(message).await?;
//!             }
//!             Ok::<_, sockeye::tokio::Error>(())
//!         });
//!     }
//! }
//! ```
//!
//! and a client:
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), sockeye::tokio::Error> {
//!     let mut socket = sockeye::tokio::connect("ws://127.0.0.1:9001/").await?;
//!     socket.send("hello").await?;
//!     println!("{:?}", socket.receive().await?);
//!     socket.close(sockeye::Close::normal()).await?;
//!     while socket.receive().await?.is_some() {} // what was on its way, until the server has closed, too
//!     Ok(())
//! }
//! ```
//!
//! A server that limits who comes in, and stops without hurting anybody, is a [`Server`].
//!
//! # Several sources in one task
//!
//! Every future here is cancel-safe, so one task can wait for the peer and for something else:
//!
//! ```no_run
//! # async fn run(stream: tokio::net::TcpStream, mut news: tokio::sync::mpsc::Receiver<String>) -> Result<(), sockeye::tokio::Error> {
//! let mut socket = sockeye::tokio::accept(stream).await?;
//! loop {
//!     tokio::select! {
//!         received = socket.receive() => match received? {
//!             Some(message) => println!("{message:?}"),
//!             None => return Ok(()),
//!         },
//!         Some(text) = news.recv() => match socket.send(text).await {
//!             Err(error) if error.is_closed() => {} // the peer has closed: the next receive tells
//!             sent => sent?,
//!         },
//!     }
//! }
//! # }
//! ```
//!
//! # Everything else
//!
//! The types are those of [`driver`], on tokio's streams and timers; its page tells what holds for all of
//! them. The runtime's time driver must be enabled (`#[tokio::main]` does that), or the first deadline panics; make connections
//! inside of the runtime. [`Sender::try_send`](crate::driver::Sender::try_send) can then be called from any thread.

mod connect;
mod server;
mod stream;
mod transport;

pub use self::connect::connect;
pub use self::server::{Server, ServerHandle};
pub use self::transport::{Runtime, Timer, Transport};
pub use crate::adapter::Error;

use ::tokio::io::{AsyncRead, AsyncWrite};

use crate::driver;

/// A WebSocket connection on a stream of tokio.
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
///
/// ```no_run
/// # async fn run() -> Result<(), sockeye::Error> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// let (stream, _) = listener.accept().await?;
/// let mut socket = sockeye::tokio::accept(stream).await?;
/// socket.send("welcome").await?;
/// # Ok(())
/// # }
/// ```
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<WebSocket<S>, Error> {
    Acceptor::default().accept(stream).await
}
