//! The adapter for tokio: the library's own server, over TLS if wanted, shut down by the signal.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use sockeye::Config;
use sockeye::driver::Drain;
use sockeye::tokio::{Accepting, Acceptor, Error, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Serves until `stop` becomes readable and the connections are closed.
pub(crate) fn serve(
    listener: TcpListener,
    config: Arc<Config>,
    handshake: sockeye::handshake::ServerConfig,
    stop: UnixStream,
    drain: Drain,
    threads: usize,
    tls: Option<TlsAcceptor>,
) -> io::Result<()> {
    let mut acceptor = Acceptor::default();
    acceptor.config = config;
    acceptor.handshake = handshake.into();
    listener.set_nonblocking(true)?;
    stop.set_nonblocking(true)?;
    run(threads, async {
        let mut stop = tokio::net::UnixStream::from_std(stop)?;
        let server = Server::new(tokio::net::TcpListener::from_std(listener)?).with_acceptor(acceptor);
        let handle = server.handle();
        tokio::spawn(async move {
            let _ = stop.read_u8().await;
            handle.shutdown(drain).await
        });
        match tls {
            Some(tls) => server.run_over(move |stream| tls.accept(stream), echo).await,
            None => server.run(echo).await,
        }
    })
}

/// Reads a certificate's chain and its key.
pub(crate) fn tls(chain: &Path, key: &Path) -> Result<TlsAcceptor, Box<dyn std::error::Error>> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    // Named, because with all features there are two to choose from.
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_no_client_auth().with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Echoes until the connection is closed. What goes wrong on it is its own affair; the peer was told.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(accepting: Accepting<S>, _: SocketAddr) -> Result<(), Error> {
    let mut socket = accepting.accept().await?;
    while let Some(message) = socket.receive().await? {
        // Written once there is nothing more to receive, so that many small ones go out together.
        match socket.feed(message).await {
            // Where we are closing, no echo can be sent; the peer's Close is still to come.
            Err(error) if !error.is_closed() => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Runs a future on a runtime of one thread, or of so many.
fn run<T>(threads: usize, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()?.block_on(future)
}
