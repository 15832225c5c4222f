//! Frames and headers (RFC 6455 §5.2): appended to the output, or the header alone for a payload that the caller writes.

use alloc::vec::Vec;

#[cfg(feature = "std")]
use super::{Coding, OpenMessage};
use super::{Sender, opcode};
use crate::copy;
use crate::error::SendError;
use crate::extension::Fin;
use crate::frame::{FrameHead, FrameHeader, OpCode, Rsv};
use crate::mask::{copy_masked, mask};
use crate::message::MessageKind;

impl Sender {
    /// Returns the header for a whole message, for a vectored write: the caller writes it, then the payload.
    ///
    /// A client's payload is masked in place. The message is one frame, however long, and no extension sees it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::MessageOpen`].
    #[inline]
    pub fn head(&mut self, kind: MessageKind, payload: &mut [u8]) -> Result<FrameHead, SendError> {
        self.check_between_messages()?;
        let masking_key = self.next_key(payload);
        Ok(self.whole_head(kind, payload.len(), masking_key))
    }

    /// Returns the header for a whole message whose payload is shared and cannot be masked: for servers.
    ///
    /// # Errors
    ///
    /// [`SendError::MaskRequired`] on a client; [`SendError::Closed`], [`SendError::MessageOpen`].
    #[inline]
    pub fn shared_head(&mut self, kind: MessageKind, payload: &[u8]) -> Result<FrameHead, SendError> {
        self.check_unmasked()?;
        self.check_between_messages()?;
        Ok(self.whole_head(kind, payload.len(), None))
    }

    /// The header of the next fragment, whose payload the caller writes; a client's is masked in place. The first one of a
    /// message is marked with `rsv`.
    #[cfg(feature = "driver")]
    pub(crate) fn fragment_head(
        &mut self,
        kind: MessageKind,
        rsv: Rsv,
        fin: Fin,
        payload: &mut [u8],
    ) -> Result<FrameHead, SendError> {
        let open = self.check_fragment(kind)?;
        let masking_key = self.next_key(payload);
        Ok(self.next_head(kind, rsv, open, fin, payload.len(), masking_key))
    }

    /// The header of the next fragment, whose payload of `len` bytes is shared and cannot be masked: for servers.
    #[cfg(feature = "std")]
    pub(crate) fn shared_fragment_head(
        &mut self,
        kind: MessageKind,
        rsv: Rsv,
        fin: Fin,
        len: usize,
    ) -> Result<FrameHead, SendError> {
        self.check_unmasked()?;
        let open = self.check_fragment(kind)?;
        Ok(self.next_head(kind, rsv, open, fin, len, None))
    }

    /// Appends a frame.
    #[inline]
    pub(super) fn frame(&mut self, fin: bool, rsv: Rsv, opcode: OpCode, payload: &[u8], output: &mut Vec<u8>) {
        let first = FrameHeader::first_byte(fin, rsv, opcode);
        let header = |masking_key| FrameHeader { fin, rsv, opcode, masking_key, payload_len: payload.len() as u64 };
        // A header has one of six lengths, and one whose length is known here is stored and not copied by a call.
        let (short, medium) = (u8::try_from(payload.len()), u16::try_from(payload.len()).map(u16::to_be_bytes));
        let head_len = match &mut self.keys {
            None => match (short, medium) {
                (Ok(len @ ..=125), _) => append([first, len], payload, output),
                (_, Ok([high, low])) => append([first, 126, high, low], payload, output),
                (_, Err(_)) => append(header(None).encode(), payload, output),
            },
            Some(keys) => {
                let key @ [a, b, c, d] = keys.next_key();
                match (short, medium) {
                    (Ok(len @ ..=125), _) => append_masked([first, 0x80 | len, a, b, c, d], key, payload, output),
                    (_, Ok([high, low])) => {
                        append_masked([first, 0x80 | 126, high, low, a, b, c, d], key, payload, output)
                    }
                    (_, Err(_)) => append_masked(header(Some(key)).encode(), key, payload, output),
                }
            }
        };
        self.counters.frames += 1;
        self.counters.wire_bytes += (head_len + payload.len()) as u64;
    }

