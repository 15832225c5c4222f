//! The one encoder that makes what everybody inflates, and the decoder that checks what everybody sends: zlib-rs.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::frame;
use crate::library::{Agreement, Context};
use crate::messages::Message;

/// What an empty stored block ends with, and messages on the wire do not (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The messages, compressed: those of the first round, and those of every later one, which refer to the round before.
pub struct Rounds {
    pub first: Vec<Vec<u8>>,
    pub later: Vec<Vec<u8>>,
}

/// Compresses the messages at a level, by what was agreed on. Each still has the tail that the wire has not.
pub fn payloads(messages: &[Message], level: u8, agreement: Agreement) -> Rounds {
    let mut deflate = Deflate::new_with_config(DeflateConfig {
        level: level.into(),
        window_bits: -i32::from(agreement.window_bits),
        mem_level: 8,
        ..DeflateConfig::default()
    });
    let mut payload = |message: &Message| {
        if agreement.context == Context::NoTakeover {
            deflate.reset();
        }
        let (mut payload, before) = (vec![0; message.bytes.len() * 2 + 1024], deflate.total_out());
        deflate.compress(&message.bytes, &mut payload, DeflateFlush::SyncFlush).expect("it compresses");
        payload.truncate((deflate.total_out() - before) as usize);
        assert!(payload.ends_with(&TAIL), "it all fits");
        payload
    };
    Rounds { first: messages.iter().map(&mut payload).collect(), later: messages.iter().map(&mut payload).collect() }
}

/// The same as frames.
pub fn frames(messages: &[Message], level: u8, agreement: Agreement, is_masked: bool) -> Rounds {
    let rounds = payloads(messages, level, agreement);
    let frame = |(message, payload): (&Message, &Vec<u8>)| {
        frame::compressed(message.kind, &payload[..payload.len() - TAIL.len()], is_masked)
    };
    let frames = |payloads: &[Vec<u8>]| messages.iter().zip(payloads).map(frame).collect();
    Rounds { first: frames(&rounds.first), later: frames(&rounds.later) }
}

/// Reads what a server sends.
pub struct Checker {
    inflate: Inflate,
    context: Context,
}

impl Checker {
    pub fn new(agreement: Agreement) -> Self {
        Self { inflate: Inflate::new(false, 15), context: agreement.context }
    }

    /// Compares what was sent with what was to be.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    pub fn check(&mut self, sent: &[u8], message: &Message) -> Result<(), String> {
        let (kind, is_compressed, mut payload) = frame::message(sent)?;
        if is_compressed {
            payload.extend_from_slice(&TAIL);
            if self.context == Context::NoTakeover {
                self.inflate.reset(false);
            }
            let (mut inflated, before) = (vec![0; message.bytes.len() + 1024], self.inflate.total_out());
            self.inflate
                .decompress(&payload, &mut inflated, InflateFlush::SyncFlush)
                .map_err(|error| format!("what it sends cannot be inflated: {error:?}"))?;
            inflated.truncate((self.inflate.total_out() - before) as usize);
            payload = inflated;
        }
        match kind == message.kind && payload == message.bytes {
            true => Ok(()),
            false => Err(format!("it sends {} bytes of {}, or others", payload.len(), message.bytes.len())),
        }
    }
}
