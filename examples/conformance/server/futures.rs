//! The adapter for `futures-io`, on smol: a task for each connection, and a gate to close them by.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use smol::io::AsyncReadExt;
use smol::net::TcpStream;
use smol::{Async, Timer};
use sockeye::Config;
use sockeye::driver::{Drain, Gate};
use sockeye::futures::{Acceptor, Error};
use sockeye::handshake::ServerConfig;

/// Serves until `stop` becomes readable and the connections are closed.
pub(crate) fn serve(
    listener: TcpListener,
    config: Arc<Config>,
    handshake: ServerConfig,
    stop: UnixStream,
    drain: Drain,
) -> io::Result<()> {
    let gate = Gate::default();
    let mut acceptor = Acceptor::default();
    acceptor.config = config;
    acceptor.handshake = handshake.into();
    acceptor.gate = Some(gate.clone());
    smol::block_on(async {
        let accepting = smol::spawn(accept(smol::net::TcpListener::try_from(listener)?, acceptor));
        let _ = Async::new(stop)?.read_exact(&mut [0]).await;
        accepting.cancel().await;
        gate.drain(sockeye::futures::Timer::default(), drain).await;
        Ok(())
    })
}

/// Accepts connections for ever.
async fn accept(listener: smol::net::TcpListener, acceptor: Acceptor) {
    loop {
        match listener.accept().await {
            // What goes wrong on a connection is its own affair; the peer was told.
            Ok((stream, _)) => smol::spawn(echo(stream, acceptor.clone())).detach(),
            // Out of file descriptors, most likely: give the open connections time to end.
            Err(_) => {
                Timer::after(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Echoes until the connection is closed.
async fn echo(stream: TcpStream, acceptor: Acceptor) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut socket = acceptor.accept(stream).await?;
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
