//! A topic as plain data: its log, and its subscribers, each of which is a place in the log.
//!
//! ```text
//!                      asleep, at the head         awake, anywhere
//! subscribers   [  a  b  c  d  e  f  g  h  |  i  j  k  l  ]
//! publish       appends, and takes those who are asleep to be woken: nobody else is looked at
//! read          lends what lies behind the place of one who is awake
//! settle        moves the place on, and puts to sleep who has been sent everything
//! ```
//!
//! So a publisher pays for an append and for those who wait; who is awake finds the message by itself.

mod places;
mod publishing;
mod reading;
mod vanishing;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub(super) use self::places::Admitted;
pub(super) use self::publishing::Woken;
pub(super) use self::reading::{Reading, Settled};
pub(super) use self::vanishing::Loss;
use super::config::SlowConsumer;
use super::log::{Gone, Log, Readers, View};
use super::position::Position;
use super::remote::Remote;
use super::room;

/// The log of a topic with its subscribers, of which a `P` is kept to wake them.
#[derive(Debug)]
pub(super) struct State<P, B> {
    pub(super) log: Log<B>,
    /// The first `asleep` have been sent everything and are to be woken.
    subscribers: Vec<Subscriber<P>>,
    asleep: usize,
    /// Where in `subscribers` the seats are. One that is free has the next that is instead, as a chain.
    seats: Vec<u32>,
    free: u32,
    readers: Readers,
    present: u32,
    /// How many asked for this topic by its name, and not by a pattern.
    named: u32,
    /// Memory for those who are woken, used again.
    spare: Vec<P>,
    /// What other nodes have sent.
    pub(super) remote: Option<Box<Remote>>,
    /// Whether those who slept are getting their marks.
    pub(super) is_marking: bool,
    /// Whether the topic is listed as one that may vanish.
    pub(super) is_listed: bool,
    /// Whether the topic is no more, though somebody may still have it.
    pub(super) is_gone: bool,
}

/// A subscriber in its topic.
#[derive(Debug)]
pub(super) struct Subscriber<P> {
    pub(super) peer: P,
    /// Who it is, as messages name whom they are not for.
    id: u64,
    seat: u32,
    /// The place of the next message that it is to be sent.
    cursor: u64,
    /// The last message that it was sent, or where it began: nothing up to there is sent to it again.
    sent: Position,
    view: View,
    slow_consumer: SlowConsumer,
    pub(super) is_present: bool,
    is_named: bool,
    condition: Condition,
}

/// What is being done with a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Nothing.
    Fine,
    /// What was read for it is on its way to the socket, and it is to be settled how far that came.
    InHand,
    /// It missed a message and is being closed for that.
    Over,
    /// What it has missed is asked for, behind a position or the last messages: until there is an answer, it is sent nothing.
    AsksSince,
    AsksLast,
}

/// Who subscribes, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) id: u64,
    pub(super) slow_consumer: SlowConsumer,
    pub(super) is_named: bool,
    pub(super) is_present: bool,
}

impl<P: Clone, B> State<P, B> {
    pub(super) fn new(log: Log<B>) -> Self {
        Self {
            log,
            subscribers: Vec::new(),
            asleep: 0,
            seats: Vec::new(),
            free: NONE,
            readers: Readers::default(),
            present: 0,
            named: 0,
            spare: Vec::new(),
            remote: None,
            is_marking: false,
            is_listed: false,
            is_gone: false,
        }
    }

    /// Adds a subscriber, who is awake, at a place in the log: its seat.
    pub(super) fn insert(&mut self, peer: P, wish: Wish, cursor: u64, view: View) -> u32 {
        let index = u32::try_from(self.subscribers.len()).unwrap_or(u32::MAX);
        let seat = self.take_seat(index);
        let Wish { id, slow_consumer, is_named, is_present } = wish;
        let sent = self.position_before(cursor, view);
        if let Some(early) = self.remote.as_mut().map(|remote| &mut remote.early) {
            early.is_waited_for |= early.is_outstanding() && view.unheard == early.delivered;
        }
        let subscriber = Subscriber {
            peer,
            id,
            seat,
            cursor,
            sent,
            view,
            slow_consumer,
            is_present,
            is_named,
            condition: Condition::Fine,
        };
        if subscriber.is_counted() {
            self.readers.add(subscriber.is_strict());
            self.log.want_between(cursor, self.log.head(), subscriber.is_strict());
        } else {
            self.log.want_latest();
        }
        self.present += u32::from(is_present);
        self.named += u32::from(is_named);
        room::push(&mut self.subscribers, subscriber);
        seat
    }

