//! The client through the servers that stand in front of others: nginx and haproxy, which end TLS and cut what is silent.
//!
//! ```sh
//! cargo test --features client,rustls --test client_peers -- --ignored
//! ```
//!
//! Each test starts the program on ports that are free, with a configuration in a directory of its own, and stops it. It is ready when
//! it says so on stderr. Behind it is our own server, which echoes.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use sockeye::client::tls::TlsConfig;
use sockeye::client::{BackoffConfig, Client, WebSocket};
use sockeye::tokio::{Acceptor, Error, Server};
use sockeye::{Close, CloseCode, Config};
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how long a silence the programs cut a connection, where that is what it is about.
const CUT: Duration = Duration::from_secs(2);

#[tokio::test]
#[ignore = "needs nginx and haproxy: .ci/run client_peers"]
async fn messages_of_every_size_come_back_with_and_without_tls() {
    let backend = echo_server().await;
    for kind in KINDS {
        let proxy = Proxy::start(kind, backend, PATIENCE);
        for url in [proxy.url(), proxy.secure_url()] {
            let mut socket = proxy.client(Config::default()).connect(&*url).await.unwrap();
            for len in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                echo(&mut socket, &bytes).await;
            }
            socket.send("grüß dich").await.unwrap();
            assert_eq!(soon(socket.receive()).await.unwrap(), Some("grüß dich".into()));
            socket.close(Close::normal()).await.unwrap();
            assert_eq!(soon(socket.receive()).await.unwrap(), None, "{url}");
            assert_eq!(socket.close_code(), Some(CloseCode::NORMAL));
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and haproxy: .ci/run client_peers"]
async fn several_connections_in_both_directions_at_once() {
    let backend = echo_server().await;
    for kind in KINDS {
        let proxy = Proxy::start(kind, backend, PATIENCE);
        let mut talks = Vec::new();
        for _ in 0..8 {
            let (client, url) = (proxy.client(Config::default()), proxy.secure_url());
            talks.push(tokio::spawn(async move {
                let (mut receiver, sender) = client.connect(&*url).await.unwrap().split();
                let sending = tokio::spawn(async move {
                    for number in 0..2000 {
                        sender.feed(number.to_string()).await.unwrap();
                    }
                    sender.flush().await.unwrap();
                    sender
                });
                for number in 0..2000 {
                    assert_eq!(soon(receiver.receive()).await.unwrap(), Some(number.to_string().into()));
                }
                sending.await.unwrap().close(Close::normal()).await.unwrap();
                assert_eq!(soon(receiver.receive()).await.unwrap(), None);
            }));
        }
        for talk in talks {
            talk.await.unwrap();
        }
    }
}

/// What the proxies' timeouts are for, and what pings are for. This takes as long as the clocks of the programs say.
#[tokio::test]
#[ignore = "needs nginx and haproxy: .ci/run client_peers"]
async fn a_silent_connection_is_cut_and_pings_keep_it() {
    let backend = echo_server().await;
    let proxies = KINDS.map(|kind| Proxy::start(kind, backend, CUT));
    let mut silent = Config::default();
    silent.ping_interval = None;
    let mut lively = Config::default();
    lively.ping_interval = Some(CUT / 8);

    let mut waiting = Vec::new();
    for proxy in &proxies {
        for url in [proxy.url(), proxy.secure_url()] {
            let mut cut = proxy.client(silent.clone()).connect(&*url).await.unwrap();
            let mut kept = proxy.client(lively.clone()).connect(&*url).await.unwrap();
            waiting.push(tokio::spawn(async move {
                // Nobody says a word: the one is lost, while the other goes on.
                let until_cut = async {
                    let lost = soon(cut.receive()).await;
                    assert!(matches!(lost, Err(Error::Lost | Error::Io(_))), "{url}: {lost:?}");
                };
                tokio::select! {
                    () = until_cut => {}
                    received = kept.receive() => panic!("{url}: {received:?}"),
                }
                let more = timeout(CUT, kept.receive()).await;
                assert!(more.is_err(), "{url}: {more:?}");
                assert!(kept.round_trip().is_some());
                echo(&mut kept, b"still here").await;
            }));
        }
    }
    for connection in waiting {
        connection.await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs nginx and haproxy: .ci/run client_peers"]
async fn a_restart_in_the_middle_of_a_connection_is_followed_by_another_connection() {
    let backend = echo_server().await;
    for kind in KINDS {
        let mut proxy = Proxy::start(kind, backend, PATIENCE);
        let mut backoff = BackoffConfig::default();
        (backoff.first, backoff.max) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut connections = proxy.client(Config::default()).reconnecting(&*proxy.secure_url(), backoff).unwrap();
        for round in 0..5u8 {
            let mut socket = soon(connections.next()).await.unwrap().unwrap();
            echo(&mut socket, &[round]).await;
            proxy.stop();
            let lost = soon(socket.receive()).await;
            assert!(matches!(lost, Ok(None) | Err(Error::Lost | Error::Io(_))), "{lost:?}");
            connections.closed(socket.close_code());
            // At first there is nobody: the attempts go on meanwhile.
            let mut next = Box::pin(connections.next());
            assert!(timeout(Duration::from_millis(50), &mut next).await.is_err());
            drop(next);
            proxy.start_again();
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and haproxy: .ci/run client_peers"]
async fn a_proxy_with_nobody_behind_it_is_tried_again_until_there_is_somebody() {
    let nobody = free_port();
    for kind in KINDS {
        let proxy = Proxy::start(kind, nobody, PATIENCE);
        let error = proxy.client(Config::default()).connect(&*proxy.secure_url()).await.unwrap_err();
        let status = if kind == Kind::Nginx { 502 } else { 503 };
        assert_eq!(error.refusal().map(|refused| refused.status), Some(status), "{error}");
        assert!(!error.is_permanent());

        let (told, mut was_told) = tokio::sync::mpsc::unbounded_channel();
        let mut backoff = BackoffConfig::default();
        (backoff.first, backoff.max) = (Duration::from_millis(10), Duration::from_millis(100));
        let connections = proxy.client(Config::default()).reconnecting(&*proxy.secure_url(), backoff).unwrap();
        let mut connections = connections.on_retry(move |_| told.send(()).unwrap());
        let connecting = tokio::spawn(async move { connections.next().await.unwrap().unwrap() });
        for _ in 0..3 {
            soon(was_told.recv()).await.unwrap();
        }
        let serving = echo_server_on(nobody).await;
        let mut socket = soon(connecting).await.unwrap();
        echo(&mut socket, b"hello").await;
        serving.abort();
        let _ = serving.await; // the port is free again
    }
}

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Nginx,
    Haproxy,
}

const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Haproxy];

/// A program that takes connections with and without TLS, and has them from a server behind it.
struct Proxy {
    kind: Kind,
    directory: PathBuf,
    plain: u16,
    secure: u16,
    running: Option<Running>,
}

impl Proxy {
    fn start(kind: Kind, backend: u16, cut: Duration) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("sockeye-peers-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
        fs::write(directory.join("certificate.pem"), &certificate).unwrap();
        fs::write(directory.join("key.pem"), &key).unwrap();
        fs::write(directory.join("both.pem"), certificate + &key).unwrap();

        let (plain, secure) = (free_port(), free_port());
        let text = match kind {
            Kind::Nginx => nginx(&directory, plain, secure, backend, cut),
            Kind::Haproxy => haproxy(&directory, plain, secure, backend, cut),
        };
        fs::write(directory.join("configuration"), text).unwrap();
        let mut this = Self { kind, directory, plain, secure, running: None };
        this.start_again();
        this
    }

    fn start_again(&mut self) {
        let configuration = self.directory.join("configuration");
        let (mut command, ready) = match self.kind {
            Kind::Nginx => {
                let mut command = Command::new("nginx");
                command.arg("-p").arg(&self.directory).arg("-c").arg(configuration).args(["-e", "stderr"]);
                (command, "start worker process ")
            }
            Kind::Haproxy => {
                let mut command = Command::new("haproxy");
                command.arg("-W").arg("-db").arg("-f").arg(configuration);
                (command, "Loading success")
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut running = Running(child.unwrap_or_else(|error| panic!("{:?} cannot be started: {error}", self.kind)));
        running.wait_for(ready);
        self.running = Some(running);
    }

    /// Stops it as an administrator does, with everything that is open; returns when it is gone.
    fn stop(&mut self) {
        self.running = None;
    }

    fn url(&self) -> String {
        format!("ws://localhost:{}/chat", self.plain)
    }

    fn secure_url(&self) -> String {
        format!("wss://localhost:{}/chat", self.secure)
    }

    /// A client that trusts it.
    fn client(&self, config: Config) -> Client {
        let tls = TlsConfig::new().ca_file(self.directory.join("certificate.pem")).unwrap().connector().unwrap();
        Client::new().config(config).tls(tls)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A process that is stopped.
struct Running(Child);

impl Running {
    /// Waits until it has said so; what it says later is thrown away.
    fn wait_for(&mut self, text: &'static str) {
        let mut lines = BufReader::new(self.0.stderr.take().unwrap()).lines();
        let (sender, receiver): (_, Receiver<Result<(), String>>) = channel();
        thread::spawn(move || {
            let mut said = String::new();
            for line in lines.by_ref().map_while(Result::ok) {
                if line.contains(text) {
                    let _ = sender.send(Ok(()));
                } else {
                    let _ = writeln!(said, "{line}");
                }
            }
            let _ = sender.send(Err(said));
        });
        receiver
            .recv_timeout(PATIENCE)
            .expect("it should say that it is ready")
            .unwrap_or_else(|said| panic!("{said}"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn nginx(directory: &Path, plain: u16, secure: u16, backend: u16, cut: Duration) -> String {
    let (directory, cut) = (directory.display(), cut.as_secs());
    format!(
        "daemon off; worker_processes 1; pid {directory}/pid; error_log stderr notice;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
            fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
            server {{
                listen 127.0.0.1:{plain};
                listen 127.0.0.1:{secure} ssl;
                ssl_certificate {directory}/certificate.pem; ssl_certificate_key {directory}/key.pem;
                location / {{
                    proxy_pass http://127.0.0.1:{backend};
                    proxy_http_version 1.1;
                    proxy_set_header Host $host:$server_port;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_read_timeout {cut}s; proxy_send_timeout {cut}s;
                }}
            }}
        }}"
    )
}

fn haproxy(directory: &Path, plain: u16, secure: u16, backend: u16, cut: Duration) -> String {
    let (directory, cut) = (directory.display(), cut.as_secs());
    format!(
        "defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client {cut}s
    timeout server {cut}s
    timeout tunnel {cut}s
frontend both
    bind 127.0.0.1:{plain}
    bind 127.0.0.1:{secure} ssl crt {directory}/both.pem
    default_backend ours
backend ours
    server ours 127.0.0.1:{backend}
"
    )
}

/// A port that nobody had a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server of our own that echoes; returns its port.
async fn echo_server() -> u16 {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(serve(server));
    port
}

async fn echo_server_on(port: u16) -> tokio::task::JoinHandle<()> {
    tokio::spawn(serve(Server::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap()))
}

async fn serve(server: Server) {
    let mut acceptor = Acceptor::default();
    let mut config = Config::default();
    config.ping_interval = None; // pings are the client's affair here
    acceptor.config = config.into();
    let serving = server.with_acceptor(acceptor).run(|accepting, _| async {
        let mut socket = accepting.accept().await?;
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    });
    serving.await.unwrap();
}

async fn echo(socket: &mut WebSocket, bytes: &[u8]) {
    let sent = socket.send(bytes.to_vec()).await;
    sent.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(bytes.into()));
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it should not take that long")
}
