//! tokio-websockets, with its SIMD, which is always on and chosen when it runs.

use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio_websockets::{ClientBuilder, ServerBuilder, WebSocketStream};

use super::{Library, Standing};
use crate::library::{Role, runtime};
use crate::receive::{Gives, Incoming, Receive};
use crate::stream::Stream;

pub const LIBRARY: Library = Library::new("tokio-websockets", Standing::Theirs).receives::<TokioWebsockets>();

pub struct TokioWebsockets(WebSocketStream<Stream>, Runtime);

impl Receive for TokioWebsockets {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        let socket = match job.role {
            Role::Server => ServerBuilder::new().serve(stream),
            Role::Client => ClientBuilder::new().take_over(stream),
        };
        Self(socket, runtime())
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.next().await.expect("it is open").expect("it is right").as_payload());
            }
        });
    }
}
