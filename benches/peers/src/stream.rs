//! What takes the place of the socket where nothing is compressed: an endless row of the same frames to be read, and a place
//! to write to. It gives and takes what a socket would, by one copy, and belongs to the library like a socket.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::iter;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream. Every interface that a library may want of it copies by the same two functions.
#[derive(Debug)]
pub struct Stream {
    wire: Arc<[u8]>,
    /// Where in it the bytes are that are given.
    given: Range<usize>,
    at: usize,
    /// The most that one read gives, and all that is still to be read.
    most: usize,
    left: usize,
    sink: Sink,
}

/// Where bytes that are written go.
#[derive(Debug)]
enum Sink {
    /// Over those before them, as into the kernel's buffers.
    Over(Box<[u8]>, usize),
    /// Over those before them, in one place for all streams of the thread, as sockets share the kernel's memory.
    Common,
    /// Kept, to be looked at.
    Kept(Arc<Mutex<Vec<u8>>>),
    /// To somebody who answers, and whose answer is what is read.
    Answered(Arc<Mutex<Answers>>),
}

/// The place that all streams of a thread write to, and how much they wrote.
struct Common {
    over: Box<[u8]>,
    at: usize,
    written: Written,
}

/// What was written, and in how many writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    pub bytes: u64,
    pub writes: u64,
}

thread_local! {
    static COMMON: RefCell<Common> =
        RefCell::new(Common { over: vec![0; SINK].into(), at: 0, written: Written::default() });
    /// How often streams that are read in turn had their turn.
    static TURNS: Cell<usize> = const { Cell::new(0) };
}

impl Common {
    /// Writes all pieces at once.
    fn put<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> usize {
        let mut whole = 0;
        for piece in pieces {
            put_over(&mut self.over, &mut self.at, piece);
            whole += piece.len();
        }
        self.written.bytes += whole as u64;
        self.written.writes += 1;
        whole
    }
}

/// Writes over what was written before.
fn put_over(over: &mut [u8], at: &mut usize, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let len = bytes.len().min(over.len() - *at).min(PIECE);
        over[*at..*at + len].copy_from_slice(&bytes[..len]);
        bytes = &bytes[len..];
        *at = (*at + len) % over.len();
    }
}

/// Who answers what was written.
pub trait Answer: fmt::Debug + Send {
    /// Takes what was written; the answer is appended, if there is one already.
    fn answer(&mut self, written: &[u8], answer: &mut Vec<u8>);
}

/// Who answers, and what of the answer was not read.
#[derive(Debug)]
pub struct Answers {
    pub who: Box<dyn Answer>,
    answer: Vec<u8>,
    read: usize,
    /// Who waits for an answer.
    waker: Option<Waker>,
}

impl Answers {
    pub fn new(who: Box<dyn Answer>) -> Self {
        Self { who, answer: Vec::new(), read: 0, waker: None }
    }
}

impl Stream {
    /// Gives these bytes again and again, and forgets what is written.
    ///
    /// They begin in the middle of a page of memory. Where an allocator puts long pieces of memory, which is a few bytes behind the
    /// beginning of one, a copy to a buffer that lies a few bytes further on in its page would take up to twice the time, and
    /// which libraries' buffers do is chance. For the same reason what is written goes to the middle of one at first.
    pub fn new(wire: Arc<[u8]>, most: usize) -> Self {
        let mut placed: Arc<[u8]> = iter::repeat_n(0, PAGE + wire.len()).collect();
        let begin = (placed.as_ptr().align_offset(PAGE) + PAGE / 2) % PAGE;
        Arc::get_mut(&mut placed).expect("nobody else has it")[begin..begin + wire.len()].copy_from_slice(&wire);
        let (given, sink) = (begin..begin + wire.len(), Sink::Over(vec![0; SINK].into(), PAGE / 2));
        Self { wire: placed, at: given.start, given, most, left: usize::MAX, sink }
    }

    /// Gives these bytes once, and keeps what is written.
    pub fn once(wire: Arc<[u8]>, kept: Arc<Mutex<Vec<u8>>>) -> Self {
        Self { left: wire.len(), most: wire.len(), given: 0..wire.len(), wire, at: 0, sink: Sink::Kept(kept) }
    }

