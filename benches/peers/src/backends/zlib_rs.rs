//! zlib-rs by its own interface.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use super::{Backend, Compressor, Decompressor, Shape};

pub(super) const BACKEND: Backend = Backend {
    name: "zlib-rs",
    compressor: |shape| {
        Some(Box::new(Deflate::new_with_config(DeflateConfig {
            level: shape.level.into(),
            window_bits: -i32::from(shape.window_bits),
            mem_level: shape.memory_level.into(),
            ..DeflateConfig::default()
        })))
    },
    decompressor: |shape: Shape| Some(Box::new(Inflate::new(false, shape.window_bits))),
    window_bits: "yes",
    memory_level: "yes",
    reset: "yes; of inflate, to window 15",
    bounded_output: "yes",
    dictionary: "yes",
};

impl Compressor for Deflate {
    fn compress(&mut self, message: &[u8], output: &mut [u8]) -> usize {
        let before = self.total_out();
        Self::compress(self, message, output, DeflateFlush::SyncFlush).expect("it compresses");
        (self.total_out() - before) as usize
    }

    fn reset(&mut self) {
        Self::reset(self);
    }
}

impl Decompressor for Inflate {
    fn decompress(&mut self, payload: &[u8], output: &mut [u8]) -> usize {
        let before = self.total_out();
        Self::decompress(self, payload, output, InflateFlush::SyncFlush).expect("it inflates");
        (self.total_out() - before) as usize
    }

    fn reset(&mut self) {
        Self::reset(self, false);
    }
}
