//! What the tests of publish and subscribe share: members whose clients are streams in the test's hand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};

use sockeye::pubsub::{Bounds, Event, Hub, HubConfig, Member};
use sockeye::tokio::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::{Mock, TEXT, Woken, masked, now, poll, server, timeless};

/// A member and the client's side of its connection.
pub struct Client<S: Send + Sync + 'static = ()> {
    pub stream: Mock,
    pub member: Member<Transport<Mock>, S>,
    /// How much of the output was looked at.
    seen: usize,
}

impl<S: Send + Sync + 'static> Client<S> {
    pub fn joining(hub: &Hub<S>, state: S) -> Self {
        Self::on(hub, state, Mock::new(""))
    }

    /// One that takes so many bytes, and then no more for now.
    pub fn with_room(hub: &Hub<S>, state: S, room: usize) -> Self {
        Self::on(hub, state, Mock::with_room(room))
    }

    pub fn on(hub: &Hub<S>, state: S, stream: Mock) -> Self {
        stream.script().is_vectored = true;
        let member = hub.join(server(&stream, timeless()), state);
        Self { stream, member, seen: 0 }
    }

    /// Lets the member's task run until it waits: what it was told.
    pub fn run(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = now(self.member.next()) {
            match event.unwrap() {
                Some(event) => events.push(event),
                None => break,
            }
        }
        events
    }

    /// Lets the task run once with a waker that counts; whether it waits.
    pub fn waits(&mut self, woken: &Arc<Woken>) -> bool {
        matches!(poll(pin!(self.member.next()), woken), Poll::Pending)
    }

    /// Lets the task run until it waits, and gives the texts that the client has got since it last looked.
    pub fn got(&mut self) -> Vec<String> {
        assert_eq!(self.run(), []);
        self.new_texts()
    }

    /// The texts that the client has got since it last looked.
    pub fn new_texts(&mut self) -> Vec<String> {
        let frames = self.stream.frames();
        let new = frames[self.seen..].iter().filter(|(first, _)| *first == TEXT);
        let new = new.map(|(_, payload)| String::from_utf8(payload.clone()).unwrap()).collect();
        self.seen = frames.len();
        new
    }

    /// Lets the client send a text.
    pub fn says(&self, text: &str) {
        self.stream.feed(&masked(TEXT, text.as_bytes()));
    }

    /// How many writes there were since this was last asked.
    pub fn writes(&self) -> usize {
        core::mem::take(&mut self.stream.script().writes).len()
    }
}

/// A stream with which something happens whenever it is written to, as another thread would do it meanwhile.
pub struct Meanwhile<F>(pub Mock, pub F);

impl<F: FnMut() + Send + Unpin + 'static> AsyncRead for Meanwhile<F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<F: FnMut() + Send + Unpin + 'static> AsyncWrite for Meanwhile<F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        (self.1)();
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A waker that runs the task that it wakes at once.
pub struct Runs<F: FnOnce() + Send + 'static>(pub Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Wake for Runs<F> {
    fn wake(self: Arc<Self>) {
        let task = self.0.lock().unwrap().take();
        task.into_iter().for_each(|task| task());
    }
}

pub fn hub(change: impl FnOnce(&mut HubConfig)) -> Hub {
    Hub::new(config(change))
}

pub fn config(change: impl FnOnce(&mut HubConfig)) -> HubConfig {
    let mut config = HubConfig::default();
    change(&mut config);
    config
}

/// So many messages, and bytes without end.
pub fn messages(messages: usize) -> Bounds {
    Bounds { messages, bytes: usize::MAX }
}

pub fn numbers(range: impl Iterator<Item = u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
