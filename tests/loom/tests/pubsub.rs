//! Publish and subscribe: nobody sleeps through a message, gets one twice or is forgotten, whatever the order.

use loom::thread;
use sockeye::Config;
use sockeye::driver::Error;
use sockeye::pubsub::{Event, Hub, HubConfig, Member, SlowConsumer};
use sockeye_loom::{Line, block_on, check};

/// The frames of these texts of one letter.
fn frames(texts: &str) -> Vec<u8> {
    texts.bytes().flat_map(|letter| [0x81, 1, letter]).collect()
}

/// A hub whose topics hold so many messages for those who lag.
fn hub(lag: usize) -> Hub {
    let mut config = HubConfig::default();
    (config.lag.messages, config.slow_consumer) = (lag, SlowConsumer::Close);
    Hub::new(config)
}

fn join(hub: &Hub, line: &Line) -> Member<Line> {
    hub.join(line.server(Config::default()), ())
}

/// Receives until the line ends: what was told.
fn serve(mut member: Member<Line>) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match block_on(member.next()) {
            Ok(Some(event)) => events.push(event),
            Ok(None) | Err(Error::Lost) => return events,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn member_that_goes_to_sleep_is_woken_for_what_is_published_meanwhile() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(usize::MAX, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        let publisher = hub.clone();
        let publishing = thread::spawn(move || {
            publisher.publish("t", "a").unwrap();
            publisher.publish("t", "b").unwrap();
        });
        let serving = thread::spawn(move || serve(member));
        line.wait_written(|written| written == frames("ab"));
        line.end();
        assert_eq!(serving.join().unwrap(), []);
        publishing.join().unwrap();
    });
}

#[test]
fn messages_of_two_publishers_come_once_each_in_the_order_of_their_numbers() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(usize::MAX, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        let publisher = hub.clone();
        let publishing = thread::spawn(move || publisher.publish("t", "a").unwrap().position.unwrap());
        let serving = thread::spawn(move || serve(member));
        let b = hub.publish("t", "b").unwrap().position.unwrap();
        let a = publishing.join().unwrap();
        line.wait_written(|written| written.len() == 6);
        assert_eq!(line.written(), frames(if a.sequence < b.sequence { "ab" } else { "ba" }));
        line.end();
        serving.join().unwrap();
    });
}

#[test]
fn own_message_goes_behind_what_was_published_before_it_whoever_publishes_meanwhile() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(usize::MAX, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        let publisher = hub.clone();
        let publishing = thread::spawn(move || publisher.publish("t", "a").unwrap().reach);
        member.publish("t", "b").unwrap();
        block_on(member.send("c")).unwrap();
        let written = line.written();
        assert!(["bc", "abc", "bac"].iter().any(|texts| written == frames(texts)), "{written:?}");
        publishing.join().unwrap();
    });
}

#[test]
fn member_whose_socket_opens_while_something_is_published_gets_it() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(1, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        hub.publish("t", "a").unwrap();
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        let serving = thread::spawn(move || serve(member));
        hub.publish("t", "b").unwrap();
        line.wait_written(|written| written == frames("ab"));
        line.end();
        serving.join().unwrap();
        opening.join().unwrap();
    });
}

#[test]
fn topic_that_comes_to_exist_has_in_it_who_subscribes_to_a_pattern_meanwhile() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(usize::MAX, b""));
        let mut member = join(&hub, &line);
        let publisher = hub.clone();
        let publishing = thread::spawn(move || publisher.publish("t/1", "a").unwrap().reach);
        member.subscribe("t/#").unwrap();
        member.subscribe("#").unwrap();
        assert_eq!(hub.publish("t/1", "b").unwrap().receivers, 1);
        publishing.join().unwrap();
        let serving = thread::spawn(move || serve(member));
        line.wait_written(|written| [frames("b"), frames("ab"), frames("ba")].contains(&written.to_vec()));
        line.end();
        serving.join().unwrap();
    });
}

