//! RFC 6455 §4.2: reading the client's opening handshake and sending the server's.

use sockeye::handshake::{
    Acceptance, BuildError, Extension, HeadError, HeadPart, Headers, InvalidHeader, OriginPolicy,
    Rejection, Request, RequestError, Response, ServerConfig, ServerHandshake,
};

const VALID: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// A request with the fields that a handshake needs, and more behind them.
fn with(more: &[(&str, &str)]) -> Request {
    request_of("GET", VALID.iter().chain(more))
}

/// The same, with all values of one field replaced by others.
fn replacing(name: &str, values: &[&str]) -> Request {
    let others = VALID.iter().filter(|field| field.0 != name).copied();
    let fields: Vec<_> = others
        .chain(values.iter().map(|value| (name, *value)))
        .collect();
    request_of("GET", &fields)
}

fn request_of<'a>(
    method: &str,
    fields: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
) -> Request {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(name, value).unwrap();
    }
    Request::new(method, "/chat", headers)
}

fn accept(request: &Request) -> Response {
    request
        .upgrade(&ServerConfig::default())
        .map(Acceptance::respond)
        .unwrap()
}

/// The status and cause with which a request is refused.
fn refusal(request: &Request) -> (u16, RequestError) {
    let rejection = request.upgrade(&ServerConfig::default()).unwrap_err();
    (rejection.status(), rejection.cause().unwrap().clone())
}

/// The status and cause with which bytes are refused.
fn head_refusal(bytes: &[u8]) -> (u16, RequestError) {
    head_refusal_under(&ServerConfig::default(), bytes)
}

fn head_refusal_under(config: &ServerConfig, bytes: &[u8]) -> (u16, RequestError) {
    let rejection = ServerHandshake::new(config)
        .receive(&mut &bytes[..])
        .unwrap_err();
    (rejection.status(), rejection.cause().unwrap().clone())
}

fn malformed(part: HeadPart) -> (u16, RequestError) {
    (400, RequestError::Head(HeadError::Malformed { part }))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut output = Vec::new();
    write(&mut output);
    String::from_utf8(output).unwrap()
}

#[test]
fn section_1_2_the_example_request_is_answered_byte_for_byte() {
    let mut input: &[u8] = b"GET /chat HTTP/1.1\r\n\
        Host: server.example.com\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let mut config = ServerConfig::default();
    config.origins = OriginPolicy::Any;
    let request = ServerHandshake::new(&config)
        .receive(&mut input)
        .unwrap()
        .unwrap();
    let response = request
        .upgrade(&config)
        .unwrap()
        .subprotocol("chat")
        .unwrap()
        .respond();
    assert_eq!(
        written(|output| response.write(output)),
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n"
    );
}

#[test]
fn section_4_1_the_key_printed_as_an_example_is_accepted() {
    accept(&replacing(
        "Sec-WebSocket-Key",
        &["AQIDBAUGBwgJCgsMDQ4PEC=="],
    ));
}

#[test]
fn section_4_2_1_the_application_sees_the_whole_request_before_it_answers() {
    let mut input: &[u8] =
        b"GET /chat?room=7 HTTP/1.1\r\nhost:a.example\r\nOrigin: http://a.example\r\n\
        X-Token:  secret \r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, c\r\n\
        Sec-WebSocket-Extensions: x; y=\"1\"\r\n\r\n";
    let request = ServerHandshake::new(&ServerConfig::default())
        .receive(&mut input)
        .unwrap()
        .unwrap();
    assert_eq!(
        (request.method(), request.target()),
        ("GET", "/chat?room=7")
    );
    assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
    assert_eq!(
        (request.host(), request.origin()),
        (Some("a.example"), Some("http://a.example"))
    );
    assert_eq!(request.headers().get("x-token"), Some("secret"));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(
        request
            .extensions()
            .next()
            .unwrap()
            .unwrap()
            .to_extension()
            .as_str(),
        "x; y=1"
    );
}

#[test]
fn section_4_2_1_a_method_other_than_get_is_answered_with_405_and_allow() {
    for method in ["POST", "HEAD", "OPTIONS", "CONNECT", "get"] {
        let rejection = request_of(method, &VALID)
            .upgrade(&ServerConfig::default())
            .unwrap_err();
        assert_eq!(
            (rejection.status(), rejection.cause()),
            (405, Some(&RequestError::Method))
        );
        assert_eq!(rejection.headers().get("Allow"), Some("GET"));
    }
}

