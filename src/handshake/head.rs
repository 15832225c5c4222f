//! The head of an HTTP/1.1 message: found in the stream byte by byte, parsed when it is whole.
//!
//! A head that arrives in one piece is parsed where it lies, at once, and by a short path (`lines.rs`) if it is written as nearly
//! all are; one that does not is gathered, and only new bytes are
//! looked at, so a peer that trickles costs no more than one that does not (tungstenite's CVE-2023-43669). What
//! can never become a head is refused at its first wrong byte.

use super::error::{HeadError, HeadPart};
use super::headers::Headers;
use super::request::Request;
use super::{lines, token};
use alloc::borrow::{Cow, ToOwned};
use alloc::vec::Vec;
use core::mem::MaybeUninit;

/// Finds the end of a head in a stream that arrives in pieces of any size.
#[derive(Clone, Debug)]
pub(crate) struct HeadReader {
    start_line: StartLine,
    /// The limit as configured.
    max: usize,
    /// How long the head may be: the limit less the heads that were read before.
    room: usize,
    /// What came so far of a head that did not come in one piece.
    buffer: Vec<u8>,
    /// The last byte that was looked at.
    last: u8,
}

/// Which start line is expected, and how far it was found to be one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartLine {
    /// Within the method of a request line, of which so many bytes were seen.
    Method { seen: usize },
    /// Within the `HTTP/` of a status line, of which so many bytes were seen.
    Protocol { seen: usize },
    /// Behind what is looked at before the head is whole.
    Plausible,
}

impl StartLine {
    pub(super) const REQUEST: Self = Self::Method { seen: 0 };
    pub(crate) const STATUS: Self = Self::Protocol { seen: 0 };

    /// Goes on over these bytes; returns the position of the first that cannot begin the start line.
    fn check(&mut self, fresh: &[u8]) -> Option<usize> {
        for (position, &byte) in fresh.iter().enumerate() {
            *self = match *self {
                Self::Method { seen } if token::is_token_byte(byte) => Self::Method { seen: seen + 1 },
                Self::Method { seen: 1.. } if byte == b' ' => Self::Plausible,
                Self::Protocol { seen } if PROTOCOL.get(seen) == Some(&byte) && seen + 1 < PROTOCOL.len() => {
                    Self::Protocol { seen: seen + 1 }
                }
                Self::Protocol { seen } if PROTOCOL.get(seen) == Some(&byte) => Self::Plausible,
                Self::Method { .. } | Self::Protocol { .. } => return Some(position),
                Self::Plausible => return None,
            };
        }
        None
    }
}

impl HeadReader {
    pub(crate) const fn new(start_line: StartLine, max: usize) -> Self {
        Self { start_line, max, room: max, buffer: Vec::new(), last: 0 }
    }

    /// Takes bytes off `input` up to the end of the head; gives what `parse` makes of it once it is whole.
    ///
    /// A head that lies whole in the first input is parsed before its end is known, for the parser finds that, too. Another
    /// one is parsed when it is whole: not again with each piece.
    pub(crate) fn receive<T>(
        &mut self,
        input: &mut &[u8],
        parse: impl Fn(&[u8]) -> Result<Parsed<T>, HeadError>,
    ) -> Result<Option<Parsed<T>>, HeadError> {
        if self.buffer.is_empty() {
            let (window, _) = input.split_at(input.len().min(self.room));
            if let Ok(parsed) = parse(window) {
                let (head, rest) = input.split_at(parsed.len);
                if parsed.is_sound || self.is_sound(head) {
                    *input = rest;
                    return Ok(Some(parsed));
                }
            }
        }
        let Some(head) = self.gather(input)? else { return Ok(None) };
        match parse(head)? {
            parsed if parsed.len == head.len() => Ok(Some(parsed)),
            _ => Err(HeadError::Malformed { part: HeadPart::StartLine }),
        }
    }

    /// Takes bytes off `input` up to the end of the head; lends the head once it is whole.
    fn gather<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, HeadError> {
        let bytes = *input;
        let old = self.buffer.len();
        // Bytes beyond the room are not looked at: what follows the head must not count against its limit.
        let (window, _) = bytes.split_at(bytes.len().min(self.room - old));
        let whole = if old == 0 {
            find_end(window, 0)
        } else {
            self.buffer.extend_from_slice(window);
            find_end(&self.buffer, old.saturating_sub(3)).map(|end| end - old)
        };
        let (fresh, _) = window.split_at(whole.unwrap_or(window.len()));
        self.check(fresh)?;
        if whole.is_none() && old + fresh.len() >= self.room {
            return Err(HeadError::TooLarge { max: self.max });
        }
        let (_, rest) = bytes.split_at(fresh.len());
        *input = rest;
        if old == 0 && whole.is_some() {
            return Ok(Some(fresh));
        }
        if old == 0 {
            self.buffer.extend_from_slice(fresh);
        }
        self.buffer.truncate(old + fresh.len());
        Ok(whole.map(|_| self.buffer.as_slice()))
    }

