//! Happy Eyeballs (RFC 8305): in which order and at which time the addresses of a host are tried. The policy, without I/O.
//!
//! It is told what happened (addresses were found, an attempt failed) and says what is to be done next; time is passed in. What drives
//! it looks names up and makes the attempts: [`race`](super::race) on tokio, [`blocking`](super::blocking) on threads.
//!
//! ```text
//!  A and AAAA asked at once ─▶ the first answers ─▶ (only the other family: wait for the preferred one, 50 ms at most)
//!     ─▶ attempt ─ 250 ms, or it fails ─▶ attempt on the other family ─ 250 ms, or it fails ─▶ ...
//!     └─▶ the first that connects wins, and all others are dropped
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::options::{Family, HappyEyeballs};
use crate::time::Instant;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin an attempt, and ask again.
    Connect(SocketAddr),
    /// Wait for what is under way, and ask again at that time at the latest.
    Wait(Option<Instant>),
    /// Give up.
    Fail(Failure),
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name has no address.
    NoAddress,
    /// No address was found in time.
    LookupTimedOut { after: Duration },
    /// No attempt came to anything in time.
    ConnectTimedOut { after: Duration },
    /// All attempts failed.
    AllFailed,
}

/// The race of the attempts.
#[derive(Debug)]
pub(super) struct Race {
    options: HappyEyeballs,
    lookup: Limit,
    connect: Limit,
    /// When all of it is to be over.
    end: Option<Instant>,
    v4: Lane,
    v6: Lane,
    /// Whose turn it is, if both have addresses.
    turn: Family,
    /// How many attempts are under way.
    under_way: usize,
    /// When the next attempt may begin beside those that are under way; `None` before the first.
    next_attempt: Option<Instant>,
    /// Until when the preferred family is waited for.
    hold: Option<Instant>,
}

/// A time that something may take.
#[derive(Clone, Copy, Debug)]
struct Limit {
    timeout: Option<Duration>,
    /// `None` if it has not begun, or may take for ever.
    deadline: Option<Instant>,
}

impl Limit {
    const fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, deadline: None }
    }

    /// Begins; it ends at `end` at the latest.
    fn begin(&mut self, now: Instant, end: Option<Instant>) {
        let own = self.timeout.map(|timeout| now + timeout);
        self.deadline = [own, end].into_iter().flatten().min();
        self.timeout = self.deadline.map(|deadline| deadline - now);
    }

    /// Returns the timeout if it is over.
    fn over(self, now: Instant) -> Option<Duration> {
        if now >= self.deadline? { self.timeout } else { None }
    }
}

/// The addresses of one family.
#[derive(Debug, Default)]
struct Lane {
    state: LaneState,
    /// What is still to be tried.
    queue: VecDeque<SocketAddr>,
}

/// How far the question for addresses is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LaneState {
    #[default]
    Asked,
    Answered,
    /// Its time is over.
    Late,
}

impl Race {
    /// Begins: both families have been asked for. `lookup` is the time for the addresses, `connect` that from the first attempt on, and
    /// `left` that for all of it.
    pub(super) fn new(
        options: HappyEyeballs,
        lookup: Option<Duration>,
        connect: Option<Duration>,
        left: Option<Duration>,
        now: Instant,
    ) -> Self {
        let end = left.map(|left| now + left);
        let mut lookup = Limit::new(lookup);
        lookup.begin(now, end);
        Self {
            options,
            lookup,
            connect: Limit::new(connect),
            end,
            v4: Lane::default(),
            v6: Lane::default(),
            turn: options.prefer,
            under_way: 0,
            next_attempt: None,
            hold: None,
        }
    }

    /// The addresses of a family were found; none, if it has none or could not be asked for. Those that come after the time for it count,
    /// too, if there is still a race.
    pub(super) fn handle_addresses(&mut self, family: Family, addresses: Vec<SocketAddr>, now: Instant) {
        let max = self.options.max_addresses.max(1);
        let lane = self.lane(family);
        lane.state = LaneState::Answered;
        for address in addresses {
            if lane.queue.len() >= max {
                break;
            }
            if !lane.queue.contains(&address) {
                lane.queue.push_back(address);
            }
        }
        let has_addresses = !lane.queue.is_empty();
        if family != self.options.prefer && has_addresses {
            self.hold = Some(now + self.options.resolution_delay);
        }
    }

    /// An attempt failed: the next one begins at once.
    pub(super) fn handle_failure(&mut self, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        self.next_attempt = Some(now);
    }

    /// Says what is to be done now.
    pub(super) fn poll(&mut self, now: Instant) -> Step {
        if let Some(after) = self.connect.over(now) {
            return Step::Fail(Failure::ConnectTimedOut { after });
        }
        if self.lookup.over(now).is_some() {
            self.v4.give_up();
            self.v6.give_up();
        }
        if self.v4.queue.is_empty() && self.v6.queue.is_empty() {
            return self.without_addresses();
        }
        let wait = match (self.next_attempt, self.hold) {
            // §3: the preferred family is given a moment, but only before the first attempt.
            (None, Some(hold)) if self.lane(self.options.prefer).state == LaneState::Asked && now < hold => Some(hold),
            (Some(next), _) if self.under_way > 0 && now < next => Some(next),
            _ => None,
        };
        match (wait, wait.is_none().then(|| self.take()).flatten()) {
            (None, Some(address)) => {
                self.under_way += 1;
                if self.next_attempt.is_none() {
                    self.connect.begin(now, self.end);
                }
                self.next_attempt = Some(now + self.options.attempt_delay);
                Step::Connect(address)
            }
            (until, _) => Step::Wait(self.earliest(until)),
        }
    }

    /// What to do where there is no address to try.
    fn without_addresses(&self) -> Step {
        let is_asked = self.is_asked();
        if is_asked || self.under_way > 0 {
            return Step::Wait(self.earliest(None));
        }
        let is_late = self.v4.state == LaneState::Late || self.v6.state == LaneState::Late;
        Step::Fail(match (self.next_attempt, self.lookup.timeout) {
            (Some(_), _) => Failure::AllFailed,
            (None, Some(after)) if is_late => Failure::LookupTimedOut { after },
            (None, _) => Failure::NoAddress,
        })
    }

    /// Takes the next address, from each family in turn.
    fn take(&mut self) -> Option<SocketAddr> {
        for family in [self.turn, self.turn.other()] {
            if let Some(address) = self.lane(family).queue.pop_front() {
                self.turn = family.other();
                return Some(address);
            }
        }
        None
    }

    fn earliest(&self, until: Option<Instant>) -> Option<Instant> {
        let lookup = self.lookup.deadline.filter(|_| self.is_asked());
        [until, lookup, self.connect.deadline].into_iter().flatten().min()
    }

    fn is_asked(&self) -> bool {
        self.v4.state == LaneState::Asked || self.v6.state == LaneState::Asked
    }

    const fn lane(&mut self, family: Family) -> &mut Lane {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

impl Lane {
    fn give_up(&mut self) {
        if self.state == LaneState::Asked {
            self.state = LaneState::Late;
        }
    }
}

#[cfg(test)]
mod tests;
