//! yawc, with the buffers of its own benchmarks, and with those of its defaults.

use std::error::Error;
use std::future::Future;
use std::net::TcpListener;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::{Request, Response};
use yawc::{Frame, HttpStream, Options, UpgradeFut, WebSocket, WebSocketError};

use super::hyper::Upgrade;
use super::sink;
use crate::libraries::yawc::options;

/// # Errors
///
/// Where it cannot accept.
pub fn tuned(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    super::hyper::serve::<Yawc<true>>(listener)
}

/// # Errors
///
/// Where it cannot accept.
pub fn defaults(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    super::hyper::serve::<Yawc<false>>(listener)
}

struct Yawc<const IS_TUNED: bool>;

impl<const IS_TUNED: bool> Upgrade for Yawc<IS_TUNED> {
    type Body = Empty<Bytes>;
    type Error = WebSocketError;

    fn upgrade(
        mut request: Request<Incoming>,
    ) -> Result<(Response<Self::Body>, impl Future<Output: Send> + Send + 'static), Self::Error> {
        let options = if IS_TUNED { options() } else { Options::default().with_utf8() };
        let (response, upgraded) = WebSocket::<HttpStream>::upgrade_with_options(&mut request, options)?;
        Ok((response, echo(upgraded)))
    }
}

async fn echo(upgraded: UpgradeFut) -> yawc::Result<()> {
    let socket = upgraded.await?;
    sink::echo(socket, |frame: Frame| (frame.opcode() == yawc::OpCode::Binary).then_some(frame)).await
}
