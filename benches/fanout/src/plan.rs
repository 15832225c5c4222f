//! Who subscribes to what, and what is published in a turn: the same for every server, `bun.mjs` included.

use std::fmt::{Display, Formatter, Result, Write};

/// The length of a message, in bytes.
pub const LEN: usize = 1024;

/// The header of a server's frame of that length.
const HEAD: [u8; 4] = [0x82, 126, 4, 0];

/// The topics of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// So many topics that all subscribe to; a turn is a message to one of them, one after the other.
    Same(usize),
    /// So many topics for each connection, to which nobody else subscribes; a turn is a message to one of each connection's.
    Own(usize),
    /// One topic, which half of the connections ask for by `a/+/c`, and half by `a/#`.
    Patterns,
}

impl Plan {
    /// From what it is displayed as.
    pub fn parse(kind: &str, each: &str) -> Option<Self> {
        let each = each.parse().ok()?;
        match kind {
            "same" => Some(Self::Same(each)),
            "own" => Some(Self::Own(each)),
            "patterns" => Some(Self::Patterns),
            _ => None,
        }
    }

    /// What a connection subscribes to.
    pub fn subscriptions(self, connection: usize) -> Vec<String> {
        match self {
            Self::Same(each) => (0..each).map(topic).collect(),
            Self::Own(each) => (0..each).map(|number| topic(connection * each + number)).collect(),
            Self::Patterns => vec![["a/+/c", "a/#"][connection % 2].into()],
        }
    }

    /// Publishes one message of a turn, where so many connections are.
    pub fn publish(self, turn: usize, connections: usize, mut publish: impl FnMut(&str)) {
        match self {
            Self::Same(each) => publish(&topic(turn % each)),
            Self::Own(each) => {
                let mut name = String::new();
                for connection in 0..connections {
                    name.clear();
                    // Writing to a text cannot fail.
                    let _ = write!(name, "t/{}", connection * each + turn % each);
                    publish(&name);
                }
            }
            Self::Patterns => publish("a/b/c"),
        }
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Same(each) => write!(f, "same {each}"),
            Self::Own(each) => write!(f, "own {each}"),
            Self::Patterns => f.write_str("patterns 1"),
        }
    }
}

fn topic(number: usize) -> String {
    format!("t/{number}")
}

/// A message.
pub fn payload() -> Vec<u8> {
    vec![b'x'; LEN]
}

/// It as it comes on the wire.
pub fn frame() -> Vec<u8> {
    [&HEAD[..], &payload()].concat()
}
