//! tokio-websockets.

use std::error::Error;
use std::net::TcpListener;

use tokio::net::TcpStream;
use tokio_websockets::{Message, ServerBuilder};

use super::{on_tokio, sink};

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo)
}

async fn echo(stream: TcpStream) -> Result<(), tokio_websockets::Error> {
    let (_, socket) = ServerBuilder::new().accept(stream).await?;
    sink::echo(socket, |message| message.ok().filter(Message::is_binary)).await
}
