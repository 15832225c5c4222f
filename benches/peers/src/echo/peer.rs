//! One connection of the load, which knows no WebSocket library: it sends bytes of a ring, and compares what comes back.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::traffic::Traffic;
use crate::tcp::Protocol;

/// Opens connections, some at a time, so that waiting for one is waiting for all of them.
///
/// # Errors
///
/// Says why there are no more; those that there are stay in `streams`.
pub fn open(address: SocketAddr, count: usize, protocol: Protocol, streams: &mut Vec<TcpStream>) -> Result<(), String> {
    // The last byte of the address that they come from, which moves on when that has no ports left.
    let mut source = 1;
    let end = streams.len() + count;
    while streams.len() < end {
        let mut opened = Vec::new();
        for _ in 0..AT_A_TIME.min(end - streams.len()) {
            let stream =
                connect(address, &mut source).map_err(|error| format!("it cannot be connected to: {error}"))?;
            opened.push(prepare(stream, protocol).map_err(|error| error.to_string())?);
        }
        for mut stream in opened {
            if protocol == Protocol::WebSocket {
                finish(&mut stream)?;
            }
            streams.push(stream);
        }
    }
    Ok(())
}

/// Sets a connection up, and begins the opening handshake (RFC 6455 §4.1), with the key of its §1.3.
fn prepare(mut stream: TcpStream, protocol: Protocol) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Closed by a reset, it leaves no port that has to wait.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    if protocol == Protocol::WebSocket {
        stream.write_all(REQUEST.as_bytes())?;
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

/// Reads what ends the opening handshake.
fn finish(stream: &mut TcpStream) -> Result<(), String> {
    let (mut response, mut buffer) = (Vec::new(), [0; 1024]);
    // Nothing may be behind it, for nothing was sent.
    while !response.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).map_err(|error| format!("it answers nothing: {error}"))? {
            0 => return Err(format!("it answers {:?}", String::from_utf8_lossy(&response))),
            read => response.extend_from_slice(&buffer[..read]),
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

/// Sends the first message on connections that block, and waits for it.
///
/// # Errors
///
/// Where something else comes back, or nothing.
pub fn echo(streams: &mut [TcpStream], traffic: &Traffic) -> Result<(), String> {
    let [message, _] = traffic.sent.slices(0, traffic.sent.frame);
    let mut answer = vec![0; traffic.answered.frame];
    for some in streams.chunks_mut(AT_A_TIME) {
        for stream in &mut *some {
            stream.write_all(&message).map_err(|error| error.to_string())?;
        }
        for stream in some {
            stream.read_exact(&mut answer).map_err(|error| format!("nothing comes back: {error}"))?;
            if !traffic.answered.is(0, &answer) {
                return Err(OTHER.into());
            }
        }
    }
    Ok(())
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

/// How many connections are opened at the same time: less than a server may leave waiting.
const AT_A_TIME: usize = 64;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
