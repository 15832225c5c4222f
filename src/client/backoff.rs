//! When to connect again (RFC 6455 §7.2.3): truncated binary exponential backoff with full jitter.
//!
//! It does no I/O, reads no clock and draws no random numbers: it is told what happened, and when, and answers with the
//! time to wait. What waits, on tokio or on a thread, is in `reconnect.rs` and `reconnect/blocking.rs`.
//!
//! Every wait is a floor and a random part. The random part reaches from nothing to a ceiling that doubles with each
//! failure: clients that were all thrown out in the same moment then come back spread over that time, which needs the
//! fewest attempts of all kinds of jitter. The floor is what the server asked for, with `Retry-After` or by closing with
//! 1012 or 1013, and is nothing otherwise.

use core::ops::RangeInclusive;
use core::time::Duration;

use crate::close::CloseCode;
use crate::time::Instant;

/// How long to wait before connecting again. The defaults are those that RFC 6455 and its registry of close codes name.
///
/// ```
/// use core::time::Duration;
/// use sockeye::client::BackoffConfig;
///
/// let mut config = BackoffConfig::default();
/// config.max = Duration::from_secs(20);
/// config.max_failures = Some(10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// The first wait is between nothing and this. Default 5 seconds, as RFC 6455 §7.2.3 has it; the ceiling doubles with
    /// each failure. Less is quicker after a restart, and more clients at once for the server.
    pub first: Duration,
    /// The ceiling does not grow past this. Default 60 seconds: on average, a server that is back is found within 30.
    pub max: Duration,
    /// A connection that was open for so long was healthy: what failed before it is forgotten. Default 30 seconds. One that
    /// ends sooner counts as a failure, so that a server that accepts and closes at once is not asked ever more.
    pub healthy_after: Duration,
    /// The longest wait that a server's `Retry-After` is heeded for; a longer one counts as this. Default one hour.
    pub max_retry_after: Duration,
    /// How long to wait after a server closed with 1012 (service restart) or 1013 (try again later). Default 5 to 30
    /// seconds, as the registry says of 1012; the backoff holds where its ceiling is higher.
    pub restart: RangeInclusive<Duration>,
    /// Gives up when so many attempts failed in a row. Default `None`: goes on for ever.
    pub max_failures: Option<u32>,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            max: Duration::from_secs(60),
            healthy_after: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(3600),
            restart: Duration::from_secs(5)..=Duration::from_secs(30),
            max_failures: None,
        }
    }
}

/// Says how long to wait before each attempt to connect; for a loop of your own.
/// [`Reconnecting`](super::Reconnecting) is one that is done.
///
/// `random` is any of all `u64`, equally likely, and `now` is a point on one clock.
///
/// ```
/// use core::time::Duration;
/// use sockeye::Instant;
/// use sockeye::client::{Backoff, BackoffConfig};
///
/// let mut backoff = Backoff::new(BackoffConfig::default());
/// let half = 1 << 63;
/// assert_eq!(backoff.handle_failure(None, half), Duration::from_millis(2500));   // of at most 5 seconds
/// assert_eq!(backoff.handle_failure(None, half), Duration::from_secs(5));        // of at most 10
///
/// let opened = Instant::default();
/// backoff.handle_connected(opened);
/// let lost = opened + Duration::from_secs(60);
/// assert_eq!(backoff.handle_lost(lost, None, half), Duration::from_millis(2500));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    /// Attempts that failed, and connections that did not last, since the last healthy one.
    doublings: u32,
    /// Attempts that failed since the last connection.
    failures: u32,
    connected: Option<Instant>,
}

impl Backoff {
    /// Begins without a failure.
    #[must_use]
    pub const fn new(config: BackoffConfig) -> Self {
        Self { config, doublings: 0, failures: 0, connected: None }
    }

    /// Takes note of a connection.
    pub fn handle_connected(&mut self, now: Instant) {
        self.failures = 0;
        self.connected = Some(now);
    }

