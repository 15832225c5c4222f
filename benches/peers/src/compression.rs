//! The cells of permessage-deflate (RFC 7692): the time to compress and frame a message and to receive and inflate it, its size
//! on the wire, and what a connection holds.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::libraries::compressing::{ours, sockudo, wtx, yawc};
use crate::library::{Context, Setting};
use crate::messages::{Content, Traffic};
use crate::process::Worker;
use crate::samples::Samples;
use crate::worker::{Job, Report, Task};

/// Measures every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn run(only: &str, rounds: usize) -> Result<Value, Box<dyn Error>> {
    let has_soketto = build_soketto()?;
    let jobs: Vec<Job> = jobs().into_iter().filter(|job| heading(*job).contains(only)).collect();
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta} {msg}")?;
    let bar = ProgressBar::new(jobs.len() as u64).with_style(style);
    let mut figures = Vec::new();
    for job in jobs {
        bar.set_message(heading(job));
        let rows = measure(job, rounds, has_soketto)?;
        bar.suspend(|| print(job, &rows));
        figures.extend(rows.iter().map(|row| row.json(job)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Value::Array(figures))
}

/// The cells.
fn jobs() -> Vec<Job> {
    let traffics = [(Content::Json, 1), (Content::Json, 64), (Content::Random, 1), (Content::Random, 64)]
        .map(|(content, len)| Traffic { content, len: len * 1024 });
    let settings = |levels: &[u8]| -> Vec<Setting> {
        let contexts = [Context::Takeover, Context::NoTakeover];
        levels.iter().flat_map(|&level| contexts.map(|context| Setting::Same { level, context })).collect()
    };
    let mut jobs = Vec::new();
    for traffic in traffics {
        let settings = settings(&[1, 6, 9]).into_iter().chain([Setting::Defaults]);
        jobs.extend(settings.map(|setting| Job { traffic, setting, connections: 1 }));
    }
    // One connection has all caches to itself. A server has many, which take turns.
    let many = settings(&[1, 6]).into_iter().chain([Setting::Defaults]);
    jobs.extend(many.map(|setting| Job { traffic: traffics[0], setting, connections: 64 }));
    jobs
}

fn heading(job: Job) -> String {
    let setting = match job.setting {
        Setting::Same { level, context: Context::Takeover } => format!("level {level}, context takeover"),
        Setting::Same { level, context: Context::NoTakeover } => format!("level {level}, no context takeover"),
        Setting::Defaults => "defaults".into(),
    };
    match job.connections {
        1 => format!("{}, {setting}", job.traffic),
        many => format!("{}, {setting}, {many} connections in turn", job.traffic),
    }
}

/// What a library did in a cell.
struct Row {
    library: &'static Listed,
    report: Report,
    send: Samples,
    receive: Samples,
}

fn measure(job: Job, rounds: usize, has_soketto: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut workers = Vec::new();
    for library in LIBRARIES {
        if matches!(library.program, Program::Beside(_)) && !has_soketto {
            continue;
        }
        let (worker, report) = start(library, job)?;
        let row = Row { library, report, send: Samples::default(), receive: Samples::default() };
        workers.push((worker, row));
    }
    for task in Task::ALL {
        // The first round only warms up.
        for round in 0..=rounds {
            for (worker, row) in &mut workers {
                let (failure, samples) = match task {
                    Task::Send => (&row.report.send_failure, &mut row.send),
                    Task::Receive => (&row.report.receive_failure, &mut row.receive),
                };
                if row.report.refusal.is_some() || failure.is_some() {
                    continue;
                }
                let nanoseconds = worker.tell(task.name())?;
                if round != 0 {
                    samples.push(nanoseconds);
                }
            }
        }
    }
    let mut rows = Vec::new();
    for (worker, row) in workers {
        worker.end()?;
        rows.push(row);
    }
    Ok(rows)
}

impl Row {
    fn json(&self, job: Job) -> Value {
        json!({
            "cell": heading(job),
            "messages": job.traffic.to_string(),
            "setting": job.setting,
            "connections": job.connections,
            "library": self.library.name,
            "refusal": self.report.refusal,
            "send_failure": self.report.send_failure,
            "receive_failure": self.report.receive_failure,
            "send_ns": self.send.json(),
            "receive_ns": self.receive.json(),
            "size": self.report.size,
            "bytes_per_connection": self.report.each,
            "bytes_of_first_connection": self.report.first,
        })
    }
}

fn print(job: Job, rows: &[Row]) {
    println!(
        "\n{}\n  {:<11} {:>26} {:>5} {:>26} {:>5} {:>7} {:>11} {:>11}",
        heading(job),
        "library",
        "compress and frame, µs",
        "x",
        "receive and inflate, µs",
        "x",
        "size",
        "connection",
        "first"
    );
    let mut notes = Vec::new();
    for row in rows {
        if row.report.refusal.is_some() && row.library.is_variant {
            continue;
        }
        if let Some(refusal) = &row.report.refusal {
            println!(
                "  {:<11} {:>26} {:>5} {:>26} {:>5} {:>7} {:>11} {:>11}  {refusal}",
                row.library.name, "-", "", "-", "", "-", "-", "-"
            );
            continue;
        }
        let ours = &rows[0];
        let bytes = |bytes: Option<isize>| bytes.map_or("-".into(), |bytes| format!("{bytes} B"));
        println!(
            "  {:<11} {:>26} {:>5} {:>26} {:>5} {:>7} {:>11} {:>11}",
            row.library.name,
            row.send,
            ratio(&row.send, &ours.send),
            row.receive,
            ratio(&row.receive, &ours.receive),
            row.report.size.map_or("-".into(), |size| format!("{:.1} %", size * 100.0)),
            bytes(row.report.each),
            bytes(row.report.first),
        );
        let failures = [(&row.report.send_failure, "sending"), (&row.report.receive_failure, "receiving")];
        for (failure, what) in failures {
            notes.extend(failure.as_ref().map(|failure| format!("  {} fails in {what}: {failure}", row.library.name)));
        }
    }
    notes.iter().for_each(|note| println!("{note}"));
}

fn ratio(samples: &Samples, ours: &Samples) -> String {
    match samples.is_empty() || ours.is_empty() {
        true => String::new(),
        false => format!("{:.2}", samples.median() / ours.median()),
    }
}

/// The worker of a library, and what it says first.
fn start(library: &'static Listed, job: Job) -> Result<(Worker, Report), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let mut command = match library.program {
        Program::This => {
            let mut command = Command::new(program);
            command.args(["worker", library.name]);
            command
        }
        Program::Beside(name) => Command::new(program.with_file_name(name)),
    };
    command.arg(serde_json::to_string(&job)?);
    Worker::start(library.name, command)
}

