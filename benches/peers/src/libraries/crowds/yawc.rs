//! yawc: a frame that shares its payload is cloned for each, and sent by its `WebSocket`, with the buffers of its defaults, for
//! there are many; or encoded by its codec.

use bytes::BytesMut;
use futures_util::SinkExt;
use tokio::runtime::Runtime;
use tokio_util::codec::Encoder as _;
use yawc::codec::Encoder;
use yawc::{Frame, Options, WebSocket};

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::libraries::yawc::role;
use crate::library::{Role, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

fn theirs(message: &Message) -> Frame {
    match message.kind {
        Kind::Text => Frame::text(message.shared.clone()),
        Kind::Binary => Frame::binary(message.shared.clone()),
    }
}

pub struct Socket(Vec<Box<WebSocket<Stream>>>, Runtime);

impl Broadcast for Socket {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        let runtime = runtime();
        let inside = runtime.enter();
        let options = || Options::default().with_utf8();
        let socket = |stream| WebSocket::from_stream(stream, role(Role::Server), options());
        let ends = crowd(streams, |stream| socket(stream).expect("it is well set up"));
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

/// The encoder, with a buffer for all.
pub struct Encoding(Vec<Box<(Encoder, Stream)>>, BytesMut);

impl Broadcast for Encoding {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| (Encoder::new(role(Role::Server)), stream)), BytesMut::new())
    }

    fn publish(&mut self, message: &mut Message) {
        let (message, Self(ends, buffer)) = (theirs(message), self);
        for end in ends {
            let (encoder, stream) = &mut **end;
            encoder.encode(message.clone(), buffer).expect("it is open");
            stream.put(buffer);
            buffer.clear();
        }
    }
}
