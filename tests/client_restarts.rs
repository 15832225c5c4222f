//! A server that dies a hundred times: every number that it sent arrives, or is reported missing by the application's own counter.
//! And reconnecting on threads. All of it on loopback, driven by what happens, without a wait.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sockeye::client::{BackoffConfig, Client, Failure, RetryAfter, blocking};
use sockeye::{Close, CloseCode};

const SECOND: Duration = Duration::from_secs(1);

/// How many times the server dies.
const DEATHS: usize = 100;

/// Sends numbers, never one twice, and dies in the middle. It is back once somebody has found it gone. Returns how many it
/// has sent, or meant to: the last one is not followed by a death.
fn dying_server(listener: TcpListener, was_missed: &Receiver<()>) -> u64 {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut sent = 0;
    for life in 0..=DEATHS {
        let here = listener.take().unwrap_or_else(|| TcpListener::bind(address).unwrap());
        let mut socket = sockeye::blocking::accept(here.accept().unwrap().0).unwrap();
        for _ in 0..1 + life % 7 {
            socket.send(sent.to_string().as_str()).unwrap();
            sent += 1;
        }
        if life == DEATHS {
            socket.close(Close::normal()).unwrap();
            while socket.receive().unwrap().is_some() {}
            break;
        }
        while was_missed.try_recv().is_ok() {}
        drop(here); // from here on connections are refused
        match life % 3 {
            // A message was queued that was never written.
            0 => sent += 1,
            // One broke off.
            1 => {
                socket.get_ref().write_all(b"\x81\x05").unwrap();
                sent += 1;
            }
            // The client's subscription is still unread, so this resets the connection: what is under way is lost.
            _ => {}
        }
        drop(socket);
        was_missed.recv().unwrap();
    }
    sent
}

/// The application's own counter: what came, and what it says is missing.
#[derive(Default)]
struct Counter {
    next: u64,
    arrived: Vec<u64>,
    missing: Vec<u64>,
}

impl Counter {
    fn take(&mut self, number: u64) {
        assert!(number >= self.next, "{number} came again, or late");
        self.missing.extend(self.next..number);
        self.arrived.push(number);
        self.next = number + 1;
    }

    fn assert_complete(self, sent: u64) {
        let mut all: Vec<u64> = self.arrived.iter().chain(&self.missing).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..sent).collect::<Vec<_>>());
        // Two deaths of three take a number with them.
        assert!(self.missing.len() >= DEATHS * 2 / 3, "{}", self.missing.len());
        assert!(!self.arrived.is_empty());
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Without a wait: it is not the time that this is about.
fn at_once() -> BackoffConfig {
    let mut config = BackoffConfig::default();
    config.first = Duration::ZERO;
    config
}

#[tokio::test]
async fn a_server_that_dies_a_hundred_times_loses_no_number_unseen() {
    let (listener, address) = listener();
    let (missed, was_missed) = channel();
    let server = thread::spawn(move || dying_server(listener, &was_missed));
    let client = Client::new().reconnecting(&*format!("ws://{address}/"), at_once()).unwrap();
    let mut client = client.on_retry(move |retry| {
        if retry.error.is_some() {
            let _ = missed.send(()); // the server may be back by now, for the last time
        }
    });
    let (mut counter, mut connections) = (Counter::default(), 0);
    while let Some(mut socket) = client.next().await.unwrap() {
        connections += 1;
        if socket.send("subscribe").await.is_ok() {
            while let Ok(Some(message)) = socket.receive().await {
                counter.take(message.as_text().unwrap().parse().unwrap());
            }
        }
        client.closed(socket.close_code());
    }
    counter.assert_complete(server.join().unwrap());
    assert_eq!(connections, DEATHS + 1);
}

#[test]
fn on_threads_a_server_that_dies_a_hundred_times_loses_no_number_unseen() {
    let (listener, address) = listener();
    let (missed, was_missed) = channel();
    let server = thread::spawn(move || dying_server(listener, &was_missed));
    let client = Client::new().reconnecting_blocking(&*format!("ws://{address}/"), at_once()).unwrap();
    let mut client = client.on_retry(move |retry| {
        if retry.error.is_some() {
            let _ = missed.send(());
        }
    });
    let (mut counter, mut connections) = (Counter::default(), 0);
    while let Some(mut socket) = client.next().unwrap() {
        connections += 1;
        if socket.send("subscribe").is_ok() {
            while let Ok(Some(message)) = socket.receive() {
                counter.take(message.as_text().unwrap().parse().unwrap());
            }
        }
        client.closed(socket.close_code());
    }
    counter.assert_complete(server.join().unwrap());
    assert_eq!(connections, DEATHS + 1);
}

/// A failure of the test's own.
#[derive(Debug, PartialEq)]
struct Away {
    is_permanent: bool,
}

impl Failure for Away {
    fn is_permanent(&self) -> bool {
        self.is_permanent
    }

    fn retry_after(&self) -> Option<RetryAfter> {
        Some(RetryAfter::Delay(3600 * SECOND))
    }
}

#[test]
fn on_threads_a_wait_of_an_hour_is_ended_by_another_thread() {
    let (told, was_told) = channel();
    let mut client =
        blocking::Reconnecting::<(), _>::with(BackoffConfig::default(), || Err(Away { is_permanent: false }))
            .on_retry(move |retry| told.send((retry.delay, retry.failures)).unwrap());
    let stop = client.stop_handle();
    let waiting = thread::spawn(move || (client.next(), client.next()));
    let (delay, failures) = was_told.recv().unwrap();
    assert!(delay >= 3600 * SECOND && failures == 1, "{delay:?}");
    stop.stop();
    assert_eq!(waiting.join().unwrap(), (Ok(None), Ok(None)));
}

#[test]
fn on_threads_what_will_not_heal_ends_it_and_so_does_enough() {
    let mut client = blocking::Reconnecting::<(), _>::with(at_once(), || Err(Away { is_permanent: true }));
    assert_eq!(client.next(), Err(Away { is_permanent: true }));

    let mut config = at_once();
    config.max_retry_after = Duration::ZERO;
    config.max_failures = Some(5);
    let attempts = Arc::new(Mutex::new(0));
    let counted = attempts.clone();
    let mut client = blocking::Reconnecting::<(), _>::with(config, move || {
        *counted.lock().unwrap() += 1;
        Err(Away { is_permanent: false })
    });
    assert_eq!(client.next(), Err(Away { is_permanent: false }));
    assert_eq!(*attempts.lock().unwrap(), 5);
}

#[test]
fn on_threads_a_normal_close_ends_it() {
    let mut client = blocking::Reconnecting::<_, Away>::with(at_once(), || Ok("a connection"));
    assert_eq!(client.next(), Ok(Some("a connection")));
    assert_eq!(client.next(), Ok(Some("a connection"))); // the first counts as lost
    client.closed(Some(CloseCode::NORMAL));
    assert_eq!(client.next(), Ok(None));
}
