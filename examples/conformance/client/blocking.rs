//! The blocking adapter.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use sockeye::blocking::{Connector, WebSocket};
use sockeye::handshake::ClientRequest;
use sockeye::{Close, Config, Fin, Message, MessageRef, WsUri};

use crate::Error;
use crate::interop::Socket;

pub(crate) fn echo(uri: &WsUri, config: Arc<Config>) -> Result<(), Error> {
    let (mut receiver, sender) = connect(uri, crate::request(uri)?, config)?.split()?;
    while let Some(message) = receiver.receive_ref()? {
        sender.send(message)?;
    }
    Ok(())
}

pub(crate) fn exchange(uri: &WsUri, config: Arc<Config>, text: Option<&str>) -> Result<Message, Error> {
    let mut socket = connect(uri, crate::request(uri)?, config)?;
    if let Some(text) = text {
        socket.send(text)?;
    }
    let message = socket.receive()?.ok_or("the server closed without a message")?;
    // Where the server has closed in the meantime, there is nothing left to close.
    let _ = socket.close(Close::normal());
    while socket.receive()?.is_some() {}
    Ok(message)
}

pub(crate) fn open(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<Box<dyn Socket>, Error> {
    Ok(Box::new(connect(uri, request, config)?))
}

fn connect(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<WebSocket<TcpStream>, Error> {
    let mut connector = Connector::default();
    connector.config = config;
    Ok(connector.connect_with(uri, request)?)
}

impl Socket for WebSocket<TcpStream> {
    fn send(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        Ok(self.send(message)?)
    }

    fn send_fragment(&mut self, fragment: MessageRef<'_>, fin: Fin) -> Result<(), Error> {
        Ok(self.send_fragment(fragment, fin)?)
    }

    fn ping(&mut self) -> Result<(), Error> {
        Ok(self.ping()?)
    }

    fn close(&mut self, close: Close) -> Result<(), Error> {
        Ok(self.close(close)?)
    }

    fn receive(&mut self) -> Result<Option<Message>, Error> {
        Ok(self.receive()?)
    }

    fn round_trip(&self) -> Option<Duration> {
        self.round_trip()
    }

    fn peer_close(&self) -> Option<Close> {
        self.peer_close().cloned()
    }

    fn subprotocol(&self) -> Option<String> {
        self.subprotocol().map(str::to_owned)
    }

    fn encoded_bytes(&self) -> (u64, u64) {
        (self.sent().encoded_bytes, self.received().encoded_bytes)
    }
}
