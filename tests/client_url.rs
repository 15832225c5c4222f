//! URLs of WebSocket servers (RFC 6455 §3): what they lead to, and what is refused.

use proptest::prelude::*;
use sockeye::client::{Client, Error, UrlError, WsUrl};
use url::Url;

fn read(text: &str) -> Result<WsUrl, UrlError> {
    text.parse()
}

#[test]
fn host_port_and_target_are_told_apart() {
    for (text, secure, host, port, authority, target) in [
        ("ws://example.com", false, "example.com", 80, "example.com", "/"),
        ("wss://example.com", true, "example.com", 443, "example.com", "/"),
        ("WSS://EXAMPLE.com:443/A?b=C", true, "example.com", 443, "example.com", "/A?b=C"),
        ("ws://example.com:80/", false, "example.com", 80, "example.com", "/"),
        ("ws://example.com:443/", false, "example.com", 443, "example.com:443", "/"),
        ("wss://example.com:80/", true, "example.com", 80, "example.com:80", "/"),
        ("ws://example.com:/", false, "example.com", 80, "example.com", "/"),
        ("ws://example.com?q", false, "example.com", 80, "example.com", "/?q"),
        ("ws://example.com?", false, "example.com", 80, "example.com", "/?"),
        ("ws://127.0.0.1:9001/x", false, "127.0.0.1", 9001, "127.0.0.1:9001", "/x"),
        // As browsers read them.
        ("ws://127.1/", false, "127.0.0.1", 80, "127.0.0.1", "/"),
        ("ws://0x7f000001/", false, "127.0.0.1", 80, "127.0.0.1", "/"),
        ("ws://[::1]/", false, "::1", 80, "[::1]", "/"),
        ("wss://[2001:DB8:0::1]:8443/x", true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/x"),
        // IDNA, in both forms.
        ("wss://Bücher.example/", true, "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/"),
        ("wss://xn--bcher-kva.example/", true, "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/"),
        ("ws://例え.テスト/", false, "xn--r8jz45g.xn--zckzah", 80, "xn--r8jz45g.xn--zckzah", "/"),
        ("ws://a_b.example./", false, "a_b.example.", 80, "a_b.example.", "/"),
        // What is encoded stays as it is, what must be is, and dots are gone through.
        ("ws://h/%C3%A4%2F?%23", false, "h", 80, "h", "/%C3%A4%2F?%23"),
        ("ws://h/ä b?ö=\"x\"", false, "h", 80, "h", "/%C3%A4%20b?%C3%B6=%22x%22"),
        ("ws://h/a/../b/./c", false, "h", 80, "h", "/b/c"),
        ("ws://h//a//b", false, "h", 80, "h", "//a//b"),
    ] {
        let url = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((url.is_secure(), url.host(), url.port()), (secure, host, port), "{text}");
        assert_eq!((&*url.authority(), &*url.target()), (authority, target), "{text}");
        assert_eq!(url.scheme(), if secure { "wss" } else { "ws" }, "{text}");
        assert_eq!(url.address(), host.parse().ok(), "{text}");
        assert_eq!(url.credentials(), None, "{text}");
    }
}

#[test]
fn user_name_and_password_are_decoded() {
    for (text, user, password) in [
        ("ws://me@h/", "me", ""),
        ("ws://me:@h/", "me", ""),
        ("ws://:pw@h/", "", "pw"),
        ("ws://me:pw@h:9001/", "me", "pw"),
        ("ws://m%40e:p%3Aw%2F@h/", "m@e", "p:w/"),
        ("ws://me:a:b@h/", "me", "a:b"),
        ("ws://j%C3%B6rg:%E2%82%AC@h/", "jörg", "€"),
        ("ws://me%2Bx:p+w@h/", "me+x", "p+w"),
    ] {
        let url = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let credentials = url.credentials().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((credentials.user(), credentials.password()), (user, password), "{text}");
        assert!(!url.as_url().has_authority() || url.as_url().username().is_empty(), "{text}");
    }
    assert_eq!(read("ws://@h/").unwrap().credentials(), None);
}

#[test]
fn password_is_in_nothing_that_is_printed() {
    let url = read("wss://me:hunter2@example.com/chat?room=1").unwrap();
    assert_eq!(url.to_string(), "wss://example.com/chat?room=1");
    assert!(!format!("{url:?}").contains("hunter2"));
    assert!(!format!("{:?}", url.credentials()).contains("hunter2"));
}

#[test]
fn what_is_no_url_of_a_websocket_server_is_refused_in_words() {
    let invalid = "not a URL: ";
    for (text, message) in [
        ("", "the URL does not begin with ws:// or wss://"),
        ("example.com/chat", "the URL does not begin with ws:// or wss://"),
        ("/chat", "the URL does not begin with ws:// or wss://"),
        ("example.com:80", "the URL of a WebSocket server begins with ws:// or wss://, not with example.com:"),
        ("http://h/", "the URL of a WebSocket server begins with ws:// or wss://, not with http:"),
        ("https://h/", "the URL of a WebSocket server begins with ws:// or wss://, not with https:"),
        ("file:///etc/passwd", "the URL of a WebSocket server begins with ws:// or wss://, not with file:"),
        ("ws://h/#top", "the URL of a WebSocket server has no fragment: write %23 for a # that is part of it"),
        ("ws://h/#", "the URL of a WebSocket server has no fragment: write %23 for a # that is part of it"),
        ("ws://", "the URL has no host, or one that is neither a name nor an address"),
        ("ws://:80/", "the URL has no host, or one that is neither a name nor an address"),
        ("ws://me@/", "the URL has no host, or one that is neither a name nor an address"),
        (&format!("ws://{}/", "a.".repeat(128)), "the URL has no host, or one that is neither a name nor an address"),
        ("ws://a{b}/", "the URL has no host, or one that is neither a name nor an address"),
        ("ws://a\"b/", "the URL has no host, or one that is neither a name nor an address"),
        ("ws://h:0/", "the port is not a number from 1 to 65535"),
        ("ws://h:65536/", "the port is not a number from 1 to 65535"),
        ("ws://h:+80/", "the port is not a number from 1 to 65535"),
        ("ws://h:80x/", "the port is not a number from 1 to 65535"),
        ("ws://h\\path", "the URL could be misunderstood: backslash"),
        ("ws:\\\\h/", "the URL could be misunderstood: expected //"),
        ("ws:h/", "the URL could be misunderstood: expected //"),
        ("ws:///h/", "the URL could be misunderstood: expected //"),
        (
            " ws://h/",
            "the URL could be misunderstood: leading or trailing control or space character are ignored in URLs",
        ),
        ("ws://h/a\r\nb", "the URL could be misunderstood: tabs or newlines are ignored in URLs"),
        ("ws://h\t.example/", "the URL could be misunderstood: tabs or newlines are ignored in URLs"),
        ("ws://h/100%", "the URL could be misunderstood: expected 2 hex digits after %"),
        ("ws://a@b@h/", "the URL could be misunderstood: unencoded @ sign in username or password"),
        ("ws://a%3Ab:pw@h/", "the user name or password in the URL cannot be sent"),
        ("ws://me:%0D%0A@h/", "the user name or password in the URL cannot be sent"),
        ("ws://me:%FF@h/", "the user name or password in the URL cannot be sent"),
        ("ws://exa mple/", invalid),
        ("ws://[::1/", invalid),
        ("ws://[h]/", invalid),
        ("ws://[fe80::1%25eth0]/", invalid),
        ("ws://1.2.3.256/", invalid),
        ("ws://h%00/", invalid),
        ("ws://xn--/", invalid),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error == message || (message == invalid && error.starts_with(invalid)), "{text}: {error}");
    }
}

