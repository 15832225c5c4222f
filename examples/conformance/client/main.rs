//! The client that conformance suites talk to.
//!
//! ```text
//! cargo run --release --example conformance_client -- cases ws://127.0.0.1:9002 --adapter blocking --agent sockeye
//! cargo run --release --example conformance_client -- probe ws://127.0.0.1:9001 --adapter sans-io
//! cargo run --release --example conformance_client -- interop ws://127.0.0.1:9003 --agent "sockeye blocking"
//! cargo run --release --all-features --example conformance_client -- probe ws://127.0.0.1:9001 --adapter tokio
//! cargo run --release --all-features --example conformance_client -- probe wss://127.0.0.1:9001 --adapter client --ca ca.pem
//! ```
//!
//! `cases` runs the loop of an Autobahn fuzzing server: it asks for the number of cases, echoes in each, and has the
//! reports written. `probe` sends one text message, prints the first message that it gets, and closes with 1000; any
//! refusal or violation is one line on stderr and exit code 1, within 15 seconds. `interop` runs the cases of
//! `scripts/interop` against an echo server of another library: one line for each that failed, one that counts them, and
//! exit code 1 if there was any.
//!
//! Compression is offered, for messages of any length, where it is built in and no flag says otherwise.

mod blocking;
#[cfg(feature = "rustls")]
mod client;
#[cfg(feature = "deflate")]
#[path = "../deflate.rs"]
mod deflate;
#[cfg(feature = "futures")]
mod futures;
mod interop;
mod sans_io;
#[cfg(feature = "tokio")]
mod tokio;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sockeye::handshake::ClientRequest;
use sockeye::{Config, Message, WsUri};

type Error = Box<dyn std::error::Error>;

/// Connects, and echoes until the connection is closed.
type Echo = fn(&WsUri, Arc<Config>) -> Result<(), Error>;

/// Connects, sends a message if there is one, receives one, and closes with 1000.
type Exchange = fn(&WsUri, Arc<Config>, Option<&str>) -> Result<Message, Error>;

/// Connects, and leaves the rest to the caller.
type Open = fn(&WsUri, ClientRequest, Arc<Config>) -> Result<Box<dyn interop::Socket>, Error>;

/// What every adapter can do.
struct Adapter {
    echo: Echo,
    exchange: Exchange,
    open: Open,
}

const BLOCKING: Adapter = Adapter { echo: blocking::echo, exchange: blocking::exchange, open: blocking::open };
const SANS_IO: Adapter = Adapter { echo: sans_io::echo, exchange: sans_io::exchange, open: sans_io::open };
#[cfg(feature = "tokio")]
const TOKIO: Adapter = Adapter { echo: tokio::echo, exchange: tokio::exchange, open: tokio::open };
#[cfg(feature = "rustls")]
const CLIENT: Adapter = Adapter { echo: client::echo, exchange: client::exchange, open: client::open };
#[cfg(feature = "futures")]
const FUTURES: Adapter = Adapter { echo: futures::echo, exchange: futures::exchange, open: futures::open };

/// What the command line says.
struct Options {
    command: Command,
    url: String,
    adapter: &'static Adapter,
    agent: String,
}

enum Command {
    Cases,
    Probe,
    Interop,
}

const USAGE: &str = "conformance_client cases|probe|interop URL [--adapter blocking|sans-io|tokio|futures|client] \
    [--ca FILE (of client; the URL is wss:// then)] [--agent NAME] [--no-deflate] [--deflate-level N] [--window-bits N] [--no-context-takeover] [--runtime-threads N (of tokio; default 1, which is its current-thread runtime)]";