    /// Gives what is answered to what is written.
    pub fn answered(answers: Arc<Mutex<Answers>>) -> Self {
        Self { wire: Arc::new([]), given: 0..0, at: 0, most: 0, left: 0, sink: Sink::Answered(answers) }
    }

    /// Keeps what is written.
    pub fn keeping(wire: Arc<[u8]>, most: usize, kept: Arc<Mutex<Vec<u8>>>) -> Self {
        Self { given: 0..wire.len(), wire, at: 0, most, left: usize::MAX, sink: Sink::Kept(kept) }
    }

    /// One of many: gives the next `most` of these bytes whenever its turn has come, and writes where all others do.
    pub fn one_of_many(wire: Arc<[u8]>, most: usize) -> Self {
        Self { given: 0..wire.len(), wire, at: 0, most, left: TURNS.get() * most, sink: Sink::Common }
    }

    /// Gives each of the many its turn.
    pub fn next_turn() {
        TURNS.set(TURNS.get() + 1);
    }

    /// What the many have written so far.
    pub fn written() -> Written {
        COMMON.with_borrow(|common| common.written)
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

    /// Remembers who waits for an answer; nothing else ever comes later.
    fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        if let Sink::Answered(answers) = &self.sink {
            answers.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Gives up to `room` bytes in pieces.
    fn pieces(&mut self, room: usize, mut put: impl FnMut(&[u8])) {
        if let Sink::Answered(answers) = &self.sink {
            let answers = &mut *answers.lock().unwrap_or_else(PoisonError::into_inner);
            let piece = &answers.answer[answers.read..];
            let piece = &piece[..piece.len().min(room)];
            answers.read += piece.len();
            return put(piece);
        }
        let mut left = match (&self.sink, self.given.is_empty()) {
            (_, true) => 0,
            // Of the many, `left` counts what was given.
            (Sink::Common, _) => {
                let left = room.min(TURNS.get() * self.most - self.left);
                self.left += left;
                left
            }
            _ => {
                let left = room.min(self.most).min(self.left);
                self.left -= left;
                left
            }
        };
        while left > 0 {
            let len = left.min(self.given.end - self.at).min(PIECE);
            put(&self.wire[self.at..self.at + len]);
            left -= len;
            self.at = if self.at + len == self.given.end { self.given.start } else { self.at + len };
        }
    }

    /// Writes all of it.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let whole = bytes.len();
        match &mut self.sink {
            Sink::Over(over, at) => put_over(over, at, bytes),
            Sink::Common => return COMMON.with_borrow_mut(|common| common.put(iter::once(bytes))),
            Sink::Kept(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes),
            Sink::Answered(answers) => {
                let answers = &mut *answers.lock().unwrap_or_else(PoisonError::into_inner);
                if answers.read == answers.answer.len() {
                    answers.answer.clear();
                    answers.read = 0;
                }
                answers.who.answer(bytes, &mut answers.answer);
                answers.waker.take().into_iter().for_each(Waker::wake);
            }
        }
        whole
    }

    /// Writes all of all pieces, by one write.
    pub fn put_pieces<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> usize {
        match self.sink {
            Sink::Common => COMMON.with_borrow_mut(|common| common.put(pieces)),
            _ => pieces.map(|piece| self.put(piece)).sum(),
        }
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
        Ok(self.put_pieces(bytes.iter().map(|bytes| &**bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl sockeye::blocking::Transport for Stream {}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.remaining();
        // Memory that is not initialised is not set to zero first, for a socket does not want it either.
        self.pieces(before, |piece| into.put_slice(piece));
        if into.remaining() == before && before > 0 { self.wait(cx) } else { Poll::Ready(Ok(())) }
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
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.fill(into) {
            0 if !into.is_empty() => self.wait(cx),
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
        self.put_pieces(slices.iter().copied());
        Ok(())
    }
}

/// How many bytes are copied at once. From about 2 KiB on the C library copies with one instruction, which takes up to ten times as long
/// where the two places lie badly to each other: by where a library's buffer happens to lie, and that is chance.
const PIECE: usize = 2 * 1024;

/// The bytes of a page of memory.
const PAGE: usize = 4096;

/// How many bytes written lie beside each other before the first are overwritten.
const SINK: usize = 64 * 1024;
