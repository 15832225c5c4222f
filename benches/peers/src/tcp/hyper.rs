//! The handshakes of fastwebsockets and yawc, whose HTTP is hyper's.

use std::error::Error;
use std::future::Future;
use std::net::TcpListener;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::on_tokio;

/// Answers requests by `upgrade`, which leaves the connection to a task.
///
/// # Errors
///
/// Where it cannot accept.
pub fn serve<U: Upgrade>(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    on_tokio(listener, answer::<U>)
}

/// What makes a WebSocket of a request.
pub trait Upgrade: 'static {
    type Body: hyper::body::Body<Data: Send, Error: Error + Send + Sync> + Send + 'static;
    type Error: Error + Send + Sync + 'static;
    /// Answers a request, and gives what echoes then.
    ///
    /// # Errors
    ///
    /// Where the request is none for a WebSocket.
    fn upgrade(
        request: Request<Incoming>,
    ) -> Result<(Response<Self::Body>, impl Future<Output: Send> + Send + 'static), Self::Error>;
}

async fn answer<U: Upgrade>(stream: TcpStream) -> hyper::Result<()> {
    let service = service_fn(|request| async {
        U::upgrade(request).map(|(response, echo)| {
            tokio::spawn(echo);
            response
        })
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await
}
