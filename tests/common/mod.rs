//! A client and a server in memory, under a clock that the test moves; and one side alone, fed by hand.

#![allow(dead_code, reason = "every test binary uses a part of it")]

pub(crate) mod allocator;
pub(crate) mod wire;

use core::time::Duration;

use sockeye::{
    Assembler, Close, CloseCode, Config, Connection, Instant, MessageRef, ProtocolError, Received, Role, State,
    Teardown, Timeout,
};

/// What one side was told, as values of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Close),
    Failed(ProtocolError),
}

/// That a text message was heard.
pub(crate) fn text(text: &str) -> Heard {
    Heard::Text(text.into())
}

/// That a binary message was heard.
pub(crate) fn binary(bytes: &[u8]) -> Heard {
    Heard::Binary(bytes.into())
}

/// That a ping was heard.
pub(crate) fn ping(payload: &[u8]) -> Heard {
    Heard::Ping(payload.into())
}

/// That a pong was heard.
pub(crate) fn pong(payload: &[u8]) -> Heard {
    Heard::Pong(payload.into())
}

/// That a Close was heard.
pub(crate) fn close(code: CloseCode, reason: &str) -> Heard {
    Heard::Close(Close::new(code, reason).unwrap())
}

/// That the connection failed.
pub(crate) fn failed(error: ProtocolError) -> Heard {
    Heard::Failed(error)
}

/// The default configuration with a change.
pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// Seconds.
pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The time that many seconds after the origin.
pub(crate) fn at(secs: u64) -> Instant {
    Instant::from(Duration::from_secs(secs))
}

/// Masking keys that tell in which order they were given out: 01 00 00 80, 02 00 00 80, and so on.
pub(crate) fn counting_keys() -> impl FnMut() -> [u8; 4] + Send + 'static {
    let mut count = 0u16;
    move || {
        count += 1;
        let [high, low] = count.to_be_bytes();
        [low, high, 0, 0x80]
    }
}

/// One end of a connection with all that it needs and all that it was told.
pub(crate) struct Side {
    pub(crate) connection: Connection,
    pub(crate) assembler: Assembler,
    /// What it wants written.
    pub(crate) output: Vec<u8>,
    /// All that it was told so far.
    pub(crate) heard: Vec<Heard>,
    pub(crate) timeouts: Vec<Timeout>,
}

impl Side {
    pub(crate) fn server() -> Self {
        Self::server_with(Config::default())
    }

    pub(crate) fn client() -> Self {
        Self::client_with(Config::default())
    }

    pub(crate) fn server_with(config: Config) -> Self {
        Self::new(Connection::server(config.clone()), config)
    }

    pub(crate) fn client_with(config: Config) -> Self {
        Self::new(Connection::client_with_keys(config.clone(), counting_keys()), config)
    }

    /// The side of that role.
    pub(crate) fn of(role: Role) -> Self {
        Self::of_with(role, Config::default())
    }

    /// The side of that role with a configuration.
    pub(crate) fn of_with(role: Role, config: Config) -> Self {
        match role {
            Role::Client => Self::client_with(config),
            Role::Server => Self::server_with(config),
        }
    }

    fn new(connection: Connection, config: Config) -> Self {
        let assembler = Assembler::new(config);
        Self { connection, assembler, output: Vec::new(), heard: Vec::new(), timeouts: Vec::new() }
    }

    /// Receives bytes that came in one read; what it was told for them.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut bytes = bytes.to_vec();
        let (mut input, start) = (&mut bytes[..], self.heard.len());
        loop {
            match self.connection.receive_message(&mut input, &mut self.assembler, &mut self.output) {
                Ok(Some(received)) => self.heard.push(owned(received)),
                Ok(None) => break,
                Err(error) => {
                    self.heard.push(Heard::Failed(error));
                    break;
                }
            }
        }
        assert!(input.is_empty(), "all input is taken");
        self.heard[start..].to_vec()
    }

    /// Receives bytes in reads of `size`, until the connection fails; what it was told for them.
    pub(crate) fn receive_by(&mut self, size: usize, bytes: &[u8]) -> Vec<Heard> {
        let start = self.heard.len();
        for piece in bytes.chunks(size) {
            if let Some(Heard::Failed(_)) = self.receive(piece).last() {
                break;
            }
        }
        self.heard[start..].to_vec()
    }

    /// Takes what it wants written.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.connection.send_text(text, &mut self.output).unwrap();
    }

    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.connection.send_binary(bytes, &mut self.output).unwrap();
    }

    pub(crate) fn send_ping(&mut self, payload: &[u8]) {
        self.connection.send_ping(payload, &mut self.output).unwrap();
    }

    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        self.connection.close(Close::new(code, reason).unwrap(), &mut self.output).unwrap();
    }

    /// Tells it the time, with its output as it stands.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Timeout> {
        let timeout = self.connection.handle_timeout(now, &mut self.output);
        self.timeouts.extend(timeout);
        timeout
    }

    pub(crate) fn state(&self) -> State {
        self.connection.state()
    }

    pub(crate) fn teardown(&self) -> Teardown {
        self.connection.teardown()
    }
}

