//! The frame header (RFC 6455 §5.2): what stands on the wire before each payload.
//!
//! ```text
//!  0               1               2               3
//!  7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| length      | length, if 126: 16 bits       |
//! |I|S|S|S|       |A| 0-125 as is |         if 127: 64 bits       |
//! |N|V|V|V|       |S| 126, 127:   +-------------------------------+
//! | |1|2|3|       |K| see right   | masking key, if MASK: 32 bits |
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! ```
//!
//! Parsing refuses what no context can make right: reserved opcodes, lengths in too long a form, control frames that
//! are fragmented or too long. What depends on the connection (masking, reserved bits, order) the receiver refuses.

use core::fmt;
use core::ops::{BitOr, Deref};

use crate::error::ProtocolError;

/// What a frame is for (RFC 6455 §5.2, §11.8).
///
/// ```
/// use sockeye::OpCode;
///
/// assert!(OpCode::Ping.is_control() && !OpCode::Text.is_control());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// Goes on with the open message.
    Continuation = 0x0,
    /// Begins a text message.
    Text = 0x1,
    /// Begins a binary message.
    Binary = 0x2,
    /// Ends the sender's side of the connection.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or is sent unasked.
    Pong = 0xa,
}

impl OpCode {
    /// Returns whether it is a control frame, which may stand inside a fragmented message (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    /// The opcode of these four bits.
    const fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            reserved => Err(ProtocolError::ReservedOpCode(reserved)),
        }
    }
}

/// A set of the three reserved bits (RFC 6455 §5.2), which extensions give a meaning.
///
/// ```
/// use sockeye::Rsv;
///
/// let both = Rsv::RSV1 | Rsv::RSV3;
/// assert!(both.contains(Rsv::RSV1) && !both.contains(Rsv::RSV2));
/// assert_eq!(format!("{both:?}"), "Rsv(101)");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rsv(u8);

impl Rsv {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// The first bit; permessage-deflate owns it (RFC 7692 §6).
    pub const RSV1: Self = Self(0x40);
    /// The second bit.
    pub const RSV2: Self = Self(0x20);
    /// The third bit.
    pub const RSV3: Self = Self(0x10);

    /// The bits that are set in the first byte of a header.
    pub(crate) const fn from_bits(first: u8) -> Self {
        Self(first & 0x70)
    }

    /// Returns whether every bit of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Rsv {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl fmt::Debug for Rsv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsv({:03b})", self.0 >> 4)
    }
}

