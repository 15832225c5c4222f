//! A server that echoes what it gets, with a thread for each connection.
//!
//! ```sh
//! cargo run --example echo_server                  # on 127.0.0.1:9001, or [--addr] HOST:PORT
//! cargo run --example client ws://127.0.0.1:9001   # in another terminal
//! ```

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::{env, io, thread};

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        thread::spawn(move || {
            if let Err(error) = stream.map_err(Into::into).and_then(echo) {
                eprintln!("echo_server: {error}"); // that connection's end, not the server's
            }
        });
    }
    Ok(())
}

fn echo(stream: TcpStream) -> Result<(), sockeye::blocking::Error> {
    stream.set_nodelay(true)?;
    let mut socket = sockeye::blocking::accept(stream)?;
    while let Some(message) = socket.receive()? {
        socket.send(&message)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let address = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:9001",
        ["--addr", address] => address,
        [address] if !address.starts_with('-') => address,
        _ => return fail("usage: echo_server [--addr] [HOST:PORT]"),
    };
    match serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("echo_server: {why}");
    ExitCode::FAILURE
}
