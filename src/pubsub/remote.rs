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
}

impl Remote {
    /// Takes note of a publication, and says whether it is a new one.
    pub(super) fn admit(&mut self, origin: Origin, position: Option<Position>) -> bool {
        if let Some(position) = position {
            if self.last.is_some_and(|last| position.is_same_or_before(last)) {
                return false;
            }
            self.last = Some(position);
        }
        let known = self.origins.iter().find(|known| known.node == origin.node);
        if known.is_some_and(|known| origin.number <= known.number) {
            return false;
        }
        self.note(origin);
        true
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

    #[test]
    fn a_publication_is_admitted_once() {
        let mut remote = Remote::default();
        assert!(remote.admit(origin(1, 1), None) && remote.admit(origin(2, 1), None));
        assert!(!remote.admit(origin(1, 1), None) && remote.admit(origin(1, 2), None));
    }

    #[test]
    fn a_publication_that_got_two_positions_is_admitted_once() {
        let mut remote = Remote::default();
        assert!(remote.admit(origin(1, 1), at(7, 1)) && !remote.admit(origin(1, 1), at(7, 2)));
        assert_eq!(remote.last, at(7, 2), "it is behind us all the same");
    }

    #[test]
    fn a_position_that_is_behind_is_known_but_in_another_epoch() {
        let mut remote = Remote::default();
        assert!(remote.admit(origin(1, 1), at(7, 5)));
        assert!(!remote.admit(origin(2, 1), at(7, 5)) && remote.admit(origin(2, 1), at(8, 1)));
    }

    #[test]
    fn the_memory_for_nodes_is_bounded() {
        let mut remote = Remote::default();
        (0..1000).for_each(|node| assert!(remote.admit(origin(node, 1), None)));
        assert!(remote.origins.len() == NODES && !remote.admit(origin(999, 1), None));
    }
}
