//! TLS: by rustls or by the operating system's library, whichever feature is on.
//!
//! ```text
//! TlsConfig ─▶ TlsConnector ─▶ handshake ─▶ TlsStream            (tokio)
//!                  └─────────▶ handshake_blocking ─▶ BlockingTlsStream
//! ```
//!
//! | feature | what it brings |
//! |---|---|
//! | `rustls` | what most want: `rustls-ring` and `platform-verifier` |
//! | `rustls-ring` | rustls, with ring for its cryptography |
//! | `rustls-aws-lc` | rustls, with aws-lc; where ring is there as well, that is taken, unless the process has a default |
//! | `rustls-no-provider` | rustls, with the `CryptoProvider` that the process has installed |
//! | `platform-verifier` | rustls asks the operating system whom to trust |
//! | `webpki-roots` | rustls trusts whom Mozilla trusted when this was built: for machines that have no list of their own |
//! | `native-tls` | OpenSSL, Secure Transport or SChannel, with the operating system's roots |
//!
//! Without any of them there are only the errors of this module.
//!
//! The server is told the name that is asked for (SNI) and that HTTP/1.1 will be spoken (ALPN), for there is no WebSocket of this kind
//! over HTTP/2.
//!
//! ```no_run
//! # #[cfg(any(feature = "rustls", feature = "native-tls"))]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use sockeye::client::tls::TlsConfig;
//!
//! let connector = TlsConfig::new().ca_file("company-ca.pem")?.connector()?;
//! let stream = tokio::net::TcpStream::connect("server.example:443").await?;
//! let stream = connector.handshake(stream, "server.example").await?;
//! let request = sockeye::handshake::ClientRequest::new("server.example", "/chat")?;
//! let socket = sockeye::tokio::Connector::default().handshake(stream, request).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is not looked at
//!
//! Whether a certificate was revoked: there is no CRL and no OCSP here by default. (Some operating systems look at it themselves, with
//! `platform-verifier` or `native-tls`.) Who needs it builds a `ClientConfig` of rustls with a verifier that has the lists and hands it
//! over with `TlsConnector::from_rustls`; a certificate that was revoked is [`CertificateProblem::Revoked`] then. So it is with whatever
//! else is not offered here: other versions, other cipher suites, certificates that are pinned.

mod alert;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
mod blocking;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
mod config;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
mod connector;
mod error;
mod problem;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
mod stream;
#[cfg(feature = "native-tls")]
mod with_native;
#[cfg(feature = "rustls-no-provider")]
mod with_rustls;

pub use self::alert::TlsAlert;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
pub use self::blocking::BlockingTlsStream;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
pub use self::config::{TlsBackend, TlsConfig, TlsRoots};
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
pub use self::connector::TlsConnector;
pub use self::error::TlsError;
pub use self::problem::CertificateProblem;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
pub use self::stream::TlsStream;
/// The library that the feature `native-tls` brings.
#[cfg(feature = "native-tls")]
pub use ::native_tls;
/// The library that the feature `rustls` brings.
#[cfg(feature = "rustls-no-provider")]
pub use ::rustls;

/// What is spoken over TLS (RFC 7301).
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
const ALPN: &str = "http/1.1";
