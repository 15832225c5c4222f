//! What grows with connections: a table of memory, and the curve of time, which should be flat.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

use crate::libraries::Standing;
use crate::table::short;
use crate::tcp;

/// Appends both tables, and draws both curves.
///
/// # Errors
///
/// Where a chart cannot be written.
pub fn tables(text: &mut String, figures: &Value, charts: &Path) -> Result<(), Box<dyn Error>> {
    let most = &figures["most"];
    let (memory, times) = (lines(&figures["resident"], "levels"), lines(&figures["cpu"], "points"));
    if !memory.is_empty() {
        writeln!(text, "\n## Memory by connections\n")?;
        writeln!(
            text,
            "Resident memory of the server's process with {most} idle connections, each of which has echoed 1 KiB, without what it \
             had before the first: bytes for each. What the kernel holds is not in it. *Slope* is from 1,000 connections on.\n"
        )?;
        writeln!(text, "| | connections | bytes for each | slope | before, KiB |\n|---|--:|--:|--:|--:|")?;
        for line in &memory {
            let (Some(first), Some(second), Some(last)) = (line.points.first(), line.points.get(1), line.points.last())
            else {
                continue;
            };
            let slope = |(from, less): (f64, f64), (to, more): (f64, f64)| short((more - less) / (to - from));
            let steep = if line.points.len() > 2 { slope(*second, *last) } else { String::new() };
            let (name, each, none) = (line.name, slope(*first, *last), short(first.1 / 1024.0));
            writeln!(text, "| {name} | {} | {each} | {steep} | {none} |", last.0)?;
        }
        absences(text, &figures["resident"])?;
        let bounded: Vec<Line<'_>> = memory.iter().map(Line::grown).collect();
        draw(&charts.join("scale_memory.svg"), "Resident memory by idle connections, MiB", &bounded, Axis::Even)?;
        writeln!(text, "\n![](results/scale_memory.svg)\n")?;
    }
    if !times.is_empty() {
        writeln!(text, "\n## Time by connections\n")?;
        writeln!(
            text,
            "CPU of the server for a message of 16 bytes, ns, with 64 messages under way in all, each on the connection whose turn it \
             is. Where there are fewer connections than messages, several come in one read; from there on the line should be flat.\n"
        )?;
        let heads: Vec<String> = times[0].points.iter().map(|(count, _)| count.to_string()).collect();
        writeln!(text, "| | {} | last : 100 |\n|---|{}--:|", heads.join(" | "), "--:|".repeat(heads.len()))?;
        for line in &times {
            let cells: Vec<String> = line.points.iter().map(|(_, time)| short(*time)).collect();
            let hundred = line.points.iter().find(|(count, _)| *count == 100.0);
            let ratio = line.points.last().zip(hundred).map_or(f64::NAN, |((_, last), (_, hundred))| last / hundred);
            writeln!(text, "| {} | {} | {ratio:.2} |", line.name, cells.join(" | "))?;
        }
        absences(text, &figures["cpu"])?;
        draw(&charts.join("scale_time.svg"), "CPU for 16 bytes by connections, ns", &times, Axis::Logarithmic)?;
        writeln!(text, "\n![](results/scale_time.svg)\n")?;
    }
    Ok(())
}

/// What one server has by the number of connections.
struct Line<'f> {
    name: &'f str,
    points: Vec<(f64, f64)>,
}

impl Line<'_> {
    /// What is more than with no connection, in MiB.
    fn grown(&self) -> Self {
        let none = self.points.first().map_or(0.0, |(_, bytes)| *bytes);
        let points = self.points.iter().map(|(count, bytes)| (*count, (bytes - none) / f64::from(1 << 20)));
        Self { name: self.name, points: points.collect() }
    }
}

fn lines<'f>(figures: &'f Value, field: &str) -> Vec<Line<'f>> {
    let line = |row: &'f Value| {
        let value = |point: &Value| point["cpu"]["median"].as_f64().or(point["bytes"].as_f64());
        let point = |point: &Value| Some((point["connections"].as_f64()?, value(point)?));
        let points: Vec<(f64, f64)> = row[field].as_array()?.iter().filter_map(point).collect();
        (points.len() > 1).then_some(Line { name: row["library"].as_str()?, points })
    };
    figures.as_array().into_iter().flatten().filter_map(line).collect()
}

