//! WebSocket (RFC 6455) for Rust: a protocol engine that knows nothing of sockets, clocks or runtimes, and thin adapters
//! that put it on a transport.
//!
//! A WebSocket is a persistent, stateful, full-duplex connection. One HTTP handshake opens it; then client and server push
//! messages whenever they like, and it stays open until either side chooses to close.
//!
//! # Which part do you need?
//!
//! | you have | take |
//! |---|---|
//! | a URL to connect to | [`client`]: TLS, proxies, redirects, reconnecting; on tokio or on threads |
//! | tokio | [`tokio`]: a server in ten lines |
//! | smol, async-std, `futures-io` | [`futures`] |
//! | threads and blocking streams | [`blocking`]: a server in ten lines, too |
//! | another runtime | [`driver`] |
//! | an event loop, a runtime, a transport of your own | the engine: [`Connection`] and [`handshake`] |
//! | a framework that has parsed the HTTP request | [`handshake::Request`], then any of these |
//! | a chat, prices, presence: one message to many | [`pubsub`]: topics, slow clients, history; on one machine or many |
//!
//! # The boundary
//!
//! The engine owns no buffer. It is lent the bytes that were read, decodes them in place, and appends what it wants
//! written to a buffer of its caller's:
//!
//! ```text
//!            read(2)                  ┌──────────────────────────────┐
//!  socket ───────────▶ input ────────▶│ receive ──▶ Event            │──▶ messages, lent from
//!                      (yours)        │               │ pong, Close   │    the input
//!                                     │               ▼              │
//!  socket ◀─────────── output ◀───────│ output ◀── send, close, ...  │◀── messages
//!           write(2)   (yours)        │ handle_timeout ◀── the time  │
//!                                     └──────────── Connection ──────┘
//! ```
//!
//! An event borrows the *input*, never the connection, so an answer can be sent from inside the loop. Everything that
//! is fed is consumed: one read buffer can serve all connections of a thread, and an idle connection owns none. A read buffer
//! of 16 KiB stays in the cache next to the core.
//!
//! # The loop
//!
//! ```
//! use sockeye::{Assembler, Config, Connection, Instant, ProtocolError, Received, Teardown};
//!
//! /// What is done whenever bytes were read, or a deadline came. `output` is written afterwards.
//! fn turn(
//!     connection: &mut Connection,
//!     assembler: &mut Assembler,
//!     mut input: &mut [u8],
//!     output: &mut Vec<u8>,
//!     now: Instant,
//! ) -> Result<Teardown, ProtocolError> {
//!     let received = loop {
//!         match connection.receive_message(&mut input, assembler, output) {
//!             Ok(Some(Received::Message(message))) => {
//!                 // An echo. Once we have closed there is nothing to send it on.
//!                 let _ = connection.send(message, output);
//!             }
//!             Ok(Some(Received::Ping(_) | Received::Pong(_) | Received::Close(_))) => {}   // answered already
//!             Ok(None) => break Ok(()),                                                    // read more
//!             Err(error) => break Err(error),   // the Close that tells the peer is in `output`
//!         }
//!     };
//!     connection.handle_timeout(now, output);   // again at `connection.poll_timeout()`
//!     received.map(|()| connection.teardown())
//! }
//!
//! let mut connection = Connection::server(Config::default());
//! let mut assembler = connection.assembler();
//! let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";   // "Hello", from a client (RFC 6455 §5.7)
//! let mut output = Vec::new();
//! let teardown = turn(&mut connection, &mut assembler, &mut read, &mut output, Instant::default())?;
//! assert_eq!((&output[..], teardown), (&b"\x81\x05Hello"[..], Teardown::Keep));
//! # Ok::<(), ProtocolError>(())
//! ```
//!
//! The example `sans_io` is this loop on a socket, with the handshake in front and the teardown behind.
//!
//! # What is guaranteed
//!
//! - **Strict.** What RFC 6455 forbids is refused, with the close code that it demands, at the first byte that makes it
//!   wrong; what came before it is delivered first. A text message is `&str` or `String`, never bytes.
//! - **Bounded.** No input makes the engine panic, loop without progress, or hold more than the limits of its [`Config`]:
//!   memory follows the bytes received, never a length field.
//! - **Resumable.** Input may be cut anywhere and gives the same events. Nothing is kept on the stack between calls, so
//!   there is nothing to lose by stopping.
//! - **Honest about the end.** A normal close is not an error. [`Connection::end_cause`] says who or what ended the
//!   connection, [`Connection::teardown`] what is left to do with the transport, and in which order.
//! - **Cancel-safe.** A future of the asynchronous adapters can be dropped at any time; nothing is lost, doubled or out of
//!   frame by it.
//! - **Errors by culprit.** [`ProtocolError`] is the peer's doing, [`SendError`] the caller's.
//! - **Seven calls that are `unsafe`** in this crate: three of masking that is compiled for AVX2, where the processor has it, and four
//!   from bytes that were checked to a text. Without the feature `std` there are two, of [`SharedText`].
//!
//! # Features
//!
//! `tokio`, `futures`: the adapters of these names. `driver`: what they have in common, for another runtime. `deflate`:
//! permessage-deflate (RFC 7692) on all of them, off until it is asked for. `test-kit`: a pair of connections in memory, a clock
//! and faults, to test an application with.
//!
//! `pubsub`: topics and subscribers, for any of the asynchronous adapters; brings `tokio`. `redis`, `nats`: its hubs on several
//! machines joined by Redis or Valkey, or by NATS.
//!
//! `client`: the client that is given a URL. `rustls` is TLS for it, with ring and the operating system's list of whom to trust; the
//! parts are `rustls-ring`, `rustls-aws-lc` or `rustls-no-provider`, with `platform-verifier` or `webpki-roots`. Or `native-tls`.
//!
//! `std` (default): the [`blocking`] adapter, `ws:` addresses, and masking keys and nonces from the thread's CSPRNG.
//! Without it the crate is `no_std` with `alloc`; give [`Connection::client_with_keys`] and
//! [`handshake::ClientRequest::with_key`] your own randomness.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;

