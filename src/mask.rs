//! Masking (RFC 6455 §5.3): each payload byte is XORed with one byte of a four-byte key, in turn.
//!
//! Masking and unmasking are the same operation. It runs on every byte a server receives and a client sends, so
//! the loop works on blocks wide enough for the compiler to use vector registers; no `unsafe` is needed for those that
//! every processor of a kind has. Wider ones are in a file of their own.
//! A payload that arrives in pieces continues with the key turned by the bytes done so far, see [`turn`].

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod avx2;
mod copy;

use core::mem;

pub(crate) use self::copy::copy_masked;

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
    if payload.len() < WIDE { mask_blocks(payload, masking_key) } else { mask_long(payload, masking_key) }
}

/// Masks a payload that is worth a look at what the processor can do.
#[inline(never)]
fn mask_long(payload: &mut [u8], masking_key: [u8; 4]) {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if avx2::mask(payload, masking_key) {
        return;
    }
    if payload.len() < LONG { mask_blocks(payload, masking_key) } else { mask_lines(payload, masking_key) }
}

/// Masks a payload cut where cache lines begin: what lies across two of them takes twice the time.
#[inline(always)]
fn mask_lines(payload: &mut [u8], masking_key: [u8; 4]) {
    let at = payload.as_ptr().align_offset(LINE).min(payload.len());
    let (start, rest) = payload.split_at_mut(at);
    mask_blocks(start, masking_key);
    mask_blocks(rest, turn(masking_key, at));
}

#[inline(always)]
fn mask_blocks(payload: &mut [u8], masking_key: [u8; 4]) {
    let mut blocks = payload.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        mask_block::<BLOCK>(block, masking_key);
    }
    let mut rest = blocks.into_remainder();
    mask_front::<32>(&mut rest, masking_key);
    mask_front::<16>(&mut rest, masking_key);
    mask_front::<8>(&mut rest, masking_key);
    mask_front::<4>(&mut rest, masking_key);
    for (byte, key) in rest.iter_mut().zip(masking_key) {
        *byte ^= key;
    }
}

/// Takes a block off the front, if there is one, and masks it.
#[inline(always)]
fn mask_front<const N: usize>(payload: &mut &mut [u8], masking_key: [u8; 4]) {
    if payload.len() >= N {
        let (block, rest) = mem::take(payload).split_at_mut(N);
        mask_block::<N>(block, masking_key);
        *payload = rest;
    }
}

/// Masks a block of a length that is a multiple of the key's.
#[inline(always)]
fn mask_block<const N: usize>(block: &mut [u8], masking_key: [u8; 4]) {
    if let Ok(block) = <&mut [u8; N]>::try_from(block) {
        for half in block.chunks_exact_mut(4) {
            if let Ok(bytes) = <&mut [u8; 4]>::try_from(half) {
                *bytes = (u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes(masking_key)).to_ne_bytes();
            }
        }
    }
}

/// Turns a masking key so that it fits the byte `done` bytes further on in the payload.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "what is left of a division by 4 is less than 4")]
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
