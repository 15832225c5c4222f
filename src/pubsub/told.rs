//! What a member's task is to be told, by its topics and by others, and has not asked for yet.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::event::Event;
use super::peer::Orders;
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
        self.events.extend(gaps.into_iter().map(|topic| Event::Gap { topic }));
        for (pattern, messages) in vanished {
            self.skip(&pattern, messages, true);
        }
        match overrun {
            Some(topic) => {
                self.events.push_back(Event::Overrun { topic });
                Some(Close::explaining(CloseCode::TRY_AGAIN_LATER, "too slow"))
            }
            None => close,
        }
    }

    /// Counts messages that were skipped, and adds them to what is to be told: once for each topic, however long nobody asks.
    pub(super) fn skip(&mut self, topic: &Arc<str>, messages: u64, is_told: bool) {
        self.skipped += messages;
        if !is_told {
            return;
        }
        for event in &mut self.events {
            match event {
                Event::Skipped { topic: known, messages: before } if known == topic => {
                    *before += messages;
                    return;
                }
                _ => {}
            }
        }
        self.events.push_back(Event::Skipped { topic: topic.clone(), messages });
    }
}