#[test]
fn section_4_2_1_an_http_version_other_than_1_1_is_answered_with_505() {
    let expected = (505, RequestError::Head(HeadError::HttpVersion));
    for version in ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2"] {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        assert_eq!(head_refusal(head.as_bytes()), expected, "{version}");
    }
    assert_eq!(head_refusal(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), expected);
}

#[test]
fn section_4_2_1_a_target_is_a_path_or_an_absolute_http_uri() {
    let upgrade = |target: &str| {
        let request = Request::new("GET", target, with(&[]).headers().clone());
        request
            .upgrade(&ServerConfig::default())
            .map(drop)
            .map_err(|rejection| rejection.cause().cloned())
    };
    for target in [
        "/",
        "/chat?a=b://c",
        "//x",
        "http://server.example.com/chat",
        "https://server.example.com",
        "/%20",
    ] {
        assert_eq!(upgrade(target), Ok(()), "{target}");
    }
    for target in [
        "",
        "*",
        "chat",
        "server.example.com:80",
        "ftp://a/",
        "http:///x",
        "/a#b",
        "/ä",
        "/a b",
        "/a\r\n",
    ] {
        assert_eq!(
            upgrade(target),
            Err(Some(RequestError::Target)),
            "{target:?}"
        );
    }
}

#[test]
fn section_4_2_1_host_is_there_exactly_once_and_is_a_host() {
    assert_eq!(
        refusal(&replacing("Host", &[])),
        (400, RequestError::Missing { header: "Host" })
    );
    assert_eq!(
        refusal(&replacing("Host", &["a", "a"])),
        (400, RequestError::Duplicate { header: "Host" })
    );
    for host in ["", "a b", "a/b", "u@a", "a:b", "::1", "a, b@c"] {
        assert_eq!(
            refusal(&replacing("Host", &[host])),
            (400, RequestError::Malformed { header: "Host" }),
            "{host}"
        );
    }
    for host in ["a", "a:8080", "[::1]", "[::1]:8080", "127.0.0.1:1"] {
        accept(&replacing("Host", &[host]));
    }
}

#[test]
fn section_4_2_1_upgrade_is_a_case_insensitive_token_list_over_repeated_headers() {
    for values in [
        &["WebSocket"][..],
        &["h2c, WEBSOCKET"],
        &["h2c", "websocket"],
        &[" ,websocket,"],
    ] {
        accept(&replacing("Upgrade", values));
    }
    for values in [
        &["h2c"][..],
        &["websockets"],
        &["web socket"],
        &["x-websocket"],
        &[""],
        &["websocket/13"],
    ] {
        assert_eq!(
            refusal(&replacing("Upgrade", values)),
            (400, RequestError::NotWebSocket),
            "{values:?}"
        );
    }
}

/// Trap: `Connection` compared as one string instead of a token list.
#[test]
fn section_4_2_1_connection_is_a_case_insensitive_token_list_over_repeated_headers() {
    for values in [
        &["keep-alive, Upgrade"][..],
        &["UPGRADE"],
        &["keep-alive", "upgrade"],
        &["keep-alive,\tupgrade ,"],
    ] {
        accept(&replacing("Connection", values));
    }
    for values in [
        &[][..],
        &["keep-alive"],
        &["close"],
        &["upgrade-insecure"],
        &["keep-alive Upgrade"],
        &[""],
    ] {
        assert_eq!(
            refusal(&replacing("Connection", values)),
            (400, RequestError::ConnectionLacksUpgrade),
            "{values:?}"
        );
    }
}

#[test]
fn section_4_2_1_a_plain_http_request_is_answered_with_426_that_names_the_protocol() {
    let plain = request_of("GET", &[("Host", "a"), ("Accept", "*/*")]);
    let rejection = plain.upgrade(&ServerConfig::default()).unwrap_err();
    assert_eq!(rejection.cause(), Some(&RequestError::NotAnUpgrade));
    let text = written(|output| rejection.write(output));
    assert!(
        text.starts_with("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"),
        "{text}"
    );
    assert!(
        text.contains("\r\nConnection: Upgrade, close\r\n"),
        "{text}"
    );
}

#[test]
fn section_4_2_1_a_key_is_there_exactly_once_and_decodes_to_16_bytes() {
    let header = "Sec-WebSocket-Key";
    assert_eq!(
        refusal(&replacing(header, &[])),
        (400, RequestError::Missing { header })
    );
    let wrong = [
        "",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZWFi",
        "dGhlIHNhbXBsZSBub25jZQ==, x",
        "!",
    ];
    for key in wrong {
        assert_eq!(
            refusal(&replacing(header, &[key])),
            (400, RequestError::Malformed { header }),
            "{key}"
        );
    }
}

