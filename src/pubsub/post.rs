//! A topic that many share, and how a message gets into it: appended under its lock, and whoever waits is woken when that is free.
//!
//! Who publishes where somebody sleeps has its turn until those who were asleep have their marks, and who publishes meanwhile waits
//! for that when its message is appended. So whoever has published, or is told that something was published, finds it marked in the mailboxes of all who are to be sent it. Wakers run somebody else's code: when the turn is over.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::task::Waker;

use super::backplane::Origin;
use super::config::{Bounds, Envelope};
use super::delivery::Readable;
use super::hub::Shared;
use super::log::{Alias, Entry, Face, Limits, Log, Readers, Standing};
use super::marks::Mark;
use super::peer::Peer;
use super::position::Position;
use super::sync::{Counter, Mutex, MutexGuard, Ordering, lock, try_lock};
use super::topic::{Admitted, Reading, Settled, State, Woken};
use crate::driver::Share;
use crate::message::{MessageKind, MessageRef};
use crate::prepared::PreparedMessage;

/// A topic, shared by those who publish and those who read.
pub(super) struct Topic<S> {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    /// Whose turn it is to publish.
    turn: Mutex<()>,
    state: Mutex<State<Peer<S>, Arc<Body>>>,
}

/// A message as all subscribers get it.
#[derive(Debug)]
pub(super) struct Body {
    number: u64,
    message: PreparedMessage,
    may_be_encoded: bool,
}

impl Body {
    pub(super) fn new(message: PreparedMessage, may_be_encoded: bool) -> Arc<Self> {
        Arc::new(Self { number: next_number(), message, may_be_encoded })
    }
}

impl Share for Body {
    fn number(&self) -> u64 {
        self.number
    }

    fn prepared(&self) -> &PreparedMessage {
        &self.message
    }

    fn may_be_encoded(&self) -> bool {
        self.may_be_encoded
    }
}

/// How a message is to be delivered.
pub(super) struct Post<'m, S> {
    /// Whom it is not for.
    pub(super) sender: Option<&'m Peer<S>>,
    pub(super) whose: Whose,
    /// The place that an engine gave it.
    pub(super) position: Option<Position>,
}

impl<S> Clone for Post<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Post<'_, S> {}

/// Where a message is from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// From here, where there is no bridge.
    Here,
    /// From here: if it comes back, it was delivered.
    Ours(Origin),
    /// The same, where an engine that is away will number it.
    Early(Origin),
    /// From here, and for nobody else.
    Cut,
    /// From the engine, which may tell of it twice.
    Theirs(Origin),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Delivered {
    /// So many will be sent it, and it has this place.
    To(usize, Position),
    /// It was delivered before.
    Known,
    /// The topic has vanished; the message is given back.
    Gone(Arc<Body>),
}

impl<S: Send + Sync + 'static> Topic<S> {
    /// Appends a message and wakes who waits for it.
    pub(super) fn deliver(&self, hub: &Shared<S>, body: Arc<Body>, post: Post<'_, S>) -> Delivered {
        let Post { sender, whose, position } = post;
        // Where the sender is in this topic, if it is.
        let seat = sender.and_then(|peer| peer.mailbox().attachments.get(self.id).map(|at| at.seat));
        let (woken, stamp, position, turn, missed, told) = {
            let mut state = self.lock();
            let mut turn = None;
            if state.has_sleepers() {
                // The order of the locks: who does not get its turn at once lets go of the topic.
                turn = try_lock(&self.turn);
                if turn.is_none() {
                    drop(state);
                    turn = Some(lock(&self.turn));
                    state = self.lock();
                }
            }
            if state.is_gone {
                return Delivered::Gone(body);
            }
            let Some(admitted) = state.admit(whose, position) else { return Delivered::Known };
            let Admitted { standing, position, alias, missed } = admitted;
            let stamp = hub.next_stamp();
            let mut entry = hub.entry(&self.name, &body, position, stamp, sender.map(Peer::id));
            entry.standing = standing;
            if let Some((position, delivered)) = alias {
                hub.add_alias(&mut entry, &self.name, &body, position, delivered);
            }
            // Before the message is there to be read; they are woken when the turn is over.
            let told: Vec<_> = missed.iter().filter_map(|peer| peer.tell_gap(self)).collect();
            let woken = match standing {
                Standing::Echo(_) => state.publish_echo(entry),
                Standing::Final | Standing::Early => state.publish(entry, seat),
            };
            if turn.is_some() {
                state.is_marking = true;
            } else if state.is_marking {
                drop(state);
                // Who was asleep until another message came has its mark before this is told to be published.
                drop(lock(&self.turn));
            }
            (woken, stamp, position, turn, missed, told)
        };
        let Woken { sleeper, sleepers, overrun, receivers, gone } = woken;
        if let Some(turn) = turn {
            self.wake(turn, sleeper, sleepers, stamp);
        }
        drop((missed, gone));
        told.into_iter().for_each(Waker::wake);
        for peer in overrun {
            peer.order(|orders| orders.overrun = Some(self.name.clone()));
        }
        Delivered::To(receivers, position)
    }

    /// Marks the topic in the mailboxes of those who slept, ends the turn, and wakes them.
    fn wake(&self, turn: MutexGuard<'_, ()>, sleeper: Option<Peer<S>>, mut sleepers: Vec<Peer<S>>, stamp: u64) {
        let mark = Mark { stamp, topic: self.id };
        let mut wakers = WAKERS.try_with(RefCell::take).unwrap_or_default();
        wakers.reserve_exact(sleepers.len() + 1);
        wakers.extend(sleeper.iter().chain(&sleepers).filter_map(|peer| peer.mark(mark)));
        self.lock().is_marking = false;
        drop(turn);
        wakers.drain(..).for_each(Waker::wake);
        if wakers.capacity() <= KEPT {
            // A thread that is ending keeps nothing.
            let _ = WAKERS.try_with(|kept| kept.replace(wakers));
        }
        sleepers.clear();
        if sleepers.capacity() > 0 {
            self.lock().give_back(sleepers);
        }
    }

    /// Tells all subscribers that messages are missing, and who comes back with a position of before.
    pub(super) fn tell_gap(&self) {
        let peers: Vec<_> = {
            let mut state = self.lock();
            state.log.note_gap();
            state.subscribers().map(|(peer, _)| peer.clone()).collect()
        };
        peers.iter().filter_map(|peer| peer.tell_gap(self)).for_each(Waker::wake);
    }
}

