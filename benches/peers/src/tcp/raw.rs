//! Bytes back as they were, through one buffer for all connections: what nobody can be faster than.

use std::cell::RefCell;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::event_loop::{End, on_mio, unless_blocked};
use super::on_tokio;

thread_local!(static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LEN]));

/// On tokio.
///
/// # Errors
///
/// Where it cannot accept.
pub fn tokio(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo)
}

/// On tokio, with a timer for each connection that is set once and never fires: what a deadline costs a runtime whatever it is for.
///
/// # Errors
///
/// Where it cannot accept.
pub fn tokio_with_timers(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, |stream| async move {
        let mut timer = Box::pin(tokio::time::sleep(Duration::from_secs(24 * 60 * 60)));
        poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx).is_ready())).await;
        echo(stream).await
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    loop {
        // What is not written at once is kept beside the buffer.
        let rest = poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut stream).poll_read(cx, &mut buffer))?;
                let written = match Pin::new(&mut stream).poll_write(cx, buffer.filled()) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => 0,
                };
                match buffer.filled() {
                    [] => Poll::Ready(Err(io::Error::from(ErrorKind::UnexpectedEof))),
                    filled => Poll::Ready(Ok(filled[written..].to_vec())),
                }
            })
        });
        let rest = rest.await?;
        if !rest.is_empty() {
            stream.write_all(&rest).await?;
        }
    }
}

/// On mio.
///
/// # Errors
///
/// Where it cannot accept.
pub fn mio(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_mio::<Connection>(listener)
}

struct Connection {
    stream: mio::net::TcpStream,
    /// What was read and there was no room to write.
    rest: Vec<u8>,
}

impl End for Connection {
    fn new(stream: mio::net::TcpStream) -> Self {
        Self { stream, rest: Vec::new() }
    }

    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if !self.rest.is_empty() {
            let written = unless_blocked(self.stream.write(&self.rest))?.unwrap_or(0);
            self.rest.drain(..written);
        }
        while self.rest.is_empty() {
            let read = match unless_blocked(self.stream.read(buffer))? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(read) => read,
                None => return Ok(()),
            };
            let written = unless_blocked(self.stream.write(&buffer[..read]))?.unwrap_or(0);
            self.rest.extend_from_slice(&buffer[written..read]);
            // Where less came than there was room for, more will be told of.
            if read < buffer.len() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The most that is read at once, in bytes.
const LEN: usize = 64 * 1024;
