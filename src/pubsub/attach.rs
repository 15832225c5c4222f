//! Who is in which topic: put in, taken out, and what becomes of the topic. All of it under the registry's lock.

use alloc::sync::Arc;

use super::ask::Missing;
use super::attachments::Attachment;
use super::config::{SlowConsumer, Start};
use super::hub::Shared;
use super::marks::Mark;
use super::pattern::Pattern;
use super::peer::Peer;
use super::post::Topic;
use super::registry::{After, Registry};
use super::topic::{Settled, Wish};

/// How a topic is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Name { is_present: bool },
    Pattern,
}

/// What a subscription has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// All is there that was asked for.
    Whole,
    /// What is asked for is not all there, and the engine may know it: what is there begins behind the other.
    Behind(Missing),
    /// Messages are missing.
    Gap,
}

impl<S: Send + Sync + 'static> Shared<S> {
    /// Puts a connection into a topic, or takes note that it is there for one reason more.
    pub(super) fn attach(
        &self,
        topic: &Arc<Topic<S>>,
        peer: &Peer<S>,
        slow_consumer: SlowConsumer,
        start: Start,
        by: By,
        after: &mut After,
    ) -> Subscribed {
        let (is_named, is_present, patterns) = match by {
            By::Name { is_present } => (true, is_present, 0),
            By::Pattern => (false, false, 1),
        };
        let known = peer.mailbox().attachments.get_mut(topic.id).map(|at| {
            at.patterns += patterns;
            (at.is_named, at.is_present) = (at.is_named || is_named, at.is_present || is_present);
            (at.seat, at.is_named, at.is_present)
        });
        if let Some((seat, is_named, is_present)) = known {
            topic.lock().change(seat, peer.id(), is_named, is_present);
            return Subscribed::Whole;
        }
        let is_kept_elsewhere = self.bridge().is_some_and(|bridge| bridge.has_history());
        // Whoever subscribes to a pattern has listened before there was the topic.
        let is_first = || is_named && topic.lock().len() == 0;
        if let Some(bridge) = self.bridge().filter(|_| is_kept_elsewhere && is_first()) {
            bridge.forget_unheard(&topic.name);
        }
        let (seat, subscribed) = {
            let mut state = topic.lock();
            if is_kept_elsewhere && state.len() == 0 {
                // Nobody has listened, so what is kept would have a hole, which the engine has not.
                after.gone.append(state.log.clear());
                state.remote = None;
            }
            let (head, mut view) = (state.log.head(), state.view());
            let mut seen = None;
            let (cursor, subscribed) = match start {
                Start::Next => (head, Subscribed::Whole),
                Start::Last(messages) => {
                    let (place, count) = state.log.place_of_last(messages, head, view);
                    let missing = messages - count;
                    let can_ask = is_kept_elsewhere && is_named && missing > 0;
                    let ask = Subscribed::Behind(Missing::Last { messages, missing });
                    (place, if can_ask { ask } else { Subscribed::Whole })
                }
                // A position is one of a single topic.
                Start::Since(_) if by == By::Pattern => (head, Subscribed::Whole),
                Start::Since(position) => match state.resume(position, is_kept_elsewhere) {
                    Some(resumed) => {
                        view = resumed.view;
                        // The engine has no more of it.
                        let is_whole = resumed.is_whole && !state.log.has_gap_behind(resumed.place);
                        (resumed.place, if is_whole { Subscribed::Whole } else { Subscribed::Gap })
                    }
                    None if is_kept_elsewhere => {
                        view = state.engines_view();
                        // Until the engine answers, it has seen what it says.
                        seen = Some(position);
                        (state.log.first(), Subscribed::Behind(Missing::Since(position)))
                    }
                    None => {
                        seen = state.known_up_to(position);
                        (state.log.first(), Subscribed::Gap)
                    }
                },
            };
            let wish = Wish { id: peer.id(), slow_consumer, is_named, is_present };
            let seat = state.insert(peer.clone(), wish, cursor, view);
            if seen.is_some() {
                after.gone.append(state.begin_at(seat, peer.id(), cursor, seen));
            }
            if let Subscribed::Behind(wish) = subscribed {
                state.begin_asking(seat, peer.id(), wish);
            }
            (seat, subscribed)
        };
        let attachment = Attachment { topic: topic.clone(), seat, is_named, is_present, patterns, turn: 0 };
        peer.mailbox().attachments.insert(topic.id, attachment);
        // It is awake there and has no mark, so that nobody has marked it before it could be found. It stays so until what it
        // has missed is there.
        if !matches!(subscribed, Subscribed::Behind(_)) {
            let (settled, gone) = topic.lock().settle((seat, peer.id()), None);
            after.gone.append(gone);
            if let Settled::More(stamp) = settled {
                let mut mailbox = peer.mailbox();
                mailbox.put_mark(Mark { stamp, topic: topic.id });
                after.wakers.extend(mailbox.take_waker());
            }
        }
        subscribed
    }

    pub(super) fn detach_name(
        &self,
        registry: &mut Registry<S>,
        peer: &Peer<S>,
        topic: &Arc<Topic<S>>,
        after: &mut After,
    ) -> Option<bool> {
        let mut mailbox = peer.mailbox();
        let attachment = mailbox.attachments.get_mut(topic.id).filter(|at| at.is_named)?;
        let was_present = core::mem::take(&mut attachment.is_present);
        attachment.is_named = false;
        let (seat, is_over) = (attachment.seat, attachment.patterns == 0);
        if is_over {
            mailbox.forget(topic.id);
        }
        mailbox.named -= 1;
        drop(mailbox);
        self.detach(registry, peer, topic, (seat, is_over), after);
        Some(was_present)
    }

    pub(super) fn detach_pattern(
        &self,
        registry: &mut Registry<S>,
        peer: &Peer<S>,
        topic: &Arc<Topic<S>>,
        after: &mut After,
    ) {
        let mut mailbox = peer.mailbox();
        let Some(attachment) = mailbox.attachments.get_mut(topic.id) else { return };
        attachment.patterns = attachment.patterns.saturating_sub(1);
        if attachment.patterns > 0 || attachment.is_named {
            return;
        }
        let seat = attachment.seat;
        mailbox.forget(topic.id);
        drop(mailbox);
        self.detach(registry, peer, topic, (seat, true), after);
    }

    fn detach(
        &self,
        registry: &mut Registry<S>,
        peer: &Peer<S>,
        topic: &Arc<Topic<S>>,
        (seat, is_over): (u32, bool),
        after: &mut After,
    ) {
        let removed = {
            let mut state = topic.lock();
            if is_over {
                state.remove(seat, peer.id())
            } else {
                state.change(seat, peer.id(), false, false);
                None
            }
        };
        removed.into_iter().for_each(|(_, gone)| after.gone.append(gone));
        self.retire(registry, topic, after);
    }

    /// Lets a topic vanish that nobody needs, or lists it as one that may.
    pub(super) fn retire(&self, registry: &mut Registry<S>, topic: &Arc<Topic<S>>, after: &mut After) {
        let is_bridged = self.bridge().is_some();
        let (is_over, is_unnamed) = {
            let mut state = topic.lock();
            if state.is_gone {
                return;
            }
            let is_unnamed = state.named() == 0;
            // What other nodes publish is not heard here meanwhile: what is kept would have a hole.
            let is_kept = state.log.has_history() && !state.log.is_empty() && !is_bridged;
            let is_over = state.len() == 0 && !is_kept;
            state.is_gone = is_over;
            if is_over {
                after.gone.append(state.log.clear());
            }
            (is_over, is_unnamed)
        };
        if is_unnamed && is_bridged {
            self.tell_interest(Pattern::of_name(topic.name.clone()), None, false);
        }
        if is_over {
            registry.forget(self, topic);
        } else if is_unnamed {
            registry.list(topic);
        }
    }
}
