//! The engine without an adapter: one thread, one poll, one read buffer for all connections.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sockeye::handshake::{Response, ServerConfig, ServerHandshake};
use sockeye::{Assembler, Close, CloseCode, Config, Connection, Instant, Received, Teardown, Timeout};

/// Serves until `stop` becomes readable and the connections are closed.
pub(crate) fn serve(
    listener: TcpListener,
    config: Arc<Config>,
    handshake: ServerConfig,
    stop: UnixStream,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    stop.set_nonblocking(true)?;
    let mut server = Server {
        poll: Poll::new()?,
        listener: Some(mio::net::TcpListener::from_std(listener)),
        config,
        handshake,
        origin: StdInstant::now(),
        peers: HashMap::new(),
        deadlines: BTreeSet::new(),
        busy: Vec::new(),
        next_token: FIRST,
        must_retry: false,
    };
    let mut stop = mio::net::UnixStream::from_std(stop);
    server.poll.registry().register(&mut stop, STOP, Interest::READABLE)?;
    if let Some(listener) = &mut server.listener {
        server.poll.registry().register(listener, LISTENER, Interest::READABLE)?;
    }
    server.run()
}

struct Server {
    poll: Poll,
    /// `None` once the server is stopping.
    listener: Option<mio::net::TcpListener>,
    config: Arc<Config>,
    handshake: ServerConfig,
    origin: StdInstant,
    peers: HashMap<Token, Peer>,
    deadlines: BTreeSet<(Instant, Token)>,
    /// Peers that may have more to read, and were interrupted to let the others have their turn.
    busy: Vec<Token>,
    next_token: usize,
    /// Whether connections may wait that could not be accepted.
    must_retry: bool,
}

/// One connection.
struct Peer {
    stream: TcpStream,
    phase: Phase,
    output: Vec<u8>,
    written: usize,
    /// Since when the peer takes nothing of what is queued.
    stuck_since: Option<Instant>,
    deadline: Option<Instant>,
}

enum Phase {
    Handshake(ServerHandshake),
    Open(Box<Connection>, Assembler),
    /// Our direction is or will be shut down; what still comes is discarded until the peer closes or the time is over.
    Linger {
        until: Instant,
        is_shut_down: bool,
    },
}

/// What to do with a peer after it had its turn.
#[derive(PartialEq)]
enum Turn {
    /// Wait until it is readable or writable.
    Wait,
    /// There may be more to read.
    Again,
    /// It is finished.
    Drop,
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ];
        let mut stopped_at = None;
        while self.listener.is_some() || !self.peers.is_empty() {
            match self.poll.poll(&mut events, self.patience(stopped_at)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let mut ready = std::mem::take(&mut self.busy);
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    STOP if stopped_at.is_none() => {
                        stopped_at = Some(self.now());
                        self.listener = None;
                        self.close_all();
                        ready.extend(self.peers.keys());
                    }
                    STOP => {}
                    token => ready.push(token),
                }
            }
            if std::mem::take(&mut self.must_retry) {
                self.accept()?;
            }
            let now = self.now();
            while let Some(&(deadline, token)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) {
                self.deadlines.remove(&(deadline, token));
                ready.push(token);
            }
            for token in ready {
                self.take_turn(token, &mut buffer);
            }
            if stopped_at.is_some_and(|since| self.now() >= since + PATIENCE) {
                break;
            }
        }
        Ok(())
    }

    /// How long the poll may wait.
    fn patience(&self, stopped_at: Option<Instant>) -> Option<Duration> {
        if !self.busy.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let stop = stopped_at.map(|since| since + PATIENCE);
        // Rounded up to the poll's resolution, or it would return early and often.
        let retry = self.must_retry.then(|| self.now() + RETRY);
        let until = deadline.into_iter().chain(stop).chain(retry).min()?;
        Some(until - self.now() + Duration::from_millis(1))
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(listener) = &self.listener {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The connection is gone already, or there are no descriptors left; no event tells of those that still wait.
                Err(_) => {
                    self.must_retry = true;
                    return Ok(());
                }
            };
            let token = Token(self.next_token);
            self.next_token += 1;
            let _ = stream.set_nodelay(true);
            self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            let phase = Phase::Handshake(ServerHandshake::new(&self.handshake));
            let peer = Peer { stream, phase, output: Vec::new(), written: 0, stuck_since: None, deadline: None };
            self.peers.insert(token, peer);
            self.busy.push(token);
        }
        Ok(())
    }

    fn take_turn(&mut self, token: Token, buffer: &mut [u8]) {
        let now = self.now();
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let turn = peer.take_turn(now, buffer, &self.config, &self.handshake).unwrap_or(Turn::Drop);
        if let Some(deadline) = peer.deadline.take() {
            self.deadlines.remove(&(deadline, token));
        }
        match turn {
            Turn::Drop => {
                self.peers.remove(&token);
                return;
            }
            Turn::Again => self.busy.push(token),
            Turn::Wait => {}
        }
        peer.deadline = peer.poll_timeout();
        if let Some(deadline) = peer.deadline {
            self.deadlines.insert((deadline, token));
        }
    }

    /// Closes all connections with 1001, and drops those that are not open yet; who was refused is still to read why.
    fn close_all(&mut self) {
        self.peers.retain(|_, peer| match &mut peer.phase {
            Phase::Open(connection, _) => {
                // One that is closing already need not be closed.
                let _ = Close::new(CloseCode::GOING_AWAY, "server is stopping")
                    .and_then(|close| connection.close(close, &mut peer.output));
                true
            }
            Phase::Handshake(_) => false,
            Phase::Linger { .. } => true,
        });
    }

    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }
}

