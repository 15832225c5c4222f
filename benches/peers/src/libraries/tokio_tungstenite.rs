//! tokio-tungstenite: tungstenite as a `Stream` and a `Sink`, with the same buffers.

use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;

use super::tungstenite::{payload, role};
use super::{Library, Standing};
use crate::library::runtime;
use crate::receive::{Gives, Incoming, Receive};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("tokio-tungstenite", Standing::Theirs).receives::<TokioTungstenite>();

pub struct TokioTungstenite(WebSocketStream<Stream>, Runtime);

impl Receive for TokioTungstenite {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        let runtime = runtime();
        Self(runtime.block_on(WebSocketStream::from_raw_socket(stream, role(job.role), None)), runtime)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(payload(&self.0.next().await.expect("it is open").expect("it is right")));
            }
        });
    }
}
