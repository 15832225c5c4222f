//! What the adapter asks of a stream beyond reading and writing.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A stream that a WebSocket connection can run on: anything that reads and writes, and what more it can do.
///
/// It is there for TCP and Unix-domain streams. Any other stream either says so in one line, or is wrapped in
/// [`Plain`]:
///
/// ```
/// use sockeye::blocking::Transport;
/// # struct MyStream;
/// # impl std::io::Read for MyStream { fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> { Ok(0) } }
/// # impl std::io::Write for MyStream {
/// #     fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> { Ok(buf.len()) }
/// #     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
/// # }
/// impl Transport for MyStream {}
/// ```
pub trait Transport: Read + Write {
    /// Ends our direction, so that the peer reads its end while we still read. By default nothing happens.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Bounds the time that a read may take; returns whether the stream can do that. By default it cannot.
    ///
    /// Without it, deadlines are looked at only when a read returns by itself.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let _ = timeout;
        Ok(false)
    }

    /// Returns the bound that the caller set on reads, which is kept to and restored. By default there is none.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    /// Returns a second handle to the same stream, for [`WebSocket::split`](super::WebSocket::split). By default there
    /// is none.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`], or what the stream says.
    fn try_clone(&self) -> io::Result<Self>
    where
        Self: Sized,
    {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A socket of the standard library.
macro_rules! socket {
    ($socket:ty) => {
        impl Transport for $socket {
            fn shutdown_write(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }

            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
                Self::set_read_timeout(self, timeout).map(|()| true)
            }

            fn read_timeout(&self) -> io::Result<Option<Duration>> {
                Self::read_timeout(self)
            }

            fn try_clone(&self) -> io::Result<Self> {
                Self::try_clone(self)
            }
        }
    };
}

socket!(TcpStream);
#[cfg(unix)]
socket!(std::os::unix::net::UnixStream);

/// A pointer to a transport.
macro_rules! pointer {
    ($pointer:ty) => {
        impl<S: Transport + ?Sized> Transport for $pointer {
            fn shutdown_write(&mut self) -> io::Result<()> {
                (**self).shutdown_write()
            }

            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
                (**self).set_read_timeout(timeout)
            }

            fn read_timeout(&self) -> io::Result<Option<Duration>> {
                (**self).read_timeout()
            }
        }
    };
}

pointer!(&mut S);
pointer!(Box<S>);

/// Makes a [`Transport`] of anything that reads and writes.
///
/// ```
/// use sockeye::Config;
/// use sockeye::blocking::{Plain, WebSocket};
/// # use std::io::Cursor;
/// let stream = Cursor::new(b"\x81\x05hello".to_vec());   // upgraded by somebody else
/// let mut socket = WebSocket::client(Plain(stream), Config::default());
/// assert_eq!(socket.receive()?, Some("hello".into()));
/// # Ok::<(), sockeye::blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain<S>(pub S);

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Transport for Plain<S> {}
