//! WebSocket (RFC 6455) as a sans-IO engine with thin adapters.
#![cfg_attr(not(feature = "std"), no_std)]
extern crate alloc;

pub mod handshake;
mod time;
pub use crate::time::Instant;
