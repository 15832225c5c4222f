//! The opening handshake of both sides on tokio.

mod async_support;

use async_support::*;
use sockeye::handshake::{ClientRequest, OriginPolicy, Rejection, RequestError, ResponseError, ServerConfig};
use sockeye::tokio::{Acceptor, Connector, Error, WebSocket, accept};
use sockeye::{Close, Config, Connection, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

fn client_request() -> ClientRequest {
    ClientRequest::new("a.example", "/chat?room=1").unwrap()
}

/// Echoes until the other side closes.
async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut socket: WebSocket<S>) -> Result<(), Error> {
    while let Some(message) = socket.receive().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn assert_works<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut socket: WebSocket<S>) {
    socket.send("hello").await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), Some("hello".into()));
    socket.close(Close::normal()).await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn accept_and_handshake_with_the_defaults() {
    for size in [1, 3, 4096] {
        let (ours, theirs) = tokio::io::duplex(size);
        let serving = tokio::spawn(async move { echo(accept(ours).await?).await });
        let socket = soon(Connector::default().handshake(theirs, client_request())).await.unwrap();
        assert_eq!(socket.response().unwrap().headers().get("Upgrade"), Some("websocket"));
        assert_works(socket).await;
        soon(serving).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn connect_over_tcp_by_an_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = Acceptor::default();
        let seen = acceptor.accept_with(stream, |acceptance, stream| {
            assert!(stream.peer_addr().unwrap().ip().is_loopback());
            assert_eq!(acceptance.request().target(), "/chat?room=1");
            Ok(acceptance.respond())
        });
        echo(seen.await?).await
    });
    let socket = sockeye::tokio::connect(&format!("ws://127.0.0.1:{port}/chat?room=1")).await.unwrap();
    assert!(socket.get_ref().nodelay().unwrap());
    assert_works(socket).await;
    serving.await.unwrap().unwrap();
    let error = sockeye::tokio::connect("http://127.0.0.1/").await.unwrap_err();
    assert!(matches!(error, Error::Uri(_)), "{error:?}");
    let error = sockeye::tokio::connect(&format!("ws://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn callback_sees_the_request_and_the_stream_and_picks_a_subprotocol_and_header_fields() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut acceptor = Acceptor::default();
    let mut server = ServerConfig::default();
    server.origins = OriginPolicy::Any;
    acceptor.handshake = server.into();
    let accepting = tokio::spawn(async move {
        let accepted = acceptor.accept_with(ours, |acceptance, stream| {
            let _: &tokio::io::DuplexStream = stream;
            let request = acceptance.request();
            assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
            assert_eq!(request.origin(), Some("https://b.example"));
            assert_eq!(request.headers().get("Cookie"), Some("id=7"));
            assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat.v1", "chat.v2"]);
            Ok(acceptance.select_subprotocol(&["chat.v2"]).header("Server", "tests").unwrap().respond())
        });
        accepted.await
    });
    let request = client_request().subprotocol("chat.v1").unwrap().subprotocol("chat.v2").unwrap();
    let request = request.origin("https://b.example").unwrap().header("Cookie", "id=7").unwrap();
    let theirs = soon(Connector::default().handshake(theirs, request)).await.unwrap();
    let ours = soon(accepting).await.unwrap().unwrap();
    assert_eq!((ours.subprotocol(), theirs.subprotocol()), (Some("chat.v2"), Some("chat.v2")));
    assert_eq!(theirs.response().unwrap().headers().get("server"), Some("tests"));
    assert_eq!(ours.split().1.subprotocol(), Some("chat.v2"));
}

#[tokio::test(start_paused = true)]
async fn request_is_there_before_it_is_decided_on() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let connecting = tokio::spawn(async move { Connector::default().handshake(theirs, client_request()).await });
    let mut accepting = Acceptor::default().start(ours);
    assert_eq!(soon(accepting.request()).await.unwrap().path(), "/chat");
    // Again, and after something else was waited for.
    tokio::time::sleep(secs(3)).await;
    assert_eq!(soon(accepting.request()).await.unwrap().host(), Some("a.example"));
    assert!(accepting.get_ref().is_some() && !connecting.is_finished());
    let serving = tokio::spawn(echo(accepting.accept().await.unwrap()));
    assert_works(soon(connecting).await.unwrap().unwrap()).await;
    soon(serving).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn rejection_is_answered_and_told_to_both() {
    for late in [false, true] {
        let (ours, theirs) = tokio::io::duplex(4096);
        let connecting = tokio::spawn(async move { Connector::default().handshake(theirs, client_request()).await });
        let rejection = || Rejection::new(401).unwrap().header("WWW-Authenticate", "Bearer").unwrap().body("Log in.\n");
        let error = if late {
            let mut accepting = Acceptor::default().start(ours);
            soon(accepting.request()).await.unwrap();
            soon(accepting.reject(rejection())).await
        } else {
            soon(Acceptor::default().accept_with(ours, |_, _| Err(rejection()))).await.unwrap_err()
        };
        assert!(
            matches!(error, Error::Rejected(rejection) if rejection.status() == 401 && rejection.cause().is_none())
        );
        let error = soon(connecting).await.unwrap().unwrap_err();
        let Error::Response(ResponseError::Refused(refused)) = error else { panic!("{error:?}") };
        assert_eq!((refused.status, &refused.body[..]), (401, &b"Log in.\n"[..]));
        assert_eq!(refused.headers.get("WWW-Authenticate"), Some("Bearer"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_handshake_or_comes_from_another_site_is_refused() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned(), 426),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (REQUEST.replace("Host:", "Origin: https://evil.example\r\nHost:"), 403),
        (REQUEST.replace("GET", "POST"), 405),
    ] {
        let stream = Mock::ending(request);
        let error = soon(Acceptor::default().accept(stream.clone())).await.unwrap_err();
        let Error::Rejected(rejection) = error else { panic!("{error:?}") };
        assert_eq!((rejection.status(), rejection.cause().is_some()), (status, true));
        let answer = String::from_utf8(stream.output()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(stream.script().shutdowns, 1);
    }
    let evil = REQUEST.replace("Host:", "Origin: https://evil.example\r\nHost:");
    let error = soon(Acceptor::default().accept(Mock::ending(evil))).await.unwrap_err();
    assert!(matches!(error, Error::Rejected(rejection)
        if matches!(rejection.cause(), Some(RequestError::OriginRefused { .. }))));
}

#[tokio::test(start_paused = true)]
async fn refused_client_is_read_for_a_while_so_that_it_gets_the_answer() {
    let (ours, mut theirs) = tokio::io::duplex(100_000);
    theirs.write_all(REQUEST.as_bytes()).await.unwrap();
    theirs.write_all(&[0; 50_000]).await.unwrap();
    let rejecting =
        tokio::spawn(
            async move { Acceptor::default().accept_with(ours, |_, _| Err(Rejection::new(403).unwrap())).await },
        );
    let started = Instant::now();
    let mut answer = String::new();
    theirs.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "));
    assert!(!rejecting.is_finished());
    // What it still sends is read, until it closes.
    theirs.write_all(&[0; 50_000]).await.unwrap();
    settle().await;
    theirs.shutdown().await.unwrap();
    assert!(matches!(soon(rejecting).await.unwrap(), Err(Error::Rejected(_))));
    assert_eq!(started.elapsed(), secs(0));

    // One that does not close is not waited for long.
    let stream = Mock::new(REQUEST);
    let started = Instant::now();
    let acceptor = Acceptor::default();
    let rejected = acceptor.accept_with(stream, |_, _| Err(Rejection::new(403).unwrap()));
    assert!(soon(rejected).await.is_err());
    assert!(started.elapsed() <= secs(3), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn first_frames_in_the_segment_of_the_request_or_of_the_answer_are_not_lost() {
    for most in [1, usize::MAX] {
        let frames = [masked(TEXT, b"early"), masked(PING, b"?"), masked(0x01, b"ha")].concat();
        let stream = Mock::new([REQUEST.as_bytes(), &frames].concat());
        stream.script().most = most;
        let mut socket = soon(accept(stream.clone())).await.unwrap();
        assert_eq!(soon(socket.receive()).await.unwrap(), Some("early".into()));
        stream.feed(&masked(0x80, b"lf"));
        assert_eq!(soon(socket.receive()).await.unwrap(), Some("half".into()));
        assert!(now(socket.receive()).is_none());
        assert_eq!(stream.output(), [RESPONSE.as_bytes(), &unmasked(PONG, b"?")].concat());

        let stream = Mock::new([RESPONSE.as_bytes(), &unmasked(TEXT, b"early"), &unmasked(TEXT, b"two")].concat());
        let request = ClientRequest::with_key("a.example", "/chat", *b"the sample nonce").unwrap();
        let mut written = Vec::new();
        request.write(&mut written);
        stream.change(|script| (script.most, script.reads_from) = (most, written.len()));
        let mut socket = soon(Connector::default().handshake(stream, request)).await.unwrap();
        assert_eq!(soon(socket.receive()).await.unwrap(), Some("early".into()));
        assert_eq!(soon(socket.receive()).await.unwrap(), Some("two".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_comes_before_the_request_is_written_leaves_the_request_whole() {
    let stream = Mock::new(RESPONSE);
    let request = ClientRequest::with_key("a.example", "/chat", *b"the sample nonce").unwrap();
    let mut written = Vec::new();
    request.write(&mut written);
    stream.script().room = written.len() - 10;
    let connecting = tokio::spawn({
        let stream = stream.clone();
        async move { Connector::default().handshake(stream, request).await }
    });
    settle().await;
    stream.release();
    // That it is refused is as good as that it works; but no frame may stand in half a request.
    if let Ok(mut socket) = soon(connecting).await.unwrap() {
        socket.send("hello").await.unwrap();
        let output = stream.output();
        assert_eq!(String::from_utf8_lossy(&output[..written.len()]), String::from_utf8_lossy(&written));
        assert_eq!(plain(&output[written.len()..]), [(TEXT, b"hello".to_vec())]);
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_is_read_though_the_server_takes_no_more_of_the_request() {
    let stream = Mock::ending("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n");
    stream.script().write_error = Some((20, std::io::ErrorKind::BrokenPipe));
    let error = soon(Connector::default().handshake(stream, client_request())).await.unwrap_err();
    assert!(matches!(error, Error::Response(ResponseError::Refused(refused)) if refused.status == 503));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_read_before_begin_the_handshake() {
    for at in [0, 1, 20, REQUEST.len() - 1, REQUEST.len(), REQUEST.len() + 3] {
        let all = [REQUEST.as_bytes(), &masked(TEXT, b"early")].concat();
        let stream = Mock::new(&all[at..]);
        let accepting = Acceptor::default().start(stream.clone()).with_input(&all[..at]);
        let mut socket = soon(accepting.accept()).await.unwrap();
        assert_eq!(soon(socket.receive()).await.unwrap(), Some("early".into()), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_away_in_the_middle_is_an_error() {
    let stream = Mock::ending(&REQUEST.as_bytes()[..30]);
    let error = soon(Acceptor::default().accept(stream)).await.unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error:?}");
    let stream = Mock::new("");
    stream.script().at_end = Some(Err(std::io::ErrorKind::ConnectionReset));
    let error = soon(Acceptor::default().accept(stream.clone())).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let error = soon(Connector::default().handshake(stream, client_request())).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let error = soon(Connector::default().handshake(Mock::ending(""), client_request())).await.unwrap_err();
    assert!(matches!(error, Error::Response(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn wrong_answers_are_refused() {
    for answer in [
        RESPONSE.replace("s3pPLMBi", "AAAAAAAA"),
        RESPONSE.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: none\r\n\r\n"),
        RESPONSE.replace("Upgrade: websocket\r\n", ""),
    ] {
        let request = ClientRequest::with_key("a.example", "/chat", *b"the sample nonce").unwrap();
        let error = soon(Connector::default().handshake(Mock::new(answer), request)).await.unwrap_err();
        assert!(matches!(error, Error::Response(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stream_that_somebody_else_upgraded_is_wrapped_as_either_role() {
    let (ours, theirs) = tokio::io::duplex(100);
    let serving = tokio::spawn(echo(WebSocket::server(ours, Config::default())));
    assert_works(WebSocket::client(theirs, Config::default())).await;
    soon(serving).await.unwrap().unwrap();

    let (ours, theirs) = tokio::io::duplex(100);
    let frame = masked(TEXT, b"left over");
    let mut server = WebSocket::resume(ours, Connection::server(Config::default()), &frame[..5]);
    let (leftover, mut theirs) = (unmasked(TEXT, b"left over"), theirs);
    theirs.write_all(&frame[5..]).await.unwrap();
    let mut client = WebSocket::resume(theirs, Connection::client(Config::default()), &leftover);
    assert_eq!(soon(server.receive()).await.unwrap(), Some("left over".into()));
    assert_eq!(soon(client.receive()).await.unwrap(), Some("left over".into()));
    assert_eq!((server.state(), server.response().is_none()), (State::Open, true));
}
