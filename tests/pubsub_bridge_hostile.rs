//! Nodes whose engine is none, or one in trouble: it takes connections and says nothing, nonsense, or that it cannot. Each node goes on
//! by itself, tries again, and keeps nothing of a connection that it has given up.
#![cfg(unix)]

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

#[path = "pubsub_support/engines.rs"]
mod engines;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engines::{Node, receive, run, until};
use pubsub_support::numbers;
use sockeye::pubsub::{Backplane, NatsBackplane, NatsConfig, RedisBackplane, RedisConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

macro_rules! info {
    ($behind:literal) => {
        concat!(
            r#"INFO {"server_id":"x","server_name":"x","version":"2.9.10","go":"go1","host":"127.0.0.1","port":4222,"#,
            r#""max_payload":1048576,"proto":1,"headers":true,"jetstream":true}"#,
            "\r\n",
            $behind
        )
        .as_bytes()
    };
}

/// What a server says to whoever has connected.
#[derive(Clone, Copy, Debug)]
struct Says {
    /// At once.
    first: &'static [u8],
    /// To each command.
    answer: Answer,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Nothing,
    /// It hangs up.
    End,
    /// To each command of Redis; but for the first ones, with which a connection begins.
    Redis(&'static str),
    /// The same, and to those as well.
    RedisFromTheBeginning(&'static str),
    /// To each `PING` of NATS.
    Pong,
}

/// A server that is none.
struct Fake {
    address: String,
    connects: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Fake {
    async fn new(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let [connects, open] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let counts = (connects.clone(), open.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.0.fetch_add(1, Ordering::SeqCst);
                counts.1.fetch_add(1, Ordering::SeqCst);
                let open = counts.1.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, says).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connects, open, task: task.abort_handle() }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, says: Says) -> std::io::Result<()> {
    stream.write_all(says.first).await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        for line in buffer[..len].split(|byte| *byte == b'\n') {
            match says.answer {
                Answer::Nothing => {}
                Answer::End => return Ok(()),
                Answer::Pong if line.starts_with(b"PING") => stream.write_all(b"PONG\r\n").await?,
                Answer::Redis(_) if line.starts_with(b"HELLO") => stream.write_all(HELLO).await?,
                Answer::Redis(_) if line.starts_with(b"CLIENT") => stream.write_all(b"+OK\r\n").await?,
                // The name of a command is the first of its strings.
                Answer::Redis(answer) if is_name(line) => stream.write_all(answer.as_bytes()).await?,
                Answer::RedisFromTheBeginning(answer) if line.starts_with(b"*") => {
                    stream.write_all(answer.as_bytes()).await?;
                }
                Answer::Pong | Answer::Redis(_) | Answer::RedisFromTheBeginning(_) => {}
            }
        }
    }
}

fn is_name(line: &[u8]) -> bool {
    [&b"PING"[..], b"SUBSCRIBE", b"PSUBSCRIBE", b"PUBLISH", b"EVALSHA", b"INFO"].contains(&line.trim_ascii_end())
}

/// A node at this server delivers its own messages to its own clients, whatever it says, and lets go of each connection.
async fn node_goes_on_by_itself<B: Backplane>(says: Says, backplane: impl FnOnce(&str) -> B) {
    let fake = Fake::new(says).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let node = Node::with(backplane(&fake.address), Duration::from_millis(20));
    let mut client = node.client("t");
    let mut of_pattern = node.client("#");
    let connects = |more| {
        let from = fake.connects.load(Ordering::SeqCst);
        let fake = &fake;
        async move { until(|| fake.connects.load(Ordering::SeqCst) >= from + more).await }
    };
    for part in 0..4 {
        node.publish("t", part * 3..part * 3 + 3);
        connects(3).await;
    }
    for client in [&mut client, &mut of_pattern] {
        let (texts, _) = receive(client, 12).await;
        assert_eq!(texts, numbers(0..12), "{says:?}");
    }
    let status = node.hub.bridge_status().unwrap();
    assert!(status.last_error.is_some() && status.queued == 12, "{says:?}: {status:?}");
    // One that is being tried, and one that is being let go.
    until(|| fake.open.load(Ordering::SeqCst) <= 2).await;
    drop(node);
    until(|| fake.open.load(Ordering::SeqCst) == 0 && tasks() <= before).await;
}

#[test]
fn node_goes_on_by_itself_where_redis_says_nothing_nonsense_or_that_it_cannot() {
    let from_the_beginning = |answer| Says { first: b"", answer: Answer::RedisFromTheBeginning(answer) };
    let later = |answer| Says { first: b"", answer: Answer::Redis(answer) };
    let stories = [
        Says { first: b"", answer: Answer::Nothing },
        Says { first: b"", answer: Answer::End },
        Says { first: b"HTTP/1.1 400 Bad Request\r\n\r\n", answer: Answer::Nothing },
        Says { first: b"$99999999999999\r\n", answer: Answer::Nothing },
        Says { first: b"*2147483647\r\n", answer: Answer::Nothing },
        Says { first: b"%9223372036854775807\r\n", answer: Answer::Nothing },
        Says { first: &[0xff; 1000], answer: Answer::Nothing },
        from_the_beginning("-NOAUTH Authentication required.\r\n"),
        from_the_beginning("-LOADING Redis is loading the dataset in memory\r\n"),
        from_the_beginning("+OK\r\n"),
        later("-LOADING Redis is loading the dataset in memory\r\n"),
        later("-READONLY You can't write against a read only replica.\r\n"),
        later("-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
        later("$-1\r\n"),
        later("*0\r\n"),
    ];
    for says in stories {
        for history in [0, 10] {
            // Where nothing is asked but that it be taken, this is an engine.
            let takes_all = matches!(says.answer, Answer::Redis(answer) | Answer::RedisFromTheBeginning(answer) if !answer.starts_with('-'));
            if history == 0 && takes_all {
                continue;
            }
            run(node_goes_on_by_itself(says, |address| {
                let mut config = RedisConfig::default();
                config.history = history;
                RedisBackplane::open(&format!("redis://{address}/"), config).unwrap()
            }));
        }
    }
}

#[test]
fn node_goes_on_by_itself_where_nats_says_nothing_nonsense_or_that_it_cannot() {
    let stories = [
        Says { first: b"", answer: Answer::Nothing },
        Says { first: b"", answer: Answer::End },
        Says { first: b"HTTP/1.1 400 Bad Request\r\n\r\n", answer: Answer::Nothing },
        Says { first: b"INFO {\r\n", answer: Answer::Nothing },
        Says { first: &[0xff; 1000], answer: Answer::Nothing },
        Says { first: INFO, answer: Answer::Nothing },
        Says { first: INFO, answer: Answer::End },
        Says { first: INFO_AND_REFUSAL, answer: Answer::Pong },
        Says { first: INFO_AND_TOO_MUCH, answer: Answer::Pong },
        Says { first: INFO, answer: Answer::Pong },
    ];
    for says in stories {
        for history in [0, 10] {
            run(node_goes_on_by_itself(says, |address| {
                let mut config = NatsConfig::default();
                config.history = history;
                NatsBackplane::open(&format!("nats://{address}"), config).unwrap()
            }));
        }
    }
}

/// How a connection to Redis begins.
const HELLO: &[u8] = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n";

/// How one to NATS does; and what may come behind it.
const INFO: &[u8] = info!("");
const INFO_AND_REFUSAL: &[u8] = info!("-ERR 'Authorization Violation'\r\n");
const INFO_AND_TOO_MUCH: &[u8] = info!("MSG a 1 999999999999\r\nx");
