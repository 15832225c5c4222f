//! Ten thousand subscribers, in memory and over TCP: each gets every message, and memory does not grow.
//!
//! Over TCP, the clients are in a process of their own, which is this program again: each of the two needs as many file descriptors
//! as there are subscribers. The limit is raised as far as the system lets us. Where that is not enough there are fewer
//! subscribers, and what is printed says how many.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "a part of what it tells is wanted here")]
mod allocator;

use std::future::Future;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use allocator::Counting;
use sockeye::Config;
use sockeye::pubsub::{Event, Hub, HubConfig, SlowConsumer};
use sockeye::tokio::WebSocket;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

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
async fn receive_all<S: AsyncRead + Unpin>(mut client: S, received: Arc<AtomicUsize>) -> S {
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

/// Fails if memory has grown since the 700th message.
struct Flat {
    held: i64,
}

impl Flat {
    fn look(&mut self, number: usize) {
        match number {
            700 => self.held = allocator::held(),
            999 => {
                let grown = allocator::held() - self.held;
                println!("{} bytes, and {grown} more after 299 more messages", self.held);
                assert!(grown < 4 * 1024 * 1024, "{grown} bytes more");
            }
            _ => {}
        }
    }
}

/// Says how long it took for each message and subscriber.
fn tell(started: Instant, subscribers: usize) {
    let nanos = started.elapsed().as_nanos() / (subscribers * MESSAGES) as u128;
    println!("{nanos} ns for each of {subscribers} x {MESSAGES}, the clients included");
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "wants the machine for itself; CI runs it so"]
async fn ten_thousand_subscribers_get_a_thousand_messages_each_and_memory_stays_flat() {
    let mut config = HubConfig::default();
    // Who misses one is closed, so that it is found.
    (config.lag.messages, config.slow_consumer) = (400, SlowConsumer::Close);
    let (hub, received) = (Hub::new(config), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..SUBSCRIBERS).map(|_| tokio::spawn(receive_all(join(&hub), received.clone()))).collect();
    // One that never reads: it is closed, and nobody else notices.
    let _stuck = join(&hub);
    let (started, mut flat) = (Instant::now(), Flat { held: 0 });
    for number in 0..MESSAGES {
        let published = hub.publish("load", format!("{number:08}")).unwrap();
        assert!(published.receivers >= SUBSCRIBERS);
        assert!(hub.held("load").messages <= 400);
        // A publisher need not wait; this one sees to it that nobody who reads is too slow for it.
        while received.load(Ordering::Relaxed) + 50 * SUBSCRIBERS < number * SUBSCRIBERS {
            tokio::task::yield_now().await;
        }
        flat.look(number);
    }
    let mut streams = Vec::new();
    for client in clients {
        streams.push(client.await.unwrap());
    }
    tell(started, SUBSCRIBERS);
    assert_eq!(hub.publish("load", "the end").unwrap().receivers, SUBSCRIBERS, "the one that never reads was closed");
}

#[test]
#[ignore = "wants the machine for itself; CI runs it so"]
fn ten_thousand_connections_over_tcp_get_a_thousand_messages_each_and_memory_stays_flat() {
    let subscribers = connections(SUBSCRIBERS);
    if subscribers < SUBSCRIBERS {
        println!("the system lets a process have {subscribers} connections: there are so many, and not {SUBSCRIBERS}");
    }
    run(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "clients_of_the_other_process"]).stdout(Stdio::null());
        command.env(CLIENTS, format!("{} {subscribers}", listener.local_addr().unwrap().port()));
        let mut clients = command.spawn().unwrap();
        let mut ended = tokio::task::spawn_blocking(move || clients.wait().unwrap());
        tokio::select! {
            status = &mut ended => panic!("the clients have ended: {status:?}"),
            () = serve(listener, subscribers) => {}
        }
        assert!(ended.await.unwrap().success(), "the clients got something else");
    });
}

/// Joins so many connections, and publishes as fast as they are written to.
async fn serve(listener: TcpListener, subscribers: usize) {
    let mut config = HubConfig::default();
    (config.lag.messages, config.slow_consumer) = (400, SlowConsumer::Close);
    let hub = Hub::<()>::new(config);
    for _ in 0..subscribers {
        let (stream, _) = listener.accept().await.unwrap();
        let mut member = hub.join(sockeye::tokio::accept(stream).await.unwrap(), ());
        member.subscribe("load").unwrap();
        tokio::spawn(async move { while let Ok(Some(Event::Message(_))) = member.next().await {} });
    }
    let (started, mut flat) = (Instant::now(), Flat { held: 0 });
    for number in 0..MESSAGES {
        while hub.held("load").messages > 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hub.publish("load", format!("{number:08}")).unwrap().receivers, subscribers);
        flat.look(number);
    }
    while hub.held("load").messages > 0 {
        tokio::task::yield_now().await;
    }
    tell(started, subscribers);
}

/// Nothing by itself: what the test above starts.
#[test]
#[ignore = "a part of another test"]
fn clients_of_the_other_process() {
    let Ok(task) = std::env::var(CLIENTS) else { return };
    let (port, count) = task.split_once(' ').unwrap();
    let (port, count): (u16, usize) = (port.parse().unwrap(), count.parse().unwrap());
    assert!(connections(count) >= count);
    run(async {
        let mut clients = Vec::new();
        for _ in 0..count {
            let stream = handshake(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap()).await;
            clients.push(tokio::spawn(receive_all(stream, Arc::default())));
        }
        for client in clients {
            client.await.unwrap();
        }
    });
}

async fn handshake(mut stream: TcpStream) -> BufReader<TcpStream> {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // What follows the response stays in the buffer.
    let (mut reader, mut line) = (BufReader::with_capacity(1024, stream), String::new());
    while line != "\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).await.unwrap() > 0, "closed in the handshake");
    }
    reader
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

/// How many connections this process has file descriptors for, after asking for more.
#[cfg(unix)]
fn connections(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = (wanted + SPARE) as u64;
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let mut has = limit.current.unwrap_or(u64::MAX);
    if has < raised && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
        has = raised;
    }
    usize::try_from(has).unwrap_or(usize::MAX).saturating_sub(SPARE).min(wanted)
}

/// There is no such limit.
#[cfg(not(unix))]
fn connections(wanted: usize) -> usize {
    wanted
}

/// What tells the clients' process where the server is, and how many they are.
const CLIENTS: &str = "SOCKEYE_LOAD_CLIENTS";

/// File descriptors that are no connections.
#[cfg(unix)]
const SPARE: usize = 50;
