//! What we send (RFC 7692 §7.2.1).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem;

use zlib_rs::{Deflate, DeflateFlush, Status};

use super::NAME;
use super::pool::{self, Owner, Place, Settings, Taken};
use super::settings::{Context, Level, MemoryLevel, WindowBits};
use super::window::Window;
use crate::close::CloseCode;
use crate::extension::{Encoder, ExtensionError, Fin, Variant};
use crate::message::MessageKind;

/// Compresses messages, each in one flush at its end.
pub(super) struct Compressor {
    settings: Settings,
    context: Context,
    threshold: usize,
    owner: Owner,
    /// Messages so far.
    message: u64,
    /// What they ended with, if the next one may refer to that.
    window: Window,
    /// There while a message is being compressed.
    deflate: Option<Box<Deflate>>,
    /// Whether it holds something back.
    holds: bool,
    /// Whether a message broke off in its middle: the peer does not know what we know any more.
    is_broken: bool,
}

impl Compressor {
    pub(super) fn new(
        level: Level,
        memory_level: MemoryLevel,
        window_bits: WindowBits,
        context: Context,
        threshold: usize,
    ) -> Self {
        Self {
            settings: Settings { level, memory_level, window_bits },
            context,
            threshold,
            owner: Owner::of_compressor(),
            message: 0,
            window: Window::new(window_bits.size()),
            deflate: None,
            holds: false,
            is_broken: false,
        }
    }

    /// Where the compressor that the next message goes on with was left.
    fn place(&self) -> Option<Place> {
        (self.context == Context::Takeover).then_some(Place { owner: self.owner, message: self.message })
    }

    /// Takes a compressor, as it is after the messages so far.
    fn begin(&self) -> Result<Box<Deflate>, ExtensionError> {
        match pool::take_compressor(self.settings, self.owner, self.place()) {
            Taken::Warm(deflate) => Ok(deflate),
            Taken::Cold(mut deflate) => {
                for part in self.window.parts().into_iter().filter(|part| !part.is_empty()) {
                    deflate.set_dictionary(part).map_err(|_| FAILED)?;
                }
                Ok(deflate)
            }
        }
    }

    /// Compresses `piece`, and appends what comes out.
    fn compress(&mut self, piece: &[u8], flush: DeflateFlush, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        if mem::replace(&mut self.is_broken, true) {
            return Err(FAILED);
        }
        let mut deflate = match self.deflate.take() {
            Some(deflate) => deflate,
            None => self.begin()?,
        };
        run(&mut deflate, piece, flush, output)?;
        self.remember(piece);
        (self.deflate, self.is_broken) = (Some(deflate), false);
        Ok(())
    }

    /// Keeps what the next message may refer to.
    fn remember(&mut self, piece: &[u8]) {
        if self.context == Context::Takeover {
            self.window.push(piece);
        }
    }

    /// How a message ends.
    fn last(&self) -> DeflateFlush {
        match self.context {
            Context::Takeover => DeflateFlush::SyncFlush,
            // The same on the wire, but it forgets the message, too: a fifth less than to begin anew.
            Context::NoTakeover => DeflateFlush::FullFlush,
        }
    }

    /// Gives back the compressor of a message that is over.
    fn end(&mut self, deflate: Box<Deflate>) {
        self.message += 1;
        pool::give_compressor(self.settings, self.owner, self.place(), deflate);
    }
}

