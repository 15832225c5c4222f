//! The engine of a blocking connection.

use super::outbox::Outbox;
use crate::adapter::{Inbox, Ready};
use crate::connection::Connection;
use crate::error::ProtocolError;
use crate::message::{Chunk, Message, MessageRef};
use crate::time::{Instant, Timeout};

/// A connection and the bytes that it wants written.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) connection: Connection,
    pub(super) output: Vec<u8>,
    pub(super) outbox: Outbox,
    /// The deadline that passed last. What ended the connection is the first thing that did, and may be another one.
    pub(super) expired: Option<Timeout>,
}

impl Engine {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, output: Vec::new(), outbox: Outbox::default(), expired: None }
    }

    /// How many bytes are not written yet.
    pub(super) fn queued(&self) -> usize {
        self.output.len() + self.connection.in_flight()
    }

    /// Tells the engine the time.
    pub(super) fn tell_time(&mut self, now: Instant) {
        let expired = self.connection.handle_timeout(now, &mut self.output);
        self.expired = expired.or(self.expired);
    }

    /// Lends the message that is ready.
    pub(super) fn lend<'i>(
        &mut self,
        inbox: &'i mut Inbox,
        ready: Ready,
    ) -> Result<Option<MessageRef<'i>>, ProtocolError> {
        inbox.lend(ready, &mut self.connection, &mut self.output)
    }

    /// Gives away the message that is ready.
    pub(super) fn take(&mut self, inbox: &mut Inbox, ready: Ready) -> Result<Option<Message>, ProtocolError> {
        inbox.take(ready, &mut self.connection, &mut self.output)
    }

    /// Lends the chunk that is ready.
    pub(super) fn lend_chunk<'i>(&mut self, inbox: &'i mut Inbox) -> Result<Option<Chunk<'i>>, ProtocolError> {
        inbox.lend_chunk(&mut self.connection, &mut self.output)
    }
}
