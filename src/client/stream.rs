//! What a connection of the client runs on: one type, whatever the way to the server was.
//!
//! A program that connects to `ws:` and `wss:`, through a proxy or not, has one type of connection to name and to keep. Plain TCP is a
//! variant of its own, so that the common case has no allocation and no virtual call.

use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::net::TcpStream;
#[cfg(unix)]
use ::tokio::net::UnixStream;

use super::proxy::Tunneled;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
use super::tls::TlsStream;

/// The stream of a connection that a [`Client`](super::Client) made.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = sockeye::client::connect("wss://example.com/chat").await?;
/// let stream = socket.get_ref();
/// println!("connected to {:?}, TLS: {}", stream.peer_addr(), stream.is_tls());
/// # Ok(())
/// # }
/// ```
pub struct Stream {
    inner: Inner,
}

enum Inner {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    Tls(TlsStream<Stream>),
    Other(Box<dyn Io>),
}

/// What any other stream is.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

impl Stream {
    /// Takes any stream, for a connector of one's own.
    pub fn new<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Self {
        Self { inner: Inner::Other(Box::new(stream)) }
    }

    /// Takes a stream through a proxy; one through which nothing has come yet is what it was before.
    pub(super) fn tunneled(stream: Tunneled<Self>) -> Self {
        match stream.into_parts() {
            (stream, leftover) if leftover.is_empty() => stream,
            (stream, leftover) => Self::new(Tunneled::new(stream, leftover)),
        }
    }

    /// Returns the TCP stream, if it is all there is: neither TLS nor a proxy's TLS lies over it.
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

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream),
            #[cfg(unix)]
            Inner::Unix(stream) => Pin::new(stream),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => Pin::new(stream),
            Inner::Other(stream) => Pin::new(stream),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self { inner: Inner::Tcp(stream) }
    }
}

#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
impl From<TlsStream<Self>> for Stream {
    fn from(stream: TlsStream<Self>) -> Self {
        Self { inner: Inner::Tls(stream) }
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

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(unix)]
            Inner::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::Other(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(unix)]
            Inner::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Other(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Inner::Unix(stream) => stream.is_write_vectored(),
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            Inner::Tls(stream) => stream.is_write_vectored(),
            Inner::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}
