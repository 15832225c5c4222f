//! wtx, its `WebSocket` over a stream that is memory; it wants no runtime. This is the last one that Rust 1.95 can build: 0.47
//! to 0.52 want 1.96. It never keeps context, and answers every offer so.

use wtx::collection::Vector;
use wtx::rng::Xorshift64;
use wtx::stream::{StreamReader, StreamWriter};
use wtx::web_socket::compression::{Flate2, NegotiatedFlate2, WindowBits};
use wtx::web_socket::{
    Compression, CompressionLevel, DeflateConfig, Frame, OpCode, WebSocketBuffer, WebSocketOwned,
    WebSocketPayloadOrigin,
};

use crate::library::{Agreement, Context, Library, MAX_MESSAGE, Role, Setting, block_on};
use crate::messages::{Kind, Message};
use crate::wire::Wire;
use crate::worker::Job;

pub const NAME: &str = "wtx";

type End<const IS_CLIENT: bool> = WebSocketOwned<Option<NegotiatedFlate2>, Xorshift64, Stream, IS_CLIENT>;

pub enum Wtx {
    Server(End<false>, Vector<u8>),
    Client(End<true>, Vector<u8>),
}

fn open<const IS_CLIENT: bool>(setting: Setting, wire: &Wire) -> End<IS_CLIENT> {
    let mut config = DeflateConfig::default();
    if let Setting::Same { level, .. } = setting {
        config.compression_level = CompressionLevel::try_from(level).expect("it is a level");
        (config.client_max_window_bits, config.server_max_window_bits) = (WindowBits::MAX, WindowBits::MAX);
    }
    let header = setting.agreement::<Wtx>().header();
    let headers = [[&b"sec-websocket-extensions"[..], header.as_bytes()]];
    let compression = Compression::<IS_CLIENT>::negotiate(Flate2::from(config), headers.into_iter());
    let compression = compression.expect("it is what was offered");
    let buffer = WebSocketBuffer::new();
    let mut end = End::new(compression, false, Xorshift64::from(7), Stream(wire.clone()), buffer);
    end.set_max_payload_len(MAX_MESSAGE);
    end
}

impl Library for Wtx {
    const DEFAULTS: Agreement = Agreement { context: Context::NoTakeover, window_bits: 12 };

    fn refusal(job: Job) -> Option<&'static str> {
        match job.setting {
            Setting::Same { context: Context::Takeover, .. } => Some("it never keeps context"),
            _ => None,
        }
    }

    fn open(role: Role, setting: Setting, wire: &Wire) -> Self {
        match role {
            Role::Server => Self::Server(open(setting, wire), Vector::new()),
            Role::Client => Self::Client(open(setting, wire), Vector::new()),
        }
    }

    fn send(&mut self, message: &mut Message) {
        let opcode = match message.kind {
            Kind::Text => OpCode::Text,
            Kind::Binary => OpCode::Binary,
        };
        let payload = &mut message.bytes[..];
        match self {
            Self::Server(end, _) => block_on(end.write_frame(&mut Frame::new_fin(opcode, payload))),
            Self::Client(end, _) => block_on(end.write_frame(&mut Frame::new_fin(opcode, payload))),
        }
        .expect("it is open");
    }

    fn receive(&mut self, visit: impl FnOnce(&[u8])) {
        match self {
            Self::Server(end, buffer) => {
                visit(
                    block_on(end.read_frame(buffer, WebSocketPayloadOrigin::Adaptive)).expect("it is right").payload(),
                );
            }
            Self::Client(end, buffer) => {
                visit(
                    block_on(end.read_frame(buffer, WebSocketPayloadOrigin::Adaptive)).expect("it is right").payload(),
                );
            }
        }
    }
}

/// The wire as a stream.
pub struct Stream(Wire);

impl StreamReader for Stream {
    async fn read(&mut self, into: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.0.buffers().read(into))
    }
}

impl StreamWriter for Stream {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.0.buffers().output.extend_from_slice(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        slices.iter().for_each(|bytes| self.0.buffers().output.extend_from_slice(bytes));
        Ok(())
    }
}
