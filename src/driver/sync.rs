//! The locks that the driver shares between tasks; `loom`'s where the hand-over is model-checked.

#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(loom)]
pub(super) use self::model::{Mutex, MutexGuard, PoisonError};

/// `loom`'s lock under the interface of the standard library's.
#[cfg(loom)]
mod model {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
