//! yawc. What compresses is no part of its public interface, so its `WebSocket` is driven whole, over a stream that is memory;
//! it wants no runtime.

use std::io;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use futures_util::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use yawc::{CompressionLevel, DeflatePool, Frame, Options, WebSocket};

use crate::library::{Agreement, Context, Library, MAX_MESSAGE, Role, Setting, block_on};
use crate::messages::{Kind, Message};
use crate::wire::Wire;
use crate::worker::Job;

pub const NAME: &str = "yawc";
pub const POOLED_NAME: &str = "yawc, pool";

/// Whether deflate state is the connection's own, or one pool's for all, as its documentation recommends for many connections.
pub const OWN: bool = false;
pub const POOLED: bool = true;

pub struct Yawc<const IS_POOLED: bool>(WebSocket<Stream>);

impl<const IS_POOLED: bool> Library for Yawc<IS_POOLED> {
    const DEFAULTS: Agreement = Agreement { context: Context::Takeover, window_bits: 15 };

    fn refusal(job: Job) -> Option<&'static str> {
        match job.setting {
            Setting::Same { context: Context::NoTakeover, .. } => None,
            _ if IS_POOLED => Some("its pool is only for connections without context takeover"),
            _ => None,
        }
    }

    fn open(role: Role, setting: Setting, wire: &Wire) -> Self {
        // Checking text is off by default, against RFC 6455 §8.1; everybody but soketto does it.
        let mut options = Options::default().with_utf8().with_limits(MAX_MESSAGE, 2 * MAX_MESSAGE);
        match setting {
            Setting::Same { level, context } => {
                options = options.with_compression_level(CompressionLevel::new(level.into()));
                if context == Context::NoTakeover {
                    options = options.server_no_context_takeover().client_no_context_takeover();
                }
            }
            Setting::Defaults => {
                options = Options::default().with_compression_level(CompressionLevel::default());
            }
        }
        if IS_POOLED {
            thread_local!(static POOL: DeflatePool = DeflatePool::new(64));
            options = POOL.with(|pool| options.with_deflate_pool(pool.clone()));
        }
        let role = match role {
            Role::Server => yawc::Role::Server,
            Role::Client => yawc::Role::Client,
        };
        let header = setting.agreement::<Self>().header();
        let stream = Stream(wire.clone());
        Self(
            WebSocket::from_stream_with_extensions(stream, role, Some(&header), options)
                .expect("it is what was offered"),
        )
    }

    fn send(&mut self, message: &mut Message) {
        let frame = match message.kind {
            Kind::Text => Frame::text(message.shared.clone()),
            Kind::Binary => Frame::binary(message.shared.clone()),
        };
        block_on(self.0.send(frame)).expect("it is open");
    }

    fn receive(&mut self, visit: impl FnOnce(&[u8])) {
        visit(block_on(self.0.next_frame()).expect("it is right").payload());
    }
}

/// The wire as a stream.
struct Stream(Wire);

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Task<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.0.buffers();
        match buffers.read(into.initialize_unfilled()) {
            0 => Poll::Pending,
            len => {
                into.advance(len);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.buffers().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
