//! What a connection is to be sent next: the news of its topics, merged in the order in which they were published.
//!
//! Topics that have news are marked with the stamp of the oldest of it. So the next message is in the topic with the oldest mark,
//! and all that it has up to the next mark follows. What is gathered stays where it is; once it is known how much the socket
//! took, the places in the topics are moved.

use alloc::collections::BinaryHeap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::hub::{Body, Topic};
use super::peer::{Mark, Peer};
use super::position::Position;
use super::topic::Settled;
use crate::driver::Share;
use crate::prepared::PreparedMessage;

/// A message on its way, lent from the log of a topic in hand.
#[derive(Debug)]
pub(super) struct Item {
    body: Arc<Body>,
    position: Position,
    place: u64,
    hand: usize,
}

impl Share for Item {
    fn prepared(&self) -> &PreparedMessage {
        self.body.prepared()
    }

    fn may_be_encoded(&self) -> bool {
        self.body.may_be_encoded()
    }
}

/// The topics in hand, between [`Self::gather`] and [`Self::settle`].
pub(super) struct Delivery<S> {
    hands: Vec<Hand<S>>,
    /// Those in hand that have more, and since when.
    rest: BinaryHeap<Reverse<(u64, usize)>>,
}

struct Hand<S> {
    topic: Arc<Topic<S>>,
    seat: u32,
    /// The place behind what was gathered.
    from: u64,
    /// The last message of it that the socket took.
    sent: Option<(u64, Position)>,
}

impl<S> Default for Delivery<S> {
    fn default() -> Self {
        Self { hands: Vec::new(), rest: BinaryHeap::new() }
    }
}

impl<S: Send + Sync + 'static> Delivery<S> {
    /// Gathers what was published up to a stamp and is next, as much as goes into one write. `skipped` is told what was missed,
    /// and whether that is to be told further.
    pub(super) fn gather(
        &mut self,
        peer: &Peer<S>,
        until: u64,
        items: &mut Vec<Item>,
        skipped: &mut impl FnMut(&Arc<str>, u64, bool),
    ) {
        items.clear();
        while items.len() < GATHERED {
            let of_rest = self.rest.peek().map(|rest| rest.0.0);
            // The topic with the oldest news, and up to when it goes before all others.
            let (hand, others) = match of_rest {
                Some(stamp) if stamp > until => break,
                _ => {
                    let bound = of_rest.unwrap_or(until);
                    let taken = {
                        let mut mailbox = peer.mailbox();
                        match mailbox.take_mark(bound) {
                            Some((mark, next)) => {
                                let at = mailbox.attachments.get(&mark.topic);
                                // Of a topic that it has left, nothing is sent.
                                let Some(at) = at else { continue };
                                Ok((at.topic.clone(), at.seat, next))
                            }
                            None => Err(mailbox.next_mark()),
                        }
                    };
                    match taken {
                        Ok((topic, seat, next)) => {
                            self.hands.push(Hand { topic, seat, from: 0, sent: None });
                            (self.hands.len() - 1, earlier(of_rest, next))
                        }
                        Err(next) => {
                            let Some(Reverse((_, hand))) = self.rest.pop() else { break };
                            (hand, earlier(self.rest.peek().map(|rest| rest.0.0), next))
                        }
                    }
                }
            };
            let Hand { topic, seat, from, .. } = &mut self.hands[hand];
            let bound = others.map_or(until, |others| until.min(others));
            let reading = topic.lock().read((*seat, peer.id()), *from, bound, |place, slot| {
                if items.len() == GATHERED {
                    return false;
                }
                items.push(Item { body: slot.body.clone(), position: slot.position, place, hand });
                *from = place + 1;
                true
            });
            let Some(reading) = reading else { continue };
            if reading.skipped > 0 {
                skipped(&topic.name, reading.skipped, !reading.is_conflated);
            }
            if let Some(next) = reading.next {
                self.rest.push(Reverse((next, hand)));
            }
        }
        self.rest.clear();
    }

    /// Takes note that the socket took the first so many of what was gathered, and lets the topics go.
    pub(super) fn settle(&mut self, peer: &Peer<S>, items: &[Item], sent: usize) {
        for item in items.iter().take(sent) {
            self.hands[item.hand].sent = Some((item.place, item.position));
        }
        for hand in self.hands.drain(..) {
            let Hand { topic, seat, sent, .. } = hand;
            let settled = topic.lock().settle((seat, peer.id()), sent);
            match settled {
                Settled::More(stamp) => peer.mailbox().put_mark(Mark { stamp, topic: topic.id }),
                Settled::Asleep | Settled::Gone => {}
            }
        }
        if self.hands.capacity() > KEPT {
            self.hands = Vec::new();
        }
    }
}

/// The earlier of two stamps that may be there.
fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The most messages that are gathered for one write.
const GATHERED: usize = 64;

/// For how many topics memory is kept.
const KEPT: usize = 16;
