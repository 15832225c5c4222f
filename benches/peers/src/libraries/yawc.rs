//! yawc: its `WebSocket` with the 128 KiB read buffer of its own benchmarks, checking text, which is off by default; and its
//! `Decoder`, which knows frames and no messages, and checks no text.

use bytes::BytesMut;
use futures_util::SinkExt;
use tokio::runtime::Runtime;
use tokio_util::codec::{Decoder as _, Encoder as _};
use yawc::codec::{Decoder, Encoder};
use yawc::{Frame, Options, WebSocket};

use super::{Library, Standing, over_hyper};
use crate::library::{Role, at_once, inside, runtime};
use crate::memory::Idle;
use crate::payloads::Content;
use crate::receive::{Gives, Incoming, Receive};
use crate::send::{self, Outgoing, Turns};
use crate::stream::Stream;

pub const SOCKET: Library = Library::new("yawc", Standing::Theirs)
    .receives::<Socket>()
    .sends::<Socket>()
    .opens::<over_hyper::Yawc>()
    .idles::<Resting>()
    .broadcasts::<super::crowds::yawc::Socket>()
    .broadcasts_deflated::<super::crowds::Each<super::compressing::yawc::Yawc<{ super::compressing::yawc::POOLED }>>>();
pub const CODEC: Library = Library::new("yawc, codec", Standing::Theirs)
    .receives::<Codec>()
    .sends::<Encoding>()
    .broadcasts::<super::crowds::yawc::Encoding>();

/// Its name for a role.
pub fn role(role: Role) -> yawc::Role {
    match role {
        Role::Server => yawc::Role::Server,
        Role::Client => yawc::Role::Client,
    }
}

/// As it is tuned in its own benchmarks.
pub fn options() -> Options {
    Options::default()
        .with_utf8()
        .with_limits(LIMIT, LIMIT)
        .with_read_buffer_capacity(128 * 1024)
        .with_backpressure_boundary(64 * 1024)
}

pub struct Socket(WebSocket<Stream>, Runtime);

impl Socket {
    fn new(end: Role, stream: Stream) -> Self {
        Self(WebSocket::from_stream(stream, role(end), options()).expect("it is well set up"), runtime())
    }
}

impl Receive for Socket {
    const GIVES: Gives = Gives::Owned;

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        self.1.block_on(async {
            for _ in 0..count {
                visit(self.0.next_frame().await.expect("it is right").payload());
            }
        });
    }
}

pub struct Codec {
    decoder: Decoder,
    buffer: BytesMut,
    stream: Stream,
}

impl Receive for Codec {
    const GIVES: Gives = Gives::Owned;

    fn refusal(job: &Incoming) -> Option<&'static str> {
        let is_whole = job.fragments == 1 && job.content == Content::Binary;
        (!is_whole).then_some("it does not put messages together, and checks no text")
    }

    fn open(job: &Incoming, stream: Stream) -> Self {
        Self { decoder: Decoder::new(role(job.role), LIMIT), buffer: BytesMut::new(), stream }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        for _ in 0..count {
            let frame = loop {
                match self.decoder.decode(&mut self.buffer).expect("it is right") {
                    Some(frame) => break frame,
                    None => self.stream.append(64 * 1024, &mut self.buffer),
                }
            };
            visit(frame.payload());
        }
    }
}

impl send::Send for Socket {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self::new(job.role, stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        let Self(socket, runtime) = self;
        runtime.block_on(async {
            while let Some((message, is_flushed)) = turns.next() {
                let message = Frame::binary(message.shared.clone());
                match is_flushed {
                    true => socket.send(message).await.expect("it is open"),
                    false => socket.feed(message).await.expect("it is open"),
                }
            }
        });
    }
}

/// The encoder, writing at a flush.
pub struct Encoding(Encoder, BytesMut, Stream);

impl send::Send for Encoding {
    fn open(job: &Outgoing, stream: Stream) -> Self {
        Self(Encoder::new(role(job.role)), BytesMut::new(), stream)
    }

    fn send(&mut self, mut turns: Turns<'_>) {
        while let Some((message, is_flushed)) = turns.next() {
            self.0.encode(Frame::binary(message.shared.clone()), &mut self.1).expect("it is open");
            if is_flushed {
                self.2.put(&self.1);
                self.1.clear();
            }
        }
    }
}

/// With the buffers of its defaults.
pub struct Resting(WebSocket<Stream>);

impl Idle for Resting {
    fn open(stream: Stream) -> Self {
        let options = Options::default().with_utf8();
        Self(inside(|| WebSocket::from_stream(stream, role(Role::Server), options)).expect("it is well set up"))
    }

    fn wait(&mut self) {
        assert!(at_once(self.0.next_frame()).is_none());
    }

    fn echo(&mut self) {
        at_once(async {
            let frame = self.0.next_frame().await.expect("it is right");
            self.0.send(frame).await.expect("it is open");
        })
        .expect("the message is there");
    }
}

/// The longest message and the most that is gathered, in bytes.
const LIMIT: usize = 16 * 1024 * 1024;
