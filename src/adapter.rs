//! What the adapters share: what can go wrong, the way from bytes to messages, and how a connection ended.

use alloc::sync::Arc;
use std::sync::LazyLock;

use crate::assembler::Assembler;
use crate::config::Config;
use crate::connection::Connection;
#[cfg(feature = "deflate")]
use crate::frame::Rsv;
use crate::handshake::Response;

mod ending;
mod error;
mod inbox;

pub(crate) use self::ending::ending;
pub use self::error::Error;
pub(crate) use self::inbox::{Inbox, Mode, Partial, Ready};

/// The default configuration, which all connections that are made with it share.
pub(crate) fn defaults() -> Arc<Config> {
    static DEFAULTS: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);
    DEFAULTS.clone()
}

/// Lets a connection do what the opening handshake agreed on; gives the assembler for it.
#[cfg(feature = "deflate")]
pub(crate) fn assembler(connection: &mut Connection, response: Option<&Response>) -> Assembler {
    let mut assembler = connection.assembler();
    if let Some(agreement) = response.and_then(Response::deflate) {
        connection.extend(Rsv::RSV1, agreement.encoder());
        assembler.extend(agreement.decoder());
    }
    assembler
}

/// The assembler for a connection. There is no extension that an opening handshake could have agreed on.
#[cfg(not(feature = "deflate"))]
pub(crate) fn assembler(connection: &mut Connection, _: Option<&Response>) -> Assembler {
    connection.assembler()
}
