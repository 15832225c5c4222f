//! Why there is no TLS, in words that somebody can act on.
//!
//! The variants are the same whichever library is behind them; what it said itself is the [`source`](core::error::Error::source).

use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error as StdError;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::alert::TlsAlert;
use super::problem::CertificateProblem;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
use crate::client::error::is_closed;
use crate::client::error::words;

/// Why there is no TLS.
///
/// ```
/// use sockeye::client::tls::{TlsConfig, TlsError};
///
/// let error = TlsConfig::new().ca_file("no/such/file.pem").unwrap_err();
/// assert!(matches!(error, TlsError::File { .. }) && error.is_permanent());
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// What was asked for needs a feature that is not on.
    #[error("{wanted} was asked for, and this program was built without it: turn on the feature {feature} of sockeye")]
    FeatureOff {
        /// What was asked for.
        wanted: &'static str,
        /// The feature.
        feature: &'static str,
    },
    /// rustls has no cryptography.
    #[error(
        "rustls has no cryptography: turn on the feature rustls or rustls-aws-lc of sockeye, or install a CryptoProvider as \
         the default of the process"
    )]
    NoCryptoProvider,
    /// There is no certificate authority to trust.
    #[error(
        "no certificate authority is trusted: turn on the feature platform-verifier or webpki-roots of sockeye, or add a \
         certificate authority"
    )]
    NoRoots,
    /// A file cannot be read.
    #[error("cannot read {}: {}", .path.display(), words(.source))]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was given for TLS cannot be used.
    #[error("{what} cannot be used: {source}")]
    Config {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No certificate can be for this host.
    #[error("{host:?} is neither a name nor an address that a certificate could be for")]
    Host {
        /// What was given.
        host: String,
    },
    /// The certificate of the server is not accepted.
    #[error("the certificate of {host} {problem}")]
    Certificate {
        /// The name that was asked for.
        host: String,
        /// What is wrong with it.
        problem: CertificateProblem,
        /// What the library says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server sent something else than TLS.
    #[error("{host} does not speak TLS on this port: is it one for plain ws:// or http://?")]
    NotTls {
        /// The name that was asked for.
        host: String,
        /// What the library says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server ended the handshake and said why.
    #[error("{host} refused the TLS handshake: {alert}")]
    Alert {
        /// The name that was asked for.
        host: String,
        /// Why.
        alert: TlsAlert,
        /// What the library says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server chose to speak something else than HTTP/1.1 over TLS (ALPN), which only an own configuration can have offered.
    #[error("{host} chose to speak {protocol:?} over TLS, and WebSocket needs http/1.1: offer only that")]
    Protocol {
        /// The name that was asked for.
        host: String,
        /// What it chose.
        protocol: String,
    },
    /// The server closed the connection and did not say why.
    #[error("{host} closed the connection during the TLS handshake")]
    Closed {
        /// The name that was asked for.
        host: String,
        /// What the stream or the library says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server took too long.
    #[error("the TLS handshake with {host} took longer than {timeout:?}")]
    TimedOut {
        /// The name that was asked for.
        host: String,
        /// The time that it had.
        timeout: Duration,
    },
    /// The stream failed.
    #[error("the connection to {host} broke during the TLS handshake: {}", words(.source))]
    Io {
        /// The name that was asked for.
        host: String,
        /// What the stream says.
        source: io::Error,
    },
    /// The two sides could not agree, or one of them made a mistake.
    #[error("the TLS handshake with {host} failed: {source}")]
    Failed {
        /// The name that was asked for.
        host: String,
        /// What the library says.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl TlsError {
    /// Returns whether another attempt would end the same way for as long as nobody changes anything.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::FeatureOff { .. }
            | Self::NoCryptoProvider
            | Self::NoRoots
            | Self::File { .. }
            | Self::Config { .. }
            | Self::Host { .. }
            | Self::Certificate { .. }
            | Self::NotTls { .. }
            | Self::Protocol { .. }
            | Self::Failed { .. } => true,
            Self::Alert { alert, .. } => alert.is_permanent(),
            Self::Closed { .. } | Self::TimedOut { .. } | Self::Io { .. } => false,
        }
    }

    /// Finds TLS's own part in an error of a stream over TLS; gives the error back if it has none.
    ///
    /// With TLS 1.3 the client is done first: that the server does not take its certificate is told by the first read behind.
    ///
    /// # Errors
    ///
    /// The error that was given, if it is not an alert of the other side.
    pub fn from_stream(host: &str, error: io::Error) -> Result<Self, io::Error> {
        #[cfg(feature = "rustls-no-provider")]
        if let Some(alert) = super::with_rustls::alert(&error) {
            return Ok(Self::Alert { host: host.into(), alert, source: error.into() });
        }
        #[cfg(feature = "native-tls")]
        if let Some(alert) = super::with_native::alert(&alloc::string::ToString::to_string(&error)) {
            return Ok(Self::Alert { host: host.into(), alert, source: error.into() });
        }
        let _ = host;
        Err(error)
    }

    /// Makes one of a stream's error in the handshake, with nothing of TLS's in it.
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    pub(super) fn from_io(host: &str, source: io::Error) -> Self {
        let host = host.into();
        if is_closed(&source) { Self::Closed { host, source: source.into() } } else { Self::Io { host, source } }
    }
}
