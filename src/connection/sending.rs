//! The sending side of a whole connection: the verbs of [`Sender`](crate::Sender), and what the connection notes of them.

use alloc::vec::Vec;

use super::{Connection, EndCause};
use crate::close::Close;
use crate::error::SendError;
use crate::extension::Fin;
use crate::frame::FrameHead;
use crate::message::MessageKind;
use crate::outgoing::OutgoingRef;
use crate::prepared::PreparedMessage;

impl Connection {
    /// Appends a whole message: a `&str` is text, a `&[u8]` is binary. One longer than [`Config::fragment_size`](crate::Config::fragment_size) goes
    /// out in fragments, all of which are appended at once. To let control frames in between as these come up, send the
    /// parts that [`MessageRef::split_at`](crate::MessageRef::split_at) gives by [`Self::send_fragment`], and write each.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] once our Close was sent, [`SendError::MessageOpen`] inside a fragmented message, or what
    /// an extension says.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<OutgoingRef<'m>>, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.send(message, output)
    }

    /// Appends a text message.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_text(&mut self, text: &str, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.send_text(text, output)
    }

    /// Appends a binary message.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_binary(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.send_binary(bytes, output)
    }

    /// Appends the next fragment of a message, of which the first one opens it and [`Fin::Last`] ends it
    /// (RFC 6455 §5.4). Control frames may go in between.
    ///
    /// ```
    /// use sockeye::{Config, Connection, Fin};
    ///
    /// let (mut server, mut output) = (Connection::server(Config::default()), Vec::new());
    /// server.send_fragment("Hel", Fin::More, &mut output)?;
    /// server.send_ping(b"", &mut output)?;
    /// server.send_fragment("lo", Fin::Last, &mut output)?;
    /// assert_eq!(output, b"\x01\x03Hel\x89\x00\x80\x02lo");
    /// # Ok::<(), sockeye::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`]; [`SendError::FragmentKind`] for a fragment of the other kind than the open message;
    /// [`SendError::FragmentCompressed`] for one that must not be compressed, of a message that is; what an extension says.
    pub fn send_fragment<'m>(
        &mut self,
        fragment: impl Into<OutgoingRef<'m>>,
        fin: Fin,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.sender.send_fragment(fragment, fin, output)
    }

    /// Appends all that an extension holds back of the message that is being sent in fragments, as one more of these; nothing
    /// where there is none.
    ///
    /// ```
    /// # #[cfg(feature = "deflate")] {
    /// # use sockeye::{Config, Connection, Fin, Rsv, deflate::Deflate, handshake::Extensions, Role};
    /// # let agreed = Extensions::parse("permessage-deflate").next().unwrap().unwrap();
    /// # let agreement = Deflate::default().agreed(Role::Server, &agreed).unwrap();
    /// let (mut server, mut output) = (Connection::server(Config::default()), Vec::new());
    /// server.extend(Rsv::RSV1, agreement.encoder());
    /// server.send_fragment("the first line of a log, ", Fin::More, &mut output)?;
    /// assert!(output.is_empty(), "what compresses waits for more");
    /// server.flush_message(&mut output)?;
    /// assert!(!output.is_empty(), "the peer can read all of it now");
    /// # }
    /// # Ok::<(), sockeye::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the extension says.
    pub fn flush_message(&mut self, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.flush_message(output)
    }

    /// Settles whether a message that will go out in fragments is to be encoded.
    #[cfg(feature = "std")]
    pub(crate) fn settle<'m>(&mut self, message: OutgoingRef<'m>) -> OutgoingRef<'m> {
        self.sender.settle(message)
    }

    /// Returns the header of the next fragment, whose payload of `len` bytes is shared and cannot be masked: for servers.
    ///
    /// # Errors
    ///
    /// [`SendError::MaskRequired`] on a client; [`SendError::Closed`]; [`SendError::FragmentKind`] for another kind than that of the
    /// open message.
    #[cfg(feature = "std")]
    pub(crate) fn shared_fragment_head(
        &mut self,
        kind: MessageKind,
        rsv: crate::frame::Rsv,
        fin: Fin,
        len: usize,
    ) -> Result<FrameHead, SendError> {
        self.sender.shared_fragment_head(kind, rsv, fin, len)
    }

    /// Returns the header for a whole message, for a vectored write: see [`Sender::head`](crate::Sender::head).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::MessageOpen`].
    #[inline]
    pub fn head(&mut self, kind: MessageKind, payload: &mut [u8]) -> Result<FrameHead, SendError> {
        self.sender.head(kind, payload)
    }

    /// Returns the header for a whole message whose payload is shared: see [`Sender::shared_head`](crate::Sender::shared_head).
    ///
    /// # Errors
    ///
    /// [`SendError::MaskRequired`] on a client; [`SendError::Closed`], [`SendError::MessageOpen`].
    #[inline]
    pub fn shared_head(&mut self, kind: MessageKind, payload: &[u8]) -> Result<FrameHead, SendError> {
        self.sender.shared_head(kind, payload)
    }

    /// Returns the two parts of a prepared message's frame: see [`Sender::prepared`](crate::Sender::prepared).
    ///
    /// # Errors
    ///
    /// [`SendError::MaskRequired`] on a client; [`SendError::Closed`], [`SendError::MessageOpen`].
    #[inline]
    pub fn prepared<'p>(&mut self, message: &'p PreparedMessage) -> Result<[&'p [u8]; 2], SendError> {
        self.sender.prepared(message)
    }

    /// Returns a prepared message's frame in one piece: see [`Sender::prepared_frame`](crate::Sender::prepared_frame).
    ///
    /// ```
    /// use sockeye::{Config, Connection, PreparedMessage};
    ///
    /// let message = PreparedMessage::new("tick");
    /// let mut servers = [Connection::server(Config::default()), Connection::server(Config::default())];
    /// for server in &mut servers {
    ///     assert_eq!(server.prepared_frame(&message)?, b"\x81\x04tick");   // write it; both get the same bytes
    /// }
    /// # Ok::<(), sockeye::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::MaskRequired`] on a client; [`SendError::Closed`], [`SendError::MessageOpen`]; what an extension says.
    #[cfg(feature = "std")]
    #[inline]
    pub fn prepared_frame<'p>(&mut self, message: &'p PreparedMessage) -> Result<&'p [u8], SendError> {
        self.sender.prepared_frame(message)
    }

    /// Appends a prepared message.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::MessageOpen`], or what an extension says.
    pub fn send_prepared(&mut self, message: &PreparedMessage, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.send_prepared(message, output)
    }

    /// Appends a ping whose round trip is measured: [`Self::round_trip`] tells it once the pong is here.
    ///
    /// [`Config::pong_timeout`](crate::Config::pong_timeout) applies to it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub fn ping(&mut self, output: &mut Vec<u8>) -> Result<(), SendError> {
        if self.sender.is_closed() {
            return Err(SendError::Closed);
        }
        let number = self.keepalive.next_ping();
        self.sender.send_ping(&number.to_be_bytes(), output)
    }

    /// Appends a ping with a payload of the caller's; nothing is measured and no deadline waits for its pong.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.send_ping(payload, output)
    }

    /// Appends a pong that answers no ping (RFC 6455 §5.5.3).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::ControlTooLong`].
    pub fn send_pong(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.send_pong(payload, output)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2): appends our Close, after everything that was sent before.
    ///
    /// Go on receiving until the state is [`State::Closed`](crate::State::Closed).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if we, or both, closed before.
    pub fn close(&mut self, close: Close, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.sender.close(close, output)?;
        self.note_cause(EndCause::Local);
        Ok(())
    }
}
