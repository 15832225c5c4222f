//! Connection after connection: how long it waits, what ends it, and that nothing is lost unseen.
//!
//! It happens in memory under a paused clock, so that an hour takes no time; each attempt gets the next answer of a script. What is
//! on threads, and a server that dies a hundred times, is in `client_restarts.rs`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sockeye::client::{BackoffConfig, BoxFuture, Client, Connect, Reconnecting, Stream};
use sockeye::handshake::{ClientRequest, ResponseError};
use sockeye::tokio::{Connector, WebSocket, accept};
use sockeye::{Close, CloseCode, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, advance, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// What an attempt meets.
#[derive(Clone, Debug)]
enum Answer {
    Fails(ErrorKind),
    /// A status line, and header fields if there are any, without the last empty line.
    Says(String),
    Opens,
    OpensAfter(Duration),
}

use Answer::{Fails, Opens, OpensAfter, Says};

/// The servers that there are, and what was seen of the client.
#[derive(Clone)]
struct World {
    script: Arc<Mutex<VecDeque<Answer>>>,
    attempts: Arc<Mutex<Vec<Instant>>>,
    delays: Arc<Mutex<Vec<Duration>>>,
    opened: UnboundedSender<WebSocket<DuplexStream>>,
}

type Sockets = UnboundedReceiver<WebSocket<DuplexStream>>;
type Reconnects = Reconnecting<WebSocket<DuplexStream>, Error>;

impl World {
    fn new(script: impl IntoIterator<Item = Answer>) -> (Self, Sockets) {
        let (opened, sockets) = unbounded_channel();
        let script = Arc::new(Mutex::new(script.into_iter().collect()));
        (Self { script, attempts: Arc::default(), delays: Arc::default(), opened }, sockets)
    }

    fn client(&self) -> Reconnects {
        self.client_with(BackoffConfig::default())
    }

    fn client_with(&self, config: BackoffConfig) -> Reconnects {
        let (this, delays) = (self.clone(), self.delays.clone());
        Reconnecting::with(config, move || this.clone().attempt())
            .on_retry(move |retry| delays.lock().unwrap().push(retry.delay))
    }

    /// An attempt: a handshake in memory, unless there is nobody to shake hands with.
    async fn attempt(self) -> Result<WebSocket<DuplexStream>, Error> {
        let stream = self.stream().await?;
        Connector::default().handshake(stream, ClientRequest::new("a.example", "/")?).await
    }

    /// A stream to the next server of the script; all is open once that is over.
    async fn stream(self) -> io::Result<DuplexStream> {
        self.attempts.lock().unwrap().push(Instant::now());
        let answer = self.script.lock().unwrap().pop_front().unwrap_or(Opens);
        let (ours, mut theirs) = duplex(4096);
        match answer {
            Fails(kind) => return Err(kind.into()),
            OpensAfter(delay) => tokio::time::sleep(delay).await,
            Says(_) | Opens => {}
        }
        tokio::spawn(async move {
            if let Says(head) = answer {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(theirs.read_u8().await.unwrap());
                }
                theirs.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
            } else {
                let socket = accept(theirs).await.unwrap();
                let _ = self.opened.send(socket); // the test may have looked enough
            }
        });
        Ok(ours)
    }

    fn attempts(&self) -> usize {
        self.attempts.lock().unwrap().len()
    }

    /// The times between the attempts.
    fn gaps(&self) -> Vec<Duration> {
        self.attempts.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// The way there for a client of URLs.
struct InMemory(World);

impl Connect for InMemory {
    fn connect(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async { Ok(Stream::new(self.0.clone().stream().await?)) })
    }
}

fn says(head: &str) -> Answer {
    Says(head.to_owned())
}

/// The clock of tokio counts milliseconds, and is late by one at most.
fn is_within(wait: Duration, from: Duration, to: Duration) -> bool {
    (from..=to + Duration::from_millis(2)).contains(&wait)
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_is_made_at_once() {
    let (world, _sockets) = World::new([]);
    let start = Instant::now();
    assert!(world.client().next().await.unwrap().is_some());
    assert_eq!(*world.attempts.lock().unwrap(), [start]);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_the_longest_and_are_spread_below_it() {
    let mut longest = [Duration::ZERO; 8];
    for _ in 0..64 {
        let (world, _sockets) = World::new([const { Fails(ErrorKind::ConnectionRefused) }; 8]);
        assert!(world.client().next().await.unwrap().is_some());
        let gaps = world.gaps();
        assert_eq!(gaps.len(), 8);
        for (n, (gap, delay)) in gaps.iter().zip(&*world.delays.lock().unwrap()).enumerate() {
            let ceiling = (5 * SECOND * (1 << n)).min(60 * SECOND);
            assert!(is_within(*gap, Duration::ZERO, ceiling), "{gap:?} is longer than {ceiling:?}");
            assert!(is_within(*gap, *delay, *delay), "{gap:?} is not the {delay:?} that were told");
            longest[n] = longest[n].max(*gap);
        }
    }
    // Of 64 each, one at least is in the upper half, but once in the age of the universe.
    for (n, gap) in longest.into_iter().enumerate() {
        assert!(gap > (5 * SECOND * (1 << n)).min(60 * SECOND) / 2, "{gap:?} is the longest of wait {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_connection_has_the_waits_begin_anew_and_a_short_one_has_not() {
    let failing = [const { Fails(ErrorKind::ConnectionRefused) }; 8];
    for (lasts, ceiling) in [(30, 5), (29, 60)] {
        let mut longest = Duration::ZERO;
        for _ in 0..64 {
            let (world, _sockets) = World::new(failing.clone());
            let mut client = world.client();
            let socket = client.next().await.unwrap().unwrap();
            advance(lasts * SECOND).await;
            drop(socket);
            let lost = Instant::now();
            assert!(client.next().await.unwrap().is_some());
            longest = longest.max(lost.elapsed());
        }
        assert!(is_within(longest, ceiling * SECOND / 2, ceiling * SECOND), "{longest:?} after {lasts} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_heal_ends_it_at_the_first_attempt() {
    for head in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "200 OK", "301 Moved", "426 Upgrade Required"] {
        let (world, _sockets) = World::new([says(head)]);
        let error = world.client().next().await.unwrap_err();
        let Error::Response(ResponseError::Refused(refused)) = &error else { panic!("{error}") };
        assert!(head.starts_with(&refused.status.to_string()));
        assert_eq!(world.attempts(), 1, "{head}");
    }
    // Who answers the key wrongly has not read it.
    let (world, _sockets) = World::new([says(
        "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA",
    )]);
    let error = world.client().next().await.unwrap_err();
    assert!(matches!(error, Error::Response(ResponseError::AcceptMismatch)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_url_ends_it_before_it_begins() {
    let error = Client::new().reconnecting("http://127.0.0.1/", BackoffConfig::default()).unwrap_err();
    assert!(matches!(error, sockeye::client::Error::Url(_)), "{error}");
    // Nor can `wss` be had later in a program without TLS.
    #[cfg(not(any(feature = "rustls-no-provider", feature = "native-tls")))]
    {
        let client = Client::new().connector(InMemory(World::new([]).0));
        let mut reconnecting = client.reconnecting("wss://192.0.2.1/", BackoffConfig::default()).unwrap();
        let error = reconnecting.next().await.unwrap_err();
        assert!(matches!(error, sockeye::client::Error::NoTls { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_tries_again_what_may_heal_and_stops_at_what_will_not() {
    let script =
        [Fails(ErrorKind::ConnectionRefused), Fails(ErrorKind::ConnectionReset), says("503 No"), Opens, says("403 No")];
    let (world, _sockets) = World::new(script);
    let client = Client::new().connector(InMemory(world.clone()));
    let mut reconnecting = client.reconnecting("ws://192.0.2.1/chat", BackoffConfig::default()).unwrap();
    assert!(reconnecting.next().await.unwrap().is_some());
    assert_eq!(world.attempts(), 4);
    let error = reconnecting.next().await.unwrap_err();
    assert_eq!(error.to_string(), "ws://192.0.2.1/chat refused the connection: the server answered 403 No");
}

#[tokio::test(start_paused = true)]
async fn a_refused_address_ends_it() {
    let connect = || sockeye::tokio::connect("http://127.0.0.1/");
    let error = Reconnecting::with(BackoffConfig::default(), connect).next().await.unwrap_err();
    assert!(matches!(error, Error::Uri(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_may_heal_is_tried_again() {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NotFound, TimedOut};
    let kinds = [ConnectionRefused, ConnectionReset, ConnectionAborted, HostUnreachable, NotFound, TimedOut];
    let statuses = [408, 425, 429, 500, 502, 503, 504, 599].map(|status| Says(format!("{status} Not Now")));
    let script: Vec<_> = kinds.map(Fails).into_iter().chain(statuses).collect();
    let (world, _sockets) = World::new(script.clone());
    assert!(world.client().next().await.unwrap().is_some());
    assert_eq!(world.attempts(), script.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_of_the_stream_within_the_handshake_is_tried_again() {
    let (world, _sockets) = World::new([]);
    let (calls, opening) = (Arc::new(Mutex::new(0)), world.clone());
    let counted = calls.clone();
    let mut client = Reconnecting::with(BackoffConfig::default(), move || {
        *counted.lock().unwrap() += 1;
        let (is_first, world) = (*counted.lock().unwrap() == 1, opening.clone());
        async move {
            if is_first {
                let (ours, theirs) = duplex(4096);
                drop(theirs);
                return Connector::default().handshake(ours, ClientRequest::new("a.example", "/")?).await;
            }
            world.attempt().await
        }
    });
    assert!(client.next().await.unwrap().is_some());
    assert_eq!(*calls.lock().unwrap(), 2);
}

/// Has the server close with a code, and takes note of it as an application does.
async fn close_with(client: &mut Reconnects, sockets: &mut Sockets, code: u16) {
    let mut socket = client.next().await.unwrap().unwrap();
    let mut server = sockets.recv().await.unwrap();
    server.close(Close::new(CloseCode::from(code), "").unwrap()).await.unwrap();
    let (ours, theirs) = tokio::join!(socket.receive(), server.receive());
    assert_eq!((ours.unwrap(), theirs.unwrap()), (None, None));
    client.closed(socket.close_code());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_or_is_overloaded_is_given_5_to_30_seconds() {
    for code in [1012, 1013] {
        let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
        for _ in 0..64 {
            let (world, mut sockets) = World::new([]);
            let mut client = world.client();
            close_with(&mut client, &mut sockets, code).await;
            assert!(client.next().await.unwrap().is_some());
            let gap = world.gaps()[0];
            assert!(is_within(gap, 5 * SECOND, 30 * SECOND), "{gap:?}");
            (least, most) = (least.min(gap), most.max(gap));
        }
        assert!(least < 17 * SECOND && most > 17 * SECOND, "{least:?} to {most:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_another_connection_may_heal_is_followed_by_one() {
    for code in [1001, 1011, 1014, 3000, 4000] {
        let (world, mut sockets) = World::new([]);
        let mut client = world.client();
        close_with(&mut client, &mut sockets, code).await;
        assert!(client.next().await.unwrap().is_some(), "{code}");
        assert!(is_within(world.gaps()[0], Duration::ZERO, 5 * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_without_a_close_is_followed_by_another() {
    let (world, mut sockets) = World::new([]);
    let mut client = world.client();
    let mut socket = client.next().await.unwrap().unwrap();
    drop(sockets.recv().await.unwrap());
    assert!(matches!(socket.receive().await, Err(Error::Lost)));
    client.closed(socket.close_code());
    assert!(client.next().await.unwrap().is_some());
    assert_eq!(world.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn there_is_no_other_connection_after_a_close_that_ends_what_was_wanted_or_would_come_again() {
    for code in [1000, 1002, 1003, 1007, 1008, 1009, 1010] {
        let (world, mut sockets) = World::new([]);
        let mut client = world.client();
        close_with(&mut client, &mut sockets, code).await;
        for _ in 0..2 {
            assert!(client.next().await.unwrap().is_none(), "{code}");
        }
        assert_eq!((world.attempts(), world.delays.lock().unwrap().len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_heeded_as_seconds_and_as_a_date() {
    let in_100_s = httpdate::fmt_http_date(SystemTime::now() + 100 * SECOND);
    // A date has whole seconds, and a slow machine may take some of its own.
    for (value, from, to) in [("120", 120, 125), (&in_100_s, 60, 105), ("0", 0, 5), ("soon", 0, 5)] {
        let (world, _sockets) = World::new([Says(format!("503 Service Unavailable\r\nRetry-After: {value}"))]);
        assert!(world.client().next().await.unwrap().is_some());
        let gap = world.gaps()[0];
        assert!(is_within(gap, from * SECOND, to * SECOND), "{gap:?} after {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_bounded_and_429_has_it_too() {
    let year_9999 = "Fri, 31 Dec 9999 23:59:59 GMT";
    for value in ["4000", "999999999999999999999999", year_9999] {
        let (world, _sockets) = World::new([Says(format!("429 Too Many Requests\r\nRetry-After: {value}"))]);
        assert!(world.client().next().await.unwrap().is_some());
        let gap = world.gaps()[0];
        assert!(is_within(gap, 3600 * SECOND, 3605 * SECOND), "{gap:?} after {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_does_not_panic() {
    let mut config = BackoffConfig::default();
    config.max_retry_after = Duration::MAX;
    let (world, _sockets) = World::new([says("503 No\r\nRetry-After: 99999999999999999999")]);
    let mut client = world.client_with(config);
    assert!(timeout(365 * 24 * 3600 * SECOND, client.next()).await.is_err());
    assert_eq!(world.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_told_when_there_were_enough_in_a_row() {
    let mut config = BackoffConfig::default();
    config.max_failures = Some(3);
    let script =
        [Fails(ErrorKind::ConnectionRefused), Opens, says("500 No"), says("502 No"), says("503 No"), says("504 No")];
    let (world, _sockets) = World::new(script);
    let mut client = world.client_with(config);
    assert!(client.next().await.unwrap().is_some());
    let error = client.next().await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused the WebSocket handshake with status 503");
    assert_eq!(world.attempts(), 5);

    // Who asks again waits, and has one attempt each time.
    assert_eq!(client.next().await.unwrap_err().to_string(), error.to_string().replace("503", "504"));
    assert_eq!(world.attempts(), 6);
    assert!(client.next().await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_again_and_again_takes_no_longer() {
    let (world, _sockets) = World::new([says("503 No\r\nRetry-After: 120")]);
    let mut client = world.client();
    let mut asked = 0;
    let socket = loop {
        asked += 1;
        if let Ok(connected) = timeout(SECOND, client.next()).await {
            break connected.unwrap();
        }
    };
    assert!(socket.is_some());
    assert!((120..=127).contains(&asked), "{asked}");
    assert!(is_within(world.gaps()[0], 120 * SECOND, 125 * SECOND));
    assert_eq!(world.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_again_and_again_goes_on() {
    let (world, mut sockets) = World::new([OpensAfter(10 * SECOND)]);
    let mut client = world.client();
    let start = Instant::now();
    let mut socket = loop {
        if let Ok(connected) = timeout(SECOND, client.next()).await {
            break connected.unwrap().unwrap();
        }
    };
    assert!(is_within(start.elapsed(), 10 * SECOND, 11 * SECOND), "{:?}", start.elapsed());
    assert_eq!(world.attempts(), 1);
    let mut server = sockets.recv().await.unwrap();
    server.send("hello").await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some("hello".into()));
}

#[tokio::test(start_paused = true)]
async fn the_wait_begins_when_the_close_is_told() {
    let (world, mut sockets) = World::new([]);
    let mut client = world.client();
    close_with(&mut client, &mut sockets, 1012).await;
    advance(60 * SECOND).await; // what the application does meanwhile
    let asked = Instant::now();
    assert!(client.next().await.unwrap().is_some());
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn it_moves_to_another_task_and_shows_what_it_does() {
    let (world, _sockets) = World::new([]);
    let mut client = world.client();
    let client = tokio::spawn(async move {
        client.next().await.unwrap();
        client
    });
    assert!(format!("{:?}", client.await.unwrap()).starts_with("Reconnecting { is_connecting: false, plan: Plan {"));
}

/// A server whose certificate nobody knows: it would not be trusted the next time either.
#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_bad_certificate_ends_it_at_the_first_attempt() {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use sockeye::client::tls::{TlsConfig, TlsRoots};
    use tokio_rustls::TlsAcceptor;

    let [theirs, other] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap());
    let key = PrivateKeyDer::Pkcs8(theirs.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![theirs.cert.der().clone()], key).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let accepted = Arc::new(Mutex::new(0));
    let counted = accepted.clone();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            *counted.lock().unwrap() += 1;
            let _ = TlsAcceptor::from(Arc::new(config.clone())).accept(stream).await; // the client says what it thinks of it
        }
    });
    let tls = TlsConfig::new().roots(TlsRoots::OnlyAdded).ca_pem(other.cert.pem()).connector().unwrap();
    let mut client = Client::new().tls(tls).reconnecting(&*url, BackoffConfig::default()).unwrap();
    let error = client.next().await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("certificate"), "{error}");
    assert_eq!(*accepted.lock().unwrap(), 1);
    serving.abort();
}
