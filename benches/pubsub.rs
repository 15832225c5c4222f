//! What publishing costs: 1 KiB to many subscribers of one topic, to one of many topics, by patterns; beside the same fan-out
//! written with `tokio::sync::broadcast`, on our sockets and on tungstenite's, which tokio-tungstenite's are.
//!
//! ```text
//! cargo bench --features pubsub --bench pubsub
//! ```
//!
//! Sockets are in memory and take everything at no cost, so what is measured is ours: publishing, waking, writing from the log,
//! and a look at the client's side, which finds nothing. On a real socket the system call for a write comes to that: one for all
//! that is there, against one for each message of the others. An item is a message to a subscriber. `publish` is what the
//! publisher alone pays.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sockeye::driver::{Timer, Transport, WebSocket};
use sockeye::pubsub::{Hub, HubConfig, Member};
use sockeye::{Config, Instant, PreparedMessage};

fn main() {
    divan::main();
}

/// A stream that takes everything, and on which nothing comes.
#[derive(Debug)]
struct Void;

impl Transport for Void {
    type Stream = Self;
    type Timer = Standstill;

    fn new(stream: Self) -> Self {
        stream
    }

    fn into_stream(self) -> Self {
        self
    }

    fn stream(&self) -> &Self {
        self
    }

    fn timer(&self) -> Standstill {
        Standstill
    }

    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_write_vectored(&mut self, _: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(pieces).iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug)]
struct Standstill;

impl Timer for Standstill {
    fn now(&self) -> Instant {
        Instant::default()
    }

