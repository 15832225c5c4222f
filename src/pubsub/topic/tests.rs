//! What a topic does, beside what a list for each subscriber would.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::pubsub::config::Bounds;
use crate::pubsub::log::{Entry, Limits, Standing};

#[derive(Clone, Debug)]
enum Step {
    Join(SlowConsumer, usize),
    Leave(usize),
    /// Publishes so many bytes, leaving somebody out or nobody.
    Publish(usize, Option<usize>),
    /// Reads, and takes so many.
    Read(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let policy = prop_oneof![Just(SlowConsumer::SkipOldest), Just(SlowConsumer::KeepLatest), Just(SlowConsumer::Close)];
    let step = prop_oneof![
        1 => (policy, 0usize..5).prop_map(|(policy, last)| Step::Join(policy, last)),
        1 => (0usize..8).prop_map(Step::Leave),
        4 => (0usize..30, proptest::option::of(0usize..8)).prop_map(|(len, except)| Step::Publish(len, except)),
        5 => (0usize..8, 0usize..6).prop_map(|(who, most)| Step::Read(who, most)),
    ];
    proptest::collection::vec(step, 0..100)
}

/// A subscriber as a simple mind has it.
struct Reader {
    seat: u32,
    policy: SlowConsumer,
    /// The messages that it is to be sent, by number.
    due: Vec<u64>,
    /// How many were skipped and are still among those.
    skipped: u64,
    is_asleep: bool,
    is_over: bool,
}

/// Appends message `number`, which is of that position, too.
fn entry(number: u64, len: usize, except: Option<u64>) -> Entry<u64> {
    let position = Position { epoch: 1, sequence: number };
    Entry {
        position,
        stamp: number,
        except,
        len,
        unread: Readers::default(),
        standing: Standing::Final,
        body: number,
        alias: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Against a list of what each is to be sent: what is read is that, what is missing was skipped, who is woken was asleep,
    /// and what is held is within its bounds.
    #[test]
    fn topic_does_what_a_list_for_each_subscriber_would(
        steps in steps(),
        lag in (1usize..8, 20usize..100),
        history in (0usize..6, 0usize..100),
    ) {
        let [lag, history] = [lag, history].map(|(messages, bytes)| Bounds { messages, bytes });
        let mut state = State::<u64, u64>::new(Log::new(1, Arc::new(Limits { lag, history })));
        let mut readers = BTreeMap::<u64, Reader>::new();
        let (mut next_id, mut number) = (0, 0);
        let pick = |readers: &BTreeMap<u64, Reader>, which: usize| {
            readers.keys().nth(which % readers.len().max(1)).copied()
        };
        for step in steps {
            match step {
                Step::Join(policy, last) => {
                    next_id += 1;
                    let (place, _) = state.log.place_of_last(last, u64::MAX, state.view());
                    let due = state.log.iter_from(place).map(|(_, slot)| slot.body).collect();
                    let wish = Wish { id: next_id, slow_consumer: policy, is_named: true, is_present: true };
                    let seat = state.insert(next_id, wish, place, state.view());
                    readers.insert(next_id, Reader { seat, policy, due, skipped: 0, is_asleep: false, is_over: false });
                }
                Step::Leave(which) => {
                    let Some(id) = pick(&readers, which) else { continue };
                    let reader = readers.remove(&id).unwrap();
                    prop_assert_eq!(state.remove(reader.seat, id).unwrap().0.peer, id);
                    prop_assert!(state.remove(reader.seat, id).is_none());
                }
                Step::Publish(len, except) => {
                    number += 1;
                    let except = except.and_then(|which| pick(&readers, which));
                    let seat = except.map(|id| readers[&id].seat);
                    let woken = state.publish(entry(number, len, except), seat);
                    let sleepers: BTreeSet<u64> = woken.sleeper.iter().chain(&woken.sleepers).copied().collect();
                    let asleep = readers.iter().filter(|(id, reader)| reader.is_asleep && Some(**id) != except);
                    prop_assert_eq!(&sleepers, &asleep.map(|(id, _)| *id).collect());
                    prop_assert_eq!(woken.receivers, readers.len() - usize::from(except.is_some()));
                    for (id, reader) in &mut readers {
                        if Some(*id) != except {
                            reader.due.push(number);
                            reader.is_asleep = false;
                        }
                        reader.is_over |= woken.overrun.contains(id);
                    }
                    prop_assert!(woken.overrun.iter().all(|id| readers[id].policy == SlowConsumer::Close));
                    let mut memory = woken.sleepers;
                    memory.clear();
                    state.give_back(memory);
                }
                Step::Read(which, most) => {
                    let Some(id) = pick(&readers, which) else { continue };
                    let reader = readers.get_mut(&id).unwrap();
                    let (mut read, mut sent) = (Vec::new(), None);
                    let reading = state.read((reader.seat, id), 0, u64::MAX, |place, slot| {
                        if read.len() == most {
                            return false;
                        }
                        read.push(*slot.body);
                        sent = Some((place, slot.position));
                        true
                    });
                    let reading = reading.unwrap();
                    if reader.is_over {
                        prop_assert!(read.is_empty() && state.settle((reader.seat, id), None).0 == Settled::Gone);
                        continue;
                    }
                    prop_assert!(reader.policy != SlowConsumer::Close || reading.skipped == 0);
                    // What was skipped are the oldest of those that were due, and perhaps some that were left out.
                    let missing = match (read.first(), reader.policy) {
                        (Some(first), _) => reader.due.iter().take_while(|due| *due < first).count(),
                        (None, _) if most > 0 => reader.due.len(),
                        (None, _) => 0,
                    };
                    reader.skipped += reading.skipped;
                    prop_assert!(missing as u64 <= reader.skipped, "{missing} missing, {} skipped", reader.skipped);
                    reader.due.drain(..missing);
                    prop_assert!(reader.due.starts_with(&read), "{:?} of {:?}", read, reader.due);
                    reader.due.drain(..read.len());
                    if reader.policy == SlowConsumer::KeepLatest {
                        prop_assert!(read.len() <= 1);
                    }
                    let settled = state.settle((reader.seat, id), sent).0;
                    reader.is_asleep = settled == Settled::Asleep;
                    if most > 0 || reader.due.is_empty() {
                        prop_assert!(reader.due.is_empty() || matches!(settled, Settled::More(_)));
                    }
                    if settled == Settled::Asleep {
                        prop_assert_eq!(state.lag(reader.seat, id), Some(0));
                        reader.due.clear();
                    }
                }
            }
            let (messages, bytes) = state.log.size();
            prop_assert!(messages <= lag.messages.max(history.messages).max(1));
            prop_assert!(messages <= 1 || bytes <= lag.bytes.max(history.bytes));
            prop_assert_eq!(state.present_count(), readers.len());
            let all_asleep = readers.values().all(|reader| reader.is_asleep || reader.is_over);
            let keeps_latest = readers.values().any(|reader| reader.policy == SlowConsumer::KeepLatest);
            if all_asleep && history.messages == 0 && !keeps_latest {
                prop_assert_eq!(messages, 0, "nobody needs them");
            }
        }
        prop_assert!(readers.is_empty() || state.vanish().is_none(), "they asked for it by its name");
        readers.iter().for_each(|(id, reader)| state.change(reader.seat, *id, false, false));
        let (losses, _gone) = state.vanish().unwrap();
        prop_assert_eq!(losses.len(), readers.len());
        for Loss { peer, messages, is_strict } in losses {
            let reader = &readers[&peer];
            prop_assert!(state.read((reader.seat, peer), 0, u64::MAX, |_, _| true).is_none());
            prop_assert_eq!(is_strict, reader.policy == SlowConsumer::Close && !reader.is_over);
            if reader.is_asleep || reader.is_over {
                prop_assert_eq!(messages, 0);
            } else {
                prop_assert!(reader.due.len() as u64 <= reader.skipped + messages, "{} are told", messages);
            }
        }
        prop_assert_eq!((state.len(), state.log.size()), (0, (0, 0)));
    }
}

#[test]
fn only_those_who_wait_are_woken_and_the_memory_for_them_is_used_again() {
    let bounds = Bounds { messages: 10, bytes: 100 };
    let mut state = State::<u64, u64>::new(Log::new(
        1,
        Arc::new(Limits { lag: bounds, history: Bounds { messages: 0, bytes: 0 } }),
    ));
    let wish = |id| Wish { id, slow_consumer: SlowConsumer::SkipOldest, is_named: true, is_present: false };
    let seats: Vec<u32> = (0..8).map(|id| state.insert(id, wish(id), state.log.head(), state.view())).collect();
    for (id, seat) in (0..4).zip(&seats) {
        assert_eq!(state.settle((*seat, id), None).0, Settled::Asleep);
    }
    let woken = state.publish(entry(1, 1, None), None);
    assert_eq!((woken.sleeper, woken.sleepers.len(), woken.receivers), (Some(0), 3, 8));
    let mut sleepers = woken.sleepers;
    let memory = sleepers.as_ptr();
    sleepers.clear();
    state.give_back(sleepers);
    let awake = state.publish(entry(2, 1, None), None);
    assert_eq!((awake.sleeper, awake.sleepers.capacity()), (None, 0));
    let newest = (state.log.head() - 1, state.log.last());
    for (id, seat) in (0..2).zip(&seats) {
        assert_eq!(state.settle((*seat, id), Some(newest)).0, Settled::Asleep);
    }
    let again = state.publish(entry(3, 1, None), None).sleepers;
    assert_eq!((again.len(), again.as_ptr()), (1, memory));
}

#[test]
fn topic_stays_while_somebody_is_being_sent_something() {
    let bounds = Bounds { messages: 10, bytes: 100 };
    let limits = Arc::new(Limits { lag: bounds, history: Bounds { messages: 0, bytes: 0 } });
    let mut state = State::<u64, u64>::new(Log::new(1, limits));
    let wish = Wish { id: 1, slow_consumer: SlowConsumer::SkipOldest, is_named: false, is_present: false };
    let seat = state.insert(1, wish, state.log.head(), state.view());
    (1..=2).for_each(|number| drop(state.publish(entry(number, 1, None), None)));
    let mut sent = None;
    state
        .read((seat, 1), 0, u64::MAX, |place, slot| {
            let is_first = sent.is_none();
            sent = sent.or(Some((place, slot.position)));
            is_first
        })
        .unwrap();
    assert!(state.vanish().is_none() && !state.is_gone);
    assert!(matches!(state.settle((seat, 1), sent).0, Settled::More(_)));
    let (losses, _gone) = state.vanish().unwrap();
    assert_eq!((losses.len(), losses[0].messages, losses[0].is_strict), (1, 1, false));
    assert_eq!(state.settle((seat, 1), None).0, Settled::Gone);
}
