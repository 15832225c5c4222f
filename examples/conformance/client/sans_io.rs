//! The engine without an adapter, on a stream that blocks.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use sockeye::handshake::{ClientConfig, ClientHandshake};
use sockeye::{Assembler, Close, Config, Connection, EndCause, Instant, Message, Received, Teardown, WsUri};

use crate::{Error, Setup};

/// A connection with the buffers and the clock that the engine leaves to its caller.
struct Client {
    stream: TcpStream,
    connection: Connection,
    assembler: Assembler,
    input: Vec<u8>,
    output: Vec<u8>,
    origin: StdInstant,
}

pub(crate) fn echo(uri: &WsUri, setup: &Setup) -> Result<(), Error> {
    let mut client = Client::connect(uri, setup.config.clone())?;
    client.run(|connection, received, output| {
        if let Received::Message(message) = received {
            // Where we are closing, no echo can be sent.
            let _ = connection.send(message, output);
        }
    })
}

pub(crate) fn exchange(uri: &WsUri, setup: &Setup, text: Option<&str>) -> Result<Message, Error> {
    let mut client = Client::connect(uri, setup.config.clone())?;
    if let Some(text) = text {
        client.connection.send(text, &mut client.output)?;
    }
    let mut first = None;
    client.run(|connection, received, output| {
        if let (Received::Message(message), None) = (received, &first) {
            first = Some(message.to_owned());
            // Where the server has closed in the meantime, there is nothing left to close.
            let _ = connection.close(Close::normal(), output);
        }
    })?;
    first.ok_or_else(|| "the server closed without a message".into())
}

impl Client {
    /// Connects and does the opening handshake.
    fn connect(uri: &WsUri, config: Arc<Config>) -> Result<Self, Error> {
        let mut stream = TcpStream::connect((uri.host(), uri.port()))?;
        stream.set_nodelay(true)?;
        let origin = StdInstant::now();
        let mut handshake = ClientHandshake::new(uri.request()?, &ClientConfig::default());
        let mut head = Vec::new();
        handshake.request().write(&mut head);
        stream.write_all(&head)?;

        let mut buffer = vec![0; 4096];
        let leftover = loop {
            handshake.handle_timeout(origin.elapsed().into())?;
            stream.set_read_timeout(wait(handshake.poll_timeout(), origin))?;
            let n = match stream.read(&mut buffer) {
                Ok(0) => {
                    handshake.receive_eof()?;
                    continue;
                }
                Ok(n) => n,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut input = &buffer[..n];
            if handshake.receive(&mut input)?.is_some() {
                break input.to_vec();
            }
        };
        let connection = Connection::client(config);
        let assembler = connection.assembler();
        Ok(Self { stream, connection, assembler, input: leftover, output: Vec::new(), origin })
    }

    /// Receives until the connection has ended.
    fn run(&mut self, mut on: impl FnMut(&mut Connection, Received<'_>, &mut Vec<u8>)) -> Result<(), Error> {
        let mut has_shut_down = false;
        let mut end = self.input.len();
        loop {
            let mut input = &mut self.input[..end];
            // An error is told to the server by the Close that is in the output now; the teardown does the rest.
            while let Ok(Some(received)) =
                self.connection.receive_message(&mut input, &mut self.assembler, &mut self.output)
            {
                on(&mut self.connection, received, &mut self.output);
            }
            self.connection.handle_timeout(self.origin.elapsed().into(), &mut self.output);
            // A stream that is gone says so when it is read.
            let _ = self.stream.write_all(&self.output);
            self.output.clear();

            match self.connection.teardown() {
                Teardown::Keep | Teardown::AwaitPeer => {}
                Teardown::Linger if has_shut_down => {}
                Teardown::Linger => {
                    has_shut_down = true;
                    let _ = self.stream.shutdown(Shutdown::Write);
                }
                Teardown::Close => return self.outcome(),
            }
            self.stream.set_read_timeout(wait(self.connection.poll_timeout(), self.origin))?;
            self.input.resize(READ, 0);
            end = match self.stream.read(&mut self.input) {
                Err(error) if is_timeout(&error) => 0,
                Ok(0) | Err(_) => {
                    self.connection.receive_eof();
                    0
                }
                Ok(n) => n,
            };
        }
    }

    /// What the connection came to.
    fn outcome(&self) -> Result<(), Error> {
        match (self.connection.end_cause(), self.connection.peer_close()) {
            (Some(EndCause::Violation(error)), _) => Err(error.clone().into()),
            (Some(EndCause::Timeout(timeout)), _) => Err(timeout.to_string().into()),
            (_, Some(_)) => Ok(()),
            (_, None) => Err("the connection was lost without a closing handshake".into()),
        }
    }
}

/// The read timeout that leads to this deadline.
fn wait(deadline: Option<Instant>, origin: StdInstant) -> Option<Duration> {
    let now = Instant::from(origin.elapsed());
    deadline.map(|deadline| (deadline - now).max(Duration::from_millis(1)))
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Bytes that are read at once.
const READ: usize = 64 * 1024;
