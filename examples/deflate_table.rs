//! What permessage-deflate saves and costs, for each setting, on traffic of your own:
//!
//! ```text
//! cargo run --release --features deflate --example deflate_table -- [--level N] [FILE]
//! ```
//!
//! FILE has a message on each line; without one, messages are made up: orders, ticks and events as JSON, 100 bytes to 2 KiB.
//! *warm* is a connection that has its compressor still, *cold* one whose compressor others had in the meantime.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sockeye::deflate::{Context, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, Config, Connection, Received, Role, Rsv};

type Error = Box<dyn std::error::Error>;

/// A server, and the client that it sends to.
struct Pair {
    server: Connection,
    client: Connection,
    assembler: Assembler,
}

/// What a run came to: bytes on the wire for each byte of payload, and the time for a message.
struct Figures {
    ratio: f64,
    compress: Duration,
    inflate: Duration,
}

fn main() -> Result<(), Error> {
    use lexopt::prelude::*;
    let (mut level, mut messages) = (None, Vec::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("level") => level = Some(parser.value()?.parse::<u8>()?),
            Value(file) => messages = std::fs::read_to_string(file)?.lines().map(str::to_owned).collect(),
            other => return Err(other.unexpected().into()),
        }
    }
    if messages.is_empty() {
        messages = (0..512).map(made_up).collect();
    }
    let bytes: usize = messages.iter().map(String::len).sum();
    println!("{} messages of {} bytes in the mean\n", messages.len(), bytes / messages.len());

    let mut deflate = Deflate::default();
    deflate.threshold = 0;
    println!("by level, window and memory as by default");
    println!("{HEADER}");
    for level in 0..=9 {
        deflate.level = Level::try_from(level)?;
        row(&deflate, &messages)?;
    }
    let levels: &[u8] = &level.map_or(vec![1, 6], |level| vec![level]);
    for level in levels {
        deflate.level = Level::try_from(*level)?;
        println!("\nlevel {level}, by window and memory");
        println!("{HEADER}");
        for window_bits in [9, 10, 11, 12, 13, 15] {
            for memory_level in [1, 3, 5, 8] {
                deflate.window_bits = WindowBits::try_from(window_bits)?;
                deflate.memory_level = MemoryLevel::try_from(memory_level)?;
                row(&deflate, &messages)?;
            }
        }
    }

    let mut deflate = Deflate::default();
    deflate.threshold = 0;
    println!("\nthe beginnings of the messages, by their length");
    println!("{HEADER}");
    for len in [16, 32, 64, 128, 256, 512] {
        let short: Vec<_> = messages.iter().map(|message| message.chars().take(len).collect()).collect();
        print!("{len:>4} B ");
        row(&deflate, &short)?;
    }
    Ok(())
}

/// Measures a setting with context takeover, warm and cold, and without.
fn row(deflate: &Deflate, messages: &[String]) -> Result<(), Error> {
    let mut deflate = deflate.clone();
    deflate.context = Context::Takeover;
    let (warm, cold) = (run(&deflate, 1, messages)?, run(&deflate, 64, messages)?);
    deflate.context = Context::NoTakeover;
    let alone = run(&deflate, 1, messages)?;
    let micros = |duration: Duration| duration.as_nanos() as f64 / 1000.0;
    println!(
        "{:>5} {:>6} {:>6} | {:>5.1} % {:>8.2} {:>8.2} {:>8.2} | {:>5.1} % {:>8.2} {:>8.2}",
        deflate.level,
        deflate.window_bits,
        deflate.memory_level,
        warm.ratio * 100.0,
        micros(warm.compress),
        micros(cold.compress),
        micros(warm.inflate),
        alone.ratio * 100.0,
        micros(alone.compress),
        micros(alone.inflate),
    );
    Ok(())
}

