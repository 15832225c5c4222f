//! What the tests of the blocking adapter share: a stream that follows a script, and frames by hand.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    reason = "each test file uses a part, and it is one of each"
)]
#![allow(clippy::cast_possible_truncation, reason = "each length is matched to its form")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sockeye::blocking::{Error, Transport, WebSocket};
use sockeye::{Config, Connection, FrameHeader, mask};

pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A request with the key of RFC 6455 §1.3.
pub const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The answer to it.
pub const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What a stream does when it gets to a position: a break, or an error.
pub type Stop = (usize, Option<ErrorKind>);

/// What a scripted stream has and does.
#[derive(Debug, Default)]
pub struct Script {
    /// What there is to read.
    pub input: Vec<u8>,
    pub read: usize,
    /// Where reads stop, once each, in order.
    pub read_stops: VecDeque<Stop>,
    /// What comes behind the input: the end, or this error.
    pub at_end: Option<ErrorKind>,
    /// What was written.
    pub output: Vec<u8>,
    /// Where writes stop, once each, in order.
    pub write_stops: VecDeque<Stop>,
    /// The sizes of the writes.
    pub writes: Vec<usize>,
    /// The largest buffer that was given to a write.
    pub largest_write: usize,
    /// The largest buffer that was given to a read.
    pub largest_read: usize,
    /// How many bytes were written when each read began.
    pub written_at_reads: Vec<usize>,
    pub flushes: usize,
    /// What flushes give, in order; then `Ok`.
    pub flush_errors: VecDeque<ErrorKind>,
    pub is_shut_down: bool,
    pub panics_on_write: bool,
}

/// A handle to a scripted stream.
#[derive(Clone, Debug, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    pub fn new(input: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(Script { input: input.into(), ..Script::default() })))
    }

    /// One that would block behind its input.
    pub fn open(input: impl Into<Vec<u8>>) -> Self {
        let this = Self::new(input);
        this.script().at_end = Some(ErrorKind::WouldBlock);
        this
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn output(&self) -> Vec<u8> {
        self.script().output.clone()
    }
}

/// How far one may go from `at`, or the error that a stop there gives.
fn run(at: usize, stops: &mut VecDeque<Stop>) -> io::Result<usize> {
    while let Some(&(stop, kind)) = stops.front() {
        if stop > at {
            return Ok(stop - at);
        }
        stops.pop_front();
        if let Some(kind) = kind {
            return Err(kind.into());
        }
    }
    Ok(usize::MAX)
}

impl Read for Scripted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut script = self.script();
        let script = &mut *script;
        script.written_at_reads.push(script.output.len());
        script.largest_read = script.largest_read.max(buf.len());
        let room = run(script.read, &mut script.read_stops)?;
        let rest = &script.input[script.read..];
        let n = rest.len().min(buf.len()).min(room);
        buf[..n].copy_from_slice(&rest[..n]);
        script.read += n;
        match script.at_end {
            Some(kind) if n == 0 => Err(kind.into()),
            _ => Ok(n),
        }
    }
}

impl Write for Scripted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut script = self.script();
        let script = &mut *script;
        assert!(!script.panics_on_write, "the stream panics");
        assert!(!script.is_shut_down, "written after its end");
        script.largest_write = script.largest_write.max(buf.len());
        let room = run(script.output.len(), &mut script.write_stops)?;
        let n = buf.len().min(room);
        script.output.extend_from_slice(&buf[..n]);
        script.writes.push(n);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut script = self.script();
        match script.flush_errors.pop_front() {
            Some(kind) => Err(kind.into()),
            None => {
                script.flushes += 1;
                Ok(())
            }
        }
    }
}

impl Transport for Scripted {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.script().is_shut_down = true;
        Ok(())
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// A frame as a server sends it; `first` is its first byte.
pub fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, None)
}

/// A frame as a client sends it.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, Some(KEY))
}

fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let (mut head, mask_bit) = (vec![first], if key.is_some() { 0x80 } else { 0 });
    match payload.len() {
        len @ 0..=125 => head.push(mask_bit | len as u8),
        len @ 126..=0xffff => {
            head.push(mask_bit | 126);
            head.extend((len as u16).to_be_bytes());
        }
        len => {
            head.push(mask_bit | 127);
            head.extend((len as u64).to_be_bytes());
        }
    }
    head.extend(key.into_iter().flatten());
    let start = head.len();
    head.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut head[start..], key);
    }
    head
}

/// The frames in what was written: first byte and payload, unmasked. Panics if they are not whole frames.
pub fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (header, len) = FrameHeader::parse(rest).expect("a frame").expect("a whole header");
        let (first, payload_len) = (rest[0], header.payload_len as usize);
        let mut payload = rest.get(len..len + payload_len).expect("a whole payload").to_vec();
        if let Some(key) = header.masking_key {
            mask(&mut payload, key);
        }
        frames.push((first, payload));
        rest = &rest[len + payload_len..];
    }
    frames
}

/// The payload of a Close frame.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

pub fn server(stream: Scripted, config: Config) -> WebSocket<Scripted> {
    WebSocket::server(stream, config)
}

/// A client with masking keys that are always the same.
pub fn client(stream: Scripted, config: Config) -> WebSocket<Scripted> {
    WebSocket::resume(stream, Connection::client_with_keys(config, || KEY), &[])
}

/// Makes the call again as long as it would block.
pub fn persist<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..10_000 {
        match call() {
            Err(error) if error.is_would_block() => {}
            result => return result,
        }
    }
    panic!("it would block for ever");
}

/// The two ends of a TCP connection on loopback.
pub fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (server, _) = listener.accept().expect("a connection");
    // A test that goes wrong ends.
    for stream in [&client, &server] {
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    }
    client.set_nodelay(true).expect("no delay");
    server.set_nodelay(true).expect("no delay");
    (client, server)
}

/// A configuration with one change.
pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
