//! What the tests of the tokio adapter share: a stream in the test's hand, frames, and ways to poll.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

#[path = "../common/wire.rs"]
mod wire;

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sockeye::tokio::{Error, WebSocket};
use sockeye::{Config, Connection, Timeout};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

pub(crate) use wire::{close_body, head, masked, plain, unmasked};

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// A request with the key of RFC 6455 §1.3.
pub const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The answer to it.
pub const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What a stream in the test's hand has, may do, and did.
#[derive(Debug)]
pub struct Script {
    pub input: Vec<u8>,
    pub read: usize,
    /// How many bytes must be written before there is anything to read.
    pub reads_from: usize,
    /// What comes behind the input: nothing yet, the end (`Ok`), or an error.
    pub at_end: Option<Result<(), ErrorKind>>,
    pub output: Vec<u8>,
    /// How many reads, and how many writes, flushes and shutdowns, may still pass; `None` for all.
    pub may_read: Option<usize>,
    pub may_write: Option<usize>,
    /// The most bytes of one read or write.
    pub most: usize,
    /// How many bytes the other side still takes.
    pub room: usize,
    /// The error that a write gives once so many bytes were written.
    pub write_error: Option<(usize, ErrorKind)>,
    /// Whether two polls of each few are pending though there is something to do, and wake at once: as tokio does when
    /// a task has had its share.
    pub hiccups: bool,
    pub is_shutdown_stuck: bool,
    pub is_vectored: bool,
    /// Address and length of each piece of a write that was taken.
    pub pieces: Vec<(usize, usize)>,
    /// The sizes of the writes, vectored ones among them.
    pub writes: Vec<usize>,
    pub vectored: usize,
    pub flushes: usize,
    pub shutdowns: usize,
    pub reads: usize,
    polls: usize,
    /// One for each direction, as a socket has.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A handle to a stream in the test's hand.
#[derive(Clone, Debug)]
pub struct Mock(Arc<Mutex<Script>>);

impl Mock {
    /// A stream that has this to read and then nothing for now, and takes everything.
    pub fn new(input: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(Script {
            input: input.into(),
            read: 0,
            reads_from: 0,
            at_end: None,
            output: Vec::new(),
            may_read: None,
            may_write: None,
            most: usize::MAX,
            room: usize::MAX,
            write_error: None,
            hiccups: false,
            is_shutdown_stuck: false,
            is_vectored: false,
            pieces: Vec::new(),
            writes: Vec::new(),
            vectored: 0,
            flushes: 0,
            shutdowns: 0,
            reads: 0,
            polls: 0,
            reader: None,
            writer: None,
        })))
    }

    /// One that ends behind its input.
    pub fn ending(input: impl Into<Vec<u8>>) -> Self {
        let this = Self::new(input);
        this.script().at_end = Some(Ok(()));
        this
    }

    /// One that does nothing until it is [allowed](Self::allow) to, and then so many bytes at a time.
    pub fn held(input: impl Into<Vec<u8>>, most: usize) -> Self {
        let this = Self::new(input);
        this.change(|script| {
            (script.may_read, script.may_write) = (Some(0), Some(0));
            script.most = most;
        });
        this
    }

    /// One whose other side takes so many bytes and then no more for now.
    pub fn with_room(room: usize) -> Self {
        let this = Self::new("");
        this.script().room = room;
        this
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Changes what it does, and wakes whoever waits for it.
    pub fn change(&self, change: impl FnOnce(&mut Script)) {
        let mut script = self.script();
        change(&mut script);
        let wakers = [script.reader.take(), script.writer.take()];
        drop(script);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Lets one read and one write pass.
    pub fn allow(&self) {
        self.change(|script| (script.may_read, script.may_write) = (Some(1), Some(1)));
    }

    /// Lets everything pass.
    pub fn release(&self) {
        self.change(|script| (script.may_read, script.may_write, script.room) = (None, None, usize::MAX));
    }

    /// Adds to what there is to read.
    pub fn feed(&self, bytes: &[u8]) {
        self.change(|script| script.input.extend_from_slice(bytes));
    }

    /// Whether the connection has let the stream go.
    pub fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub fn output(&self) -> Vec<u8> {
        self.script().output.clone()
    }

    /// How many bytes are there to be read.
    pub fn unread(&self) -> usize {
        let script = self.script();
        script.input.len() - script.read
    }

    /// The frames that were written: first byte and payload.
    pub fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        plain(&self.output())
    }
}

