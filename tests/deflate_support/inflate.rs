//! RFC 1951, as plain as it can be written, with a window of any size, and the end of a message as RFC 7692 §7.2.2 has it.

use super::TAIL;

/// Where reading stands.
struct Reader<'i> {
    input: &'i [u8],
    /// In bits.
    at: usize,
}

impl Reader<'_> {
    /// Reads a number, its lowest bit first.
    fn number(&mut self, count: usize) -> Option<usize> {
        let mut number = 0;
        for i in 0..count {
            number |= usize::from(*self.input.get(self.at / 8)? >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Some(number)
    }

    /// Reads a symbol of a code.
    fn symbol(&mut self, code: &Code) -> Option<usize> {
        let (mut read, mut first, mut at) = (0, 0, 0);
        for count in code.counts {
            read = read << 1 | self.number(1)?;
            first <<= 1;
            if read < first + count {
                return code.symbols.get(at + read - first).copied();
            }
            first += count;
            at += count;
        }
        None
    }

    /// Reads both codes of a block (§3.2.7).
    fn codes(&mut self) -> Option<(Code, Code)> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances, codes) = (self.number(5)? + 257, self.number(5)? + 1, self.number(4)? + 4);
        let mut code_lengths = [0; 19];
        for at in &ORDER[..codes] {
            code_lengths[*at] = u8::try_from(self.number(3)?).ok()?;
        }
        let code_lengths = Code::new(&code_lengths).filter(Code::is_complete)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match self.symbol(&code_lengths)? {
                16 => (*lengths.last()?, 3 + self.number(2)?),
                17 => (0, 3 + self.number(3)?),
                18 => (0, 11 + self.number(7)?),
                len => (u8::try_from(len).ok()?, 1),
            };
            lengths.resize(lengths.len() + times, value);
        }
        // No symbols beyond those there are, no length beyond the last symbol, and an end.
        if literals > 286 || distances > 30 || lengths.len() > literals + distances || lengths[256] == 0 {
            return None;
        }
        let distances = lengths.split_off(literals);
        let sound = |code: &Code| code.is_complete() || code.has_at_most_one();
        Some((Code::new(&lengths).filter(sound)?, Code::new(&distances).filter(sound)?))
    }

    /// Reads the content of a block that is compressed.
    fn block(&mut self, literals: &Code, distances: &Code, window: usize, output: &mut Vec<u8>) -> Option<()> {
        loop {
            let len = match self.symbol(literals)? {
                256 => return Some(()),
                byte @ 0..256 => {
                    output.push(u8::try_from(byte).ok()?);
                    continue;
                }
                symbol @ 257..265 => symbol - 254,
                symbol @ 265..285 => {
                    let (extra, step) = ((symbol - 261) / 4, (symbol - 261) % 4);
                    3 + ((4 + step) << extra) + self.number(extra)?
                }
                285 => 258,
                _ => return None,
            };
            let distance = match self.symbol(distances)? {
                symbol @ 0..4 => symbol + 1,
                symbol @ 4..30 => {
                    let (extra, step) = (symbol / 2 - 1, symbol % 2);
                    1 + ((2 + step) << extra) + self.number(extra)?
                }
                _ => return None,
            };
            let from = output.len().checked_sub(distance).filter(|_| distance <= window)?;
            (from..from + len).for_each(|at| output.push(output[at]));
        }
    }
}

/// A Huffman code (§3.2.2): how many symbols there are of each length from 1 on, and which, in order.
struct Code {
    counts: [usize; 15],
    symbols: Vec<usize>,
}

impl Code {
    /// `None` for lengths that no code can have.
    fn new(lengths: &[u8]) -> Option<Self> {
        let of_length = |len: usize| (0..lengths.len()).filter(move |at| usize::from(lengths[*at]) == len);
        let this = Self {
            counts: core::array::from_fn(|i| of_length(i + 1).count()),
            symbols: (1..=15).flat_map(of_length).collect(),
        };
        (this.used() <= 1 << 15).then_some(this)
    }

    /// How much of all there can be is taken, of 32,768.
    fn used(&self) -> usize {
        self.counts.iter().enumerate().map(|(i, count)| count << (14 - i)).sum()
    }

    fn is_complete(&self) -> bool {
        self.used() == 1 << 15
    }

    /// §3.2.7: one code alone has one bit; and where nothing repeats, there need not be any.
    fn has_at_most_one(&self) -> bool {
        self.symbols.len() == self.counts[0] && self.counts[0] <= 1
    }
}

/// What the payload of a message comes to, where it may refer to what is in `context`, and back by no more than `window` bytes;
/// `None` for what is no DEFLATE, or does not end where a block does.
///
/// A final block ends nothing but itself: what follows it begins with a byte (RFC 7692 §7.2.3.4).
pub(crate) fn inflate(payload: &[u8], context: &[u8], window: usize) -> Option<Vec<u8>> {
    let input = [payload, &TAIL].concat();
    let (mut reader, mut output) = (Reader { input: &input, at: 0 }, context.to_vec());
    loop {
        let is_final = reader.number(1)? == 1;
        match reader.number(2)? {
            0 => {
                reader.at = reader.at.next_multiple_of(8);
                let is_tail = reader.at == payload.len() * 8;
                let (len, complement) = (reader.number(16)?, reader.number(16)?);
                let start = reader.at / 8;
                let content = input.get(start..start + len).filter(|_| len == complement ^ 0xffff)?;
                output.extend(content);
                reader.at += len * 8;
                if is_tail {
                    return Some(output.split_off(context.len()));
                }
            }
            1 => {
                let literals = Code::new(&[[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat())?;
                reader.block(&literals, &Code::new(&[5; 32])?, window, &mut output)?;
            }
            2 => {
                let (literals, distances) = reader.codes()?;
                reader.block(&literals, &distances, window, &mut output)?;
            }
            _ => return None,
        }
        if is_final {
            reader.at = reader.at.next_multiple_of(8);
        }
        if reader.at > payload.len() * 8 {
            return None;
        }
        if is_final && reader.at == payload.len() * 8 {
            return Some(output.split_off(context.len()));
        }
    }
}
