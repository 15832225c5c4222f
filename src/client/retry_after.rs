//! `Retry-After` (RFC 9110 §10.2.3): when a server that refused wants to be asked again.

use core::time::Duration;
use std::time::SystemTime;

use crate::handshake::Headers;

/// When a server wants to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After that time.
    Delay(Duration),
    /// At that time of the day.
    At(SystemTime),
}

impl RetryAfter {
    /// Reads the header field; `None` where it is missing or malformed.
    #[must_use]
    pub fn from_headers(headers: &Headers) -> Option<Self> {
        let value = headers.get("Retry-After")?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number beyond all bounds is a long time, too.
            return Some(Self::Delay(Duration::from_secs(value.parse().unwrap_or(u32::MAX).into())));
        }
        httpdate::parse_http_date(value).ok().map(Self::At)
    }

    /// Returns how long that is from `now` on; zero if it is over.
    #[must_use]
    pub fn since(self, now: SystemTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(at) => at.duration_since(now).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<RetryAfter> {
        let mut headers = Headers::new();
        headers.append("retry-after", value).ok()?;
        RetryAfter::from_headers(&headers)
    }

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        assert_eq!(read("120"), Some(RetryAfter::Delay(Duration::from_secs(120))));
        assert_eq!(read("0"), Some(RetryAfter::Delay(Duration::ZERO)));
        assert_eq!(read("99999999999999999999"), Some(RetryAfter::Delay(Duration::from_secs(u32::MAX.into()))));
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(RetryAfter::At(at)));
        for wrong in ["", "-1", "+1", "1.5", "soon", "1 2", "Sun, 06 Nov"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(RetryAfter::from_headers(&Headers::new()), None);
    }

    #[test]
    fn a_date_is_waited_for_from_now_on_and_one_in_the_past_not_at_all() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(RetryAfter::At(now + Duration::from_secs(5)).since(now), Duration::from_secs(5));
        assert_eq!(RetryAfter::At(now - Duration::from_secs(5)).since(now), Duration::ZERO);
        assert_eq!(RetryAfter::Delay(Duration::from_secs(7)).since(now), Duration::from_secs(7));
    }
}
