//! The engine without an adapter, on a stream that blocks.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest, Response};
use sockeye::{
    Assembler, Close, Config, Connection, EndCause, Fin, Instant, Message, MessageRef, Received, Teardown, WsUri,
};

use crate::Error;
use crate::interop::Socket;

/// A connection with the buffers and the clock that the engine leaves to its caller.
struct Client {
    stream: TcpStream,
    connection: Connection,
    assembler: Assembler,
    /// What was read stands at the beginning of it.
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
    origin: StdInstant,
    subprotocol: Option<String>,
    has_shut_down: bool,
    is_over: bool,
    /// Messages that came together with one that was asked for.
    messages: VecDeque<Message>,
}

pub(crate) fn echo(uri: &WsUri, config: Arc<Config>) -> Result<(), Error> {
    let mut client = Client::connect(uri, crate::request(uri)?, config)?;
    client.run(|connection, received, output| {
        if let Received::Message(message) = received {
            // Where we are closing, no echo can be sent.
            let _ = connection.send(message, output);
        }
    })
}

pub(crate) fn exchange(uri: &WsUri, config: Arc<Config>, text: Option<&str>) -> Result<Message, Error> {
    let mut client = Client::connect(uri, crate::request(uri)?, config)?;
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
    fn connect(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<Self, Error> {
        let mut stream = TcpStream::connect((uri.host(), uri.port()))?;
        stream.set_nodelay(true)?;
        let origin = StdInstant::now();
        let mut handshake = ClientHandshake::new(request, &ClientConfig::default());
        let mut head = Vec::new();
        handshake.request().write(&mut head);
        stream.write_all(&head)?;

        let mut buffer = vec![0; 4096];
        let (response, leftover) = loop {
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
            if let Some(response) = handshake.receive(&mut input)? {
                break (response, input.to_vec());
            }
        };
        let mut connection = Connection::client(config);
        let assembler = extended(&mut connection, &response);
        Ok(Self {
            stream,
            connection,
            assembler,
            read: leftover.len(),
            input: leftover,
            output: Vec::new(),
            origin,
            subprotocol: response.subprotocol().map(str::to_owned),
            has_shut_down: false,
            is_over: false,
            messages: VecDeque::new(),
        })
    }

    /// Receives until the connection has ended.
    fn run(&mut self, mut on: impl FnMut(&mut Connection, Received<'_>, &mut Vec<u8>)) -> Result<(), Error> {
        while !self.is_over {
            self.turn(&mut on)?;
        }
        Ok(())
    }

    /// Writes what is queued, waits for input, takes it, and answers.
    fn turn(&mut self, mut on: impl FnMut(&mut Connection, Received<'_>, &mut Vec<u8>)) -> Result<(), Error> {
        self.write();
        // What was read behind the handshake comes first.
        if self.read == 0 {
            self.read()?;
        }
        let mut input = &mut self.input[..std::mem::take(&mut self.read)];
        // An error is told to the server by the Close that is in the output now; the teardown does the rest.
        while let Ok(Some(received)) =
            self.connection.receive_message(&mut input, &mut self.assembler, &mut self.output)
        {
            on(&mut self.connection, received, &mut self.output);
        }
        self.tell_time();
        self.write();

        match self.connection.teardown() {
            Teardown::Keep | Teardown::AwaitPeer => {}
            Teardown::Linger if self.has_shut_down => {}
            Teardown::Linger => {
                self.has_shut_down = true;
                let _ = self.stream.shutdown(Shutdown::Write);
            }
            Teardown::Close => {
                let _ = self.stream.shutdown(Shutdown::Both);
                self.is_over = true;
                return self.outcome();
            }
        }
        Ok(())
    }

    /// Reads, until the next deadline at the latest.
    fn read(&mut self) -> Result<(), Error> {
        self.stream.set_read_timeout(wait(self.connection.poll_timeout(), self.origin))?;
        self.input.resize(READ, 0);
        match self.stream.read(&mut self.input) {
            Err(error) if is_timeout(&error) => {}
            Ok(0) | Err(_) => self.connection.receive_eof(),
            Ok(n) => self.read = n,
        }
        Ok(())
    }

    fn tell_time(&mut self) {
        self.connection.handle_timeout(self.origin.elapsed().into(), &mut self.output);
    }

    /// Writes what is queued. A stream that is gone says so when it is read.
    fn write(&mut self) {
        let _ = self.stream.write_all(&self.output);
        self.output.clear();
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

pub(crate) fn open(uri: &WsUri, request: ClientRequest, config: Arc<Config>) -> Result<Box<dyn Socket>, Error> {
    Ok(Box::new(Client::connect(uri, request, config)?))
}

impl Socket for Client {
    fn send(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        self.connection.send(message, &mut self.output)?;
        self.write();
        Ok(())
    }

    fn send_fragment(&mut self, fragment: MessageRef<'_>, fin: Fin) -> Result<(), Error> {
        self.connection.send_fragment(fragment, fin, &mut self.output)?;
        self.write();
        Ok(())
    }

    fn ping(&mut self) -> Result<(), Error> {
        self.connection.ping(&mut self.output)?;
        // It goes out between these two: what its round trip is counted from, and what its deadline is.
        self.tell_time();
        self.write();
        self.tell_time();
        Ok(())
    }

    fn close(&mut self, close: Close) -> Result<(), Error> {
        self.connection.close(close, &mut self.output)?;
        self.write();
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<Message>, Error> {
        let mut messages = std::mem::take(&mut self.messages);
        while messages.is_empty() && !self.is_over {
            self.turn(|_, received, _| {
                if let Received::Message(message) = received {
                    messages.push_back(message.to_owned());
                }
            })?;
        }
        self.messages = messages;
        Ok(self.messages.pop_front())
    }

    fn round_trip(&self) -> Option<Duration> {
        self.connection.round_trip()
    }

    fn peer_close(&self) -> Option<Close> {
        self.connection.peer_close().cloned()
    }

    fn subprotocol(&self) -> Option<String> {
        self.subprotocol.clone()
    }

    fn encoded_bytes(&self) -> (u64, u64) {
        (self.connection.sent().encoded_bytes, self.connection.received().encoded_bytes)
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
