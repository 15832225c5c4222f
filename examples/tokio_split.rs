//! A connection in two halves: one task receives while others send, each in its own time.
//!
//! The sending half can be cloned, and what its clones send never mixes within a message. The receiving half answers pings
//! and writes what is queued while it receives, so a task that receives for as long as the connection lives is all that
//! it takes.
//!
//! ```sh
//! cargo run --example tokio_split
//! ```

use std::error::Error;

use sockeye::Close;
use sockeye::tokio::{accept, connect};
use tokio::net::TcpListener;

const LINES: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("ws://{}", listener.local_addr()?);
    tokio::spawn(async move {
        let mut socket = accept(listener.accept().await.map_err(sockeye::tokio::Error::from)?.0).await?;
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok::<_, sockeye::tokio::Error>(())
    });

    let (mut receiver, sender) = connect(&uri).await?.split();

    // This task receives, and counts whose lines come back.
    let receiving = tokio::spawn(async move {
        let mut next = [0; 2];
        while let Some(message) = receiver.receive().await? {
            let (name, number) = message.as_text().and_then(|text| text.split_once(' ')).unwrap_or_default();
            let next = &mut next[usize::from(name == "bob")];
            assert_eq!(number, next.to_string(), "{name}'s lines come in order");
            *next += 1;
        }
        Ok::<_, sockeye::tokio::Error>(next)
    });

    // And these send: neither waits for an answer to what it sent.
    let sending = ["alice", "bob"].map(|name| {
        let sender = sender.clone();
        tokio::spawn(async move {
            for number in 0..LINES {
                sender.send(format!("{name} {number}")).await?;
            }
            Ok::<_, sockeye::tokio::Error>(())
        })
    });
    println!("round trip: {:?}, in the middle of it all", sender.ping().await?);
    for task in sending {
        task.await??;
    }
    sender.close(Close::normal()).await?;

    assert_eq!(receiving.await??, [LINES; 2]);
    println!("alice and bob each got their {LINES} lines back, in order");
    Ok(())
}
