//! Extension lists: what can be read can be written, and is then read as the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sockeye::handshake::{Headers, InvalidExtensions, Request};

fn read(text: &[u8]) -> Option<Result<Vec<String>, InvalidExtensions>> {
    let mut headers = Headers::new();
    headers.append("Sec-WebSocket-Extensions", text).ok()?;
    let request = Request::new("GET", "/", headers);
    let written = |extension: Result<_, _>| Ok(sockeye::handshake::ExtensionRef::to_extension(&extension?).to_string());
    Some(request.extensions().map(written).collect())
}

fuzz_target!(|text: &[u8]| {
    if let Some(Ok(extensions)) = read(text) {
        assert_eq!(read(extensions.join(", ").as_bytes()), Some(Ok(extensions)));
    }
});
