//! The clients: all in this process, which is not the server's, on one thread. They read and throw away, and never sleep in a turn:
//! who sleeps has to be woken by whoever writes, and that would be in the server's time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{RecvFlags, recv, sockopt};

use crate::Outcome;

pub struct Clients {
    streams: Vec<TcpStream>,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl Clients {
    /// So many, one after the other, each behind its opening handshake.
    pub fn connect(port: u16, count: usize) -> Outcome<Self> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(connect(port)?);
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { streams, epoll, events: Vec::with_capacity(1024), buffer: vec![0; 256 * 1024] })
    }

    /// Receives the first bytes of each, and compares them with what they should be.
    pub fn check(&mut self, expected: &[u8]) -> Outcome<()> {
        for (number, stream) in (0..).zip(&mut self.streams) {
            let mut received = vec![0; expected.len()];
            stream.read_exact(&mut received)?;
            if received != expected {
                return Err("a client got something else".into());
            }
            stream.set_nonblocking(true)?;
            epoll::add(&self.epoll, stream, EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(())
    }

    /// Reads until all together have got so many bytes.
    pub fn drain(&mut self, mut wanted: usize) -> Outcome<()> {
        let started = Instant::now();
        while wanted > 0 {
            self.events.clear();
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&at_once))?;
            for event in &self.events {
                let stream = &self.streams[usize::try_from({ event.data }.u64())?];
                // Linux throws away what is asked for so, without a copy.
                let (_, len) = recv(stream, &mut self.buffer[..], RecvFlags::TRUNC | RecvFlags::DONTWAIT)?;
                if len == 0 {
                    return Err("the server has closed a connection".into());
                }
                wanted = wanted.checked_sub(len).ok_or("more came than was published")?;
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("{wanted} bytes did not come in {} s", PATIENCE.as_secs()).into());
            }
        }
        Ok(())
    }
}

/// Resets the connections, so that their ports are free again at once.
impl Drop for Clients {
    fn drop(&mut self) {
        for stream in &self.streams {
            let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}

fn connect(port: u16) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST.as_bytes())?;
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 512];
        match stream.read(&mut bytes)? {
            0 => return Err("the server has closed a connection".into()),
            len => response.extend_from_slice(&bytes[..len]),
        }
    }
    if response.starts_with(b"HTTP/1.1 101 ") { Ok(stream) } else { Err("the handshake was refused".into()) }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// How long anything may take. What takes longer fails, and the others go on.
const PATIENCE: Duration = Duration::from_secs(20);
