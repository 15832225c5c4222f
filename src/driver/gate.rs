//! The gate of a server: how many may be in, and how all are asked to leave.
//!
//! Whoever comes in takes a [`Seat`], first for its opening handshake and then for its connection, and gives it back when
//! it is dropped. A server that stops lets nobody in any more, answers the handshakes in progress with 503, and tells
//! the connections to close: all at once, or a few at a time, so that their clients do not come back all at once.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::net::IpAddr;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::HashMap;

use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};
use super::transport::Timer;
use super::wakers::Wakers;
use crate::close::{Close, CloseCode};
use crate::handshake::Rejection;

/// Counts those who are in, refuses those who are too many, and empties the house. Clones are the same gate.
///
/// Give it to an [`Acceptor`](super::Acceptor), and keep a clone to stop the server:
///
/// ```
/// use sockeye::driver::{Gate, Limits};
///
/// let mut limits = Limits::default();
/// limits.connections_per_peer = 1;
/// let gate = Gate::new(limits);
/// let home = "127.0.0.1".parse()?;
/// let seat = gate.admit(Some(home))?;
/// assert_eq!(gate.admit(Some(home)).unwrap_err().status(), 429);
/// drop(seat);
/// assert!(gate.admit(Some(home)).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

/// How many may be in. By default only handshakes are limited.
///
/// ```
/// use sockeye::driver::{Gate, Limits};
///
/// let mut limits = Limits::default();
/// limits.connections = 10_000;
/// let gate = Gate::new(limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most connections, those in their opening handshake among them. Others are refused with 503. Default
    /// `usize::MAX`: as many as there are file descriptors.
    pub connections: usize,
    /// The most connections from one address. Others are refused with 429. Default `usize::MAX`, because many users can
    /// share one address. Where a proxy stands in front, all come from its address; and who has an IPv6 network has many.
    pub connections_per_peer: usize,
    /// The most opening handshakes in progress. Others are refused with 503. Default 1,024. As many who are refused, for
    /// whichever reason, are told so at a time, for up to two seconds each; the streams of others are just closed.
    pub handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: usize::MAX, connections_per_peer: usize::MAX, handshakes: 1024 }
    }
}

/// How the house is emptied.
///
/// ```
/// use core::time::Duration;
/// use sockeye::driver::Drain;
///
/// let mut drain = Drain::default();   // all at once, 1001, ten seconds
/// (drain.batch, drain.interval) = (10_000, Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// The Close that connections get: 1001 by default; [`CloseCode::SERVICE_RESTART`] says that coming back helps.
    pub close: Close,
    /// How many connections are told at a time. Default `usize::MAX`: all at once.
    pub batch: usize,
    /// The time from one batch to the next. Default one second.
    pub interval: Duration,
    /// How much longer or shorter than `interval` the time between two batches is at most, at random, in percent of it, up to
    /// 100: so that the clients of many servers do not come back all at once. Default 50.
    pub jitter: u8,
    /// How long the connections have to close, from when the last one was told. Those that are left are aborted: their
    /// receives and sends fail. Default 10 seconds.
    pub patience: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            close: Close::bare(CloseCode::GOING_AWAY),
            batch: usize::MAX,
            interval: Duration::from_secs(1),
            jitter: 50,
            patience: Duration::from_secs(10),
        }
    }
}

/// What came of emptying the house.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections and handshakes that were gone in time, in order or not.
    pub ended: usize,
    /// Those that had to be aborted.
    pub aborted: usize,
}

/// A place at the gate, given back when it is dropped.
///
/// ```
/// use sockeye::driver::{Gate, Limits};
///
/// let gate = Gate::new(Limits::default());
/// let seat = gate.admit(None).expect("there is room");
/// assert_eq!((gate.connections(), gate.handshakes()), (1, 1));   // until the opening handshake is done
/// drop(seat);
/// assert_eq!(gate.connections(), 0);
/// ```
#[derive(Debug)]
pub struct Seat {
    number: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether anybody has been told anything: looked at without the lock.
    has_orders: AtomicBool,
    house: Mutex<House>,
}

