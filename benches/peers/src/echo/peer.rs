//! One connection of the load, which knows no WebSocket library: it sends bytes of a ring, and compares what comes back.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::traffic::Traffic;
use crate::tcp::Protocol;

/// Opens a connection; `source` is the last byte of the address that it comes from, and moves on when that has no ports left.
///
/// # Errors
///
/// Says why there is none.
pub fn open(address: SocketAddr, source: &mut u8, protocol: Protocol) -> Result<TcpStream, String> {
    let mut stream = connect(address, source).map_err(|error| format!("it cannot be connected to: {error}"))?;
    let prepare = |stream: &TcpStream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Closed by a reset, it leaves no port that has to wait.
        SockRef::from(stream).set_linger(Some(Duration::ZERO))
    };
    prepare(&stream).map_err(|error| error.to_string())?;
    if protocol == Protocol::WebSocket {
        shake(&mut stream)?;
    }
    Ok(stream)
}

fn connect(address: SocketAddr, source: &mut u8) -> io::Result<TcpStream> {
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if *source > 1 {
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, *source), 0)).into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable && *source < u8::MAX => *source += 1,
            result => return result.map(|()| socket.into()),
        }
    }
}

/// The opening handshake (RFC 6455 §4.1), with the key of its §1.3.
fn shake(stream: &mut TcpStream) -> Result<(), String> {
    stream.write_all(REQUEST.as_bytes()).map_err(|error| error.to_string())?;
    let (mut response, mut byte) = (Vec::new(), [0]);
    // Byte by byte, so that what is behind it stays.
    while !response.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).map_err(|error| format!("it answers nothing: {error}"))? {
            0 => return Err(format!("it answers {:?}", String::from_utf8_lossy(&response))),
            _ => response.extend_from_slice(&byte),
        }
    }
    let response = String::from_utf8_lossy(&response);
    let has_key = response.lines().any(|line| {
        line.split_once(':')
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT)
    });
    match response.starts_with("HTTP/1.1 101 ") && has_key {
        true => Ok(()),
        false => Err(format!("it answers {response:?}")),
    }
}

/// Sends the first message on a connection that blocks, and waits for it.
///
/// # Errors
///
/// Where something else comes back, or nothing.
pub fn echo(stream: &mut TcpStream, traffic: &Traffic) -> Result<(), String> {
    let [message, _] = traffic.sent.slices(0, traffic.sent.frame);
    stream.write_all(&message).map_err(|error| error.to_string())?;
    let mut answer = vec![0; traffic.answered.frame];
    stream.read_exact(&mut answer).map_err(|error| format!("nothing comes back: {error}"))?;
    match traffic.answered.is(0, &answer) {
        true => Ok(()),
        false => Err(OTHER.into()),
    }
}

/// A connection that does not block.
#[derive(Debug)]
pub struct Peer {
    pub stream: mio::net::TcpStream,
    /// Where in the ring the next byte is that is sent, and that comes back.
    sending: usize,
    receiving: usize,
    /// How many bytes are to be sent.
    queued: usize,
    /// How much of the next answer is there.
    begun: usize,
    /// When messages were sent, and how many then; the oldest first.
    sent: VecDeque<(Instant, usize)>,
}

impl Peer {
    /// Takes a connection over on which nothing is under way.
    ///
    /// # Errors
    ///
    /// Where it will not stop blocking.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = mio::net::TcpStream::from_std(stream);
        Ok(Self { stream, sending: 0, receiving: 0, queued: 0, begun: 0, sent: VecDeque::new() })
    }

    /// Sends so many messages more: now, or when there is room.
    ///
    /// # Errors
    ///
    /// Where the connection is lost.
    pub fn send(&mut self, count: usize, traffic: &Traffic, now: Instant) -> io::Result<()> {
        self.queued += count * traffic.sent.frame;
        self.sent.push_back((now, count));
        self.write(traffic)
    }

    /// Writes what is queued, as far as there is room.
    ///
    /// # Errors
    ///
    /// Where the connection is lost.
    pub fn write(&mut self, traffic: &Traffic) -> io::Result<()> {
        while self.queued > 0 {
            match self.stream.write_vectored(&traffic.sent.slices(self.sending, self.queued)) {
                Ok(written) => {
                    self.sending = traffic.sent.after(self.sending, written);
                    self.queued -= written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads and compares what is there, and returns how many messages are whole by that.
    ///
    /// # Errors
    ///
    /// Where the connection is lost, or something else comes back.
    pub fn read(&mut self, buffer: &mut [u8], traffic: &Traffic) -> io::Result<usize> {
        let mut whole = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("it closes the connection")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(whole),
                Err(error) => return Err(error),
            };
            if !traffic.answered.is(self.receiving, &buffer[..read]) {
                return Err(io::Error::other(OTHER));
            }
            self.receiving = traffic.answered.after(self.receiving, read);
            self.begun += read;
            whole += self.begun / traffic.answered.frame;
            self.begun %= traffic.answered.frame;
            // Where less came than there was room for, more will be told of.
            if read < buffer.len() {
                return Ok(whole);
            }
        }
    }

    /// Tells of the oldest messages, which came back, when they were sent and how many at a time.
    pub fn settle(&mut self, mut count: usize, mut visit: impl FnMut(Instant, usize)) {
        while count > 0
            && let Some((sent, left)) = self.sent.front_mut()
        {
            let some = count.min(*left);
            visit(*sent, some);
            *left -= some;
            count -= some;
            if *left == 0 {
                self.sent.pop_front();
            }
        }
    }
}

const REQUEST: &str = "GET /echo HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const OTHER: &str = "something else comes back";

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
