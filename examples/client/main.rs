//! A client: lines that you type go out, messages are printed as they come, each in its own time.
//!
//! ```sh
//! cargo run --example client ws://127.0.0.1:9001                # end the input (Ctrl-D) to close the connection
//! cargo run --example client ws://127.0.0.1:9001 --send hello   # print the first answer instead
//! cargo run --example client --features client,rustls -- wss://user:password@example.com/ --reconnect
//! cargo run --example client -- --help
//! ```
//!
//! Without features it is the library's blocking adapter on `ws:` alone (`plain.rs`). With `client` it is the client that finds its
//! way (`full.rs`): names with several addresses, proxies, passwords, reconnecting, and `wss:` with one of the features for TLS.
//! On a terminal lines can be edited; where it is piped, only messages are on stdout, one a line.

#[cfg(feature = "client")]
mod full;
mod options;
#[cfg(not(feature = "client"))]
mod plain;
mod screen;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
mod typing;

use core::error::Error;
use std::process::ExitCode;

use options::{HELP, Options};
use screen::Screen;

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&format!("{error}; --help tells more")),
    };
    let (screen, typed) = typing::start();
    let result = run(options, &screen, typed);
    screen.flush();
    screen.restore();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Connects, and talks until the connection is closed.
fn run(options: Options, screen: &Screen, typed: typing::Lines) -> Result<(), Box<dyn Error>> {
    #[cfg(feature = "client")]
    return full::run(options, screen, typed);
    #[cfg(not(feature = "client"))]
    plain::run(options, screen, typed)
}

fn fail(why: &str) -> ExitCode {
    eprintln!("client: {why}");
    ExitCode::FAILURE
}