/// Trap: duplicate key, version, accept or extension headers accepted.
#[test]
fn section_11_3_a_duplicate_key_or_version_is_refused_even_if_both_agree() {
    for (header, value) in [
        ("Sec-WebSocket-Key", VALID[3].1),
        ("Sec-WebSocket-Version", "13"),
    ] {
        assert_eq!(
            refusal(&with(&[(header, value)])),
            (400, RequestError::Duplicate { header })
        );
    }
}

#[test]
fn section_4_4_a_version_other_than_13_is_answered_with_426_that_names_13() {
    for versions in [&[][..], &["25"], &["8"], &["13, 8"], &["013"], &[""]] {
        let rejection = replacing("Sec-WebSocket-Version", versions)
            .upgrade(&ServerConfig::default())
            .unwrap_err();
        assert_eq!(
            rejection.cause(),
            Some(&RequestError::UnsupportedVersion),
            "{versions:?}"
        );
        assert_eq!(rejection.status(), 426);
        assert_eq!(rejection.headers().get("Sec-WebSocket-Version"), Some("13"));
    }
}

#[test]
fn section_4_1_offered_subprotocols_are_unique_tokens() {
    let header = "Sec-WebSocket-Protocol";
    for value in ["", ",", "a b", "a/b", "chat, \"x\""] {
        assert_eq!(
            refusal(&with(&[(header, value)])),
            (400, RequestError::Malformed { header }),
            "{value:?}"
        );
    }
    assert_eq!(
        refusal(&with(&[(header, "a, b, a")])),
        (400, RequestError::DuplicateSubprotocol)
    );
    assert_eq!(
        refusal(&with(&[(header, "a"), (header, "a")])),
        (400, RequestError::DuplicateSubprotocol)
    );
    accept(&with(&[(header, "a,, b"), (header, "A")]));
}

