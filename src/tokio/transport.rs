//! Streams and timers of tokio under the traits of the driver.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::runtime::Handle;
use ::tokio::task::unconstrained;
use ::tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

use crate::driver;
use crate::time::Instant;

/// A stream of tokio as the transport of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Transport<S>(S);

/// What makes the types of [`driver`] those of tokio.
#[derive(Clone, Copy, Debug)]
pub struct Runtime;

impl<S: AsyncRead + AsyncWrite + Unpin> driver::Runtime<S> for Runtime {
    type Transport = Transport<S>;
}

impl<S: AsyncRead + AsyncWrite + Unpin> driver::Transport for Transport<S> {
    type Stream = S;
    type Timer = Timer;

    fn new(stream: S) -> Self {
        Self(stream)
    }

    fn timer(&self) -> Timer {
        Timer::default()
    }

    fn into_stream(self) -> S {
        self.0
    }

    fn stream(&self) -> &S {
        &self.0
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_uncounted<R>(cx: &mut Context<'_>, poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
        pin!(unconstrained(poll_fn(poll))).poll(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The clock and the timer of tokio. It needs a runtime whose time driver is enabled, as `#[tokio::main]` does: that in which
/// it was made, or the one in which it is first waited for.
#[derive(Debug)]
pub struct Timer {
    origin: TokioInstant,
    /// The runtime in which it was made.
    runtime: Option<Handle>,
    /// There once a deadline has been waited for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Default for Timer {
    fn default() -> Self {
        Self { origin: TokioInstant::now(), runtime: Handle::try_current().ok(), sleep: None }
    }
}

impl driver::Timer for Timer {
    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }

    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.runtime.is_none() {
            self.runtime = Handle::try_current().ok();
        }
        let at = self.origin.checked_add(deadline - Instant::default()).unwrap_or_else(|| self.origin + FAR);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if sleep.deadline() != at {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            sleep => {
                // A message can be sent from outside of the runtime, too.
                let _entered = self.runtime.as_ref().map(Handle::enter);
                sleep.insert(Box::pin(sleep_until(at)))
            }
        };
        // A task that had its share would not be told when the time has come.
        pin!(unconstrained(sleep.as_mut())).poll(cx)
    }
}

/// Longer than any program runs.
const FAR: core::time::Duration = core::time::Duration::from_secs(100 * 365 * 24 * 60 * 60);
