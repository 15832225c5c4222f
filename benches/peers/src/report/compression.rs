//! The table of compression: a row for each cell, for a file has them one library after the other.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::Value;

use crate::table::short;

/// Appends both tables, and what is on the wire.
///
/// # Errors
///
/// Where the figures are not those of `compression`.
pub fn tables(text: &mut String, figures: &[Value]) -> Result<(), Box<dyn Error>> {
    writeln!(text, "\n## permessage-deflate\n")?;
    let (mut cells, mut libraries) = (Vec::new(), Vec::new());
    for figure in figures {
        for (name, list) in [("cell", &mut cells), ("library", &mut libraries)] {
            let name = figure[name].as_str().unwrap_or_default();
            if !list.contains(&name) {
                list.push(name);
            }
        }
    }
    for (field, title) in [
        ("send_ns", "compress and frame, µs, and the size on the wire"),
        ("receive_ns", "receive and inflate, µs"),
        ("bytes_per_connection", "bytes of heap for a connection"),
    ] {
        writeln!(text, "| {title} | {} |\n|---|{}", libraries.join(" | "), "--:|".repeat(libraries.len()))?;
        for cell in &cells {
            write!(text, "| {cell} |")?;
            let rows: Vec<Option<&Value>> = libraries
                .iter()
                .map(|library| figures.iter().find(|row| row["cell"] == *cell && row["library"] == *library))
                .collect();
            let value = |row: &Value| row[field]["median"].as_f64().map(|ns| ns / 1000.0).or(row[field].as_f64());
            let best = rows.iter().flatten().filter_map(|row| value(row)).fold(f64::INFINITY, f64::min);
            for row in rows {
                let Some((row, value)) = row.and_then(|row| Some((row, value(row)?))) else {
                    write!(text, " |")?;
                    continue;
                };
                let figure = if field == "bytes_per_connection" { format!("{value}") } else { short(value) };
                let figure = if value == best { format!("**{figure}**") } else { figure };
                let size = match row["size"].as_f64() {
                    Some(size) if field == "send_ns" => format!(" <sub>{:.1} %</sub>", size * 100.0),
                    _ => String::new(),
                };
                write!(text, " {figure}{size} |")?;
            }
            writeln!(text)?;
        }
        writeln!(text)?;
    }
    Ok(())
}
