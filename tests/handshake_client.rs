//! RFC 6455 §4.1: sending the client's opening handshake and checking the server's.

use sockeye::handshake::{
    BuildError, ClientConfig, ClientHandshake, ClientRequest, Extension, HeadError, HeadPart,
    Headers, InvalidHeader, RefusedResponse, Response, ResponseError, ServerConfig,
    ServerHandshake,
};

const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const UPGRADED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

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
    receive(
        request,
        format!("{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n").as_bytes(),
    )
}

fn refused(error: ResponseError) -> RefusedResponse {
    match error {
        ResponseError::Refused(response) => *response,
        other => panic!("{other}"),
    }
}

fn written(request: &ClientRequest) -> String {
    let mut output = Vec::new();
    request.write(&mut output);
    String::from_utf8(output).unwrap()
}

#[test]
fn section_1_2_the_example_request_is_written_byte_for_byte() {
    let request = request().origin("http://example.com").unwrap();
    let request = request
        .subprotocol("chat")
        .unwrap()
        .subprotocol("superchat")
        .unwrap();
    assert_eq!(
        written(&request),
        "GET /chat HTTP/1.1\r\n\
         Host: server.example.com\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Origin: http://example.com\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
}

#[test]
fn section_1_2_the_example_response_is_accepted() {
    let request = request()
        .subprotocol("chat")
        .unwrap()
        .subprotocol("superchat")
        .unwrap();
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
fn section_4_1_extensions_and_extra_headers_are_written_after_the_version() {
    let extension = Extension::new("permessage-deflate").unwrap();
    let narrow = extension
        .clone()
        .parameter("client_max_window_bits", "10")
        .unwrap();
    let request = request()
        .extension(&narrow)
        .extension(&extension)
        .header("Authorization", "Bearer x")
        .unwrap();
    let expected = "Sec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10, permessage-deflate\r\n\
        Authorization: Bearer x\r\n\r\n";
    assert!(written(&request).ends_with(expected));
}

#[test]
fn section_4_1_our_own_server_accepts_what_our_client_writes_and_the_other_way_round() {
    let request = ClientRequest::with_key("[::1]:9001", "/chat?x=%20", *b"the sample nonce")
        .unwrap()
        .subprotocol("chat")
        .unwrap();
    let request = request
        .extension(&Extension::new("x").unwrap())
        .origin("http://[::1]:9001")
        .unwrap();
    let config = ServerConfig::default();
    let mut head = Vec::new();
    request.write(&mut head);
    let received = ServerHandshake::new(&config)
        .receive(&mut &head[..])
        .unwrap()
        .unwrap();
    let acceptance = received
        .upgrade(&config)
        .unwrap()
        .subprotocol("chat")
        .unwrap();
    let sent = acceptance
        .extension(&Extension::new("x").unwrap())
        .unwrap()
        .respond();
    let mut head = Vec::new();
    sent.write(&mut head);
    assert_eq!(receive(request, &head), Ok(sent));
}

#[cfg(feature = "std")]
#[test]
fn section_4_1_the_key_is_chosen_at_random_for_each_connection() {
    let key =
        |request: ClientRequest| written(&request).split_once("Key: ").unwrap().1[..24].to_owned();
    let keys = [0; 16].map(|_| key(ClientRequest::new("a", "/").unwrap()));
    assert!(
        keys.iter()
            .enumerate()
            .all(|(index, key)| !keys[..index].contains(key))
    );
}

/// Trap: IPv6 hosts without brackets.
#[test]
fn section_4_1_an_ipv6_host_is_written_in_brackets() {
    for (authority, host) in [
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("[2001:db8::1]:8080", "[2001:db8::1]:8080"),
    ] {
        let request = ClientRequest::with_key(authority, "/", [0; 16]).unwrap();
        assert!(written(&request).contains(&format!("\r\nHost: {host}\r\n")));
    }
}

#[test]
fn section_4_1_a_host_is_written_with_the_port_that_was_given() {
    for authority in ["example.com", "example.com:8080", "127.0.0.1:9001"] {
        let request = ClientRequest::with_key(authority, "/", [0; 16]).unwrap();
        assert_eq!(request.authority(), authority);
        assert!(written(&request).contains(&format!("\r\nHost: {authority}\r\n")));
    }
}

/// Trap: header injection through host, path or subprotocol.
#[test]
fn cr_lf_and_nul_are_refused_in_everything_that_the_client_application_supplies() {
    for evil in ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "a b"] {
        let host = BuildError::Authority {
            authority: evil.into(),
        };
        assert_eq!(
            ClientRequest::with_key(evil, "/", [0; 16]).unwrap_err(),
            host
        );
        let target = format!("/{evil}");
        let error = BuildError::Target {
            target: target.clone(),
        };
        assert_eq!(
            ClientRequest::with_key("a", &target, [0; 16]).unwrap_err(),
            error
        );
        let error = BuildError::Subprotocol {
            subprotocol: evil.into(),
        };
        assert_eq!(request().subprotocol(evil).unwrap_err(), error);
        let origin = format!("http://{evil}");
        assert_eq!(
            request().origin(&origin).unwrap_err(),
            BuildError::Origin { origin }
        );
        assert!(Extension::new(evil).is_err());
        let error = BuildError::Header(InvalidHeader::Name { name: evil.into() });
        assert_eq!(request().header(evil, "x").unwrap_err(), error);
    }
    for evil in ["a\r\nX: y", "a\nb", "a\rb", "a\0b"] {
        let error = BuildError::Header(InvalidHeader::Value { name: "X".into() });
        assert_eq!(request().header("X", evil).unwrap_err(), error);
    }
}

#[test]
fn section_3_a_target_is_a_path_without_fragment() {
    for target in ["", "chat", "?a", "http://a/", "/a#b", "/ä"] {
        let error = BuildError::Target {
            target: target.into(),
        };
        assert_eq!(
            ClientRequest::with_key("a", target, [0; 16]).unwrap_err(),
            error
        );
    }
}

#[test]
fn section_4_1_an_authority_is_a_host_with_an_optional_port() {
    for authority in [
        "",
        ":80",
        "user@a",
        "a/b",
        "a:b",
        "a:65536",
        "[::1",
        "fe80::1%eth0",
        "[::1]:x",
    ] {
        let error = BuildError::Authority {
            authority: authority.into(),
        };
        assert_eq!(
            ClientRequest::with_key(authority, "/", [0; 16]).unwrap_err(),
            error
        );
    }
}

#[test]
fn section_4_1_subprotocols_are_offered_once_each() {
    let error = BuildError::DuplicateSubprotocol {
        subprotocol: "chat".into(),
    };
    assert_eq!(
        request()
            .subprotocol("chat")
            .unwrap()
            .subprotocol("chat")
            .unwrap_err(),
        error
    );
    assert!(request().subprotocol("").is_err());
    assert!(request().subprotocol("a, b").is_err());
}

#[test]
fn header_fields_of_the_handshake_itself_cannot_be_set_by_the_client_application() {
    let names = [
        "host",
        "Upgrade",
        "CONNECTION",
        "Origin",
        "sec-websocket-key",
        "Sec-WebSocket-X",
        "Content-Length",
    ];
    for name in names {
        assert_eq!(
            request().header(name, "x").unwrap_err(),
            BuildError::ReservedHeader { name: name.into() }
        );
    }
}

#[test]
fn section_4_1_upgrade_must_be_websocket_exactly_once() {
    let with = |lines: &str| {
        let head = format!(
            "HTTP/1.1 101 S\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n"
        );
        receive(request(), head.as_bytes())
    };
    assert!(with("Upgrade: WebSocket\r\n").is_ok());
    assert_eq!(with(""), Err(ResponseError::Missing { header: "Upgrade" }));
    assert_eq!(with("Upgrade: h2c\r\n"), Err(ResponseError::NotWebSocket));
    assert_eq!(
        with("Upgrade: websocket, h2c\r\n"),
        Err(ResponseError::NotWebSocket)
    );
    let twice = "Upgrade: websocket\r\nUpgrade: websocket\r\n";
    assert_eq!(
        with(twice),
        Err(ResponseError::Duplicate { header: "Upgrade" })
    );
}

#[test]
fn section_4_1_connection_must_list_upgrade() {
    let with = |lines: &str| {
        let head = format!(
            "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n"
        );
        receive(request(), head.as_bytes())
    };
    assert!(with("Connection: keep-alive, UPGRADE\r\n").is_ok());
    assert!(with("Connection: keep-alive\r\nConnection: upgrade\r\n").is_ok());
    assert_eq!(
        with(""),
        Err(ResponseError::Missing {
            header: "Connection"
        })
    );
    assert_eq!(
        with("Connection: close\r\n"),
        Err(ResponseError::ConnectionLacksUpgrade)
    );
    assert_eq!(
        with("Connection: upgraded\r\n"),
        Err(ResponseError::ConnectionLacksUpgrade)
    );
}

/// Trap: the accept key never checked.
#[test]
fn section_4_1_the_accept_key_must_answer_ours() {
    let with = |lines: &str| receive(request(), format!("{UPGRADED}{lines}\r\n").as_bytes());
    assert!(with(&format!("Sec-WebSocket-Accept: \t {ACCEPT} \t\r\n")).is_ok());
    assert_eq!(
        with(""),
        Err(ResponseError::Missing {
            header: "Sec-WebSocket-Accept"
        })
    );
    for wrong in [
        "",
        "AAAA",
        &ACCEPT.to_lowercase(),
        &ACCEPT[..27],
        "dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let lines = format!("Sec-WebSocket-Accept: {wrong}\r\n");
        assert_eq!(with(&lines), Err(ResponseError::AcceptMismatch), "{wrong}");
    }
}

/// Trap: duplicate accept, protocol or extension headers accepted.
#[test]
fn section_11_3_a_duplicate_accept_protocol_or_extensions_header_is_refused() {
    let request = || {
        request()
            .subprotocol("a")
            .unwrap()
            .extension(&Extension::new("x").unwrap())
    };
    let duplicate = |header| Err(ResponseError::Duplicate { header });
    let lines = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    assert_eq!(
        upgraded_with(request(), &lines),
        duplicate("Sec-WebSocket-Accept")
    );
    let lines = "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n";
    assert_eq!(
        upgraded_with(request(), lines),
        duplicate("Sec-WebSocket-Protocol")
    );
    let lines = "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Extensions: x\r\n";
    assert_eq!(
        upgraded_with(request(), lines),
        duplicate("Sec-WebSocket-Extensions")
    );
}

/// Trap: an unoffered subprotocol accepted.
#[test]
fn section_4_1_a_subprotocol_that_was_not_offered_is_refused() {
    let header = "Sec-WebSocket-Protocol";
    let offering = || request().subprotocol("chat").unwrap();
    assert_eq!(upgraded_with(offering(), "").unwrap().subprotocol(), None);
    let lines = format!("{header}: chat\r\n");
    assert_eq!(
        upgraded_with(offering(), &lines).unwrap().subprotocol(),
        Some("chat")
    );
    let error = ResponseError::UnofferedSubprotocol {
        subprotocol: "chat".into(),
    };
    assert_eq!(upgraded_with(request(), &lines), Err(error));
    let error = ResponseError::UnofferedSubprotocol {
        subprotocol: "Chat".into(),
    };
    assert_eq!(
        upgraded_with(offering(), &format!("{header}: Chat\r\n")),
        Err(error)
    );
    for value in ["", "chat, chat", "chat,"] {
        let lines = format!("{header}: {value}\r\n");
        assert_eq!(
            upgraded_with(offering(), &lines),
            Err(ResponseError::Malformed { header }),
            "{value}"
        );
    }
}

/// Trap: an unoffered extension accepted.
#[test]
fn section_4_1_an_extension_that_was_not_offered_is_refused() {
    let header = "Sec-WebSocket-Extensions";
    let foo = Extension::new("foo").unwrap();
    let offering = || {
        request()
            .extension(&foo)
            .extension(&Extension::new("bar").unwrap())
    };
    let response = upgraded_with(offering(), &format!("{header}: bar; a=1, foo\r\n")).unwrap();
    let used: Vec<_> = response
        .extensions()
        .map(|extension| extension.to_extension().to_string())
        .collect();
    assert_eq!(used, ["bar; a=1", "foo"]);
    let error = ResponseError::UnofferedExtension { name: "foo".into() };
    assert_eq!(
        upgraded_with(request(), &format!("{header}: foo\r\n")),
        Err(error)
    );
    let error = ResponseError::DuplicateExtension { name: "foo".into() };
    assert_eq!(
        upgraded_with(offering(), &format!("{header}: foo, foo; a\r\n")),
        Err(error)
    );
    for value in ["", "foo;", "foo; a=\"\""] {
        let lines = format!("{header}: {value}\r\n");
        assert_eq!(
            upgraded_with(offering(), &lines),
            Err(ResponseError::Malformed { header }),
            "{value}"
        );
    }
}

#[test]
fn section_4_1_a_101_of_another_http_version_is_refused() {
    let head = format!("{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
    let version = Err(ResponseError::Head(HeadError::HttpVersion));
    assert_eq!(
        receive(request(), head.replace("HTTP/1.1", "HTTP/1.0").as_bytes()),
        version
    );
    assert_eq!(
        receive(request(), head.replace("HTTP/1.1", "HTTP/2.0").as_bytes()),
        version
    );
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
    assert_eq!(
        input, b"\x01\x02frames\r\n\r\n",
        "after the response nothing is taken any more"
    );
}

/// Trap: more than 25 response headers refused.
#[test]
fn a_response_with_97_more_headers_is_accepted_and_one_with_98_is_not() {
    assert_eq!(
        upgraded_with(request(), &"X: y\r\n".repeat(97))
            .unwrap()
            .headers()
            .len(),
        100
    );
    let error = ResponseError::Head(HeadError::TooManyHeaders { max: 100 });
    assert_eq!(upgraded_with(request(), &"X: y\r\n".repeat(98)), Err(error));
}

#[test]
fn a_response_head_longer_than_the_limit_is_refused() {
    let error = ResponseError::Head(HeadError::TooLarge { max: 16 * 1024 });
    assert_eq!(
        upgraded_with(request(), &format!("X: {}\r\n", "y".repeat(16 * 1024))),
        Err(error)
    );
}

#[test]
fn what_cannot_become_a_response_is_refused_at_its_first_wrong_byte() {
    let malformed = |part| Err(ResponseError::Head(HeadError::Malformed { part }));
    assert_eq!(
        handshake().receive(&mut &b"SSH-2.0"[..]),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        handshake().receive(&mut &b"\x15\x03"[..]),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        handshake().receive(&mut &b"HTTP/1.1 101 x\n"[..]),
        malformed(HeadPart::LineEnding)
    );
    assert_eq!(
        handshake().receive(&mut &b"HTTP/1.1 099 x\r\n\r\n"[..]),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        handshake().receive(&mut &b"HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n"[..]),
        malformed(HeadPart::HeaderName)
    );
}

#[test]
fn interim_responses_are_passed_over_within_the_limit() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let head = format!("{early}{UPGRADED}Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
    assert!(receive(request(), head.as_bytes()).is_ok());
    let error = ResponseError::Head(HeadError::TooLarge { max: 16 * 1024 });
    assert_eq!(
        receive(request(), early.repeat(1000).as_bytes()),
        Err(error)
    );
}

#[test]
fn section_4_1_an_answer_other_than_101_is_an_error_with_status_headers_and_body() {
    let head = b"HTTP/1.1 401 Who are you?\r\nWWW-Authenticate: Bearer\r\nContent-Length: 9\r\n\r\nLog in.\r\nmore";
    let response = refused(receive(request(), head).unwrap_err());
    assert_eq!(
        (response.status, response.reason.as_str()),
        (401, "Who are you?")
    );
    assert_eq!(response.headers.get("www-authenticate"), Some("Bearer"));
    assert_eq!(
        (response.body.as_slice(), response.truncated),
        (&b"Log in.\r\n"[..], false)
    );
}

#[test]
fn a_refusal_in_chunks_is_joined() {
    let head = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    let response = refused(
        receive(
            request(),
            format!("{head}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n").as_bytes(),
        )
        .unwrap_err(),
    );
    assert_eq!(
        (response.body.as_slice(), response.truncated),
        (&b"abc0123456789"[..], false)
    );
    for broken in [
        "x\r\n",
        "3\rabc",
        &format!("1;{}\r\nb\r\n0\r\n", "x".repeat(200)),
        "fffffffffffffffff\r\n",
        &"0".repeat(200),
    ] {
        let response = refused(
            receive(request(), format!("{head}1\r\na\r\n{broken}").as_bytes()).unwrap_err(),
        );
        assert_eq!(
            (response.body.as_slice(), response.truncated),
            (&b"a"[..], true),
            "{broken}"
        );
    }
}

#[test]
fn a_refusal_without_length_ends_with_the_stream() {
    let mut handshake = handshake();
    assert_eq!(
        handshake.receive(&mut &b"HTTP/1.0 502 Bad\r\n\r\nno route"[..]),
        Ok(None)
    );
    let error = handshake.receive_eof().unwrap_err();
    assert_eq!(handshake.receive_eof(), Err(error.clone()));
    assert_eq!(handshake.receive(&mut &b"x"[..]), Err(error.clone()));
    let response = refused(error);
    assert_eq!(
        (
            response.status,
            response.body.as_slice(),
            response.truncated
        ),
        (502, &b"no route"[..], false)
    );
}

#[test]
fn a_refusal_that_ends_early_is_reported_as_truncated() {
    let mut handshake = handshake();
    assert_eq!(
        handshake.receive(&mut &b"HTTP/1.1 502 Bad\r\nContent-Length: 10\r\n\r\nno"[..]),
        Ok(None)
    );
    let response = refused(handshake.receive_eof().unwrap_err());
    assert_eq!(
        (response.body.as_slice(), response.truncated),
        (&b"no"[..], true)
    );
}

#[test]
fn the_body_of_a_refusal_is_bounded() {
    let endless = |head: &str| {
        [
            format!("HTTP/1.1 500 x\r\n{head}\r\n").as_bytes(),
            &[b'a'; 10_000],
        ]
        .concat()
    };
    for head in ["", "Content-Length: 18446744073709551615\r\n"] {
        let response = refused(receive(request(), &endless(head)).unwrap_err());
        assert_eq!((response.body.len(), response.truncated), (4096, true));
    }
    let mut config = ClientConfig::default();
    config.max_refusal_body = 0;
    let received = ClientHandshake::new(request(), &config).receive(&mut &endless("")[..]);
    assert_eq!(refused(received.unwrap_err()).body, b"");
}

#[test]
fn a_refusal_with_an_unreadable_length_has_no_body() {
    for length in [
        "Content-Length: x\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: -1\r\n",
    ] {
        let response = refused(
            receive(
                request(),
                format!("HTTP/1.1 500 x\r\n{length}\r\nabc").as_bytes(),
            )
            .unwrap_err(),
        );
        assert_eq!(
            (response.body.as_slice(), response.truncated),
            (&b""[..], true)
        );
    }
}

#[test]
fn a_304_ends_with_its_head() {
    let response = refused(
        receive(
            request(),
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        )
        .unwrap_err(),
    );
    assert_eq!((response.status, response.truncated), (304, false));
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
    assert_eq!(
        refused(request().verify(200, headers).unwrap_err()).status,
        200
    );
}
