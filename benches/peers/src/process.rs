//! A worker in a process of its own, from both of its ends: it says whether it can do the job, then does as much of it as a line
//! on its standard input asks for, and answers with the time that took.

use std::any::Any;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::samples::{Samples, worked};

/// What does the job so many times.
pub type Work = Box<dyn FnMut(usize)>;

/// Why there is no figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Absent {
    /// The library cannot do that, or not alike.
    Refused(String),
    /// It did something else than it should.
    Failed(String),
}

impl Absent {
    /// A library that has no such thing.
    pub fn refused(why: &str) -> Self {
        Self::Refused(why.into())
    }
}

/// Checks a library by `check`; a panic is a failure, too.
///
/// # Errors
///
/// What `check` says.
pub fn attempt(check: impl FnOnce() -> Result<(), String>) -> Result<(), Absent> {
    let text = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "it panics".into(), |text| (*text).into()),
    };
    // What goes wrong is a figure like others, and not to be printed in between.
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(check)).map_err(text).flatten().map_err(Absent::Failed);
    let _ = std::panic::take_hook();
    result
}

/// Is the worker: each line that it reads is how often to do the job.
///
/// # Errors
///
/// Where a pipe is broken.
pub fn serve(prepared: Result<Work, Absent>) -> Result<(), Box<dyn Error>> {
    say(&prepared.as_ref().map(drop))?;
    let Ok(mut work) = prepared else { return Ok(()) };
    for line in io::stdin().lock().lines() {
        let count: usize = line?.parse()?;
        let begun = worked();
        work(count);
        say(&((worked() - begun) as f64 / count as f64))?;
    }
    Ok(())
}

/// Does the job so many times where callgrind counts, and before that a few times where it does not.
pub fn once(work: &mut Work, count: usize) {
    work(count / 4 + 1);
    counted(work, count);
}

/// What callgrind finds by its name.
#[inline(never)]
fn counted(work: &mut Work, count: usize) {
    work(count);
    // So that this is no jump, but a call, and callgrind sees it return.
    std::hint::black_box(());
}

fn say(what: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut output = io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(what)?)?;
    Ok(output.flush()?)
}

/// A worker that waits to be told what to do.
pub struct Worker {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one by this command, which says something first.
    ///
    /// # Errors
    ///
    /// Where it cannot be started, or says nothing of that kind.
    pub fn start<T: for<'a> Deserialize<'a>>(name: &str, mut command: Command) -> Result<(Self, T), Box<dyn Error>> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut worker = Self { name: name.into(), child, input, output };
        let said = serde_json::from_str(&worker.line()?)?;
        Ok((worker, said))
    }

    /// Tells it to do something, and waits for a number.
    ///
    /// # Errors
    ///
    /// Where it does not answer so.
    pub fn tell(&mut self, what: &str) -> Result<f64, Box<dyn Error>> {
        writeln!(self.input, "{what}")?;
        Ok(self.line()?.trim().parse()?)
    }

    /// Lets it end.
    ///
    /// # Errors
    ///
    /// Where it cannot be waited for.
    pub fn end(mut self) -> Result<(), Box<dyn Error>> {
        drop(self.input);
        self.child.wait()?;
        Ok(())
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(format!("the worker of {} is gone", self.name).into()),
            _ => Ok(line),
        }
    }
}

/// What one library did in one cell.
pub struct Row {
    pub library: &'static str,
    pub absent: Option<Absent>,
    /// Nanoseconds for each time.
    pub samples: Samples,
}

impl Row {
    pub fn json(&self) -> Value {
        let (refusal, failure) = match &self.absent {
            None => (None, None),
            Some(Absent::Refused(why)) => (Some(why), None),
            Some(Absent::Failed(why)) => (None, Some(why)),
        };
        json!({ "library": self.library, "ns": self.samples.json(), "refusal": refusal, "failure": failure })
    }
}

/// Lets these libraries do a job in turns: `rounds` times `count`.
///
/// Where memory happens to lie stays the same for a process, so each library has several, one after the other.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn measure(
    libraries: impl Iterator<Item = &'static str>,
    job: &impl Serialize,
    count: usize,
    rounds: usize,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows: Vec<Row> =
        libraries.map(|library| Row { library, absent: None, samples: Samples::default() }).collect();
    for generation in 0..GENERATIONS.min(rounds) {
        let mut workers = Vec::new();
        for row in rows.iter_mut().filter(|row| row.absent.is_none()) {
            let (worker, said) = Worker::start::<Result<(), Absent>>(row.library, command(row.library, job)?)?;
            row.absent = said.err();
            workers.push((worker, row));
        }
        // The first round only warms up.
        for round in 0..=(rounds - generation).div_ceil(GENERATIONS) {
            for (worker, row) in workers.iter_mut().filter(|(_, row)| row.absent.is_none()) {
                let nanoseconds = worker.tell(&count.to_string())?;
                if round != 0 {
                    row.samples.push(nanoseconds);
                }
            }
        }
        workers.into_iter().try_for_each(|(worker, _)| worker.end())?;
    }
    Ok(rows)
}

/// This program as a worker of a library.
///
/// # Errors
///
/// Where this program is nowhere.
pub fn command(library: &str, job: &impl Serialize) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["work", library, &serde_json::to_string(job)?]);
    Ok(command)
}

/// How many processes of each library there are in a cell.
const GENERATIONS: usize = 3;
