//! A connection in two halves, for two threads (or more: the sending half can be cloned).
//!
//! The halves share one engine behind a lock that is held while bytes are decoded or encoded, never while the stream
//! blocks or the application runs: events borrow the reading half's buffer, not the engine. One thread at a time
//! writes. Whoever adds output while another thread writes leaves it to that one, which looks again under the lock
//! before it stops; so a pong or a Close of the reading half goes out at the next frame boundary of a long message,
//! and never waits for a lock. A writer stops when its own bytes are out and somebody else waits who can go on. The
//! reading half writes only where nobody else does: if the stream is full just then, it blocks until the peer reads, or
//! until the write timeout of the stream, after which it reads on.

use alloc::sync::Arc;
use core::time::Duration;
use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::engine::Engine;
use super::outbox::is_full;
use super::reader::{Link, Reader};
use super::transport::Transport;
use crate::adapter::{Error, Mode};
use crate::close::{Close, CloseCode};
use crate::connection::{Counters, EndCause, State};
use crate::control::ControlPayload;
use crate::error::SendError;
use crate::extension::Fin;
use crate::handshake::Response;
use crate::message::{Chunk, Message, MessageRef};
use crate::outgoing::OutgoingRef;
use crate::prepared::PreparedMessage;

/// The receiving half of a split connection.
///
/// ```no_run
/// let (mut receiver, sender) = sockeye::blocking::connect("ws://127.0.0.1:9001/")?.split()?;
/// std::thread::spawn(move || sender.send("from another thread"));
/// while let Some(message) = receiver.receive()? {
///     println!("{message:?}");
/// }
/// # Ok::<(), sockeye::Error>(())
/// ```
#[derive(Debug)]
pub struct Receiver<S> {
    reader: Reader<S>,
    shared: Arc<Shared<S>>,
}

/// The sending half of a split connection. Clones send on the same connection, each message in one piece.
///
/// ```no_run
/// let (_receiver, sender) = sockeye::blocking::connect("ws://127.0.0.1:9001/")?.split()?;
/// let other = sender.clone();   // both go to the same connection
/// std::thread::spawn(move || other.send("from another thread"));
/// sender.send("from this one")?;
/// # Ok::<(), sockeye::Error>(())
/// ```
#[derive(Debug)]
pub struct Sender<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Sender<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<S> {
    state: Mutex<Shares>,
    /// Something changed that a thread may be waiting for.
    changed: Condvar,
    /// The handle for writing. Whoever has set `is_writing` takes it, so its lock is always free.
    stream: Mutex<S>,
    /// When the engine's clock began.
    origin: Instant,
    response: Option<Box<Response>>,
}

#[derive(Debug)]
struct Shares {
    engine: Engine,
    /// Whether a thread is writing; it takes along what others add.
    is_writing: bool,
    /// Whether a thread is in the middle of a message that it sends in fragments.
    is_sending: bool,
    /// How many bytes of output were taken to be written so far, and how many of these were written.
    taken: u64,
    written: u64,
    /// How many bytes a thread waits to see written.
    awaited: u64,
}

/// Makes two halves of a connection.
pub(super) fn split<S: Transport>(
    reader: Reader<S>,
    engine: Engine,
    response: Option<Box<Response>>,
) -> Result<(Receiver<S>, Sender<S>), Error> {
    let stream = Mutex::new(reader.line.stream.try_clone()?);
    let shares = Shares { engine, is_writing: false, is_sending: false, taken: 0, written: 0, awaited: 0 };
    let (state, origin) = (Mutex::new(shares), reader.line.origin);
    let shared = Arc::new(Shared { state, changed: Condvar::new(), stream, origin, response });
    Ok((Receiver { reader, shared: shared.clone() }, Sender { shared }))
}

