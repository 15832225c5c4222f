//! Masking with the vectors of 32 bytes that an x86-64 processor with AVX2 has.
//!
//! The loop is that of every processor, compiled once more. The one thing that needs `unsafe` is to call it, because only we
//! can say that the processor was asked. What that earns, in nanoseconds, from the cache next to the core (`cargo
//! bench --bench engine -- mask`; beyond that cache there is no difference):
//!
//! | bytes | SSE2 | AVX2 |
//! |--:|--:|--:|
//! | 1,024 | 22 | 18 |
//! | 4,096 | 62 | 42 |
//! | 16,384 | 247 | 140 |
//!
//! And to mask a payload on its way into the output and write it to memory, the copy of the write included:
//!
//! | bytes | SSE2 | AVX2 |
//! |--:|--:|--:|
//! | 1,024 | 49 | 46 |
//! | 4,096 | 150 | 127 |
//! | 8,192 | 276 | 233 |
#![expect(unsafe_code, reason = "a function for some processors can be called in no other way")]

use alloc::vec::Vec;
use core::ops::Range;
use std::is_x86_feature_detected;

use super::copy::{copy_blocks, unmask_down as unmask_down_anywhere};
use super::{Seen, mask_lines};

/// Masks a payload, if the processor can do it in this way.
#[inline]
pub(super) fn mask(payload: &mut [u8], masking_key: [u8; 4]) -> Option<Seen> {
    // SAFETY: the processor has AVX2, as it has just said; that is all that the function asks for.
    is_x86_feature_detected!("avx2").then(|| unsafe { mask_with_avx2(payload, masking_key) })
}

/// Unmasks a payload and moves it down, if the processor can do it in this way; says whether it did.
#[inline]
pub(super) fn unmask_down(bytes: &mut [u8], from: Range<usize>, to: usize, masking_key: [u8; 4]) -> bool {
    let can = is_x86_feature_detected!("avx2");
    if can {
        // SAFETY: as above.
        unsafe { unmask_down_with_avx2(bytes, from, to, masking_key) };
    }
    can
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
unsafe fn mask_with_avx2(payload: &mut [u8], masking_key: [u8; 4]) -> Seen {
    mask_lines(payload, masking_key)
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
unsafe fn unmask_down_with_avx2(bytes: &mut [u8], from: Range<usize>, to: usize, masking_key: [u8; 4]) {
    unmask_down_anywhere(bytes, from, to, masking_key)
}

/// Appends a payload to `output`, masked on the way, if the processor can do it in this way; says whether it did.
#[inline]
pub(super) fn copy(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) -> bool {
    let can = is_x86_feature_detected!("avx2");
    if can {
        // SAFETY: the processor has AVX2, as it has just said; that is all that the function asks for.
        unsafe { copy_with_avx2(payload, masking_key, output) };
    }
    can
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
unsafe fn copy_with_avx2(payload: &[u8], masking_key: [u8; 4], output: &mut Vec<u8>) {
    copy_blocks(payload, masking_key, output);
}
