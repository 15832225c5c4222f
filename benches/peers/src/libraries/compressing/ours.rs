//! sockeye, driven as it is made to be: bytes in, messages out. The caller owns the buffers, so they are no part of what a
//! connection holds.

use sockeye::deflate::{Deflate, Level, MemoryLevel, WindowBits, keep_compressors};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, Config, Connection, MessageRef, Received, Rsv};

use crate::library::{Agreement, Context, Library, MAX_MESSAGE, Role, Setting};
use crate::messages::{Kind, Message};
use crate::wire::Wire;
use crate::worker::Job;

pub const NAME: &str = "sockeye";
pub const KEEPING_NAME: &str = "sockeye, 64";

/// How many compressors the process keeps: as many as come, or as many as there are connections that take turns.
pub const AS_IT_COMES: usize = 0;
pub const ENOUGH: usize = 64;

pub struct Ours<const KEPT: usize> {
    connection: Connection,
    assembler: Assembler,
    wire: Wire,
}

impl<const KEPT: usize> Library for Ours<KEPT> {
    const DEFAULTS: Agreement = Agreement { context: Context::Takeover, window_bits: 12 };

    fn refusal(job: Job) -> Option<&'static str> {
        (KEPT != AS_IT_COMES && job.connections == 1).then_some("one connection needs one compressor")
    }

    fn open(role: Role, setting: Setting, wire: &Wire) -> Self {
        if KEPT != AS_IT_COMES {
            keep_compressors(KEPT);
        }
        let mut deflate = Deflate::default();
        if let Setting::Same { level, .. } = setting {
            deflate.level = Level::new(level).expect("it is a level");
            deflate.memory_level = MemoryLevel::new(8).expect("it is a memory level");
            (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX);
            deflate.threshold = 1; // what would not get shorter goes out as it is, as with sockudo-ws
        }
        let header = setting.agreement::<Self>().header();
        let answer = Extensions::parse(&header).next().expect("there is one").expect("it is well-formed");
        let mut config = Config::default();
        config.max_message_size = MAX_MESSAGE;
        let (mut connection, role) = match role {
            Role::Server => (Connection::server(config), sockeye::Role::Server),
            Role::Client => (Connection::client(config), sockeye::Role::Client),
        };
        let agreement = deflate.agreed(role, &answer).expect("it is what was offered");
        connection.extend(Rsv::RSV1, agreement.encoder());
        let mut assembler = connection.assembler();
        assembler.extend(agreement.decoder());
        Self { connection, assembler, wire: wire.clone() }
    }

    fn send(&mut self, message: &mut Message) {
        let message = match message.kind {
            Kind::Text => MessageRef::Text(&message.text),
            Kind::Binary => MessageRef::Binary(&message.bytes),
        };
        self.connection.send(message, &mut self.wire.buffers().output).expect("it is open");
    }

    fn receive(&mut self, visit: impl FnOnce(&[u8])) {
        let buffers = &mut *self.wire.buffers();
        let mut input = &mut buffers.input[buffers.read..];
        match self.connection.receive_message(&mut input, &mut self.assembler, &mut buffers.output) {
            Ok(Some(Received::Message(MessageRef::Text(text)))) => visit(text.as_bytes()),
            Ok(Some(Received::Message(MessageRef::Binary(bytes)))) => visit(bytes),
            other => panic!("it receives {other:?}"),
        }
        // As every adapter does between two messages.
        self.assembler.release();
    }
}
