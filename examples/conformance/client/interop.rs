//! The cases of the interop matrix, against an echo server of another library. `scripts/interop` runs them.
//!
//! Each server of the matrix echoes what it gets, and understands a few texts as commands:
//!
//! | text | what the server does |
//! |---|---|
//! | `name` | answers with the name and the version of its library |
//! | `close CODE REASON` | begins the closing handshake; `close` alone begins it without a code |
//! | `ping PAYLOAD` | sends a ping; when its pong is there, answers `pong ` and the pong's payload |
//! | `fragments TEXT` | sends the text as one message, each byte in a frame of its own |
//! | `closed PATH` | waits until the connection that was opened on that path is closed, and answers `CODE REASON`, as they came; 1005 if none came |
//!
//! It takes the subprotocol `interop` where that is offered. It offers or accepts permessage-deflate as its library does.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use sockeye::handshake::ClientRequest;
use sockeye::{Close, CloseCode, Config, Fin, Message, MessageRef, WsUri};

use crate::{Error, Open};

/// A connection of any adapter. One that is asynchronous brings its runtime along, and blocks on it.
pub(crate) trait Socket {
    fn send(&mut self, message: MessageRef<'_>) -> Result<(), Error>;
    fn send_fragment(&mut self, fragment: MessageRef<'_>, fin: Fin) -> Result<(), Error>;
    fn ping(&mut self) -> Result<(), Error>;
    fn close(&mut self, close: Close) -> Result<(), Error>;
    /// Receives the next message; `None` after a clean close.
    fn receive(&mut self) -> Result<Option<Message>, Error>;
    fn round_trip(&self) -> Option<Duration>;
    fn peer_close(&self) -> Option<Close>;
    fn subprotocol(&self) -> Option<String>;
    /// Returns how many bytes were sent and received compressed.
    fn encoded_bytes(&self) -> (u64, u64);
}

/// Runs all cases; says which failed, and how many did not.
pub(crate) fn run(open: Open, url: &str, agent: &str) -> Result<(), Error> {
    let mut config = Config::default();
    // A server that does not answer ends the case.
    config.idle_timeout = Some(PATIENCE);
    config.close_timeout = Some(PATIENCE);
    let server = Server { open, base: url.trim_end_matches('/'), config: Arc::new(config), opened: Cell::new(0) };
    let name = server.ask("name")?;

    let cases = cases();
    let mut ok = 0;
    for (case, judge) in &cases {
        match judge(&server) {
            Ok(()) => ok += 1,
            Err(error) => println!("  {agent} client, {name} server: {case}: {error}"),
        }
    }
    println!("interop: {agent} client, {name} server: {ok} of {} ok", cases.len());
    if ok == cases.len() { Ok(()) } else { Err(format!("{} cases failed", cases.len() - ok).into()) }
}

type Case = (String, Judge);
type Judge = Box<dyn Fn(&Server<'_>) -> Result<(), Error>>;

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name: &str, judge: Judge| cases.push((name.into(), judge));

    let megabyte = "0123456789 äöü 世界 🐟".repeat(1 + MEGABYTE / 29);
    for (name, text) in [("text", "hello"), ("multibyte text", MULTIBYTE), ("emoji", "🐟👩‍🚀🏳️‍🌈"), ("empty text", "")]
    {
        add(name, Box::new(move |server| server.echo(Message::from(text))));
    }
    add("1 MiB of text", Box::new(move |server| server.echo(Message::from(megabyte.as_str()))));
    for (name, len) in [("binary", 256), ("empty binary", 0), ("1 MiB of binary", MEGABYTE)] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        add(name, Box::new(move |server| server.echo(Message::from(&bytes[..]))));
    }
    add("1000 messages", Box::new(many));

    add("fragments sent, text", Box::new(|server| server.echo_fragments(MULTIBYTE.into())));
    add("fragments sent, binary", Box::new(|server| server.echo_fragments(MULTIBYTE.as_bytes().into())));
    add("fragments received", Box::new(|server| same(server.ask(&format!("fragments {MULTIBYTE}"))?, MULTIBYTE)));

    add("ping sent", Box::new(ping));
    for (name, payload) in
        [("a ping", "payload".into()), ("an empty ping", String::new()), ("a full ping", "p".repeat(125))]
    {
        add(name, Box::new(move |server| same(server.ask(&format!("ping {payload}"))?, &format!("pong {payload}"))));
    }

    for code in [1000, 1001, 1008, 1011, 3000, 4999] {
        add(&format!("close with {code}"), Box::new(move |server| server.close_with(code, "because of this: 🐟")));
        add(&format!("closed with {code}"), Box::new(move |server| server.closed_with(code, "because of that: 🐟")));
    }
    add("close with a full reason", Box::new(|server| server.close_with(4000, &"r".repeat(Close::MAX_REASON))));
    add("closed with a full reason", Box::new(|server| server.closed_with(4000, &"r".repeat(Close::MAX_REASON))));
    add("close without a code", Box::new(|server| server.close_with(1005, "")));
    add("closed without a code", Box::new(|server| server.closed_with(1005, "")));

    add("a subprotocol", Box::new(subprotocol));
    add("compression", Box::new(compression));
    cases
}

/// The other side.
struct Server<'a> {
    open: Open,
    base: &'a str,
    config: Arc<Config>,
    /// Connections so far; each has a path of its own.
    opened: Cell<u32>,
}

