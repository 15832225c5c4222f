//! WebSocket (RFC 6455) as a sans-IO engine with thin adapters.
#![cfg_attr(not(feature = "std"), no_std)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod blocking;
pub mod handshake;

mod assembler;
mod close;
mod connection;
mod control;
mod error;
mod extension;
mod frame;
mod mask;
mod message;
mod prepared;
mod time;
#[cfg(feature = "std")]
mod uri;
mod utf8;

pub use crate::assembler::{Assembler, Assembly};
pub use crate::close::{Close, CloseCode, CloseCodeClass};
pub use crate::connection::{
    Config, Connection, Counters, EndCause, Event, MaskingKeys, MaskingPolicy, Next, Received, Receiver, Receiving,
    Reply, Role, Sender, State, Teardown,
};
pub use crate::control::ControlPayload;
pub use crate::error::{ProtocolError, SendError};
pub use crate::extension::{Decoded, Decoder, Encoder, ExtensionError, Fin};
pub use crate::frame::{FrameHead, FrameHeader, OpCode, Rsv};
pub use crate::mask::mask;
pub use crate::message::{Chunk, Message, MessageKind, MessageRef, Payload};
pub use crate::prepared::PreparedMessage;
pub use crate::time::{Instant, Timeout};
#[cfg(feature = "std")]
pub use crate::uri::{UriError, WsUri};