/// The header of a frame.
///
/// ```
/// use sockeye::{FrameHeader, OpCode, Rsv};
///
/// let header = FrameHeader {
///     fin: true,
///     rsv: Rsv::NONE,
///     opcode: OpCode::Text,
///     masking_key: None,
///     payload_len: 5,
/// };
/// assert_eq!(&header.encode()[..], [0x81, 0x05]);   // the first example of RFC 6455 §5.7
/// assert_eq!(FrameHeader::parse(&[0x81, 0x05, b'H'])?, Some((header, 2)));
/// assert_eq!(FrameHeader::parse(&[0x81])?, None);
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether the frame is the last of its message.
    pub fin: bool,
    /// The reserved bits that are set.
    pub rsv: Rsv,
    /// What the frame is for.
    pub opcode: OpCode,
    /// The key that its payload is masked with, if it is.
    pub masking_key: Option<[u8; 4]>,
    /// Length of the payload in bytes, at most 2^63 − 1.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header there is, in bytes.
    pub const MAX: usize = 14;

    /// Parses the header at the front of `bytes`: the header and its own length, or `None` where bytes are missing.
    ///
    /// A header that cannot become right is refused at the first byte that makes it so.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::ReservedOpCode`], [`ProtocolError::FragmentedControl`], [`ProtocolError::ControlTooLong`],
    /// [`ProtocolError::NonMinimalLength`], [`ProtocolError::LengthOverflow`].
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, rsv) = (first & 0x80 != 0, Rsv::from_bits(first));
        let opcode = OpCode::from_bits(first & 0x0f)?;
        // §5.5: control frames MUST NOT be fragmented.
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let (masked, short) = (second & 0x80 != 0, second & 0x7f);
        // §5.5: control frames MUST have a payload of 125 bytes or less.
        if opcode.is_control() && short > 125 {
            return Err(ProtocolError::ControlTooLong);
        }

        // §5.2: the minimal number of bytes MUST be used to encode the length.
        let (payload_len, rest) = match short {
            126 => {
                let Some((length, rest)) = bytes[2..].split_first_chunk::<2>() else { return Ok(None) };
                let length = u16::from_be_bytes(*length);
                if length < 126 {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (u64::from(length), rest)
            }
            127 => {
                // §5.2: the most significant bit MUST be 0.
                if bytes.get(2).is_some_and(|high| high & 0x80 != 0) {
                    return Err(ProtocolError::LengthOverflow);
                }
                let Some((length, rest)) = bytes[2..].split_first_chunk::<8>() else { return Ok(None) };
                let length = u64::from_be_bytes(*length);
                if length <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (length, rest)
            }
            short => (u64::from(short), &bytes[2..]),
        };

        let (masking_key, rest) = if masked {
            let Some((key, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        let header = Self { fin, rsv, opcode, masking_key, payload_len };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// The first byte: FIN, the reserved bits and the opcode.
    pub(crate) const fn first_byte(fin: bool, rsv: Rsv, opcode: OpCode) -> u8 {
        (fin as u8) << 7 | rsv.0 | opcode as u8
    }

    /// Encodes the header, the length in its shortest form.
    #[must_use]
    #[inline]
    pub const fn encode(&self) -> FrameHead {
        let mut bytes = [0; Self::MAX];
        bytes[0] = Self::first_byte(self.fin, self.rsv, self.opcode);
        let length = self.payload_len.to_be_bytes();
        let mut len = if self.payload_len <= 125 {
            bytes[1] = length[7];
            2
        } else if self.payload_len <= u16::MAX as u64 {
            bytes[1] = 126;
            (bytes[2], bytes[3]) = (length[6], length[7]);
            4
        } else {
            bytes[1] = 127;
            let mut i = 0;
            while i < 8 {
                bytes[2 + i] = length[i];
                i += 1;
            }
            10
        };
        if let Some(key) = self.masking_key {
            bytes[1] |= 0x80;
            let mut i = 0;
            while i < 4 {
                bytes[len + i] = key[i];
                i += 1;
            }
            len += 4;
        }
        FrameHead { bytes, len }
    }
}

/// The bytes of a frame header, 2 to 14, to be written in front of the payload.
///
/// ```
/// use sockeye::{Config, Connection, MessageKind};
///
/// let payload = [7; 5];
/// let head = Connection::server(Config::default()).shared_head(MessageKind::Binary, &payload)?;
/// assert_eq!(&head[..], b"\x82\x05");   // to be written in front of the payload, in one vectored write
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    bytes: [u8; FrameHeader::MAX],
    len: usize,
}

impl Deref for FrameHead {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for FrameHead {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for FrameHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameHead({:02x?})", &**self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = FrameHeader> {
        let opcode = prop_oneof![
            Just(OpCode::Continuation),
            Just(OpCode::Text),
            Just(OpCode::Binary),
            Just(OpCode::Close),
            Just(OpCode::Ping),
            Just(OpCode::Pong)
        ];
        let len = prop_oneof![0u64..=125, 126u64..=0xffff, 0x1_0000u64..=u64::MAX >> 1];
        (any::<bool>(), 0u8..8, opcode, any::<Option<[u8; 4]>>(), len).prop_map(
            |(fin, rsv, opcode, masking_key, len)| FrameHeader {
                fin: fin || opcode.is_control(),
                rsv: Rsv(rsv << 4),
                opcode,
                masking_key,
                payload_len: if opcode.is_control() { len % 126 } else { len },
            },
        )
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(header in header(), tail: [u8; 3]) {
            let head = header.encode();
            for cut in 0..head.len() {
                prop_assert_eq!(FrameHeader::parse(&head[..cut]), Ok(None));
            }
            let bytes = [&head[..], &tail].concat();
            prop_assert_eq!(FrameHeader::parse(&bytes), Ok(Some((header, head.len()))));
        }

        #[test]
        fn what_parses_is_in_its_only_encoding(bytes: [u8; 14]) {
            if let Ok(Some((header, len))) = FrameHeader::parse(&bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..len]);
            }
        }
    }

    #[test]
    fn the_length_forms_change_at_126_and_65536() {
        for (payload_len, encoded) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0xffff, &[0x82, 126, 0xff, 0xff]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (u64::MAX >> 1, &[0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ] {
            let header =
                FrameHeader { fin: true, rsv: Rsv::NONE, opcode: OpCode::Binary, masking_key: None, payload_len };
            assert_eq!(&header.encode()[..], encoded);
        }
    }
}
