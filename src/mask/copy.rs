//! Masking a payload on its way somewhere else, one pass over the bytes instead of two: into the output, as a client sends it, or
//! to the end of another one that lies in front of it, as a server receives fragments.

use alloc::vec::Vec;
use core::ops::Range;

#[cfg(all(feature = "std", target_arch = "x86_64"))]
use super::avx2;
use super::{BLOCK, LINE, LONG, WIDE, mask, mask_piece, turn};

/// Appends a payload to `output`, masked on the way.
///
/// The caller has reserved the room, so that what is appended block by block moves nothing.
#[inline(always)]
pub(crate) fn copy_masked(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    match payload.len() {
        ..SHORT => copy_short(payload, masking_key, output),
        SHORT..TWO_BLOCKS => copy_medium(payload, masking_key, output),
        _ => copy_long(payload, masking_key, output),
    }
}

/// Copies what is a few instructions, which are fewer than a call.
#[inline(always)]
fn copy_short(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    let mut rest = payload;
    copy_front::<16>(&mut rest, masking_key, output);
    copy_front::<8>(&mut rest, masking_key, output);
    copy_front::<4>(&mut rest, masking_key, output);
    for (byte, key) in rest.iter().zip(masking_key) {
        output.push(byte ^ key);
    }
}

/// Copies one block or two, or two halves of one.
#[inline(never)]
fn copy_medium(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    if payload.len() < BLOCK {
        copy_ends::<SHORT>(payload, masking_key, output)
    } else {
        copy_ends::<BLOCK>(payload, masking_key, output)
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
    let to_line = output.spare_capacity_mut().as_ptr().align_offset(LINE);
    let (rest, masking_key) = match payload.split_at_checked(to_line) {
        Some((start, rest)) if payload.len() >= SEVERAL_LINES => {
            let end = output.len() + start.len();
            copy_block::<BLOCK>(&payload[..BLOCK], masking_key, output);
            output.truncate(end);
            (rest, turn(masking_key, to_line))
        }
        Some(_) | None => (payload, masking_key),
    };
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if payload.len() >= WIDE && avx2::copy(rest, masking_key, output) {
        return;
    }
    copy_blocks(rest, masking_key, output);
}

/// Unmasks the payload that lies at `from`, and moves it to `to`, which is not behind that.
#[inline(always)]
pub(crate) fn unmask_within(bytes: &mut [u8], from: Range<usize>, to: usize, masking_key: [u8; 4]) {
    let is_moved = to < from.start;
    if is_moved && from.len() >= WIDE {
        return unmask_long_within(bytes, from, to, masking_key);
    }
    // What is short is masked faster than the processor is asked what it can do.
    mask(&mut bytes[from.clone()], masking_key);
    if is_moved {
        bytes.copy_within(from, to);
    }
}

#[inline(never)]
fn unmask_long_within(bytes: &mut [u8], from: Range<usize>, to: usize, masking_key: [u8; 4]) {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if avx2::unmask_down(bytes, from.clone(), to, masking_key) {
        return;
    }
    unmask_down(bytes, from, to, masking_key)
}

/// A block is read before anything is written there: what lies in front of it was moved already.
#[inline(always)]
pub(super) fn unmask_down(bytes: &mut [u8], from: Range<usize>, to: usize, masking_key: [u8; 4]) {
    let (by, end) = (from.start - to, from.start + from.len() / BLOCK * BLOCK);
    for at in (from.start..end).step_by(BLOCK) {
        let window = &mut bytes[at - by..at + BLOCK];
        let Some(&(mut block)) = window.last_chunk::<BLOCK>() else { break };
        mask_piece::<BLOCK>(&mut block, masking_key);
        if let Some(place) = window.first_chunk_mut() {
            *place = block;
        }
    }
    bytes.copy_within(end..from.end, end - by);
    mask(&mut bytes[end - by..from.end - by], masking_key);
}

/// Copies one block or more. What is left of the last one goes out in a block that begins in the one before it.
#[inline(always)]
pub(super) fn copy_blocks(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    let mut blocks = payload.chunks_exact(BLOCK);
    for block in &mut blocks {
        copy_block::<BLOCK>(block, masking_key, output);
    }
    if !blocks.remainder().is_empty() {
        copy_end::<BLOCK>(payload, masking_key, output);
    }
}

/// Appends a payload of one to two blocks.
#[inline(always)]
fn copy_ends<const N: usize>(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    if let Some((block, rest)) = payload.split_at_checked(N) {
        copy_block::<N>(block, masking_key, output);
        if !rest.is_empty() {
            copy_end::<N>(payload, masking_key, output);
        }
    }
}

/// Appends the last block of a payload of which all but a part of that was appended.
#[inline(always)]
fn copy_end<const N: usize>(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    let at = payload.len() - N;
    if let Some((_, block)) = payload.split_at_checked(at) {
        output.truncate(output.len() - (N - payload.len() % N));
        copy_block::<N>(block, turn(masking_key, at), output);
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
const SHORT: usize = BLOCK / 2;

const TWO_BLOCKS: usize = 2 * BLOCK;

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
            WIDE - 1,
            WIDE,
            WIDE + 77,
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

    #[test]
    fn a_payload_unmasked_within_agrees_with_the_definition() {
        const KEY: [u8; 4] = [1, 2, 0x83, 0xff];
        for len in [0, 1, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, WIDE - 1, WIDE, 1100] {
            for by in [0, 1, 6, 14, BLOCK - 1, BLOCK, BLOCK + 1, 300] {
                let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                let (front, behind) = (alloc::vec![7; 9 + by], [7; 5]);
                let mut masked = [&front[..], &payload, &behind].concat();
                naive(&mut masked[9 + by..9 + by + len], KEY);
                for unmask in [unmask_within, unmask_down] {
                    let mut bytes = masked.clone();
                    unmask(&mut bytes, 9 + by..9 + by + len, 9, KEY);
                    assert_eq!(bytes[..9], front[..9]);
                    assert_eq!(bytes[9..9 + len], payload, "{len} bytes by {by}");
                    assert_eq!(bytes[9 + by + len..], behind);
                }
            }
        }
    }

    #[test]
    fn what_every_processor_can_agrees_with_the_definition() {
        for len in [BLOCK, BLOCK + 1, 3 * BLOCK - 1, WIDE, WIDE + 77] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let mut slow = bytes.clone();
            naive(&mut slow, [1, 2, 3, 0xff]);
            let mut output = Vec::with_capacity(len);
            copy_blocks(&bytes, [1, 2, 3, 0xff], &mut output);
            assert_eq!(output, slow, "{len} bytes");
        }
    }
}
