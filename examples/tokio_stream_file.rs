//! A file of any size through a connection and back, in flat memory: a message is an `AsyncWrite` while it is sent and an
//! `AsyncRead` while it is received, so `tokio::io::copy` does the rest. The server sends the message back while it still
//! arrives. Where one of the four ends is slow, all wait.
//!
//! ```sh
//! cargo run --release --example tokio_stream_file             # 256 MiB of made-up bytes
//! cargo run --release --example tokio_stream_file -- FILE     # or a file
//! cargo run --release --example tokio_stream_file -- --mib 10000
//! ```

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use sha1::{Digest, Sha1};
use sockeye::tokio::{Acceptor, Connector};
use sockeye::{Close, Config, MessageKind};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, copy, copy_buf};
use tokio::net::{TcpListener, TcpStream};

/// How much is read of the file at a time.
const BUFFER: usize = 64 * 1024;

/// The server: what comes in goes out again, message by message, each in one piece of unknown length.
async fn echo(stream: TcpStream, config: Config) -> Result<(), Box<dyn Error>> {
    let mut acceptor = Acceptor::default();
    acceptor.config = config.into();
    let (mut receiver, sender) = acceptor.accept(stream).await?.split();
    while let Some(mut reader) = receiver.receive_reader().await? {
        let mut writer = sender.writer(reader.kind()).await?;
        copy(&mut reader, &mut writer).await?;
        writer.finish().await?;
    }
    Ok(())
}

/// The client: sends the file as one message, and returns the hash of what comes back meanwhile.
async fn send(file: impl AsyncRead + Unpin, uri: &str, config: Config) -> Result<Sum, Box<dyn Error>> {
    let mut connector = Connector::default();
    connector.config = config.into();
    let (mut receiver, sender) = connector.connect(uri).await?.split();
    let sending = async {
        let mut writer = sender.writer(MessageKind::Binary).await?;
        copy_buf(&mut BufReader::with_capacity(BUFFER, file), &mut writer).await?;
        writer.finish().await?;
        sender.close(Close::normal()).await?;
        Ok(())
    };
    let receiving = async {
        let reader = receiver.receive_reader().await?.ok_or("the server closed without an answer")?;
        let sum = Sum::of(reader).await?;
        while receiver.receive().await?.is_some() {} // until the server has closed, too
        Ok(sum)
    };
    Ok(tokio::try_join!(sending, receiving).map_err(|error: Box<dyn Error>| error)?.1)
}

/// What a message or a file comes to.
#[derive(PartialEq)]
struct Sum {
    bytes: u64,
    sha1: String,
}

impl Sum {
    async fn of(mut source: impl AsyncRead + Unpin) -> io::Result<Self> {
        let (mut buffer, mut bytes, mut sha1) = (vec![0; BUFFER], 0, Sha1::new());
        loop {
            let len = source.read(&mut buffer).await?;
            if len == 0 {
                return Ok(Self { bytes, sha1: sha1.finalize().iter().map(|byte| format!("{byte:02x}")).collect() });
            }
            bytes += len as u64;
            sha1.update(&buffer[..len]);
        }
    }
}

async fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.max_fragments = u32::MAX; // a message of any size comes in any number of fragments
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("ws://{}/", listener.local_addr()?);
    let original = Sum::of(File::open(path).await?).await?;

    let before = peak_memory();
    let server = async { echo(listener.accept().await?.0, config.clone()).await };
    let client = send(File::open(path).await?, &uri, config.clone());
    let ((), returned) = tokio::try_join!(server, client)?;
    println!("sent      {:>14} bytes   sha1 {}", original.bytes, original.sha1);
    println!("returned  {:>14} bytes   sha1 {}", returned.bytes, returned.sha1);
    if returned != original {
        return Err("what came back is not what was sent".into());
    }
    println!("equal: one message each way, however long");
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        println!("peak memory of both sides together: {after} KiB (before: {before} KiB)");
        if after > before + 4 * 1024 {
            return Err("the memory should not have grown with the message".into());
        }
    }
    Ok(())
}

/// Runs with a file of made-up bytes, which is removed in the end.
async fn run_made_up(mib: u64) -> Result<(), Box<dyn Error>> {
    let path = env::temp_dir().join(format!("sockeye-stream-{}", std::process::id()));
    let written = fs::File::create(&path).and_then(|mut file| io::copy(&mut MadeUp(1).take(mib << 20), &mut file));
    let result = match written {
        Ok(_) => run(&path).await,
        Err(error) => Err(error.into()),
    };
    let _ = fs::remove_file(&path);
    result
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

/// The most memory that this process ever had, in KiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let outcome = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run_made_up(256).await,
        ["--mib", number] => match number.parse::<u32>() {
            Ok(mib) => run_made_up(mib.into()).await,
            Err(_) => return fail(&format!("--mib takes a number, not {number:?}")),
        },
        [path] if !path.starts_with('-') => run(Path::new(path)).await,
        _ => return fail("usage: tokio_stream_file [FILE | --mib NUMBER]"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("tokio_stream_file: {why}");
    ExitCode::FAILURE
}
