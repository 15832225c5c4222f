//! RFC 6455 §4.1: the request that a client writes.

use sockeye::handshake::{
    BuildError, ClientConfig, ClientHandshake, ClientRequest, Extension, InvalidHeader, Response, ResponseError,
    ServerConfig, ServerHandshake,
};

fn request() -> ClientRequest {
    ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce").unwrap()
}

fn receive(request: ClientRequest, bytes: &[u8]) -> Result<Response, ResponseError> {
    let received = ClientHandshake::new(request, &ClientConfig::default()).receive(&mut &bytes[..]);
    received.map(|response| response.expect("the response is whole"))
}

fn written(request: &ClientRequest) -> String {
    let mut output = Vec::new();
    request.write(&mut output);
    String::from_utf8(output).unwrap()
}

#[test]
fn section_1_2_the_example_request_is_written_byte_for_byte() {
    let request = request().origin("http://example.com").unwrap();
    let request = request.subprotocol("chat").unwrap().subprotocol("superchat").unwrap();
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
fn section_4_1_extensions_and_extra_headers_are_written_after_the_version() {
    let extension = Extension::new("permessage-deflate").unwrap();
    let narrow = extension.clone().parameter("client_max_window_bits", "10").unwrap();
    let request = request().extension(&narrow).extension(&extension).header("Authorization", "Bearer x").unwrap();
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
    let request = request.extension(&Extension::new("x").unwrap()).origin("http://[::1]:9001").unwrap();
    let config = ServerConfig::default();
    let mut head = Vec::new();
    request.write(&mut head);
    let received = ServerHandshake::new(&config).receive(&mut &head[..]).unwrap().unwrap();
    let acceptance = received.upgrade(&config).unwrap().subprotocol("chat").unwrap();
    let sent = acceptance.extension(&Extension::new("x").unwrap()).unwrap().respond();
    let mut head = Vec::new();
    sent.write(&mut head);
    assert_eq!(receive(request, &head), Ok(sent));
}

#[cfg(feature = "std")]
#[test]
fn section_4_1_the_key_is_chosen_at_random_for_each_connection() {
    let key = |request: ClientRequest| written(&request).split_once("Key: ").unwrap().1[..24].to_owned();
    let keys = [0; 16].map(|_| key(ClientRequest::new("a", "/").unwrap()));
    assert!(keys.iter().enumerate().all(|(index, key)| !keys[..index].contains(key)));
}

/// Trap: IPv6 hosts without brackets.
#[test]
fn section_4_1_an_ipv6_host_is_written_in_brackets() {
    for (authority, host) in [("::1", "[::1]"), ("[::1]", "[::1]"), ("[2001:db8::1]:8080", "[2001:db8::1]:8080")] {
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
        let host = BuildError::Authority { authority: evil.into() };
        assert_eq!(ClientRequest::with_key(evil, "/", [0; 16]).unwrap_err(), host);
        let target = format!("/{evil}");
        let error = BuildError::Target { target: target.clone() };
        assert_eq!(ClientRequest::with_key("a", &target, [0; 16]).unwrap_err(), error);
        let error = BuildError::Subprotocol { subprotocol: evil.into() };
        assert_eq!(request().subprotocol(evil).unwrap_err(), error);
        let origin = format!("http://{evil}");
        assert_eq!(request().origin(&origin).unwrap_err(), BuildError::Origin { origin });
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
        let error = BuildError::Target { target: target.into() };
        assert_eq!(ClientRequest::with_key("a", target, [0; 16]).unwrap_err(), error);
    }
}

#[test]
fn section_4_1_an_authority_is_a_host_with_an_optional_port() {
    for authority in ["", ":80", "user@a", "a/b", "a:b", "a:65536", "[::1", "fe80::1%eth0", "[::1]:x"] {
        let error = BuildError::Authority { authority: authority.into() };
        assert_eq!(ClientRequest::with_key(authority, "/", [0; 16]).unwrap_err(), error);
    }
}

#[test]
fn section_4_1_subprotocols_are_offered_once_each() {
    let error = BuildError::DuplicateSubprotocol { subprotocol: "chat".into() };
    assert_eq!(request().subprotocol("chat").unwrap().subprotocol("chat").unwrap_err(), error);
    assert!(request().subprotocol("").is_err());
    assert!(request().subprotocol("a, b").is_err());
}

#[test]
fn header_fields_of_the_handshake_itself_cannot_be_set_by_the_client_application() {
    let names = ["host", "Upgrade", "CONNECTION", "Origin", "sec-websocket-key", "Sec-WebSocket-X", "Content-Length"];
    for name in names {
        assert_eq!(request().header(name, "x").unwrap_err(), BuildError::ReservedHeader { name: name.into() });
    }
}
