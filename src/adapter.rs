//! What the adapters share: what can go wrong, the way from bytes to messages, and how a connection ended.

use alloc::sync::Arc;
use std::sync::LazyLock;

use crate::config::Config;

mod ending;
mod error;
mod inbox;

pub(crate) use self::ending::ending;
pub use self::error::Error;
pub(crate) use self::inbox::{Inbox, Mode, Ready};

/// The default configuration, which all connections that are made with it share.
pub(crate) fn defaults() -> Arc<Config> {
    static DEFAULTS: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);
    DEFAULTS.clone()
}
