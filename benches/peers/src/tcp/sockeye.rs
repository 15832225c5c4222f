//! sockeye: an answer is queued, and written before a receive waits.

use std::error::Error;
use std::net::TcpListener;

use sockeye::{blocking, tokio as asynchronous};
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

/// A message is lent by one half and copied by the other.
///
/// # Errors
///
/// Where it cannot accept.
pub fn lent(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo_lent)
}

async fn echo_lent(stream: TcpStream) -> Result<(), asynchronous::Error> {
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
