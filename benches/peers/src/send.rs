//! The cells of sending: messages into bytes that are written to memory.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::frame::messages;
use crate::libraries::{Job, LIBRARIES};
use crate::library::Role;
use crate::messages::Message;
use crate::payloads::{Content, SIZES, size};
use crate::process::{Absent, Row, Work, attempt, measure};
use crate::stream::Stream;
use crate::table::{self, Progress};

/// One end of one connection of a library, which sends.
pub trait Send: Sized + 'static {
    /// Whether all that it sends can be looked at.
    const IS_LIBRARY: bool = true;
    /// Why it has no such cell, if so.
    fn refusal(_: &Outgoing) -> Option<&'static str> {
        None
    }
    /// Makes an end whose opening handshake is over.
    fn open(job: &Outgoing, stream: Stream) -> Self;
    /// Sends the messages whose turn it is, and flushes behind those that say so.
    fn send(&mut self, turns: Turns<'_>);
}

/// What is sent: binary messages, for nobody has to look into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    pub role: Role,
    pub len: usize,
    /// Messages for each flush.
    pub batch: usize,
}

/// Messages that come again and again, as many as are asked for.
///
/// Who masks a message where it lies may do so: what it is when it comes again is of no interest.
#[derive(Debug)]
pub struct Turns<'m> {
    ring: &'m mut [Message],
    at: usize,
    left: usize,
    batch: usize,
}

impl Turns<'_> {
    /// The next message, and whether to flush behind it.
    #[expect(clippy::should_implement_trait, reason = "it lends")]
    pub fn next(&mut self) -> Option<(&mut Message, bool)> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at = if at + 1 == self.ring.len() { 0 } else { at + 1 };
        Some((&mut self.ring[at], self.left.is_multiple_of(self.batch)))
    }
}

impl Outgoing {
    fn ring(&self) -> Vec<Message> {
        let count = (64 * 1024 / self.len).clamp(1, 64);
        (0..count as u64).map(|seed| Content::Binary.message(self.len, seed)).collect()
    }

    /// How many messages a sample takes: whole batches, about a millisecond's worth.
    pub fn count(&self) -> usize {
        (8 * 1024 * 1024 / self.len).clamp(8, 32 * 1024).next_multiple_of(self.batch)
    }
}

/// What the cell is called.
impl fmt::Display for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Server => "as server",
            Role::Client => "as client, masked",
        };
        let flush = match self.batch {
            1 => "a flush for each".into(),
            some => format!("a flush for {some}"),
        };
        write!(f, "send {} of binary, {role}, {flush}", size(self.len))
    }
}

/// Checks what a library sends, and gives what sends so many messages.
///
/// # Errors
///
/// Why there is no such figure.
pub fn prepare<S: Send>(job: &Outgoing) -> Result<Work, Absent> {
    if let Some(why) = S::refusal(job) {
        return Err(Absent::refused(why));
    }
    let job = *job;
    if S::IS_LIBRARY {
        attempt(|| {
            let sent = Arc::new(Mutex::new(Vec::new()));
            let mut end = S::open(&job, Stream::keeping(Arc::new([]), 0, sent.clone()));
            // All messages once, so that none of them was masked before.
            let (expected, mut ring) = (job.ring(), job.ring());
            let left = ring.len();
            end.send(Turns { ring: &mut ring, at: 0, left, batch: job.batch.min(left) });
            let bytes = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let found = messages(&bytes, job.role == Role::Client)?;
            let is_right = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(found, message)| *found == (message.kind, message.bytes.clone()));
            if is_right { Ok(()) } else { Err(format!("it sends {} messages, or others", found.len())) }
        })?;
    }
    let (mut end, mut ring) = (S::open(&job, Stream::new(Arc::new([]), 0)), job.ring());
    Ok(Box::new(move |count| end.send(Turns { ring: &mut ring, at: 0, left: count, batch: job.batch })))
}

/// The cells, in the order in which they are measured.
pub fn jobs() -> Vec<Outgoing> {
    let mut jobs = Vec::new();
    for role in [Role::Server, Role::Client] {
        for batch in [1, 64] {
            jobs.extend(SIZES.map(|len| Outgoing { role, len, batch }));
        }
    }
    jobs
}

/// Measures every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn run(only: &str, rounds: usize) -> Result<Value, Box<dyn Error>> {
    let jobs: Vec<Outgoing> = jobs().into_iter().filter(|job| job.to_string().contains(only)).collect();
    let (progress, mut figures) = (Progress::new(jobs.len())?, Vec::new());
    for job in jobs {
        progress.at(&job.to_string());
        let libraries = LIBRARIES.iter().filter(|library| library.send.is_some()).map(|library| library.name);
        let rows = measure(libraries, &Job::Send(job), job.count(), rounds)?;
        progress.print(&table::of_times(&job.to_string(), &rows));
        figures.push(json!({
            "cell": job.to_string(),
            "job": job,
            "libraries": rows.iter().map(Row::json).collect::<Vec<_>>(),
        }));
        progress.done();
    }
    Ok(Value::Array(figures))
}
