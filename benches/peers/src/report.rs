//! Draws the figures of a JSON file: tables in Markdown, and a chart of bars for each but compression.

mod broadcast;
mod compression;
mod curve;
mod echo;
mod scale;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::chart::{self, Bar, Panel};
use crate::libraries::{Standing, gives, of_name, standing};
use crate::receive::Gives;
use crate::table::short;

/// Writes `RESULTS.md` into a folder, and the charts into its folder `results`.
///
/// # Errors
///
/// Where a file cannot be written, or the figures are not those of `all`.
pub fn run(figures: &Value, folder: &Path) -> Result<(), Box<dyn Error>> {
    let charts = folder.join("results");
    fs::create_dir_all(&charts)?;
    let mut tables = String::new();
    let mut behind = Vec::new();
    for (name, title, unit) in SECTIONS {
        let Some(cells) = figures.get(name).and_then(Value::as_array).filter(|cells| !cells.is_empty()) else {
            continue;
        };
        writeln!(tables, "\n## {title}\n")?;
        for group in grouped(cells) {
            let file = format!("{name}{}.svg", group.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
            if !group.name.is_empty() {
                writeln!(tables, "### {}\n", group.name.trim())?;
            }
            table(&mut tables, &group, unit, &mut behind)?;
            chart::draw(&charts.join(&file), &format!("{title}{}", group.name), &panels(&group, unit))?;
            writeln!(tables, "\n![](results/{file})\n")?;
        }
        if name == "broadcast" {
            broadcast::each(&mut tables, cells)?;
        }
    }
    if let Some(cells) = figures.get("curves").and_then(Value::as_array) {
        broadcast::curves(&mut tables, cells, &charts)?;
    }
    if let Some(figures) = figures.get("compression").and_then(Value::as_array) {
        compression::tables(&mut tables, figures)?;
    }
    if let Some(cells) = figures.get("echo").and_then(Value::as_array) {
        echo::tables(&mut tables, cells, &charts, &mut behind)?;
    }
    if let Some(figures) = figures.get("scale") {
        scale::tables(&mut tables, figures, &charts)?;
    }
    let mut text = head(&figures["machine"])?;
    behind.sort_by(|(a, _), (b, _)| f64::total_cmp(b, a));
    writeln!(text, "\n## Where sockeye is not the fastest\n")?;
    writeln!(text, "| cell | the fastest | times as much as that |\n|---|---|--:|")?;
    for (ratio, cell) in &behind {
        writeln!(text, "| {cell} | {ratio:.2} |")?;
    }
    text.push_str(&tables);
    let results = folder.join("RESULTS.md");
    // What `benches/fanout` has put at the end stays there.
    let known = fs::read_to_string(&results).unwrap_or_default();
    if let Some((_, section)) = known.split_once("\n## Fan-out") {
        write!(text, "\n## Fan-out{section}")?;
    }
    fs::write(results, text)?;
    Ok(())
}

fn head(machine: &Value) -> Result<String, Box<dyn Error>> {
    let of = |name: &str| machine[name].as_str().unwrap_or("?").to_owned();
    let mut text = String::from("# Other libraries beside ours: results\n\n");
    let features: Vec<&str> = machine["built_for"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    writeln!(
        text,
        "Drawn by `sockeye-peers report`; [README](peers/README.md) says how it was measured and how each library is set up.\n\n\
         {}: {} on {} cores, {} {}, {}, built for {} with {}. {} rounds; a read gives {} bytes at most.\n\n\
         Each figure is a median, with the least and the most in small print. **Bold** is the fastest library in a column. \
         The last rows say how often the fastest other library goes into sockeye's time: below 1 we are faster, ◀ marks where \
         we are not.\n",
        of("date"),
        of("cpu"),
        machine["cores"],
        of("system"),
        of("kernel"),
        of("architecture"),
        features.join(", "),
        of("compiler"),
        machine["rounds"],
        machine["read"],
    )?;
    let versions = machine["versions"].as_object().into_iter().flatten();
    let versions: Vec<String> =
        versions.map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?"))).collect();
    writeln!(text, "Versions: {}.", versions.join(", "))?;
    Ok(text)
}

/// Cells that differ in one thing, side by side.
struct Group<'f> {
    name: String,
    columns: Vec<(String, &'f Value)>,
}

/// Puts cells together whose headings differ only in the length of the messages.
fn grouped(cells: &[Value]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for cell in cells {
        let heading = cell["cell"].as_str().unwrap_or_default();
        let words: Vec<&str> = heading.split(' ').collect();
        let (name, column) = match words[..] {
            ["receive" | "send", number, unit, "of", ref rest @ ..] => {
                let verb = if cell["libraries"][0].get("instructions").is_some() { words[0] } else { "" };
                // How many fragments there are depends on the length.
                let rest =
                    rest.join(" ").replace("in 2 fragments", "in fragments").replace("in 4 fragments", "in fragments");
                (format!(" {verb} {rest}").replace("  ", " "), format!("{number} {unit}"))
            }
            _ => (String::new(), heading.trim_start_matches("handshake ").trim_start_matches("broadcast ").to_owned()),
        };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.columns.push((column, cell)),
            None => groups.push(Group { name, columns: vec![(column, cell)] }),
        }
    }
    for group in &mut groups {
        if let [(column, cell)] = &group.columns[..]
            && cell["libraries"][0].get("bytes").is_some()
        {
            let cell = *cell;
            debug_assert_eq!(column, "heap of an idle connection");
            group.columns = vec![("opened".into(), cell), ("after an echo of 1 KiB".into(), cell)];
        }
    }
    groups
}

/// A figure: the median, the least and the most.
#[derive(Clone, Copy)]
struct Figure(f64, f64, f64);

fn figure(cell: &Value, column: &str, library: &str) -> Option<Figure> {
    let row = cell["libraries"].as_array()?.iter().find(|row| row["library"] == library)?;
    let single = |value: &Value| value.as_f64().map(|value| Figure(value, value, value));
    if let Some(count) = row.get("instructions") {
        return single(count);
    }
    if let Some(bytes) = row.get("bytes") {
        return single(&bytes[if column == "opened" { "opened" } else { "echoed" }]);
    }
    Some(Figure(row["ns"]["median"].as_f64()?, row["ns"]["min"].as_f64()?, row["ns"]["max"].as_f64()?))
}

fn failure<'f>(cell: &'f Value, library: &str) -> Option<&'f str> {
    cell["libraries"].as_array()?.iter().find(|row| row["library"] == library)?["failure"].as_str()
}

