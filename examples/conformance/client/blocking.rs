//! The blocking adapter.

use std::net::TcpStream;

use sockeye::blocking::{Connector, WebSocket};
use sockeye::{Close, Message, WsUri};

use crate::{Error, Setup};

pub(crate) fn echo(uri: &WsUri, setup: &Setup) -> Result<(), Error> {
    let (mut receiver, sender) = connect(uri, setup)?.split()?;
    while let Some(message) = receiver.receive_ref()? {
        sender.send(message)?;
    }
    Ok(())
}

pub(crate) fn exchange(uri: &WsUri, setup: &Setup, text: Option<&str>) -> Result<Message, Error> {
    let mut socket = connect(uri, setup)?;
    if let Some(text) = text {
        socket.send(text)?;
    }
    let message = socket.receive()?.ok_or("the server closed without a message")?;
    // Where the server has closed in the meantime, there is nothing left to close.
    let _ = socket.close(Close::normal());
    while socket.receive()?.is_some() {}
    Ok(message)
}

fn connect(uri: &WsUri, setup: &Setup) -> Result<WebSocket<TcpStream>, Error> {
    let mut connector = Connector::default();
    connector.config = setup.config.clone();
    Ok(connector.connect_with(uri, uri.request()?)?)
}
