//! Messages encoded once and sent to many (or many times).
//!
//! A server's frames are not masked, so every peer gets the same bytes: the header is made once and the payload is
//! shared. A client masks each frame anew (RFC 6455 §5.3), so for it a prepared message is only a convenience.

#[cfg(feature = "std")]
use alloc::boxed::Box;
#[cfg(feature = "std")]
use alloc::sync::Arc;
#[cfg(feature = "std")]
use alloc::vec::Vec;
#[cfg(feature = "std")]
use std::sync::OnceLock;

use bytes::Bytes;

use crate::extension::{Encoder, ExtensionError, Variant};
use crate::frame::{FrameHead, FrameHeader, OpCode, Rsv};
use crate::message::{Message, MessageKind};

/// A message whose frame was encoded once, to be sent any number of times. Cloning shares the payload.
///
/// ```
/// use sockeye::{Config, Connection, PreparedMessage};
///
/// static TICK: PreparedMessage = PreparedMessage::from_static_text("tick");   // encoded at compile time
///
/// let mut servers = [Connection::server(Config::default()), Connection::server(Config::default())];
/// for server in &mut servers {
///     let [head, payload] = server.prepared(&TICK)?;   // write both, vectored: nothing was copied
///     assert_eq!((head, payload), (&[0x81, 4][..], &b"tick"[..]));
/// }
/// # Ok::<(), sockeye::SendError>(())
/// ```
///
/// Who sends it to many takes [`Connection::prepared_frame`](crate::Connection::prepared_frame): one piece for all, made when it is
/// first asked for.
///
/// Where an extension encodes messages without regard to those before, as permessage-deflate does without context takeover, a
/// prepared message is encoded once for all connections that do so in the same way, when the first of them sends it; clones
/// share that, too. Where it has regard to them, each connection encodes its own.
#[derive(Debug)]
pub struct PreparedMessage {
    pub(crate) head: FrameHead,
    pub(crate) kind: MessageKind,
    pub(crate) payload: Bytes,
    #[cfg(feature = "std")]
    encodings: Encodings,
}

/// Where that is which is made of a message later, and which its clones share.
#[cfg(feature = "std")]
#[derive(Debug)]
enum Encodings {
    Shared(Arc<Made>),
    /// Of a message made at compile time or published, for which there is memory once it is encoded, asked for in one piece or cloned.
    Later(OnceLock<Arc<Made>>),
}

/// What is made of a message once somebody wants it.
#[cfg(feature = "std")]
#[derive(Debug, Default)]
struct Made {
    frame: Frame,
    encodings: List,
}

/// A frame in one piece.
#[cfg(feature = "std")]
type Frame = OnceLock<Box<[u8]>>;

#[cfg(feature = "std")]
type List = OnceLock<Box<Encoding>>;

/// One of the ways in which a message was encoded, and then the next: a list that only grows, so that what is in it can be
/// lent.
#[cfg(feature = "std")]
#[derive(Debug)]
struct Encoding {
    rsv: Rsv,
    variant: Variant,
    /// `None` where the encoder that was to do it failed.
    encoded: Option<Encoded>,
    next: List,
}

#[cfg(feature = "std")]
impl Encoding {
    /// Whether it is this way. The number tells most of them apart.
    #[inline]
    fn is(&self, rsv: Rsv, variant: Variant) -> bool {
        self.rsv == rsv && self.variant.number == variant.number && self.variant.extension == variant.extension
    }
}

/// A message as an extension encoded it.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) rsv: Rsv,
    pub(crate) head: FrameHead,
    pub(crate) payload: Bytes,
    /// Whether it differs from the message.
    pub(crate) is_encoded: bool,
    #[cfg(feature = "std")]
    frame: Frame,
}

#[cfg(feature = "std")]
impl Encoded {
    /// Its frame in one piece.
    #[inline]
    pub(crate) fn frame(&self) -> &[u8] {
        self.frame.get_or_init(|| [&self.head, &*self.payload].concat().into())
    }
}

impl PreparedMessage {
    /// Prepares a message; one that owns its payload is not copied.
    #[must_use]
    pub fn new(message: impl Into<Message>) -> Self {
        let (kind, payload) = match message.into() {
            Message::Text(text) => (MessageKind::Text, Bytes::from(text)),
            Message::Binary(bytes) => (MessageKind::Binary, bytes),
        };
        Self {
            // There at once, so that cloning it is no more than counting.
            #[cfg(feature = "std")]
            encodings: Encodings::Shared(Arc::default()),
            ..Self::from_parts(kind, payload)
        }
    }

