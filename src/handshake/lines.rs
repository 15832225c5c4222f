//! A short path for heads that are written as nearly all are: found, checked and copied in one pass over their bytes.
//!
//! It takes `name: value` lines with one space behind the colon, no white space at the ends of a value and no tab in it. It
//! refuses nothing: what it does not take goes the long way (`head.rs`), where every refusal is written once. So it may only
//! take what would be taken there, and make the same of it, which a property checks.

use super::headers::Headers;
use super::token;

/// What a head consists of.
#[derive(Debug)]
pub(super) struct Lines<'h> {
    /// What stands between the beginning and the end of the start line.
    pub(super) target: &'h str,
    pub(super) headers: Headers,
    /// How long the head is.
    pub(super) len: usize,
}

/// Takes a request with the method `GET` off the front of `bytes`.
pub(super) fn request(bytes: &[u8], max_headers: usize) -> Option<Lines<'_>> {
    let rest = bytes.strip_prefix(b"GET ")?;
    let target = rest.get(..visible_len(rest))?;
    let lines = rest.get(target.len()..)?.strip_prefix(b" HTTP/1.1\r\n")?;
    // Visible ASCII is UTF-8, and a target has one byte at least.
    let target = core::str::from_utf8(target).ok().filter(|target| !target.is_empty())?;
    fields(bytes, lines, max_headers).map(|(headers, len)| Lines { target, headers, len })
}

/// Takes a response that opens a connection off the front of `bytes`.
pub(super) fn switching_protocols(bytes: &[u8], max_headers: usize) -> Option<(Headers, usize)> {
    fields(bytes, bytes.strip_prefix(b"HTTP/1.1 101 Switching Protocols\r\n")?, max_headers)
}

/// Copies the fields of `head`, which are at the front of `lines`, its end; gives how long the head is, too.
fn fields(head: &[u8], lines: &[u8], max_headers: usize) -> Option<(Headers, usize)> {
    let mut headers = Headers::with_room(USUAL_FIELDS);
    let (mut rest, mut left) = (lines, max_headers);
    loop {
        if let Some(behind) = rest.strip_prefix(b"\r\n") {
            let text = lines.get(..lines.len() - rest.len())?;
            headers.fill(text);
            return Some((headers, head.len() - behind.len()));
        }
        left = left.checked_sub(1)?;
        let name_len = name_len(rest)?;
        let value = rest.get(name_len..)?.strip_prefix(b": ")?;
        let value_len = value_len(value)?;
        let (value, behind) = value.split_at_checked(value_len)?;
        if let [b' ', ..] | [.., b' '] = value {
            return None;
        }
        rest = behind.strip_prefix(b"\r\n")?;
        headers.note(name_len, value_len);
    }
}

/// How many bytes of a name there are before its colon, one at least; `None` if something else is in it.
fn name_len(bytes: &[u8]) -> Option<usize> {
    let len = find(bytes, |word| zeros(word ^ (ONES * b':' as u64)), |byte| byte == b':')?;
    let name = bytes.get(..len)?;
    // Without an early exit, which each byte would have to be asked for.
    let is_token = name.iter().fold(true, |is_token, &byte| is_token & token::is_token_byte(byte));
    (is_token && len > 0).then_some(len)
}

/// How many bytes there are before the first control character.
fn value_len(bytes: &[u8]) -> Option<usize> {
    find(bytes, |word| below_space(word) | zeros(word ^ (ONES * 0x7f)), |byte| byte < b' ' || byte == 0x7f)
}

/// How many bytes of visible ASCII there are at the front.
fn visible_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !matches!(byte, b'!'..=b'~')).unwrap_or(bytes.len())
}

/// Finds a byte, by eight at a time: `marks` sets the highest bit of those that are meant, and perhaps of others behind the
/// first of them.
#[inline(always)]
fn find(bytes: &[u8], marks: impl Fn(u64) -> u64, is_meant: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = 0;
    while let Some((word, _)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk) {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += size_of::<u64>();
    }
    bytes.get(at..)?.iter().position(|&byte| is_meant(byte)).map(|len| at + len)
}

/// Marks the bytes that are 0.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHEST
}

/// Marks the bytes that are less than a space.
const fn below_space(word: u64) -> u64 {
    word.wrapping_sub(ONES * b' ' as u64) & !word & HIGHEST
}

