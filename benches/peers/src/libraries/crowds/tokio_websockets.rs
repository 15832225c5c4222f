//! tokio-websockets: a message that shares its payload is cloned for each.

use futures_util::{SinkExt, StreamExt};
use tokio::runtime::Runtime;
use tokio_websockets::{Message as Theirs, WebSocketStream};

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::curves::{Gather, once};
use crate::libraries::tokio_websockets::socket;
use crate::library::{Role, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

pub struct TokioWebsockets(Vec<Box<WebSocketStream<Stream>>>, Runtime);

impl TokioWebsockets {
    fn new(streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| socket(Role::Server, stream)), runtime())
    }
}

impl Broadcast for TokioWebsockets {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self::new(streams)
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            let message = match message.kind {
                Kind::Text => Theirs::text(message.shared.clone()),
                Kind::Binary => Theirs::binary(message.shared.clone()),
            };
            for socket in ends {
                socket.send(message.clone()).await.expect("it is open");
            }
        });
    }
}

impl Gather for TokioWebsockets {
    fn open(streams: Vec<Stream>) -> Self {
        Self::new(streams)
    }

    fn gather(&mut self, mut visit: impl FnMut(&[u8])) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            for socket in ends {
                while let Some(received) = once(socket.next()).await {
                    visit(received.expect("it is open").expect("it is right").as_payload());
                }
            }
        });
    }
}
