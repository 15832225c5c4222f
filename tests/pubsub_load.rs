//! Ten thousand subscribers, in one process: each gets every message, and memory does not grow.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "a part of what it tells is wanted here")]
mod allocator;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use allocator::Counting;
use sockeye::Config;
use sockeye::pubsub::{Event, Hub, HubConfig, SlowConsumer};
use sockeye::tokio::WebSocket;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SUBSCRIBERS: usize = 10_000;
const MESSAGES: usize = 1_000;

/// A frame: a header of two bytes and eight digits.
const FRAME: usize = 10;

/// Joins a member on a stream in memory, whose other end is given.
fn join(hub: &Hub) -> DuplexStream {
    let (ours, theirs) = duplex(1024);
    let mut config = Config::default();
    (config.ping_interval, config.output_timeout) = (None, None);
    let mut member = hub.join(WebSocket::server(ours, config), ());
    member.subscribe("load").unwrap();
    tokio::spawn(async move { while let Ok(Some(Event::Message(_))) = member.next().await {} });
    theirs
}

/// Receives every message, in order, and counts.
async fn receive_all(mut client: DuplexStream, received: Arc<AtomicUsize>) -> DuplexStream {
    let (mut bytes, mut has, mut expected) = ([0; 4096], 0, 0);
    while expected < MESSAGES {
        let read = client.read(&mut bytes[has..]).await.unwrap();
        assert!(read > 0, "closed after {expected}");
        has += read;
        let whole = has - has % FRAME;
        for frame in bytes[..whole].chunks(FRAME) {
            let number: usize = std::str::from_utf8(&frame[2..]).unwrap().parse().unwrap();
            assert_eq!(number, expected);
            expected += 1;
        }
        received.fetch_add(whole / FRAME, Ordering::Relaxed);
        bytes.copy_within(whole..has, 0);
        has -= whole;
    }
    client
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "takes a minute; CI runs it by itself"]
async fn ten_thousand_subscribers_get_a_thousand_messages_each_and_memory_stays_flat() {
    let mut config = HubConfig::default();
    // Who misses one is closed, so that it is found.
    (config.lag.messages, config.slow_consumer) = (400, SlowConsumer::Close);
    let (hub, received) = (Hub::new(config), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..SUBSCRIBERS).map(|_| tokio::spawn(receive_all(join(&hub), received.clone()))).collect();
    // One that never reads: it is closed, and nobody else notices.
    let _stuck = join(&hub);
    let (started, mut held) = (Instant::now(), 0);
    for number in 0..MESSAGES {
        let published = hub.publish("load", format!("{number:08}")).unwrap();
        assert!(published.receivers >= SUBSCRIBERS);
        assert!(hub.held("load").messages <= 400);
        // A publisher need not wait; this one sees to it that nobody who reads is too slow for it.
        while received.load(Ordering::Relaxed) + 50 * SUBSCRIBERS < number * SUBSCRIBERS {
            tokio::task::yield_now().await;
        }
        match number {
            700 => held = allocator::held(),
            999 => {
                let grown = allocator::held() - held;
                println!("{held} bytes, and {grown} more after 299 more messages");
                assert!(grown < 4 * 1024 * 1024, "{grown} bytes more");
            }
            _ => {}
        }
    }
    let mut streams = Vec::new();
    for client in clients {
        streams.push(client.await.unwrap());
    }
    let nanos = started.elapsed().as_nanos() / (SUBSCRIBERS * MESSAGES) as u128;
    println!("{nanos} ns for each of {SUBSCRIBERS} x {MESSAGES}, the clients included");
    assert_eq!(hub.publish("load", "the end").unwrap().receivers, SUBSCRIBERS, "the one that never reads was closed");
}