#[test]
fn section_4_2_2_a_subprotocol_is_chosen_by_the_application_among_those_offered() {
    let request = with(&[
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Protocol", "superchat, mqtt"),
    ]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    assert_eq!(acceptance.clone().respond().subprotocol(), None);
    assert_eq!(
        acceptance
            .clone()
            .subprotocol("mqtt")
            .unwrap()
            .respond()
            .subprotocol(),
        Some("mqtt")
    );
    for subprotocol in ["soap", "Chat", "chat, superchat", ""] {
        let error = BuildError::SubprotocolNotOffered {
            subprotocol: subprotocol.into(),
        };
        assert_eq!(
            acceptance.clone().subprotocol(subprotocol).unwrap_err(),
            error
        );
    }
}

#[test]
fn section_4_2_2_the_client_likes_best_what_it_offers_first() {
    let request = with(&[("Sec-WebSocket-Protocol", "chat, superchat, mqtt")]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    let select = |supported: &[&str]| {
        let response = acceptance.clone().select_subprotocol(supported).respond();
        response.subprotocol().map(str::to_owned)
    };
    assert_eq!(select(&["mqtt", "superchat"]).as_deref(), Some("superchat"));
    assert_eq!(select(&["soap"]), None);
    assert_eq!(select(&[]), None);
}

#[test]
fn section_9_1_an_extension_is_used_only_if_offered_and_only_once() {
    let request = with(&[
        ("Sec-WebSocket-Extensions", "foo, bar; baz=2"),
        ("Sec-WebSocket-Extensions", "foo; a"),
    ]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    let foo = Extension::new("foo").unwrap().flag("a").unwrap();
    let bar = Extension::new("bar").unwrap();
    let both = acceptance
        .clone()
        .extension(&foo)
        .unwrap()
        .extension(&bar)
        .unwrap();
    let error = BuildError::DuplicateExtension { name: "foo".into() };
    assert_eq!(both.clone().extension(&foo).unwrap_err(), error);
    let response = both.respond();
    assert_eq!(
        response
            .headers()
            .get_all("Sec-WebSocket-Extensions")
            .collect::<Vec<_>>(),
        [b"foo; a, bar"]
    );
    assert_eq!(
        response
            .extensions()
            .map(|extension| extension.name())
            .collect::<Vec<_>>(),
        ["foo", "bar"]
    );
    let error = BuildError::ExtensionNotOffered { name: "mux".into() };
    assert_eq!(
        acceptance
            .extension(&Extension::new("mux").unwrap())
            .unwrap_err(),
        error
    );
}

#[test]
fn section_9_1_extension_offers_outside_of_the_grammar_are_answered_with_400() {
    let header = "Sec-WebSocket-Extensions";
    for value in [
        "",
        ",",
        "a;",
        "a; =1",
        "a b",
        "a; b=",
        "a; b=\"",
        "a; b=\"\"",
        "a; b=\"c d\"",
        "a; b=\"c\"d",
    ] {
        assert_eq!(
            refusal(&with(&[(header, value)])),
            (400, RequestError::Malformed { header }),
            "{value:?}"
        );
    }
}

#[test]
fn section_4_2_2_response_headers_of_the_application_are_written() {
    let request = with(&[]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    let response = acceptance
        .header("Set-Cookie", "a=1")
        .unwrap()
        .header("Set-Cookie", "b=2")
        .unwrap()
        .respond();
    let text = written(|output| response.write(output));
    assert!(
        text.ends_with("xOo=\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"),
        "{text}"
    );
}

/// Trap: header injection.
#[test]
fn cr_lf_and_nul_are_refused_in_everything_that_the_server_application_supplies() {
    let request = with(&[]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    for evil in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f"] {
        let value = BuildError::Header(InvalidHeader::Value { name: "X".into() });
        assert_eq!(acceptance.clone().header("X", evil).unwrap_err(), value);
        assert_eq!(
            Rejection::new(403).unwrap().header("X", evil).unwrap_err(),
            value
        );
        let name = BuildError::Header(InvalidHeader::Name { name: evil.into() });
        assert_eq!(acceptance.clone().header(evil, "x").unwrap_err(), name);
        assert_eq!(
            Rejection::new(403).unwrap().header(evil, "x").unwrap_err(),
            name
        );
        assert!(Extension::new(evil).is_err());
        assert!(Extension::new("x").unwrap().flag(evil).is_err());
        assert!(Extension::new("x").unwrap().parameter("y", evil).is_err());
        assert!(acceptance.clone().subprotocol(evil).is_err());
    }
    assert!(acceptance.clone().header("", "x").is_err());
    assert!(acceptance.header("X Y", "x").is_err());
}

#[test]
fn header_fields_of_the_handshake_itself_cannot_be_set_by_the_server_application() {
    let request = with(&[]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    for name in [
        "upgrade",
        "Connection",
        "sec-websocket-accept",
        "Sec-WebSocket-Foo",
        "Content-Length",
    ] {
        let error = BuildError::ReservedHeader { name: name.into() };
        assert_eq!(acceptance.clone().header(name, "x").unwrap_err(), error);
    }
    for name in ["connection", "Content-Length", "Transfer-Encoding"] {
        let error = BuildError::ReservedHeader { name: name.into() };
        assert_eq!(
            Rejection::new(403).unwrap().header(name, "x").unwrap_err(),
            error
        );
    }
}

#[test]
fn a_rejection_has_any_final_status_and_the_headers_and_body_of_the_application() {
    let rejection = Rejection::new(503)
        .unwrap()
        .header("Retry-After", "30")
        .unwrap()
        .body("Draining.\n");
    assert_eq!(
        written(|output| rejection.write(output)),
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nConnection: close\r\nContent-Length: 10\r\n\r\nDraining.\n"
    );
    let unregistered = Rejection::new(599).unwrap();
    assert_eq!(
        written(|output| unregistered.write(output)),
        "HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(
        written(|output| Rejection::new(204).unwrap().body("x").write(output)),
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    );
    for status in [0, 100, 101, 199, 600, 1000] {
        assert_eq!(
            Rejection::new(status).unwrap_err(),
            BuildError::Status { status }
        );
    }
}

#[test]
fn every_refusal_tells_the_client_what_is_wrong_and_closes() {
    let bytes: [&[u8]; 4] = [
        b"\x16\x03\x01",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
        b"nonsense\r\n",
    ];
    let from_bytes = bytes.map(|mut bytes| {
        ServerHandshake::new(&ServerConfig::default())
            .receive(&mut bytes)
            .unwrap_err()
    });
    let requests = [
        replacing("Host", &[]),
        replacing("Upgrade", &[]),
        with(&[("Origin", "http://evil.example")]),
    ];
    let from_requests = requests
        .iter()
        .map(|request| request.upgrade(&ServerConfig::default()).unwrap_err());
    for rejection in from_bytes.into_iter().chain(from_requests) {
        let text = written(|output| rejection.write(output));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("close") && head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert!(head.contains("Content-Type: text/plain"), "{head}");
        assert_eq!(body, format!("{}\n", rejection.cause().unwrap()));
    }
}

#[test]
fn a_failure_to_build_an_answer_is_a_500_without_details() {
    let rejection = Rejection::from(BuildError::SubprotocolNotOffered {
        subprotocol: "secret".into(),
    });
    assert_eq!((rejection.status(), rejection.cause()), (500, None));
}

#[test]
fn a_request_with_a_body_is_answered_with_400() {
    for (name, value) in [
        ("Content-Length", "1"),
        ("Content-Length", "x"),
        ("Transfer-Encoding", "chunked"),
    ] {
        assert_eq!(refusal(&with(&[(name, value)])), (400, RequestError::Body));
    }
    accept(&with(&[("Content-Length", "0")]));
}

/// Trap: limits that count frame bytes that arrived with the head; leftovers lost.
#[test]
fn bytes_after_the_request_stay_in_the_input_and_do_not_count_against_the_limit() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut config = ServerConfig::default();
    config.max_head_size = head.len();
    let frames = vec![0x81; 100_000];
    let bytes = [&head[..], &frames].concat();
    let mut input = &bytes[..];
    let mut handshake = ServerHandshake::new(&config);
    assert!(handshake.receive(&mut input).unwrap().is_some());
    assert_eq!(input, frames);
    assert_eq!(handshake.receive(&mut input), Ok(None));
    assert_eq!(input, frames, "after the request nothing is taken any more");
}

#[test]
fn a_head_longer_than_the_limit_is_answered_with_431() {
    let mut config = ServerConfig::default();
    let too_large = |max| (431, RequestError::Head(HeadError::TooLarge { max }));
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    config.max_head_size = head.len() - 1;
    assert_eq!(head_refusal_under(&config, head), too_large(head.len() - 1));
    let long_target = [b"GET /", &vec![b'a'; 20_000][..]].concat();
    assert_eq!(head_refusal(&long_target), too_large(16 * 1024));
    config.max_head_size = 0;
    assert_eq!(head_refusal_under(&config, b""), too_large(0));
}

#[test]
fn a_head_of_16_kib_with_100_fields_passes_under_the_defaults() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    (0..99).for_each(|index| {
        head.extend_from_slice(format!("X-{index:02}: {}\r\n", "v".repeat(150)).as_bytes())
    });
    let filler = 16 * 1024 - head.len() - "X-99: \r\n\r\n".len();
    head.extend_from_slice(format!("X-99: {}\r\n\r\n", "v".repeat(filler)).as_bytes());
    assert_eq!(head.len(), 16 * 1024);
    let request = ServerHandshake::new(&ServerConfig::default())
        .receive(&mut &head[..])
        .unwrap()
        .unwrap();
    assert_eq!(request.headers().len(), 100);
}

/// Trap: many headers (ws CVE-2024-37890).
#[test]
fn more_header_fields_than_the_limit_are_answered_with_431() {
    let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a:b\r\n".repeat(101));
    assert_eq!(
        head_refusal(head.as_bytes()),
        (
            431,
            RequestError::Head(HeadError::TooManyHeaders { max: 100 })
        )
    );
    let mut config = ServerConfig::default();
    config.max_headers = 1000;
    let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a:b\r\n".repeat(1000));
    let request = ServerHandshake::new(&config)
        .receive(&mut head.as_bytes())
        .unwrap()
        .unwrap();
    assert_eq!(request.headers().len(), 1000);
    config.max_headers = 0;
    assert!(
        ServerHandshake::new(&config)
            .receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..])
            .unwrap()
            .is_some()
    );
}

/// Trap: quadratic re-parsing (tungstenite CVE-2023-43669).
#[test]
fn a_head_that_trickles_in_byte_by_byte_is_read_in_linear_time() {
    let mut config = ServerConfig::default();
    config.max_head_size = 4 << 20;
    let head = format!(
        "GET / HTTP/1.1\r\nX: {}\r\n\r\n",
        "v".repeat((4 << 20) - 100)
    );
    let mut handshake = ServerHandshake::new(&config);
    let (last, rest) = head.as_bytes().split_last().unwrap();
    // Read over and over again, four megabytes would take hours.
    for byte in rest {
        assert_eq!(handshake.receive(&mut &[*byte][..]), Ok(None));
    }
    assert!(handshake.receive(&mut &[*last][..]).unwrap().is_some());
}

#[test]
fn what_cannot_become_a_request_is_refused_at_its_first_wrong_byte() {
    let tls_client_hello: &[u8] = b"\x16\x03\x01\x02\x00\x01";
    assert_eq!(
        head_refusal(tls_client_hello),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(head_refusal(b"\r\n"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b" GET"), malformed(HeadPart::StartLine));
    assert_eq!(
        head_refusal(b"{\"json\": true}"),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        head_refusal(b"GET /\0"),
        malformed(HeadPart::ControlCharacter)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\nX: a\x1b"),
        malformed(HeadPart::ControlCharacter)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\nX: a\rb"),
        malformed(HeadPart::LineEnding)
    );
}

/// Lenient readers end a line at a bare LF, others do not: a way past proxies.
#[test]
fn a_bare_line_feed_ends_no_line() {
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\nHost: a\n\n"),
        malformed(HeadPart::LineEnding)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        malformed(HeadPart::LineEnding)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
        malformed(HeadPart::LineEnding)
    );
}

#[test]
fn a_line_that_goes_on_in_the_next_is_refused() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n";
    assert_eq!(head_refusal(head), malformed(HeadPart::HeaderName));
}

