//! What grows with the number of connections: the memory of a server, and the time that it takes for a message, which should not.

use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::Flow;
use super::traffic::Traffic;
use super::{Asked, peer, round};
use crate::samples::Samples;
use crate::table::{Progress, short};
use crate::tcp::limits::{self, Cores};
use crate::tcp::{Process, Server};

/// Measures both, and prints and returns the figures.
///
/// # Errors
///
/// Where this machine does not let it.
pub fn run(asked: &Asked) -> Result<Value, Box<dyn Error>> {
    let cores = Cores::new()?;
    let most = limits::connections(CONNECTIONS);
    if most < CONNECTIONS {
        println!("only {most} connections: there are no more file descriptors (ulimit -n)");
    }
    Ok(json!({
        "most": most,
        "resident": if RESIDENT.contains(&asked.only) { residents(most, asked, &cores)? } else { json!([]) },
        "cpu": if CPU.contains(&asked.only) { times(most, asked, &cores)? } else { json!([]) },
    }))
}

/// How much memory each server has.
fn residents(most: usize, asked: &Asked, cores: &Cores) -> Result<Value, Box<dyn Error>> {
    let progress = Progress::new(asked.servers().count())?;
    let mut figures = Vec::new();
    progress.print(&format!(
        "\n{RESIDENT}\n  {:<22} {:>10} {:>12} {:>14}\n",
        "", "first KiB", "connections", "bytes for each"
    ));
    for server in asked.servers() {
        progress.at(server.name);
        let (levels, absent) = match resident(server, most, cores) {
            Ok((levels, None)) => (levels, None),
            Ok((levels, Some(why))) => (levels, Some(why)),
            Err(why) => (Vec::new(), Some(why.to_string())),
        };
        let text = match levels[..] {
            [(_, none), .., (count, all)] => {
                let each = all.saturating_sub(none) as f64 / count as f64;
                format!("  {:<22} {:>10} {count:>12} {:>14}", server.name, none / 1024, short(each))
            }
            _ => format!("  {:<22}", server.name),
        };
        progress.print(&format!("{text} {}\n", absent.as_deref().unwrap_or_default()));
        figures.push(json!({
            "library": server.name,
            "absent": absent,
            "levels": levels.iter().map(|(count, bytes)| json!({ "connections": count, "bytes": bytes })).collect::<Vec<_>>(),
        }));
        progress.done();
    }
    Ok(Value::Array(figures))
}

/// The memory of a server with each number of idle connections, and why there are no more, if so.
#[expect(clippy::type_complexity, reason = "it is taken apart where it is called")]
fn resident(
    server: &Server,
    most: usize,
    cores: &Cores,
) -> Result<(Vec<(usize, u64)>, Option<String>), Box<dyn Error>> {
    let process = Process::start(server, cores)?;
    let traffic = Traffic::new(1024, server.speaks);
    sleep(PAUSE);
    let (mut streams, mut levels) = (Vec::with_capacity(most), vec![(0, process.resident()?)]);
    while streams.len() < most {
        let before = streams.len();
        let opened = peer::open(process.address(), STEP.min(most - before), server.speaks, &mut streams);
        if let Err(why) = opened.and_then(|()| peer::echo(&mut streams[before..], &traffic)) {
            return Ok((levels, Some(format!("{} connections, then {why}", streams.len()))));
        }
        sleep(PAUSE);
        levels.push((streams.len(), process.resident()?));
    }
    Ok((levels, None))
}

/// How long servers work for a message of 16 bytes, by the number of connections.
fn times(most: usize, asked: &Asked, cores: &Cores) -> Result<Value, Box<dyn Error>> {
    let servers = || asked.servers().filter(|server| CURVES.contains(&server.name));
    let counts: Vec<usize> = [1, 10, 100, 1000, CONNECTIONS].into_iter().map(|count| count.min(most)).collect();
    let progress = Progress::new(counts.len())?;
    let mut figures: Vec<(&Server, Vec<Samples>, Option<String>)> =
        servers().map(|server| (server, vec![Samples::default(); counts.len()], None)).collect();
    for (column, &count) in counts.iter().enumerate() {
        progress.at(&format!("{count} connections"));
        let start = |(server, _, absent): &mut (&Server, Vec<Samples>, Option<String>)| {
            Process::start(server, cores).map_err(|why| *absent = Some(why)).ok()
        };
        let mut processes: Vec<_> = figures.iter_mut().map(start).collect();
        for _ in 0..asked.rounds {
            for ((server, samples, absent), process) in figures.iter_mut().zip(&mut processes) {
                let Some(running) = process else { continue };
                let traffic = Traffic::new(16, server.speaks);
                match round(server, running, &traffic, count, Flow::All(IN_FLIGHT), asked.seconds) {
                    Ok(figures) => samples[column].push(figures.cpu),
                    Err(why) => (*absent, *process) = (Some(why.to_string()), None),
                }
            }
        }
        progress.done();
    }
    let heads: Vec<String> = counts.iter().map(|count| format!("{count:>10}")).collect();
    let mut text = format!("\n{CPU}\n  {:<22} {}\n", "", heads.join(" "));
    for (server, samples, absent) in &figures {
        let medians: Vec<String> = samples.iter().map(|samples| format!("{:>10}", short(samples.median()))).collect();
        text += &format!("  {:<22} {} {}\n", server.name, medians.join(" "), absent.as_deref().unwrap_or_default());
    }
    progress.print(&text);
    Ok(figures
        .iter()
        .map(|(server, samples, absent)| {
            let points = counts
                .iter()
                .zip(samples)
                .map(|(count, samples)| json!({ "connections": count, "cpu": samples.json() }));
            json!({ "library": server.name, "absent": absent, "points": points.collect::<Vec<_>>() })
        })
        .collect())
}

/// What the cells are called.
const RESIDENT: &str = "resident memory of a server, by idle connections after an echo of 1 KiB on each";
const CPU: &str = "CPU of a server for 16 bytes, ns, by connections, with 64 messages under way in all";

/// Who has a curve of time: to open so many connections takes long.
const CURVES: [&str; 10] = [
    "sockeye, tokio",
    "sockeye, engine",
    "sockeye, engine on mio",
    "raw, tokio",
    "raw, mio",
    "tokio-tungstenite",
    "tokio-websockets",
    "sockudo-ws",
    "ws-net",
    "Bun",
];

const CONNECTIONS: usize = 10_000;
/// How many connections more there are whenever memory is looked at.
const STEP: usize = 1000;
/// How long a server has to come to rest.
const PAUSE: Duration = Duration::from_millis(100);
/// How many messages are under way where connections are counted.
const IN_FLIGHT: usize = 64;
