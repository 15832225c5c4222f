//! The echo of what is a `Stream` and a `Sink`: answers are gathered while more messages are there, and written when it would
//! wait. That is what `forward` does, without the lock of halves.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::{Sink, SinkExt, Stream, StreamExt};

/// Sends messages back until one comes for which `answer` has nothing.
///
/// # Errors
///
/// Where it cannot be written.
pub async fn echo<S, R, M>(mut socket: S, answer: impl Fn(R) -> Option<M>) -> Result<(), S::Error>
where
    S: Stream<Item = R> + Sink<M> + Unpin,
{
    loop {
        let received = poll_fn(|cx| match socket.poll_next_unpin(cx) {
            Poll::Ready(received) => Poll::Ready(Ok(received)),
            Poll::Pending => match socket.poll_flush_unpin(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            },
        });
        match received.await?.and_then(&answer) {
            Some(message) => socket.feed(message).await?,
            None => return Ok(()),
        }
    }
}
