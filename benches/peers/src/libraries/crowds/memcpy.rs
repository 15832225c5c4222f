//! The write alone: a frame, made once, is put into each stream.

use super::crowd;
use crate::broadcast::{AGREEMENT, Broadcast, LEVEL, Payload, Publication};
use crate::frame::fragmented;
use crate::messages::Message;
use crate::stream::Stream;
use crate::zlib;

pub struct Memcpy {
    streams: Vec<Box<Stream>>,
    payload: Payload,
}

impl Broadcast for Memcpy {
    fn open(job: &Publication, streams: Vec<Stream>) -> Self {
        Self { streams: crowd(streams, |stream| stream), payload: job.payload }
    }

    fn publish(&mut self, message: &mut Message) {
        let frame = match self.payload {
            Payload::Plain(_) => {
                let mut frame = Vec::new();
                fragmented(message.kind, &message.bytes, 1, false, &mut frame);
                frame
            }
            Payload::Deflated => {
                let mut frames = zlib::frames(std::slice::from_ref(message), LEVEL, AGREEMENT, false).first;
                frames.pop().expect("there is one")
            }
        };
        for stream in &mut self.streams {
            stream.put(&frame);
        }
    }
}