    /// Takes note of an attempt that failed, and of how long the server wants to be left alone; returns how long to wait.
    #[must_use]
    pub fn handle_failure(&mut self, retry_after: Option<Duration>, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let floor = retry_after.unwrap_or_default().min(self.config.max_retry_after);
        floor.saturating_add(part(self.next_ceiling(), random))
    }

    /// Takes note of the end of a connection, and of the close code that it ended with, if that is known; returns how long
    /// to wait. Without a connection there is nothing to wait for.
    #[must_use]
    pub fn handle_lost(&mut self, now: Instant, code: Option<CloseCode>, random: u64) -> Duration {
        let Some(connected) = self.connected.take() else { return Duration::ZERO };
        if now - connected >= self.config.healthy_after {
            self.doublings = 0;
        }
        let ceiling = self.next_ceiling();
        match code {
            Some(CloseCode::SERVICE_RESTART | CloseCode::TRY_AGAIN_LATER) => {
                let (from, to) = (*self.config.restart.start(), *self.config.restart.end());
                from.saturating_add(part(to.saturating_sub(from).max(ceiling), random))
            }
            _ => part(ceiling, random),
        }
    }

    /// Returns how many attempts have failed since the last connection.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns whether so many attempts failed in a row that there is to be no other:
    /// [`BackoffConfig::max_failures`].
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.config.max_failures.is_some_and(|max| self.failures >= max)
    }

    /// The longest random wait for now; twice as long the next time.
    fn next_ceiling(&mut self) -> Duration {
        let factor = 2u32.saturating_pow(self.doublings);
        self.doublings = self.doublings.saturating_add(1);
        self.config.first.saturating_mul(factor).min(self.config.max)
    }
}

/// A random part of a duration: each as likely.
fn part(ceiling: Duration, random: u64) -> Duration {
    // What is longer than 584 years counts as that. Less than the ceiling, so it fits again.
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
}

