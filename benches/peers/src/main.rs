//! Measures other WebSocket libraries beside ours, on the same bytes, interleaved, and checked.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- compression [--json FILE]
//! ```

mod allocator;
mod compression;
mod libraries;

use std::process::ExitCode;

const USAGE: &str = "usage: compression [--json FILE]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    use lexopt::prelude::*;
    let (mut command, mut json) = (None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = Some(parser.value()?),
            Value(word) if command.is_none() => command = Some(word.string()?),
            other => return Err(format!("{}; {USAGE}", other.unexpected()).into()),
        }
    }
    let figures = match command.as_deref() {
        Some("compression") => compression::run()?,
        _ => return Err(USAGE.into()),
    };
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}
