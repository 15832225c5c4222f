//! The server that conformance suites and load generators talk to: echoes text and binary on any path.
//!
//! ```text
//! cargo run --release --example conformance_server -- --addr 127.0.0.1:9001 --adapter blocking
//! ```
//!
//! Library defaults hold unless a flag says otherwise, but for the origin: any may connect. SIGINT and SIGTERM close
//! the open connections with 1001; the exit code is 0 then.

mod blocking;
mod sans_io;
mod signals;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use sockeye::Config;
use sockeye::handshake::{OriginPolicy, ServerConfig};

/// What the command line says.
struct Options {
    addr: String,
    adapter: Adapter,
    config: Arc<Config>,
    handshake: ServerConfig,
}

#[derive(Clone, Copy)]
enum Adapter {
    Blocking,
    SansIo,
}

const USAGE: &str =
    "conformance_server --addr HOST:PORT --adapter blocking|sans-io [--max-message BYTES] [--max-fragments N]";

fn main() -> ExitCode {
    match options().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let listener =
        TcpListener::bind(&options.addr).map_err(|error| format!("cannot listen on {}: {error}", options.addr))?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    let stop = signals::install().map_err(|error| format!("cannot handle signals: {error}"))?;
    println!("listening on ws://{addr}");
    match options.adapter {
        Adapter::Blocking => blocking::serve(listener, options.config, options.handshake, stop),
        Adapter::SansIo => sans_io::serve(listener, options.config, options.handshake, stop),
    }
    .map_err(|error| error.to_string())
}

fn options() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut addr = "127.0.0.1:9001".to_string();
    let mut adapter = Adapter::Blocking;
    let mut config = Config::default();
    let mut parser = lexopt::Parser::from_env();
    let bad = |error: lexopt::Error| format!("{error}; usage: {USAGE}");
    while let Some(argument) = parser.next().map_err(bad)? {
        match argument {
            Long("addr") => addr = parser.value().and_then(|value| value.string()).map_err(bad)?,
            Long("adapter") => {
                adapter = match parser.value().and_then(|value| value.string()).map_err(bad)?.as_str() {
                    "blocking" => Adapter::Blocking,
                    "sans-io" => Adapter::SansIo,
                    other => return Err(format!("no adapter called {other:?}; usage: {USAGE}")),
                }
            }
            Long("max-message") => {
                config.max_message_size = parser.value().and_then(|value| value.parse()).map_err(bad)?;
                // A frame may be as long as a message, and no longer.
                config.max_frame_size = config.max_message_size as u64;
            }
            Long("max-fragments") => {
                config.max_fragments = parser.value().and_then(|value| value.parse()).map_err(bad)?;
            }
            other => return Err(bad(other.unexpected())),
        }
    }
    let mut handshake = ServerConfig::default();
    handshake.origins = OriginPolicy::Any;
    Ok(Options { addr, adapter, config: Arc::new(config), handshake })
}
