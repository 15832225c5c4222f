//! Instructions for each message, as callgrind counts them: the figure that noise cannot touch.

use std::error::Error;
use std::process::Command;

use serde_json::{Value, json};

use crate::broadcast::{Payload, Publication};
use crate::libraries::{Job, LIBRARIES, prepare};
use crate::library::Role;
use crate::payloads::Content;
use crate::process::once;
use crate::receive::Incoming;
use crate::send::Outgoing;
use crate::table::{self, Progress};

/// Does a job under callgrind's eyes.
///
/// # Errors
///
/// Where there is no such job, or the library does something else.
pub fn work(name: &str, job: &str, count: &str) -> Result<(), Box<dyn Error>> {
    let mut work = prepare(name, job)?.map_err(|absent| format!("{absent:?}"))?;
    once(&mut work, count.parse()?);
    Ok(())
}

/// Counts in every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where valgrind is not there.
pub fn run(only: &str, read: usize) -> Result<Value, Box<dyn Error>> {
    let jobs: Vec<(String, Job)> = jobs(read).into_iter().filter(|(heading, _)| heading.contains(only)).collect();
    let (progress, mut figures) = (Progress::new(jobs.len() * LIBRARIES.len())?, Vec::new());
    for (heading, job) in jobs {
        let mut rows = Vec::new();
        for library in LIBRARIES {
            progress.at(&format!("{heading}: {}", library.name));
            if library.has(&job) {
                rows.push((library.name, count(library.name, &job)?));
            }
            progress.done();
        }
        progress.print(&table::of_counts(&heading, &rows));
        let rows: Vec<Value> =
            rows.iter().map(|(library, count)| json!({ "library": library, "instructions": count })).collect();
        figures.push(json!({ "cell": heading, "job": job, "libraries": rows }));
    }
    Ok(Value::Array(figures))
}

fn jobs(read: usize) -> Vec<(String, Job)> {
    let incoming = |len| Incoming { role: Role::Server, content: Content::Binary, len, fragments: 1, read };
    let outgoing = |len| Outgoing { role: Role::Server, len, batch: 64 };
    let received = SIZES.map(|len| (incoming(len).to_string(), Job::Receive(incoming(len))));
    let sent = SIZES.map(|len| (outgoing(len).to_string(), Job::Send(outgoing(len))));
    // 64 divides what is counted.
    let published = SIZES.map(|len| {
        let job = Publication { payload: Payload::Plain(Content::Binary), len, connections: 64 };
        (job.to_string(), Job::Broadcast(job))
    });
    received.into_iter().chain(sent).chain(published).collect()
}

/// Instructions for each message; none where the library fails.
fn count(library: &str, job: &Job) -> Result<Option<f64>, Box<dyn Error>> {
    let output = Command::new("valgrind")
        // Valgrind counts each byte that `rep movsb` moves as an instruction, so the C library had better not use it.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*process*counted*"])
        .arg(std::env::current_exe()?)
        .args(["once", library, &serde_json::to_string(job)?, &MESSAGES.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected =
        said.lines().find_map(|line| line.split_once("Collected : ")).and_then(|(_, count)| count.trim().parse().ok());
    Ok(collected.filter(|_| output.status.success()).map(|count: f64| count / MESSAGES as f64))
}

/// How many messages are counted.
const MESSAGES: usize = 64 * 64;

/// The lengths of the messages, in bytes.
const SIZES: [usize; 3] = [16, 125, 1024];
