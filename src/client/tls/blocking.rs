//! A stream over TLS that blocks.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;
use std::io::{self, Read, Write};

use super::stream::end_without_a_word;
use crate::blocking::Transport;
use crate::client::timed::Timed;

/// A blocking stream to a server over TLS. See [`TlsStream`](super::TlsStream) for how it ends.
///
/// TLS has one state for both directions, so there is no second handle to it ([`Transport::try_clone`]), and a connection on it
/// cannot be split between two threads.
pub struct BlockingTlsStream<S: Transport> {
    inner: Inner<S>,
}

enum Inner<S: Transport> {
    /// Boxed: it is a kilobyte.
    #[cfg(feature = "rustls-no-provider")]
    Rustls(Box<::rustls::StreamOwned<::rustls::ClientConnection, Timed<S>>>),
    #[cfg(feature = "native-tls")]
    Native(Box<::native_tls::TlsStream<Timed<S>>>),
}

/// Calls a method of whichever stream it is.
macro_rules! with {
    ($inner:expr, $stream:ident => $call:expr) => {
        match $inner {
            #[cfg(feature = "rustls-no-provider")]
            Inner::Rustls($stream) => $call,
            #[cfg(feature = "native-tls")]
            Inner::Native($stream) => $call,
        }
    };
}

impl<S: Transport> BlockingTlsStream<S> {
    #[cfg(feature = "rustls-no-provider")]
    pub(super) fn rustls(stream: ::rustls::StreamOwned<::rustls::ClientConnection, Timed<S>>) -> Self {
        Self { inner: Inner::Rustls(Box::new(stream)) }
    }

    #[cfg(feature = "native-tls")]
    pub(super) fn native(stream: ::native_tls::TlsStream<Timed<S>>) -> Self {
        Self { inner: Inner::Native(Box::new(stream)) }
    }

    /// Returns the stream below.
    pub fn get_ref(&self) -> &S {
        match &self.inner {
            #[cfg(feature = "rustls-no-provider")]
            Inner::Rustls(stream) => stream.sock.get_ref(),
            #[cfg(feature = "native-tls")]
            Inner::Native(stream) => stream.get_ref().get_ref(),
        }
    }

    /// Returns the stream below; what is read or written there is missing here.
    fn get_mut(&mut self) -> &mut S {
        match &mut self.inner {
            #[cfg(feature = "rustls-no-provider")]
            Inner::Rustls(stream) => stream.sock.get_mut(),
            #[cfg(feature = "native-tls")]
            Inner::Native(stream) => stream.get_mut().get_mut(),
        }
    }
}

impl<S: Transport + fmt::Debug> fmt::Debug for BlockingTlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingTlsStream").field(self.get_ref()).finish()
    }
}

impl<S: Transport> Read for BlockingTlsStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        end_without_a_word(with!(&mut self.inner, stream => stream.read(buf)))
    }
}

impl<S: Transport> Write for BlockingTlsStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        with!(&mut self.inner, stream => stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        with!(&mut self.inner, stream => stream.flush())
    }
}

impl<S: Transport> Transport for BlockingTlsStream<S> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        match &mut self.inner {
            #[cfg(feature = "rustls-no-provider")]
            Inner::Rustls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
            }
            #[cfg(feature = "native-tls")]
            Inner::Native(stream) => stream.shutdown()?,
        }
        self.get_mut().shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.get_mut().set_read_timeout(timeout)
    }

    fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.get_ref().read_timeout()
    }
}
