//! The client that conformance suites talk to.
//!
//! ```text
//! cargo run --release --example conformance_client -- cases ws://127.0.0.1:9002 --adapter blocking --agent sockeye
//! cargo run --release --example conformance_client -- probe ws://127.0.0.1:9001 --adapter sans-io
//! cargo run --release --all-features --example conformance_client -- probe ws://127.0.0.1:9001 --adapter tokio
//! ```
//!
//! `cases` runs the loop of an Autobahn fuzzing server: it asks for the number of cases, echoes in each, and has the
//! reports written. `probe` sends one text message, prints the first message that it gets, and closes with 1000; any
//! refusal or violation is one line on stderr and exit code 1, within 15 seconds.

mod blocking;
#[cfg(feature = "futures")]
mod futures;
mod sans_io;
#[cfg(feature = "tokio")]
mod tokio;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sockeye::{Config, Message, WsUri};

type Error = Box<dyn std::error::Error>;

/// Connects, and echoes until the connection is closed.
type Echo = fn(&WsUri, &Setup) -> Result<(), Error>;

/// Connects, sends a message if there is one, receives one, and closes with 1000.
type Exchange = fn(&WsUri, &Setup, Option<&str>) -> Result<Message, Error>;

/// What connections are made with.
struct Setup {
    config: Arc<Config>,
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only tokio has a runtime of its own"))]
    runtime_threads: NonZeroUsize,
}

/// What every adapter can do.
struct Adapter {
    echo: Echo,
    exchange: Exchange,
}

const BLOCKING: Adapter = Adapter { echo: blocking::echo, exchange: blocking::exchange };
const SANS_IO: Adapter = Adapter { echo: sans_io::echo, exchange: sans_io::exchange };
#[cfg(feature = "tokio")]
const TOKIO: Adapter = Adapter { echo: tokio::echo, exchange: tokio::exchange };
#[cfg(feature = "futures")]
const FUTURES: Adapter = Adapter { echo: futures::echo, exchange: futures::exchange };

/// What the command line says.
struct Options {
    command: Command,
    url: String,
    adapter: &'static Adapter,
    agent: String,
    runtime_threads: NonZeroUsize,
}

enum Command {
    Cases,
    Probe,
}

const USAGE: &str = "conformance_client cases|probe URL [--adapter blocking|sans-io|tokio|futures] [--agent NAME] \
    [--runtime-threads N (of tokio; default 1, which is its current-thread runtime)]";

fn main() -> ExitCode {
    let result = options().and_then(|options| match options.command {
        Command::Cases => cases(&options),
        Command::Probe => probe(&options),
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
    let setup = Setup { config: Arc::new(config), runtime_threads: options.runtime_threads };
    let base = options.url.trim_end_matches('/');
    let agent = encode(&options.agent);

    let count = (options.adapter.exchange)(&format!("{base}/getCaseCount").parse()?, &setup, None)?;
    let count: u32 = count.as_text().unwrap_or_default().trim().parse()?;
    for case in 1..=count {
        let uri = format!("{base}/runCase?case={case}&agent={agent}").parse()?;
        // Most cases end in an error, as they should; the fuzzing server judges what it saw.
        let _ = (options.adapter.echo)(&uri, &setup);
    }
    let reports = format!("{base}/updateReports?agent={agent}").parse()?;
    // The server closes when they are written, without a message.
    let _ = (options.adapter.echo)(&reports, &setup);
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
    let setup = Setup { config: Arc::new(config), runtime_threads: options.runtime_threads };
    let message = (options.adapter.exchange)(&options.url.parse()?, &setup, Some("probe"))?;
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
    let mut runtime_threads = NonZeroUsize::MIN;
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
                    name if ["tokio", "futures"].contains(&name) => {
                        return Err(format!("built without the feature {name}").into());
                    }
                    other => return Err(usage(format!("no adapter called {other:?}"))),
                }
            }
            Long("runtime-threads") => runtime_threads = parser.value()?.parse()?,
            Long("agent") => agent = parser.value()?.string()?,
            Value(word) => words.push(word.string()?),
            other => return Err(usage(other.unexpected().to_string())),
        }
    }
    let [command, url]: [String; 2] =
        words.try_into().map_err(|_| usage("a command and a URL are needed".to_string()))?;
    let command = match command.as_str() {
        "cases" => Command::Cases,
        "probe" => Command::Probe,
        other => return Err(usage(format!("no command called {other:?}"))),
    };
    Ok(Options { command, url, adapter, agent, runtime_threads })
}

/// Percent-encodes what cannot stand in a query.
fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// How long a probe may take in all.
const PATIENCE: Duration = Duration::from_secs(14);
