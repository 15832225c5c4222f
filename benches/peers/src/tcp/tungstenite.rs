//! tungstenite, a thread for each connection. It does not tell whether more is there, so each message is flushed.

use std::error::Error;
use std::net::{TcpListener, TcpStream};

use super::on_threads;

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_threads(listener, |stream| echo(stream).ok())
}

fn echo(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut socket = tungstenite::accept(stream)?;
    loop {
        let message = socket.read()?;
        if message.is_binary() {
            socket.send(message)?;
        }
    }
}
