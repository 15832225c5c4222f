//! TLS by rustls.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::io;

use ::rustls::client::WebPkiServerVerifier;
use ::rustls::client::danger::ServerCertVerifier;
use ::rustls::crypto::CryptoProvider;
use ::rustls::pki_types::pem::PemObject;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use ::rustls::{CertificateError, ClientConfig, ClientConnection, Error, InvalidMessage, RootCertStore, StreamOwned};
use ::tokio::io::{AsyncRead, AsyncWrite};

use super::ALPN;
use super::alert::TlsAlert;
use super::blocking::BlockingTlsStream;
use super::config::{Identity, TlsConfig, TlsRoots};
use super::error::TlsError;
use super::problem::CertificateProblem;
use super::stream::TlsStream;
use crate::blocking::Transport;
use crate::client::refused::excerpt;
use crate::client::timed::{Timed, is_time_over};

pub(super) fn client_config(tls: &TlsConfig) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider()?;
    let verifier = verifier(tls, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(config_error("the cryptography"))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key }) => {
            let chain = certificates(chain, "the client certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(config_error("the key of the client certificate"))?;
            builder.with_client_auth_cert(chain, key).map_err(config_error("the client certificate"))?
        }
    };
    config.alpn_protocols = [ALPN.into()].into();
    Ok(config.into())
}

/// The one that the process has installed, or else the one whose feature is on.
fn provider() -> Result<Arc<CryptoProvider>, TlsError> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(provider.clone());
    }
    #[cfg(feature = "rustls-ring")]
    return Ok(::rustls::crypto::ring::default_provider().into());
    #[cfg(all(feature = "rustls-aws-lc", not(feature = "rustls-ring")))]
    return Ok(::rustls::crypto::aws_lc_rs::default_provider().into());
    #[cfg(not(any(feature = "rustls-ring", feature = "rustls-aws-lc")))]
    Err(TlsError::NoCryptoProvider)
}

fn verifier(tls: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let mut added = Vec::new();
    for pem in &tls.authorities {
        added.extend(certificates(pem, "the certificate authority")?);
    }
    match tls.roots {
        TlsRoots::Default if cfg!(feature = "platform-verifier") => platform(added, provider),
        TlsRoots::Default if cfg!(feature = "webpki-roots") => webpki(mozilla()?, added, provider),
        TlsRoots::Default | TlsRoots::OnlyAdded => webpki(RootCertStore::empty(), added, provider),
        TlsRoots::Platform => platform(added, provider),
        TlsRoots::WebPki => webpki(mozilla()?, added, provider),
    }
}