impl<S: Transport> Receiver<S> {
    /// Receives the next message; `None` after a clean close. See [`WebSocket::receive`](super::WebSocket::receive).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive(&mut self) -> Result<Option<Message>, Error> {
        match self.reader.next(&mut self.shared, Mode::Messages)? {
            Some(ready) => match self.shared.with(|engine| engine.take(&mut self.reader.inbox, ready)) {
                Ok(message) => Ok(message),
                Err(_) => self.reader.line.take_down(&mut self.shared).map(|()| None),
            },
            None => Ok(None),
        }
    }

    /// Receives the next message and lends it. See [`WebSocket::receive_ref`](super::WebSocket::receive_ref).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        match self.reader.next(&mut self.shared, Mode::Messages)? {
            Some(ready) => match self.shared.with(|engine| engine.lend(&mut self.reader.inbox, ready)) {
                Ok(message) => Ok(message),
                Err(_) => self.reader.line.take_down(&mut self.shared).map(|()| None),
            },
            None => Ok(None),
        }
    }

    /// Receives the next chunk and lends it. See [`WebSocket::receive_chunk`](super::WebSocket::receive_chunk).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        match self.reader.next(&mut self.shared, Mode::Chunks)? {
            Some(_) => match self.shared.with(|engine| engine.lend_chunk(&mut self.reader.inbox)) {
                Ok(chunk) => Ok(chunk),
                Err(_) => self.reader.line.take_down(&mut self.shared).map(|()| None),
            },
            None => Ok(None),
        }
    }

    /// Returns the stream, as it is read from.
    pub fn get_ref(&self) -> &S {
        &self.reader.line.stream
    }

    /// Returns a sending half of the same connection, which also tells where that stands.
    #[must_use]
    pub fn sender(&self) -> Sender<S> {
        Sender { shared: self.shared.clone() }
    }
}

impl<S: Transport> Sender<S> {
    /// Sends a message, and returns when it was written, or when the stream would not take more for now. See
    /// [`WebSocket::send`](super::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'m>(&self, message: impl Into<OutgoingRef<'m>>) -> Result<(), Error> {
        let mut rest = message.into();
        let mut shares = self.shared.turn(rest.len())?;
        let fragment_size = shares.engine.connection.config().fragment_size.max(1);
        if rest.len() <= fragment_size {
            let Engine { connection, output, .. } = &mut shares.engine;
            connection.send(rest, output)?;
            return self.shared.write(shares);
        }

        if shares.engine.connection.is_sending_message() {
            return Err(SendError::MessageOpen.into());
        }
        rest = shares.engine.connection.settle(rest);
        shares.is_sending = true;
        drop(shares);
        let _turn = Turn { shared: &self.shared };
        while rest.len() > 0 {
            let (fragment, after) = rest.split_at(fragment_size);
            let fin = if after.len() == 0 { Fin::Last } else { Fin::More };
            let mut shares = self.shared.lock();
            let Engine { connection, output, .. } = &mut shares.engine;
            connection.send_fragment(fragment, fin, output)?;
            self.shared.write(shares)?;
            rest = after;
        }
        Ok(())
    }

    /// Queues a message, to be written by the next flush, or by anything else that writes.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::feed`](super::WebSocket::feed).
    pub fn feed<'m>(&self, message: impl Into<OutgoingRef<'m>>) -> Result<(), Error> {
        let message = message.into();
        let mut shares = self.shared.turn(message.len())?;
        let Engine { connection, output, .. } = &mut shares.engine;
        Ok(connection.send(message, output)?)
    }

    /// Writes what is queued. See [`WebSocket::flush`](super::WebSocket::flush).
    ///
    /// # Errors
    ///
    /// What the stream says; [`std::io::ErrorKind::WouldBlock`] where it does not block, and more is to be written.
    pub fn flush(&self) -> Result<(), Error> {
        let mut shares = self.shared.lock();
        if !shares.is_sending {
            let Engine { connection, output, .. } = &mut shares.engine;
            connection.flush_message(output)?;
        }
        self.shared.write_strictly(shares)
    }

    /// Sends the next fragment of a message. See [`WebSocket::send_fragment`](super::WebSocket::send_fragment).
    ///
    /// # Errors
    ///
    /// As there. While the message is open, other senders get [`SendError::MessageOpen`].
    pub fn send_fragment<'m>(&self, fragment: impl Into<OutgoingRef<'m>>, fin: Fin) -> Result<(), Error> {
        let fragment = fragment.into();
        let mut shares = self.shared.turn(fragment.len())?;
        let Engine { connection, output, .. } = &mut shares.engine;
        connection.send_fragment(fragment, fin, output)?;
        self.shared.write(shares)
    }

    /// Sends a prepared message.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        let mut shares = self.shared.turn(message.payload().len())?;
        let Engine { connection, output, .. } = &mut shares.engine;
        connection.send_prepared(message, output)?;
        self.shared.write(shares)
    }

    /// Sends a ping whose round trip is measured, also in the middle of a message.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::ping`](super::WebSocket::ping).
    pub fn ping(&self) -> Result<(), Error> {
        let mut shares = self.shared.room(ControlPayload::MAX)?;
        let Engine { connection, output, .. } = &mut shares.engine;
        connection.ping(output)?;
        // It goes out between these two: what its round trip is counted from, and what its deadline is.
        shares.engine.tell_time(self.shared.origin.elapsed().into());
        self.shared.write(shares)?;
        self.shared.lock().engine.tell_time(self.shared.origin.elapsed().into());
        Ok(())
    }

    /// Begins the closing handshake, also in the middle of a message, which is then never completed.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::close`](super::WebSocket::close).
    pub fn close(&self, close: Close) -> Result<(), Error> {
        let mut shares = self.shared.lock();
        let Engine { connection, output, .. } = &mut shares.engine;
        connection.close(close, output)?;
        // The time for the closing handshake runs from now, even if somebody else is stuck in a write.
        shares.engine.tell_time(self.shared.origin.elapsed().into());
        self.shared.write(shares)
    }

    /// Returns where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock().engine.connection.state()
    }

    /// Returns the close code of the connection once it is closed (RFC 6455 §7.1.5).
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.shared.lock().engine.connection.close_code()
    }

    /// Returns the Close that the peer sent.
    #[must_use]
    pub fn peer_close(&self) -> Option<Close> {
        self.shared.lock().engine.connection.peer_close().cloned()
    }

    /// Returns what ended the connection, or is ending it.
    #[must_use]
    pub fn end_cause(&self) -> Option<EndCause> {
        self.shared.lock().engine.connection.end_cause().cloned()
    }

    /// Returns the subprotocol that the opening handshake agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.response.as_ref()?.subprotocol()
    }

    /// Returns how many bytes are queued and not written yet, those included that a thread is writing now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.lock().engine.queued()
    }

    /// Returns the round-trip time of the last ping that was answered.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared.lock().engine.connection.round_trip()
    }

    /// Returns what was received so far.
    #[must_use]
    pub fn received(&self) -> Counters {
        self.shared.lock().engine.connection.received()
    }

    /// Returns what was sent so far.
    #[must_use]
    pub fn sent(&self) -> Counters {
        self.shared.lock().engine.connection.sent()
    }
}

