//! Races as stories: what happens at which millisecond, and what is to be done then.

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
        (any::<bool>(), 0..20u8)
            .prop_map(|(is_v4, count)| { Happening::Addresses(if is_v4 { Family::V4 } else { Family::V6 }, count) }),
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
