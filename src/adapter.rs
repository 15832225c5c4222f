//! What the adapters share: what can go wrong, the way from bytes to messages, and how a connection ended.

mod ending;
mod error;
mod inbox;

pub(crate) use self::ending::ending;
pub use self::error::Error;
pub(crate) use self::inbox::{Inbox, Mode, Ready};
