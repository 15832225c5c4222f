//! flate2 over zlib-rs, as the libraries use it.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::{Backend, Compressor, Decompressor, Shape};

pub(super) const BACKEND: Backend = Backend {
    name: "flate2 (zlib-rs)",
    compressor: |shape| {
        let level = Compression::new(shape.level.into());
        (shape.memory_level == 8)
            .then(|| Box::new(Compress::new_with_window_bits(level, false, shape.window_bits)) as _)
    },
    decompressor: |shape: Shape| Some(Box::new(Decompress::new_with_window_bits(false, shape.window_bits))),
    window_bits: "yes",
    memory_level: "no: 8",
    reset: "yes; below 15, inflate is made anew",
    bounded_output: "yes",
    dictionary: "yes",
};

impl Compressor for Compress {
    fn compress(&mut self, message: &[u8], output: &mut [u8]) -> usize {
        let before = self.total_out();
        Self::compress(self, message, output, FlushCompress::Sync).expect("it compresses");
        (self.total_out() - before) as usize
    }

    fn reset(&mut self) {
        Self::reset(self);
    }
}

impl Decompressor for Decompress {
    fn decompress(&mut self, payload: &[u8], output: &mut [u8]) -> usize {
        let before = self.total_out();
        Self::decompress(self, payload, output, FlushDecompress::Sync).expect("it inflates");
        (self.total_out() - before) as usize
    }

    fn reset(&mut self) {
        Self::reset(self, false);
    }
}