/// Whether a connection that ended so is worth another one, where nothing else is known of it.
///
/// Not after 1000, for then both sides were done; and not where the next one would end in the same way, because it is what
/// we send, or what we ask for, that the server does not take: 1002, 1003, 1007, 1008, 1009, 1010. Codes of the application's own
/// (from 3000 on) are its own affair: worth another one here.
#[must_use]
pub(super) fn may_heal(code: CloseCode) -> bool {
    !matches!(
        code,
        CloseCode::NORMAL
            | CloseCode::PROTOCOL_ERROR
            | CloseCode::UNSUPPORTED_DATA
            | CloseCode::INVALID_PAYLOAD
            | CloseCode::POLICY_VIOLATION
            | CloseCode::MESSAGE_TOO_BIG
            | CloseCode::MANDATORY_EXTENSION
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::RetryAfter;
    use proptest::prelude::*;
    use std::time::SystemTime;

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff() -> Backoff {
        Backoff::new(BackoffConfig::default())
    }

    fn seconds(seconds: u64) -> Instant {
        Duration::from_secs(seconds).into()
    }

    /// The ceiling itself is one part in 2⁶⁴ away.
    fn near(wait: Duration) -> u128 {
        (wait + Duration::from_nanos(1)).as_secs().into()
    }

    #[test]
    fn the_ceiling_doubles_until_it_is_the_longest() {
        let mut backoff = backoff();
        let ceilings = [(); 8].map(|()| near(backoff.handle_failure(None, u64::MAX)));
        assert_eq!(ceilings, [5, 10, 20, 40, 60, 60, 60, 60]);
    }

    #[test]
    fn the_luckiest_waits_for_nothing() {
        let mut backoff = backoff();
        for _ in 0..100 {
            assert_eq!(backoff.handle_failure(None, 0), Duration::ZERO);
        }
    }

    #[test]
    fn a_healthy_connection_makes_all_that_failed_before_it_forgotten() {
        let mut backoff = backoff();
        for _ in 0..10 {
            let _ = backoff.handle_failure(None, 0);
        }
        backoff.handle_connected(seconds(100));
        assert_eq!(near(backoff.handle_lost(seconds(130), None, u64::MAX)), 5);
        assert_eq!(near(backoff.handle_failure(None, u64::MAX)), 10);
    }

    #[test]
    fn a_connection_that_does_not_last_counts_as_a_failure() {
        let mut backoff = backoff();
        let mut now = seconds(0);
        let waits = [(); 5].map(|()| {
            backoff.handle_connected(now);
            now = now + Duration::from_millis(29_999);
            near(backoff.handle_lost(now, None, u64::MAX))
        });
        assert_eq!(waits, [5, 10, 20, 40, 60]);
    }

    #[test]
    fn there_is_nothing_to_wait_for_before_the_first_attempt() {
        assert_eq!(backoff().handle_lost(seconds(9), None, u64::MAX), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_waited_for_and_the_jitter_comes_on_top() {
        let retry_after = Some(120 * SECOND);
        assert_eq!(backoff().handle_failure(retry_after, 0), 120 * SECOND);
        assert_eq!(near(backoff().handle_failure(retry_after, u64::MAX)), 125);
    }

    #[test]
    fn retry_after_is_bounded() {
        assert_eq!(backoff().handle_failure(Some(Duration::MAX), 0), 3600 * SECOND);
        let config = BackoffConfig { max_retry_after: Duration::MAX, ..BackoffConfig::default() };
        assert_eq!(Backoff::new(config).handle_failure(Some(Duration::MAX), u64::MAX), Duration::MAX);
    }

    /// The registry of close codes says of 1012: "reconnect using a randomized delay of 5 - 30s".
    #[test]
    fn a_restart_is_waited_for_as_the_registry_says() {
        for code in [CloseCode::SERVICE_RESTART, CloseCode::TRY_AGAIN_LATER] {
            let wait = |random| {
                let mut backoff = backoff();
                backoff.handle_connected(seconds(0));
                backoff.handle_lost(seconds(3600), Some(code), random)
            };
            assert_eq!((wait(0), near(wait(u64::MAX))), (5 * SECOND, 30));
        }
    }

    #[test]
    fn a_server_that_restarts_again_and_again_is_asked_less_and_less() {
        let mut backoff = backoff();
        let waits = [(); 5].map(|()| {
            backoff.handle_connected(seconds(0));
            near(backoff.handle_lost(seconds(1), Some(CloseCode::SERVICE_RESTART), u64::MAX))
        });
        assert_eq!(waits, [30, 30, 30, 45, 65]);
    }

    #[test]
    fn attempts_that_failed_in_a_row_exhaust_it_and_a_connection_begins_anew() {
        let mut backoff = Backoff::new(BackoffConfig { max_failures: Some(2), ..BackoffConfig::default() });
        let _ = backoff.handle_failure(None, 0);
        assert!(!backoff.is_exhausted());
        backoff.handle_connected(seconds(0));
        let _ = backoff.handle_failure(None, 0);
        assert_eq!((backoff.failures(), backoff.is_exhausted()), (1, false));
        let _ = backoff.handle_failure(None, 0);
        assert_eq!((backoff.failures(), backoff.is_exhausted()), (2, true));
    }

    #[test]
    fn a_close_that_says_how_the_next_would_end_is_not_healed_by_another_connection() {
        let heals: Vec<u16> = (1000..=1015).filter(|code| may_heal(CloseCode::from(*code))).collect();
        assert_eq!(heals, [1001, 1004, 1005, 1006, 1011, 1012, 1013, 1014, 1015]);
        assert!(may_heal(CloseCode::from(4000)));
    }

    /// What a server says in `Retry-After`, on its way to the wait.
    fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
        RetryAfter::parse(value).map(|retry_after| retry_after.delay(now))
    }

    /// What can happen to a client.
    #[derive(Clone, Debug)]
    enum Step {
        Fails(Option<u64>, u64),
        Lasts(u64, Option<u16>, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (prop::option::of(any::<u64>()), any::<u64>()).prop_map(|(retry, random)| Step::Fails(retry, random)),
            (0..90u64, prop::option::of(1000..1020u16), any::<u64>()).prop_map(|(s, code, r)| Step::Lasts(s, code, r)),
        ]
    }

    proptest! {
        /// A model beside it: the ceiling is `first` times two to the power of what failed since the last healthy
        /// connection, and every wait lies between the floor that the server set and that floor with the ceiling.
        #[test]
        fn every_wait_is_within_its_bounds(steps in prop::collection::vec(step(), 1..80)) {
            let config = BackoffConfig::default();
            let mut backoff = Backoff::new(config.clone());
            let (mut now, mut failed) = (seconds(0), 0u32);
            for step in steps {
                let (wait, floor, spread) = match step {
                    Step::Fails(retry_after, random) => {
                        let retry_after = retry_after.map(Duration::from_secs);
                        let floor = retry_after.unwrap_or_default().min(config.max_retry_after);
                        (backoff.handle_failure(retry_after, random), floor, Duration::ZERO)
                    }
                    Step::Lasts(lasted, code, random) => {
                        backoff.handle_connected(now);
                        now = now + Duration::from_secs(lasted);
                        failed = if lasted >= 30 { 0 } else { failed };
                        let wait = backoff.handle_lost(now, code.map(CloseCode::from), random);
                        let restarts = matches!(code, Some(1012 | 1013));
                        if restarts { (wait, 5 * SECOND, 25 * SECOND) } else { (wait, Duration::ZERO, Duration::ZERO) }
                    }
                };
                let ceiling = (5 * SECOND * (1 << failed.min(10))).min(60 * SECOND).max(spread);
                failed += 1;
                prop_assert!(floor <= wait && wait <= floor + ceiling, "{wait:?} of {floor:?} and {ceiling:?}");
            }
        }

        #[test]
        fn no_setting_panics_and_no_jitter_is_longer_than_the_longest(
            first: Duration, max: Duration, retry_after: Option<Duration>, random: u64, times in 1..70usize,
            from: Duration, to: Duration,
        ) {
            let config = BackoffConfig { first, max, restart: from..=to, ..BackoffConfig::default() };
            let mut backoff = Backoff::new(config);
            for _ in 0..times {
                prop_assert!(backoff.handle_failure(None, random) <= max);
            }
            let _ = backoff.handle_failure(retry_after, random);
            backoff.handle_connected(seconds(1));
            let _ = backoff.handle_lost(seconds(0), Some(CloseCode::SERVICE_RESTART), random);
        }

        #[test]
        fn any_number_of_seconds_is_waited_for_up_to_the_bound(seconds: u64) {
            let wait = backoff().handle_failure(retry_after(&seconds.to_string(), SystemTime::UNIX_EPOCH), 0);
            prop_assert_eq!(wait, Duration::from_secs(seconds.min(3600)));
        }

        #[test]
        fn any_date_is_waited_for_up_to_the_bound(now in 0..253_402_300_800u64, date in 0..253_402_300_800u64) {
            let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let wait = backoff().handle_failure(retry_after(&httpdate::fmt_http_date(at(date)), at(now)), 0);
            prop_assert_eq!(wait, Duration::from_secs(date.saturating_sub(now).min(3600)));
        }

        #[test]
        fn no_value_of_retry_after_panics_or_is_waited_for_longer_than_the_bound(value: String, now: u32, random: u64) {
            let retry_after = retry_after(&value, SystemTime::UNIX_EPOCH + Duration::from_secs(now.into()));
            prop_assert!(backoff().handle_failure(retry_after, random) <= 3605 * SECOND);
        }

        #[test]
        fn a_later_number_never_means_a_shorter_wait(ceiling: Duration, mut randoms: [u64; 2]) {
            randoms.sort_unstable();
            prop_assert!(part(ceiling, randoms[0]) <= part(ceiling, randoms[1]));
        }
    }
}