impl<S: Send + Sync + 'static> Readable for Topic<S> {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn read(
        &self,
        who: (u32, u64),
        from: u64,
        until: u64,
        take: &mut dyn FnMut(u64, Face<'_, Arc<Body>>) -> bool,
    ) -> Option<Reading> {
        self.lock().read(who, from, until, take)
    }

    fn settle(&self, who: (u32, u64), sent: Option<(u64, Position)>) -> Settled {
        let (settled, _gone) = self.lock().settle(who, sent);
        settled
    }
}

impl<S> Topic<S> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<Peer<S>, Arc<Body>>> {
        lock(&self.state)
    }
}

impl<S: 'static> Shared<S> {
    /// A new topic, which nobody finds yet.
    pub(super) fn new_topic(&self, name: &str, history: Bounds) -> Arc<Topic<S>> {
        let limits = match &self.limits {
            limits if limits.history == history => limits.clone(),
            limits => Arc::new(Limits { history, ..**limits }),
        };
        let log = Log::new(rand::random(), limits);
        Arc::new(Topic {
            id: self.next_number(),
            name: name.into(),
            turn: Mutex::new(()),
            state: Mutex::new(State::new(log)),
        })
    }

    /// What stands in the log of a topic for a message.
    pub(super) fn entry(
        &self,
        topic: &str,
        body: &Arc<Body>,
        position: Position,
        stamp: u64,
        except: Option<u64>,
    ) -> Entry<Arc<Body>> {
        let body = self.body(topic, body, position);
        let (len, unread, standing) = (body.message.payload().len(), Readers::default(), Standing::Final);
        Entry { position, stamp, except, len, unread, standing, body, alias: None }
    }

    /// Adds what a message is for those to whom it has another position.
    fn add_alias(
        &self,
        entry: &mut Entry<Arc<Body>>,
        topic: &str,
        body: &Arc<Body>,
        position: Position,
        delivered: u64,
    ) {
        let body = self.body(topic, body, position);
        if !Arc::ptr_eq(&body, &entry.body) {
            entry.len += body.message.payload().len();
        }
        entry.alias = Some(Box::new(Alias { position, delivered, body }));
    }

    /// A message as it is sent. What it is made of, the caller drops when the lock is free.
    fn body(&self, topic: &str, body: &Arc<Body>, position: Position) -> Arc<Body> {
        let Some(envelope) = self.config.envelope else { return body.clone() };
        let message = envelope(&Envelope { topic, position, message: lend(&body.message) });
        let kind = message.as_ref().kind();
        Body::new(PreparedMessage::of_checked(kind, message.into_payload()), body.may_be_encoded)
    }
}

std::thread_local! {
    /// Who is to be woken, whoever publishes: empty in between.
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };

    /// The numbers of messages that are the thread's.
    static NUMBERS: Cell<Range<u64>> = const { Cell::new(0..0) };
}

/// For how many that are woken memory is kept.
const KEPT: usize = 1024;

/// A number that no other message has, of all hubs. Threads take many at once, so that they do not meet here.
fn next_number() -> u64 {
    let next = NUMBERS.try_with(|numbers| {
        let mut range = numbers.take();
        let number = range.next().unwrap_or_else(|| {
            let first = TAKEN.fetch_add(AT_ONCE, Ordering::Relaxed);
            range = first + 1..first + AT_ONCE;
            first
        });
        numbers.set(range);
        number
    });
    // A thread that is ending keeps none.
    next.unwrap_or_else(|_| TAKEN.fetch_add(1, Ordering::Relaxed))
}

/// How many numbers of messages were taken.
static TAKEN: Counter = Counter::new(0);

/// How many of them a thread takes at once.
const AT_ONCE: u64 = 1024;

/// A prepared message as a message.
fn lend(message: &PreparedMessage) -> MessageRef<'_> {
    match message.kind() {
        // It was text when it was prepared.
        MessageKind::Text => MessageRef::Text(simdutf8::basic::from_utf8(message.payload()).unwrap_or_default()),
        MessageKind::Binary => MessageRef::Binary(message.payload()),
    }
}
