//! Whom to trust under `wss:`.

use core::error::Error;

use sockeye::client::tls::{TlsConfig, TlsConnector, TlsRoots};

use crate::options::Options;

/// Makes what the command line wants; `None` where the defaults will do.
pub(crate) fn connector(options: &Options) -> Result<Option<TlsConnector>, Box<dyn Error>> {
    #[cfg(feature = "rustls")]
    if options.insecure {
        return Ok(Some(insecure::connector()?));
    }
    let Some(ca) = &options.ca else { return Ok(None) };
    Ok(Some(TlsConfig::new().roots(TlsRoots::OnlyAdded).ca_file(ca)?.connector()?))
}

/// Trust in anybody. It is not in the library, because it has no place in a program that is for more than to look.
#[cfg(feature = "rustls")]
mod insecure {
    use std::sync::Arc;

    use sockeye::client::tls::TlsConnector;
    use sockeye::client::tls::rustls::client::danger::{
        HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
    };
    use sockeye::client::tls::rustls::crypto::{self, CryptoProvider, ring};
    use sockeye::client::tls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use sockeye::client::tls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

    pub(super) fn connector() -> Result<TlsConnector, Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from_rustls(Arc::new(config)))
    }

    /// Whoever has the key of the certificate that it shows, whatever that says.
    #[derive(Debug)]
    struct Anybody(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
