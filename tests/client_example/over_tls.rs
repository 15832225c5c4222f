//! Whom it trusts.

use crate::support::*;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sockeye::blocking::Plain;
use std::path::PathBuf;
use std::sync::Arc;

/// A server whose certificate is for `localhost`, and a file with that.
struct Secure {
    server: Server,
    config: Arc<ServerConfig>,
    ca: PathBuf,
}

impl Secure {
    fn bind(name: &str) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
        let ca = env::temp_dir().join(format!("sockeye-client-{}-{name}.pem", std::process::id()));
        std::fs::write(&ca, certified.cert.pem()).unwrap();
        Self { server: Server::bind(), config: Arc::new(config), ca }
    }

    fn url(&self) -> String {
        self.server.url().replace("ws://127.0.0.1", "wss://localhost")
    }

    /// Answers one client, if that trusts it.
    fn answer(&self) -> Result<(), sockeye::Error> {
        let connection = ServerConnection::new(self.config.clone()).unwrap();
        let stream = Plain(StreamOwned::new(connection, self.server.stream()));
        let mut socket = sockeye::blocking::accept(stream)?;
        assert_eq!(socket.receive()?, Some("hello".into()));
        socket.send("over TLS")?;
        while socket.receive()?.is_some() {}
        Ok(())
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca);
    }
}

#[test]
fn it_trusts_the_file_that_it_is_given_or_anybody() {
    let secure = Secure::bind("trusted");
    let (url, ca) = (secure.url(), secure.ca.to_str().unwrap().to_owned());
    for trust in [&["--ca", &*ca][..], &["--insecure"]] {
        let mut client = Client::start(&[&[&*url, "--send", "hello"], trust].concat());
        secure.answer().unwrap();
        assert_eq!((&*client.stderr.rest(), &*client.stdout.rest()), ("", "over TLS\n"));
        assert_eq!(client.code(), Some(0));
    }
}

#[test]
fn it_trusts_nobody_else_and_does_not_try_again() {
    let (secure, other) = (Secure::bind("here"), Secure::bind("other"));
    let ca = other.ca.to_str().unwrap();
    let mut client = Client::start(&[&secure.url(), "--ca", ca, "--reconnect=0.001"]);
    secure.answer().unwrap_err();
    let told = client.stderr.rest();
    assert!(told.starts_with("client: ") && told.lines().count() == 1 && told.contains("certificate"), "{told}");
    assert_eq!(client.code(), Some(1));
}

#[test]
fn a_file_without_certificates_is_told() {
    let path = env::temp_dir().join(format!("sockeye-client-{}-empty.pem", std::process::id()));
    std::fs::write(&path, "nothing").unwrap();
    for ca in [path.to_str().unwrap(), "/no/such/file.pem"] {
        let mut client = Client::start(&["wss://localhost:1", "--ca", ca]);
        let told = client.stderr.rest();
        assert!(told.starts_with("client: ") && told.lines().count() == 1, "{told}");
        assert_eq!(client.code(), Some(1));
    }
    std::fs::remove_file(path).unwrap();
}