fn main() -> ExitCode {
    let result = options().and_then(|options| match options.command {
        Command::Cases => cases(&options),
        Command::Probe => probe(&options),
        Command::Interop => interop::run(options.adapter.open, &options.url, &options.agent),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Says what is wrong, in one line.
fn fail(error: &str) -> ExitCode {
    let line: String = error.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    eprintln!("conformance_client: {line}");
    ExitCode::FAILURE
}

/// Runs every case of an Autobahn fuzzing server.
fn cases(options: &Options) -> Result<(), Error> {
    let mut config = Config::default();
    config.max_message_size = 32 * 1024 * 1024;
    config.max_frame_size = 32 * 1024 * 1024;
    config.max_fragments = 100_000;
    // A server that is broken ends a case, and does not stop the loop.
    config.idle_timeout = Some(Duration::from_secs(60));
    config.lifetime = Some(Duration::from_secs(300));
    let config = Arc::new(config);
    let base = options.url.trim_end_matches('/');
    let agent = encode(&options.agent);

    let count = (options.adapter.exchange)(&format!("{base}/getCaseCount").parse()?, config.clone(), None)?;
    let count: u32 = count.as_text().unwrap_or_default().trim().parse()?;
    for case in 1..=count {
        let uri = format!("{base}/runCase?case={case}&agent={agent}").parse()?;
        // Most cases end in an error, as they should; the fuzzing server judges what it saw.
        let _ = (options.adapter.echo)(&uri, config.clone());
    }
    let reports = format!("{base}/updateReports?agent={agent}").parse()?;
    // The server closes when they are written, without a message.
    let _ = (options.adapter.echo)(&reports, config);
    println!("ran {count} cases");
    Ok(())
}

/// Tries a server out.
fn probe(options: &Options) -> Result<(), Error> {
    // Whatever the server does, there is an answer within 15 seconds.
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        fail("the server took too long");
        std::process::exit(1);
    });
    let mut config = Config::default();
    config.close_timeout = Some(Duration::from_secs(5));
    let message = (options.adapter.exchange)(&options.url.parse()?, Arc::new(config), Some("probe"))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(message.as_ref().payload())?;
    writeln!(stdout)?;
    Ok(())
}

fn options() -> Result<Options, Error> {
    use lexopt::prelude::*;
    let usage = |what: String| Error::from(format!("{what}; usage: {USAGE}"));
    let mut words = Vec::new();
    let mut adapter = &BLOCKING;
    let mut agent = "sockeye".to_string();
    #[cfg(feature = "deflate")]
    let mut deflate = Some(deflate::defaults());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(|error| usage(error.to_string()))? {
        match argument {
            Long("adapter") => {
                adapter = match parser.value()?.string()?.as_str() {
                    "blocking" => &BLOCKING,
                    "sans-io" => &SANS_IO,
                    #[cfg(feature = "tokio")]
                    "tokio" => &TOKIO,
                    #[cfg(feature = "futures")]
                    "futures" => &FUTURES,
                    #[cfg(feature = "rustls")]
                    "client" => &CLIENT,
                    name if ["tokio", "futures", "client"].contains(&name) => {
                        return Err(format!("built without the feature {name}").into());
                    }
                    other => return Err(usage(format!("no adapter called {other:?}"))),
                }
            }
            Long("runtime-threads") => {
                let _threads: NonZeroUsize = parser.value()?.parse()?;
                #[cfg(feature = "tokio")]
                let _ = tokio::THREADS.set(_threads);
            }
            #[cfg(feature = "rustls")]
            Long("ca") => {
                let _ = client::CA.set(parser.value()?.into());
            }
            Long("agent") => agent = parser.value()?.string()?,
            #[cfg(feature = "deflate")]
            Long(option) if deflate::OPTIONS.contains(&option) => {
                let option = option.to_string();
                let value = || parser.value().and_then(|value| value.parse()).map_err(|error| error.to_string());
                deflate::set(&mut deflate, &option, value)?;
            }
            #[cfg(not(feature = "deflate"))]
            Long("no-deflate") => {}
            Value(word) => words.push(word.string()?),
            other => return Err(usage(other.unexpected().to_string())),
        }
    }
    #[cfg(feature = "deflate")]
    let _ = DEFLATE.set(deflate);
    let [command, url]: [String; 2] =
        words.try_into().map_err(|_| usage("a command and a URL are needed".to_string()))?;
    // The adapters know `ws` alone; the one that can do more knows by its CA that it should.
    #[cfg(feature = "rustls")]
    let url = match (url.strip_prefix("wss:"), client::CA.get()) {
        (Some(rest), Some(_)) => format!("ws:{rest}"),
        _ => url,
    };
    let command = match command.as_str() {
        "cases" => Command::Cases,
        "probe" => Command::Probe,
        "interop" => Command::Interop,
        other => return Err(usage(format!("no command called {other:?}"))),
    };
    Ok(Options { command, url, adapter, agent })
}

/// What the command line says about compression.
#[cfg(feature = "deflate")]
static DEFLATE: std::sync::OnceLock<Option<sockeye::deflate::Deflate>> = std::sync::OnceLock::new();

/// Whether requests offer compression.
fn offers_compression() -> bool {
    #[cfg(feature = "deflate")]
    return matches!(DEFLATE.get(), Some(Some(_)));
    #[cfg(not(feature = "deflate"))]
    false
}

/// A request as the command line wants it.
fn request(uri: &WsUri) -> Result<ClientRequest, Error> {
    let request = uri.request()?;
    #[cfg(feature = "deflate")]
    if let Some(Some(deflate)) = DEFLATE.get() {
        return Ok(request.deflate(deflate.clone()));
    }
    Ok(request)
}

/// Percent-encodes what cannot stand in a query.
fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// How long a probe may take in all.
const PATIENCE: Duration = Duration::from_secs(14);
