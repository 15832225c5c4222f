//! ws-net, which does no input and output: it reads into its buffer, and writes when it has seen all of that. What it gives is
//! borrowed from the connection, so an answer has to be a copy.

use std::error::Error;
use std::net::TcpListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use ws_net::{Connection, Event, ServerHandshake};

use super::on_tokio;

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, |stream| async { echo(stream).await.ok() })
}

async fn echo(mut stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = shake(&mut stream).await?;
    let mut answer = Vec::new();
    loop {
        match connection.poll()? {
            Event::Binary(message) => {
                answer.clear();
                answer.extend_from_slice(message);
                connection.send_binary(&answer)?;
            }
            Event::NeedInput => {
                while !connection.output().is_empty() {
                    let written = stream.write(connection.output()).await?;
                    connection.advance_output(written);
                }
                match stream.read(connection.read_buf()).await? {
                    0 => return Ok(()),
                    read => connection.commit(read),
                }
            }
            Event::Text(_) | Event::Ping(_) | Event::Pong(_) => {}
            _ => return Ok(()),
        }
    }
}

/// The opening handshake.
async fn shake(stream: &mut TcpStream) -> Result<Connection, Box<dyn Error + Send + Sync>> {
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("it is gone".into());
        }
        let Some((request, len)) = ServerHandshake::from_head(&head).map_err(|error| error.to_string())? else {
            continue;
        };
        let mut response = Vec::new();
        request.write_response(None, &mut response).map_err(|error| error.to_string())?;
        stream.write_all(&response).await?;
        let mut connection = Connection::server();
        let leftover = &head[len..];
        return if connection.feed(leftover) == leftover.len() {
            Ok(connection)
        } else {
            Err("it takes no more".into())
        };
    }
}
