//! What it costs a server to send a message of 1 KiB to each of many subscribers over TCP, beside other libraries: see the README.

mod clients;
mod library;
mod plan;
mod process;
mod samples;
mod server;
mod table;

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};
use std::{env, fs};

use clients::Clients;
use library::Library;
use plan::Plan;
use process::{Cores, Process};
use samples::{Figure, Samples};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A server that is started, subscribed to, and measured with so many messages a turn, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    plan: Plan,
    connections: usize,
    messages: &'static [u8],
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.connections, self.plan)
    }
}

const STAGES: [Stage; 5] = [
    Stage { plan: Plan::Same(1), connections: 1_000, messages: &[1, 8, 64] },
    // 100,000 topics.
    Stage { plan: Plan::Own(100), connections: 1_000, messages: &[1] },
    Stage { plan: Plan::Patterns, connections: 1_000, messages: &[1, 8, 64] },
    // For the memory of a subscription, beside the first.
    Stage { plan: Plan::Same(101), connections: 1_000, messages: &[1] },
    Stage { plan: Plan::Same(1), connections: 10_000, messages: &[1, 8, 64] },
];

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    /// No server is started after that.
    all: Duration,
    /// A figure takes that long in a round, and a turn more, or as long as its least number of turns.
    each: Duration,
}

const QUICK: Effort = Effort { rounds: 3, all: Duration::from_secs(150), each: Duration::from_millis(200) };
const WHOLE: Effort = Effort { rounds: 9, all: Duration::from_secs(30 * 60), each: Duration::from_secs(1) };

const HELP: &str = "\
One message to many over TCP, beside other libraries; prints tables in Markdown.

  --quick        at most three minutes, instead of a quarter of an hour
  --rounds N     of all, in turns, however long that takes; by default 9, and if it is quick 3, or fewer if that is too long
  --only TEXT    the libraries with that in their name, beside each other
  --stage TEXT   the stages with that in their name, as it is told while they run
  --seconds S    how long a figure takes in a round
  --results      puts the tables into benches/RESULTS.md, too";

fn main() -> Outcome<()> {
    use lexopt::prelude::{Long, Value, ValueExt};
    let (mut parser, mut effort, mut rounds) = (lexopt::Parser::from_env(), WHOLE, None);
    let (mut only, mut stage, mut writes_results) = (String::new(), String::new(), false);
    let mut seconds = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => effort = QUICK,
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Long("only") => only = parser.value()?.string()?,
            Long("stage") => stage = parser.value()?.string()?,
            Long("seconds") => seconds = Some(parser.value()?.parse()?),
            Long("results") => writes_results = true,
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Value(verb) if verb == "serve" => {
                let mut text = || parser.value()?.string();
                let library = Library::of_name(&text()?).ok_or("no such library")?;
                let plan = Plan::parse(&text()?, &text()?).ok_or("no such plan")?;
                return server::run(library, plan, text()?.parse()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(rounds) = rounds {
        (effort.rounds, effort.all) = (rounds, Duration::MAX);
    }
    effort.each = seconds.map_or(effort.each, Duration::from_secs_f64);
    let machine = table::machine();
    let samples = measure(effort, &only, &stage)?;
    let tables = table::all(&samples, &machine, &env::args().skip(1).collect::<Vec<_>>())?;
    print!("{tables}");
    if writes_results {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../RESULTS.md");
        let text = fs::read_to_string(path)?;
        let before = text.split(table::HEADING).next().unwrap_or_default().trim_end();
        fs::write(path, format!("{before}\n\n{tables}"))?;
    }
    Ok(())
}

/// Lets all libraries take turns, round by round.
fn measure(effort: Effort, only: &str, in_name: &str) -> Outcome<Samples> {
    let has = process::connections(10_000);
    if has < 10_000 {
        eprintln!("the system allows for {has} connections: nothing is measured with more");
    }
    let (cores, started, mut samples) = (Cores::divide()?, Instant::now(), Samples::default());
    let mut failed = Vec::new();
    for round in 1..=effort.rounds {
        let stages = STAGES.iter().filter(|stage| stage.connections <= has && stage.to_string().contains(in_name));
        for stage in stages {
            let libraries = Library::ALL.into_iter().filter(|library| library.has(stage.plan));
            for library in libraries.filter(|library| library.name().contains(only)) {
                if started.elapsed() > effort.all {
                    eprintln!("no time for more: round {round} is cut off");
                    return Ok(samples);
                }
                let seconds = started.elapsed().as_secs();
                eprintln!("{seconds:>4} s, round {round}: {stage}: {}", library.name());
                if failed.contains(&library) {
                    continue;
                }
                samples.rounds = round;
                if let Err(error) = run(library, stage, effort.each, &cores, &mut samples) {
                    eprintln!("       it fails: {error}");
                    failed.push(library);
                }
            }
        }
    }
    Ok(samples)
}

/// One round of a library in a stage.
fn run(library: Library, stage: &Stage, each: Duration, cores: &Cores, samples: &mut Samples) -> Outcome<()> {
    let Stage { plan, connections, messages } = *stage;
    let mut server = Process::start(library, plan, connections, cores)?;
    let mut clients = Clients::connect(server.port, connections)?;
    server.publish(1)?;
    clients.check(&plan::frame())?;
    for &messages in messages {
        let received = connections * usize::from(messages);
        // Something for each topic, but no more than has to be.
        let least = LEAST.div_ceil(received);
        // The first turns do not count; a turn as large as all of them needs none, behind the smaller ones.
        for _ in 0..(if least > 1 { least.div_ceil(4) } else { 0 }) {
            turn(&mut server, &mut clients, messages, received)?;
        }
        let (worked, started, mut turns) = (server.worked()?, Instant::now(), 0);
        while turns < least || started.elapsed() < each {
            turn(&mut server, &mut clients, messages, received)?;
            turns += 1;
        }
        let of_each = |time: Duration| time.as_secs_f64() * 1e9 / (turns * received) as f64;
        let figures = [of_each(server.worked()? - worked), of_each(started.elapsed())];
        samples.push(library, Figure::Cpu(plan, connections, messages), figures[0]);
        samples.push(library, Figure::Wall(plan, connections, messages), figures[1]);
        if messages == 1 {
            samples.push(library, Figure::Resident(plan, connections), server.resident()? as f64);
        }
    }
    Ok(())
}

/// A turn: published at once, and received by all before the next one.
fn turn(server: &mut Process, clients: &mut Clients, messages: u8, received: usize) -> Outcome<()> {
    server.publish(messages)?;
    clients.drain(received * plan::frame().len())
}

/// Messages that are received in a figure, at least: with 1,000 connections, one of each of 100 topics.
const LEAST: usize = 100_000;