impl Server<'_> {
    fn open(&self) -> Result<(Box<dyn Socket>, String), Error> {
        self.open_with(Ok)
    }

    /// Opens a connection; returns it with its path.
    fn open_with(
        &self,
        build: impl FnOnce(ClientRequest) -> Result<ClientRequest, Error>,
    ) -> Result<(Box<dyn Socket>, String), Error> {
        self.opened.set(self.opened.get() + 1);
        let path = format!("/{}", self.opened.get());
        let uri: WsUri = format!("{}{path}", self.base).parse()?;
        Ok(((self.open)(&uri, build(crate::request(&uri)?)?, self.config.clone())?, path))
    }

    /// Sends a command, and returns the answer.
    fn ask(&self, command: &str) -> Result<String, Error> {
        let (mut socket, _) = self.open()?;
        socket.send(command.into())?;
        let answer = next(&mut *socket)?.into_text().map_err(|_| "the answer is binary")?;
        end(&mut *socket)?;
        Ok(answer)
    }

    fn echo(&self, message: Message) -> Result<(), Error> {
        let (mut socket, _) = self.open()?;
        socket.send(message.as_ref())?;
        is_echo(&next(&mut *socket)?, message.as_ref())?;
        end(&mut *socket)
    }

    /// Sends each character or byte in a fragment of its own.
    fn echo_fragments(&self, message: MessageRef<'_>) -> Result<(), Error> {
        let (mut socket, _) = self.open()?;
        let mut rest = message;
        while !rest.payload().is_empty() {
            let len = rest.as_text().and_then(|text| text.chars().next()).map_or(1, char::len_utf8);
            let (fragment, after) = rest.split_at(len);
            socket.send_fragment(fragment, if after.payload().is_empty() { Fin::Last } else { Fin::More })?;
            rest = after;
        }
        is_echo(&next(&mut *socket)?, message)?;
        end(&mut *socket)
    }

    /// Closes; 1005 is a Close without a code.
    fn close_with(&self, code: u16, reason: &str) -> Result<(), Error> {
        let (mut socket, path) = self.open()?;
        let close = if code == 1005 { Close::without_status() } else { Close::new(code.into(), reason)? };
        socket.close(close)?;
        is_closed(&mut *socket, code)?;
        same(self.ask(&format!("closed {path}"))?, &format!("{code} {reason}"))
    }

    /// Has the server close; 1005 is a Close without a code.
    fn closed_with(&self, code: u16, reason: &str) -> Result<(), Error> {
        let (mut socket, path) = self.open()?;
        let command = if code == 1005 { "close".into() } else { format!("close {code} {reason}") };
        socket.send(command.as_str().into())?;
        same(is_closed(&mut *socket, code)?.reason().to_owned(), reason)?;
        // We answer with the code, and no reason.
        same(self.ask(&format!("closed {path}"))?, &format!("{code} "))
    }
}

