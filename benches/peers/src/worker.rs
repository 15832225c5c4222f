//! One library in one cell, in a process of its own: first it reports what needs no clock, then it works whenever a line on its
//! standard input tells it to, and answers with the time that took.

use std::any::Any;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::allocator::held;
use crate::library::{Library, Role, Setting};
use crate::messages::{Message, Traffic};
use crate::samples::worked;
use crate::wire::Wire;
use crate::zlib::{Checker, Rounds, frames};

/// What a worker is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub traffic: Traffic,
    pub setting: Setting,
    /// How many connections take turns.
    pub connections: usize,
}

/// What it says first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Why the library cannot be set up like that; then there is nothing else.
    pub refusal: Option<String>,
    /// What went wrong with it, in sending and in receiving.
    pub send_failure: Option<String>,
    pub receive_failure: Option<String>,
    /// Bytes on the wire for each byte of the messages.
    pub size: Option<f64>,
    /// Bytes that the first connection of the process holds, with whatever is there once for all.
    pub first: Option<isize>,
    /// Bytes that one connection more holds.
    pub each: Option<isize>,
}

/// What it is told to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Send,
    Receive,
}

impl Task {
    pub const ALL: [Self; 2] = [Self::Send, Self::Receive];

    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
        }
    }
}

/// Is the worker that `job` (JSON) describes.
///
/// # Errors
///
/// Where the job or the pipe is broken.
pub fn run<L: Library>(job: &str) -> Result<(), Box<dyn Error>> {
    let job: Job = serde_json::from_str(job)?;
    if let Some(refusal) = L::refusal(job) {
        return say(&Report { refusal: Some(refusal.into()), ..Report::default() });
    }
    // What goes wrong is a figure like others, and not to be printed in between.
    std::panic::set_hook(Box::new(|_| {}));
    let mut cell = Cell::new(job);
    let memory = attempt(|| Ok(cell.memory::<L>())).ok();
    let sent = attempt(|| cell.check_sending::<L>());
    let received = attempt(|| cell.check_receiving::<L>());
    say(&Report {
        refusal: None,
        send_failure: sent.clone().err(),
        receive_failure: received.err(),
        size: sent.ok(),
        first: memory.map(|(first, _)| first),
        each: memory.map(|(_, each)| each),
    })?;
    // Ends of connections are made when they are first needed.
    let (mut senders, mut receivers) = (None, None);
    for line in io::stdin().lock().lines() {
        let nanoseconds = match line?.as_str() {
            "send" => {
                let senders = senders.get_or_insert_with(|| cell.open::<L>(Role::Server));
                cell.send(senders)
            }
            "receive" => {
                let receivers = receivers.get_or_insert_with(|| cell.open::<L>(Role::Client));
                cell.receive(receivers)
            }
            other => return Err(format!("what is {other:?}?").into()),
        };
        say(&nanoseconds)?;
    }
    Ok(())
}

fn say(what: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut output = io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(what)?)?;
    Ok(output.flush()?)
}

/// Turns a panic of a library into a failure.
fn attempt<T>(what: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let text = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "it panics".into(), |text| (*text).into()),
    };
    catch_unwind(AssertUnwindSafe(what)).map_err(text).flatten()
}

/// The messages and their frames.
struct Cell {
    job: Job,
    messages: Vec<Message>,
    wire: Wire,
    frames: Option<Rounds>,
}

/// Ends of connections that take turns, and where each of them is in the ring.
struct Ends<L> {
    ends: Vec<(L, usize)>,
    turn: usize,
}

impl Cell {
    fn new(job: Job) -> Self {
        Self { messages: job.traffic.messages(), job, wire: Wire::default(), frames: None }
    }

    fn make_frames<L: Library>(&self, is_masked: bool) -> Rounds {
        let level = match self.job.setting {
            Setting::Same { level, .. } => level,
            Setting::Defaults => 6,
        };
        frames(&self.messages, level, self.job.setting.agreement::<L>(), is_masked)
    }

    fn open<L: Library>(&self, role: Role) -> Ends<L> {
        let end = |_| (L::open(role, self.job.setting, &self.wire), 0);
        Ends { ends: (0..self.job.connections).map(end).collect(), turn: 0 }
    }

