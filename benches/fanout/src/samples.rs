//! What was measured: the figures of each round.

use crate::library::Library;
use crate::plan::Plan;

/// What is measured; connections and messages a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// Nanoseconds of the server's work for each message and subscriber.
    Cpu(Plan, usize, u8),
    /// Nanoseconds that pass for each message and subscriber.
    Wall(Plan, usize, u8),
    /// The server's memory, in bytes.
    Resident(Plan, usize),
}

#[derive(Debug, Default)]
pub struct Samples {
    all: Vec<(Library, Figure, f64)>,
    /// How many rounds were begun.
    pub rounds: usize,
}

impl Samples {
    pub fn push(&mut self, library: Library, figure: Figure, value: f64) {
        self.all.push((library, figure, value));
    }

    /// The least, the median and the most; `None` if there are none.
    pub fn of(&self, library: Library, figure: Figure) -> Option<[f64; 3]> {
        let of_both = self.all.iter().filter(|(whose, what, _)| (*whose, *what) == (library, figure));
        let mut sorted: Vec<f64> = of_both.map(|(_, _, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let median = (sorted.get(sorted.len() / 2)? + sorted[(sorted.len() - 1) / 2]) / 2.0;
        Some([*sorted.first()?, median, *sorted.last()?])
    }

    pub fn median(&self, library: Library, figure: Figure) -> Option<f64> {
        self.of(library, figure).map(|[_, median, _]| median)
    }
}
