//! One thread with mio: who is told that there is something to read or room to write does what can be done without waiting.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::TcpListener;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// The server's end of a connection.
pub trait End {
    /// Has the stream of a client.
    fn new(stream: TcpStream) -> Self;
    /// Does what can be done without waiting, through a buffer that is there for all of them.
    ///
    /// # Errors
    ///
    /// Why there is no more to be done, now or ever.
    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

/// Accepts clients and lets their ends do what they do.
///
/// # Errors
///
/// Where it cannot accept.
pub fn on_mio<E: End>(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let (mut selector, mut events) = (Poll::new()?, Events::with_capacity(1024));
    selector.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut ends, mut accepted) = (HashMap::new(), 0);
    let mut buffer = vec![0; LEN];
    loop {
        selector.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Some((mut stream, _)) = unless_blocked(listener.accept())? {
                    stream.set_nodelay(true)?;
                    let token = Token(accepted);
                    accepted += 1;
                    selector.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                    ends.insert(token, E::new(stream));
                }
            } else if let Some(end) = ends.get_mut(&event.token())
                && end.advance(&mut buffer).is_err()
            {
                ends.remove(&event.token());
            }
        }
    }
}

/// `None` where it would have to wait.
///
/// # Errors
///
/// All others.
pub fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        other => other.map(Some),
    }
}

const LISTENER: Token = Token(usize::MAX);

/// The most that is read at once, in bytes.
const LEN: usize = 64 * 1024;
