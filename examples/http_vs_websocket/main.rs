//! The same updates to the same page twice, side by side: by HTTP polling, and over one WebSocket.
//!
//! ```sh
//! cargo run --release --example http_vs_websocket   # then open http://127.0.0.1:8080/
//! ```
//!
//! The page polls on one half of itself and is pushed to on the other. The server counts what goes through its sockets, for each
//! half apart, and tells the page over a third connection, which neither half is charged for. Updates come at random, as they do.
//!
//! HTTP is at its best here: its header fields are few, an answer without updates has no body, and one with updates brings
//! all there are. That each request has a connection of its own is what [`Rejection`] makes of it; how many bytes of a request are header
//! fields, which a connection that is kept would not spare, the page says, too.

mod meter;
mod updates;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lexopt::ValueExt as _;
use sockeye::Close;
use sockeye::driver::Limits;
use sockeye::handshake::{BuildError, Rejection, Request};
use sockeye::tokio::{Accepting, Error, Server};
use tokio::time::{MissedTickBehavior, interval};

use crate::meter::{Half, House, Metered, Run};
use crate::updates::Updates;

/// What the server was asked for.
struct Options {
    host: String,
    port: u16,
    /// Updates a second, on average.
    rate: f64,
}

/// What all connections share.
struct Shared {
    updates: Arc<Updates>,
    house: House,
}

async fn serve(options: &Options) -> std::io::Result<()> {
    let mut limits = Limits::default();
    limits.connections = 1000;
    let server = Server::bind((&*options.host, options.port)).await?.with_limits(limits);
    println!("listening on http://{}", server.local_addr()?);

    let updates = Updates::begin(options.rate);
    let shared = Arc::new(Shared { updates, house: House::default() });
    server
        .run_over(
            async |stream| Ok(Metered::new(stream)),
            move |accepting, _| {
                let shared = shared.clone();
                async move { route(accepting, &shared).await }
            },
        )
        .await
}

/// Answers one request: with the page, as a poll, or by opening a WebSocket.
async fn route(mut accepting: Accepting<Metered>, shared: &Shared) -> Result<(), Error> {
    let request = accepting.request().await?;
    let run = number(request, "run").and_then(|run| shared.house.run(run));
    let after = number(request, "after").unwrap_or(u64::MAX);
    let path = String::from(request.path());
    if request.method() != "GET" {
        return accepting.accept().await.map(drop); // which refuses it, and says why
    }
    match (&*path, run) {
        ("/", _) => answer(accepting, page()?).await,
        ("/meter", _) => tell_counts(accepting, shared).await,
        ("/poll", Some(run)) => {
            charge(&accepting, &run, Half::Polling);
            let (updates, _) = shared.updates.after(after);
            run.polling.told(updates.len() as u64);
            let poll = match updates.len() {
                0 => Rejection::new(204)?,
                _ => Rejection::new(200)?
                    .header("Content-Type", "application/json")?
                    .body(format!("[{}]", updates.join(","))),
            };
            answer(accepting, poll).await
        }
        ("/push", Some(run)) => {
            charge(&accepting, &run, Half::WebSocket);
            push(accepting, &shared.updates, &run, after).await
        }
        ("/poll" | "/push", None) => answer(accepting, Rejection::new(410)?.body("this run is over\n")).await,
        _ => answer(accepting, Rejection::new(404)?).await,
    }
}

/// The page, which needs nothing from elsewhere.
fn page() -> Result<Rejection, BuildError> {
    const POLICY: &str = "default-src 'none'; connect-src 'self' ws: wss:; img-src data:; \
        script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    let page = Rejection::new(200)?
        .header("Content-Type", "text/html; charset=utf-8")?
        .header("Content-Security-Policy", POLICY)?
        .header("Cache-Control", "no-cache")?;
    Ok(page.body(include_str!("page.html")))
}

/// Answers with HTTP. That it is called a rejection is because no WebSocket comes of it.
async fn answer(accepting: Accepting<Metered>, response: Rejection) -> Result<(), Error> {
    match accepting.reject(response).await {
        Error::Rejected(_) => Ok(()), // is what was sent
        error => Err(error),
    }
}

/// Charges the connection to one half of a run, from its first byte on.
fn charge(accepting: &Accepting<Metered>, run: &Arc<Run>, half: Half) {
    if let Some(stream) = accepting.get_ref() {
        stream.charge(run, half);
    }
}

/// Tells the updates as they come, until the page has enough. It says so, and lets us close: a page that closes by itself does not
/// hear what was on its way to it.
async fn push(accepting: Accepting<Metered>, updates: &Updates, run: &Run, mut after: u64) -> Result<(), Error> {
    let mut socket = accepting.accept().await?;
    let mut newest = updates.watch();
    after = after.min(*newest.borrow());
    loop {
        tokio::select! {
            received = socket.receive() => {
                if received?.is_some() {
                    socket.close(Close::normal()).await?;
                    while socket.receive().await?.is_some() {}
                }
                return Ok(());
            }
            true = async { newest.wait_for(|newest| *newest > after).await.is_ok() } => {
                let (missing, reached) = updates.after(after);
                run.websocket.told(missing.len() as u64);
                for update in missing {
                    socket.feed(&*update).await?;
                }
                socket.flush().await?;
                after = reached;
            }
        }
    }
}

/// Begins a run, and tells its page ten times a second what was counted, until it goes.
async fn tell_counts(accepting: Accepting<Metered>, shared: &Shared) -> Result<(), Error> {
    let mut socket = accepting.accept().await?;
    let guard = shared.house.begin();
    let after = *shared.updates.watch().borrow();
    socket.send(format!("{{\"run\":{},\"after\":{after},\"rate\":{}}}", guard.id(), shared.updates.rate())).await?;
    let mut clock = interval(Duration::from_millis(100));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            received = socket.receive() => match received? {
                None => return Ok(()),
                // The page asks what time it is, and says by its own clock when it did.
                Some(message) => if let Some(asked) = message.as_text().and_then(|text| text.parse::<f64>().ok()) {
                    socket.send(format!("{{\"asked\":{asked},\"time\":{:.3}}}", shared.updates.time())).await?;
                },
            },
            _ = clock.tick() => {
                let counts = guard.to_string();
                if counts != told {
                    socket.send(&*counts).await?;
                    told = counts;
                }
            }
        }
    }
}

/// A number in the query of a request.
fn number(request: &Request, name: &str) -> Option<u64> {
    let mut pairs = request.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|pair| pair.0 == name)?.1.parse().ok()
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options { host: "127.0.0.1".into(), port: 8080, rate: 2.0 };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("host") => options.host = arguments.value()?.string()?,
            lexopt::Arg::Long("port") => options.port = arguments.value()?.parse()?,
            lexopt::Arg::Long("rate") => {
                options.rate = arguments.value()?.parse()?;
                if !(0.1..=100.0).contains(&options.rate) {
                    return Err("--rate is from 0.1 to 100 updates a second".into());
                }
            }
            argument => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            return fail(&format!("{error}; usage: http_vs_websocket [--host HOST] [--port PORT] [--rate RATE]"));
        }
    };
    match serve(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {}:{}: {error}", options.host, options.port)),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("http_vs_websocket: {why}");
    ExitCode::FAILURE
}
