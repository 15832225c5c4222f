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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A race and its clock, in milliseconds.
    struct Story {
        race: Race,
        now: u64,
    }

    fn v4(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 80).into()
    }

    fn v6(last: u16) -> SocketAddr {
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 80).into()
    }

    fn ms(millis: u64) -> Instant {
        Duration::from_millis(millis).into()
    }

    impl Story {
        fn new() -> Self {
            Self::with(HappyEyeballs::default())
        }

        /// A second for the addresses, three for the connection.
        fn with(options: HappyEyeballs) -> Self {
            let seconds = |seconds| Some(Duration::from_secs(seconds));
            Self { race: Race::new(options, seconds(1), seconds(3), None, ms(0)), now: 0 }
        }

        fn found(&mut self, family: Family, addresses: &[SocketAddr]) {
            self.race.handle_addresses(family, addresses.to_vec(), ms(self.now));
        }

        fn failed(&mut self) {
            self.race.handle_failure(ms(self.now));
        }

        #[track_caller]
        fn connects(&mut self, address: SocketAddr) {
            assert_eq!(self.race.poll(ms(self.now)), Step::Connect(address));
        }

        /// Waits until that time, and lets it come.
        #[track_caller]
        fn waits_until(&mut self, at: u64) {
            assert_eq!(self.race.poll(ms(self.now)), Step::Wait(Some(ms(at))));
            self.now = at;
        }

        #[track_caller]
        fn fails(&mut self, failure: Failure) {
            assert_eq!(self.race.poll(ms(self.now)), Step::Fail(failure));
        }
    }

    #[test]
    fn addresses_are_tried_in_turn_beginning_with_ipv6_a_quarter_of_a_second_apart() {
        let mut story = Story::new();
        story.found(Family::V6, &[v6(1), v6(2), v6(3)]);
        story.found(Family::V4, &[v4(1)]);
        story.connects(v6(1));
        story.waits_until(250);
        story.connects(v4(1));
        story.waits_until(500);
        story.connects(v6(2));
        story.waits_until(750);
        story.connects(v6(3));
        story.waits_until(3000);
        story.fails(Failure::ConnectTimedOut { after: Duration::from_secs(3) });
    }

    #[test]
    fn ipv4_addresses_wait_for_those_of_ipv6_for_50_milliseconds() {
        let mut story = Story::new();
        story.now = 10;
        story.found(Family::V4, &[v4(1)]);
        story.waits_until(60);
        story.connects(v4(1));
        // Those that come later are next.
        story.now = 100;
        story.found(Family::V6, &[v6(1)]);
        story.waits_until(310);
        story.connects(v6(1));
    }

    #[test]
    fn ipv4_addresses_wait_no_longer_once_it_is_known_that_there_are_none_of_ipv6() {
        let mut story = Story::new();
        story.found(Family::V4, &[v4(1)]);
        story.waits_until(50);
        story.now = 20;
        story.found(Family::V6, &[]);
        story.connects(v4(1));
    }

    #[test]
    fn ipv6_addresses_that_come_while_they_are_waited_for_go_first() {
        let mut story = Story::new();
        story.found(Family::V4, &[v4(1)]);
        story.waits_until(50);
        story.now = 30;
        story.found(Family::V6, &[v6(1)]);
        story.connects(v6(1));
        story.waits_until(280);
        story.connects(v4(1));
    }

    #[test]
    fn ipv6_addresses_wait_for_nothing() {
        let mut story = Story::new();
        story.found(Family::V6, &[v6(1)]);
        story.connects(v6(1));
        // For the addresses of the other family, whose time is a second.
        story.waits_until(1000);
    }

    #[test]
    fn an_attempt_that_fails_lets_the_next_one_begin_at_once() {
        let mut story = Story::new();
        story.found(Family::V6, &[v6(1)]);
        story.found(Family::V4, &[v4(1), v4(2)]);
        story.connects(v6(1));
        story.waits_until(250);
        story.now = 5;
        story.failed();
        story.connects(v4(1));
        story.waits_until(255);
        story.connects(v4(2));
        story.failed();
        story.failed();
        story.fails(Failure::AllFailed);
    }

    #[test]
    fn where_all_failed_the_other_familys_addresses_are_waited_for() {
        let mut story = Story::new();
        story.found(Family::V6, &[v6(1)]);
        story.connects(v6(1));
        story.failed();
        story.waits_until(1000);
        story.fails(Failure::AllFailed);

        let mut story = Story::new();
        story.found(Family::V6, &[v6(1)]);
        story.connects(v6(1));
        story.failed();
        story.now = 400;
        story.found(Family::V4, &[v4(1)]);
        story.connects(v4(1));
    }

    #[test]
    fn no_addresses_in_time_and_none_at_all_are_told_apart() {
        let mut story = Story::new();
        story.found(Family::V6, &[]);
        story.waits_until(1000);
        story.fails(Failure::LookupTimedOut { after: Duration::from_secs(1) });

        let mut story = Story::new();
        story.found(Family::V6, &[]);
        story.found(Family::V4, &[]);
        story.fails(Failure::NoAddress);
    }

    #[test]
    fn without_limits_nothing_is_waited_for_but_what_is_under_way() {
        let mut race = Race::new(HappyEyeballs::default(), None, None, None, ms(0));
        assert_eq!(race.poll(ms(0)), Step::Wait(None));
        race.handle_addresses(Family::V6, [v6(1)].into(), ms(0));
        assert_eq!(race.poll(ms(0)), Step::Connect(v6(1)));
        assert_eq!(race.poll(ms(1_000_000)), Step::Wait(None));
    }

    #[test]
    fn the_time_for_all_of_it_cuts_the_others() {
        let mut race = Race::new(HappyEyeballs::default(), None, None, Some(Duration::from_millis(100)), ms(0));
        assert_eq!(race.poll(ms(0)), Step::Wait(Some(ms(100))));
        let after = Duration::from_millis(100);
        assert_eq!(race.poll(ms(100)), Step::Fail(Failure::LookupTimedOut { after }));

        let second = Some(Duration::from_secs(1));
        let mut race = Race::new(HappyEyeballs::default(), second, second, Some(Duration::from_millis(100)), ms(0));
        race.handle_addresses(Family::V6, [v6(1)].into(), ms(40));
        assert_eq!(race.poll(ms(40)), Step::Connect(v6(1)));
        let after = Duration::from_millis(60);
        assert_eq!(race.poll(ms(100)), Step::Fail(Failure::ConnectTimedOut { after }));
    }

    #[test]
    fn the_preferred_family_can_be_ipv4() {
        let mut story = Story::with(HappyEyeballs { prefer: Family::V4, ..HappyEyeballs::default() });
        story.found(Family::V6, &[v6(1)]);
        story.waits_until(50);
        story.found(Family::V4, &[v4(1)]);
        story.connects(v4(1));
    }

    #[test]
    fn a_name_with_very_many_addresses_is_tried_at_as_many_as_configured_and_at_none_twice() {
        let mut story = Story::new();
        let many: Vec<_> = (0..1000).map(|number| v6(number / 2)).collect();
        story.found(Family::V6, &many);
        story.found(Family::V4, &[]);
        for number in 0..8 {
            story.connects(v6(number));
            story.failed();
        }
        story.fails(Failure::AllFailed);
    }

    #[derive(Clone, Debug)]
    enum Happening {
        Addresses(Family, u8),
        Failure,
        Time(u16),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (any::<bool>(), 0..20u8).prop_map(|(is_v4, count)| {
                Happening::Addresses(if is_v4 { Family::V4 } else { Family::V6 }, count)
            }),
            Just(Happening::Failure),
            (0..2000u16).prop_map(Happening::Time),
        ]
    }

    proptest! {
        /// Whatever happens, it never waits for the past, and it comes to an end: no more attempts than addresses, and a failure once
        /// all limits are over.
        #[test]
        fn a_race_goes_forward_and_ends(happenings in prop::collection::vec(happening(), 0..40)) {
            let mut story = Story::new();
            let (mut found, mut tried, mut under_way) = (0, 0, 0);
            for happening in happenings {
                match happening {
                    Happening::Addresses(family, count) => {
                        found += usize::from(count);
                        let addresses: Vec<_> = (0..count).map(|last| match family {
                            Family::V4 => v4(last),
                            Family::V6 => v6(last.into()),
                        }).collect();
                        story.found(family, &addresses);
                    }
                    Happening::Failure if under_way > 0 => {
                        under_way -= 1;
                        story.failed();
                    }
                    Happening::Failure => {}
                    Happening::Time(millis) => story.now += u64::from(millis),
                }
                loop {
                    match story.race.poll(ms(story.now)) {
                        Step::Connect(_) => (tried, under_way) = (tried + 1, under_way + 1),
                        Step::Wait(Some(until)) => {
                            prop_assert!(until > ms(story.now));
                            break;
                        }
                        Step::Wait(None) | Step::Fail(_) => break,
                    }
                    prop_assert!(tried <= found);
                }
            }
            story.now += 1_000_000;
            while let Step::Connect(_) = story.race.poll(ms(story.now)) {}
            story.now += 1_000_000;
            let is_over = matches!(story.race.poll(ms(story.now)), Step::Fail(_));
            prop_assert!(is_over);
        }
    }
}
