//! The messages that a topic holds: a log, of which each subscriber is a place.
//!
//! A message is held as long as somebody who may still be sent it has not been, and as long as it belongs to the history; both
//! within bounds, so that what is beyond them goes, whoever waits. For that each message counts by whom it is still to be
//! read. Places are numbered without gaps, whatever the positions are.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config::Bounds;
use super::position::Position;

/// The messages, each with a `B` to be sent.
#[derive(Debug)]
pub(super) struct Log<B> {
    slots: VecDeque<Slot<B>>,
    /// The place of the first.
    first: u64,
    /// Bytes of payload in all.
    bytes: usize,
    /// What stood before the first, and what stands last.
    before: Position,
    last: Position,
    limits: Arc<Limits>,
    /// How many want the newest only, whatever they have been sent.
    latest_only: u32,
    /// Before which place messages are missing that will not come any more.
    gap: Option<u64>,
    /// How many echoes were appended last, behind the newest that all are to be sent.
    echoes: usize,
}

/// How much is held: for those who lag, and as history. Most topics of a hub share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) lag: Bounds,
    pub(super) history: Bounds,
}

/// A message in the log.
#[derive(Debug)]
pub(super) struct Slot<B> {
    pub(super) position: Position,
    /// When it was published, as all topics of the hub count it.
    pub(super) stamp: u64,
    /// Who is not to be sent it.
    pub(super) except: Option<u64>,
    pub(super) standing: Standing,
    pub(super) body: B,
    alias: Option<Box<Alias<B>>>,
    len: usize,
    /// By how many it is still to be read, and how many of them are to be closed if it goes before.
    unread: Readers,
}

/// What a message is for those who have been sent something without the engine that has not come back yet: the same, at a position of
/// this node's own. The engine's would say that what comes back is still to be sent to them.
#[derive(Debug)]
pub(super) struct Alias<B> {
    pub(super) position: Position,
    /// The last publication that had been delivered so: it is for those to whom that one does not come back.
    pub(super) delivered: u64,
    pub(super) body: B,
}

impl<B> Alias<B> {
    /// Whether it is that to a view.
    fn is_for(&self, view: View) -> bool {
        view.unheard < self.delivered
    }
}

/// A message as a subscriber is sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face<'s, B> {
    pub(super) position: Position,
    pub(super) body: &'s B,
}

impl<B> Slot<B> {
    /// The message as it is for a view.
    pub(super) fn face(&self, view: View) -> Face<'_, B> {
        match &self.alias {
            Some(alias) if alias.is_for(view) => Face { position: alias.position, body: &alias.body },
            Some(_) | None => Face { position: self.position, body: &self.body },
        }
    }

    /// Whether it has this position for anybody.
    fn is_at(&self, position: Position) -> bool {
        self.position == position || self.alias.as_ref().is_some_and(|alias| alias.position == position)
    }
}

/// How a message stands to an engine that numbers, which a node may have to do without for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has the place that it will always have.
    Final,
    /// It was delivered while the engine was away: for those who were here. It gets its place when it comes back.
    Early,
    /// It has come back with its place, and was delivered here before: for those who were not here then. With its number among
    /// the publications of this node.
    Echo(u64),
}

/// A number of subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readers {
    /// Those who are to be sent every message.
    pub(super) all: u32,
    /// Those among them that are closed when they miss one.
    pub(super) strict: u32,
}

impl Readers {
    /// Counts one more.
    pub(super) fn add(&mut self, is_strict: bool) {
        self.all += 1;
        self.strict += u32::from(is_strict);
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, is_strict: bool) {
        self.all = self.all.saturating_sub(1);
        self.strict = self.strict.saturating_sub(u32::from(is_strict));
    }
}

/// What a subscriber sees of what was delivered without the engine: that, or what came back of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// What was delivered early from this place on, it sees as it was delivered.
    pub(super) joined: u64,
    /// Of what comes back, it sees the publications up to this number.
    pub(super) unheard: u64,
}

impl View {
    /// That of somebody who was here all the time.
    pub(super) const EARLY: Self = Self { joined: 0, unheard: 0 };

    /// Whether a message at a place is seen.
    pub(super) fn has(self, place: u64, standing: Standing) -> bool {
        match standing {
            Standing::Final => true,
            Standing::Early => place >= self.joined,
            Standing::Echo(number) => number <= self.unheard,
        }
    }
}

/// A message to be appended.
#[derive(Debug)]
pub(super) struct Entry<B> {
    pub(super) position: Position,
    pub(super) stamp: u64,
    pub(super) except: Option<u64>,
    pub(super) len: usize,
    pub(super) unread: Readers,
    pub(super) standing: Standing,
    pub(super) body: B,
    pub(super) alias: Option<Box<Alias<B>>>,
}

