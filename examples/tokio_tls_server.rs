//! WebSocket over TLS (`wss:`) with `tokio-rustls`: a server, and a client that trusts its certificate, in one process.
//!
//! The server wraps each TCP stream before the opening handshake, and the client hands over a stream on which TLS stands
//! already: to the library a TLS stream is a stream like any other.
//!
//! ```sh
//! cargo run --example tokio_tls_server
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::CertifiedKey;
use sockeye::driver::Drain;
use sockeye::handshake::ClientRequest;
use sockeye::tokio::{Connector, Server, WebSocket};
use sockeye::{Close, Message};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A certificate for this run. Yours comes from files, or from an authority.
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (cert.der().clone(), PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()));

    let server = Server::bind("127.0.0.1:0").await?;
    let (address, handle) = (server.local_addr()?, server.handle());
    let serving = tokio::spawn(serve(server, certificate.clone(), key)?);
    println!("listening on wss://localhost:{}", address.port());

    let mut socket = connect(address, certificate).await?;
    socket.send("hello").await?;
    let answer = socket.receive().await?;
    println!("the server answers {answer:?}");
    assert_eq!(answer, Some(Message::from("hello, over TLSv1_3")));

    socket.close(Close::normal()).await?;
    assert_eq!(socket.receive().await?, None);
    handle.shutdown(Drain::default()).await;
    serving.await??;
    Ok(())
}

/// The server: TLS first, then WebSocket.
fn serve(
    server: Server,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<impl Future<Output = std::io::Result<()>>, Box<dyn Error>> {
    let tls = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let tls = tls.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    let tls = TlsAcceptor::from(Arc::new(tls));
    Ok(server.run_over(
        move |stream| tls.accept(stream),
        |accepting, _| async {
            let mut socket = accepting.accept().await?;
            while let Some(message) = socket.receive().await? {
                // What TLS knows of the peer, such as its certificate, is at hand.
                let version = socket.get_ref().get_ref().1.protocol_version();
                let version = version.and_then(|version| version.as_str()).unwrap_or("no TLS");
                let text = message.as_text().unwrap_or_default();
                socket.send(format!("{text}, over {version}")).await?;
            }
            Ok(())
        },
    ))
}

/// The client: TCP, TLS, WebSocket.
async fn connect(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
) -> Result<WebSocket<client::TlsStream<TcpStream>>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?; // yours are those of the system, or of the crate `webpki-roots`
    let tls = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(Arc::new(tls)).connect("localhost".try_into()?, stream).await?;
    Ok(Connector::default().handshake(stream, ClientRequest::new("localhost", "/")?).await?)
}

/// The cryptography, by name: a program that has more than one built in must choose.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
