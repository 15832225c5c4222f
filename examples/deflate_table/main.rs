//! What compression gives and what it costs, for each of its settings, on traffic of your own.
//!
//! ```sh
//! cargo run --release --features deflate --example deflate_table [FILE...]
//!     [-- --level 1 --window 12 --memory 5 --runs 5]
//! ```
//!
//! A FILE has a message on each line, as one connection sends them; without one, three feeds of JSON are made up. Times are
//! medians of the runs, in microseconds a message. *Cold* is a connection whose compressor others had since its last
//! message: 64 connections take turns, and there are fewer compressors. The ratio is bytes on the wire, headers among them, to
//! bytes of the messages.

#[path = "../../tests/common/allocator.rs"]
mod allocator;
mod sample;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use sockeye::deflate::{Context, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, Config, Connection, Received, Role, Rsv};

use crate::allocator::{held, measure};
use crate::sample::Sample;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// One row of a table.
#[derive(Clone, Copy)]
struct Settings {
    level: Level,
    memory_level: MemoryLevel,
    window_bits: WindowBits,
}

/// Two ends of a connection, of which one sends and the other receives.
struct Pair {
    server: Connection,
    client: Connection,
    assembler: Assembler,
}

impl Pair {
    /// A pair that compresses, or does not.
    fn new(deflate: Option<(Settings, Context)>) -> Result<Self, Box<dyn Error>> {
        let mut server = Connection::server(Config::default());
        let mut client = Connection::client_with_keys(Config::default(), || [0; 4]);
        let mut assembler = client.assembler();
        if let Some((settings, context)) = deflate {
            let mut deflate = Deflate::default();
            deflate.level = settings.level;
            deflate.memory_level = settings.memory_level;
            deflate.window_bits = settings.window_bits;
            deflate.threshold = 0;
            let context = match context {
                Context::Takeover => "",
                Context::NoTakeover => "; server_no_context_takeover",
            };
            let answer = format!("permessage-deflate; server_max_window_bits={}{context}", settings.window_bits);
            let answer = Extensions::parse(&answer).next().ok_or("no extension")??;
            server.extend(Rsv::RSV1, deflate.agreed(Role::Server, &answer)?.encoder());
            let agreement = deflate.agreed(Role::Client, &answer)?;
            client.extend(Rsv::RSV1, agreement.encoder());
            assembler.extend(agreement.decoder());
        }
        Ok(Self { server, client, assembler })
    }

    fn send(&mut self, message: &str, wire: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
        Ok(self.server.send_text(message, wire)?)
    }

    /// Receives one message; how long it is.
    fn receive(&mut self, mut wire: &mut [u8]) -> Result<usize, Box<dyn Error>> {
        match self.client.receive_message(&mut wire, &mut self.assembler, &mut Vec::new())? {
            Some(Received::Message(message)) => Ok(message.payload().len()),
            other => Err(format!("not a message: {other:?}").into()),
        }
    }
}

/// What was measured of one setting: the ratio, and times in microseconds a message.
struct Figures {
    ratio: f64,
    deflate: [f64; 2],
    inflate: [f64; 2],
}

impl Figures {
    fn measure(messages: &[String], deflate: Option<(Settings, Context)>, runs: usize) -> Result<Self, Box<dyn Error>> {
        let mut wire = Vec::new();
        let mut warm = [Pair::new(deflate)?];
        let ratio = pass(&mut warm, messages, messages.len(), &mut wire)?.ratio;
        let mut cold = (0..CONNECTIONS).map(|_| Pair::new(deflate)).collect::<Result<Vec<_>, _>>()?;
        let rounds = messages.len().div_ceil(CONNECTIONS / 4);
        pass(&mut cold, messages, rounds, &mut wire)?;

        let (mut warms, mut colds) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            warms.push(pass(&mut warm, messages, messages.len(), &mut wire)?);
            colds.push(pass(&mut cold, messages, rounds, &mut wire)?);
        }
        let deflate = [&warms, &colds].map(|passes| median(passes.iter().map(|pass| pass.deflate)));
        let inflate = [&warms, &colds].map(|passes| median(passes.iter().map(|pass| pass.inflate)));
        Ok(Self { ratio, deflate, inflate })
    }

    fn columns(&self) -> String {
        let ([deflate, cold_deflate], [inflate, cold_inflate]) = (self.deflate, self.inflate);
        format!("{:7.3}{deflate:9.2}{cold_deflate:9.2}{inflate:9.2}{cold_inflate:9.2}", self.ratio)
    }
}

/// Once through the messages.
struct Pass {
    ratio: f64,
    deflate: f64,
    inflate: f64,
}

