//! The adapter for tokio: the library's own server, shut down by the signal.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use sockeye::Config;
use sockeye::driver::Drain;
use sockeye::handshake::ServerConfig;
use sockeye::tokio::{Accepting, Acceptor, Error, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

/// Serves until `stop` becomes readable and the connections are closed.
pub(crate) fn serve(
    listener: TcpListener,
    config: Arc<Config>,
    handshake: ServerConfig,
    stop: UnixStream,
    drain: Drain,
    threads: usize,
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
        server.run(echo).await
    })
}

/// Echoes until the connection is closed. What goes wrong on it is its own affair; the peer was told.
async fn echo(accepting: Accepting<TcpStream>, _: SocketAddr) -> Result<(), Error> {
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
