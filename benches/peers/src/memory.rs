//! What a connection holds on the heap while nothing happens: once it is open, and after an echo of 1 KiB.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::allocator::held;
use crate::frame::{fragmented, messages};
use crate::libraries::LIBRARIES;
use crate::messages::Kind;
use crate::payloads::Content;
use crate::process::{Absent, Worker, attempt};
use crate::stream::Stream;
use crate::table::Progress;

/// The server's end of a connection.
pub trait Idle: Sized + 'static {
    /// Makes an end whose opening handshake is over.
    fn open(stream: Stream) -> Self;
    /// Waits for a message, and finds none, as a connection does that has nothing to do.
    fn wait(&mut self);
    /// Receives a message, and sends it back.
    fn echo(&mut self);
}

/// Bytes on the heap that a connection more takes, itself among them, the stream's own not.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Weight {
    pub opened: isize,
    pub echoed: isize,
}

/// Weighs the connections of a library.
///
/// # Errors
///
/// Where it does something else.
pub fn weigh<I: Idle>() -> Result<Weight, Absent> {
    let message = Content::Binary.message(1024, 0);
    let mut wire = Vec::new();
    fragmented(Kind::Binary, &message.bytes, 1, true, &mut wire);
    // One for all, for it is not the connection's.
    let nothing: Arc<[u8]> = Arc::new([]);
    let (wire, kept) = (Arc::<[u8]>::from(wire), Arc::new(Mutex::new(Vec::with_capacity(4096))));
    let mut weight = Weight { opened: 0, echoed: 0 };
    attempt(|| {
        weight.opened = one_more::<I>(|| {
            let mut end = Box::new(I::open(Stream::once(nothing.clone(), kept.clone())));
            end.wait();
            Ok(end)
        })?;
        weight.echoed = one_more::<I>(|| {
            let mut end = Box::new(I::open(Stream::once(wire.clone(), kept.clone())));
            end.echo();
            end.wait();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let is_echo = messages(&kept, false)?.first().is_some_and(|(_, bytes)| *bytes == message.bytes);
            kept.clear();
            if is_echo { Ok(end) } else { Err("it sends something else back".into()) }
        })?;
        Ok(())
    })?;
    Ok(weight)
}

/// What one connection more holds: those from the hundredth to the two hundredth, so that nothing counts that there is once.
fn one_more<I>(open: impl Fn() -> Result<Box<I>, String>) -> Result<isize, String> {
    let (mut ends, mut half) = (Vec::with_capacity(CONNECTIONS), 0);
    for count in 1..=CONNECTIONS {
        ends.push(open()?);
        if count == CONNECTIONS / 2 {
            half = held();
        }
    }
    Ok((held() - half) / (CONNECTIONS / 2).cast_signed() - size_of::<Stream>().cast_signed())
}

/// Is the worker for one of the libraries.
///
/// # Errors
///
/// Where there is none of that name.
pub fn work(name: &str) -> Result<(), Box<dyn Error>> {
    let weigh = crate::libraries::of_name(name).and_then(|library| library.memory).ok_or("it has no such job")?;
    println!("{}", serde_json::to_string(&weigh())?);
    Ok(())
}

/// Weighs all, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn run() -> Result<Value, Box<dyn Error>> {
    let progress = Progress::new(LIBRARIES.len())?;
    let (mut figures, mut text) = (Vec::new(), String::from("\nheap of an idle connection, bytes\n"));
    text += &format!("  {:<22} {:>12} {:>12}\n", "", "opened", "after 1 KiB");
    for library in LIBRARIES {
        progress.at(library.name);
        if library.memory.is_some() {
            let mut command = std::process::Command::new(std::env::current_exe()?);
            command.args(["weigh", library.name]);
            let (worker, weight) = Worker::start::<Result<Weight, Absent>>(library.name, command)?;
            worker.end()?;
            match &weight {
                Ok(weight) => {
                    text += &format!("  {:<22} {:>12} {:>12}\n", library.name, weight.opened, weight.echoed);
                }
                Err(why) => text += &format!("  {:<22} {why:?}\n", library.name),
            }
            figures.push(json!({ "library": library.name, "bytes": weight.ok() }));
        }
        progress.done();
    }
    progress.print(&text);
    Ok(json!([{ "cell": "heap of an idle connection", "libraries": figures }]))
}

/// How many connections there are in the end.
const CONNECTIONS: usize = 200;
