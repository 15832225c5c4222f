//! The peers of the interop matrix on tungstenite: an echo server, and a client that judges ours.
//!
//! ```text
//! server                  what it understands: examples/conformance/client/interop.rs
//! client URL SERVER PID   SERVER is what to call the server at URL, PID is its process, which is stopped in the end
//! ```

mod client;
mod server;

use std::error::Error;
use std::process::ExitCode;

use tungstenite::Message;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => server::serve(),
        ["client", url, server, pid] => client::run(url, server, pid),
        _ => Err("usage: server | client URL SERVER PID".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tungstenite: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the library is called.
fn name() -> String {
    let (_, rest) =
        include_str!("../Cargo.lock").split_once("name = \"tungstenite\"\nversion = \"").unwrap_or_default();
    format!("tungstenite {}", rest.split('"').next().unwrap_or_default())
}

/// A message, each byte in a frame of its own.
fn fragments(payload: &[u8], kind: Data) -> impl Iterator<Item = Message> {
    payload.iter().enumerate().map(move |(i, byte)| {
        let kind = if i == 0 { kind } else { Data::Continue };
        Message::Frame(Frame::message(vec![*byte], OpCode::Data(kind), i + 1 == payload.len()))
    })
}

/// What a Close says: 1005 if it has no code.
fn told(close: Option<CloseFrame>) -> (u16, String) {
    close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string()))
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;
