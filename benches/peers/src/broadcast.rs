//! The cells of broadcasting: one message to all connections of a server, each as its library recommends.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::allocator::asked_for;
use crate::frame::messages;
use crate::libraries::{Job, LIBRARIES, prepare as prepare_of};
use crate::library::{Agreement, Context};
use crate::messages::{Content as Compressible, Message, Traffic};
use crate::payloads::{Content, size};
use crate::process::{Absent, Row, Work, Worker, attempt, measure};
use crate::stream::Stream;
use crate::table::{self, Progress, short};
use crate::zlib::Checker;

/// The connections of a server of a library, which all get the same message.
pub trait Broadcast: Sized + 'static {
    /// Makes an end for each stream, whose opening handshake is over.
    fn open(job: &Publication, streams: Vec<Stream>) -> Self;
    /// Sends a message to all: when this is over, each stream has got all of it.
    fn publish(&mut self, message: &mut Message);
}

/// What is published, to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    pub payload: Payload,
    pub len: usize,
    pub connections: usize,
}

/// What the message consists of, and whether it is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    Plain(Content),
    /// JSON, by permessage-deflate without context takeover: [`AGREEMENT`], [`LEVEL`].
    Deflated,
}

/// What the ends of a compressed cell agreed on.
pub const AGREEMENT: Agreement = Agreement { context: Context::NoTakeover, window_bits: 15 };
/// At which level they compress.
pub const LEVEL: u8 = 1;

impl Publication {
    /// Messages that come again and again.
    fn ring(&self) -> Vec<Message> {
        match self.payload {
            Payload::Plain(content) => (0..RING as u64).map(|seed| content.message(self.len, seed)).collect(),
            Payload::Deflated => {
                Traffic { content: Compressible::Json, len: self.len }.messages().into_iter().take(RING).collect()
            }
        }
    }

    /// How many times somebody gets a message in a sample: some milliseconds' worth.
    pub fn count(&self) -> usize {
        let count = if self.payload == Payload::Deflated { 1_000 } else { 20_000 };
        count.max(2 * self.connections).next_multiple_of(self.connections)
    }

    /// Looks at what a connection was sent; gives its length on the wire.
    fn check(&self, sent: &[u8], message: &Message) -> Result<usize, String> {
        let is_right = match self.payload {
            Payload::Plain(_) => messages(sent, false)? == [(message.kind, message.bytes.clone())],
            Payload::Deflated => {
                Checker::new(AGREEMENT).check(sent, message)?;
                sent.len() < message.bytes.len()
            }
        };
        if is_right { Ok(sent.len()) } else { Err(format!("it sends {} bytes to one of all, or others", sent.len())) }
    }
}

/// What the cell is called.
impl fmt::Display for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, connections) = (size(self.len), self.connections);
        match self.payload {
            Payload::Plain(content) => write!(f, "broadcast {len} of {content} to {connections}"),
            Payload::Deflated => write!(f, "broadcast {len} of JSON to {connections}, deflated"),
        }
    }
}

/// Checks what a library sends to each connection, and gives what sends so many times to one of them.
///
/// # Errors
///
/// Why there is no such figure.
pub fn prepare<B: Broadcast>(job: &Publication) -> Result<Work, Absent> {
    let (job, mut ring) = (*job, job.ring());
    // What all connections together are sent of each message.
    let mut lens = vec![0; ring.len()];
    attempt(|| {
        let kept: Vec<_> = (0..job.connections).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
        let streams = kept.iter().map(|kept| Stream::keeping(Arc::new([]), 0, kept.clone())).collect();
        let mut ends = B::open(&job, streams);
        for (message, len) in ring.iter_mut().zip(&mut lens) {
            ends.publish(message);
            for kept in &kept {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                *len += job.check(&kept, message)?;
                kept.clear();
            }
        }
        Ok(())
    })?;
    let streams = (0..job.connections).map(|_| Stream::one_of_many(Arc::new([]), 0)).collect();
    let (mut ends, mut at) = (B::open(&job, streams), 0);
    Ok(Box::new(move |count| {
        let (before, mut len) = (Stream::written().bytes, 0);
        for _ in 0..count.div_ceil(job.connections) {
            ends.publish(&mut ring[at]);
            len += lens[at];
            at = (at + 1) % ring.len();
        }
        assert_eq!(Stream::written().bytes - before, len as u64, "everybody gets all of it, and nothing else");
    }))
}

/// What is the same each time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tally {
    /// Bytes that are asked of the allocator, and writes to the stream, for each time that somebody gets a message.
    allocated: f64,
    writes: f64,
}

