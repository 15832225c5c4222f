//! Measures other WebSocket libraries beside ours, on the same bytes and settings, interleaved, and checked.
//!
//! ```text
//!   main ── compression: the cells ──▶ worker, a process for each library and cell ──▶ Library: ours, yawc, ...
//!        └─ backends: what compresses, without a WebSocket around it
//! ```
//!
//! A library is a file in `libraries` with one `impl` of [`library::Library`]; cells are a file each. Every library works in a
//! process of its own, so that neither its memory nor its caches are mixed with those of others. soketto is a program of its
//! own (`soketto/`), which takes all but its `impl` from here.

mod allocator;
pub mod frame;
pub mod library;
pub mod messages;
pub mod samples;
pub mod wire;
pub mod worker;
pub mod zlib;

#[cfg(feature = "all")]
pub mod backends;
#[cfg(feature = "all")]
pub mod broadcast;
#[cfg(feature = "all")]
pub mod chart;
#[cfg(feature = "all")]
pub mod compression;
#[cfg(feature = "all")]
pub mod curves;
#[cfg(feature = "all")]
pub mod echo;
#[cfg(feature = "all")]
pub mod handshake;
#[cfg(feature = "all")]
pub mod instructions;
#[cfg(feature = "all")]
pub mod libraries;
#[cfg(feature = "all")]
pub mod machine;
#[cfg(feature = "all")]
pub mod memory;
#[cfg(feature = "all")]
pub mod payloads;
#[cfg(feature = "all")]
pub mod process;
#[cfg(feature = "all")]
pub mod receive;
#[cfg(feature = "all")]
pub mod report;
#[cfg(feature = "all")]
pub mod send;
#[cfg(feature = "all")]
pub mod stream;
#[cfg(feature = "all")]
pub mod table;
#[cfg(feature = "all")]
pub mod tcp;
