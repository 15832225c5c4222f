//! What the other side says when it ends a TLS handshake (RFC 8446 §6).

use core::fmt;

/// The description of an alert. The registry is open: there are more than have a name here.
///
/// ```
/// use sockeye::client::tls::TlsAlert;
///
/// assert!(TlsAlert(42).is_permanent());   // bad_certificate
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsAlert(pub u8);

impl TlsAlert {
    /// No version, cipher suite or such in common, or, before TLS 1.3, no client certificate.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// Our certificate is broken.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// Our certificate is of a kind that is not taken.
    pub const UNSUPPORTED_CERTIFICATE: Self = Self(43);
    /// Our certificate was revoked.
    pub const CERTIFICATE_REVOKED: Self = Self(44);
    /// Our certificate has expired.
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    /// Something else is wrong with our certificate.
    pub const CERTIFICATE_UNKNOWN: Self = Self(46);
    /// Who issued our certificate is not trusted there.
    pub const UNKNOWN_CA: Self = Self(48);
    /// Our certificate is in order, and not let in.
    pub const ACCESS_DENIED: Self = Self(49);
    /// A signature is wrong.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// No version in common.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// What we offer is too weak.
    pub const INSUFFICIENT_SECURITY: Self = Self(71);
    /// Something is wrong with the other side itself.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// The other side does not want to go on.
    pub const USER_CANCELED: Self = Self(90);
    /// There is no host of the name that was asked for.
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    /// A client certificate is wanted.
    pub const CERTIFICATE_REQUIRED: Self = Self(116);
    /// HTTP/1.1 is not spoken.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);

    /// Returns whether another attempt would end the same way.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::INTERNAL_ERROR | Self::USER_CANCELED)
    }
}

impl fmt::Display for TlsAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match *self {
            Self::HANDSHAKE_FAILURE => "it found nothing in common with us, or wants a client certificate",
            Self::BAD_CERTIFICATE => "our client certificate is broken",
            Self::UNSUPPORTED_CERTIFICATE => "it does not take client certificates of our kind",
            Self::CERTIFICATE_REVOKED => "our client certificate was revoked",
            Self::CERTIFICATE_EXPIRED => "our client certificate has expired",
            Self::CERTIFICATE_UNKNOWN => "it does not take our client certificate",
            Self::UNKNOWN_CA => "it does not trust who issued our client certificate",
            Self::ACCESS_DENIED => "it does not let our client certificate in",
            Self::DECRYPT_ERROR => "it found a wrong signature",
            Self::PROTOCOL_VERSION => "it speaks no version of TLS that we speak",
            Self::INSUFFICIENT_SECURITY => "it wants stronger ciphers than we have",
            Self::INTERNAL_ERROR => "it has a problem of its own",
            Self::USER_CANCELED => "it does not want to go on",
            Self::UNRECOGNIZED_NAME => "it knows no host of this name",
            Self::CERTIFICATE_REQUIRED => "it wants a client certificate",
            Self::NO_APPLICATION_PROTOCOL => "it does not speak HTTP/1.1",
            Self(_) => "it does not like our handshake",
        };
        write!(f, "{words} (alert {})", self.0)
    }
}
