//! What we receive (RFC 7692 §7.2.2).

use alloc::boxed::Box;
use core::fmt;
use core::mem;
use core::num::NonZeroU32;

use zlib_rs::{InflateFlush, Status};

use super::pool::{self, Inflater, Owner, Place, Taken};
use super::settings::{Context, WindowBits};
use super::window::Window;
use crate::close::CloseCode;
use crate::extension::{Decoded, Decoder, ExtensionError, Fin};

/// Inflates messages, a step at a time.
pub(super) struct Decompressor {
    context: Context,
    max_ratio: Option<NonZeroU32>,
    owner: Owner,
    /// Messages so far, their bytes, and the final blocks in them but for one in each.
    count: u64,
    taken: u64,
    finals: u64,
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
    /// Final blocks in it.
    finals: u64,
    /// Whether a final block was the last thing in it so far.
    is_final: bool,
    is_over: bool,
    /// Whether there may be more to give without more to take.
    is_full: bool,
    /// What is wrong after what was given.
    failure: Option<ExtensionError>,
}

impl Decompressor {
    pub(super) fn new(window_bits: WindowBits, context: Context, max_ratio: Option<NonZeroU32>) -> Self {
        Self {
            context,
            max_ratio,
            owner: Owner::of_decompressor(),
            count: 0,
            taken: 0,
            finals: 0,
            window: Window::new(window_bits.size()),
            inflater: None,
            message: Message::default(),
        }
    }

    /// Where the decompressor that the next message goes on with was left. One always knows the last 32 KiB, so where less was
    /// agreed on a peer would get by with more, but only as long as it finds it there: then it is begun anew each time.
    fn place(&self) -> Option<Place> {
        let is_alike = self.context == Context::Takeover && self.window.size() == WindowBits::MAX.size();
        is_alike.then_some(Place { owner: self.owner, message: self.count })
    }

    /// Takes a decompressor that knows the messages so far.
    fn begin(&mut self) -> Result<Box<Inflater>, ExtensionError> {
        let (mut inflater, is_cold) = match pool::take_decompressor(self.owner, self.place()) {
            Taken::Warm(inflater) => (inflater, false),
            Taken::Cold(inflater) => (inflater, true),
        };
        if self.context == Context::Takeover {
            mem::swap(&mut inflater.window, &mut self.window);
        }
        if is_cold {
            inflater.refer()?;
        }
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
        if let Some(failure) = message.failure {
            return Err(failure);
        }
        inflater.remember();
        inflater.forget_output();
        let mut room = room.min(inflater.output.len());
        if self.max_ratio.is_some() {
            room = room.min(message.milestone());
        }
        let mut idle = 0;
        loop {
            // A final block ends nothing but itself: what follows may refer to what came before it.
            if message.is_final && !input.is_empty() {
                message.is_final = false;
                inflater.remember();
                inflater.inflate.reset(false);
                inflater.refer()?;
            }
            // The tail comes when all that came before has come out.
            let is_tail = input.is_empty() && fin == Fin::Last && !message.is_final && !message.is_full;
            let before = inflater.filled;
            let step = if is_tail {
                // §7.2.2: the tail of the empty block that ended the message was not sent.
                inflater.step(&TAIL, InflateFlush::Block, room)?
            } else {
                let step = inflater.step(input, InflateFlush::SyncFlush, room)?;
                *input = &input[step.taken..];
                message.taken += step.taken as u64;
                step
            };
            // It is the end of an empty block if all of it is taken, gives nothing, and the byte behind it is left alone. That block
            // may be a final one.
            let is_complete = is_tail && step.taken == TAIL.len() - 1 && step.given == 0;
            // It is told to stop behind the block, and says only when asked to go on that this was a final one.
            let is_end = step.is_end || is_complete && inflater.step(&[], InflateFlush::SyncFlush, room)?.is_end;
            let is_wrong = is_tail && !is_complete && (step.is_end || step.given > 0 || step.taken > 0);
            if is_tail {
                inflater.filled = before;
            }
            message.given += (inflater.filled - before) as u64;
            let len = inflater.filled;
            message.is_full = len == room;
            // The one that has its end in the tail is followed by nothing.
            message.finals += u64::from(step.is_end && !message.is_final);
            message.is_final |= is_end;
            let is_last = fin == Fin::Last && message.is_final && input.is_empty();
            // Each makes it begin anew, but for one at the end, after which it does so anyway.
            let excess = self.finals + message.finals.saturating_sub(1);
            let is_flood = excess > FINALS + (self.taken + message.taken) / BYTES_PER_FINAL;
            let failure = match () {
                () if step.is_corrupt || is_wrong => Some(CORRUPT),
                () if is_flood => Some(TOO_MANY_FINALS),
                () => message.check(self.max_ratio, is_complete || is_last).err(),
            };
            if let Some(failure) = failure {
                // What came before comes first, so that it does not matter how much is here at once.
                message.failure = Some(failure);
                return if len > 0 { Ok(Decoded::More(inflater.lend())) } else { Err(failure) };
            }

            if is_complete || is_last {
                message.is_over = true;
                return Ok(Decoded::All(inflater.lend()));
            }
            if len == room && !step.is_end {
                return Ok(Decoded::More(inflater.lend()));
            }
            if fin == Fin::More && input.is_empty() {
                return Ok(Decoded::All(inflater.lend()));
            }
            // It stops where its output is full, at a final block, and in the tail at any block, but it does not stand still.
            idle = if step.taken > 0 || step.given > 0 || step.is_end { 0 } else { idle + 1 };
            if idle > IDLE {
                return Err(CORRUPT);
            }
        }
    }