#[test]
fn no_error_repeats_the_url() {
    for text in ["http://me:hunter2@h/", "ws://me:hunter2@h/#", "ws://me:hunter2@", "hunter2", "ws://me:hunter2\\@h"] {
        let error = read(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn client_takes_texts_and_urls_of_all_kinds() {
    // Each of them is refused where a URL must be, so no network is needed to see that it compiles and is looked at.
    let client = Client::new();
    let is_scheme = |error: Error| matches!(error, Error::Url(UrlError::Scheme { .. }));
    assert!(is_scheme(client.connect("http://h/").await.unwrap_err()));
    assert!(is_scheme(client.connect(String::from("http://h/")).await.unwrap_err()));
    assert!(is_scheme(client.connect(&String::from("http://h/")).await.unwrap_err()));
    assert!(is_scheme(client.connect(Url::parse("http://h/").unwrap()).await.unwrap_err()));
    let ours = |url: &WsUrl| WsUrl::from(url);
    let url = read("ws://h/").unwrap();
    assert_eq!(ours(&url), url);
}

#[test]
fn urls_are_of_the_same_origin_by_scheme_host_and_port() {
    let same = |a: &str, b: &str| read(a).unwrap().is_same_origin(&read(b).unwrap());
    assert!(same("ws://me:pw@h/a", "ws://H:80/b?c"));
    assert!(same("wss://[::1]/", "wss://[0:0::1]:443/"));
    assert!(!same("ws://h/", "wss://h/"));
    assert!(!same("ws://h/", "ws://h:81/"));
    assert!(!same("ws://h/", "ws://h.example/"));
    assert!(!same("ws://127.0.0.1/", "ws://localhost/"));
}

/// Hosts, paths and queries as they may be written.
fn written() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z0-9]{1,8}(\\.[a-z]{2,5}){0,2}",
        any::<[u8; 4]>().prop_map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        any::<[u8; 16]>().prop_map(|bytes| format!("[{}]", std::net::Ipv6Addr::from(bytes))),
    ];
    let port = prop_oneof![Just(String::new()), (1..=u16::MAX).prop_map(|port| format!(":{port}"))];
    let user = prop_oneof![Just(String::new()), "[a-z]{0,5}:[a-z]{1,5}@".prop_map(String::from)];
    let target = prop_oneof![Just(String::new()), "/[a-zA-Z0-9/._~!$&'()*+,;=:@ äß-]{0,12}(\\?[a-z=&/? ü]{0,8})?"];
    let scheme = prop_oneof![Just("ws"), Just("wss")];
    (scheme, user, host, port, target)
        .prop_map(|(scheme, user, host, port, target)| format!("{scheme}://{user}{host}{port}{}", target.trim_end()))
}

