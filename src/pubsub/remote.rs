//! What a topic knows of other nodes: how far it has heard them, so that nothing is delivered twice.

use alloc::vec::Vec;

use super::backplane::Origin;
use super::position::Position;

/// How far a topic has heard.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// The last position that the engine gave.
    pub(super) last: Option<Position>,
    /// The epoch in which this node has numbered by itself.
    pub(super) own_epoch: Option<u64>,
    /// The last publication of each node, the node that was heard last at the end.
    origins: Vec<Origin>,
    /// What was delivered while the engine was away.
    pub(super) early: Early,
}

/// What this node has delivered by itself, and has or has not come back.
#[derive(Debug, Default)]
pub(super) struct Early {
    node: u64,
    /// The last publication that was delivered so, and the last that has come back.
    pub(super) delivered: u64,
    heard: u64,
    /// Where those begin that were delivered so and are the newest of the topic, and the last such publication before them.
    pub(super) run: Option<(u64, u64)>,
}

/// What is to be done with a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    New,
    /// It was delivered here without the engine, and this is its place.
    Echo,
    Known,
}

impl Remote {
    /// Takes note of a publication, and says whether it is a new one.
    pub(super) fn admit(&mut self, origin: Origin, position: Option<Position>) -> Admission {
        if let Some(position) = position {
            if self.last.is_some_and(|last| position.is_same_or_before(last)) {
                return Admission::Known;
            }
            self.last = Some(position);
        }
        let early = &mut self.early;
        if early.node == origin.node && position.is_some() {
            let was_heard = origin.number <= early.heard;
            early.heard = early.heard.max(origin.number);
            if was_heard || origin.number <= early.delivered {
                return if was_heard { Admission::Known } else { Admission::Echo };
            }
        }
        let known = self.origins.iter().find(|known| known.node == origin.node);
        if known.is_some_and(|known| origin.number <= known.number) {
            return Admission::Known;
        }
        self.note(origin);
        Admission::New
    }

    /// Takes note of a publication that is delivered at a place without the engine, unless that was faster.
    pub(super) fn note_early(&mut self, origin: Origin, place: u64) -> bool {
        if self.early.node != origin.node {
            let heard = self.origins.iter().find(|known| known.node == origin.node).map_or(0, |known| known.number);
            self.early = Early { node: origin.node, heard, ..Early::default() };
        }
        if origin.number <= self.early.heard {
            return false;
        }
        self.begin_run(place);
        self.early.delivered = self.early.delivered.max(origin.number);
        self.note(origin);
        true
    }

    /// Takes note that what stands at a place has no place of the engine.
    pub(super) fn begin_run(&mut self, place: u64) {
        self.early.run.get_or_insert((place, self.early.delivered));
    }

    /// Takes note of a publication that is delivered in any case.
    pub(super) fn note(&mut self, mut origin: Origin) {
        if let Some(index) = self.origins.iter().position(|known| known.node == origin.node) {
            origin.number = origin.number.max(self.origins.remove(index).number);
        } else if self.origins.len() == NODES {
            self.origins.remove(0);
        }
        self.origins.push(origin);
    }
}

/// How many nodes a topic remembers. What is told of twice is told of soon again.
const NODES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(node: u64, number: u64) -> Origin {
        Origin { node, number }
    }

    fn at(epoch: u64, sequence: u64) -> Option<Position> {
        Some(Position { epoch, sequence })
    }

    fn admits(remote: &mut Remote, origin: Origin, position: Option<Position>) -> bool {
        remote.admit(origin, position) == Admission::New
    }

    #[test]
    fn what_was_delivered_without_the_engine_comes_back_once() {
        let mut remote = Remote::default();
        assert_eq!(remote.admit(origin(1, 1), at(7, 1)), Admission::New);
        assert!(remote.note_early(origin(1, 3), 10) && remote.note_early(origin(1, 4), 11));
        assert!(!remote.note_early(origin(1, 1), 12), "it has come back already");
        assert_eq!((remote.early.run, remote.early.delivered), (Some((10, 0)), 4));
        let again =
            [(1, 2), (3, 3), (3, 4), (4, 5), (5, 6)].map(|(number, at_7)| remote.admit(origin(1, number), at(7, at_7)));
        use Admission::{Echo, Known, New};
        assert_eq!(again, [Known, Echo, Known, Echo, New]);
    }

    #[test]
    fn a_publication_is_admitted_once() {
        let mut remote = Remote::default();
        assert!(admits(&mut remote, origin(1, 1), None) && admits(&mut remote, origin(2, 1), None));
        assert!(!admits(&mut remote, origin(1, 1), None) && admits(&mut remote, origin(1, 2), None));
    }

    #[test]
    fn a_publication_that_got_two_positions_is_admitted_once() {
        let mut remote = Remote::default();
        assert!(admits(&mut remote, origin(1, 1), at(7, 1)) && !admits(&mut remote, origin(1, 1), at(7, 2)));
        assert_eq!(remote.last, at(7, 2), "it is behind us all the same");
    }

    #[test]
    fn a_position_that_is_behind_is_known_but_in_another_epoch() {
        let mut remote = Remote::default();
        assert!(admits(&mut remote, origin(1, 1), at(7, 5)));
        assert!(!admits(&mut remote, origin(2, 1), at(7, 5)) && admits(&mut remote, origin(2, 1), at(8, 1)));
    }

    #[test]
    fn the_memory_for_nodes_is_bounded() {
        let mut remote = Remote::default();
        (0..1000).for_each(|node| assert!(admits(&mut remote, origin(node, 1), None)));
        assert!(remote.origins.len() == NODES && !admits(&mut remote, origin(999, 1), None));
    }
}
