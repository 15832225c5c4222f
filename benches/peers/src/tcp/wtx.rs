//! wtx, the last that Rust 1.95 can build, in parts, so that a message can be sent back where it lies. It writes each by itself.

use std::error::Error;
use std::net::TcpListener;

use tokio::net::TcpStream;
use wtx::collection::Vector;
use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin};

use super::on_tokio;

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, echo)
}

async fn echo(stream: TcpStream) -> wtx::Result<()> {
    let mut socket = WebSocketAcceptor::default().no_masking(false).accept::<_>(stream).await?;
    socket.set_max_payload_len(16 * 1024 * 1024);
    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = Vector::new();
    loop {
        let mut frame = reader.read_frame(&mut buffer, &mut common, WebSocketPayloadOrigin::Adaptive).await?;
        match frame.op_code() {
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            OpCode::Close => return Ok(()),
            OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
        }
    }
}
