//! Masking (RFC 6455 §5.3): each payload byte is XORed with one byte of a four-byte key, in turn.
//!
//! Masking and unmasking are the same operation. It runs on every byte a server receives and a client sends, so
//! the loop works on blocks wide enough for the compiler to use vector registers; no `unsafe` is needed for that.
//! A payload that arrives in pieces continues with the key turned by the bytes done so far, see [`turn`].

use alloc::vec::Vec;

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
    if payload.len() < LONG { mask_blocks(payload, masking_key) } else { mask_long(payload, masking_key) }
}

/// Appends a payload to `output`, masked on the way.
///
/// The caller has reserved the room, so that what is appended block by block moves nothing.
#[inline(always)]
pub(crate) fn copy_masked(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    if payload.len() < SHORT {
        copy_blocks(payload, masking_key, output)
    } else {
        copy_long(payload, masking_key, output)
    }
}

/// As [`mask_long`], for a payload that goes elsewhere.
#[inline(never)]
fn copy_long(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    if output.len() + payload.len() > CACHED {
        // What is not in the cache is fetched faster by copying.
        for piece in payload.chunks(LONG) {
            let start = output.len();
            output.extend_from_slice(piece);
            mask(&mut output[start..], masking_key);
        }
        return;
    }
    let to_line =
        if payload.len() < SEVERAL_LINES { 0 } else { output.spare_capacity_mut().as_ptr().align_offset(LINE) };
    let (start, rest) = payload.split_at(to_line.min(payload.len()));
    copy_blocks(start, masking_key, output);
    copy_blocks(rest, turn(masking_key, start.len()), output);
}

#[inline(always)]
fn copy_blocks(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    let mut blocks = payload.chunks_exact(BLOCK);
    for block in &mut blocks {
        copy_block::<BLOCK>(block, masking_key, output);
    }
    let mut rest = blocks.remainder();
    copy_front::<32>(&mut rest, masking_key, output);
    copy_front::<16>(&mut rest, masking_key, output);
    copy_front::<8>(&mut rest, masking_key, output);
    copy_front::<4>(&mut rest, masking_key, output);
    for (byte, key) in rest.iter().zip(masking_key) {
        output.push(byte ^ key);
    }
}

/// Takes a block off the front, if there is one, and appends it.
#[inline(always)]
fn copy_front<const N: usize>(payload: &mut &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    if let Some((block, rest)) = payload.split_at_checked(N) {
        copy_block::<N>(block, masking_key, output);
        *payload = rest;
    }
}

/// Appends a block of a length that is a multiple of the key's.
#[inline(always)]
fn copy_block<const N: usize>(block: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    if let Ok(mut block) = <[u8; N]>::try_from(block) {
        for half in block.chunks_exact_mut(4) {
            if let Ok(bytes) = <&mut [u8; 4]>::try_from(half) {
                *bytes = (u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes(masking_key)).to_ne_bytes();
            }
        }
        output.extend_from_slice(&block);
    }
}

/// Masks a payload that is worth to be cut where cache lines begin: what lies across two of them takes twice the time.
#[inline(never)]
fn mask_long(payload: &mut [u8], masking_key: [u8; 4]) {
    let at = payload.as_ptr().align_offset(LINE).min(payload.len());
    let (start, rest) = payload.split_at_mut(at);
    mask_blocks(start, masking_key);
    mask_blocks(rest, turn(masking_key, at));
}

#[inline]
fn mask_blocks(payload: &mut [u8], masking_key: [u8; 4]) {
    let wide = u64::from_ne_bytes(repeat(masking_key));
    let mut blocks = payload.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        for word in block.chunks_exact_mut(8) {
            xor_word(word, wide);
        }
    }
    let mut words = blocks.into_remainder().chunks_exact_mut(8);
    for word in &mut words {
        xor_word(word, wide);
    }
    let mut halves = words.into_remainder().chunks_exact_mut(4);
    for half in &mut halves {
        if let Ok(bytes) = <&mut [u8; 4]>::try_from(half) {
            *bytes = (u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes(masking_key)).to_ne_bytes();
        }
    }
    for (byte, key) in halves.into_remainder().iter_mut().zip(masking_key) {
        *byte ^= key;
    }
}

/// Turns a masking key so that it fits the byte `done` bytes further on in the payload.
#[inline]
pub(crate) fn turn(mut masking_key: [u8; 4], done: usize) -> [u8; 4] {
    masking_key.rotate_left(done % 4);
    masking_key
}

/// XORs one eight-byte word in place.
#[inline(always)]
fn xor_word(word: &mut [u8], key: u64) {
    if let Ok(bytes) = <&mut [u8; 8]>::try_from(word) {
        *bytes = (u64::from_ne_bytes(*bytes) ^ key).to_ne_bytes();
    }
}

/// The four bytes of a key twice over.
#[inline(always)]
fn repeat([a, b, c, d]: [u8; 4]) -> [u8; 8] {
    [a, b, c, d, a, b, c, d]
}

/// Bytes that one turn of the wide loop takes.
const BLOCK: usize = 64;

/// From how many bytes on a payload is copied out of line.
const SHORT: usize = 126;

/// From how many bytes on it is worth to begin at a cache line where a payload is copied to.
const SEVERAL_LINES: usize = 512;

/// How much output is taken to be in the cache of the core; the smallest that are built have 32 KiB for all.
const CACHED: usize = 16 * 1024;

/// Bytes of a cache line.
const LINE: usize = 64;

/// From how many bytes on a payload is long: 16 KiB then take a third less, and one KiB would take half as much again.
const LONG: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The RFC's definition, letter for letter: the twin that `mask` must agree with.
    fn naive(payload: &mut [u8], key: [u8; 4]) {
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
            for len in [LONG - 1, LONG, LONG + 1, LONG + 77] {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(at + len).collect();
                let (mut fast, mut slow) = (bytes.clone(), bytes);
                mask(&mut fast[at..], [1, 2, 3, 0xff]);
                naive(&mut slow[at..], [1, 2, 3, 0xff]);
                assert_eq!(fast, slow, "{len} bytes from {at}");
            }
        }
    }

    #[test]
    fn a_payload_masked_on_its_way_agrees_with_the_definition() {
        let lens = (0..=4 * BLOCK + 7).chain([
            SEVERAL_LINES - 1,
            SEVERAL_LINES,
            2 * SEVERAL_LINES + 77,
            LONG + 5,
            CACHED - 70,
            CACHED + 7,
        ]);
        for len in lens {
            for before in [0, 1, LINE - 1, LINE, CACHED] {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                let mut slow = bytes.clone();
                naive(&mut slow, [1, 2, 3, 0xff]);
                let mut output = Vec::with_capacity(before + len);
                output.resize(before, 7);
                copy_masked(&bytes, [1, 2, 3, 0xff], &mut output);
                assert!(output[..before].iter().all(|&byte| byte == 7));
                assert_eq!(output[before..], slow, "{len} bytes behind {before}");
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
