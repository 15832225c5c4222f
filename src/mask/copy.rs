//! Masking a payload on its way into the output, as a client sends it: one pass over the bytes instead of two.

use alloc::vec::Vec;

use super::{BLOCK, LINE, LONG, mask, turn};

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

/// Copies what is long enough for a look at where it goes.
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

/// From how many bytes on a payload is copied out of line.
const SHORT: usize = 126;

/// From how many bytes on it is worth to begin at a cache line where a payload is copied to.
const SEVERAL_LINES: usize = 512;

/// How much output is taken to be in the cache of the core; the smallest that are built have 32 KiB for all.
const CACHED: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::tests::naive;

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
}
