//! The way from what the application holds to the core: direct, or shared between tasks behind a lock.
//!
//! The lock is held for one step, in which nothing waits. The stream is polled in it, as both of its directions need it
//! whole, and encoders and sources of keys run in it; wakers and what is dropped come after it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use std::io::ErrorKind;

use super::core::{Core, Wakes};
use super::negotiated::Negotiated;
use super::outgoing::Outgoing;
use super::sync::{Mutex, MutexGuard, PoisonError};
use super::transport::Transport;
use crate::adapter::Inbox;
use crate::message::MessageRef;

/// A core that several tasks use.
#[derive(Debug)]
pub(super) struct Shared<T: Transport> {
    core: Mutex<Core<T>>,
    pub(super) negotiated: Option<Box<Negotiated>>,
}

impl<T: Transport> Shared<T> {
    pub(super) fn new(core: Core<T>, negotiated: Option<Box<Negotiated>>) -> Arc<Self> {
        Arc::new(Self { core: Mutex::new(core), negotiated })
    }

    /// Lets `f` take a step.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Core<T>) -> R) -> R {
        // Dropped last, when the lock is free again.
        let mut late = Late(None);
        let mut core = self.lock();
        let mut step = Step { core: &mut core, late: &mut late, is_whole: false };
        let result = f(step.core);
        step.is_whole = true;
        result
    }

    /// Gives the core for what needs no step: it runs no code of others, wakes nobody and drops nothing of theirs.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core<T>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends the whole message that is there; the lock is held once for both.
    pub(super) fn lend_whole<'i>(&self, inbox: &'i mut Inbox) -> Look<'i> {
        let mut core = self.lock();
        if core.has_message(inbox) { Look::Lent(core.lend_whole(inbox)) } else { Look::NotThere(inbox) }
    }

    /// Gives the core back.
    pub(super) fn into_parts(self) -> (Core<T>, Option<Box<Negotiated>>) {
        (self.core.into_inner().unwrap_or_else(PoisonError::into_inner), self.negotiated)
    }
}

/// What a look at the inbox gave.
#[derive(Debug)]
pub(super) enum Look<'i> {
    /// A whole message; `None` if it turned out to be wrong, and the connection is to be taken down.
    Lent(Option<MessageRef<'i>>),
    /// No whole message yet. The inbox is given back, for the borrow of a message would last.
    NotThere(&'i mut Inbox),
}

/// A core at hand, or one that is shared.
#[derive(Debug)]
pub(super) enum Handle<'c, T: Transport> {
    Direct(&'c mut Core<T>),
    Shared(&'c Shared<T>),
}

impl<T: Transport> Handle<'_, T> {
    /// Lets `f` take a step.
    pub(super) fn with<R>(&mut self, f: impl FnOnce(&mut Core<T>) -> R) -> R {
        match self {
            Self::Direct(core) => step(core, f),
            Self::Shared(shared) => shared.with(f),
        }
    }

    /// Queues a message where that needs no step; whether it did.
    #[inline(always)]
    pub(super) fn queue_at_once(&mut self, message: &Outgoing<'_>) -> bool {
        match self {
            Self::Direct(core) => core.queue_at_once(message),
            Self::Shared(shared) => shared.lock().queue_at_once(message),
        }
    }
}

/// A step under way. If it panics, which can only come from the transport, an encoder or a source of keys, a frame may have
/// broken off: then the connection has failed, for all who use it.
struct Step<'s, T: Transport> {
    core: &'s mut Core<T>,
    late: &'s mut Late<T>,
    is_whole: bool,
}

impl<T: Transport> Drop for Step<'_, T> {
    fn drop(&mut self) {
        if !self.is_whole {
            self.core.fail(ErrorKind::Other);
        }
        self.late.0 = self.core.wakes();
    }
}

/// What is to be done after a step.
struct Late<T>(Option<Wakes<T>>);

impl<T> Drop for Late<T> {
    fn drop(&mut self) {
        if let Some(wakes) = self.0.take() {
            wakes.wake();
        }
    }
}

/// Lets `f` take a step on a core at hand.
pub(super) fn step<T: Transport, R>(core: &mut Core<T>, f: impl FnOnce(&mut Core<T>) -> R) -> R {
    let mut late = Late(None);
    let mut step = Step { core, late: &mut late, is_whole: false };
    let result = f(step.core);
    step.is_whole = true;
    result
}
