//! Redirects (RFC 9110 §15.4): only when asked for, only so many, and never with what another server must not see.

mod client_support;

use client_support::*;
use sockeye::client::{Client, Error, RedirectError, Stage};

/// A server whose `/` redirects to `/there`, which opens.
async fn redirecting(location: &str) -> Server {
    let location = location.to_owned();
    Server::start(move |head| if head.starts_with("GET / ") { Answer::to(&location) } else { Answer::Open }).await
}

fn targets(server: &Server) -> Vec<String> {
    server.heads().iter().map(|head| head.split(' ').nth(1).unwrap().into()).collect()
}

#[tokio::test]
async fn by_default_a_redirect_is_a_refusal_that_says_where_to() {
    let server = redirecting("https://elsewhere.example/x?token=secret").await;
    let error = failure(&Client::new(), &server.url("/")).await;
    assert_eq!(
        error.to_string(),
        format!(
            "{} is somewhere else: the server answered 302 Found, to go to https://elsewhere.example/x",
            server.url("/")
        )
    );
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Handshake, true));
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn relative_locations_are_relative_to_where_we_are() {
    for (location, target) in
        [("/there", "/there"), ("there?a=b", "/there?a=b"), ("?q", "/?q"), ("./x/../there", "/there"), ("/a#b", "/a")]
    {
        let server = redirecting(location).await;
        let mut socket = Client::new().redirects(1).connect(server.url("/")).await.unwrap();
        assert_works(&mut socket).await;
        assert_eq!(targets(&server), ["/", target], "{location}");
    }
    let server = Server::start(|head| match head.split(' ').nth(1).unwrap() {
        "/a/b/c" => Answer::to("../d"),
        _ => Answer::Open,
    });
    let server = server.await;
    Client::new().redirects(1).connect(server.url("/a/b/c")).await.unwrap();
    assert_eq!(targets(&server), ["/a/b/c", "/a/d"]);
}

#[tokio::test]
async fn absolute_locations_may_be_of_http_or_without_a_scheme() {
    let server = Server::saying(Answer::Open).await;
    for location in [
        format!("http://{}/x", server.address),
        format!("ws://{}/x", server.address),
        format!("//{}/x", server.address),
    ] {
        let first = redirecting(&location).await;
        let mut socket = Client::new().redirects(1).connect(first.url("/")).await.unwrap();
        assert_works(&mut socket).await;
    }
    assert_eq!(targets(&server), ["/x", "/x", "/x"]);
}

#[tokio::test]
async fn every_status_that_keeps_a_get_a_get_is_followed_and_no_other() {
    for status in [300, 301, 302, 303, 304, 305, 307, 308, 200, 401] {
        let server = Server::start(move |head| {
            if !head.starts_with("GET / ") {
                return Answer::Open;
            }
            Answer::text(format!("HTTP/1.1 {status} Words\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"))
        });
        let server = server.await;
        let connected = Client::new().redirects(1).connect(server.url("/")).await.is_ok();
        assert_eq!(connected, matches!(status, 301 | 302 | 303 | 307 | 308), "{status}");
    }
}

#[tokio::test]
async fn on_the_same_server_everything_is_sent_again() {
    let server = redirecting("/there").await;
    let url = server.url("/").replace("ws://", "ws://me:pw@");
    let client = Client::new().header("X-Api-Key", "key").unwrap().subprotocol("chat").unwrap();
    client.redirects(1).connect(url).await.unwrap();
    let [first, second] = &server.heads()[..] else { panic!() };
    for name in ["Authorization", "X-Api-Key", "Sec-WebSocket-Protocol", "Host"] {
        assert!(field(first, name).is_some(), "{name}");
        assert_eq!(field(first, name), field(second, name), "{name}");
    }
    assert_ne!(field(first, "Sec-WebSocket-Key"), field(second, "Sec-WebSocket-Key"));
}

#[tokio::test]
async fn another_server_gets_no_credentials_and_neither_does_the_first_one_afterwards() {
    let last = Server::saying(Answer::Open).await;
    let stranger = Server::saying(Answer::to(last.url("/back"))).await;
    // With a user name in it, which would be somebody else's.
    let first = redirecting(&stranger.url("/x").replace("ws://", "ws://mallory:pw@")).await;
    let url = first.url("/").replace("ws://", "ws://me:pw@");
    let client = Client::new()
        .header("Cookie", "id=7")
        .unwrap()
        .header("X-Api-Key", "key")
        .unwrap()
        .header("User-Agent", "tests/1")
        .unwrap()
        .subprotocol("chat")
        .unwrap()
        .origin("https://page.example")
        .unwrap();
    client.redirects(2).connect(url).await.unwrap();
    assert!(field(&first.head(), "Authorization").is_some());
    for head in [stranger.head(), last.head()] {
        for name in ["Authorization", "Cookie", "X-Api-Key"] {
            assert_eq!(field(&head, name), None, "{name}");
        }
        assert_eq!(field(&head, "User-Agent").as_deref(), Some("tests/1"));
        assert_eq!(field(&head, "Sec-WebSocket-Protocol").as_deref(), Some("chat"));
        assert_eq!(field(&head, "Origin").as_deref(), Some("https://page.example"));
    }

    // There and back again.
    let stranger = Server::start(|head| Answer::to(field(head, "User-Agent").unwrap())).await;
    let to = stranger.url("/");
    let first =
        Server::start(move |head| if head.starts_with("GET / ") { Answer::to(&to) } else { Answer::Open }).await;
    let client = Client::new().bearer_auth("token").unwrap().header("User-Agent", first.url("/again")).unwrap();
    client.redirects(2).connect(first.url("/")).await.unwrap();
    let sent: Vec<_> = first.heads().iter().map(|head| field(head, "Authorization")).collect();
    assert_eq!(sent, [Some("Bearer token".into()), None]);
}

