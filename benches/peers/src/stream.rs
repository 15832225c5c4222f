//! What takes the place of the socket where nothing is compressed: an endless row of the same frames to be read, and a place
//! to write to. It gives and takes what a socket would, by one copy, and belongs to the library like a socket.

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream. Every interface that a library may want of it copies by the same two functions.
#[derive(Debug)]
pub struct Stream {
    wire: Arc<[u8]>,
    at: usize,
    /// The most that one read gives.
    most: usize,
    sink: Sink,
}

/// Where bytes that are written go.
#[derive(Debug)]
enum Sink {
    /// Over those before them, as into the kernel's buffers.
    Over(Box<[u8]>, usize),
    /// Kept, to be looked at.
    Kept(Arc<Mutex<Vec<u8>>>),
}

impl Stream {
    /// Gives these bytes again and again, and forgets what is written.
    pub fn new(wire: Arc<[u8]>, most: usize) -> Self {
        Self { wire, at: 0, most, sink: Sink::Over(vec![0; SINK].into(), 0) }
    }

    /// Keeps what is written.
    pub fn keeping(wire: Arc<[u8]>, most: usize, kept: Arc<Mutex<Vec<u8>>>) -> Self {
        Self { wire, at: 0, most, sink: Sink::Kept(kept) }
    }

    /// Reads as much as there is room for, and one read gives; 0 bytes mean that there never are any.
    pub fn fill(&mut self, into: &mut [u8]) -> usize {
        let mut done = 0;
        self.pieces(into.len(), |piece| {
            into[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        });
        done
    }

    /// Reads up to `room` bytes behind what is there.
    pub fn append(&mut self, room: usize, into: &mut BytesMut) {
        into.reserve(room.min(self.most));
        self.pieces(room, |piece| into.extend_from_slice(piece));
    }

    /// Gives up to `room` bytes in pieces.
    fn pieces(&mut self, room: usize, mut put: impl FnMut(&[u8])) {
        let mut left = if self.wire.is_empty() { 0 } else { room.min(self.most) };
        while left > 0 {
            let len = left.min(self.wire.len() - self.at);
            put(&self.wire[self.at..self.at + len]);
            left -= len;
            self.at = if self.at + len == self.wire.len() { 0 } else { self.at + len };
        }
    }

    /// Writes all of it.
    pub fn put(&mut self, mut bytes: &[u8]) -> usize {
        let whole = bytes.len();
        match &mut self.sink {
            Sink::Over(over, at) => {
                while !bytes.is_empty() {
                    let len = bytes.len().min(over.len() - *at);
                    over[*at..*at + len].copy_from_slice(&bytes[..len]);
                    bytes = &bytes[len..];
                    *at = (*at + len) % over.len();
                }
            }
            Sink::Kept(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes),
        }
        whole
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.fill(into) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.put(bytes))
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(bytes.iter().map(|bytes| self.put(bytes)).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl sockeye::blocking::Transport for Stream {}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.remaining();
        // Memory that is not initialised is not set to zero first, for a socket does not want it either.
        self.pieces(before, |piece| into.put_slice(piece));
        if into.remaining() == before && before > 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures_util::io::AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.fill(into) {
            0 if !into.is_empty() => Poll::Pending,
            len => Poll::Ready(Ok(len)),
        }
    }
}

impl futures_util::io::AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Stream {
    async fn read(&mut self, into: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.fill(into))
    }
}

impl wtx::stream::StreamWriter for Stream {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.put(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        slices.iter().for_each(|bytes| _ = self.put(bytes));
        Ok(())
    }
}

/// How many bytes written lie beside each other before the first are overwritten.
const SINK: usize = 64 * 1024;
