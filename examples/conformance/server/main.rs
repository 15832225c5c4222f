//! The server that conformance suites and load generators talk to: echoes text and binary on any path.
//!
//! ```text
//! cargo run --release --example conformance_server -- --addr 127.0.0.1:9001 --adapter blocking
//! cargo run --release --all-features --example conformance_server -- --adapter tokio --runtime-threads 4
//! ```
//!
//! Library defaults hold unless a flag says otherwise, but for the origin: any may connect; and for compression, which is
//! negotiated, for messages of any length, where it is built in. SIGINT and SIGTERM close
//! the open connections with 1001; the exit code is 0 then.

mod blocking;
#[cfg(feature = "deflate")]
#[path = "../deflate.rs"]
mod deflate;
#[cfg(feature = "futures")]
mod futures;
mod sans_io;
mod signals;
#[cfg(feature = "tokio")]
mod tokio;

use std::net::TcpListener;
use std::num::NonZeroUsize;
#[cfg(feature = "tokio")]
use std::path::PathBuf;
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
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only tokio has a runtime of its own"))]
    runtime_threads: NonZeroUsize,
    /// A certificate's chain and its key, PEM files, where there is to be TLS.
    #[cfg(feature = "tokio")]
    tls: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone, Copy)]
enum Adapter {
    Blocking,
    SansIo,
    #[cfg(feature = "tokio")]
    Tokio,
    #[cfg(feature = "futures")]
    Futures,
}

const USAGE: &str = "conformance_server [--addr HOST:PORT] [--adapter blocking|sans-io|tokio|futures] \
    [--max-message BYTES] [--max-fragments N] \
    [--no-deflate] [--deflate-level N] [--window-bits N] [--no-context-takeover] \
    [--tls CHAIN.pem KEY.pem (of tokio)] \
    [--runtime-threads N (of tokio; default 1, which is its current-thread runtime)]";

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
    #[cfg(feature = "tokio")]
    let (scheme, tls) = match &options.tls {
        Some((chain, key)) => ("wss", Some(tokio::tls(chain, key).map_err(|error| format!("no TLS: {error}"))?)),
        None => ("ws", None),
    };
    #[cfg(not(feature = "tokio"))]
    let scheme = "ws";
    println!("listening on {scheme}://{addr}");
    match options.adapter {
        Adapter::Blocking => blocking::serve(listener, options.config, options.handshake, stop),
        Adapter::SansIo => sans_io::serve(listener, options.config, options.handshake, stop),
        #[cfg(feature = "tokio")]
        Adapter::Tokio => {
            let threads = options.runtime_threads.get();
            tokio::serve(listener, options.config, options.handshake, stop, drain(), threads, tls)
        }
        #[cfg(feature = "futures")]
        Adapter::Futures => futures::serve(listener, options.config, options.handshake, stop, drain()),
    }
    .map_err(|error| error.to_string())
}

/// How the connections are closed at the end, where the adapter does it.
#[cfg(feature = "driver")]
fn drain() -> sockeye::driver::Drain {
    let mut drain = sockeye::driver::Drain::default();
    if let Ok(close) = sockeye::Close::new(sockeye::CloseCode::GOING_AWAY, "server is stopping") {
        drain.close = close;
    }
    drain.patience = std::time::Duration::from_secs(3);
    drain
}

fn adapter(name: &str) -> Result<Adapter, String> {
    match name {
        "blocking" => Ok(Adapter::Blocking),
        "sans-io" => Ok(Adapter::SansIo),
        #[cfg(feature = "tokio")]
        "tokio" => Ok(Adapter::Tokio),
        #[cfg(feature = "futures")]
        "futures" => Ok(Adapter::Futures),
        _ if ["tokio", "futures"].contains(&name) => Err(format!("built without the feature {name}")),
        _ => Err(format!("no adapter called {name:?}; usage: {USAGE}")),
    }
}

fn options() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut addr = "127.0.0.1:9001".to_string();
    let mut chosen = Adapter::Blocking;
    let mut runtime_threads = NonZeroUsize::MIN;
    let mut config = Config::default();
    let mut handshake = ServerConfig::default();
    #[cfg(feature = "deflate")]
    {
        handshake.deflate = Some(deflate::defaults());
    }
    #[cfg(feature = "tokio")]
    let mut tls = None;
    let mut parser = lexopt::Parser::from_env();
    let bad = |error: lexopt::Error| format!("{error}; usage: {USAGE}");
    while let Some(argument) = parser.next().map_err(bad)? {
        match argument {
            Long("addr") => addr = parser.value().and_then(|value| value.string()).map_err(bad)?,
            Long("adapter") => chosen = adapter(&parser.value().and_then(|value| value.string()).map_err(bad)?)?,
            Long("runtime-threads") => {
                runtime_threads = parser.value().and_then(|value| value.parse()).map_err(bad)?;
            }
            #[cfg(feature = "tokio")]
            Long("tls") => {
                let (chain, key) = (parser.value().map_err(bad)?, parser.value().map_err(bad)?);
                tls = Some((chain.into(), key.into()));
            }
            Long("max-message") => {
                config.max_message_size = parser.value().and_then(|value| value.parse()).map_err(bad)?;
                // A frame may be as long as a message, and no longer.
                config.max_frame_size = config.max_message_size as u64;
            }
            Long("max-fragments") => {
                config.max_fragments = parser.value().and_then(|value| value.parse()).map_err(bad)?;
            }
            #[cfg(feature = "deflate")]
            Long(option) if deflate::OPTIONS.contains(&option) => {
                let option = option.to_string();
                let value = || parser.value().and_then(|value| value.parse()).map_err(bad);
                deflate::set(&mut handshake.deflate, &option, value)?;
            }
            #[cfg(not(feature = "deflate"))]
            Long("no-deflate") => {}
            other => return Err(bad(other.unexpected())),
        }
    }
    handshake.origins = OriginPolicy::Any;
    Ok(Options {
        addr,
        adapter: chosen,
        config: Arc::new(config),
        handshake,
        runtime_threads,
        #[cfg(feature = "tokio")]
        tls,
    })
}
