//! Values by number: a list while it is short, as most are, and a table when it is not.

use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;

use super::room::push;

/// Values by number.
pub(super) enum ByNumber<V> {
    Few(Vec<(u64, V)>),
    Many(HashMap<u64, V, BuildHasherDefault<Numbers>>),
}

impl<V> Default for ByNumber<V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<V> ByNumber<V> {
    /// Puts in a value for a number that has none yet.
    pub(super) fn insert(&mut self, number: u64, value: V) {
        match self {
            Self::Few(few) if few.len() < FEW => push(few, (number, value)),
            Self::Few(few) => {
                let mut many: HashMap<_, _, _> = core::mem::take(few).into_iter().collect();
                many.insert(number, value);
                *self = Self::Many(many);
            }
            Self::Many(many) => {
                many.insert(number, value);
            }
        }
    }

    /// Takes out the value of a number.
    pub(super) fn remove(&mut self, number: u64) -> Option<V> {
        let removed = match self {
            Self::Few(few) => {
                let index = few.iter().position(|(known, _)| *known == number)?;
                Some(few.swap_remove(index).1)
            }
            Self::Many(many) => many.remove(&number),
        };
        if self.len() == 0 {
            *self = Self::default();
        }
        removed
    }

    /// Takes all out.
    pub(super) fn into_values(self) -> Vec<V> {
        match self {
            Self::Few(few) => few.into_iter().map(|(_, value)| value).collect(),
            Self::Many(many) => many.into_values().collect(),
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&V> {
        match self {
            Self::Few(few) => few.iter().find(|(known, _)| *known == number).map(|(_, value)| value),
            Self::Many(many) => many.get(&number),
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut V> {
        match self {
            Self::Few(few) => few.iter_mut().find(|(known, _)| *known == number).map(|(_, value)| value),
            Self::Many(many) => many.get_mut(&number),
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(_, value)| value);
        few.chain(many.into_iter().flat_map(HashMap::values))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }
}

/// Hashes numbers that we have given ourselves, one after the other: nobody can choose them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers(u64);

impl Hasher for Numbers {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // By an odd number near to 2^64 divided by the golden ratio, so that the upper bits differ, too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// How many a look at all finds as fast as a table does.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::btree_map::Entry;
    use alloc::collections::{BTreeMap, BTreeSet};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_those_of_a_map(steps in proptest::collection::vec((any::<bool>(), 0u64..24), 0..200)) {
            let (mut values, mut expected) = (ByNumber::default(), BTreeMap::new());
            for (step, (is_put_in, number)) in steps.into_iter().enumerate() {
                if !is_put_in {
                    prop_assert_eq!(values.remove(number), expected.remove(&number));
                } else if let Entry::Vacant(vacant) = expected.entry(number) {
                    values.insert(number, step);
                    vacant.insert(step);
                }
                prop_assert_eq!(values.len(), expected.len());
                for number in 0..24 {
                    prop_assert_eq!(values.get(number), expected.get(&number));
                    prop_assert_eq!(values.get_mut(number), expected.get_mut(&number));
                }
                prop_assert_eq!(values.values().collect::<BTreeSet<_>>(), expected.values().collect());
            }
            prop_assert_eq!(values.into_values().into_iter().collect::<BTreeSet<_>>(), expected.into_values().collect());
        }
    }
}
