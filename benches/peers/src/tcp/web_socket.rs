//! web-socket, in a `BufReader`, because it reads headers bit by bit, and a `BufWriter`, which its `flash` is for. It has no
//! handshake: sockudo-ws has it here, before anything is measured.

use std::error::Error;
use std::net::TcpListener;

use tokio::io::{BufReader, BufWriter};
use tokio::net::TcpStream;
use web_socket::{DataType, Event, WebSocket};

use super::on_tokio;

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, |stream| async { echo(stream).await.ok() })
}

async fn echo(mut stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    sockudo_ws::handshake::server_handshake(&mut stream).await?;
    let mut socket = WebSocket::server(BufReader::new(BufWriter::new(stream)));
    loop {
        if socket.stream.buffer().is_empty() {
            socket.flash().await?;
        }
        match socket.recv().await? {
            Event::Data { ty: DataType::Complete(_), data } => socket.send(&data[..]).await?,
            Event::Ping(_) | Event::Pong(_) => {}
            Event::Data { .. } | Event::Error(_) | Event::Close { .. } => return Ok(()),
        }
    }
}
