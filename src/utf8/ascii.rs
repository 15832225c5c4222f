//! Text that is short and ASCII, which most messages are.
//!
//! Whether bytes are ASCII takes one look at each eight or sixteen of them, and less time than the call of a check for all of
//! UTF-8; but the standard library makes a `str` of bytes, unless it is told that they are one, only after a check of its own.
//! So that is told it here, and nowhere else. What that earns, in nanoseconds to receive a masked text from the cache next to the
//! core, beside a binary message (the least of 300 turns each):
//!
//! | bytes | binary | text, as all UTF-8 | ASCII first |
//! |--:|--:|--:|--:|
//! | 4 | 5.1 | 8.3 | 5.4 |
//! | 16 | 4.8 | 11.6 | 5.1 |
//! | 125 | 8.3 | 23.3 | 13.9 |
//! | 400 | 16.7 | 32.0 | 23.5 |
//!
//! Text that is not ASCII takes one or two nanoseconds more for it. `cargo bench --bench engine -- utf8` has the check alone.
#![expect(unsafe_code, reason = "there is no other way from bytes to text without a second check")]

use core::str;

use crate::mask::unmask;

/// Makes a text of bytes that are all ASCII; `None` where they are not.
#[inline(always)]
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    text_if(is_ascii(bytes), bytes)
}

/// Unmasks a payload, and makes a text of it if it is all ASCII; the bytes where it is not. Who unmasks has looked at each byte.
#[inline(always)]
pub(super) fn unmasked_text(payload: &mut [u8], masking_key: [u8; 4]) -> Result<&str, &[u8]> {
    let seen = unmask(payload, masking_key);
    text_if(seen.is_ascii(), payload).ok_or(payload)
}

/// Makes a text of bytes where all of them were seen to be ASCII.
#[inline(always)]
fn text_if(is_ascii: bool, bytes: &[u8]) -> Option<&str> {
    // SAFETY: each byte is below 0x80, and each such byte is a character in UTF-8, whatever stands beside it.
    is_ascii.then(|| unsafe { str::from_utf8_unchecked(bytes) })
}

/// Whether no byte has its highest bit set. The ends overlap, where the length is no multiple of what is looked at.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let mut blocks = bytes.chunks_exact(BLOCK);
        let mut all = [0; BLOCK];
        for block in &mut blocks {
            for (all, byte) in all.iter_mut().zip(block) {
                *all |= byte;
            }
        }
        let mut rest = blocks.remainder();
        let mut high = u128::from_ne_bytes(*last);
        while let Some((front, behind)) = rest.split_first_chunk::<16>() {
            high |= u128::from_ne_bytes(*front);
            rest = behind;
        }
        for block in all.chunks_exact(16) {
            high |= block.try_into().map_or(HIGH, u128::from_ne_bytes);
        }
        high & HIGH == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        u128::from(u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last)) & HIGH == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u128::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & HIGH == 0
    } else {
        bytes.iter().all(u8::is_ascii)
    }
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The highest bit of each byte.
const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_byte_that_is_not_ascii_is_seen_wherever_it_stands() {
        for len in 0..200 {
            let mut bytes = vec![b'a'; len];
            assert_eq!(text(&bytes), str::from_utf8(&bytes).ok());
            for at in 0..len {
                for other in [0x80, 0xc3, 0xff] {
                    bytes[at] = other;
                    assert_eq!(text(&bytes), None, "{other:x} at {at} of {len}");
                }
                bytes[at] = 0x7f;
            }
        }
    }

    #[test]
    fn a_byte_that_is_not_ascii_is_seen_while_it_is_unmasked() {
        let key = [1, 0x82, 3, 0xff];
        for len in (0..200).chain([1023, 1024, 1100, 4096, 4200]) {
            for at in (0..len).step_by(1 + len / 200).chain([len.saturating_sub(1), len]) {
                let mut bytes = vec![b'a'; len];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = 0x80;
                }
                let mut masked = bytes.clone();
                unmask(&mut masked, key);
                match unmasked_text(&mut masked, key) {
                    Ok(text) => assert_eq!((text.as_bytes(), at), (&bytes[..], len)),
                    Err(other) => assert_eq!((other, at < len), (&bytes[..], true)),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_what_the_standard_library_calls_ascii(bytes in prop::collection::vec(0u8..0x82, 0..150)) {
            let ascii: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
            prop_assert_eq!(text(&ascii), str::from_utf8(&ascii).ok());
            prop_assert_eq!(text(&bytes).is_some(), bytes.is_ascii());
        }
    }
}
