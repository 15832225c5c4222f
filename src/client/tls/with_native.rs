//! TLS by the operating system's library.
//!
//! It says what is wrong in a text alone, and another one on each system. What is known of these texts is told apart; of the rest,
//! the text is shown.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::error::Error as StdError;
use core::time::Duration;
use std::io;

use ::native_tls::{Certificate, Error, HandshakeError, Identity, Protocol, TlsConnector};
use ::tokio::io::{AsyncRead, AsyncWrite};

use super::ALPN;
use super::alert::TlsAlert;
use super::blocking::BlockingTlsStream;
use super::config::{TlsConfig, TlsRoots};
use super::error::TlsError;
use super::problem::CertificateProblem;
use super::stream::TlsStream;
use crate::blocking::Transport;
use crate::client::refused::excerpt;
use crate::client::timed::{Timed, is_time_over};

pub(super) fn connector(tls: &TlsConfig) -> Result<TlsConnector, TlsError> {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12)).request_alpns(&[ALPN]);
    match tls.roots {
        TlsRoots::Default | TlsRoots::Platform => {}
        TlsRoots::WebPki => {
            let wanted = "rustls with the list of certificate authorities of Mozilla";
            return Err(TlsError::FeatureOff { wanted, feature: "webpki-roots" });
        }
        TlsRoots::OnlyAdded if tls.authorities.is_empty() => return Err(TlsError::NoRoots),
        TlsRoots::OnlyAdded => {
            builder.disable_built_in_roots(true);
        }
    }
    for pem in &tls.authorities {
        let certificates = Certificate::stack_from_pem(pem).map_err(config_error("the certificate authority"))?;
        if certificates.is_empty() {
            return Err(config_error("the certificate authority")("there is no certificate in the PEM"));
        }
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some(identity) = &tls.identity {
        let identity = Identity::from_pkcs8(&identity.chain, &identity.key);
        builder.identity(identity.map_err(config_error("the client certificate"))?);
    }
    builder.build().map_err(config_error("the TLS library of the operating system"))
}

fn config_error<E: Into<alloc::boxed::Box<dyn StdError + Send + Sync>>>(
    what: &'static str,
) -> impl FnOnce(E) -> TlsError {
    move |source| TlsError::Config { what, source: source.into() }
}

pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    connector: &TlsConnector,
    stream: S,
    host: &str,
) -> Result<TlsStream<S>, TlsError> {
    let connector = ::tokio_native_tls::TlsConnector::from(connector.clone());
    check_host(host)?;
    let stream = connector.connect(host, stream).await.map_err(|error| error_of(host, error))?;
    check_protocol(host, stream.get_ref().negotiated_alpn())?;
    Ok(TlsStream::native(stream))
}

pub(super) fn handshake_blocking<S: Transport>(
    connector: &TlsConnector,
    stream: S,
    host: &str,
    timeout: Option<Duration>,
) -> Result<BlockingTlsStream<S>, TlsError> {
    check_host(host)?;
    let stream = Timed::new(stream, timeout).map_err(|error| TlsError::from_io(host, error))?;
    let mut stream = match connector.connect(host, stream) {
        Ok(stream) => stream,
        Err(HandshakeError::WouldBlock(_)) => {
            return Err(TlsError::from_io(host, io::ErrorKind::WouldBlock.into()));
        }
        Err(HandshakeError::Failure(error)) => {
            return Err(match (io_cause(&error), timeout) {
                (Some(cause), Some(timeout)) if is_time_over(cause) => {
                    TlsError::TimedOut { host: host.to_owned(), timeout }
                }
                _ => error_of(host, error),
            });
        }
    };
    stream.get_mut().lift().map_err(|error| TlsError::from_io(host, error))?;
    check_protocol(host, stream.negotiated_alpn())?;
    Ok(BlockingTlsStream::native(stream))
}

/// OpenSSL takes any text for a name, and then finds no certificate for it.
fn check_host(host: &str) -> Result<(), TlsError> {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_name = (1..=253).contains(&host.len()) && host.bytes().all(is_name_byte);
    if is_name || host.parse::<core::net::IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(TlsError::Host { host: host.to_owned() })
    }
}

fn check_protocol(host: &str, chosen: Result<Option<Vec<u8>>, Error>) -> Result<(), TlsError> {
    match chosen {
        Ok(Some(other)) if other != ALPN.as_bytes() => {
            let protocol = excerpt(&String::from_utf8_lossy(&other));
            Err(TlsError::Protocol { host: host.to_owned(), protocol })
        }
        Ok(_) => Ok(()),
        Err(error) => Err(TlsError::Failed { host: host.to_owned(), source: error.into() }),
    }
}

/// Finds an error of the stream behind that of the library.
fn io_cause(error: &Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

fn error_of(host: &str, error: Error) -> TlsError {
    let host = host.to_owned();
    let text = error.to_string();
    if let Some(cause) = io_cause(&error) {
        let kind = cause.kind();
        if crate::client::error::is_closed(cause) {
            return TlsError::Closed { host, source: error.into() };
        }
        return TlsError::Io { host, source: io::Error::new(kind, error) };
    }
    if let Some(problem) = problem(&text) {
        return TlsError::Certificate { host, problem, source: error.into() };
    }
    if let Some(alert) = alert(&text) {
        return TlsError::Alert { host, alert, source: error.into() };
    }
    // The words of OpenSSL 3 and 1.1, and of Secure Transport.
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if has(&["wrong version number", "packet length too long", "record layer failure", "unknown protocol"]) {
        return TlsError::NotTls { host, source: error.into() };
    }
    if has(&["unexpected EOF", "unexpected eof", "connection closed"]) {
        return TlsError::Closed { host, source: error.into() };
    }
    TlsError::Failed { host, source: error.into() }
}

/// Reads the alert out of OpenSSL's text: `... SSL alert number 48 ...`.
pub(super) fn alert(text: &str) -> Option<TlsAlert> {
    let (_, number) = text.split_once("SSL alert number ")?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end)?.parse().ok().map(TlsAlert)
}

/// Reads what is wrong with the certificate out of OpenSSL's text, which ends in the reason in parentheses.
fn problem(text: &str) -> Option<CertificateProblem> {
    if !text.contains("certificate verify failed") && !text.to_ascii_lowercase().contains("certificate") {
        return None;
    }
    let has = |words: &str| text.contains(words);
    Some(if has("certificate has expired") {
        CertificateProblem::Expired { not_after: None }
    } else if has("certificate is not yet valid") {
        CertificateProblem::NotYetValid { not_before: None }
    } else if has("ostname mismatch") || has("IP address mismatch") {
        CertificateProblem::OtherName { names: Vec::new() }
    } else if has("unable to get") || has("self-signed certificate") || has("self signed certificate") {
        CertificateProblem::UnknownIssuer
    } else if has("certificate revoked") && !has("alert") {
        CertificateProblem::Revoked
    } else if has("certificate signature failure") {
        CertificateProblem::BadSignature
    } else if has("unsuitable certificate purpose") || has("unsupported certificate purpose") {
        CertificateProblem::Purpose
    } else if has("certificate verify failed") {
        CertificateProblem::Other { reason: excerpt(text) }
    } else {
        return None;
    })
}
