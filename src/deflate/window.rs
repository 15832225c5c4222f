//! The last bytes of a direction, to which its next message may refer (RFC 7692 §7.2.3.2).
//!
//! This is all of a context that has to be kept between two messages: a compressor or decompressor that is given these bytes
//! goes on as if it had never done anything else. It takes no more memory than bytes have gone by, and never more than the
//! window agreed on.

use alloc::collections::VecDeque;

/// The last bytes that went by, as many as the window takes.
#[derive(Debug)]
pub(super) struct Window {
    bytes: VecDeque<u8>,
    size: usize,
}

impl Window {
    /// Creates an empty window of so many bytes, which takes no memory yet.
    pub(super) fn new(size: usize) -> Self {
        Self { bytes: VecDeque::new(), size }
    }

    /// Adds bytes, and forgets as many as do not fit any more.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (_, bytes) = bytes.split_at(bytes.len().saturating_sub(self.size));
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.size);
        self.bytes.drain(..excess);
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max(self.bytes.capacity() * 2).min(self.size);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Forgets everything; the memory stays.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The bytes, in two parts of which the second, or both, may be empty.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        [first, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_has_the_last_bytes_that_were_pushed(size in 1usize..40, pieces: Vec<Vec<u8>>) {
            let (mut window, mut all) = (Window::new(size), Vec::new());
            for piece in &pieces {
                window.push(piece);
                all.extend_from_slice(piece);
                prop_assert_eq!(&window.parts().concat()[..], &all[all.len().saturating_sub(size)..]);
                prop_assert!(window.bytes.capacity() <= size);
            }
        }
    }
}
