//! sockudo-ws by its `CompressedProtocol`, which does no input and output and is what its streams use. The caller owns the
//! buffers, so they are no part of what a connection holds.

use sockudo_ws::Message as Theirs;
use sockudo_ws::deflate::DeflateConfig;
use sockudo_ws::protocol::CompressedProtocol;

use crate::library::{Agreement, Context, Library, MAX_MESSAGE, Role, Setting};
use crate::messages::{Kind, Message};
use crate::wire::Wire;
use crate::worker::Job;

pub const NAME: &str = "sockudo-ws";

pub struct Sockudo {
    protocol: CompressedProtocol,
    received: Vec<Theirs>,
    wire: Wire,
}

impl Library for Sockudo {
    const DEFAULTS: Agreement = Agreement { context: Context::Takeover, window_bits: 15 };

    fn refusal(_: Job) -> Option<&'static str> {
        None
    }

    fn open(role: Role, setting: Setting, wire: &Wire) -> Self {
        let mut config = DeflateConfig::default();
        if let Setting::Same { level, context } = setting {
            config.compression_level = level.into();
            config.compression_threshold = 0;
            config.server_no_context_takeover = context == Context::NoTakeover;
            config.client_no_context_takeover = context == Context::NoTakeover;
        }
        let protocol = match role {
            Role::Server => CompressedProtocol::server(MAX_MESSAGE, MAX_MESSAGE, config),
            Role::Client => CompressedProtocol::client(MAX_MESSAGE, MAX_MESSAGE, config),
        };
        Self { protocol, received: Vec::new(), wire: wire.clone() }
    }

    fn send(&mut self, message: &mut Message) {
        let message = match message.kind {
            Kind::Text => Theirs::Text(message.shared.clone()),
            Kind::Binary => Theirs::Binary(message.shared.clone()),
        };
        self.protocol.encode_message(&message, &mut self.wire.buffers().shared_output).expect("it is open");
    }

    fn receive(&mut self, visit: impl FnOnce(&[u8])) {
        let buffers = &mut *self.wire.buffers();
        buffers.shared_input.extend_from_slice(&buffers.input[buffers.read..]);
        self.protocol.process_into(&mut buffers.shared_input, &mut self.received).expect("it is right");
        visit(self.received.first().expect("a message is there").as_bytes());
        self.received.clear();
    }
}
