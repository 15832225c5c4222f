//! How a message gets into a topic: it is appended, and those are found who are to be woken or closed for it.

use alloc::vec::Vec;

use super::{Condition, State};
use crate::pubsub::log::{Entry, Gone, Trimmed};

/// What a publish leaves to be done when the lock is free.
#[derive(Debug)]
pub(in super::super) struct Woken<P, B> {
    /// One who waited, and the others, if there are any: in most topics there is nobody else, and so no list.
    pub(in super::super) sleeper: Option<P>,
    pub(in super::super) sleepers: Vec<P>,
    /// Those who are to be closed.
    pub(in super::super) overrun: Vec<P>,
    /// How many will be sent it.
    pub(in super::super) receivers: usize,
    /// What went for it.
    pub(in super::super) gone: Gone<B>,
}

impl<P: Clone, B> State<P, B> {
    /// Appends a message. `sender` is the seat of the one that is not to be sent it, if it has one.
    pub(in super::super) fn publish(&mut self, mut entry: Entry<B>, sender: Option<u32>) -> Woken<P, B> {
        let mut receivers = self.subscribers.len();
        entry.unread = self.readers;
        let mut still_asleep = None;
        if let Some(sender) = sender.and_then(|seat| self.index(seat, entry.except?)) {
            receivers -= 1;
            let subscriber = &mut self.subscribers[sender];
            if sender < self.asleep {
                // It has passed the message before that is there.
                subscriber.cursor = self.log.head() + 1;
                if subscriber.is_counted() {
                    entry.unread.remove(subscriber.is_strict());
                }
                still_asleep = Some(sender);
            }
        }
        let waiting = self.subscribers[..self.asleep].iter().enumerate();
        let mut waiting = waiting.filter(|(index, _)| Some(*index) != still_asleep).map(|(_, one)| one.peer.clone());
        let sleeper = waiting.next();
        let mut sleepers = if self.asleep > 1 { core::mem::take(&mut self.spare) } else { Vec::new() };
        sleepers.reserve_exact(self.asleep.saturating_sub(1));
        sleepers.extend(waiting);
        self.asleep = 0;
        if let Some(index) = still_asleep {
            let subscriber = &mut self.subscribers[index];
            subscriber.sent = entry.position_for(subscriber.view);
            self.put_to_sleep(index);
        }
        let Trimmed { has_overrun, mut gone } = self.log.append(entry);
        let overrun = if has_overrun { self.overrun(&mut gone) } else { Vec::new() };
        Woken { sleeper, sleepers, overrun, receivers, gone }
    }

    /// Appends a message that has come back: only those are woken who were not here when it was delivered.
    pub(in super::super) fn publish_echo(&mut self, mut entry: Entry<B>) -> Woken<P, B> {
        let place = self.log.head();
        entry.unread = self.readers;
        let mut sleepers = if self.asleep > 0 { core::mem::take(&mut self.spare) } else { Vec::new() };
        for index in (0..self.asleep).rev() {
            let subscriber = &mut self.subscribers[index];
            if subscriber.view.has(place, entry.standing) {
                sleepers.push(subscriber.peer.clone());
                self.asleep -= 1;
                self.swap(index, self.asleep);
                continue;
            }
            subscriber.cursor = place + 1;
            if subscriber.is_counted() {
                entry.unread.remove(subscriber.is_strict());
            }
        }
        // Who has been sent all that was early is not sent it.
        if let Some(own) = self.remote.as_mut().and_then(|remote| remote.own.as_mut()).filter(|own| own.behind == place)
        {
            own.behind += 1;
        }
        let sleeper = None;
        let receivers = self.subscribers.iter().filter(|one| one.view.has(place, entry.standing)).count();
        let Trimmed { has_overrun, mut gone } = self.log.append(entry);
        let overrun = if has_overrun { self.overrun(&mut gone) } else { Vec::new() };
        Woken { sleeper, sleepers, overrun, receivers, gone }
    }

    /// Gives the memory for those who were woken back, emptied.
    pub(in super::super) fn give_back(&mut self, sleepers: Vec<P>) {
        if sleepers.capacity() > self.spare.capacity() && sleepers.capacity() <= 2 * self.subscribers.len().max(4) {
            self.spare = sleepers;
        }
    }

    /// Finds those who have missed a message and are to be closed for that. They are no readers any more.
    fn overrun(&mut self, gone: &mut Gone<B>) -> Vec<P> {
        let (first, head) = (self.log.first(), self.log.head());
        let mut overrun = Vec::new();
        for index in self.asleep..self.subscribers.len() {
            let subscriber = &mut self.subscribers[index];
            if subscriber.is_strict() && subscriber.cursor < first {
                overrun.push(subscriber.peer.clone());
                let from = core::mem::replace(&mut subscriber.cursor, head);
                subscriber.condition = Condition::Over;
                self.readers.remove(true);
                gone.append(self.log.pass(from, head, true));
            }
        }
        overrun
    }
}
