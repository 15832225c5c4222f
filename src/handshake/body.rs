//! A bounded piece of the body of a response that refuses a handshake (RFC 9112 §6, §7.1).
//!
//! It is there to be shown to whoever wonders why the connection was refused, so a body whose framing is broken is
//! cut off where it breaks and is no error of its own: the status says more.

use super::headers::Headers;
use super::{CONTENT_LENGTH, TRANSFER_ENCODING, token};
use alloc::vec::Vec;

/// Takes a body off the stream, up to a limit.
#[derive(Clone, Debug)]
pub(super) struct BodyReader {
    framing: Framing,
    max: usize,
}

/// How far the body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    NeedsMore,
    /// The body is whole.
    Over,
    /// The limit is reached, or the framing broken.
    CutOff,
}

#[derive(Clone, Debug)]
enum Framing {
    Length {
        left: u64,
    },
    ChunkSize {
        line: Vec<u8>,
    },
    ChunkData {
        left: u64,
    },
    /// In the line ending behind a chunk's data.
    ChunkEnd {
        left: u64,
    },
    UntilEof,
    Broken,
}

impl BodyReader {
    pub(super) fn new(status: u16, headers: &Headers, max: usize) -> Self {
        Self { framing: Framing::of(status, headers), max }
    }

    /// Appends to `body` what `input` has of it.
    pub(super) fn receive(&mut self, input: &mut &[u8], body: &mut Vec<u8>) -> Progress {
        loop {
            let room = self.max.saturating_sub(body.len());
            match &mut self.framing {
                Framing::Length { left: 0 } => return Progress::Over,
                Framing::Broken => return Progress::CutOff,
                // Nobody wants the body, so not even a chunk's size is waited for.
                _ if self.max == 0 => return Progress::CutOff,
                Framing::Length { .. } | Framing::ChunkData { left: 1.. } | Framing::UntilEof if room == 0 => {
                    return Progress::CutOff;
                }
                Framing::ChunkData { left: 0 } => self.framing = Framing::ChunkEnd { left: 2 },
                Framing::ChunkEnd { left: 0 } => self.framing = Framing::ChunkSize { line: Vec::new() },
                _ if input.is_empty() => return Progress::NeedsMore,
                Framing::Length { left } | Framing::ChunkData { left } => {
                    let piece = take(input, *left, room);
                    *left -= piece.len() as u64;
                    body.extend_from_slice(piece);
                }
                Framing::ChunkEnd { left } => *left -= take(input, *left, usize::MAX).len() as u64,
                Framing::UntilEof => body.extend_from_slice(take(input, u64::MAX, room)),
                Framing::ChunkSize { line } => {
                    line.extend_from_slice(take(input, 1, usize::MAX));
                    match httparse::parse_chunk_size(line) {
                        // What follows the last chunk is of no interest, as nothing follows the response.
                        Ok(httparse::Status::Complete((_, 0))) => return Progress::Over,
                        Ok(httparse::Status::Complete((_, size))) => self.framing = Framing::ChunkData { left: size },
                        Ok(httparse::Status::Partial) if line.len() < MAX_CHUNK_LINE => {}
                        Ok(httparse::Status::Partial) | Err(_) => self.framing = Framing::Broken,
                    }
                }
            }
        }
    }

    /// Says whether the end of the stream is the end of the body.
    pub(super) fn ends_with_stream(&self) -> bool {
        matches!(self.framing, Framing::UntilEof)
    }
}

impl Framing {
    /// RFC 9112 §6.3, in its order.
    fn of(status: u16, headers: &Headers) -> Self {
        if matches!(status, 204 | 304) {
            return Self::Length { left: 0 };
        }
        if let Some(coding) = headers.get_all(TRANSFER_ENCODING).flat_map(token::elements).last() {
            let chunked = coding.eq_ignore_ascii_case(b"chunked");
            return if chunked { Self::ChunkSize { line: Vec::new() } } else { Self::UntilEof };
        }
        let mut lengths = headers.get_all(CONTENT_LENGTH).flat_map(token::elements);
        let Some(length) = lengths.next() else {
            return Self::UntilEof;
        };
        if lengths.any(|other| other != length) || !length.iter().all(u8::is_ascii_digit) {
            return Self::Broken;
        }
        let length = core::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
        length.map_or(Self::Broken, |left| Self::Length { left })
    }
}

/// Takes up to that many bytes off the front.
fn take<'a>(input: &mut &'a [u8], left: u64, room: usize) -> &'a [u8] {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(room).min(input.len());
    let (taken, rest) = input.split_at(len);
    *input = rest;
    taken
}

/// A chunk's size and its extensions, which nobody uses.
const MAX_CHUNK_LINE: usize = 128;