/// Compresses `piece` and appends what comes out.
fn run(
    deflate: &mut Deflate,
    mut piece: &[u8],
    flush: DeflateFlush,
    output: &mut Vec<u8>,
) -> Result<(), ExtensionError> {
    loop {
        let (before, taken, given) = (output.len(), deflate.total_in(), deflate.total_out());
        // Most text is compressed to less than half; what is more comes out in the next round.
        let room = (piece.len() / 2).clamp(LEAST, MOST);
        output.resize(before + room, 0);
        let status = deflate.compress(piece, &mut output[before..], flush);
        let taken = usize::try_from(deflate.total_in() - taken).unwrap_or(piece.len());
        let given = usize::try_from(deflate.total_out() - given).unwrap_or(room);
        output.truncate(before + given);
        piece = piece.get(taken..).unwrap_or_default();
        match status {
            // Nothing was left to do: the last round came out even.
            Ok(Status::BufError) if piece.is_empty() => return Ok(()),
            Ok(Status::Ok) if piece.is_empty() && given < room => return Ok(()),
            Ok(Status::Ok) if taken > 0 || given > 0 => {}
            Ok(Status::Ok | Status::BufError | Status::StreamEnd) | Err(_) => return Err(FAILED),
        }
    }
}

/// Takes the tail off what ends a message (§7.2.1: the end of the empty block that flushes is not sent).
fn cut_tail(output: &mut Vec<u8>) -> Result<(), ExtensionError> {
    let len = output.len().checked_sub(TAIL.len()).filter(|&len| output[len..] == TAIL).ok_or(FAILED)?;
    output.truncate(len);
    Ok(())
}

impl Encoder for Compressor {
    fn wants(&mut self, _: MessageKind, len: Option<usize>) -> bool {
        len.is_none_or(|len| len >= self.threshold)
    }

    fn encode(&mut self, piece: &[u8], fin: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        match fin {
            Fin::More if piece.is_empty() => {}
            Fin::More => {
                self.compress(piece, DeflateFlush::NoFlush, output)?;
                self.holds = true;
            }
            // §7.2.3.6: what has nothing more in it is an empty block without compression, less its tail.
            Fin::Last if piece.is_empty() && !self.holds => {
                output.push(0);
                // What was flushed before is not forgotten yet.
                if let (Some(deflate), Context::NoTakeover) = (&mut self.deflate, self.context) {
                    deflate.reset();
                }
            }
            Fin::Last => {
                self.compress(piece, self.last(), output)?;
                cut_tail(output)?;
            }
        }
        if fin == Fin::Last {
            self.holds = false;
            if let Some(deflate) = self.deflate.take() {
                self.end(deflate);
            }
        }
        Ok(())
    }

    fn encode_whole(&mut self, message: &[u8], output: &mut Vec<u8>) -> Result<bool, ExtensionError> {
        // With a threshold of 0 everything is compressed, whatever comes of it.
        if self.threshold == 0 || message.is_empty() || self.deflate.is_some() || self.is_broken {
            self.encode(message, Fin::Last, output)?;
            return Ok(true);
        }
        let (start, mut deflate) = (output.len(), self.begin()?);
        run(&mut deflate, message, self.last(), output)?;
        cut_tail(output)?;
        if output.len() - start >= message.len() {
            // The peer will never know of it. To begin anew would not close an open block (zlib-rs 0.6.8, level 1), but here is none.
            if self.context == Context::Takeover {
                deflate.reset();
            }
            pool::give_compressor(self.settings, self.owner, None, deflate);
            return Ok(false);
        }
        self.remember(message);
        self.end(deflate);
        Ok(true)
    }

    fn flush(&mut self, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        if self.holds {
            self.compress(&[], DeflateFlush::SyncFlush, output)?;
            self.holds = false;
        }
        Ok(())
    }

    fn variant(&self) -> Option<Variant> {
        let Settings { level, memory_level, window_bits } = self.settings;
        (self.context == Context::NoTakeover).then(|| {
            let number = u32::from_be_bytes([0, level.get(), memory_level.get(), window_bits.of_zlib()]);
            Variant { extension: NAME, number }
        })
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What every flush ends with.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Room for the output of one round, in bytes: never so little that a flush could break off in its middle.
const LEAST: usize = 64;
const MOST: usize = 16 * 1024;

/// What no input can bring about.
const FAILED: ExtensionError = ExtensionError::new("the compressor failed", CloseCode::INTERNAL_ERROR);
