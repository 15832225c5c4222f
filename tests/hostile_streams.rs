//! Hostile streams and moments under the blocking adapter.

mod blocking_support;

use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};

use blocking_support::Scripted;
use sockeye::blocking::{Acceptor, Error, Transport, WebSocket};
use sockeye::{Close, Config, ProtocolError};

/// A stream with a read timeout that follows the rules of a socket's: zero is refused.
#[derive(Clone)]
struct Timed {
    inner: Scripted,
    timeouts: Arc<Mutex<Vec<Option<Duration>>>>,
}

impl Timed {
    fn new(inner: Scripted) -> Self {
        Self { inner, timeouts: Arc::default() }
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Transport for Timed {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.inner.shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        if timeout == Some(Duration::ZERO) {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.timeouts.lock().unwrap().push(timeout);
        Ok(true)
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

#[test]
fn a_violation_after_our_close_is_told_and_told_again() {
    // Answered by a frame with a reserved opcode instead of a Close; then the stream ends.
    let mut socket = WebSocket::client(Scripted::new(*b"\x83\x00"), Config::default());
    socket.close(Close::normal()).unwrap();
    for _ in 0..2 {
        let error = socket.receive().unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::ReservedOpCode(3))), "{error:?}");
    }
}

#[test]
fn a_close_timeout_of_zero_leaves_no_read_unbounded() {
    let mut config = Config::default();
    config.close_timeout = Some(Duration::ZERO);
    let stream = Timed::new(Scripted::open([]));
    let timeouts = stream.timeouts.clone();
    let (mut receiver, _sender) = WebSocket::server(stream, config).split().unwrap();
    let _ = receiver.receive();
    assert_eq!(timeouts.lock().unwrap().first(), Some(&Some(Duration::from_millis(1))));
}

#[test]
fn a_refused_client_that_goes_on_sending_is_read_to_its_end() {
    let mut input = b"POST / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec();
    input.resize(3 << 20, b'x');
    let len = input.len();
    let stream = Timed::new(Scripted::new(input));
    let inner = stream.inner.clone();
    let error = Acceptor::default().accept(stream).map(drop).unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error:?}");
    assert_eq!(inner.script().read, len, "what is unread resets the connection, and the answer with it");
}
