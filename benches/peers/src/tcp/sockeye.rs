//! sockeye: its adapters, by which an answer is queued and written before a receive waits, and its engine.

use std::cell::RefCell;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Poll, ready};

use sockeye::{Config, Connection, Received, blocking, tokio as asynchronous};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::{on_threads, on_tokio};

/// A message is taken out of the buffer and handed back, which does not copy it if it is large.
///
/// # Errors
///
/// Where it cannot accept.
pub fn owned(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo_owned)
}

async fn echo_owned(stream: TcpStream) -> Result<(), asynchronous::Error> {
    let mut socket = asynchronous::accept(stream).await?;
    while let Some(message) = socket.receive().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

/// A message is lent, and what is answered is made of it in memory that is used again.
///
/// # Errors
///
/// Where it cannot accept.
pub fn lent(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo_lent)
}

async fn echo_lent(stream: TcpStream) -> Result<(), asynchronous::Error> {
    let mut socket = asynchronous::accept(stream).await?;
    let mut answer = Vec::new();
    while let Some(message) = socket.receive_ref().await? {
        answer.clear();
        answer.extend_from_slice(message.payload());
        socket.feed(&answer).await?;
    }
    Ok(())
}

/// A message is lent by one half and copied by the other.
///
/// # Errors
///
/// Where it cannot accept.
pub fn halves(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo_halves)
}

async fn echo_halves(stream: TcpStream) -> Result<(), asynchronous::Error> {
    let (mut receiver, sender) = asynchronous::accept(stream).await?.split();
    while let Some(message) = receiver.receive_ref().await? {
        sender.feed(message).await?;
    }
    Ok(())
}

/// A thread for each connection.
///
/// # Errors
///
/// Where it cannot accept.
pub fn blocking(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_threads(listener, echo_blocking)
}

fn echo_blocking(stream: std::net::TcpStream) -> Result<(), blocking::Error> {
    let mut socket = blocking::accept(stream)?;
    while let Some(message) = socket.receive()? {
        socket.feed(&message)?;
    }
    Ok(())
}

thread_local!(static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; LEN], Vec::new())));

/// The engine, driven by hand on tokio through two buffers for all connections. It is told no time, so nobody is pinged and no
/// deadline kept: what is left is the protocol.
///
/// # Errors
///
/// Where it cannot accept.
pub fn engine(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, |stream| async { echo_engine(stream).await.ok() })
}

async fn echo_engine(stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    // The load sends nothing before the handshake is over, so nothing is left there.
    let mut stream = asynchronous::accept(stream).await?.into_inner();
    let mut connection = Connection::server(Config::default());
    let mut assembler = connection.assembler();
    loop {
        let rest = poll_fn(|cx| {
            BUFFERS.with_borrow_mut(|(input, output)| {
                let mut input = ReadBuf::new(input);
                ready!(Pin::new(&mut stream).poll_read(cx, &mut input))?;
                if input.filled().is_empty() {
                    return Poll::Ready(Err(io::Error::from(ErrorKind::UnexpectedEof)));
                }
                output.clear();
                let mut input = input.filled_mut();
                let other = io::Error::other::<Box<dyn Error + Send + Sync>>;
                while let Some(received) = connection
                    .receive_message(&mut input, &mut assembler, output)
                    .map_err(|error| other(error.into()))?
                {
                    if let Received::Message(message) = received {
                        connection.send(message, output).map_err(|error| other(error.into()))?;
                    }
                }
                let written = match Pin::new(&mut stream).poll_write(cx, output) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => 0,
                };
                Poll::Ready(Ok(output[written..].to_vec()))
            })
        });
        let rest = rest.await?;
        if !rest.is_empty() {
            stream.write_all(&rest).await?;
        }
    }
}

/// The most that the engine is given at once, in bytes.
const LEN: usize = 64 * 1024;
