//! sockeye, with the window and the memory level that flate2 gives the others.

use super::{Deflate, Setting};
use sockeye::deflate::{Deflate as Settings, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{Decoded, Decoder, Encoder, Fin, Role};

struct End {
    encoder: Box<dyn Encoder>,
    decoder: Box<dyn Decoder>,
}

pub(crate) fn open(setting: Setting) -> Option<Box<dyn Deflate>> {
    let mut settings = Settings::default();
    (settings.level, settings.memory_level) = (Level::new(setting.level)?, MemoryLevel::new(8)?);
    (settings.window_bits, settings.threshold) = (WindowBits::MAX, 0);
    let answer = match setting.has_context {
        true => "permessage-deflate",
        false => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    };
    let agreement = settings.agreed(Role::Server, &Extensions::parse(answer).next()?.ok()?).ok()?;
    Some(Box::new(End { encoder: agreement.encoder(), decoder: agreement.decoder() }))
}

impl Deflate for End {
    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) {
        self.encoder.encode(message, Fin::Last, output).expect("it compresses");
    }

    fn inflate(&mut self, mut payload: &[u8], check: &mut dyn FnMut(&[u8])) -> bool {
        // As the assembler does it: gathered step by step, up to the limit.
        let mut message = Vec::new();
        loop {
            match self.decoder.decode(&mut payload, Fin::Last, 16 * 1024).expect("it inflates") {
                Decoded::More(piece) => message.extend_from_slice(piece),
                Decoded::All(piece) => {
                    message.extend_from_slice(piece);
                    break;
                }
            }
        }
        self.decoder.release();
        check(&message);
        true
    }
}
