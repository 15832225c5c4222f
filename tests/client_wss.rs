//! `wss` from end to end: by URL, over TLS, to a WebSocket; through proxies and redirects, on both styles of I/O. What TLS itself
//! refuses, and in which words, has tests of its own.

mod client_support;
mod tls_support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use client_support::*;
use sockeye::client::tls::{TlsBackend, TlsConfig, TlsConnector, TlsError, TlsRoots};
use sockeye::client::{BoxFuture, Client, Error, Family, RedirectError, Resolve, Stage, Stream, Timeouts};
use tls_support::{Authority, HOST};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Sends everybody to this machine.
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, host: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { self.resolve_blocking(host, family) })
    }

    fn resolve_blocking(&self, _: &str, family: Family) -> io::Result<Vec<SocketAddr>> {
        Ok(if family == Family::V4 { vec![([127, 0, 0, 1], 0).into()] } else { Vec::new() })
    }
}

/// Begins to serve over TLS; gives the port.
async fn serve_tls(server: ServerConfig, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, answer) = (TlsAcceptor::from(Arc::new(server)), Arc::new(answer));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, |head| answer(head)).await;
                }
            });
        }
    });
    port
}

fn backends() -> Vec<TlsBackend> {
    let mut backends = vec![TlsBackend::Rustls];
    if cfg!(feature = "native-tls") {
        backends.push(TlsBackend::Native);
    }
    backends
}

/// Trusts this certificate authority alone.
fn trusting(authority: &Authority, backend: TlsBackend) -> Client {
    let tls = TlsConfig::new().backend(backend).roots(TlsRoots::OnlyAdded).ca_pem(authority.pem.as_str());
    Client::new().resolver(Here).tls(tls.connector().unwrap())
}

fn url(port: u16) -> String {
    format!("wss://{HOST}:{port}/chat?room=1")
}

/// The same on threads.
async fn blocking_failure(client: &Client, url: &str) -> Error {
    let (client, url) = (client.clone(), String::from(url));
    let connecting = tokio::task::spawn_blocking(move || client.connect_blocking(url).map(|_| ()));
    connecting.await.unwrap().unwrap_err()
}

#[tokio::test]
async fn connects_over_tls() {
    let authority = Authority::new("A");
    let port = serve_tls(authority.issue(&[HOST]).server(), |head| {
        assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: server.example:"), "{head}");
        assert_eq!(field(head, "Authorization").as_deref(), Some("Basic bWU6cHc="));
        Answer::Open
    });
    let port = port.await;
    for backend in backends() {
        let client = trusting(&authority, backend);
        let url = url(port).replace("wss://", "wss://me:pw@");
        let mut socket = client.connect(&url).await.unwrap();
        assert_works(&mut socket).await;
        let stream = socket.get_ref();
        assert!(stream.is_tls() && stream.tcp().is_none());
        assert_eq!(stream.peer_addr(), Some(([127, 0, 0, 1], port).into()));

        let talking = tokio::task::spawn_blocking(move || {
            let mut socket = client.connect_blocking(&url).unwrap();
            let stream = socket.get_ref();
            assert!(stream.is_tls() && stream.tcp().is_none());
            assert_eq!(stream.peer_addr(), Some(([127, 0, 0, 1], port).into()));
            socket.send("hello").unwrap();
            assert_eq!(socket.receive().unwrap(), Some("hello".into()));
        });
        talking.await.unwrap();
    }
}

#[tokio::test]
async fn connects_over_a_stream_of_ones_own() {
    let authority = Authority::new("A");
    let acceptor = TlsAcceptor::from(Arc::new(authority.issue(&[HOST]).server()));
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(async move { serve(acceptor.accept(theirs).await.unwrap(), |_| Answer::Open).await });
    let client = trusting(&authority, TlsBackend::Rustls);
    let mut socket = client.connect_over(ours, "wss://server.example/").await.unwrap();
    assert_works(&mut socket).await;
    assert!(socket.get_ref().is_tls() && socket.get_ref().peer_addr().is_none());
}

