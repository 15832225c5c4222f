//! A client: lines that you type go out, messages are printed as they come, each in its own time.
//!
//! ```sh
//! cargo run --example client ws://127.0.0.1:9001                # end the input (Ctrl-D) to close the connection
//! cargo run --example client ws://127.0.0.1:9001 --send hello   # print the first answer instead
//! ```

use core::error::Error;
use std::io::{self, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::{env, thread};

use sockeye::blocking::{Sender, WebSocket, connect};
use sockeye::{Close, Message};

/// Prints what comes, while another thread sends what is typed.
fn talk(socket: WebSocket<TcpStream>) -> Result<(), Box<dyn Error>> {
    let (mut receiver, sender) = socket.split()?;
    let typing = sender.clone();
    thread::spawn(move || type_lines(&typing));

    while let Some(message) = receiver.receive()? {
        print(&message)?;
    }
    if let Some(close) = sender.peer_close() {
        eprintln!("{}", format!("closed: {} {}", close.code(), close.reason()).trim_end());
    }
    Ok(())
}

/// Sends each line, and closes at the end of the input. An error ends it: the receiving side tells what happened.
fn type_lines(sender: &Sender<TcpStream>) -> Result<(), sockeye::blocking::Error> {
    for line in io::stdin().lines().map_while(Result::ok) {
        sender.send(&line)?;
    }
    sender.close(Close::normal())
}

/// Sends one message, prints the first answer, and closes.
fn ask(mut socket: WebSocket<TcpStream>, text: &str) -> Result<(), Box<dyn Error>> {
    socket.send(text)?;
    let Some(answer) = socket.receive()? else {
        let close = socket.peer_close().map(|close| format!(" ({} {})", close.code(), close.reason()));
        return Err(format!("the server closed without an answer{}", close.unwrap_or_default()).into());
    };
    print(&answer)?;
    socket.close(Close::normal())?;
    while socket.receive()?.is_some() {} // what was on its way, until the server has closed, too
    Ok(())
}

fn print(message: &Message) -> io::Result<()> {
    match message {
        Message::Text(text) => writeln!(io::stdout(), "{text}"),
        Message::Binary(bytes) => writeln!(io::stdout(), "({} bytes)", bytes.len()),
    }
}

fn run(uri: &str, text: Option<&str>) -> Result<(), Box<dyn Error>> {
    let socket = connect(uri)?;
    match text {
        Some(text) => ask(socket, text),
        None => talk(socket),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let (uri, text) = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [uri] if !uri.starts_with('-') => (*uri, None),
        [uri, "--send", text] | ["--send", text, uri] => (*uri, Some(*text)),
        _ => return fail("usage: client URL [--send TEXT]"),
    };
    match run(uri, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{uri}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("client: {why}");
    ExitCode::FAILURE
}
