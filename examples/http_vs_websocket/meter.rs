//! What each half of a page costs: connections, and bytes at the server's sockets, in both directions.
//!
//! To whom a connection is charged is known once its request was read. Until then its stream keeps count for itself.

use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, ready};
use std::collections::HashMap;
use std::io::{self, IoSlice, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The runs of all pages that are open.
#[derive(Default)]
pub(crate) struct House {
    runs: Mutex<(u64, HashMap<u64, Arc<Run>>)>,
}

impl House {
    /// Begins a run, which is over when the guard is dropped.
    pub(crate) fn begin(&self) -> Guard<'_> {
        let mut runs = self.lock();
        runs.0 += 1;
        let (id, run) = (runs.0, Arc::<Run>::default());
        runs.1.insert(id, run.clone());
        Guard { house: self, id, run }
    }

    /// Finds a run that is not over.
    pub(crate) fn run(&self, id: u64) -> Option<Arc<Run>> {
        self.lock().1.get(&id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Arc<Run>>)> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that goes on. As text it is what the page is told, in JSON.
pub(crate) struct Guard<'h> {
    house: &'h House,
    id: u64,
    run: Arc<Run>,
}

impl Guard<'_> {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl fmt::Display for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"polling\":{},\"websocket\":{}}}", self.run.polling, self.run.websocket)
    }
}

impl Drop for Guard<'_> {
    /// Prints what was counted, so that it can be compared with what the page shows.
    fn drop(&mut self) {
        self.house.lock().1.remove(&self.id);
        let _ = writeln!(io::stdout(), "run {}: {self}", self.id); // where nobody reads it, nobody compares it
    }
}

/// One page's run: what was counted for each half.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) polling: Bill,
    pub(crate) websocket: Bill,
}

/// A half of the page.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Polling,
    WebSocket,
}

/// What was counted for a half.
#[derive(Default)]
pub(crate) struct Bill {
    connections: AtomicU64,
    /// Bytes from the browser, and to it.
    up: AtomicU64,
    down: AtomicU64,
    updates: AtomicU64,
    /// Answers without any.
    empty: AtomicU64,
}

impl Bill {
    /// Takes note that so many updates were told.
    pub(crate) fn told(&self, updates: u64) {
        match updates {
            0 => self.empty.fetch_add(1, Ordering::Relaxed),
            _ => self.updates.fetch_add(updates, Ordering::Relaxed),
        };
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [connections, up, down, updates, empty] =
            [&self.connections, &self.up, &self.down, &self.updates, &self.empty]
                .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "{{\"connections\":{connections},\"up\":{up},\"down\":{down},\"updates\":{updates},\"empty\":{empty}}}"
        )
    }
}

/// A TCP stream that counts what goes through it.
pub(crate) struct Metered {
    stream: TcpStream,
    /// Bytes before it was known to whom to charge them.
    read: u64,
    written: u64,
    charged: OnceLock<(Arc<Run>, Half)>,
}

impl Metered {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, read: 0, written: 0, charged: OnceLock::new() }
    }

    /// Charges the connection, with all that went through it and will, to a half of a run.
    pub(crate) fn charge(&self, run: &Arc<Run>, half: Half) {
        if self.charged.set((run.clone(), half)).is_err() {
            return; // it is charged already
        }
        if let Some(bill) = self.bill() {
            bill.connections.fetch_add(1, Ordering::Relaxed);
            bill.up.fetch_add(self.read, Ordering::Relaxed);
            bill.down.fetch_add(self.written, Ordering::Relaxed);
        }
    }

    fn bill(&self) -> Option<&Bill> {
        self.charged.get().map(|(run, half)| match half {
            Half::Polling => &run.polling,
            Half::WebSocket => &run.websocket,
        })
    }

    fn count_read(&mut self, len: usize) {
        match self.bill() {
            Some(bill) => drop(bill.up.fetch_add(len as u64, Ordering::Relaxed)),
            None => self.read += len as u64,
        }
    }

    fn count_written(&mut self, len: usize) {
        match self.bill() {
            Some(bill) => drop(bill.down.fetch_add(len as u64, Ordering::Relaxed)),
            None => self.written += len as u64,
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.count_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.count_written(len);
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        self.count_written(len);
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
