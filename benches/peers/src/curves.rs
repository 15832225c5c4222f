//! The cost of a small message by the number of connections: received from one connection after the other, and broadcast to all.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::Poll;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::broadcast::{Payload, Publication};
use crate::frame::fragmented;
use crate::libraries::{Job, LIBRARIES};
use crate::messages::Message;
use crate::payloads::{Content, size};
use crate::process::{Absent, Work, attempt, measure};
use crate::stream::Stream;
use crate::table::{self, Progress, Row};

/// The connections of a server of a library, from each of which a message is received in turn.
pub trait Gather: Sized + 'static {
    /// Makes an end for each stream, whose opening handshake is over.
    fn open(streams: Vec<Stream>) -> Self;
    /// Lets each of them receive what its stream gives, and see that there is no more, as one does that goes on to wait.
    fn gather(&mut self, visit: impl FnMut(&[u8]));
}

/// What is received, from how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rota {
    pub len: usize,
    pub connections: usize,
}

impl Rota {
    /// How many messages a sample takes: some milliseconds' worth.
    pub fn count(&self) -> usize {
        20_000_usize.max(2 * self.connections).next_multiple_of(self.connections)
    }
}

/// What the cell is called.
impl fmt::Display for Rota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receive {} of binary in turn from {}", size(self.len), self.connections)
    }
}

/// Checks what a library receives from each connection, and gives what receives so many messages.
///
/// # Errors
///
/// Why there is no such figure.
pub fn prepare<G: Gather>(job: &Rota) -> Result<Work, Absent> {
    let job = *job;
    let messages: Vec<Message> = (0..RING).map(|seed| Content::Binary.message(job.len, seed)).collect();
    let mut wire = Vec::new();
    messages.iter().for_each(|message| fragmented(message.kind, &message.bytes, 1, true, &mut wire));
    let (most, wire) = (wire.len() / messages.len(), Arc::<[u8]>::from(wire));
    let open = || G::open((0..job.connections).map(|_| Stream::one_of_many(wire.clone(), most)).collect());
    attempt(|| {
        let mut ends = open();
        for (turn, message) in messages.iter().chain(&messages).enumerate() {
            Stream::next_turn();
            let (mut count, mut is_right) = (0, true);
            ends.gather(|received| {
                count += 1;
                is_right &= received == message.bytes;
            });
            if !is_right || count != job.connections {
                return Err(format!("turn {turn} gives {count} messages, or others"));
            }
        }
        Ok(())
    })?;
    let mut ends = open();
    Ok(Box::new(move |count| {
        let (mut touched, mut received) = (0, 0);
        for _ in 0..count.div_ceil(job.connections) {
            Stream::next_turn();
            ends.gather(|message| {
                touched += usize::from(message.first().copied().unwrap_or(0) ^ message.last().copied().unwrap_or(0));
                received += 1;
            });
        }
        black_box(touched);
        assert_eq!(received, count.next_multiple_of(job.connections), "each gives one in its turn");
    }))
}

/// Polls once.
pub async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The cells, in the order in which they are measured, how many messages a sample of each takes, and how many connections.
fn jobs() -> Vec<(String, Job, usize, usize)> {
    let received = CONNECTIONS.map(|connections| {
        let job = Rota { len: LEN, connections };
        (job.to_string(), Job::Gather(job), job.count(), connections)
    });
    let broadcast = CONNECTIONS.map(|connections| {
        let job = Publication { payload: Payload::Plain(Content::Binary), len: LEN, connections };
        (job.to_string(), Job::Broadcast(job), job.count(), connections)
    });
    received.into_iter().chain(broadcast).collect()
}

/// Measures every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told, or valgrind is not there.
pub fn run(only: &str, rounds: usize) -> Result<Value, Box<dyn Error>> {
    let jobs: Vec<_> = jobs().into_iter().filter(|(heading, ..)| heading.contains(only)).collect();
    let (progress, mut figures) = (Progress::new(jobs.len())?, Vec::new());
    for (heading, job, count, connections) in jobs {
        progress.at(&heading);
        let is_drawn = |name: &str| SHOWN.contains(&name);
        let libraries = LIBRARIES.iter().filter(|library| library.has(&job) && is_drawn(library.name));
        let rows = measure(libraries.map(|library| library.name), &job, count, rounds)?;
        let (mut text, mut libraries) = (table::of_times(&heading, &rows), Vec::new());
        for row in &rows {
            let mut value = row.json();
            if row.absent.is_none() {
                let is_counted = !NOT_COUNTED.contains(&row.library);
                let cache = if is_counted { misses(row, &job, 2_000_usize.max(connections))? } else { None };
                if let Some(cache) = cache {
                    text += &format!("  {:<22} {cache:.2} lines not in the first cache\n", row.library);
                }
                value["misses"] = json!(cache);
            }
            libraries.push(value);
        }
        progress.print(&text);
        figures.push(json!({ "cell": heading, "job": job, "libraries": libraries }));
        progress.done();
    }
    Ok(Value::Array(figures))
}

/// Reads and writes for each message that a first cache of 32 KiB in lines of 64 B misses, as callgrind plays it.
fn misses(row: &Row, job: &Job, count: usize) -> Result<Option<f64>, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*process*counted*"])
        .args(["--cache-sim=yes", "--D1=32768,8,64"])
        .arg(std::env::current_exe()?)
        .args(["once", row.library, &serde_json::to_string(job)?, &count.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    // Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, counts)| counts);
    let counts: Vec<f64> = collected.into_iter().flat_map(str::split_whitespace).flat_map(str::parse).collect();
    Ok(match counts[..] {
        [_, _, _, _, reads, writes, ..] if output.status.success() => Some((reads + writes) / count as f64),
        _ => None,
    })
}

/// The libraries that are drawn: more lines would cover each other.
const SHOWN: [&str; 8] = [
    "sockeye",
    "sockeye, tokio",
    "memcpy",
    "tokio-tungstenite",
    "tokio-websockets",
    "fastwebsockets",
    "web-socket",
    "ws-net",
];

/// Those whose cache lines are not counted: it clears 128 KiB for each read, and valgrind would take hours.
const NOT_COUNTED: [&str; 1] = ["tokio-tungstenite"];

/// How many connections there are.
const CONNECTIONS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

/// The length of the messages, in bytes.
const LEN: usize = 16;

/// How many messages there are before the first comes again.
const RING: u64 = 8;
