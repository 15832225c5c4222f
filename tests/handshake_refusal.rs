//! RFC 6455 §4.1: what a client makes of an answer other than 101, and how much of its body it keeps.

use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest, RefusedResponse, Response, ResponseError};

fn request() -> ClientRequest {
    ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce").unwrap()
}

fn handshake() -> ClientHandshake {
    ClientHandshake::new(request(), &ClientConfig::default())
}

fn receive(request: ClientRequest, bytes: &[u8]) -> Result<Response, ResponseError> {
    let received = ClientHandshake::new(request, &ClientConfig::default()).receive(&mut &bytes[..]);
    received.map(|response| response.expect("the response is whole"))
}

fn refused(error: ResponseError) -> RefusedResponse {
    match error {
        ResponseError::Refused(response) => *response,
        other => panic!("{other}"),
    }
}

#[test]
fn section_4_1_an_answer_other_than_101_is_an_error_with_status_headers_and_body() {
    let head = b"HTTP/1.1 401 Who are you?\r\nWWW-Authenticate: Bearer\r\nContent-Length: 9\r\n\r\nLog in.\r\nmore";
    let response = refused(receive(request(), head).unwrap_err());
    assert_eq!((response.status, response.reason.as_str()), (401, "Who are you?"));
    assert_eq!(response.headers.get("www-authenticate"), Some("Bearer"));
    assert_eq!((response.body.as_slice(), response.truncated), (&b"Log in.\r\n"[..], false));
}

#[test]
fn a_refusal_in_chunks_is_joined() {
    let head = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    let response =
        refused(receive(request(), format!("{head}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n").as_bytes()).unwrap_err());
    assert_eq!((response.body.as_slice(), response.truncated), (&b"abc0123456789"[..], false));
    for broken in
        ["x\r\n", "3\rabc", &format!("1;{}\r\nb\r\n0\r\n", "x".repeat(200)), "fffffffffffffffff\r\n", &"0".repeat(200)]
    {
        let response = refused(receive(request(), format!("{head}1\r\na\r\n{broken}").as_bytes()).unwrap_err());
        assert_eq!((response.body.as_slice(), response.truncated), (&b"a"[..], true), "{broken}");
    }
}

#[test]
fn a_refusal_without_length_ends_with_the_stream() {
    let mut handshake = handshake();
    assert_eq!(handshake.receive(&mut &b"HTTP/1.0 502 Bad\r\n\r\nno route"[..]), Ok(None));
    let error = handshake.receive_eof().unwrap_err();
    assert_eq!(handshake.receive_eof(), Err(error.clone()));
    assert_eq!(handshake.receive(&mut &b"x"[..]), Err(error.clone()));
    let response = refused(error);
    assert_eq!((response.status, response.body.as_slice(), response.truncated), (502, &b"no route"[..], false));
}

#[test]
fn a_refusal_that_ends_early_is_reported_as_truncated() {
    let mut handshake = handshake();
    assert_eq!(handshake.receive(&mut &b"HTTP/1.1 502 Bad\r\nContent-Length: 10\r\n\r\nno"[..]), Ok(None));
    let response = refused(handshake.receive_eof().unwrap_err());
    assert_eq!((response.body.as_slice(), response.truncated), (&b"no"[..], true));
}

#[test]
fn the_body_of_a_refusal_is_bounded() {
    let endless = |head: &str| [format!("HTTP/1.1 500 x\r\n{head}\r\n").as_bytes(), &[b'a'; 10_000]].concat();
    for head in ["", "Content-Length: 18446744073709551615\r\n"] {
        let response = refused(receive(request(), &endless(head)).unwrap_err());
        assert_eq!((response.body.len(), response.truncated), (4096, true));
    }
}

#[test]
fn with_a_limit_of_zero_no_body_is_waited_for() {
    let mut config = ClientConfig::default();
    config.max_refusal_body = 0;
    for head in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let head = format!("HTTP/1.1 500 x\r\n{head}\r\n");
        let received = ClientHandshake::new(request(), &config).receive(&mut head.as_bytes());
        let response = refused(received.unwrap_err());
        assert_eq!((response.body.as_slice(), response.truncated), (&b""[..], true));
    }
}

#[test]
fn a_refusal_with_an_unreadable_length_has_no_body() {
    for length in ["Content-Length: x\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: -1\r\n"] {
        let response =
            refused(receive(request(), format!("HTTP/1.1 500 x\r\n{length}\r\nabc").as_bytes()).unwrap_err());
        assert_eq!((response.body.as_slice(), response.truncated), (&b""[..], true));
    }
}

#[test]
fn a_304_ends_with_its_head() {
    let response = refused(receive(request(), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").unwrap_err());
    assert_eq!((response.status, response.truncated), (304, false));
}
