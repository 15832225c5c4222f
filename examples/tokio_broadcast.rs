//! One message to all: encoded once, never copied, and never waiting for anybody.
//!
//! `try_send` queues a message or says at once that there is no room, which is the case for a client that does not read.
//! Here such a client misses messages until it reads again, as suits prices or positions; who stays [`Error::Full`] could be
//! aborted instead ([`Sender::abort`]). Either way, what is held for it is bounded.
//!
//! ```sh
//! cargo run --example tokio_broadcast
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sockeye::driver::Drain;
use sockeye::tokio::{Error, Sender, Server, WebSocket, connect};
use sockeye::{Config, PreparedMessage};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

/// Messages that are sent to all, and how long each is: more than the system buffers for anybody.
const MESSAGES: u8 = 250;
const LEN: usize = 128 * 1024;

/// Those who listen.
#[derive(Clone, Default)]
struct Audience(Arc<Mutex<Vec<Listener>>>);

struct Listener {
    sender: Sender<TcpStream>,
    missed: usize,
}

impl Audience {
    /// Sends a message to all, without waiting.
    fn tell(&self, message: &PreparedMessage) {
        self.lock(|listeners| {
            listeners.retain_mut(|listener| match listener.sender.try_send(message) {
                Ok(()) => true,
                Err(Error::Full) => {
                    listener.missed += 1;
                    true
                }
                Err(_) => false, // is gone
            });
        });
    }

    fn lock<R>(&self, f: impl FnOnce(&mut Vec<Listener>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let audience = Audience::default();
    let server = Server::bind("127.0.0.1:0").await?;
    let (uri, handle) = (format!("ws://{}", server.local_addr()?), server.handle());
    let joining = audience.clone();
    let serving = tokio::spawn(server.run(move |accepting, _| {
        let audience = joining.clone();
        async move {
            let (mut receiver, sender) = accepting.accept().await?.split();
            audience.lock(|listeners| listeners.push(Listener { sender, missed: 0 }));
            // To receive, even where nothing is expected, is what answers pings and writes what is queued.
            while receiver.receive().await?.is_some() {}
            Ok(())
        }
    }));

    // Three who read, and one who does not until it is told to.
    let (wake, sleep) = oneshot::channel();
    let slow = connect(&uri).await?;
    let slow = tokio::spawn(async move {
        let _ = sleep.await;
        count(slow).await
    });
    let mut lively = Vec::new();
    for _ in 0..3 {
        lively.push(tokio::spawn(count(connect(&uri).await?)));
    }

    let mut clock = interval(Duration::from_millis(2));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while audience.lock(|listeners| listeners.len()) < 4 {
        clock.tick().await;
    }
    for number in 0..MESSAGES {
        clock.tick().await;
        audience.tell(&PreparedMessage::new(vec![number; LEN]));
    }
    let held = audience.lock(|listeners| listeners.iter().map(|listener| listener.sender.queued()).max());
    let missed: usize = audience.lock(|listeners| listeners.iter().map(|listener| listener.missed).sum());
    println!("the slow one missed {missed} messages; {} KiB are held for it", held.unwrap_or(0) / 1024);
    assert!(held.unwrap_or(0) <= Config::default().high_water_mark + 2 * LEN, "what is held is bounded");

    let _ = wake.send(());
    let drained = handle.shutdown(Drain::default()).await;
    serving.await??;
    for listener in lively {
        assert_eq!(listener.await??, usize::from(MESSAGES), "nobody else missed any");
    }
    let received = slow.await??;
    println!("the others got all {MESSAGES}, the slow one {received}");
    assert!(missed > 0 && received + missed == usize::from(MESSAGES), "each was received or missed");
    assert_eq!(drained.aborted, 0, "and all were there to the end");
    Ok(())
}

/// A client: receives to the end of the connection; how many messages came, each later than the one before.
async fn count(mut socket: WebSocket<TcpStream>) -> Result<usize, Error> {
    let (mut received, mut last) = (0, None);
    while let Some(message) = socket.receive_ref().await? {
        let number = message.payload().first().copied();
        assert!(number > last, "messages come in order");
        (received, last) = (received + 1, number);
    }
    Ok(received)
}
