//! Servers with many connections: who sends one message to all, and who receives one of each in turn.
//!
//! Connections lie where they came to lie, and are taken in an order of no order, as on a server that has run for a while: so
//! none is in a cache because the one before it was.

#![expect(clippy::vec_box, reason = "each lies by itself, as where a task has it")]

pub mod fastwebsockets;
pub mod memcpy;
pub mod ours;
pub mod sockudo;
pub mod soketto;
pub mod tokio_websockets;
pub mod tungstenite;
pub mod web_socket;
pub mod ws_net;
pub mod wtx;
pub mod yawc;

use crate::broadcast::{Broadcast, LEVEL, Publication};
use crate::library::{Context, Library, Role, Setting};
use crate::messages::{Message, random};
use crate::stream::Stream;
use crate::wire::Wire;

/// Makes an end for each stream, and puts them in another order than that of their making.
pub fn crowd<E>(streams: Vec<Stream>, open: impl FnMut(Stream) -> E) -> Vec<Box<E>> {
    let mut ends: Vec<Box<E>> = streams.into_iter().map(open).map(Box::new).collect();
    let mut next = random(1);
    for count in (2..=ends.len()).rev() {
        ends.swap(count - 1, (next() >> 16) as usize % count);
    }
    ends
}

/// The libraries of the cells of compression, of which each connection compresses by itself.
///
/// They write to a wire, from which it goes to the stream: beside compressing, the copy more is nothing.
pub struct Each<L> {
    ends: Vec<Box<(L, Stream)>>,
    wire: Wire,
}

impl<L: Library + 'static> Broadcast for Each<L> {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        let (wire, setting) = (Wire::default(), Setting::Same { level: LEVEL, context: Context::NoTakeover });
        Self { ends: crowd(streams, |stream| (L::open(Role::Server, setting, &wire), stream)), wire }
    }

    fn publish(&mut self, message: &mut Message) {
        for end in &mut self.ends {
            let (end, stream) = &mut **end;
            end.send(message);
            let mut buffers = self.wire.buffers();
            stream.put_pieces([&buffers.output[..], &buffers.shared_output[..]].into_iter());
            buffers.drain();
        }
    }
}
