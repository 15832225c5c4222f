//! What is sent and received: messages that are all different but alike, as the traffic of one application is.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
}

impl Kind {
    /// Its opcode (RFC 6455 §11.8).
    pub fn opcode(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
        }
    }
}

/// A message in each form that a library may want it in, so that nobody converts while the clock runs.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: Kind,
    pub bytes: Vec<u8>,
    pub shared: Bytes,
    /// Empty where the message is not text.
    pub text: String,
}

/// Which messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub content: Content,
    pub len: usize,
}

/// What they consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// JSON of which the names repeat and the values do not: text.
    Json,
    /// Random bytes: binary.
    Random,
}

impl Traffic {
    /// A ring of them.
    pub fn messages(self) -> Vec<Message> {
        let message = |seed| {
            let (kind, bytes, text) = match self.content {
                Content::Json => (Kind::Text, json(self.len, seed).into_bytes(), json(self.len, seed)),
                Content::Random => (Kind::Binary, random_bytes(self.len, seed), String::new()),
            };
            Message { kind, shared: Bytes::from(bytes.clone()), bytes, text }
        };
        (0..RING).map(message).collect()
    }

    /// How many messages a sample takes: about half a megabyte, and not less than a quarter of a ring.
    pub fn batch(self) -> usize {
        (512 * 1024 / self.len).max(RING as usize / 4)
    }
}

impl std::fmt::Display for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = match self.content {
            Content::Json => "JSON",
            Content::Random => "random",
        };
        write!(f, "{content} {} KiB", self.len / 1024)
    }
}

/// Numbers that look random and are the same each time.
pub fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn random_bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut next = random(seed);
    (0..len).map(|_| next().to_be_bytes()[0]).collect()
}

fn json(len: usize, seed: u64) -> String {
    let mut next = random(seed);
    let mut text = String::from("[");
    while text.len() < len {
        let number = next();
        text += &format!(
            "{{\"id\":{},\"symbol\":\"{}\",\"price\":{}.{:02},\"side\":\"{}\",\"user\":{{\"name\":\"user{}\",\"active\":{}}},\
             \"ts\":{}}},",
            number % 1_000_000,
            ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"][(number >> 20) as usize % 4],
            (number >> 24) % 99_999,
            (number >> 40) % 100,
            if number & 1 == 0 { "buy" } else { "sell" },
            (number >> 48) % 5000,
            number & 2 == 0,
            1_700_000_000_000 + number % 100_000_000,
        );
    }
    text.truncate(len);
    text
}

/// How many messages there are before the first comes again. With 1 KiB that is twice the largest window.
const RING: u64 = 64;
