//! The sending half: messages in, bytes out (RFC 6455 §5, §6.1).
//!
//! Frames are appended to a buffer of the caller's, so that many small ones go out in one write. Who writes vectored
//! takes the header alone and leaves the payload where it is. Every frame of a client is masked with a fresh key.

mod encoding;
mod framing;
#[cfg(feature = "std")]
mod keys;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use self::encoding::Extension;
#[cfg(feature = "std")]
pub(super) use self::keys::thread_key;
use crate::close::Close;
use crate::config::Config;
use crate::connection::counters::{Counters, Tally};
use crate::connection::event::Reply;
use crate::control::ControlPayload;
use crate::error::SendError;
use crate::extension::{Encoder, Fin};
use crate::frame::{OpCode, Rsv};
use crate::message::{MessageKind, MessageRef};
use crate::outgoing::OutgoingRef;

/// A source of masking keys (RFC 6455 §5.3). A closure is one.
///
/// Keys must be unpredictable, or a hostile page could choose what goes over the wire (§10.3): take a CSPRNG. With the
/// feature `std` the default is `rand`'s thread-local generator, of which a thread draws 64 keys at a time.
///
/// ```
/// use sockeye::{Config, Connection};
///
/// // A key for a test, never for the network: RFC 6455 §10.3 wants keys that nobody can foresee.
/// let mut client = Connection::client_with_keys(Config::default(), || [0, 0, 0, 0]);
/// let mut output = Vec::new();
/// client.send("hi", &mut output)?;
/// assert_eq!(output, b"\x81\x82\0\0\0\0hi");
/// # Ok::<(), sockeye::SendError>(())
/// ```
pub trait MaskingKeys: Send + Sync {
    /// Returns the key for the next frame.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4] + Send + Sync> MaskingKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

impl fmt::Debug for dyn MaskingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKeys")
    }
}

/// The sending half of a connection.
///
/// [`Connection::split`](crate::Connection::split) gives one.
///
/// ```
/// use sockeye::{Config, Connection};
///
/// let (_receiver, mut sender, _owed) = Connection::server(Config::default()).split();
/// let mut output = Vec::new();
/// sender.send("hi", &mut output)?;
/// assert_eq!(output, b"\x81\x02hi");
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    /// Where a client's keys come from; a server has none.
    keys: Option<Box<dyn MaskingKeys>>,
    extension: Option<Box<Extension>>,
    open: Option<OpenMessage>,
    is_closed: bool,
    counters: Tally,
    config: Arc<Config>,
}

/// The fragmented message that is being sent.
#[derive(Clone, Copy, Debug)]
struct OpenMessage {
    kind: MessageKind,
    coding: Coding,
    is_first: bool,
}

/// How the payload of a message gets on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As it is, marked with these bits.
    AsIs(Rsv),
    /// Encoded by the extension.
    Encoded,
}

impl Sender {
    pub(crate) fn new(keys: Option<Box<dyn MaskingKeys>>, config: Arc<Config>) -> Self {
        Self { keys, extension: None, open: None, is_closed: false, counters: Tally::default(), config }
    }

    /// Lets an extension encode messages and mark them.
    pub(crate) fn extend(&mut self, rsv: Rsv, encoder: Box<dyn Encoder>) {
        self.extension = Some(Box::new(Extension { rsv, encoder, decoded_bytes: 0, encoded_bytes: 0 }));
    }