impl Peer {
    /// Looks at the deadlines, writes what is queued, reads what is there; an error means that the stream is gone.
    fn take_turn(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        config: &Arc<Config>,
        handshake: &ServerConfig,
    ) -> io::Result<Turn> {
        if self.is_overdue(now) || self.stuck_since.is_some_and(|since| now >= since + OUTPUT) {
            return Ok(Turn::Drop);
        }
        for _ in 0..READS_A_TURN {
            self.write(now)?;
            if let Phase::Open(connection, _) = &mut self.phase {
                // A pong that was held back for what is written now.
                if connection.owes_pong() && self.output.is_empty() {
                    connection.handle_timeout(now, &mut self.output);
                    continue;
                }
            }
            if self.is_finished(now) {
                return Ok(Turn::Drop);
            }
            // A peer that does not read is not read from.
            if self.output.len() > HIGH_WATER {
                return Ok(Turn::Wait);
            }
            let n = match self.stream.read(buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Wait),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if n == 0 {
                self.receive_eof(now);
                self.write(now)?;
                if self.output.is_empty() {
                    return Ok(Turn::Drop);
                }
                // A peer that ended only its own direction is still to read what is queued, such as our Close.
                if !matches!(self.phase, Phase::Linger { .. }) {
                    self.phase = Phase::Linger { until: now + DRAIN, is_shut_down: false };
                }
                return Ok(Turn::Wait);
            }
            self.receive(&mut buffer[..n], now, config, handshake);
        }
        Ok(Turn::Again)
    }

    /// Takes what was read.
    fn receive(&mut self, mut input: &mut [u8], now: Instant, config: &Arc<Config>, handshake: &ServerConfig) {
        if let Phase::Handshake(reading) = &mut self.phase {
            let mut rest = &*input;
            let request = match reading.receive(&mut rest) {
                Ok(Some(request)) => request.upgrade(handshake).map(|acceptance| acceptance.respond()),
                Ok(None) => return,
                Err(rejection) => Err(rejection),
            };
            let taken = input.len() - rest.len();
            input = &mut input[taken..];
            match request {
                Ok(response) => {
                    response.write(&mut self.output);
                    let mut connection = Connection::server(config.clone());
                    connection.handle_timeout(now, &mut self.output);
                    let assembler = extended(&mut connection, &response);
                    self.phase = Phase::Open(Box::new(connection), assembler);
                }
                Err(rejection) => {
                    rejection.write(&mut self.output);
                    self.phase = Phase::Linger { until: now + LINGER, is_shut_down: false };
                }
            }
        }
        if let Phase::Open(connection, assembler) = &mut self.phase {
            // An error is told to the peer by the Close that is in the output now; the teardown does the rest.
            while let Ok(Some(received)) = connection.receive_message(&mut input, assembler, &mut self.output) {
                if let Received::Message(message) = received {
                    // Where we are closing, no echo can be sent.
                    let _ = connection.send(message, &mut self.output);
                }
            }
            assembler.release();
            connection.handle_timeout(now, &mut self.output);
        }
    }

