//! How many bytes are held, and were asked for: the system's allocator, watched.
//!
//! Workers have one thread, so counting is a plain addition or two, which cost nobody who allocates much. With several, the count would
//! be a little wrong.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);
static ASKED_FOR: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes are held now.
pub(crate) fn held() -> isize {
    HELD.load(Relaxed)
}

/// How many bytes were asked for so far, given back or not.
#[cfg(feature = "all")]
pub(crate) fn asked_for() -> usize {
    ASKED_FOR.load(Relaxed)
}

#[inline]
fn count(more: isize) {
    HELD.store(HELD.load(Relaxed) + more, Relaxed);
}

#[inline]
fn ask(size: usize) {
    ASKED_FOR.store(ASKED_FOR.load(Relaxed) + size, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        ask(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        ask(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size.cast_signed() - layout.size().cast_signed());
        ask(new_size);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }
}
