//! SIGINT and SIGTERM as a stream that becomes readable.

use std::io;
use std::os::unix::net::UnixStream;

/// Arranges that the stream gets a byte when the process is asked to stop.
pub(crate) fn install() -> io::Result<UnixStream> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let (stop, signalled) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGINT, signalled.try_clone()?)?;
    signal_hook::low_level::pipe::register(SIGTERM, signalled)?;
    Ok(stop)
}