fn many(server: &Server<'_>) -> Result<(), Error> {
    let (mut socket, _) = server.open()?;
    for number in 0..1000 {
        socket.send(format!("message {number}").as_str().into())?;
    }
    for number in 0..1000 {
        is_echo(&next(&mut *socket)?, format!("message {number}").as_str().into())?;
    }
    end(&mut *socket)
}

/// Looks for the pong in the end: where it came together with the echo, only the next receive takes note of it.
fn ping(server: &Server<'_>) -> Result<(), Error> {
    let (mut socket, _) = server.open()?;
    socket.ping()?;
    socket.send("behind it".into())?;
    is_echo(&next(&mut *socket)?, "behind it".into())?;
    end(&mut *socket)?;
    socket.round_trip().ok_or("the ping was not answered")?;
    Ok(())
}

fn subprotocol(server: &Server<'_>) -> Result<(), Error> {
    let (mut socket, _) = server.open_with(|request| Ok(request.subprotocol("other")?.subprotocol("interop")?))?;
    same(socket.subprotocol().unwrap_or_default(), "interop")?;
    end(&mut *socket)
}

/// Messages of 0 B to 8 MiB, that compress well and not at all, on a connection that keeps its context.
fn compression(server: &Server<'_>) -> Result<(), Error> {
    let (mut socket, _) = server.open()?;
    let mut state = 1u64;
    for len in [0, 1, 125, 126, 1000, 65_535, 65_536, 1 << 20, 8 << 20] {
        let text: String = r#"{"name": "a name"}, "#.chars().cycle().take(len).collect();
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        let noise: Vec<u8> = (0..len).map(|_| next()).collect();
        for message in [MessageRef::Text(&text), MessageRef::Binary(&noise)] {
            socket.send(message)?;
            is_echo(&self::next(&mut *socket)?, message)?;
        }
    }
    // Not all of the others can.
    let is_offered = crate::offers_compression() && !server.ask("name")?.starts_with("tungstenite");
    let (sent, received) = socket.encoded_bytes();
    same(format!("{} {}", sent > 0, received > 0), &format!("{is_offered} {is_offered}"))?;
    end(&mut *socket)
}

fn next(socket: &mut dyn Socket) -> Result<Message, Error> {
    socket.receive()?.ok_or_else(|| "the server has closed".into())
}

/// Closes with 1000, and expects that back.
fn end(socket: &mut dyn Socket) -> Result<(), Error> {
    socket.close(Close::normal())?;
    is_closed(socket, 1000).map(|_| ())
}

/// Expects the server's Close, and a clean end.
fn is_closed(socket: &mut dyn Socket, code: u16) -> Result<Close, Error> {
    if let Some(message) = socket.receive()? {
        return Err(format!("{message:?} instead of a Close").into());
    }
    let close = socket.peer_close().ok_or("no Close came")?;
    if close.code() != CloseCode::from(code) {
        return Err(format!("closed with {} instead of {code}", close.code()).into());
    }
    Ok(close)
}

fn is_echo(echo: &Message, message: MessageRef<'_>) -> Result<(), Error> {
    if echo.as_ref() == message {
        return Ok(());
    }
    let (got, sent) = (echo.as_ref(), message);
    Err(format!(
        "{:?} of {} bytes for {:?} of {} bytes",
        got.kind(),
        got.payload().len(),
        sent.kind(),
        sent.payload().len()
    )
    .into())
}

fn same(got: String, expected: &str) -> Result<(), Error> {
    if got == expected { Ok(()) } else { Err(format!("{got:?} instead of {expected:?}").into()) }
}

const MULTIBYTE: &str = "Grüße, 世界, مرحبا, 🐟";

const MEGABYTE: usize = 1024 * 1024;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(5);
