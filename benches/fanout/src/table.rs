//! The tables, in Markdown.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::library::Library;
use crate::plan::Plan;
use crate::samples::{Figure, Samples};
use crate::{Outcome, STAGES};

/// Where the section begins in `RESULTS.md`.
pub const HEADING: &str = "## Fan-out: one message to many over TCP\n";

/// The section.
pub fn all(samples: &Samples, machine: &str, arguments: &[String]) -> Outcome<String> {
    let mut text = String::from(HEADING);
    writeln!(
        text,
        "\nMade by `cargo run --release --manifest-path benches/fanout/Cargo.toml -- {}`; \
         [its README](fanout/README.md) says how it was measured. {}. Medians of {} rounds at most, with the least and the most in small print.",
        arguments.join(" "),
        machine,
        samples.rounds,
    )?;
    writeln!(
        text,
        "\nNanoseconds of the server's CPU, the kernel's part included, for each message and subscriber:\n"
    )?;
    times(&mut text, samples, Figure::Cpu, |[least, median, most]| {
        format!("{median:.0} <sub>{least:.0}..{most:.0}</sub>")
    })?;
    ratios(&mut text, samples)?;
    writeln!(text, "\nMillions of messages received a second, by the clock on the wall:\n")?;
    times(&mut text, samples, Figure::Wall, |[least, median, most]| {
        let [least, median, most] = [most, median, least].map(|each| 1e3 / each);
        format!("{median:.2} <sub>{least:.2}..{most:.2}</sub>")
    })?;
    writeln!(text, "\nBytes of the server's resident memory:\n")?;
    memory(&mut text, samples)?;
    Ok(text)
}

/// A row for each library, and a column for each plan and number of messages.
fn times(
    text: &mut String,
    samples: &Samples,
    figure: fn(Plan, usize, u8) -> Figure,
    cell: impl Fn([f64; 3]) -> String,
) -> Outcome<()> {
    let columns = columns();
    writeln!(text, "| |{}", columns.iter().map(|(heading, ..)| format!(" {heading} |")).collect::<String>())?;
    writeln!(text, "|---|{}", "--:|".repeat(columns.len()))?;
    for library in Library::ALL {
        write!(text, "| {} |", library.name())?;
        for (_, plan, connections, messages) in &columns {
            let of_rounds = samples.of(library, figure(*plan, *connections, *messages));
            write!(text, " {} |", of_rounds.map_or_else(|| "-".into(), &cell))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// How often our time goes into that of others, and the floor's into ours.
fn ratios(text: &mut String, samples: &Samples) -> Outcome<()> {
    let rows = [
        (Library::TokioTungstenite, Library::Sockeye),
        (Library::SockudoWs, Library::Sockeye),
        (Library::Bun, Library::Sockeye),
        (Library::Sockeye, Library::Write),
        (Library::TokioTungstenite, Library::Write),
    ];
    for (over, under) in rows {
        write!(text, "| *{} : {}* |", over.name(), under.name())?;
        for (_, plan, connections, messages) in columns() {
            let of = |library| samples.median(library, Figure::Cpu(plan, connections, messages));
            let ratio = of(over).zip(of(under)).map(|(over, under)| format!("{:.2}", over / under));
            write!(text, " {} |", ratio.as_deref().unwrap_or("-"))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn memory(text: &mut String, samples: &Samples) -> Outcome<()> {
    writeln!(
        text,
        "| | a connection with its subscription | a subscription more, to a topic that all have | a topic more with its subscriber |"
    )?;
    writeln!(text, "|---|--:|--:|--:|")?;
    for library in Library::ALL.into_iter().filter(|library| library.has(Plan::Same(2))) {
        let of = |plan, connections| samples.median(library, Figure::Resident(plan, connections));
        let few = of(Plan::Same(1), 1_000);
        let between = |more: Option<f64>, count: f64| {
            let each = more.zip(few).map(|(more, few)| format!("{:.0}", (more - few) / count));
            each.unwrap_or_else(|| "-".into())
        };
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            library.name(),
            between(of(Plan::Same(1), 10_000), 9_000.0),
            between(of(Plan::Same(101), 1_000), 100_000.0),
            between(of(Plan::Own(100), 1_000), 99_000.0),
        )?;
    }
    Ok(())
}

fn columns() -> Vec<(String, Plan, usize, u8)> {
    let mut columns = Vec::new();
    for stage in STAGES {
        let to = match stage.plan {
            Plan::Same(1) if stage.connections == 1_000 => "to 1,000",
            Plan::Same(1) => "to 10,000",
            Plan::Own(_) => "to 1 of 100,000 topics",
            Plan::Patterns => "to 1,000 by patterns",
            Plan::Same(_) => continue,
        };
        for &messages in stage.messages {
            columns.push((format!("{to}, {messages} a turn"), stage.plan, stage.connections, messages));
        }
    }
    columns
}

/// Where and when, but for the machine's name.
pub fn machine() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    format!(
        "{}: {} on {} cores, linux {} with {}, {}; tokio-tungstenite {}, sockudo-ws {}, tokio {}, Bun {}",
        said("date", &["-u", "+%Y-%m-%d"]),
        model.map_or("unknown", |(_, model)| model.trim()),
        std::thread::available_parallelism().map_or(0, usize::from),
        // Without what its builder has put behind the version.
        system("kernel/osrelease").split('-').next().unwrap_or_default(),
        system("net/ipv4/tcp_congestion_control"),
        said("rustc", &["--version"]),
        version("tokio-tungstenite"),
        version("sockudo-ws"),
        version("tokio"),
        include_str!("package.json").split('"').nth(7).unwrap_or("?"),
    )
}

fn system(setting: &str) -> String {
    fs::read_to_string(format!("/proc/sys/{setting}")).unwrap_or_default().trim().to_owned()
}

/// The version of a crate in this program.
fn version(name: &str) -> &'static str {
    let mut packages = include_str!("../Cargo.lock").split("[[package]]");
    let package = packages.find(|package| package.contains(&format!("name = \"{name}\"\n"))).unwrap_or_default();
    package.lines().find_map(|line| line.strip_prefix("version = ")).unwrap_or("?").trim_matches('"')
}
