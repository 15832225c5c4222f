//! The nonce of the client and the server's proof of having read it (§1.3, §4.1, §4.2.2).

use super::token;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use core::fmt;
use sha1::block_api::compress;
use sha1::{Digest as _, Sha1};

/// Computes the `Sec-WebSocket-Accept` value that answers a `Sec-WebSocket-Key` (§4.2.2).
///
/// The key is taken as it stood in the header field, still base64-encoded, without surrounding whitespace.
///
/// ```
/// use sockeye::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> AcceptKey {
    accept(key.as_bytes())
}

fn accept(key: &[u8]) -> AcceptKey {
    let hash = match <&[u8; 24]>::try_from(key) {
        Ok(key) => proof(key),
        Err(_) => Sha1::new().chain_update(key).chain_update(GUID).finalize().into(),
    };
    let mut text = [0; 28];
    encode(&hash, &mut text);
    AcceptKey(text)
}

/// Hashes a key as it should be, and what stands behind it: 60 bytes, which are two blocks with what SHA-1 puts behind them
/// (FIPS 180-4 §5.1.1). To fill them here is faster than to have them gathered.
fn proof(key: &[u8; 24]) -> [u8; 20] {
    let mut blocks = [[0; 64]; 2];
    let [first, second] = &mut blocks;
    let (before, behind) = first.split_at_mut(key.len());
    before.copy_from_slice(key);
    let (guid, end) = behind.split_at_mut(GUID.len());
    guid.copy_from_slice(GUID);
    end.copy_from_slice(&[0x80, 0, 0, 0]);
    let bits = 8 * (key.len() + GUID.len()) as u64;
    second[56..].copy_from_slice(&bits.to_be_bytes());
    // The initial hash value (FIPS 180-4 §5.3.1).
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    compress(&mut state, &blocks);
    let mut hash = [0; 20];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// A `Sec-WebSocket-Accept` value: 28 characters of base64.
///
/// ```
/// use sockeye::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");   // §1.3
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// Returns the value as it stands in the header field.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for AcceptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AcceptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AcceptKey({self})")
    }
}

/// A `Sec-WebSocket-Key` value: 16 bytes as 24 characters of base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 24]);

impl Key {
    pub(super) fn new(nonce: [u8; 16]) -> Self {
        let mut text = [0; 24];
        encode(&nonce, &mut text);
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads a key off the wire; `None` if it does not decode to 16 bytes (§4.2.1, item 5): 22 characters of base64, the
    /// last with bits that count for nothing, and the padding. §4.1 itself prints a key in which these bits are set,
    /// `AQIDBAUGBwgJCgsMDQ4PEC==`.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let text: [u8; 24] = value.try_into().ok()?;
        let characters = text.strip_suffix(b"==")?;
        // Without an early exit, which each byte would have to be asked for.
        let are_sound = characters.iter().fold(true, |are_sound, &byte| are_sound & CHARACTERS[byte as usize]);
        are_sound.then_some(Self(text))
    }

    /// Computes the value that answers it.
    pub(super) fn accept(&self) -> AcceptKey {
        accept(&self.0)
    }
}

/// Encodes into a buffer that has the very length of the result.
fn encode(bytes: &[u8], text: &mut [u8]) {
    let written = BASE64.encode_slice(bytes, text);
    debug_assert!(written.is_ok(), "the buffer is as long as the text");
}

/// The alphabet of base64.
const CHARACTERS: [bool; 256] = token::table(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

/// The identifier that no endpoint ignorant of the protocol is likely to use (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_of_section_1_3_is_reproduced() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_of_another_length_is_hashed_as_it_stands() {
        // `printf '%s' x258EAFA5-E914-47DA-95CA-C5AB0DC85B11 | openssl sha1 -binary | base64`
        assert_eq!(accept_key("x").as_str(), "JVxkmtKFjDcI/Pm/AGPEKSN6wT8=");
    }

    #[test]
    fn the_key_printed_in_section_4_1_is_accepted_although_its_last_bits_are_not_zero() {
        assert!(Key::parse(b"AQIDBAUGBwgJCgsMDQ4PEC==").is_some());
    }

    #[test]
    fn a_nonce_is_written_as_24_characters() {
        assert_eq!(Key::new(*b"the sample nonce").as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn a_key_that_does_not_decode_to_16_bytes_is_none() {
        let wrong: [&[u8]; 7] = [
            b"",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZWE=",
            b"dGhlIHNhbXBsZSBub25jZWFi",
            b"dGhlIHNhbXBsZSBub25j!Q==",
            b"dGhlIHNhbXBsZSBub25jZQ===",
        ];
        for key in wrong {
            assert_eq!(Key::parse(key), None, "{}", key.escape_ascii());
        }
    }
}
