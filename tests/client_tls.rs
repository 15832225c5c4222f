//! TLS by rustls, with servers of the test's own: what is refused and in which words, and what the server sees of us.

mod tls_support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use sockeye::blocking::Transport;
use sockeye::client::proxy::{Proxy, TunnelConfig};
use sockeye::client::tls::{
    CertificateProblem, TlsAlert, TlsBackend, TlsConfig, TlsConnector, TlsError, TlsRoots, rustls,
};
use sockeye::handshake::ClientRequest;
use sockeye::{Close, tokio as ws};
use tls_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// Trusts this certificate authority alone.
fn trusting(pem: &str) -> TlsConfig {
    TlsConfig::new().backend(TlsBackend::Rustls).roots(TlsRoots::OnlyAdded).ca_pem(pem)
}

#[tokio::test]
async fn the_server_sees_the_name_and_the_protocol_that_are_asked_for() {
    let authority = Authority::new("A");
    let config = trusting(&authority.pem);
    let issued = authority.issue(&[HOST, "127.0.0.1", "::1"]);
    for (host, sni) in
        [(HOST, Some(HOST)), ("server.example.", Some(HOST)), ("127.0.0.1", None), ("::1", None), ("[::1]", None)]
    {
        let (ours, theirs) = meet(&config, host, issued.server()).await;
        ours.unwrap();
        let theirs = theirs.unwrap();
        assert_eq!(theirs.get_ref().1.server_name(), sni, "{host}");
        assert_eq!(theirs.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        meet_blocking(&config, host, issued.server()).unwrap();
    }
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_refused_with_the_day() {
    let authority = Authority::new("A");
    let error = refusal(&trusting(&authority.pem), HOST, authority.issue_valid(2019, 2020).server()).await;
    assert_eq!(error.to_string(), "the certificate of server.example expired on 2020-01-01");
    assert!(error.is_permanent());
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("certificate"), "rustls's own words");
}

#[tokio::test]
async fn a_certificate_whose_time_has_not_come_is_refused_with_the_day() {
    let authority = Authority::new("A");
    let error = refusal(&trusting(&authority.pem), HOST, authority.issue_valid(2900, 2901).server()).await;
    assert_eq!(
        error.to_string(),
        "the certificate of server.example is not valid before 2900-01-01: is the clock of this machine right?"
    );
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_with_its_names() {
    let authority = Authority::new("A");
    let config = trusting(&authority.pem);
    let issued = authority.issue(&["a.example", "*.b.example", "127.0.0.2"]);
    let error = refusal(&config, HOST, issued.server()).await;
    assert_eq!(
        error.to_string(),
        "the certificate of server.example is for another name: a.example, *.b.example, 127.0.0.2"
    );
    let error = refusal(&config, "127.0.0.1", issued.server()).await;
    assert_eq!(
        error.to_string(),
        "the certificate of 127.0.0.1 is for another name: a.example, *.b.example, 127.0.0.2"
    );
    let many: Vec<_> = (0..20).map(|n| format!("{n}.example")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let TlsError::Certificate { problem, .. } = refusal(&config, HOST, authority.issue(&many).server()).await else {
        panic!("it is the certificate's fault")
    };
    let names = many[..8].iter().map(|&name| name.to_owned()).collect();
    assert_eq!(problem, CertificateProblem::OtherName { names });
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_refused() {
    let text = "the certificate of server.example is issued by nobody who is trusted here: if it is to be trusted, add its \
        certificate authority";
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let error = refusal(&trusting(&ours.pem), HOST, theirs.issue(&[HOST]).server()).await;
    assert_eq!(error.to_string(), text);
    let error = refusal(&trusting(&ours.pem), HOST, Issued::by_itself(&[HOST]).server()).await;
    assert_eq!(error.to_string(), text, "one that issued itself");
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_trusted_no_more() {
    // The very certificate of the server is trusted, and then the server has another one, of the same name.
    let (first, second) = (Issued::by_itself(&[HOST]), Issued::by_itself(&[HOST]));
    let (met, _) = meet(&trusting(&first.pem), HOST, first.server()).await;
    met.unwrap();
    let error = refusal(&trusting(&first.pem), HOST, second.server()).await;
    assert_eq!(
        error.to_string(),
        "the certificate of server.example is not signed by who is trusted as its issuer: was one of them replaced?"
    );
    // The authority itself has another key, and its old name.
    let (first, second) = (Authority::new("A"), Authority::new("A"));
    let error = refusal(&trusting(&first.pem), HOST, second.issue(&[HOST]).server()).await;
    let TlsError::Certificate { problem, .. } = &error else { panic!("it is the certificate's fault") };
    assert_eq!(problem, &CertificateProblem::BadSignature);
    assert!(error.is_permanent());
}

#[tokio::test]
async fn a_certificate_for_something_else_than_a_server_is_refused() {
    let authority = Authority::new("A");
    let config = trusting(&authority.pem);
    let client = authority.issue_with(&[HOST], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let error = refusal(&config, HOST, client.server()).await;
    assert_eq!(error.to_string(), "the certificate of server.example is not for servers");
    let authority_itself = authority.issue_with(&[HOST], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let error = refusal(&config, HOST, authority_itself.server()).await;
    assert_eq!(
        error.to_string(),
        "the certificate of server.example is that of a certificate authority, which a server cannot have"
    );
}

#[tokio::test]
async fn what_is_not_tls_at_all_is_told() {
    let config = trusting(&Authority::new("A").pem);
    let text = "server.example does not speak TLS on this port: is it one for plain ws:// or http://?";
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\x00\x00\x00\x00\x00\x00"]
    {
        let error = refusal_of_bytes(&config, bytes).await;
        assert_eq!(error.to_string(), text);
        assert!(error.is_permanent());
    }
}

#[tokio::test]
async fn a_server_that_closes_in_the_handshake_is_told() {
    let config = trusting(&Authority::new("A").pem);
    for bytes in [&b""[..], b"\x16\x03\x03\x00\x7a\x02\x00"] {
        let error = refusal_of_bytes(&config, bytes).await;
        assert_eq!(error.to_string(), "server.example closed the connection during the TLS handshake");
        assert!(!error.is_permanent(), "a server that restarts does so");
    }
}

#[tokio::test]
async fn the_alert_of_a_server_is_told_in_words() {
    let authority = Authority::new("A");
    let mut server = authority.issue(&[HOST]).server();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let error = refusal(&trusting(&authority.pem), HOST, server).await;
    assert_eq!(error.to_string(), "server.example refused the TLS handshake: it does not speak HTTP/1.1 (alert 120)");
    assert!(error.is_permanent());
    for (alert, words, is_permanent) in [
        (80, "it has a problem of its own (alert 80)", false),
        (112, "it knows no host of this name (alert 112)", true),
        (70, "it speaks no version of TLS that we speak (alert 70)", true),
        (47, "it does not like our handshake (alert 47)", true),
    ] {
        let record: &'static [u8] = Box::leak(Box::new([0x15, 0x03, 0x03, 0, 2, 2, alert]));
        let error = refusal_of_bytes(&trusting(&authority.pem), record).await;
        assert_eq!(error.to_string(), format!("server.example refused the TLS handshake: {words}"));
        assert_eq!(error.is_permanent(), is_permanent);
    }
}

#[tokio::test]
async fn both_versions_are_spoken_and_none_in_common_is_told() {
    let authority = Authority::new("A");
    let issued = authority.issue(&[HOST]);
    for version in [&TLS12, &TLS13] {
        let (met, _) = meet(&trusting(&authority.pem), HOST, issued.server_with(&[version], None)).await;
        met.unwrap();
    }
    // What is sent by one that knows TLS 1.1 alone.
    let error = refusal_of_bytes(&trusting(&authority.pem), b"\x15\x03\x02\x00\x02\x02\x46").await;
    assert_eq!(
        error.to_string(),
        "server.example refused the TLS handshake: it speaks no version of TLS that we speak (alert 70)"
    );
}

/// Reads once, as the opening handshake would.
async fn first_read(config: &TlsConfig, server: tokio_rustls::rustls::ServerConfig) -> String {
    let (ours, theirs) = meet(config, HOST, server).await;
    let error = match ours {
        Err(error) => error,
        Ok(mut stream) => {
            let error = stream.read_u8().await.unwrap_err();
            TlsError::from_stream(HOST, error).unwrap()
        }
    };
    assert!(theirs.is_err());
    assert!(error.is_permanent());
    error.to_string()
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_what_is_wrong_about_it_told() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let issued = servers.issue(&[HOST]);
    let config = trusting(&servers.pem);
    let client = clients.issue(&["me"]);
    let with_certificate = config.clone().client_certificate_pem(&*client.pem, client.key_pem());
    let (ours, theirs) = meet(&with_certificate, HOST, issued.server_for_clients_of(&clients)).await;
    ours.unwrap();
    let shown = CertificateDer::from_pem_slice(client.pem.as_bytes()).unwrap();
    assert_eq!(theirs.unwrap().get_ref().1.peer_certificates(), Some(&[shown][..]));

    let stranger = servers.issue(&["me"]);
    let with_another = config.clone().client_certificate_pem(&*stranger.pem, stranger.key_pem());
    let both = [&TLS12, &TLS13];
    let wanted = "server.example refused the TLS handshake: it wants a client certificate (alert 116)";
    assert_eq!(first_read(&config, issued.server_with(&both, Some(&clients))).await, wanted);
    for version in both {
        assert_eq!(
            first_read(&with_another, issued.server_with(&[version], Some(&clients))).await,
            "server.example refused the TLS handshake: it does not trust who issued our client certificate (alert 48)"
        );
    }
}

#[tokio::test]
async fn an_error_of_the_stream_that_has_no_alert_is_given_back() {
    let error = std::io::Error::other("something else");
    assert_eq!(TlsError::from_stream(HOST, error).unwrap_err().to_string(), "something else");
}

/// A configuration of rustls of the application's own.
fn own_config(authority: &Authority, protocols: &[&[u8]]) -> rustls::ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|&protocol| protocol.to_vec()).collect();
    config
}

#[tokio::test]
async fn a_configuration_of_ones_own_is_taken_as_it_is() {
    /// It is always the first of January 2021.
    #[derive(Debug)]
    struct Clock;

    impl rustls::time_provider::TimeProvider for Clock {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(1_609_459_200)))
        }
    }

    let authority = Authority::new("A");
    let mut config = own_config(&authority, &[]);
    config.time_provider = Arc::new(Clock);
    let connector = TlsConnector::from_rustls(config.into());
    for (from, until, is_valid) in [(2020, 2022, true), (2019, 2020, false)] {
        let (ours, theirs) = duplex(16 * 1024);
        let serving = TlsAcceptor::from(Arc::new(authority.issue_valid(from, until).server())).accept(theirs);
        let (ours, theirs) = tokio::join!(connector.handshake(ours, HOST), serving);
        assert_eq!(ours.is_ok(), is_valid);
        assert!(!is_valid || theirs.unwrap().get_ref().1.alpn_protocol().is_none());
    }
}

#[tokio::test]
async fn a_server_that_chooses_another_protocol_is_refused() {
    let authority = Authority::new("A");
    let connector = TlsConnector::from_rustls(own_config(&authority, &[b"h2", b"http/1.1"]).into());
    let (ours, theirs) = duplex(16 * 1024);
    let serving = TlsAcceptor::from(Arc::new(authority.issue(&[HOST]).server())).accept(theirs);
    let (ours, _) = tokio::join!(connector.handshake(ours, HOST), serving);
    let text = "server.example chose to speak \"h2\" over TLS, and WebSocket needs http/1.1: offer only that";
    assert_eq!(ours.unwrap_err().to_string(), text);
    let stream = serve_blocking(authority.issue(&[HOST]).server(), |mut stream| {
        let _ = stream.read(&mut [0]);
    });
    assert_eq!(connector.handshake_blocking(stream, HOST, None).unwrap_err().to_string(), text);
}

#[test]
fn what_cannot_be_used_is_told_before_anything_is_connected() {
    let text = |config: TlsConfig| config.backend(TlsBackend::Rustls).connector().unwrap_err().to_string();
    let pem = Authority::new("A").pem;
    let nobody = TlsConfig::new().roots(TlsRoots::OnlyAdded);
    assert_eq!(
        text(nobody.clone()),
        "no certificate authority is trusted: turn on the feature platform-verifier or webpki-roots of sockeye, or add a \
         certificate authority"
    );
    assert_eq!(
        text(nobody.clone().ca_pem("hello")),
        "the certificate authority cannot be used: there is no certificate in the PEM"
    );
    let broken = pem.replace("-----END CERTIFICATE-----", "");
    assert!(text(nobody.clone().ca_pem(broken)).starts_with("the certificate authority cannot be used: "));
    let trusting = nobody.ca_pem(&*pem);
    assert_eq!(
        text(trusting.clone().client_certificate_pem("", "")),
        "the client certificate cannot be used: there is no certificate in the PEM"
    );
    assert!(
        text(trusting.clone().client_certificate_pem(&*pem, "hello"))
            .starts_with("the key of the client certificate cannot be used: ")
    );
    let (one, other) = (Issued::by_itself(&["a"]), Issued::by_itself(&["b"]));
    assert!(
        text(trusting.client_certificate_pem(&*one.pem, other.key_pem()))
            .starts_with("the client certificate cannot be used: ")
    );
    assert_eq!(
        TlsConfig::new().ca_file("no/such/file.pem").unwrap_err().to_string(),
        "cannot read no/such/file.pem: no such file or directory"
    );
}

#[cfg(not(feature = "webpki-roots"))]
#[test]
fn a_feature_that_is_off_is_named() {
    let error = TlsConfig::new().backend(TlsBackend::Rustls).roots(TlsRoots::WebPki).connector().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the list of certificate authorities of Mozilla was asked for, and this program was built without it: turn on the \
         feature webpki-roots of sockeye"
    );
}

#[cfg(feature = "webpki-roots")]
#[tokio::test]
async fn the_list_of_mozilla_is_added_to() {
    let authority = Authority::new("A");
    let config = TlsConfig::new().backend(TlsBackend::Rustls).roots(TlsRoots::WebPki);
    let error = refusal(&config, HOST, authority.issue(&[HOST]).server()).await;
    assert!(matches!(error, TlsError::Certificate { problem: CertificateProblem::UnknownIssuer, .. }));
    let (met, _) = meet(&config.ca_pem(&*authority.pem), HOST, authority.issue(&[HOST]).server()).await;
    met.unwrap();
}

#[cfg(feature = "platform-verifier")]
#[tokio::test]
async fn the_list_of_the_operating_system_is_added_to() {
    let authority = Authority::new("A");
    let config = trusting(&authority.pem).roots(TlsRoots::Platform);
    let (met, _) = meet(&config, HOST, authority.issue(&[HOST]).server()).await;
    met.unwrap();
    let error = refusal(&config, HOST, Authority::new("B").issue(&[HOST]).server()).await;
    assert!(matches!(error, TlsError::Certificate { problem: CertificateProblem::UnknownIssuer, .. }));
    let error = refusal(&config, HOST, authority.issue_valid(2019, 2020).server()).await;
    assert_eq!(error.to_string(), "the certificate of server.example expired on 2020-01-01");
}

#[tokio::test]
async fn a_host_that_no_certificate_can_be_for_is_told() {
    let config = trusting(&Authority::new("A").pem);
    for host in ["", "a b", "exämple", "a..b"] {
        let error = config.connector().unwrap().handshake(duplex(1).0, host).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{host:?} is neither a name nor an address that a certificate could be for")
        );
    }
}

