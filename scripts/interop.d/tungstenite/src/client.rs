//! The client, which judges our server.

use std::fmt::Debug;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::Data;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, Message, WebSocket, connect};

use crate::{Result, fragments, name, told};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;
type Case<'a> = (String, Box<dyn Fn(&mut Socket) -> Result<()> + 'a>);

/// Runs all cases; says which failed, and how many did not.
pub(crate) fn run(url: &str, server: &str, pid: &str) -> Result<()> {
    let cases = cases(pid);
    let mut ok = 0;
    for (case, judge) in &cases {
        match open(url).and_then(|mut socket| judge(&mut socket)) {
            Ok(()) => ok += 1,
            Err(error) => println!("  {} client, {server} server: {case}: {error}", name()),
        }
    }
    println!("interop: {} client, {server} server: {ok} of {} ok", name(), cases.len());
    if ok == cases.len() { Ok(()) } else { Err(format!("{} cases failed", cases.len() - ok).into()) }
}

fn cases(pid: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for (name, message) in [
        ("text", Message::text("hello")),
        ("multibyte text", Message::text(MULTIBYTE)),
        ("emoji", Message::text("🐟👩‍🚀🏳️‍🌈")),
        ("empty text", Message::text("")),
        ("1 MiB of text", Message::text(MULTIBYTE.repeat(1 + MEGABYTE / MULTIBYTE.len()))),
        ("binary", Message::binary(all.clone())),
        ("empty binary", Message::binary(vec![])),
        ("1 MiB of binary", Message::binary(all.repeat(MEGABYTE / 256))),
    ] {
        let echo = move |socket: &mut Socket| {
            socket.send(message.clone())?;
            same(next(socket)?, message.clone())?;
            close(socket, 1000, "")
        };
        cases.push((name.into(), Box::new(echo)));
    }
    cases.push(("1000 messages".into(), Box::new(many)));
    for (name, kind, message) in [
        ("fragments, text", Data::Text, Message::text(MULTIBYTE)),
        ("fragments, binary", Data::Binary, Message::binary(MULTIBYTE)),
    ] {
        let echo = move |socket: &mut Socket| {
            fragments(MULTIBYTE.as_bytes(), kind).try_for_each(|fragment| socket.send(fragment))?;
            same(next(socket)?, message.clone())?;
            close(socket, 1000, "")
        };
        cases.push((name.into(), Box::new(echo)));
    }
    for (name, payload) in
        [("a ping", "payload".into()), ("an empty ping", String::new()), ("a full ping", "p".repeat(125))]
    {
        let ping = move |socket: &mut Socket| {
            socket.send(Message::Ping(payload.clone().into()))?;
            same(next(socket)?, Message::Pong(payload.clone().into()))?;
            close(socket, 1000, "")
        };
        cases.push((name.into(), Box::new(ping)));
    }
    for code in [1000, 1001, 1008, 1011, 3000, 4999] {
        let with_reason = move |socket: &mut Socket| close(socket, code, "because of this: 🐟");
        cases.push((format!("close with {code}"), Box::new(with_reason)));
    }
    cases.push(("close with a full reason".into(), Box::new(|socket| close(socket, 4000, &"r".repeat(123)))));
    cases.push(("close without a code".into(), Box::new(|socket| close(socket, 1005, ""))));
    cases.push(("the server stops".into(), Box::new(move |socket| stop(socket, pid))));
    cases
}

fn many(socket: &mut Socket) -> Result<()> {
    for number in 0..1000 {
        socket.send(format!("message {number}").into())?;
    }
    for number in 0..1000 {
        same(next(socket)?, format!("message {number}").into())?;
    }
    close(socket, 1000, "")
}

fn stop(socket: &mut Socket, pid: &str) -> Result<()> {
    socket.send("hello".into())?;
    same(next(socket)?, "hello".into())?;
    Command::new("kill").arg(pid).status()?;
    closes(socket, 1001, "server is stopping")
}

fn open(url: &str) -> Result<Socket> {
    let (socket, _) = connect(url)?;
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    Ok(socket)
}

fn next(socket: &mut Socket) -> Result<Message> {
    Ok(socket.read()?)
}

/// Closes; 1005 is a Close without a code. Expects the code back.
fn close(socket: &mut Socket, code: u16, reason: &str) -> Result<()> {
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    socket.close((code != 1005).then_some(frame))?;
    closes(socket, code, "")
}

/// Expects the server's Close, and a clean end.
fn closes(socket: &mut Socket, code: u16, reason: &str) -> Result<()> {
    match socket.read()? {
        Message::Close(close) => same(told(close), (code, reason.to_owned()))?,
        message => return Err(format!("{} instead of a Close", short(&message)).into()),
    }
    match socket.read() {
        Err(Error::ConnectionClosed) => Ok(()),
        other => Err(format!("{} instead of the end", short(&other)).into()),
    }
}

fn same<T: PartialEq + Debug>(got: T, expected: T) -> Result<()> {
    if got == expected { Ok(()) } else { Err(format!("{} instead of {}", short(&got), short(&expected)).into()) }
}

fn short(what: &impl Debug) -> String {
    format!("{what:?}").chars().take(60).collect()
}

const MULTIBYTE: &str = "Grüße, 世界, مرحبا, 🐟";

const MEGABYTE: usize = 1024 * 1024;

/// How long our server may be silent.
const PATIENCE: Duration = Duration::from_secs(5);