impl<S: Transport> Link<S> for Arc<Shared<S>> {
    fn with<R>(&mut self, f: impl FnOnce(&mut Engine) -> R) -> R {
        f(&mut self.lock().engine)
    }

    fn flush(&mut self, _: &mut S) -> Result<bool, Error> {
        let shares = self.lock();
        // Whoever is writing, or waits to write, takes it along: a peer that does not read must not stop us from reading.
        if shares.is_writing || shares.is_awaited() || shares.is_done() {
            return Ok(false);
        }
        self.write_strictly(shares).map(|()| true)
    }

    fn flush_last(&mut self, _: &mut S, patience: Option<Duration>) -> Result<(), Error> {
        let started = Instant::now();
        let mut shares = self.lock();
        while shares.is_writing {
            shares = match patience {
                None => self.wait(shares),
                Some(patience) => match patience.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
                    None => return Ok(()),
                    Some(left) => self.changed.wait_timeout(shares, left).unwrap_or_else(PoisonError::into_inner).0,
                },
            };
        }
        self.write_strictly(shares)
    }

    fn longest_wait(&mut self) -> Option<Duration> {
        // A sender may close, ping or be stuck while we read, and from then on there is a deadline.
        let shares = self.lock();
        let config = shares.engine.connection.config();
        [config.close_timeout, config.pong_timeout, config.output_timeout].into_iter().flatten().min()
    }
}

impl Shares {
    /// Where in the output's whole history that ends which is queued now.
    fn end(&self) -> u64 {
        self.taken + self.engine.output.len() as u64
    }

    /// Whether a thread waits for something to be written, and will write it if nobody else does.
    fn is_awaited(&self) -> bool {
        self.awaited > self.written
    }

