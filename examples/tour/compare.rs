//! The same exchange over one WebSocket connection and as HTTP requests, both real, both counted at the sockets.

use core::time::Duration;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use sockeye::Close;
use sockeye::blocking::{Connector, accept};
use sockeye::handshake::ClientRequest;

use crate::Error;
use crate::http::{self, Connections};
use crate::page::Page;
use crate::tape::{Party, Tap, Tape};

/// Messages in each direction.
pub(crate) const EACH: usize = 100;

/// Header fields that a browser adds to every request, that of a WebSocket handshake too.
pub(crate) const BROWSER: [(&str, &str); 3] = [
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
];

/// What the server has to tell.
pub(crate) fn news(n: usize) -> String {
    format!("{{\"n\":{n},\"fish\":\"sockeye\",\"price\":{}.25}}", 100 + n % 7)
}

/// What the client has to tell.
pub(crate) fn order(n: usize) -> String {
    format!("{{\"order\":{n},\"buy\":{}}}", 1 + n % 5)
}

/// What an exchange took.
pub(crate) struct Bill {
    pub(crate) name: &'static str,
    pub(crate) connections: u64,
    pub(crate) requests: usize,
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) time: Duration,
}

impl Bill {
    /// Runs an exchange, which tells how many connections it opened, and counts what it wrote.
    fn of(
        name: &'static str,
        requests: usize,
        exchange: impl FnOnce(&Tape) -> Result<u64, Error>,
    ) -> Result<Self, Error> {
        let (tape, started) = (Tape::new(), Instant::now());
        let connections = exchange(&tape)?;
        let time = started.elapsed();
        let (up, down) = (tape.written(Party::Client), tape.written(Party::Server));
        Ok(Self { name, connections, requests, up, down, time })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.up + self.down
    }
}

pub(crate) fn chapter(page: &mut Page<impl Write>) -> Result<(), Error> {
    let bills = [
        Bill::of("WebSocket", 1, over_websocket)?,
        Bill::of("HTTP/1.1, kept alive", 2 * EACH, |tape| http::exchange(tape, Connections::One))?,
        Bill::of("HTTP/1.1, not kept", 2 * EACH, |tape| http::exchange(tape, Connections::OnePerRequest))?,
    ];
    let payload: usize = (0..EACH).map(|n| news(n).len() + order(n).len()).sum();
    assert_eq!(bills.each_ref().map(|bill| bill.connections), [1, 1, 2 * EACH as u64]);
    assert!(bills[1..].iter().all(|bill| bill.bytes() > 5 * bills[0].bytes()));

    let gist = format!("{EACH} messages each way, {payload} bytes: over a WebSocket, and as HTTP requests.");
    page.section("Beside HTTP", &gist)?;
    page.bills(&bills)?;
    page.text(&[
        "Handshake and close are counted, TCP's own bytes are not. It is HTTP at its best: each poll",
        "finds news. HTTP/2 would pack the header fields, and still ask for each message. And this is",
        "loopback: over a network, each request in turn waits for a round trip.",
    ])?;
    Ok(())
}

/// Both sides push all that they have, without waiting for each other.
fn over_websocket(tape: &Tape) -> Result<u64, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = listener.local_addr()?.to_string();
    thread::scope(|scope| {
        let server = scope.spawn(|| -> Result<(), Error> {
            let mut socket = accept(Tap::new(listener.accept()?.0, Party::Server, tape)?)?;
            for n in 0..EACH {
                socket.send(&news(n))?;
            }
            for n in 0..EACH {
                assert_eq!(socket.receive()?, Some(order(n).into()));
            }
            assert_eq!(socket.receive()?, None);
            Ok(())
        });

        let mut request = ClientRequest::new(&host, "/exchange")?.origin(&format!("http://{host}"))?;
        for (name, value) in BROWSER {
            request = request.header(name, value)?;
        }
        let stream = Tap::new(TcpStream::connect(&host)?, Party::Client, tape)?;
        let mut socket = Connector::default().handshake(stream, request)?;
        for n in 0..EACH {
            socket.send(&order(n))?;
        }
        for n in 0..EACH {
            assert_eq!(socket.receive()?, Some(news(n).into()));
        }
        socket.close(Close::normal())?;
        assert_eq!(socket.receive()?, None);
        server.join().map_err(|_| "the server panicked")??;
        Ok(1)
    })
}
