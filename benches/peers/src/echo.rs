//! The cells of TCP: a server echoes on one core, and a load without a WebSocket library drives it from another.

pub mod load;
pub mod peer;
pub mod scale;
pub mod traffic;

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use self::load::{Figures, Flow, Load, Span};
use self::traffic::Traffic;
use crate::libraries::Standing;
use crate::samples::Samples;
use crate::table::{Progress, short};
use crate::tcp::javascript::Engine;
use crate::tcp::limits::Cores;
use crate::tcp::{Measured, Process, Protocol, Runs, SERVERS, Server};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Only cells and servers with this in their names.
    pub only: String,
    pub server: String,
    pub rounds: usize,
    /// How long a round is.
    pub seconds: f64,
}

impl Default for Asked {
    fn default() -> Self {
        Self { only: String::new(), server: String::new(), rounds: 3, seconds: 0.4 }
    }
}

impl Asked {
    fn servers(&self) -> impl Iterator<Item = &'static Server> {
        SERVERS.iter().filter(|server| server.name.contains(&self.server))
    }
}

/// What goes over the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    connections: usize,
    /// How many messages are under way on each.
    depth: usize,
    len: usize,
}

impl Cell {
    /// How many messages are under way on each, so that not too many bytes are in all.
    fn bounded(self) -> usize {
        self.depth.min(IN_FLIGHT / (self.connections * self.len)).max(1)
    }

    fn refusal(self, server: &Server) -> Option<&'static str> {
        let is_refused = server.runs == Runs::Threads && self.connections > MOST_THREADS;
        is_refused.then_some("so many threads are nothing that its users would have")
    }
}

/// What the cell is called.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, depth, len } = *self;
        let len = if len < 1024 { format!("{len} B") } else { format!("{} KiB", len / 1024) };
        let depth = match self.bounded() {
            bounded if bounded < depth => format!("{bounded} (of {depth})"),
            _ => depth.to_string(),
        };
        write!(f, "echo {connections} × {depth} × {len}")
    }
}

/// What a server did in a cell.
#[derive(Default)]
struct Row {
    absent: Option<String>,
    rate: Samples,
    p50: Samples,
    p99: Samples,
    cpu: Samples,
}

impl Row {
    fn push(&mut self, figures: &Figures) {
        self.rate.push(figures.rate);
        self.p50.push(figures.p50);
        self.p99.push(figures.p99);
        self.cpu.push(figures.cpu);
    }

    fn json(&self, server: &Server) -> Value {
        json!({
            "library": server.name,
            "absent": self.absent,
            "rate": self.rate.json(),
            "p50": self.p50.json(),
            "p99": self.p99.json(),
            "cpu": self.cpu.json(),
        })
    }
}

/// Measures all cells that are asked for, and prints and returns the figures.
///
/// # Errors
///
/// Where this machine does not let it.
pub fn run(asked: &Asked) -> Result<Value, Box<dyn Error>> {
    let cores = Cores::new()?;
    let mut cells = Vec::new();
    for len in [16, 1024, 64 * 1024] {
        for connections in [1, 32, 256] {
            cells.extend([1, 64].map(|depth| Cell { connections, depth, len }));
        }
    }
    // What comes down to one message on each connection is there already.
    cells.retain(|cell| cell.depth == 1 || cell.bounded() > 1);
    cells.retain(|cell| cell.to_string().contains(&asked.only));
    let progress = Progress::new(cells.len())?;
    let versions: Vec<String> =
        [Engine::Bun, Engine::Node].into_iter().filter_map(|engine| engine.version().ok()).collect();
    let mut figures = Vec::new();
    for cell in cells {
        progress.at(&cell.to_string());
        let rows = measure(cell, asked, &cores);
        progress.print(&table(&cell.to_string(), &rows));
        figures.push(json!({
            "cell": cell.to_string(),
            "connections": cell.connections,
            "depth": cell.depth,
            "bounded": cell.bounded(),
            "len": cell.len,
            "versions": versions,
            "two_cores": cores.are_two(),
            "libraries": rows.iter().map(|(server, row)| row.json(server)).collect::<Vec<_>>(),
        }));
        progress.done();
    }
    Ok(Value::Array(figures))
}