    /// Appends a whole message, in fragments where it is longer than [`Config::fragment_size`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::MessageOpen`], or what an extension says.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<OutgoingRef<'m>>, output: &mut Vec<u8>) -> Result<(), SendError> {
        let outgoing = message.into();
        let message = outgoing.message();
        self.check_between_messages()?;
        let payload = message.payload();
        if self.extension.is_none() && payload.len() <= self.config.fragment_size {
            self.frame(true, Rsv::NONE, opcode(message.kind()), payload, output);
            self.count(Fin::Last, payload.len());
            return Ok(());
        }
        let coding = self.coding(message.kind(), Some(payload.len()), outgoing.may_be_encoded());
        self.fragment(OpenMessage { kind: message.kind(), coding, is_first: true }, payload, Fin::Last, output)
    }

    /// Whether sending runs no code of others, which may panic: no source of keys, and no extension.
    #[cfg(feature = "driver")]
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.keys.is_none() && self.extension.is_none()
    }

    /// Appends a text message.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_text(&mut self, text: &str, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.send(MessageRef::Text(text), output)
    }

    /// Appends a binary message.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_binary(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.send(MessageRef::Binary(bytes), output)
    }

    /// Appends the next fragment of a message, of which the first one opens it and [`Fin::Last`] ends it
    /// (RFC 6455 §5.4). Control frames may go in between. Whether an extension encodes the message, the first one decides.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::FragmentKind`], [`SendError::FragmentCompressed`], or what an extension says.
    pub fn send_fragment<'m>(
        &mut self,
        fragment: impl Into<OutgoingRef<'m>>,
        fin: Fin,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let fragment = fragment.into();
        let (kind, payload) = (fragment.message().kind(), fragment.message().payload());
        let open = match self.check_fragment(kind)? {
            Some(open) if open.coding == Coding::Encoded && !fragment.may_be_encoded() => {
                return Err(SendError::FragmentCompressed);
            }
            Some(open) => open,
            None => {
                let len = (fin == Fin::Last).then_some(payload.len());
                OpenMessage { kind, coding: self.coding(kind, len, fragment.may_be_encoded()), is_first: true }
            }
        };
        self.fragment(open, payload, fin, output)
    }

    /// As [`Self::send_fragment`], for a piece of a text that may be cut inside a character. The first one says how the
    /// message is encoded.
    #[cfg(feature = "driver")]
    pub(crate) fn send_piece(
        &mut self,
        kind: MessageKind,
        coding: Coding,
        piece: &[u8],
        fin: Fin,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let open = self.check_fragment(kind)?.unwrap_or(OpenMessage { kind, coding, is_first: true });
        self.fragment(open, piece, fin, output)
    }

    /// Appends a ping.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(OpCode::Ping, payload, output)
    }

    /// Appends a pong that answers no ping (RFC 6455 §5.5.3).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::ControlTooLong`].
    pub fn send_pong(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(OpCode::Pong, payload, output)
    }

    /// Appends our Close; nothing can be sent after it (RFC 6455 §5.5.1).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if it was sent before.
    pub fn close(&mut self, close: Close, output: &mut Vec<u8>) -> Result<(), SendError> {
        let mut body = ControlPayload::EMPTY;
        if close.code().may_be_sent() {
            body.fill(&u16::from(close.code()).to_be_bytes());
            body.fill(close.reason().as_bytes());
        }
        self.control(OpCode::Close, &body, output)?;
        self.is_closed = true;
        Ok(())
    }

    /// Appends what we owe the peer; nothing once our Close was sent, for then nothing may follow.
    pub fn reply(&mut self, reply: Reply, output: &mut Vec<u8>) {
        // Both fail only where our Close was sent: the payload of a reply always fits.
        let _ = match reply {
            Reply::Pong(payload) => self.control(OpCode::Pong, &payload, output),
            Reply::Close(close) => self.close(close, output),
        };
    }

    /// Returns whether our Close was sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns whether a fragmented message has begun and not ended.
    #[must_use]
    pub fn is_sending_message(&self) -> bool {
        self.open.is_some()
    }

    /// Returns what was sent so far.
    #[must_use]
    pub fn sent(&self) -> Counters {
        let extension = self.extension.as_ref();
        let (decoded, encoded) =
            extension.map_or((0, 0), |extension| (extension.decoded_bytes, extension.encoded_bytes));
        self.counters.with(decoded, encoded)
    }

    /// Returns how many bytes were sent so far, as they stand on the wire.
    #[cfg(feature = "driver")]
    #[inline]
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.counters.wire_bytes
    }

    /// Refuses everything from now on: the connection ended without our Close.
    pub(crate) fn shut(&mut self) {
        self.is_closed = true;
    }

    /// Appends the next fragment of the open message, encoded if it is to be, in frames that are not too long.
    fn fragment(&mut self, open: OpenMessage, payload: &[u8], fin: Fin, output: &mut Vec<u8>) -> Result<(), SendError> {
        match open.coding {
            Coding::AsIs(rsv) => {
                self.frames(open, rsv, payload, fin, output);
                Ok(())
            }
            Coding::Encoded => self.encoded_fragment(open, Some(payload), fin, output),
        }
    }

    /// Appends the next fragment of the open message as it is, in frames that are not too long.
    fn frames(&mut self, mut open: OpenMessage, rsv: Rsv, payload: &[u8], fin: Fin, output: &mut Vec<u8>) {
        self.count(fin, payload.len());
        let mut rest = payload;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(self.config.fragment_size.max(1)));
            let is_final = fin == Fin::Last && after.is_empty();
            let (opcode, rsv) = open.marks(rsv);
            self.frame(is_final, rsv, opcode, piece, output);
            open.is_first = false;
            // Now, and not behind the loop: the source of keys may panic at the next frame.
            self.open = (!is_final).then_some(open);
            rest = after;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Appends a control frame.
    fn control(&mut self, opcode: OpCode, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_open()?;
        // §5.5: control frames MUST have a payload of 125 bytes or less.
        if payload.len() > ControlPayload::MAX {
            return Err(SendError::ControlTooLong { len: payload.len() });
        }
        self.frame(true, Rsv::NONE, opcode, payload, output);
        Ok(())
    }

    /// Counts the payload of a fragment, and its message if that ends.
    fn count(&mut self, fin: Fin, len: usize) {
        self.counters.messages += u64::from(fin == Fin::Last);
        self.counters.payload_bytes += len as u64;
    }

    /// §5.5.1: nothing may be sent after our Close.
    #[inline]
    fn check_open(&self) -> Result<(), SendError> {
        if self.is_closed { Err(SendError::Closed) } else { Ok(()) }
    }

    /// §5.4: the fragments of a message are of its kind; gives the message that the next one continues.
    fn check_fragment(&self, kind: MessageKind) -> Result<Option<OpenMessage>, SendError> {
        self.check_open()?;
        match self.open {
            Some(open) if open.kind != kind => Err(SendError::FragmentKind),
            open => Ok(open),
        }
    }

    /// §5.3: a client masks all that it sends.
    fn check_unmasked(&self) -> Result<(), SendError> {
        if self.keys.is_some() { Err(SendError::MaskRequired) } else { Ok(()) }
    }

    /// §5.4: a new message may begin only where no other is open.
    #[inline]
    fn check_between_messages(&self) -> Result<(), SendError> {
        self.check_open()?;
        if self.open.is_some() { Err(SendError::MessageOpen) } else { Ok(()) }
    }
}

impl OpenMessage {
    /// The opcode and the reserved bits of its next frame.
    fn marks(&self, rsv: Rsv) -> (OpCode, Rsv) {
        // §5.4: the first frame tells the kind of the message, the others continue it; RFC 7692 §6: only the first one has
        // the reserved bit.
        if self.is_first { (opcode(self.kind), rsv) } else { (OpCode::Continuation, Rsv::NONE) }
    }
}

/// The opcode that begins a message of this kind.
fn opcode(kind: MessageKind) -> OpCode {
    match kind {
        MessageKind::Text => OpCode::Text,
        MessageKind::Binary => OpCode::Binary,
    }
}
