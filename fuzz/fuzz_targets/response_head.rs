//! A response, with the body of a refusal, is read in two pieces as in one.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest};

fuzz_target!(|data: (u16, &[u8])| {
    let (cut, bytes) = data;
    let (left, right) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let request = ClientRequest::with_key("a", "/", *b"the sample nonce").unwrap();
    let mut one = ClientHandshake::new(request, &ClientConfig::default());
    let mut two = one.clone();
    let (mut whole, mut first, mut second) = (bytes, left, right);
    let expected = one.receive(&mut whole);
    let received = match two.receive(&mut first) {
        Ok(None) => two.receive(&mut second),
        received => received,
    };
    assert_eq!(received, expected);
    assert_eq!(two.receive_eof(), one.receive_eof());
    if let Ok(Some(_)) = received {
        assert_eq!([first, second].concat(), whole);
    }
});