fn webpki(
    mut roots: RootCertStore,
    added: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    for certificate in added {
        roots.add(certificate).map_err(config_error("the certificate authority"))?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build();
    Ok(verifier.map_err(config_error("the certificate authority"))?)
}

#[cfg(feature = "webpki-roots")]
fn mozilla() -> Result<RootCertStore, TlsError> {
    Ok(RootCertStore { roots: ::webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

#[cfg(not(feature = "webpki-roots"))]
fn mozilla() -> Result<RootCertStore, TlsError> {
    Err(TlsError::FeatureOff { wanted: "the list of certificate authorities of Mozilla", feature: "webpki-roots" })
}

#[cfg(all(feature = "platform-verifier", not(target_os = "android")))]
fn platform(
    added: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let verifier = ::rustls_platform_verifier::Verifier::new_with_extra_roots(added, provider);
    Ok(Arc::new(verifier.map_err(config_error("the operating system's list of certificate authorities"))?))
}

/// Android's verifier takes no further certificate authorities.
#[cfg(all(feature = "platform-verifier", target_os = "android"))]
fn platform(
    added: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if !added.is_empty() {
        return Err(config_error("a further certificate authority")("Android trusts its own alone"));
    }
    let verifier = ::rustls_platform_verifier::Verifier::new(provider);
    Ok(Arc::new(verifier.map_err(config_error("the operating system's list of certificate authorities"))?))
}

#[cfg(not(feature = "platform-verifier"))]
fn platform(_: Vec<CertificateDer<'static>>, _: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let wanted = "the operating system's list of certificate authorities";
    Err(TlsError::FeatureOff { wanted, feature: "platform-verifier" })
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(config_error(what)("there is no certificate in the PEM")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(config_error(what)(error)),
    }
}

fn config_error<E: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>>(
    what: &'static str,
) -> impl FnOnce(E) -> TlsError {
    move |source| TlsError::Config { what, source: source.into() }
}

pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    config: &Arc<ClientConfig>,
    stream: S,
    host: &str,
) -> Result<TlsStream<S>, TlsError> {
    let connector = ::tokio_rustls::TlsConnector::from(config.clone());
    let stream = connector.connect(name(host)?, stream).await.map_err(|error| error_of(host, error))?;
    check_protocol(host, stream.get_ref().1.alpn_protocol())?;
    Ok(TlsStream::rustls(stream))
}

pub(super) fn handshake_blocking<S: Transport>(
    config: &Arc<ClientConfig>,
    stream: S,
    host: &str,
    timeout: Option<Duration>,
) -> Result<BlockingTlsStream<S>, TlsError> {
    let mut connection = ClientConnection::new(config.clone(), name(host)?)
        .map_err(|error| TlsError::Failed { host: host.to_owned(), source: error.into() })?;
    let mut stream = Timed::new(stream, timeout).map_err(|error| TlsError::from_io(host, error))?;
    while connection.is_handshaking() {
        match (connection.complete_io(&mut stream), timeout) {
            (Ok(_), _) => {}
            (Err(error), Some(timeout)) if is_time_over(&error) => {
                return Err(TlsError::TimedOut { host: host.to_owned(), timeout });
            }
            (Err(error), _) => return Err(error_of(host, error)),
        }
    }
    stream.lift().map_err(|error| TlsError::from_io(host, error))?;
    check_protocol(host, connection.alpn_protocol())?;
    Ok(BlockingTlsStream::rustls(StreamOwned::new(connection, stream)))
}

fn name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Host { host: host.to_owned() })
}

fn check_protocol(host: &str, chosen: Option<&[u8]>) -> Result<(), TlsError> {
    match chosen {
        Some(other) if other != ALPN.as_bytes() => {
            Err(TlsError::Protocol { host: host.to_owned(), protocol: excerpt(&String::from_utf8_lossy(other)) })
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns what the other side says in an error of a stream.
pub(super) fn alert(error: &io::Error) -> Option<TlsAlert> {
    match error.get_ref()?.downcast_ref()? {
        Error::AlertReceived(alert) => Some(TlsAlert((*alert).into())),
        _ => None,
    }
}

fn error_of(host: &str, error: io::Error) -> TlsError {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return TlsError::from_io(host, error);
    };
    let host = host.to_owned();
    match inner {
        Error::AlertReceived(alert) => TlsError::Alert { host, alert: TlsAlert((*alert).into()), source: error.into() },
        Error::InvalidCertificate(problem) => {
            TlsError::Certificate { host, problem: problem_of(problem), source: error.into() }
        }
        // The first bytes of anything else are no record of TLS.
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            TlsError::NotTls { host, source: error.into() }
        }
        _ => TlsError::Failed { host, source: error.into() },
    }
}

fn problem_of(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::Expired => CertificateProblem::Expired { not_after: None },
        CertificateError::ExpiredContext { not_after, .. } => {
            CertificateProblem::Expired { not_after: Some(not_after.as_secs()) }
        }
        CertificateError::NotValidYet => CertificateProblem::NotYetValid { not_before: None },
        CertificateError::NotValidYetContext { not_before, .. } => {
            CertificateProblem::NotYetValid { not_before: Some(not_before.as_secs()) }
        }
        CertificateError::NotValidForName => CertificateProblem::OtherName { names: Vec::new() },
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().take(MAX_NAMES).map(|name| excerpt(bare_name(name))).collect();
            CertificateProblem::OtherName { names }
        }
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        CertificateError::Revoked => CertificateProblem::Revoked,
        CertificateError::BadSignature => CertificateProblem::BadSignature,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            CertificateProblem::Purpose
        }
        // An error of webpki, which is no dependency of ours.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            CertificateProblem::Authority
        }
        other => CertificateProblem::Other { reason: excerpt(&other.to_string()) },
    }
}

/// Names come as rustls shows them for debugging: `DnsName("a.example")`, `IpAddress(127.0.0.1)`.
fn bare_name(shown: &str) -> &str {
    let inner = shown.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(shown);
    inner.trim_matches('"')
}

/// How many names are told of in an error.
const MAX_NAMES: usize = 8;
