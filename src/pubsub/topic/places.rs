//! Where in a topic somebody begins, and which position a message has there: as this node numbers it, or an engine does.

use alloc::vec::Vec;

use super::{Condition, State, Subscriber};
use crate::pubsub::ask::Missing;
use crate::pubsub::log::{Gone, Standing, View};
use crate::pubsub::position::Position;
use crate::pubsub::post::Whose;
use crate::pubsub::remote::{Admission, Own, Stretch};

impl<P: Clone, B> State<P, B> {
    /// Takes note that what a subscriber, who is awake, has missed is asked for: until the answer, it is sent nothing.
    pub(in super::super) fn begin_asking(&mut self, seat: u32, id: u64, wish: Missing) {
        if let Some(index) = self.index(seat, id) {
            self.subscribers[index].condition = match wish {
                Missing::Since(_) => Condition::AsksSince,
                Missing::Last { .. } => Condition::AsksLast,
            };
        }
    }

    /// Whether a subscriber still waits for an answer to this, and not another one that has its seat, or asks for something else, by now.
    pub(in super::super) fn is_asking(&self, seat: u32, id: u64, wish: Missing) -> bool {
        let asks = |index| {
            let Subscriber { condition, sent, .. } = self.subscribers[index];
            match wish {
                Missing::Since(position) => condition == Condition::AsksSince && sent == position,
                Missing::Last { .. } => condition == Condition::AsksLast,
            }
        };
        self.index(seat, id).is_some_and(asks)
    }

    /// Takes note that there is an answer.
    pub(in super::super) fn end_asking(&mut self, seat: u32, id: u64) {
        if let Some(index) = self.index(seat, id) {
            self.subscribers[index].condition = Condition::Fine;
        }
    }

    /// Lets a subscriber, who is awake, begin at a place that is held, but for what it has seen: up to a position.
    pub(in super::super) fn begin_at(&mut self, seat: u32, id: u64, place: u64, seen: Option<Position>) -> Gone<B> {
        let gone = self.move_to(seat, id, place);
        if let (Some(index), Some(seen)) = (self.index(seat, id), seen) {
            self.subscribers[index].sent = seen;
            self.remote.get_or_insert_default().early.is_waited_for = true;
        }
        gone
    }

    /// Lets a subscriber, who is awake, begin so many messages earlier, as far as they are held.
    pub(in super::super) fn rewind_by(&mut self, seat: u32, id: u64, messages: usize) -> Gone<B> {
        let Some(index) = self.index(seat, id) else { return Gone::default() };
        let Subscriber { cursor, view, .. } = self.subscribers[index];
        let (place, _) = self.log.place_of_last(messages, cursor, view);
        self.move_to(seat, id, place)
    }

    /// What a newcomer sees: while what was delivered early is the newest, that as it was; else what comes back of it.
    pub(in super::super) fn view(&self) -> View {
        let early = self.remote.as_ref().map(|remote| &remote.early).filter(|early| early.is_newest);
        match early.and_then(|early| early.stretch) {
            Some(Stretch { begin, before }) => View { joined: begin, unheard: before },
            None => self.engines_view(),
        }
    }

    /// What the engine has: nothing that was delivered early so far, and all that comes back.
    pub(in super::super) fn engines_view(&self) -> View {
        let unheard = self.remote.as_ref().map_or(0, |remote| remote.early.delivered);
        View { joined: self.log.head(), unheard }
    }

    /// Where somebody goes on who has seen what is up to a position; `None` if not all that follows it is held.
    pub(in super::super) fn resume(&self, position: Position, is_engine_there: bool) -> Option<Resumed> {
        let remote = self.remote.as_ref();
        if let Some(own) = remote.and_then(|remote| remote.own).filter(|own| own.position.epoch == position.epoch) {
            // Who was here then and comes back goes on as it was.
            let is_newest = own.position == position && own.behind >= self.log.first();
            let place = if is_newest { own.behind.min(self.log.head()) } else { self.log.place_after(position)? };
            return Some(Resumed { place, view: View { joined: place, unheard: 0 }, is_whole: true });
        }
        let place = self.log.place_after(position)?;
        if is_engine_there {
            return Some(Resumed { place, view: self.engines_view(), is_whole: true });
        }
        let early = remote.map(|remote| &remote.early).filter(|early| early.is_newest);
        let stretch = early.and_then(|early| early.stretch);
        // Within it, that is a position in the engine's order: what comes back later is missing in the one that is sent now.
        let is_whole = stretch.is_none_or(|stretch| place <= stretch.begin);
        Some(Resumed { place, view: self.view(), is_whole })
    }

    /// The newest position, for somebody who has been sent all that a view has.
    pub(in super::super) fn newest(&self, view: View) -> Position {
        let remote = self.remote.as_ref().filter(|remote| remote.early.is_outstanding());
        let newest = remote.and_then(|remote| match remote.own {
            Some(own) if view.unheard < remote.early.delivered => Some(own.position),
            Some(_) | None => remote.heard_up_to(),
        });
        newest.unwrap_or_else(|| self.log.last())
    }

    /// A position that an engine gave, as far as it is known here, if it is of the same epoch.
    pub(in super::super) fn known_up_to(&self, position: Position) -> Option<Position> {
        let last = self.remote.as_ref()?.last?;
        let sequence = position.sequence.min(last.sequence);
        (position.epoch == last.epoch).then_some(Position { sequence, ..last })
    }

