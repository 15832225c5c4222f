//! What an engine's client has to catch up with: topics of which messages were missed that the engine still has.
//!
//! They are read a page at a time, so that memory does not follow how much was missed. Until a topic has caught up, what comes of
//! it meanwhile is passed over: it is in the engine as well, and is read there in its turn.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
    /// Whether it was asked for by its name: then what was handed out is known.
    is_named: bool,
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
    /// Takes note that a topic that is asked for by its name is to be read from behind a position, if it is not already.
    pub(super) fn add(&mut self, topic: Arc<str>, after: Position) {
        self.place(topic, after, true);
    }

    /// The same for one that a pattern matches. Where several do, one of them may have been further behind than the others.
    pub(super) fn add_of_pattern(&mut self, topic: Arc<str>, after: Position) {
        let place = self.place(topic, after, false);
        if !place.is_named && after.epoch == place.after.epoch && after.sequence < place.after.sequence {
            place.after = after;
        }
    }

    fn place(&mut self, topic: Arc<str>, after: Position, is_named: bool) -> &mut Place {
        match self.places.entry(topic.clone()) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => {
                self.turns.push_back(topic);
                vacant.insert(Place { after, passed: None, is_named })
            }
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

    /// The lowest sequence of this epoch that a topic is behind: where it was in another one, all of this is to be read.
    pub(super) fn lowest(&self, epoch: u64) -> Option<u64> {
        let places = self.places.values();
        places.map(|place| if place.after.epoch == epoch { place.after.sequence } else { 0 }).min()
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
    fn topic_of_several_patterns_is_read_from_where_the_one_was_that_is_furthest_behind() {
        let mut behind = Behind::default();
        for after in [5, 3, 4] {
            behind.add_of_pattern("t".into(), at(after));
        }
        assert_eq!(behind.next(), Some(("t".into(), at(3))));
        behind.add("named".into(), at(9));
        behind.add_of_pattern("named".into(), at(8));
        behind.turn(&"t".into(), at(9), Page::Last);
        assert_eq!(behind.next(), Some(("named".into(), at(9))));
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
        assert_eq!((behind.next().unwrap().0, behind.lowest(7), behind.lowest(8)), ("b".into(), Some(1), Some(0)));
    }
}
