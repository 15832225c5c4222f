//! The tables of echo over TCP: a row for each server, a column for each number of connections and messages under way.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::Figure;
use crate::chart::{self, Bar, Panel};
use crate::libraries::Standing;
use crate::table::short;
use crate::tcp;

/// Appends the tables and what they should show, draws the charts, and tells where we are behind.
///
/// # Errors
///
/// Where a chart cannot be written.
pub fn tables(
    text: &mut String,
    cells: &[Value],
    charts: &Path,
    behind: &mut Vec<(f64, String)>,
) -> Result<(), Box<dyn Error>> {
    if cells.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Echo over TCP\n")?;
    writeln!(
        text,
        "A column is connections × messages under way on each. *CPU* is the time that the server's process works for a message, \
         in the kernel and for itself, ns; times there and back are µs.{}\n",
        match cells.iter().all(|cell| cell["two_cores"] == true) {
            true => " The server has one core, the load another.",
            false => " There was one core for both, so times there and back say little.",
        }
    )?;
    let versions: Vec<&str> = cells[0]["versions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    writeln!(text, "Beside Rust: {}.\n", if versions.is_empty() { "nothing".into() } else { versions.join("; ") })?;
    aims(text, cells)?;
    let mut lens: Vec<&Value> = Vec::new();
    for cell in cells {
        if !lens.contains(&&cell["len"]) {
            lens.push(&cell["len"]);
        }
    }
    for len in lens {
        let cells: Vec<&Value> = cells.iter().filter(|cell| cell["len"] == *len).collect();
        let name = len_of(cells[0]);
        writeln!(text, "### {name}\n")?;
        for column in &COLUMNS {
            table(text, &cells, column, behind)?;
        }
        let file = format!("echo_{}.svg", name.replace(' ', "_"));
        let panels: Vec<Panel> = cells.iter().map(|cell| panel(cell, &COLUMNS[0])).collect();
        chart::draw(&charts.join(&file), &format!("Echo of {name} over TCP: CPU of the server"), &panels)?;
        writeln!(text, "![](results/{file})\n")?;
    }
    Ok(())
}

/// A figure that each server has in each cell.
struct Column {
    field: &'static str,
    title: &'static str,
    /// How many of what was measured are one of what is shown.
    unit: f64,
    best: Best,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Best {
    Least,
    Most,
}

fn of(cell: &Value, column: &Column, name: &str) -> Option<Figure> {
    let row = cell["libraries"].as_array()?.iter().find(|row| row["library"] == name)?;
    let figure = &row[column.field];
    let of = |field: &str| Some(figure[field].as_f64()? / column.unit);
    Some(Figure(of("median")?, of("min")?, of("max")?))
}

fn absent<'f>(cell: &'f Value, name: &str) -> Option<&'f str> {
    cell["libraries"].as_array()?.iter().find(|row| row["library"] == name)?["absent"].as_str()
}

/// The servers, in the order in which they are listed.
fn names(cell: &Value) -> Vec<&str> {
    cell["libraries"].as_array().into_iter().flatten().filter_map(|row| row["library"].as_str()).collect()
}

fn standing(name: &str) -> Standing {
    tcp::of_name(name).map_or(Standing::Theirs, |server| server.standing)
}

/// The best of those servers, and its figure.
fn best<'f>(cell: &'f Value, column: &Column, of_whom: impl Fn(Standing) -> bool) -> Option<(f64, &'f str)> {
    let names = names(cell).into_iter().filter(|name| of_whom(standing(name)));
    let figures = names.filter_map(|name| Some((of(cell, column, name)?.0, name)));
    match column.best {
        Best::Least => figures.min_by(|(a, _), (b, _)| a.total_cmp(b)),
        Best::Most => figures.max_by(|(a, _), (b, _)| a.total_cmp(b)),
    }
}

