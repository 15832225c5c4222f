//! What a topic knows of other nodes: how far it has heard them, so that nothing is delivered twice.

use alloc::vec::Vec;

use super::backplane::Origin;
use super::position::Position;

/// How far a topic has heard.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// The last position that the engine gave.
    pub(super) last: Option<Position>,
    /// Where the topic stood when it was asked for by its name, and what a pattern had asked for was still to come.
    pub(super) begun: Option<Position>,
    /// Whether the log has something twice, because of that.
    pub(super) has_twice: bool,
    /// The last position that this node gave by itself.
    pub(super) own: Option<Own>,
    /// The last publication of each node, the node that was heard last at the end.
    origins: Vec<Origin>,
    /// What was delivered while the engine was away.
    pub(super) early: Early,
}

/// A position of this node's own, in one epoch as long as it remembers that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) position: Position,
    /// The place behind it, and behind what has come back and was not sent again to who has been sent it.
    pub(super) behind: u64,
}

/// What this node has delivered by itself, and has or has not come back.
#[derive(Debug, Default)]
pub(super) struct Early {
    node: u64,
    /// The last publication that was delivered so, and the last that has come back.
    pub(super) delivered: u64,
    heard: u64,
    /// From the first that was delivered so until all have come back.
    pub(super) stretch: Option<Stretch>,
    /// Whether one that was delivered so is the newest of the topic.
    pub(super) is_newest: bool,
    /// Whether somebody here may be in the engine's order still: waits for what comes back, or has seen elsewhere what has not come yet.
    pub(super) is_waited_for: bool,
}

/// Where in the log an order of this node's own begins, beside the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) begin: u64,
    /// The last publication that was delivered early before, and has come back.
    pub(super) before: u64,
}

impl Early {
    /// Whether what it has in the log was numbered by another bridge than the one of this node.
    pub(super) fn is_of_another(&self, node: u64) -> bool {
        self.node != 0 && self.node != node
    }

    /// Whether something was delivered that has not come back.
    pub(super) fn is_outstanding(&self) -> bool {
        self.heard < self.delivered
    }
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
    /// How far the topic was heard, or where that began.
    pub(super) fn heard_up_to(&self) -> Option<Position> {
        self.last.or(self.begun)
    }

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
            // Another bridge counts anew: who knows the numbers of the one before goes on by the new ones.
            let is_waited_for = self.early.is_waited_for || self.early.node != 0;
            self.early = Early { node: origin.node, heard, is_waited_for, ..Early::default() };
        }
        if origin.number <= self.early.heard {
            return false;
        }
        self.begin_early(place);
        self.early.delivered = self.early.delivered.max(origin.number);
        self.note(origin);
        true
    }

    /// Takes note that what stands at a place has no place of the engine.
    pub(super) fn begin_early(&mut self, place: u64) {
        self.early.stretch.get_or_insert(Stretch { begin: place, before: self.early.delivered });
        self.early.is_newest = true;
    }

    /// Takes note that something has come from the engine and is the newest.
    pub(super) fn end_early(&mut self) {
        self.early.is_newest = false;
        if !self.early.is_outstanding() {
            self.early.stretch = None;
        }
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
        assert_eq!((remote.early.stretch, remote.early.delivered), (Some(Stretch { begin: 10, before: 0 }), 4));
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