#[test]
fn what_is_shown_for_debugging_has_no_key_in_it() {
    let issued = Issued::by_itself(&["a"]);
    let config = trusting(&issued.pem).client_certificate_pem(&*issued.pem, issued.key_pem());
    assert_eq!(
        format!("{config:?}"),
        "TlsConfig { backend: Rustls, roots: OnlyAdded, authorities: 1, has_client_certificate: true }"
    );
    assert_eq!(format!("{:?}", config.connector().unwrap()), "TlsConnector(\"rustls\")");
    assert_eq!(TlsAlert::UNKNOWN_CA, TlsAlert(48));
}

#[test]
fn a_server_that_hangs_or_trickles_is_left_by_a_blocking_stream() {
    let connector = trusting(&Authority::new("A").pem).connector().unwrap();
    let limit = Duration::from_millis(50);
    for bytes in [&b""[..], b"\x16\x03"] {
        let stream = serve_plain(move |mut stream| {
            stream.write_all(bytes).unwrap();
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let begun = std::time::Instant::now();
        let error = connector.handshake_blocking(stream, HOST, Some(limit)).unwrap_err();
        assert_eq!(error.to_string(), "the TLS handshake with server.example took longer than 50ms");
        assert!(!error.is_permanent());
        assert!(begun.elapsed() >= limit);
    }
}

fn request() -> ClientRequest {
    ClientRequest::new(HOST, "/chat").unwrap()
}

/// Echoes WebSocket messages.
async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(stream: S) {
    let mut socket = ws::accept(stream).await.unwrap();
    while let Some(message) = socket.receive().await.unwrap() {
        socket.send(message).await.unwrap();
    }
}

#[tokio::test]
async fn a_websocket_is_spoken_through_tls_within_tls_to_a_proxy() {
    let (proxies, servers) = (Authority::new("proxies"), Authority::new("servers"));
    let (to_proxy, at_proxy) = duplex(8 * 1024);
    let (to_server, at_server) = duplex(8 * 1024);
    let acceptor = |issued: &Issued| TlsAcceptor::from(Arc::new(issued.server()));
    let (proxy_tls, server_tls) = (acceptor(&proxies.issue(&["proxy.example"])), acceptor(&servers.issue(&[HOST])));
    let serving = tokio::spawn(async move { echo(server_tls.accept(at_server).await.unwrap()).await });
    let proxying = tokio::spawn(async move {
        let mut client = proxy_tls.accept(at_proxy).await.unwrap();
        let expected = b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n";
        let mut request = vec![0; expected.len()];
        client.read_exact(&mut request).await.unwrap();
        assert_eq!(request, expected);
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut to_server = to_server;
        tokio::io::copy_bidirectional(&mut client, &mut to_server).await
    });

    let proxy: Proxy = "https://proxy.example".parse().unwrap();
    assert!(proxy.wants_tls());
    let connector = trusting(&proxies.pem).ca_pem(&*servers.pem).connector().unwrap();
    let stream = connector.handshake(to_proxy, proxy.host()).await.unwrap();
    let stream = proxy.tunnel(stream, HOST, 443, &TunnelConfig::default()).await.unwrap();
    let stream = connector.handshake(stream, HOST).await.unwrap();
    let mut socket = ws::Connector::default().handshake(stream, request()).await.unwrap();
    let long = "long ".repeat(20_000);
    for message in ["hello", &long] {
        socket.send(message).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), Some(message.into()));
    }
    socket.close(Close::normal()).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), None);
    drop(socket);
    serving.await.unwrap();
    // The proxy sees the client go in whatever way.
    let _ = proxying.await.unwrap();
}

