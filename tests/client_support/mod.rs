//! What the tests of the client share: servers that answer what they are told to, and a network in the test's hand.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sockeye::client::{BoxFuture, Client, Connect, Error, Family, Resolve, Stream, WebSocket};
use sockeye::handshake::{OriginPolicy, ServerConfig};
use sockeye::tokio::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits for what must not take for ever.
pub async fn soon<F: Future>(future: F) -> F::Output {
    timeout(secs(1000), future).await.expect("it takes for ever")
}

/// What a server does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Opens the connection, and echoes.
    Open,
    /// Sends that, and closes.
    Bytes(Vec<u8>),
    /// Sends that again and again for as long as somebody reads.
    Endless(&'static [u8], &'static [u8]),
    /// Sends that again and again, a piece each second.
    Trickle(&'static [u8], &'static [u8]),
    /// Says nothing.
    Silence,
    /// Closes.
    Close,
}

impl Answer {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bytes(text.into().into_bytes())
    }

    /// A redirect to there.
    pub fn to(location: impl std::fmt::Display) -> Self {
        Self::text(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
    }
}

/// Reads a request's head, answers it, and echoes if the answer is a connection. Gives the head to `answer`.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: impl FnOnce(&str) -> Answer) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return,
        }
    }
    match answer(&String::from_utf8(head.clone()).unwrap()) {
        Answer::Open => {
            let mut server = ServerConfig::default();
            server.origins = OriginPolicy::Any;
            let mut acceptor = Acceptor::default();
            acceptor.handshake = server.into();
            let accepting = acceptor.start(stream).with_input(&head);
            let Ok(mut socket) = accepting.accept().await else { return };
            while let Ok(Some(message)) = socket.receive().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        }
        Answer::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            // A reset must not overtake it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Answer::Endless(first, again) => {
            let _ = stream.write_all(first).await;
            while stream.write_all(again).await.is_ok() {}
        }
        Answer::Trickle(first, again) => {
            let _ = stream.write_all(first).await;
            while stream.write_all(again).await.is_ok() {
                sleep(secs(1)).await;
            }
        }
        Answer::Silence => while !matches!(stream.read(&mut [0; 1024]).await, Ok(0) | Err(_)) {},
        Answer::Close => {}
    }
}

/// A server on this machine.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Begins to answer requests, in the runtime that is there.
    pub async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self { address, heads: Arc::default() };
        let (heads, answer) = (this.heads.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (heads, answer) = (heads.clone(), answer.clone());
                tokio::spawn(serve(stream, move |head| {
                    heads.lock().unwrap().push(head.into());
                    answer(head)
                }));
            }
        });
        this
    }

    /// One that gives the same answer to everybody.
    pub async fn saying(answer: Answer) -> Self {
        Self::start(move |_| answer.clone()).await
    }

    pub fn url(&self, target: &str) -> String {
        format!("ws://{}{target}", self.address)
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The last request's head.
    pub fn head(&self) -> String {
        self.heads().pop().expect("nobody has asked")
    }
}

/// Returns the value of a header field in a head.
pub fn field(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then(|| value.into())
    })
}

/// Says something and hears it back.
pub async fn assert_works(socket: &mut WebSocket) {
    socket.send("hello").await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), Some("hello".into()));
}

pub async fn failure(client: &Client, url: &str) -> Error {
    match soon(client.connect(url)).await {
        Ok(socket) => panic!("connected: {socket:?}"),
        Err(error) => error,
    }
}

/// A network of the test's own: who is found under a name, when, and which addresses take a connection, and when.
#[derive(Clone, Default)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    names: Vec<(Family, Duration, Found)>,
    hosts: Vec<(SocketAddr, Duration, Reaction)>,
    origin: Option<Instant>,
    log: Vec<(Duration, String)>,
    under_way: usize,
}

type Found = Result<Vec<SocketAddr>, io::ErrorKind>;

/// What a host does with whoever connects.
#[derive(Clone, Debug)]
pub enum Reaction {
    Accept,
    /// Takes the connection, and says nothing on it.
    Ignore,
    Refuse(io::ErrorKind),
    /// Is not there: nothing comes back.
    Nothing,
}

impl Network {
    pub fn new() -> Self {
        Self::default()
    }

    /// The name has these addresses of that family, and it takes so long to find out.
    pub fn finds(self, family: Family, after: Duration, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 1)).collect();
        self.state.lock().unwrap().names.push((family, after, Ok(addresses)));
        self
    }

    /// To look addresses of that family up fails, and it takes so long to find out.
    pub fn finds_nothing(self, family: Family, after: Duration, kind: io::ErrorKind) -> Self {
        self.state.lock().unwrap().names.push((family, after, Err(kind)));
        self
    }

    /// Whoever connects to that address meets this, after so long.
    pub fn host(self, address: &str, after: Duration, reaction: Reaction) -> Self {
        self.state.lock().unwrap().hosts.push((address.parse().unwrap(), after, reaction));
        self
    }

    pub fn client(&self) -> Client {
        self.state.lock().unwrap().origin = Some(Instant::now());
        Client::new().resolver(self.clone()).connector(self.clone())
    }

    /// What was tried so far, in milliseconds since the client was made.
    pub fn log(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.log.iter().map(|(at, what)| format!("{} {what}", at.as_millis())).collect()
    }

    /// How many lookups and attempts there are that neither ended nor were dropped.
    pub fn under_way(&self) -> usize {
        self.state.lock().unwrap().under_way
    }

    fn begin(&self, what: String) -> UnderWay {
        let mut state = self.state.lock().unwrap();
        let at = state.origin.get_or_insert_with(Instant::now).elapsed();
        state.log.push((at, what));
        state.under_way += 1;
        UnderWay(self.clone())
    }
}

/// Counts what is under way.
struct UnderWay(Network);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().under_way -= 1;
    }
}

impl Resolve for Network {
    fn resolve<'a>(&'a self, host: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let found = self.state.lock().unwrap().names.iter().find(|(of, ..)| *of == family).cloned();
        let under_way = self.begin(format!("{family:?} of {host}"));
        Box::pin(async move {
            let _under_way = under_way;
            let Some((_, after, found)) = found else { return std::future::pending().await };
            sleep(after).await;
            Ok(found?)
        })
    }
}

impl Connect for Network {
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        let found = self.state.lock().unwrap().hosts.iter().find(|(of, ..)| *of == address).cloned();
        let under_way = self.begin(address.to_string());
        Box::pin(async move {
            let _under_way = under_way;
            let (_, after, reaction) = found.expect("a host that the test knows");
            sleep(after).await;
            match reaction {
                Reaction::Accept => Ok(Stream::new(echo())),
                Reaction::Ignore => Ok(Stream::new(answering(Answer::Silence))),
                Reaction::Refuse(kind) => Err(kind.into()),
                Reaction::Nothing => std::future::pending().await,
            }
        })
    }
}

/// A stream to a server that opens a connection and echoes.
pub fn echo() -> DuplexStream {
    answering(Answer::Open)
}

/// A stream to a server that answers so.
pub fn answering(answer: Answer) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1024);
    tokio::spawn(async move { pin!(serve(theirs, |_| answer)).await });
    ours
}
