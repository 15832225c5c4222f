//! What the tests of TLS share: certificate authorities, certificates of every kind, and servers of rustls that use them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use sockeye::client::tls::{BlockingTlsStream, TlsConfig, TlsError, TlsStream};
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// The name that servers are asked for.
pub const HOST: &str = "server.example";

/// Who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// Issues a certificate for these names.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { pem: certificate.pem(), der: certificate.der().clone(), key }
    }

    pub fn issue_valid(&self, from: i32, until: i32) -> Issued {
        self.issue_with(&[HOST], |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        })
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        roots.into()
    }
}

/// A certificate and its key.
pub struct Issued {
    pub pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Issued {
    /// Makes one that has issued itself.
    pub fn by_itself(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names).self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), key }
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// A server that shows it and speaks HTTP/1.1.
    pub fn server(&self) -> ServerConfig {
        self.server_with(tokio_rustls::rustls::ALL_VERSIONS, None)
    }

    /// A server that lets in only clients with a certificate of this authority.
    pub fn server_for_clients_of(&self, authority: &Authority) -> ServerConfig {
        self.server_with(tokio_rustls::rustls::ALL_VERSIONS, Some(authority))
    }

    pub fn server_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let provider: Arc<CryptoProvider> = ring::default_provider().into();
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(authority.roots(), provider).build().unwrap(),
            ),
        };
        let mut config = builder.with_single_cert(vec![self.der.clone()], self.private_key()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
}

pub type ServerStream = tokio_rustls::server::TlsStream<DuplexStream>;

/// Has a client and a server meet in memory.
pub async fn meet(
    config: &TlsConfig,
    host: &str,
    server: ServerConfig,
) -> (Result<TlsStream<DuplexStream>, TlsError>, std::io::Result<ServerStream>) {
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let connector = config.connector().unwrap();
    let serving = tokio::spawn(TlsAcceptor::from(Arc::new(server)).accept(theirs).into_fallible());
    let met = connector.handshake(ours, host).await;
    (met, serving.await.unwrap().map_err(|(error, _)| error))
}

/// Has a client and a server meet on threads, over TCP.
pub fn meet_blocking(
    config: &TlsConfig,
    host: &str,
    server: ServerConfig,
) -> Result<BlockingTlsStream<TcpStream>, TlsError> {
    let stream = serve_blocking(server, |stream| {
        let _ = std::io::copy(&mut { stream }, &mut std::io::sink());
    });
    config.connector().unwrap().handshake_blocking(stream, host, Some(Duration::from_secs(60)))
}

/// Serves one connection over TLS on a thread; returns a connection to it, on which TLS is yet to be spoken.
pub fn serve_blocking(
    server: ServerConfig,
    serving: impl FnOnce(StreamOwned<ServerConnection, TcpStream>) + Send + 'static,
) -> TcpStream {
    serve_plain(move |stream| serving(StreamOwned::new(ServerConnection::new(server.into()).unwrap(), stream)))
}

/// Serves one connection on a thread; returns a connection to it.
pub fn serve_plain(serving: impl FnOnce(TcpStream) + Send + 'static) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    std::thread::spawn(move || serving(listener.accept().unwrap().0));
    stream
}

/// Returns why a server is refused, on tokio and on threads the same.
pub async fn refusal(config: &TlsConfig, host: &str, server: ServerConfig) -> TlsError {
    let (met, _) = meet(config, host, server.clone()).await;
    let error = met.expect_err("the server is refused");
    let blocking = meet_blocking(config, host, server).expect_err("the server is refused");
    assert_eq!(blocking.to_string(), error.to_string());
    assert_eq!(blocking.is_permanent(), error.is_permanent());
    error
}

/// Returns why a server that is not one of TLS is refused, on tokio and on threads the same. It waits for the first bytes, sends this
/// and closes.
pub async fn refusal_of_bytes(config: &TlsConfig, bytes: &'static [u8]) -> TlsError {
    use std::io::{Read, Write};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let connector = config.connector().unwrap();
    let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
    tokio::spawn(async move {
        theirs.read_u8().await.unwrap();
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        // What the client still says has its place.
        let _ = tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await;
    });
    let error = connector.handshake(ours, HOST).await.expect_err("the server is refused");
    let stream = serve_plain(move |mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let blocking = connector.handshake_blocking(stream, HOST, Some(Duration::from_secs(60)));
    assert_eq!(blocking.expect_err("the server is refused").to_string(), error.to_string());
    error
}
