//! A stream through a tunnel: what was read behind the proxy's answer comes first.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::blocking::Transport;

/// A stream to a server, through a proxy.
///
/// It reads and writes, blocking or not, as the stream below does. Servers of WebSocket and of TLS speak second, so there is
/// rarely anything that came along with the proxy's answer; it is read first.
#[derive(Debug)]
pub struct Tunneled<S> {
    stream: S,
    leftover: Vec<u8>,
}

impl<S> Tunneled<S> {
    pub(in crate::client) fn new(stream: S, leftover: Vec<u8>) -> Self {
        Self { stream, leftover }
    }

    /// Returns the stream below.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the stream below; reading from it passes over what came along with the proxy's answer.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the stream below and what came along with the proxy's answer, which is to be read before anything else.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.leftover)
    }

    /// Takes at most so many bytes of what came along.
    fn take(&mut self, room: usize) -> impl Iterator<Item = u8> {
        self.leftover.drain(..room.min(self.leftover.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tunneled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.leftover.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken: Vec<u8> = self.take(buf.remaining()).collect();
        buf.put_slice(&taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tunneled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Read> Read for Tunneled<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.leftover.is_empty() {
            return self.stream.read(buf);
        }
        let room = buf.len();
        Ok(buf.iter_mut().zip(self.take(room)).map(|(to, from)| *to = from).count())
    }
}

impl<S: Write> Write for Tunneled<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Transport> Transport for Tunneled<S> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.stream.set_read_timeout(timeout)
    }

    fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.stream.read_timeout()
    }

    fn try_clone(&self) -> io::Result<Self> {
        // Both would read what came along.
        if self.leftover.is_empty() {
            Ok(Self { stream: self.stream.try_clone()?, leftover: Vec::new() })
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
