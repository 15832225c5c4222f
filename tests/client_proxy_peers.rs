//! Tunnels through the proxies that people run: tinyproxy, squid, microsocks and dante, each started by the test on a free port with a
//! configuration in a directory of its own. On Debian: `apt-get install tinyproxy squid microsocks dante-server`.
#![cfg(unix)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sockeye::client::proxy::{Proxy, ProxyError, SocksReply, TunnelConfig, TunnelError};
use sockeye::handshake::ClientRequest;
use sockeye::{Close, blocking, tokio as ws};

/// A proxy that runs as long as this lives, in a directory that is there as long.
struct Running {
    program: Child,
    directory: PathBuf,
    port: u16,
}

impl Running {
    /// Starts a program; `setup` writes what it needs into the directory and gives its arguments. It is there once it takes a
    /// connection.
    fn start(program: &str, setup: impl FnOnce(&Directory, u16) -> Vec<String>) -> Self {
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("sockeye-{program}-{}-{port}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let arguments = setup(&Directory(&directory), port);
        let log = std::fs::File::create(directory.join("log")).unwrap();
        // Debian keeps some of them where only root looks.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new(program)
            .args(arguments)
            .env("PATH", path)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        let mut running = Self { program: child, directory, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.program.try_wait().unwrap();
            let log = || std::fs::read_to_string(running.directory.join("log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(60), "{program}: {ended:?}\n{}", log());
            // It is another process: there is no event to wait for.
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    fn proxy(&self, scheme: &str) -> Proxy {
        format!("{scheme}://127.0.0.1:{}", self.port).parse().unwrap()
    }

    fn proxy_for(&self, scheme: &str, user: &str, password: &str) -> Proxy {
        format!("{scheme}://{user}:{password}@127.0.0.1:{}", self.port).parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked to end, they remove what they share with their helpers.
        let process = rustix::process::Pid::from_child(&self.program);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.program.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

struct Directory<'a>(&'a std::path::Path);

impl Directory<'_> {
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file; returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// tinyproxy, with further lines of configuration.
fn tinyproxy(lines: &str) -> Running {
    Running::start("tinyproxy", |directory, port| {
        let config = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\n{lines}\n");
        vec!["-d".into(), "-c".into(), directory.write("config", &config)]
    })
}

/// squid, with the rules of who may do what.
fn squid(rules: &str, listen: impl FnOnce(&Directory, u16) -> String) -> Running {
    Running::start("squid", |directory, port| {
        let mut config = listen(directory, port);
        let passwords = directory.write("passwords", "me:$apr1$sockeye1$eG5iPduAZ2BZhK8LXaUwT1\n");
        writeln!(config, "auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}").unwrap();
        writeln!(config, "auth_param basic children 1").unwrap();
        writeln!(config, "{rules}\npid_filename none\naccess_log none\ncache_log /dev/null\ncache deny all").unwrap();
        writeln!(config, "shutdown_lifetime 0 seconds\nvisible_hostname proxy.example\npinger_enable off").unwrap();
        writeln!(config, "cache_mem 1 MB\nmax_filedescriptors 256").unwrap();
        vec!["-N".into(), "-n".into(), format!("sockeye{port}"), "-f".into(), directory.write("config", &config)]
    })
}

fn squid_plain(rules: &str) -> Running {
    squid(rules, |_, port| format!("http_port 127.0.0.1:{port}\n"))
}

fn microsocks(more: &[&str]) -> Running {
    Running::start("microsocks", |_, port| {
        let fixed = ["-i".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
        fixed.into_iter().chain(more.iter().map(|&argument| argument.to_owned())).collect()
    })
}

/// dante, which blocks what these lines say and lets the rest pass.
fn dante(method: &str, blocked: &str) -> Running {
    Running::start("danted", |directory, port| {
        let config = format!(
            "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: lo\nsocksmethod: {method}\nclientmethod: none\n\
             client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n{blocked}\nsocks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n"
        );
        vec!["-f".into(), directory.write("config", &config), "-p".into(), directory.path("pid")]
    })
}

/// A WebSocket server that echoes, on a port of `localhost`.
async fn echo_server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = ws::accept(stream).await?;
                while let Some(message) = socket.receive().await? {
                    socket.send(message).await?;
                }
                Ok::<_, ws::Error>(())
            });
        }
    });
    port
}

fn request(port: u16) -> ClientRequest {
    ClientRequest::new(&format!("localhost:{port}"), "/").unwrap()
}

/// Has messages echoed through the proxy, on tokio and on threads.
async fn assert_echoes(proxy: &Proxy, host: &'static str, port: u16) {
    let stream = tokio::net::TcpStream::connect((proxy.host(), proxy.port())).await.unwrap();
    let stream = proxy.tunnel(stream, host, port, &TunnelConfig::default()).await.unwrap();
    let mut socket = ws::Connector::default().handshake(stream, request(port)).await.unwrap();
    let long = "long ".repeat(50_000);
    for message in ["hello", &long] {
        socket.send(message).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), Some(message.into()));
    }
    socket.close(Close::normal()).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), None);

    let proxy = proxy.clone();
    let blocking = tokio::task::spawn_blocking(move || {
        let stream = TcpStream::connect((proxy.host(), proxy.port())).unwrap();
        let stream = proxy.tunnel_blocking(stream, host, port, &TunnelConfig::default()).unwrap();
        let mut socket = blocking::Connector::default().handshake(stream, request(port)).unwrap();
        socket.send("hello").unwrap();
        assert_eq!(socket.receive().unwrap(), Some("hello".into()));
        socket.close(Close::normal()).unwrap();
        assert_eq!(socket.receive().unwrap(), None);
    });
    blocking.await.unwrap();
}

