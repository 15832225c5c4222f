//! A pair under construction.

use super::WebSocket;
use super::clock::Clock;
use super::faults::Faults;
use super::link::Link;
use super::raw::RawPeer;
use super::stream::Stream;
use crate::config::Config;

/// Two connected ends in memory; set what you must, then make as many pairs of it as you like.
///
/// ```
/// use sockeye::test_kit::{Clock, Expect, Faults, Pair, run};
///
/// let clock = Clock::new();
/// run(&clock, async {
///     let mut pair = Pair::new(&clock);
///     pair.server.max_message_size = 1024;
///     pair.to_server = Faults::new().max_read(1);
///     let (mut client, mut server) = pair.sockets();
///     client.send("byte by byte").await.unwrap();
///     server.expect_text("byte by byte").await;
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pair {
    /// Limits and deadlines of the client. Those of the library, but for the keepalive, which is off: on a clock that moves by
    /// itself two peers that only ping each other would keep a test alive for ever that waits for something else.
    pub client: Config,
    /// Limits and deadlines of the server; the keepalive is off, too.
    pub server: Config,
    /// What goes wrong on the way to the client. Default: nothing.
    pub to_client: Faults,
    /// What goes wrong on the way to the server. Default: nothing.
    pub to_server: Faults,
    /// How many bytes can be under way to the client before the server has to wait, at least 1. Default 64 KiB.
    pub to_client_capacity: usize,
    /// How many bytes can be under way to the server before the client has to wait, at least 1. Default 64 KiB.
    pub to_server_capacity: usize,
    clock: Clock,
}

impl Pair {
    /// Creates a pair of the defaults, with its timers on this clock.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        let config = Config { ping_interval: None, ..Config::default() };
        Self {
            client: config.clone(),
            server: config,
            to_client: Faults::new(),
            to_server: Faults::new(),
            to_client_capacity: CAPACITY,
            to_server_capacity: CAPACITY,
            clock: clock.clone(),
        }
    }

    /// Makes a client and a server whose opening handshake is done.
    #[must_use]
    pub fn sockets(&self) -> (WebSocket, WebSocket) {
        let (client, server) = self.streams();
        (WebSocket::client(client, self.client.clone()), WebSocket::server(server, self.server.clone()))
    }

    /// Makes the two ends without anything on them, the client's first: for an application that makes the opening
    /// handshake itself, with an [`Acceptor`](super::Acceptor) or a [`Connector`](super::Connector).
    ///
    /// ```
    /// use sockeye::handshake::ClientRequest;
    /// use sockeye::test_kit::{Acceptor, Clock, Connector, Pair, run, spawn};
    ///
    /// let clock = Clock::new();
    /// run(&clock, async {
    ///     let (client, server) = Pair::new(&clock).streams();
    ///     let accepting = spawn(async move {
    ///         Acceptor::default().accept_with(server, |acceptance, _stream| {
    ///             Ok(acceptance.select_subprotocol(&["chat.v2"]).respond())
    ///         }).await
    ///     });
    ///     let request = ClientRequest::new("localhost", "/").unwrap().subprotocol("chat.v2").unwrap();
    ///     let client = Connector::default().handshake(client, request).await.unwrap();
    ///     let server = accepting.await.unwrap();
    ///     assert_eq!(client.subprotocol(), server.subprotocol());
    /// });
    /// ```
    #[must_use]
    pub fn streams(&self) -> (Stream, Stream) {
        let to_client = Link::new(self.to_client_capacity, self.to_client.clone());
        let to_server = Link::new(self.to_server_capacity, self.to_server.clone());
        let client = Stream::new(self.clock.clone(), to_client.clone(), to_server.clone());
        (client, Stream::new(self.clock.clone(), to_server, to_client))
    }

    /// Makes a client of raw bytes, and a server whose opening handshake is done.
    #[must_use]
    pub fn raw_client(&self) -> (RawPeer, WebSocket) {
        let (client, server) = self.streams();
        (RawPeer::client(client), WebSocket::server(server, self.server.clone()))
    }

    /// Makes a client whose opening handshake is done, and a server of raw bytes.
    #[must_use]
    pub fn raw_server(&self) -> (WebSocket, RawPeer) {
        let (client, server) = self.streams();
        (WebSocket::client(client, self.client.clone()), RawPeer::server(server))
    }
}

/// The default capacity of a direction, in bytes.
const CAPACITY: usize = 64 * 1024;
