//! Parts of the work alone, which no library can do without: the read, and the read with headers decoded and payloads unmasked
//! in place by plain code.

use super::{Library, Standing};
use crate::handshake::{Handshake, SHORT_REQUEST};
use crate::library::Role;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const MEMCPY: Library = Library::new("memcpy", Standing::Part)
    .receives::<Memcpy>()
    .sends::<Put>()
    .opens::<Exchange>()
    .broadcasts::<super::crowds::memcpy::Memcpy>()
    .broadcasts_deflated::<super::crowds::memcpy::Memcpy>();
pub const UNMASK: Library = Library::new("memcpy, bare unmask", Standing::Part).receives::<Unmask>();

/// The read alone.
pub struct Memcpy {
    stream: Stream,
    buffer: Vec<u8>,
    len_of_message: usize,
    /// Bytes that were read beyond the messages asked for.
    ahead: usize,
}

impl Receive for Memcpy {
    const GIVES: Gives = Gives::Nothing;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self { stream, buffer: vec![0; job.read], len_of_message: job.len_on_the_wire(), ahead: 0 }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let len = count * self.len_of_message;
        while self.ahead < len {
            let read = self.stream.fill(&mut self.buffer);
            visit(&self.buffer[..read]);
            self.ahead += read;
        }
        self.ahead -= len;
    }
}

/// The read, and the least that makes payloads out of it. Nothing is checked, and pieces stay pieces.
pub struct Unmask {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_server: bool,
    /// The frame that was begun: bytes to come, whether it ends a message, and its key, turned to fit the next of them.
    remaining: usize,
    fin: bool,
    key: [u8; 4],
}

impl Receive for Unmask {
    const GIVES: Gives = Gives::Nothing;

    fn open(job: &Incoming, stream: Stream) -> Self {
        let is_server = job.role == Role::Server;
        let buffer = vec![0; job.read + HEADER];
        Self { stream, buffer, start: 0, end: 0, is_server, remaining: 0, fin: false, key: [0; 4] }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        let mut left = count;
        while left > 0 {
            if self.remaining == 0 && !self.header() || self.start == self.end {
                self.read();
                continue;
            }
            let len = self.remaining.min(self.end - self.start);
            let payload = &mut self.buffer[self.start..self.start + len];
            if self.is_server {
                unmask(payload, self.key);
                self.key.rotate_left(len % 4);
            }
            visit(payload);
            self.start += len;
            self.remaining -= len;
            left -= usize::from(self.remaining == 0 && self.fin);
        }
    }
}

impl Unmask {
    /// Reads behind what is left of a header.
    fn read(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.end += self.stream.fill(&mut self.buffer[self.end..]);
    }

    /// Takes a header, if it is whole. There are no empty frames.
    fn header(&mut self) -> bool {
        let mask = if self.is_server { 4 } else { 0 };
        let &[head, len, ref rest @ ..] = &self.buffer[self.start..self.end] else { return false };
        let (len, size) = match len & 0x7f {
            126 => match rest.first_chunk() {
                Some(&len) => (usize::from(u16::from_be_bytes(len)), 2),
                None => return false,
            },
            127 => match rest.first_chunk() {
                Some(&len) => (u64::from_be_bytes(len) as usize, 8),
                None => return false,
            },
            len => (usize::from(len), 0),
        };
        if rest.len() < size + mask {
            return false;
        }
        if let (true, Some(&key)) = (self.is_server, rest[size..].first_chunk()) {
            self.key = key;
        }
        (self.remaining, self.fin) = (len, head & 0x80 != 0);
        self.start += 2 + size + mask;
        true
    }
}

/// What every compiler makes vectors of.
fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The write alone.
pub struct Put(Stream);

impl send::Send for Put {
    const IS_LIBRARY: bool = false;

    fn open(_: &Outgoing, stream: Stream) -> Self {
        Self(stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        while let Some((message, _)) = turns.next() {
            self.0.put(&message.bytes);
        }
    }
}

/// The request and the response, given and taken without a look at them; and for a client what makes the response.
pub struct Exchange(Vec<u8>);

impl Handshake for Exchange {
    const IS_LIBRARY: bool = false;

    fn new() -> Self {
        Self(vec![0; 4096])
    }

    fn accept(&mut self, mut stream: Stream) -> Result<(), String> {
        stream.fill(&mut self.0);
        stream.put(&self.0[..129]);
        Ok(())
    }

    fn connect(&mut self, mut stream: Stream) -> Result<(), String> {
        stream.put(SHORT_REQUEST.as_bytes());
        stream.fill(&mut self.0);
        Ok(())
    }
}

/// The most that is left of a header.
const HEADER: usize = 14;
