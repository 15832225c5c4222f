//! The time for everything together, [`Timeouts::total`](super::Timeouts::total), on the clocks of both styles of I/O.
//!
//! It bounds each stage beside the stage's own time; which of the two was over, is asked when one is.

use core::time::Duration;

use super::error::Error;

/// The time for everything together, which has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget<I> {
    started: I,
    total: Option<Duration>,
}

/// A point in time that knows how long ago it was.
pub(super) trait Past: Copy {
    fn elapsed(self) -> Duration;
}

impl Past for ::tokio::time::Instant {
    fn elapsed(self) -> Duration {
        Self::elapsed(&self)
    }
}

impl Past for std::time::Instant {
    fn elapsed(self) -> Duration {
        Self::elapsed(&self)
    }
}

impl<I: Past> Budget<I> {
    /// Begins.
    pub(super) const fn new(started: I, total: Option<Duration>) -> Self {
        Self { started, total }
    }

    /// Returns what is left of it.
    pub(super) fn left(self) -> Option<Duration> {
        self.total.map(|total| total.saturating_sub(self.started.elapsed()))
    }

    /// Returns the time that a stage may take: its own, but no more than is left.
    pub(super) fn limit(self, stage: Option<Duration>) -> Option<Duration> {
        [stage, self.left()].into_iter().flatten().min()
    }

    /// Says of an error whether it is the time for everything that was over.
    pub(super) fn judge(self, error: Error) -> Error {
        match (error, self.total) {
            (Error::TimedOut { stage, peer, .. }, Some(total)) if self.started.elapsed() >= total => {
                Error::OutOfTime { stage, peer, total }
            }
            (error, _) => error,
        }
    }
}
