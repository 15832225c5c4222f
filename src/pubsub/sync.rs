//! The locks and counters that publishers and subscribers share; `loom`'s where they are model-checked (`tests/loom`).

#[cfg(not(sockeye_loom))]
pub(super) use core::sync::atomic::AtomicU64;
#[cfg(not(sockeye_loom))]
pub(super) use std::sync::{Mutex, MutexGuard, RwLock};

#[cfg(sockeye_loom)]
pub(super) use loom::sync::atomic::AtomicU64;
#[cfg(sockeye_loom)]
pub(super) use loom::sync::{Mutex, MutexGuard, RwLock};

pub(super) use core::sync::atomic::Ordering;

/// A counter that nothing depends on.
pub(super) use core::sync::atomic::AtomicU64 as Counter;
use std::sync::{PoisonError, TryLockError};

/// Locks, whatever happened to who had it before: what a lock guards here is whole between two calls.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, if nobody has it.
pub(super) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What threads write at the same time as others write or read what is beside it: two cache lines of its own, as processors fetch
/// them in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);
