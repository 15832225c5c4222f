//! What the models share: a transport whose peer, clock and room other threads hold, and a way to wait for a future.
//!
//! ```text
//! RUSTFLAGS="--cfg sockeye_loom" cargo test --release --manifest-path tests/loom/Cargo.toml
//! ```
//!
//! The flag makes the driver and the hub use `loom`'s locks. `loom` then runs each model once for every order in which its threads can
//! meet at a lock, with up to [`PREEMPTIONS`] switches that no thread asked for. A task that waits for a wake-up that does not
//! come is a deadlock, which `loom` reports. `LOOM_LOG=trace LOOM_LOCATION=1` tell how it came about.

#[cfg(not(sockeye_loom))]
compile_error!("the models need RUSTFLAGS=\"--cfg sockeye_loom\"");

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::sync::{Mutex, Notify};
use sockeye::driver::{Receiver, Runtime, Sender, Timer, Transport, WebSocket};
use sockeye::{Config, Instant};

/// The transport of a model, as its connection has it.
#[derive(Clone, Debug)]
pub struct Line {
    ends: Arc<Mutex<Ends>>,
}

/// What lies between a connection and its peer. One waker for each direction, as a socket has it, and one for the timer.
#[derive(Debug, Default)]
struct Ends {
    input: VecDeque<u8>,
    has_input_ended: bool,
    reader: Option<Waker>,
    /// How many more bytes are taken.
    room: usize,
    written: Vec<u8>,
    is_shut_down: bool,
    writer: Option<Waker>,
    /// The peer, when it waits for what is written.
    peer: Option<Waker>,
    now: Duration,
    timer: Option<(Instant, Waker)>,
}

impl Line {
    /// Creates a line that takes so many bytes and holds this input.
    #[must_use]
    pub fn new(room: usize, input: &[u8]) -> Self {
        let ends = Ends { room, input: input.iter().copied().collect(), ..Ends::default() };
        Self { ends: Arc::new(Mutex::new(ends)) }
    }

    /// The connection's end of it, as the server.
    #[must_use]
    pub fn server(&self, config: Config) -> WebSocket<Self> {
        WebSocket::server(self.clone(), config)
    }

    /// The connection's end of it, in halves, as the server.
    #[must_use]
    pub fn split(&self, config: Config) -> (Receiver<Self>, Sender<Self>) {
        WebSocket::server(self.clone(), config).split()
    }

    /// Takes so many bytes more.
    pub fn open(&self, room: usize) {
        self.change(|ends| {
            ends.room = ends.room.saturating_add(room);
            ends.writer.take()
        });
    }

    /// Lets the connection read this.
    pub fn give(&self, input: &[u8]) {
        self.change(|ends| {
            ends.input.extend(input);
            ends.reader.take()
        });
    }

    /// Ends the connection's input.
    pub fn end(&self) {
        self.change(|ends| {
            ends.has_input_ended = true;
            ends.reader.take()
        });
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.change(|ends| {
            ends.now += time;
            let now = Instant::from(ends.now);
            let timer = ends.timer.take_if(|(deadline, _)| *deadline <= now);
            timer.map(|(_, waker)| waker)
        });
    }

    /// Waits, as the peer, until the connection has written something that satisfies.
    pub fn wait_written(&self, satisfies: impl Fn(&[u8]) -> bool) {
        block_on(std::future::poll_fn(|cx| {
            let mut ends = self.ends.lock().unwrap();
            if satisfies(&ends.written) {
                return Poll::Ready(());
            }
            ends.peer = Some(cx.waker().clone());
            Poll::Pending
        }));
    }

    /// What the connection has written.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.ends.lock().unwrap().written.clone()
    }

    /// Whether the connection has ended its direction.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.ends.lock().unwrap().is_shut_down
    }

    /// Changes something, and wakes who waits for it when the lock is free again.
    fn change(&self, change: impl FnOnce(&mut Ends) -> Option<Waker>) {
        let waker = change(&mut self.ends.lock().unwrap());
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Transport for Line {
    type Stream = Self;
    type Timer = Clock;

    fn new(stream: Self) -> Self {
        stream
    }

    fn timer(&self) -> Clock {
        Clock(self.clone())
    }

    fn into_stream(self) -> Self {
        self
    }

    fn stream(&self) -> &Self {
        self
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.ends.lock().unwrap();
        if ends.input.is_empty() && !ends.has_input_ended {
            ends.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = ends.input.len().min(buffer.len());
        buffer.iter_mut().zip(ends.input.drain(..len)).for_each(|(to, from)| *to = from);
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut ends = self.ends.lock().unwrap();
        assert!(!ends.is_shut_down, "written after the end");
        if ends.room == 0 {
            ends.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let room = ends.room;
        ends.written.extend(pieces.iter().flat_map(|piece| piece.iter()).take(room));
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(room);
        ends.room -= len;
        let peer = ends.peer.take();
        drop(ends);
        peer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ends.lock().unwrap().is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// The clock of a [`Line`], which [`Line::pass`] moves.
#[derive(Debug)]
pub struct Clock(Line);

impl Timer for Clock {
    fn now(&self) -> Instant {
        self.0.ends.lock().unwrap().now.into()
    }

    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut ends = self.0.ends.lock().unwrap();
        if Instant::from(ends.now) >= deadline {
            return Poll::Ready(());
        }
        ends.timer = Some((deadline, cx.waker().clone()));
        Poll::Pending
    }
}

/// The runtime whose transports are lines.
#[derive(Debug)]
pub struct Lines;

impl Runtime<Line> for Lines {
    type Transport = Line;
}

/// Runs a model in every order, and says in how many.
///
/// # Panics
///
/// If the model does, or waits for ever.
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    let orders = Arc::new(AtomicUsize::new(0));
    let count = orders.clone();
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: {} orders", orders.load(Ordering::Relaxed));
}

/// Waits for a future in a thread of its own, as an executor would: it is polled again only once it was woken. As `loom` has
/// it, that may happen once for nothing, too.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let thread = Arc::new(Thread(Notify::new()));
    let waker = thread.clone().into();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread.0.wait(),
        }
    }
}

/// Polls a future that has to wait, once.
pub fn wait_once<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending(), "there is nothing to wait for");
}

struct Thread(Notify);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// How often a thread is interrupted for another one in a run, beyond where it waits by itself.
pub const PREEMPTIONS: usize = 2;