/// Is the worker that counts what is the same each time.
///
/// # Errors
///
/// Where there is no such job.
pub fn tally(name: &str, job: &str) -> Result<(), Box<dyn Error>> {
    let Job::Broadcast(publication) = serde_json::from_str(job)? else { return Err("that is no broadcast".into()) };
    let tally = prepare_of(name, job)?.map(|mut work| {
        // What is there once, and in each connection, is there after these.
        work(publication.connections * RING);
        let count = publication.connections * RING;
        let (asked, written) = (asked_for(), Stream::written().writes);
        work(count);
        let each = |number: u64| number as f64 / count as f64;
        Tally { allocated: each((asked_for() - asked) as u64), writes: each(Stream::written().writes - written) }
    });
    println!("{}", serde_json::to_string(&tally)?);
    Ok(())
}

/// The cells, in the order in which they are measured.
pub fn jobs() -> Vec<Publication> {
    let job = |payload, connections| Publication { payload, len: 1024, connections };
    vec![
        job(Payload::Plain(Content::Binary), 1_000),
        job(Payload::Plain(Content::Binary), 10_000),
        job(Payload::Plain(Content::Ascii), 1_000),
        job(Payload::Deflated, 1_000),
    ]
}

/// Measures every cell whose heading has `only` in it, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn run(only: &str, rounds: usize) -> Result<Value, Box<dyn Error>> {
    let jobs: Vec<Publication> = jobs().into_iter().filter(|job| job.to_string().contains(only)).collect();
    let (progress, mut figures) = (Progress::new(jobs.len())?, Vec::new());
    for publication in jobs {
        let (heading, job) = (publication.to_string(), Job::Broadcast(publication));
        progress.at(&heading);
        let libraries = LIBRARIES.iter().filter(|library| library.has(&job)).map(|library| library.name);
        let rows = measure(libraries, &job, publication.count(), rounds)?;
        let mut text = table::of_times(&heading, &rows);
        let mut libraries = Vec::new();
        for row in &rows {
            let mut value = row.json();
            if row.absent.is_none() {
                let tally = count(row, &job)?;
                let name = row.library;
                text += &format!("  {name:<22} {} B allocated, {:.2} writes\n", short(tally.allocated), tally.writes);
                value["each"] = json!(tally);
            }
            libraries.push(value);
        }
        progress.print(&text);
        figures.push(json!({ "cell": heading, "job": publication, "libraries": libraries }));
        progress.done();
    }
    Ok(Value::Array(figures))
}

fn count(row: &Row, job: &Job) -> Result<Tally, Box<dyn Error>> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["tally", row.library, &serde_json::to_string(job)?]);
    let (worker, tally) = Worker::start::<Result<Tally, Absent>>(row.library, command)?;
    worker.end()?;
    tally.map_err(|absent| format!("{}: {absent:?}", row.library).into())
}

/// How many messages there are before the first comes again.
const RING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::fragmented;

    const RIGHT: u8 = 0;
    const CHANGES_A_BYTE: u8 = 1;
    const LEAVES_ONE_OUT: u8 = 2;
    const SENDS_TWICE: u8 = 3;
    const TAKES_THE_OTHER_KIND: u8 = 4;

    /// A server that does something wrong, to the last of its connections.
    struct Server<const WRONG: u8>(Vec<Stream>);

    impl<const WRONG: u8> Broadcast for Server<WRONG> {
        fn open(_: &Publication, streams: Vec<Stream>) -> Self {
            Self(streams)
        }

        fn publish(&mut self, message: &mut Message) {
            let mut frame = Vec::new();
            fragmented(message.kind, &message.bytes, 1, false, &mut frame);
            let (last, others) = self.0.split_last_mut().expect("there is one");
            others.iter_mut().for_each(|stream| _ = stream.put(&frame));
            match WRONG {
                CHANGES_A_BYTE => *frame.last_mut().expect("it is not empty") ^= 1,
                LEAVES_ONE_OUT => return,
                SENDS_TWICE => _ = last.put(&frame),
                TAKES_THE_OTHER_KIND => frame[0] ^= 0x03,
                _ => {}
            }
            last.put(&frame);
        }
    }

    #[test]
    fn who_sends_something_else_to_one_of_many_has_no_figure() {
        let job = Publication { payload: Payload::Plain(Content::Binary), len: 200, connections: 5 };
        assert!(prepare::<Server<RIGHT>>(&job).is_ok());
        for prepared in [
            prepare::<Server<CHANGES_A_BYTE>>(&job),
            prepare::<Server<LEAVES_ONE_OUT>>(&job),
            prepare::<Server<SENDS_TWICE>>(&job),
            prepare::<Server<TAKES_THE_OTHER_KIND>>(&job),
        ] {
            assert!(matches!(prepared, Err(Absent::Failed(_))));
        }
    }

    #[test]
    fn what_was_to_be_compressed_and_is_not_is_no_figure() {
        let job = Publication { payload: Payload::Deflated, len: 1024, connections: 2 };
        assert!(matches!(prepare::<Server<RIGHT>>(&job), Err(Absent::Failed(_))));
    }
}
