//! What compresses, without a WebSocket around it: the candidates for a backend, on the same messages and settings, in turn.
//! Everybody inflates what zlib-rs compressed, at the level of the cell.

mod c;
mod flate2;
mod miniz_oxide;
mod zlib_rs;

use std::error::Error;
use std::hint::black_box;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::allocator::held;
use crate::library::{Agreement, Context};
use crate::messages::{Content, Message, Traffic};
use crate::samples::{Samples, worked};
use crate::zlib::{Rounds, payloads};

/// What a compressor is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub level: u8,
    pub window_bits: u8,
    pub memory_level: u8,
}

/// Compresses messages into raw deflate streams.
pub trait Compressor {
    /// Compresses a message up to and including its sync flush; returns the length of that.
    fn compress(&mut self, message: &[u8], output: &mut [u8]) -> usize;
    /// Forgets what it compressed.
    fn reset(&mut self);
}

/// Inflates raw deflate streams.
pub trait Decompressor {
    /// Inflates what a sync flush ends; returns the length of that.
    fn decompress(&mut self, payload: &[u8], output: &mut [u8]) -> usize;
    /// Forgets what it inflated.
    fn reset(&mut self);
}

/// A candidate. What it can do is from its documentation, and by what is measured.
pub struct Backend {
    pub name: &'static str,
    /// `None` where it has no such settings.
    pub compressor: fn(Shape) -> Option<Box<dyn Compressor>>,
    pub decompressor: fn(Shape) -> Option<Box<dyn Decompressor>>,
    pub window_bits: &'static str,
    pub memory_level: &'static str,
    pub reset: &'static str,
    pub bounded_output: &'static str,
    pub dictionary: &'static str,
}

