//! HTTP: the page, and the way to the WebSocket.

use sockeye::handshake::{BuildError, Rejection};
use sockeye::pubsub::Hub;
use sockeye::tokio::{Accepting, Error};
use tokio::net::TcpStream;

use crate::people::Person;
use crate::session;

/// Answers one request: with the page, or by opening a WebSocket.
pub(crate) async fn route(mut accepting: Accepting<TcpStream>, hub: Hub<Person>) -> Result<(), Error> {
    let request = accepting.request().await?;
    let response = match (request.method(), request.path()) {
        ("GET", "/") => page()?,
        // What is no valid handshake is refused, and told why.
        ("GET", "/socket") => return session::run(accepting.accept().await?, &hub).await,
        ("GET", _) => Rejection::new(404)?,
        _ => return accepting.accept().await.map(drop),
    };
    match accepting.reject(response).await {
        Error::Rejected(_) => Ok(()), // is what was sent
        error => Err(error),
    }
}

/// The page, which needs nothing from elsewhere.
fn page() -> Result<Rejection, BuildError> {
    const POLICY: &str = "default-src 'none'; connect-src 'self' ws: wss:; img-src data:; \
        script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    let page = Rejection::new(200)?
        .header("Content-Type", "text/html; charset=utf-8")?
        .header("Content-Security-Policy", POLICY)?
        .header("Cache-Control", "no-cache")?;
    Ok(page.body(include_str!("page.html")))
}
