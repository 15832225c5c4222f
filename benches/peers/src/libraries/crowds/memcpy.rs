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
    /// Messages that were compressed, and their frames.
    deflated: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Broadcast for Memcpy {
    fn open(job: &Publication, streams: Vec<Stream>) -> Self {
        Self { streams: crowd(streams, |stream| stream), payload: job.payload, deflated: Vec::new() }
    }

    fn publish(&mut self, message: &mut Message) {
        let mut plain = Vec::new();
        let frame = match self.payload {
            Payload::Plain(_) => {
                fragmented(message.kind, &message.bytes, 1, false, &mut plain);
                &plain
            }
            Payload::Deflated => frame_of(&mut self.deflated, message),
        };
        for stream in &mut self.streams {
            stream.put(frame);
        }
    }
}

/// The frame of a message, made when it first comes: that is no part of the write.
fn frame_of<'f>(frames: &'f mut Vec<(Vec<u8>, Vec<u8>)>, message: &Message) -> &'f Vec<u8> {
    let index = frames.iter().position(|(bytes, _)| *bytes == message.bytes).unwrap_or_else(|| {
        let made = zlib::frames(std::slice::from_ref(message), LEVEL, AGREEMENT, false).first;
        frames.extend(made.into_iter().map(|frame| (message.bytes.clone(), frame)));
        frames.len() - 1
    });
    &frames[index].1
}
