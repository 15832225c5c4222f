//! Tables on the terminal, and a bar that shows how far it is.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::libraries::{Standing, standing};
use crate::process::Absent;
pub use crate::process::Row;

/// The times of the libraries in a cell: the median, the least and the most, and how often the first library's median goes
/// into it.
pub fn of_times(heading: &str, rows: &[Row]) -> String {
    let mut text = format!("\n{heading}\n  {:<22} {:<6} {:>12} {:>24} {:>6}\n", "", "gives", "ns", "least..most", "x");
    let ours = rows.iter().find(|row| standing(row.library) == Standing::Ours).map(|row| row.samples.median());
    let best = rows
        .iter()
        .filter(|row| standing(row.library) != Standing::Part && !row.samples.is_empty())
        .map(|row| row.samples.median())
        .fold(f64::INFINITY, f64::min);
    for row in rows {
        let gives = crate::libraries::gives(row.library);
        // Writing to a text cannot fail.
        let _ = match &row.absent {
            Some(Absent::Refused(_)) => Ok(()),
            Some(Absent::Failed(why)) => writeln!(text, "  {:<22} {gives:<6} fails: {why}", row.library),
            None => {
                let (median, min, max) = (row.samples.median(), row.samples.min(), row.samples.max());
                let spread = format!("{}..{}", short(min), short(max));
                let mark = if median == best { " *" } else { "" };
                let ratio = ours.map_or(f64::NAN, |ours| median / ours);
                writeln!(text, "  {:<22} {gives:<6} {:>12} {spread:>24} {ratio:>6.2}{mark}", row.library, short(median))
            }
        };
    }
    text
}

/// Counts of the libraries in a cell, and how often the first goes into each.
pub fn of_counts(heading: &str, rows: &[(&str, Option<f64>)]) -> String {
    let mut text = format!("\n{heading}\n");
    let ours = rows.first().and_then(|(_, count)| *count).unwrap_or(f64::NAN);
    let best = rows
        .iter()
        .filter(|(library, _)| standing(library) != Standing::Part)
        .filter_map(|(_, count)| *count)
        .fold(f64::INFINITY, f64::min);
    for (library, count) in rows.iter().filter_map(|(library, count)| count.map(|count| (library, count))) {
        let mark = if count == best { " *" } else { "" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {library:<22} {:>12} {:>6.2}{mark}", short(count), count / ours);
    }
    text
}

/// A number in three or four figures.
pub fn short(number: f64) -> String {
    match number {
        ..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// The bar.
pub struct Progress(ProgressBar);

impl Progress {
    /// # Errors
    ///
    /// Never, for the template is right.
    pub fn new(count: usize) -> Result<Self, Box<dyn Error>> {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta} {msg}")?;
        let bar = ProgressBar::new(count as u64).with_style(style);
        bar.enable_steady_tick(Duration::from_secs(1));
        Ok(Self(bar))
    }

    /// Says what is being measured.
    pub fn at(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Prints above the bar.
    pub fn print(&self, text: &str) {
        self.0.suspend(|| print!("{text}"));
    }

    /// A cell is done.
    pub fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
