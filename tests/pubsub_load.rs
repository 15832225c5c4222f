//! Ten thousand subscribers, in one process: each gets every message, and memory does not grow.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "a part of what it tells is wanted here")]
mod allocator;

use std::time::{Duration, Instant};

use allocator::Counting;
use sockeye::Config;
use sockeye::pubsub::{Event, Hub, HubConfig, SlowConsumer};
use sockeye::tokio::WebSocket;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SUBSCRIBERS: usize = 10_000;
const MESSAGES: usize = 1_000;

/// A frame: a header of two bytes and eight digits.
const FRAME: usize = 10;

/// Joins a member on a stream in memory, whose other end is given.
fn join(hub: &Hub) -> tokio::io::DuplexStream {
    let (ours, theirs) = duplex(4096);
    let mut config = Config::default();
    (config.ping_interval, config.output_timeout) = (None, None);
    let mut member = hub.join(WebSocket::server(ours, config), ());
    member.subscribe("load").unwrap();
    tokio::spawn(async move { while let Ok(Some(Event::Message(_))) = member.next().await {} });
    theirs
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "takes a minute; CI runs it optimised"]
async fn ten_thousand_subscribers_get_a_thousand_messages_each_and_memory_stays_flat() {
    let mut config = HubConfig::default();
    // Who misses one is closed, so that it is found.
    (config.lag.messages, config.slow_consumer) = (100, SlowConsumer::Close);
    let hub = Hub::new(config);
    let (done, mut count) = mpsc::channel(SUBSCRIBERS);
    for _ in 0..SUBSCRIBERS {
        let (mut client, done) = (join(&hub), done.clone());
        tokio::spawn(async move {
            let (mut bytes, mut has, mut expected) = ([0; 8192], 0, 0);
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
                bytes.copy_within(whole..has, 0);
                has -= whole;
            }
            done.send(()).await.unwrap();
            client
        });
    }
    // One that never reads, and wants everything: it is closed, and nobody else notices.
    let _stuck = join(&hub);
    tokio::task::yield_now().await;
    let (started, mut held) = (Instant::now(), 0);
    for number in 0..MESSAGES {
        let published = hub.publish("load", format!("{number:08}")).unwrap();
        assert!(published.receivers >= SUBSCRIBERS);
        // Everybody has a turn.
        while hub.held("load").messages > 50 && number < 400 {
            tokio::task::yield_now().await;
        }
        if number % 10 == 0 {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::ZERO).await;
        }
        match number {
            500 => held = allocator::held(),
            999 => {
                let grown = allocator::held() - held;
                println!("memory: {held} bytes, {grown} more after 500 more messages");
                assert!(grown < 8 * 1024 * 1024, "{grown} bytes more");
            }
            _ => {}
        }
    }
    for _ in 0..SUBSCRIBERS {
        count.recv().await.unwrap();
    }
    let time = started.elapsed();
    println!("{SUBSCRIBERS} x {MESSAGES} in {time:?}: {} ns each", time.as_nanos() / (SUBSCRIBERS * MESSAGES) as u128);
}