/// Sends the messages over each of so many connections in turn, several times over; the median.
fn run(deflate: &Deflate, connections: usize, messages: &[String]) -> Result<Figures, Error> {
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let mut pairs = (0..connections).map(|_| Pair::new(deflate)).collect::<Result<Vec<_>, _>>()?;
        let (mut output, mut compress, mut inflate, mut on_the_wire) = (Vec::new(), Duration::ZERO, Duration::ZERO, 0);
        let rounds_each = (2000 / messages.len().max(1)).clamp(1, 20) * connections.min(4);
        let mut count = 0;
        for _ in 0..rounds_each {
            for message in messages {
                let at = count % connections;
                let Pair { server, client, assembler } = &mut pairs[at];
                output.clear();
                let begun = Instant::now();
                server.send_text(message, &mut output)?;
                compress += begun.elapsed();
                on_the_wire += output.len();
                let (mut input, mut replies) = (&mut output[..], Vec::new());
                let begun = Instant::now();
                let received = client.receive_message(&mut input, assembler, &mut replies)?;
                inflate += begun.elapsed();
                assert_eq!(black_box(received), Some(Received::Message(message.as_str().into())));
                count += 1;
            }
        }
        let bytes = messages.iter().map(String::len).sum::<usize>() * rounds_each;
        let ratio = on_the_wire as f64 / bytes.max(1) as f64;
        let count = u32::try_from(count)?.max(1);
        rounds.push(Figures { ratio, compress: compress / count, inflate: inflate / count });
    }
    rounds.sort_by_key(|figures| figures.compress);
    Ok(rounds.swap_remove(2))
}

impl Pair {
    fn new(deflate: &Deflate) -> Result<Self, Error> {
        let bits = deflate.window_bits;
        let answer = format!("permessage-deflate; server_max_window_bits={bits}");
        let answer = match deflate.context {
            Context::Takeover => answer,
            Context::NoTakeover => answer + "; server_no_context_takeover",
        };
        let answer = Extensions::parse(&answer).next().ok_or("no extension")??;
        let server_side = deflate.agreed(Role::Server, &answer)?;
        let client_side = deflate.agreed(Role::Client, &answer)?;
        let mut server = Connection::server(Config::default());
        server.extend(Rsv::RSV1, server_side.encoder());
        let mut client = Connection::client(Config::default());
        client.extend(Rsv::RSV1, client_side.encoder());
        let mut assembler = client.assembler();
        assembler.extend(client_side.decoder());
        Ok(Self { server, client, assembler })
    }
}

/// A message like those that servers push: the names repeat, the values do not.
fn made_up(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let words =
        ["order", "filled", "please", "review", "merge", "deploy", "window", "market", "soon", "thanks", "alert"];
    let id = next(1 << 40);
    match number % 3 {
        0 => format!(
            "{{\"e\":\"trade\",\"E\":{},\"s\":\"{}USDT\",\"t\":{id},\"p\":\"{}.{:02}\",\"q\":\"0.{:05}\",\"m\":{}}}",
            1_700_000_000_000 + number * 137,
            pick(&["BTC", "ETH", "SOL", "XRP"], next(4)),
            20_000 + next(40_000),
            next(100),
            next(100_000),
            next(2) == 0,
        ),
        1 => {
            let text: Vec<_> = (0..5 + next(40)).map(|_| pick(&words, next(11))).collect();
            format!(
                "{{\"type\":\"message\",\"id\":\"{id:010x}\",\"channel\":\"C{:06X}\",\"user\":{{\"id\":\"U{:06X}\",\"name\":\"user{}\",\
                 \"online\":{}}},\"text\":\"{}\",\"ts\":\"{}.{:06}\",\"reactions\":[]}}",
                next(1 << 24),
                next(1 << 24),
                next(500),
                next(2) == 0,
                text.join(" "),
                1_700_000_000 + number,
                next(1_000_000),
            )
        }
        _ => {
            let items: Vec<_> = (0..3 + next(12))
                .map(|_| {
                    format!(
                        "{{\"sku\":\"{:08X}\",\"title\":\"{} {}\",\"quantity\":{},\"price\":{}.{:02},\"tags\":[\"{}\",\"{}\"]}}",
                        next(1 << 32),
                        pick(&words, next(11)),
                        pick(&words, next(11)),
                        1 + next(9),
                        next(500),
                        next(100),
                        pick(&words, next(11)),
                        pick(&words, next(11)),
                    )
                })
                .collect();
            format!(
                "{{\"event\":\"order.updated\",\"version\":3,\"order\":{{\"id\":{id},\"status\":\"{}\",\"items\":[{}],\"total\":{}.{:02}}}}}",
                pick(&words, next(11)),
                items.join(","),
                next(9000),
                next(100),
            )
        }
    }
}

/// One of these words.
fn pick<'w>(words: &[&'w str], number: u64) -> &'w str {
    usize::try_from(number).ok().and_then(|at| words.get(at)).copied().unwrap_or_default()
}

const HEADER: &str = "level window memory | ratio    warm µs  cold µs  inflate |  alone       µs  inflate";
