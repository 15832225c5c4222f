//! The blocking adapter: WebSocket connections on anything that reads and writes, without a runtime.
//!
//! A server in ten lines, which echoes what it gets:
//!
//! ```no_run
//! use std::{net::TcpListener, thread};
//!
//! fn main() -> std::io::Result<()> {
//!     for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
//!         let Ok(stream) = stream else { continue };
//!         thread::spawn(move || -> Result<(), sockeye::blocking::Error> {
//!             let mut socket = sockeye::blocking::accept(stream)?;
//!             while let Some(message) = socket.receive()? {
//!                 socket.send(&message)?;
//!             }
//!             Ok(())
//!         });
//!     }
//!     Ok(())
//! }
//! ```
//!
//! and a client:
//!
//! ```no_run
//! let mut socket = sockeye::blocking::connect("ws://127.0.0.1:9001/")?;
//! socket.send("hello")?;
//! println!("{:?}", socket.receive()?);
//! socket.close(sockeye::Close::normal())?;
//! while socket.receive()?.is_some() {}   // what was on its way, until the server has closed, too
//! # Ok::<(), sockeye::blocking::Error>(())
//! ```
//!
//! # Receiving
//!
//! `receive` gives whole messages that own their payload, `receive_ref` lends them without a copy, `receive_chunk` gives
//! pieces as they arrive, so that a message of any size takes no more memory than the read buffer. Pings are answered,
//! and everything queued is written, before a receive waits. A clean close is `None`; then
//! [`WebSocket::close_code`] and [`WebSocket::peer_close`] tell more.
//!
//! # Streams that do not block, or have a read timeout
//!
//! [`Error::is_would_block`] says that there is nothing for now. Nothing is lost by it: make the same call again. A send
//! either took the message (`Ok`), and what could not be written goes with the next call, or it did not (`Err`).
//!
//! # Deadlines
//!
//! Those of the [`Config`] are kept by the read timeout of the stream, if it has one; one that the caller set is kept to,
//! too. They are looked at while something receives, and pings are answered then: a connection on which nobody
//! receives keeps no deadline and looks dead to its peer. By default that pings after 30 seconds of silence, and gives up
//! 20 seconds later unless anything came: so receive, or send at least that often.
//!
//! A write that blocks is not interrupted, not even by [`Config::output_timeout`], which only a split connection keeps
//! meanwhile, if its other half receives: set a write timeout on the stream. When it passes, the stream counts as one
//! that does not block: the send that met it has taken its message and says `Ok`, and a later one that finds no room
//! fails with [`Error::is_would_block`].
//!
//! # The end
//!
//! Dropping a connection, or the last of its halves, closes the stream and sends no Close, which the peer reports as
//! 1006. Call [`WebSocket::close`] and receive until `None`; from another thread, [`WebSocket::split`] and
//! [`Sender::close`].

mod accept;
mod connect;
mod engine;
mod handshake;
mod outbox;
mod reader;
mod split;
mod timer;
mod transport;

use alloc::sync::Arc;
use core::time::Duration;

pub use self::accept::{Accepting, Acceptor, accept};
pub use self::connect::{Connecting, Connector, connect};
pub use self::split::{Receiver, Sender};
pub use self::transport::{Plain, Transport};
pub use crate::adapter::Error;

use self::engine::Engine;
use self::outbox::is_full;
use self::reader::{Link, Reader};
use crate::adapter::Mode;
use crate::close::{Close, CloseCode};
use crate::config::{Config, Role};
use crate::connection::{Connection, Counters, EndCause, State};
use crate::control::ControlPayload;
#[cfg(feature = "deflate")]
use crate::deflate::Agreement;
use crate::error::SendError;
use crate::extension::{Decoder, Encoder, Fin};
use crate::frame::Rsv;
use crate::handshake::Response;
use crate::message::{Chunk, Message, MessageRef};
use crate::outgoing::OutgoingRef;
use crate::prepared::PreparedMessage;

/// A WebSocket connection on a blocking stream.
#[derive(Debug)]
pub struct WebSocket<S> {
    reader: Reader<S>,
    direct: Direct,
    response: Option<Box<Response>>,
}

/// The engine of a connection that is not split, at hand without a lock.
#[derive(Debug)]
struct Direct {
    engine: Engine,
}

impl<S: Transport> Link<S> for Direct {
    fn with<R>(&mut self, f: impl FnOnce(&mut Engine) -> R) -> R {
        f(&mut self.engine)
    }