#[tokio::test]
async fn another_port_is_another_server() {
    let other = Server::saying(Answer::Open).await;
    let first = redirecting(&other.url("/")).await;
    assert_eq!(first.address.ip(), other.address.ip());
    Client::new().basic_auth("me", "pw").unwrap().redirects(1).connect(first.url("/")).await.unwrap();
    assert_eq!(field(&other.head(), "Authorization"), None);
}

#[tokio::test]
async fn there_are_no_more_than_allowed() {
    let server = Server::start(|head| {
        let number: u32 = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        Answer::to(format!("/{}", number + 1))
    });
    let server = server.await;
    let error = failure(&Client::new().redirects(3), &server.url("/0")).await;
    assert_eq!(error.to_string(), "the server redirects more often than 3 times");
    assert_eq!(targets(&server), ["/0", "/1", "/2", "/3"]);
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Redirect, true));
    assert!(matches!(error, Error::Redirect(RedirectError::TooMany { max: 3 })));
}

#[tokio::test]
async fn circles_are_seen() {
    let server = redirecting("/").await;
    let error = failure(&Client::new().redirects(9), &server.url("/")).await;
    assert_eq!(error.to_string(), format!("the redirects lead in a circle, back to {}", server.url("/")));

    let server = Server::start(|head| match head.split(' ').nth(1).unwrap() {
        "/a" => Answer::to("/b"),
        "/b" => Answer::to("/c"),
        _ => Answer::to("/b?"),
    });
    let server = server.await;
    // With a query, though empty, it is another one; the way from there leads back.
    let error = failure(&Client::new().redirects(9), &server.url("/a")).await;
    assert!(matches!(error, Error::Redirect(RedirectError::Loop { .. })), "{error:?}");
    assert_eq!(targets(&server), ["/a", "/b", "/c", "/b?"]);
}

#[tokio::test]
async fn what_leads_nowhere_is_an_error_that_says_why() {
    let server = Server::saying(Answer::text("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n")).await;
    let error = failure(&Client::new().redirects(1), &server.url("/")).await;
    assert_eq!(error.to_string(), format!("{} redirects without saying where to", server.url("/")));

    for (location, reason) in [
        ("ftp://h/", "the URL of a WebSocket server begins with ws:// or wss://, not with ftp:"),
        ("http://", "the URL has no host, or one that is neither a name nor an address"),
        ("http://h:0/", "the port is not a number from 1 to 65535"),
        ("/a\\b", "the URL could be misunderstood: backslash"),
        ("javascript:alert(1)", "the URL of a WebSocket server begins with ws:// or wss://, not with javascript:"),
    ] {
        let server = redirecting(location).await;
        let error = failure(&Client::new().redirects(1), &server.url("/")).await;
        let from = server.url("/");
        assert_eq!(error.to_string(), format!("{from} redirects to what is no URL of a WebSocket server: {reason}"));
        assert!(matches!(error, Error::Redirect(RedirectError::Location { .. })));
    }
}

#[tokio::test]
async fn a_refusal_behind_a_redirect_is_that_of_the_last_server() {
    let last = Server::saying(Answer::text("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    let first = redirecting(&last.url("/x")).await;
    let error = failure(&Client::new().redirects(1), &first.url("/")).await;
    assert_eq!(
        error.to_string(),
        format!("{} refused the connection: the server answered 403 Forbidden", last.url("/x"))
    );
}

/// A server can send us to any URL that fits into its answer.
#[tokio::test]
async fn however_long_the_url_is_that_a_server_sends_us_to_the_error_is_a_line() {
    let last = Server::saying(Answer::text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")).await;
    let long = "a".repeat(9_000);
    for location in [
        last.url(&format!("/{long}")),
        format!("{long}:x"),
        format!("ws://{long}.example/"),
        format!("ws://{long}@{}/{long}", last.address),
    ] {
        let first = redirecting(&location).await;
        let said = failure(&Client::new().redirects(1), &first.url("/")).await.to_string();
        assert!(said.len() < 500, "{} bytes: {said}", said.len());
    }
}
