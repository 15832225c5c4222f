//! How far patterns with wildcards were heard when a connection to an engine ended, so that the next one can go on there.

use alloc::sync::Arc;
use std::collections::{HashMap, HashSet};

use super::pattern::Pattern;
use super::position::Position;

/// Up to where patterns were heard. The bridge knows that only of the topics that it has heard of.
#[derive(Debug, Default)]
pub(super) struct Heard {
    epoch: u64,
    patterns: HashMap<Pattern, u64>,
    /// The topics with a gap that nobody was told of.
    gaps: HashSet<Arc<str>>,
}

impl Heard {
    /// Up to where a pattern was heard.
    pub(super) fn of(&self, pattern: &Pattern) -> Option<Position> {
        Some(Position { epoch: self.epoch, sequence: *self.patterns.get(pattern)? })
    }

    /// Up to where a topic was heard by all patterns that match it: one of them may have been further behind than another.
    pub(super) fn of_topic(&self, topic: &str) -> Option<Position> {
        let matching = self.patterns.iter().filter(|(pattern, _)| pattern.matches(topic));
        let sequence = matching.map(|(_, sequence)| *sequence).min()?;
        Some(Position { epoch: self.epoch, sequence })
    }

    /// Takes note of how far a connection that has ended has heard its patterns, and of gaps that it knew of and did not tell.
    /// Patterns that it had not asked for yet stay.
    pub(super) fn end(
        &mut self,
        epoch: u64,
        patterns: impl Iterator<Item = (Pattern, u64)>,
        gaps: impl Iterator<Item = Arc<str>>,
    ) {
        if self.epoch != epoch {
            // A sequence of another epoch says that something may be missing, and no more.
            self.patterns.values_mut().for_each(|sequence| *sequence = 0);
        }
        self.epoch = epoch;
        self.patterns.extend(patterns);
        self.gaps.extend(gaps);
    }

    /// Forgets the patterns that were not asked for again, now that all were that are to be. Gives the topics with a gap that is
    /// still to be told.
    pub(super) fn settle(&mut self) -> HashSet<Arc<str>> {
        core::mem::take(self).gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Position {
        Position { epoch: 7, sequence }
    }

    fn end<const N: usize>(heard: &mut Heard, epoch: u64, patterns: [(Pattern, u64); N]) {
        heard.end(epoch, patterns.into_iter(), core::iter::empty());
    }

    #[test]
    fn pattern_goes_on_where_its_last_connection_ended_and_is_forgotten_if_it_does_not() {
        let mut heard = Heard::default();
        let [a, b] = ["a/#", "b/#"].map(|pattern| Pattern::new(pattern).unwrap());
        end(&mut heard, 7, [(a.clone(), 5), (b.clone(), 5)]);
        end(&mut heard, 7, [(a.clone(), 8)]);
        assert_eq!((heard.of(&a), heard.of(&b)), (Some(at(8)), Some(at(5))), "b was not asked for again in time");
        end(&mut heard, 9, [(a.clone(), 4)]);
        assert_eq!(heard.of(&b), Some(Position { epoch: 9, sequence: 0 }));
        heard.settle();
        assert_eq!(heard.of(&a), None);
    }

    #[test]
    fn topic_of_several_patterns_was_heard_as_far_as_the_one_that_is_furthest_behind() {
        let mut heard = Heard::default();
        let patterns = [("a/#", 5), ("a/+", 3), ("b/#", 1)].map(|(pattern, at)| (Pattern::new(pattern).unwrap(), at));
        end(&mut heard, 7, patterns);
        assert_eq!(
            (heard.of_topic("a/1"), heard.of_topic("a/1/x"), heard.of_topic("c")),
            (Some(at(3)), Some(at(5)), None)
        );
    }

    #[test]
    fn gap_that_a_connection_did_not_tell_is_told_by_the_next() {
        let mut heard = Heard::default();
        heard.end(7, core::iter::empty(), ["t".into()].into_iter());
        heard.end(7, core::iter::empty(), ["t".into()].into_iter());
        assert_eq!([heard.settle(), heard.settle()], [["t".into()].into(), HashSet::new()]);
    }
}
