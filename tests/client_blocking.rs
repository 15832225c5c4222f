//! The client on threads, without a runtime: the servers have one, the client does not.

mod client_support;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client_support::*;
use sockeye::client::blocking::{Stream, WebSocket};
use sockeye::client::{BoxFuture, Client, Connect, Error, Family, Resolve, Stage, TcpOptions, Timeouts, blocking};

/// A server with a runtime of its own.
struct Background {
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Background {
    fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { server: runtime.block_on(Server::start(answer)), _runtime: runtime }
    }

    fn url(&self, target: &str) -> String {
        self.server.url(target)
    }
}

fn works(socket: &mut WebSocket) {
    socket.send("hello").unwrap();
    assert_eq!(socket.receive().unwrap(), Some("hello".into()));
}

fn fails(client: &Client, url: &str) -> Error {
    client.connect_blocking(url).map(|_| ()).unwrap_err()
}

#[test]
fn connect_in_one_line() {
    let server = Background::start(|_| Answer::Open);
    let mut socket = blocking::connect(server.url("/chat").replace("ws://", "ws://me:pw@")).unwrap();
    works(&mut socket);
    assert!(socket.get_ref().tcp().unwrap().nodelay().unwrap());
    assert_eq!(field(&server.server.head(), "Authorization").as_deref(), Some("Basic bWU6cHc="));
}

#[test]
fn connection_splits_between_threads() {
    let server = Background::start(|_| Answer::Open);
    let (mut receiver, sender) = blocking::connect(server.url("/")).unwrap().split().unwrap();
    let sending = std::thread::spawn(move || sender.send("from another thread").map(|()| sender));
    assert_eq!(receiver.receive().unwrap(), Some("from another thread".into()));
    sending.join().unwrap().unwrap();
}

#[test]
fn redirects_are_followed_by_the_same_rules() {
    let other = Background::start(|_| Answer::Open);
    let to = other.url("/there");
    let server = Background::start(move |_| Answer::to(&to));
    let client = Client::new().basic_auth("me", "pw").unwrap();
    let mut socket = client.clone().redirects(1).connect_blocking(server.url("/")).unwrap();
    works(&mut socket);
    assert!(other.server.head().starts_with("GET /there "));
    assert_eq!(field(&other.server.head(), "Authorization"), None);
    let error = fails(&client, &server.url("/"));
    assert!(error.to_string().ends_with(&format!("302 Found, to go to {}", other.url("/there"))), "{error}");

    let circle = Background::start(|_| Answer::to("/"));
    let error = fails(&client.redirects(5), &circle.url("/"));
    assert_eq!(error.to_string(), format!("the redirects lead in a circle, back to {}", circle.url("/")));
}

#[test]
fn refusals_and_errors_read_the_same() {
    let server = Background::start(|_| Answer::text("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!"));
    let error = fails(&Client::new(), &server.url("/x?y"));
    assert_eq!(
        error.to_string(),
        format!("{} refused the connection: the server answered 403 Forbidden, saying \"no!\"", server.url("/x"))
    );
    let server = Background::start(|_| Answer::Close);
    let error = fails(&Client::new(), &server.url("/x"));
    assert_eq!(error.to_string(), format!("{} closed the connection during the opening handshake", server.url("/x")));
    let server = Background::start(|_| Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 1000]));
    assert_eq!(fails(&Client::new(), &server.url("/")).refusal().unwrap().body.len(), 4096);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fails(&Client::new(), &format!("ws://{address}/"));
    assert_eq!(error.to_string(), format!("cannot connect to {address}: connection refused ({address})"));
    let error = fails(&Client::new(), "http://h/");
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Request, true));
}

#[test]
fn server_that_says_nothing_is_not_waited_for_longer_than_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("ws://{address}/");
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Some(ms(50));
    let started = Instant::now();
    let error = fails(&Client::new().timeouts(timeouts), &url);
    assert_eq!(error.to_string(), format!("the opening handshake with ws://{address}/ took longer than 50ms"));
    assert!(started.elapsed() >= ms(50));

    let mut timeouts = Timeouts::default();
    timeouts.total = Some(ms(50));
    let error = fails(&Client::new().timeouts(timeouts), &url);
    assert_eq!(
        error.to_string(),
        format!("the opening handshake with ws://{address}/ was not done when the 50ms for everything were over")
    );
}

#[test]
fn stream_of_ones_own_is_connected_over() {
    let server = Background::start(|_| Answer::Open);
    let stream = TcpStream::connect(server.server.address).unwrap();
    let mut socket = Client::new().connect_blocking_over(stream, "ws://test.example/").unwrap();
    works(&mut socket);
    assert_eq!(field(&server.server.head(), "Host").as_deref(), Some("test.example"));
}

#[cfg(unix)]
#[test]
fn unix_socket_is_connected_to() {
    let directory = std::env::temp_dir().join(format!("sockeye-client-blocking-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let mut socket = sockeye::blocking::accept(listener.accept().unwrap().0).unwrap();
        let message = socket.receive().unwrap().unwrap();
        socket.send(&message).unwrap();
    });
    let client = Client::new().unix_socket(&path);
    works(&mut client.connect_blocking("ws://localhost/").unwrap());
    serving.join().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let error = fails(&client, "ws://localhost/");
    assert_eq!(
        error.to_string(),
        format!("cannot connect to the socket {}: no such file or directory", path.display())
    );
}

/// Looks for an address in vain.
struct Panicking;

