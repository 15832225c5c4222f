//! The opening handshake over the blocking adapter: accept, connect, and what goes wrong between the two.

mod blocking_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use blocking_support::*;
use sockeye::blocking::{Acceptor, Connector, Error, connect};
use sockeye::handshake::{ClientRequest, HeadError, Rejection, RequestError, ResponseError};
use sockeye::{Config, UriError, WsUri};

fn sample_request() -> ClientRequest {
    ClientRequest::with_key("a.example", "/chat?room=1", *b"the sample nonce").expect("a request")
}

/// Serves one connection by `serve` and gives its address and result.
fn serve<T: Send + 'static>(
    host: &str,
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> Option<(u16, thread::JoinHandle<T>)> {
    let listener = TcpListener::bind((host, 0)).ok()?;
    let port = listener.local_addr().expect("an address").port();
    Some((port, thread::spawn(move || serve(listener.accept().expect("a connection").0))))
}

#[test]
fn application_sees_target_and_headers_and_picks_the_subprotocol() {
    let (port, server) = serve("127.0.0.1", |stream| {
        let mut seen = None;
        let mut socket = Acceptor::default().accept_with(stream, |acceptance| {
            let request = acceptance.request();
            seen = Some((
                request.target().to_owned(),
                request.path().to_owned(),
                request.query().map(str::to_owned),
                request.headers().get("X-Token").map(str::to_owned),
                request.host().map(str::to_owned),
            ));
            Ok(acceptance.subprotocol("chat.v2")?.header("X-Served-By", "test")?.respond())
        })?;
        while let Some(message) = socket.receive()? {
            socket.send(&message)?;
        }
        Ok::<_, Error>((seen, socket.subprotocol().map(str::to_owned)))
    })
    .expect("IPv4");

    let uri: WsUri = format!("ws://127.0.0.1:{port}/chat?room=1").parse().expect("an address");
    let request = uri.request().unwrap().subprotocol("chat.v1").unwrap().subprotocol("chat.v2").unwrap();
    let mut socket = Connector::default().connect_with(&uri, request.header("X-Token", "abc").unwrap()).unwrap();
    assert_eq!(socket.response().unwrap().headers().get("x-served-by"), Some("test"));
    assert_eq!(socket.subprotocol(), Some("chat.v2"));
    assert!(socket.get_ref().nodelay().unwrap());
    socket.send("hello").unwrap();
    assert_eq!(socket.receive().unwrap(), Some("hello".into()));
    socket.close(sockeye::Close::normal()).unwrap();
    assert_eq!(socket.receive().unwrap(), None);

    let (seen, subprotocol) = server.join().unwrap().unwrap();
    let host = Some(format!("127.0.0.1:{port}"));
    let target = "/chat?room=1".to_owned();
    assert_eq!(seen, Some((target, "/chat".into(), Some("room=1".into()), Some("abc".into()), host)));
    assert_eq!(subprotocol.as_deref(), Some("chat.v2"));
}

#[test]
fn connect_reaches_an_ipv6_host() {
    let Some((port, server)) = serve("::1", |stream| sockeye::blocking::accept(stream)?.send("six")) else {
        return; // no IPv6 here
    };
    let mut socket = connect(&format!("ws://[::1]:{port}/")).unwrap();
    assert_eq!(socket.receive().unwrap(), Some("six".into()));
    server.join().unwrap().unwrap();
}

#[test]
fn connect_resolves_a_name_and_tries_all_its_addresses() {
    let (port, server) = serve("127.0.0.1", |stream| sockeye::blocking::accept(stream)?.send("hi")).expect("IPv4");
    // It may stand for ::1, too, where nobody listens.
    let mut socket = connect(&format!("ws://localhost:{port}")).unwrap();
    assert_eq!(socket.receive().unwrap(), Some("hi".into()));
    server.join().unwrap().unwrap();
}

#[test]
fn connect_says_what_is_wrong_with_an_address_and_that_nobody_listens() {
    assert!(matches!(connect("wss://a.example/"), Err(Error::Uri(UriError::Tls))));
    assert!(matches!(connect("http://a.example/"), Err(Error::Uri(UriError::Scheme))));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = connect(&format!("ws://127.0.0.1:{port}/")).unwrap_err();
    assert!(matches!(error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused));
}

#[test]
fn client_gets_a_rejection_as_an_error_with_status_headers_and_body() {
    let (port, server) = serve("127.0.0.1", |stream| {
        let rejection = || Ok::<_, Rejection>(Rejection::new(401)?.header("WWW-Authenticate", "Bearer")?.body("who?"));
        Acceptor::default().accept_with(stream, |_| Err(rejection().unwrap_or_else(|error| error)))
    })
    .expect("IPv4");
    let error = connect(&format!("ws://127.0.0.1:{port}/")).unwrap_err();
    let Error::Response(ResponseError::Refused(refused)) = error else { panic!("{error}") };
    assert_eq!((refused.status, &*refused.body, refused.truncated), (401, &b"who?"[..], false));
    assert_eq!(refused.headers.get("www-authenticate"), Some("Bearer"));
    let error = server.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the opening handshake was refused with status 401");
}

