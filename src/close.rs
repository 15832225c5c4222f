//! The Close frame's body (RFC 6455 §5.5.1) and the registry of status codes (§7.4).

use alloc::boxed::Box;
use core::fmt;
use core::str;

use crate::error::{ProtocolError, SendError};

/// A status code (RFC 6455 §7.4 and the IANA registry that it opens).
///
/// ```
/// use sockeye::{CloseCode, CloseCodeClass};
///
/// assert_eq!(u16::from(CloseCode::GOING_AWAY), 1001);
/// assert_eq!(CloseCode::from(4321).class(), CloseCodeClass::Private);
/// assert!(!CloseCode::ABNORMAL.may_be_sent());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that this endpoint does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: stands for a Close frame without a code; never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: stands for a connection that ended without a Close frame; never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message against a policy of this endpoint.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big for this endpoint.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client misses an extension in the server's answer.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: something unexpected at this endpoint.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded, try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: stands for a failed TLS handshake; never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Returns which part of the registry the code belongs to.
    #[must_use]
    pub const fn class(self) -> CloseCodeClass {
        match self.0 {
            0..=999 => CloseCodeClass::Unused,
            1000..=1003 | 1007..=1014 => CloseCodeClass::Defined,
            1005 | 1006 | 1015 => CloseCodeClass::LocalOnly,
            1004 | 1016..=2999 => CloseCodeClass::Reserved,
            3000..=3999 => CloseCodeClass::Registered,
            4000..=4999 => CloseCodeClass::Private,
            5000..=u16::MAX => CloseCodeClass::Undefined,
        }
    }

    /// Returns whether a Close frame may carry the code.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        match self.class() {
            CloseCodeClass::Defined | CloseCodeClass::Registered | CloseCodeClass::Private => true,
            CloseCodeClass::Unused
            | CloseCodeClass::LocalOnly
            | CloseCodeClass::Reserved
            | CloseCodeClass::Undefined => false,
        }
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

/// The part of the registry that a [`CloseCode`] belongs to (RFC 6455 §7.4.2).
///
/// ```
/// use sockeye::{CloseCode, CloseCodeClass};
///
/// assert_eq!(CloseCode::NORMAL.class(), CloseCodeClass::Defined);
/// assert_eq!(CloseCode::ABNORMAL.class(), CloseCodeClass::LocalOnly);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCodeClass {
    /// 0–999: not used.
    Unused,
    /// 1000–1003 and 1007–1014: defined by RFC 6455 or registered since, may be sent.
    Defined,
    /// 1005, 1006 and 1015: for local reports only, must not be sent.
    LocalOnly,
    /// 1004 and 1016–2999: kept for future revisions of the protocol, must not be sent yet.
    Reserved,
    /// 3000–3999: registered by libraries, frameworks and applications.
    Registered,
    /// 4000–4999: by agreement between the two sides.
    Private,
    /// 5000 and above: outside of every range.
    Undefined,
}

/// The body of a Close frame: a status code and a reason, or nothing.
///
/// ```
/// use sockeye::{Close, CloseCode, SendError};
///
/// let close = Close::new(CloseCode::GOING_AWAY, "restarting")?;
/// assert_eq!((close.code(), close.reason()), (CloseCode::GOING_AWAY, "restarting"));
/// assert_eq!(Close::new(CloseCode::ABNORMAL, ""), Err(SendError::CloseCode(1006)));
/// # Ok::<(), SendError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    code: CloseCode,
    reason: Box<str>,
}

impl Close {
    /// The longest reason, in bytes of UTF-8.
    pub const MAX_REASON: usize = 123;

    /// Creates a Close with a status code and a reason, which may be empty.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseCode`] for a code that must not be sent, [`SendError::ReasonTooLong`] for a reason of more
    /// than 123 bytes.
    pub fn new(code: CloseCode, reason: &str) -> Result<Self, SendError> {
        if !code.may_be_sent() {
            return Err(SendError::CloseCode(code.0));
        }
        if reason.len() > Self::MAX_REASON {
            return Err(SendError::ReasonTooLong { len: reason.len() });
        }
        Ok(Self { code, reason: reason.into() })
    }

    /// Creates a Close with code 1000 and no reason.
    #[must_use]
    pub fn normal() -> Self {
        Self::bare(CloseCode::NORMAL)
    }

    /// Creates a Close without a status code; the peer reports it as 1005.
    #[must_use]
    pub fn without_status() -> Self {
        Self::bare(CloseCode::NO_STATUS)
    }

    /// Reads the body of a Close frame that the peer sent (§5.5.1, §7.4).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let (code, reason) = match body {
            [] => return Ok(Self::without_status()),
            [_] => return Err(ProtocolError::TruncatedCloseCode),
            [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.may_be_sent() {
            return Err(ProtocolError::InvalidCloseCode(code.0));
        }
        let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Self { code, reason: reason.into() })
    }

    /// A Close of ours that says what the peer, or a deadline, did; `reason` is cut to what fits.
    pub(crate) fn explaining(code: CloseCode, reason: &str) -> Self {
        let mut end = reason.len().min(Self::MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { code, reason: reason[..end].into() }
    }

    /// A Close of `code` without a reason.
    pub(crate) fn bare(code: CloseCode) -> Self {
        Self { code, reason: Box::default() }
    }

    /// Returns the status code, [`CloseCode::NO_STATUS`] if the frame had none.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// Returns the reason, empty if the frame had none.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_classified_as_the_registry_has_it() {
        for value in 0..=u16::MAX {
            let (class, sendable) = match value {
                0..=999 => (CloseCodeClass::Unused, false),
                1005 | 1006 | 1015 => (CloseCodeClass::LocalOnly, false),
                1004 => (CloseCodeClass::Reserved, false),
                1000..=1014 => (CloseCodeClass::Defined, true),
                1016..=2999 => (CloseCodeClass::Reserved, false),
                3000..=3999 => (CloseCodeClass::Registered, true),
                4000..=4999 => (CloseCodeClass::Private, true),
                _ => (CloseCodeClass::Undefined, false),
            };
            let code = CloseCode::from(value);
            assert_eq!((code.class(), code.may_be_sent()), (class, sendable), "{value}");
            let parsed = Close::parse(&value.to_be_bytes());
            assert_eq!(parsed.is_ok(), sendable, "{value}");
            if !sendable {
                assert_eq!(parsed, Err(ProtocolError::InvalidCloseCode(value)));
                assert_eq!(Close::new(code, ""), Err(SendError::CloseCode(value)));
            }
        }
    }

    #[test]
    fn a_reason_of_123_bytes_fits_and_one_of_124_is_refused() {
        let reason = "é".repeat(61) + "x";
        assert!(Close::new(CloseCode::NORMAL, &reason).is_ok());
        let longer = reason + "y";
        assert_eq!(Close::new(CloseCode::NORMAL, &longer), Err(SendError::ReasonTooLong { len: 124 }));
    }

    #[test]
    fn an_explanation_is_cut_between_characters() {
        let close = Close::explaining(CloseCode::PROTOCOL_ERROR, &"é".repeat(80));
        assert_eq!(close.reason(), "é".repeat(61));
    }

    #[test]
    fn a_received_body_is_read_or_refused_by_the_rfc() {
        assert_eq!(Close::parse(&[]), Ok(Close::without_status()));
        assert_eq!(Close::parse(&[3]), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(Close::parse(&[3, 0xe8, 0xff]), Err(ProtocolError::InvalidUtf8));
        assert_eq!(Close::parse(b"\x03\xe8bye"), Close::new(CloseCode::NORMAL, "bye").map_err(|_| unreachable!()));
    }
}
