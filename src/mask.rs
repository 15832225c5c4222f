//! Masking (RFC 6455 §5.3): each payload byte is XORed with one byte of a four-byte key, in turn.
//!
//! Masking and unmasking are the same operation. It runs on every byte a server receives and a client sends, so
//! the loop works on blocks wide enough for the compiler to use vector registers; no `unsafe` is needed for those that
//! every processor of a kind has. Wider ones are in a file of their own.
//! A payload that arrives in pieces continues with the key turned by the bytes done so far, see [`turn`].

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod avx2;
mod copy;

use core::ops::BitOr;

pub(crate) use self::copy::{copy_masked, unmask_within};

/// Masks, or unmasks, a payload in place with the masking key of its frame.
///
/// `payload` must start at the first byte of the frame's payload (RFC 6455 §5.3).
///
/// ```
/// let mut payload = *b"Hello";
/// sockeye::mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);   // RFC 6455 §5.7
/// sockeye::mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn mask(payload: &mut [u8], masking_key: [u8; 4]) {
    unmask(payload, masking_key);
}

/// Unmasks a payload, and says what it has seen on the way: whether all of it is ASCII. That takes no more time.
#[inline]
pub(crate) fn unmask(payload: &mut [u8], masking_key: [u8; 4]) -> Seen {
    if payload.len() < WIDE { mask_blocks(payload, masking_key) } else { mask_long(payload, masking_key) }
}

/// All bytes of a payload, four at a time, put together by OR.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen(u32);

impl Seen {
    #[inline(always)]
    fn all(words: &[u32]) -> Self {
        Self(words.iter().fold(0, |all, word| all | word))
    }

    /// Whether no byte had its highest bit set.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn is_ascii(self) -> bool {
        self.0 & u32::from_ne_bytes([0x80; 4]) == 0
    }
}

