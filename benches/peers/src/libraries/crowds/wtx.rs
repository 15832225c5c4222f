//! wtx: the payload is lent to a frame, once for all. It has no flush.

use tokio::runtime::Runtime;
use wtx::web_socket::{Frame, OpCode};

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::libraries::wtx::{End, end};
use crate::library::runtime;
use crate::messages::{Kind, Message};
use crate::stream::Stream;

pub struct Wtx(Vec<Box<End<false>>>, Runtime);

impl Broadcast for Wtx {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, end), runtime())
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        let opcode = match message.kind {
            Kind::Text => OpCode::Text,
            Kind::Binary => OpCode::Binary,
        };
        runtime.block_on(async {
            for end in ends {
                let mut frame = Frame::new_fin(opcode, &mut message.bytes[..]);
                end.write_frame(&mut frame).await.expect("it is open");
            }
        });
    }
}
