//! What an engine's client has to catch up with: topics of which messages were missed that the engine still has.
//!
//! They are read a page at a time, so that memory does not follow how much was missed. Until a topic has caught up, what comes of
//! it meanwhile is passed over: it is in the engine as well, and is read there in its turn.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::pattern::Pattern;
use super::position::Position;

/// The topics that are behind, in the order in which they take turns.
#[derive(Debug, Default)]
pub(super) struct Behind {
    places: HashMap<Arc<str>, Place>,
    turns: VecDeque<Arc<str>>,
}

/// Where a topic is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// What was handed out last.
    after: Position,
    /// The last that was passed over.
    passed: Option<Position>,
}

/// What a page was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// There may be more behind it.
    More,
    /// Nothing was behind it when it was read.
    Last,
}

/// How a topic stands after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caught {
    /// It has caught up, or is to be read on in its turn.
    Well,
    /// It has caught up, but a message that was passed over is not in the engine any more.
    WithGap,
}

impl Behind {
    /// Takes note that a topic is to be read from behind a position, if it is not already.
    pub(super) fn add(&mut self, topic: Arc<str>, after: Position) {
        if let Entry::Vacant(vacant) = self.places.entry(topic.clone()) {
            vacant.insert(Place { after, passed: None });
            self.turns.push_back(topic);
        }
    }

    /// Takes note that nobody wants a topic any more.
    pub(super) fn remove(&mut self, topic: &str) {
        if self.places.remove(topic).is_some() {
            self.turns.retain(|known| **known != *topic);
        }
    }

    /// Whether a message that has just come is to be handed out, or is passed over until its topic has caught up.
    pub(super) fn is_next(&mut self, topic: &str, position: Position) -> bool {
        match self.places.get_mut(topic) {
            Some(place) => {
                place.passed = Some(position);
                false
            }
            None => true,
        }
    }

    /// The topic whose turn it is, and behind what.
    pub(super) fn next(&self) -> Option<(Arc<str>, Position)> {
        let topic = self.turns.front()?;
        Some((topic.clone(), self.places.get(topic)?.after))
    }

    /// Takes note of a page that was read of the topic whose turn it was, which ended there.
    pub(super) fn turn(&mut self, topic: &Arc<str>, end: Position, page: Page) -> Caught {
        let Some(place) = self.places.get_mut(topic) else { return Caught::Well };
        let is_forward = place.after != end;
        place.after = end;
        let is_beyond = place.passed.is_some_and(|passed| !passed.is_same_or_before(end));
        if page == Page::More || (is_beyond && is_forward) {
            self.turns.rotate_left(1);
            return Caught::Well;
        }
        self.remove(topic);
        if is_beyond { Caught::WithGap } else { Caught::Well }
    }

    /// The lowest sequence that a topic is behind.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.places.values().map(|place| place.after.sequence).min()
    }
}

/// Up to where patterns with wildcards were heard when a connection ended, so that the next one can go on there: the bridge knows
/// that only of the topics that it has heard of.
#[derive(Debug, Default)]
pub(super) struct Heard {
    epoch: u64,
    patterns: HashMap<Pattern, u64>,
}

impl Heard {
    /// Up to where a pattern was heard.
    pub(super) fn of(&self, pattern: &Pattern) -> Option<Position> {
        Some(Position { epoch: self.epoch, sequence: *self.patterns.get(pattern)? })
    }

    /// Takes note of how far a connection that has ended has heard its patterns; those that it had not asked for yet stay.
    pub(super) fn end(&mut self, epoch: u64, patterns: impl Iterator<Item = (Pattern, u64)>) {
        if self.epoch != epoch {
            // A sequence of another epoch says that something may be missing, and no more.
            self.patterns.values_mut().for_each(|sequence| *sequence = 0);
        }
        self.epoch = epoch;
        self.patterns.extend(patterns);
    }

    /// Forgets those that were not asked for again.
    pub(super) fn clear(&mut self) {
        self.patterns = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Position {
        Position { epoch: 7, sequence }
    }

    #[test]
    fn message_of_a_topic_that_is_behind_is_passed_over_and_read_in_its_turn() {
        let (mut behind, topic) = (Behind::default(), Arc::from("t"));
        behind.add(Arc::clone(&topic), at(3));
        assert!(!behind.is_next("t", at(9)) && behind.is_next("u", at(10)));
        assert_eq!(behind.turn(&topic, at(8), Page::Last), Caught::Well);
        assert_eq!(behind.next(), Some((topic.clone(), at(8))), "9 came after the page was read");
        assert_eq!(behind.turn(&topic, at(9), Page::Last), Caught::Well);
        assert!(behind.next().is_none() && behind.is_next("t", at(11)));
    }

    #[test]
    fn message_that_was_passed_over_and_is_nowhere_is_a_gap_and_no_endless_loop() {
        let (mut behind, topic) = (Behind::default(), Arc::from("t"));
        behind.add(Arc::clone(&topic), at(3));
        assert!(!behind.is_next("t", at(u64::MAX)));
        assert_eq!(behind.turn(&topic, at(3), Page::Last), Caught::WithGap);
        assert!(behind.next().is_none());
    }

    #[test]
    fn topics_take_turns() {
        let mut behind = Behind::default();
        let topics = ["a", "b"].map(Arc::<str>::from);
        topics.iter().for_each(|topic| behind.add(topic.clone(), at(0)));
        for topic in topics.iter().chain(&topics) {
            assert_eq!(behind.next().unwrap().0, *topic);
            assert_eq!(behind.turn(topic, at(1), Page::More), Caught::Well);
        }
        behind.remove("a");
        assert_eq!((behind.next().unwrap().0, behind.lowest()), ("b".into(), Some(1)));
    }

    #[test]
    fn pattern_goes_on_where_its_last_connection_ended_and_is_forgotten_if_it_does_not() {
        let mut heard = Heard::default();
        let [a, b] = ["a/#", "b/#"].map(|pattern| Pattern::new(pattern).unwrap());
        heard.end(7, [(a.clone(), 5), (b.clone(), 5)].into_iter());
        heard.end(7, [(a.clone(), 8)].into_iter());
        assert_eq!((heard.of(&a), heard.of(&b)), (Some(at(8)), Some(at(5))), "b was not asked for again in time");
        heard.end(9, [(a.clone(), 4)].into_iter());
        assert_eq!(heard.of(&b), Some(Position { epoch: 9, sequence: 0 }));
        heard.clear();
        assert_eq!(heard.of(&a), None);
    }
}
