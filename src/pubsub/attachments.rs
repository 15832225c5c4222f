//! Where a connection is in each of its topics: a list while it is short, as most are, and a table when it is not.

use alloc::vec::Vec;
use core::hash::BuildHasherDefault;
use std::collections::HashMap;

use super::peer::{Attachment, Numbers};
use super::room::push;

/// Attachments by the number of the topic.
pub(super) enum Attachments<S> {
    Few(Vec<(u64, Attachment<S>)>),
    Many(HashMap<u64, Attachment<S>, BuildHasherDefault<Numbers>>),
}

impl<S> Default for Attachments<S> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<S> Attachments<S> {
    /// Puts one in for a topic that has none yet.
    pub(super) fn insert(&mut self, topic: u64, attachment: Attachment<S>) {
        match self {
            Self::Few(few) if few.len() < FEW => push(few, (topic, attachment)),
            Self::Few(few) => {
                let mut many: HashMap<_, _, _> = core::mem::take(few).into_iter().collect();
                many.insert(topic, attachment);
                *self = Self::Many(many);
            }
            Self::Many(many) => {
                many.insert(topic, attachment);
            }
        }
    }

    /// Takes that of a topic out.
    pub(super) fn remove(&mut self, topic: u64) -> Option<Attachment<S>> {
        let removed = match self {
            Self::Few(few) => {
                let index = few.iter().position(|(known, _)| *known == topic)?;
                Some(few.swap_remove(index).1)
            }
            Self::Many(many) => many.remove(&topic),
        };
        if self.len() == 0 {
            *self = Self::default();
        }
        removed
    }

    /// Takes all out.
    pub(super) fn into_values(self) -> Vec<Attachment<S>> {
        match self {
            Self::Few(few) => few.into_iter().map(|(_, attachment)| attachment).collect(),
            Self::Many(many) => many.into_values().collect(),
        }
    }

    pub(super) fn get(&self, topic: u64) -> Option<&Attachment<S>> {
        match self {
            Self::Few(few) => few.iter().find(|(known, _)| *known == topic).map(|(_, attachment)| attachment),
            Self::Many(many) => many.get(&topic),
        }
    }

    pub(super) fn get_mut(&mut self, topic: u64) -> Option<&mut Attachment<S>> {
        match self {
            Self::Few(few) => few.iter_mut().find(|(known, _)| *known == topic).map(|(_, attachment)| attachment),
            Self::Many(many) => many.get_mut(&topic),
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Attachment<S>> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(_, attachment)| attachment);
        few.chain(many.into_iter().flat_map(HashMap::values))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }
}

/// How many a look at all finds as fast as a table does.
const FEW: usize = 8;