/// A one in each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// The highest bit of each byte.
const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);

/// For how many fields there is room at first: a browser sends some fifteen.
const USUAL_FIELDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::head::{parse_any_request, parse_any_response, parse_request, parse_response};
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const REQUEST: &[u8] =
        b"GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nX-Name: one, two\r\nY: \xe9\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

    /// What heads are made of.
    const PIECES: &[&[u8]] =
        &[b"\r\n", b"\r\n\r\n", b": ", b":", b" ", b"\t", b"\n", b"\r", b"\x7f", b"a", b"A-b: c\r\n"];

    /// Bytes put in the place of others, as many or more or less, and frames behind the head.
    fn changed(head: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3),
            prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        ];
        let change = (any::<prop::sample::Index>(), 0usize..3, piece);
        (prop::collection::vec(change, 0..3), prop::collection::vec(any::<u8>(), 0..12)).prop_map(
            move |(changes, frames)| {
                let mut bytes = head.to_vec();
                for (at, removed, piece) in changes {
                    let at = at.index(bytes.len());
                    let end = (at + removed).min(bytes.len());
                    bytes.splice(at..end, piece);
                }
                [bytes, frames].concat()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_request_is_the_same_by_the_short_path_and_by_the_long_one(bytes in changed(REQUEST), max in 0usize..6) {
            if let Some(lines) = request(&bytes, max) {
                let parsed = parse_any_request(&bytes, max);
                let parsed = parsed.map_err(|error| TestCaseError::fail(alloc::format!("{error:?}")))?;
                let short = parse_request(&bytes, max).unwrap();
                prop_assert_eq!((short.len, lines.len), (parsed.len, parsed.len));
                prop_assert_eq!((short.is_sound, &short.head), (parsed.is_sound, &parsed.head));
                prop_assert_eq!(short.head.headers(), &lines.headers);
            }
        }

        #[test]
        fn a_response_is_the_same_by_the_short_path_and_by_the_long_one(bytes in changed(RESPONSE), max in 0usize..4) {
            if switching_protocols(&bytes, max).is_some() {
                let parsed = parse_any_response(&bytes, max);
                let parsed = parsed.map_err(|error| TestCaseError::fail(alloc::format!("{error:?}")))?;
                let short = parse_response(&bytes, max).unwrap();
                prop_assert_eq!((short.len, &short.head), (parsed.len, &parsed.head));
            }
        }
    }

    #[test]
    fn heads_as_peers_write_them_take_the_short_path() {
        assert_eq!(request(REQUEST, 4).map(|lines| (lines.target, lines.headers.len())), Some(("/chat?room=1", 4)));
        assert_eq!(
            switching_protocols(RESPONSE, 2).map(|(headers, len)| (headers.len(), len)),
            Some((2, RESPONSE.len()))
        );
    }

    #[test]
    fn what_is_written_otherwise_or_not_sound_takes_the_long_path() {
        let heads: [&[u8]; 12] = [
            b"POST / HTTP/1.1\r\n\r\n",
            b"GET  HTTP/1.1\r\n\r\n",
            b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\n\n",
            b"GET / HTTP/1.1\r\nA:b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b \r\n\r\n",
            b"GET / HTTP/1.1\r\nA: \tb\r\n\r\n",
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\n: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        ];
        for head in heads {
            assert!(request(head, 9).is_none(), "{}", head.escape_ascii());
        }
        assert!(request(REQUEST, 3).is_none(), "there are more fields than may be");
        for len in 0..REQUEST.len() {
            assert!(request(&REQUEST[..len], 9).is_none(), "{len} bytes are no head");
        }
    }

    #[test]
    fn each_byte_is_let_through_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut bytes = [b'x'; 24];
                bytes[at] = byte;
                let control = byte < b' ' || byte == 0x7f;
                assert_eq!(value_len(&bytes), control.then_some(at), "{byte:#x} at {at}");
                bytes[20] = b':';
                let expected = if byte == b':' { at } else { 20 };
                let is_name = (byte == b':' && at > 0) || token::is_token_byte(byte);
                assert_eq!(name_len(&bytes), is_name.then_some(expected), "{byte:#x} at {at}");
            }
        }
    }
}
