//! Deadlines as pure logic: what is due at which time, given what the connection has seen.
//!
//! Receiving and sending never look at a clock and never touch this file. What happened between two calls of
//! [`Keepalive::handle`] is noticed at the second one, by comparing counters, and counts as of then: so a timer is
//! never re-armed for a message, and a deadline can come late by the time between two calls but never early.

use core::time::Duration;

use crate::config::Config;
use crate::connection::receiver::Incomplete;
use crate::time::{Instant, Timeout};

/// The times that deadlines run from.
#[derive(Debug, Default)]
pub(crate) struct Keepalive {
    /// When the clock was first seen.
    started: Option<Instant>,
    /// When bytes were last noticed, and how many had been received in all by then.
    last_received: Instant,
    seen_bytes: u64,
    /// When a ping of the keepalive was last sent.
    last_ping: Instant,
    ping: Option<Ping>,
    /// Number of the newest ping, also its payload.
    pings: u64,
    /// Number of the newest ping that was answered.
    answered: u64,
    round_trip: Option<Duration>,
    /// Since when a message is incomplete, and which one.
    message: Option<(Instant, Incomplete)>,
    /// Since when nothing of the output that waits was taken, and how many bytes had been written in all by then.
    stalled: Option<(Instant, i64)>,
    closing_since: Option<Instant>,
}

/// The newest ping.
#[derive(Clone, Copy, Debug)]
struct Ping {
    stage: PingStage,
    /// When it was last known not to have been flushed: the best that is known of when it went out.
    waited_at: Option<Instant>,
    pong_received: bool,
    /// Bytes received before it was flushed; any beyond these prove that the peer lives.
    seen_bytes: u64,
}

/// How far a ping has come.
#[derive(Clone, Copy, Debug)]
enum PingStage {
    /// Appended to the output at an unknown time.
    Appended,
    /// Noticed in the output at this time.
    Queued(Instant),
    /// Flushed by this time, so that the peer can answer.
    Flushed(Instant),
}

/// What the connection has seen, in so far as deadlines depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) received_bytes: u64,
    pub(crate) incomplete: Option<Incomplete>,
    pub(crate) is_open: bool,
    pub(crate) is_output_empty: bool,
    /// How many bytes were written in all, give or take a constant.
    pub(crate) written_bytes: i64,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send the ping with this number.
    Ping(u64),
    /// This deadline passed.
    Expired(Timeout),
}

impl Keepalive {
    /// Takes note of the time and of what happened since; says what is due.
    pub(crate) fn handle(&mut self, now: Instant, facts: Facts, config: &Config) -> Option<Due> {
        let started = *self.started.get_or_insert_with(|| {
            self.last_received = now;
            self.last_ping = now;
            now
        });
        if facts.received_bytes != self.seen_bytes {
            self.seen_bytes = facts.received_bytes;
            self.last_received = now;
        }
        self.note_message(now, facts);
        self.note_ping(now, facts, config);
        self.note_output(now, facts);

        let expired = |(since, limit, _): &(Option<Instant>, Option<Duration>, Timeout)| {
            since.is_some_and(|since| passed(now, since, *limit))
        };
        if !facts.is_open {
            let since = *self.closing_since.get_or_insert(now);
            let deadlines = [
                (Some(since), config.close_timeout, Timeout::Close),
                (self.stalled_since(), config.output_timeout, Timeout::Output),
            ];
            return deadlines.into_iter().find(expired).map(|(_, _, timeout)| Due::Expired(timeout));
        }
        let deadlines = [
            // First, for the Close of another one would not be taken either.
            (self.stalled_since(), config.output_timeout, Timeout::Output),
            (self.pong_since(), config.pong_timeout, Timeout::Pong),
            (self.message.map(|(since, _)| since), config.message_timeout, Timeout::Message),
            (Some(self.last_received), config.idle_timeout, Timeout::Idle),
            (Some(started), config.lifetime, Timeout::Lifetime),
        ];
        if let Some((_, _, timeout)) = deadlines.into_iter().find(expired) {
            self.closing_since = Some(now);
            return Some(Due::Expired(timeout));
        }
        if self.ping_from(config).is_some_and(|from| passed(now, from, ping_interval(config))) {
            self.last_ping = now;
            let number = self.next_ping();
            if let Some(ping) = &mut self.ping {
                ping.waited_at = Some(now);
            }
            return Some(Due::Ping(number));
        }
        None
    }

    /// The next time at which something is due; `None` before the first call of [`Self::handle`].
    pub(crate) fn poll(&self, is_open: bool, config: &Config) -> Option<Instant> {
        let started = self.started?;
        if !is_open {
            // A close that was not noticed yet is due for being noticed: from then on its time runs.
            let close = match self.closing_since {
                Some(since) => config.close_timeout.map(|limit| since + limit),
                None => config.close_timeout.map(|_| self.last_seen(started)),
            };
            let output = self.stalled_since().zip(config.output_timeout).map(|(since, limit)| since + limit);
            return close.into_iter().chain(output).min();
        }
        // So is a ping that was just sent: only when it is noticed as written does the peer's time begin.
        if let Some(Ping { stage: PingStage::Appended, .. }) = self.ping {
            return Some(self.last_seen(started));
        }
        [
            (self.stalled_since(), config.output_timeout),
            (self.pong_since(), config.pong_timeout),
            (self.message.map(|(since, _)| since), config.message_timeout),
            (Some(self.last_received), config.idle_timeout),
            (Some(started), config.lifetime),
            (self.ping_from(config), ping_interval(config)),
        ]
        .into_iter()
        .filter_map(|(since, limit)| Some(since? + limit?))
        .min()
    }

