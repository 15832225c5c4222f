//! RFC 6455 §4.2.2: what a server answers, a 101 or a refusal.

mod handshake_support;

use handshake_support::{replacing, with};
use sockeye::handshake::{
    BuildError, Extension, InvalidHeader, OriginPolicy, Rejection, ServerConfig, ServerHandshake,
};

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
    let request = ServerHandshake::new(&config).receive(&mut input).unwrap().unwrap();
    let response = request.upgrade(&config).unwrap().subprotocol("chat").unwrap().respond();
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
fn section_4_2_2_a_subprotocol_is_chosen_by_the_application_among_those_offered() {
    let request = with(&[("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "superchat, mqtt")]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    assert_eq!(acceptance.clone().respond().subprotocol(), None);
    assert_eq!(acceptance.clone().subprotocol("mqtt").unwrap().respond().subprotocol(), Some("mqtt"));
    for subprotocol in ["soap", "Chat", "chat, superchat", ""] {
        let error = BuildError::SubprotocolNotOffered { subprotocol: subprotocol.into() };
        assert_eq!(acceptance.clone().subprotocol(subprotocol).unwrap_err(), error);
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
    let request = with(&[("Sec-WebSocket-Extensions", "foo, bar; baz=2"), ("Sec-WebSocket-Extensions", "foo; a")]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    let foo = Extension::new("foo").unwrap().flag("a").unwrap();
    let bar = Extension::new("bar").unwrap();
    let both = acceptance.clone().extension(&foo).unwrap().extension(&bar).unwrap();
    let error = BuildError::DuplicateExtension { name: "foo".into() };
    assert_eq!(both.clone().extension(&foo).unwrap_err(), error);
    let response = both.respond();
    assert_eq!(response.headers().get_all("Sec-WebSocket-Extensions").collect::<Vec<_>>(), [b"foo; a, bar"]);
    assert_eq!(response.extensions().map(|extension| extension.name()).collect::<Vec<_>>(), ["foo", "bar"]);
    let error = BuildError::ExtensionNotOffered { name: "mux".into() };
    assert_eq!(acceptance.extension(&Extension::new("mux").unwrap()).unwrap_err(), error);
}

#[test]
fn section_4_2_2_response_headers_of_the_application_are_written() {
    let request = with(&[]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    let response = acceptance.header("Set-Cookie", "a=1").unwrap().header("Set-Cookie", "b=2").unwrap().respond();
    let text = written(|output| response.write(output));
    assert!(text.ends_with("xOo=\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"), "{text}");
}

/// Trap: header injection.
#[test]
fn cr_lf_and_nul_are_refused_in_everything_that_the_server_application_supplies() {
    let request = with(&[]);
    let acceptance = request.upgrade(&ServerConfig::default()).unwrap();
    for evil in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f"] {
        let value = BuildError::Header(InvalidHeader::Value { name: "X".into() });
        assert_eq!(acceptance.clone().header("X", evil).unwrap_err(), value);
        assert_eq!(Rejection::new(403).unwrap().header("X", evil).unwrap_err(), value);
        let name = BuildError::Header(InvalidHeader::Name { name: evil.into() });
        assert_eq!(acceptance.clone().header(evil, "x").unwrap_err(), name);
        assert_eq!(Rejection::new(403).unwrap().header(evil, "x").unwrap_err(), name);
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
    for name in ["upgrade", "Connection", "sec-websocket-accept", "Sec-WebSocket-Foo", "Content-Length"] {
        let error = BuildError::ReservedHeader { name: name.into() };
        assert_eq!(acceptance.clone().header(name, "x").unwrap_err(), error);
    }
    for name in ["connection", "Content-Length", "Transfer-Encoding"] {
        let error = BuildError::ReservedHeader { name: name.into() };
        assert_eq!(Rejection::new(403).unwrap().header(name, "x").unwrap_err(), error);
    }
}

#[test]
fn a_rejection_has_any_final_status_and_the_headers_and_body_of_the_application() {
    let rejection = Rejection::new(503).unwrap().header("Retry-After", "30").unwrap().body("Draining.\n");
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
        assert_eq!(Rejection::new(status).unwrap_err(), BuildError::Status { status });
    }
}

#[test]
fn every_refusal_tells_the_client_what_is_wrong_and_closes() {
    let bytes: [&[u8]; 4] =
        [b"\x16\x03\x01", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\na b: c\r\n\r\n", b"nonsense\r\n"];
    let from_bytes =
        bytes.map(|mut bytes| ServerHandshake::new(&ServerConfig::default()).receive(&mut bytes).unwrap_err());
    let requests = [replacing("Host", &[]), replacing("Upgrade", &[]), with(&[("Origin", "http://evil.example")])];
    let from_requests = requests.iter().map(|request| request.upgrade(&ServerConfig::default()).unwrap_err());
    for rejection in from_bytes.into_iter().chain(from_requests) {
        let text = written(|output| rejection.write(output));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("close") && head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(head.contains("Content-Type: text/plain"), "{head}");
        assert_eq!(body, format!("{}\n", rejection.cause().unwrap()));
    }
}

#[test]
fn a_failure_to_build_an_answer_is_a_500_without_details() {
    let rejection = Rejection::from(BuildError::SubprotocolNotOffered { subprotocol: "secret".into() });
    assert_eq!((rejection.status(), rejection.cause()), (500, None));
}
