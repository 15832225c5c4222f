//! Where in a topic somebody begins, and which position a message has there: as this node numbers it, or an engine does.

use super::{State, Subscriber};
use crate::pubsub::log::{Standing, View};
use crate::pubsub::position::Position;
use crate::pubsub::post::Whose;
use crate::pubsub::remote::Admission;

impl<P: Clone, B> State<P, B> {
    /// Lets a subscriber, who is awake, begin at a place that is held, but for what it has seen: up to a position.
    pub(in super::super) fn begin_at(&mut self, seat: u32, id: u64, place: u64, seen: Option<Position>) {
        self.move_to(seat, id, place);
        if let (Some(index), Some(seen)) = (self.index(seat, id), seen) {
            self.subscribers[index].sent = seen;
        }
    }

    /// Lets a subscriber, who is awake, begin so many messages earlier, as far as they are held.
    pub(in super::super) fn rewind_by(&mut self, seat: u32, id: u64, messages: usize) {
        let Some(index) = self.index(seat, id) else { return };
        let Subscriber { cursor, view, .. } = self.subscribers[index];
        let (place, _) = self.log.place_of_last(messages, cursor, view);
        self.move_to(seat, id, place);
    }

    /// What a newcomer sees: what was delivered early and is the newest as it was, and of what was before that, what comes back.
    pub(in super::super) fn view(&self) -> View {
        let early = self.remote.as_ref().map(|remote| &remote.early);
        let run = early.and_then(|early| early.run);
        let (joined, unheard) = run.unwrap_or((self.log.head(), early.map_or(0, |early| early.delivered)));
        View { joined, unheard }
    }

    /// The place behind a position, and what is seen from there; `None` if not all that follows it is held.
    pub(in super::super) fn place_after(&self, position: Position) -> Option<(u64, View)> {
        let place = self.log.place_after(position)?;
        let is_early = self.remote.as_ref().is_some_and(|remote| remote.early.delivered > 0)
            && self.remote.as_ref().and_then(|remote| remote.last).is_none_or(|last| last.epoch != position.epoch);
        // Who was here then and comes back goes on as it was.
        let view = if is_early { View { joined: place, unheard: 0 } } else { self.view() };
        Some((place, view))
    }

    /// A position that an engine gave, as far as it is known here, if it is of the same epoch.
    pub(in super::super) fn known_up_to(&self, position: Position) -> Option<Position> {
        let last = self.remote.as_ref()?.last?;
        let sequence = position.sequence.min(last.sequence);
        (position.epoch == last.epoch).then_some(Position { sequence, ..last })
    }

    /// The position of the next message, where it is this node that numbers: anew where an engine did before.
    pub(in super::super) fn next_position(&mut self) -> Position {
        let Some(remote) = self.remote.as_mut().filter(|remote| remote.last.is_some()) else {
            return self.log.next_position();
        };
        if remote.own_epoch == Some(self.log.last().epoch) {
            return self.log.next_position();
        }
        let epoch = *remote.own_epoch.insert(rand::random());
        Position { epoch, sequence: 1 }
    }

    /// Takes note of where a message is from: how it stands, and `None` if it is known already.
    pub(in super::super) fn admit(&mut self, whose: Whose, engines: Option<Position>) -> Option<Standing> {
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
    pub(super) fn position_before(&self, place: u64) -> Position {
        match self.log.get(place.wrapping_sub(1)) {
            Some(slot) => slot.position,
            None if place == self.log.head() => self.log.last(),
            None => self.log.before(),
        }
    }
}
