//! A message that is read in pieces.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::handle::Handle;
use super::transport::Transport;
use crate::adapter::{Error, Inbox, Mode};
use crate::message::{Chunk, MessageKind, Payload};

/// Reads one message of any size, in memory that does not grow with it.
///
/// It is an `AsyncRead` of its runtime and a [`Stream`] of [`Bytes`]; both end with the message. Text comes as UTF-8 that
/// was checked as far as it was read, and may be cut inside a character. [`WebSocket::receive_reader`] gives one.
///
/// [`WebSocket::receive_reader`]: super::WebSocket::receive_reader
///
/// ```
/// use sockeye::tokio::WebSocket;
///
/// /// Counts the bytes of a message that is too long to hold.
/// async fn count<S>(socket: &mut WebSocket<S>) -> Result<usize, sockeye::Error>
/// where
///     S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
/// {
///     let Some(mut reader) = socket.receive_reader().await? else { return Ok(0) };
///     let mut bytes = 0;
///     while let Some(piece) = reader.next().await? {
///         bytes += piece.len();
///     }
///     Ok(bytes)
/// }
/// ```
#[derive(Debug)]
pub struct MessageReader<'c, T: Transport> {
    handle: Handle<'c, T>,
    inbox: &'c mut Inbox,
    kind: MessageKind,
    /// Bytes of a character that the last chunk completed and that had no room.
    spilled: Spilled,
    is_over: bool,
}

/// At most one character.
#[derive(Debug, Default)]
struct Spilled {
    bytes: [u8; 4],
    start: usize,
    end: usize,
}

impl<'c, T: Transport> MessageReader<'c, T> {
    pub(super) async fn begin(mut handle: Handle<'c, T>, inbox: &'c mut Inbox) -> Result<Option<Self>, Error> {
        let begun = poll_fn(|cx| {
            for _ in 0..CHUNKS {
                let ready = ready!(handle.with(|core| core.poll_receive(inbox, Mode::Chunks, cx)))?;
                if ready.is_none() {
                    return Poll::Ready(Ok::<_, Error>(None));
                }
                match handle.with(|core| core.begin_reading(inbox)) {
                    // What goes on with a message that somebody did not read to its end is skipped.
                    Ok(None) => {}
                    Ok(Some(begun)) => return Poll::Ready(Ok(Some(begun))),
                    Err(_) => return handle.with(|core| core.poll_down(cx)).map_ok(|()| None),
                }
            }
            give_way(cx)
        })
        .await?;
        Ok(begun.map(|(kind, is_over)| Self { handle, inbox, kind, spilled: Spilled::default(), is_over }))
    }

    /// Returns the kind of the message.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns the next piece; `None` at the end of the message.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::receive`](super::WebSocket::receive); [`Error::Lost`] where the connection ended within the
    /// message, even by a Close.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_bytes(cx)).await
    }

    /// Reads into the front of `buffer`; 0 bytes are the end of the message. For the `AsyncRead` of a runtime.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        for _ in 0..CHUNKS {
            let spilled = self.spilled.take(buffer);
            if spilled > 0 || self.is_over {
                return Poll::Ready(Ok(spilled));
            }
            // What a chunk of this input carries fits, but for a character that it completes and that is all of it.
            let most = if buffer.len() > 4 { buffer.len() - 4 } else { 1 };
            let Self { handle, inbox, spilled, is_over, .. } = self;
            let copied = ready!(read(handle, inbox, most, cx, |chunk| {
                *is_over = chunk.is_last();
                let (completed, rest) = parts(&chunk);
                if let Some(character) = completed {
                    spilled.put(character);
                }
                let len = spilled.take(buffer);
                buffer[len..len + rest.len()].copy_from_slice(rest);
                len + rest.len()
            }))?;
            if copied > 0 {
                return Poll::Ready(Ok(copied));
            }
        }
        give_way(cx)
    }

    /// Reads the next piece as it arrived.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let mut spilled = [0; 4];
        let len = self.spilled.take(&mut spilled);
        if len > 0 {
            return Poll::Ready(Ok(Some(Bytes::copy_from_slice(&spilled[..len]))));
        }
        for _ in 0..CHUNKS {
            if self.is_over {
                return Poll::Ready(Ok(None));
            }
            let is_over = &mut self.is_over;
            let copy = |chunk: Chunk<'_>| -> Bytes {
                *is_over = chunk.is_last();
                match parts(&chunk) {
                    (None, rest) => Bytes::copy_from_slice(rest),
                    (Some(character), rest) => [character.encode_utf8(&mut [0; 4]).as_bytes(), rest].concat().into(),
                }
            };
            let bytes = ready!(read(&mut self.handle, self.inbox, usize::MAX, cx, copy))?;
            if !bytes.is_empty() {
                return Poll::Ready(Ok(Some(bytes)));
            }
        }
        give_way(cx)
    }
}

/// Lets `f` see the next chunk, of no more than so many bytes of input.
fn read<T: Transport, R>(
    handle: &mut Handle<'_, T>,
    inbox: &mut Inbox,
    most: usize,
    cx: &mut Context<'_>,
    f: impl FnOnce(Chunk<'_>) -> R,
) -> Poll<Result<R, Error>> {
    for _ in 0..CHUNKS {
        if ready!(handle.with(|core| core.poll_receive(inbox, Mode::Chunks, cx)))?.is_none() {
            // A clean close, and the message had not ended.
            return Poll::Ready(Err(Error::Lost));
        }
        match handle.with(|core| core.lend_chunk_of(inbox, most)) {
            Ok(Some(chunk)) => return Poll::Ready(Ok(f(chunk))),
            // So few bytes did not even make a frame's header.
            Ok(None) => {}
            Err(_) => {
                let down = handle.with(|core| core.poll_down(cx));
                return down.map(|ended| Err(ended.err().unwrap_or(Error::Lost)));
            }
        }
    }
    give_way(cx)
}

/// Lets others have their turn: a peer that sends empty fragments for ever must not keep the thread from them.
fn give_way<R>(cx: &Context<'_>) -> Poll<R> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// What a chunk carries: a character that was broken off before, and the bytes after it.
fn parts<'b>(chunk: &Chunk<'b>) -> (Option<char>, &'b [u8]) {
    match chunk.payload() {
        Payload::Text { completed, text } => (completed, text.as_bytes()),
        Payload::Binary(bytes) | Payload::Encoded { bytes, .. } => (None, bytes),
    }
}

impl Spilled {
    fn put(&mut self, character: char) {
        (self.start, self.end) = (0, character.encode_utf8(&mut self.bytes).len());
    }

    /// Takes as much as fits into the front of `buffer`; returns how much that was.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let len = buffer.len().min(self.end - self.start);
        buffer[..len].copy_from_slice(&self.bytes[self.start..self.start + len]);
        self.start += len;
        len
    }
}

impl<T: Transport> Stream for MessageReader<'_, T> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.poll_bytes(cx));
        self.is_over |= item.is_err();
        Poll::Ready(item.transpose())
    }
}

/// Chunks in one poll that bring nothing before others get their turn.
const CHUNKS: usize = 64;