    /// Begins a new ping; its number.
    pub(crate) fn next_ping(&mut self) -> u64 {
        if self.ping.is_some_and(|ping| ping.pong_received) {
            self.answered = self.pings;
        }
        self.pings += 1;
        self.ping = Some(Ping {
            stage: PingStage::Appended,
            waited_at: None,
            pong_received: false,
            seen_bytes: self.seen_bytes,
        });
        self.pings
    }

    /// A pong arrived.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        if let Some(ping) = &mut self.ping {
            ping.pong_received |= payload == self.pings.to_be_bytes();
        }
    }

    /// Whether a pong waits for the time to be told, from which its round trip follows.
    #[cfg(feature = "std")]
    pub(crate) fn has_pong(&self) -> bool {
        self.ping.is_some_and(|ping| ping.pong_received)
    }

    /// The round-trip time of the last ping that was answered.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The number of the newest ping, and of the newest that was answered; 0 is none.
    #[cfg(feature = "driver")]
    pub(crate) fn pings(&self) -> (u64, u64) {
        (self.pings, self.answered)
    }

    /// Notices whether a message is incomplete, and since when that one is.
    fn note_message(&mut self, now: Instant, facts: Facts) {
        self.message = facts.incomplete.map(|incomplete| match self.message {
            Some((since, same)) if same == incomplete => (since, same),
            Some(_) | None => (now, incomplete),
        });
    }

    /// Moves the newest ping on: noticed, flushed, answered. The peer's time runs once the ping was flushed.
    fn note_ping(&mut self, now: Instant, facts: Facts, config: &Config) {
        let Some(ping) = &mut self.ping else { return };
        if ping.pong_received {
            let flushed_by = match ping.stage {
                PingStage::Appended => None,
                PingStage::Queued(at) | PingStage::Flushed(at) => Some(at),
            };
            // Nobody knows when one was sent that was not noticed before its pong.
            if let Some(sent) = ping.waited_at.or(flushed_by) {
                self.round_trip = Some(now - sent);
            }
            self.ping = None;
            self.answered = self.pings;
            return;
        }
        if !facts.is_output_empty && !matches!(ping.stage, PingStage::Flushed(_)) {
            ping.waited_at = Some(now);
        }
        ping.stage = match ping.stage {
            PingStage::Flushed(at) => PingStage::Flushed(at),
            _ if facts.is_output_empty => {
                ping.seen_bytes = ping.seen_bytes.max(self.seen_bytes);
                PingStage::Flushed(now)
            }
            // Not flushed yet: look again when its time would be over, for the peer's has not begun.
            PingStage::Queued(at) if !passed(now, at, config.pong_timeout) => PingStage::Queued(at),
            PingStage::Queued(_) | PingStage::Appended => PingStage::Queued(now),
        };
    }

    /// Notices whether output waits, and whether the transport has taken any since.
    fn note_output(&mut self, now: Instant, facts: Facts) {
        let written = facts.written_bytes;
        self.stalled = match self.stalled {
            _ if facts.is_output_empty => None,
            // Fewer than before where the caller put bytes of its own into the output: it is these that count from now.
            Some((since, before)) if written <= before => Some((since, written)),
            Some(_) | None => Some((now, written)),
        };
    }

    /// Since when nothing of the output that waits was taken.
    fn stalled_since(&self) -> Option<Instant> {
        self.stalled.map(|(since, _)| since)
    }

    /// Since when the peer owes a sign of life.
    fn pong_since(&self) -> Option<Instant> {
        let ping = self.ping?;
        if self.seen_bytes > ping.seen_bytes {
            return None;
        }
        match ping.stage {
            PingStage::Appended => None,
            PingStage::Queued(at) | PingStage::Flushed(at) => Some(at),
        }
    }

    /// From when the time to the next ping runs; `None` while a deadline waits for a sign of life.
    fn ping_from(&self, config: &Config) -> Option<Instant> {
        match (self.pong_since(), config.pong_timeout) {
            (Some(_), Some(_)) => None,
            (Some(_), None) | (None, _) => Some(self.last_received.max(self.last_ping)),
        }
    }

    /// The latest time that is known of.
    fn last_seen(&self, started: Instant) -> Instant {
        self.last_received.max(self.last_ping).max(started)
    }
}

/// The time between two pings, never so short that nothing else would be done.
fn ping_interval(config: &Config) -> Option<Duration> {
    config.ping_interval.map(|interval| interval.max(Duration::from_millis(1)))
}

/// Whether `limit`, if there is one, has passed since `since`.
fn passed(now: Instant, since: Instant, limit: Option<Duration>) -> bool {
    limit.is_some_and(|limit| now - since >= limit)
}