    /// The key of the next frame, on a client, and masks its payload in place.
    #[inline]
    fn next_key(&mut self, payload: &mut [u8]) -> Option<[u8; 4]> {
        let key = self.keys.as_mut()?.next_key();
        mask(payload, key);
        Some(key)
    }

    /// The header of a whole message whose payload the caller writes.
    #[inline]
    fn whole_head(&mut self, kind: MessageKind, len: usize, masking_key: Option<[u8; 4]>) -> FrameHead {
        let (opcode, payload_len) = (opcode(kind), len as u64);
        let head = FrameHeader { fin: true, rsv: Rsv::NONE, opcode, masking_key, payload_len }.encode();
        self.count(Fin::Last, len);
        self.counters.frames += 1;
        self.counters.wire_bytes += (head.len() + len) as u64;
        head
    }

    /// The header of a frame whose payload the caller writes: it begins a message, or goes on with the open one.
    #[cfg(feature = "std")]
    fn next_head(
        &mut self,
        kind: MessageKind,
        rsv: Rsv,
        open: Option<OpenMessage>,
        fin: Fin,
        len: usize,
        masking_key: Option<[u8; 4]>,
    ) -> FrameHead {
        let (fin_bit, payload_len) = (fin == Fin::Last, len as u64);
        let open = open.unwrap_or(OpenMessage { kind, coding: Coding::AsIs(rsv), is_first: true });
        let (opcode, rsv) = open.marks(rsv);
        let head = FrameHeader { fin: fin_bit, rsv, opcode, masking_key, payload_len }.encode();
        self.open = (fin == Fin::More).then_some(OpenMessage { is_first: false, ..open });
        self.count(fin, len);
        self.counters.frames += 1;
        self.counters.wire_bytes += (head.len() + len) as u64;
        head
    }
}

/// Appends a header and its payload; returns how long the header is.
#[inline(always)]
fn append(head: impl AsRef<[u8]>, payload: &[u8], output: &mut Vec<u8>) -> usize {
    let head = head.as_ref();
    output.reserve(head.len() + payload.len());
    output.extend_from_slice(head);
    copy::append(payload, output);
    head.len()
}

/// Appends a header and its payload, masked; returns how long the header is.
#[inline(always)]
fn append_masked(head: impl AsRef<[u8]>, key: [u8; 4], payload: &[u8], output: &mut Vec<u8>) -> usize {
    let head = head.as_ref();
    output.reserve(head.len() + payload.len());
    output.extend_from_slice(head);
    copy_masked(payload, key, output);
    head.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::connection::Connection;
    use alloc::vec;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    #[test]
    fn section_5_2_a_frame_is_its_header_and_its_payload_whatever_the_length() {
        for len in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000] {
            for (mut connection, masking_key) in [
                (Connection::server(Config::default()), None),
                (Connection::client_with_keys(Config::default(), || KEY), Some(KEY)),
            ] {
                let mut payload = vec![0x55; len];
                let mut output = vec![7; 3];
                connection.send_binary(&payload, &mut output).unwrap();
                let sent = connection.sent();

                let (fin, rsv, opcode, payload_len) = (true, Rsv::NONE, OpCode::Binary, len as u64);
                let header = FrameHeader { fin, rsv, opcode, masking_key, payload_len }.encode();
                // And the header alone is the same one, with the payload masked for it.
                let head = connection.head(MessageKind::Binary, &mut payload).unwrap();
                assert_eq!(head, header, "{len} bytes");
                assert_eq!(output, [&[7; 3], &header[..], &payload].concat(), "{len} bytes");
                assert_eq!((sent.frames, sent.messages, sent.payload_bytes), (1, 1, len as u64));
                assert_eq!(sent.wire_bytes, (header.len() + len) as u64);
                assert_eq!(connection.sent().wire_bytes, 2 * sent.wire_bytes);
                assert_eq!(connection.sent().messages, 2);
            }
        }
    }
}