fn table(
    text: &mut String,
    cells: &[&Value],
    column: &Column,
    behind: &mut Vec<(f64, String)>,
) -> Result<(), Box<dyn Error>> {
    let heads: Vec<String> = cells.iter().map(|cell| head_of(cell)).collect();
    writeln!(text, "| {} | {} |\n|---|{}", column.title, heads.join(" | "), "--:|".repeat(heads.len()))?;
    for name in names(cells[0]) {
        write!(text, "| {name} |")?;
        for cell in cells {
            let best = best(cell, column, |standing| standing != Standing::Part);
            match of(cell, column, name) {
                Some(Figure(median, min, max)) => {
                    let is_best = best.is_some_and(|(_, best)| best == name);
                    let median = if is_best { format!("**{}**", short(median)) } else { short(median) };
                    match min < max {
                        true => write!(text, " {median} <sub>{}..{}</sub> |", short(min), short(max))?,
                        false => write!(text, " {median} |")?,
                    }
                }
                None if absent(cell, name).is_some_and(|why| why.starts_with("so many threads")) => write!(text, " |")?,
                None => write!(text, " fails |")?,
            }
        }
        writeln!(text)?;
    }
    write!(text, "| *sockeye : the best other* |")?;
    for cell in cells {
        let ours = best(cell, column, |standing| standing == Standing::Ours);
        let theirs = best(cell, column, |standing| standing == Standing::Theirs);
        let (Some((ours, _)), Some((theirs, who))) = (ours, theirs) else {
            write!(text, " |")?;
            continue;
        };
        let is_behind = match column.best {
            Best::Least => ours > theirs,
            Best::Most => ours < theirs,
        };
        write!(text, " {:.2}{} |", ours / theirs, if is_behind { " ◀" } else { "" })?;
        // With more under way, times are those of whoever happened to be served first.
        if is_behind && (column.field == "cpu" || column.field == "p50" && cell["depth"] == 1) {
            let heading = cell["cell"].as_str().unwrap_or_default();
            behind.push((ours / theirs, format!("{heading}, {} | {who}", column.title)));
        }
    }
    write!(text, "\n| *sockeye, tokio : raw, tokio* |")?;
    for cell in cells {
        match (of(cell, column, "sockeye, tokio"), of(cell, column, "raw, tokio")) {
            (Some(Figure(ours, ..)), Some(Figure(raw, ..))) => write!(text, " {:.2} |", ours / raw)?,
            _ => write!(text, " |")?,
        }
    }
    writeln!(text, "\n")?;
    let mut failures: Vec<String> = Vec::new();
    for (cell, name) in cells.iter().flat_map(|cell| names(cell).into_iter().map(move |name| (cell, name))) {
        if let Some(why) = absent(cell, name).filter(|why| !why.starts_with("so many threads")) {
            failures.push(format!("{name}, {}: {why}", head_of(cell)));
        }
    }
    if column.field == "cpu" && !failures.is_empty() {
        writeln!(text, "Failures: {}.\n", failures.join("; "))?;
    }
    Ok(())
}

/// What is to be reached, and what is.
fn aims(text: &mut String, cells: &[Value]) -> Result<(), Box<dyn Error>> {
    let [cpu, p50, ..] = &COLUMNS;
    writeln!(text, "| aim | | | ratio | at most |\n|---|--:|--:|--:|--:|")?;
    for cell in cells {
        let is = |connections: u64, depth: u64| cell["connections"] == connections && cell["depth"] == depth;
        let heading = cell["cell"].as_str().unwrap_or_default();
        let mut row = |what: &str, ours: Option<f64>, theirs: Option<f64>, whose: &str, most: f64| match (ours, theirs)
        {
            (Some(ours), Some(theirs)) => {
                let (ratio, ours, theirs) = (ours / theirs, short(ours), short(theirs));
                let mark = if ratio > most { " ◀" } else { "" };
                writeln!(text, "| {heading}, {what} | {ours} | {whose}: {theirs} | {ratio:.2}{mark} | {most} |")
            }
            _ => Ok(()),
        };
        let median = |column, name| of(cell, column, name).map(|Figure(median, ..)| median);
        let theirs = |column| best(cell, column, |standing| standing == Standing::Theirs);
        if let (true, Some(most)) = (is(32, 64), AIMS.iter().find(|(len, _)| cell["len"] == *len)) {
            row("CPU beside raw TCP", median(cpu, "sockeye, tokio"), median(cpu, "raw, tokio"), "raw, tokio", most.1)?;
        }
        if (is(32, 64) && cell["len"] != 64 * 1024 || cell["depth"] == 1)
            && let Some((theirs, who)) = theirs(cpu)
        {
            row("CPU", median(cpu, "sockeye, tokio"), Some(theirs), who, 1.0)?;
        }
        if cell["depth"] == 1
            && let Some((theirs, who)) = theirs(p50)
        {
            row("p50", median(p50, "sockeye, tokio"), Some(theirs), who, 1.0)?;
        }
    }
    writeln!(text)?;
    Ok(())
}

fn panel(cell: &Value, column: &Column) -> Panel {
    let bar = |name: &str| {
        let Figure(value, min, max) = of(cell, column, name)?;
        Some(Bar { label: name.into(), value, min, max, standing: standing(name) })
    };
    let bars = names(cell).into_iter().filter_map(bar).collect();
    Panel { title: format!("{}, {}", head_of(cell), column.title), bars }
}

fn head_of(cell: &Value) -> String {
    match (cell["depth"].as_u64(), cell["bounded"].as_u64()) {
        (Some(depth), Some(bounded)) if bounded < depth => format!("{} × {bounded} (of {depth})", cell["connections"]),
        _ => format!("{} × {}", cell["connections"], cell["depth"]),
    }
}

fn len_of(cell: &Value) -> String {
    match cell["len"].as_u64() {
        Some(len @ 1024..) => format!("{} KiB", len / 1024),
        len => format!("{} B", len.unwrap_or_default()),
    }
}

/// How often raw TCP may go into our time, by bytes of a message.
const AIMS: [(u64, f64); 2] = [(16, 1.3), (1024, 1.2)];

const COLUMNS: [Column; 4] = [
    Column { field: "cpu", title: "CPU, ns a message", unit: 1.0, best: Best::Least },
    Column { field: "p50", title: "p50, µs", unit: 1000.0, best: Best::Least },
    Column { field: "p99", title: "p99, µs", unit: 1000.0, best: Best::Least },
    Column { field: "rate", title: "thousand messages a second", unit: 1000.0, best: Best::Most },
];
