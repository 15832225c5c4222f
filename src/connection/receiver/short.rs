//! The short paths: frames that lie whole in the input.
//!
//! Each does what [`Receiver::receive_any`] would, for what it takes, and takes only what cannot be wrong but for its
//! text: all else it leaves untouched, for that one to judge. Only where the text of a message in several frames is wrong, the
//! frames behind the wrong one are counted, too.

use core::mem;

use super::{OpenMessage, Pace, Receiver};
use crate::config::Role;
use crate::error::ProtocolError;
use crate::frame::{FrameHeader, OpCode};
use crate::mask::{mask, unmask_within};
use crate::message::{Chunk, MessageKind, MessageRef, Payload};
use crate::utf8;

/// Where the parts of a frame lie that is whole in the input.
#[derive(Clone, Copy, Debug)]
struct Layout {
    head_len: usize,
    len: usize,
}

/// A message in several frames.
#[derive(Clone, Copy, Debug)]
struct Fragments {
    kind: MessageKind,
    /// Where the payload of the first one begins.
    start: usize,
    wire_len: usize,
    fragments: u32,
}

impl Receiver {
    /// Receives a whole message in one frame of less than 64 KiB; `None`, with nothing touched, where there is something
    /// else, or one of more than `max` bytes.
    ///
    /// It is always inlined: a result that a call returns in memory is stored in narrow pieces and read back in wide ones, which
    /// the processor waits for twice as long as the rest takes.
    #[inline(always)]
    pub(crate) fn receive_single<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max: usize,
    ) -> Result<Option<MessageRef<'b>>, ProtocolError> {
        let &[first, second, ref rest @ ..] = &**input else { return Ok(None) };
        let is_text = match first {
            0x81 => true,
            0x82 => false,
            _ => return Ok(None),
        };
        let Some(layout) = self.layout(second, rest) else { return Ok(None) };
        if self.pace != Pace::Quiet || layout.len > max {
            return Ok(None);
        }

        let (payload, key) = self.take_frame(layout, input);
        let message = if is_text {
            let text = match key {
                Some(key) => utf8::unmask(payload, key),
                None => utf8::check(payload),
            };
            match text {
                Ok(text) => MessageRef::Text(text),
                Err(_) => {
                    self.counters.payload_bytes -= layout.len as u64;
                    return Err(self.refuse(ProtocolError::InvalidUtf8, input));
                }
            }
        } else {
            if let Some(key) = key {
                mask(payload, key);
            }
            MessageRef::Binary(payload)
        };
        self.counters.messages += 1;
        Ok(Some(message))
    }

    /// Whether nothing is under way: then no input means no event.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.pace == Pace::Quiet
    }

    /// Whether a short path has a whole message of no more than `max` bytes to give.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn has_whole(&self, input: &[u8], max: usize) -> bool {
        self.has_single(input, max) || self.find_fragments(input, max).is_some()
    }

    /// Whether that is a message in one frame.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn has_single(&self, input: &[u8], max: usize) -> bool {
        match *input {
            [0x81 | 0x82, second, ref rest @ ..] => {
                self.pace == Pace::Quiet && self.layout(second, rest).is_some_and(|layout| layout.len <= max)
            }
            _ => false,
        }
    }

    /// Receives a whole message in several frames, with nothing between them, by moving them together where they lie; `None`, with
    /// nothing touched, where there is something else, or one of more than `max` bytes.
    pub(crate) fn receive_fragments<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max: usize,
    ) -> Result<Option<MessageRef<'b>>, ProtocolError> {
        let Some(found) = self.find_fragments(input, max) else { return Ok(None) };
        let (frames, after) = mem::take(input).split_at_mut(found.wire_len);
        *input = after;
        let (mut from, mut to) = (0, found.start);
        while let &[_, second, ref rest @ ..] = &frames[from..] {
            let Some(Layout { head_len, len }) = self.layout_of_any(second, rest) else { break };
            let (at, end) = (from + head_len, from + head_len + len);
            match self.key_before(at, frames) {
                Some(key) => unmask_within(frames, at..end, to, key),
                None if at > to => frames.copy_within(at..end, to),
                None => {}
            }
            (from, to) = (end, to + len);
        }
        self.counters.frames += u64::from(found.fragments);
        self.counters.payload_bytes += (to - found.start) as u64;
        self.counters.wire_bytes += found.wire_len as u64;

        let payload = &frames[found.start..to];
        let message = match found.kind {
            MessageKind::Binary => MessageRef::Binary(payload),
            MessageKind::Text => match utf8::check(payload) {
                Ok(text) => MessageRef::Text(text),
                Err(_) => return Err(self.refuse(ProtocolError::InvalidUtf8, input)),
            },
        };
        self.counters.messages += 1;
        Ok(Some(message))
    }

    /// Receives a frame of less than 64 KiB of a message in several; `None`, with nothing touched, where there is something
    /// else, or the message has more than `max` bytes.
    #[inline]
    pub(crate) fn receive_fragment<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max: u64,
    ) -> Result<Option<Chunk<'b>>, ProtocolError> {
        let &[first, second, ref rest @ ..] = &**input else { return Ok(None) };
        let mut message = match (first & 0x7f, self.pace, self.message) {
            (0x00, Pace::Amid, Some(message)) if !message.is_encoded => message,
            (0x01, Pace::Quiet, _) => OpenMessage::new(MessageKind::Text),
            (0x02, Pace::Quiet, _) => OpenMessage::new(MessageKind::Binary),
            _ => return Ok(None),
        };
        let is_first = self.pace == Pace::Quiet;
        let Some(layout) = self.layout(second, rest) else { return Ok(None) };
        message.fragments += 1;
        message.len = message.len.saturating_add(layout.len as u64);
        message.is_announced = true;
        if message.len > max || (!is_first && message.fragments > self.config.max_fragments) {
            return Ok(None);
        }

        let is_last = first & 0x80 != 0;
        let number = if is_first && is_last { 0 } else { self.message_number() };
        let (payload, key) = self.take_frame(layout, input);
        let payload = match message.kind {
            MessageKind::Binary => {
                if let Some(key) = key {
                    mask(payload, key);
                }
                Payload::Binary(payload)
            }
            MessageKind::Text => match self.text(payload, key, is_last) {
                Ok(payload) => payload,
                Err(error) => {
                    self.counters.payload_bytes -= layout.len as u64;
                    return Err(self.refuse(error, input));
                }
            },
        };
        if is_last {
            self.counters.messages += 1;
            (self.message, self.pace) = (None, Pace::Quiet);
        } else {
            (self.message, self.pace) = (Some(message), Pace::Amid);
        }
        Ok(Some(Chunk { payload, is_first, is_last, frame_remaining: 0, message_len: message.len, number }))
    }

    /// How many bytes have to be read behind the input, at least, for the message that begins at its front to lie in it whole;
    /// `None` where none are, and where there is no message that is right so far and of no more than `max` bytes.
    pub(crate) fn lacks(&self, input: &[u8], max: usize) -> Option<u64> {
        if self.pace != Pace::Quiet || input.is_empty() {
            return None;
        }
        let (mut rest, mut left) = (input, max as u64);
        // Not more frames, or who is sent one byte after the other would look at all of them each time.
        for number in 0..FRAMES_HELD {
            let (header, head_len) = match FrameHeader::parse(rest) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => return Some(self.header_lacks(rest)),
                Err(_) => return None,
            };
            let is_next = match header.opcode {
                OpCode::Text | OpCode::Binary => number == 0,
                OpCode::Continuation => number > 0 && number < self.config.max_fragments,
                OpCode::Close | OpCode::Ping | OpCode::Pong => false,
            };
            let is_masked = header.masking_key.is_some() == (self.role == Role::Server);
            let is_short = header.payload_len <= left.min(self.config.max_frame_size);
            if !is_next || !header.rsv.is_empty() || !is_masked || !is_short {
                return None;
            }
            left -= header.payload_len;
            rest = &rest[head_len..];
            match usize::try_from(header.payload_len).ok().and_then(|len| rest.split_at_checked(len)) {
                None => return Some(header.payload_len - rest.len() as u64),
                Some(_) if header.fin => return None,
                Some((_, behind)) => rest = behind,
            }
        }
        None
    }

    /// How many bytes lack of a header that broke off, as far as can be told.
    fn header_lacks(&self, bytes: &[u8]) -> u64 {
        let length = match bytes.get(1).map(|second| second & 0x7f) {
            Some(126) => 2,
            Some(127) => 8,
            Some(_) | None => 0,
        };
        let key: u64 = if self.role == Role::Server { 4 } else { 0 };
        (2 + length + key).saturating_sub(bytes.len() as u64).max(1)
    }

    /// Looks at the headers of a message in several frames that is whole in the input.
    fn find_fragments(&self, input: &[u8], max: usize) -> Option<Fragments> {
        let &[first, second, ref rest @ ..] = input else { return None };
        let kind = match first {
            0x01 => MessageKind::Text,
            0x02 => MessageKind::Binary,
            _ => return None,
        };
        if self.pace != Pace::Quiet {
            return None;
        }
        let Layout { head_len, mut len } = self.layout_of_any(second, rest)?;
        let mut found = Fragments { kind, start: head_len, wire_len: head_len + len, fragments: 1 };
        loop {
            let &[first, second, ref rest @ ..] = &input[found.wire_len..] else { return None };
            let layout = self.layout_of_any(second, rest)?;
            found.fragments += 1;
            found.wire_len += layout.head_len + layout.len;
            len += layout.len;
            if first & 0x7f != 0x00 || len > max || found.fragments > self.config.max_fragments {
                return None;
            }
            if first & 0x80 != 0 {
                return Some(found);
            }
        }
    }

    /// The masking key that ends where a payload begins, on a server.
    #[inline(always)]
    fn key_before(&self, at: usize, frames: &[u8]) -> Option<[u8; 4]> {
        match self.role {
            Role::Server => frames[..at].last_chunk::<4>().copied(),
            Role::Client => None,
        }
    }

    /// Where the parts of a frame lie, if it is whole in the input, its length is less than 64 KiB and in the shortest form,
    /// and its mask bit as the role demands (RFC 6455 §5.1, §5.2).
    #[inline(always)]
    fn layout(&self, second: u8, rest: &[u8]) -> Option<Layout> {
        // Where the mask bit is not as the role demands, the length comes out as one that does not qualify.
        let (short, key_len) = match self.role {
            Role::Server => (second ^ 0x80, 4),
            Role::Client => (second, 0),
        };
        let (len, key_at) = match (short, rest) {
            (0..=125, _) => (usize::from(short), 2),
            (126, &[high, low, ..]) if high > 0 || low >= 126 => (usize::from(u16::from_be_bytes([high, low])), 4),
            _ => return None,
        };
        let head_len = key_at + key_len;
        (len <= usize::from(self.short_max) && rest.len() + 2 >= head_len + len).then_some(Layout { head_len, len })
    }

    /// As [`Self::layout`], of a frame of any length within the limit.
    #[inline(always)]
    fn layout_of_any(&self, second: u8, rest: &[u8]) -> Option<Layout> {
        match self.layout(second, rest) {
            Some(layout) => Some(layout),
            None => self.layout_of_long(second, rest),
        }
    }

    /// That of a frame of 64 KiB or more.
    #[cold]
    #[inline(never)]
    fn layout_of_long(&self, second: u8, rest: &[u8]) -> Option<Layout> {
        let (long, key_len) = match self.role {
            Role::Server => (0xff, 4),
            Role::Client => (0x7f, 0),
        };
        let len = u64::from_be_bytes(*rest.first_chunk().filter(|_| second == long)?);
        if len <= u64::from(u16::MAX) || len > self.config.max_frame_size {
            return None;
        }
        let (head_len, len) = (10 + key_len, usize::try_from(len).ok()?);
        ((rest.len() + 2).checked_sub(head_len)? >= len).then_some(Layout { head_len, len })
    }

    /// Takes a frame from the input and counts it: its payload, and the key to unmask that with.
    #[inline(always)]
    fn take_frame<'b>(&mut self, layout: Layout, input: &mut &'b mut [u8]) -> (&'b mut [u8], Option<[u8; 4]>) {
        let Layout { head_len, len } = layout;
        let (frame, after) = mem::take(input).split_at_mut(head_len + len);
        *input = after;
        let (head, payload) = frame.split_at_mut(head_len);
        let key = match self.role {
            Role::Server => head.last_chunk::<4>().copied(),
            Role::Client => None,
        };
        self.counters.frames += 1;
        self.counters.payload_bytes += len as u64;
        self.counters.wire_bytes += (head_len + len) as u64;
        (payload, key)
    }
}

/// In how many frames a message may have begun for the rest of it to be waited for where it lies.
const FRAMES_HELD: u32 = 8;
