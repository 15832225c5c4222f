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

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::config::SlowConsumer;
use super::log::{Entry, Log, Readers, Slot, Standing, Trimmed, View};
use super::position::Position;
use super::post::Whose;
use super::remote::{Admission, Remote};

/// The log of a topic with its subscribers, of which a `P` is kept to wake them.
#[derive(Debug)]
pub(super) struct State<P, B> {
    pub(super) log: Log<B>,
    /// The first `asleep` have been sent everything and are to be woken.
    subscribers: Vec<Subscriber<P>>,
    asleep: usize,
    /// Where in `subscribers` the seats are, and which are free.
    seats: Vec<u32>,
    free: Vec<u32>,
    readers: Readers,
    present: u32,
    /// How many asked for this topic by its name, and not by a pattern.
    named: u32,
    /// Memory for those who are woken, used again.
    spare: Vec<P>,
    /// What other nodes have sent.
    pub(super) remote: Option<Box<Remote>>,
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
    /// Whether it missed a message and is being closed for that.
    is_over: bool,
}

/// Who subscribes, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) id: u64,
    pub(super) slow_consumer: SlowConsumer,
    pub(super) is_named: bool,
    pub(super) is_present: bool,
}

/// What is to be read for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// How many messages it has missed since it read last.
    pub(super) skipped: u64,
    /// Whether that is how it wants it: the latest instead of all.
    pub(super) is_conflated: bool,
    /// When the first message was published that was not read, if there is one.
    pub(super) next: Option<u64>,
}

/// Where a subscriber stands after it was sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It has been sent everything, and is woken for more.
    Asleep,
    /// More is there, published at this stamp.
    More(u64),
    /// It is no subscriber any more.
    Gone,
}

/// What a publish leaves to be done when the lock is free.
#[derive(Debug)]
pub(super) struct Woken<P> {
    /// Those who waited.
    pub(super) sleepers: Vec<P>,
    /// Those who are to be closed.
    pub(super) overrun: Vec<P>,
    /// How many will be sent it.
    pub(super) receivers: usize,
}

impl<P: Clone, B> State<P, B> {
    pub(super) fn new(log: Log<B>) -> Self {
        Self {
            log,
            subscribers: Vec::new(),
            asleep: 0,
            seats: Vec::new(),
            free: Vec::new(),
            readers: Readers::default(),
            present: 0,
            named: 0,
            spare: Vec::new(),
            remote: None,
            is_listed: false,
            is_gone: false,
        }
    }

    /// Appends a message. `sender` is the seat of the one that is not to be sent it, if it has one.
    pub(super) fn publish(&mut self, mut entry: Entry<B>, sender: Option<u32>) -> Woken<P> {
        let mut receivers = self.subscribers.len();
        entry.unread = self.readers;
        let mut sleepers = core::mem::take(&mut self.spare);
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
        let position = entry.position;
        let waiting = self.subscribers[..self.asleep].iter().enumerate();
        sleepers.extend(waiting.filter(|(index, _)| Some(*index) != still_asleep).map(|(_, one)| one.peer.clone()));
        self.asleep = 0;
        if let Some(index) = still_asleep {
            self.subscribers[index].sent = position;
            self.put_to_sleep(index);
        }
        let overrun = match self.log.append(entry) {
            Trimmed::Harmless => Vec::new(),
            Trimmed::Overran => self.overrun(),
        };
        Woken { sleepers, overrun, receivers }
    }

    /// Gives the memory for those who were woken back, emptied.
    pub(super) fn give_back(&mut self, sleepers: Vec<P>) {
        if sleepers.capacity() > self.spare.capacity() && sleepers.capacity() <= 2 * self.subscribers.len().max(4) {
            self.spare = sleepers;
        }
    }

