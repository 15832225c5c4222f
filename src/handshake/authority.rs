//! A host with an optional port, as `Host` (§4.1), `Origin` and a client's address have it.

use super::token;
use core::net::Ipv6Addr;

/// A host and the port, if one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`; user information is no part of it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // The colon of the port stands behind the bracket; without brackets there is no other colon.
        let host_end = match text.strip_prefix('[') {
            Some(rest) => {
                let close = rest.find(']')?;
                rest.get(..close)?.parse::<Ipv6Addr>().ok()?;
                close + 2
            }
            None => {
                let end = text.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(text.len());
                if end == 0 {
                    return None;
                }
                end
            }
        };
        let (host, port) = text.split_at_checked(host_end)?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            // RFC 3986 §3.2.3 lets the digits be missing behind the colon.
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        Some(Self { host, port })
    }
}

/// Says whether `byte` may stand in a registered name or IPv4 address (RFC 3986 §3.2.2).
const fn is_name_byte(byte: u8) -> bool {
    NAME[byte as usize]
}

/// Letters, digits and ``-._~%!$&'()*+,;=``.
const NAME: [bool; 256] =
    token::table(b"-._~%!$&'()*+,;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_with_and_without_port() {
        let cases = [
            ("example.com", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("example.com:", "example.com", None),
            ("127.0.0.1:9001", "127.0.0.1", Some(9001)),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:443", "[2001:db8::1]", Some(443)),
        ];
        for (text, host, port) in cases {
            assert_eq!(Authority::parse(text), Some(Authority { host, port }), "{text}");
        }
    }

    #[test]
    fn what_is_no_authority_is_none() {
        let cases = [
            "",
            ":80",
            "a b",
            "user@example.com",
            "example.com/x",
            "example.com:http",
            "example.com:65536",
            "example.com:+1",
            "::1",
            "[::1",
            "[::1]x",
            "[example.com]",
            "a\r\nb",
            "exämple.com",
        ];
        for text in cases {
            assert_eq!(Authority::parse(text), None, "{text:?}");
        }
    }
}
