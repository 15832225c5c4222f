//! The client on the blocking adapter: `ws:` over TCP, two threads, and no dependency that the library does not have anyway.

use core::error::Error;
use std::fs::File;
use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use sockeye::blocking::{Connector, Sender, WebSocket};
use sockeye::{Close, Fin, MessageRef, WsUri};

use crate::options::Options;
use crate::screen::Screen;
use crate::typing::Lines;

/// Connects, and talks until the connection is closed.
pub(crate) fn run(options: Options, screen: &Screen, typed: Lines) -> Result<(), Box<dyn Error>> {
    let told = |error: &dyn Error| format!("{}: {error}", options.url);
    let socket = connect(&options).map_err(|error| told(&*error))?;
    let ended = match &options.send {
        Some(text) => ask(socket, text, &options, screen),
        None => talk(socket, &options, screen, typed),
    };
    ended.map_err(|error| told(&*error).into())
}

fn connect(options: &Options) -> Result<WebSocket<TcpStream>, Box<dyn Error>> {
    let uri: WsUri = options.url.parse()?;
    let mut request = uri.request()?;
    for (name, value) in &options.headers {
        request = request.header(name, value)?;
    }
    for subprotocol in &options.subprotocols {
        request = request.subprotocol(subprotocol)?;
    }
    if let Some(origin) = &options.origin {
        request = request.origin(origin)?;
    }
    Ok(Connector::default().connect_with(&uri, request)?)
}

/// Prints what comes, while another thread sends what is typed.
fn talk(socket: WebSocket<TcpStream>, options: &Options, screen: &Screen, typed: Lines) -> Result<(), Box<dyn Error>> {
    let file = options.binary.as_ref().map(File::open).transpose()?;
    let (mut receiver, sender) = socket.split()?;
    let (typing, sending) = (sync_channel(0), sender.clone());
    typed.spawn(screen, move |line| typing.0.send(line).is_ok());
    // An error ends the thread: the receiving side tells what happened.
    thread::spawn(move || {
        let _ = send(&sending, file, &typing.1);
    });

    while let Some(message) = receiver.receive()? {
        screen.message(&message)?;
    }
    if let Some(close) = sender.peer_close() {
        screen.note(format!("closed: {} {}", close.code(), close.reason()).trim_end());
    }
    Ok(())
}

/// Sends the file, then each line, and closes at the end of the input.
fn send(sender: &Sender<TcpStream>, file: Option<File>, lines: &Receiver<String>) -> Result<(), Box<dyn Error>> {
    if let Some(file) = file {
        send_file(file, |fragment, fin| sender.send_fragment(fragment, fin))?;
    }
    for line in lines {
        sender.send(&line)?;
    }
    Ok(sender.close(Close::normal())?)
}

/// Sends one message, prints the first answer, and closes.
fn ask(mut socket: WebSocket<TcpStream>, text: &str, options: &Options, screen: &Screen) -> Result<(), Box<dyn Error>> {
    if let Some(path) = &options.binary {
        send_file(File::open(path)?, |fragment, fin| socket.send_fragment(fragment, fin))?;
    }
    socket.send(text)?;
    let Some(answer) = socket.receive()? else {
        let close = socket.peer_close().map(|close| format!(" ({} {})", close.code(), close.reason()));
        return Err(format!("the server closed without an answer{}", close.unwrap_or_default()).into());
    };
    screen.message(&answer)?;
    socket.close(Close::normal())?;
    while socket.receive()?.is_some() {} // what was on its way, until the server has closed, too
    Ok(())
}

/// Sends a file of any size as one message, in fragments.
fn send_file(
    mut file: File,
    mut send: impl FnMut(MessageRef<'_>, Fin) -> Result<(), sockeye::Error>,
) -> Result<(), Box<dyn Error>> {
    let mut fragment = vec![0; 64 * 1024];
    loop {
        let len = file.read(&mut fragment)?;
        let fin = if len == 0 { Fin::Last } else { Fin::More };
        send(MessageRef::Binary(&fragment[..len]), fin)?;
        if len == 0 {
            return Ok(());
        }
    }
}