/// Lets the connections take turns, each from another place in the messages on.
fn pass(pairs: &mut [Pair], messages: &[String], rounds: usize, wire: &mut Vec<u8>) -> Result<Pass, Box<dyn Error>> {
    let count = pairs.len();
    let turns = || (0..rounds).flat_map(|round| (0..count).map(move |at| (at, at * messages.len() / count + round)));
    wire.clear();
    let (mut ends, mut bytes) = (Vec::with_capacity(rounds * count), 0);
    let started = Instant::now();
    for (at, message) in turns() {
        pairs[at].send(&messages[message % messages.len()], wire)?;
        ends.push(wire.len());
    }
    let deflate = started.elapsed();
    let (mut rest, mut start) = (&mut wire[..], 0);
    let started = Instant::now();
    for ((at, _), end) in turns().zip(&ends) {
        let (frame, after) = rest.split_at_mut(end - start);
        bytes += pairs[at].receive(frame)?;
        (rest, start) = (after, *end);
    }
    let inflate = started.elapsed();
    let sent: usize = turns().map(|(_, message)| messages[message % messages.len()].len()).sum();
    assert_eq!(bytes, sent, "all was received");
    let each = |time: Duration| time.as_secs_f64() * 1e6 / ends.len() as f64;
    Ok(Pass { ratio: start as f64 / bytes.max(1) as f64, deflate: each(deflate), inflate: each(inflate) })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Bytes that a setting takes.
struct Memory {
    /// In a connection between two messages, for what it sends and for what it receives.
    sent: i64,
    received: i64,
    /// Of what is in the pool.
    compressor: i64,
    decompressor: i64,
}

impl Memory {
    /// Has to be asked before anything else is done with a setting: later, the pool has what it needs.
    fn measure(settings: Settings, context: Context) -> Result<Self, Box<dyn Error>> {
        let mut wire = Vec::with_capacity(1 << 20);
        let mut pair = Pair::new(Some((settings, context)))?;
        let (sent, first) = measure(|| pair.send("1", &mut wire));
        sent?;
        let (received, second) = measure(|| pair.receive(&mut wire));
        received?;
        let random = sample::small(1 << 16, 1);
        wire.clear();
        pair.send(&random[0], &mut wire)?;
        pair.receive(&mut wire)?;
        pair.assembler.release();

        let plain = Pair::new(None)?;
        let server = freed(move || drop(plain.server));
        let assembler = freed(move || drop(plain.assembler));
        Ok(Self {
            sent: freed(move || drop(pair.server)) - server,
            received: freed(move || drop(pair.assembler)) - assembler,
            compressor: first.peak,
            decompressor: second.peak,
        })
    }
}

/// How many bytes that gives back.
fn freed(drop: impl FnOnce()) -> i64 {
    let before = held();
    drop();
    before - held()
}

fn print_memory(level: Level) -> Result<(), Box<dyn Error>> {
    println!("\nMemory at level {level}, in bytes\n");
    println!("        a connection between two messages    a compressor in the pool, by memory level");
    println!("window  for what it sends    it receives {}", MEMORY_LEVELS.map(|level| format!("{level:9}")).concat());
    let mut decompressor = 0;
    for window_bits in windows() {
        let mut line = String::new();
        let mut kept = [0; 2];
        for memory_level in memory_levels() {
            let memory = Memory::measure(Settings { level, memory_level, window_bits }, Context::Takeover)?;
            line += &format!("{:9}", memory.compressor);
            kept = [memory.sent, memory.received];
            decompressor = decompressor.max(memory.decompressor);
        }
        println!("{window_bits:6}{:19}{:15} {line}", kept[0], kept[1]);
    }
    let settings = Settings { level, memory_level: MemoryLevel::MIN, window_bits: WindowBits::MAX };
    let without = Memory::measure(settings, Context::NoTakeover)?;
    println!("without{:18}{:15}", without.sent, without.received);
    println!(
        "\nA decompressor in the pool: {decompressor}, and what it looks back on, {} at most",
        WindowBits::MAX.size()
    );
    Ok(())
}

fn print_table(
    what: &str,
    messages: &[String],
    rows: impl Iterator<Item = (String, Settings)>,
    runs: usize,
) -> Result<(), Box<dyn Error>> {
    println!("{:14}with context                               without context", "");
    let columns = "  ratio  deflate     cold  inflate     cold";
    println!("{what}{columns}{columns}");
    for (name, settings) in rows {
        let with = Figures::measure(messages, Some((settings, Context::Takeover)), runs)?.columns();
        let without = Figures::measure(messages, Some((settings, Context::NoTakeover)), runs)?.columns();
        println!("{name:>13}{with}{without}");
    }
    Ok(())
}

fn print_sample(sample: &Sample, chosen: Settings, runs: usize) -> Result<(), Box<dyn Error>> {
    let Sample { name, messages } = sample;
    let lens = || messages.iter().map(String::len);
    let mean = lens().sum::<usize>() / messages.len().max(1);
    println!(
        "\n{name}: {} messages of {} to {} bytes, {mean} on average",
        messages.len(),
        lens().min().unwrap_or(0),
        lens().max().unwrap_or(0)
    );
    let plain = Figures::measure(messages, None, runs)?;
    let ([send, _], [receive, _]) = (plain.deflate, plain.inflate);
    println!("not compressed: {:.3}, {send:.2} to send, {receive:.2} to receive", plain.ratio);

    println!("\nBy window and memory level, at level {}\n", chosen.level);
    let rows = windows().flat_map(|window_bits| memory_levels().map(move |memory_level| (window_bits, memory_level)));
    let rows = rows.map(|(window_bits, memory_level)| {
        (format!("{window_bits:6}{memory_level:7}"), Settings { window_bits, memory_level, ..chosen })
    });
    print_table("window memory", messages, rows, runs)?;

    println!("\nBy level, with window {} and memory level {}\n", chosen.window_bits, chosen.memory_level);
    let levels = (0..=9).filter_map(Level::new);
    let rows = levels.map(|level| (level.to_string(), Settings { level, ..chosen }));
    print_table("        level", messages, rows, runs)
}

fn print_thresholds(samples: &[Sample], chosen: Settings, runs: usize) -> Result<(), Box<dyn Error>> {
    let Settings { level, memory_level, window_bits } = chosen;
    println!("\nBy length, at level {level} with window {window_bits} and memory level {memory_level}");
    let made = [Sample { name: "small messages".into(), messages: Vec::new() }];
    for Sample { name, messages } in if samples.is_empty() { &made } else { samples } {
        println!("\n{name}{}\n", if samples.is_empty() { "" } else { ", cut short" });
        let lens = [16, 32, 64, 128, 256, 512];
        let cut = |len| match samples.is_empty() {
            true => sample::small(len, 1000),
            false => messages.iter().map(|message| cut_short(message, len).to_owned()).collect(),
        };
        println!("{:14}not compressed            with context                               without context", "");
        let columns = "  ratio  deflate     cold  inflate     cold";
        println!("       length  ratio     send  receive{columns}{columns}");
        for len in lens {
            let messages: Vec<String> = cut(len);
            let plain = Figures::measure(&messages, None, runs)?;
            let with = Figures::measure(&messages, Some((chosen, Context::Takeover)), runs)?.columns();
            let without = Figures::measure(&messages, Some((chosen, Context::NoTakeover)), runs)?.columns();
            let ([send, _], [receive, _]) = (plain.deflate, plain.inflate);
            println!("{len:13}{:7.3}{send:9.2}{receive:9.2}{with}{without}", plain.ratio);
        }
    }
    Ok(())
}

/// The first so many bytes, less the character that does not fit any more.
fn cut_short(message: &str, len: usize) -> &str {
    (0..=len).rev().find_map(|len| message.get(..len)).unwrap_or(message)
}

fn windows() -> impl Iterator<Item = WindowBits> {
    (9..=15).filter_map(WindowBits::new)
}

fn memory_levels() -> impl Iterator<Item = MemoryLevel> {
    MEMORY_LEVELS.into_iter().filter_map(MemoryLevel::new)
}

fn run() -> Result<(), Box<dyn Error>> {
    use lexopt::prelude::*;
    let default = Deflate::default();
    let (level, memory_level, window_bits) = (default.level, default.memory_level, default.window_bits);
    let (mut chosen, mut runs, mut samples) = (Settings { level, memory_level, window_bits }, 5, Vec::new());
    let mut parser = lexopt::Parser::from_iter(env::args_os());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("level") => chosen.level = parser.value()?.parse::<u8>()?.try_into()?,
            Long("window") => chosen.window_bits = parser.value()?.parse::<u8>()?.try_into()?,
            Long("memory") => chosen.memory_level = parser.value()?.parse::<u8>()?.try_into()?,
            Long("runs") => runs = parser.value()?.parse::<usize>()?.max(1),
            Value(file) => {
                let messages: Vec<_> = fs::read_to_string(&file)?.lines().map(Into::into).collect();
                let name = file.string()?;
                if messages.is_empty() {
                    return Err(format!("{name} has no messages").into());
                }
                samples.push(Sample { name, messages });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    print_memory(chosen.level)?;
    let made = if samples.is_empty() { sample::feeds() } else { Vec::new() };
    for sample in samples.iter().chain(&made) {
        print_sample(sample, chosen, runs)?;
    }
    print_thresholds(&samples, chosen, runs)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deflate_table: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Those that are tried.
const MEMORY_LEVELS: [u8; 5] = [1, 3, 5, 8, 9];

/// How many connections take turns: more than there are compressors in the pool.
const CONNECTIONS: usize = 64;
