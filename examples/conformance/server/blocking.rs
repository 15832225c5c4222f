//! The blocking adapter: a thread for each connection, split so that the main thread can close it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sockeye::blocking::{Acceptor, Error, Sender};
use sockeye::handshake::ServerConfig;
use sockeye::{Close, CloseCode, Config};

/// The connections that are open, to be closed at the end.
#[derive(Default)]
struct Open {
    /// `None` for one whose opening handshake is not done.
    senders: Mutex<HashMap<u64, Option<Sender<TcpStream>>>>,
    one_less: Condvar,
    /// Whether those that open now are to be closed at once; changes under the lock of the others.
    is_stopping: AtomicBool,
}

/// Serves until `stop` becomes readable.
pub(crate) fn serve(
    listener: TcpListener,
    config: Arc<Config>,
    handshake: ServerConfig,
    mut stop: UnixStream,
) -> io::Result<()> {
    let open = Arc::new(Open::default());
    let mut acceptor = Acceptor::default();
    acceptor.config = config;
    acceptor.handshake = handshake;
    let connections = open.clone();
    thread::spawn(move || accept(&listener, &acceptor, &connections));

    stop.read_exact(&mut [0])?;
    close_all(&open);
    Ok(())
}

/// Accepts connections for ever.
fn accept(listener: &TcpListener, acceptor: &Acceptor, open: &Arc<Open>) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        let Ok(stream) = stream else {
            // Out of file descriptors, most likely: give the open connections time to end.
            thread::park_timeout(Duration::from_millis(50));
            continue;
        };
        open.senders.lock().unwrap_or_else(PoisonError::into_inner).insert(number, None);
        let (acceptor, open) = (acceptor.clone(), open.clone());
        let ended = Ended { number, open: open.clone() };
        // Where no thread can be had, the connection is dropped.
        let _ = thread::Builder::new().stack_size(128 * 1024).spawn(move || {
            // What goes wrong on a connection is its own affair; the peer was told.
            let _ = echo(number, stream, &acceptor, &open);
            drop(ended);
        });
    }
}

/// Takes a connection out of those that are open, when it is dropped.
struct Ended {
    number: u64,
    open: Arc<Open>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.open.senders.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        self.open.one_less.notify_all();
    }
}

/// Echoes until the connection is closed.
fn echo(number: u64, stream: TcpStream, acceptor: &Acceptor, open: &Open) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    // A peer that takes nothing for so long is not waited for.
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    let (mut receiver, sender) = acceptor.accept(stream)?.split()?;
    let is_stopping = {
        let mut senders = open.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.insert(number, Some(sender.clone()));
        open.is_stopping.load(Ordering::Relaxed)
    };
    if is_stopping {
        close(&sender);
    }
    while let Some(message) = receiver.receive_ref()? {
        match sender.send(message) {
            // Where we are closing, no echo can be sent; the peer's Close is still to come, and ours to be read.
            Err(error) if !error.is_closed() => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Closes a connection, because the server stops; one that is closing already need not be closed.
fn close(sender: &Sender<TcpStream>) {
    let _ = Close::new(CloseCode::GOING_AWAY, "server is stopping").map(|close| sender.close(close));
}

/// Closes all connections with 1001, and waits a moment for them to end.
fn close_all(open: &Open) {
    let senders: Vec<_> = {
        let senders = open.senders.lock().unwrap_or_else(PoisonError::into_inner);
        open.is_stopping.store(true, Ordering::Relaxed);
        senders.values().flatten().cloned().collect()
    };
    for sender in senders {
        // A thread for each, because a peer that does not read would hold up the others.
        let _ = thread::Builder::new().stack_size(128 * 1024).spawn(move || close(&sender));
    }
    let senders = open.senders.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = open.one_less.wait_timeout_while(senders, PATIENCE, |senders| !senders.is_empty());
}

/// How long the peers have to answer the Close.
const PATIENCE: Duration = Duration::from_secs(3);