#[tokio::test]
async fn certificate_that_is_not_accepted_ends_it_for_good() {
    let (authority, other) = (Authority::new("A"), Authority::new("B"));
    for (issued, message) in [
        (authority.issue_valid(2019, 2020), "the certificate of server.example expired on 2020-01-01"),
        (authority.issue(&["other.example"]), "the certificate of server.example is for another name: other.example"),
        (
            other.issue(&[HOST]),
            "the certificate of server.example is issued by nobody who is trusted here: if it is to be trusted, add its \
             certificate authority",
        ),
    ] {
        let port = serve_tls(issued.server(), |_| panic!("nothing is asked for")).await;
        let client = trusting(&authority, TlsBackend::Rustls);
        let error = failure(&client, &url(port)).await;
        assert_eq!(error.to_string(), message);
        assert_eq!((error.stage(), error.is_permanent()), (Stage::Tls, true));
        assert!(matches!(error, Error::Tls(TlsError::Certificate { .. })));
        let error = blocking_failure(&client, &url(port)).await;
        assert_eq!((error.to_string().as_str(), error.is_permanent()), (message, true));
    }
}

#[tokio::test]
async fn server_without_tls_is_named_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read_u8().await;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    let error = failure(&trusting(&Authority::new("A"), TlsBackend::Rustls), &url(port)).await;
    assert_eq!(
        error.to_string(),
        "server.example does not speak TLS on this port: is it one for plain ws:// or http://?"
    );
}

/// With TLS 1.3 the client's side of the handshake is over when the server looks at the client's certificate.
#[tokio::test]
async fn client_certificates_are_shown_and_a_server_that_wants_one_says_so() {
    let (authority, clients) = (Authority::new("A"), Authority::new("clients"));
    let port = serve_tls(authority.issue(&[HOST]).server_for_clients_of(&clients), |_| Answer::Open).await;
    for backend in backends() {
        let config = TlsConfig::new().backend(backend).roots(TlsRoots::OnlyAdded).ca_pem(authority.pem.as_str());
        let connector = |config: &TlsConfig| -> TlsConnector { config.connector().unwrap() };
        let client = Client::new().resolver(Here).tls(connector(&config));
        for error in [failure(&client, &url(port)).await, blocking_failure(&client, &url(port)).await] {
            assert_eq!((error.stage(), error.is_permanent()), (Stage::Tls, true), "{error}");
            assert!(
                error.to_string().starts_with("server.example refused the TLS handshake: "),
                "{backend:?}: {error}"
            );
        }
        let issued = clients.issue(&["me"]);
        let config = config.client_certificate_pem(issued.pem.as_str(), issued.key_pem());
        let client = Client::new().resolver(Here).tls(connector(&config));
        let mut socket = client.connect(url(port)).await.unwrap();
        assert_works(&mut socket).await;
    }
}

#[tokio::test]
async fn no_redirect_leads_from_wss_to_ws() {
    let authority = Authority::new("A");
    let plain = Server::saying(Answer::Open).await;
    for location in [plain.url("/x?token=1"), format!("http://{}/x", plain.address)] {
        let port = serve_tls(authority.issue(&[HOST]).server(), move |_| Answer::to(&location)).await;
        let client = trusting(&authority, TlsBackend::Rustls).redirects(5);
        for error in [failure(&client, &url(port)).await, blocking_failure(&client, &url(port)).await] {
            assert_eq!(
                error.to_string(),
                format!(
                    "wss://server.example:{port}/chat redirects from wss to ws://{}/x, which is not encrypted: that is never \
                     followed",
                    plain.address
                )
            );
            assert!(matches!(error, Error::Redirect(RedirectError::Downgrade { .. })));
        }
    }
    assert_eq!(plain.heads().len(), 0);
}

#[tokio::test]
async fn redirects_lead_from_ws_to_wss_and_from_wss_to_wss() {
    let authority = Authority::new("A");
    let secure = serve_tls(authority.issue(&[HOST]).server(), |head| match head.split(' ').nth(1).unwrap() {
        "/first" => {
            assert_eq!(field(head, "Authorization"), None, "ws and wss are different origins");
            Answer::to("/second")
        }
        _ => Answer::Open,
    });
    let secure = secure.await;
    let plain = Server::saying(Answer::to(format!("https://{HOST}:{secure}/first"))).await;
    let client = trusting(&authority, TlsBackend::Rustls).basic_auth("me", "pw").unwrap().redirects(2);
    let mut socket = client.connect(plain.url("/")).await.unwrap();
    assert_works(&mut socket).await;
    assert!(socket.get_ref().is_tls());
    assert!(field(&plain.head(), "Authorization").is_some());
}

