//! The adapter for tokio.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sockeye::handshake::ClientRequest;
use sockeye::tokio::{Connector, WebSocket};
use sockeye::{Close, Config, Fin, Message, MessageRef, SendError, WsUri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::Error;
use crate::interop::Socket;

/// The threads of a runtime, if they are told; one is the current thread.
pub(crate) static THREADS: OnceLock<NonZeroUsize> = OnceLock::new();

pub(crate) fn echo(uri: &WsUri, config: Arc<Config>) -> Result<(), Error> {
    runtime()?.block_on(async { echo_on(connect(uri, crate::request(uri)?, config).await?).await })
}

pub(crate) fn exchange(uri: &WsUri, config: Arc<Config>, text: Option<&str>) -> Result<Message, Error> {
    runtime()?.block_on(async { exchange_on(connect(uri, crate::request(uri)?, config).await?, text).await })
}

pub(crate) fn open(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<Box<dyn Socket>, Error> {
    let runtime = runtime()?;
    let socket = runtime.block_on(connect(uri, request, config))?;
    Ok(Box::new(Blocking::new(runtime, socket)))
}

/// Echoes until the connection is closed.
pub(crate) async fn echo_on<S: Stream>(mut socket: WebSocket<S>) -> Result<(), Error> {
    while let Some(message) = socket.receive().await? {
        // Written once there is nothing more to receive, so that many small ones go out together.
        match socket.feed(message).await {
            // Where we are closing, no echo can be sent; the server's Close is still to come.
            Ok(()) | Err(sockeye::tokio::Error::Send(SendError::Closed)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Sends a message if there is one, receives one, and closes with 1000.
pub(crate) async fn exchange_on<S: Stream>(mut socket: WebSocket<S>, text: Option<&str>) -> Result<Message, Error> {
    if let Some(text) = text {
        socket.send(text).await?;
    }
    let message = socket.receive().await?.ok_or("the server closed without a message")?;
    // Where the server has closed in the meantime, there is nothing left to close.
    let _ = socket.close(Close::normal()).await;
    while socket.receive().await?.is_some() {}
    Ok(message)
}

async fn connect(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<WebSocket<TcpStream>, Error> {
    let mut connector = Connector::default();
    connector.config = config;
    Ok(connector.connect_with(uri, request).await?)
}

pub(crate) fn runtime() -> Result<Runtime, Error> {
    let threads = THREADS.get().map_or(1, |threads| threads.get());
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    Ok(builder.enable_all().build()?)
}

/// What a connection may be on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Stream for S {}

/// A connection with its runtime.
pub(crate) struct Blocking<S: Stream> {
    runtime: Runtime,
    socket: WebSocket<S>,
    fragments: Vec<Vec<u8>>,
}

impl<S: Stream> Blocking<S> {
    pub(crate) fn new(runtime: Runtime, socket: WebSocket<S>) -> Self {
        Self { runtime, socket, fragments: Vec::new() }
    }
}

impl<S: Stream> Socket for Blocking<S> {
    fn send(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        Ok(self.runtime.block_on(self.socket.send(message))?)
    }

    /// A message is begun once all of it is there, because its writer borrows the connection.
    fn send_fragment(&mut self, fragment: MessageRef<'_>, fin: Fin) -> Result<(), Error> {
        self.fragments.push(fragment.payload().to_vec());
        if fin == Fin::More {
            return Ok(());
        }
        let fragments = std::mem::take(&mut self.fragments);
        self.runtime.block_on(async {
            let mut writer = self.socket.writer(fragment.kind()).await?;
            for (index, fragment) in fragments.iter().enumerate() {
                if index > 0 {
                    writer.flush().await?;
                }
                writer.write_all(fragment).await?;
            }
            Ok(writer.finish().await?)
        })
    }

    fn ping(&mut self) -> Result<(), Error> {
        Ok(self.runtime.block_on(self.socket.ping())?)
    }

    fn close(&mut self, close: Close) -> Result<(), Error> {
        Ok(self.runtime.block_on(self.socket.close(close))?)
    }

    fn receive(&mut self) -> Result<Option<Message>, Error> {
        Ok(self.runtime.block_on(self.socket.receive())?)
    }

    fn round_trip(&self) -> Option<Duration> {
        self.socket.round_trip()
    }

    fn peer_close(&self) -> Option<Close> {
        self.socket.peer_close().cloned()
    }

    fn subprotocol(&self) -> Option<String> {
        self.socket.subprotocol().map(str::to_owned)
    }

    fn encoded_bytes(&self) -> (u64, u64) {
        (self.socket.sent().encoded_bytes, self.socket.received().encoded_bytes)
    }
}
