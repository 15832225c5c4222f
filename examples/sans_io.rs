//! The bare loop: an echo server that drives the engine by hand. For who writes an adapter of their own.
//!
//! The engine knows no sockets and no clocks. Whoever owns it reads, passes the bytes and the time in, and writes what
//! comes out. Each round of the loop does the same five things, and every adapter is this loop.
//!
//! ```sh
//! cargo run --example sans_io                      # on 127.0.0.1:9001, or [--addr] HOST:PORT
//! cargo run --example client ws://127.0.0.1:9001   # in another terminal
//! ```

use core::error::Error;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, thread};

use sockeye::handshake::{Rejection, Request, ServerConfig, ServerHandshake};
use sockeye::{Config, Connection, EndCause, Received, State, Teardown};

/// Serves one connection from its first byte to its last.
fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let origin = Instant::now(); // any origin will do, but one for all times
    let mut buffer = vec![0; 16 * 1024]; // messages are lent from it: all of it is received before the next read
    let mut output = Vec::new();
    stream.set_write_timeout(Some(Duration::from_secs(10)))?; // the engine's deadlines cannot interrupt a write

    // The opening handshake. What the client sent behind its request belongs to the connection.
    let mut filled = match open(&mut stream, origin, &mut buffer, &mut output)? {
        Ok(leftover) => leftover,
        Err(rejection) => return refuse(&mut stream, &rejection, &mut buffer, &mut output),
    };

    let mut connection = Connection::server(Config::default());
    let mut assembler = connection.assembler(); // puts messages together that come in pieces
    loop {
        // 1. Receive until every byte was taken. The engine answers pings and Closes: its replies are in the output.
        let mut input = &mut buffer[..filled];
        loop {
            match connection.receive_message(&mut input, &mut assembler, &mut output) {
                // After our own Close, messages may still arrive, but nothing may be sent.
                Ok(Some(Received::Message(message))) if connection.state() == State::Open => {
                    connection.send(message, &mut output)?;
                }
                Ok(Some(_)) => {}
                // Nothing more for now; or the peer broke the protocol: the Close that tells it is in the output, and
                // the engine takes nothing any more.
                Ok(None) | Err(_) => break,
            }
        }

        // 2. Tell the time. A call that is early does nothing; a keepalive ping, or the Close of a deadline that has
        //    passed, is added to the output.
        connection.handle_timeout(origin.elapsed().into(), &mut output);

        // 3. Write. A pong that was held back because so much was waiting is added when the time is told again.
        stream.write_all(&output)?;
        output.clear();
        if connection.owes_pong() {
            connection.handle_timeout(origin.elapsed().into(), &mut output);
            stream.write_all(&output)?;
            output.clear();
        }

        // 4. Do with the transport what the state asks for.
        match connection.teardown() {
            Teardown::Keep | Teardown::AwaitPeer => {}
            // Closed for what the peer did: it may still be sending, and closing over unread bytes would reset the
            // transport before it has read our Close. So end our direction, and read on until it ends its own.
            Teardown::Linger => drop(stream.shutdown(Shutdown::Write)), // twice is no error that matters
            Teardown::Close => break,
        }

        // 5. Read, for no longer than until the next deadline. The end of the input is told as such.
        let wait = connection.poll_timeout().map(|deadline| deadline - origin.elapsed().into());
        filled = match read(&mut stream, &mut buffer, wait)? {
            None => 0,
            Some(0) => {
                connection.receive_eof();
                0
            }
            Some(len) => len,
        };
    }

    // A clean close is no error. What else can have ended the connection, the engine knows.
    match connection.end_cause() {
        Some(EndCause::Violation(error)) => Err(error.clone().into()),
        Some(EndCause::Timeout(timeout)) => Err(timeout.to_string().into()),
        Some(EndCause::TransportLost) => Err("the connection was lost without a closing handshake".into()),
        _ => Ok(()),
    }
}

/// Reads and answers the opening handshake; the bytes that came behind it are moved to the front of the buffer.
fn open(
    stream: &mut TcpStream,
    origin: Instant,
    buffer: &mut [u8],
    output: &mut Vec<u8>,
) -> io::Result<Result<usize, Rejection>> {
    let config = ServerConfig::default();
    let mut handshake = ServerHandshake::new(&config);
    loop {
        if let Err(rejection) = handshake.handle_timeout(origin.elapsed().into()) {
            return Ok(Err(rejection));
        }
        let wait = handshake.poll_timeout().map(|deadline| deadline - origin.elapsed().into());
        let len = match read(stream, buffer, wait)? {
            None => continue,
            Some(0) => match handshake.receive_eof() {
                Ok(()) => continue,
                Err(rejection) => return Ok(Err(rejection)),
            },
            Some(len) => len,
        };
        let mut input = &buffer[..len];
        // Here is the place to look at the request: its path, subprotocols, cookies; and to refuse it.
        let accept = |request: Request| Ok(request.upgrade(&config)?.respond());
        match handshake.receive(&mut input).and_then(|request| request.map(accept).transpose()) {
            Ok(None) => {} // all was taken, and the request is not whole
            Ok(Some(response)) => {
                let leftover = input.len();
                response.write(output);
                buffer.copy_within(len - leftover..len, 0);
                return Ok(Ok(leftover));
            }
            Err(rejection) => return Ok(Err(rejection)),
        }
    }
}

/// Answers a handshake that is refused, and waits a little for the client to close, so that it can read why.
fn refuse(
    stream: &mut TcpStream,
    rejection: &Rejection,
    buffer: &mut [u8],
    output: &mut Vec<u8>,
) -> Result<(), Box<dyn Error>> {
    rejection.write(output);
    stream.write_all(output)?;
    stream.shutdown(Shutdown::Write)?;
    let has_more = |_: &usize| matches!(read(stream, buffer, Some(Duration::from_secs(1))), Ok(Some(1..)));
    (0..64).take_while(has_more).for_each(drop);
    Err(rejection.clone().into())
}

/// Reads once: `None` if nothing came in that time, 0 at the end of the input.
fn read(stream: &mut TcpStream, buffer: &mut [u8], wait: Option<Duration>) -> io::Result<Option<usize>> {
    stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?; // zero is refused
    match stream.read(buffer) {
        Ok(len) => Ok(Some(len)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        thread::spawn(move || {
            if let Err(error) = stream.map_err(Into::into).and_then(serve) {
                eprintln!("sans_io: {error}");
            }
        });
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let address = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:9001",
        ["--addr", address] => address,
        [address] if !address.starts_with('-') => address,
        _ => return fail("usage: sans_io [--addr] [HOST:PORT]"),
    };
    match run(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("sans_io: {why}");
    ExitCode::FAILURE
}
