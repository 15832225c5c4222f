//! The blocking adapter.

use std::net::TcpStream;
use std::sync::Arc;

use sockeye::blocking::{Connector, WebSocket};
use sockeye::{Close, Config, Message, WsUri};

use crate::Error;

pub(crate) fn echo(uri: &WsUri, config: Arc<Config>) -> Result<(), Error> {
    let (mut receiver, sender) = connect(uri, config)?.split()?;
    while let Some(message) = receiver.receive_ref()? {
        sender.send(message)?;
    }
    Ok(())
}

pub(crate) fn exchange(uri: &WsUri, config: Arc<Config>, text: Option<&str>) -> Result<Message, Error> {
    let mut socket = connect(uri, config)?;
    if let Some(text) = text {
        socket.send(text)?;
    }
    let message = socket.receive()?.ok_or("the server closed without a message")?;
    // Where the server has closed in the meantime, there is nothing left to close.
    let _ = socket.close(Close::normal());
    while socket.receive()?.is_some() {}
    Ok(message)
}

fn connect(uri: &WsUri, config: Arc<Config>) -> Result<WebSocket<TcpStream>, Error> {
    let mut connector = Connector::default();
    connector.config = config;
    Ok(connector.connect_with(uri, uri.request()?)?)
}
