//! fastwebsockets, as its own echo server has it. It writes each message by itself.

use std::error::Error;
use std::future::Future;
use std::net::TcpListener;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::task::unconstrained;

use super::hyper::Upgrade;

/// # Errors
///
/// Where it cannot accept.
pub fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    super::hyper::serve::<Fastwebsockets>(listener)
}

struct Fastwebsockets;

impl Upgrade for Fastwebsockets {
    type Body = Empty<Bytes>;
    type Error = WebSocketError;

    fn upgrade(
        mut request: Request<Incoming>,
    ) -> Result<(Response<Self::Body>, impl Future<Output: Send> + Send + 'static), Self::Error> {
        let (response, upgraded) = upgrade(&mut request)?;
        Ok((response, unconstrained(echo(upgraded))))
    }
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
        }
    }
}
