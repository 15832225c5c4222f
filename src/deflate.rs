//! permessage-deflate (RFC 7692): messages that are compressed on the wire, with the feature `deflate`.
//!
//! Off unless you say otherwise, for the feature alone changes nothing. A server that compresses with clients that can:
//!
//! ```no_run
//! use std::net::TcpListener;
//! use sockeye::blocking::Acceptor;   // or that of `sockeye::tokio` or `sockeye::futures`
//! use sockeye::deflate::Deflate;
//!
//! let mut acceptor = Acceptor::default();
//! acceptor.handshake.deflate = Some(Deflate::default());
//! let (stream, _) = TcpListener::bind("127.0.0.1:0")?.accept()?;
//! let mut socket = acceptor.accept(stream)?;
//! while let Some(message) = socket.receive()? {
//!     socket.send(&message)?;   // compressed, if it is long enough
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A client has the same field in its `Connector`, or [`ClientRequest::deflate`](crate::handshake::ClientRequest::deflate) for
//! one request. What was agreed on is in the [`Response`](crate::handshake::Response::deflate). Everything that sends and
//! receives does the rest: whole messages, lent ones, chunks, streams in flat memory, prepared messages. Who drives the engine
//! gives it what [`Agreement`] makes.
//!
//! # What must not be compressed
//!
//! Compressed data tells by its length what repeats in it. Where an attacker can have text of his own compressed together
//! with a secret, and sees how long the result is, he can guess the secret bit by bit, though all is encrypted (CRIME,
//! BREACH; RFC 7692 §8). *Together* means in one message, or in any two of a connection that keeps its context. Send such a
//! message as [`Uncompressed`](crate::Uncompressed), or leave compression off. The memory of compressors is used again and not
//! wiped: text that was compressed stays in the process until it is overwritten.
//!
//! # What it costs
//!
//! A compressor takes TABLE.
//!
//! # What is accepted
//!
//! Offers are answered by RFC 7692 §7.1, in the client's order; one with an unknown, repeated or wrong parameter is passed
//! over. A client fails the handshake on a wrong answer. While messages come in, the limit on messages holds at each step of
//! 16 KiB that is inflated, and text is checked at each: a bomb is cut off with 1009, data that is corrupt, breaks off, or
//! refers to what was never sent with 1007. Final blocks, which some senders end their messages with, are read as RFC 7692
//! §7.2.3.4 has it, but not any number of them (1008). An optional [ratio](Deflate::max_ratio) bounds what a short message may
//! expand to.

mod agreement;
mod compressor;
mod decompressor;
mod pool;
mod settings;
mod window;

pub use self::agreement::Agreement;
pub(crate) use self::agreement::Direction;
pub use self::pool::keep_compressors;
pub use self::settings::{Context, Deflate, Demand, Level, MemoryLevel, OutOfRange, PeerLimits, WindowBits};

/// The name of the extension.
pub(crate) const NAME: &str = "permessage-deflate";
