//! soketto, in buffers as in its own examples, and a vector that is used again.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::TcpListener;
use std::pin::pin;
use std::task::Poll;

use soketto::handshake::{Server, server::Response};
use tokio::io::{BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use super::on_tokio;

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, |stream| async { echo(stream).await.ok() })
}

async fn echo(stream: TcpStream) -> Result<(), soketto::BoxedError> {
    let mut server = Server::new(BufReader::new(BufWriter::new(stream)).compat());
    let key = server.receive_request().await?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        {
            // Answers are written when it would wait; what it has begun to receive goes on then.
            let mut receiving = pin!(receiver.receive_data(&mut message));
            let received = poll_fn(|cx| match receiving.as_mut().poll(cx) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => Poll::Ready(None),
            });
            match received.await {
                Some(received) => received?,
                None => {
                    sender.flush().await?;
                    receiving.await?
                }
            };
        }
        sender.send_binary_mut(&mut message).await?;
    }
}
