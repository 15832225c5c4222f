//! What a connection is to be sent next: the news of its topics, merged in the order in which they were published.
//!
//! Topics that have news are marked with the stamp of the oldest of it. So the next message is in the topic with the oldest mark,
//! and all that it has up to the next mark follows. What is gathered stays where it is; once it is known how much the socket
//! took, the places in the topics are moved.

use alloc::collections::BinaryHeap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::log::Face;
use super::marks::Mark;
use super::peer::Peer;
use super::position::Position;
use super::post::Body;
use super::topic::{Reading, Settled};
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
    fn number(&self) -> u64 {
        self.body.number()
    }

    fn prepared(&self) -> &PreparedMessage {
        self.body.prepared()
    }

    fn may_be_encoded(&self) -> bool {
        self.body.may_be_encoded()
    }
}

/// A topic as it is read, whatever state its peers have.
pub(super) trait Readable: Send + Sync {
    fn id(&self) -> u64;

    fn name(&self) -> &Arc<str>;

    /// As [`State::read`](super::topic::State::read).
    fn read(
        &self,
        who: (u32, u64),
        from: u64,
        until: u64,
        take: &mut dyn FnMut(u64, Face<'_, Arc<Body>>) -> bool,
    ) -> Option<Reading>;

    /// As [`State::settle`](super::topic::State::settle).
    fn settle(&self, who: (u32, u64), sent: Option<(u64, Position)>) -> Settled;
}

/// What is on its way to a connection, between [`Self::gather`] and [`Self::settle`]. Its memory belongs to the thread.
#[derive(Default)]
pub(super) struct Delivery {
    pub(super) items: Vec<Item>,
    hands: Vec<Hand>,
    /// Those in hand that have more, and since when.
    rest: BinaryHeap<Reverse<(u64, usize)>>,
}

/// A topic in hand.
struct Hand {
    topic: Arc<dyn Readable>,
    seat: u32,
    /// The place behind what was gathered.
    from: u64,
    /// The last message of it that the socket took.
    sent: Option<(u64, Position)>,
}

impl Delivery {
    /// Gathers what was published up to a stamp and is next, as much as goes into one write; says whether that is all.
    /// `skipped` is told what was missed, and whether that is to be told further. `turn` is another number each time.
    pub(super) fn gather<S: Send + Sync + 'static>(
        &mut self,
        peer: &Peer<S>,
        turn: u64,
        until: u64,
        skipped: &mut impl FnMut(&dyn Readable, u64, bool),
    ) -> bool {
        let mut is_all = false;
        while !is_all && self.items.len() < GATHERED {
            // The topic with the oldest news, and up to when it goes before all others.
            let of_rest = self.rest.peek().map(|rest| rest.0.0).filter(|stamp| *stamp <= until);
            let (hand, others) = match Marked::take(peer, turn, of_rest.unwrap_or(until)) {
                Marked::Topic(topic, seat, next) => {
                    self.hands.push(Hand { topic, seat, from: 0, sent: None });
                    (self.hands.len() - 1, earlier(of_rest, next))
                }
                Marked::Left => continue,
                Marked::Nothing(next) => {
                    let Some(Reverse((_, hand))) = self.rest.pop().filter(|_| of_rest.is_some()) else {
                        is_all = true;
                        break;
                    };
                    (hand, earlier(self.rest.peek().map(|rest| rest.0.0), next))
                }
            };
            let (items, Hand { topic, seat, from, .. }) = (&mut self.items, &mut self.hands[hand]);
            let bound = others.map_or(until, |others| until.min(others));
            let reading = topic.read((*seat, peer.id()), *from, bound, &mut |place, slot| {
                if items.len() == GATHERED {
                    return false;
                }
                items.push(Item { body: slot.body.clone(), position: slot.position, place, hand });
                *from = place + 1;
                true
            });
            let Some(reading) = reading else { continue };
            if reading.skipped > 0 {
                skipped(&**topic, reading.skipped, !reading.is_conflated);
            }
            match reading.next {
                Some(next) => self.rest.push(Reverse((next, hand))),
                // Nothing in hand has more, and there was no other mark.
                None => is_all = others.is_none(),
            }
        }
        self.rest.clear();
        is_all
    }

    /// Takes note that the socket took the first so many of what was gathered, and lets it and the topics go.
    pub(super) fn settle<S: Send + Sync + 'static>(&mut self, peer: &Peer<S>, sent: usize) {
        for item in self.items.iter().take(sent) {
            self.hands[item.hand].sent = Some((item.place, item.position));
        }
        self.items.clear();
        for Hand { topic, seat, sent, .. } in self.hands.drain(..) {
            match topic.settle((seat, peer.id()), sent) {
                Settled::More(stamp) => peer.mailbox().put_mark(Mark { stamp, topic: topic.id() }),
                Settled::Asleep | Settled::Gone => {}
            }
        }
        if self.hands.capacity() > KEPT {
            self.hands = Vec::new();
        }
    }
}

/// What a look at the marks of a connection gives.
enum Marked {
    /// A topic, the seat there, and when the next mark is from.
    Topic(Arc<dyn Readable>, u32, Option<u64>),
    /// A topic that it has left, of which nothing is sent, or that is in hand already.
    Left,
    /// No mark that is old enough; when the next one is from.
    Nothing(Option<u64>),
}

impl Marked {
    /// Takes the oldest mark that is no newer than `until`.
    fn take<S: Send + Sync + 'static>(peer: &Peer<S>, turn: u64, until: u64) -> Self {
        let mut mailbox = peer.mailbox();
        let Some((mark, next)) = mailbox.take_mark(until) else { return Self::Nothing(mailbox.next_mark()) };
        match mailbox.attachments.get_mut(mark.topic) {
            Some(at) if at.turn != turn => {
                at.turn = turn;
                Self::Topic(at.topic.clone(), at.seat, next)
            }
            Some(_) | None => Self::Left,
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
const KEPT: usize = 1024;
