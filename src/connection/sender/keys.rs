//! The masking keys of clients that bring no source of their own (RFC 6455 §5.3, §10.3).
//!
//! They come out of `rand`'s thread-local CSPRNG, which hands out bytes in blocks. To ask it for four at a time costs more
//! than the bytes, so a thread draws a block of keys at once: what a client's frame then takes is one load. The block is
//! the thread's, so a connection is no larger for it. As with the generator itself, a process that forks has the same keys in
//! both halves for a while.

use core::cell::Cell;

use rand::Rng as _;

std::thread_local! {
    // Constant, and nothing to be dropped: so there is nothing to look after when a thread uses it or ends.
    static DRAWN: Drawn = const { Drawn { keys: [const { Cell::new([0; 4]) }; KEYS], left: Cell::new(0) } };
}

/// Keys that were drawn.
struct Drawn {
    keys: [Cell<[u8; 4]>; KEYS],
    /// How many of them were not used, those at the front.
    left: Cell<usize>,
}

/// Returns a key that was not handed out before.
pub(in super::super) fn thread_key() -> [u8; 4] {
    DRAWN.with(|drawn| {
        let left = drawn.left.get().checked_sub(1).unwrap_or_else(|| drawn.draw());
        drawn.left.set(left);
        // The remainder says that there is such a key.
        drawn.keys[left % KEYS].get()
    })
}

impl Drawn {
    /// Draws as many keys as there is room for; returns the place of the last one.
    #[cold]
    fn draw(&self) -> usize {
        let mut bytes = [0; KEYS * 4];
        rand::rng().fill_bytes(&mut bytes);
        for (key, bytes) in self.keys.iter().zip(bytes.chunks_exact(4)) {
            key.set([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        KEYS - 1
    }
}

/// As many as `rand` makes at a time.
const KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Two of so many random keys are the same by chance once in 100,000 runs; that is allowed for.
    #[test]
    fn no_key_comes_twice_in_one_thread_or_in_two() {
        let draw = || (0..KEYS * 2 + 1).map(|_| thread_key()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw).join().unwrap();
        let mut keys = [draw(), other].concat();
        keys.sort_unstable();
        keys.dedup();
        assert!(keys.len() > KEYS * 4, "{} different keys", keys.len());
    }
}
