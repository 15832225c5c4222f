//! Frames that many connections are sent one behind the other, copied into one piece for all connections of a thread.
//!
//! A write of many pieces costs the system more for each than a short message costs to copy: for 64 of 1 KiB a third more. So
//! what several connections have been sent from where it lies is copied here, once, and the connections that follow on this
//! thread are sent the copy. What only a few are sent is never copied.

use alloc::vec::Vec;
use core::cell::RefCell;

use bytes::Bytes;

use super::super::pool::WRITTEN;
use super::INSERTED;
use crate::frame::{FrameHead, FrameHeader};

std::thread_local! {
    static JOINED: RefCell<Joined> = RefCell::default();
}

/// What this thread has written last.
#[derive(Default)]
struct Joined {
    frames: Vec<Frame>,
    /// How many connections were sent that.
    times: usize,
    /// The frames in one piece; empty until that is worth it.
    bytes: Vec<u8>,
}

/// A frame, told from all others: the message by its number, and the way in which it was encoded by where the payload lies, which
/// is there as long as the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    number: u64,
    address: usize,
    len: usize,
    first: u8,
}

impl Frame {
    fn new((number, head, payload): (u64, &FrameHead, &Bytes)) -> Self {
        let first = head.first().copied().unwrap_or_default();
        Self { number, address: payload.as_ptr() as usize, len: payload.len(), first }
    }
}

/// Lends the frames of these messages, each with its number, in one piece; `None` if they are to be written from where they lie.
pub(super) fn with<'m, R>(
    parts: impl Iterator<Item = (u64, &'m FrameHead, &'m Bytes)> + Clone,
    lend: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    // A transport whose write polls another connection finds it in use, and a thread that is ending has none.
    let with = |joined: &RefCell<Joined>| {
        let mut joined = joined.try_borrow_mut().ok()?;
        joined.join(parts).then(|| lend(&joined.bytes))
    };
    JOINED.try_with(with).ok().flatten()
}

impl Joined {
    /// Whether the frames of these messages are here.
    fn join<'m>(&mut self, parts: impl Iterator<Item = (u64, &'m FrameHead, &'m Bytes)> + Clone) -> bool {
        if !parts.clone().map(Frame::new).eq(self.frames.iter().copied()) {
            self.frames.clear();
            self.frames.extend(parts.map(Frame::new));
            self.bytes.clear();
            self.times = 1;
            return false;
        }
        self.times += 1;
        if self.bytes.is_empty() && self.times > TIMES && self.is_short() {
            self.bytes.reserve_exact(WRITTEN);
            for (_, head, payload) in parts {
                self.bytes.extend_from_slice(head);
                self.bytes.extend_from_slice(payload);
            }
        }
        !self.bytes.is_empty()
    }

    /// Whether the frames are short, each and all together.
    fn is_short(&self) -> bool {
        let len = |frame: &Frame| frame.len + FrameHeader::MAX;
        self.frames.iter().all(|frame| frame.len < INSERTED) && self.frames.iter().map(len).sum::<usize>() <= WRITTEN
    }
}

/// How many connections are sent frames from where they lie before these are copied.
const TIMES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepared::PreparedMessage;

    fn joined(messages: &[(u64, PreparedMessage)]) -> Option<Vec<u8>> {
        with(messages.iter().map(|(number, message)| (*number, &message.head, &message.payload)), <[u8]>::to_vec)
    }

    fn messages(numbers: core::ops::Range<u64>) -> Vec<(u64, PreparedMessage)> {
        numbers.map(|number| (number, PreparedMessage::new(number.to_string()))).collect()
    }

    #[test]
    fn frames_that_several_were_sent_are_lent_in_one_piece() {
        let sent = messages(10..12);
        assert!((0..TIMES).all(|_| joined(&sent).is_none()));
        assert_eq!(joined(&sent).as_deref(), Some(&b"\x81\x0210\x81\x0211"[..]));
        assert_eq!(joined(&sent).as_deref(), Some(&b"\x81\x0210\x81\x0211"[..]));
    }

    #[test]
    fn other_frames_are_not_taken_for_those_that_are_there() {
        let sent = messages(10..12);
        (0..=TIMES).for_each(|_| drop(joined(&sent)));
        // Fewer, more, another number for the same payload, and another payload for the same number.
        assert_eq!(joined(&sent[..1]), None);
        let others = [messages(10..13), vec![(1, sent[0].1.clone()), sent[1].clone()], messages(10..12)];
        for others in &others {
            (0..=TIMES).for_each(|_| drop(joined(&sent)));
            assert!(joined(&sent).is_some());
            assert_eq!(joined(others), None);
        }
        (0..=TIMES).for_each(|_| drop(joined(&others[0])));
        assert_eq!(joined(&others[0]).as_deref(), Some(&b"\x81\x0210\x81\x0211\x81\x0212"[..]));
    }

    #[test]
    fn frames_that_are_long_stay_where_they_lie() {
        let long = [(1, PreparedMessage::new("x".repeat(INSERTED)))];
        let many: Vec<_> = (0..64).map(|number| (number, PreparedMessage::new("x".repeat(INSERTED - 1)))).collect();
        for sent in [&long[..], &many] {
            assert!((0..3 * TIMES).all(|_| joined(sent).is_none()));
        }
    }

    #[test]
    fn frames_that_are_lent_are_not_there_for_somebody_else() {
        let sent = messages(10..12);
        (0..=TIMES).for_each(|_| drop(joined(&sent)));
        let parts = sent.iter().map(|(number, message)| (*number, &message.head, &message.payload));
        assert_eq!(with(parts, |_| joined(&sent)), Some(None));
    }
}
