//! The client through proxies: which way it takes, whom it tells what, and what it says when there is no way. What is spoken with a
//! proxy has tests of its own.

mod client_support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use client_support::*;
use sockeye::client::Family::V4;
use sockeye::client::proxy::{Proxy, ProxyRules};
use sockeye::client::{Client, Error, Stage, TcpOptions, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that connects to a server, whatever it was asked for.
#[derive(Clone)]
struct Relay {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// Relays by `CONNECT` and by SOCKS5, whichever is spoken.
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let relay = this.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(relay.clone().serve(stream, server));
            }
        });
        this
    }

    async fn serve(self, mut stream: TcpStream, server: SocketAddr) {
        if stream.read_u8().await.unwrap() == 5 {
            self.socks5(&mut stream).await;
        } else {
            let mut head = String::from("C");
            while !head.ends_with("\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap().into());
            }
            self.asked.lock().unwrap().push(head);
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        }
        let mut server = TcpStream::connect(server).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }

    /// RFC 1928, without authentication.
    async fn socks5(&self, stream: &mut TcpStream) {
        let methods = stream.read_u8().await.unwrap();
        stream.read_exact(&mut vec![0; methods.into()]).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 4];
        stream.read_exact(&mut request).await.unwrap();
        let host = match request[3] {
            1 => std::net::Ipv4Addr::from(stream.read_u32().await.unwrap()).to_string(),
            4 => std::net::Ipv6Addr::from(stream.read_u128().await.unwrap()).to_string(),
            _ => {
                let mut name = vec![0; stream.read_u8().await.unwrap().into()];
                stream.read_exact(&mut name).await.unwrap();
                format!("name {}", String::from_utf8(name).unwrap())
            }
        };
        let port = stream.read_u16().await.unwrap();
        self.asked.lock().unwrap().push(format!("{host} {port}"));
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn proxy(&self, scheme: &str) -> Proxy {
        format!("{scheme}://{}", self.address).parse().unwrap()
    }
}

#[tokio::test]
async fn http_proxy_is_asked_for_the_server_by_name_and_the_server_sees_nothing_of_it() {
    let server = Server::saying(Answer::Open).await;
    let relay = Relay::start(server.address).await;
    let proxy: Proxy = format!("http://me:pw@{}", relay.address).parse().unwrap();
    let client = Client::new().proxy(proxy).bearer_auth("token").unwrap();
    let mut socket = client.connect("ws://no-such-host.invalid/chat").await.unwrap();
    assert_works(&mut socket).await;
    assert!(socket.get_ref().tcp().is_some(), "a tunnel is a plain stream");
    let [asked] = &relay.asked()[..] else { panic!() };
    assert!(asked.starts_with("CONNECT no-such-host.invalid:80 HTTP/1.1\r\n"), "{asked}");
    assert_eq!(field(asked, "Proxy-Authorization").as_deref(), Some("Basic bWU6cHc="));
    assert_eq!(field(asked, "Authorization"), None);
    let head = server.head();
    assert_eq!(field(&head, "Host").as_deref(), Some("no-such-host.invalid"));
    assert_eq!(field(&head, "Authorization").as_deref(), Some("Bearer token"));
    assert_eq!(field(&head, "Proxy-Authorization"), None);
}

#[tokio::test]
async fn socks_proxy_resolves_the_name_or_gets_an_address_as_its_scheme_says() {
    let server = Server::saying(Answer::Open).await;
    let relay = Relay::start(server.address).await;
    let mut socket = Client::new().proxy(relay.proxy("socks5h")).connect("ws://no-such-host.invalid/").await.unwrap();
    assert_works(&mut socket).await;

    let network = Network::new().finds(V4, ms(0), &["192.0.2.7", "192.0.2.8"]);
    let client = Client::new().resolver(network.clone());
    let mut socket = client.proxy(relay.proxy("socks5")).connect("ws://test.example:9001/").await.unwrap();
    assert_works(&mut socket).await;
    assert_eq!(relay.asked(), ["name no-such-host.invalid 80", "192.0.2.7 9001"]);
    assert_eq!(field(&server.head(), "Host").as_deref(), Some("test.example:9001"));
}

#[tokio::test]
async fn rules_say_for_each_connection_which_way_it_takes() {
    let server = Server::saying(Answer::Open).await;
    let relay = Relay::start(server.address).await;
    let url = relay.proxy("http").to_string();
    let rules = ProxyRules::from_vars(|name| match name {
        "http_proxy" => Some(url.clone()),
        "NO_PROXY" => Some("127.0.0.1".into()),
        _ => None,
    });
    let client = Client::new().proxies(rules.unwrap());
    client.connect(server.url("/direct")).await.unwrap();
    assert_eq!(relay.asked(), [""; 0]);
    client.connect("ws://test.invalid/through").await.unwrap();
    assert_eq!(relay.asked().len(), 1);

    // So for where a redirect leads.
    let first = Server::saying(Answer::to("ws://elsewhere.invalid/")).await;
    client.redirects(1).connect(first.url("/")).await.unwrap();
    assert!(relay.asked()[1].starts_with("CONNECT elsewhere.invalid:80 "));
}

