//! Who waits for a connection, and the one waker that stands for all of them.
//!
//! A stream keeps one waker for each direction, and a timer keeps one, but several tasks may wait for a connection: the
//! one that receives and any number that send. If each gave its own waker to the stream, the last would push out the
//! others. So the stream (for writing) and the timer get a waker that wakes everybody; only reading, which one task
//! alone does, goes without it.

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::task::Waker;

use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};

/// The tasks that wait for a connection.
///
/// A waker stays until it is woken, even if its task no longer cares; then it wakes for nothing, which is harmless. No
/// task is listed twice.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    waiting: Mutex<Waiting>,
    /// Whether the stream or the timer has woken everybody, for those who did not wait then.
    was_woken: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    receiver: Option<Waker>,
    senders: Vec<Waker>,
}

impl Wakers {
    /// Lets the task that receives be woken. Gives back the waker of another one that did before, to be dropped where no
    /// lock is held.
    #[must_use]
    pub(super) fn set_receiver(&self, waker: &Waker) -> Option<Waker> {
        let mut waiting = self.lock();
        match &mut waiting.receiver {
            Some(receiver) if receiver.will_wake(waker) => None,
            receiver => receiver.replace(waker.clone()),
        }
    }

    /// Lets a task that sends be woken. Where too many are listed, gives them back to be woken where no lock is held: those
    /// who no longer care are told apart from others only by that.
    #[must_use]
    pub(super) fn add_sender(&self, waker: &Waker) -> Vec<Waker> {
        let mut waiting = self.lock();
        if waiting.senders.iter().any(|sender| sender.will_wake(waker)) {
            return Vec::new();
        }
        let listed = if waiting.senders.len() < LISTED { Vec::new() } else { core::mem::take(&mut waiting.senders) };
        waiting.senders.push(waker.clone());
        listed
    }

    /// Whether the stream or the timer has woken everybody since this was last asked.
    pub(super) fn take_woken(&self) -> bool {
        self.was_woken.load(Ordering::Relaxed) && self.was_woken.swap(false, Ordering::AcqRel)
    }

    /// Wakes the tasks that send.
    pub(super) fn wake_senders(&self) {
        let senders = core::mem::take(&mut self.lock().senders);
        // Not under the lock: what a waker does is not ours to know.
        senders.into_iter().for_each(Waker::wake);
    }

    /// Wakes the task that receives.
    pub(super) fn wake_receiver(&self) {
        let receiver = self.lock().receiver.take();
        receiver.into_iter().for_each(Waker::wake);
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        let Waiting { receiver, senders } = core::mem::take(&mut *self.lock());
        receiver.into_iter().chain(senders).for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most tasks that are listed as sending. Beyond that, those who still wait are listed anew.
const LISTED: usize = 1024;

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.was_woken.store(true, Ordering::Release);
        self.wake_all();
    }
}
