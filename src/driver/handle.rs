//! The way from what the application holds to the core: direct, or shared between tasks behind a lock.
//!
//! The lock is held for one step, in which nothing waits and nothing of the application runs; those who are to be woken
//! by it are woken after it.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::core::Core;
use super::socket::Negotiated;
use super::sync::{Mutex, PoisonError};
use super::transport::Transport;

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
        // A panic in here can only come from the transport, an encoder or a source of keys; what they leave is whole.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut core);
        let wakes = core.wakes();
        drop(core);
        wakes.wake();
        result
    }

    /// Gives the core back.
    pub(super) fn into_parts(self) -> (Core<T>, Option<Box<Negotiated>>) {
        (self.core.into_inner().unwrap_or_else(PoisonError::into_inner), self.negotiated)
    }
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
}

/// Lets `f` take a step on a core at hand.
pub(super) fn step<T: Transport, R>(core: &mut Core<T>, f: impl FnOnce(&mut Core<T>) -> R) -> R {
    let result = f(core);
    core.wakes().wake();
    result
}