impl Script {
    /// Whether an operation has to wait; its waker is kept in the slot.
    fn waits(&mut self, is_read: bool, cx: &Context<'_>) -> bool {
        self.polls += 1;
        if self.hiccups && self.polls % 5 < 2 {
            cx.waker().wake_by_ref();
            return true;
        }
        let (may, slot) =
            if is_read { (&mut self.may_read, &mut self.reader) } else { (&mut self.may_write, &mut self.writer) };
        match may {
            Some(0) => {
                *slot = Some(cx.waker().clone());
                true
            }
            Some(count) => {
                *count -= 1;
                false
            }
            None => false,
        }
    }

    fn write(&mut self, pieces: &[IoSlice<'_>], cx: &Context<'_>) -> Poll<io::Result<usize>> {
        assert_eq!(self.shutdowns, 0, "written behind the end");
        if let Some((at, kind)) = self.write_error {
            if self.output.len() >= at {
                return Poll::Ready(Err(kind.into()));
            }
        }
        if self.room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.waits(false, cx) {
            return Poll::Pending;
        }
        let error_at = self.write_error.map_or(usize::MAX, |(at, _)| at - self.output.len());
        let most = self.most.min(self.room).min(error_at);
        let mut left = most;
        for piece in pieces {
            let len = piece.len().min(left);
            if len > 0 {
                self.pieces.push((piece.as_ptr() as usize, len));
                self.output.extend_from_slice(&piece[..len]);
                left -= len;
            }
        }
        self.room = self.room.saturating_sub(most - left);
        self.writes.push(most - left);
        Poll::Ready(Ok(most - left))
    }
}

impl AsyncRead for Mock {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut script = self.script();
        let script = &mut *script;
        let len = (script.input.len() - script.read).min(buffer.remaining()).min(script.most);
        if (len == 0 && script.at_end.is_none()) || script.output.len() < script.reads_from {
            script.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if script.waits(true, cx) {
            return Poll::Pending;
        }
        script.reads += 1;
        if len == 0 {
            return Poll::Ready(script.at_end.unwrap_or(Ok(())).map_err(Into::into));
        }
        buffer.put_slice(&script.input[script.read..script.read + len]);
        script.read += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Mock {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.script().write(&[IoSlice::new(bytes)], cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut script = self.script();
        assert!(script.is_vectored, "a vectored write that was not asked for");
        let written = script.write(pieces, cx);
        script.vectored += usize::from(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.script().is_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = self.script();
        if script.waits(false, cx) {
            return Poll::Pending;
        }
        script.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = self.script();
        if script.is_shutdown_stuck {
            script.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if script.waits(false, cx) {
            return Poll::Pending;
        }
        script.shutdowns += 1;
        Poll::Ready(Ok(()))
    }
}

/// A waker that counts how often it was woken.
#[derive(Debug, Default)]
pub struct Woken(AtomicUsize);

impl Woken {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a future once, with a waker that counts.
pub fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&woken.clone().into()))
}

/// Polls a future once; what it gives, if it is ready.
pub fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Polls futures, for each of which the stream lets one read and one write pass, and drops those whose time is up.
#[derive(Debug)]
pub struct Dropping {
    stream: Mock,
    /// Polls until a future is dropped.
    left: usize,
    /// Whether others are dropped after as many.
    every: Option<usize>,
    pub dropped: usize,
    polls: usize,
}

impl Dropping {
    /// Drops one future: that which is under way after so many polls in all.
    pub fn at(stream: &Mock, polls: usize) -> Self {
        Self { stream: stream.clone(), left: polls, every: None, dropped: 0, polls: 0 }
    }

    /// Drops whatever is under way after each so many polls.
    pub fn every(stream: &Mock, polls: usize) -> Self {
        Self { every: Some(polls), ..Self::at(stream, polls) }
    }

    /// Polls a future to its end, or until it is to be dropped: then `None`.
    pub fn run<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let mut known = 0;
        for round in 0.. {
            if self.left == 0 {
                self.left = self.every.unwrap_or(usize::MAX);
                self.dropped += 1;
                return None;
            }
            self.left -= 1;
            self.polls += 1;
            assert!(self.polls < 200_000, "it never ends");
            self.stream.allow();
            // Whoever waits for a stream is woken by it.
            assert!(round == 0 || woken.count() > known, "a wake-up was lost");
            known = woken.count();
            if let Poll::Ready(output) = poll(future.as_mut(), &woken) {
                return Some(output);
            }
        }
        None
    }
}

/// Makes a call again and again, each time with a new future, until one is not dropped.
#[macro_export]
macro_rules! persist {
    ($dropping:expr, $call:expr) => {
        loop {
            if let Some(output) = $dropping.run($call) {
                break output;
            }
        }
    };
}

/// Runs a story for every point at which one of its futures can be dropped, and with every one of them dropped after
/// one, two, three and seven polls. `stream` makes the stream that it is told on.
pub fn at_every_drop(stream: impl Fn() -> Mock, mut story: impl FnMut(&Mock, &mut Dropping)) {
    let mut drops = 0;
    for polls in 0.. {
        let stream = stream();
        let mut dropping = Dropping::at(&stream, polls);
        story(&stream, &mut dropping);
        drops += dropping.dropped;
        if dropping.dropped == 0 {
            break;
        }
    }
    assert!(drops > 2, "nothing was dropped");
    for polls in [1, 2, 3, 7] {
        let stream = stream();
        story(&stream, &mut Dropping::every(&stream, polls));
    }
}

pub fn server(stream: &Mock, config: Config) -> WebSocket<Mock> {
    WebSocket::server(stream.clone(), config)
}

/// A client with masking keys that are always the same.
pub fn client(stream: &Mock, config: Config) -> WebSocket<Mock> {
    WebSocket::resume(stream.clone(), Connection::client_with_keys(config, || [0x37, 0xfa, 0x21, 0x3d]), &[])
}

/// A configuration with one change.
pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// A configuration without any deadline.
pub fn timeless() -> Config {
    config(|config| {
        (config.close_timeout, config.output_timeout) = (None, None);
        (config.pong_timeout, config.ping_interval) = (None, None);
    })
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Lets all tasks of the runtime run until they wait.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Waits for a future, for a virtual hour: a wake-up that was lost fails the test and does not hang it.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(secs(3600), future).await.expect("it never ends")
}

/// The deadline that ended a connection.
pub fn timeout(error: Error) -> Timeout {
    match error {
        Error::Timeout(timeout) => timeout,
        error => panic!("not a deadline: {error:?}"),
    }
}

/// Reads one frame from a raw stream, unmasked.
pub async fn read_frame(stream: &mut DuplexStream) -> (u8, Vec<u8>) {
    let mut bytes = vec![0; 2];
    stream.read_exact(&mut bytes).await.expect("a header");
    let more = match bytes[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if bytes[1] & 0x80 == 0 { 0 } else { 4 };
    let start = bytes.len();
    bytes.resize(start + more + mask, 0);
    stream.read_exact(&mut bytes[start..]).await.expect("a header");
    let len = match more {
        2 => u64::from(u16::from_be_bytes([bytes[2], bytes[3]])),
        8 => u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")),
        _ => u64::from(bytes[1] & 0x7f),
    };
    let start = bytes.len();
    bytes.resize(start + usize::try_from(len).expect("a length"), 0);
    stream.read_exact(&mut bytes[start..]).await.expect("a payload");
    plain(&bytes).remove(0)
}

/// Reads a raw stream to its end: the frames.
pub async fn read_frames(stream: &mut DuplexStream) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("a clean end");
    plain(&bytes)
}

/// Puts the messages in frames together: the opcode and the payload of each, in the order of their last frames; control
/// frames stand where they came.
pub fn messages(frames: &[(u8, Vec<u8>)]) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::<(u8, Vec<u8>)>::new();
    let mut open = None::<(u8, Vec<u8>)>;
    for (first, payload) in frames {
        match (first & 0x0f, &mut open) {
            (0x8.., _) => messages.push((*first, payload.clone())),
            (0, Some((_, whole))) => whole.extend_from_slice(payload),
            (opcode @ 1..=2, open @ None) => *open = Some((opcode | 0x80, payload.clone())),
            (opcode, open) => panic!("frame of kind {opcode} out of order: {open:?}"),
        }
        if first & 0x88 == 0x80 {
            messages.extend(open.take());
        }
    }
    assert_eq!(open, None, "half a message");
    messages
}

/// The messages in frames, without the control frames between.
pub fn data(frames: &[(u8, Vec<u8>)]) -> Vec<(u8, Vec<u8>)> {
    messages(frames).into_iter().filter(|(first, _)| first & 0x08 == 0).collect()
}

/// The control frames among frames.
pub fn control(frames: &[(u8, Vec<u8>)]) -> Vec<(u8, Vec<u8>)> {
    frames.iter().filter(|(first, _)| first & 0x08 != 0).cloned().collect()
}

/// Bytes that tell where they stand.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap_or(0)).collect()
}
