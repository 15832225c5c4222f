//! What the load sends and what has to come back, as bytes that are made before a round: a ring of messages that are all
//! different, each in one frame.

use std::io::IoSlice;

use crate::frame::fragmented;
use crate::messages::{Kind, random};
use crate::tcp::Protocol;

/// Both directions of a ring.
#[derive(Debug)]
pub struct Traffic {
    pub sent: Ring,
    pub answered: Ring,
}

impl Traffic {
    /// Messages of so many bytes.
    pub fn new(len: usize, protocol: Protocol) -> Self {
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        let count = (RING / len).clamp(LEAST, MOST);
        for index in 0..count {
            let mut next = random(index as u64);
            let message: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next().to_be_bytes()).take(len).collect();
            fragmented(Kind::Binary, &message, 1, true, &mut sent);
            fragmented(Kind::Binary, &message, 1, false, &mut answered);
        }
        let ring = |bytes: Vec<u8>| Ring { frame: bytes.len() / count, bytes };
        match protocol {
            Protocol::WebSocket => Self { sent: ring(sent), answered: ring(answered) },
            Protocol::Bytes => Self { sent: ring(sent.clone()), answered: ring(sent) },
        }
    }
}

/// Frames of the same length.
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    /// The length of each.
    pub frame: usize,
}

impl Ring {
    /// So many bytes from there on, of which the ring has at least as many.
    pub fn slices(&self, from: usize, len: usize) -> [IoSlice<'_>; 2] {
        let first = &self.bytes[from..self.bytes.len().min(from + len)];
        let second = &self.bytes[..(len - first.len()).min(from)];
        [IoSlice::new(first), IoSlice::new(second)]
    }

    /// Where that many bytes further is.
    pub fn after(&self, from: usize, len: usize) -> usize {
        (from + len) % self.bytes.len()
    }

    /// Whether these are the bytes from there on.
    pub fn is(&self, mut from: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let here = &self.bytes[from..];
            let len = here.len().min(bytes.len());
            if here[..len] != bytes[..len] {
                return false;
            }
            bytes = &bytes[len..];
            from = self.after(from, len);
        }
        true
    }
}

/// How many bytes of messages are in a ring, and how many messages there are at least and at most.
const RING: usize = 512 * 1024;
const LEAST: usize = 8;
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_knows_its_bytes_from_anywhere_and_no_others() {
        let Traffic { sent, answered } = Traffic::new(16, Protocol::WebSocket);
        assert_eq!((sent.frame, answered.frame), (2 + 4 + 16, 2 + 16));
        let end = answered.bytes.len() - 7;
        let mut bytes: Vec<u8> = answered.slices(end, 100).iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(bytes.len(), 100);
        assert!(answered.is(end, &bytes));
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            assert!(!answered.is(end, &bytes), "byte {index} is another");
            bytes[index] ^= 1;
        }
        assert_eq!(answered.after(end, 100), 93);
    }

    #[test]
    fn frames_have_the_lengths_that_rfc_6455_gives_them() {
        for (len, sent, answered) in [(16, 6, 2), (1024, 8, 4), (64 * 1024, 14, 10)] {
            let traffic = Traffic::new(len, Protocol::WebSocket);
            assert_eq!((traffic.sent.frame, traffic.answered.frame), (len + sent, len + answered));
            let bytes = Traffic::new(len, Protocol::Bytes);
            assert_eq!(bytes.sent.bytes, bytes.answered.bytes);
        }
    }
}