impl<B> Entry<B> {
    /// The position of the message for a view.
    pub(super) fn position_for(&self, view: View) -> Position {
        self.alias.as_ref().filter(|alias| alias.is_for(view)).map_or(self.position, |alias| alias.position)
    }
}

/// What went because a message came.
#[must_use]
#[derive(Debug)]
pub(super) struct Trimmed<B> {
    /// Whether somebody has missed a message who is to be closed for that.
    pub(super) has_overrun: bool,
    pub(super) gone: Gone<B>,
}

/// What went from a log, one message mostly: to be dropped when the locks are free, as what owns a payload may publish when it is
/// dropped.
#[must_use]
#[derive(Debug)]
pub(super) struct Gone<B> {
    one: Option<B>,
    others: Vec<B>,
}

impl<B> Default for Gone<B> {
    fn default() -> Self {
        Self { one: None, others: Vec::new() }
    }
}

impl<B> Gone<B> {
    fn push(&mut self, body: B) {
        match self.one {
            None => self.one = Some(body),
            Some(_) => self.others.push(body),
        }
    }

    fn push_slot(&mut self, slot: Slot<B>) {
        self.push(slot.body);
        slot.alias.into_iter().for_each(|alias| self.push(alias.body));
    }

    /// Adds what went, too.
    pub(super) fn append(&mut self, other: Self) {
        other.one.into_iter().chain(other.others).for_each(|body| self.push(body));
    }
}

impl<B> Log<B> {
    pub(super) fn new(epoch: u64, limits: Arc<Limits>) -> Self {
        let start = Position { epoch, sequence: 0 };
        let slots = VecDeque::new();
        let (before, last) = (start, start);
        Self { slots, first: ORIGIN, bytes: 0, before, last, limits, latest_only: 0, gap: None, echoes: 0 }
    }

    /// Appends a message; what is beyond the bounds goes.
    pub(super) fn append(&mut self, entry: Entry<B>) -> Trimmed<B> {
        let Entry { position, stamp, except, len, unread, standing, body, alias } = entry;
        self.last = position;
        self.bytes += len;
        self.echoes = if matches!(standing, Standing::Echo(_)) { self.echoes + 1 } else { 0 };
        if self.slots.capacity() == 0 {
            // Most topics hold one message at a time, always in the same place then.
            self.slots.reserve_exact(1);
        }
        self.slots.push_back(Slot { position, stamp, except, standing, body, alias, len, unread });
        self.trim()
    }

    /// Puts a message in front of all others, to be read by nobody yet; says whether there was room for it.
    pub(super) fn prepend(&mut self, entry: Entry<B>) -> bool {
        let (messages, bytes) = (self.slots.len() + 1, self.bytes + entry.len);
        let has_room = fits(self.limits.lag, messages, bytes) || fits(self.limits.history, messages, bytes);
        if has_room {
            let Entry { position, stamp, except, len, unread, standing, body, alias } = entry;
            self.bytes = bytes;
            self.first -= 1;
            // Whatever was before it, nothing is between.
            self.before = Position { sequence: position.sequence.saturating_sub(1), ..position };
            self.slots.push_front(Slot { position, stamp, except, standing, body, alias, len, unread });
        }
        has_room
    }

    /// Takes note that somebody has read, or will not read, what is between two places.
    pub(super) fn pass(&mut self, from: u64, to: u64, is_strict: bool) -> Gone<B> {
        self.between(from, to).for_each(|slot| slot.unread.remove(is_strict));
        // What goes now is read by everybody who is to read it.
        self.trim().gone
    }

    /// Takes note that somebody is to read what is between two places.
    pub(super) fn want_between(&mut self, from: u64, to: u64, is_strict: bool) {
        self.between(from, to).for_each(|slot| slot.unread.add(is_strict));
    }

    /// Takes note that one more wants the newest only, which is held as long as there are any.
    pub(super) fn want_latest(&mut self) {
        self.latest_only += 1;
    }

    /// Takes note that one of those is no more.
    pub(super) fn pass_latest(&mut self) -> Gone<B> {
        self.latest_only = self.latest_only.saturating_sub(1);
        self.trim().gone
    }

    /// Takes note that messages are missing between the newest and what will come.
    pub(super) fn note_gap(&mut self) {
        self.gap = Some(self.head());
    }

    /// Whether messages are missing between a place and the next one that will be filled.
    pub(super) fn has_gap_behind(&self, place: u64) -> bool {
        self.gap.is_some_and(|gap| gap >= place)
    }

    /// Begins behind a position, if nothing is held.
    pub(super) fn begin(&mut self, newest: Position) {
        if self.slots.is_empty() {
            (self.before, self.last) = (newest, newest);
        }
    }

    /// The position that the next message gets if nobody else numbers.
    pub(super) fn next_position(&self) -> Position {
        Position { sequence: self.last.sequence + 1, ..self.last }
    }

