//! The adapter for `futures-io`, on smol.

use smol::net::TcpStream;
use sockeye::futures::{Connector, WebSocket};
use sockeye::{Close, Message, SendError, WsUri};

use crate::{Error, Setup};

pub(crate) fn echo(uri: &WsUri, setup: &Setup) -> Result<(), Error> {
    smol::block_on(async {
        let mut socket = connect(uri, setup).await?;
        while let Some(message) = socket.receive().await? {
            // Written once there is nothing more to receive, so that many small ones go out together.
            match socket.feed(message).await {
                // Where we are closing, no echo can be sent; the server's Close is still to come.
                Ok(()) | Err(sockeye::futures::Error::Send(SendError::Closed)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}

pub(crate) fn exchange(uri: &WsUri, setup: &Setup, text: Option<&str>) -> Result<Message, Error> {
    smol::block_on(async {
        let mut socket = connect(uri, setup).await?;
        if let Some(text) = text {
            socket.send(text).await?;
        }
        let message = socket.receive().await?.ok_or("the server closed without a message")?;
        // Where the server has closed in the meantime, there is nothing left to close.
        let _ = socket.close(Close::normal()).await;
        while socket.receive().await?.is_some() {}
        Ok(message)
    })
}

async fn connect(uri: &WsUri, setup: &Setup) -> Result<WebSocket<TcpStream>, Error> {
    let mut connector = Connector::default();
    connector.config = setup.config.clone();
    Ok(connector.connect_with(uri, uri.request()?).await?)
}
