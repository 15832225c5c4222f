//! Two sources in one task: what the peer sends, and the ticks of a clock, in a `select!` loop on both ends of a
//! connection. Each end pings when its clock ticks, and answers the other's pings, until each has had ten answers.
//!
//! Whichever branch of the `select!` comes first, the other one's future is dropped, in the middle of a message perhaps.
//! Every future of the library can be dropped: nothing is lost, as the numbers at the end show.
//!
//! ```sh
//! cargo run --example tokio_select
//! ```

use std::time::Duration;

use sockeye::Close;
use sockeye::tokio::{Error, WebSocket, accept, connect};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::interval;

const ROUNDS: u32 = 10;

/// Plays until both have had all their answers, and returns how many came.
async fn play(name: &str, mut socket: WebSocket<TcpStream>, tick: Duration) -> Result<u32, Error> {
    let mut clock = interval(tick);
    let (mut asked, mut answered, mut unfinished) = (0, 0, 2); // both ends have answers to come
    loop {
        tokio::select! {
            received = socket.receive() => {
                let Some(message) = received? else { return Ok(answered) };
                match message.as_text().unwrap_or_default().split_once(' ') {
                    Some(("ping", number)) => socket.send(format!("pong {number}")).await?,
                    Some(("pong", number)) => {
                        println!("{name} has answer {number}");
                        assert_eq!(number, answered.to_string(), "answers come in order, each once");
                        answered += 1;
                        if answered == ROUNDS {
                            socket.send("done ").await?;
                            unfinished -= 1;
                        }
                    }
                    _ => unfinished -= 1,
                }
                if unfinished == 0 {
                    // Perhaps the other end was first: either way, the next receive gives `None`.
                    let _ = socket.close(Close::normal()).await;
                }
            }
            _ = clock.tick(), if asked < ROUNDS => {
                socket.send(format!("ping {asked}")).await?;
                asked += 1;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("ws://{}", listener.local_addr()?);
    let server = async { play("server", accept(listener.accept().await?.0).await?, Duration::from_millis(7)).await };
    let client = async { play("client", connect(&uri).await?, Duration::from_millis(5)).await };
    let (server, client) = tokio::try_join!(server, client)?;
    assert_eq!((server, client), (ROUNDS, ROUNDS));
    println!("both had all {ROUNDS} answers");
    Ok(())
}
