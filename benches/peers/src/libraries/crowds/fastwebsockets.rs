//! fastwebsockets: a frame that borrows its payload is made for each.

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocket};
use tokio::runtime::Runtime;

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::curves::{Gather, once};
use crate::libraries::fastwebsockets::socket;
use crate::library::{Role, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

pub struct Sending(Vec<Box<WebSocket<Stream>>>, Runtime);

impl Broadcast for Sending {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| socket(Role::Server, stream)), runtime())
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        let opcode = || match message.kind {
            Kind::Text => OpCode::Text,
            Kind::Binary => OpCode::Binary,
        };
        runtime.block_on(async {
            for socket in ends {
                let frame = Frame::new(true, opcode(), None, Payload::Borrowed(&message.bytes));
                socket.write_frame(frame).await.expect("it is open");
                socket.flush().await.expect("it is open");
            }
        });
    }
}

pub struct Receiving(Vec<Box<FragmentCollector<Stream>>>, Runtime);

impl Gather for Receiving {
    fn open(streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| FragmentCollector::new(socket(Role::Server, stream))), runtime())
    }

    fn gather(&mut self, mut visit: impl FnMut(&[u8])) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            for socket in ends {
                while let Some(received) = once(socket.read_frame()).await {
                    visit(&received.expect("it is right").payload);
                }
            }
        });
    }
}
