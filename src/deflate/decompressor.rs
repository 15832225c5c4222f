//! What we receive (RFC 7692 §7.2.2).

use alloc::boxed::Box;
use core::fmt;
use core::mem;
use core::num::NonZeroU32;

use zlib_rs::{InflateFlush, Status};

use super::pool::{self, Inflater, Owner};
use super::settings::{Context, WindowBits};
use super::window::Window;
use crate::close::CloseCode;
use crate::extension::{Decoded, Decoder, ExtensionError, Fin};

/// Inflates messages, a step at a time.
pub(super) struct Decompressor {
    context: Context,
    max_ratio: Option<NonZeroU32>,
    owner: Owner,
    /// What the messages so far ended with, if the next one may refer to that. While a message is being inflated, its
    /// inflater has it.
    window: Window,
    /// There while a message is being inflated, or lent.
    inflater: Option<Box<Inflater>>,
    message: Message,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    /// Bytes of it that were taken and given.
    taken: u64,
    given: u64,
    /// Bytes of the tail that were put behind it.
    tail: usize,
    /// Final blocks in it.
    finals: u64,
    /// Whether a final block was the last thing in it so far.
    is_final: bool,
    is_over: bool,
}

impl Decompressor {
    pub(super) fn new(window_bits: WindowBits, context: Context, max_ratio: Option<NonZeroU32>) -> Self {
        Self {
            context,
            max_ratio,
            owner: Owner::new(),
            window: Window::new(window_bits.size()),
            inflater: None,
            message: Message::default(),
        }
    }

    /// Takes a decompressor that knows the messages so far.
    fn begin(&mut self) -> Result<Box<Inflater>, ExtensionError> {
        let mut inflater = pool::take_decompressor(self.owner);
        if self.context == Context::Takeover {
            mem::swap(&mut inflater.window, &mut self.window);
        }
        inflater.refer()?;
        Ok(inflater)
    }
}

impl Decoder for Decompressor {
    fn decode(&mut self, input: &mut &[u8], fin: Fin, room: usize) -> Result<Decoded<'_>, ExtensionError> {
        if self.message.is_over {
            self.release();
        }
        if self.inflater.is_none() {
            self.inflater = Some(self.begin()?);
        }
        let Some(inflater) = &mut self.inflater else { return Err(CORRUPT) };
        let message = &mut self.message;
        let room = room.min(inflater.room());
        let mut len = 0;
        loop {
            // A final block ends nothing but itself: what follows may refer to what came before it.
            if message.is_final && !input.is_empty() {
                message.is_final = false;
                inflater.inflate.reset(false);
                inflater.refer()?;
            }
            let is_tail = input.is_empty() && fin == Fin::Last && !message.is_final;
            // §7.2.2: the tail of the empty block that ended the message was not sent.
            let source = if is_tail { &TAIL[message.tail..] } else { *input };
            let Step { taken, given, is_end } = inflater.step(source, len, room)?;
            if is_tail {
                message.tail += taken;
            } else {
                *input = &input[taken..];
                message.taken += taken as u64;
            }
            message.given += given as u64;
            message.finals += u64::from(is_end && !message.is_final);
            message.is_final |= is_end;
            len += given;
            message.check(self.max_ratio)?;
            if is_tail && is_end {
                return Err(CORRUPT);
            }
            if len == room && !is_end {
                return Ok(Decoded::More(inflater.lend(len)));
            }
            if taken < source.len() {
                // Only a full output or a final block can have stopped it.
                if !is_end {
                    return Err(CORRUPT);
                }
                continue;
            }
            match fin {
                Fin::More => return Ok(Decoded::All(inflater.lend(len))),
                Fin::Last if is_tail && !inflater.is_between_blocks() => return Err(CORRUPT),
                Fin::Last if is_tail || message.is_final => {
                    message.is_over = true;
                    return Ok(Decoded::All(inflater.lend(len)));
                }
                Fin::Last => {}
            }
        }
    }

    fn release(&mut self) {
        if !self.message.is_over {
            return;
        }
        self.message = Message::default();
        if let Some(mut inflater) = self.inflater.take() {
            if self.context == Context::Takeover {
                mem::swap(&mut inflater.window, &mut self.window);
            }
            pool::give_decompressor(self.owner, inflater);
        }
    }
}

impl Message {
    /// Sees to it that the time spent on a message is in proportion to its length.
    fn check(&self, max_ratio: Option<NonZeroU32>) -> Result<(), ExtensionError> {
        // Each costs as much as some thousand bytes, and hardly anybody sends one.
        if self.finals > FINALS + self.taken / BYTES_PER_FINAL {
            return Err(TOO_MANY_FINALS);
        }
        match max_ratio {
            Some(max) if self.given > RATIO_FROM && self.given / u64::from(max.get()) > self.taken => Err(TOO_DENSE),
            Some(_) | None => Ok(()),
        }
    }
}

/// What a step came to.
struct Step {
    taken: usize,
    given: usize,
    /// Whether a final block ended.
    is_end: bool,
}

impl Inflater {
    /// Lets what comes refer to what is in the window.
    fn refer(&mut self) -> Result<(), ExtensionError> {
        for part in self.window.parts().into_iter().filter(|part| !part.is_empty()) {
            self.inflate.set_dictionary(part).map_err(|_| CORRUPT)?;
        }
        Ok(())
    }

    /// The most that can be lent at once.
    fn room(&self) -> usize {
        self.output.len() - 1
    }

    /// Inflates from `source` to what is between these two places of the output.
    fn step(&mut self, source: &[u8], from: usize, to: usize) -> Result<Step, ExtensionError> {
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(source, &mut self.output[from..to], InflateFlush::SyncFlush);
        let taken = usize::try_from(self.inflate.total_in() - taken).map_err(|_| CORRUPT)?;
        let given = usize::try_from(self.inflate.total_out() - given).map_err(|_| CORRUPT)?;
        let is_end = match status {
            Ok(Status::Ok | Status::BufError) => false,
            Ok(Status::StreamEnd) => true,
            Err(_) => return Err(CORRUPT),
        };
        self.window.push(&self.output[from..from + given]);
        Ok(Step { taken, given, is_end })
    }

    /// Whether nothing has begun that did not end: then a last, empty block fits behind it. Nothing else does after this.
    fn is_between_blocks(&mut self) -> bool {
        let at = self.room();
        self.step(&EMPTY_FINAL_BLOCK, at, at + 1).is_ok_and(|step| step.is_end && step.given == 0)
    }

    fn lend(&self, len: usize) -> &[u8] {
        &self.output[..len]
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("context", &self.context).finish_non_exhaustive()
    }
}

/// §7.2.2: what is put behind a message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A final block without compression and without content.
const EMPTY_FINAL_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// How many final blocks a message may have, and for how many of its bytes one more.
const FINALS: u64 = 64;
const BYTES_PER_FINAL: u64 = 64;

/// From how many bytes on the ratio counts.
const RATIO_FROM: u64 = 64 * 1024;

const CORRUPT: ExtensionError = ExtensionError::new("the compressed data is corrupt", CloseCode::INVALID_PAYLOAD);
const TOO_MANY_FINALS: ExtensionError =
    ExtensionError::new("the compressed data has too many final blocks", CloseCode::POLICY_VIOLATION);
const TOO_DENSE: ExtensionError =
    ExtensionError::new("the message is too much longer than its compressed form", CloseCode::MESSAGE_TOO_BIG);
