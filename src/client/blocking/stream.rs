//! What a connection of the blocking client runs on: one type, whatever the way to the server was.

use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;

use crate::blocking::Transport;
use crate::client::proxy::Tunneled;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
use crate::client::tls::BlockingTlsStream;

/// The stream of a connection that [`Client::connect_blocking`](crate::client::Client::connect_blocking) made.
///
/// Such a connection can be [split](crate::blocking::WebSocket::split) where the stream is one of TCP or a Unix-domain socket, through a
/// proxy or not. TLS needs both directions for each, so a connection over it stays whole.
pub struct Stream {
    inner: Inner,
}

enum Inner {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// Boxed: it is a kilobyte.
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    Tls(Box<BlockingTlsStream<Stream>>),
    Other(Box<dyn Transport + Send>),
}

impl Stream {
    /// Takes any stream, for a connector of one's own. A connection on it cannot be split, for that needs a second handle.
    pub fn new<S: Transport + Send + 'static>(stream: S) -> Self {
        Self { inner: Inner::Other(Box::new(stream)) }
    }

    /// Takes a stream through a proxy; one through which nothing has come yet is what it was before.
    pub(super) fn tunneled(stream: Tunneled<Self>) -> Self {
        match stream.into_parts() {
            (stream, leftover) if leftover.is_empty() => stream,
            (stream, leftover) => Self::new(Tunneled::new(stream, leftover)),
        }
    }

    /// Returns the TCP stream, if it is all there is: no TLS lies over it.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.inner {
            Inner::Tcp(stream) => Some(stream),
            #[cfg(unix)]
            Inner::Unix(_) => None,
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(_) => None,
            Inner::Other(_) => None,
        }
    }

    /// Returns the address of the other side of the TCP connection, whatever lies over it: that of the server, or of the proxy. `None`
    /// where there is no such connection, or none that we know of.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.inner {
            Inner::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Inner::Unix(_) => None,
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => stream.get_ref().peer_addr(),
            Inner::Other(_) => None,
        }
    }

    /// Returns whether TLS is spoken with the server, by us.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        match &self.inner {
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(_) => true,
            #[cfg(unix)]
            Inner::Unix(_) => false,
            Inner::Tcp(_) | Inner::Other(_) => false,
        }
    }

    fn io(&mut self) -> &mut (dyn Transport + Send) {
        match &mut self.inner {
            Inner::Tcp(stream) => stream,
            #[cfg(unix)]
            Inner::Unix(stream) => stream,
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => stream,
            Inner::Other(stream) => stream,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self { inner: Inner::Tcp(stream) }
    }
}

#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
impl From<BlockingTlsStream<Self>> for Stream {
    fn from(stream: BlockingTlsStream<Self>) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)) }
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self { inner: Inner::Unix(stream) }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Tcp(stream) => stream.fmt(f),
            #[cfg(unix)]
            Inner::Unix(stream) => stream.fmt(f),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => stream.fmt(f),
            Inner::Other(_) => f.debug_struct("Stream").finish_non_exhaustive(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io().read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.io().write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io().write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.io().flush()
    }
}

impl Transport for Stream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.io().shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        Transport::set_read_timeout(self.io(), timeout)
    }

    fn read_timeout(&self) -> io::Result<Option<Duration>> {
        match &self.inner {
            Inner::Tcp(stream) => stream.read_timeout(),
            #[cfg(unix)]
            Inner::Unix(stream) => stream.read_timeout(),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => stream.read_timeout(),
            Inner::Other(stream) => stream.read_timeout(),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        match &self.inner {
            Inner::Tcp(stream) => stream.try_clone().map(Self::from),
            #[cfg(unix)]
            Inner::Unix(stream) => stream.try_clone().map(Self::from),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
            Inner::Other(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