    /// Goes on to another response head, which shares the room that the one before, `len` bytes long, has left.
    pub(crate) fn next_response(&mut self, len: usize) {
        *self = Self { room: self.room.saturating_sub(len), ..Self::new(StartLine::STATUS, self.max) };
    }

    /// Refuses what can never become a head, at its first wrong byte, whatever the pieces in which it comes.
    fn check(&mut self, fresh: &[u8]) -> Result<(), HeadError> {
        let start_line = self.start_line.check(fresh);
        let previous = self.last;
        self.last = *fresh.last().unwrap_or(&previous);
        if start_line.is_none() && !has_wrong_byte(previous, fresh) {
            return Ok(());
        }
        let mut before = previous;
        let wrong = fresh.iter().position(|&byte| is_wrong(core::mem::replace(&mut before, byte), byte));
        let part = match (start_line, wrong) {
            (Some(start_line), Some(wrong)) if wrong < start_line => part_of(fresh, wrong),
            (None, Some(wrong)) => part_of(fresh, wrong),
            (Some(_), _) | (None, None) => HeadPart::StartLine,
        };
        Err(HeadError::Malformed { part })
    }

    /// Says whether [`Self::check`] would let a whole head pass.
    fn is_sound(&self, head: &[u8]) -> bool {
        { self.start_line }.check(head).is_none() && !has_wrong_byte(self.last, head)
    }
}

/// What was parsed at the front of some bytes.
#[derive(Debug)]
pub(crate) struct Parsed<T> {
    pub(crate) head: T,
    /// How long the head is.
    pub(crate) len: usize,
    /// Whether it is known that [`HeadReader::check`] would let it pass: the parser has looked at every byte.
    pub(super) is_sound: bool,
}

/// Parses the request head at the front of `bytes`.
pub(super) fn parse_request(bytes: &[u8], max_headers: usize) -> Result<Parsed<Request>, HeadError> {
    match lines::request(bytes, max_headers) {
        Some(lines) => Ok(Parsed { head: Request::get(lines.target, lines.headers), len: lines.len, is_sound: true }),
        None => parse_any_request(bytes, max_headers),
    }
}

/// The same, however it is written.
pub(super) fn parse_any_request(bytes: &[u8], max_headers: usize) -> Result<Parsed<Request>, HeadError> {
    with_slots(bytes, max_headers, |slots| {
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, slots);
        let head = check_parsed(parsed, bytes, max_headers)?;
        let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version) else {
            return Err(HeadError::HttpVersion);
        };
        // Method, target and version are free of controls, and where the line ends then there is nothing else in it.
        let start_line = method.len() + " ".len() + target.len() + " HTTP/1.1".len();
        let (headers, is_sound) = match copy_lines(request.headers, head, start_line) {
            Some(headers) => (headers, true),
            None => (copy_fields(request.headers, head), false),
        };
        Ok(Parsed { head: Request::new(method, target, headers), len: head.len(), is_sound })
    })
}

/// A response head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    /// The minor version of HTTP/1.
    pub(crate) version: u8,
    pub(crate) status: u16,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) headers: Headers,
}

/// Parses the response head at the front of `bytes`.
pub(crate) fn parse_response(bytes: &[u8], max_headers: usize) -> Result<Parsed<ResponseHead>, HeadError> {
    match lines::switching_protocols(bytes, max_headers) {
        Some((headers, len)) => {
            let head = ResponseHead { version: 1, status: 101, reason: SWITCHING_PROTOCOLS.into(), headers };
            Ok(Parsed { head, len, is_sound: true })
        }
        None => parse_any_response(bytes, max_headers),
    }
}

/// The same, however it is written.
pub(super) fn parse_any_response(bytes: &[u8], max_headers: usize) -> Result<Parsed<ResponseHead>, HeadError> {
    with_slots(bytes, max_headers, |slots| {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, slots);
        let head = check_parsed(parsed, bytes, max_headers)?;
        let (Some(version), Some(status)) = (response.version, response.code) else {
            return Err(HeadError::HttpVersion);
        };
        let reason = response.reason.unwrap_or_default().to_owned().into();
        let start_line = head.iter().position(|&byte| byte == b'\r');
        let headers = start_line.and_then(|start_line| copy_lines(response.headers, head, start_line));
        let headers = headers.unwrap_or_else(|| copy_fields(response.headers, head));
        Ok(Parsed { head: ResponseHead { version, status, reason, headers }, len: head.len(), is_sound: false })
    })
}

