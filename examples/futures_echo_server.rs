//! A server on smol that echoes what it gets, with a task for each connection. Any executor will do, and any stream of
//! `futures-io`.
//!
//! ```sh
//! cargo run --features futures --example futures_echo_server   # on 127.0.0.1:9001, or [--addr] HOST:PORT
//! cargo run --example client ws://127.0.0.1:9001               # in another terminal
//! ```

use std::process::ExitCode;
use std::{env, io};

use smol::net::{TcpListener, TcpStream};

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let serving = async {
            if let Err(error) = echo(stream).await {
                eprintln!("futures_echo_server: {error}"); // that connection's end, not the server's
            }
        };
        smol::spawn(serving).detach();
    }
}

async fn echo(stream: TcpStream) -> Result<(), sockeye::futures::Error> {
    stream.set_nodelay(true)?;
    let mut socket = sockeye::futures::accept(stream).await?;
    while let Some(message) = socket.receive().await? {
        socket.send(message).await?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let address = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:9001",
        ["--addr", address] => address,
        [address] if !address.starts_with('-') => address,
        _ => return fail("usage: futures_echo_server [--addr] [HOST:PORT]"),
    };
    match smol::block_on(serve(address)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("futures_echo_server: {why}");
    ExitCode::FAILURE
}
