//! One message of any size in flat memory: a file goes out in fragments as it is read, and is hashed chunk by chunk as
//! it arrives. Neither side ever holds more of it than a buffer.
//!
//! ```sh
//! cargo run --release --example streaming               # 256 MiB of made-up bytes
//! cargo run --release --example streaming -- FILE       # or a file
//! cargo run --release --example streaming -- --mib 10000
//! ```

use core::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::{env, thread};

use sha1::{Digest, Sha1};
use sockeye::blocking::{Acceptor, connect};
use sockeye::{Close, Config, Fin, Payload};

/// What was sent in one fragment, and so what the sender holds of the message.
const FRAGMENT: usize = 64 * 1024;

/// What one side saw of the message.
struct Sum {
    bytes: u64,
    sha1: Sha1,
    pieces: u64,
}

impl Sum {
    fn new() -> Self {
        Self { bytes: 0, sha1: Sha1::new(), pieces: 0 }
    }

    fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.sha1.update(piece);
        self.pieces += 1;
    }

    fn hex(&self) -> String {
        self.sha1.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The client: reads a piece, sends it as a fragment, and so on to the end, wherever that may be.
fn upload(uri: &str, mut source: impl Read) -> Result<Sum, Box<dyn Error + Send + Sync>> {
    let mut socket = connect(uri)?;
    let (mut sum, mut buffer) = (Sum::new(), vec![0; FRAGMENT]);
    loop {
        let len = source.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        sum.add(&buffer[..len]);
        socket.send_fragment(&buffer[..len], Fin::More)?;
    }
    socket.send_fragment(b"", Fin::Last)?;
    socket.close(Close::normal())?;
    while socket.receive()?.is_some() {}
    Ok(sum)
}

/// The server: takes the message as it arrives. No limit on messages applies, for none is put together.
fn download(stream: TcpStream) -> Result<Sum, Box<dyn Error + Send + Sync>> {
    let mut config = Config::default();
    config.max_frame_size = FRAGMENT as u64; // the sender's fragments are no longer, so nothing longer is let in
    config.max_fragments = u32::MAX; // but it may send very many
    let mut acceptor = Acceptor::default();
    acceptor.config = config.into();

    let mut socket = acceptor.accept(stream)?;
    let mut sum = Sum::new();
    while let Some(chunk) = socket.receive_chunk()? {
        match chunk.payload() {
            Payload::Binary(bytes) => sum.add(bytes),
            Payload::Text { .. } | Payload::Encoded { .. } => return Err("the message is not binary".into()),
        }
    }
    Ok(sum)
}

/// Numbers from a small generator, so that a byte lost or out of place is noticed.
struct MadeUp(u64);

impl Read for MadeUp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for word in buffer.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&self.0.to_be_bytes()[..word.len()]);
        }
        Ok(buffer.len())
    }
}

/// The most memory that this process ever had, where the system tells.
fn peak_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024))
}

fn run(source: impl Read) -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let uri = format!("ws://{}/", listener.local_addr()?);
    let server = thread::spawn(move || download(listener.accept()?.0));
    let before = peak_memory();
    let sent = upload(&uri, source)?;
    let received = server.join().map_err(|_| "the server panicked")??;

    println!("sent      {:>14} bytes in {:>8} fragments   sha1 {}", sent.bytes, sent.pieces, sent.hex());
    println!("received  {:>14} bytes in {:>8} chunks      sha1 {}", received.bytes, received.pieces, received.hex());
    if (sent.bytes, sent.hex()) != (received.bytes, received.hex()) {
        return Err("what was received is not what was sent".into());
    }
    println!("equal: one message, however long");
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        println!("peak memory of both sides together: {after} (before: {before})");
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let outcome = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(MadeUp(1).take(256 << 20)),
        ["--mib", number] => match number.parse::<u32>() {
            Ok(mib) => run(MadeUp(1).take(u64::from(mib) << 20)),
            Err(_) => return fail(&format!("--mib takes a number, not {number:?}")),
        },
        [path] if !path.starts_with('-') => match File::open(path) {
            Ok(file) => run(file),
            Err(error) => return fail(&format!("cannot open {path}: {error}")),
        },
        _ => return fail("usage: streaming [FILE | --mib NUMBER]"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("streaming: {why}");
    ExitCode::FAILURE
}