proptest! {
    #[test]
    fn what_was_read_is_the_same_when_written_and_read_again(text in written()) {
        let Ok(url) = read(&text) else { return Ok(()) };
        let again = read(&url.to_string()).unwrap();
        prop_assert_eq!(again.as_url(), url.as_url());
        prop_assert_eq!(again.to_string(), url.to_string());
        // Put together of its parts, it is the same, too.
        let parts = read(&format!("{}://{}{}", url.scheme(), url.authority(), url.target())).unwrap();
        prop_assert_eq!(parts.as_url(), url.as_url());
        prop_assert_eq!((parts.host(), parts.port()), (url.host(), url.port()));
    }

    /// Most of what is made up is a URL, or the property above says nothing.
    #[test]
    fn what_is_written_properly_is_read(host in "[a-z]{1,8}", port in 1..=u16::MAX, path in "[a-z/]{0,8}") {
        let url = read(&format!("wss://{host}:{port}/{path}")).unwrap();
        prop_assert_eq!((url.host(), url.port()), (&*host, port));
        prop_assert_eq!(url.target(), format!("/{path}"));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = read(&text);
        let _ = read(&format!("ws://{text}"));
        let _ = read(&format!("wss://h/{text}"));
    }

    /// What was read can be asked for: an opening handshake can hold it.
    #[test]
    fn every_url_that_is_read_makes_a_request(text in "(ws|wss)://[!-~ä]{1,16}[/?]?[ -~ä]{0,16}") {
        if let Ok(url) = read(&text) {
            let made = sockeye::handshake::ClientRequest::new(&url.authority(), &url.target());
            prop_assert!(made.is_ok(), "{:?}", made);
        }
    }

    #[test]
    fn credentials_survive_being_encoded(user in "[^:\\x00-\\x1f\\x7f-\\x9f]{1,8}", password in "[^\\x00-\\x1f\\x7f-\\x9f]{0,8}") {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let read = read(&format!("wss://{}:{}@h/", encoded(&user), encoded(&password))).unwrap();
        let credentials = read.credentials().unwrap();
        prop_assert_eq!((credentials.user(), credentials.password()), (&*user, &*password));
    }
}
