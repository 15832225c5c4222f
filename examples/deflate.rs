//! Compression: a server and a client that agree on it, and what it is not for.
//!
//! ```sh
//! cargo run --features deflate --example deflate
//! ```
//!
//! The client asks for the news of a feed. They come as JSON, of which each message says most of what the ones before it said,
//! so that little is left of them on the wire. The token that the server sends first is none of it: by how well a secret
//! compresses together with other text it can be guessed.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use sockeye::blocking::{Acceptor, Connector};
use sockeye::deflate::Deflate;
use sockeye::{Close, Uncompressed};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn serve(stream: TcpStream) -> Result {
    let mut acceptor = Acceptor::default();
    acceptor.handshake.deflate = Some(Deflate::default());
    let mut socket = acceptor.accept(stream)?;

    socket.send(Uncompressed(r#"{"type":"session","token":"q7Zr0VvXkc5m9sLbT2yJ"}"#))?;
    for number in 0..NEWS {
        let (likes, at) = (number * 37 % 101, 1_767_225_600 + number * 911);
        socket.send(&format!(
            r#"{{"type":"news","id":{number},"author":{{"id":{},"name":"salmon"}},"likes":{likes},"at":{at}}}"#,
            number * 7919 % 100
        ))?;
    }
    socket.close(Close::normal())?;
    while socket.receive()?.is_some() {}
    Ok(())
}

fn read(uri: &str) -> Result {
    let mut connector = Connector::default();
    connector.handshake.deflate = Some(Deflate::default());
    let mut socket = connector.connect(uri)?;
    match socket.response().and_then(|response| response.deflate()) {
        Some(agreed) => println!("the server refers back by up to {} bytes", agreed.server_max_window_bits().size()),
        None => println!("the server does not compress"),
    }

    while let Some(message) = socket.receive()? {
        if let Some(session) = message.as_text().filter(|text| text.contains("token")) {
            println!("not compressed, for it is secret: {} bytes", session.len());
        }
    }
    let counted = socket.received();
    let ratio = counted.encoded_bytes as f64 / counted.decoded_bytes.max(1) as f64;
    println!("{NEWS} news of {} bytes came as {}: {ratio:.2}", counted.decoded_bytes, counted.encoded_bytes);
    Ok(())
}

fn run() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let uri = format!("ws://{}", listener.local_addr()?);
    let server = thread::spawn(move || serve(listener.accept()?.0));
    read(&uri)?;
    server.join().map_err(|_| "the server panicked")?
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deflate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many messages there are.
const NEWS: u64 = 1000;