fn absences(text: &mut String, figures: &Value) -> Result<(), Box<dyn Error>> {
    let rows = figures.as_array().into_iter().flatten();
    let said = rows.filter_map(|row| Some(format!("{}: {}", row["library"].as_str()?, row["absent"].as_str()?)));
    let said: Vec<String> = said.collect();
    if !said.is_empty() {
        writeln!(text, "\nNot to the end: {}.", said.join("; "))?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Even,
    Logarithmic,
}

impl Axis {
    /// How far from the left a number of connections is, of the whole.
    fn place(self, count: f64, most: f64) -> f64 {
        match self {
            Self::Even => count / most,
            Self::Logarithmic => count.max(1.0).ln() / most.ln(),
        }
    }
}

/// Draws lines with their names at their right ends; those far above the others are cut off.
fn draw(file: &Path, title: &str, lines: &[Line<'_>], axis: Axis) -> Result<(), Box<dyn Error>> {
    let text_of = |error: DrawingAreaErrorKind<_>| error.to_string();
    let font = |size: u32| ("sans-serif", size).into_font().color(&BLACK);
    let root = SVGBackend::new(file, (WIDTH.cast_unsigned(), HEIGHT.cast_unsigned())).into_drawing_area();
    root.fill(&WHITE).map_err(text_of)?;
    root.draw(&Text::new(title.to_owned(), (16, 8), font(16))).map_err(text_of)?;
    let top = |line: &Line<'_>| line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut tops: Vec<f64> = lines.iter().map(top).collect();
    tops.sort_by(f64::total_cmp);
    // The middle one is at a quarter of the height at least.
    let highest = tops.last().copied().unwrap_or(1.0).min(tops.get(tops.len() / 2).copied().unwrap_or(1.0) * 4.0);
    let most = lines.iter().flat_map(|line| &line.points).map(|(count, _)| *count).fold(1.0, f64::max);
    let (right, bottom) = (WIDTH - NAMES, HEIGHT - EDGE);
    let x = |count: f64| EDGE + (f64::from(right - EDGE) * axis.place(count, most)) as i32;
    let y = |value: f64| bottom - (f64::from(bottom - HEAD) * (value / highest).min(1.0)) as i32;
    for step in 0..=4 {
        let value = highest * f64::from(step) / 4.0;
        root.draw(&PathElement::new([(EDGE, y(value)), (right, y(value))], GRID.stroke_width(1))).map_err(text_of)?;
        root.draw(&Text::new(short(value), (8, y(value) - 7), font(12))).map_err(text_of)?;
    }
    for (count, _) in lines.iter().max_by_key(|line| line.points.len()).map_or(&[][..], |line| &line.points) {
        let centered = font(12).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(count.to_string(), (x(*count), bottom + 6), centered)).map_err(text_of)?;
    }
    // Names go from the top down, apart from each other.
    let mut ends: Vec<(i32, &Line<'_>)> =
        lines.iter().map(|line| (y(line.points.last().map_or(0.0, |(_, value)| *value)), line)).collect();
    ends.sort_by_key(|(height, _)| *height);
    let mut least = HEAD - 8;
    for (height, line) in ends {
        let standing = tcp::of_name(line.name).map_or(Standing::Theirs, |server| server.standing);
        let (color, width) = match standing {
            Standing::Ours => (OURS, 3),
            Standing::Theirs => (THEIRS, 2),
            Standing::Part => (PART, 2),
        };
        let points: Vec<(i32, i32)> = line.points.iter().map(|(count, value)| (x(*count), y(*value))).collect();
        root.draw(&PathElement::new(points, color.stroke_width(width))).map_err(text_of)?;
        let last = line.points.last().map_or(0.0, |(_, value)| *value);
        let place = (height - 7).max(least);
        let label = format!("{} {}{}", line.name, short(last), if last > highest { " …" } else { "" });
        root.draw(&Text::new(label, (right + 26, place), font(12))).map_err(text_of)?;
        least = place + 14;
    }
    root.present().map_err(text_of)?;
    Ok(())
}

const OURS: RGBColor = RGBColor(0, 98, 155);
const THEIRS: RGBColor = RGBColor(168, 178, 189);
const PART: RGBColor = RGBColor(222, 203, 150);
const GRID: RGBColor = RGBColor(225, 225, 225);

const WIDTH: i32 = 900;
const HEIGHT: i32 = 420;
const HEAD: i32 = 48;
const EDGE: i32 = 56;
const NAMES: i32 = 250;