    fn receive_eof(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                if let Err(rejection) = handshake.receive_eof() {
                    rejection.write(&mut self.output);
                    self.phase = Phase::Linger { until: now, is_shut_down: false };
                }
            }
            Phase::Open(connection, _) => connection.receive_eof(),
            Phase::Linger { .. } => {}
        }
    }

    /// Whether everything was said, so that the stream can go; shuts our direction down where the peer is to go first.
    fn is_finished(&mut self, now: Instant) -> bool {
        if !self.output.is_empty() {
            return false;
        }
        let until = match &self.phase {
            Phase::Handshake(_) | Phase::Linger { is_shut_down: true, .. } => return false,
            Phase::Linger { until, is_shut_down: false } => *until,
            Phase::Open(connection, _) => match connection.teardown() {
                Teardown::Keep | Teardown::AwaitPeer => return false,
                Teardown::Close => return true,
                Teardown::Linger => now + LINGER,
            },
        };
        // A stream that is gone need not be shut down.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.phase = Phase::Linger { until, is_shut_down: true };
        false
    }

    /// Looks at the deadlines; whether the peer has had all the time there is.
    fn is_overdue(&mut self, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                if let Err(rejection) = handshake.handle_timeout(now) {
                    rejection.write(&mut self.output);
                    self.phase = Phase::Linger { until: now + LINGER, is_shut_down: false };
                }
                false
            }
            Phase::Open(connection, _) => {
                matches!(
                    connection.handle_timeout(now, &mut self.output),
                    Some(Timeout::Close | Timeout::Pong | Timeout::Output)
                )
            }
            Phase::Linger { until, .. } => now >= *until,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let deadline = match &self.phase {
            Phase::Handshake(handshake) => handshake.poll_timeout(),
            Phase::Open(connection, _) => connection.poll_timeout(),
            Phase::Linger { until, .. } => Some(*until),
        };
        deadline.into_iter().chain(self.stuck_since.map(|since| since + OUTPUT)).min()
    }

    /// Writes as much as the stream takes.
    fn write(&mut self, now: Instant) -> io::Result<()> {
        let before = self.written;
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let since = self.stuck_since.filter(|_| self.written == before);
                    self.stuck_since = since.or(Some(now));
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.stuck_since = None;
        // An idle connection owns no buffer.
        self.output = Vec::new();
        self.written = 0;
        Ok(())
    }
}

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);
const FIRST: usize = 2;

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// Reads that one peer may do before the others have their turn.
const READS_A_TURN: usize = 16;

/// Queued bytes above which a peer is not read from.
const HIGH_WATER: usize = 256 * 1024;

/// How long a peer may take nothing of what is queued.
const OUTPUT: Duration = Duration::from_secs(30);

/// How long a refused peer may take to close.
const LINGER: Duration = Duration::from_secs(2);

/// How long a peer that sends no more may take to read what is queued.
const DRAIN: Duration = Duration::from_secs(10);

/// How long it takes to try again where a connection cannot be accepted.
const RETRY: Duration = Duration::from_millis(50);

/// How long the peers have to answer the Close.
const PATIENCE: Duration = Duration::from_secs(3);

/// The assembler for a connection, both with what the opening handshake agreed on.
fn extended(connection: &mut Connection, response: &Response) -> Assembler {
    #[cfg(feature = "deflate")]
    if let Some(agreement) = response.deflate() {
        connection.extend(sockeye::Rsv::RSV1, agreement.encoder());
        let mut assembler = connection.assembler();
        assembler.extend(agreement.decoder());
        return assembler;
    }
    let _ = response;
    connection.assembler()
}
