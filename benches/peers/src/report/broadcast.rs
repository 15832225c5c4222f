//! What the cells of broadcasting have beside times, and the curves over the number of connections.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::curve::{self, Line};
use crate::libraries::standing;
use crate::table::short;

/// Appends what each time that somebody gets a message takes of the allocator, and in how many writes it goes out.
///
/// # Errors
///
/// Where the figures are not those of `broadcast`.
pub fn each(text: &mut String, cells: &[Value]) -> Result<(), Box<dyn Error>> {
    let (headings, libraries) = names(cells);
    writeln!(text, "| bytes allocated and writes, for each recipient | {} |", headings.join(" | "))?;
    writeln!(text, "|---|{}", "--:|".repeat(headings.len()))?;
    for library in libraries {
        write!(text, "| {library} |")?;
        for cell in cells {
            let each = row(cell, library).map(|row| &row["each"]);
            match each.and_then(|each| Some((each["allocated"].as_f64()?, each["writes"].as_f64()?))) {
                Some((allocated, writes)) => write!(text, " {}, {} |", short(allocated), short(writes))?,
                None => write!(text, " |")?,
            }
        }
        writeln!(text)?;
    }
    writeln!(text)?;
    Ok(())
}

/// Appends the tables of the curves, and draws them into a folder.
///
/// # Errors
///
/// Where the figures are not those of `curves`, or a chart cannot be written.
pub fn curves(text: &mut String, cells: &[Value], charts: &Path) -> Result<(), Box<dyn Error>> {
    writeln!(text, "\n## A small message, by the number of connections\n")?;
    for (verb, job) in [("receive", "Gather"), ("broadcast", "Broadcast")] {
        let cells: Vec<&Value> = cells.iter().filter(|cell| cell["job"].get(job).is_some()).collect();
        let Some(first) = cells.first() else { continue };
        let connections = |cell: &Value| cell["job"][job]["connections"].as_u64();
        let heads: Vec<String> = cells.iter().filter_map(|cell| connections(cell)).map(|n| n.to_string()).collect();
        writeln!(text, "### {verb} 16 B, and cache lines missed\n")?;
        writeln!(text, "| ns a message, with so many connections | {} |", heads.join(" | "))?;
        writeln!(text, "|---|{}", "--:|".repeat(heads.len()))?;
        let mut lines = Vec::new();
        for library in first["libraries"].as_array().into_iter().flatten().filter_map(|row| row["library"].as_str()) {
            write!(text, "| {library} |")?;
            let mut line = Line { label: library.into(), standing: standing(library), points: Vec::new() };
            for cell in &cells {
                let row = row(cell, library);
                let figure = |field: &str| row.and_then(|row| row["ns"][field].as_f64());
                match (figure("median"), figure("min"), figure("max")) {
                    (Some(median), Some(min), Some(max)) => {
                        let misses = row.and_then(|row| row["misses"].as_f64()).map(short);
                        let misses = misses.map(|misses| format!(", {misses} lines")).unwrap_or_default();
                        write!(text, " {} <sub>{}..{}{misses}</sub> |", short(median), short(min), short(max))?;
                        line.points.extend(connections(cell).map(|connections| (connections as f64, median)));
                    }
                    _ => write!(text, " |")?,
                }
            }
            writeln!(text)?;
            lines.push(line);
        }
        let (file, title) = (format!("curve_{verb}.svg"), format!("{verb} 16 B: ns a message, by connections"));
        curve::draw(&charts.join(&file), &title, &lines)?;
        writeln!(text, "\n![](results/{file})\n")?;
    }
    Ok(())
}

fn row<'f>(cell: &'f Value, library: &str) -> Option<&'f Value> {
    cell["libraries"].as_array()?.iter().find(|row| row["library"] == library)
}

/// The headings of the cells, and the libraries that are in one of them.
fn names(cells: &[Value]) -> (Vec<&str>, Vec<&str>) {
    let headings = cells.iter().filter_map(|cell| cell["cell"].as_str());
    let mut libraries = Vec::new();
    for name in cells.iter().flat_map(|cell| cell["libraries"].as_array().into_iter().flatten()) {
        match name["library"].as_str() {
            Some(name) if !libraries.contains(&name) => libraries.push(name),
            _ => {}
        }
    }
    (headings.map(|heading| heading.trim_start_matches("broadcast ")).collect(), libraries)
}
