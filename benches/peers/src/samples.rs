//! Figures that were measured several times.

use std::fmt;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// What was measured, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, nanoseconds: f64) {
        self.0.push(nanoseconds);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub fn json(&self) -> Value {
        match self.is_empty() {
            true => Value::Null,
            false => json!({ "median": self.median(), "min": self.min(), "max": self.max() }),
        }
    }
}

/// The median, the least and the most, in microseconds.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_empty() {
            true => f.pad("-"),
            false => {
                let [median, min, max] = [self.median(), self.min(), self.max()].map(|time| time / 1000.0);
                f.pad(&format!("{median:.2} ({min:.2}..{max:.2})"))
            }
        }
    }
}

/// The time that this thread has worked, in nanoseconds: what others do on the same cores does not count.
pub fn worked() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
