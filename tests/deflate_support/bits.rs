//! Blocks of RFC 1951, written bit by bit.

/// Bits that are written into bytes, the lowest of a byte first (RFC 1951 §3.1.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    /// Bits that are used of the last byte; 8 and 0 are the same.
    used: u32,
}

impl Bits {
    /// Appends a number, its lowest bit first.
    pub(crate) fn number(mut self, value: u32, count: u32) -> Self {
        for i in 0..count {
            if self.used % 8 == 0 {
                self.bytes.push(0);
                self.used = 0;
            }
            *self.bytes.last_mut().unwrap() |= u8::from(value >> i & 1 == 1) << self.used;
            self.used += 1;
        }
        self
    }

    /// Appends a Huffman code, its highest bit first.
    fn code(self, value: u32, count: u32) -> Self {
        self.number(value.reverse_bits() >> (32 - count), count)
    }

    /// Begins a block with the codes of RFC 1951 §3.2.6.
    pub(crate) fn fixed(self, is_final: bool) -> Self {
        self.number(u32::from(is_final) | 0b01 << 1, 3)
    }

    /// One byte as it is, below 144.
    pub(crate) fn literal(self, byte: u8) -> Self {
        assert!(byte < 144);
        self.code(0x30 + u32::from(byte), 8)
    }

    /// The longest match, 258 bytes, from a distance of 1 to 4.
    pub(crate) fn longest(self, distance: u32) -> Self {
        self.code(0b1100_0101, 8).code(distance - 1, 5)
    }

    /// A match of three bytes from a distance (RFC 1951 §3.2.5).
    pub(crate) fn three_from(self, distance: u32) -> Self {
        let this = self.code(1, 7);
        if distance <= 4 {
            return this.code(distance - 1, 5);
        }
        let extra = (distance - 1).ilog2() - 1;
        let code = 2 * (extra + 1) + ((distance - 1) >> extra & 1);
        this.code(code, 5).number((distance - 1) & ((1 << extra) - 1), extra)
    }

    /// Ends a block.
    pub(crate) fn end(self) -> Self {
        self.code(0, 7)
    }

    /// A block without compression.
    pub(crate) fn stored(self, is_final: bool, content: &[u8]) -> Self {
        let len = u16::try_from(content.len()).unwrap();
        let mut this = self.number(u32::from(is_final), 3);
        this.used = 8;
        this.bytes.extend(len.to_le_bytes());
        this.bytes.extend((!len).to_le_bytes());
        this.bytes.extend(content);
        this
    }

    /// Fills the last byte up, as behind a final block.
    pub(crate) fn aligned(mut self) -> Self {
        self.used = 8;
        self
    }

    /// The payload of a message: with the empty block at its end, less the tail that is not sent.
    pub(crate) fn message(self) -> Vec<u8> {
        self.number(0, 3).bytes
    }

    /// The bytes, the last one filled up with zeros.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