#[derive(Debug, Default)]
struct House {
    limits: Limits,
    is_stopping: bool,
    next_number: u64,
    handshakes: usize,
    /// How many are being told that they are not let in.
    refusals: usize,
    seats: HashMap<u64, Taken>,
    peers: HashMap<IpAddr, usize>,
    /// Who waits for the house to be empty.
    drainers: Vec<Waker>,
}

/// A seat that is taken.
#[derive(Debug)]
struct Taken {
    peer: Option<IpAddr>,
    is_handshake: bool,
    wakers: Arc<Wakers>,
    order: Option<Order>,
    was_told: bool,
}

/// What a connection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Close(Close),
    Abort,
}

impl Gate {
    /// Creates a gate.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let house = House { limits, ..House::default() };
        Self { shared: Arc::new(Shared { has_orders: AtomicBool::new(false), house: Mutex::new(house) }) }
    }

    /// Changes the limits, for those who come from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.lock().limits = limits;
    }

    /// Lets somebody in, from this address, for an opening handshake.
    ///
    /// # Errors
    ///
    /// The answer for who is refused: 503 or 429.
    pub fn admit(&self, peer: Option<IpAddr>) -> Result<Seat, Rejection> {
        // One address in both of its forms is one.
        let peer = peer.map(|peer| peer.to_canonical());
        let mut house = self.shared.lock();
        let House { limits, is_stopping, handshakes, seats, peers, .. } = &mut *house;
        let from_peer = peer.and_then(|peer| peers.get(&peer)).copied().unwrap_or(0);
        if *is_stopping || seats.len() >= limits.connections || *handshakes >= limits.handshakes {
            return Err(unavailable());
        }
        if peer.is_some() && from_peer >= limits.connections_per_peer {
            return Err(Rejection::with_status(429).body("Too many connections from this address.\n"));
        }
        if let Some(peer) = peer {
            peers.insert(peer, from_peer + 1);
        }
        house.handshakes += 1;
        house.next_number += 1;
        let number = house.next_number;
        let taken = Taken { peer, is_handshake: true, wakers: Arc::default(), order: None, was_told: false };
        house.seats.insert(number, taken);
        drop(house);
        Ok(Seat { number, shared: self.shared.clone() })
    }

    /// Takes note that somebody who is not let in is being told so; `None` if too many are.
    pub(super) fn refuse(&self) -> Option<Refusing> {
        let mut house = self.shared.lock();
        if house.refusals >= house.limits.handshakes {
            return None;
        }
        house.refusals += 1;
        drop(house);
        Some(Refusing { shared: self.shared.clone() })
    }

    /// Lets nobody in any more, and answers the handshakes in progress with 503. [`Self::drain`] begins with it.
    pub fn stop(&self) {
        let mut house = self.shared.lock();
        house.is_stopping = true;
        self.shared.has_orders.store(true, Ordering::Release);
        let handshakes = house.seats.values().filter(|taken| taken.is_handshake);
        let wakers: Vec<_> = handshakes.map(|taken| taken.wakers.clone()).collect();
        drop(house);
        wakers.iter().for_each(|wakers| wakers.wake_all());
    }

    /// Returns whether [`Self::stop`] was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.lock().is_stopping
    }

    /// Returns how many are in, those in their opening handshake among them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().seats.len()
    }

    /// Returns how many are in their opening handshake.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.shared.lock().handshakes
    }

    /// Empties the house: stops, tells the connections to close, and waits until all are gone or time is up.
    ///
    /// A connection closes while it receives, once all that has arrived was received; then that receive gives `None`. What
    /// its peer sends before it has learned of that is dropped, because nobody could answer it any more. The halves of a
    /// connection that send get [`SendError::Closed`](crate::SendError::Closed).
    ///
    /// # Cancel safety
    ///
    /// Who was told stays told; another call goes on with the others.
    pub async fn drain(&self, timer: impl Timer, drain: Drain) -> Drained {
        let mut timer = pin!(timer);
        self.stop();
        let before = self.connections();
        loop {
            let is_last = self.tell(drain.batch.max(1), &Order::Close(drain.close.clone()));
            if is_last {
                break;
            }
            let jitter = f64::from(drain.jitter.min(100)) / 100.0;
            let factor = rand::random_range(1.0 - jitter..=1.0 + jitter);
            let pause = Duration::try_from_secs_f64(drain.interval.as_secs_f64() * factor).unwrap_or(Duration::MAX);
            if self.wait_empty(&mut *timer, pause).await {
                break;
            }
        }
        self.wait_empty(&mut *timer, drain.patience).await;
        let aborted = self.connections();
        self.abort();
        Drained { ended: before.saturating_sub(aborted), aborted }
    }

    /// Aborts every connection: their receives and sends fail at once.
    pub fn abort(&self) {
        self.stop();
        self.tell(usize::MAX, &Order::Abort);
    }

    /// Tells so many more; returns whether these were the last.
    fn tell(&self, count: usize, order: &Order) -> bool {
        let mut house = self.shared.lock();
        let may_be_told = |taken: &&mut Taken| !taken.was_told || (*order == Order::Abort);
        let mut left = house.seats.values_mut().filter(may_be_told);
        let mut wakers = Vec::new();
        for taken in left.by_ref().take(count) {
            taken.was_told = true;
            taken.order = Some(order.clone());
            wakers.push(taken.wakers.clone());
        }
        let is_last = left.next().is_none();
        drop(house);
        wakers.iter().for_each(|wakers| wakers.wake_all());
        is_last
    }

    /// Waits until nobody is in, no longer than so long; returns whether nobody is.
    async fn wait_empty(&self, timer: &mut impl Timer, most: Duration) -> bool {
        let until = timer.now() + most;
        poll_fn(|cx: &mut Context<'_>| {
            let mut house = self.shared.lock();
            if house.seats.is_empty() {
                return Poll::Ready(true);
            }
            if !house.drainers.iter().any(|drainer| drainer.will_wake(cx.waker())) {
                house.drainers.push(cx.waker().clone());
            }
            drop(house);
            timer.poll_until(until, cx).map(|()| false)
        })
        .await
    }
}