/// Builds the program of soketto beside this one; that needs a C compiler, so it may fail.
fn build_soketto() -> Result<bool, Box<dyn Error>> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/soketto/Cargo.toml");
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).unwrap_or(Path::new("target"));
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--release", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir"])
        .arg(target)
        .status()?;
    if !status.success() {
        eprintln!("soketto cannot be built and is left out");
    }
    Ok(status.success())
}

/// A library and where its worker is.
struct Listed {
    name: &'static str,
    /// Whether it is one of the others, set up otherwise; then its row is there only where that matters.
    is_variant: bool,
    program: Program,
}

enum Program {
    This,
    Beside(&'static str),
}

/// All of them; ours is the first, which the others are held against.
static LIBRARIES: &[Listed] = &[
    Listed { name: ours::NAME, is_variant: false, program: Program::This },
    Listed { name: ours::KEEPING_NAME, is_variant: true, program: Program::This },
    Listed { name: sockudo::NAME, is_variant: false, program: Program::This },
    Listed { name: yawc::NAME, is_variant: false, program: Program::This },
    Listed { name: yawc::POOLED_NAME, is_variant: true, program: Program::This },
    Listed { name: wtx::NAME, is_variant: false, program: Program::This },
    Listed { name: "soketto", is_variant: false, program: Program::Beside("sockeye-peers-soketto") },
];
