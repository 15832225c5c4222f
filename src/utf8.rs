//! UTF-8 checked as it arrives (RFC 6455 §8.1).
//!
//! A text message may be cut anywhere, also inside a character. What can be lent as `&str` is lent; the at most three
//! bytes of a character whose end is still to come are kept here and come out, whole, in front of the next piece.
//! So text is checked once, a byte that cannot be right is refused when it is seen and not when the message ends,
//! and nobody downstream ever needs to check again.

#[cfg(feature = "std")]
mod ascii;
#[cfg(feature = "std")]
mod short;

use core::str;

use crate::mask::mask;

/// A byte that no UTF-8 can have in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

/// Checks a text that is all here.
///
/// Where vector instructions can do that they take from half (ASCII) to a tenth (anything else) of the standard library's time;
/// for what is short a look whether it is ASCII takes less.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    #[cfg(feature = "std")]
    if bytes.len() < LONG {
        if let Some(text) = ascii::text(bytes) {
            return Ok(text);
        }
    }
    check_any(bytes)
}

/// Unmasks a text that is all here, and checks it. That it is ASCII is seen while it is unmasked.
#[inline]
pub(crate) fn unmask(payload: &mut [u8], masking_key: [u8; 4]) -> Result<&str, InvalidUtf8> {
    #[cfg(feature = "std")]
    return match ascii::unmasked_text(payload, masking_key) {
        Ok(text) => Ok(text),
        Err(bytes) => check_any(bytes),
    };
    #[cfg(not(feature = "std"))]
    {
        mask(payload, masking_key);
        check(payload)
    }
}

/// Checks a text that need not be ASCII.
#[inline]
fn check_any(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    if bytes.len() >= SHORT {
        return simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8);
    }
    #[cfg(feature = "std")]
    return short::text(bytes).ok_or(InvalidUtf8);
    #[cfg(not(feature = "std"))]
    str::from_utf8(bytes).map_err(|_| InvalidUtf8)
}

/// From how many bytes on vector instructions are used.
const SHORT: usize = 64;

/// From how many bytes on they are best for ASCII, too.
#[cfg(feature = "std")]
const LONG: usize = 512;

/// The beginning of a character that the last piece of text broke off in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8Tail {
    bytes: [u8; 4],
    len: u8,
}

impl Utf8Tail {
    /// Checks the next piece of a text: the character that it completes, if one was broken off, and the text after it.
    pub(crate) fn check<'b>(&mut self, piece: &'b [u8]) -> Result<(Option<char>, &'b str), InvalidUtf8> {
        let (completed, rest) = if self.len == 0 { (None, piece) } else { self.complete(piece)? };
        let (whole, broken) = rest.split_at(rest.len() - broken_off(rest));
        let text = check(whole)?;
        for &byte in broken {
            self.extend(byte)?;
        }
        Ok((completed, text))
    }

    /// Unmasks the next piece of a text, and checks it as [`Self::check`] does. That it is ASCII is seen while it is unmasked.
    pub(crate) fn unmask<'b>(
        &mut self,
        piece: &'b mut [u8],
        masking_key: [u8; 4],
    ) -> Result<(Option<char>, &'b str), InvalidUtf8> {
        #[cfg(feature = "std")]
        if self.is_boundary() {
            return match ascii::unmasked_text(piece, masking_key) {
                Ok(text) => Ok((None, text)),
                Err(bytes) => self.check(bytes),
            };
        }
        mask(piece, masking_key);
        self.check(piece)
    }

    /// Whether the text could end here: no character is broken off.
    pub(crate) fn is_boundary(&self) -> bool {
        self.len == 0
    }

    /// How many bytes are kept.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Forgets what was kept, at the end of a message.
    pub(crate) fn reset(&mut self) {
        self.len = 0;
    }

    /// Takes from `piece` what the kept character lacks.
    #[cold]
    fn complete<'b>(&mut self, piece: &'b [u8]) -> Result<(Option<char>, &'b [u8]), InvalidUtf8> {
        for (i, &byte) in piece.iter().enumerate() {
            if let Some(character) = self.extend(byte)? {
                return Ok((Some(character), &piece[i + 1..]));
            }
        }
        Ok((None, &[]))
    }

    /// Adds one byte to the kept ones; the character, if this was its last.
    fn extend(&mut self, byte: u8) -> Result<Option<char>, InvalidUtf8> {
        let len = usize::from(self.len);
        // A valid prefix is at most three bytes long, so there is always room for one more.
        let Some(slot) = self.bytes.get_mut(len) else { return Err(InvalidUtf8) };
        *slot = byte;
        match str::from_utf8(&self.bytes[..=len]) {
            Ok(text) => {
                self.len = 0;
                Ok(text.chars().next())
            }
            Err(error) if error.error_len().is_none() => {
                self.len += 1;
                Ok(None)
            }
            Err(_) => Err(InvalidUtf8),
        }
    }
}

