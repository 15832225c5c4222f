//! What a node knows of an engine that numbers, whatever connection it has.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::heard::Heard;

/// What stays when a connection ends.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    known: Mutex<Known>,
    heard: Mutex<Heard>,
    ignored: AtomicU64,
}

/// What the node knows of the numbering: enough to see whether the engine has lost something since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// `None` before the first connection.
    pub(super) epoch: Option<u64>,
    /// The last number that there was.
    pub(super) last: u64,
}

impl Knowledge {
    /// Takes note that there was a message of this number.
    pub(super) fn knows(&self, sequence: u64) {
        let mut known = self.known();
        known.last = known.last.max(sequence);
    }

    /// Counts a message that was none of ours.
    pub(super) fn ignore(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages were none of ours.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
