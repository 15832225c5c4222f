//! Names of topics, and the patterns that stand for many of them.
//!
//! A name is a path of levels, `room/1/typing`. In a pattern `+` stands for one level and `#`, at the end, for any number of
//! them, none included: as in MQTT 5 (§4.7.1), but that a first level that begins with `$` is nothing special.

use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// The name of a topic, or a pattern for many: cheap to clone.
///
/// ```
/// use sockeye::pubsub::Pattern;
///
/// let pattern = Pattern::new("room/+/typing")?;
/// assert!(pattern.matches("room/1/typing") && !pattern.matches("room/typing"));
/// let below = Pattern::new("room/#")?;
/// assert!(below.matches("room") && below.matches("room/1/typing") && !below.matches("rooms"));
/// assert!(Pattern::new("room/1")?.is_exact());
/// # Ok::<(), sockeye::pubsub::PatternError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    text: Arc<str>,
    is_exact: bool,
}

impl Pattern {
    /// The most bytes of a name or pattern.
    pub const MAX_LEN: usize = 256;

    /// The most levels of a name or pattern.
    pub const MAX_LEVELS: usize = 16;

    /// Checks a pattern.
    ///
    /// # Errors
    ///
    /// If it is empty or too long, has too many levels, or a wildcard where none may stand.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        Ok(Self { is_exact: check(text)?, text: text.into() })
    }

    /// Returns the pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, to be shared.
    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Returns whether it is the name of a single topic.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Returns whether it stands for the topic of this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.levels(), name.split(SEPARATOR));
        loop {
            match (pattern.next(), name.next()) {
                (Some(ANY_LEVELS), _) | (None, None) => return true,
                (Some(ANY_LEVEL), Some(_)) => {}
                (Some(wanted), Some(level)) if wanted == level => {}
                (Some(_) | None, _) => return false,
            }
        }
    }

    /// Returns the levels.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.text.split(SEPARATOR)
    }

    /// Makes one of a name that was checked.
    pub(super) fn of_name(text: Arc<str>) -> Self {
        Self { text, is_exact: true }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

/// What is wrong with the name of a topic, or a pattern.
///
/// ```
/// use sockeye::pubsub::{Pattern, PatternError};
///
/// assert_eq!(Pattern::new(""), Err(PatternError::Empty));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is empty.
    #[error("the name of a topic is empty")]
    Empty,
    /// It has too many bytes.
    #[error("the name of a topic has {len} bytes, and may have {}", Pattern::MAX_LEN)]
    TooLong {
        /// How many it has.
        len: usize,
    },
    /// It has too many levels.
    #[error("the name of a topic has more than {} levels", Pattern::MAX_LEVELS)]
    TooDeep,
    /// `+` or `#` is not a level by itself, or `#` is not the last.
    #[error("a wildcard is a level by itself, and # the last one")]
    Wildcard,
    /// A pattern stands where the name of a single topic is wanted.
    #[error("a single topic is wanted, and not a pattern")]
    NotExact,
}

/// Sees to it that this is the name of a single topic.
pub(super) fn check_name(text: &str) -> Result<(), PatternError> {
    if check(text)? { Ok(()) } else { Err(PatternError::NotExact) }
}

/// Says whether a pattern is the name of a single topic.
fn check(text: &str) -> Result<bool, PatternError> {
    match text.len() {
        0 => return Err(PatternError::Empty),
        len if len > Pattern::MAX_LEN => return Err(PatternError::TooLong { len }),
        _ => {}
    }
    let (mut is_exact, mut levels) = (true, 0);
    let mut rest = Some(text);
    while let Some(here) = rest {
        let (level, below) = here.split_once(SEPARATOR).map_or((here, None), |(level, below)| (level, Some(below)));
        match level {
            ANY_LEVEL => is_exact = false,
            ANY_LEVELS if below.is_none() => is_exact = false,
            _ if level.contains(['+', '#']) => return Err(PatternError::Wildcard),
            _ => {}
        }
        levels += 1;
        rest = below;
    }
    if levels > Pattern::MAX_LEVELS { Err(PatternError::TooDeep) } else { Ok(is_exact) }
}

/// What stands between two levels.
pub(super) const SEPARATOR: char = '/';

/// The level that stands for any one.
pub(super) const ANY_LEVEL: &str = "+";

/// The level that stands for all that follow, and for none.
pub(super) const ANY_LEVELS: &str = "#";

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn plus_stands_for_one_level_even_an_empty_one() {
        assert!(matches("+", "a") && matches("a/+", "a/") && matches("+/+", "/") && matches("+/b", "/b"));
        assert!(!matches("+", "a/b") && !matches("a/+", "a") && !matches("a/+", "a/b/c"));
    }

    #[test]
    fn hash_stands_for_all_levels_below_and_for_the_one_above() {
        assert!(matches("#", "a") && matches("#", "/") && matches("a/#", "a") && matches("a/+/#", "a/b"));
        assert!(!matches("a/#", "ab") && !matches("a/+/#", "a"));
    }

    #[test]
    fn wildcards_stand_alone_and_hash_at_the_end() {
        for text in ["a+", "+a", "#/a", "a/#/b", "a#", "++", "a/b#"] {
            assert_eq!(Pattern::new(text).unwrap_err(), PatternError::Wildcard, "{text}");
        }
        assert_eq!(check_name("a/+"), Err(PatternError::NotExact));
    }

    #[test]
    fn names_are_bounded() {
        let (longest, deepest) = ("a".repeat(Pattern::MAX_LEN), "/".repeat(Pattern::MAX_LEVELS - 1));
        assert!(Pattern::new(&longest).is_ok() && Pattern::new(&deepest).is_ok());
        assert_eq!(Pattern::new(&format!("{longest}a")).unwrap_err(), PatternError::TooLong { len: 257 });
        assert_eq!(Pattern::new(&format!("{deepest}/")).unwrap_err(), PatternError::TooDeep);
        assert_eq!(Pattern::new("").unwrap_err(), PatternError::Empty);
    }
}
