//! TCP sockets with the options of a client, for both styles of I/O; and connectors in their place.

use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind};

use ::tokio::net::TcpSocket;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::blocking;
use super::options::TcpOptions;
use super::resolve::BoxFuture;
use super::stream::Stream;

/// Connects to an address.
///
/// Any function from an address to a future of a [`Stream`] is one:
///
/// ```
/// use sockeye::client::{Client, Stream};
/// use tokio::net::TcpStream;
///
/// let client = Client::new().connector(|address| async move {
///     println!("trying {address}");
///     TcpStream::connect(address).await.map(Stream::from)
/// });
/// ```
pub trait Connect: Send + Sync {
    /// Connects to an address. Several attempts may go on at the same time; one that is dropped is not wanted any more.
    ///
    /// # Errors
    ///
    /// Why the address takes no connection. The client goes on to the next one.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Stream>>;

    /// Connects to an address for the [blocking client](super::blocking), which calls it on a thread of its own, and gives up after
    /// that time. By default it cannot.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`]; [`ErrorKind::Unsupported`] where there is no such connector.
    fn connect_blocking(&self, address: SocketAddr, timeout: Option<Duration>) -> io::Result<blocking::Stream> {
        let _ = (address, timeout);
        Err(io::Error::new(ErrorKind::Unsupported, "the connector is one for asynchronous clients only"))
    }
}

impl<F, A> Connect for F
where
    F: Fn(SocketAddr) -> A + Send + Sync,
    A: Future<Output = io::Result<Stream>> + Send + 'static,
{
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(self(address))
    }
}

impl Connect for TcpOptions {
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        let socket = self.socket(address);
        Box::pin(async move {
            let socket = socket?;
            socket.set_nonblocking(true)?;
            let stream = TcpSocket::from_std_stream(socket.into()).connect(address).await?;
            Ok(stream.into())
        })
    }

    fn connect_blocking(&self, address: SocketAddr, timeout: Option<Duration>) -> io::Result<blocking::Stream> {
        let socket = self.socket(address)?;
        match timeout {
            // The system takes zero for no bound at all.
            Some(timeout) => socket.connect_timeout(&address.into(), timeout.max(Duration::from_millis(1)))?,
            None => socket.connect(&address.into())?,
        }
        Ok(std::net::TcpStream::from(socket).into())
    }
}

impl TcpOptions {
    /// Makes a socket to connect to that address with.
    fn socket(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(self.nodelay)?;
        if let Some(after) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(bind) = self.bind {
            socket.bind(&SocketAddr::new(bind, 0).into())?;
        }
        Ok(socket)
    }
}
