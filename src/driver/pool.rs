//! Buffers that belong to the thread and not to a connection.
//!
//! A connection has a read buffer only while it holds bytes that were read, and a write buffer only while it holds bytes
//! to be written. In between both go back here; so ten thousand idle connections need as many buffers as there are
//! threads.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;
use core::ops::Range;

use bytes::Bytes;

use crate::frame::FrameHeader;

std::thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { reading: Vec::new(), writing: Vec::new() }) };
}

/// The buffers of a thread. Those for reading are kept at their full length, so that they are set to zero only once.
struct Pool {
    reading: Vec<Vec<u8>>,
    writing: Vec<Vec<u8>>,
}

/// A buffer that belongs to a message.
struct Shared(Vec<u8>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        give_back_read(mem::take(&mut self.0));
    }
}

/// Takes a buffer of [`BUFFER`] bytes, whose content means nothing.
pub(super) fn take_to_read() -> Vec<u8> {
    with(|pool| pool.reading.pop()).unwrap_or_else(|| vec![0; BUFFER])
}

/// Takes a buffer to be read into behind these bytes; none at all where there are none.
pub(super) fn take_with(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() || bytes.len() > BUFFER {
        return bytes.to_vec();
    }
    let mut buffer = take_to_read();
    buffer[..bytes.len()].copy_from_slice(bytes);
    buffer
}

/// Takes an empty buffer with room for [`WRITTEN`] bytes.
pub(super) fn take_to_write() -> Vec<u8> {
    with(|pool| pool.writing.pop()).unwrap_or_else(|| Vec::with_capacity(WRITTEN))
}

/// Gives a buffer back that was read into. One that did not come from here is dropped.
pub(super) fn give_back_read(buffer: Vec<u8>) {
    if buffer.len() == BUFFER && buffer.capacity() == BUFFER {
        with(|pool| keep(&mut pool.reading, buffer));
    }
}

/// Makes a message's payload of a part of a buffer that was read into. The buffer is given back to the thread on which the last
/// share of it is dropped.
pub(super) fn share(buffer: Vec<u8>, part: Range<usize>) -> Bytes {
    Bytes::from_owner(Shared(buffer)).slice(part)
}

/// Gives a buffer back that was written from. One that has grown is dropped.
pub(super) fn give_back_write(mut buffer: Vec<u8>) {
    if buffer.capacity() == WRITTEN {
        buffer.clear();
        with(|pool| keep(&mut pool.writing, buffer));
    }
}

fn keep(kept: &mut Vec<Vec<u8>>, buffer: Vec<u8>) -> Option<()> {
    (kept.len() < KEPT).then(|| kept.push(buffer))
}

/// Lets `f` use the pool, unless the thread is ending and has none any more.
fn with<R>(f: impl FnOnce(&mut Pool) -> Option<R>) -> Option<R> {
    POOL.try_with(|pool| f(&mut *pool.try_borrow_mut().ok()?)).ok().flatten()
}

/// The size of a buffer to be read into, in bytes: for a message of 64 KiB and its header, and a little more, for a read that fills
/// the buffer has to be followed by another one to find out that there is no more. A larger one than would be best for the cache,
/// because a system call costs more than a cache that is missed: echoes of 1 KiB over TCP take a tenth less than with 32 KiB.
pub(super) const BUFFER: usize = MESSAGE + FrameHeader::MAX + 50;

/// The longest message that lies in a buffer however it was read, in bytes.
const MESSAGE: usize = 64 * 1024;

/// The room in a buffer to be written from, in bytes: for as much as is queued by default before somebody has to wait, and the
/// message that is one too many.
pub(super) const WRITTEN: usize = 72 * 1024;

/// The most buffers of each kind that a thread keeps.
const KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_the_next_one_taken() {
        let (read, mut write) = (take_to_read(), take_to_write());
        let at = (read.as_ptr(), write.as_ptr());
        write.push(1);
        give_back_read(read);
        give_back_write(write);
        let (read, write) = (take_to_read(), take_to_write());
        assert_eq!(((read.as_ptr(), write.as_ptr()), read.len(), write.len()), (at, BUFFER, 0));
        assert!(write.capacity() >= WRITTEN);
    }

    /// Or else each would cost a read more, to find out that there is nothing.
    #[test]
    fn a_message_of_64_kib_does_not_fill_a_buffer() {
        assert!(take_to_read().len() > 64 * 1024 + FrameHeader::MAX);
    }

    #[test]
    fn a_buffer_of_another_size_is_not_kept() {
        give_back_read(vec![0; BUFFER - 1]);
        give_back_write(Vec::with_capacity(WRITTEN * 2));
        assert_eq!(POOL.with_borrow(|pool| (pool.reading.len(), pool.writing.len())), (0, 0));
    }

    #[test]
    fn a_thread_keeps_so_many_buffers_and_no_more() {
        let taken: Vec<_> = (0..KEPT + 4).map(|_| take_to_read()).collect();
        taken.into_iter().for_each(give_back_read);
        assert_eq!(POOL.with_borrow(|pool| pool.reading.len()), KEPT);
    }
}