#[test]
fn request_is_read_at_every_split_with_the_frames_behind_it() {
    let input = [REQUEST.as_bytes(), &masked(0x81, b"first"), &masked(0x82, b"second")].concat();
    for split in 0..=input.len() {
        let stream = Scripted::new(&input[..]);
        stream.script().read_stops.push_back((split, None));
        let mut socket = sockeye::blocking::accept(stream.clone()).unwrap();
        assert_eq!(socket.receive().unwrap(), Some("first".into()), "{split}");
        assert_eq!(socket.receive().unwrap(), Some(b"second".to_vec().into()), "{split}");
        assert_eq!(stream.output(), RESPONSE.as_bytes(), "{split}");
    }
}

#[test]
fn response_is_read_at_every_split_with_the_frames_behind_it() {
    let input = [RESPONSE.as_bytes(), &plain(0x81, b"first"), &plain(0x82, b"second")].concat();
    for split in 0..=input.len() {
        let stream = Scripted::new(&input[..]);
        stream.script().read_stops.push_back((split, None));
        let mut socket = Connector::default().handshake(stream.clone(), sample_request()).unwrap();
        assert_eq!(socket.receive().unwrap(), Some("first".into()), "{split}");
        assert_eq!(socket.receive().unwrap(), Some(b"second".to_vec().into()), "{split}");
    }
}

#[test]
fn request_and_response_byte_by_byte_are_read() {
    let stops = |len| (0..len).map(|at| (at, None)).collect();
    let stream = Scripted::new(REQUEST);
    stream.script().read_stops = stops(REQUEST.len());
    assert!(sockeye::blocking::accept(stream).is_ok());
    let stream = Scripted::new(RESPONSE);
    stream.script().read_stops = stops(RESPONSE.len());
    assert!(Connector::default().handshake(stream, sample_request()).is_ok());
}

/// Sends bytes to a server over TCP and gives all that it answers, to a clean end, and what the server says.
fn refused(sent: &[u8], acceptor: Acceptor) -> (String, Error) {
    let (mut client, server) = tcp();
    let accepting = thread::spawn(move || acceptor.accept(server).map(drop));
    client.write_all(sent).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer and a clean end, not a reset");
    drop(client);
    (answer, accepting.join().unwrap().unwrap_err())
}

fn cause(error: Error) -> RequestError {
    let Error::Rejected(rejection) = error else { panic!("{error}") };
    rejection.cause().expect("a cause").clone()
}

#[test]
fn bad_requests_get_an_answer_and_then_the_end() {
    let client_hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0xa5; 506]].concat();
    let (answer, error) = refused(&client_hello, Acceptor::default());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(matches!(cause(error), RequestError::Head(HeadError::Malformed { .. })));

    let (answer, error) = refused(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", Acceptor::default());
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert_eq!(cause(error), RequestError::NotAnUpgrade);

    let (answer, error) = refused(&REQUEST.replace("GET", "POST").into_bytes(), Acceptor::default());
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(cause(error), RequestError::Method);

    let other_site = REQUEST.replace("Host:", "Origin: https://evil.example\r\nHost:");
    let (answer, error) = refused(other_site.as_bytes(), Acceptor::default());
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(matches!(cause(error), RequestError::OriginRefused { .. }));
}

#[test]
fn too_large_a_head_gets_its_answer_even_with_more_behind_it_that_nobody_reads() {
    let mut head = b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Filler: ".to_vec();
    head.resize(200 * 1024, b'x');
    let (answer, error) = refused(&head, Acceptor::default());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(matches!(cause(error), RequestError::Head(HeadError::TooLarge { .. })));
}