/// Measures every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where the progress bar cannot be made.
pub fn run(only: &str, rounds: usize) -> Result<Value, Box<dyn Error>> {
    let cells: Vec<Cell> = cells().into_iter().filter(|cell| cell.heading().contains(only)).collect();
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta} {msg}")?;
    let bar = ProgressBar::new(cells.len() as u64).with_style(style);
    print_abilities();
    let mut figures = Vec::new();
    for cell in cells {
        bar.set_message(cell.heading());
        let rows = cell.measure(rounds);
        bar.suspend(|| cell.print(&rows));
        figures.extend(rows.iter().map(|row| row.json(&cell)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Value::Array(figures))
}

fn all() -> Vec<Backend> {
    let mut all = vec![zlib_rs::BACKEND, flate2::BACKEND, miniz_oxide::BACKEND];
    all.extend(c::BACKENDS.iter().map(|backend| backend()));
    all
}

fn print_abilities() {
    println!(
        "{:<18} {:<22} {:<13} {:<36} {:<15} {:<22}",
        "backend", "window bits", "memory level", "reset", "bounded output", "dictionary, raw"
    );
    for backend in all() {
        println!(
            "{:<18} {:<22} {:<13} {:<36} {:<15} {:<22}",
            backend.name,
            backend.window_bits,
            backend.memory_level,
            backend.reset,
            backend.bounded_output,
            backend.dictionary
        );
    }
}

/// What is measured at once.
struct Cell {
    traffic: Traffic,
    context: Context,
    shape: Shape,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (len, context) in [(1, Context::Takeover), (1, Context::NoTakeover), (64, Context::Takeover)] {
        let traffic = Traffic { content: Content::Json, len: len * 1024 };
        for (window_bits, memory_level) in [(15, 8), (12, 5)] {
            let shapes = [1, 6, 9].map(|level| Shape { level, window_bits, memory_level });
            cells.extend(shapes.map(|shape| Cell { traffic, context, shape }));
        }
    }
    cells
}

/// What a backend did in a cell; `None` where it has not those settings.
struct Row {
    backend: Backend,
    figures: Option<Figures>,
}

struct Figures {
    compressor: Box<dyn Compressor>,
    decompressor: Box<dyn Decompressor>,
    compress: Samples,
    decompress: Samples,
    size: f64,
    compressor_bytes: isize,
    decompressor_bytes: isize,
}

impl Cell {
    fn heading(&self) -> String {
        let Shape { level, window_bits, memory_level } = self.shape;
        let context = match self.context {
            Context::Takeover => "with context",
            Context::NoTakeover => "reset for each message",
        };
        format!("{}, {context}, level {level}, window {window_bits}, memory level {memory_level}", self.traffic)
    }

    fn measure(&self, rounds: usize) -> Vec<Row> {
        let messages = self.traffic.messages();
        let agreement = Agreement { context: self.context, window_bits: self.shape.window_bits };
        let payloads = payloads(&messages, self.shape.level, agreement);
        let mut output = vec![0; self.traffic.len * 2 + 1024];
        let row = |backend: Backend| Row { figures: self.check(&backend, &messages, &payloads, &mut output), backend };
        let mut rows: Vec<Row> = all().into_iter().map(row).collect();
        let (batch, ring) = (self.traffic.batch(), messages.len());
        // The first round only warms up.
        for round in 0..=rounds {
            let at = |index: usize| (round * batch + index) % ring;
            for figures in rows.iter_mut().filter_map(|row| row.figures.as_mut()) {
                let begun = worked();
                for index in 0..batch {
                    if self.context == Context::NoTakeover {
                        figures.compressor.reset();
                    }
                    black_box(figures.compressor.compress(&messages[at(index)].bytes, &mut output));
                }
                let compressed = worked();
                for index in 0..batch {
                    if self.context == Context::NoTakeover {
                        figures.decompressor.reset();
                    }
                    black_box(figures.decompressor.decompress(&payloads.later[at(index)], &mut output));
                }
                let decompressed = worked();
                if round != 0 {
                    figures.compress.push((compressed - begun) as f64 / batch as f64);
                    figures.decompress.push((decompressed - compressed) as f64 / batch as f64);
                }
            }
        }
        rows
    }

    /// Makes both, weighs them, and sees to it that they do what is measured: two rings of messages.
    fn check(&self, backend: &Backend, messages: &[Message], payloads: &Rounds, output: &mut [u8]) -> Option<Figures> {
        let before = held();
        let mut compressor = (backend.compressor)(self.shape)?;
        compressor.compress(&messages[0].bytes, output);
        let compressor_bytes = held() - before;
        compressor.reset();

        let before = held();
        let mut decompressor = (backend.decompressor)(self.shape)?;
        assert_eq!(decompressor.decompress(&payloads.first[0], output), messages[0].bytes.len());
        let decompressor_bytes = held() - before;
        decompressor.reset();

        let mut checker = (zlib_rs::BACKEND.decompressor)(self.shape).expect("it has all settings");
        let (mut sent, mut len, mut inflated) = (0, 0, vec![0; output.len()]);
        for payloads in [&payloads.first, &payloads.later] {
            (sent, len) = (0, 0);
            for (message, payload) in messages.iter().zip(payloads) {
                if self.context == Context::NoTakeover {
                    compressor.reset();
                    decompressor.reset();
                    checker.reset();
                }
                let count = compressor.compress(&message.bytes, output);
                let back = checker.decompress(&output[..count], &mut inflated);
                assert!(inflated[..back] == message.bytes, "{} compresses wrongly", backend.name);
                let back = decompressor.decompress(payload, output);
                assert!(output[..back] == message.bytes, "{} inflates wrongly", backend.name);
                // The last four bytes do not go on the wire.
                (sent, len) = (sent + count - 4, len + back);
            }
        }
        Some(Figures {
            compressor,
            decompressor,
            compress: Samples::default(),
            decompress: Samples::default(),
            size: sent as f64 / len as f64,
            compressor_bytes,
            decompressor_bytes,
        })
    }

    fn print(&self, rows: &[Row]) {
        println!(
            "\n{}\n  {:<18} {:>26} {:>5} {:>26} {:>5} {:>7} {:>12} {:>12}",
            self.heading(),
            "backend",
            "compress, µs",
            "x",
            "inflate, µs",
            "x",
            "size",
            "compressor",
            "decompressor"
        );
        let first = rows.first().and_then(|row| row.figures.as_ref());
        for Row { backend, figures } in rows {
            let (Some(figures), Some(first)) = (figures, first) else {
                println!(
                    "  {:<18} {:>26} {:>5} {:>26} {:>5} {:>7} {:>12} {:>12}",
                    backend.name, "-", "", "-", "", "-", "-", "-"
                );
                continue;
            };
            println!(
                "  {:<18} {:>26} {:>5.2} {:>26} {:>5.2} {:>7} {:>12} {:>12}",
                backend.name,
                figures.compress,
                figures.compress.median() / first.compress.median(),
                figures.decompress,
                figures.decompress.median() / first.decompress.median(),
                format!("{:.1} %", figures.size * 100.0),
                format!("{} B", figures.compressor_bytes),
                format!("{} B", figures.decompressor_bytes),
            );
        }
    }
}

impl Row {
    fn json(&self, cell: &Cell) -> Value {
        let figures = self.figures.as_ref();
        json!({
            "cell": cell.heading(),
            "messages": cell.traffic.to_string(),
            "context": cell.context,
            "level": cell.shape.level,
            "window_bits": cell.shape.window_bits,
            "memory_level": cell.shape.memory_level,
            "backend": self.backend.name,
            "compress_ns": figures.map(|figures| figures.compress.json()),
            "inflate_ns": figures.map(|figures| figures.decompress.json()),
            "size": figures.map(|figures| figures.size),
            "compressor_bytes": figures.map(|figures| figures.compressor_bytes),
            "decompressor_bytes": figures.map(|figures| figures.decompressor_bytes),
        })
    }
}
