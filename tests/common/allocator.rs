//! An allocator that counts, for each thread by itself, so that tests do not disturb each other.
//!
//! A test binary that measures says: `#[global_allocator] static ALLOCATOR: Counting = Counting;`

#![expect(unsafe_code, reason = "an allocator cannot be had without; it only counts and hands on to the system's")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

/// The system's allocator, watched.
pub(crate) struct Counting;

/// What a piece of code took from the allocator, on its own thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Allocations and reallocations.
    pub(crate) allocations: u64,
    /// Bytes that were allocated, reallocations at their full size.
    pub(crate) bytes: i64,
    /// The most bytes that were held at once, beyond those held before.
    pub(crate) peak: i64,
    /// Bytes that are still held, beyond those held before.
    pub(crate) kept: i64,
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// Runs a piece of code and tells what it took.
pub(crate) fn measure<T>(run: impl FnOnce() -> T) -> (T, Taken) {
    let (allocations, bytes, held) = (ALLOCATIONS.get(), BYTES.get(), HELD.get());
    PEAK.set(held);
    let result = run();
    let taken = Taken {
        allocations: ALLOCATIONS.get() - allocations,
        bytes: BYTES.get() - bytes,
        peak: PEAK.get() - held,
        kept: HELD.get() - held,
    };
    (result, taken)
}

/// How many bytes this thread holds.
pub(crate) fn held() -> i64 {
    HELD.get()
}

/// Notes that `more` bytes were allocated and `less` given back.
fn note(more: usize, less: usize) {
    let (more, less) = (i64::try_from(more).unwrap_or(i64::MAX), i64::try_from(less).unwrap_or(i64::MAX));
    ALLOCATIONS.set(ALLOCATIONS.get() + u64::from(more > 0));
    BYTES.set(BYTES.get() + more);
    HELD.set(HELD.get() + more - less);
    PEAK.set(PEAK.get().max(HELD.get()));
}

// SAFETY: every call goes to the system's allocator with what the caller gave, so its contract is kept by both sides;
// counting allocates nothing, for the counters are constant thread-locals without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`, and the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(new_size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`, and the block came from `System`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