/// Lets servers take turns, each with new connections in each round.
fn measure(cell: Cell, asked: &Asked, cores: &Cores) -> Vec<(&'static Server, Row)> {
    let traffic = |protocol| Traffic::new(cell.len, protocol);
    let (messages, bytes) = (traffic(Protocol::WebSocket), traffic(Protocol::Bytes));
    let measured = asked.servers().filter(|server| server.measured == Measured::TimeAndMemory);
    let mut rows: Vec<_> = measured.map(|server| (server, Row::default(), None)).collect();
    for (server, row, process) in &mut rows {
        match cell.refusal(server) {
            Some(why) => row.absent = Some(why.into()),
            None => match Process::start(server, cores) {
                Ok(started) => *process = Some(started),
                Err(why) => row.absent = Some(why),
            },
        }
    }
    for _ in 0..asked.rounds {
        for (server, row, process) in &mut rows {
            let Some(running) = process else { continue };
            let traffic = if server.speaks == Protocol::Bytes { &bytes } else { &messages };
            match round(server, running, traffic, cell.connections, Flow::Each(cell.bounded()), asked.seconds) {
                Ok(figures) => row.push(&figures),
                Err(why) => {
                    (row.absent, *process) = (Some(why.to_string()), None);
                }
            }
        }
    }
    rows.into_iter().map(|(server, row, _)| (server, row)).collect()
}

/// A round with new connections.
fn round(
    server: &Server,
    process: &Process,
    traffic: &Traffic,
    connections: usize,
    flow: Flow,
    seconds: f64,
) -> Result<Figures, Box<dyn Error>> {
    let mut streams = Vec::with_capacity(connections);
    peer::open(process.address(), connections, server.speaks, &mut streams)?;
    let measured = Duration::from_secs_f64(seconds);
    Load::new(streams, traffic, flow)?.run(process, Span { warm: measured / 4, measured })
}

fn table(heading: &str, rows: &[(&'static Server, Row)]) -> String {
    let mut text = format!(
        "\n{heading}\n  {:<22} {:>10} {:>10} {:>10} {:>10} {:>22} {:>6}\n",
        "", "messages/s", "p50 µs", "p99 µs", "CPU ns", "least..most", "x"
    );
    let ours = rows.iter().find(|(server, _)| server.standing == Standing::Ours).map(|(_, row)| row.cpu.median());
    let theirs = rows.iter().filter(|(server, row)| server.standing != Standing::Part && !row.cpu.is_empty());
    let best = theirs.map(|(_, row)| row.cpu.median()).fold(f64::INFINITY, f64::min);
    for (server, row) in rows {
        // Writing to a text cannot fail.
        let _ = match &row.absent {
            Some(why) => writeln!(text, "  {:<22} {why}", server.name),
            None => {
                let cpu = row.cpu.median();
                writeln!(
                    text,
                    "  {:<22} {:>10.0} {:>10} {:>10} {:>10} {:>22} {:>6.2}{}",
                    server.name,
                    row.rate.median(),
                    short(row.p50.median() / 1000.0),
                    short(row.p99.median() / 1000.0),
                    short(cpu),
                    format!("{}..{}", short(row.cpu.min()), short(row.cpu.max())),
                    ours.map_or(f64::NAN, |ours| cpu / ours),
                    if cpu == best { " *" } else { "" },
                )
            }
        };
    }
    text
}

/// The most bytes of messages that are under way.
const IN_FLIGHT: usize = 16 * 1024 * 1024;

/// The most connections that have a thread each.
const MOST_THREADS: usize = 32;