    /// The position of the newest message.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// The place behind the newest message.
    pub(super) fn head(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The place of the oldest message.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The position before the oldest message.
    pub(super) fn before(&self) -> Position {
        self.before
    }

    /// The position of the oldest message from a place on that has its own for good.
    pub(super) fn oldest_from(&self, place: u64) -> Option<Position> {
        self.iter_from(place).find(|(_, slot)| slot.standing != Standing::Early).map(|(_, slot)| slot.position)
    }

    /// The place behind the newest message that an engine counted in another epoch.
    pub(super) fn begin_of(&self, epoch: u64) -> u64 {
        let is_other = |slot: &Slot<B>| slot.standing != Standing::Early && slot.position.epoch != epoch;
        let newest = self.iter_from(self.first).rev().find(|(_, slot)| is_other(slot));
        newest.map_or(self.first, |(place, _)| place + 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn has_history(&self) -> bool {
        self.limits.history.messages > 0 && self.limits.history.bytes > 0
    }

    /// How many messages are held, and how many bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.slots.len(), self.bytes)
    }

    /// The message at a place.
    pub(super) fn get(&self, place: u64) -> Option<&Slot<B>> {
        self.slots.get(self.index(place)?)
    }

    /// The messages from a place on, with their places.
    pub(super) fn iter_from(&self, from: u64) -> impl DoubleEndedIterator<Item = (u64, &Slot<B>)> {
        let from = from.max(self.first);
        let start = self.index(from).unwrap_or_default().min(self.slots.len());
        self.slots.range(start..).enumerate().map(move |(index, slot)| (from + index as u64, slot))
    }

    /// The place behind a position; `None` if not all that follows it is held.
    pub(super) fn place_after(&self, position: Position) -> Option<u64> {
        if position == self.last {
            return Some(self.head());
        }
        if position == self.before {
            return Some(self.first);
        }
        self.iter_from(self.first).rev().find(|(_, slot)| slot.is_at(position)).map(|(place, _)| place + 1)
    }

    /// Whether the message of a position is there.
    pub(super) fn holds(&self, position: Position) -> bool {
        self.slots.iter().any(|slot| slot.is_at(position))
    }

    /// The place of the last messages before another place that are to be sent to who has this view, and how many those are: so
    /// many or as many as there are.
    pub(super) fn place_of_last(&self, messages: usize, before: u64, view: View) -> (u64, usize) {
        let before = before.clamp(self.first, self.head());
        let seen = self.iter_from(self.first).rev().skip_while(|(place, _)| *place >= before);
        let last = seen.filter(|(place, slot)| view.has(*place, slot.standing)).take(messages);
        last.fold((before, 0), |(_, count), (place, _)| (place, count + 1))
    }

    /// Forgets everything, of which nobody waits for anything: what follows is of another epoch.
    pub(super) fn clear(&mut self) -> Gone<B> {
        let mut gone = Gone::default();
        let before = core::mem::replace(self, Self::new(rand::random(), self.limits.clone()));
        before.slots.into_iter().for_each(|slot| gone.push_slot(slot));
        gone
    }

    /// The messages between two places that are held.
    fn between(&mut self, from: u64, to: u64) -> impl Iterator<Item = &mut Slot<B>> {
        let end = self.index(to).unwrap_or_default().min(self.slots.len());
        let start = self.index(from).unwrap_or_default().min(end);
        self.slots.range_mut(start..end)
    }

    fn index(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }

    /// Drops the oldest messages that nobody needs or that are beyond the bounds. The newest may always be waited for,
    /// however long it is, and is held for those who want the latest only.
    fn trim(&mut self) -> Trimmed<B> {
        let mut trimmed = Trimmed { has_overrun: false, gone: Gone::default() };
        while let Some(slot) = self.slots.front() {
            let messages = self.slots.len();
            let is_waited_for = slot.unread.all > 0 && (messages == 1 || fits(self.limits.lag, messages, self.bytes));
            let is_last = messages == 1 || (messages <= self.echoes + 1 && fits(self.limits.lag, messages, self.bytes));
            let is_latest = is_last && self.latest_only > 0;
            if is_waited_for || is_latest || fits(self.limits.history, messages, self.bytes) {
                break;
            }
            if slot.unread.strict > 0 {
                trimmed.has_overrun = true;
            }
            self.bytes -= slot.len;
            self.before = slot.position;
            self.first += 1;
            self.slots.pop_front().into_iter().for_each(|slot| trimmed.gone.push_slot(slot));
        }
        if self.slots.is_empty() && self.slots.capacity() > KEPT {
            self.slots = VecDeque::new();
        }
        trimmed
    }
}

fn fits(bounds: Bounds, messages: usize, bytes: usize) -> bool {
    messages <= bounds.messages && bytes <= bounds.bytes
}

/// The place of the first message: with room for older ones that are found later.
const ORIGIN: u64 = 1 << 32;

/// For how many messages an empty log keeps room.
const KEPT: usize = 16;
