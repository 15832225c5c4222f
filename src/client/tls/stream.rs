//! A stream over TLS on tokio.

use alloc::boxed::Box;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, ErrorKind, IoSlice};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream to a server over TLS.
///
/// A peer that goes without a word of TLS (no `close_notify`), as many do, ends the stream and is no error: whether a WebSocket
/// connection ended in order is told by its own closing handshake.
pub struct TlsStream<S> {
    inner: Inner<S>,
}

enum Inner<S> {
    /// Boxed: it is a kilobyte.
    #[cfg(feature = "rustls-no-provider")]
    Rustls(Box<::tokio_rustls::client::TlsStream<S>>),
    #[cfg(feature = "native-tls")]
    Native(Box<::tokio_native_tls::TlsStream<S>>),
}

/// Calls a method of whichever stream it is.
macro_rules! with {
    ($inner:expr, $stream:ident => $call:expr) => {
        match $inner {
            #[cfg(feature = "rustls-no-provider")]
            Inner::Rustls($stream) => $call,
            #[cfg(feature = "native-tls")]
            Inner::Native($stream) => $call,
        }
    };
}

impl<S> TlsStream<S> {
    #[cfg(feature = "rustls-no-provider")]
    pub(super) fn rustls(stream: ::tokio_rustls::client::TlsStream<S>) -> Self {
        Self { inner: Inner::Rustls(Box::new(stream)) }
    }

    #[cfg(feature = "native-tls")]
    pub(super) fn native(stream: ::tokio_native_tls::TlsStream<S>) -> Self {
        Self { inner: Inner::Native(Box::new(stream)) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Returns the stream below.
    pub fn get_ref(&self) -> &S {
        match &self.inner {
            #[cfg(feature = "rustls-no-provider")]
            Inner::Rustls(stream) => stream.get_ref().0,
            #[cfg(feature = "native-tls")]
            Inner::Native(stream) => stream.get_ref().get_ref().get_ref(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with!(&self.inner, stream => f.debug_tuple("TlsStream").field(stream).finish())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = with!(&mut self.inner, stream => Pin::new(&mut **stream).poll_read(cx, buf));
        read.map(end_without_a_word)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        with!(&mut self.inner, stream => Pin::new(&mut **stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(&mut self.inner, stream => Pin::new(&mut **stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        with!(&self.inner, stream => stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(&mut self.inner, stream => Pin::new(&mut **stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(&mut self.inner, stream => Pin::new(&mut **stream).poll_shutdown(cx))
    }
}

/// The end of the stream below, without the `close_notify` that should come before it.
pub(super) fn end_without_a_word<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(T::default()),
        read => read,
    }
}
