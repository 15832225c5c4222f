//! What an extension encodes: messages, their fragments, and those that are prepared for many.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Coding, OpenMessage, Sender, opcode};
use crate::error::SendError;
use crate::extension::{Encoder, Fin};
use crate::frame::{FrameHead, FrameHeader, Rsv};
use crate::mask::mask;
use crate::message::MessageKind;
#[cfg(feature = "std")]
use crate::outgoing::OutgoingRef;
use crate::prepared::{Encoded, PreparedMessage};

/// The extension that encodes messages, and how many bytes it was given and gave.
#[derive(Debug)]
pub(super) struct Extension {
    pub(super) rsv: Rsv,
    pub(super) encoder: Box<dyn Encoder>,
    pub(super) decoded_bytes: u64,
    pub(super) encoded_bytes: u64,
}

impl Sender {
    /// Returns the two parts of a prepared message's frame, to be written one after the other: for servers.
    ///
    /// Where an extension encodes messages without regard to those before, the message was encoded at most once for all
    /// connections that do it in the same way; where it has regard to them, the message goes out as it is:
    /// [`Self::send_prepared`] has it encoded.
    ///
    /// # Errors
    ///
    /// [`SendError::MaskRequired`] on a client, which takes [`Self::send_prepared`]; [`SendError::Closed`],
    /// [`SendError::MessageOpen`]; what an extension says.
    #[inline]
    pub fn prepared<'p>(&mut self, message: &'p PreparedMessage) -> Result<[&'p [u8]; 2], SendError> {
        self.prepared_parts(message).map(|(head, payload)| [&**head, &**payload])
    }

    /// Returns a prepared message's frame in one piece, to be written: for servers that send it to many.
    ///
    /// One piece is cheaper to write than the two of [`Self::prepared`]: on TCP over loopback by a twentieth. It is made when it
    /// is first asked for, by one copy of the payload, and is there for all connections as long as the message or a clone of it
    /// is: so a message that is asked for in this way is in memory twice. With extensions it is as [`Self::prepared`] says.
    ///
    /// # Errors
    ///
    /// As [`Self::prepared`].
    #[cfg(feature = "std")]
    #[inline]
    pub fn prepared_frame<'p>(&mut self, message: &'p PreparedMessage) -> Result<&'p [u8], SendError> {
        self.check_unmasked()?;
        self.check_between_messages()?;
        let (frame, payload_len) = match self.encoding(message)? {
            Some(encoded) if encoded.is_encoded => (encoded.frame(), encoded.payload.len()),
            Some(_) | None => (message.frame(), message.payload.len()),
        };
        self.count_frame(frame.len(), payload_len);
        Ok(frame)
    }

    /// As [`Self::prepared`], the payload as it is shared.
    #[inline]
    pub(crate) fn prepared_parts<'p>(
        &mut self,
        message: &'p PreparedMessage,
    ) -> Result<(&'p FrameHead, &'p Bytes), SendError> {
        self.check_unmasked()?;
        self.check_between_messages()?;
        let (head, payload) = match self.encoding(message)? {
            Some(encoded) => (&encoded.head, &encoded.payload),
            None => (&message.head, &message.payload),
        };
        self.count_whole(head, payload);
        Ok((head, payload))
    }

    /// Counts a frame that is a whole message.
    #[inline]
    fn count_whole(&mut self, head: &FrameHead, payload: &[u8]) {
        self.count_frame(head.len() + payload.len(), payload.len());
    }

    /// The same, by the lengths of the frame and of its payload.
    #[inline]
    fn count_frame(&mut self, len: usize, payload_len: usize) {
        self.count(Fin::Last, payload_len);
        self.counters.frames += 1;
        self.counters.wire_bytes += len as u64;
    }

    /// Appends a prepared message; a client masks its copy.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::MessageOpen`], or what an extension says.
    pub fn send_prepared(&mut self, message: &PreparedMessage, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_between_messages()?;
        let encoded = self.encoding(message)?;
        if self.keys.is_none() && (encoded.is_some() || self.extension.is_none()) {
            let (head, payload) =
                encoded.map_or((&message.head, &message.payload), |encoded| (&encoded.head, &encoded.payload));
            output.reserve(head.len() + payload.len());
            output.extend_from_slice(head);
            output.extend_from_slice(payload);
            self.count_whole(head, payload);
            return Ok(());
        }
        let (rsv, payload) = match encoded {
            Some(encoded) => (encoded.rsv, &encoded.payload),
            None => match self.coding(message.kind, Some(message.payload.len()), true) {
                Coding::AsIs(rsv) => (rsv, &message.payload),
                coding @ Coding::Encoded => {
                    let open = OpenMessage { kind: message.kind, coding, is_first: true };
                    return self.fragment(open, &message.payload, Fin::Last, output);
                }
            },
        };
        self.frame(true, rsv, opcode(message.kind), payload, output);
        self.count(Fin::Last, payload.len());
        Ok(())
    }

    /// The encoding of a prepared message that all connections share that encode in the same way, counted as sent; `None`
    /// where this one does not encode it, or in a way of its own.
    #[inline]
    pub(crate) fn encoding<'p>(&mut self, message: &'p PreparedMessage) -> Result<Option<&'p Encoded>, SendError> {
        if self.extension.is_none() { Ok(None) } else { self.encoding_of_extension(message) }
    }

    fn encoding_of_extension<'p>(&mut self, message: &'p PreparedMessage) -> Result<Option<&'p Encoded>, SendError> {
        let Some(extension) = &mut self.extension else { return Ok(None) };
        let Some(variant) = extension.encoder.variant() else { return Ok(None) };
        if !extension.encoder.wants(message.kind, Some(message.payload.len())) {
            return Ok(None);
        }
        let encoded = message.encoded(extension.rsv, variant, &mut *extension.encoder)?;
        if let Some(encoded) = encoded.filter(|encoded| encoded.is_encoded) {
            extension.decoded_bytes += message.payload.len() as u64;
            extension.encoded_bytes += encoded.payload.len() as u64;
        }
        Ok(encoded)
    }

    /// Whether a prepared message goes out as everybody can have it, encoded or not.
    #[cfg(feature = "driver")]
    pub(crate) fn shares(&mut self, message: &PreparedMessage) -> bool {
        let Some(extension) = &mut self.extension else { return self.keys.is_none() };
        let encoder = &mut extension.encoder;
        self.keys.is_none()
            && (encoder.variant().is_some() || !encoder.wants(message.kind, Some(message.payload.len())))
    }

    /// The parts of a prepared message's frame, as it goes out where everybody can have it, not counted as sent; `None` where
    /// this connection makes a frame of its own.
    #[cfg(feature = "pubsub")]
    pub(crate) fn shared_parts<'p>(
        &mut self,
        message: &'p PreparedMessage,
        may_be_encoded: bool,
    ) -> Result<Option<(&'p FrameHead, &'p Bytes)>, SendError> {
        self.check_between_messages()?;
        if self.keys.is_some() {
            return Ok(None);
        }
        let plain = Ok(Some((&message.head, &message.payload)));
        let Some(extension) = self.extension.as_mut().filter(|_| may_be_encoded) else { return plain };
        if !extension.encoder.wants(message.kind, Some(message.payload.len())) {
            return plain;
        }
        let Some(variant) = extension.encoder.variant() else { return Ok(None) };
        let encoded = message.encoded(extension.rsv, variant, &mut *extension.encoder)?;
        Ok(encoded.map(|encoded| (&encoded.head, &encoded.payload)))
    }

    /// Counts a message as sent whose parts [`Self::shared_parts`] gave.
    #[cfg(feature = "pubsub")]
    pub(crate) fn count_shared(&mut self, message: &PreparedMessage, head: &FrameHead, payload: &Bytes) {
        self.count_whole(head, payload);
        // The reserved bit tells them apart.
        if let Some(extension) = self.extension.as_mut().filter(|_| **head != *message.head) {
            extension.decoded_bytes += message.payload.len() as u64;
            extension.encoded_bytes += payload.len() as u64;
        }
    }

    /// How a message that begins now is to be encoded; `len` is its length where known.
    pub(crate) fn coding(&mut self, kind: MessageKind, len: Option<usize>, may_be_encoded: bool) -> Coding {
        let extension = self.extension.as_mut().filter(|_| may_be_encoded);
        match extension.is_some_and(|extension| extension.encoder.wants(kind, len)) {
            true => Coding::Encoded,
            false => Coding::AsIs(Rsv::NONE),
        }
    }

    /// Settles whether a message that will go out in fragments is to be encoded, which its whole length decides.
    #[cfg(feature = "std")]
    pub(crate) fn settle<'m>(&mut self, message: OutgoingRef<'m>) -> OutgoingRef<'m> {
        match self.coding(message.message().kind(), Some(message.len()), message.may_be_encoded()) {
            Coding::Encoded => message,
            Coding::AsIs(_) => message.as_it_is(),
        }
    }

    /// Appends all that an extension holds back of the message that is being sent in fragments, as one more of these; nothing
    /// where there is none.
    ///
    /// # Errors
    ///
    /// What an extension says.
    pub fn flush_message(&mut self, output: &mut Vec<u8>) -> Result<(), SendError> {
        match self.open {
            Some(open) if open.coding == Coding::Encoded && !self.is_closed => {
                self.encoded_fragment(open, None, Fin::More, output)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Lets the extension encode the next fragment of the open message, or, without one, all that it holds back.
    ///
    /// It is encoded where it will lie, behind room for a header of the length that it will probably have.
    pub(super) fn encoded_fragment(
        &mut self,
        open: OpenMessage,
        payload: Option<&[u8]>,
        fin: Fin,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let Some(extension) = &mut self.extension else { return Ok(()) };
        let given = payload.unwrap_or_default().len();
        // Before anything is encoded, for the source of keys may panic.
        let masking_key = self.keys.as_mut().map(|keys| keys.next_key());
        let (opcode, rsv) = open.marks(extension.rsv);
        let header = |payload_len| FrameHeader { fin: fin == Fin::Last, rsv, opcode, masking_key, payload_len };
        let unfinished = Unfinished::new(output);
        unfinished.output.extend_from_slice(&header((given / 3) as u64).encode());
        let start = unfinished.output.len();
        match payload {
            Some(payload) if self.open.is_none() && fin == Fin::Last => {
                if !extension.encoder.encode_whole(payload, unfinished.output)? {
                    drop(unfinished);
                    self.frames(open, Rsv::NONE, payload, fin, output);
                    return Ok(());
                }
            }
            Some(payload) => extension.encoder.encode(payload, fin, unfinished.output)?,
            None => extension.encoder.flush(unfinished.output)?,
        }
        let len = unfinished.output.len() - start;
        extension.decoded_bytes += given as u64;
        extension.encoded_bytes += len as u64;
        // An encoder that holds all of a piece back has nothing to send for it yet.
        if len == 0 && fin == Fin::More {
            self.open = Some(open);
            return Ok(());
        }
        if len > self.config.fragment_size {
            let encoded = unfinished.output.split_off(start);
            drop(unfinished);
            // If the source of keys panics between these frames, the encoder knows what the peer never gets.
            self.is_closed = true;
            self.frames(open, rsv, &encoded, fin, output);
            self.is_closed = false;
            return Ok(());
        }
        let head = header(len as u64).encode();
        unfinished.finish(start, &head);
        if let Some(key) = masking_key {
            let start = output.len() - len;
            mask(&mut output[start..], key);
        }
        self.count(fin, len);
        self.counters.frames += 1;
        self.counters.wire_bytes += (head.len() + len) as u64;
        self.open = (fin == Fin::More).then_some(OpenMessage { is_first: false, ..open });
        Ok(())
    }
}

/// A frame in the output that may not come to anything, for an encoder can fail and panic.
struct Unfinished<'o> {
    output: &'o mut Vec<u8>,
    /// Where the output ends without it.
    at: usize,
}

impl<'o> Unfinished<'o> {
    fn new(output: &'o mut Vec<u8>) -> Self {
        let at = output.len();
        Self { output, at }
    }

    /// Puts the header before the payload, which begins at `start`: now it is a frame.
    fn finish(mut self, start: usize, head: &FrameHead) {
        let (at, end) = (self.at, self.output.len());
        let moved = at + head.len();
        if moved > start {
            self.output.resize(end + (moved - start), 0);
        }
        if moved != start {
            self.output.copy_within(start..end, moved);
            self.output.truncate(moved + (end - start));
        }
        self.output[at..moved].copy_from_slice(head);
        self.at = self.output.len();
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.output.truncate(self.at);
    }
}