/// The libraries that have figures in a group, in the order in which they are listed.
fn libraries<'f>(group: &Group<'f>) -> Vec<&'f str> {
    let (_, first) = group.columns[0];
    let names = first["libraries"].as_array().into_iter().flatten().filter_map(|row| row["library"].as_str());
    names.filter(|name| group.columns.iter().any(|(column, cell)| figure(cell, column, name).is_some())).collect()
}

fn table(
    text: &mut String,
    group: &Group<'_>,
    unit: &str,
    behind: &mut Vec<(f64, String)>,
) -> Result<(), Box<dyn Error>> {
    let libraries = libraries(group);
    let has_gives = group.columns[0].1["cell"].as_str().is_some_and(|cell| cell.starts_with("receive"));
    let heads: Vec<&str> = group.columns.iter().map(|(column, _)| column.as_str()).collect();
    writeln!(text, "| {unit} | {} |\n|---|{}", heads.join(" | "), "--:|".repeat(heads.len()))?;
    let fastest = |column: &str, cell: &Value, of: &dyn Fn(&str) -> bool| {
        libraries
            .iter()
            .filter(|name| of(name))
            .filter_map(|name| Some((figure(cell, column, name)?.0, *name)))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
    };
    for name in &libraries {
        let gives = if has_gives { gives(name) } else { "" };
        let label = if gives.is_empty() { (*name).to_owned() } else { format!("{name} <sub>{gives}</sub>") };
        write!(text, "| {label} |")?;
        for (column, cell) in &group.columns {
            let best = fastest(column, cell, &|name| standing(name) != Standing::Part);
            match figure(cell, column, name) {
                Some(Figure(median, min, max)) => {
                    let is_best = best.is_some_and(|(best, _)| best == median) && standing(name) != Standing::Part;
                    let median = if is_best { format!("**{}**", short(median)) } else { short(median) };
                    match min < max {
                        true => write!(text, " {median} <sub>{}..{}</sub> |", short(min), short(max))?,
                        false => write!(text, " {median} |")?,
                    }
                }
                None => write!(text, " {} |", if failure(cell, name).is_some() { "fails" } else { "" })?,
            }
        }
        writeln!(text)?;
    }
    let mut rows = vec![("sockeye : the fastest other", Kind::Any)];
    if has_gives {
        rows.push(("sockeye, owned : the fastest other that gives them away", Kind::Owned));
        rows.push(("sockeye : memcpy", Kind::Memcpy));
    }
    for (label, kind) in rows {
        write!(text, "| *{label}* |")?;
        for (column, cell) in &group.columns {
            let is =
                |name: &str| kind != Kind::Owned || of_name(name).is_some_and(|library| library.gives == Gives::Owned);
            let ours = fastest(column, cell, &|name| standing(name) == Standing::Ours && is(name));
            let theirs = fastest(column, cell, &|name| match kind {
                Kind::Any | Kind::Owned => standing(name) == Standing::Theirs && is(name),
                Kind::Memcpy => name == "memcpy",
            });
            let (Some((ours, _)), Some((theirs, who))) = (ours, theirs) else {
                write!(text, " |")?;
                continue;
            };
            let ratio = ours / theirs;
            let is_behind = ratio > 1.0 && kind != Kind::Memcpy;
            write!(text, " {ratio:.2}{} |", if is_behind { " ◀" } else { "" })?;
            if is_behind {
                let mut heading = cell["cell"].as_str().unwrap_or_default().to_owned();
                if heading.starts_with("heap") {
                    heading += &format!(", {column}");
                }
                if kind == Kind::Owned {
                    heading += ", owned";
                }
                if unit == "instructions" {
                    heading += ", instructions";
                }
                behind.push((ratio, format!("{heading} | {who}")));
            }
        }
        writeln!(text)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Owned,
    Memcpy,
}

fn panels(group: &Group<'_>, unit: &str) -> Vec<Panel> {
    let libraries = libraries(group);
    let bars = |column: &str, cell: &Value| -> Vec<Bar> {
        let bar = |name: &&str| {
            let Figure(value, min, max) = figure(cell, column, name)?;
            Some(Bar { label: (*name).into(), value, min, max, standing: standing(name) })
        };
        libraries.iter().filter_map(bar).collect()
    };
    let panel =
        |(column, cell): &(String, &Value)| Panel { title: format!("{column}, {unit}"), bars: bars(column, cell) };
    group.columns.iter().map(panel).collect()
}

/// What the file may have, under which title, and in which unit.
const SECTIONS: [(&str, &str, &str); 6] = [
    ("receive", "Receive from memory", "ns a message"),
    ("send", "Send to memory", "ns a message"),
    ("broadcast", "Broadcast: one message to many connections", "ns a recipient"),
    ("handshake", "Opening handshake", "ns"),
    ("memory", "Memory of an idle connection", "bytes of heap"),
    ("instructions", "Instructions for a message", "instructions"),
];