    /// Gives a seat to the subscriber at an index.
    fn take_seat(&mut self, index: u32) -> u32 {
        let seat = self.free;
        if let Some(free) = self.seats.get_mut(seat as usize) {
            self.free = core::mem::replace(free, index);
            return seat;
        }
        room::push(&mut self.seats, index);
        u32::try_from(self.seats.len() - 1).unwrap_or(NONE)
    }

    /// Says anew how a subscriber wants the topic: by its name or not, to be seen or not.
    pub(super) fn change(&mut self, seat: u32, id: u64, is_named: bool, is_present: bool) {
        let Some(index) = self.index(seat, id) else { return };
        let subscriber = &mut self.subscribers[index];
        self.present = self.present + u32::from(is_present) - u32::from(subscriber.is_present);
        self.named = self.named + u32::from(is_named) - u32::from(subscriber.is_named);
        (subscriber.is_named, subscriber.is_present) = (is_named, is_present);
    }

    /// Removes a subscriber: with it goes what was held for it alone.
    pub(super) fn remove(&mut self, seat: u32, id: u64) -> Option<(Subscriber<P>, Gone<B>)> {
        let mut index = self.index(seat, id)?;
        if index < self.asleep {
            self.asleep -= 1;
            self.swap(index, self.asleep);
            index = self.asleep;
        }
        self.swap(index, self.subscribers.len() - 1);
        let subscriber = self.subscribers.pop()?;
        self.seats[seat as usize] = core::mem::replace(&mut self.free, seat);
        self.present -= u32::from(subscriber.is_present);
        self.named -= u32::from(subscriber.is_named);
        let mut gone = Gone::default();
        if subscriber.is_counted() {
            self.readers.remove(subscriber.is_strict());
            gone = self.log.pass(subscriber.cursor, self.log.head(), subscriber.is_strict());
        } else if subscriber.condition != Condition::Over {
            gone = self.log.pass_latest();
        }
        if self.subscribers.is_empty() {
            (self.subscribers, self.seats, self.free) = (Vec::new(), Vec::new(), NONE);
            self.spare = Vec::new();
        }
        Some((subscriber, gone))
    }

    /// Those who are seen to be here.
    pub(super) fn present(&self) -> impl Iterator<Item = &P> {
        self.subscribers.iter().filter(|subscriber| subscriber.is_present).map(|subscriber| &subscriber.peer)
    }

    /// How many these are.
    pub(super) fn present_count(&self) -> usize {
        self.present as usize
    }

    /// All subscribers.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = (&P, u32)> {
        self.subscribers.iter().map(|subscriber| (&subscriber.peer, subscriber.seat))
    }

    /// How many asked for it by its name.
    pub(super) fn named(&self) -> u32 {
        self.named
    }

    /// Whether somebody is to be woken by the next message.
    pub(super) fn has_sleepers(&self) -> bool {
        self.asleep > 0
    }

    /// How many subscribers there are.
    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    fn put_to_sleep(&mut self, index: usize) {
        self.swap(index, self.asleep);
        self.asleep += 1;
    }

    fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.subscribers.swap(a, b);
        for index in [a, b] {
            self.seats[self.subscribers[index].seat as usize] = u32::try_from(index).unwrap_or(u32::MAX);
        }
    }

    /// Where the subscriber is that has this seat, if it is still the same.
    fn index(&self, seat: u32, id: u64) -> Option<usize> {
        // Where there is one only, as in most topics, that is looked at without its seat.
        let index = if self.subscribers.len() == 1 { 0 } else { *self.seats.get(seat as usize)? as usize };
        self.subscribers.get(index).filter(|subscriber| subscriber.seat == seat && subscriber.id == id).map(|_| index)
    }
}

impl<P> Subscriber<P> {
    /// Whether messages are held for it.
    fn is_counted(&self) -> bool {
        self.slow_consumer != SlowConsumer::KeepLatest && self.condition != Condition::Over
    }

    fn is_strict(&self) -> bool {
        self.slow_consumer == SlowConsumer::Close && self.condition != Condition::Over
    }
}

/// No seat.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests;
