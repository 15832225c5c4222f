//! WebSocket (RFC 6455) as a sans-IO engine with thin adapters.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

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
mod utf8;

pub use crate::assembler::{Assembler, Assembly};
pub use crate::close::{Close, CloseCode, CloseCodeClass};
pub use crate::connection::{
    Config, Connection, Counters, EndCause, Event, MaskingKeys, MaskingPolicy, Received, Receiver, Receiving, Reply,
    Role, Sender, State, Teardown,
};
pub use crate::control::ControlPayload;
pub use crate::error::{ProtocolError, SendError};
pub use crate::extension::{Decoded, Decoder, Encoder, ExtensionError, Fin};
pub use crate::frame::{FrameHead, FrameHeader, OpCode, Rsv};
pub use crate::mask::mask;
pub use crate::message::{Chunk, Message, MessageKind, MessageRef, Payload};
pub use crate::prepared::PreparedMessage;
pub use crate::time::{Instant, Timeout};
