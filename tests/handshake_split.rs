//! Any split of the same bytes gives the same result and the same leftovers.

use proptest::prelude::*;
use sockeye::handshake::{
    ClientConfig, ClientHandshake, ClientRequest, Rejection, Request, Response, ResponseError, ServerConfig,
    ServerHandshake,
};

/// What a server makes of pieces, and what is left of them behind the request.
fn serve(pieces: &[&[u8]]) -> (Result<Option<Request>, Rejection>, Vec<u8>) {
    let mut config = ServerConfig::default();
    config.max_head_size = 300;
    config.max_headers = 8;
    let mut handshake = ServerHandshake::new(&config);
    let mut result = Ok(None);
    let mut left = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        if result == Ok(None) {
            result = handshake.receive(&mut input);
        }
        if matches!(result, Ok(Some(_))) {
            left.extend_from_slice(input);
        }
    }
    (result, left)
}

/// The same for a client.
fn connect(pieces: &[&[u8]]) -> (Result<Option<Response>, ResponseError>, Vec<u8>) {
    let request = ClientRequest::with_key("a", "/", *b"the sample nonce").unwrap().subprotocol("chat").unwrap();
    let mut config = ClientConfig::default();
    config.max_head_size = 300;
    config.max_headers = 8;
    config.max_refusal_body = 20;
    let mut handshake = ClientHandshake::new(request, &config);
    let mut result = Ok(None);
    let mut left = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        if result == Ok(None) {
            result = handshake.receive(&mut input);
        }
        if matches!(result, Ok(Some(_))) {
            left.extend_from_slice(input);
        }
    }
    if result == Ok(None) {
        result = handshake.receive_eof().map(|()| None);
    }
    (result, left)
}

/// Cuts bytes at these places.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

const REQUESTS: [&str; 8] = [
    "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\n\r\n\u{1}\u{2}\r\n\r\nframes",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "GET / HTTP/1.1\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\n\r\n",
    "GET / HTTP/1.1\r\n b\r\n\r\n",
    "G@T\0/ HTTP/1.1\r\n\r\n",
];

const RESPONSES: [&str; 9] = [
    "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
     Sec-WebSocket-Protocol: chat\r\n\r\n\u{1}\u{2}\r\n\r\nframes",
    "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nframes",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello, world",
    "HTTP/1.1 404 Not Found\r\n\r\nhello, world, how are you",
    "HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n0123456789012345678901234\r\n0\r\n\r\n",
    "HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef",
    "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",
    "HTTPS/1.1 101\0",
];

#[test]
fn every_split_of_a_request_in_two_and_into_bytes_gives_the_same() {
    for request in REQUESTS {
        let bytes = request.as_bytes();
        let whole = serve(&[bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(serve(&[&bytes[..cut], &bytes[cut..]]), whole, "{request:?} at {cut}");
        }
        assert_eq!(serve(&bytes.chunks(1).collect::<Vec<_>>()), whole, "{request:?}");
    }
}

#[test]
fn every_split_of_a_response_in_two_and_into_bytes_gives_the_same() {
    for response in RESPONSES {
        let bytes = response.as_bytes();
        let whole = connect(&[bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(connect(&[&bytes[..cut], &bytes[cut..]]), whole, "{response:?} at {cut}");
        }
        assert_eq!(connect(&bytes.chunks(1).collect::<Vec<_>>()), whole, "{response:?}");
    }
}

/// A head that comes at once takes another way through the parser than one that comes in bytes.
#[test]
fn a_head_with_any_byte_in_any_place_gives_the_same_at_once_and_in_bytes() {
    let [request, response] = [
        "GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB: \r\n\r\nframes",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nA: b\r\n\r\nframes",
    ]
    .map(str::as_bytes);
    for byte in 0..=u8::MAX {
        for at in 0..response.len() {
            for taken in [0, 1] {
                if at < request.len() {
                    let bytes = [&request[..at], &[byte], &request[at + taken..]].concat();
                    let in_bytes = serve(&bytes.chunks(1).collect::<Vec<_>>());
                    assert_eq!(serve(&[&bytes]), in_bytes, "{}", bytes.escape_ascii());
                }
                let bytes = [&response[..at], &[byte], &response[at + taken..]].concat();
                let in_bytes = connect(&bytes.chunks(1).collect::<Vec<_>>());
                assert_eq!(connect(&[&bytes]), in_bytes, "{}", bytes.escape_ascii());
            }
        }
    }
}

/// A sound message with some bytes changed, so that every kind of damage is met.
fn damaged(messages: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(0), any::<u8>()];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), byte, any::<bool>()), 0..4);
    (prop::sample::select(messages), edits).prop_map(|(message, edits)| {
        let mut bytes = message.as_bytes().to_vec();
        for (at, byte, insert) in edits {
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_of_a_damaged_request_gives_the_same(
        bytes in damaged(&REQUESTS), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assert_eq!(serve(&pieces(&bytes, &cuts)), serve(&[&bytes]));
    }

    #[test]
    fn any_split_of_a_damaged_response_gives_the_same(
        bytes in damaged(&RESPONSES), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assert_eq!(connect(&pieces(&bytes, &cuts)), connect(&[&bytes]));
    }

    #[test]
    fn any_split_around_the_limit_gives_the_same(
        length in 230usize..330, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = format!("GET /{} HTTP/1.1\r\n\r\nframes", "a".repeat(length)).into_bytes();
        prop_assert_eq!(serve(&pieces(&bytes, &cuts)), serve(&[&bytes]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let (left, right) = bytes.split_at(at.index(bytes.len() + 1));
        prop_assert_eq!(serve(&[left, right]), serve(&[&bytes]));
        let answer = [b"HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat();
        prop_assert_eq!(connect(&[left, right]), connect(&[&bytes]));
        prop_assert_eq!(connect(&answer.chunks(7).collect::<Vec<_>>()), connect(&[&answer]));
    }
}
