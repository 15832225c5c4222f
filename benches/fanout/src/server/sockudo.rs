//! sockudo-ws with its topics.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::server_handshake;
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{Config, Message, Role, WebSocketStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Publish, accept};
use crate::Outcome;
use crate::plan::{Plan, payload};

pub(super) async fn serve(listener: TcpListener, plan: Plan, connections: usize) -> Outcome<Publish> {
    sockudo_ws::init_clock();
    let topics = Arc::new(PubSub::new());
    for connection in 0..connections {
        let mut stream = accept(&listener).await?;
        let leftover = server_handshake(&mut stream).await?.leftover;
        let mut socket = WebSocketStream::from_raw_with_leftover(stream, Role::Server, Config::default(), leftover);
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let id = topics.create_subscriber(sender);
        for subscription in plan.subscriptions(connection) {
            topics.subscribe(id, &subscription);
        }
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    received = socket.next() => if !matches!(received, Some(Ok(_))) { return },
                    published = receiver.recv() => {
                        let Some(published) = published else { return };
                        if socket.send(published).await.is_err() { return }
                    }
                }
            }
        });
    }
    Ok(Box::new(move |topic| {
        topics.publish(topic, Message::Binary(payload().into()));
    }))
}
