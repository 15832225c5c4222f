//! A client that comes back and has missed more than its node holds: what the engine still has is put in front of it.

use alloc::sync::Arc;
use core::task::Waker;

use super::backplane::History;
use super::hub::Shared;
use super::marks::Mark;
use super::peer::Peer;
use super::position::Position;
use super::post::{Body, Topic};
use crate::prepared::PreparedMessage;

/// A question for the history of a topic, by a connection that waits for the answer.
pub(super) struct Ask<S> {
    pub(super) topic: Arc<Topic<S>>,
    pub(super) peer: Peer<S>,
    pub(super) seat: u32,
    pub(super) wish: Missing,
}

/// What of a topic's history is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// What is behind a position.
    Since(Position),
    /// The last so many messages, of which the first so many are not here.
    Last { messages: usize, missing: usize },
}

/// A question that is put to the engine: if its connection ends before the answer, that is that there is nothing.
pub(super) struct Asked<'h, S: Send + Sync + 'static> {
    ask: Option<Ask<S>>,
    hub: &'h Shared<S>,
}

impl<'h, S: Send + Sync + 'static> Asked<'h, S> {
    pub(super) fn new(ask: Ask<S>, hub: &'h Shared<S>) -> Self {
        Self { ask: Some(ask), hub }
    }

    pub(super) fn answer(mut self, history: History) {
        if let Some(ask) = self.ask.take() {
            ask.answer(self.hub, history);
        }
    }
}

impl<S: Send + Sync + 'static> Drop for Asked<'_, S> {
    fn drop(&mut self) {
        if let Some(ask) = self.ask.take() {
            ask.answer(self.hub, History::default());
        }
    }
}

impl<S: Send + Sync + 'static> Ask<S> {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_over(&self) -> bool {
        !self.topic.lock().is_asking(self.seat, self.peer.id(), self.wish)
    }

    /// How many messages there is room for.
    pub(super) fn limit(&self, hub: &Shared<S>) -> usize {
        let room = hub.config.lag.messages.max(hub.history_of(&self.topic.name).messages);
        match self.wish {
            Missing::Since(_) => room,
            Missing::Last { messages, .. } => messages.min(room),
        }
    }

    /// Behind what.
    pub(super) fn after(&self) -> Position {
        match self.wish {
            Missing::Since(position) => position,
            // Of no epoch that there is: then the answer is the newest of what there is.
            Missing::Last { .. } => Position { epoch: 0, sequence: 0 },
        }
    }

    /// Puts what the engine has in front of what is here, for the one who asked, and lets that one be sent it.
    pub(super) fn answer(self, hub: &Shared<S>, history: History) {
        let after = self.after();
        let Self { topic, peer, seat, wish } = self;
        let mut is_whole = history.is_complete;
        let _gone = {
            let mut state = topic.lock();
            if !state.is_asking(seat, peer.id(), wish) {
                return;
            }
            state.end_asking(seat, peer.id());
            let newest = history.messages.last().and_then(|arrived| arrived.position);
            let epoch = newest.map_or(after.epoch, |newest| newest.epoch);
            // What lacks in front of all that is here, the engine may have; what lacks within cannot be put there.
            let begin = state.log.begin_of(epoch);
            let has_place = begin == state.log.first();
            is_whole &= !state.log.has_gap_behind(begin + 1);
            let last = state.remote.as_ref().and_then(|remote| remote.heard_up_to());
            for arrived in history.messages.into_iter().rev() {
                let Some(position) = arrived.position else { continue };
                // What is here is not put there again, nor what will come.
                let is_here = state.log.oldest_from(begin).is_some_and(|oldest| oldest.is_same_or_before(position));
                let will_come = last.is_some_and(|last| last != position && !position.is_same_or_before(last));
                if is_here || will_come {
                    continue;
                }
                let publication = arrived.publication;
                let message = PreparedMessage::of_checked(publication.kind, publication.payload);
                let body = Body::new(message, publication.may_be_encoded);
                // In front of what was counted in another epoch is not its place.
                if !has_place || !state.log.prepend(hub.entry(&topic.name, &body, position, 0, None)) {
                    is_whole = false;
                    break;
                }
            }
            match wish {
                Missing::Since(after) => {
                    let first = state.log.first();
                    let place = if after.epoch == epoch && !has_place { begin } else { first };
                    // What never was, as far as the engine knows, says nothing of what was seen.
                    let known = state.known_up_to(after).filter(|known| *known == after);
                    let seen = if history.is_complete { Some(after) } else { known };
                    // What is still to come of another epoch, nobody can place before it or behind.
                    is_whole &= last.is_none_or(|last| last.epoch == after.epoch);
                    state.begin_at(seat, peer.id(), place, seen)
                }
                Missing::Last { missing, .. } => {
                    // As many as there are.
                    is_whole = true;
                    state.rewind_by(seat, peer.id(), missing)
                }
            }
        };
        if !is_whole {
            peer.tell_gap(&topic).into_iter().for_each(Waker::wake);
        }
        let waker = peer.mark(Mark { stamp: 0, topic: topic.id });
        waker.into_iter().for_each(Waker::wake);
    }
}
