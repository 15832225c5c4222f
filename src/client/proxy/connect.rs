//! The tunnel of an HTTP proxy: `CONNECT` (RFC 9110 §9.3.6).
//!
//! The answer is read by the reader of the opening handshake's heads, with its limits and its strictness.

use super::error::TunnelError;
use super::{Proxy, TunnelConfig};
use crate::client::refused::excerpt;
use crate::handshake::{HeadReader, Headers, StartLine, parse_response};

/// Waits for the answer to a `CONNECT` request.
#[derive(Clone, Debug)]
pub(super) struct HttpConnect {
    reader: HeadReader,
    max_headers: usize,
    authorization: Authorization,
}

/// Whether the request carries credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authorization {
    Sent,
    None,
}

impl HttpConnect {
    /// Appends the request to `output`; `target` is host and port, checked.
    pub(super) fn new(proxy: &Proxy, target: &str, config: &TunnelConfig, output: &mut Vec<u8>) -> Self {
        let mut authorization = Authorization::None;
        // RFC 9110 §9.3.6: the target is host and port, always with the port. §7.2: Host is the same.
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if proxy.headers.contains(PROXY_AUTHORIZATION) {
            authorization = Authorization::Sent;
        } else if let Some(credentials) = &proxy.credentials {
            authorization = Authorization::Sent;
            request.extend_from_slice(format!("{PROXY_AUTHORIZATION}: {}\r\n", credentials.to_basic()).as_bytes());
        }
        proxy.headers.write(&mut request);
        request.extend_from_slice(b"\r\n");
        output.append(&mut request);
        let reader = HeadReader::new(StartLine::STATUS, config.max_head_size);
        Self { reader, max_headers: config.max_headers, authorization }
    }

    /// Takes bytes off the front of `input` until the head of the answer is whole; what is left belongs to the tunnel.
    pub(super) fn receive(&mut self, target: &str, input: &mut &[u8]) -> Result<Option<()>, TunnelError> {
        loop {
            let parsed = self.reader.receive(input, |bytes| parse_response(bytes, self.max_headers));
            let Some(parsed) = parsed.map_err(TunnelError::Head)? else { return Ok(None) };
            let head = parsed.head;
            match head.status {
                // RFC 9110 §15.2: interim responses are passed over. 101 is none to a request without Upgrade.
                100 | 102..=199 => self.reader.next_response(parsed.len),
                // §9.3.6: any 2xx opens the tunnel, right behind the head; Content-Length and Transfer-Encoding count for
                // nothing.
                200..=299 => return Ok(Some(())),
                // tinyproxy answers a wrong password with 401.
                status @ (401 | 407) => return Err(self.authentication_error(status, &head.headers)),
                status => {
                    let reason = excerpt(&head.reason);
                    return Err(TunnelError::Refused { target: target.to_owned(), status, reason });
                }
            }
        }
    }

    fn authentication_error(&self, status: u16, headers: &Headers) -> TunnelError {
        let schemes = schemes(headers);
        let speaks_basic = schemes.is_empty() || schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
        match self.authorization {
            Authorization::Sent if speaks_basic => TunnelError::CredentialsRefused { status },
            Authorization::None if speaks_basic => TunnelError::CredentialsWanted { status },
            Authorization::Sent | Authorization::None => TunnelError::AuthenticationUnsupported { status, schemes },
        }
    }
}

/// The schemes of `Proxy-Authenticate` (RFC 9110 §11.6.1): a token that is followed by white space or nothing, where parameters are
/// followed by `=`.
fn schemes(headers: &Headers) -> Vec<String> {
    let values = headers.get_all("Proxy-Authenticate").chain(headers.get_all("WWW-Authenticate"));
    let words = values.filter_map(|value| core::str::from_utf8(value).ok()).flat_map(|value| value.split(','));
    let words = words.filter_map(|challenge| challenge.split_ascii_whitespace().next());
    let names = words.filter(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    let mut schemes: Vec<String> = Vec::new();
    for name in names.map(excerpt) {
        if schemes.len() < MAX_SCHEMES && !schemes.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            schemes.push(name);
        }
    }
    schemes
}

const PROXY_AUTHORIZATION: &str = "Proxy-Authorization";

/// How many are told of in an error.
const MAX_SCHEMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_told_from_their_parameters() {
        let mut headers = Headers::new();
        headers.append("Proxy-Authenticate", "Negotiate, NTLM").unwrap();
        headers.append("proxy-authenticate", "Digest realm=\"a, b\", nonce=\"x\", basic").unwrap();
        headers.append("Proxy-Authenticate", "ntlm").unwrap();
        assert_eq!(schemes(&headers), ["Negotiate", "NTLM", "Digest", "basic"]);
        assert_eq!(schemes(&Headers::new()), Vec::<String>::new());
        headers.append("WWW-Authenticate", "x".repeat(9_000)).unwrap();
        assert!(schemes(&headers).concat().len() < 300);
    }
}
