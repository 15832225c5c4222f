//! permessage-deflate (RFC 7692): messages that are compressed on the wire.
mod agreement;
mod compressor;
mod decompressor;
mod pool;
mod settings;
mod window;

pub use self::agreement::Agreement;
pub(crate) use self::agreement::Direction;
pub use self::settings::{Context, Deflate, Demand, Level, MemoryLevel, OutOfRange, PeerLimits, WindowBits};

/// The name of the extension.
pub(crate) const NAME: &str = "permessage-deflate";
