//! One end of a pair, and how it becomes a transport of the driver.

use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use super::clock::{Clock, Timer};
use super::link::Link;
use crate::driver;

/// One end of a pair: what a connection runs on in place of a socket.
///
/// When it is dropped, the other end reads what is under way and then its end, and writes in vain
/// ([`BrokenPipe`](io::ErrorKind::BrokenPipe)).
///
/// With the feature `tokio` it is also an `AsyncRead` and `AsyncWrite` of tokio, and with `futures` one of
/// `futures-io`, for applications that are written for `sockeye::tokio` and `sockeye::futures`. Deadlines are then
/// those of their runtime and not on the [`Clock`].
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::handshake::ClientRequest;
/// use sockeye::test_kit::{Clock, Expect, Pair};
///
/// let (client, server) = Pair::new(&Clock::new()).streams();
/// let serving = tokio::spawn(async { sockeye::tokio::accept(server).await?.send("welcome").await });
/// let request = ClientRequest::new("localhost", "/")?;
/// let mut client = sockeye::tokio::Connector::default().handshake(client, request).await?;
/// client.expect_text("welcome").await;
/// client.expect_lost().await;   // the server was dropped without a Close
/// serving.await??;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Stream {
    clock: Clock,
    incoming: Link,
    outgoing: Link,
}

impl Stream {
    pub(super) fn new(clock: Clock, incoming: Link, outgoing: Link) -> Self {
        Self { clock, incoming, outgoing }
    }

    /// Returns the clock of the pair.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns a handle on the direction that this end reads from.
    #[must_use]
    pub fn incoming(&self) -> Link {
        self.incoming.clone()
    }

    /// Returns a handle on the direction that this end writes to.
    #[must_use]
    pub fn outgoing(&self) -> Link {
        self.outgoing.clone()
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.incoming.poll_read(cx, buffer)
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.outgoing.poll_write(cx, pieces)
    }

    pub(super) fn shut_down(&self) {
        self.outgoing.end();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.abandon();
    }
}

/// One end of a pair as the transport of a connection, with a timer on the pair's clock.
#[derive(Debug)]
pub struct Transport(Stream);

/// What makes the types of [`driver`] those of this kit.
#[derive(Clone, Copy, Debug)]
pub struct Runtime;

impl driver::Runtime<Stream> for Runtime {
    type Transport = Transport;
}

impl driver::Transport for Transport {
    type Stream = Stream;
    type Timer = Timer;

    fn new(stream: Stream) -> Self {
        Self(stream)
    }

    fn timer(&self) -> Timer {
        self.0.clock.timer()
    }

    fn into_stream(self) -> Stream {
        self.0
    }

    fn stream(&self) -> &Stream {
        &self.0
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.shut_down();
        Poll::Ready(Ok(()))
    }
}
