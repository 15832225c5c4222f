//! Opening handshakes of the client that do not go well, and ways to a server other than TCP.

mod client_support;

use std::time::{Duration, SystemTime};

use client_support::*;
use sockeye::client::{Client, Error, RetryAfter, Stage, Timeouts};
use sockeye::handshake::ClientConfig;

#[tokio::test]
async fn refusal_has_status_header_fields_and_body() {
    let answer = "HTTP/1.1 403 Forbidden\r\nX-Reason: banned\r\nContent-Length: 12\r\n\r\nGo away now.";
    let server = Server::saying(Answer::text(answer)).await;
    let error = failure(&Client::new(), &server.url("/chat?token=secret")).await;
    assert_eq!((error.stage(), error.is_permanent(), error.retry_after()), (Stage::Handshake, true, None));
    assert_eq!(
        error.to_string(),
        format!(
            "{} refused the connection: the server answered 403 Forbidden, saying \"Go away now.\"",
            server.url("/chat")
        )
    );
    let refused = error.refusal().unwrap();
    assert_eq!((refused.status, &*refused.reason), (403, "Forbidden"));
    assert_eq!(refused.headers.get("x-reason"), Some("banned"));
    assert_eq!((&refused.body[..], refused.truncated), (&b"Go away now."[..], false));
}

#[tokio::test]
async fn body_of_a_refusal_is_bounded_though_it_never_ends() {
    for head in [
        &b"HTTP/1.1 500 Sorry\r\n\r\n"[..],
        b"HTTP/1.1 500 Sorry\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 500 Sorry\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    ] {
        let server = Server::saying(Answer::Endless(head, &[b'x'; 1000])).await;
        let error = failure(&Client::new(), &server.url("/")).await;
        let refused = error.refusal().unwrap();
        assert_eq!((refused.status, refused.body.len(), refused.truncated), (500, 4096, true));
        assert!(error.to_string().len() < 400, "{error}");

        let mut handshake = ClientConfig::default();
        handshake.max_refusal_body = 10;
        let error = failure(&Client::new().handshake(handshake), &server.url("/")).await;
        assert_eq!(error.refusal().unwrap().body, b"xxxxxxxxxx");
    }
}