    /// Adds a subscriber, who is awake, at a place in the log: its seat.
    pub(super) fn insert(&mut self, peer: P, wish: Wish, cursor: u64, view: View) -> u32 {
        let index = u32::try_from(self.subscribers.len()).unwrap_or(u32::MAX);
        let seat = match self.free.pop() {
            Some(seat) => {
                self.seats[seat as usize] = index;
                seat
            }
            None => {
                self.seats.push(index);
                u32::try_from(self.seats.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let Wish { id, slow_consumer, is_named, is_present } = wish;
        let sent = self.position_before(cursor);
        let subscriber =
            Subscriber { peer, id, seat, cursor, sent, view, slow_consumer, is_present, is_named, is_over: false };
        if subscriber.is_counted() {
            self.readers.add(subscriber.is_strict());
            self.log.want_between(cursor, self.log.head(), subscriber.is_strict());
        } else {
            self.log.set_latest_only(self.log.latest_only() + 1);
        }
        self.present += u32::from(is_present);
        self.named += u32::from(is_named);
        // Many topics have one.
        if self.subscribers.is_empty() {
            self.subscribers.reserve_exact(1);
        }
        self.subscribers.push(subscriber);
        seat
    }

    /// Lets a subscriber, who is awake, begin at a place that is held, but for what it has seen: up to a position.
    pub(super) fn begin_at(&mut self, seat: u32, id: u64, place: u64, seen: Option<Position>) {
        self.move_to(seat, id, place);
        if let (Some(index), Some(seen)) = (self.index(seat, id), seen) {
            self.subscribers[index].sent = seen;
        }
    }

    /// Lets a subscriber, who is awake, begin so many messages earlier, as far as they are held.
    pub(super) fn rewind_by(&mut self, seat: u32, id: u64, messages: usize) {
        let Some(index) = self.index(seat, id) else { return };
        let Subscriber { cursor, view, .. } = self.subscribers[index];
        let (place, _) = self.log.place_of_last(messages, cursor, view);
        self.move_to(seat, id, place);
    }

    fn move_to(&mut self, seat: u32, id: u64, place: u64) {
        let Some(index) = self.index(seat, id) else { return };
        let sent = self.position_before(place);
        let subscriber = &mut self.subscribers[index];
        let (is_counted, is_strict) = (subscriber.is_counted(), subscriber.is_strict());
        let known = core::mem::replace(&mut subscriber.cursor, place);
        subscriber.sent = sent;
        if is_counted && place < known {
            self.log.want_between(place, known, is_strict);
        } else if is_counted {
            self.log.pass(known, place, is_strict);
        }
    }

    /// The position of what stands before a place.
    fn position_before(&self, place: u64) -> Position {
        match self.log.get(place.wrapping_sub(1)) {
            Some(slot) => slot.position,
            None if place == self.log.head() => self.log.last(),
            None => self.log.before(),
        }
    }

    /// What a newcomer sees: what was delivered early and is the newest as it was, and of what was before that, what comes back.
    pub(super) fn view(&self) -> View {
        let early = self.remote.as_ref().map(|remote| &remote.early);
        let run = early.and_then(|early| early.run);
        let (joined, unheard) = run.unwrap_or((self.log.head(), early.map_or(0, |early| early.delivered)));
        View { joined, unheard }
    }

    /// The place behind a position, and what is seen from there; `None` if not all that follows it is held.
    pub(super) fn place_after(&self, position: Position) -> Option<(u64, View)> {
        let place = self.log.place_after(position)?;
        let is_early = self.remote.as_ref().is_some_and(|remote| remote.early.delivered > 0)
            && self.remote.as_ref().and_then(|remote| remote.last).is_none_or(|last| last.epoch != position.epoch);
        // Who was here then and comes back goes on as it was.
        let view = if is_early { View { joined: place, unheard: 0 } } else { self.view() };
        Some((place, view))
    }

    /// A position that an engine gave, as far as it is known here, if it is of the same epoch.
    pub(super) fn known_up_to(&self, position: Position) -> Option<Position> {
        let last = self.remote.as_ref()?.last?;
        let sequence = position.sequence.min(last.sequence);
        (position.epoch == last.epoch).then_some(Position { sequence, ..last })
    }

    /// Takes note of where a message is from: how it stands, and `None` if it is known already.
    pub(super) fn admit(&mut self, whose: Whose, engines: Option<Position>) -> Option<Standing> {
        let place = self.log.head();
        match whose {
            Whose::Here => {
                let is_run = self.remote.as_ref().is_some_and(|remote| remote.early.run.is_some());
                return Some(if is_run { Standing::Early } else { Standing::Final });
            }
            Whose::Ours(origin) => self.remote.get_or_insert_default().note(origin),
            Whose::Early(origin) => {
                let is_new = self.remote.get_or_insert_default().note_early(origin, place);
                return is_new.then_some(Standing::Early);
            }
            Whose::Cut => {
                self.remote.get_or_insert_default().begin_run(place);
                return Some(Standing::Early);
            }
            Whose::Theirs(origin) => {
                let remote = self.remote.get_or_insert_default();
                let admission = remote.admit(origin, engines);
                if admission == Admission::Known {
                    return None;
                }
                remote.early.run = None;
                if admission == Admission::Echo {
                    return Some(Standing::Echo(origin.number));
                }
            }
        }
        Some(Standing::Final)
    }

    /// Appends a message that has come back: only those are woken who were not here when it was delivered.
    pub(super) fn publish_echo(&mut self, mut entry: Entry<B>) -> Woken<P> {
        let (place, position) = (self.log.head(), entry.position);
        entry.unread = self.readers;
        let mut sleepers = core::mem::take(&mut self.spare);
        for index in (0..self.asleep).rev() {
            let subscriber = &mut self.subscribers[index];
            if subscriber.view.has(place, entry.standing) {
                sleepers.push(subscriber.peer.clone());
                self.asleep -= 1;
                self.swap(index, self.asleep);
                continue;
            }
            (subscriber.cursor, subscriber.sent) = (place + 1, position);
            if subscriber.is_counted() {
                entry.unread.remove(subscriber.is_strict());
            }
        }
        let receivers = self.subscribers.iter().filter(|one| one.view.has(place, entry.standing)).count();
        let overrun = match self.log.append(entry) {
            Trimmed::Harmless => Vec::new(),
            Trimmed::Overran => self.overrun(),
        };
        Woken { sleepers, overrun, receivers }
    }

    /// Says anew how a subscriber wants the topic: by its name or not, to be seen or not.
    pub(super) fn change(&mut self, seat: u32, id: u64, is_named: bool, is_present: bool) {
        let Some(index) = self.index(seat, id) else { return };
        let subscriber = &mut self.subscribers[index];
        self.present = self.present + u32::from(is_present) - u32::from(subscriber.is_present);
        self.named = self.named + u32::from(is_named) - u32::from(subscriber.is_named);
        (subscriber.is_named, subscriber.is_present) = (is_named, is_present);
    }

    /// Removes a subscriber.
    pub(super) fn remove(&mut self, seat: u32, id: u64) -> Option<Subscriber<P>> {
        let mut index = self.index(seat, id)?;
        if index < self.asleep {
            self.asleep -= 1;
            self.swap(index, self.asleep);
            index = self.asleep;
        }
        self.swap(index, self.subscribers.len() - 1);
        let subscriber = self.subscribers.pop()?;
        self.free.push(seat);
        self.present -= u32::from(subscriber.is_present);
        self.named -= u32::from(subscriber.is_named);
        if subscriber.is_counted() {
            self.readers.remove(subscriber.is_strict());
            self.log.pass(subscriber.cursor, self.log.head(), subscriber.is_strict());
        } else if !subscriber.is_over {
            self.log.set_latest_only(self.log.latest_only().saturating_sub(1));
        }
        if self.subscribers.is_empty() {
            (self.subscribers, self.seats, self.free) = (Vec::new(), Vec::new(), Vec::new());
            self.spare = Vec::new();
        }
        Some(subscriber)
    }

    /// Calls `take` with what a subscriber is to be sent, each with its place, from a place on, as long as it was published no
    /// later than `until` and `take` wants more. `None` if there is no such subscriber.
    pub(super) fn read(
        &mut self,
        (seat, id): (u32, u64),
        from: u64,
        until: u64,
        mut take: impl FnMut(u64, &Slot<B>) -> bool,
    ) -> Option<Reading> {
        let index = self.index(seat, id)?;
        let (first, head) = (self.log.first(), self.log.head());
        let subscriber = &mut self.subscribers[index];
        let mut reading = Reading { skipped: 0, is_conflated: false, next: None };
        if subscriber.is_over {
            return Some(reading);
        }
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
        for (place, slot) in self.log.iter_from(subscriber.cursor.max(from)) {
            if slot.stamp > until || (subscriber.wants(place, slot) && !take(place, slot)) {
                reading.next = Some(slot.stamp);
                break;
            }
        }
        Some(reading)
    }

    /// Takes note that a subscriber was sent the message at a place, and all before.
    pub(super) fn settle(&mut self, (seat, id): (u32, u64), sent: Option<(u64, Position)>) -> Settled {
        let Some(index) = self.index(seat, id) else { return Settled::Gone };
        let head = self.log.head();
        let subscriber = &mut self.subscribers[index];
        if subscriber.is_over {
            return Settled::Gone;
        }
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
            if slot.standing != Standing::Early && !slot.position.is_same_or_before(subscriber.sent) {
                subscriber.sent = slot.position;
            }
        }
        subscriber.cursor = to;
        let (is_counted, is_strict) = (subscriber.is_counted(), subscriber.is_strict());
        if is_counted && to > from {
            self.log.pass(from, to, is_strict);
        }
        if to < head {
            // Where the next one has gone, what stands first is next; where nothing stands, that is found out by reading.
            return Settled::More(self.log.iter_from(to).next().map_or(0, |(_, slot)| slot.stamp));
        }
        if index >= self.asleep {
            self.put_to_sleep(index);
        }
        Settled::Asleep
    }

    /// The last message that a subscriber was sent, or where it began.
    pub(super) fn sent(&self, seat: u32, id: u64) -> Option<Position> {
        let index = self.index(seat, id)?;
        Some(if index < self.asleep { self.log.last() } else { self.subscribers[index].sent })
    }

    /// How many messages a subscriber has not been sent.
    pub(super) fn lag(&self, seat: u32, id: u64) -> Option<u64> {
        self.index(seat, id).map(|index| self.log.head() - self.subscribers[index].cursor)
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

    /// The position of the next message, where it is this node that numbers: anew where an engine did before.
    pub(super) fn next_position(&mut self) -> Position {
        let Some(remote) = self.remote.as_mut().filter(|remote| remote.last.is_some()) else {
            return self.log.next_position();
        };
        if remote.own_epoch == Some(self.log.last().epoch) {
            return self.log.next_position();
        }
        let epoch = *remote.own_epoch.insert(rand::random());
        Position { epoch, sequence: 1 }
    }

    /// How many asked for it by its name.
    pub(super) fn named(&self) -> u32 {
        self.named
    }

    /// How many subscribers there are.
    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether nothing is lost to anybody when the topic vanishes, but history.
    pub(super) fn is_idle(&self) -> bool {
        self.named == 0 && self.asleep == self.subscribers.len()
    }

    /// Finds those who have missed a message and are to be closed for that. They are no readers any more.
    fn overrun(&mut self) -> Vec<P> {
        let (first, head) = (self.log.first(), self.log.head());
        let mut overrun = Vec::new();
        for index in self.asleep..self.subscribers.len() {
            let subscriber = &mut self.subscribers[index];
            if subscriber.is_strict() && subscriber.cursor < first {
                overrun.push(subscriber.peer.clone());
                let from = core::mem::replace(&mut subscriber.cursor, head);
                subscriber.is_over = true;
                self.readers.remove(true);
                self.log.pass(from, head, true);
            }
        }
        overrun
    }

    fn put_to_sleep(&mut self, index: usize) {
        self.swap(index, self.asleep);
        self.asleep += 1;
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.subscribers.swap(a, b);
        for index in [a, b] {
            self.seats[self.subscribers[index].seat as usize] = u32::try_from(index).unwrap_or(u32::MAX);
        }
    }

    /// Where the subscriber is that has this seat, if it is still the same.
    fn index(&self, seat: u32, id: u64) -> Option<usize> {
        let index = *self.seats.get(seat as usize)? as usize;
        self.subscribers.get(index).filter(|subscriber| subscriber.seat == seat && subscriber.id == id).map(|_| index)
    }
}

impl<P> Subscriber<P> {
    /// Whether the message at a place is to be sent to it.
    fn wants<B>(&self, place: u64, slot: &Slot<B>) -> bool {
        slot.except != Some(self.id)
            && self.view.has(place, slot.standing)
            && !slot.position.is_same_or_before(self.sent)
    }

    /// Whether messages are held for it.
    fn is_counted(&self) -> bool {
        self.slow_consumer != SlowConsumer::KeepLatest && !self.is_over
    }

    fn is_strict(&self) -> bool {
        self.slow_consumer == SlowConsumer::Close && !self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::config::Bounds;
    use alloc::collections::{BTreeMap, BTreeSet};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Join(SlowConsumer, usize),
        Leave(usize),
        /// Publishes so many bytes, leaving somebody out or nobody.
        Publish(usize, Option<usize>),
        /// Reads, and takes so many.
        Read(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let policy =
            prop_oneof![Just(SlowConsumer::SkipOldest), Just(SlowConsumer::KeepLatest), Just(SlowConsumer::Close)];
        let step = prop_oneof![
            1 => (policy, 0usize..5).prop_map(|(policy, last)| Step::Join(policy, last)),
            1 => (0usize..8).prop_map(Step::Leave),
            4 => (0usize..30, proptest::option::of(0usize..8)).prop_map(|(len, except)| Step::Publish(len, except)),
            5 => (0usize..8, 0usize..6).prop_map(|(who, most)| Step::Read(who, most)),
        ];
        proptest::collection::vec(step, 0..100)
    }

    /// A subscriber as a simple mind has it.
    struct Reader {
        seat: u32,
        policy: SlowConsumer,
        /// The messages that it is to be sent, by number.
        due: Vec<u64>,
        /// How many were skipped and are still among those.
        skipped: u64,
        is_asleep: bool,
        is_over: bool,
    }

    /// Appends message `number`, which is of that position, too.
    fn entry(number: u64, len: usize, except: Option<u64>) -> Entry<u64> {
        let position = Position { epoch: 1, sequence: number };
        Entry {
            position,
            stamp: number,
            except,
            len,
            unread: Readers::default(),
            standing: Standing::Final,
            body: number,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        /// Against a list of what each is to be sent: what is read is that, what is missing was skipped, who is woken was asleep,
        /// and what is held is within its bounds.
        #[test]
        fn topic_does_what_a_list_for_each_subscriber_would(
            steps in steps(),
            lag in (1usize..8, 20usize..100),
            history in (0usize..6, 0usize..100),
        ) {
            let [lag, history] = [lag, history].map(|(messages, bytes)| Bounds { messages, bytes });
            let mut state = State::<u64, u64>::new(Log::new(1, lag, history));
            let mut readers = BTreeMap::<u64, Reader>::new();
            let (mut next_id, mut number) = (0, 0);
            let pick = |readers: &BTreeMap<u64, Reader>, which: usize| {
                readers.keys().nth(which % readers.len().max(1)).copied()
            };
            for step in steps {
                match step {
                    Step::Join(policy, last) => {
                        next_id += 1;
                        let (place, _) = state.log.place_of_last(last, u64::MAX, state.view());
                        let due = state.log.iter_from(place).map(|(_, slot)| slot.body).collect();
                        let wish = Wish { id: next_id, slow_consumer: policy, is_named: true, is_present: true };
                        let seat = state.insert(next_id, wish, place, state.view());
                        readers.insert(next_id, Reader { seat, policy, due, skipped: 0, is_asleep: false, is_over: false });
                    }
                    Step::Leave(which) => {
                        let Some(id) = pick(&readers, which) else { continue };
                        let reader = readers.remove(&id).unwrap();
                        prop_assert_eq!(state.remove(reader.seat, id).unwrap().peer, id);
                        prop_assert!(state.remove(reader.seat, id).is_none());
                    }
                    Step::Publish(len, except) => {
                        number += 1;
                        let except = except.and_then(|which| pick(&readers, which));
                        let seat = except.map(|id| readers[&id].seat);
                        let woken = state.publish(entry(number, len, except), seat);
                        let sleepers: BTreeSet<u64> = woken.sleepers.iter().copied().collect();
                        let asleep = readers.iter().filter(|(id, reader)| reader.is_asleep && Some(**id) != except);
                        prop_assert_eq!(&sleepers, &asleep.map(|(id, _)| *id).collect());
                        prop_assert_eq!(woken.receivers, readers.len() - usize::from(except.is_some()));
                        for (id, reader) in &mut readers {
                            if Some(*id) != except {
                                reader.due.push(number);
                                reader.is_asleep = false;
                            }
                            reader.is_over |= woken.overrun.contains(id);
                        }
                        prop_assert!(woken.overrun.iter().all(|id| readers[id].policy == SlowConsumer::Close));
                        let mut memory = woken.sleepers;
                        memory.clear();
                        state.give_back(memory);
                    }
                    Step::Read(which, most) => {
                        let Some(id) = pick(&readers, which) else { continue };
                        let reader = readers.get_mut(&id).unwrap();
                        let (mut read, mut sent) = (Vec::new(), None);
                        let reading = state.read((reader.seat, id), 0, u64::MAX, |place, slot| {
                            if read.len() == most {
                                return false;
                            }
                            read.push(slot.body);
                            sent = Some((place, slot.position));
                            true
                        });
                        let reading = reading.unwrap();
                        if reader.is_over {
                            prop_assert!(read.is_empty() && state.settle((reader.seat, id), None) == Settled::Gone);
                            continue;
                        }
                        prop_assert!(reader.policy != SlowConsumer::Close || reading.skipped == 0);
                        // What was skipped are the oldest of those that were due, and perhaps some that were left out.
                        let missing = match (read.first(), reader.policy) {
                            (Some(first), _) => reader.due.iter().take_while(|due| *due < first).count(),
                            (None, _) if most > 0 => reader.due.len(),
                            (None, _) => 0,
                        };
                        reader.skipped += reading.skipped;
                        prop_assert!(missing as u64 <= reader.skipped, "{missing} missing, {} skipped", reader.skipped);
                        reader.due.drain(..missing);
                        prop_assert!(reader.due.starts_with(&read), "{:?} of {:?}", read, reader.due);
                        reader.due.drain(..read.len());
                        if reader.policy == SlowConsumer::KeepLatest {
                            prop_assert!(read.len() <= 1);
                        }
                        let settled = state.settle((reader.seat, id), sent);
                        reader.is_asleep = settled == Settled::Asleep;
                        if most > 0 || reader.due.is_empty() {
                            prop_assert!(reader.due.is_empty() || matches!(settled, Settled::More(_)));
                        }
                        if settled == Settled::Asleep {
                            prop_assert_eq!(state.lag(reader.seat, id), Some(0));
                            reader.due.clear();
                        }
                    }
                }
                let (messages, bytes) = state.log.size();
                prop_assert!(messages <= lag.messages.max(history.messages).max(1));
                prop_assert!(messages <= 1 || bytes <= lag.bytes.max(history.bytes));
                prop_assert_eq!(state.present_count(), readers.len());
                let all_asleep = readers.values().all(|reader| reader.is_asleep || reader.is_over);
                let keeps_latest = readers.values().any(|reader| reader.policy == SlowConsumer::KeepLatest);
                if all_asleep && history.messages == 0 && !keeps_latest {
                    prop_assert_eq!(messages, 0, "nobody needs them");
                }
            }
        }
    }

    #[test]
    fn only_those_who_wait_are_woken_and_the_memory_for_them_is_used_again() {
        let bounds = Bounds { messages: 10, bytes: 100 };
        let mut state = State::<u64, u64>::new(Log::new(1, bounds, Bounds { messages: 0, bytes: 0 }));
        let wish = |id| Wish { id, slow_consumer: SlowConsumer::SkipOldest, is_named: true, is_present: false };
        let seats: Vec<u32> = (0..8).map(|id| state.insert(id, wish(id), state.log.head(), state.view())).collect();
        for (id, seat) in (0..4).zip(&seats) {
            assert_eq!(state.settle((*seat, id), None), Settled::Asleep);
        }
        let woken = state.publish(entry(1, 1, None), None);
        assert_eq!((woken.sleepers.len(), woken.receivers), (4, 8));
        let mut sleepers = woken.sleepers;
        let memory = sleepers.as_ptr();
        sleepers.clear();
        state.give_back(sleepers);
        let again = state.publish(entry(2, 1, None), None).sleepers;
        assert_eq!((&again[..], again.as_ptr()), (&[][..], memory), "they are awake");
    }
}
