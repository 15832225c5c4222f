//! How a topic vanishes, and what those lose by it who had not been sent all that it has.

use alloc::vec::Vec;

use super::{Condition, NONE, State};
use crate::pubsub::log::{Gone, Readers};

/// What a subscriber loses.
#[derive(Debug)]
pub(in super::super) struct Loss<P> {
    pub(in super::super) peer: P,
    /// How many messages.
    pub(in super::super) messages: u64,
    /// Whether it is to be closed for that.
    pub(in super::super) is_strict: bool,
}

impl<P: Clone, B> State<P, B> {
    /// Whether nothing is lost to anybody when the topic vanishes, but history.
    pub(in super::super) fn is_idle(&self) -> bool {
        self.named == 0 && self.asleep == self.subscribers.len()
    }

    /// Whether somebody is just being sent something.
    pub(in super::super) fn is_in_hand(&self) -> bool {
        self.subscribers.iter().any(|subscriber| subscriber.condition == Condition::InHand)
    }

    /// Takes everybody and everything out, for good; returns what each loses, and what went. `None` if somebody asked for the topic by its name, or is just being
    /// sent something: then it is as it was.
    pub(in super::super) fn vanish(&mut self) -> Option<(Vec<Loss<P>>, Gone<B>)> {
        if self.named > 0 || self.is_in_hand() {
            return None;
        }
        self.is_gone = true;
        let (subscribers, log, asleep) = (core::mem::take(&mut self.subscribers), &self.log, self.asleep);
        let losses = subscribers.into_iter().enumerate().map(|(index, subscriber)| {
            let is_sent = index < asleep || subscriber.condition == Condition::Over;
            let unread =
                log.iter_from(subscriber.cursor).filter(|(place, slot)| subscriber.wants(*place, slot)).count();
            let skipped = log.first().saturating_sub(subscriber.cursor);
            let messages = if is_sent { 0 } else { skipped + unread as u64 };
            Loss { messages, is_strict: subscriber.is_strict(), peer: subscriber.peer }
        });
        let losses = losses.collect();
        (self.asleep, self.present, self.readers) = (0, 0, Readers::default());
        (self.seats, self.free, self.spare) = (Vec::new(), NONE, Vec::new());
        Some((losses, self.log.clear()))
    }
}