#[tokio::test]
async fn endless_heads_end() {
    for (first, again, reason) in [
        (
            &b"HTTP/1.1 101 Switching Protocols\r\nX: "[..],
            &b"xxxxxxxxxxxxxxxx"[..],
            "the head is longer than 16384 bytes",
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n", b"X: y\r\n", "the head is longer than 16384 bytes"),
        (b"HTTP/1.1 ", b"1", "the head is longer than 16384 bytes"),
        // Interim responses count, too.
        (b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", "the head is longer than 16384 bytes"),
        (b"", b"garbage", "the head is not HTTP/1.1: malformed start line"),
        (b"SSH-2.0-OpenSSH\r\n", b"x", "the head is not HTTP/1.1: malformed start line"),
    ] {
        let server = Server::saying(Answer::Endless(first, again)).await;
        let error = failure(&Client::new(), &server.url("/")).await;
        assert_eq!(error.to_string(), format!("{} does not speak WebSocket as it should: {reason}", server.url("/")));
        assert!(!error.is_permanent(), "half a head is no reason to give up for good");
    }
}

#[tokio::test]
async fn wrong_answers_say_what_is_wrong_with_them() {
    for (answer, reason) in [
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", "the Sec-WebSocket-Accept header field is missing"),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n",
            "the Sec-WebSocket-Accept header field does not answer our key",
        ),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\n", "the Upgrade header field is not websocket"),
    ] {
        let server = Server::saying(Answer::text(format!("HTTP/1.1 101 Switching Protocols\r\n{answer}\r\n"))).await;
        let error = failure(&Client::new(), &server.url("/?q")).await;
        assert_eq!(error.to_string(), format!("{} does not speak WebSocket as it should: {reason}", server.url("/")));
        assert!(error.is_permanent() && std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn server_that_closes_in_the_middle_is_named_so() {
    for answer in [Answer::Close, Answer::text(""), Answer::text("HTTP/1.1 101 Switching Protocols\r\nUpgr")] {
        let server = Server::saying(answer).await;
        let error = failure(&Client::new(), &server.url("/x")).await;
        assert_eq!(
            error.to_string(),
            format!("{} closed the connection during the opening handshake", server.url("/x"))
        );
        assert_eq!((error.stage(), error.is_permanent()), (Stage::Handshake, false));
    }
}

#[tokio::test]
async fn which_statuses_are_permanent_and_when_to_come_back() {
    for (status, is_permanent) in [
        (200, true),
        (302, true),
        (400, true),
        (401, true),
        (403, true),
        (404, true),
        (407, true),
        (408, false),
        (410, true),
        (425, false),
        (426, true),
        (429, false),
        (500, false),
        (502, false),
        (503, false),
        (504, false),
    ] {
        let server = Server::saying(Answer::text(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))).await;
        assert_eq!(failure(&Client::new(), &server.url("/")).await.is_permanent(), is_permanent, "{status}");
    }
    for (value, retry_after) in [
        ("120", Some(RetryAfter::Delay(secs(120)))),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(RetryAfter::At(SystemTime::UNIX_EPOCH + secs(784_111_777)))),
        ("soon", None),
    ] {
        let answer = format!("HTTP/1.1 503 Wait\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::saying(Answer::text(answer)).await;
        assert_eq!(failure(&Client::new(), &server.url("/")).await.retry_after(), retry_after, "{value}");
    }
}

#[tokio::test]
async fn stream_of_ones_own_is_connected_over() {
    let client = Client::new().basic_auth("me", "pw").unwrap().redirects(5);
    let mut socket = client.connect_over(echo(), "ws://test.example/chat").await.unwrap();
    assert_works(&mut socket).await;
    assert!(socket.get_ref().tcp().is_none());

    // Where it leads is the caller's business, so a redirect cannot be followed.
    let error = client.connect_over(answering(Answer::to("/there")), "ws://test.example/x").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ws://test.example/x is somewhere else: the server answered 302 Found, to go to /there"
    );
}

/// A name that nobody offered may be as long as the answer.
#[tokio::test]
async fn however_long_a_wrong_name_is_the_error_is_a_line() {
    for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
        let server = Server::start(move |head| {
            let accept = sockeye::handshake::accept_key(&field(head, "Sec-WebSocket-Key").unwrap());
            Answer::text(format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n{name}: {}\r\n\r\n",
                accept.as_str(),
                "x".repeat(9_000)
            ))
        });
        let server = server.await;
        let said = failure(&Client::new(), &server.url("/")).await.to_string();
        assert!(said.contains("does not speak WebSocket as it should: the server"), "{said}");
        assert!(said.len() < 400, "{} bytes: {said}", said.len());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn unix_socket_is_connected_to_whatever_the_host() {
    let directory = std::env::temp_dir().join(format!("sockeye-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut seen = String::new();
        serve(stream, |head| {
            seen = head.into();
            Answer::Open
        })
        .await;
        seen
    });
    let client = Client::new().unix_socket(&path);
    let mut socket = client.connect("ws://no-such-host.invalid/v1/events").await.unwrap();
    assert_works(&mut socket).await;
    drop(socket);
    let head = soon(serving).await.unwrap();
    assert_eq!(field(&head, "Host").as_deref(), Some("no-such-host.invalid"));

    std::fs::remove_dir_all(&directory).unwrap();
    let error = failure(&client, "ws://h/").await;
    assert_eq!(
        error.to_string(),
        format!("cannot connect to the socket {}: no such file or directory", path.display())
    );
    assert!(matches!(error, Error::Unix { .. }) && error.stage() == Stage::Connect);
}

/// On Linux; other systems refuse at once where too many wait.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_unix_socket_that_is_full_is_waited_for() {
    let directory = std::env::temp_dir().join(format!("sockeye-client-waits-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let first = std::os::unix::net::UnixStream::connect(&path).unwrap();

    let mut timeouts = Timeouts::default();
    timeouts.connect = Some(Duration::from_millis(20));
    let client = Client::new().unix_socket(&path);
    let error = failure(&client.clone().timeouts(timeouts), "ws://localhost/").await;
    assert_eq!(error.to_string(), format!("connecting to the socket {} took longer than 20ms", path.display()));

    let serving = std::thread::spawn(move || {
        listener.accept().unwrap();
        let stream = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(listener.accept().unwrap().0));
        sockeye::blocking::accept(stream).unwrap().receive().unwrap()
    });
    let mut socket = soon(client.connect("ws://localhost/")).await.unwrap();
    socket.send("it had room").await.unwrap();
    drop(socket);
    assert_eq!(serving.join().unwrap(), Some(sockeye::Message::from("it had room")));
    drop(first);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[cfg(not(any(feature = "rustls-no-provider", feature = "native-tls")))]
#[tokio::test]
async fn without_tls_a_wss_url_is_an_error_that_says_what_to_turn_on() {
    let server = Server::saying(Answer::Open).await;
    let url = format!("wss://{}/chat?token=secret", server.address);
    let error = failure(&Client::new(), &url).await;
    assert_eq!(
        error.to_string(),
        format!(
            "wss://{}/chat needs TLS, and this program was built without it: turn on the feature rustls or native-tls \
             of sockeye",
            server.address
        )
    );
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Tls, true));
    // Nobody was bothered with it.
    assert_eq!(server.heads().len(), 0);
    let error = Client::new().connect_over(echo(), url).await.unwrap_err();
    assert!(matches!(error, Error::NoTls { .. }));
}
