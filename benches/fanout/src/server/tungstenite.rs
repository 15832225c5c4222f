//! tokio-tungstenite behind channels of tokio, one for each topic, as one writes that: receive from the client and from the
//! channel, whichever comes first, and send what came. Who has several topics has their channels in a `SelectAll`.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::stream::SelectAll;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Publish, accept};
use crate::Outcome;
use crate::plan::{Plan, payload};

pub(super) async fn serve(listener: TcpListener, plan: Plan, connections: usize) -> Outcome<Publish> {
    // The channels take their memory at once: as much as the cell needs.
    let capacity = match plan {
        Plan::Own(_) => 16,
        Plan::Same(_) | Plan::Patterns => 64,
    };
    let mut topics = HashMap::new();
    for connection in 0..connections {
        let socket = tokio_tungstenite::accept_async(accept(&listener).await?).await?;
        let mut receivers = Vec::new();
        for subscription in plan.subscriptions(connection) {
            let sender = topics.entry(subscription).or_insert_with(|| broadcast::channel(capacity).0);
            receivers.push(sender.subscribe());
        }
        match (receivers.len(), receivers.pop()) {
            (1, Some(receiver)) => tokio::spawn(send_from(socket, receiver)),
            (_, last) => {
                let all = receivers.into_iter().chain(last).map(BroadcastStream::new).collect();
                tokio::spawn(send_from_all(socket, all))
            }
        };
    }
    Ok(Box::new(move |topic| {
        if let Some(sender) = topics.get(topic) {
            let _ = sender.send(payload().into());
        }
    }))
}

async fn send_from(mut socket: WebSocketStream<TcpStream>, mut receiver: broadcast::Receiver<Bytes>) {
    loop {
        tokio::select! {
            received = socket.next() => if !matches!(received, Some(Ok(_))) { return },
            published = receiver.recv() => {
                let Ok(published) = published else { return };
                if socket.send(Message::Binary(published)).await.is_err() { return }
            }
        }
    }
}

async fn send_from_all(mut socket: WebSocketStream<TcpStream>, mut receivers: SelectAll<BroadcastStream<Bytes>>) {
    loop {
        tokio::select! {
            received = socket.next() => if !matches!(received, Some(Ok(_))) { return },
            published = receivers.next() => {
                let Some(Ok(published)) = published else { return };
                if socket.send(Message::Binary(published)).await.is_err() { return }
            }
        }
    }
}
