//! What speaks TLS with servers, whichever library it is.

use core::fmt;
use core::time::Duration;
use std::sync::OnceLock;

use ::tokio::io::{AsyncRead, AsyncWrite};

use super::blocking::BlockingTlsStream;
use super::config::{TlsBackend, TlsConfig};
use super::error::TlsError;
use super::stream::TlsStream;
#[cfg(feature = "native-tls")]
use super::with_native;
#[cfg(feature = "rustls-no-provider")]
use super::with_rustls;
use crate::blocking::Transport;

/// Speaks TLS with servers. It is cheap to clone, and what it remembers is shared.
///
/// ```no_run
/// use sockeye::client::tls::TlsConfig;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = TlsConfig::new().connector()?;
/// let stream = tokio::net::TcpStream::connect("example.com:443").await?;
/// let stream = connector.handshake(stream, "example.com").await?;   // a `TlsStream`
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsConnector {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    #[cfg(feature = "rustls-no-provider")]
    Rustls(alloc::sync::Arc<::rustls::ClientConfig>),
    #[cfg(feature = "native-tls")]
    Native(::native_tls::TlsConnector),
}

impl TlsConnector {
    pub(super) fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        match config.backend {
            TlsBackend::Default if cfg!(feature = "rustls-no-provider") => Self::with_rustls(config),
            TlsBackend::Rustls => Self::with_rustls(config),
            TlsBackend::Default | TlsBackend::Native => Self::with_native(config),
        }
    }

    /// Returns the one with the defaults of [`TlsConfig`] that the process shares, and makes it for whoever is first.
    ///
    /// The certificate authorities are those that there were at that time.
    ///
    /// # Errors
    ///
    /// As [`TlsConfig::connector`]; the next call tries again.
    pub fn shared() -> Result<Self, TlsError> {
        static SHARED: OnceLock<TlsConnector> = OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(shared.clone());
        }
        let made = TlsConfig::new().connector()?;
        Ok(SHARED.get_or_init(|| made).clone())
    }

    /// Takes a configuration of rustls as it is. Let its ALPN be `http/1.1` alone, or none.
    #[cfg(feature = "rustls-no-provider")]
    #[must_use]
    pub fn from_rustls(config: alloc::sync::Arc<::rustls::ClientConfig>) -> Self {
        Self { backend: Backend::Rustls(config) }
    }

    /// Takes a connector of the operating system's library as it is. Let its ALPN be `http/1.1` alone, or none.
    #[cfg(feature = "native-tls")]
    #[must_use]
    pub fn from_native(connector: ::native_tls::TlsConnector) -> Self {
        Self { backend: Backend::Native(connector) }
    }

    #[cfg(feature = "rustls-no-provider")]
    fn with_rustls(config: &TlsConfig) -> Result<Self, TlsError> {
        with_rustls::client_config(config).map(Self::from_rustls)
    }

    #[cfg(not(feature = "rustls-no-provider"))]
    fn with_rustls(_: &TlsConfig) -> Result<Self, TlsError> {
        Err(TlsError::FeatureOff { wanted: "rustls", feature: "rustls" })
    }

    #[cfg(feature = "native-tls")]
    fn with_native(config: &TlsConfig) -> Result<Self, TlsError> {
        with_native::connector(config).map(Self::from_native)
    }

    #[cfg(not(feature = "native-tls"))]
    fn with_native(_: &TlsConfig) -> Result<Self, TlsError> {
        Err(TlsError::FeatureOff { wanted: "the TLS library of the operating system", feature: "native-tls" })
    }

    /// Opens TLS on a stream that leads to this host, a name or an address, an IPv6 address with or without brackets. How long
    /// it may take is the caller's business.
    ///
    /// # Errors
    ///
    /// A [`TlsError`] says what is wrong with the certificate, the server or the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        host: &str,
    ) -> Result<TlsStream<S>, TlsError> {
        let host = bare(host);
        match &self.backend {
            #[cfg(feature = "rustls-no-provider")]
            Backend::Rustls(config) => with_rustls::handshake(config, stream, host).await,
            #[cfg(feature = "native-tls")]
            Backend::Native(connector) => with_native::handshake(connector, stream, host).await,
        }
    }

    /// Opens TLS on a blocking stream that leads to this host, within this time; `None` waits for ever. See [`Self::handshake`].
    ///
    /// The time holds as far as the stream can bound a read ([`Transport::set_read_timeout`]).
    ///
    /// # Errors
    ///
    /// A [`TlsError`] says what is wrong with the certificate, the server or the stream.
    pub fn handshake_blocking<S: Transport>(
        &self,
        stream: S,
        host: &str,
        timeout: Option<Duration>,
    ) -> Result<BlockingTlsStream<S>, TlsError> {
        let host = bare(host);
        match &self.backend {
            #[cfg(feature = "rustls-no-provider")]
            Backend::Rustls(config) => with_rustls::handshake_blocking(config, stream, host, timeout),
            #[cfg(feature = "native-tls")]
            Backend::Native(connector) => with_native::handshake_blocking(connector, stream, host, timeout),
        }
    }
}

impl fmt::Debug for TlsConnector {
    /// Writes which library it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = match &self.backend {
            #[cfg(feature = "rustls-no-provider")]
            Backend::Rustls(_) => "rustls",
            #[cfg(feature = "native-tls")]
            Backend::Native(_) => "native-tls",
        };
        f.debug_tuple("TlsConnector").field(&backend).finish()
    }
}

/// Without the brackets of an IPv6 address, and without the dot behind a name that is whole, which no certificate has.
fn bare(host: &str) -> &str {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}
