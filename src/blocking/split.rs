//! A connection in two halves, for two threads (or more: the sending half can be cloned).
//!
//! The halves share one engine behind a lock that is held while bytes are decoded or encoded, never while the stream
//! blocks or the application runs: events borrow the reading half's buffer, not the engine. One thread at a time
//! writes. Whoever adds output while another thread writes leaves it to that one, which looks again under the lock
//! before it stops; so a pong or a Close of the reading half goes out at the next frame boundary of a long message,
//! and never waits for a lock.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::error::Error;
use super::inbox::{Engine, Mode};
use super::outbox::{is_full, write_out};
use super::reader::{Link, Reader};
use super::transport::Transport;
use crate::close::{Close, CloseCode};
use crate::connection::{Counters, State};
use crate::error::SendError;
use crate::extension::Fin;
use crate::message::{Chunk, Message, MessageRef};
use crate::prepared::PreparedMessage;

/// The receiving half of a split connection.
#[derive(Debug)]
pub struct Receiver<S> {
    reader: Reader<S>,
    shared: Arc<Shared<S>>,
}

/// The sending half of a split connection. Clones send on the same connection, each message in one piece.
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
}

#[derive(Debug)]
struct Shares {
    engine: Engine,
    /// Whether a thread is writing; it takes along what others add.
    is_writing: bool,
    /// Whether a thread is in the middle of a message that it sends in fragments.
    is_sending: bool,
}

/// Makes two halves of a connection.
pub(super) fn split<S: Transport>(reader: Reader<S>, engine: Engine) -> Result<(Receiver<S>, Sender<S>), Error> {
    let stream = Mutex::new(reader.stream.try_clone()?);
    let state = Mutex::new(Shares { engine, is_writing: false, is_sending: false });
    let shared = Arc::new(Shared { state, changed: Condvar::new(), stream });
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
            Some(ready) => Ok(self.shared.with(|engine| self.reader.inbox.take(ready, engine))?),
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
            Some(ready) => Ok(self.reader.inbox.lend(ready, &mut self.shared.lock().engine)?),
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
            Some(_) => Ok(self.reader.inbox.lend_chunk(&mut self.shared.lock().engine)?),
            None => Ok(None),
        }
    }

    /// Returns a sending half of the same connection.
    #[must_use]
    pub fn sender(&self) -> Sender<S> {
        Sender { shared: self.shared.clone() }
    }
}

impl<S: Transport> Sender<S> {
    /// Sends a message, and returns when it was written. See [`WebSocket::send`](super::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'m>(&self, message: impl Into<MessageRef<'m>>) -> Result<(), Error> {
        let mut rest = message.into();
        let mut shares = self.shared.turn(rest.payload().len())?;
        let fragment_size = shares.engine.connection.config().fragment_size;
        if rest.payload().len() <= fragment_size {
            let Engine { connection, output } = &mut shares.engine;
            connection.send(rest, output)?;
            return self.shared.write(shares);
        }

        if shares.engine.connection.is_sending_message() {
            return Err(SendError::MessageOpen.into());
        }
        shares.is_sending = true;
        drop(shares);
        let _turn = Turn { shared: &self.shared };
        while !rest.payload().is_empty() {
            let (fragment, after) = rest.split_at(fragment_size);
            let fin = if after.payload().is_empty() { Fin::Last } else { Fin::More };
            let mut shares = self.shared.lock();
            let Engine { connection, output } = &mut shares.engine;
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
    pub fn feed<'m>(&self, message: impl Into<MessageRef<'m>>) -> Result<(), Error> {
        let message = message.into();
        let mut shares = self.shared.turn(message.payload().len())?;
        let Engine { connection, output } = &mut shares.engine;
        Ok(connection.send(message, output)?)
    }

    /// Writes what is queued.
    ///
    /// # Errors
    ///
    /// What the stream says; [`std::io::ErrorKind::WouldBlock`] where it does not block, and more is to be written.
    pub fn flush(&self) -> Result<(), Error> {
        self.shared.write_strictly(self.shared.lock())
    }

    /// Sends the next fragment of a message. See [`WebSocket::send_fragment`](super::WebSocket::send_fragment).
    ///
    /// # Errors
    ///
    /// As there. While the message is open, other senders get [`SendError::MessageOpen`].
    pub fn send_fragment<'m>(&self, fragment: impl Into<MessageRef<'m>>, fin: Fin) -> Result<(), Error> {
        let fragment = fragment.into();
        let mut shares = self.shared.turn(fragment.payload().len())?;
        let Engine { connection, output } = &mut shares.engine;
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
        let Engine { connection, output } = &mut shares.engine;
        connection.send_prepared(message, output)?;
        self.shared.write(shares)
    }

    /// Sends a ping whose round trip is measured, also in the middle of a message.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::ping`](super::WebSocket::ping).
    pub fn ping(&self) -> Result<(), Error> {
        let mut shares = self.shared.lock();
        let Engine { connection, output } = &mut shares.engine;
        connection.ping(output)?;
        self.shared.write(shares)
    }

    /// Begins the closing handshake, also in the middle of a message, which is then never completed.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::close`](super::WebSocket::close).
    pub fn close(&self, close: Close) -> Result<(), Error> {
        let mut shares = self.shared.lock();
        let Engine { connection, output } = &mut shares.engine;
        connection.close(close, output)?;
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

    fn flush(&mut self, _: &mut S) -> Result<(), Error> {
        let shares = self.lock();
        // Whoever is writing takes it along.
        if shares.is_writing { Ok(()) } else { self.write_strictly(shares) }
    }

    fn longest_wait(&mut self) -> Option<Duration> {
        // A sender may close while we read, and from then on there is a deadline.
        self.lock().engine.connection.config().close_timeout
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Shares> {
        // A panic while the lock is held can only come from here, and would leave the engine as it was before or after.
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
            let mut shares = self.lock();
            while shares.is_sending {
                shares = self.wait(shares);
            }
            if !is_full(&shares.engine, len) {
                return Ok(shares);
            }
            // The lock is free meanwhile, so another message may begin: look again.
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

    /// Writes what is queued, or waits until another thread has; `WouldBlock` where not all could be written.
    fn write_strictly<'g>(&'g self, mut shares: MutexGuard<'g, Shares>) -> Result<(), Error> {
        while shares.is_writing && !shares.engine.output.is_empty() {
            shares = self.wait(shares);
        }
        if shares.is_writing || shares.engine.output.is_empty() {
            return Ok(());
        }
        shares.is_writing = true;
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut output = core::mem::take(&mut shares.engine.output);
            drop(shares);
            let result = write_out(&mut output, &mut *stream);
            shares = self.lock();
            if result.is_err() {
                // What was left over goes first next time.
                output.append(&mut shares.engine.output);
                shares.engine.output = output;
            } else if shares.engine.output.is_empty() {
                shares.engine.output = output;
            } else {
                continue;
            }
            shares.is_writing = false;
            self.changed.notify_all();
            return Ok(result?);
        }
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
