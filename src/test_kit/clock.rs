//! Time in the test's hand.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::driver;
use crate::time::Instant;

/// A clock that stands still until it is advanced, and wakes those whose time has come. Clones are the same clock.
///
/// [`run`](super::run()) advances it by itself whenever every task waits. Under another executor that is up to the test:
///
/// ```
/// use core::time::Duration;
/// use sockeye::test_kit::Clock;
///
/// # #[cfg(feature = "tokio")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = Clock::new();
/// let start = clock.now();
/// let waiting = tokio::spawn(clock.sleep(Duration::from_secs(60)));
/// tokio::task::yield_now().await;   // it waits
/// clock.advance(Duration::from_secs(60));
/// waiting.await.unwrap();
/// assert_eq!(clock.now() - start, Duration::from_secs(60));
/// # }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock {
    time: Arc<Mutex<Time>>,
}

#[derive(Debug, Default)]
struct Time {
    now: Instant,
    /// Who is woken when; the number tells those of the same time apart.
    timers: BTreeMap<(Instant, u64), Waker>,
    /// How many timers were set so far.
    count: u64,
}

impl Clock {
    /// Creates a clock that shows its origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time on in one step, and wakes those whose time has come: they run after all of it has passed.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockeye::test_kit::Clock;
    ///
    /// let clock = Clock::new();
    /// let start = clock.now();
    /// clock.advance(Duration::from_millis(1500));
    /// assert_eq!(clock.now() - start, Duration::from_millis(1500));
    /// ```
    pub fn advance(&self, time: Duration) {
        let this = self.lock();
        let now = this.now + time;
        self.move_to(now, this);
    }

    /// Moves the time on to the next timer that is set, and wakes whoever set it; returns whether there was one.
    ///
    /// ```
    /// use sockeye::test_kit::Clock;
    ///
    /// assert!(!Clock::new().advance_to_next());
    /// ```
    pub fn advance_to_next(&self) -> bool {
        let this = self.lock();
        let Some(&(next, _)) = this.timers.keys().next() else { return false };
        self.move_to(next, this);
        true
    }

    /// Returns what time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.lock().now
    }

    /// Returns when the next timer fires, if one is set.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.lock().timers.keys().next().map(|(at, _)| *at)
    }

    /// Waits until so much time has passed, from now on.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockeye::test_kit::{Clock, run};
    ///
    /// let clock = Clock::new();
    /// run(&clock, clock.sleep(Duration::from_secs(24 * 60 * 60)));   // which takes no time
    /// ```
    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep { until: self.now() + time, timer: self.timer() }
    }

    /// Waits for a future, but no longer than that: `None` if it was not ready by then.
    ///
    /// ```
    /// use core::{future, time::Duration};
    /// use sockeye::test_kit::{Clock, run};
    ///
    /// let clock = Clock::new();
    /// let waited = run(&clock, clock.timeout(Duration::from_secs(1), future::pending::<()>()));
    /// assert_eq!(waited, None);
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As that of the future, which is dropped when the time is over.
    pub async fn timeout<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        let (mut sleep, mut future) = (pin!(self.sleep(time)), pin!(future));
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Returns a timer on this clock, such as for a [`driver::Transport`] of the test's own.
    #[must_use]
    pub fn timer(&self) -> Timer {
        Timer { clock: self.clone(), set: None }
    }

    fn move_to(&self, now: Instant, mut this: MutexGuard<'_, Time>) {
        this.now = now;
        let later = this.timers.split_off(&(now, u64::MAX));
        let due: Vec<_> = core::mem::replace(&mut this.timers, later).into_values().collect();
        // Not under the lock: who is woken may look at the clock.
        drop(this);
        due.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer on a [`Clock`].
#[derive(Debug)]
pub struct Timer {
    clock: Clock,
    /// Its place among those that wait.
    set: Option<(Instant, u64)>,
}

impl driver::Timer for Timer {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut time = self.clock.lock();
        let unset = self.set.take().and_then(|set| Some((set, time.timers.remove(&set)?)));
        let polled = if deadline <= time.now {
            Poll::Ready(())
        } else {
            let set = match &unset {
                Some((set, _)) if set.0 == deadline => *set,
                Some(_) | None => {
                    time.count += 1;
                    (deadline, time.count)
                }
            };
            time.timers.insert(set, cx.waker().clone());
            self.set = Some(set);
            Poll::Pending
        };
        // Not under the lock: the old waker may be the last trace of a task that has a timer, too.
        drop(time);
        drop(unset);
        polled
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(set) = self.set {
            let unset = self.clock.lock().timers.remove(&set);
            drop(unset);
        }
    }
}

/// Waits until a time: see [`Clock::sleep`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    until: Instant,
    timer: Timer,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        driver::Timer::poll_until(&mut self.timer, until, cx)
    }
}
