//! RFC 6455 §4.2.1: which requests a server takes for an opening handshake.

mod handshake_support;

use handshake_support::{VALID, replacing, request_of, with};
use sockeye::handshake::{Acceptance, Request, RequestError, Response, ServerConfig, ServerHandshake};

fn accept(request: &Request) -> Response {
    request.upgrade(&ServerConfig::default()).map(Acceptance::respond).unwrap()
}

/// The status and cause with which a request is refused.
fn refusal(request: &Request) -> (u16, RequestError) {
    let rejection = request.upgrade(&ServerConfig::default()).unwrap_err();
    (rejection.status(), rejection.cause().unwrap().clone())
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut output = Vec::new();
    write(&mut output);
    String::from_utf8(output).unwrap()
}

#[test]
fn section_4_1_the_key_printed_as_an_example_is_accepted() {
    accept(&replacing("Sec-WebSocket-Key", &["AQIDBAUGBwgJCgsMDQ4PEC=="]));
}

#[test]
fn section_4_2_1_the_application_sees_the_whole_request_before_it_answers() {
    let mut input: &[u8] = b"GET /chat?room=7 HTTP/1.1\r\nhost:a.example\r\nOrigin: http://a.example\r\n\
        X-Token:  secret \r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, c\r\n\
        Sec-WebSocket-Extensions: x; y=\"1\"\r\n\r\n";
    let request = ServerHandshake::new(&ServerConfig::default()).receive(&mut input).unwrap().unwrap();
    assert_eq!((request.method(), request.target()), ("GET", "/chat?room=7"));
    assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
    assert_eq!((request.host(), request.origin()), (Some("a.example"), Some("http://a.example")));
    assert_eq!(request.headers().get("x-token"), Some("secret"));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(request.extensions().next().unwrap().unwrap().to_extension().as_str(), "x; y=1");
}

#[test]
fn section_4_2_1_a_method_other_than_get_is_answered_with_405_and_allow() {
    for method in ["POST", "HEAD", "OPTIONS", "CONNECT", "get"] {
        let rejection = request_of(method, &VALID).upgrade(&ServerConfig::default()).unwrap_err();
        assert_eq!((rejection.status(), rejection.cause()), (405, Some(&RequestError::Method)));
        assert_eq!(rejection.headers().get("Allow"), Some("GET"));
    }
}

#[test]
fn section_4_2_1_a_target_is_a_path_or_an_absolute_http_uri() {
    let upgrade = |target: &str| {
        let request = Request::new("GET", target, with(&[]).headers().clone());
        request.upgrade(&ServerConfig::default()).map(drop).map_err(|rejection| rejection.cause().cloned())
    };
    for target in ["/", "/chat?a=b://c", "//x", "http://server.example.com/chat", "https://server.example.com", "/%20"]
    {
        assert_eq!(upgrade(target), Ok(()), "{target}");
    }
    for target in ["", "*", "chat", "server.example.com:80", "ftp://a/", "http:///x", "/a#b", "/ä", "/a b", "/a\r\n"] {
        assert_eq!(upgrade(target), Err(Some(RequestError::Target)), "{target:?}");
    }
}

#[test]
fn section_4_2_1_host_is_there_exactly_once_and_is_a_host() {
    assert_eq!(refusal(&replacing("Host", &[])), (400, RequestError::Missing { header: "Host" }));
    assert_eq!(refusal(&replacing("Host", &["a", "a"])), (400, RequestError::Duplicate { header: "Host" }));
    for host in ["", "a b", "a/b", "u@a", "a:b", "::1", "a, b@c"] {
        assert_eq!(refusal(&replacing("Host", &[host])), (400, RequestError::Malformed { header: "Host" }), "{host}");
    }
    for host in ["a", "a:8080", "[::1]", "[::1]:8080", "127.0.0.1:1"] {
        accept(&replacing("Host", &[host]));
    }
}

