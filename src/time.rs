//! Time as the engine sees it: a point on a clock that the caller reads and passes in.
//!
//! The engine never reads a clock. An [`Instant`] is the time since an origin that the caller picks, the same
//! origin for all instants given to one connection; a test passes whatever it likes.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time: the time that passed since an origin of the caller's choice.
///
/// With `std`, take `std::time::Instant::now()` once as the origin and pass `origin.elapsed().into()`.
///
/// ```
/// use core::time::Duration;
/// use sockeye::Instant;
///
/// let start = Instant::from(Duration::from_secs(5));
/// let later = start + Duration::from_secs(2);
/// assert_eq!(later - start, Duration::from_secs(2));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
///
/// It counts nanoseconds, and reaches 584 years far; what is later counts as the last instant there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Nanoseconds since the origin and one more, so that an `Option` takes no more room.
    nanos: NonZeroU64,
}

impl Instant {
    /// The time since the origin.
    fn since_origin(self) -> Duration {
        Duration::from_nanos(self.nanos.get() - 1)
    }
}

impl From<Duration> for Instant {
    fn from(since_origin: Duration) -> Self {
        let nanos = u64::try_from(since_origin.as_nanos()).unwrap_or(u64::MAX);
        Self { nanos: NonZeroU64::MIN.saturating_add(nanos) }
    }
}

impl Default for Instant {
    /// The origin.
    fn default() -> Self {
        Duration::ZERO.into()
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:?})", self.since_origin())
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// A later instant; one too far away to be represented is the last there is.
    fn add(self, rhs: Duration) -> Self {
        self.since_origin().saturating_add(rhs).into()
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from `rhs` to `self`, zero if `rhs` is the later one.
    fn sub(self, rhs: Self) -> Duration {
        Duration::from_nanos(self.nanos.get().saturating_sub(rhs.nanos.get()))
    }
}

/// A deadline of a connection that passed. That of the opening handshake is an error of the
/// [handshake](crate::handshake).
///
/// ```
/// assert_eq!(sockeye::Timeout::Pong.to_string(), "no sign of life after a ping");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// A ping was sent and nothing came back: [`Config::pong_timeout`](crate::Config::pong_timeout).
    Pong,
    /// Output waited and nothing of it was taken: [`Config::output_timeout`](crate::Config::output_timeout).
    Output,
    /// Nothing was received for too long: [`Config::idle_timeout`](crate::Config::idle_timeout).
    Idle,
    /// A message took too long to arrive: [`Config::message_timeout`](crate::Config::message_timeout).
    Message,
    /// The connection reached its age: [`Config::lifetime`](crate::Config::lifetime).
    Lifetime,
    /// The closing handshake took too long: [`Config::close_timeout`](crate::Config::close_timeout). Who or what began
    /// it is what [`Connection::end_cause`](crate::Connection::end_cause) says.
    Close,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pong => "no sign of life after a ping",
            Self::Output => "nothing of the output was taken for too long",
            Self::Idle => "nothing received for too long",
            Self::Message => "message took too long to arrive",
            Self::Lifetime => "connection reached its longest lifetime",
            Self::Close => "closing handshake timed out",
        })
    }
}
