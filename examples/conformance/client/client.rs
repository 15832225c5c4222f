//! The library's own client, which goes by URL; over TLS where the URL says so.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sockeye::client::tls::TlsConfig;
use sockeye::client::{Client, WebSocket};
use sockeye::handshake::ClientRequest;
use sockeye::{Config, Message, WsUri};

use crate::Error;
use crate::interop::Socket;
use crate::tokio::{Blocking, echo_on, exchange_on, runtime};

/// Whom to trust, a PEM file; there where the connection is to be over TLS.
pub(crate) static CA: OnceLock<PathBuf> = OnceLock::new();

pub(crate) fn echo(uri: &WsUri, config: Arc<Config>) -> Result<(), Error> {
    runtime()?.block_on(async { echo_on(connect(uri, &crate::request(uri)?, config).await?).await })
}

pub(crate) fn exchange(uri: &WsUri, config: Arc<Config>, text: Option<&str>) -> Result<Message, Error> {
    runtime()?.block_on(async { exchange_on(connect(uri, &crate::request(uri)?, config).await?, text).await })
}

pub(crate) fn open(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<Box<dyn Socket>, Error> {
    let runtime = runtime()?;
    let socket = runtime.block_on(connect(uri, &request, config))?;
    Ok(Box::new(Blocking::new(runtime, socket)))
}

async fn connect(uri: &WsUri, request: &ClientRequest, config: Arc<Config>) -> Result<WebSocket, Error> {
    let mut client = Client::new().config(config);
    for subprotocol in subprotocols(request) {
        client = client.subprotocol(&subprotocol)?;
    }
    #[cfg(feature = "deflate")]
    if let Some(Some(deflate)) = crate::DEFLATE.get() {
        client = client.deflate(deflate.clone());
    }
    let scheme = match CA.get() {
        Some(ca) => {
            client = client.tls(TlsConfig::new().ca_file(ca)?.connector()?);
            "wss"
        }
        None => "ws",
    };
    Ok(client.connect(&*format!("{scheme}://{}{}", uri.authority(), uri.target())).await?)
}

/// What a request offers, which it tells only as it is written.
fn subprotocols(request: &ClientRequest) -> Vec<String> {
    let mut head = Vec::new();
    request.write(&mut head);
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
    line.into_iter().flat_map(|list| list.split(", ")).map(str::to_owned).collect()
}
