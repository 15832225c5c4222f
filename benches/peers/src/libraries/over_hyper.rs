//! The handshakes of fastwebsockets and yawc, whose HTTP is hyper's: a server gets the request from it and is given the stream
//! back after the response.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;

use ::fastwebsockets::upgrade;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

use crate::handshake::{HOST, Handshake, PATH};
use crate::library::runtime;
use crate::stream::Stream;

pub struct Fastwebsockets(Runtime);

impl Handshake for Fastwebsockets {
    const CHECKS_ACCEPT_KEY: bool = false;

    fn new() -> Self {
        Self(runtime())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        let upgraded = Cell::new(None);
        let answer = service_fn(|mut request: Request<Incoming>| {
            let result = upgrade::upgrade(&mut request).map(|(response, socket)| {
                upgraded.set(Some(socket));
                response
            });
            async { result }
        });
        self.0.block_on(async {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades();
            connection.await.map_err(|error| error.to_string())?;
            let socket = upgraded.take().ok_or("there was no request")?;
            socket.await.map(drop).map_err(|error| error.to_string())
        })
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let request = Request::get(format!("http://{HOST}{PATH}"))
            .header("Host", HOST)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header("Sec-WebSocket-Key", ::fastwebsockets::handshake::generate_key())
            .header("Sec-WebSocket-Version", "13")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let connected = self.0.block_on(::fastwebsockets::handshake::client(&Spawn, request, stream));
        connected.map(drop).map_err(|error| error.to_string())
    }
}

/// What its documentation ties hyper to tokio with.
struct Spawn;

impl hyper::rt::Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawn {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::task::spawn(future);
    }
}

pub struct Yawc(Runtime);

impl Handshake for Yawc {
    fn new() -> Self {
        Self(runtime())
    }

    fn accept(&mut self, stream: Stream) -> Result<(), String> {
        let upgraded = Cell::new(None);
        let answer = service_fn(|mut request: Request<Incoming>| {
            let result = yawc::WebSocket::<yawc::HttpStream>::upgrade(&mut request).map(|(response, socket)| {
                upgraded.set(Some(socket));
                response
            });
            async { result }
        });
        self.0.block_on(async {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades();
            connection.await.map_err(|error| error.to_string())?;
            let socket = upgraded.take().ok_or("there was no request")?;
            socket.await.map(drop).map_err(|error| error.to_string())
        })
    }

    fn connect(&mut self, stream: Stream) -> Result<(), String> {
        let url = format!("ws://{HOST}{PATH}").parse().map_err(|_| "that is no address")?;
        let connected = self.0.block_on(yawc::WebSocket::handshake(url, stream, yawc::Options::default()));
        connected.map(drop).map_err(|error| error.to_string())
    }
}
