//! Which topics have news for a connection, the oldest first. Most of the time there is one that has: it has its place with the
//! connection.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::room::more;

/// A topic has news: since when, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) stamp: u64,
    pub(super) topic: u64,
}

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// None of the others is older.
    first: Option<Mark>,
    others: BinaryHeap<Reverse<Mark>>,
}

impl Marks {
    #[inline]
    pub(super) fn push(&mut self, mark: Mark) {
        match &mut self.first {
            None => self.first = Some(mark),
            Some(first) => {
                let other = core::mem::replace(first, mark.min(*first)).max(mark);
                if self.others.len() == self.others.capacity() {
                    self.others.reserve_exact(more(self.others.len()));
                }
                self.others.push(Reverse(other));
            }
        }
    }

    /// Takes the oldest.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Mark> {
        let next = if self.others.is_empty() { None } else { self.others.pop().map(|Reverse(mark)| mark) };
        core::mem::replace(&mut self.first, next)
    }

    /// The oldest.
    #[inline]
    pub(super) fn peek(&self) -> Option<Mark> {
        self.first
    }

    /// Lets those go for which `is_kept` is false.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Mark) -> bool) {
        self.others.retain(|Reverse(mark)| is_kept(mark));
        if self.first.is_some_and(|first| !is_kept(&first)) {
            self.pop();
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_come_out_as_of_a_heap(steps in proptest::collection::vec(proptest::option::of((0_u64..9, 0_u64..4)), 0..60)) {
            let (mut marks, mut heap) = (Marks::default(), BinaryHeap::new());
            for step in steps {
                match step {
                    Some((stamp, 3)) => {
                        marks.retain(|mark| mark.stamp != stamp);
                        heap.retain(|Reverse(mark): &Reverse<Mark>| mark.stamp != stamp);
                    }
                    Some((stamp, topic)) => {
                        marks.push(Mark { stamp, topic });
                        heap.push(Reverse(Mark { stamp, topic }));
                    }
                    None => prop_assert_eq!(marks.pop(), heap.pop().map(|Reverse(mark)| mark)),
                }
                prop_assert_eq!(marks.peek(), heap.peek().map(|Reverse(mark)| *mark));
                prop_assert_eq!((marks.len(), marks.is_empty()), (heap.len(), heap.is_empty()));
            }
        }
    }
}