/// What was seen in two parts of a payload.
impl BitOr for Seen {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Masks a payload that is worth a look at what the processor can do.
#[inline(never)]
fn mask_long(payload: &mut [u8], masking_key: [u8; 4]) -> Seen {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(seen) = avx2::mask(payload, masking_key) {
        return seen;
    }
    mask_lines(payload, masking_key)
}

/// Masks a long payload cut where cache lines begin: what lies across two of them takes twice the time.
#[inline(always)]
fn mask_lines(payload: &mut [u8], masking_key: [u8; 4]) -> Seen {
    let to_line = if payload.len() < LONG { 0 } else { payload.as_ptr().align_offset(LINE).min(payload.len()) };
    let (start, rest) = payload.split_at_mut(to_line);
    mask_blocks(start, masking_key) | mask_blocks(rest, turn(masking_key, to_line))
}

#[inline(always)]
fn mask_blocks(payload: &mut [u8], masking_key: [u8; 4]) -> Seen {
    let (mut blocks, mut seen) = (payload.chunks_exact_mut(BLOCK), [0; BLOCK / 4]);
    for block in &mut blocks {
        if let Ok(block) = block.try_into() {
            mask_block::<BLOCK>(block, masking_key, &mut seen);
        }
    }
    Seen::all(&seen) | mask_rest(blocks.into_remainder(), masking_key)
}

/// Masks less than a block. The last bytes are taken together, whatever is in front of them, so that no length takes many steps.
#[inline(always)]
fn mask_rest(rest: &mut [u8], masking_key: [u8; 4]) -> Seen {
    if rest.len() >= 16 {
        mask_ends::<16>(rest, masking_key)
    } else if rest.len() >= 8 {
        mask_ends::<8>(rest, masking_key)
    } else if rest.len() >= 4 {
        mask_ends::<4>(rest, masking_key)
    } else {
        let mut seen = 0;
        for (byte, key) in rest.iter_mut().zip(masking_key) {
            *byte ^= key;
            seen |= u32::from(*byte);
        }
        Seen(seen)
    }
}

/// Masks pieces of `N` bytes from the front, as far as the last one does not reach, and that one: it overlaps with them, and was
/// read before.
#[inline(always)]
fn mask_ends<const N: usize>(bytes: &mut [u8], masking_key: [u8; 4]) -> Seen {
    let Some(&(mut last)) = bytes.last_chunk::<N>() else { return Seen::default() };
    let (at, mut seen) = (bytes.len() - N, Seen::default());
    for piece in bytes[..at.next_multiple_of(N)].chunks_exact_mut(N) {
        if let Ok(piece) = piece.try_into() {
            seen = seen | mask_piece::<N>(piece, masking_key);
        }
    }
    seen = seen | mask_piece(&mut last, turn(masking_key, at));
    if let Some(place) = bytes.last_chunk_mut() {
        *place = last;
    }
    seen
}

/// Masks bytes of a number that is a multiple of the key's.
#[inline(always)]
fn mask_piece<const N: usize>(piece: &mut [u8; N], masking_key: [u8; 4]) -> Seen {
    let mut seen = 0;
    for word in piece.chunks_exact_mut(4) {
        seen |= mask_word(word, masking_key);
    }
    Seen(seen)
}

/// As [`mask_piece`], where many come after each other: each word is put to those that stood in its place, and all of them together
/// only at the end.
#[inline(always)]
fn mask_block<const N: usize>(block: &mut [u8; N], masking_key: [u8; 4], seen: &mut [u32]) {
    for (word, seen) in block.chunks_exact_mut(4).zip(seen) {
        *seen |= mask_word(word, masking_key);
    }
}

#[inline(always)]
fn mask_word(word: &mut [u8], masking_key: [u8; 4]) -> u32 {
    let Ok(bytes) = <&mut [u8; 4]>::try_from(word) else { return 0 };
    let masked = u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes(masking_key);
    *bytes = masked.to_ne_bytes();
    masked
}

/// Turns a masking key so that it fits the byte `done` bytes further on in the payload.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it is less than four")]
pub(crate) fn turn(masking_key: [u8; 4], done: usize) -> [u8; 4] {
    // As a number it is turned by one instruction.
    let bits = 8 * (done % 4) as u32;
    u32::from_le_bytes(masking_key).rotate_right(bits).to_le_bytes()
}

/// Bytes that one turn of the wide loop takes.
const BLOCK: usize = 64;

/// Bytes of a cache line.
const LINE: usize = 64;

/// From how many bytes on wider vectors are worth to be asked for.
const WIDE: usize = 1024;

/// From how many bytes on it is worth to begin at a cache line: 16 KiB then take a third less, and one KiB a tenth more.
const LONG: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The RFC's definition, letter for letter: the twin that `mask` must agree with.
    pub(super) fn naive(payload: &mut [u8], key: [u8; 4]) {
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    #[test]
    fn every_length_up_to_four_blocks_agrees_with_the_definition() {
        for len in 0..=4 * BLOCK + 7 {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let (mut fast, mut slow) = (bytes.clone(), bytes);
            mask(&mut fast, [1, 2, 3, 0xff]);
            naive(&mut slow, [1, 2, 3, 0xff]);
            assert_eq!(fast, slow, "{len} bytes");
        }
    }

    #[test]
    fn a_long_payload_agrees_with_the_definition_wherever_it_begins() {
        for at in 0..LINE + 1 {
            for len in [WIDE - 1, WIDE, WIDE + 77, LONG - 1, LONG, LONG + 1, LONG + 77] {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(at + len).collect();
                let (mut fast, mut slow) = (bytes.clone(), bytes);
                mask(&mut fast[at..], [1, 2, 3, 0xff]);
                naive(&mut slow[at..], [1, 2, 3, 0xff]);
                assert_eq!(fast, slow, "{len} bytes from {at}");
            }
        }
    }

    #[test]
    fn what_every_processor_can_agrees_with_the_definition() {
        for at in 0..LINE + 1 {
            for len in [0, 1, WIDE + 77, LONG + 77] {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(at + len).collect();
                let (mut fast, mut slow) = (bytes.clone(), bytes);
                mask_lines(&mut fast[at..], [1, 2, 3, 0xff]);
                naive(&mut slow[at..], [1, 2, 3, 0xff]);
                assert_eq!(fast, slow, "{len} bytes from {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn masking_twice_gives_the_payload_back(bytes: Vec<u8>, key: [u8; 4]) {
            let mut masked = bytes.clone();
            mask(&mut masked, key);
            mask(&mut masked, key);
            prop_assert_eq!(masked, bytes);
        }

        #[test]
        fn a_payload_in_two_pieces_is_masked_as_a_whole_one(bytes: Vec<u8>, key: [u8; 4], at: usize) {
            let at = at % (bytes.len() + 1);
            let mut whole = bytes.clone();
            mask(&mut whole, key);
            let mut pieces = bytes;
            let (head, tail) = pieces.split_at_mut(at);
            mask(head, key);
            mask(tail, turn(key, at));
            prop_assert_eq!(pieces, whole);
        }
    }
}