    fn release(&mut self) {
        if !self.message.is_over {
            return;
        }
        let Message { taken, finals, is_final, .. } = mem::take(&mut self.message);
        self.taken += taken;
        self.finals += finals.saturating_sub(1);
        self.count += 1;
        if let Some(mut inflater) = self.inflater.take() {
            if self.context == Context::Takeover {
                inflater.remember();
                mem::swap(&mut inflater.window, &mut self.window);
            }
            // One that has come to its end cannot go on.
            pool::give_decompressor(self.owner, self.place().filter(|_| !is_final), inflater);
        }
    }
}

impl Message {
    /// How many bytes it may give until its ratio is looked at: each time at the same place, wherever what came was cut.
    fn milestone(&self) -> usize {
        usize::try_from(RATIO_FROM - self.given % RATIO_FROM).unwrap_or(usize::MAX)
    }

    /// Holds the length of a message against that of its compressed form, at its end and at each milestone.
    fn check(&self, max_ratio: Option<NonZeroU32>, is_over: bool) -> Result<(), ExtensionError> {
        let is_due = is_over || self.given % RATIO_FROM == 0;
        match max_ratio {
            Some(max) if is_due && self.given >= RATIO_FROM && self.given / u64::from(max.get()) > self.taken => {
                Err(TOO_DENSE)
            }
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
    is_corrupt: bool,
}

impl Inflater {
    /// Lets what comes refer to what is in the window.
    fn refer(&mut self) -> Result<(), ExtensionError> {
        for part in self.window.parts().into_iter().filter(|part| !part.is_empty()) {
            self.inflate.set_dictionary(part).map_err(|_| CORRUPT)?;
        }
        Ok(())
    }

    /// Inflates from `source` to the output, behind what is there and as far as there is `room`.
    fn step(&mut self, source: &[u8], flush: InflateFlush, room: usize) -> Result<Step, ExtensionError> {
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(source, &mut self.output[self.filled..room], flush);
        let taken = usize::try_from(self.inflate.total_in() - taken).map_err(|_| CORRUPT)?;
        let given = usize::try_from(self.inflate.total_out() - given).map_err(|_| CORRUPT)?;
        self.filled += given;
        Ok(Step { taken, given, is_end: status == Ok(Status::StreamEnd), is_corrupt: status.is_err() })
    }

    /// Puts what is in the output into the window.
    fn remember(&mut self) {
        self.window.push(&self.output[self.remembered..self.filled]);
        self.remembered = self.filled;
    }

    /// Empties the output.
    pub(super) fn forget_output(&mut self) {
        (self.filled, self.remembered) = (0, 0);
    }

    fn lend(&self) -> &[u8] {
        &self.output[..self.filled]
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("context", &self.context).finish_non_exhaustive()
    }
}

/// §7.2.2: what is put behind a message; and a byte to see that it ends there.
const TAIL: [u8; 5] = [0, 0, 0xff, 0xff, 0];

/// How often a step may come to nothing in a row: blocks can be so short that two end in the same byte.
const IDLE: u32 = 4;

/// How many final blocks there may be on a connection beyond one in each message, and for how many bytes one more: each costs as
/// much as some thousand bytes, and hardly anybody sends any.
const FINALS: u64 = 64;
const BYTES_PER_FINAL: u64 = 64;

/// From how many bytes on, and each time after how many, the ratio counts.
const RATIO_FROM: u64 = 64 * 1024;

const CORRUPT: ExtensionError = ExtensionError::new("the compressed data is corrupt", CloseCode::INVALID_PAYLOAD);
const TOO_MANY_FINALS: ExtensionError =
    ExtensionError::new("the compressed data has too many final blocks", CloseCode::POLICY_VIOLATION);
const TOO_DENSE: ExtensionError =
    ExtensionError::new("the message is too much longer than its compressed form", CloseCode::MESSAGE_TOO_BIG);
