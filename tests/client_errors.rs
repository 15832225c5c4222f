//! What a user reads: the message of each error, as text.

mod client_support;

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use client_support::*;
use sockeye::client::Family::{V4, V6};
use sockeye::client::{BoxFuture, Client, Error, Family, Resolve, Stage, TcpOptions};
use tokio::net::TcpListener;

/// An address of this machine where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A resolver that fails.
struct Failing(fn() -> io::Error);

impl Resolve for Failing {
    fn resolve<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Err((self.0)()) })
    }
}

#[tokio::test]
async fn name_that_is_not_found() {
    let client = Client::new().resolver(Failing(|| ErrorKind::NotFound.into()));
    let error = failure(&client, "ws://no-such-host.example/").await;
    assert_eq!(
        error.to_string(),
        "no address was found for the name \"no-such-host.example\": is it spelled right, and is there a network?"
    );
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Lookup, false));
}

#[tokio::test]
async fn name_server_that_fails() {
    let client = Client::new().resolver(Failing(|| io::Error::other("the name server is on fire")));
    let error = failure(&client, "ws://test.example/").await;
    assert_eq!(error.to_string(), "the address of \"test.example\" could not be looked up: the name server is on fire");
    assert_eq!(error.source().unwrap().to_string(), "the name server is on fire");
}

#[tokio::test]
async fn port_where_nobody_listens() {
    let address = nobody().await;
    let error = failure(&Client::new(), &format!("ws://{address}/chat")).await;
    assert_eq!(error.to_string(), format!("cannot connect to {address}: connection refused ({address})"));
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Connect, false));
    let Error::Connect { attempts, .. } = error else { panic!("{error:?}") };
    assert_eq!(attempts[0].error.kind(), ErrorKind::ConnectionRefused);
}

/// What the system knows of a name that needs no name server.
#[tokio::test]
async fn localhost_is_looked_up_by_the_system() {
    let server = Server::saying(Answer::Open).await;
    let url = format!("ws://localhost:{}/", server.address.port());
    let mut socket = Client::new().connect(&url).await.unwrap();
    assert_works(&mut socket).await;
    assert_eq!(field(&server.head(), "Host"), Some(format!("localhost:{}", server.address.port())));
}

