//! A connection that is to close while its member waits for a client that does not read.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::sync::Arc;
use std::task::Poll;

use pubsub_support::{Client, hub, messages};
use sockeye::driver::Error;
use sockeye::pubsub::{Event, Hub, Member, Peer, SlowConsumer};
use sockeye::tokio::Transport;
use sockeye::{Close, Config, SendError, Timeout};
use support::{CLOSE, Mock, Woken, close_body, now, poll};

/// How a member waits for its client.
const WAYS: [Way; 4] = [Way::Send, Way::SendBehindATopic, Way::Feed, Way::SendFirst];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Send,
    SendBehindATopic,
    Feed,
    SendFirst,
}

impl Way {
    async fn go(self, member: &mut Member<Transport<Mock>>) -> Result<(), Error> {
        match self {
            Self::Send | Self::SendBehindATopic => member.send("own").await,
            Self::Feed => member.feed("own").await,
            Self::SendFirst => member.send_first("own").await,
        }
    }
}

/// A member whose client takes nothing, and who waits for that; then `order` is given: what it was told, and what its client gets.
fn ordered_while_it_waits(way: Way, order: impl FnOnce(&Hub, &Peer<()>)) -> (Vec<Event>, Vec<(u8, Vec<u8>)>) {
    let hub = hub(|config| (config.lag, config.slow_consumer) = (messages(3), SlowConsumer::Close));
    let (mut client, woken) = (Client::with_room(&hub, (), 0), Arc::new(Woken::default()));
    client.member.subscribe("a").unwrap();
    match way {
        Way::Send | Way::SendFirst => {}
        // What is queued is beyond the high-water mark.
        Way::SendBehindATopic => {
            hub.publish("a", "x".repeat(1 << 20)).unwrap();
            assert!(client.waits(&woken));
            hub.publish("a", "y").unwrap();
        }
        Way::Feed => assert!(now(client.member.send_first("x".repeat(1 << 20))).is_none()),
    }
    let peer = client.member.peer().clone();
    let mut waiting = Box::pin(way.go(&mut client.member));
    assert!(poll(waiting.as_mut(), &woken).is_pending(), "{way:?}");
    let before = woken.count();
    order(&hub, &peer);
    assert!(woken.count() > before, "{way:?}");
    let Poll::Ready(ended) = poll(waiting.as_mut(), &woken) else { panic!("{way:?} waits") };
    assert!(matches!(ended, Err(Error::Send(SendError::Closed))), "{way:?}: {ended:?}");
    drop(waiting);
    assert_eq!((hub.stats().members, hub.present_count("a")), (0, 0));
    let told = client.run();
    client.stream.release();
    assert_eq!(client.run(), []);
    (told, client.stream.frames())
}

#[tokio::test(start_paused = true)]
async fn peer_can_be_told_to_close_while_it_waits_for_a_client_that_does_not_read() {
    for way in WAYS {
        let (told, frames) = ordered_while_it_waits(way, |_, peer| peer.close(Close::normal()));
        assert_eq!((told, frames.last()), (vec![], Some(&(CLOSE, close_body(1000, "")))), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_must_not_miss_anything_is_closed_while_it_waits_for_a_client_that_does_not_read() {
    for way in WAYS {
        let overrun =
            |hub: &Hub, _: &Peer<()>| (0..5).for_each(|_| assert_eq!(hub.publish("a", "x").unwrap().receivers, 1));
        let (told, frames) = ordered_while_it_waits(way, overrun);
        assert_eq!(told, [Event::Overrun { topic: "a".into() }], "{way:?}");
        assert_eq!(frames.last(), Some(&(CLOSE, close_body(1013, "too slow"))), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_else_a_member_is_told_does_not_end_a_send_that_waits() {
    let hub = hub(|config| config.max_topics = 1);
    let (mut client, woken) = (Client::with_room(&hub, (), 0), Arc::new(Woken::default()));
    client.member.subscribe("a/#").unwrap();
    let mut sending = Box::pin(client.member.send("own"));
    assert!(poll(sending.as_mut(), &woken).is_pending());
    hub.publish("a/1", "").unwrap();
    hub.publish("a/2", "").unwrap();
    assert!(woken.count() > 0 && poll(sending.as_mut(), &woken).is_pending());
    client.stream.release();
    assert!(matches!(poll(sending.as_mut(), &woken), Poll::Ready(Ok(()))));
    drop(sending);
    assert_eq!(client.run(), [Event::Skipped { topic: "a/#".into(), messages: 1 }]);
    assert_eq!(client.new_texts(), ["own", ""]);
}

#[tokio::test(start_paused = true)]
async fn own_message_goes_behind_all_that_was_published_before_it_whatever_was_published_while_it_waited() {
    let hub = hub(|_| {});
    let (mut client, woken) = (Client::with_room(&hub, (), 0), Arc::new(Woken::default()));
    for topic in ["a", "b"] {
        client.member.subscribe(topic).unwrap();
    }
    for (topic, text) in [("a", "0"), ("a", "1"), ("b", "2")] {
        hub.publish(topic, text.repeat(1 << 17)).unwrap();
    }
    let mut sending = Box::pin(client.member.send("3"));
    assert!(poll(sending.as_mut(), &woken).is_pending());
    // In a topic that has older news, too.
    hub.publish("a", "4").unwrap();
    client.stream.release();
    assert!(matches!(poll(sending.as_mut(), &woken), Poll::Ready(Ok(()))));
    drop(sending);
    assert_eq!(client.run(), []);
    let order: String = client.new_texts().iter().map(|text| &text[..1]).collect();
    assert_eq!(order, "01234");
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_closed_while_it_sends_ends_in_time_if_the_client_never_reads() {
    // Also behind a message that goes out in fragments, where the Close is not there yet.
    for len in [1, 1 << 20] {
        let (hub, stream) = (hub(|_| {}), Mock::with_room(0));
        let mut member = hub.join(support::server(&stream, Config::default()), ());
        let peer = member.peer().clone();
        let (sent, ()) = tokio::join!(member.send("x".repeat(len)), async { peer.close(Close::normal()) });
        assert!(matches!(sent, Err(Error::Send(SendError::Closed))));
        assert_eq!(support::timeout(member.next().await.unwrap_err()), Timeout::Close);
    }
}
