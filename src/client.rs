//! A client.

mod backoff;
mod reconnect;
mod retry_after;

pub use self::backoff::{Backoff, BackoffConfig};
pub use self::reconnect::{Failure, Reconnecting, Retry};
pub use self::retry_after::RetryAfter;

/// The same on threads.
pub mod blocking {
    pub use super::reconnect::blocking::{Reconnecting, Stop};
}
