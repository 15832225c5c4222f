//! Writing what the engine wants written.

use std::io::{self, ErrorKind, IoSlice, Write};

use super::engine::Engine;

/// How far the writing to a stream has come, beyond the output that still waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outbox {
    /// Whether the stream took bytes that it was not yet asked to flush with success.
    is_unflushed: bool,
    /// What broke the stream. A frame may have broken off, so nothing may follow it.
    failure: Option<ErrorKind>,
}

impl Outbox {
    /// Writes all of the output, and lets the stream flush it; what a stream that does not block leaves over stays, and
    /// is next. What a broken stream leaves over is dropped: it will never be written, and each later call says so.
    pub(super) fn write(&mut self, output: &mut Vec<u8>, stream: &mut impl Write) -> io::Result<()> {
        self.write_with(output, &[], stream)
    }

    /// Writes all of the output, and then a payload that belongs behind it and is not copied; what a stream that does not
    /// block leaves over joins the output.
    pub(super) fn write_with(
        &mut self,
        output: &mut Vec<u8>,
        payload: &[u8],
        stream: &mut impl Write,
    ) -> io::Result<()> {
        let (mut written, len) = (0, output.len() + payload.len());
        let mut result = self.check();
        while result.is_ok() && written < len {
            let (rest, rest_of_payload) = rest(output, payload, written);
            let wrote = match (rest, rest_of_payload) {
                (rest, []) | ([], rest) => stream.write(rest),
                (rest, payload) => stream.write_vectored(&[IoSlice::new(rest), IoSlice::new(payload)]),
            };
            match wrote {
                Ok(0) => result = Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    // No more than there was, whatever the stream says.
                    written = len.min(written + n);
                    self.is_unflushed = true;
                }
                Err(error) => result = retry(error),
            }
        }
        while result.is_ok() && self.is_unflushed {
            match stream.flush() {
                Ok(()) => self.is_unflushed = false,
                Err(error) => result = retry(error),
            }
        }
        match &result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let of_output = written.min(output.len());
                output.extend_from_slice(&payload[written - of_output..]);
                output.drain(..of_output);
            }
            Err(error) => {
                output.clear();
                self.fail(error.kind());
            }
            Ok(()) => output.clear(),
        }
        if output.is_empty() && output.capacity() > KEPT {
            *output = Vec::new();
        }
        result
    }

    /// Takes note that the stream is broken.
    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.failure.get_or_insert(kind);
    }

    /// Says what broke the stream, if something did.
    pub(super) fn check(&self) -> io::Result<()> {
        self.failure.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Whether there is nothing to write and nothing to flush.
    pub(super) fn is_done(&self, output: &[u8]) -> bool {
        output.is_empty() && !self.is_unflushed
    }
}

/// What is left of the output, and of the payload behind it, once so many bytes are written.
fn rest<'a>(output: &'a [u8], payload: &'a [u8], written: usize) -> (&'a [u8], &'a [u8]) {
    let of_output = written.min(output.len());
    (&output[of_output..], &payload[written - of_output..])
}

/// What an error of the stream means: `Ok` to try again, `WouldBlock` where the call can be repeated later.
fn retry(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        // What a write timeout gives on some systems.
        ErrorKind::TimedOut => Err(ErrorKind::WouldBlock.into()),
        _ => Err(error),
    }
}

/// Whether so much is queued that it has to be written before `more` bytes are taken.
pub(super) fn is_full(engine: &Engine, more: usize) -> bool {
    let high_water_mark = engine.connection.config().high_water_mark;
    !engine.output.is_empty() && engine.output.len().saturating_add(more) > high_water_mark
}

/// The largest output buffer that is kept, in bytes.
const KEPT: usize = 64 * 1024;
