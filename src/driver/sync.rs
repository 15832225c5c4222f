//! The locks and flags that the driver shares between tasks; `loom`'s where the hand-over is model-checked (`tests/loom`).
//!
//! The flag that asks for it has a name of our own, because other crates look at `loom`.

#[cfg(not(sockeye_loom))]
pub(super) use core::sync::atomic::AtomicBool;
#[cfg(not(sockeye_loom))]
pub(super) use std::sync::{Mutex, MutexGuard};

#[cfg(sockeye_loom)]
pub(super) use loom::sync::atomic::AtomicBool;
#[cfg(sockeye_loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};

pub(super) use core::sync::atomic::Ordering;
pub(super) use std::sync::PoisonError;
