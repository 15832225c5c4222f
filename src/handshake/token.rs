//! The few grammar rules of HTTP that the handshake's header fields are made of: token, optional whitespace, list.
//!
//! Lists follow §4.3, that is RFC 2616 §2.1: elements are separated by commas, empty elements are allowed and count
//! for nothing.

/// Says whether `byte` may stand in a token.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Says whether `bytes` is a token: one or more visible ASCII characters, none of them a separator.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Says whether `byte` may stand in a header field's value: no control characters but the tab.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Removes spaces and tabs from both ends.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Splits a comma-separated list into its elements, trimmed, without the empty ones.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Says whether a comma-separated list holds an element, compared without regard to case.
pub(super) fn has_element(value: &[u8], element: &str) -> bool {
    elements(value).any(|found| found.eq_ignore_ascii_case(element.as_bytes()))
}

/// A table of the bytes that are allowed somewhere.
pub(super) const fn table(allowed: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
}

/// The token characters: letters, digits and ``!#$%&'*+-.^_`|~``.
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_token_has_no_separators_controls_or_other_alphabets() {
        for byte in 0..=u8::MAX {
            let separator = b"()<>@,;:\\\"/[]?={} \t".contains(&byte);
            assert_eq!(is_token_byte(byte), byte.is_ascii() && !byte.is_ascii_control() && !separator, "{byte:#x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn list_elements_are_trimmed_and_empty_ones_skipped() {
        let elements: Vec<_> = elements(b" a ,\t, b,,").collect();
        assert_eq!(elements, [&b"a"[..], b"b"]);
    }
}
