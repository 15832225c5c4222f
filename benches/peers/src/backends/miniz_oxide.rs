//! miniz_oxide by its own interface, which flate2 calls where it has no other backend: in one program flate2 has only one.

use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};

use super::{Backend, Compressor, Decompressor, Shape};

pub(super) const BACKEND: Backend = Backend {
    name: "miniz_oxide",
    compressor: |shape| {
        is_window_15(shape).then(|| {
            let mut compressor = Box::<CompressorOxide>::default();
            compressor.set_format_and_level(DataFormat::Raw, shape.level);
            compressor as _
        })
    },
    decompressor: |shape| is_window_15(shape).then(|| InflateState::new_boxed(DataFormat::Raw) as _),
    window_bits: "no: 15",
    memory_level: "no",
    reset: "yes",
    bounded_output: "yes",
    dictionary: "no",
};

fn is_window_15(shape: Shape) -> bool {
    shape.window_bits == 15
}

impl Compressor for CompressorOxide {
    fn compress(&mut self, message: &[u8], output: &mut [u8]) -> usize {
        let result = deflate(self, message, output, MZFlush::Sync);
        result.status.expect("it compresses");
        result.bytes_written
    }

    fn reset(&mut self) {
        Self::reset(self);
    }
}

impl Decompressor for InflateState {
    fn decompress(&mut self, payload: &[u8], output: &mut [u8]) -> usize {
        let (mut payload, mut count) = (payload, 0);
        while !payload.is_empty() {
            let result = inflate(self, payload, &mut output[count..], MZFlush::Sync);
            result.status.expect("it inflates");
            payload = &payload[result.bytes_consumed..];
            count += result.bytes_written;
        }
        count
    }

    fn reset(&mut self) {
        Self::reset(self, DataFormat::Raw);
    }
}