impl Seat {
    /// Takes note that the opening handshake is over and the connection begins.
    pub(super) fn open(&self) {
        let mut house = self.shared.lock();
        if let Some(taken) = house.seats.get_mut(&self.number) {
            if core::mem::replace(&mut taken.is_handshake, false) {
                house.handshakes -= 1;
            }
        }
    }

    /// Whether the handshake is to be answered with 503.
    pub(super) fn is_stopping(&self) -> bool {
        self.shared.has_orders.load(Ordering::Acquire) && self.shared.lock().is_stopping
    }

    /// What the connection is told, once. A Close is told only where the connection `may_close` now.
    pub(super) fn take_order(&self, may_close: bool) -> Option<Order> {
        if !self.shared.has_orders.load(Ordering::Acquire) {
            return None;
        }
        self.shared.lock().seats.get_mut(&self.number)?.order.take_if(|order| may_close || *order == Order::Abort)
    }

    /// Those who wait on this seat.
    pub(super) fn wakers(&self) -> Arc<Wakers> {
        let house = self.shared.lock();
        house.seats.get(&self.number).map_or_else(Arc::default, |taken| taken.wakers.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut house = self.shared.lock();
        let Some(taken) = house.seats.remove(&self.number) else { return };
        house.handshakes -= usize::from(taken.is_handshake);
        if let Some(peer) = taken.peer {
            if let Some(count) = house.peers.get_mut(&peer) {
                *count -= 1;
                if *count == 0 {
                    house.peers.remove(&peer);
                }
            }
        }
        let drainers = if house.seats.is_empty() { core::mem::take(&mut house.drainers) } else { Vec::new() };
        drop(house);
        drainers.into_iter().for_each(Waker::wake);
    }
}

/// The right to be told that one is not let in.
#[derive(Debug)]
pub(super) struct Refusing {
    shared: Arc<Shared>,
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.shared.lock().refusals -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, House> {
        self.house.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer for who comes at a bad time.
pub(super) fn unavailable() -> Rejection {
    Rejection::with_status(503).body("No room at present, or about to stop.\n")
}
