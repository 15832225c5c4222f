//! permessage-deflate (RFC 7692): messages that are compressed on the wire, with the feature `deflate`.
//!
//! Off unless you say otherwise, for the feature alone changes nothing. A server that compresses with clients that can:
//!
//! ```no_run
//! use std::net::TcpListener;
//! use sockeye::blocking::Acceptor;   // or that of `sockeye::tokio` or `sockeye::futures`
//! use sockeye::deflate::Deflate;
//!
//! let acceptor = Acceptor::default().with_deflate(Deflate::default());
//! let (stream, _) = TcpListener::bind("127.0.0.1:0")?.accept()?;
//! let mut socket = acceptor.accept(stream)?;
//! while let Some(message) = socket.receive()? {
//!     socket.send(&message)?;   // compressed, if it is long enough
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A client's `Connector` has the same, and [`ClientRequest::deflate`](crate::handshake::ClientRequest::deflate) is for one
//! request. What was agreed on the connection's `deflate()` tells, and the [`Response`](crate::handshake::Response::deflate).
//! Everything that sends and receives does the rest: whole messages, lent ones, chunks, streams in flat memory, prepared
//! messages. Where the opening handshake is somebody else's:
//!
//! | what there is | what negotiates | what compresses |
//! |---|---|---|
//! | an HTTP/1.1 request or response | [`Request::upgrade`](crate::handshake::Request::upgrade), [`ClientRequest::verify`](crate::handshake::ClientRequest::verify) | the [`Agreement`] of their `Response` |
//! | only `Sec-WebSocket-Extensions` (HTTP/2, HTTP/3) | [`Deflate::answer`]; [`Deflate::offers`] and [`Deflate::confirm`] | the [`Agreement`] that these give |
//! | what a server has answered already | [`Deflate::agreed`] | that [`Agreement`] |
//!
//! Give a connection that was resumed what [`Agreement::encoder`] and [`decoder`](Agreement::decoder) make, with its `extend`.
//!
//! # What must not be compressed
//!
//! Compressed data tells by its length what repeats in it. Where an attacker can have text of his own compressed together
//! with a secret, and sees how long the result is, he can guess the secret bit by bit, though all is encrypted (CRIME,
//! BREACH; RFC 7692 §8). *Together* means in one message, or in any two of a connection that keeps its context. Send such a
//! message as [`Uncompressed`](crate::Uncompressed), or leave compression off; of one in
//! fragments the first one decides. The memory of compressors is used again and not
//! wiped: text that was compressed stays in the process until it is overwritten.
//!
//! # What it costs
//!
//! A connection keeps what its next message may refer to, and nothing else: with [`Context::Takeover`] the last 2 to the power of
//! [`window_bits`](Deflate::window_bits) bytes that it sent, and as many of
//! [`peer_window_bits`](Deflate::peer_window_bits) that it received, as far as there were any; with [`Context::NoTakeover`]
//! nothing. `tests/deflate_memory.rs` asserts both. Besides, the two objects on each connection take some 300 bytes.
//!
//! | window bits | 9 | 10 | 11 | 12 | 13 | 14 | 15 |
//! |---|---|---|---|---|---|---|---|
//! | bytes kept each way | 512 | 1,024 | 2,048 | 4,096 | 8,192 | 16,384 | 32,768 |
//!
//! A peer that does not let itself be limited, as a client that does not offer `client_max_window_bits`, makes us keep up to
//! 32 KiB of what it sends. For very many idle connections set both contexts to [`Context::NoTakeover`], which a server may
//! answer to any offer, and a [`threshold`](Deflate::threshold) of 256; or windows of 9 bits and
//! [`PeerLimits::Demanded`]. A message for many, a [`PreparedMessage`](crate::PreparedMessage), is compressed once for all of
//! them only without context takeover.
//!
//! What compresses and inflates belongs to the process, which makes one when a message needs it and keeps 32 of each at most
//! ([`keep_compressors`]). A decompressor takes up to 144 KiB. A compressor takes, in bytes, by window bits and memory level:
//!
//! | 9, 1 | 11, 3 | 12, 5 (default) | 12, 8 | 15, 5 | 15, 8 | 15, 9 |
//! |---|---|---|---|---|---|---|
//! | 137,344 | 146,176 | 165,120 | 265,472 | 279,808 | 380,160 | 494,848 |
//!
//! In time and on the wire, for JSON messages of 434 bytes in the mean (of a feed that is not in the repository), with a window of 12 bits and memory level 5 (two noisy
//! cores). *Warm* is a connection whose compressor is there still, *cold* one whose others had in the meantime, *alone* one without
//! context takeover:
//!
//! | level | on the wire | warm | cold | inflate | on the wire, alone | alone |
//! |---|---|---|---|---|---|---|
//! | 1 (default) | 38 % | 1.9 µs | 10 µs | 1.3 µs | 61 % | 5 µs |
//! | 3 | 30 % | 8 µs | 14 µs | 2.0 µs | 50 % | 13 µs |
//! | 6 | 28 % | 9 µs | 14 µs | 2.0 µs | 50 % | 13 µs |
//! | 9 | 27 % | 15 µs | 23 µs | 2.0 µs | 50 % | 25 µs |
//!
//! Level 1 saves most of what can be saved in a fifth of the time. A window of 11 bits instead of 12 adds 3 to 7 percentage
//! points, one of 15 takes off 3 to 8, and costs eight times the memory and, cold, four times the time. The memory level hardly
//! matters from 3 on. Without context takeover a message of less than some 250 bytes is hardly worth it: set [`threshold`](Deflate::threshold).
//! Get your own figures, on your own messages: `cargo run --release --features deflate --example deflate_table -- FILE`.
//!
//! # What is accepted
//!
//! Offers are answered by RFC 7692 §7.1, in the client's order; one with an unknown, repeated or wrong parameter is passed
//! over. A client fails the handshake on a wrong answer. While messages come in, the limit on messages holds at each step of
//! 64 KiB that is inflated: a bomb is cut off with 1009. Who receives chunks, or reads from a message piece by piece, has no such
//! limit: he counts himself, or sets a [ratio](Deflate::max_ratio), which is looked at every 64 KiB. Text is checked at each
//! step, too; data that is corrupt, breaks off, or refers to what was never sent fails with 1007. Final blocks, which some
//! senders end their messages with, are read as RFC 7692 §7.2.3.4 has it, but not any number of them (1008).
//!
//! While it is gathered, a message holds at most the limit, one step and the decompressor; and, where the allocator has to move
//! what grows, for that moment the old place and the new one, as any message does that arrives in pieces.

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
