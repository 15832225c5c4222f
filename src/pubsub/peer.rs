//! A connection as the hub knows it: its state, its topics, and what it is to look at when it is woken.
//!
//! Two things are here to be found by others: the mailbox, in which publishers mark topics that have news, and the attachments,
//! which say where the connection is in each of its topics. A topic marks only who is asleep there, and who has a mark is awake:
//! there is one for each topic, and more only where the connection has left it and come back meanwhile.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::AtomicBool;
use core::task::Waker;

use super::attachments::{Attachment, Attachments};
use super::marks::{Mark, Marks};
use super::pattern::Pattern;
use super::post::Topic;
use super::sync::{Mutex, MutexGuard, Ordering, lock};
use super::told::NAMED;
use crate::close::Close;

/// A connection that has joined a hub: cheap to clone, and equal to itself only. It outlives the connection.
///
/// ```
/// use sockeye::pubsub::Hub;
/// use sockeye::{Close, CloseCode, Error};
///
/// struct User {
///     name: String,
/// }
///
/// /// Closes the connections of somebody who has to leave a room.
/// fn expel(hub: &Hub<User>, room: &str, name: &str) -> Result<(), Error> {
///     let close = Close::new(CloseCode::POLICY_VIOLATION, "you have to leave")?;
///     for peer in hub.present(room).iter().filter(|peer| peer.state().name == name) {
///         peer.close(close.clone());
///     }
///     Ok(())
/// }
/// ```
pub struct Peer<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    id: u64,
    state: S,
    /// Whether there are orders: looked at without the lock, and again under it by who goes to sleep.
    has_orders: AtomicBool,
    mailbox: Mutex<Mailbox<S>>,
}

/// What others have for a connection.
pub(super) struct Mailbox<S> {
    /// Topics with news, and since when: the oldest first.
    marks: Marks,
    /// The task, if it waits.
    waker: Option<Waker>,
    orders: Option<Box<Orders>>,
    pub(super) attachments: Attachments<Attachment<S>>,
    /// The patterns that it subscribes to, and how many topics by name.
    pub(super) patterns: Vec<Pattern>,
    pub(super) named: u32,
    /// Whether the connection has left.
    pub(super) is_gone: bool,
}

/// What is told seldom.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// It is to close.
    pub(super) close: Option<Close>,
    /// Because it missed messages of this topic.
    pub(super) overrun: Option<Arc<str>>,
    /// Messages of these are lost: of few topics, and of what the connection subscribes to, at most.
    pub(super) gaps: Vec<Lost>,
    /// So many messages went with topics that a pattern matched, and vanished: as many as the connection has patterns, at most.
    pub(super) vanished: Vec<(Arc<str>, u64)>,
}

/// A topic of which messages are lost.
#[derive(Debug)]
pub(super) struct Lost {
    topic: Arc<str>,
    /// What the connection subscribes to: the topic, or a pattern.
    wish: Arc<str>,
}

impl Lost {
    /// A topic that was subscribed to by its name.
    pub(super) fn named(topic: Arc<str>) -> Self {
        Self { wish: topic.clone(), topic }
    }

    /// Whether who is told this name is told of it.
    pub(super) fn is_told_by(&self, name: &Arc<str>) -> bool {
        *name == self.topic || *name == self.wish
    }

    /// By which name it is told of where so much is told already.
    pub(super) fn name(&self, told: usize) -> &Arc<str> {
        if told < NAMED { &self.topic } else { &self.wish }
    }
}

impl Orders {
    /// Adds a topic of which messages are lost, once.
    fn tell_gap(&mut self, mut lost: Lost) {
        if !self.gaps.iter().any(|known| lost.is_told_by(&known.topic)) {
            lost.topic = lost.name(self.gaps.len()).clone();
            self.gaps.push(lost);
        }
    }

    /// Adds messages that went with a topic.
    pub(super) fn tell_vanished(&mut self, pattern: &Arc<str>, messages: u64) {
        match self.vanished.iter_mut().find(|(known, _)| known == pattern) {
            Some((_, before)) => *before += messages,
            None => self.vanished.push((pattern.clone(), messages)),
        }
    }
}

/// Whether a connection has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    None,
    News,
}

impl<S> Peer<S> {
    pub(super) fn new(id: u64, state: S) -> Self {
        let mailbox = Mailbox {
            marks: Marks::default(),
            waker: None,
            orders: None,
            attachments: Attachments::default(),
            patterns: Vec::new(),
            named: 0,
            is_gone: false,
        };
        let has_orders = AtomicBool::new(false);
        Self { inner: Arc::new(Inner { id, state, has_orders, mailbox: Mutex::new(mailbox) }) }
    }

