//! A server that ends without hurting anybody, on Ctrl-C or SIGTERM: it takes nobody in any more, answers opening handshakes
//! in progress with 503, closes its connections a few at a time, and waits until they are gone, no longer than so long.
//!
//! All clients would come back at once if all were closed at once; so it is a hundred about every 100 ms.
//!
//! ```sh
//! cargo run --example tokio_graceful_shutdown   # on 127.0.0.1:9001, or [--addr] HOST:PORT
//! cargo run --example client ws://127.0.0.1:9001                 # in another terminal; then Ctrl-C in this one
//! ```

use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use sockeye::driver::Drain;
use sockeye::tokio::Server;
use sockeye::{Close, CloseCode};

async fn serve(address: &str) -> io::Result<()> {
    let server = Server::bind(address).await?;
    println!("listening on ws://{}", server.local_addr()?);

    let handle = server.handle();
    let stop = stop_signal()?;
    let stopping = tokio::spawn(async move {
        stop.await;
        println!("stopping, with {} connections", handle.connections());
        handle.shutdown(drain()).await
    });

    // Ends once the last connection has.
    server
        .run(|accepting, _| async {
            let mut socket = accepting.accept().await?;
            // `None` comes to whom the server closes, too: behind it is the place to save what is to be saved.
            while let Some(message) = socket.receive().await? {
                socket.send(message).await?;
            }
            Ok(())
        })
        .await?;
    let drained = stopping.await?;
    println!("stopped: {} ended in order, {} did not", drained.ended, drained.aborted);
    Ok(())
}

/// How the connections are ended.
fn drain() -> Drain {
    let mut drain = Drain::default();
    if let Ok(close) = Close::new(CloseCode::SERVICE_RESTART, "back in a moment") {
        drain.close = close;
    }
    (drain.batch, drain.interval) = (100, Duration::from_millis(100));
    drain.patience = Duration::from_secs(5);
    drain
}

/// Returns a future that waits until the process is asked to stop.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Returns a future that waits until the process is asked to stop.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let address = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:9001",
        ["--addr", address] => address,
        [address] if !address.starts_with('-') => address,
        _ => return fail("usage: tokio_graceful_shutdown [--addr] [HOST:PORT]"),
    };
    match serve(address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("tokio_graceful_shutdown: {why}");
    ExitCode::FAILURE
}
