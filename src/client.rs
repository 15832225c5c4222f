//! A client.

mod backoff;
mod retry_after;

pub use self::backoff::{Backoff, BackoffConfig};
pub use self::retry_after::RetryAfter;
