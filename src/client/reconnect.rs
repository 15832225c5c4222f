//! Connection after connection, until something says that another one would not help.
//!
//! What there is to decide is decided here, for both styles of waiting: whether a failure may heal, how long to wait, and
//! what to tell whoever watches. [`Reconnecting`] waits on tokio, [`blocking::Reconnecting`] on its thread.
//!
//! Both call a closure that connects, so that each attempt can bring what is new for it, such as a token that has not
//! expired, and so that any way to a connection will do: a [`Client`](super::Client)'s, or one over a stream of your own.

pub(super) mod blocking;
mod tokio;

use core::fmt;
use core::time::Duration;
use std::time::SystemTime;

pub use self::tokio::Reconnecting;

use super::backoff::{Backoff, BackoffConfig, may_heal};
use super::retry_after::RetryAfter;
use crate::adapter::Error;
use crate::close::CloseCode;
use crate::handshake::{RefusedResponse, ResponseError};
use crate::time::Instant;

/// An error of connecting, as far as it matters for another attempt.
pub trait Failure {
    /// Returns whether another attempt would fail in the same way: the address is wrong, the server said 401, 403 or 404,
    /// the certificate is bad.
    fn is_permanent(&self) -> bool;

    /// Returns when the server wants to be asked again, if it said so.
    fn retry_after(&self) -> Option<RetryAfter>;
}

/// For connections that are opened without a [`Client`](super::Client), by the adapters alone.
impl Failure for Error {
    fn is_permanent(&self) -> bool {
        match self {
            Self::Io(_) | Self::Timeout(_) | Self::Lost | Self::Full => false,
            // Half a head is what is left of a server that restarts.
            Self::Response(ResponseError::Head(_)) => false,
            Self::Response(ResponseError::Refused(refused)) => is_permanent(refused.status),
            Self::Response(_)
            | Self::Protocol(_)
            | Self::Send(_)
            | Self::Rejected(_)
            | Self::Request(_)
            | Self::Application(_)
            | Self::Uri(_) => true,
        }
    }

    fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Response(ResponseError::Refused(refused)) => retry_after(refused),
            _ => None,
        }
    }
}

impl Failure for super::Error {
    fn is_permanent(&self) -> bool {
        self.is_permanent()
    }

    fn retry_after(&self) -> Option<RetryAfter> {
        self.retry_after()
    }
}

/// Returns whether a server that answers a handshake with this status will do so again: with any but 408 (request timeout),
/// 425 (too early), 429 (too many requests) and those from 500 on.
pub(super) const fn is_permanent(status: u16) -> bool {
    !matches!(status, 408 | 425 | 429 | 500..)
}

/// Returns when a server that refused wants to be asked again.
pub(super) fn retry_after(refused: &RefusedResponse) -> Option<RetryAfter> {
    refused.headers.get("Retry-After").and_then(RetryAfter::parse)
}

/// What comes before another attempt; for a log, or a line that tells the user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sockeye::client::Error> {
/// use sockeye::client::{BackoffConfig, Client};
///
/// let reconnecting = Client::new()
///     .reconnecting("wss://example.com/prices", BackoffConfig::default())?
///     .on_retry(|retry| match retry.error {
///         Some(error) => eprintln!("{error}; attempt {} in {:?}", retry.failures + 1, retry.delay),
///         None => eprintln!("the connection has ended; the next one in {:?}", retry.delay),
///     });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Retry<'a, E> {
    /// How long it is until then.
    pub delay: Duration,
    /// How many attempts have failed since the last connection: none if it is that which has ended.
    pub failures: u32,
    /// Why the last of them failed.
    pub error: Option<&'a E>,
}

/// The decisions, and who is told of them.
struct Plan<E> {
    backoff: Backoff,
    /// When the first attempt is made, or the next one after what has happened.
    next: Instant,
    /// A connection is open, as far as we know.
    is_connected: bool,
    is_done: bool,
    observer: Option<Observer<E>>,
}

type Observer<E> = Box<dyn FnMut(&Retry<'_, E>) + Send>;

impl<E> Plan<E> {
    fn new(config: BackoffConfig) -> Self {
        Self {
            backoff: Backoff::new(config),
            next: Instant::default(),
            is_connected: false,
            is_done: false,
            observer: None,
        }
    }

    fn connected(&mut self, now: Instant) {
        self.backoff.handle_connected(now);
        self.is_connected = true;
    }

    /// Takes note of the end of the connection, once.
    fn lost(&mut self, now: Instant, code: Option<CloseCode>) {
        if !core::mem::take(&mut self.is_connected) {
            return;
        }
        let delay = self.backoff.handle_lost(now, code, rand::random());
        if code.is_some_and(|code| !may_heal(code)) {
            self.is_done = true;
            return;
        }
        self.wait(now, delay, None);
    }

    /// Takes note of an attempt that failed; hands the error back if it is to be the last.
    fn failed(&mut self, now: Instant, error: E) -> Result<(), E>
    where
        E: Failure,
    {
        let retry_after = error.retry_after().map(|retry_after| retry_after.delay(SystemTime::now()));
        let delay = self.backoff.handle_failure(retry_after, rand::random());
        if error.is_permanent() || self.backoff.is_exhausted() {
            // Who asks again all the same waits, too.
            self.next = now + delay;
            return Err(error);
        }
        self.wait(now, delay, Some(&error));
        Ok(())
    }

    fn wait(&mut self, now: Instant, delay: Duration, error: Option<&E>) {
        self.next = now + delay;
        if let Some(observer) = &mut self.observer {
            observer(&Retry { delay, failures: self.backoff.failures(), error });
        }
    }
}

impl<E> fmt::Debug for Plan<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backoff, next, is_connected, is_done, observer: _ } = self;
        f.debug_struct("Plan")
            .field("backoff", backoff)
            .field("next", next)
            .field("is_connected", is_connected)
            .field("is_done", is_done)
            .finish_non_exhaustive()
    }
}

/// The longest wait that a clock is asked for, because what is beyond its end would panic: longer than any program runs.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