/// Lends room for as many parsed fields as the limit and the head allow, on the stack where that suffices.
fn with_slots<'h, T>(head: &'h [u8], max_headers: usize, parse: impl FnOnce(&mut [Slot<'h>]) -> T) -> T {
    // The shortest field is `a:\r\n`.
    let count = max_headers.min(head.len() / 4);
    let mut slots = [const { Slot::uninit() }; 128];
    match slots.get_mut(..count) {
        Some(slots) => parse(slots),
        None => {
            let mut slots = Vec::new();
            slots.resize_with(count, Slot::uninit);
            parse(&mut slots)
        }
    }
}

type Slot<'h> = MaybeUninit<httparse::Header<'h>>;

/// Returns the head, which ends before what follows it in `bytes`.
fn check_parsed(parsed: httparse::Result<usize>, bytes: &[u8], max_headers: usize) -> Result<&[u8], HeadError> {
    let part = match parsed {
        Ok(httparse::Status::Complete(len)) => return Ok(bytes.get(..len).unwrap_or(bytes)),
        Ok(httparse::Status::Partial) => HeadPart::StartLine,
        Err(httparse::Error::TooManyHeaders) => {
            return Err(HeadError::TooManyHeaders { max: max_headers });
        }
        Err(httparse::Error::Version) if names_http_version(bytes) => {
            return Err(HeadError::HttpVersion);
        }
        Err(httparse::Error::HeaderName) => HeadPart::HeaderName,
        Err(httparse::Error::HeaderValue) => HeadPart::HeaderValue,
        Err(httparse::Error::NewLine) => HeadPart::LineEnding,
        Err(httparse::Error::Token | httparse::Error::Status | httparse::Error::Version) => HeadPart::StartLine,
    };
    Err(HeadError::Malformed { part })
}

/// Says whether the start line has a word that looks like an HTTP version, so that another one can be told from none.
fn names_http_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    line.split(|&byte| byte == b' ').any(|word| word.starts_with(PROTOCOL))
}

/// Copies the fields of a head whose start line is so long, line by line as they stand there; `None` if one of them is
/// written in another way than ours.
fn copy_lines(parsed: &[httparse::Header<'_>], head: &[u8], start_line: usize) -> Option<Headers> {
    let lines = head.get(start_line..)?.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n")?;
    Headers::copy_of(lines, parsed.iter().map(|header| (header.name, header.value)))
}

fn copy_fields(parsed: &[httparse::Header<'_>], head: &[u8]) -> Headers {
    // A space that the peer left out behind a colon is written, so the copy can be longer by one byte a field.
    let mut headers = Headers::with_capacity(parsed.len(), head.len() + parsed.len());
    for header in parsed {
        headers.push(header.name, header.value);
    }
    headers
}

/// Returns the length of the head that ends in `bytes`, the empty line included; looks at none before `from`.
fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    // Every fourth byte is enough, as none but CR and LF can be part of the end.
    let mut at = from + 3;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\n' if bytes.get(at - 3..at) == Some(b"\r\n\r") => return Some(at + 1),
            b'\n' => 2,
            b'\r' => 1,
            _ => 4,
        };
    }
    None
}

/// Says whether there is a wrong byte; without an early exit, so that it runs many bytes at a time.
fn has_wrong_byte(previous: u8, fresh: &[u8]) -> bool {
    let Some((&first, rest)) = fresh.split_first() else {
        return false;
    };
    fresh.iter().zip(rest).fold(is_wrong(previous, first), |wrong, (&before, &byte)| wrong | is_wrong(before, byte))
}

/// Says whether a head cannot have `byte` after `before`: control characters, and a CR or LF that stands alone.
///
/// A lone LF ends a line for lenient readers (RFC 9112 §2.2) and not for others, which is what smuggling a request
/// past a proxy lives on.
const fn is_wrong(before: u8, byte: u8) -> bool {
    let control = (byte < b' ') & (byte != b'\t') & (byte != b'\r') & (byte != b'\n') | (byte == 0x7f);
    control | ((before == b'\r') != (byte == b'\n'))
}

fn part_of(fresh: &[u8], wrong: usize) -> HeadPart {
    match fresh.get(wrong) {
        Some(0..=8 | 11 | 12 | 14..=31 | 0x7f) => HeadPart::ControlCharacter,
        _ => HeadPart::LineEnding,
    }
}

/// The words behind the status 101.
const SWITCHING_PROTOCOLS: &str = "Switching Protocols";

/// What every version of HTTP/1 begins with.
const PROTOCOL: &[u8] = b"HTTP/";
