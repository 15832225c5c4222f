//! The `Retry-After` header field (RFC 9110 §10.2.3): when a server that refuses wants to be asked again.
//!
//! It is a number of seconds or an HTTP date. The date says something only to who knows what time it is, so it is kept as
//! it came and becomes a duration when the clock is passed in. Dates are parsed by `httpdate`, which knows the three forms
//! that RFC 9110 §5.6.7 wants understood.

use core::time::Duration;
use std::time::SystemTime;

/// When a server wants to be asked again: the value of a `Retry-After` header field.
///
/// ```
/// use core::time::Duration;
/// use std::time::SystemTime;
/// use sockeye::client::RetryAfter;
///
/// let now = SystemTime::now();
/// let retry_after = RetryAfter::parse("120").expect("a number of seconds");
/// assert_eq!(retry_after.delay(now), Duration::from_secs(120));
///
/// let retry_after = RetryAfter::parse("Fri, 31 Dec 1999 23:59:59 GMT").expect("a date");
/// assert_eq!(retry_after.delay(now), Duration::ZERO);   // it is over
/// assert_eq!(RetryAfter::parse("soon"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryAfter {
    /// After so long.
    Delay(Duration),
    /// Not before that time.
    At(SystemTime),
}

impl RetryAfter {
    /// Reads the value of a `Retry-After` header field; `None` if it is neither a number of seconds nor an HTTP date.
    ///
    /// A number too large to count to is the largest that there is: who waits has a limit,
    /// [`BackoffConfig::max_retry_after`](super::BackoffConfig::max_retry_after).
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_ascii();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Delay(Duration::from_secs(value.parse().unwrap_or(u64::MAX))));
        }
        httpdate::parse_http_date(value).ok().map(Self::At)
    }

    /// Returns how long that is from `now` on: nothing if it is over.
    #[must_use]
    pub fn delay(self, now: SystemTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.duration_since(now).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_number_of_seconds_is_a_delay() {
        for (value, seconds) in [("0", 0), ("120", 120), (" 7 ", 7), ("007", 7), ("99999999999999999999999", u64::MAX)]
        {
            let retry_after = RetryAfter::parse(value).unwrap();
            assert_eq!(retry_after, RetryAfter::Delay(Duration::from_secs(seconds)), "{value:?}");
            assert_eq!(retry_after.delay(at(5)), Duration::from_secs(seconds), "{value:?}");
        }
    }

    /// RFC 9110 §5.6.7: who receives a date accepts all three.
    #[test]
    fn the_three_forms_of_an_http_date_are_the_same_time() {
        for value in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(RetryAfter::parse(value), Some(RetryAfter::At(at(784_111_777))), "{value:?}");
        }
    }

    #[test]
    fn a_date_counts_from_the_time_that_is_passed_in() {
        let retry_after = RetryAfter::At(at(100));
        assert_eq!(retry_after.delay(at(40)), Duration::from_secs(60));
        assert_eq!(retry_after.delay(at(100)), Duration::ZERO);
        assert_eq!(retry_after.delay(at(101)), Duration::ZERO);
    }

    #[test]
    fn what_is_neither_says_nothing() {
        for value in ["", " ", "soon", "-1", "+1", "1.5", "1e3", "0x10", "1 2", "Sun, 06 Nov 1994", "\u{661}"] {
            assert_eq!(RetryAfter::parse(value), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(value in any::<String>(), now in any::<u32>()) {
            if let Some(retry_after) = RetryAfter::parse(&value) {
                let _ = retry_after.delay(at(now.into()));
            }
        }

        #[test]
        fn any_number_is_that_many_seconds(seconds: u64) {
            let value = seconds.to_string();
            let parsed = RetryAfter::parse(&value);
            prop_assert_eq!(parsed, Some(RetryAfter::Delay(Duration::from_secs(seconds))));
        }

        #[test]
        fn any_date_is_that_time(seconds in 0..253_402_300_800u64) {
            let value = httpdate::fmt_http_date(at(seconds));
            prop_assert_eq!(RetryAfter::parse(&value), Some(RetryAfter::At(at(seconds))));
        }
    }
}
