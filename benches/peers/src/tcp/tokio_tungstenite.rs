//! tokio-tungstenite, with the buffers of its defaults.

use std::error::Error;
use std::net::TcpListener;

use tokio::net::TcpStream;
use tungstenite::Message;

use super::{on_tokio, sink};

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo)
}

async fn echo(stream: TcpStream) -> tungstenite::Result<()> {
    let socket = tokio_tungstenite::accept_async(stream).await?;
    sink::echo(socket, |message| message.ok().filter(|message: &Message| message.is_binary())).await
}
