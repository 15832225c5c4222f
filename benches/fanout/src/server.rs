//! A server of one library: a process that accepts so many connections, and publishes when it is told to.
//!
//! It prints two ports. On the first it serves; on the second it takes one connection of the one who measures: each byte is how
//! many messages to publish in a turn. It ends with that connection. Everything is on one thread, as Bun's is.

mod ours;
mod sockudo;
mod tungstenite;
mod write;

use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::library::Library;
use crate::plan::Plan;

/// Publishes to a topic.
type Publish = Box<dyn Fn(&str)>;

/// Is the server.
pub fn run(library: Library, plan: Plan, connections: usize) -> Outcome<()> {
    // A wait for connections need not outlast who makes them.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match library {
        Library::Write => write::run(connections),
        _ => runtime.block_on(serve(library, plan, connections)),
    }
}

async fn serve(library: Library, plan: Plan, connections: usize) -> Outcome<()> {
    let [listener, control] = [TcpListener::bind(LOCAL).await?, TcpListener::bind(LOCAL).await?];
    println!("{} {}", listener.local_addr()?.port(), control.local_addr()?.port());
    let publish = match library {
        Library::Sockeye => ours::serve(listener, plan, connections).await?,
        Library::TokioTungstenite => tungstenite::serve(listener, plan, connections).await?,
        Library::SockudoWs => sockudo::serve(listener, plan, connections).await?,
        Library::Bun | Library::Write => return Err("it is no server of this kind".into()),
    };
    let mut control = control.accept().await?.0;
    let mut turn = 0;
    while let Ok(messages) = control.read_u8().await {
        for _ in 0..messages {
            plan.publish(turn, connections, &publish);
        }
        turn += 1;
    }
    Ok(())
}

/// The next connection, on which nothing waits for an acknowledgement.
async fn accept(listener: &TcpListener) -> Outcome<TcpStream> {
    let stream = tokio::time::timeout(PATIENCE, listener.accept()).await??.0;
    stream.set_nodelay(true)?;
    Ok(stream)
}

const LOCAL: &str = "127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(30);