/// Returns why the proxy gives no tunnel, on tokio and on threads the same.
async fn refusal(proxy: &Proxy, host: &'static str, port: u16) -> TunnelError {
    let stream = tokio::net::TcpStream::connect((proxy.host(), proxy.port())).await.unwrap();
    let refused = proxy.tunnel(stream, host, port, &TunnelConfig::default()).await;
    let Err(ProxyError::Tunnel(error)) = refused else { panic!("it refuses: {refused:?}") };
    let proxy = proxy.clone();
    let blocking = tokio::task::spawn_blocking(move || {
        let stream = TcpStream::connect((proxy.host(), proxy.port())).unwrap();
        proxy.tunnel_blocking(stream, host, port, &TunnelConfig::default())
    });
    let blocking = blocking.await.unwrap();
    assert!(matches!(&blocking, Err(ProxyError::Tunnel(other)) if *other == error), "{blocking:?}, and not {error:?}");
    error
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn tinyproxy_without_rules_and_a_server_that_is_not_there() {
    let port = echo_server().await;
    let running = tinyproxy("");
    let proxy = running.proxy("http");
    assert_echoes(&proxy, "localhost", port).await;
    assert_echoes(&proxy, "127.0.0.1", port).await;
    let nobody = free_port();
    assert_eq!(
        refusal(&proxy, "127.0.0.1", nobody).await.to_string(),
        format!("the proxy refused to connect to 127.0.0.1:{nobody}: 500 Unable to connect")
    );
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn tinyproxy_with_a_password_and_with_rules() {
    let port = echo_server().await;
    let running = tinyproxy("BasicAuth me secret");
    assert_echoes(&running.proxy_for("http", "me", "secret"), "localhost", port).await;
    assert_eq!(
        refusal(&running.proxy("http"), "localhost", port).await,
        TunnelError::CredentialsWanted { status: 407 }
    );
    let wrong = refusal(&running.proxy_for("http", "me", "wrong"), "localhost", port).await;
    assert_eq!(wrong, TunnelError::CredentialsRefused { status: 401 });

    let running = tinyproxy("ConnectPort 1");
    assert_eq!(
        refusal(&running.proxy("http"), "localhost", port).await.to_string(),
        format!("the proxy does not allow a connection to localhost:{port}: 403 Access violation")
    );
}

const PASS: &str = "http_access allow all";

#[tokio::test]
#[ignore = "needs squid"]
async fn squid_without_rules_and_a_server_that_is_not_there() {
    let port = echo_server().await;
    let running = squid_plain(PASS);
    let proxy = running.proxy("http");
    assert_echoes(&proxy, "localhost", port).await;
    assert_echoes(&proxy, "127.0.0.1", port).await;
    let nobody = free_port();
    assert_eq!(
        refusal(&proxy, "127.0.0.1", nobody).await.to_string(),
        format!("the proxy cannot reach 127.0.0.1:{nobody}: 503 Service Unavailable")
    );
}

#[tokio::test]
#[ignore = "needs squid"]
async fn squid_with_a_password_and_with_rules() {
    let port = echo_server().await;
    let running = squid_plain("acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all");
    assert_echoes(&running.proxy_for("http", "me", "secret"), "localhost", port).await;
    assert_eq!(
        refusal(&running.proxy("http"), "localhost", port).await,
        TunnelError::CredentialsWanted { status: 407 }
    );
    let wrong = refusal(&running.proxy_for("http", "me", "wrong"), "localhost", port).await;
    assert_eq!(wrong, TunnelError::CredentialsRefused { status: 407 });

    let running = squid_plain("http_access deny all");
    assert_eq!(
        refusal(&running.proxy("http"), "localhost", port).await.to_string(),
        format!("the proxy does not allow a connection to localhost:{port}: 403 Forbidden")
    );
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
#[ignore = "needs squid"]
async fn squid_over_tls() {
    use sockeye::client::tls::{TlsConfig, TlsRoots};

    let port = echo_server().await;
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let running = squid(PASS, |directory, port| {
        let certificate = directory.write("certificate.pem", &pem);
        let key = directory.write("key.pem", &certified.signing_key.serialize_pem());
        format!("https_port 127.0.0.1:{port} tls-cert={certificate} tls-key={key}\n")
    });
    let proxy = running.proxy("https");
    let connector = TlsConfig::new().roots(TlsRoots::OnlyAdded).ca_pem(pem).connector().unwrap();
    let stream = tokio::net::TcpStream::connect((proxy.host(), proxy.port())).await.unwrap();
    let stream = connector.handshake(stream, "localhost").await.unwrap();
    let stream = proxy.tunnel(stream, "localhost", port, &TunnelConfig::default()).await.unwrap();
    let mut socket = ws::Connector::default().handshake(stream, request(port)).await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some("hello".into()));
    socket.close(Close::normal()).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs microsocks"]
async fn microsocks_with_and_without_a_password() {
    let port = echo_server().await;
    let running = microsocks(&[]);
    assert_echoes(&running.proxy("socks5h"), "localhost", port).await;
    assert_echoes(&running.proxy("socks5"), "127.0.0.1", port).await;
    let nobody = free_port();
    let target = format!("127.0.0.1:{nobody}");
    assert_eq!(
        refusal(&running.proxy("socks5"), "127.0.0.1", nobody).await,
        TunnelError::SocksRefused { target, reply: SocksReply::CONNECTION_REFUSED }
    );

    let running = microsocks(&["-u", "me", "-P", "secret"]);
    assert_echoes(&running.proxy_for("socks5h", "me", "secret"), "localhost", port).await;
    assert_eq!(
        refusal(&running.proxy("socks5h"), "localhost", port).await.to_string(),
        "the SOCKS proxy wants a user name and a password: put them in its URL, socks5://user:password@proxy"
    );
    assert_eq!(
        refusal(&running.proxy_for("socks5h", "me", "wrong"), "localhost", port).await,
        TunnelError::SocksCredentialsRefused
    );
}

#[tokio::test]
#[ignore = "needs dante, and a network interface of the name lo"]
async fn dante_with_and_without_rules() {
    let port = echo_server().await;
    let running = dante("none", "");
    assert_echoes(&running.proxy("socks5h"), "localhost", port).await;
    assert_echoes(&running.proxy_for("socks5", "me", "secret"), "127.0.0.1", port).await;
    let nobody = free_port();
    let target = format!("127.0.0.1:{nobody}");
    assert_eq!(
        refusal(&running.proxy("socks5"), "127.0.0.1", nobody).await,
        TunnelError::SocksRefused { target, reply: SocksReply::CONNECTION_REFUSED }
    );

    let running = dante("none", &format!("socks block {{ from: 127.0.0.0/8 to: 0.0.0.0/0 port = {port} }}"));
    assert_eq!(
        refusal(&running.proxy("socks5"), "127.0.0.1", port).await.to_string(),
        format!("the SOCKS proxy has no connection to 127.0.0.1:{port}: not allowed by its rules")
    );
}

#[tokio::test]
#[ignore = "needs tinyproxy and microsocks"]
async fn a_proxy_of_the_other_kind_is_told() {
    let socks = microsocks(&[]);
    let error = refusal(&socks.proxy("http"), "localhost", 80).await.to_string();
    assert_eq!(
        error,
        "the answer of the proxy is not that of an HTTP proxy: the head is not HTTP/1.1: malformed start line"
    );
    // What we say to a SOCKS proxy has no end of a line, which this one waits for.
    let http = tinyproxy("");
    let proxy = http.proxy("socks5");
    let mut config = TunnelConfig::default();
    config.timeout = Some(Duration::from_millis(200));
    let stream = tokio::net::TcpStream::connect((proxy.host(), proxy.port())).await.unwrap();
    let error = proxy.tunnel(stream, "localhost", 80, &config).await.unwrap_err();
    assert_eq!(error.to_string(), "the proxy did not open a tunnel to localhost:80 within 200ms");
}
