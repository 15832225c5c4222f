//! sockeye: its adapters, by which an answer is queued and written before a receive waits, and its engine.

use std::cell::RefCell;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use sockeye::handshake::{ServerConfig, ServerHandshake};
use sockeye::{Assembler, Config, Connection, Received, blocking, tokio as asynchronous};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::event_loop::{End, unless_blocked};
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

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; LEN], Vec::new()));
    /// What all connections share.
    static SHARED: (ServerConfig, Arc<Config>) = (ServerConfig::default(), Arc::default());
}

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
    let mut connection = SHARED.with(|(_, config)| Connection::server(config.clone()));
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

/// The engine on mio, from the handshake on, through two buffers for all connections.
///
/// # Errors
///
/// Where it cannot accept.
pub fn on_mio(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    super::event_loop::on_mio::<Engine>(listener)
}

/// One end that the engine has.
struct Engine {
    stream: mio::net::TcpStream,
    stage: Stage,
    /// What there was no room to write.
    rest: Vec<u8>,
}

enum Stage {
    Opening(Box<ServerHandshake>),
    Open { connection: Connection, assembler: Assembler },
}

impl Engine {
    /// Answers what was read.
    fn answer(&mut self, input: &mut [u8], output: &mut Vec<u8>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut input = input;
        if let Stage::Opening(handshake) = &mut self.stage {
            let (all, mut rest) = (input.len(), &*input);
            let Some(request) = handshake.receive(&mut rest)? else { return Ok(()) };
            let received = all - rest.len();
            SHARED.with(|(server, _)| request.upgrade(server).map(|accepted| accepted.respond().write(output)))?;
            input = &mut input[received..];
            let connection = SHARED.with(|(_, config)| Connection::server(config.clone()));
            self.stage = Stage::Open { assembler: connection.assembler(), connection };
        }
        let Stage::Open { connection, assembler } = &mut self.stage else { return Ok(()) };
        while let Some(received) = connection.receive_message(&mut input, assembler, output)? {
            if let Received::Message(message) = received {
                connection.send(message, output)?;
            }
        }
        Ok(())
    }
}

impl End for Engine {
    fn new(stream: mio::net::TcpStream) -> Self {
        let handshake = SHARED.with(|(server, _)| ServerHandshake::new(server));
        Self { stream, stage: Stage::Opening(Box::new(handshake)), rest: Vec::new() }
    }

    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if !self.rest.is_empty() {
            let written = unless_blocked(self.stream.write(&self.rest))?.unwrap_or(0);
            self.rest.drain(..written);
        }
        while self.rest.is_empty() {
            self.rest = Vec::new();
            let read = match unless_blocked(self.stream.read(buffer))? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(read) => read,
                None => return Ok(()),
            };
            BUFFERS.with_borrow_mut(|(_, output)| {
                output.clear();
                self.answer(&mut buffer[..read], output).map_err(io::Error::other)?;
                let written = unless_blocked(self.stream.write(output))?.unwrap_or(0);
                self.rest.extend_from_slice(&output[written..]);
                io::Result::Ok(())
            })?;
            // Where less came than there was room for, more will be told of.
            if read < buffer.len() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The most that the engine is given at once, in bytes.
const LEN: usize = 64 * 1024;
