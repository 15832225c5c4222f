//! What a member's task is to be told, by its topics and by others, and has not asked for yet.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::event::Event;
use super::peer::{Lost, Orders};
use crate::close::{Close, CloseCode};

/// Events to be told, and how much was skipped.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) events: VecDeque<Event>,
    /// How many messages were not sent, told or not.
    pub(super) skipped: u64,
}

impl Told {
    /// Takes note of what others order: how the connection is to close, if it is.
    pub(super) fn note(&mut self, orders: Orders) -> Option<Close> {
        let Orders { close, overrun, gaps, vanished } = orders;
        gaps.into_iter().for_each(|lost| self.miss(lost));
        for (pattern, messages) in vanished {
            self.skip(&pattern, messages, || pattern.clone());
        }
        match overrun {
            Some(topic) => {
                self.events.push_back(Event::Overrun { topic });
                Some(Close::explaining(CloseCode::TRY_AGAIN_LATER, "too slow"))
            }
            None => close,
        }
    }

    /// Adds a topic of which messages are lost, once.
    pub(super) fn miss(&mut self, lost: Lost) {
        let is_known = |event: &Event| matches!(event, Event::Gap { topic } if lost.is_told_by(topic));
        if !self.events.iter().any(is_known) {
            self.events.push_back(Event::Gap { topic: lost.name(self.events.len()).clone() });
        }
    }

    /// Counts messages that were skipped, and adds them to what is to be told: once for each topic, however long nobody asks, or
    /// for all of those that are one wish of the connection's.
    pub(super) fn skip(&mut self, topic: &Arc<str>, messages: u64, wish: impl FnOnce() -> Arc<str>) {
        self.skipped += messages;
        if self.skip_more(topic, messages) {
            return;
        }
        let name = if self.events.len() < NAMED { topic.clone() } else { wish() };
        if !self.skip_more(&name, messages) {
            self.events.push_back(Event::Skipped { topic: name, messages });
        }
    }

    /// Adds messages to those of a name that are to be told already; says whether there are some.
    fn skip_more(&mut self, name: &Arc<str>, more: u64) -> bool {
        for event in &mut self.events {
            match event {
                Event::Skipped { topic, messages } if topic == name => {
                    *messages += more;
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

/// How many topics are told of by their names, whatever the connection subscribes to. There is no end of names.
pub(super) const NAMED: usize = 64;