#[test]
fn what_is_not_http_is_answered_with_400() {
    assert_eq!(
        head_refusal(b"GET /\r\n\r\n"),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        head_refusal(b"GET / FTP/1.1\r\n\r\n"),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        head_refusal(b"GET  / HTTP/1.1\r\n\r\n"),
        malformed(HeadPart::StartLine)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        malformed(HeadPart::HeaderName)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"),
        malformed(HeadPart::HeaderName)
    );
    assert_eq!(
        head_refusal(b"GET / HTTP/1.1\r\n: a\r\n\r\n"),
        malformed(HeadPart::HeaderName)
    );
}

#[test]
fn a_value_may_have_bytes_that_are_not_ascii() {
    let mut input: &[u8] = b"GET / HTTP/1.1\r\nX: caf\xc3\xa9\r\nY: caf\xe9\r\n\r\n";
    let request = ServerHandshake::new(&ServerConfig::default())
        .receive(&mut input)
        .unwrap()
        .unwrap();
    assert_eq!(request.headers().get("X"), Some("café"));
    assert_eq!(request.headers().get("Y"), None);
    assert_eq!(request.headers().get_bytes("Y"), Some(&b"caf\xe9"[..]));
}

#[test]
fn the_end_of_the_stream_within_a_request_is_a_refusal() {
    let mut handshake = ServerHandshake::new(&ServerConfig::default());
    assert_eq!(handshake.receive(&mut &b"GET / HT"[..]), Ok(None));
    let rejection = handshake.receive_eof().unwrap_err();
    assert_eq!(
        rejection.cause(),
        Some(&RequestError::Head(HeadError::UnexpectedEof))
    );
    assert_eq!(
        handshake.receive(&mut &b"TP/1.1\r\n\r\n"[..]),
        Err(rejection)
    );
}

#[test]
fn the_end_of_the_stream_after_a_request_is_none_of_the_handshakes_business() {
    let mut handshake = ServerHandshake::new(&ServerConfig::default());
    assert!(
        handshake
            .receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..])
            .unwrap()
            .is_some()
    );
    assert_eq!(handshake.receive_eof(), Ok(()));
}

#[test]
fn the_defaults_are_those_documented() {
    let config = ServerConfig::default();
    assert_eq!((config.max_head_size, config.max_headers), (16 * 1024, 100));
    assert_eq!(config.timeout, Some(core::time::Duration::from_secs(10)));
    assert_eq!(config.origins, OriginPolicy::SameHost);
}

#[test]
fn a_failed_handshake_stays_failed_and_says_the_same_again() {
    let mut handshake = ServerHandshake::new(&ServerConfig::default());
    let rejection = handshake.receive(&mut &b"\0"[..]).unwrap_err();
    assert_eq!(
        handshake.receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]),
        Err(rejection.clone())
    );
    assert_eq!(handshake.receive_eof(), Err(rejection.clone()));
    assert_eq!(
        handshake.handle_timeout(sockeye::Instant::default()),
        Err(rejection)
    );
    assert_eq!(handshake.poll_timeout(), None);
}