    /// Prepares a text message at compile time.
    #[must_use]
    pub const fn from_static_text(text: &'static str) -> Self {
        Self::from_parts(MessageKind::Text, Bytes::from_static(text.as_bytes()))
    }

    /// Prepares a binary message at compile time.
    #[must_use]
    pub const fn from_static_binary(bytes: &'static [u8]) -> Self {
        Self::from_parts(MessageKind::Binary, Bytes::from_static(bytes))
    }

    /// Prepares a message of a payload that is known to be UTF-8 if it is text, which will hardly be cloned: there is no memory
    /// for its encodings before one is made.
    #[cfg(feature = "pubsub")]
    pub(crate) fn of_checked(kind: MessageKind, payload: Bytes) -> Self {
        Self::from_parts(kind, payload)
    }

    const fn from_parts(kind: MessageKind, payload: Bytes) -> Self {
        Self {
            head: head(kind, Rsv::NONE, payload.len()),
            kind,
            payload,
            #[cfg(feature = "std")]
            encodings: Encodings::Later(OnceLock::new()),
        }
    }

    /// Returns the kind of the message.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The frame of the message as it is, in one piece.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn frame(&self) -> &[u8] {
        self.encodings.made().frame.get_or_init(|| [&self.head, &*self.payload].concat().into())
    }

    /// The message as it is encoded in this way, by this encoder if nobody has done it before; `None` if that failed then,
    /// and everybody has to try for himself.
    #[cfg(feature = "std")]
    pub(crate) fn encoded(
        &self,
        rsv: Rsv,
        variant: Variant,
        encoder: &mut dyn Encoder,
    ) -> Result<Option<&Encoded>, ExtensionError> {
        let mut place = &self.encodings.made().encodings;
        while let Some(encoding) = place.get() {
            if encoding.is(rsv, variant) {
                return Ok(encoding.encoded.as_ref());
            }
            place = &encoding.next;
        }
        self.encode(place, rsv, variant, encoder)
    }

    /// Adds the message as this encoder encodes it to the end of the list, unless another does meanwhile.
    #[cfg(feature = "std")]
    #[cold]
    fn encode<'p>(
        &'p self,
        mut place: &'p List,
        rsv: Rsv,
        variant: Variant,
        encoder: &mut dyn Encoder,
    ) -> Result<Option<&'p Encoded>, ExtensionError> {
        let mut failure = None;
        loop {
            let encoding = place.get_or_init(|| {
                let mut payload = Vec::new();
                let encoded = encoder.encode_whole(&self.payload, &mut payload).map(|is_encoded| match is_encoded {
                    true => {
                        let payload = Bytes::from(payload.into_boxed_slice());
                        let head = head(self.kind, rsv, payload.len());
                        Encoded { rsv, head, payload, is_encoded, frame: Frame::new() }
                    }
                    false => {
                        let (head, payload) = (self.head, self.payload.clone());
                        Encoded { rsv: Rsv::NONE, head, payload, is_encoded, frame: Frame::new() }
                    }
                });
                let encoded = encoded.map_err(|error| failure = Some(error)).ok();
                Box::new(Encoding { rsv, variant, encoded, next: OnceLock::new() })
            });
            if encoding.is(rsv, variant) {
                return failure.map_or(Ok(encoding.encoded.as_ref()), Err);
            }
            place = &encoding.next;
        }
    }

    /// Without a lock there is nothing to be shared.
    #[cfg(not(feature = "std"))]
    pub(crate) fn encoded(&self, _: Rsv, _: Variant, _: &mut dyn Encoder) -> Result<Option<&Encoded>, ExtensionError> {
        Ok(None)
    }
}

#[cfg(feature = "std")]
impl Encodings {
    #[inline]
    fn made(&self) -> &Arc<Made> {
        match self {
            Self::Shared(made) => made,
            Self::Later(made) => made.get_or_init(Arc::default),
        }
    }
}

impl Clone for PreparedMessage {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            head: self.head,
            kind: self.kind,
            payload: self.payload.clone(),
            // Made now if it is not there, so that it is the same for both.
            #[cfg(feature = "std")]
            encodings: Encodings::Shared(self.encodings.made().clone()),
        }
    }
}

/// The head of a server's frame that holds a whole message.
const fn head(kind: MessageKind, rsv: Rsv, len: usize) -> FrameHead {
    let opcode = match kind {
        MessageKind::Text => OpCode::Text,
        MessageKind::Binary => OpCode::Binary,
    };
    FrameHeader { fin: true, rsv, opcode, masking_key: None, payload_len: len as u64 }.encode()
}
