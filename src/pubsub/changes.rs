//! What a bridge is to tell its engine of what this node wants, in order.

use alloc::collections::VecDeque;

use super::ask::Ask;
use super::pattern::Pattern;
use super::position::Position;

/// A wish for the messages of other nodes, or the end of one.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    pub(super) pattern: Pattern,
    pub(super) after: Option<Position>,
    pub(super) is_wanted: bool,
}

/// What the inbound half is to do.
pub(super) enum Change<S> {
    Interest(Interest),
    /// Too many of those: what is wanted now is to be looked up.
    Renew,
    /// Somebody has come back who missed more than there is here.
    Ask(Ask<S>),
}

/// The changes that wait, and how many there were.
pub(super) struct Changes<S> {
    waiting: VecDeque<Change<S>>,
    /// How many changes there were, and how many are done.
    changed: u64,
    done: u64,
}

impl<S> Default for Changes<S> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), changed: 0, done: 0 }
    }
}

impl<S> Changes<S> {
    pub(super) fn push(&mut self, change: Change<S>) {
        self.waiting.push_back(change);
        self.changed += 1;
        let has_too_many = matches!(self.waiting.back(), Some(Change::Interest(_))) && self.waiting.len() > CHANGES;
        if has_too_many {
            self.renew();
        }
    }

    /// Puts a look at what is wanted in the place of all changes of that. What waits behind those waits for it.
    fn renew(&mut self) {
        self.waiting.retain(|change| matches!(change, Change::Ask(_)));
        self.waiting.push_front(Change::Renew);
        self.changed += 1;
    }

    /// Takes the next change, which counts as done when the next one is taken; and with [`Change::Renew`] all before it. Says, too,
    /// whether more are done now than before.
    pub(super) fn next(&mut self) -> (Option<Change<S>>, bool) {
        let next = self.waiting.pop_front();
        let done = self.changed - self.waiting.len() as u64 - u64::from(next.is_some());
        let is_forward = self.done < done && !matches!(next, Some(Change::Renew));
        if is_forward {
            self.done = done;
        }
        (next, is_forward)
    }

    /// Begins a connection, on which nothing is wanted yet: that counts as one change more. Gives those that were not made.
    pub(super) fn begin(&mut self) -> VecDeque<Change<S>> {
        self.changed += 1;
        self.take()
    }

    /// Takes all that wait.
    pub(super) fn take(&mut self) -> VecDeque<Change<S>> {
        core::mem::take(&mut self.waiting)
    }

    /// How many changes there were.
    pub(super) fn count(&self) -> u64 {
        self.changed
    }

    /// How many of them are done.
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}

/// How many changes of what is wanted wait for the engine. Clients may come and go faster than it is told.
const CHANGES: usize = 4096;
