//! What is to be different from the defaults of TLS.

use alloc::vec::Vec;
use core::fmt;
use std::path::Path;

use super::connector::TlsConnector;
use super::error::TlsError;

/// How TLS is spoken. The defaults are right for a server that browsers accept.
///
/// ```
/// use sockeye::client::tls::{TlsConfig, TlsRoots};
///
/// # fn company_ca() -> Vec<u8> { Vec::new() }
/// // A server of one's own, whose certificates nobody else issues.
/// let config = TlsConfig::new().roots(TlsRoots::OnlyAdded).ca_pem(company_ca());
/// match config.connector() {
///     Ok(connector) => println!("{connector:?}"),
///     Err(error) => println!("{error}"),
/// }
/// ```
///
/// The same with a certificate to show, through the proxy that the environment names, if it does:
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::client::Client;
/// use sockeye::client::proxy::ProxyRules;
/// use sockeye::client::tls::{TlsConfig, TlsRoots};
///
/// let tls = TlsConfig::new()
///     .roots(TlsRoots::OnlyAdded)
///     .ca_file("company-ca.pem")?
///     .client_certificate_files("me.pem", "me.key")?;
/// let client = Client::new().tls(tls.connector()?).proxies(ProxyRules::from_env()?);
/// let socket = client.connect("wss://internal.example/").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    pub(super) backend: TlsBackend,
    pub(super) roots: TlsRoots,
    /// In PEM, one or more certificates each.
    pub(super) authorities: Vec<Vec<u8>>,
    pub(super) identity: Option<Identity>,
}

/// A client certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// Which library speaks TLS.
///
/// ```
/// use sockeye::client::tls::{TlsBackend, TlsConfig};
///
/// let config = TlsConfig::new().backend(TlsBackend::Rustls);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsBackend {
    /// rustls if its feature is on, else the operating system's library.
    #[default]
    Default,
    /// rustls.
    Rustls,
    /// The operating system's library: OpenSSL, Secure Transport or SChannel.
    Native,
}

/// Which certificate authorities are trusted, besides those that are added.
///
/// ```no_run
/// use sockeye::client::tls::{TlsConfig, TlsRoots};
///
/// let config = TlsConfig::new().roots(TlsRoots::OnlyAdded).ca_file("company.pem")?;   // and nobody else
/// # Ok::<(), sockeye::client::tls::TlsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsRoots {
    /// [`Self::Platform`] if that is there, else [`Self::WebPki`], else none but those that are added.
    #[default]
    Default,
    /// Those that the operating system trusts: with rustls, feature `platform-verifier`.
    Platform,
    /// Those that Mozilla trusted when this was built: rustls with the feature `webpki-roots`.
    WebPki,
    /// None.
    OnlyAdded,
}

impl TlsConfig {
    /// Creates the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with TLS spoken by this library.
    #[must_use]
    pub fn backend(mut self, backend: TlsBackend) -> Self {
        self.backend = backend;
        self
    }

    /// The same, with these certificate authorities trusted.
    #[must_use]
    pub fn roots(mut self, roots: TlsRoots) -> Self {
        self.roots = roots;
        self
    }

    /// The same, with the certificate authorities of a PEM text trusted as well: one or more certificates.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// The same, with the certificate authorities of a PEM file trusted as well.
    ///
    /// # Errors
    ///
    /// [`TlsError::File`].
    pub fn ca_file(self, path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let pem = read(path.as_ref())?;
        Ok(self.ca_pem(pem))
    }

    /// The same, with a certificate of our own to show to a server that wants one: in PEM, first the certificate, then those that lead
    /// from it to its authority, and the private key; for `native-tls`, in PKCS #8 (`BEGIN PRIVATE KEY`).
    #[must_use]
    pub fn client_certificate_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(Identity { chain: chain.into(), key: key.into() });
        self
    }

    /// The same, with the certificate of our own and its private key read from PEM files, see [`Self::client_certificate_pem`].
    ///
    /// # Errors
    ///
    /// [`TlsError::File`].
    pub fn client_certificate_files(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (chain, key) = (read(chain.as_ref())?, read(key.as_ref())?);
        Ok(self.client_certificate_pem(chain, key))
    }

    /// Makes what speaks TLS: once for a program, for it reads the certificate authorities, which takes milliseconds, and remembers
    /// sessions with servers, which spares half of the next handshake.
    ///
    /// # Errors
    ///
    /// A feature that is not on, or a certificate or key that cannot be used.
    pub fn connector(&self) -> Result<TlsConnector, TlsError> {
        TlsConnector::new(self)
    }
}

impl fmt::Debug for TlsConfig {
    /// Writes neither certificates nor keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("backend", &self.backend)
            .field("roots", &self.roots)
            .field("authorities", &self.authorities.len())
            .field("has_client_certificate", &self.identity.is_some())
            .finish()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.into(), source })
}
