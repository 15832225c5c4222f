//! How a subscriber is sent what a topic has: it reads from its place, and settles how far it came.

use super::{Condition, State, Subscriber};
use crate::pubsub::config::SlowConsumer;
use crate::pubsub::log::{Face, Gone, Slot, Standing};
use crate::pubsub::position::Position;

/// What is to be read for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Reading {
    /// How many messages it has missed since it read last.
    pub(in super::super) skipped: u64,
    /// Whether that is how it wants it: the latest instead of all.
    pub(in super::super) is_conflated: bool,
    /// When the first message was published that was not read, if there is one.
    pub(in super::super) next: Option<u64>,
}

/// Where a subscriber stands after it was sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Settled {
    /// It has been sent everything, and is woken for more.
    Asleep,
    /// More is there, published at this stamp.
    More(u64),
    /// It is no subscriber any more, or waits for what it has missed.
    Gone,
}

impl<P: Clone, B> State<P, B> {
    /// Calls `take` with what a subscriber is to be sent, each with its place, from a place on, as long as it was published no
    /// later than `until` and `take` wants more; then it is to be settled. `None` if there is no such subscriber.
    pub(in super::super) fn read(
        &mut self,
        (seat, id): (u32, u64),
        from: u64,
        until: u64,
        mut take: impl FnMut(u64, Face<'_, B>) -> bool,
    ) -> Option<Reading> {
        let index = self.index(seat, id)?;
        let (first, head) = (self.log.first(), self.log.head());
        let subscriber = &mut self.subscribers[index];
        let mut reading = Reading { skipped: 0, is_conflated: false, next: None };
        if !subscriber.can_be_sent() {
            return Some(reading);
        }
        subscriber.condition = Condition::InHand;
        if subscriber.cursor < first {
            reading.skipped = first - subscriber.cursor;
            subscriber.cursor = first;
        }
        if subscriber.slow_consumer == SlowConsumer::KeepLatest {
            reading.is_conflated = true;
            let mut slots = self.log.iter_from(subscriber.cursor).rev();
            let latest = slots.find(|(place, slot)| subscriber.wants(*place, slot)).map(|(place, _)| place);
            let latest = latest.unwrap_or_else(|| head.saturating_sub(1)).max(subscriber.cursor);
            reading.skipped += latest - subscriber.cursor;
            subscriber.cursor = latest;
        }
        // Where something is there twice, what was taken already is looked at again.
        let has_twice = self.remote.as_ref().is_some_and(|remote| remote.has_twice);
        let start = if has_twice { subscriber.cursor } else { subscriber.cursor.max(from) };
        let mut sent = subscriber.sent;
        for (place, slot) in self.log.iter_from(start) {
            let is_wanted = subscriber.wants(place, slot) && !(has_twice && slot.position.is_same_or_before(sent));
            if slot.stamp > until || (is_wanted && place >= from && !take(place, slot.face(subscriber.view))) {
                reading.next = Some(slot.stamp);
                break;
            }
            if is_wanted && slot.standing != Standing::Early {
                sent = slot.position;
            }
        }
        Some(reading)
    }

    /// Takes note that a subscriber was sent the message at a place, and all before; what all have been sent goes.
    pub(in super::super) fn settle(
        &mut self,
        (seat, id): (u32, u64),
        sent: Option<(u64, Position)>,
    ) -> (Settled, Gone<B>) {
        let mut gone = Gone::default();
        let Some(index) = self.index(seat, id) else { return (Settled::Gone, gone) };
        let head = self.log.head();
        let subscriber = &mut self.subscribers[index];
        if !subscriber.can_be_sent() {
            return (Settled::Gone, gone);
        }
        subscriber.condition = Condition::Fine;
        let from = subscriber.cursor;
        let mut to = from;
        if let Some((place, position)) = sent.filter(|(place, _)| *place >= from) {
            to = place + 1;
            subscriber.sent = position;
        }
        // What is not for this one is passed.
        for (place, slot) in self.log.iter_from(to) {
            if place != to || subscriber.wants(place, slot) {
                break;
            }
            to += 1;
            let counts = slot.standing != Standing::Early && subscriber.view.has(place, slot.standing);
            if counts && !slot.position.is_same_or_before(subscriber.sent) {
                subscriber.sent = slot.face(subscriber.view).position;
            }
        }
        subscriber.cursor = to;
        let (is_counted, is_strict) = (subscriber.is_counted(), subscriber.is_strict());
        if is_counted && to > from {
            gone = self.log.pass(from, to, is_strict);
        }
        if to < head {
            // Where the next one has gone, what stands first is next; where nothing stands, that is found out by reading.
            let next = self.log.iter_from(to).next().map_or(0, |(_, slot)| slot.stamp);
            return (Settled::More(next), gone);
        }
        if index >= self.asleep {
            self.put_to_sleep(index);
        }
        (Settled::Asleep, gone)
    }

    /// The last message that a subscriber was sent, or where it began.
    pub(in super::super) fn sent(&self, seat: u32, id: u64) -> Option<Position> {
        let index = self.index(seat, id)?;
        let Subscriber { sent, view, .. } = self.subscribers[index];
        let newest = self.newest(view);
        // Who has come from elsewhere may have seen what is still to come here.
        let is_behind = index >= self.asleep || newest.is_same_or_before(sent);
        Some(if is_behind { sent } else { newest })
    }

    /// How many messages a subscriber has not been sent.
    pub(in super::super) fn lag(&self, seat: u32, id: u64) -> Option<u64> {
        self.index(seat, id).map(|index| self.log.head() - self.subscribers[index].cursor)
    }
}

impl<P> Subscriber<P> {
    /// Whether it can be sent anything now.
    fn can_be_sent(&self) -> bool {
        match self.condition {
            Condition::Fine | Condition::InHand => true,
            Condition::Over | Condition::AsksSince | Condition::AsksLast => false,
        }
    }

    /// Whether the message at a place is to be sent to it.
    pub(super) fn wants<B>(&self, place: u64, slot: &Slot<B>) -> bool {
        slot.except != Some(self.id)
            && self.view.has(place, slot.standing)
            && !slot.position.is_same_or_before(self.sent)
    }
}
