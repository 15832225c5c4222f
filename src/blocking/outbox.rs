//! Writing what the engine wants written.

use std::io::{self, ErrorKind, Write};

use super::inbox::Engine;

/// Writes all of the output; what a stream that does not block leaves over stays, and is next. What a broken stream
/// leaves over is dropped: it will never be written.
pub(super) fn write_out(output: &mut Vec<u8>, stream: &mut impl Write) -> io::Result<()> {
    let mut written = 0;
    let result = loop {
        match output.get(written..) {
            None | Some([]) => break stream.flush(),
            Some(rest) => match stream.write(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => break Err(ErrorKind::WouldBlock.into()),
                Err(error) => {
                    if error.kind() != ErrorKind::WouldBlock {
                        written = output.len();
                    }
                    break Err(error);
                }
            },
        }
    };
    output.drain(..written);
    if output.is_empty() && output.capacity() > KEPT {
        *output = Vec::new();
    }
    result
}

/// Whether so much is queued that it has to be written before `more` bytes are taken.
pub(super) fn is_full(engine: &Engine, more: usize) -> bool {
    !engine.output.is_empty() && engine.output.len().saturating_add(more) > HIGH_WATER
}

/// Bytes of output that may gather before they are written.
const HIGH_WATER: usize = 64 * 1024;

/// The largest output buffer that is kept, in bytes.
const KEPT: usize = 64 * 1024;