    fn poll_until(&mut self, _: Instant, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// A task that costs nothing to wake.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

fn socket() -> WebSocket<Void> {
    WebSocket::server(Void, Config::default())
}

/// Polls what has to wait, once.
fn run(future: impl Future, waker: &Waker) {
    let polled: Poll<_> = pin!(future).as_mut().poll(&mut Context::from_waker(waker));
    assert!(polled.is_pending());
}

/// A hub whose topics are subscribed to, by a member each or all by the same number of members.
struct Crowd {
    hub: Hub,
    members: Vec<Member<Void>>,
    waker: Waker,
}

impl Crowd {
    fn new(members: usize, mut pattern: impl FnMut(usize) -> String) -> Self {
        let mut config = HubConfig::default();
        config.max_topics = 1_000_000;
        let hub = Hub::new(config);
        let members = (0..members).map(|number| {
            let mut member = hub.join(socket(), ());
            member.subscribe(pattern(number).as_str()).unwrap();
            member
        });
        let mut this = Self { members: members.collect(), hub, waker: Arc::new(Task).into() };
        this.deliver();
        this
    }

    fn deliver(&mut self) {
        self.members.iter_mut().for_each(|member| run(member.next(), &self.waker));
    }
}

fn payload() -> Vec<u8> {
    (b' '..=b'~').cycle().take(1024).collect()
}

/// Publishes a message and delivers it to all.
#[divan::bench(args = [1_000, 10_000])]
fn to_all(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut crowd = Crowd::new(subscribers, |_| "room/1".into());
    bencher.counter(ItemsCount::new(subscribers)).with_inputs(payload).bench_local_values(|payload| {
        crowd.hub.publish("room/1", payload).unwrap();
        crowd.deliver();
    });
}

/// The same, 32 messages at a time.
#[divan::bench(args = [1_000, 10_000])]
fn to_all_32_in_a_write(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut crowd = Crowd::new(subscribers, |_| "room/1".into());
    let message = PreparedMessage::new(payload());
    bencher.counter(ItemsCount::new(32 * subscribers)).bench_local(|| {
        for _ in 0..32 {
            crowd.hub.publish("room/1", &message).unwrap();
        }
        crowd.deliver();
    });
}

/// The same, by a pattern of each.
#[divan::bench(args = [1_000, 10_000])]
fn to_all_by_patterns(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut crowd = Crowd::new(subscribers, |number| ["room/#", "room/+", "+/1"][number % 3].into());
    bencher.counter(ItemsCount::new(subscribers)).with_inputs(payload).bench_local_values(|payload| {
        crowd.hub.publish("room/1", payload).unwrap();
        crowd.deliver();
    });
}

/// What the publisher pays when all have to be woken.
#[divan::bench(args = [1, 1_000, 10_000])]
fn publish(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut crowd = Crowd::new(subscribers, |_| "room/1".into());
    let (hub, message) = (crowd.hub.clone(), PreparedMessage::new(payload()));
    bencher
        .counter(ItemsCount::new(subscribers))
        .with_inputs(|| crowd.deliver())
        .bench_local_values(|()| hub.publish("room/1", &message).unwrap());
}

/// What the publisher pays when all are awake.
#[divan::bench(args = [1, 10_000])]
fn publish_to_the_awake(bencher: Bencher<'_, '_>, subscribers: usize) {
    let crowd = Crowd::new(subscribers, |_| "room/1".into());
    let message = PreparedMessage::new(payload());
    bencher.bench_local(|| crowd.hub.publish("room/1", &message).unwrap());
}

/// To one of so many topics, each with a subscriber.
#[divan::bench(args = [1, 100_000])]
fn to_one_of_many_topics(bencher: Bencher<'_, '_>, topics: usize) {
    let mut crowd = Crowd::new(topics, |number| format!("room/{number}"));
    let mut number = 0;
    bencher.counter(ItemsCount::new(1usize)).with_inputs(payload).bench_local_values(|payload| {
        number = (number + 7919) % topics;
        crowd.hub.publish(&format!("room/{number}"), payload).unwrap();
        run(crowd.members[number].next(), &crowd.waker);
    });
}

/// The same fan-out with a channel: each subscriber is sent the prepared message by its own task.
#[divan::bench(args = [1_000, 10_000])]
fn tokio_broadcast_channel(bencher: Bencher<'_, '_>, subscribers: usize) {
    let (sender, _) = tokio::sync::broadcast::channel::<PreparedMessage>(64);
    let waker: Waker = Arc::new(Task).into();
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = (0..subscribers)
        .map(|_| {
            let (mut socket, mut receiver) = (socket(), sender.subscribe());
            let task = async move {
                while let Ok(message) = receiver.recv().await {
                    socket.send(&message).await.unwrap();
                }
            };
            Box::pin(task) as Pin<Box<dyn Future<Output = ()>>>
        })
        .collect();
    tasks.iter_mut().for_each(|task| run(task.as_mut(), &waker));
    bencher.counter(ItemsCount::new(subscribers)).with_inputs(payload).bench_local_values(|payload| {
        sender.send(PreparedMessage::new(payload)).unwrap();
        tasks.iter_mut().for_each(|task| run(task.as_mut(), &waker));
    });
}

/// What tungstenite writes to, at no cost.
struct Sink;

impl io::Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same with tungstenite, which encodes for each.
#[divan::bench(args = [1_000, 10_000])]
fn tungstenite_behind_a_broadcast_channel(bencher: Bencher<'_, '_>, subscribers: usize) {
    tungstenite(bencher, subscribers, 1);
}

/// The same, 32 messages at a time.
#[divan::bench(args = [1_000, 10_000])]
fn tungstenite_behind_a_broadcast_channel_32(bencher: Bencher<'_, '_>, subscribers: usize) {
    tungstenite(bencher, subscribers, 32);
}

fn tungstenite(bencher: Bencher<'_, '_>, subscribers: usize, messages: usize) {
    use tungstenite::protocol::Role;
    use tungstenite::{Message, WebSocket};
    let (sender, _) = tokio::sync::broadcast::channel::<Message>(64);
    let waker: Waker = Arc::new(Task).into();
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = (0..subscribers)
        .map(|_| {
            let (mut socket, mut receiver) = (WebSocket::from_raw_socket(Sink, Role::Server, None), sender.subscribe());
            let task = async move {
                while let Ok(message) = receiver.recv().await {
                    socket.send(message).unwrap();
                    // The client may have sent something, too.
                    assert!(socket.read().is_err());
                }
            };
            Box::pin(task) as Pin<Box<dyn Future<Output = ()>>>
        })
        .collect();
    tasks.iter_mut().for_each(|task| run(task.as_mut(), &waker));
    let message = Message::binary(payload());
    bencher.counter(ItemsCount::new(messages * subscribers)).bench_local(|| {
        for _ in 0..messages {
            sender.send(message.clone()).unwrap();
        }
        tasks.iter_mut().for_each(|task| run(task.as_mut(), &waker));
    });
}
