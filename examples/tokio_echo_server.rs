//! A server on tokio that echoes what it gets, with a task for each connection.
//!
//! ```sh
//! cargo run --example tokio_echo_server   # on 127.0.0.1:9001, or [--addr] HOST:PORT
//! cargo run --example client ws://127.0.0.1:9001           # in another terminal
//! ```

use std::process::ExitCode;
use std::{env, io};

use sockeye::tokio::Server;

async fn serve(address: &str) -> io::Result<()> {
    let server = Server::bind(address).await?;
    println!("listening on ws://{}", server.local_addr()?);
    server
        .on_error(|peer, error| eprintln!("tokio_echo_server: {peer}: {error}")) // that connection's end, not the server's
        .run(|accepting, _| async {
            let mut socket = accepting.accept().await?;
            while let Some(message) = socket.receive().await? {
                socket.send(message).await?;
            }
            Ok(())
        })
        .await
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let address = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:9001",
        ["--addr", address] => address,
        [address] if !address.starts_with('-') => address,
        _ => return fail("usage: tokio_echo_server [--addr] [HOST:PORT]"),
    };
    match serve(address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("tokio_echo_server: {why}");
    ExitCode::FAILURE
}
