//! What went over the wire, recorded at the sockets.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sockeye::blocking::Transport;
use sockeye::{FrameHeader, OpCode};

/// One of the two that talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Client,
    Server,
}

/// A recording of everything that both parties write, and of how much they read.
pub(crate) struct Tape {
    started: Instant,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    writes: Vec<(Duration, Party, Vec<u8>)>,
    read_by_client: u64,
    read_by_server: u64,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), record: Mutex::default() }
    }

    /// How many bytes that party has written. The other one must have read them all.
    pub(crate) fn written(&self, by: Party) -> u64 {
        let record = self.record();
        let written = record.writes.iter().filter(|write| write.1 == by).map(|write| write.2.len() as u64).sum();
        let read = match by {
            Party::Client => record.read_by_server,
            Party::Server => record.read_by_client,
        };
        assert_eq!(written, read, "what was written at one socket was read at the other");
        written
    }

    /// The head of that party's handshake: what it wrote first.
    pub(crate) fn head(&self, of: Party) -> String {
        let record = self.record();
        let write = record.writes.iter().find(|write| write.1 == of);
        write.map(|write| String::from_utf8_lossy(&write.2).into_owned()).unwrap_or_default()
    }

    /// The frames that both have written, by time. Here each write holds whole frames, after the two handshakes' heads.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut writes = self.record().writes.clone();
        writes.sort_by_key(|write| write.0);
        let mut frames = Vec::new();
        for (at, from, mut bytes) in writes.into_iter().filter(|write| !write.2.ends_with(b"\r\n\r\n")) {
            while let Ok(Some((header, header_len))) = FrameHeader::parse(&bytes) {
                let mut payload = bytes.split_off(header_len);
                bytes = payload.split_off(usize::try_from(header.payload_len).expect("frames are short here"));
                if let Some(key) = header.masking_key {
                    sockeye::mask(&mut payload, key);
                }
                frames.push(Frame { at, from, header, header_len, payload });
            }
            assert!(bytes.is_empty(), "a write holds whole frames");
        }
        frames
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame as it went over the wire, its payload unmasked.
pub(crate) struct Frame {
    pub(crate) at: Duration,
    pub(crate) from: Party,
    pub(crate) header: FrameHeader,
    pub(crate) header_len: usize,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn wire_len(&self) -> u64 {
        (self.header_len + self.payload.len()) as u64
    }

    /// What the frame is, in a few words.
    pub(crate) fn label(&self) -> String {
        let payload = String::from_utf8_lossy(&self.payload);
        match (self.header.opcode, self.header.fin, &self.payload[..]) {
            (OpCode::Text, true, _) => format!("\"{payload}\""),
            (OpCode::Text, false, _) => format!("\"{payload}…"),
            (OpCode::Continuation, false, _) => format!("…{payload}…"),
            (OpCode::Continuation, true, _) => format!("…{payload}\""),
            (OpCode::Binary, _, bytes) => format!("{} bytes", bytes.len()),
            (OpCode::Ping, ..) => "ping".into(),
            (OpCode::Pong, ..) => "pong".into(),
            (OpCode::Close, _, [high, low, reason @ ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                format!("Close {code} {}", String::from_utf8_lossy(reason)).trim_end().into()
            }
            (OpCode::Close, ..) => "Close".into(),
        }
    }
}

/// A TCP stream that records what goes through it.
pub(crate) struct Tap<'t> {
    stream: TcpStream,
    party: Party,
    tape: &'t Tape,
}

impl<'t> Tap<'t> {
    pub(crate) fn new(stream: TcpStream, party: Party, tape: &'t Tape) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, party, tape })
    }

    /// How long a read may wait.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(patience)
    }
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(buffer)?;
        let mut record = self.tape.record();
        match self.party {
            Party::Client => record.read_by_client += len as u64,
            Party::Server => record.read_by_server += len as u64,
        }
        Ok(len)
    }
}

impl Write for Tap<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let at = self.tape.started.elapsed();
        let len = self.stream.write(buffer)?;
        self.tape.record().writes.push((at, self.party, buffer[..len].to_vec()));
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The adapter asks for more than reading and writing, so that it can keep deadlines.
impl Transport for Tap<'_> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.stream.set_read_timeout(timeout).map(|()| true)
    }

    fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.stream.read_timeout()
    }
}
