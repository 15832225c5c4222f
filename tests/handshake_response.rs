//! RFC 6455 §4.1: which responses a client takes for an opening handshake.

use sockeye::handshake::{
    ClientConfig, ClientHandshake, ClientRequest, Extension, HeadError, HeadPart, Headers, RefusedResponse, Response,
    ResponseError,
};

const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

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

/// What comes of an answer that upgrades and has these lines in it, too.
fn upgraded_with(request: ClientRequest, lines: &str) -> Result<Response, ResponseError> {
    receive(request, format!("{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n").as_bytes())
}

fn refused(error: ResponseError) -> RefusedResponse {
    match error {
        ResponseError::Refused(response) => *response,
        other => panic!("{other}"),
    }
}

#[test]
fn section_1_2_the_example_response_is_accepted() {
    let request = request().subprotocol("chat").unwrap().subprotocol("superchat").unwrap();
    let response = receive(
        request,
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Sec-WebSocket-Protocol: chat\r\n\r\n",
    );
    assert_eq!(response.unwrap().subprotocol(), Some("chat"));
}

#[test]
fn section_4_1_upgrade_must_be_websocket_exactly_once() {
    let with = |lines: &str| {
        let head = format!("HTTP/1.1 101 S\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n");
        receive(request(), head.as_bytes())
    };
    assert!(with("Upgrade: WebSocket\r\n").is_ok());
    assert_eq!(with(""), Err(ResponseError::Missing { header: "Upgrade" }));
    assert_eq!(with("Upgrade: h2c\r\n"), Err(ResponseError::NotWebSocket));
    assert_eq!(with("Upgrade: websocket, h2c\r\n"), Err(ResponseError::NotWebSocket));
    let twice = "Upgrade: websocket\r\nUpgrade: websocket\r\n";
    assert_eq!(with(twice), Err(ResponseError::Duplicate { header: "Upgrade" }));
}

#[test]
fn section_4_1_connection_must_list_upgrade() {
    let with = |lines: &str| {
        let head = format!("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n");
        receive(request(), head.as_bytes())
    };
    assert!(with("Connection: keep-alive, UPGRADE\r\n").is_ok());
    assert!(with("Connection: keep-alive\r\nConnection: upgrade\r\n").is_ok());
    assert_eq!(with(""), Err(ResponseError::Missing { header: "Connection" }));
    assert_eq!(with("Connection: close\r\n"), Err(ResponseError::ConnectionLacksUpgrade));
    assert_eq!(with("Connection: upgraded\r\n"), Err(ResponseError::ConnectionLacksUpgrade));
}

/// Trap: the accept key never checked.
#[test]
fn section_4_1_the_accept_key_must_answer_ours() {
    let with = |lines: &str| receive(request(), format!("{UPGRADED}{lines}\r\n").as_bytes());
    assert!(with(&format!("Sec-WebSocket-Accept: \t {ACCEPT} \t\r\n")).is_ok());
    assert_eq!(with(""), Err(ResponseError::Missing { header: "Sec-WebSocket-Accept" }));
    for wrong in ["", "AAAA", &ACCEPT.to_lowercase(), &ACCEPT[..27], "dGhlIHNhbXBsZSBub25jZQ=="] {
        let lines = format!("Sec-WebSocket-Accept: {wrong}\r\n");
        assert_eq!(with(&lines), Err(ResponseError::AcceptMismatch), "{wrong}");
    }
}

/// Trap: duplicate accept, protocol or extension headers accepted.
#[test]
fn section_11_3_a_duplicate_accept_protocol_or_extensions_header_is_refused() {
    let request = || request().subprotocol("a").unwrap().extension(&Extension::new("x").unwrap());
    let duplicate = |header| Err(ResponseError::Duplicate { header });
    let lines = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    assert_eq!(upgraded_with(request(), &lines), duplicate("Sec-WebSocket-Accept"));
    let lines = "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n";
    assert_eq!(upgraded_with(request(), lines), duplicate("Sec-WebSocket-Protocol"));
    let lines = "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Extensions: x\r\n";
    assert_eq!(upgraded_with(request(), lines), duplicate("Sec-WebSocket-Extensions"));
}

/// Trap: an unoffered subprotocol accepted.
#[test]
fn section_4_1_a_subprotocol_that_was_not_offered_is_refused() {
    let header = "Sec-WebSocket-Protocol";
    let offering = || request().subprotocol("chat").unwrap();
    assert_eq!(upgraded_with(offering(), "").unwrap().subprotocol(), None);
    let lines = format!("{header}: chat\r\n");
    assert_eq!(upgraded_with(offering(), &lines).unwrap().subprotocol(), Some("chat"));
    let error = ResponseError::UnofferedSubprotocol { subprotocol: "chat".into() };
    assert_eq!(upgraded_with(request(), &lines), Err(error));
    let error = ResponseError::UnofferedSubprotocol { subprotocol: "Chat".into() };
    assert_eq!(upgraded_with(offering(), &format!("{header}: Chat\r\n")), Err(error));
    for value in ["", "chat, chat", "chat,"] {
        let lines = format!("{header}: {value}\r\n");
        assert_eq!(upgraded_with(offering(), &lines), Err(ResponseError::Malformed { header }), "{value}");
    }
}

