//! A message that is written in pieces.

use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker, ready};
use std::io::{self, ErrorKind};

use super::core::Asker;
use super::handle::Handle;
use super::pool;
use super::transport::Transport;
use crate::adapter::Error;
use crate::connection::Coding;
use crate::extension::Fin;
use crate::message::MessageKind;
use crate::outgoing::OutgoingKind;
use crate::utf8::Utf8Tail;

/// Writes a message of a length that need not be known, in memory that does not grow with it (RFC 6455 §5.4).
///
/// It is an `AsyncWrite` of its runtime; text must be UTF-8 as a whole and may be cut anywhere. Small pieces are gathered
/// into fragments of 16 KiB. End the message with [`Self::finish`], or by shutting the writer down: what is dropped
/// before it ended cannot be taken back, so the connection then closes with 1011.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::{Config, MessageKind, tokio::WebSocket};
///
/// let (stream, peer) = tokio::io::duplex(1024);
/// let mut socket = WebSocket::server(stream, Config::default());
/// let mut writer = socket.writer(MessageKind::Binary).await?;
/// writer.write_all(b"some ").await?;   // or `tokio::io::copy` from any `AsyncRead`
/// writer.write_all(b"bytes").await?;
/// writer.finish().await?;
/// # let mut peer = WebSocket::client(peer, Config::default());
/// # assert_eq!(peer.receive().await?, Some(b"some bytes"[..].into()));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct MessageWriter<'c, T: Transport> {
    handle: Handle<'c, T>,
    kind: MessageKind,
    coding: Coding,
    /// What was written and is not enough for a fragment.
    gathered: Vec<u8>,
    tail: Utf8Tail,
    is_over: bool,
}

impl<'c, T: Transport> MessageWriter<'c, T> {
    pub(super) async fn begin(mut handle: Handle<'c, T>, outgoing: OutgoingKind) -> Result<Self, Error> {
        let coding = poll_fn(|cx| {
            handle.with(|core| {
                ready!(core.poll_room(cx.waker()))?;
                Poll::Ready(core.begin_pieces(outgoing))
            })
        })
        .await?;
        let kind = outgoing.kind();
        Ok(Self { handle, kind, coding, gathered: Vec::new(), tail: Utf8Tail::default(), is_over: false })
    }

    /// Writes a piece, all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with [`ErrorKind::InvalidData`] for what is not UTF-8 in a text: nothing of it was written. Otherwise
    /// as [`WebSocket::send`](super::WebSocket::send).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some of the piece may have been written. `AsyncWriteExt::write` tells how much.
    pub async fn write_all(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while !piece.is_empty() {
            let len = poll_fn(|cx| self.poll_write(cx, piece)).await?;
            piece = &piece[len..];
        }
        Ok(())
    }

    /// Ends the message and waits until it is written.
    ///
    /// # Errors
    ///
    /// As [`Self::write_all`], for a text that breaks off within a character.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is ready, the message may not have ended, and the writer with it.
    pub async fn finish(mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_finish(cx)).await
    }

    /// Sends what was written, as a fragment of its own if it is small, and waits until it is written. An extension that
    /// compresses gives out what it holds back, at the cost of some bytes.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::flush`](super::WebSocket::flush).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost or written twice by dropping the future.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Takes as much of a piece as there is room for; returns how much. For the `AsyncWrite` of a runtime.
    ///
    /// # Errors
    ///
    /// As [`Self::write_all`].
    pub fn poll_write(&mut self, cx: &mut Context<'_>, piece: &[u8]) -> Poll<Result<usize, Error>> {
        let waker = cx.waker();
        if self.is_over {
            return Poll::Ready(Err(Error::Io(ErrorKind::BrokenPipe.into())));
        }
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.gathered.len() >= GATHERED {
            ready!(self.poll_send_gathered(waker))?;
        }
        let is_direct = self.gathered.is_empty() && piece.len() >= GATHERED;
        let most = if is_direct { MOST } else { GATHERED - self.gathered.len() };
        let piece = &piece[..piece.len().min(most)];
        if is_direct {
            ready!(self.handle.with(|core| core.poll_piece_room(waker)))?;
        }
        self.check(piece)?;
        if is_direct {
            let (kind, coding) = (self.kind, self.coding);
            self.handle.with(|core| core.queue_piece(kind, coding, piece, Fin::More))?;
        } else {
            if self.gathered.capacity() == 0 {
                self.gathered = pool::take_to_write();
            }
            self.gathered.extend_from_slice(piece);
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// As [`Self::flush`], for the `AsyncWrite` of a runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_send_gathered(cx.waker()))?;
        self.handle.with(|core| {
            core.flush_pieces()?;
            core.poll_flush(Asker::Sender(cx.waker()))
        })
    }

    /// As [`Self::finish`], for the `AsyncWrite` of a runtime; ready again once it was.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let waker = cx.waker();
        if !self.is_over {
            if self.kind == MessageKind::Text && !self.tail.is_boundary() {
                return Poll::Ready(Err(invalid_text()));
            }
            ready!(self.handle.with(|core| core.poll_piece_room(waker)))?;
            let Self { handle, kind, coding, gathered, .. } = self;
            handle.with(|core| {
                core.queue_piece(*kind, *coding, gathered, Fin::Last)?;
                core.end_pieces();
                Ok::<_, Error>(())
            })?;
            self.is_over = true;
            pool::give_back_write(core::mem::take(&mut self.gathered));
        }
        self.handle.with(|core| core.poll_flush(Asker::Sender(waker)))
    }

    fn poll_send_gathered(&mut self, waker: &Waker) -> Poll<Result<(), Error>> {
        if !self.gathered.is_empty() {
            ready!(self.handle.with(|core| core.poll_piece_room(waker)))?;
            let Self { handle, kind, coding, gathered, .. } = self;
            handle.with(|core| core.queue_piece(*kind, *coding, gathered, Fin::More))?;
            gathered.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Sees to it that a text is one.
    fn check(&mut self, piece: &[u8]) -> Result<(), Error> {
        if self.kind == MessageKind::Binary {
            return Ok(());
        }
        let mut tail = self.tail;
        tail.check(piece).map_err(|_| invalid_text())?;
        self.tail = tail;
        Ok(())
    }
}

impl<T: Transport> Drop for MessageWriter<'_, T> {
    fn drop(&mut self) {
        pool::give_back_write(core::mem::take(&mut self.gathered));
        if !self.is_over {
            self.handle.with(|core| core.end_pieces());
        }
    }
}

fn invalid_text() -> Error {
    Error::Io(io::Error::new(ErrorKind::InvalidData, "text is not valid UTF-8"))
}

/// What small pieces are gathered to, in bytes.
const GATHERED: usize = 16 * 1024;

/// The largest fragment that is made of a piece, in bytes.
const MOST: usize = 64 * 1024;
