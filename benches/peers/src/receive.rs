//! The cells of receiving: messages out of bytes that are read from memory.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::frame::fragmented;
use crate::libraries::{Job, LIBRARIES};
use crate::library::Role;
use crate::messages::Message;
use crate::payloads::{Content, SIZES, size};
use crate::process::{Absent, Work, attempt, measure};
use crate::stream::Stream;
use crate::table::{self, Progress};

/// One end of one connection of a library, which receives.
pub trait Receive: Sized + 'static {
    /// How it hands out what it receives.
    const GIVES: Gives;
    /// Why it has no such cell, if so.
    fn refusal(_: &Incoming) -> Option<&'static str> {
        None
    }
    /// Makes an end whose opening handshake is over.
    fn open(job: &Incoming, stream: Stream) -> Self;
    /// Receives that many messages, and lets `visit` see each of them before the next is received.
    fn receive(&mut self, count: usize, visit: impl FnMut(&[u8]));
}

/// How messages are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Not at all: it is no library, but a part of the work.
    Nothing,
    /// Lent, until the next one is received, or for longer in memory of the caller's.
    Lent,
    /// The caller's own, or with a part in shared memory.
    Owned,
}

impl Gives {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Lent => "lent",
            Self::Owned => "owned",
        }
    }
}

/// What is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    pub role: Role,
    pub content: Content,
    pub len: usize,
    /// Frames of each message.
    pub fragments: usize,
    /// The most bytes that a read gives.
    pub read: usize,
}

impl Incoming {
    /// Messages that come again and again: as many as make about 64 KiB.
    fn messages(&self) -> Vec<Message> {
        let count = (64 * 1024 / self.len).clamp(1, 2048);
        (0..count as u64).map(|seed| self.content.message(self.len, seed)).collect()
    }

    fn wire(&self, messages: &[Message]) -> Arc<[u8]> {
        let mut wire = Vec::new();
        for message in messages {
            fragmented(message.kind, &message.bytes, self.fragments, self.role == Role::Server, &mut wire);
        }
        wire.into()
    }

    /// What each message takes on the wire; it is the same for all of them.
    pub fn len_on_the_wire(&self) -> usize {
        let message = self.content.message(self.len, 0);
        self.wire(&[message]).len()
    }

    /// How many messages a sample takes: about a millisecond's worth.
    pub fn batch(&self) -> usize {
        (8 * 1024 * 1024 / self.len).clamp(8, 50_000)
    }
}

/// What the cell is called.
impl fmt::Display for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fragments = match self.fragments {
            1 => String::new(),
            some => format!(" in {some} fragments"),
        };
        let role = match self.role {
            Role::Server => "as server, masked",
            Role::Client => "as client",
        };
        write!(f, "receive {} of {}{fragments}, {role}", size(self.len), self.content)
    }
}

/// Checks what a library receives, and gives what receives so many messages.
///
/// # Errors
///
/// Why there is no such figure.
pub fn prepare<R: Receive>(job: &Incoming) -> Result<Work, Absent> {
    if let Some(why) = R::refusal(job) {
        return Err(Absent::refused(why));
    }
    let messages = job.messages();
    let wire = job.wire(&messages);
    if R::GIVES != Gives::Nothing {
        attempt(|| {
            let (mut at, mut result) = (0, Ok(()));
            // Beyond the end, so that the frames are cut elsewhere, too.
            let count = messages.len() * 3 + 1;
            R::open(job, Stream::new(wire.clone(), job.read)).receive(count, |received| {
                if received != messages[at % messages.len()].bytes {
                    result = Err(format!("message {at} comes as {} bytes, or others", received.len()));
                }
                at += 1;
            });
            if at == count { result } else { Err(format!("{at} messages come instead of {count}")) }
        })?;
    }
    let mut end = R::open(job, Stream::new(wire, job.read));
    Ok(Box::new(move |count| {
        let mut touched = 0;
        end.receive(count, |message| {
            touched += message.len();
            touched += usize::from(message.first().copied().unwrap_or(0) ^ message.last().copied().unwrap_or(0));
        });
        black_box(touched);
    }))
}

/// The cells, in the order in which they are measured.
pub fn jobs(read: usize) -> Vec<Incoming> {
    let mut jobs = Vec::new();
    for role in [Role::Server, Role::Client] {
        for content in Content::ALL {
            for whole in [true, false] {
                jobs.extend(SIZES.map(|len| {
                    let fragments = if whole {
                        1
                    } else if len < 1024 {
                        2
                    } else {
                        4
                    };
                    Incoming { role, content, len, fragments, read }
                }));
            }
        }
    }
    jobs
}

/// Measures every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn run(only: &str, rounds: usize, read: usize) -> Result<Value, Box<dyn Error>> {
    let jobs: Vec<Incoming> = jobs(read).into_iter().filter(|job| job.to_string().contains(only)).collect();
    let (progress, mut figures) = (Progress::new(jobs.len())?, Vec::new());
    for job in jobs {
        progress.at(&job.to_string());
        let libraries = LIBRARIES.iter().filter(|library| library.receive.is_some()).map(|library| library.name);
        let rows = measure(libraries, &Job::Receive(job), job.batch(), rounds)?;
        progress.print(&table::of_times(&job.to_string(), &rows));
        figures.push(json!({
            "cell": job.to_string(),
            "job": job,
            "libraries": rows.iter().map(table::Row::json).collect::<Vec<_>>(),
        }));
        progress.done();
    }
    Ok(Value::Array(figures))
}
