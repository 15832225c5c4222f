//! Compression: time to compress and to inflate a message, bytes on the wire, memory a connection; by level and context.
//!
//! What is inflated was compressed by zlib-rs at the level of the cell, so that everybody inflates the same bytes.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use zlib_rs::{Deflate as Zlib, DeflateConfig, DeflateFlush};

use crate::allocator::held;
use crate::libraries::{ALL, Deflate, Library, Setting};

/// What a library did in a cell.
struct Row {
    compress: Vec<f64>,
    inflate: Vec<f64>,
    inflates: bool,
    ratio: f64,
    memory: isize,
}

pub(crate) fn run() -> Result<Value, Box<dyn Error>> {
    let kinds: [(&str, Vec<Vec<u8>>); 4] = [
        ("JSON, 1 KiB", (0..64).map(|i| json_of(1024, i)).collect()),
        ("JSON, 64 KiB", (0..8).map(|i| json_of(65_536, i)).collect()),
        ("random, 1 KiB", (0..64).map(|i| noise(1024, i)).collect()),
        ("random, 64 KiB", (0..8).map(|i| noise(65_536, i)).collect()),
    ];
    let settings = [1, 6, 9].map(|level| [true, false].map(|has_context| Setting { level, has_context }));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?;
    let bar = ProgressBar::new((kinds.len() * settings.len() * 2) as u64).with_style(style);
    let mut figures = Vec::new();
    println!(
        "{:<15} {:>5} {:<7} {:<11} {:>9} {:>6} {:>9} {:>6} {:>7} {:>9}",
        "messages", "level", "context", "library", "compress", "ratio", "inflate", "ratio", "size", "memory"
    );
    for (kind, messages) in &kinds {
        for setting in settings.iter().flatten() {
            bar.set_message(format!("{kind}, level {}", setting.level));
            let rows = cell(messages, *setting);
            let ours =
                rows.first().and_then(|(_, row)| row.as_ref()).map(|row| (median(&row.compress), median(&row.inflate)));
            for (library, row) in &rows {
                let context = if setting.has_context { "kept" } else { "none" };
                let Some(row) = row else {
                    println!("{kind:<15} {:>5} {context:<7} {:<11} -", setting.level, library.name);
                    continue;
                };
                let (compress, inflate) = (median(&row.compress), median(&row.inflate));
                let (our_compress, our_inflate) = ours.unwrap_or((compress, inflate));
                let inflated = match row.inflates {
                    true => format!("{:>6.2} µs {:>6.2}", inflate / 1000.0, inflate / our_inflate),
                    false => format!("{:>9} {:>6}", "-", "-"),
                };
                println!(
                    "{kind:<15} {:>5} {context:<7} {:<11} {:>6.2} µs {:>6.2} {inflated} {:>5.1} % {:>7} B",
                    setting.level,
                    library.name,
                    compress / 1000.0,
                    compress / our_compress,
                    row.ratio * 100.0,
                    row.memory,
                );
                figures.push(json!({
                    "messages": kind, "level": setting.level, "context": setting.has_context, "library": library.name,
                    "compress_ns": { "median": compress, "min": least(&row.compress), "max": most(&row.compress) },
                    "inflate_ns": { "median": inflate, "min": least(&row.inflate), "max": most(&row.inflate) },
                    "size": row.ratio, "bytes_per_connection": row.memory,
                }));
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(Value::Array(figures))
}

/// Measures all libraries in a cell, in turn.
fn cell(messages: &[Vec<u8>], setting: Setting) -> Vec<(&'static Library, Option<Row>)> {
    let payloads = reference(messages, setting);
    let mut rows: Vec<_> = ALL
        .iter()
        .map(|library| {
            let row = (library.open)(setting).map(|mut end| {
                let (ratio, inflates) = check(&mut *end, library, setting, messages, &payloads);
                let memory = memory(library, setting, messages, &payloads);
                Row { compress: Vec::new(), inflate: Vec::new(), inflates, ratio, memory }
            });
            (library, row)
        })
        .collect();
    let rounds = (400_000 / messages[0].len() / messages.len()).max(1);
    for _ in 0..ROUNDS {
        for (library, row) in &mut rows {
            let (Some(row), Some(mut end)) = (row, (library.open)(setting)) else { continue };
            let mut output = Vec::new();
            let begun = Instant::now();
            for _ in 0..rounds {
                for message in messages {
                    output.clear();
                    end.compress(message, &mut output);
                    black_box(&output);
                }
            }
            row.compress.push(begun.elapsed().as_nanos() as f64 / (rounds * messages.len()) as f64);
            // With context the messages have to come in the order in which they were compressed.
            let (mut elapsed, mut count) = (0, 0);
            for _ in 0..rounds {
                let Some(mut end) = (library.open)(setting) else { continue };
                if !row.inflates {
                    continue;
                }
                let begun = Instant::now();
                for payload in &payloads {
                    end.inflate(payload, &mut |message| {
                        black_box(message.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
                    });
                    count += 1;
                }
                elapsed += begun.elapsed().as_nanos();
            }
            if row.inflates {
                row.inflate.push(elapsed as f64 / f64::from(count));
            }
        }
    }
    rows
}

/// The messages as zlib-rs compresses them.
fn reference(messages: &[Vec<u8>], setting: Setting) -> Vec<Vec<u8>> {
    let mut zlib = Zlib::new_with_config(DeflateConfig {
        level: i32::from(setting.level),
        window_bits: -15,
        ..DeflateConfig::default()
    });
    let compress = |message: &Vec<u8>| {
        if !setting.has_context {
            zlib.reset();
        }
        let (mut payload, given) = (vec![0; message.len() * 2 + 1000], zlib.total_out());
        zlib.compress(message, &mut payload, DeflateFlush::SyncFlush).expect("it compresses");
        payload.truncate((zlib.total_out() - given) as usize - 4);
        payload
    };
    messages.iter().map(compress).collect()
}

/// Sees to it that a library does what is measured; bytes on the wire for each byte.
fn check(
    end: &mut dyn Deflate,
    library: &Library,
    setting: Setting,
    messages: &[Vec<u8>],
    payloads: &[Vec<u8>],
) -> (f64, bool) {
    let mut peer = (ALL[0].open)(setting).expect("ours does all");
    let (mut on_the_wire, mut bytes, mut inflates) = (0, 0, true);
    for (message, payload) in messages.iter().zip(payloads) {
        let mut compressed = Vec::new();
        end.compress(message, &mut compressed);
        // One that does not get shorter may be sent as it is.
        if compressed != *message {
            peer.inflate(&compressed, &mut |inflated| {
                assert!(inflated == message, "{}: it compresses wrongly", library.name)
            });
        }
        inflates &=
            end.inflate(payload, &mut |inflated| assert!(inflated == message, "{}: it inflates wrongly", library.name));
        (on_the_wire, bytes) = (on_the_wire + compressed.len(), bytes + message.len());
    }
    let ratio =
        f64::from(u32::try_from(on_the_wire).unwrap_or(u32::MAX)) / f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    (ratio, inflates)
}

/// What one more connection holds that has sent and received.
fn memory(library: &Library, setting: Setting, messages: &[Vec<u8>], payloads: &[Vec<u8>]) -> isize {
    let mut ends: Vec<Box<dyn Deflate>> = Vec::with_capacity(200);
    let mut after_half = 0;
    for count in 0..200 {
        if count == 100 {
            after_half = held();
        }
        let mut end = (library.open)(setting).expect("it did before");
        for (message, payload) in messages.iter().zip(payloads).take(4) {
            end.compress(message, &mut Vec::new());
            end.inflate(payload, &mut |_| {});
        }
        ends.push(end);
    }
    (held() - after_half) / 100
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut next = random(seed + 1);
    (0..len).map(|_| next().to_be_bytes()[0]).collect()
}

/// JSON of which the names repeat and the values do not.
fn json_of(len: usize, seed: u64) -> Vec<u8> {
    let mut next = random(seed + 1);
    let mut text = String::new();
    while text.len() < len {
        let number = next();
        text += &format!(
            "{{\"id\":{},\"symbol\":\"{}\",\"price\":{}.{:02},\"side\":\"{}\",\"user\":{{\"name\":\"user{}\",\"active\":{}}},\"ts\":{}}},",
            number % 1_000_000,
            ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"][(number >> 20) as usize % 4],
            (number >> 24) % 99_999,
            (number >> 40) % 100,
            if number & 1 == 0 { "buy" } else { "sell" },
            (number >> 48) % 5000,
            number & 2 == 0,
            1_700_000_000_000 + number % 100_000_000,
        );
    }
    text.truncate(len);
    text.into_bytes()
}

/// How often each library has its turn in a cell.
const ROUNDS: usize = 7;
