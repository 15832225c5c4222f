//! What a task awaits that sends a message.
//!
//! Written by hand, for the task is as large as the largest of what it awaits, for as long as the connection lives: an
//! `async fn` keeps its argument beside what it makes of it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::core::Mark;
use super::handle::Handle;
use super::outgoing::Outgoing;
use super::transport::Transport;
use crate::adapter::Error;

/// Queues a message.
pub(super) struct Feeding<'c, 'm, T: Transport> {
    handle: Handle<'c, T>,
    /// `None` once it was queued.
    message: Option<Outgoing<'m>>,
}

/// Queues a message and waits until it is written.
pub(super) struct Sending<'c, 'm, T: Transport> {
    feeding: Feeding<'c, 'm, T>,
    /// Where it ends, once it was queued.
    mark: Option<Mark>,
}

impl<'c, 'm, T: Transport> Feeding<'c, 'm, T> {
    pub(super) fn new(handle: Handle<'c, T>, message: Outgoing<'m>) -> Self {
        Self { handle, message: Some(message) }
    }

    #[inline(never)]
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { handle, message } = self;
        handle.with(|core| core.poll_feed(cx.waker(), message))
    }
}

impl<'c, 'm, T: Transport> Sending<'c, 'm, T> {
    pub(super) fn new(handle: Handle<'c, T>, message: Outgoing<'m>) -> Self {
        Self { feeding: Feeding::new(handle, message), mark: None }
    }
}

impl<T: Transport> Future for Feeding<'_, '_, T> {
    type Output = Result<(), Error>;

    /// Part of whoever awaits it, so that what it mostly gives, which is `Ok`, need not be put together and looked at: that takes
    /// several nanoseconds, for an error is large.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { handle, message } = &mut *self;
        if message.as_ref().is_some_and(|message| handle.queue_at_once(message)) {
            *message = None;
            return Poll::Ready(Ok(()));
        }
        self.step(cx)
    }
}

impl<T: Transport> Future for Sending<'_, '_, T> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { feeding: Feeding { handle, message }, mark } = &mut *self;
        handle.with(|core| core.poll_send(cx.waker(), message, mark))
    }
}
