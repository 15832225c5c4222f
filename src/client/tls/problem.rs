//! What is wrong with a server's certificate.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why the certificate of a server is not accepted.
///
/// The variants that say when or which have that only from rustls; the operating system's library does not tell.
///
/// ```
/// use sockeye::client::tls::{CertificateProblem, TlsError};
///
/// fn is_expired(error: &TlsError) -> bool {
///     matches!(error, TlsError::Certificate { problem: CertificateProblem::Expired { .. }, .. })
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Its time is over.
    Expired {
        /// When it ended, in seconds since 1970.
        not_after: Option<u64>,
    },
    /// Its time has not come; mostly, the clock of this machine is wrong.
    NotYetValid {
        /// When it begins, in seconds since 1970.
        not_before: Option<u64>,
    },
    /// It is for another host.
    OtherName {
        /// The names and addresses that it is for, eight at most.
        names: Vec<String>,
    },
    /// Who issued it is not trusted here. A certificate that issued itself is one of these, and so is that of a server which was
    /// given another in place of the one that was trusted.
    UnknownIssuer,
    /// It is that of a certificate authority itself, which a server cannot have; `openssl req -x509` makes such.
    Authority,
    /// It was revoked.
    Revoked,
    /// Its signature is not that of its issuer, or not of the one that is trusted under this name.
    BadSignature,
    /// It is for another purpose than that of a server.
    Purpose,
    /// Something else.
    Other {
        /// What the library says.
        reason: String,
    },
}

impl fmt::Display for CertificateProblem {
    /// Goes on behind the words "the certificate of a server".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { not_after: Some(seconds) } => write!(f, "expired on {}", Date(*seconds)),
            Self::Expired { not_after: None } => f.write_str("has expired"),
            Self::NotYetValid { not_before: Some(seconds) } => {
                write!(f, "is not valid before {}: is the clock of this machine right?", Date(*seconds))
            }
            Self::NotYetValid { not_before: None } => {
                f.write_str("is not yet valid: is the clock of this machine right?")
            }
            Self::OtherName { names } if names.is_empty() => f.write_str("is for another name"),
            Self::OtherName { names } => write!(f, "is for another name: {}", names.join(", ")),
            Self::UnknownIssuer => f.write_str(
                "is issued by nobody who is trusted here: if it is to be trusted, add its certificate authority",
            ),
            Self::Authority => f.write_str("is that of a certificate authority, which a server cannot have"),
            Self::Revoked => f.write_str("was revoked"),
            Self::BadSignature => {
                f.write_str("is not signed by who is trusted as its issuer: was one of them replaced?")
            }
            Self::Purpose => f.write_str("is not for servers"),
            Self::Other { reason } => write!(f, "cannot be accepted: {reason}"),
        }
    }
}

/// Seconds since 1970, to be written as a day of the Gregorian calendar in UTC.
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years are counted from the first of March, so that the day that some have more is the last.
        let days = self.0 / 86_400 + DAYS_FROM_MARCH_0000;
        let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        write!(f, "{:04}-{month:02}-{day:02}", era * 400 + year + next)
    }
}

const DAYS_IN_400_YEARS: u64 = 146_097;
/// From the first of March of the year 0 to the first of January 1970.
const DAYS_FROM_MARCH_0000: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_577_836_799, "2019-12-31"),
            (1_577_836_800, "2020-01-01"),
            (4_107_542_400, "2100-03-01"),
            (253_402_300_799, "9999-12-31"),
        ];
        for (seconds, date) in cases {
            assert_eq!(Date(seconds).to_string(), date);
        }
        assert_eq!(Date(u64::MAX).to_string(), "584554051223-11-09");
    }
}
