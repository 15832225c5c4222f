//! The head of a request in the stream: HTTP/1.1 to the letter, bounded, nothing taken behind it.

use sockeye::handshake::{HeadError, HeadPart, OriginPolicy, RequestError, ServerConfig, ServerHandshake};

/// The status and cause with which bytes are refused.
fn head_refusal(bytes: &[u8]) -> (u16, RequestError) {
    head_refusal_under(&ServerConfig::default(), bytes)
}

fn head_refusal_under(config: &ServerConfig, bytes: &[u8]) -> (u16, RequestError) {
    let rejection = ServerHandshake::new(config).receive(&mut &bytes[..]).unwrap_err();
    (rejection.status(), rejection.cause().unwrap().clone())
}

fn malformed(part: HeadPart) -> (u16, RequestError) {
    (400, RequestError::Head(HeadError::Malformed { part }))
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
    (0..99).for_each(|index| head.extend_from_slice(format!("X-{index:02}: {}\r\n", "v".repeat(150)).as_bytes()));
    let filler = 16 * 1024 - head.len() - "X-99: \r\n\r\n".len();
    head.extend_from_slice(format!("X-99: {}\r\n\r\n", "v".repeat(filler)).as_bytes());
    assert_eq!(head.len(), 16 * 1024);
    let request = ServerHandshake::new(&ServerConfig::default()).receive(&mut &head[..]).unwrap().unwrap();
    assert_eq!(request.headers().len(), 100);
}

/// Trap: many headers (ws CVE-2024-37890).
#[test]
fn more_header_fields_than_the_limit_are_answered_with_431() {
    let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a:b\r\n".repeat(101));
    assert_eq!(head_refusal(head.as_bytes()), (431, RequestError::Head(HeadError::TooManyHeaders { max: 100 })));
    let mut config = ServerConfig::default();
    config.max_headers = 1000;
    let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a:b\r\n".repeat(1000));
    let request = ServerHandshake::new(&config).receive(&mut head.as_bytes()).unwrap().unwrap();
    assert_eq!(request.headers().len(), 1000);
    config.max_headers = 0;
    assert!(ServerHandshake::new(&config).receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap().is_some());
}

/// Trap: quadratic re-parsing (tungstenite CVE-2023-43669).
#[test]
fn a_head_that_trickles_in_byte_by_byte_is_read_in_linear_time() {
    let mut config = ServerConfig::default();
    config.max_head_size = 4 << 20;
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "v".repeat((4 << 20) - 100));
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
    assert_eq!(head_refusal(tls_client_hello), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b"\r\n"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b" GET"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b"{\"json\": true}"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b"GET /\0"), malformed(HeadPart::ControlCharacter));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\nX: a\x1b"), malformed(HeadPart::ControlCharacter));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\nX: a\rb"), malformed(HeadPart::LineEnding));
}

/// Lenient readers end a line at a bare LF, others do not: a way past proxies.
#[test]
fn a_bare_line_feed_ends_no_line() {
    assert_eq!(head_refusal(b"GET / HTTP/1.1\nHost: a\n\n"), malformed(HeadPart::LineEnding));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), malformed(HeadPart::LineEnding));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), malformed(HeadPart::LineEnding));
}

#[test]
fn a_line_that_goes_on_in_the_next_is_refused() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n";
    assert_eq!(head_refusal(head), malformed(HeadPart::HeaderName));
}

#[test]
fn what_is_not_http_is_answered_with_400() {
    assert_eq!(head_refusal(b"GET /\r\n\r\n"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b"GET / FTP/1.1\r\n\r\n"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b"GET  / HTTP/1.1\r\n\r\n"), malformed(HeadPart::StartLine));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"), malformed(HeadPart::HeaderName));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"), malformed(HeadPart::HeaderName));
    assert_eq!(head_refusal(b"GET / HTTP/1.1\r\n: a\r\n\r\n"), malformed(HeadPart::HeaderName));
}

#[test]
fn a_value_may_have_bytes_that_are_not_ascii() {
    let mut input: &[u8] = b"GET / HTTP/1.1\r\nX: caf\xc3\xa9\r\nY: caf\xe9\r\n\r\n";
    let request = ServerHandshake::new(&ServerConfig::default()).receive(&mut input).unwrap().unwrap();
    assert_eq!(request.headers().get("X"), Some("café"));
    assert_eq!(request.headers().get("Y"), None);
    assert_eq!(request.headers().get_bytes("Y"), Some(&b"caf\xe9"[..]));
}

#[test]
fn the_end_of_the_stream_within_a_request_is_a_refusal() {
    let mut handshake = ServerHandshake::new(&ServerConfig::default());
    assert_eq!(handshake.receive(&mut &b"GET / HT"[..]), Ok(None));
    let rejection = handshake.receive_eof().unwrap_err();
    assert_eq!(rejection.cause(), Some(&RequestError::Head(HeadError::UnexpectedEof)));
    assert_eq!(handshake.receive(&mut &b"TP/1.1\r\n\r\n"[..]), Err(rejection));
}

#[test]
fn the_end_of_the_stream_after_a_request_is_none_of_the_handshakes_business() {
    let mut handshake = ServerHandshake::new(&ServerConfig::default());
    assert!(handshake.receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap().is_some());
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
    assert_eq!(handshake.receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]), Err(rejection.clone()));
    assert_eq!(handshake.receive_eof(), Err(rejection.clone()));
    assert_eq!(handshake.handle_timeout(sockeye::Instant::default()), Err(rejection));
    assert_eq!(handshake.poll_timeout(), None);
}
