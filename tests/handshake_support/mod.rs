//! Requests for the tests of the server's side, by header fields.

use sockeye::handshake::{Headers, Request};

/// The fields that a handshake needs.
pub(crate) const VALID: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// A request with the fields that a handshake needs, and more behind them.
pub(crate) fn with(more: &[(&str, &str)]) -> Request {
    request_of("GET", VALID.iter().chain(more))
}

/// The same, with all values of one field replaced by others.
pub(crate) fn replacing(name: &str, values: &[&str]) -> Request {
    let others = VALID.iter().filter(|field| field.0 != name).copied();
    let fields: Vec<_> = others.chain(values.iter().map(|value| (name, *value))).collect();
    request_of("GET", &fields)
}

/// A request with these fields and no others.
pub(crate) fn request_of<'a>(method: &str, fields: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Request {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(name, value).unwrap();
    }
    Request::new(method, "/chat", headers)
}
