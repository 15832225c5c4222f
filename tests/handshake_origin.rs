//! RFC 6455 §10.2: which web pages may open a connection.

use sockeye::handshake::{
    Headers, InvalidOriginPattern, OriginPattern, OriginPolicy, Request, RequestError, ServerConfig,
};

fn request(host: &str, origins: &[&str]) -> Request {
    let mut headers = Headers::new();
    headers.append("Host", host).unwrap();
    headers.append("Upgrade", "websocket").unwrap();
    headers.append("Connection", "Upgrade").unwrap();
    headers.append("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").unwrap();
    headers.append("Sec-WebSocket-Version", "13").unwrap();
    origins.iter().for_each(|origin| headers.append("Origin", origin).unwrap());
    Request::new("GET", "/", headers)
}

fn under(origins: OriginPolicy) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.origins = origins;
    config
}

fn listed(patterns: &[&str]) -> OriginPolicy {
    OriginPolicy::allow_list(patterns.iter().copied()).unwrap()
}

#[test]
fn a_request_without_origin_passes_under_every_policy() {
    for policy in [OriginPolicy::SameHost, listed(&[]), OriginPolicy::Any] {
        assert!(request("a.example", &[]).upgrade(&under(policy)).is_ok());
    }
}

#[test]
fn a_page_of_another_host_gets_a_403_that_names_the_setting() {
    let rejection = request("a.example", &["https://evil.example"]).upgrade(&ServerConfig::default()).unwrap_err();
    assert_eq!(rejection.status(), 403);
    assert_eq!(rejection.cause(), Some(&RequestError::OriginRefused { origin: "https://evil.example".into() }));
    let mut output = Vec::new();
    rejection.write(&mut output);
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("ServerConfig::origins") && text.contains("AllowList") && text.contains("Any"), "{text}");
}

#[test]
fn by_default_a_page_of_the_same_host_and_port_passes() {
    let same = [
        ("a.example", "https://a.example"),
        ("a.example", "http://A.EXAMPLE"),
        ("a.example:443", "https://a.example"),
        ("a.example:80", "http://a.example:80"),
        ("a.example", "http://a.example:80"),
        ("a.example:8080", "http://a.example:8080"),
        ("[::1]:9001", "http://[::1]:9001"),
    ];
    for (host, origin) in same {
        assert!(OriginPolicy::SameHost.allows(origin, host), "{host} {origin}");
    }
    let other = [
        ("a.example", "https://b.example"),
        ("a.example", "https://a.example.evil"),
        ("a.example", "https://sub.a.example"),
        ("a.example:8080", "https://a.example"),
        ("a.example", "https://a.example:8443"),
        ("a.example", "http://a.example:443"),
        ("a.example", "null"),
        ("a.example", ""),
        ("a.example", "a.example"),
        ("a.example", "https://a.example https://b.example"),
        ("a.example", "https://a.example/"),
        ("a.example", "https://user@a.example"),
        ("a.example", "://a.example"),
        ("a.example", "file://"),
    ];
    for (host, origin) in other {
        assert!(!OriginPolicy::SameHost.allows(origin, host), "{host} {origin}");
    }
}

#[test]
fn an_allow_list_matches_exact_origins_and_subdomains() {
    let policy = listed(&["https://*.example.org", "https://app.example.com:8443", "http://localhost:*", "null"]);
    let allowed = [
        "https://a.example.org",
        "https://a.b.Example.ORG",
        "https://a.example.org:443",
        "https://app.example.com:8443",
        "HTTPS://app.example.com:8443",
        "http://localhost",
        "http://localhost:3000",
        "null",
    ];
    for origin in allowed {
        assert!(policy.allows(origin, "other.example"), "{origin}");
    }
    let refused = [
        "https://example.org",
        "http://a.example.org",
        "https://a.example.org:8443",
        "https://evilexample.org",
        "https://a.example.org.evil.example",
        "https://.example.org",
        "https://app.example.com",
        "https://localhost:3000",
        "https://other.example",
    ];
    for origin in refused {
        assert!(!policy.allows(origin, "other.example"), "{origin}");
    }
}

#[test]
fn the_opaque_origin_is_refused_unless_listed() {
    assert!(!OriginPolicy::SameHost.allows("null", "a"));
    assert!(!listed(&["https://a"]).allows("null", "a"));
    assert!(listed(&["null"]).allows("null", "a"));
    assert!(OriginPolicy::Any.allows("null", "a"));
}

#[test]
fn any_origin_passes_under_the_policy_of_that_name() {
    assert!(request("a.example", &["https://evil.example"]).upgrade(&under(OriginPolicy::Any)).is_ok());
}

#[test]
fn more_than_one_origin_is_refused_under_every_policy() {
    for policy in [OriginPolicy::SameHost, listed(&["http://a.example"]), OriginPolicy::Any] {
        let request = request("a.example", &["http://a.example", "http://a.example"]);
        let rejection = request.upgrade(&under(policy)).unwrap_err();
        assert_eq!((rejection.status(), rejection.cause()), (400, Some(&RequestError::Duplicate { header: "Origin" })));
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    let wrong = [
        "*",
        "",
        "example.org",
        "https://",
        "https://*",
        "https://*.",
        "https://*example.org",
        "https://a.*.org",
        "https://*.*.org",
        "https://a/",
        "https://a:1:*",
        "https://exämple.org",
        "https://*.org/x",
        "Null",
    ];
    for pattern in wrong {
        let InvalidOriginPattern { pattern: given, .. } = pattern.parse::<OriginPattern>().unwrap_err();
        assert_eq!(given, pattern);
        assert!(OriginPolicy::allow_list(["https://a", pattern]).is_err());
    }
}