#[test]
fn topic_whose_last_subscriber_leaves_is_there_for_who_comes_meanwhile() {
    check(|| {
        let (hub, lines) = (hub(9), [Line::new(usize::MAX, b""), Line::new(usize::MAX, b"")]);
        let [mut leaving, mut coming] = lines.each_ref().map(|line| join(&hub, line));
        leaving.subscribe("t").unwrap();
        let going = thread::spawn(move || drop(leaving));
        coming.subscribe("t").unwrap();
        assert!((1..=2).contains(&hub.publish("t", "a").unwrap().receivers));
        going.join().unwrap();
        assert_eq!((hub.stats().topics, hub.stats().members), (1, 1));
        let serving = thread::spawn(move || serve(coming));
        lines[1].wait_written(|written| written == frames("a"));
        lines[1].end();
        serving.join().unwrap();
        assert_eq!(hub.stats().topics, 0);
    });
}

#[test]
fn member_that_is_stuck_is_woken_when_it_has_missed_what_it_must_not() {
    check(|| {
        let (hub, line) = (hub(1), Line::new(0, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        let publisher = hub.clone();
        let publishing = thread::spawn(move || ["a", "b", "c"].map(|text| publisher.publish("t", text).unwrap().reach));
        let event = block_on(member.next()).unwrap().unwrap();
        assert_eq!(event, Event::Overrun { topic: "t".into() });
        publishing.join().unwrap();
        assert_eq!(hub.present_count("t"), 0);
    });
}

#[test]
fn member_that_is_told_to_close_while_it_goes_to_sleep_closes() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(usize::MAX, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        let peer = member.peer().clone();
        let closing = thread::spawn(move || peer.close(sockeye::Close::normal()));
        let serving = thread::spawn(move || serve(member));
        line.wait_written(|written| written == b"\x88\x02\x03\xe8");
        line.give(b"\x88\x82\0\0\0\0\x03\xe8");
        line.end();
        assert_eq!(serving.join().unwrap(), []);
        closing.join().unwrap();
    });
}

#[test]
fn member_that_is_told_to_close_while_it_begins_to_wait_in_a_send_ends_that() {
    check(|| {
        let (hub, line) = (hub(9), Line::new(0, b""));
        let mut member = join(&hub, &line);
        member.subscribe("t").unwrap();
        let peer = member.peer().clone();
        let closing = thread::spawn(move || peer.close(sockeye::Close::normal()));
        let sent = block_on(member.send("a"));
        assert!(matches!(sent, Err(Error::Send(sockeye::SendError::Closed))));
        closing.join().unwrap();
        assert_eq!(hub.present_count("t"), 0);
    });
}

#[test]
fn message_of_a_topic_that_vanishes_while_it_is_sent_comes_or_is_counted() {
    check(|| {
        let mut config = HubConfig::default();
        config.max_topics = 1;
        let (hub, line) = (Hub::new(config), Line::new(usize::MAX, b""));
        let mut member = join(&hub, &line);
        member.subscribe("#").unwrap();
        hub.publish("1", "a").unwrap();
        let publisher = hub.clone();
        // While the first topic is being sent, there is no room for another.
        let publishing = thread::spawn(move || publisher.publish("2", "b").is_ok());
        let reading = line.clone();
        let ending = thread::spawn(move || reading.end());
        let events = serve(member);
        ending.join().unwrap();
        let (published, skipped) = (publishing.join().unwrap(), hub.stats().skipped);
        let told: u64 =
            events.iter().map(|event| if let Event::Skipped { messages, .. } = event { *messages } else { 0 }).sum();
        assert!(told <= skipped && skipped <= 1, "{events:?}, {skipped}");
        let came = line.written().windows(3).any(|frame| frame == frames("a"));
        assert!(came != (skipped == 1) || !published, "{came}, {skipped}");
    });
}