/// A proxy that is spoken with over TLS, or not, and tunnels to this machine.
async fn proxy(tls: Option<ServerConfig>) -> u16 {
    async fn tunnel<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.strip_prefix("CONNECT server.example:").unwrap();
        let port: u16 = target.split(' ').next().unwrap().parse().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            tunnel(stream).await;
                        }
                    }
                    None => tunnel(stream).await,
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn tls_lies_in_the_tunnel_and_the_tunnel_in_tls_where_the_proxy_wants_it() {
    let authority = Authority::new("A");
    let server = serve_tls(authority.issue(&[HOST]).server(), |_| Answer::Open).await;
    let plain = proxy(None).await;
    let secure = proxy(Some(authority.issue(&["proxy.example"]).server())).await;
    for backend in backends() {
        for proxy in [format!("http://127.0.0.1:{plain}"), format!("https://proxy.example:{secure}")] {
            let client = trusting(&authority, backend).proxy(proxy.parse().unwrap());
            let mut socket = client.connect(url(server)).await.unwrap();
            assert_works(&mut socket).await;
            assert!(socket.get_ref().is_tls());
            let talking = tokio::task::spawn_blocking(move || {
                let mut socket = client.connect_blocking(url(server)).unwrap();
                socket.send("hello").unwrap();
                assert_eq!(socket.receive().unwrap(), Some("hello".into()));
            });
            talking.await.unwrap();
        }
    }
    // It is the proxy's certificate that is wrong here.
    let wrong = proxy(Some(authority.issue(&["other.example"]).server())).await;
    let client = trusting(&authority, TlsBackend::Rustls);
    let client = client.proxy(format!("https://proxy.example:{wrong}").parse().unwrap());
    let error = failure(&client, &url(server)).await;
    assert_eq!(error.to_string(), "the certificate of proxy.example is for another name: other.example");
}

#[tokio::test(start_paused = true)]
async fn tls_handshake_has_a_time_of_its_own() {
    let client = trusting(&Authority::new("A"), TlsBackend::Rustls)
        .connector(|_| async { Ok(Stream::new(answering(Answer::Silence))) });
    let started = tokio::time::Instant::now();
    let error = failure(&client, "wss://server.example/").await;
    assert_eq!(started.elapsed(), secs(10));
    assert_eq!(error.to_string(), "the TLS handshake with server.example:443 took longer than 10s");
    assert_eq!((error.stage(), error.is_timeout(), error.is_permanent()), (Stage::Tls, true, false));
    let mut timeouts = Timeouts::default();
    (timeouts.tls, timeouts.total) = (Some(secs(3)), Some(secs(2)));
    let error = failure(&client.timeouts(timeouts), "wss://server.example/").await;
    assert_eq!(
        error.to_string(),
        "the TLS handshake with server.example:443 was not done when the 2s for everything were over"
    );
}

#[test]
fn tls_handshake_has_a_time_of_its_own_on_threads() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for backend in backends() {
        let mut timeouts = Timeouts::default();
        timeouts.tls = Some(ms(50));
        let client = trusting(&Authority::new("A"), backend).timeouts(timeouts);
        let error = client.connect_blocking(url(port)).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("the TLS handshake with server.example:{port} took longer than 50ms"));
    }
}

/// With nobody to trust, nobody is trusted.
#[cfg(not(any(feature = "webpki-roots", feature = "platform-verifier", feature = "native-tls")))]
#[tokio::test]
async fn without_roots_the_default_says_what_to_turn_on() {
    let port = serve_tls(Authority::new("A").issue(&[HOST]).server(), |_| Answer::Open).await;
    let error = failure(&Client::new().resolver(Here), &url(port)).await;
    assert!(matches!(error, Error::Tls(TlsError::NoRoots)), "{error:?}");
}
