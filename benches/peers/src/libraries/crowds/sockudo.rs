//! sockudo-ws: a message that shares its payload is cloned for each, and sent by its stream; encoded by its `Protocol`; or handed
//! to each by its `PubSub`, by way of a channel, and then sent by its stream.

use bytes::BytesMut;
use futures_util::SinkExt;
use sockudo_ws::protocol::Protocol;
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{Config, Message as Theirs, WebSocketStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::libraries::sockudo::{protocol, role};
use crate::library::{Role, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

fn theirs(message: &Message) -> Theirs {
    match message.kind {
        Kind::Text => Theirs::Text(message.shared.clone()),
        Kind::Binary => Theirs::Binary(message.shared.clone()),
    }
}

fn socket(stream: Stream) -> WebSocketStream<Stream> {
    sockudo_ws::init_clock();
    WebSocketStream::from_raw(stream, role(Role::Server), Config::default())
}

pub struct Socket(Vec<Box<WebSocketStream<Stream>>>, Runtime);

impl Broadcast for Socket {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        let runtime = runtime();
        let inside = runtime.enter();
        let ends = crowd(streams, socket);
        drop(inside);
        Self(ends, runtime)
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

/// The protocol, with a buffer for all.
pub struct Encoding(Vec<Box<(Protocol, Stream)>>, BytesMut);

impl Broadcast for Encoding {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| (protocol(Role::Server), stream)), BytesMut::new())
    }

    fn publish(&mut self, message: &mut Message) {
        let (message, Self(ends, buffer)) = (theirs(message), self);
        for end in ends {
            let (protocol, stream) = &mut **end;
            protocol.encode_message(&message, buffer).expect("it is open");
            stream.put(buffer);
            buffer.clear();
        }
    }
}

type Subscriber = (WebSocketStream<Stream>, UnboundedReceiver<Theirs>);

/// Its publishing and subscribing. What a task for each would do is done in turn.
pub struct Subscribed(PubSub, Vec<Box<Subscriber>>, Runtime);

impl Broadcast for Subscribed {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        let (runtime, topics) = (runtime(), PubSub::new());
        let inside = runtime.enter();
        let ends = crowd(streams, |stream| {
            let (sender, receiver) = unbounded_channel();
            let id = topics.create_subscriber(sender);
            assert!(topics.subscribe(id, "all"));
            (socket(stream), receiver)
        });
        drop(inside);
        Self(topics, ends, runtime)
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(topics, ends, runtime) = self;
        runtime.block_on(async {
            topics.publish("all", theirs(message));
            for end in ends {
                let (socket, receiver) = &mut **end;
                while let Ok(message) = receiver.try_recv() {
                    socket.send(message).await.expect("it is open");
                }
            }
        });
    }
}
