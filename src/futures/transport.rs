//! Streams of `futures-io` and timers of `async-io` under the traits of the driver.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::time::Instant as StdInstant;

use async_io::Timer as Sleep;
use futures_io::{AsyncRead, AsyncWrite};

use crate::driver;
use crate::time::Instant;

/// A stream of `futures-io` as the transport of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Transport<S>(S);

/// What makes the types of [`driver`] those of `futures-io`.
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
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    /// The trait does not say, but nearly every stream does.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// The clock of the system and the timer of `async-io`.
#[derive(Debug)]
pub struct Timer {
    origin: StdInstant,
    /// There once a deadline has been waited for, with its time.
    sleep: Option<(Sleep, Instant)>,
}

impl Default for Timer {
    fn default() -> Self {
        Self { origin: StdInstant::now(), sleep: None }
    }
}

impl driver::Timer for Timer {
    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }

    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.origin.checked_add(deadline - Instant::default());
        let set = || at.map_or_else(Sleep::never, Sleep::at);
        let (sleep, until) = self.sleep.get_or_insert_with(|| (set(), deadline));
        if *until != deadline {
            match at {
                Some(at) => sleep.set_at(at),
                None => *sleep = Sleep::never(),
            }
            *until = deadline;
        }
        let slept = Pin::new(sleep).poll(cx).map(|_| ());
        if slept.is_ready() {
            // It fires once; what is waited for next is another time, or the same again and over.
            self.sleep = None;
        }
        slept
    }
}