    /// What the first connection holds, and each further one: servers that have received and sent more than a window.
    fn memory<L: Library>(&mut self) -> (isize, isize) {
        let frames = self.make_frames::<L>(true);
        let mut ends: Vec<Box<L>> = Vec::with_capacity(CONNECTIONS);
        // What the wire has to have room for is there before anybody is counted.
        let room = self.job.traffic.len * 3 + 4096;
        {
            let mut buffers = self.wire.buffers();
            buffers.input.reserve(room);
            buffers.output.reserve(room);
            buffers.shared_input.reserve(room);
            buffers.shared_output.reserve(room);
        }
        let count_of_messages = (40 * 1024 / self.job.traffic.len).max(4);
        let (before, mut first, mut half) = (held(), 0, 0);
        for count in 1..=CONNECTIONS {
            let mut end = Box::new(L::open(Role::Server, self.job.setting, &self.wire));
            for (message, frame) in self.messages.iter_mut().zip(&frames.first).take(count_of_messages) {
                self.wire.buffers().feed(frame);
                end.receive(|message| _ = black_box(message.len()));
                end.send(message);
                self.wire.buffers().drain();
            }
            ends.push(end);
            match count {
                1 => first = held() - before,
                _ if count == CONNECTIONS / 2 => half = held(),
                _ => {}
            }
        }
        (first, (held() - half) / (CONNECTIONS / 2).cast_signed())
    }

    /// Sends two rings of messages and checks each; returns the size of the second on the wire.
    fn check_sending<L: Library>(&mut self) -> Result<f64, String> {
        let mut checker = Checker::new(self.job.setting.agreement::<L>());
        let mut end = L::open(Role::Server, self.job.setting, &self.wire);
        let (mut sent, mut len) = (0, 0);
        for round in 0..2 {
            for message in &mut self.messages {
                end.send(message);
                let mut buffers = self.wire.buffers();
                let bytes = [&buffers.output[..], &buffers.shared_output[..]].concat();
                checker.check(&bytes, message)?;
                let drained = buffers.drain();
                if round == 1 {
                    (sent, len) = (sent + drained, len + message.bytes.len());
                }
            }
        }
        Ok(sent as f64 / len as f64)
    }

    /// Receives three rings of messages and compares each.
    fn check_receiving<L: Library>(&mut self) -> Result<(), String> {
        let frames = self.make_frames::<L>(false);
        let mut end = L::open(Role::Client, self.job.setting, &self.wire);
        for frames in [&frames.first, &frames.later, &frames.later] {
            for (message, frame) in self.messages.iter().zip(frames) {
                self.wire.buffers().feed(frame);
                let mut result = Err("it receives nothing".into());
                end.receive(|received| {
                    result = match received == message.bytes {
                        true => Ok(()),
                        false => {
                            Err(format!("it receives {} bytes of {}, or others", received.len(), message.bytes.len()))
                        }
                    };
                });
                result?;
            }
        }
        self.frames = Some(frames);
        Ok(())
    }

    /// Sends a batch; returns the nanoseconds for each message.
    fn send<L: Library>(&mut self, senders: &mut Ends<L>) -> f64 {
        let batch = self.job.traffic.batch();
        let begun = worked();
        for _ in 0..batch {
            let (end, at) = senders.next(self.messages.len());
            end.send(&mut self.messages[at]);
            black_box(self.wire.buffers().drain());
        }
        (worked() - begun) as f64 / batch as f64
    }

    /// Receives a batch; returns the nanoseconds for each message.
    fn receive<L: Library>(&mut self, receivers: &mut Ends<L>) -> f64 {
        let batch = self.job.traffic.batch();
        let Some(frames) = &self.frames else { return f64::NAN };
        let begun = worked();
        for _ in 0..batch {
            let (end, at, is_first) = receivers.next_of_round(self.messages.len());
            let frames = if is_first { &frames.first } else { &frames.later };
            self.wire.buffers().feed(&frames[at]);
            end.receive(|message| _ = black_box((message.len(), message.last().copied())));
        }
        (worked() - begun) as f64 / batch as f64
    }
}

impl<L> Ends<L> {
    /// Whose turn it is, and which message of the ring it is at.
    fn next(&mut self, ring: usize) -> (&mut L, usize) {
        let (end, at, _) = self.next_of_round(ring);
        (end, at)
    }

    /// The same, and whether it is in its first round.
    fn next_of_round(&mut self, ring: usize) -> (&mut L, usize, bool) {
        self.turn = (self.turn + 1) % self.ends.len();
        let (end, count) = &mut self.ends[self.turn];
        let at = *count;
        *count += 1;
        (end, at % ring, at < ring)
    }
}

/// How many connections there are when memory is counted.
const CONNECTIONS: usize = 200;
