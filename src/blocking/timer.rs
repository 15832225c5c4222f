//! Deadlines on a stream that blocks: the read timeout is the only timer there is.

use core::time::Duration;
use std::io;

use super::transport::Transport;

/// The read timeout of a stream, shared between our deadlines and the caller's own one.
#[derive(Debug, Default)]
pub(super) struct ReadTimer {
    /// What we set.
    armed: Option<Duration>,
    /// What the stream made of that: systems round. Where it says something else, the caller has set it since.
    shown: Option<Duration>,
    /// What the caller set.
    callers: Option<Duration>,
}

impl ReadTimer {
    /// Sees to it that the next read takes about `wanted` at most; returns whether it is bounded at all.
    ///
    /// A timeout that is about right is left as it is, so that a busy connection does not set it for each read.
    pub(super) fn arm(&mut self, stream: &mut impl Transport, wanted: Option<Duration>) -> io::Result<bool> {
        if wanted.or(self.armed).is_none() {
            return Ok(false);
        }
        let current = stream.read_timeout()?;
        if self.armed.is_none() || current != self.shown {
            (self.armed, self.callers) = (None, current);
        }
        let is_right = match (wanted, self.armed) {
            (Some(wanted), Some(armed)) => armed <= wanted && armed >= wanted - wanted / 8,
            (None, None) => return Ok(false),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if is_right {
            return Ok(true);
        }
        let timeout = match (wanted, self.callers) {
            (Some(wanted), Some(callers)) => Some(wanted.min(callers)),
            (wanted, callers) => wanted.or(callers),
        };
        self.armed = if stream.set_read_timeout(timeout)? { wanted } else { None };
        self.shown = stream.read_timeout()?;
        Ok(self.armed.is_some())
    }

    /// Whether a read that gave nothing after `elapsed` was ended by our timeout, and neither by the caller's own one
    /// nor by a stream that does not block.
    pub(super) fn is_cause(&self, elapsed: Duration) -> bool {
        // The system's timer may be off a little.
        let is_over = |limit: Option<Duration>| limit.is_some_and(|limit| elapsed >= limit - limit / 8);
        is_over(self.armed) && !is_over(self.callers)
    }
}