#[cfg(feature = "std")]
mod adapter;
#[cfg(feature = "std")]
pub mod blocking;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(feature = "driver")]
pub mod driver;
#[cfg(feature = "futures")]
pub mod futures;
pub mod handshake;
#[cfg(feature = "pubsub")]
pub mod pubsub;
#[cfg(feature = "test-kit")]
pub mod test_kit;
#[cfg(feature = "tokio")]
pub mod tokio;

mod assembler;
mod close;
mod config;
mod connection;
mod control;
mod copy;
mod error;
mod extension;
mod frame;
mod mask;
mod message;
mod outgoing;
mod prepared;
mod text;
mod time;
#[cfg(feature = "std")]
mod uri;
mod utf8;

#[cfg(feature = "std")]
pub use crate::adapter::Error;
pub use crate::assembler::{Assembler, Assembly};
pub use crate::close::{Close, CloseCode, CloseCodeClass};
pub use crate::config::{Config, MaskingPolicy, Role};
pub use crate::connection::{
    Connection, Counters, EndCause, Event, MaskingKeys, Next, Received, Receiver, Receiving, Reply, Sender, State,
    Teardown,
};
pub use crate::control::ControlPayload;
pub use crate::error::{ProtocolError, SendError};
pub use crate::extension::{Decoded, Decoder, Encoder, ExtensionError, Fin, Variant};
pub use crate::frame::{FrameHead, FrameHeader, OpCode, Rsv};
pub use crate::mask::mask;
pub use crate::message::{Chunk, Message, MessageKind, MessageRef, Payload, SharedMessage};
pub use crate::outgoing::{OutgoingKind, OutgoingRef, Uncompressed};
pub use crate::prepared::PreparedMessage;
pub use crate::text::SharedText;
pub use crate::time::{Instant, Timeout};
#[cfg(feature = "std")]
pub use crate::uri::{UriError, WsUri};

/// The README's programs, so that they compile.
#[cfg(all(doctest, feature = "client", feature = "deflate", feature = "pubsub"))]
#[doc = include_str!("../README.md")]
struct Readme;