/// Trap: an unoffered extension accepted.
#[test]
fn section_4_1_an_extension_that_was_not_offered_is_refused() {
    let header = "Sec-WebSocket-Extensions";
    let foo = Extension::new("foo").unwrap();
    let offering = || request().extension(&foo).extension(&Extension::new("bar").unwrap());
    let response = upgraded_with(offering(), &format!("{header}: bar; a=1, foo\r\n")).unwrap();
    let used: Vec<_> = response.extensions().map(|extension| extension.to_extension().to_string()).collect();
    assert_eq!(used, ["bar; a=1", "foo"]);
    let error = ResponseError::UnofferedExtension { name: "foo".into() };
    assert_eq!(upgraded_with(request(), &format!("{header}: foo\r\n")), Err(error));
    let error = ResponseError::DuplicateExtension { name: "foo".into() };
    assert_eq!(upgraded_with(offering(), &format!("{header}: foo, foo; a\r\n")), Err(error));
    for value in ["", "foo;", "foo; a=\"\""] {
        let lines = format!("{header}: {value}\r\n");
        assert_eq!(upgraded_with(offering(), &lines), Err(ResponseError::Malformed { header }), "{value}");
    }
}

#[test]
fn section_4_1_a_101_of_another_http_version_is_refused() {
    let head = format!("{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
    let version = Err(ResponseError::Head(HeadError::HttpVersion));
    assert_eq!(receive(request(), head.replace("HTTP/1.1", "HTTP/1.0").as_bytes()), version);
    assert_eq!(receive(request(), head.replace("HTTP/1.1", "HTTP/2.0").as_bytes()), version);
}

/// Trap: the first frame in the same segment as the 101 lost.
#[test]
fn bytes_after_the_response_stay_in_the_input() {
    let bytes = format!("{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n\x01\x02frames\r\n\r\n");
    let mut input = bytes.as_bytes();
    let mut handshake = handshake();
    assert!(handshake.receive(&mut input).unwrap().is_some());
    assert_eq!(input, b"\x01\x02frames\r\n\r\n");
    assert_eq!(handshake.receive(&mut input), Ok(None));
    assert_eq!(handshake.receive_eof(), Ok(()));
    assert_eq!(input, b"\x01\x02frames\r\n\r\n", "after the response nothing is taken any more");
}

/// Trap: more than 25 response headers refused.
#[test]
fn a_response_with_97_more_headers_is_accepted_and_one_with_98_is_not() {
    assert_eq!(upgraded_with(request(), &"X: y\r\n".repeat(97)).unwrap().headers().len(), 100);
    let error = ResponseError::Head(HeadError::TooManyHeaders { max: 100 });
    assert_eq!(upgraded_with(request(), &"X: y\r\n".repeat(98)), Err(error));
}

#[test]
fn a_response_head_longer_than_the_limit_is_refused() {
    let error = ResponseError::Head(HeadError::TooLarge { max: 16 * 1024 });
    assert_eq!(upgraded_with(request(), &format!("X: {}\r\n", "y".repeat(16 * 1024))), Err(error));
}

#[test]
fn what_cannot_become_a_response_is_refused_at_its_first_wrong_byte() {
    let malformed = |part| Err(ResponseError::Head(HeadError::Malformed { part }));
    assert_eq!(handshake().receive(&mut &b"SSH-2.0"[..]), malformed(HeadPart::StartLine));
    assert_eq!(handshake().receive(&mut &b"\x15\x03"[..]), malformed(HeadPart::StartLine));
    assert_eq!(handshake().receive(&mut &b"HTTP/1.1 101 x\n"[..]), malformed(HeadPart::LineEnding));
    assert_eq!(handshake().receive(&mut &b"HTTP/1.1 099 x\r\n\r\n"[..]), malformed(HeadPart::StartLine));
    assert_eq!(handshake().receive(&mut &b"HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n"[..]), malformed(HeadPart::HeaderName));
}

#[test]
fn interim_responses_are_passed_over_within_the_limit() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let head = format!("{early}{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
    assert!(receive(request(), head.as_bytes()).is_ok());
    let error = ResponseError::Head(HeadError::TooLarge { max: 16 * 1024 });
    assert_eq!(receive(request(), early.repeat(1000).as_bytes()), Err(error));
}

#[test]
fn the_end_of_the_stream_within_a_head_is_an_error_that_stays() {
    let mut handshake = handshake();
    assert_eq!(handshake.receive(&mut &b"HTTP/1.1 10"[..]), Ok(None));
    let error = Err(ResponseError::Head(HeadError::UnexpectedEof));
    assert_eq!(handshake.receive_eof(), error);
    assert_eq!(handshake.receive(&mut &b"1"[..]).map(drop), error);
    assert_eq!(handshake.handle_timeout(sockeye::Instant::default()), error);
}

#[test]
fn who_has_the_response_parsed_checks_it_without_bytes() {
    let mut headers = Headers::new();
    headers.append("upgrade", "websocket").unwrap();
    headers.append("connection", "upgrade").unwrap();
    headers.append("sec-websocket-accept", ACCEPT).unwrap();
    assert!(request().verify(101, headers.clone()).is_ok());
    assert_eq!(refused(request().verify(200, headers).unwrap_err()).status, 200);
}
