//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- compression
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use lexopt::prelude::*;
use sockeye_peers::{
    backends, broadcast, compression, curves, echo, handshake, instructions, libraries, machine, memory, receive,
    report, send, tcp,
};

const USAGE: &str = "\
usage: sockeye-peers COMMAND [--json FILE] [--only TEXT] [--rounds N]

commands:
  compression   permessage-deflate of the libraries: time, size on the wire, memory
  backends      what compresses in them, without a WebSocket around it
  all           all but backends; with --json, what `report` wants
  report FILE   draws FILE, which `all` wrote: RESULTS.md and charts in benches/
  receive       messages out of memory
  send          messages into memory
  broadcast     one message to many connections, in memory
  curves        a small message by the number of connections (wants valgrind)
  handshake     opening handshakes, in memory
  memory        heap of an idle connection
  instructions  instructions for each message, by valgrind's callgrind
  echo          a server of each library on TCP, beside Bun, ws on Node, and raw TCP
  scale         memory and time of these servers by the number of connections

options:
  --json FILE   writes the figures there, too
  --only TEXT   only the cells with this in their heading, such as 'JSON 1 KiB'
  --rounds N    how often each library has its turn in a cell; default 9, over TCP 3
  --seconds S   how long a round over TCP is; default 0.4
  --server TEXT only the servers with this in their names, over TCP
  --read N      the most bytes that a read gives; default 65536";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sockeye-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = Vec::new();
    let (mut json, mut only, mut rounds, mut read) = (None::<OsString>, String::new(), 9, 64 * 1024);
    let mut asked = echo::Asked::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = Some(parser.value()?),
            Long("only") => only = parser.value()?.string()?,
            Long("rounds") => {
                rounds = parser.value()?.parse()?;
                asked.rounds = rounds;
            }
            Long("seconds") => asked.seconds = parser.value()?.parse()?,
            Long("server") => asked.server = parser.value()?.string()?,
            Long("read") => read = parser.value()?.parse()?,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
        }
    }
    asked.only.clone_from(&only);
    let figures = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["compression"] => compression::run(&only, rounds)?,
        ["backends"] => backends::run(&only, rounds)?,
        ["receive"] => receive::run(&only, rounds, read)?,
        ["instructions"] => instructions::run(&only, read)?,
        ["send"] => send::run(&only, rounds)?,
        // What this program starts itself as.
        ["worker", name, job] => return libraries::compressing::work(name, job),
        ["broadcast"] => broadcast::run(&only, rounds)?,
        ["curves"] => curves::run(&only, rounds)?,
        ["tally", name, job] => return broadcast::tally(name, job),
        ["handshake"] => handshake::run(&only, rounds)?,
        ["memory"] => memory::run()?,
        ["echo"] => echo::run(&asked)?,
        ["scale"] => echo::scale::run(&asked)?,
        ["serve", name] => return tcp::serve(name),
        ["weigh", name] => return memory::work(name),
        ["all"] => {
            type Part<'a> = (&'a str, &'a dyn Fn() -> Result<serde_json::Value, Box<dyn Error>>);
            let parts: [Part<'_>; 10] = [
                ("receive", &|| receive::run(&only, rounds, read)),
                ("send", &|| send::run(&only, rounds)),
                ("broadcast", &|| broadcast::run(&only, rounds)),
                ("curves", &|| curves::run(&only, rounds)),
                ("handshake", &|| handshake::run(&only, rounds)),
                ("memory", &memory::run),
                ("instructions", &|| instructions::run(&only, read)),
                ("compression", &|| compression::run(&only, rounds)),
                ("echo", &|| echo::run(&asked)),
                ("scale", &|| echo::scale::run(&asked)),
            ];
            let mut figures = serde_json::json!({ "machine": machine::describe(rounds, read) });
            for (name, part) in parts {
                figures[name] = part()?;
                // After each, for all of them take half an hour.
                if let Some(file) = &json {
                    std::fs::write(file, serde_json::to_string_pretty(&figures)?)?;
                }
            }
            figures
        }
        ["report", file] => {
            let figures = serde_json::from_str(&std::fs::read_to_string(file)?)?;
            return report::run(&figures, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
        }
        ["once", name, job, count] => return instructions::work(name, job, count),
        ["work", name, job] => return libraries::serve(name, job),
        _ => return Err(USAGE.into()),
    };
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}
