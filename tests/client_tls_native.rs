//! TLS by the operating system's library, with servers of the test's own: the table of `client_tls`, in the words that it allows.
//!
//! What OpenSSL says is known word by word; of other systems' libraries the tests ask only that they refuse.

mod tls_support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use sockeye::client::tls::{TlsAlert, TlsBackend, TlsConfig, TlsConnector, TlsError, TlsRoots, native_tls};
use sockeye::handshake::ClientRequest;
use sockeye::{Close, tokio as ws};
use tls_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// Trusts this certificate authority alone.
fn trusting(pem: &str) -> TlsConfig {
    TlsConfig::new().backend(TlsBackend::Native).roots(TlsRoots::OnlyAdded).ca_pem(pem)
}

/// Compares a text where it is OpenSSL that says it.
fn assert_text(error: &TlsError, text: &str) {
    if cfg!(target_os = "linux") {
        assert_eq!(error.to_string(), text);
    }
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
async fn a_certificate_that_is_wrong_is_refused_in_words() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let unknown = "the certificate of server.example is issued by nobody who is trusted here: if it is to be trusted, add its \
        certificate authority";
    let cases = [
        (ours.issue_valid(2019, 2020), "the certificate of server.example has expired"),
        (
            ours.issue_valid(2900, 2901),
            "the certificate of server.example is not yet valid: is the clock of this machine right?",
        ),
        (ours.issue(&["a.example"]), "the certificate of server.example is for another name"),
        (theirs.issue(&[HOST]), unknown),
        (Issued::by_itself(&[HOST]), unknown),
        (
            Authority::new("ours").issue(&[HOST]),
            "the certificate of server.example is not signed by who is trusted as its issuer: was one of them replaced?",
        ),
        (
            ours.issue_with(&[HOST], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "the certificate of server.example is not for servers",
        ),
    ];
    for (issued, text) in cases {
        let error = refusal(&trusting(&ours.pem), HOST, issued.server()).await;
        assert_text(&error, text);
        assert!(error.is_permanent());
        assert!(std::error::Error::source(&error).is_some());
    }
    let error = refusal(&trusting(&ours.pem), "127.0.0.1", ours.issue(&["127.0.0.2"]).server()).await;
    assert_text(&error, "the certificate of 127.0.0.1 is for another name");
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_trusted_no_more() {
    let (first, second) = (Issued::by_itself(&[HOST]), Issued::by_itself(&[HOST]));
    let (met, _) = meet(&trusting(&first.pem), HOST, first.server()).await;
    met.unwrap();
    let error = refusal(&trusting(&first.pem), HOST, second.server()).await;
    assert!(matches!(error, TlsError::Certificate { .. }) || !cfg!(target_os = "linux"), "{error}");
}

#[tokio::test]
async fn what_is_not_tls_at_all_is_told() {
    let config = trusting(&Authority::new("A").pem);
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\x00\x00\x00\x00\x00\x00"]
    {
        let error = refusal_of_bytes(&config, bytes).await;
        assert_text(&error, "server.example does not speak TLS on this port: is it one for plain ws:// or http://?");
    }
}

#[tokio::test]
async fn a_server_that_closes_in_the_handshake_is_told() {
    let config = trusting(&Authority::new("A").pem);
    for bytes in [&b""[..], b"\x16\x03\x03\x00\x7a\x02\x00"] {
        let error = refusal_of_bytes(&config, bytes).await;
        assert_text(&error, "server.example closed the connection during the TLS handshake");
        assert!(!error.is_permanent() || !cfg!(target_os = "linux"));
    }
}

#[tokio::test]
async fn the_alert_of_a_server_is_told_in_words() {
    let authority = Authority::new("A");
    let mut server = authority.issue(&[HOST]).server();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let error = refusal(&trusting(&authority.pem), HOST, server).await;
    assert_text(&error, "server.example refused the TLS handshake: it does not speak HTTP/1.1 (alert 120)");
    for (alert, words) in [
        (80, "it has a problem of its own (alert 80)"),
        (112, "it knows no host of this name (alert 112)"),
        (70, "it speaks no version of TLS that we speak (alert 70)"),
    ] {
        let record: &'static [u8] = Box::leak(Box::new([0x15, 0x03, 0x03, 0, 2, 2, alert]));
        let error = refusal_of_bytes(&trusting(&authority.pem), record).await;
        assert_text(&error, &format!("server.example refused the TLS handshake: {words}"));
    }
}

/// Reads once, as the opening handshake would.
async fn first_read(config: &TlsConfig, server: tokio_rustls::rustls::ServerConfig) -> TlsError {
    let (ours, theirs) = meet(config, HOST, server).await;
    assert!(theirs.is_err());
    match ours {
        Err(error) => error,
        Ok(mut stream) => TlsError::from_stream(HOST, stream.read_u8().await.unwrap_err()).unwrap(),
    }
}

#[cfg(target_os = "linux")]
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
    let error = first_read(&config, issued.server_with(&[&TLS13], Some(&clients))).await;
    assert_text(&error, "server.example refused the TLS handshake: it wants a client certificate (alert 116)");
    for version in [&TLS12, &TLS13] {
        let error = first_read(&with_another, issued.server_with(&[version], Some(&clients))).await;
        assert!(matches!(error, TlsError::Alert { alert: TlsAlert::UNKNOWN_CA, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_connector_of_ones_own_is_taken_as_it_is() {
    let authority = Authority::new("A");
    let certificate = native_tls::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let own = native_tls::TlsConnector::builder().add_root_certificate(certificate).request_alpns(&["h2"]).build();
    let connector = TlsConnector::from_native(own.unwrap());
    let (ours, theirs) = duplex(16 * 1024);
    let serving = TlsAcceptor::from(Arc::new(authority.issue(&[HOST]).server())).accept(theirs);
    let (ours, _) = tokio::join!(connector.handshake(ours, HOST), serving);
    let text = "server.example chose to speak \"h2\" over TLS, and WebSocket needs http/1.1: offer only that";
    assert_eq!(ours.unwrap_err().to_string(), text);
    let stream = serve_blocking(authority.issue(&[HOST]).server(), |mut stream| {
        let _ = stream.read(&mut [0]);
    });
    assert_eq!(connector.handshake_blocking(stream, HOST, None).unwrap_err().to_string(), text);
    assert_eq!(format!("{connector:?}"), "TlsConnector(\"native-tls\")");
}

#[test]
fn what_cannot_be_used_is_told_before_anything_is_connected() {
    let text = |config: TlsConfig| config.backend(TlsBackend::Native).connector().unwrap_err().to_string();
    let nobody = TlsConfig::new().roots(TlsRoots::OnlyAdded);
    assert!(text(nobody.clone()).starts_with("no certificate authority is trusted: "));
    assert_eq!(
        text(nobody.clone().ca_pem("hello")),
        "the certificate authority cannot be used: there is no certificate in the PEM"
    );
    let pem = Authority::new("A").pem;
    assert!(
        text(nobody.ca_pem(&*pem).client_certificate_pem(&*pem, "hello"))
            .starts_with("the client certificate cannot be used: ")
    );
    assert_eq!(
        text(TlsConfig::new().roots(TlsRoots::WebPki)),
        "rustls with the list of certificate authorities of Mozilla was asked for, and this program was built without it: turn \
         on the feature webpki-roots of sockeye"
    );
}

#[cfg(not(feature = "rustls-no-provider"))]
#[test]
fn without_rustls_the_default_is_this_library_and_rustls_is_named() {
    assert_eq!(format!("{:?}", TlsConnector::shared().unwrap()), "TlsConnector(\"native-tls\")");
    assert_eq!(
        TlsConfig::new().backend(TlsBackend::Rustls).connector().unwrap_err().to_string(),
        "rustls was asked for, and this program was built without it: turn on the feature rustls of sockeye"
    );
}

#[tokio::test]
async fn a_host_that_no_certificate_can_be_for_is_told() {
    let connector = trusting(&Authority::new("A").pem).connector().unwrap();
    for host in ["", "a b", "exämple", "a\0b"] {
        let error = connector.handshake(duplex(1).0, host).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{host:?} is neither a name nor an address that a certificate could be for")
        );
    }
}

#[test]
fn a_server_that_hangs_is_left_by_a_blocking_stream() {
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
        assert!(begun.elapsed() >= limit);
    }
}

#[tokio::test]
async fn a_websocket_is_spoken_over_it() {
    let authority = Authority::new("A");
    let (ours, theirs) = meet(&trusting(&authority.pem), HOST, authority.issue(&[HOST]).server()).await;
    let serving = tokio::spawn(async move {
        let mut socket = ws::accept(theirs.unwrap()).await.unwrap();
        while let Some(message) = socket.receive().await.unwrap() {
            socket.send(message).await.unwrap();
        }
    });
    let request = ClientRequest::new(HOST, "/chat").unwrap();
    let mut socket = ws::Connector::default().handshake(ours.unwrap(), request).await.unwrap();
    let long = "long ".repeat(20_000);
    for message in ["hello", &long] {
        socket.send(message).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), Some(message.into()));
    }
    socket.close(Close::normal()).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), None);
    drop(socket);
    serving.await.unwrap();
}

#[test]
fn a_websocket_is_spoken_over_it_on_threads() {
    let authority = Authority::new("A");
    let stream = serve_blocking(authority.issue(&[HOST]).server(), |stream| {
        let mut socket = sockeye::blocking::accept(sockeye::blocking::Plain(stream)).unwrap();
        while let Some(message) = socket.receive().unwrap() {
            socket.send(&message).unwrap();
        }
    });
    let connector = trusting(&authority.pem).connector().unwrap();
    let stream = connector.handshake_blocking(stream, HOST, Some(Duration::from_secs(60))).unwrap();
    let request = ClientRequest::new(HOST, "/chat").unwrap();
    let mut socket = sockeye::blocking::Connector::default().handshake(stream, request).unwrap();
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
}
