//! Ten thousand connections on one machine: what each costs, how many messages a second go through them, and that the
//! memory does not grow as they do.
//!
//! The server is this process, the clients are a child of it, so that the memory of each is told apart. In each round every
//! client sends 1 KiB and gets it back. Between messages a connection holds no buffer, so what it costs is mostly tokio's
//! task and socket; what the system's kernel holds is not counted.
//!
//! ```sh
//! cargo run --release --example tokio_many_connections [-- --connections 10000 --rounds 100]
//! ```

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use sockeye::driver::Drain;
use sockeye::tokio::{Connector, Server, WebSocket};
use sockeye::{Close, Message};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// What each message carries.
const PAYLOAD: [u8; 1024] = [b'x'; 1024];

/// How many connections are opened at the same time.
const AT_A_TIME: usize = 200;

/// The server, which measures itself whenever the clients have got so far and hold still.
fn serve(wanted: usize, rounds: u32) -> Result<(), Box<dyn Error>> {
    let connections = wanted.min(descriptors(wanted));
    if connections < wanted {
        println!("only {connections} connections: there are no more file descriptors (ulimit -n)");
    }
    let runtime = Runtime::new()?;
    let server = runtime.block_on(Server::bind("127.0.0.1:0"))?;
    let (uri, handle) = (format!("ws://{}", server.local_addr()?), server.handle());
    let serving = runtime.spawn(server.run(|accepting, _| async {
        let mut socket = accepting.accept().await?;
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    }));

    let before = resident();
    let mut clients = Command::new(env::current_exe()?)
        .args(["--clients", &uri, "--connections", &connections.to_string(), "--rounds", &rounds.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut answers = clients.stdin.take().ok_or("the clients have no input")?;
    let mut reports = BufReader::new(clients.stdout.take().ok_or("the clients have no output")?).lines();
    let mut levels = Vec::new();
    for _ in 0..STAGES {
        let report = reports.next().ok_or("the clients have failed")??;
        match (before, resident()) {
            (Some(before), Some(now)) => {
                let each = now.saturating_sub(before) * 1024 / connections.max(1) as u64;
                println!("{report}; server: {each} bytes each");
                levels.push(now);
            }
            _ => println!("{report}"),
        }
        assert_eq!(handle.connections(), connections, "all are live");
        writeln!(answers)?;
    }
    if !clients.wait()?.success() {
        return Err("the clients have failed".into());
    }
    let drained = runtime.block_on(handle.shutdown(Drain::default()));
    runtime.block_on(serving)??;
    assert_eq!(drained.aborted, 0, "all have closed");

    if let [_, early, late] = levels[..] {
        println!("server in all: {early} KiB after a tenth of the rounds, {late} KiB after the last");
        // A page here or there is the allocator's.
        assert!(late <= early + early / 50 + 256, "the memory should not grow with the messages");
    }
    Ok(())
}

/// The clients: open, play a tenth of the rounds, play the rest.
async fn connect(uri: &str, connections: usize, rounds: u32) -> Result<(), Box<dyn Error>> {
    let before = resident();
    let report = |what: String| -> io::Result<()> {
        let each = before.zip(resident()).map(|(before, now)| now.saturating_sub(before) * 1024 / connections as u64);
        println!("{what}; clients: {} bytes each", each.unwrap_or(0));
        io::stdin().read_line(&mut String::new()).map(|_| ())
    };

    let started = Instant::now();
    let mut connector = Connector::default();
    connector.handshake.timeout = Some(Duration::from_secs(60));
    let (mut sockets, mut opening) = (Vec::with_capacity(connections), JoinSet::new());
    for _ in 0..connections {
        if opening.len() == AT_A_TIME {
            sockets.extend(opening.join_next().await.transpose()?.transpose()?);
        }
        let (connector, uri) = (connector.clone(), uri.to_owned());
        opening.spawn(async move { connector.connect(&uri).await });
    }
    for opened in opening.join_all().await {
        sockets.push(opened?);
    }
    report(format!("{connections} connections, opened in {:.1} s", started.elapsed().as_secs_f64()))?;

    let early = rounds.div_ceil(10);
    for (from, to) in [(0, early), (early, rounds)] {
        let started = Instant::now();
        for _ in from..to {
            round(&mut sockets).await?;
        }
        let messages = f64::from(to - from) * connections as f64 / started.elapsed().as_secs_f64();
        report(format!("rounds {} to {to}: {messages:.0} messages a second, each there and back", from + 1))?;
    }

    for socket in &mut sockets {
        socket.close(Close::normal()).await?;
    }
    for socket in &mut sockets {
        while socket.receive().await?.is_some() {}
    }
    Ok(())
}

/// One message on each connection, there and back.
async fn round(sockets: &mut [WebSocket<TcpStream>]) -> Result<(), Box<dyn Error>> {
    for socket in &mut *sockets {
        socket.send(&PAYLOAD).await?;
    }
    for socket in sockets {
        let message = socket.receive().await?.ok_or("closed by the server")?;
        assert_eq!(message, Message::from(&PAYLOAD[..]));
    }
    Ok(())
}

/// How many connections there are file descriptors for, after asking the system for more if need be.
#[cfg(unix)]
fn descriptors(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + SPARE;
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let has = limit.current.unwrap_or(u64::MAX);
    let has = match has < needed && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
        true => raised,
        false => has,
    };
    usize::try_from(has.saturating_sub(SPARE)).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn descriptors(wanted: usize) -> usize {
    wanted
}

/// The memory of this process that is in use, in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn run() -> Result<(), Box<dyn Error>> {
    use lexopt::prelude::*;
    let (mut connections, mut rounds, mut server) = (10_000, 100, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("connections") => connections = parser.value()?.parse()?,
            Long("rounds") => rounds = parser.value()?.parse()?,
            Long("clients") => server = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match server {
        None => serve(connections, rounds),
        Some(uri) => Builder::new_current_thread().enable_all().build()?.block_on(connect(&uri, connections, rounds)),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_many_connections: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How often the clients report and hold still.
const STAGES: usize = 3;

/// File descriptors that are not connections.
#[cfg(unix)]
const SPARE: u64 = 50;
