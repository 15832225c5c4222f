//! The time that a handshake may take, with the clock in the caller's hand.

use super::error::HeadError;
use crate::Instant;
use core::time::Duration;

/// A time span that starts with the first look at the clock.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    timeout: Option<Duration>,
    at: Option<Instant>,
}

impl Deadline {
    pub(super) const fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, at: None }
    }

    pub(super) const fn poll(&self) -> Option<Instant> {
        self.at
    }

    /// Starts the clock if it does not run yet; else says whether time is over.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), HeadError> {
        let Some(timeout) = self.timeout else {
            return Ok(());
        };
        if now >= *self.at.get_or_insert(now + timeout) { Err(HeadError::TimedOut { timeout }) } else { Ok(()) }
    }
}

/// The default of both sides: long enough for a slow link, short enough to shed those who hold a socket and say
/// nothing.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