/// How many bytes at the end belong to a character that goes on after them, as far as its first byte tells.
#[inline]
fn broken_off(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        let needs = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 0,
        };
        return if needs > back + 1 { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::turn;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Checks `bytes` cut at `cuts`: the text, or the number of bytes seen when it was refused.
    fn check_in_pieces(bytes: &[u8], size: usize) -> Result<String, usize> {
        let (mut tail, mut text, mut seen) = (Utf8Tail::default(), String::new(), 0);
        for piece in bytes.chunks(size.max(1)) {
            seen += piece.len();
            let (completed, rest) = tail.check(piece).map_err(|_| seen)?;
            text.extend(completed);
            text.push_str(rest);
        }
        if tail.is_boundary() { Ok(text) } else { Err(seen) }
    }

    /// Bytes that are mostly UTF-8, so that the interesting sequences do come up.
    fn nearly_utf8() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => any::<char>().prop_map(|c| String::from(c).into_bytes()),
            2 => "[ -~]{0,20}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// The same of text that is masked.
    fn unmask_in_pieces(mut masked: Vec<u8>, size: usize, key: [u8; 4]) -> Option<String> {
        let (mut tail, mut text) = (Utf8Tail::default(), String::new());
        for (number, piece) in masked.chunks_mut(size).enumerate() {
            let (completed, rest) = tail.unmask(piece, turn(key, number * size)).ok()?;
            text.extend(completed);
            text.push_str(rest);
        }
        tail.is_boundary().then_some(text)
    }

    proptest! {
        #[test]
        fn masked_text_is_judged_as_by_the_standard_library(bytes in nearly_utf8(), size in 1usize..99, key: [u8; 4]) {
            let mut masked = bytes.clone();
            mask(&mut masked, key);
            let (expected, mut whole) = (String::from_utf8(bytes).ok(), masked.clone());
            prop_assert_eq!(unmask(&mut whole, key).ok(), expected.as_deref());
            prop_assert_eq!(unmask_in_pieces(masked, size, key), expected);
        }

        #[test]
        fn any_split_agrees_with_the_standard_library(bytes in nearly_utf8(), size in 1usize..9) {
            prop_assert_eq!(check_in_pieces(&bytes, size).ok(), String::from_utf8(bytes).ok());
        }

        #[test]
        fn a_long_text_is_judged_as_by_the_standard_library(
            pieces in prop::collection::vec(nearly_utf8(), 1..6),
            text in "[a-zäöü語🦀]{0,90}",
            at: usize,
        ) {
            let mut bytes = pieces.concat();
            let at = at % (bytes.len() + 1);
            bytes.splice(at..at, text.into_bytes());
            prop_assert_eq!(check(&bytes).ok(), core::str::from_utf8(&bytes).ok());
        }

        #[test]
        fn the_first_byte_that_cannot_be_right_is_refused_at_once(bytes in nearly_utf8()) {
            if let Err(error) = core::str::from_utf8(&bytes) {
                let expected = (1..=bytes.len())
                    .find(|&n| core::str::from_utf8(&bytes[..n]).is_err_and(|e| e.error_len().is_some()))
                    .unwrap_or(bytes.len());
                prop_assert_eq!(check_in_pieces(&bytes, 1), Err(expected), "{}", error);
            }
        }
    }

    #[test]
    fn every_two_and_three_byte_sequence_is_judged_as_by_the_standard_library() {
        for first in 0x80..=0xffu8 {
            for second in 0..=0xffu8 {
                for bytes in [&[first, second][..], &[first, second, 0x80], &[first, second, 0x80, 0x80]] {
                    for size in 1..=bytes.len() {
                        assert_eq!(
                            check_in_pieces(bytes, size).is_ok(),
                            core::str::from_utf8(bytes).is_ok(),
                            "{bytes:x?} in pieces of {size}"
                        );
                    }
                }
            }
        }
    }
}
