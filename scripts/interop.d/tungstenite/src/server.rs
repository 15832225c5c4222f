//! The echo server: a thread for each connection.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::Data;
use tungstenite::{Message, WebSocket, accept_hdr};

use crate::{Result, fragments, name, told};

/// Path to what came in the peer's Close.
#[derive(Default)]
struct Closed {
    by_path: Mutex<HashMap<String, String>>,
    one_more: Condvar,
}

pub(crate) fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on ws://{}", listener.local_addr()?);
    let closed = Arc::new(Closed::default());
    for stream in listener.incoming() {
        let (stream, closed) = (stream?, closed.clone());
        thread::spawn(move || {
            // The client says what it misses.
            let _ = answer(stream, &closed);
        });
    }
    Ok(())
}

fn answer(stream: TcpStream, closed: &Closed) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own")]
    let choose = |request: &Request, mut response: Response| -> std::result::Result<Response, ErrorResponse> {
        path = request.uri().path().to_owned();
        let offered = request.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
        if offered.is_some_and(|offered| offered.split(',').any(|name| name.trim() == "interop")) {
            response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("interop"));
        }
        Ok(response)
    };
    let mut socket = accept_hdr(stream, choose).map_err(|error| error.to_string())?;
    loop {
        match socket.read()? {
            Message::Text(text) => obey(&mut socket, &text, closed)?,
            message @ Message::Binary(_) => socket.send(message)?,
            Message::Close(close) => {
                let (code, reason) = told(close);
                let mut by_path = closed.by_path.lock().unwrap_or_else(PoisonError::into_inner);
                by_path.insert(path.clone(), format!("{code} {reason}"));
                closed.one_more.notify_all();
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

fn obey(socket: &mut WebSocket<TcpStream>, text: &str, closed: &Closed) -> Result<()> {
    let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
    match command {
        "name" => socket.send(name().into())?,
        "close" if rest.is_empty() => socket.close(None)?,
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            socket.close(Some(CloseFrame { code: code.parse::<u16>()?.into(), reason: reason.into() }))?;
        }
        "ping" => {
            socket.send(Message::Ping(rest.to_owned().into()))?;
            let payload = loop {
                if let Message::Pong(payload) = socket.read()? {
                    break payload;
                }
            };
            socket.send(format!("pong {}", str::from_utf8(&payload)?).into())?;
        }
        "fragments" => fragments(rest.as_bytes(), Data::Text).try_for_each(|fragment| socket.send(fragment))?,
        "closed" => {
            let by_path = closed.by_path.lock().unwrap_or_else(PoisonError::into_inner);
            let (by_path, _) = closed
                .one_more
                .wait_timeout_while(by_path, PATIENCE, |by_path| !by_path.contains_key(rest))
                .unwrap_or_else(PoisonError::into_inner);
            let close = by_path.get(rest).cloned().unwrap_or_default();
            drop(by_path);
            socket.send(close.into())?;
        }
        _ => socket.send(text.into())?,
    }
    Ok(())
}

/// How long a Close is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