#[test]
fn section_4_2_1_upgrade_is_a_case_insensitive_token_list_over_repeated_headers() {
    for values in [&["WebSocket"][..], &["h2c, WEBSOCKET"], &["h2c", "websocket"], &[" ,websocket,"]] {
        accept(&replacing("Upgrade", values));
    }
    for values in [&["h2c"][..], &["websockets"], &["web socket"], &["x-websocket"], &[""], &["websocket/13"]] {
        assert_eq!(refusal(&replacing("Upgrade", values)), (400, RequestError::NotWebSocket), "{values:?}");
    }
}

/// Trap: `Connection` compared as one string instead of a token list.
#[test]
fn section_4_2_1_connection_is_a_case_insensitive_token_list_over_repeated_headers() {
    for values in [&["keep-alive, Upgrade"][..], &["UPGRADE"], &["keep-alive", "upgrade"], &["keep-alive,\tupgrade ,"]]
    {
        accept(&replacing("Connection", values));
    }
    for values in [&[][..], &["keep-alive"], &["close"], &["upgrade-insecure"], &["keep-alive Upgrade"], &[""]] {
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
    assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"), "{text}");
    assert!(text.contains("\r\nConnection: Upgrade, close\r\n"), "{text}");
}

#[test]
fn section_4_2_1_a_key_is_there_exactly_once_and_decodes_to_16_bytes() {
    let header = "Sec-WebSocket-Key";
    assert_eq!(refusal(&replacing(header, &[])), (400, RequestError::Missing { header }));
    let wrong = ["", "AAAA", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZWFi", "dGhlIHNhbXBsZSBub25jZQ==, x", "!"];
    for key in wrong {
        assert_eq!(refusal(&replacing(header, &[key])), (400, RequestError::Malformed { header }), "{key}");
    }
}

/// Trap: duplicate key, version, accept or extension headers accepted.
#[test]
fn section_11_3_a_duplicate_key_or_version_is_refused_even_if_both_agree() {
    for (header, value) in [("Sec-WebSocket-Key", VALID[3].1), ("Sec-WebSocket-Version", "13")] {
        assert_eq!(refusal(&with(&[(header, value)])), (400, RequestError::Duplicate { header }));
    }
}

#[test]
fn section_4_4_a_version_other_than_13_is_answered_with_426_that_names_13() {
    for versions in [&[][..], &["25"], &["8"], &["13, 8"], &["013"], &[""]] {
        let rejection = replacing("Sec-WebSocket-Version", versions).upgrade(&ServerConfig::default()).unwrap_err();
        assert_eq!(rejection.cause(), Some(&RequestError::UnsupportedVersion), "{versions:?}");
        assert_eq!(rejection.status(), 426);
        assert_eq!(rejection.headers().get("Sec-WebSocket-Version"), Some("13"));
    }
}

#[test]
fn section_4_1_offered_subprotocols_are_unique_tokens() {
    let header = "Sec-WebSocket-Protocol";
    for value in ["", ",", "a b", "a/b", "chat, \"x\""] {
        assert_eq!(refusal(&with(&[(header, value)])), (400, RequestError::Malformed { header }), "{value:?}");
    }
    assert_eq!(refusal(&with(&[(header, "a, b, a")])), (400, RequestError::DuplicateSubprotocol));
    assert_eq!(refusal(&with(&[(header, "a"), (header, "a")])), (400, RequestError::DuplicateSubprotocol));
    accept(&with(&[(header, "a,, b"), (header, "A")]));
}

#[test]
fn section_9_1_extension_offers_outside_of_the_grammar_are_answered_with_400() {
    let header = "Sec-WebSocket-Extensions";
    for value in ["", ",", "a;", "a; =1", "a b", "a; b=", "a; b=\"", "a; b=\"\"", "a; b=\"c d\"", "a; b=\"c\"d"] {
        assert_eq!(refusal(&with(&[(header, value)])), (400, RequestError::Malformed { header }), "{value:?}");
    }
}

#[test]
fn a_request_with_a_body_is_answered_with_400() {
    for (name, value) in [("Content-Length", "1"), ("Content-Length", "x"), ("Transfer-Encoding", "chunked")] {
        assert_eq!(refusal(&with(&[(name, value)])), (400, RequestError::Body));
    }
    accept(&with(&[("Content-Length", "0")]));
}