#[test]
fn slow_request_gets_408_and_trickling_does_not_restart_the_clock() {
    let mut acceptor = Acceptor::default();
    acceptor.handshake.timeout = Some(ms(80));
    let (mut client, server) = tcp();
    let started = Instant::now();
    let accepting = thread::spawn(move || acceptor.accept(server).map(drop));
    // The wait between two bytes is a read that times out.
    client.set_read_timeout(Some(ms(20))).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    for byte in REQUEST.bytes().cycle() {
        let _ = client.write(&[byte]);
        match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", answer.escape_ascii());
    drop(client);
    let error = accepting.join().unwrap().unwrap_err();
    assert!(matches!(cause(error), RequestError::Head(HeadError::TimedOut { timeout }) if timeout == ms(80)));
}

#[test]
fn request_that_breaks_off_is_answered_and_is_a_typed_error() {
    let (mut client, server) = tcp();
    let accepting = thread::spawn(move || sockeye::blocking::accept(server).map(drop));
    client.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(cause(accepting.join().unwrap().unwrap_err()), RequestError::Head(HeadError::UnexpectedEof));
}

/// What a client says to a server that answers so and then does as `then` says.
fn answered(answer: &[u8], connector: Connector, then: impl FnOnce(TcpStream) + Send + 'static) -> Error {
    let (client, mut server) = tcp();
    let answer = answer.to_vec();
    let serving = thread::spawn(move || {
        server.read_exact(&mut [0; 16]).unwrap();
        let _ = server.write_all(&answer);
        then(server);
    });
    let error = connector.handshake(client, sample_request()).map(drop).unwrap_err();
    serving.join().unwrap();
    error
}

#[test]
fn answers_that_open_nothing_are_typed_errors() {
    let with_body = b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 5\r\n\r\nlater";
    let Error::Response(ResponseError::Refused(refused)) =
        answered(with_body, Connector::default(), |mut server| drop(server.read_to_end(&mut Vec::new())))
    else {
        panic!()
    };
    assert_eq!((refused.status, &*refused.reason, &*refused.body), (503, "Busy", &b"later"[..]));
    assert_eq!(refused.headers.get("Retry-After"), Some("5"));

    // A body without end is cut.
    let error =
        answered(
            b"HTTP/1.1 200 OK\r\n\r\n",
            Connector::default(),
            |mut server| {
                while server.write_all(&[b'x'; 4096]).is_ok() {}
            },
        );
    let Error::Response(ResponseError::Refused(refused)) = error else { panic!("{error}") };
    assert_eq!((refused.status, refused.body.len(), refused.truncated), (200, 4096, true));

    let error = answered(b"HTTP/1.1 101 Swi", Connector::default(), |server| {
        server.shutdown(Shutdown::Write).unwrap();
    });
    assert!(matches!(error, Error::Response(ResponseError::Head(HeadError::UnexpectedEof))), "{error}");

    let wrong = RESPONSE.replace("s3pP", "aaaa");
    let error = answered(wrong.as_bytes(), Connector::default(), |_| {});
    assert!(matches!(error, Error::Response(ResponseError::AcceptMismatch)), "{error}");
}

#[test]
fn server_that_never_answers_and_one_that_never_ends_its_refusal_run_into_the_timeout() {
    let connector = || {
        let mut connector = Connector::default();
        connector.handshake.timeout = Some(ms(50));
        connector
    };
    let wait = |mut server: TcpStream| drop(server.read_to_end(&mut Vec::new()));
    let error = answered(b"", connector(), wait);
    assert!(matches!(error, Error::Response(ResponseError::Head(HeadError::TimedOut { .. }))), "{error}");
    let error = answered(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nbecause", connector(), wait);
    let Error::Response(ResponseError::Refused(refused)) = error else { panic!("{error}") };
    assert_eq!((refused.status, &*refused.body, refused.truncated), (403, &b"because"[..], true));
}

#[test]
fn handshake_gives_the_stream_on_with_the_read_timeout_that_it_came_with() {
    let (client, server) = tcp();
    server.set_read_timeout(Some(Duration::from_secs(7))).unwrap();
    let accepting = thread::spawn(move || sockeye::blocking::accept(server).unwrap());
    let client = Connector::default().handshake(client, sample_request()).unwrap();
    let server = accepting.join().unwrap();
    assert_eq!(server.get_ref().read_timeout().unwrap(), Some(Duration::from_secs(7)));
    assert_eq!(client.get_ref().read_timeout().unwrap(), None);
    assert_eq!(server.into_inner().read_timeout().unwrap(), Some(Duration::from_secs(7)));
}

#[test]
fn handshake_surfaces_the_read_timeout_of_the_callers_own_and_goes_on() {
    let (mut client, server) = tcp();
    server.set_read_timeout(Some(ms(10))).unwrap();
    let mut accepting = Acceptor::default().start(server);
    let mut blocked = 0;
    let mut request = REQUEST.as_bytes().chunks(50);
    let socket = loop {
        match accepting.advance(|acceptance| Ok(acceptance.respond())) {
            Ok(socket) => break socket,
            Err(error) => assert!(error.is_would_block(), "{error}"),
        }
        blocked += 1;
        client.write_all(request.next().unwrap()).unwrap();
    };
    assert_eq!(blocked, REQUEST.len().div_ceil(50));
    drop(socket);
}

#[test]
fn decision_is_asked_for_once_however_often_the_handshake_would_block() {
    let stream = Scripted::new(REQUEST);
    stream.script().read_stops.push_back((10, Some(ErrorKind::WouldBlock)));
    stream.script().write_stops =
        [(0, Some(ErrorKind::WouldBlock)), (3, Some(ErrorKind::WouldBlock))].into_iter().collect();
    let mut accepting = Acceptor::default().start(stream.clone());
    let mut asked = 0;
    let result = persist(|| {
        accepting.advance(|acceptance| {
            asked += 1;
            Ok(acceptance.respond())
        })
    });
    assert!(result.is_ok());
    assert_eq!((asked, stream.output()), (1, RESPONSE.into()));
}

#[test]
fn configuration_is_shared_between_connections() {
    let mut acceptor = Acceptor::default();
    // One of its own: the defaults are shared by all.
    acceptor.config = Arc::new(Config::default());
    let stream = Scripted::new(REQUEST);
    let before = Arc::strong_count(&acceptor.config);
    let _socket = acceptor.accept(stream).unwrap();
    assert!(Arc::strong_count(&acceptor.config) > before);
}
