//! What Redis has pushed and is not delivered yet: bounded, because the client's task that reads the connection does not wait.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::redis::aio::{AsyncPushSender, SendError};
use ::redis::{PushInfo, PushKind, Value};
use bytes::Bytes;

use super::super::config::Bounds;

/// A message of a channel.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) channel: Bytes,
    pub(super) data: Bytes,
}

pub(super) struct Inbox {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pushed: VecDeque<Pushed>,
    bytes: usize,
    /// There will be no more, or some were dropped.
    is_over: bool,
    waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Mutex::default() }
    }

    /// The next message; `None` when the connection is lost.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Pushed>> {
        let mut state = self.lock();
        if let Some(pushed) = state.pushed.pop_front() {
            state.bytes -= pushed.data.len();
            return Poll::Ready(Some(pushed));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn push(&self, pushed: Pushed) {
        let mut state = self.lock();
        let bytes = state.bytes + pushed.data.len();
        if state.is_over || state.pushed.len() >= self.bounds.messages || bytes > self.bounds.bytes {
            return self.end(state);
        }
        state.bytes = bytes;
        state.pushed.push_back(pushed);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn end(&self, mut state: MutexGuard<'_, State>) {
        state.is_over = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of an inbox that the client's task has.
pub(super) struct Sender(pub(super) Arc<Inbox>);

impl AsyncPushSender for Sender {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        let PushInfo { kind, data } = info;
        let mut values = data.into_iter();
        if kind == PushKind::PMessage {
            // The pattern, which says nothing that the channel does not.
            values.next();
        }
        match kind {
            PushKind::Message | PushKind::PMessage => {
                let (channel, data) = (values.next().and_then(bytes), values.next().and_then(bytes));
                if let (Some(channel), Some(data)) = (channel, data) {
                    self.0.push(Pushed { channel, data });
                }
            }
            PushKind::Disconnection => self.0.end(self.0.lock()),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.end(self.0.lock());
    }
}

/// The bytes of a value, which is a string in one form or another.
pub(super) fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into_bytes().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(sender: &Sender, data: &'static [u8]) {
        let data = [&b"c"[..], data].map(|bytes| Value::BulkString(bytes.into())).into();
        assert!(sender.send(PushInfo { kind: PushKind::Message, data }).is_ok());
    }

    fn next(inbox: &Inbox) -> Poll<Option<Bytes>> {
        inbox.poll_next(&mut Context::from_waker(Waker::noop())).map(|pushed| pushed.map(|pushed| pushed.data))
    }

    #[test]
    fn what_is_beyond_the_bounds_ends_the_connection_behind_what_was_within() {
        let inbox = Arc::new(Inbox::new(Bounds { messages: 2, bytes: 10 }));
        let sender = Sender(inbox.clone());
        push(&sender, b"12345");
        push(&sender, b"1234");
        push(&sender, b"");
        assert_eq!([next(&inbox), next(&inbox)].map(|poll| poll.is_ready()), [true, true]);
        assert_eq!(next(&inbox), Poll::Ready(None));
        push(&sender, b"late");
        assert_eq!(next(&inbox), Poll::Ready(None), "after a message that was dropped there is none");
        let inbox = Arc::new(Inbox::new(Bounds { messages: 2, bytes: 10 }));
        push(&Sender(inbox.clone()), b"12345678901");
        assert_eq!(next(&inbox), Poll::Ready(None));
    }

    #[test]
    fn anything_that_is_pushed_is_taken_or_ignored() {
        let inbox = Arc::new(Inbox::new(Bounds { messages: 9, bytes: 99 }));
        let sender = Sender(inbox.clone());
        for kind in [PushKind::Message, PushKind::PMessage, PushKind::Subscribe, PushKind::Other("x".into())] {
            for data in [vec![], vec![Value::Nil], vec![Value::Int(1), Value::Int(2), Value::Int(3)]] {
                assert!(sender.send(PushInfo { kind: kind.clone(), data }).is_ok());
            }
        }
        assert_eq!(next(&inbox), Poll::Pending);
        drop(sender);
        assert_eq!(next(&inbox), Poll::Ready(None));
    }
}
