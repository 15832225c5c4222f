//! tungstenite and tokio-tungstenite: a message that shares its payload is cloned for each.

use futures_util::{SinkExt, StreamExt};
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::Role;
use tungstenite::{Message as Theirs, WebSocket};

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::curves::{Gather, once};
use crate::libraries::tungstenite::payload;
use crate::library::{at_once, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

fn theirs(message: &Message) -> Theirs {
    match message.kind {
        Kind::Text => Theirs::Text(message.shared.clone().try_into().expect("it is text")),
        Kind::Binary => Theirs::Binary(message.shared.clone()),
    }
}

pub struct Tungstenite(Vec<Box<WebSocket<Stream>>>);

impl Broadcast for Tungstenite {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| WebSocket::from_raw_socket(stream, Role::Server, None)))
    }

    fn publish(&mut self, message: &mut Message) {
        let message = theirs(message);
        for socket in &mut self.0 {
            socket.send(message.clone()).expect("it is open");
        }
    }
}

pub struct Tokio(Vec<Box<WebSocketStream<Stream>>>, Runtime);

impl Tokio {
    fn new(streams: Vec<Stream>) -> Self {
        let open = |stream| at_once(WebSocketStream::from_raw_socket(stream, Role::Server, None));
        Self(crowd(streams, |stream| open(stream).expect("it waits for nothing")), runtime())
    }
}

impl Broadcast for Tokio {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self::new(streams)
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            let message = theirs(message);
            for socket in ends {
                socket.send(message.clone()).await.expect("it is open");
            }
        });
    }
}

impl Gather for Tokio {
    fn open(streams: Vec<Stream>) -> Self {
        Self::new(streams)
    }

    fn gather(&mut self, mut visit: impl FnMut(&[u8])) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            for socket in ends {
                while let Some(received) = once(socket.next()).await {
                    visit(payload(&received.expect("it is open").expect("it is right")));
                }
            }
        });
    }
}