impl Resolve for Panicking {
    fn resolve<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        unreachable!("it is asked for the other one")
    }

    fn resolve_blocking(&self, _: &str, _: Family) -> io::Result<Vec<SocketAddr>> {
        panic!("as it should")
    }
}

#[test]
fn a_resolver_that_panics_is_not_waited_for() {
    let mut timeouts = Timeouts::default();
    timeouts.lookup = None;
    let client = Client::new().resolver(Panicking).timeouts(timeouts);
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(fails(&client, "ws://test.example/")));
    let error = receiver.recv_timeout(secs(60)).expect("it waits for ever");
    assert_eq!(
        error.to_string(),
        "the address of \"test.example\" could not be looked up: what was to do it has panicked"
    );
}

/// On Linux; other systems refuse at once where too many wait.
#[cfg(target_os = "linux")]
#[test]
fn a_unix_socket_that_takes_no_connection_is_given_up_in_time() {
    let directory = std::env::temp_dir().join(format!("sockeye-client-full-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();

    let mut timeouts = Timeouts::default();
    timeouts.connect = Some(ms(20));
    let client = Client::new().unix_socket(&path).timeouts(timeouts);
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(fails(&client, "ws://localhost/")));
    let error = receiver.recv_timeout(secs(60)).expect("it waits for ever");
    assert_eq!(error.to_string(), format!("connecting to the socket {} took longer than 20ms", path.display()));
    assert_eq!((error.stage(), error.is_permanent()), (Stage::Connect, false));
    drop((waiting, listener));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A network of the test's own: IPv6 leads nowhere.
#[derive(Clone)]
struct Network {
    /// Where addresses of IPv4 lead.
    server: SocketAddr,
    tried: Arc<Mutex<Vec<SocketAddr>>>,
    /// An attempt over IPv6 ends when this does.
    end: Arc<Mutex<Option<Receiver<()>>>>,
}

impl Network {
    fn new(server: SocketAddr) -> (Self, Sender<()>) {
        let (sender, receiver) = channel();
        (Self { server, tried: Arc::default(), end: Arc::new(Mutex::new(Some(receiver))) }, sender)
    }
}

impl Resolve for Network {
    fn resolve<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }

    fn resolve_blocking(&self, host: &str, family: Family) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(host, "test.example");
        Ok(vec![match family {
            Family::V4 => ([192, 0, 2, 1], 1).into(),
            Family::V6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 1).into(),
        }])
    }
}

impl Connect for Network {
    fn connect(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<sockeye::client::Stream>> {
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }

    fn connect_blocking(&self, address: SocketAddr, timeout: Option<Duration>) -> io::Result<Stream> {
        assert_eq!(timeout, Some(secs(10)));
        self.tried.lock().unwrap().push(address);
        if address.is_ipv4() {
            return TcpStream::connect(self.server).map(Stream::from);
        }
        let end = self.end.lock().unwrap().take().expect("it is tried once");
        let _ = end.recv();
        Err(ErrorKind::TimedOut.into())
    }
}

#[test]
fn broken_ipv6_does_not_hold_up_ipv4() {
    let server = Background::start(|_| Answer::Open);
    let (network, end) = Network::new(server.server.address);
    let client = Client::new().resolver(network.clone()).connector(network.clone());
    let mut socket = client.connect_blocking("ws://test.example/").unwrap();
    works(&mut socket);
    let tried: Vec<_> = network.tried.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tried, ["[2001:db8::1]:80", "192.0.2.1:80"]);
    drop(end);
}

#[test]
fn name_that_takes_too_long_is_given_up() {
    struct Silent(Mutex<Receiver<()>>);
    impl Resolve for Silent {
        fn resolve<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Err(ErrorKind::Unsupported.into()) })
        }

        fn resolve_blocking(&self, _: &str, _: Family) -> io::Result<Vec<SocketAddr>> {
            let _ = self.0.lock().unwrap().recv();
            Err(ErrorKind::NotFound.into())
        }
    }
    let (end, waiting) = channel::<()>();
    let mut timeouts = Timeouts::default();
    timeouts.lookup = Some(ms(30));
    let client = Client::new().resolver(Silent(Mutex::new(waiting))).timeouts(timeouts);
    let error = fails(&client, "ws://test.example/");
    assert_eq!(error.to_string(), "looking up the address of test.example took longer than 30ms");
    drop(end);
}

#[test]
fn resolver_and_connector_for_asynchronous_clients_only_say_so() {
    struct AsyncOnly;
    impl Resolve for AsyncOnly {
        fn resolve<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }
    let error = fails(&Client::new().resolver(AsyncOnly), "ws://test.example/");
    assert_eq!(
        error.to_string(),
        "the address of \"test.example\" could not be looked up: the resolver is one for asynchronous clients only"
    );
    let connector = |_| async { Err(ErrorKind::Unsupported.into()) };
    let error = fails(&Client::new().connector(connector), "ws://127.0.0.1/");
    assert_eq!(
        error.to_string(),
        "cannot connect to 127.0.0.1:80: the connector is one for asynchronous clients only (127.0.0.1:80)"
    );
}

#[test]
fn options_of_the_socket_are_used() {
    let server = Background::start(|_| Answer::Open);
    let mut tcp = TcpOptions::default();
    tcp.nodelay = false;
    tcp.bind = Some("127.0.0.1".parse().unwrap());
    let mut socket = Client::new().tcp(tcp).connect_blocking(server.url("/")).unwrap();
    works(&mut socket);
    assert!(!socket.get_ref().tcp().unwrap().nodelay().unwrap());
}
