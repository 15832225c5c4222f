//! The cryptography of rustls: that which the process has installed is taken. It is a process of its own, because it can be
//! installed only once.

mod tls_support;

use sockeye::client::tls::{TlsBackend, TlsConfig, TlsRoots, rustls};
use tls_support::*;

#[tokio::test]
async fn the_cryptography_that_the_process_has_installed_is_taken() {
    let authority = Authority::new("A");
    let config = TlsConfig::new().backend(TlsBackend::Rustls).roots(TlsRoots::OnlyAdded).ca_pem(&*authority.pem);
    if cfg!(any(feature = "rustls-ring", feature = "rustls-aws-lc")) {
        config.connector().unwrap();
    } else {
        assert_eq!(
            config.connector().unwrap_err().to_string(),
            "rustls has no cryptography: turn on the feature rustls or rustls-aws-lc of sockeye, or install a CryptoProvider \
             as the default of the process"
        );
    }

    let suite = rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    let mut provider = tokio_rustls::rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|supported| supported.suite() == suite);
    provider.install_default().unwrap();
    let (ours, theirs) = meet(&config, HOST, authority.issue(&[HOST]).server()).await;
    ours.unwrap();
    assert_eq!(theirs.unwrap().get_ref().1.negotiated_cipher_suite().unwrap().suite(), suite);
}