    /// Takes note of where a message is from, and which position the engine gave it: how it gets into the log. `None` if it is known
    /// already.
    pub(in super::super) fn admit(&mut self, whose: Whose, engines: Option<Position>) -> Option<Admitted<P>> {
        let standing = self.stand(whose, engines)?;
        let missed = if standing == Standing::Early { self.end_waiting() } else { Vec::new() };
        let position = engines.unwrap_or_else(|| self.next_own(standing));
        let early = self.remote.as_ref().map(|remote| &remote.early).filter(|early| early.is_outstanding());
        let delivered = early.filter(|_| standing == Standing::Final && engines.is_some()).map(|early| early.delivered);
        let alias = delivered.map(|delivered| (self.next_own(Standing::Early), delivered));
        Some(Admitted { standing, position, alias, missed })
    }

    /// How a message stands; `None` if it is known already.
    fn stand(&mut self, whose: Whose, engines: Option<Position>) -> Option<Standing> {
        let place = self.log.head();
        match whose {
            Whose::Here => {
                let remote = self.remote.as_mut().filter(|remote| remote.early.stretch.is_some());
                let Some(remote) = remote else { return Some(Standing::Final) };
                remote.begin_early(place);
                Some(Standing::Early)
            }
            Whose::Ours(origin) => {
                self.remote.get_or_insert_default().note(origin);
                Some(Standing::Final)
            }
            Whose::Early(origin) => {
                let remote = self.remote.get_or_insert_default();
                if remote.early.is_of_another(origin.node) {
                    // Whoever comes back to what is there cannot be told apart any more.
                    self.log.note_gap();
                }
                remote.note_early(origin, place).then_some(Standing::Early)
            }
            Whose::Cut => {
                self.remote.get_or_insert_default().begin_early(place);
                Some(Standing::Early)
            }
            Whose::Theirs(origin) => {
                let remote = self.remote.get_or_insert_default();
                let admission = remote.admit(origin, engines);
                if admission != Admission::Known {
                    remote.end_early();
                }
                // Somebody who has come back was sent it; those of a pattern were not.
                remote.has_twice |= remote.begun.is_some_and(|begun| {
                    engines.is_some_and(|position| position.is_same_or_before(begun) && self.log.holds(position))
                });
                match admission {
                    Admission::New => Some(Standing::Final),
                    Admission::Echo => Some(Standing::Echo(origin.number)),
                    Admission::Known => None,
                }
            }
        }
    }

    /// The position of the next message, where it is this node that numbers: anew where an engine did before.
    fn next_own(&mut self, standing: Standing) -> Position {
        let next = self.log.next_position();
        let behind = self.log.head() + 1;
        let Some(remote) = &mut self.remote else { return next };
        if remote.heard_up_to().is_none() && standing != Standing::Early {
            return next;
        }
        let position = match remote.own {
            Some(Own { position, .. }) => Position { sequence: position.sequence + 1, ..position },
            None if remote.heard_up_to().is_none() => next,
            None => Position { epoch: rand::random(), sequence: 1 },
        };
        remote.own = Some(Own { position, behind });
        position
    }

    /// Takes those out of the engine's order who are in it still, where something is delivered early: they wait for what comes back, or
    /// have seen elsewhere what has not come here, this among it perhaps. They are to be told.
    fn end_waiting(&mut self) -> Vec<P> {
        let Some(remote) = self.remote.as_mut().filter(|remote| remote.early.is_waited_for) else { return Vec::new() };
        remote.early.is_waited_for = false;
        let before = remote.early.stretch.map_or(0, |stretch| stretch.before);
        let heard = remote.heard_up_to();
        let waiting = self.subscribers.iter_mut().filter(|subscriber| {
            let is_ahead =
                heard.is_some_and(|heard| heard != subscriber.sent && heard.is_same_or_before(subscriber.sent));
            is_ahead || subscriber.view.unheard > before
        });
        let missed = waiting.map(|subscriber| {
            subscriber.view.unheard = before;
            subscriber.peer.clone()
        });
        missed.collect()
    }

    fn move_to(&mut self, seat: u32, id: u64, place: u64) -> Gone<B> {
        let Some(index) = self.index(seat, id) else { return Gone::default() };
        let sent = self.position_before(place, self.subscribers[index].view);
        let subscriber = &mut self.subscribers[index];
        let (is_counted, is_strict) = (subscriber.is_counted(), subscriber.is_strict());
        let known = core::mem::replace(&mut subscriber.cursor, place);
        subscriber.sent = sent;
        if is_counted && place >= known {
            return self.log.pass(known, place, is_strict);
        }
        if is_counted {
            self.log.want_between(place, known, is_strict);
        }
        Gone::default()
    }

    /// The position of what a view has before a place.
    pub(super) fn position_before(&self, place: u64, view: View) -> Position {
        if place == self.log.head() {
            return self.newest(view);
        }
        let before = (self.log.first()..place).rev().filter_map(|at| Some((at, self.log.get(at)?)));
        let mut seen = before.filter(|(at, slot)| view.has(*at, slot.standing));
        seen.next().map_or(self.log.before(), |(_, slot)| slot.face(view).position)
    }
}

/// How a message gets into the log.
#[derive(Debug)]
pub(in super::super) struct Admitted<P> {
    pub(in super::super) standing: Standing,
    pub(in super::super) position: Position,
    /// Its position for those who have been sent something early that has not come back, and the last publication that was.
    pub(in super::super) alias: Option<(Position, u64)>,
    /// Those who waited for what comes back, and miss that.
    pub(in super::super) missed: Vec<P>,
}

/// Where somebody goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Resumed {
    pub(in super::super) place: u64,
    pub(in super::super) view: View,
    /// Whether nothing is missing.
    pub(in super::super) is_whole: bool,
}