    fn flush(&mut self, stream: &mut S) -> Result<bool, Error> {
        let Engine { output, outbox, .. } = &mut self.engine;
        let was_done = outbox.is_done(output);
        outbox.write(output, stream)?;
        Ok(!was_done)
    }

    fn flush_last(&mut self, stream: &mut S, _: Option<Duration>) -> Result<(), Error> {
        self.flush(stream).map(|_| ())
    }

    fn longest_wait(&mut self) -> Option<Duration> {
        None
    }
}

impl<S: Transport> WebSocket<S> {
    /// Makes a connection of a stream that somebody else has upgraded, as the server.
    pub fn server(stream: S, config: impl Into<Arc<Config>>) -> Self {
        Self::open(stream, Connection::server(config), &[], None)
    }

    /// Makes a connection of a stream that somebody else has upgraded, as the client.
    pub fn client(stream: S, config: impl Into<Arc<Config>>) -> Self {
        Self::open(stream, Connection::client(config), &[], None)
    }

    /// Makes a connection of a stream that somebody else has upgraded; `leftover` is what was read behind the handshake.
    /// Extensions come afterwards, with [`Self::extend`]: those that `connection` has are not enough.
    ///
    /// ```
    /// use sockeye::blocking::{Plain, WebSocket};
    /// use sockeye::{Config, Connection};
    ///
    /// let stream = Plain(std::io::Cursor::new(Vec::new()));
    /// let mut socket = WebSocket::resume(stream, Connection::client(Config::default()), b"\x81\x02hi");
    /// assert_eq!(socket.receive()?, Some("hi".into()));
    /// # Ok::<(), sockeye::blocking::Error>(())
    /// ```
    pub fn resume(stream: S, connection: Connection, leftover: &[u8]) -> Self {
        Self::open(stream, connection, leftover, None)
    }

    /// Receives the next message; `None` after a clean close.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the protocol or a limit, [`Error::Timeout`] when a deadline ended the
    /// connection, [`Error::Lost`] when it ended without a closing handshake, [`Error::Io`] when the stream failed or
    /// [has nothing for now](Error::is_would_block). The connection stays ended and says the same again.
    pub fn receive(&mut self) -> Result<Option<Message>, Error> {
        match self.reader.next(&mut self.direct, Mode::Messages)? {
            Some(ready) => match self.direct.engine.take(&mut self.reader.inbox, ready) {
                Ok(message) => Ok(message),
                Err(_) => self.reader.line.take_down(&mut self.direct).map(|()| None),
            },
            None => Ok(None),
        }
    }