#[test]
fn blocking_client_takes_the_same_ways() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, relay) = runtime.block_on(async {
        let server = Server::saying(Answer::Open).await;
        let relay = Relay::start(server.address).await;
        (server, relay)
    });
    for (scheme, url) in [
        ("http", "ws://no-such-host.invalid/"),
        ("socks5h", "ws://no-such-host.invalid/"),
        // An address needs no resolver.
        ("socks5", "ws://192.0.2.1:7/"),
    ] {
        let client = Client::new().proxy(relay.proxy(scheme));
        let mut socket = client.connect_blocking(url).unwrap();
        socket.send("hello").unwrap();
        assert_eq!(socket.receive().unwrap(), Some("hello".into()));
        assert!(socket.get_ref().tcp().is_some());
    }
    let asked = relay.asked();
    assert!(asked[0].starts_with("CONNECT no-such-host.invalid:80 "));
    assert_eq!(asked[1..], ["name no-such-host.invalid 80", "192.0.2.1 7"]);
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn refusal_of_a_proxy_is_told_from_one_of_the_server() {
    for (answer, message, is_permanent) in [
        (
            "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x",
            "the proxy wants a user name and a password (407): put them in its URL, http://user:password@proxy",
            true,
        ),
        ("403 Filtered", "the proxy does not allow a connection to test.invalid:80: 403 Filtered", true),
        ("502 Bad Gateway", "the proxy cannot reach test.invalid:80: 502 Bad Gateway", false),
    ] {
        let proxy = Server::saying(Answer::text(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n"))).await;
        let client = Client::new().proxy(format!("http://{}", proxy.address).parse().unwrap());
        let error = failure(&client, "ws://test.invalid/").await;
        let expected = format!("there is no way through the proxy http://{}: {message}", proxy.address);
        assert_eq!(error.to_string(), expected);
        assert_eq!((error.stage(), error.is_permanent()), (Stage::Proxy, is_permanent), "{error}");
        assert!(matches!(error, Error::Proxy { .. }));
        let blocking = std::thread::spawn(move || client.connect_blocking("ws://test.invalid/").map(|_| ()));
        let blocking = tokio::task::spawn_blocking(move || blocking.join().unwrap()).await.unwrap();
        assert_eq!(blocking.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn proxy_that_is_not_there_or_is_none_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new().proxy(format!("http://me:secret@{address}").parse().unwrap());
    let error = failure(&client, "ws://test.invalid/").await;
    assert_eq!(
        error.to_string(),
        format!("cannot connect to the proxy http://{address}: connection refused ({address})")
    );

    let proxy = Server::saying(Answer::Endless(b"", b"garbage")).await;
    let client = Client::new().proxy(format!("http://{}", proxy.address).parse().unwrap());
    let error = failure(&client, "ws://test.invalid/").await;
    assert_eq!(
        error.to_string(),
        format!(
            "there is no way through the proxy http://{}: the answer of the proxy is not that of an HTTP proxy: the head \
             is not HTTP/1.1: malformed start line",
            proxy.address
        )
    );

    let proxy = Server::saying(Answer::Endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")).await;
    let client = Client::new().proxy(format!("http://{}", proxy.address).parse().unwrap());
    let error = failure(&client, "ws://test.invalid/").await;
    assert!(error.to_string().ends_with("the head is longer than 16384 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn proxy_that_hangs_is_left_in_time() {
    let network = Network::new().host("192.0.2.1:3128", ms(0), Reaction::Ignore);
    let client = network.client().proxy("http://192.0.2.1:3128".parse().unwrap());
    let started = tokio::time::Instant::now();
    let error = failure(&client, "ws://test.invalid/").await;
    assert_eq!(started.elapsed(), secs(30));
    assert_eq!(
        error.to_string(),
        "opening a tunnel through the proxy http://192.0.2.1:3128 to test.invalid:80 took longer than 30s"
    );
    assert_eq!((error.stage(), error.is_timeout()), (Stage::Proxy, true));

    let mut timeouts = Timeouts::default();
    timeouts.total = Some(secs(5));
    let error = failure(&client.timeouts(timeouts), "ws://test.invalid/").await;
    assert_eq!(
        error.to_string(),
        "opening a tunnel through the proxy http://192.0.2.1:3128 to test.invalid:80 was not done when the 5s for \
         everything were over"
    );
}

#[tokio::test]
async fn bytes_that_come_along_with_the_proxys_answer_are_the_servers() {
    // Somebody who answers before being asked: the server's answer lies behind the proxy's.
    let answer = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 403 Early\r\nContent-Length: 0\r\n\r\n";
    let proxy = Server::saying(Answer::text(answer)).await;
    let client = Client::new().proxy(format!("http://{}", proxy.address).parse().unwrap());
    let error = failure(&client, "ws://test.invalid/").await;
    assert_eq!(error.to_string(), "ws://test.invalid/ refused the connection: the server answered 403 Early");
}

#[tokio::test]
async fn address_to_bind_to_counts_for_the_proxy_and_not_for_the_server() {
    let server = Server::saying(Answer::Open).await;
    let relay = Relay::start(server.address).await;
    let mut tcp = TcpOptions::default();
    tcp.bind = Some("127.0.0.1".parse().unwrap());
    let client = Client::new().tcp(tcp).proxy(relay.proxy("socks5"));
    let mut socket = client.connect("ws://[2001:db8::1]/").await.unwrap();
    assert_works(&mut socket).await;
    assert_eq!(relay.asked(), ["2001:db8::1 80"]);
}

#[cfg(unix)]
#[tokio::test]
async fn unix_socket_is_no_business_of_a_proxy() {
    let client = Client::new().proxy("http://192.0.2.1:1".parse().unwrap()).unix_socket("/nowhere/at/all");
    assert!(matches!(failure(&client, "ws://h/").await, Error::Unix { .. }));
}