#[test]
fn a_websocket_is_spoken_over_blocking_tls() {
    let authority = Authority::new("A");
    let stream = serve_blocking(authority.issue(&[HOST]).server(), |stream| {
        let mut socket = sockeye::blocking::accept(sockeye::blocking::Plain(stream)).unwrap();
        while let Some(message) = socket.receive().unwrap() {
            socket.send(&message).unwrap();
        }
    });
    stream.set_read_timeout(Some(Duration::from_secs(77))).unwrap();
    let connector = trusting(&authority.pem).connector().unwrap();
    let stream = connector.handshake_blocking(stream, HOST, Some(Duration::from_secs(60))).unwrap();
    assert_eq!(
        Transport::read_timeout(&stream).unwrap(),
        Some(Duration::from_secs(77)),
        "the caller's own is restored"
    );
    let mut socket = sockeye::blocking::Connector::default().handshake(stream, request()).unwrap();
    let long = "long ".repeat(20_000);
    for message in ["hello", &long] {
        socket.send(message).unwrap();
        assert_eq!(socket.receive().unwrap(), Some(message.into()));
    }
    socket.close(Close::normal()).unwrap();
    assert_eq!(socket.receive().unwrap(), None);
}

#[tokio::test]
async fn a_stream_that_ends_without_a_word_of_tls_has_ended() {
    let authority = Authority::new("A");
    let (ours, theirs) = meet(&trusting(&authority.pem), HOST, authority.issue(&[HOST]).server()).await;
    let mut theirs = theirs.unwrap();
    theirs.write_all(b"bye").await.unwrap();
    theirs.flush().await.unwrap();
    drop(theirs.into_inner().0);
    let mut all = Vec::new();
    ours.unwrap().read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"bye");

    let stream = serve_blocking(authority.issue(&[HOST]).server(), |mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.flush().unwrap();
        stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
    });
    let mut stream = trusting(&authority.pem).connector().unwrap().handshake_blocking(stream, HOST, None).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"bye");
    let _: &TcpStream = stream.get_ref();
}