    /// Whether there is nothing to write and nothing to flush.
    fn is_done(&self) -> bool {
        self.engine.outbox.is_done(&self.engine.output)
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Shares> {
        // A panic while the lock is held can only come from an encoder or a source of keys, before anything is queued.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, shares: MutexGuard<'g, Shares>) -> MutexGuard<'g, Shares> {
        self.changed.wait(shares).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Transport> Shared<S> {
    /// Waits until no other message is being sent, and until there is room for `len` more bytes.
    fn turn(&self, len: usize) -> Result<MutexGuard<'_, Shares>, Error> {
        loop {
            // The lock is free while others are waited for, so another message may begin: look again.
            let mut shares = self.room(len)?;
            if !shares.is_sending {
                return Ok(shares);
            }
            while shares.is_sending {
                shares = self.wait(shares);
            }
        }
    }

    /// Waits until there is room for `len` more bytes.
    fn room(&self, len: usize) -> Result<MutexGuard<'_, Shares>, Error> {
        loop {
            let shares = self.lock();
            shares.engine.outbox.check()?;
            if !is_full(&shares.engine, len) {
                return Ok(shares);
            }
            self.write_strictly(shares)?;
        }
    }

    /// Writes what is queued; what a stream that does not block leaves over stays queued.
    fn write<'g>(&'g self, shares: MutexGuard<'g, Shares>) -> Result<(), Error> {
        match self.write_strictly(shares) {
            Err(error) if error.is_would_block() => Ok(()),
            result => result,
        }
    }

    /// Writes what is queued now, or waits until other threads have; `WouldBlock` where not all could be written.
    ///
    /// Whoever writes goes on until that is written which was queued when it came, and then until nothing is left, unless
    /// somebody waits who can go on: so no thread writes for others for ever, and nothing is left lying.
    fn write_strictly<'g>(&'g self, mut shares: MutexGuard<'g, Shares>) -> Result<(), Error> {
        let end = shares.end();
        while shares.is_writing {
            if shares.written >= end {
                return Ok(());
            }
            shares.engine.outbox.check()?;
            shares.awaited = shares.awaited.max(end);
            shares = self.wait(shares);
        }
        if shares.written >= end && shares.is_done() {
            return Ok(());
        }

        shares.is_writing = true;
        let writing = Writing { shared: self };
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut output = core::mem::take(&mut shares.engine.output);
            let mut outbox = shares.engine.outbox;
            shares.taken += output.len() as u64;
            shares.engine.connection.set_in_flight(output.len());
            drop(shares);
            let result = outbox.write(&mut output, &mut Reporting { shared: self, stream: &mut *stream });
            shares = self.lock();
            shares.engine.outbox = outbox;
            shares.engine.connection.set_in_flight(0);
            shares.taken -= output.len() as u64;
            if outbox.check().is_ok() {
                shares.written = shares.taken;
            }
            // What was left over goes first next time.
            output.append(&mut shares.engine.output);
            shares.engine.output = output;
            let is_over = shares.written >= end && (shares.engine.output.is_empty() || shares.is_awaited());
            self.changed.notify_all();
            if result.is_err() {
                // Whoever waits looks for itself now.
                shares.awaited = 0;
            }
            if result.is_err() || is_over {
                // Under the same lock as the last look at the output, or what is queued in between would be left lying.
                shares.is_writing = false;
                core::mem::forget(writing);
                drop(stream);
                return Ok(result?);
            }
        }
    }
}

/// The stream of a thread that writes, and tells the engine what was taken: a peer that reads slowly is not one that
/// does not read.
struct Reporting<'a, S> {
    shared: &'a Shared<S>,
    stream: &'a mut S,
}

impl<S: Write> Write for Reporting<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A stream that blocks comes back only when it has taken all that it was given.
        let written = self.stream.write(&bytes[..bytes.len().min(PIECE)])?;
        let connection = &mut self.shared.lock().engine.connection;
        // The last byte is in flight until the stream was flushed.
        connection.set_in_flight(connection.in_flight().saturating_sub(written).max(1));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The right to write, given back should the stream panic.
struct Writing<'a, S> {
    shared: &'a Shared<S>,
}

impl<S> Drop for Writing<'_, S> {
    fn drop(&mut self) {
        let mut shares = self.shared.lock();
        shares.is_writing = false;
        shares.engine.outbox.fail(ErrorKind::BrokenPipe);
        self.shared.changed.notify_all();
    }
}

/// The right to send a message in fragments, given back when it is dropped.
struct Turn<'a, S> {
    shared: &'a Shared<S>,
}

impl<S> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        self.shared.lock().is_sending = false;
        self.shared.changed.notify_all();
    }
}

/// Bytes that are written at once. A peer that takes fewer than these within
/// [`Config::output_timeout`](crate::Config::output_timeout) counts as one that reads nothing.
const PIECE: usize = 32 * 1024;
