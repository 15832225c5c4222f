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

fn poll<F: Future>(future: F, waker: &Waker) -> Poll<F::Output> {
    pin!(future).as_mut().poll(&mut Context::from_waker(waker))
}

/// Polls what has to wait, once.
fn run(future: impl Future, waker: &Waker) {
    assert!(poll(future, waker).is_pending());
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

/// What publishing from several threads costs. Where the time for two is that for one, they do not wait for each other. They begin
/// together, when all of them run, so that this can be read from the fastest where others want the cores, too.
mod threads {
    use super::*;
    use std::hint::spin_loop;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// How many threads, and how many subscribers each of them adds.
    const RUNS: [(usize, usize); 8] =
        [(1, 0), (2, 0), (1, 1), (2, 1), (1, 1_000), (2, 1_000), (1, 10_000), (2, 10_000)];

    /// How many messages, or deliveries, a thread makes in an iteration: enough that they meet, and too few to be interrupted.
    const EACH: usize = 1_000;

    /// Measures the work of threads, which is told the number of its thread.
    fn measure(bencher: Bencher<'_, '_>, threads: usize, items: usize, work: impl Fn(usize) + Sync) {
        // Rounds in which the others are ready, have begun, and are done.
        let (ready, begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let (round, wait) = (AtomicUsize::new(0), |counter: &AtomicUsize, until: usize| {
            while counter.load(SeqCst) < until {
                spin_loop();
            }
        });
        std::thread::scope(|scope| {
            for thread in 1..threads {
                let (ready, begun, done, round, work) = (&ready, &begun, &done, &round, &work);
                scope.spawn(move || {
                    for number in 1.. {
                        wait(round, number);
                        ready.fetch_add(1, SeqCst);
                        wait(begun, number);
                        if begun.load(SeqCst) == usize::MAX {
                            return;
                        }
                        work(thread);
                        done.fetch_add(1, SeqCst);
                    }
                });
            }
            let others = threads - 1;
            let bencher = bencher.counter(ItemsCount::new(items));
            let begin = || {
                let number = round.fetch_add(1, SeqCst) + 1;
                wait(&ready, others * number);
            };
            bencher.with_inputs(begin).bench_local_values(|()| {
                let number = begun.fetch_add(1, SeqCst) + 1;
                work(0);
                wait(&done, others * number);
            });
            begun.store(usize::MAX, SeqCst);
            round.store(usize::MAX, SeqCst);
        });
    }

    /// A hub with a topic for each thread, or one for all.
    struct Many {
        hub: Hub,
        topics: [&'static str; 2],
        /// The subscribers of each thread.
        members: [Mutex<Vec<Member<Void>>>; 2],
        /// One for each thread, as what counts the owners of a message is not the hub's.
        messages: [PreparedMessage; 2],
        waker: Waker,
    }

    impl Many {
        fn new(topics: [&'static str; 2], threads: usize, subscribers: usize) -> Self {
            let hub = Hub::new(HubConfig::default());
            let members = [0, 1].map(|thread| {
                let members = (0..if thread < threads { subscribers } else { 0 }).map(|_| {
                    let mut member = hub.join(socket(), ());
                    member.subscribe(topics[thread]).unwrap();
                    member
                });
                Mutex::new(members.collect())
            });
            let messages = [(); 2].map(|()| PreparedMessage::new(payload()));
            Self { hub, topics, members, messages, waker: Arc::new(Task).into() }
        }

        /// Publishes only: nobody is woken, as all have something to read already.
        fn publish(&self, thread: usize) {
            for _ in 0..EACH {
                self.hub.publish(self.topics[thread], &self.messages[thread]).unwrap();
            }
        }

        /// Publishes, and delivers to the subscribers of this thread, who are woken each time.
        fn deliver(&self, thread: usize) {
            let mut members = self.members[thread].lock().unwrap();
            for _ in 0..(EACH / members.len()).max(1) {
                self.hub.publish(self.topics[thread], &self.messages[thread]).unwrap();
                // Where a thread was interrupted for long, its members are told that they have skipped something.
                members.iter_mut().for_each(|member| drop(poll(member.next(), &self.waker)));
            }
        }
    }

    /// How much two threads can do that write to one line of memory in turn: nobody can give a message from one to the other in less.
    #[divan::bench(sample_size = 1, sample_count = 300)]
    fn line_that_goes_there_and_back(bencher: Bencher<'_, '_>) {
        let line = AtomicUsize::new(0);
        measure(bencher, 2, EACH, |thread| {
            for number in 0..EACH {
                while line.load(SeqCst) != 2 * number + thread {
                    spin_loop();
                }
                line.store((2 * number + thread + 1) % (2 * EACH), SeqCst);
            }
        });
    }

    #[divan::bench(args = RUNS, sample_size = 1, sample_count = 300)]
    fn publish_to_one_topic(bencher: Bencher<'_, '_>, (threads, subscribers): (usize, usize)) {
        let many = Many::new(["room/1"; 2], threads, subscribers);
        measure(bencher, threads, threads * EACH, |thread| many.publish(thread));
    }

    #[divan::bench(args = RUNS, sample_size = 1, sample_count = 300)]
    fn publish_to_a_topic_each(bencher: Bencher<'_, '_>, (threads, subscribers): (usize, usize)) {
        let many = Many::new(["room/1", "room/2"], threads, subscribers);
        measure(bencher, threads, threads * EACH, |thread| many.publish(thread));
    }

    /// One thread publishes to as many subscribers as the other delivers to meanwhile, as in a server with several threads.
    #[divan::bench(args = [1, 1_000], sample_size = 1, sample_count = 30)]
    fn publish_while_another_thread_delivers(bencher: Bencher<'_, '_>, subscribers: usize) {
        let many = Many::new(["room/1"; 2], 1, subscribers);
        let published = AtomicUsize::new(0);
        measure(bencher, 2, EACH, |thread| {
            if thread == 0 {
                many.publish(thread);
                published.fetch_add(1, SeqCst);
                return;
            }
            let mut members = many.members[0].lock().unwrap();
            while published.load(SeqCst) == 0 {
                members.iter_mut().for_each(|member| drop(poll(member.next(), &many.waker)));
            }
            published.store(0, SeqCst);
        });
    }

    #[divan::bench(args = RUNS[2..].iter().copied(), sample_size = 1, sample_count = 300)]
    fn deliver_from_one_topic(bencher: Bencher<'_, '_>, (threads, subscribers): (usize, usize)) {
        let many = Many::new(["room/1"; 2], threads, subscribers);
        measure(bencher, threads, threads * EACH.max(subscribers), |thread| many.deliver(thread));
    }

    #[divan::bench(args = RUNS[2..].iter().copied(), sample_size = 1, sample_count = 300)]
    fn deliver_from_a_topic_each(bencher: Bencher<'_, '_>, (threads, subscribers): (usize, usize)) {
        let many = Many::new(["room/1", "room/2"], threads, subscribers);
        measure(bencher, threads, threads * EACH.max(subscribers), |thread| many.deliver(thread));
    }
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

/// The same, where each of 1,000 subscribers has a hundredth of the topics for itself.
#[divan::bench(args = [100])]
fn to_one_of_many_topics_of_each(bencher: Bencher<'_, '_>, each: usize) {
    let mut crowd = Crowd::new(1_000, |number| format!("room/{number}/0"));
    for (number, member) in crowd.members.iter_mut().enumerate() {
        (1..each).for_each(|topic| member.subscribe(format!("room/{number}/{topic}").as_str()).unwrap());
    }
    crowd.deliver();
    let mut number = 0;
    bencher.counter(ItemsCount::new(1usize)).with_inputs(payload).bench_local_values(|payload| {
        number = (number + 7919) % (1_000 * each);
        crowd.hub.publish(&format!("room/{}/{}", number % 1_000, number / 1_000), payload).unwrap();
        run(crowd.members[number % 1_000].next(), &crowd.waker);
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
