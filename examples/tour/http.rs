//! The exchange of [`compare`](crate::compare) as HTTP/1.1 requests: just enough of a client and a server for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::Error;
use crate::compare::{BROWSER, EACH, news, order};
use crate::tape::{Party, Tap, Tape};

/// Whether requests share a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    One,
    OnePerRequest,
}

/// Sends every order in a request of its own, and asks for every piece of news in one; gives the connections opened.
///
/// This is HTTP at its best: the news is always there when it is asked for, so that no request comes back empty.
pub(crate) fn exchange(tape: &Tape, connections: Connections) -> Result<u64, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = Client { host: listener.local_addr()?.to_string(), connections, tape, open: None, opened: 0 };
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, tape, connections));
        for n in 0..EACH {
            client.request("POST", "/orders", &order(n))?;
            let body = client.request("GET", &format!("/news?after={n}"), "")?;
            assert_eq!(body, news(n));
        }
        client.open = None;
        server.join().map_err(|_| "the HTTP server panicked")??;
        Ok(client.opened)
    })
}

/// A client that sends what a browser's `fetch` would send.
struct Client<'t> {
    host: String,
    connections: Connections,
    tape: &'t Tape,
    open: Option<BufReader<Tap<'t>>>,
    opened: u64,
}

impl Client<'_> {
    fn request(&mut self, method: &str, target: &str, body: &str) -> Result<String, Error> {
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => {
                self.opened += 1;
                BufReader::new(Tap::new(TcpStream::connect(&self.host)?, Party::Client, self.tape)?)
            }
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in BROWSER {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Accept: */*\r\nReferer: http://{}/\r\nSec-Fetch-Dest: empty\r\n", self.host);
        head += "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n";
        if method == "POST" {
            head += &format!("Origin: http://{}\r\nContent-Type: application/json\r\n", self.host);
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "Connection: keep-alive\r\n\r\n";
        stream.get_mut().write_all((head + body).as_bytes())?;

        let (_, body) = read(&mut stream)?.ok_or("the HTTP server closed early")?;
        if self.connections == Connections::One {
            self.open = Some(stream);
        }
        Ok(body)
    }
}

fn serve(listener: &TcpListener, tape: &Tape, connections: Connections) -> Result<(), Error> {
    let mut orders = 0;
    while orders < EACH {
        let mut stream = BufReader::new(Tap::new(listener.accept()?.0, Party::Server, tape)?);
        while let Some((start_line, body)) = read(&mut stream)? {
            let mut head = String::from("HTTP/1.1 200 OK\r\nDate: Mon, 06 Jul 2026 12:00:00 GMT\r\n");
            let answer = match start_line.strip_prefix("GET /news?after=").and_then(|rest| rest.split(' ').next()) {
                Some(number) => news(number.parse()?),
                None => {
                    assert_eq!(body, order(orders));
                    String::new()
                }
            };
            if answer.is_empty() {
                head = head.replace("200 OK", "204 No Content");
            } else {
                orders += 1; // each piece of news follows an order
                head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", answer.len());
                head += "Cache-Control: no-store\r\n";
            }
            if connections == Connections::OnePerRequest {
                head += "Connection: close\r\n";
            }
            stream.get_mut().write_all((head + "\r\n" + &answer).as_bytes())?;
        }
    }
    Ok(())
}

/// Reads a request or a response: the start line and the body; `None` at the end of the connection.
fn read(stream: &mut impl BufRead) -> Result<Option<(String, String)>, Error> {
    let (mut start_line, mut line, mut len) = (String::new(), String::new(), 0);
    if stream.read_line(&mut start_line)? == 0 {
        return Ok(None);
    }
    while {
        line.clear();
        stream.read_line(&mut line)?
    } > 2
    {
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            len = value.trim().parse()?;
        }
    }
    let mut body = String::new();
    stream.take(len).read_to_string(&mut body)?;
    Ok(Some((start_line, body)))
}