/// A message, ping, pong or Close as a value of its own.
fn owned(received: Received<'_>) -> Heard {
    match received {
        Received::Message(MessageRef::Text(text)) => Heard::Text(text.into()),
        Received::Message(MessageRef::Binary(bytes)) => Heard::Binary(bytes.into()),
        Received::Ping(payload) => Heard::Ping(payload.to_vec()),
        Received::Pong(payload) => Heard::Pong(payload.to_vec()),
        Received::Close(close) => Heard::Close(close),
    }
}

/// A client and a server, the two pipes between them, and the clock of both.
///
/// What a side sends stands in its output; [`Pair::flush`] writes that into the pipe, [`Pair::deliver`] takes it to the
/// other side. Time stands still unless it is advanced.
pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) to_client: Vec<u8>,
    pub(crate) to_server: Vec<u8>,
    /// All that either side ever wrote.
    pub(crate) client_wrote: Vec<u8>,
    pub(crate) server_wrote: Vec<u8>,
    now: Instant,
    /// Who closed its transport, in that order.
    pub(crate) hung_up: Vec<Role>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), Config::default())
    }

    pub(crate) fn with(client: Config, server: Config) -> Self {
        let mut pair = Self {
            client: Side::client_with(client),
            server: Side::server_with(server),
            to_client: Vec::new(),
            to_server: Vec::new(),
            client_wrote: Vec::new(),
            server_wrote: Vec::new(),
            now: at(0),
            hung_up: Vec::new(),
        };
        pair.tick();
        pair
    }

    /// Writes what both sides want written.
    pub(crate) fn flush(&mut self) {
        self.client_wrote.extend(&self.client.output);
        self.server_wrote.extend(&self.server.output);
        self.to_server.append(&mut self.client.output);
        self.to_client.append(&mut self.server.output);
    }

    /// Takes everything across, and the answers to it, until nothing moves.
    pub(crate) fn deliver(&mut self) {
        self.deliver_by(usize::MAX);
    }

    /// As [`Pair::deliver`], in reads of `size` bytes.
    pub(crate) fn deliver_by(&mut self, size: usize) {
        self.flush();
        while !(self.to_server.is_empty() && self.to_client.is_empty()) {
            self.deliver_to_server(size);
            self.deliver_to_client(size);
            self.tick();
            self.flush();
        }
    }

    /// Takes at most `size` bytes to the server.
    pub(crate) fn deliver_to_server(&mut self, size: usize) {
        let len = size.min(self.to_server.len());
        let bytes: Vec<u8> = self.to_server.drain(..len).collect();
        if !self.hung_up.contains(&Role::Server) {
            self.server.receive(&bytes);
        }
    }

    /// Takes at most `size` bytes to the client.
    pub(crate) fn deliver_to_client(&mut self, size: usize) {
        let len = size.min(self.to_client.len());
        let bytes: Vec<u8> = self.to_client.drain(..len).collect();
        if !self.hung_up.contains(&Role::Client) {
            self.client.receive(&bytes);
        }
    }

    /// Loses the transport with everything that is on its way.
    pub(crate) fn lose_transport(&mut self) {
        self.to_client.clear();
        self.to_server.clear();
        self.client.output.clear();
        self.server.output.clear();
        self.client.connection.receive_eof();
        self.server.connection.receive_eof();
    }

    /// Lets both sides do with the transport what they are told to, until nothing changes.
    pub(crate) fn obey_teardown(&mut self) {
        loop {
            self.deliver();
            let role = [Role::Server, Role::Client]
                .into_iter()
                .find(|role| !self.hung_up.contains(role) && self.side(*role).teardown() == Teardown::Close);
            let lingering = [Role::Server, Role::Client]
                .into_iter()
                .find(|role| self.side(*role).teardown() == Teardown::Linger && self.peer_has_transport_of(*role));
            match (role, lingering) {
                (Some(role), _) => {
                    self.hung_up.push(role);
                    self.peer_of(role).connection.receive_eof();
                }
                // It shut its direction down: the peer reads to the end of it.
                (None, Some(role)) => self.peer_of(role).connection.receive_eof(),
                (None, None) => break,
            }
        }
    }

    /// Lets time pass: each deadline is met when it comes, what is sent at it is written.
    pub(crate) fn advance(&mut self, by: Duration) {
        let target = self.now + by;
        for _ in 0..100_000 {
            let next = [&self.client, &self.server].into_iter().filter_map(|side| side.connection.poll_timeout()).min();
            match next {
                Some(next) if next <= target => {
                    self.now = self.now.max(next);
                    self.tick();
                    self.flush();
                }
                Some(_) | None => {
                    self.now = target;
                    self.tick();
                    self.flush();
                    return;
                }
            }
        }
        panic!("a deadline that is met stays due");
    }

    pub(crate) fn states(&self) -> (State, State) {
        (self.client.state(), self.server.state())
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    pub(crate) fn peer_of(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.server,
            Role::Server => &mut self.client,
        }
    }

    /// Whether the peer does not know yet that this direction has ended.
    fn peer_has_transport_of(&mut self, role: Role) -> bool {
        let peer = self.peer_of(role);
        !(peer.state() == State::Closed && peer.teardown() == Teardown::Close)
    }

    /// Tells both sides the time.
    fn tick(&mut self) {
        let now = self.now;
        for role in [Role::Client, Role::Server] {
            if !self.hung_up.contains(&role) {
                self.side(role).tick(now);
            }
        }
    }
}