    /// Returns the number of the connection, which no other of its hub has had or will have.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// Returns the application's state of the connection.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.inner.state
    }

    /// Lets the connection leave the hub and close, the next time that [`Member::next`](super::Member::next) is polled, or at once if
    /// it waits for the client in [`Member::send`](super::Member::send): that ends with an error. It may be closed already.
    pub fn close(&self, close: Close) {
        self.order(|orders| {
            orders.close.get_or_insert(close);
        });
    }

    pub(super) fn mailbox(&self) -> MutexGuard<'_, Mailbox<S>> {
        lock(&self.inner.mailbox)
    }

    /// Says that a topic has news: the task that is to be woken for that, if it waits.
    pub(super) fn mark(&self, mark: Mark) -> Option<Waker> {
        let mut mailbox = self.mailbox();
        mailbox.marks.push(mark);
        mailbox.waker.take()
    }

    /// Changes what the connection is told seldom, and wakes it.
    pub(super) fn order(&self, change: impl FnOnce(&mut Orders)) {
        let waker = self.order_in(&mut self.mailbox(), change);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Tells it that messages of a topic are lost, if it is in that: the task that is to be woken for it, if it waits.
    #[must_use]
    pub(super) fn tell_gap(&self, topic: &Topic<S>) -> Option<Waker> {
        let mut mailbox = self.mailbox();
        let wish = mailbox.wish(topic.id, &topic.name)?;
        let lost = Lost { topic: topic.name.clone(), wish };
        self.order_in(&mut mailbox, |orders| orders.tell_gap(lost))
    }

    /// Whether there is something that it is told and has not taken.
    pub(super) fn has_orders(&self) -> bool {
        self.inner.has_orders.load(Ordering::Relaxed)
    }

    fn order_in(&self, mailbox: &mut Mailbox<S>, change: impl FnOnce(&mut Orders)) -> Option<Waker> {
        change(mailbox.orders.get_or_insert_default());
        self.inner.has_orders.store(true, Ordering::Relaxed);
        mailbox.waker.take()
    }

    /// Takes note that a topic has vanished that it was in by patterns only, with messages that it was not sent: the task that is to
    /// be told of these, if it waits.
    pub(super) fn lose(&self, topic: &Topic<S>, messages: u64, is_strict: bool) -> Option<Waker> {
        let mut mailbox = self.mailbox();
        mailbox.forget(topic.id);
        if messages == 0 || mailbox.is_gone {
            return None;
        }
        let pattern = mailbox.pattern_for(&topic.name);
        self.order_in(&mut mailbox, |orders| match pattern {
            _ if is_strict => orders.overrun = Some(topic.name.clone()),
            pattern => orders.tell_vanished(&pattern.unwrap_or_else(|| topic.name.clone()), messages),
        })
    }

    /// Takes what it is told.
    pub(super) fn take_orders(&self) -> Option<Box<Orders>> {
        if !self.has_orders() {
            return None;
        }
        let mut mailbox = self.mailbox();
        self.inner.has_orders.store(false, Ordering::Relaxed);
        mailbox.orders.take()
    }

    /// Lets it be woken, unless there is something to do already. `is_stuck` says that news have to wait.
    pub(super) fn wait(&self, waker: &Waker, is_stuck: bool) -> Attention {
        let mut mailbox = self.mailbox();
        if mailbox.orders.is_some() || (!is_stuck && !mailbox.marks.is_empty()) {
            return Attention::News;
        }
        let old = match &mailbox.waker {
            Some(known) if known.will_wake(waker) => None,
            _ => mailbox.waker.replace(waker.clone()),
        };
        drop(mailbox);
        // It may be the last of its task.
        drop(old);
        Attention::None
    }
}

impl<S> Mailbox<S> {
    /// Takes the oldest mark that is no newer than `until`; with it, when the next one begins.
    pub(super) fn take_mark(&mut self, until: u64) -> Option<(Mark, Option<u64>)> {
        if self.marks.peek()?.stamp > until {
            return None;
        }
        let mark = self.marks.pop()?;
        Some((mark, self.next_mark()))
    }

    /// When the oldest mark is from.
    pub(super) fn next_mark(&self) -> Option<u64> {
        self.marks.peek().map(|mark| mark.stamp)
    }

    /// What the connection subscribes to that a topic is in it: its name, or a pattern.
    pub(super) fn wish(&self, topic: u64, name: &Arc<str>) -> Option<Arc<str>> {
        let at = self.attachments.get(topic)?;
        if at.is_named { Some(name.clone()) } else { self.pattern_for(name) }
    }

    /// A pattern that it subscribes to and that matches a name.
    fn pattern_for(&self, name: &str) -> Option<Arc<str>> {
        self.patterns.iter().find(|pattern| pattern.matches(name)).map(Pattern::text).cloned()
    }

    /// Puts a mark in.
    pub(super) fn put_mark(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    /// Takes a topic out that has vanished or is left, and its mark at some time: who does not look at its marks has not more of them
    /// than twice its topics.
    pub(super) fn forget(&mut self, topic: u64) {
        self.attachments.remove(topic);
        if self.attachments.len() == 0 {
            self.marks = Marks::default();
        } else if self.marks.len() > 2 * self.attachments.len() + 64 {
            let Self { marks, attachments, .. } = self;
            marks.retain(|mark| attachments.get(mark.topic).is_some());
        }
    }

    /// The task that waits, to be woken.
    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    /// Takes everything out, when the connection leaves.
    pub(super) fn leave(&mut self) -> Attachments<Attachment<S>> {
        self.is_gone = true;
        self.marks = Marks::default();
        core::mem::take(&mut self.attachments)
    }
}

impl<S> Clone for Peer<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S> PartialEq for Peer<S> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl<S> Eq for Peer<S> {}

impl<S: fmt::Debug> fmt::Debug for Peer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("id", &self.inner.id).field("state", &self.inner.state).finish_non_exhaustive()
    }
}
