//! Which topics a connection is in, by their numbers. Most connections are in one, or a few: the first has its place with the
//! connection, and wants no memory of its own, nor a look elsewhere for each delivery.

use alloc::sync::Arc;

use super::by_number::ByNumber;
use super::post::Topic;

/// A connection in a topic.
pub(super) struct Attachment<S> {
    pub(super) topic: Arc<Topic<S>>,
    pub(super) seat: u32,
    /// Whether it asked for the topic by its name, and by how many patterns.
    pub(super) is_named: bool,
    pub(super) is_present: bool,
    pub(super) patterns: u16,
    /// The last turn in which it was in hand: there may be a mark from before it left the topic and came back.
    pub(super) turn: u64,
}

/// Attachments, or whatever else, by the number of the topic.
pub(super) struct Attachments<A> {
    first: Option<(u64, A)>,
    others: ByNumber<A>,
}

impl<A> Default for Attachments<A> {
    fn default() -> Self {
        Self { first: None, others: ByNumber::default() }
    }
}

impl<A> Attachments<A> {
    /// Adds one, for a topic that has none.
    pub(super) fn insert(&mut self, topic: u64, attachment: A) {
        if self.first.is_none() {
            self.first = Some((topic, attachment));
        } else {
            self.others.insert(topic, attachment);
        }
    }

    pub(super) fn remove(&mut self, topic: u64) -> Option<A> {
        match self.first.take() {
            Some((number, attachment)) if number == topic => Some(attachment),
            first => {
                self.first = first;
                self.others.remove(topic)
            }
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, topic: u64) -> Option<&mut A> {
        match &mut self.first {
            Some((number, attachment)) if *number == topic => Some(attachment),
            _ => self.others.get_mut(topic),
        }
    }

    #[inline]
    pub(super) fn get(&self, topic: u64) -> Option<&A> {
        match &self.first {
            Some((number, attachment)) if *number == topic => Some(attachment),
            _ => self.others.get(topic),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &A> {
        self.first.iter().map(|(_, attachment)| attachment).chain(self.others.values())
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = A> {
        self.first.into_iter().map(|(_, attachment)| attachment).chain(self.others.into_values())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn sorted(values: impl Iterator<Item = i32>) -> Vec<i32> {
        let mut values: Vec<i32> = values.collect();
        values.sort_unstable();
        values
    }

    proptest! {
        #[test]
        fn attachments_are_those_that_were_added_and_not_removed(
            steps in proptest::collection::vec((0_u64..6, any::<bool>()), 0..60),
        ) {
            let (mut attachments, mut known) = (Attachments::default(), HashMap::new());
            for (value, (topic, is_added)) in (0..).zip(steps) {
                if is_added && !known.contains_key(&topic) {
                    attachments.insert(topic, value);
                    known.insert(topic, value);
                } else if !is_added {
                    prop_assert_eq!(attachments.remove(topic), known.remove(&topic));
                }
                for topic in 0..6 {
                    prop_assert_eq!(attachments.get(topic), known.get(&topic));
                    prop_assert_eq!(attachments.get_mut(topic), known.get_mut(&topic));
                }
                prop_assert_eq!(attachments.len(), known.len());
                prop_assert_eq!(sorted(attachments.values().copied()), sorted(known.values().copied()));
            }
            prop_assert_eq!(sorted(attachments.into_values()), sorted(known.into_values()));
        }
    }
}
