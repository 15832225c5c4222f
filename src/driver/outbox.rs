//! What is queued to be written: encoded frames, and large payloads that stay where they are.
//!
//! The engine appends to one buffer, so that small frames go out together. A large payload that is shared is not copied
//! into it: it is remembered at which place it belongs, and a vectored write puts it there.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::pool;

/// Bytes on their way to the transport, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What the engine appends to.
    pub(super) output: Vec<u8>,
    /// How much of the front of `output` is written.
    written: usize,
    /// Payloads that go between the bytes of `output`; there while there are any.
    inserts: Option<Box<Inserts>>,
}

/// Payloads that are not copied.
#[derive(Debug, Default)]
struct Inserts {
    queue: VecDeque<Insert>,
    /// How many bytes these have in all.
    len: usize,
}

/// A payload that goes out after the first `at` bytes of the output.
#[derive(Debug)]
struct Insert {
    at: usize,
    bytes: Bytes,
}

impl Outbox {
    /// Returns the buffer to be appended to, with some room.
    #[inline]
    pub(super) fn open(&mut self) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = pool::take_to_write();
        }
        &mut self.output
    }

    /// Gives the buffer back if nothing was appended.
    pub(super) fn close(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    /// Appends a payload without copying it.
    pub(super) fn insert(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            let inserts = self.inserts.get_or_insert_default();
            inserts.len += bytes.len();
            inserts.queue.push_back(Insert { at: self.output.len(), bytes });
        }
    }

    /// How many bytes wait.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.output.len() - self.written + self.inserted()
    }

    /// How many bytes at the front of the buffer do not wait any more.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// How many bytes wait outside of the buffer.
    #[inline]
    pub(super) fn inserted(&self) -> usize {
        self.inserts.as_ref().map_or(0, |inserts| inserts.len)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// All that waits, if it lies in one piece.
    #[inline]
    pub(super) fn whole(&self) -> Option<&[u8]> {
        if self.inserts.is_none() { self.output.get(self.written..) } else { None }
    }

    /// The first pieces that wait; returns how many there are. One piece is enough where `pieces` has room for no more.
    pub(super) fn pieces<'o>(&'o self, pieces: &mut [IoSlice<'o>]) -> usize {
        let mut slots = pieces.iter_mut();
        let mut count = 0;
        let mut add = |piece: &'o [u8]| match (piece, &mut slots) {
            ([], _) => true,
            (piece, slots) => slots.next().map(|slot| *slot = IoSlice::new(piece)).inspect(|()| count += 1).is_some(),
        };
        let mut from = self.written;
        let mut has_room = true;
        for insert in self.inserts.iter().flat_map(|inserts| &inserts.queue) {
            has_room = add(&self.output[from..insert.at]) && add(&insert.bytes);
            from = insert.at;
            if !has_room {
                break;
            }
        }
        if has_room {
            add(&self.output[from..]);
        }
        count
    }

    /// Takes note that the first `len` bytes that wait were written.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        if self.inserts.is_none() {
            self.written += len;
            return self.reclaim();
        }
        self.advance_over_inserts(len);
    }

    fn advance_over_inserts(&mut self, mut len: usize) {
        while let Some(inserts) = &mut self.inserts {
            let Some(insert) = inserts.queue.front_mut() else { break };
            let before = (insert.at - self.written).min(len);
            self.written += before;
            len -= before;
            let of_insert = if self.written == insert.at { len.min(insert.bytes.len()) } else { 0 };
            insert.bytes.advance(of_insert);
            inserts.len -= of_insert;
            len -= of_insert;
            if !insert.bytes.is_empty() {
                return self.reclaim();
            }
            inserts.queue.pop_front();
        }
        self.written += len;
        self.reclaim();
    }

    /// Drops everything that waits.
    pub(super) fn clear(&mut self) {
        pool::give_back_write(core::mem::take(&mut self.output));
        self.written = 0;
        if self.inserts.is_some() {
            self.inserts = None;
        }
    }

    /// Gives back the memory of what was written: all of it, or enough to be worth moving the rest.
    fn reclaim(&mut self) {
        if self.is_empty() {
            self.clear();
        } else if self.written >= RECLAIMED && self.written > self.output.len() / 2 {
            self.output.drain(..self.written);
            for insert in self.inserts.iter_mut().flat_map(|inserts| &mut inserts.queue) {
                insert.at -= self.written;
            }
            self.written = 0;
        }
    }
}

/// The least that is given back while more waits, in bytes.
const RECLAIMED: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Insert(usize),
        Write(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..40_000).prop_map(Step::Append),
            (0usize..40_000).prop_map(Step::Insert),
            (0usize..90_000).prop_map(Step::Write),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_goes_in_comes_out_in_order(steps in steps(), room in 1usize..5) {
            let (mut outbox, mut expected, mut written) = (Outbox::default(), Vec::new(), Vec::new());
            let mut next = 0u8;
            let mut bytes = |len: usize| -> Vec<u8> {
                next = next.wrapping_add(1);
                vec![next; len]
            };
            let mut write = |outbox: &mut Outbox, most: usize| {
                let mut pieces = vec![IoSlice::new(&[]); room];
                let count = outbox.pieces(&mut pieces);
                let joined: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
                let len = joined.len().min(most);
                written.extend_from_slice(&joined[..len]);
                outbox.advance(len);
            };
            for step in steps {
                match step {
                    Step::Append(len) => {
                        let bytes = bytes(len);
                        expected.extend_from_slice(&bytes);
                        outbox.open().extend_from_slice(&bytes);
                    }
                    Step::Insert(len) => {
                        let bytes = bytes(len);
                        expected.extend_from_slice(&bytes);
                        outbox.insert(bytes.into());
                    }
                    Step::Write(most) => write(&mut outbox, most),
                }
                prop_assert!(outbox.written() <= outbox.output.len() / 2 + RECLAIMED + 90_000);
            }
            while !outbox.is_empty() {
                write(&mut outbox, 50_000);
            }
            prop_assert_eq!(&written, &expected);
            prop_assert!(outbox.output.capacity() == 0 && outbox.inserts.is_none());
        }
    }
}
