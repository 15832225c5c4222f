//! A request head in two pieces is read as in one, and judging it never panics.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sockeye::handshake::{ServerConfig, ServerHandshake};

fuzz_target!(|data: (u16, &[u8])| {
    let (cut, bytes) = data;
    let (left, right) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let config = ServerConfig::default();
    let mut whole = bytes;
    let expected = ServerHandshake::new(&config).receive(&mut whole);
    let mut split = ServerHandshake::new(&config);
    let (mut first, mut second) = (left, right);
    let received = match split.receive(&mut first) {
        Ok(None) => split.receive(&mut second),
        received => received,
    };
    assert_eq!(received, expected);
    if let Ok(Some(request)) = received {
        assert_eq!([first, second].concat(), whole);
        let _ = request.upgrade(&config).map(|acceptance| acceptance.respond());
    }
});