    /// Receives the next message and lends it, without a copy if it was read as a whole; `None` after a clean close.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    pub fn receive_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        match self.reader.next(&mut self.direct, Mode::Messages)? {
            Some(ready) => match self.direct.engine.lend(&mut self.reader.inbox, ready) {
                Ok(message) => Ok(message),
                Err(_) => self.reader.line.take_down(&mut self.direct).map(|()| None),
            },
            None => Ok(None),
        }
    }

    /// Receives the next piece of a message, as it arrived, and lends it; `None` after a clean close.
    ///
    /// The message may be of any size: [`Config::max_frame_size`] and [`Config::max_fragments`] hold, and
    /// [`Config::max_message_size`] does not. Receive a message to its end (until [`Chunk::is_last`]) in the way that you
    /// began it: [`Self::receive`] in the middle of one skips the rest of it.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    pub fn receive_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        match self.reader.next(&mut self.direct, Mode::Chunks)? {
            Some(_) => match self.direct.engine.lend_chunk(&mut self.reader.inbox) {
                Ok(chunk) => Ok(chunk),
                Err(_) => self.reader.line.take_down(&mut self.direct).map(|()| None),
            },
            None => Ok(None),
        }
    }

    /// Sends a message and writes it, with all that was queued before: a `&str` is text, a `&[u8]` is binary.
    ///
    /// A message longer than [`Config::fragment_size`] goes out in fragments. On a stream that blocks, it is never held
    /// as a whole.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if it cannot be sent; [`Error::Io`] if the stream failed, or if it does not block and has no room
    /// for what was queued before: then the message was not taken.
    pub fn send<'m>(&mut self, message: impl Into<OutgoingRef<'m>>) -> Result<(), Error> {
        let mut rest = message.into();
        let fragment_size = self.direct.engine.connection.config().fragment_size.max(1);
        if rest.len() <= fragment_size {
            if rest.len() < UNCOPIED {
                self.feed(rest)?;
                return self.write();
            }
            self.make_room(rest.len())?;
            rest = self.direct.engine.connection.settle(rest);
            if rest.may_be_encoded() || self.direct.engine.connection.role() == Role::Client {
                self.feed(rest)?;
                return self.write();
            }
            self.check_between_messages()?;
            return self.write_uncopied(rest.message(), Fin::Last);
        }

        self.check_between_messages()?;
        self.make_room(fragment_size)?;
        rest = self.direct.engine.connection.settle(rest);
        while rest.len() > 0 {
            let (fragment, after) = rest.split_at(fragment_size);
            let fin = if after.len() == 0 { Fin::Last } else { Fin::More };
            let is_copied = fragment.len() < UNCOPIED || self.direct.engine.connection.role() == Role::Client;
            if is_copied || fragment.may_be_encoded() {
                let Engine { connection, output, .. } = &mut self.direct.engine;
                connection.send_fragment(fragment, fin, output)?;
                self.write()?;
            } else {
                self.write_uncopied(fragment.message(), fin)?;
            }
            rest = after;
        }
        Ok(())
    }

    /// Queues a message. It is written by the next flush or send, before a receive waits, or when so much is queued that
    /// the next message would go beyond [`Config::high_water_mark`].
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn feed<'m>(&mut self, message: impl Into<OutgoingRef<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.make_room(message.len())?;
        let Engine { connection, output, .. } = &mut self.direct.engine;
        Ok(connection.send(message, output)?)
    }

    /// Writes what is queued; also what an extension, as compression is, holds back of a message that is being sent in
    /// fragments.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`std::io::ErrorKind::WouldBlock`] where the stream does not block, and more is to be written.
    pub fn flush(&mut self) -> Result<(), Error> {
        let Engine { connection, output, .. } = &mut self.direct.engine;
        connection.flush_message(output)?;
        self.write_queued()
    }

    /// Sends the next fragment of a message, of which the first one opens it and [`Fin::Last`] ends it, and writes it: for
    /// a message whose length is not known. What compresses it may hold it back until [`Self::flush`] or the end.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_fragment<'m>(&mut self, fragment: impl Into<OutgoingRef<'m>>, fin: Fin) -> Result<(), Error> {
        let fragment = fragment.into();
        self.make_room(fragment.len())?;
        let Engine { connection, output, .. } = &mut self.direct.engine;
        connection.send_fragment(fragment, fin, output)?;
        self.write()
    }

    /// Sends a prepared message and writes it.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.make_room(message.payload().len())?;
        let Engine { connection, output, .. } = &mut self.direct.engine;
        connection.send_prepared(message, output)?;
        self.write()
    }

    /// Sends a ping and writes it; [`Self::round_trip`] tells how long its pong took, once a receive has seen it.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn ping(&mut self) -> Result<(), Error> {
        self.make_room(ControlPayload::MAX)?;
        let Engine { connection, output, .. } = &mut self.direct.engine;
        connection.ping(output)?;
        // It goes out between these two: what its round trip is counted from, and what its deadline is.
        self.reader.line.tell_time(&mut self.direct);
        self.write()?;
        self.reader.line.tell_time(&mut self.direct);
        Ok(())
    }

    /// Begins the closing handshake and writes it. Go on receiving until `None`: then the peer has closed, too.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if we have closed before; [`Error::Io`] as for [`Self::send`].
    pub fn close(&mut self, close: Close) -> Result<(), Error> {
        let Engine { connection, output, .. } = &mut self.direct.engine;
        connection.close(close, output)?;
        self.write()
    }

    /// Lets an extension that the opening handshake agreed on encode and decode messages (RFC 6455 §9), before any is sent
    /// or received: see [`Encoder`].
    ///
    /// An acceptor or connector that negotiates permessage-deflate has done it already. For a stream that somebody else has
    /// upgraded, `deflate::Agreement` makes both.
    pub fn extend(&mut self, rsv: Rsv, encoder: Box<dyn Encoder>, decoder: Box<dyn Decoder>) {
        self.direct.engine.connection.extend(rsv, encoder);
        self.reader.inbox.extend(decoder);
    }

    /// Splits the connection into halves for two threads. The sending half can be cloned. Keep a handle to the stream
    /// itself (`try_clone`) if you need one: the halves do not give it back, and the stream stays open while one of them
    /// is there.
    ///
    /// ```no_run
    /// # fn run(stream: std::net::TcpStream) -> Result<(), sockeye::blocking::Error> {
    /// let (mut receiver, sender) = sockeye::blocking::accept(stream)?.split()?;
    /// std::thread::spawn(move || sender.send("from another thread"));
    /// while let Some(message) = receiver.receive()? {
    ///     println!("{message:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the stream cannot be cloned.
    pub fn split(self) -> Result<(Receiver<S>, Sender<S>), Error> {
        split::split(self.reader, self.direct.engine, self.response)
    }

    /// Gives the stream back, with the read timeout that it came with. What was read and not received, or queued and not
    /// written, is lost.
    pub fn into_inner(self) -> S {
        self.reader.line.into_stream()
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &S {
        &self.reader.line.stream
    }

    /// Returns the answer of the opening handshake: as a client, the server's with its header fields; as a server, ours.
    /// `None` where somebody else did the handshake.
    #[must_use]
    pub fn response(&self) -> Option<&Response> {
        self.response.as_deref()
    }

    /// Returns what the opening handshake agreed on about compression (RFC 7692 §7.1); `None` where messages are not
    /// compressed, and where somebody else did the handshake.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&Agreement> {
        self.response.as_ref()?.deflate()
    }

    /// Returns the subprotocol that the opening handshake agreed on, if this connection made it: `None` after
    /// [`Self::resume`], [`Self::server`] and [`Self::client`], whose caller has the response.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.response.as_ref()?.subprotocol()
    }

    /// Returns where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.direct.engine.connection.state()
    }

    /// Returns the close code of the connection once it is closed (RFC 6455 §7.1.5): that of the peer's Close, or 1006 if
    /// none came, as when it was we who failed the connection; then see [`Self::end_cause`].
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.direct.engine.connection.close_code()
    }

    /// Returns the Close that the peer sent.
    #[must_use]
    pub fn peer_close(&self) -> Option<&Close> {
        self.direct.engine.connection.peer_close()
    }

    /// Returns what ended the connection, or is ending it.
    #[must_use]
    pub fn end_cause(&self) -> Option<&EndCause> {
        self.direct.engine.connection.end_cause()
    }

    /// Returns how many bytes are queued and not written yet: after a send that was `Ok`, what a stream that does not block,
    /// or whose write timed out, has left over.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.direct.engine.queued()
    }

    /// Returns the round-trip time of the last ping that was answered.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.direct.engine.connection.round_trip()
    }

    /// Returns what was received so far.
    #[must_use]
    pub fn received(&self) -> Counters {
        self.direct.engine.connection.received()
    }

    /// Returns what was sent so far.
    #[must_use]
    pub fn sent(&self) -> Counters {
        self.direct.engine.connection.sent()
    }

    /// Writes what is queued if there is no room for more; where the stream does not block, that can be refused.
    fn make_room(&mut self, more: usize) -> Result<(), Error> {
        self.direct.engine.outbox.check()?;
        if is_full(&self.direct.engine, more) { self.write_queued() } else { Ok(()) }
    }

    /// Refuses a message in the middle of another one; of a connection that is closed, whoever sends says so.
    fn check_between_messages(&self) -> Result<(), Error> {
        let connection = &self.direct.engine.connection;
        match connection.is_sending_message() && connection.state() == State::Open {
            true => Err(SendError::MessageOpen.into()),
            false => Ok(()),
        }
    }

    /// Sends a whole message or a fragment that is to go out as it is, and writes it from where it lies: for servers.
    fn write_uncopied(&mut self, piece: MessageRef<'_>, fin: Fin) -> Result<(), Error> {
        let Engine { connection, output, outbox, .. } = &mut self.direct.engine;
        let head = connection.shared_fragment_head(piece.kind(), Rsv::NONE, fin, piece.payload().len())?;
        output.extend_from_slice(&head);
        match outbox.write_with(output, piece.payload(), &mut self.reader.line.stream).map_err(Error::from) {
            Err(error) if error.is_would_block() => Ok(()),
            result => result,
        }
    }

    fn write_queued(&mut self) -> Result<(), Error> {
        self.direct.flush(&mut self.reader.line.stream).map(|_| ())
    }

    /// Writes what is queued; what a stream that does not block leaves over goes with the next call.
    fn write(&mut self) -> Result<(), Error> {
        self.write_queued().or_else(|error| if error.is_would_block() { Ok(()) } else { Err(error) })
    }
}

/// From how many bytes on a server's payload is written from where it lies.
const UNCOPIED: usize = 16 * 1024;