#[tokio::test]
async fn address_to_bind_to_that_is_not_ours() {
    let server = Server::saying(Answer::Open).await;
    let mut tcp = TcpOptions::default();
    // RFC 5737: nobody has it.
    tcp.bind = Some("192.0.2.7".parse().unwrap());
    let error = failure(&Client::new().tcp(tcp), &server.url("/")).await;
    assert_eq!(error.to_string(), format!("cannot connect to {0}: address not available ({0})", server.address));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn address_to_bind_to_and_options_of_the_socket_are_used() {
    let server = Server::saying(Answer::Open).await;
    let mut tcp = TcpOptions::default();
    tcp.bind = Some("127.0.0.2".parse().unwrap());
    tcp.nodelay = false;
    tcp.keepalive = Some(secs(60));
    tcp.send_buffer = Some(16 * 1024);
    tcp.receive_buffer = Some(16 * 1024);
    let mut socket = Client::new().tcp(tcp).connect(server.url("/")).await.unwrap();
    assert_works(&mut socket).await;
    let stream = socket.get_ref().tcp().unwrap();
    assert_eq!(stream.local_addr().unwrap().ip().to_string(), "127.0.0.2");
    assert!(!stream.nodelay().unwrap());
    let stream = socket2::SockRef::from(stream);
    assert!(stream.keepalive().unwrap());
    // Linux doubles it.
    assert_eq!((stream.send_buffer_size().unwrap(), stream.recv_buffer_size().unwrap()), (32 * 1024, 32 * 1024));
}

#[tokio::test]
async fn server_that_refuses_or_is_something_else() {
    let html = "<!DOCTYPE html><title>Hi</title>";
    for (answer, message) in [
        (
            format!("200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n{html}", html.len()),
            "URL is not a WebSocket endpoint: the server answered 200 OK with text/html".to_owned(),
        ),
        (
            "204 No Content\r\n\r\n".into(),
            "URL is not a WebSocket endpoint: the server answered 204 No Content".into(),
        ),
        (
            "401 Unauthorized\r\nContent-Length: 0\r\n\r\n".into(),
            "URL refused the connection: the server answered 401 Unauthorized".into(),
        ),
        (
            "403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n\r\nOnly members\r\n\tmay come in".into(),
            "URL refused the connection: the server answered 403 Forbidden, saying \"Only members may come in\"".into(),
        ),
        (
            "404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"error\":\"room7\"}".into(),
            "URL refused the connection: the server answered 404 Not Found, saying \"{\\\"error\\\":\\\"room7\\\"}\"".into(),
        ),
        (
            "422 No\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}".into(),
            "URL refused the connection: the server answered 422 No, saying \"{}\"".into(),
        ),
        (
            "502\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>".into(),
            "URL refused the connection: the server answered 502 with text/html".into(),
        ),
        (
            format!("503 Busy\r\nContent-Length: 400\r\n\r\n{}", "x".repeat(400)),
            format!("URL refused the connection: the server answered 503 Busy, saying \"{}…\"", "x".repeat(200)),
        ),
        // Nothing that steers a terminal, and one line.
        (
            "400 Bad\r\nContent-Length: 21\r\n\r\na\x1b[2J\x07b\r\nc \u{202e}dd\u{200b}e ".into(),
            "URL refused the connection: the server answered 400 Bad, saying \"a\u{fffd}[2J\u{fffd}b c \u{fffd}dd\u{fffd}e\"".into(),
        ),
        (
            "307 Temporary Redirect\r\nLocation: https://me:pw@h/login?token=x\r\nContent-Length: 0\r\n\r\n".into(),
            "URL is somewhere else: the server answered 307 Temporary Redirect, to go to h/login".into(),
        ),
    ] {
        let server = Server::saying(Answer::text(format!("HTTP/1.1 {answer}"))).await;
        let error = failure(&Client::new(), &server.url("/chat?token=secret")).await;
        assert_eq!(error.to_string(), message.replace("URL", &server.url("/chat")));
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

/// No more of it is kept than 4 KiB, wherever that ends.
#[tokio::test]
async fn a_body_that_is_cut_within_a_character_is_shown_all_the_same() {
    let body = format!("Zutritt nur für Mitglieder{}", "ü".repeat(4_000));
    let answer = format!("HTTP/1.1 403 Nein\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let server = Server::saying(Answer::text(answer)).await;
    let error = failure(&Client::new(), &server.url("/")).await;
    assert!(error.to_string().contains("403 Nein, saying \"Zutritt nur für Mitglieder"), "{error}");
}

#[tokio::test]
async fn whatever_the_body_is_it_does_not_break_the_message() {
    let server =
        Server::saying(Answer::Bytes(b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\n\xff\xfe\x00".into())).await;
    let error = failure(&Client::new(), &server.url("/")).await;
    assert_eq!(error.to_string(), format!("{} refused the connection: the server answered 500 Oh", server.url("/")));
}

#[tokio::test(start_paused = true)]
async fn connection_that_breaks() {
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let error = Client::new().connect_over(ours, "ws://test.example/x").await.unwrap_err();
    assert_eq!(error.to_string(), "ws://test.example/x closed the connection during the opening handshake");

    let broken = broken_stream();
    let error = Client::new().connect_over(broken, "ws://test.example/x").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the connection to ws://test.example/x broke during the opening handshake: the cable is out"
    );
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Handshake, false));
    assert_eq!(error.source().unwrap().to_string(), "the cable is out");
}

/// A stream that fails.
fn broken_stream() -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {
    struct Broken;
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Err(io::Error::other("the cable is out")))
        }
    }
    tokio::io::join(Broken, tokio::io::sink())
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_before_there_is_a_connection_needs_none() {
    let network = Network::new();
    let client = network.client();
    for url in ["http://h/", "ws://h/#x", "", "ws://h:0/"] {
        let error = failure(&client, url).await;
        assert_eq!((error.stage(), error.is_permanent(), error.retry_after()), (Stage::Request, true, None), "{url}");
    }
    assert_eq!(network.log(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_knows_one_family_only_is_enough() {
    let network = Network::new().finds_nothing(V6, ms(0), ErrorKind::Other).finds(V4, ms(0), &["192.0.2.1"]).host(
        "192.0.2.1:80",
        ms(0),
        Reaction::Accept,
    );
    let mut socket = soon(network.client().connect("ws://test.example/")).await.unwrap();
    assert_works(&mut socket).await;
}

#[test]
fn errors_are_errors_that_move_between_threads() {
    fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
    is_error::<Error>();
    is_error::<sockeye::client::Refused>();
    is_error::<sockeye::client::UrlError>();
    is_error::<sockeye::client::RedirectError>();
    is_error::<sockeye::client::InvalidCredentials>();
}
