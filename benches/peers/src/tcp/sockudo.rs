//! sockudo-ws: its stream. Text would be echoed alike.

use std::error::Error;
use std::net::TcpListener;

use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{Config, Message, Role, WebSocketStream};
use tokio::net::TcpStream;

use super::{on_tokio, sink};

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    sockudo_ws::init_clock();
    on_tokio(listener, echo)
}

async fn echo(mut stream: TcpStream) -> sockudo_ws::Result<()> {
    let leftover = server_handshake(&mut stream).await?.leftover;
    let socket = WebSocketStream::from_raw_with_leftover(stream, Role::Server, Config::default(), leftover);
    sink::echo(socket, |message| message.ok().filter(|message| matches!(message, Message::Binary(_)))).await
}
