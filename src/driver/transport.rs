//! What the driver asks of a runtime: a transport that it can poll, a clock and a timer.
//!
//! The adapters [`tokio`](crate::tokio) and [`futures`](crate::futures) are implementations of these traits and little
//! else; for another runtime, implement them.

use core::fmt::Debug;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use crate::time::Instant;

/// A byte stream that a connection can run on, in both directions, with the timer of its runtime.
///
/// The methods that poll follow the rules of [`Future::poll`]: after
/// [`Poll::Pending`] the waker of the last call in the same direction is woken once it is worth asking again. Reading
/// is one direction; writing, flushing and shutting down are the other.
///
/// A runtime of one's own, whose streams are never late and whose clock stands still:
///
/// ```
/// use std::io;
/// use std::task::{Context, Poll};
/// use sockeye::driver::{Timer, Transport, WebSocket};
/// use sockeye::{Config, Instant};
///
/// struct Memory {
///     input: io::Cursor<Vec<u8>>,
///     output: Vec<u8>,
/// }
///
/// impl Transport for Memory {
///     type Stream = Self;   // where a wrapper is needed, what it wraps
///     type Timer = Standstill;
///
///     fn new(stream: Self) -> Self {
///         stream
///     }
///     fn into_stream(self) -> Self {
///         self
///     }
///     fn stream(&self) -> &Self {
///         self
///     }
///     fn timer(&self) -> Standstill {
///         Standstill
///     }
///     fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
///         Poll::Ready(io::Read::read(&mut self.input, buffer))
///     }
///     fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
///         Poll::Ready(io::Write::write(&mut self.output, bytes))
///     }
///     fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
///         Poll::Ready(Ok(()))
///     }
///     fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
///         Poll::Ready(Ok(()))
///     }
/// }
///
/// #[derive(Debug)]
/// struct Standstill;
///
/// impl Timer for Standstill {
///     fn now(&self) -> Instant {
///         Instant::default()
///     }
///     fn poll_until(&mut self, _: Instant, _: &mut Context<'_>) -> Poll<()> {
///         Poll::Pending
///     }
/// }
///
/// # fn main() -> Result<(), sockeye::driver::Error> {
/// smol::block_on(async {
///     let stream = Memory { input: io::Cursor::new(b"\x81\x82\0\0\0\0hi".to_vec()), output: Vec::new() };
///     let mut socket = WebSocket::<Memory>::server(stream, Config::default());
///     let message = socket.receive().await?.expect("a message");
///     socket.send(message).await?;
///     assert_eq!(socket.get_ref().output, b"\x81\x02hi");
///     Ok(())
/// })
/// # }
/// ```
pub trait Transport: Unpin {
    /// What the transport is made of: a stream of the runtime's own kind.
    type Stream;

    /// The timer that goes with it.
    type Timer: Timer;

    /// Makes a transport of a stream.
    fn new(stream: Self::Stream) -> Self;

    /// Returns a timer for the connection.
    fn timer(&self) -> Self::Timer;

    /// Gives the stream back.
    fn into_stream(self) -> Self::Stream;

    /// Returns the stream.
    fn stream(&self) -> &Self::Stream;

    /// Reads into the front of `buffer`; 0 bytes are the end of the input.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from the front of `bytes`.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes from several pieces at once. By default the first one that is not empty is written.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        self.poll_write(cx, first.map_or(&[], |piece| piece))
    }

    /// Returns whether a vectored write takes more than one piece. Where it does not, large payloads are copied behind
    /// their frame's header instead. By default it does not.
    fn is_write_vectored(&self) -> bool {
        false
    }

    /// Sees to it that what was written leaves for the peer.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Polls something that nobody waits for, without counting it against the time that a task may take: a runtime that says
    /// [`Poll::Pending`] to a task that had its share would make it look as if the peer were slow. By default it is just
    /// polled.
    fn poll_uncounted<R>(cx: &mut Context<'_>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
        poll(cx)
    }

    /// Ends our direction, so that the peer reads its end while we still read.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A clock, and one timer on it.
///
/// A connection has one, which serves all of its deadlines and is not set anew for each message: a deadline that moved
/// on is looked at when the timer fires for the old one.
pub trait Timer: Debug + Unpin {
    /// Returns the time that passed since an origin, which is the same for the life of the timer.
    fn now(&self) -> Instant;

    /// Waits until a time, at which it wakes the waker of the last call; once it has come, the timer can be set again. A call with
    /// another time than before replaces that one. Must not be ready before its time.
    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()>;
}

/// A runtime: says which transport its streams become.
pub trait Runtime<S> {
    /// The transport that a stream becomes.
    type Transport: Transport<Stream = S>;
}
