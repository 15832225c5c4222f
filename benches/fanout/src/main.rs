//! What it costs a server to send a message of 1 KiB to each of many subscribers over TCP: CPU time of its thread, the kernel's
//! included, for each message and subscriber.
//!
//! ```text
//! cargo run --release --manifest-path benches/fanout/Cargo.toml -- [SUBSCRIBERS]
//! ```
//!
//! The server has a thread of its own; clients are on another one, read bytes and nothing else. The next burst is published
//! when everybody has the last one, so nobody is slow. Libraries take turns, round by round; what is printed is the median of the
//! rounds, after one that does not count. Tasks are written as one writes them: receive from the client and from the channel,
//! whichever comes first, and send what came.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast, mpsc};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LEN: usize = 1024;
/// The header of a server's frame of that length.
const HEAD: usize = 4;
const ROUNDS: usize = 7;
/// Messages of a round, whatever the burst.
const MESSAGES: usize = 64;
const BURSTS: [usize; 3] = [1, 8, 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Sockeye,
    TokioTungstenite,
    SockudoWs,
}

const LIBRARIES: [Library; 3] = [Library::Sockeye, Library::TokioTungstenite, Library::SockudoWs];

/// What the clients have got, and who waits for them.
#[derive(Default)]
struct Clients {
    received: AtomicU64,
    wanted: AtomicU64,
    all: Notify,
}

fn main() -> Outcome<()> {
    let subscribers = std::env::args().nth(1).map_or(Ok(1000), |number| number.parse())?;
    sockudo_ws::init_clock();
    println!("{subscribers} subscribers, {LEN} bytes; ns of the server's CPU for each message and subscriber");
    let mut figures = vec![Vec::new(); LIBRARIES.len()];
    for round in 0..=ROUNDS {
        for (library, figures) in LIBRARIES.iter().zip(&mut figures) {
            let each = measure(*library, subscribers)?;
            if round > 0 {
                figures.push(each);
            }
        }
    }
    for (library, rounds) in LIBRARIES.iter().zip(&figures) {
        for (index, burst) in BURSTS.iter().enumerate() {
            let mut sorted: Vec<f64> = rounds.iter().map(|each| each[index]).collect();
            sorted.sort_by(f64::total_cmp);
            println!("{library:?}, {burst} at a time: {:.0} ns", sorted[sorted.len() / 2]);
        }
    }
    Ok(())
}

/// One round of a library: the figure for each burst.
fn measure(library: Library, subscribers: usize) -> Outcome<[f64; BURSTS.len()]> {
    let clients = Arc::new(Clients::default());
    let (send_address, address) = std::sync::mpsc::channel();
    let for_server = clients.clone();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            send_address.send(listener.local_addr()?)?;
            let publish = match library {
                Library::Sockeye => sockeye_server(listener, subscribers).await?,
                Library::TokioTungstenite => tungstenite_server(listener, subscribers).await?,
                Library::SockudoWs => sockudo_server(listener, subscribers).await?,
            };
            // Everybody has subscribed and waits.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let mut figures = [0.0; BURSTS.len()];
            for (figure, burst) in figures.iter_mut().zip(BURSTS) {
                let before = cpu();
                for _ in 0..MESSAGES / burst {
                    let bytes = (burst * subscribers * (LEN + HEAD)) as u64;
                    for_server.wanted.fetch_add(bytes, Ordering::SeqCst);
                    (0..burst).for_each(|_| publish());
                    for_server.all.notified().await;
                }
                *figure = (cpu() - before) * 1e9 / (MESSAGES * subscribers) as f64;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(figures)
        })
    });
    let address = address.recv()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..subscribers {
            streams.push(handshake(TcpStream::connect(address).await?).await?);
        }
        for stream in streams {
            tokio::spawn(drain(stream, clients.clone()));
        }
        // The server's end is theirs.
        while !server.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })?;
    server.join().map_err(|_| "the server panicked")?
}

/// The CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

async fn handshake(mut stream: TcpStream) -> Outcome<TcpStream> {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(stream.read_u8().await?);
    }
    Ok(stream)
}

/// Reads, and tells when everybody has everything.
async fn drain(mut stream: TcpStream, clients: Arc<Clients>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        let received = clients.received.fetch_add(len as u64, Ordering::SeqCst) + len as u64;
        if received == clients.wanted.load(Ordering::SeqCst) {
            clients.all.notify_one();
        }
    }
}

type Publish = Box<dyn Fn()>;

async fn sockeye_server(listener: TcpListener, subscribers: usize) -> Outcome<Publish> {
    use sockeye::pubsub::{Hub, HubConfig};
    let hub = Hub::<()>::new(HubConfig::default());
    for _ in 0..subscribers {
        let (stream, hub) = (listener.accept().await?.0, hub.clone());
        let mut member = hub.join(sockeye::tokio::accept(stream).await?, ());
        member.subscribe("room")?;
        tokio::spawn(async move { while let Ok(Some(_)) = member.next().await {} });
    }
    Ok(Box::new(move || {
        let _ = hub.publish("room", vec![b'x'; LEN]);
    }))
}

async fn tungstenite_server(listener: TcpListener, subscribers: usize) -> Outcome<Publish> {
    use tokio_tungstenite::tungstenite::Message;
    let (sender, _) = broadcast::channel::<Bytes>(1024);
    for _ in 0..subscribers {
        let (stream, mut receiver) = (listener.accept().await?.0, sender.subscribe());
        let mut socket = tokio_tungstenite::accept_async(stream).await?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    received = socket.next() => if !matches!(received, Some(Ok(_))) { return },
                    published = receiver.recv() => {
                        let Ok(published) = published else { return };
                        if socket.send(Message::Binary(published)).await.is_err() { return }
                    }
                }
            }
        });
    }
    Ok(Box::new(move || {
        let _ = sender.send(vec![b'x'; LEN].into());
    }))
}

async fn sockudo_server(listener: TcpListener, subscribers: usize) -> Outcome<Publish> {
    use sockudo_ws::handshake::server_handshake;
    use sockudo_ws::pubsub::PubSub;
    use sockudo_ws::{Config, Message, Role, WebSocketStream};
    let topics = Arc::new(PubSub::new());
    for _ in 0..subscribers {
        let mut stream = listener.accept().await?.0;
        let leftover = server_handshake(&mut stream).await?.leftover;
        let mut socket = WebSocketStream::from_raw_with_leftover(stream, Role::Server, Config::default(), leftover);
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let id = topics.create_subscriber(sender);
        topics.subscribe(id, "room");
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    received = socket.next() => if !matches!(received, Some(Ok(_))) { return },
                    published = receiver.recv() => {
                        let Some(published) = published else { return };
                        if socket.send(published).await.is_err() { return }
                    }
                }
            }
        });
    }
    Ok(Box::new(move || {
        topics.publish("room", Message::Binary(vec![b'x'; LEN].into()));
    }))
}
