//! Header fields as an ordered list.
//!
//! A handshake has some dozen fields, is read once and then dropped: a list beats a map. All the text stands in one
//! buffer in the form in which it is written, an index beside it: two allocations for any number of fields.

use super::error::InvalidHeader;
use super::token;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;

/// An ordered list of HTTP header fields, names compared without regard to case.
///
/// Nothing that could end a line gets in, so what is written out cannot carry more fields than were appended.
///
/// ```
/// use sockeye::handshake::Headers;
///
/// let mut headers = Headers::new();
/// headers.append("Set-Cookie", "a=1")?;
/// headers.append("Set-Cookie", "b=2")?;
/// assert_eq!(headers.get("set-cookie"), Some("a=1"));
/// assert_eq!(headers.get_all("SET-COOKIE").count(), 2);
/// assert!(headers.append("X-User", "eve\r\nX-Admin: yes").is_err());
/// # Ok::<(), sockeye::handshake::InvalidHeader>(())
/// ```
///
/// ```
/// use sockeye::handshake::Headers;
///
/// let mut headers = Headers::default();
/// headers.append("X-Room", "1")?;
/// assert_eq!(headers.get("x-room"), Some("1"));
/// # Ok::<(), sockeye::handshake::InvalidHeader>(())
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    /// `name: value\r\n`, field after field.
    text: Vec<u8>,
    fields: Vec<Field>,
}

/// Where a field stands in the text; its value begins behind a colon and a space.
#[derive(Clone, Copy)]
struct Field {
    start: usize,
    name_end: usize,
    value_end: usize,
}

impl Headers {
    /// Creates an empty list, without allocating.
    pub const fn new() -> Self {
        Self { text: Vec::new(), fields: Vec::new() }
    }

    /// Creates an empty list with room for so many fields and so many bytes of text.
    pub(super) fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), fields: Vec::with_capacity(fields) }
    }

    /// Creates an empty list with room for so many fields, to be [noted](Self::note) and then [filled](Self::fill).
    pub(super) fn with_room(fields: usize) -> Self {
        Self { text: Vec::new(), fields: Vec::with_capacity(fields) }
    }

    /// Notes a field whose line follows the others and is written as we write it.
    #[inline]
    pub(super) fn note(&mut self, name_len: usize, value_len: usize) {
        let start = self.fields.last().map_or(0, |field| field.value_end + LINE_END.len());
        let name_end = start + name_len;
        self.fields.push(Field { start, name_end, value_end: name_end + SEPARATOR.len() + value_len });
    }

    /// Copies the lines of all fields that were noted.
    pub(super) fn fill(&mut self, lines: &[u8]) {
        self.text = lines.to_vec();
    }

    /// Copies the lines of a head that was parsed into these fields, if they are written as we write them; `None` if not.
    pub(super) fn copy_of<'f>(
        lines: &[u8],
        parsed: impl ExactSizeIterator<Item = (&'f str, &'f [u8])>,
    ) -> Option<Self> {
        let mut fields = Vec::with_capacity(parsed.len());
        let mut start = 0;
        for (name, value) in parsed {
            let name_end = start + name.len();
            let value_end = name_end + SEPARATOR.len() + value.len();
            // A line that has anything else, such as white space around the value, does not have both of these where they are
            // without it, for a separator holds no white space but its own.
            if !lines.get(name_end..)?.starts_with(SEPARATOR) || !lines.get(value_end..)?.starts_with(LINE_END) {
                return None;
            }
            fields.push(Field { start, name_end, value_end });
            start = value_end + LINE_END.len();
        }
        (start == lines.len()).then(|| Self { text: lines.to_vec(), fields })
    }

    /// Adds a field at the end; fields of the same name that are there already stay.
    ///
    /// Spaces and tabs around the value are dropped, as a reader would drop them.
    ///
    /// # Errors
    /// A name that is not a token, or a value with a control character in it (CR, LF and NUL among them).
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidHeader> {
        let value = value.as_ref();
        if !token::is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name { name: name.to_owned() });
        }
        if !value.iter().all(|&byte| token::is_value_byte(byte)) {
            return Err(InvalidHeader::Value { name: name.to_owned() });
        }
        self.push(name, value);
        Ok(())
    }

    /// Adds a field whose parts are known to be sound.
    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        let name_end = self.text.len();
        self.text.extend_from_slice(SEPARATOR);
        self.text.extend_from_slice(token::trim(value));
        let value_end = self.text.len();
        self.text.extend_from_slice(LINE_END);
        self.fields.push(Field { start, name_end, value_end });
    }

    /// Adds all the fields of another list at the end.
    pub(super) fn extend(&mut self, other: &Self) {
        let base = self.text.len();
        self.text.extend_from_slice(&other.text);
        self.fields.extend(other.fields.iter().map(|field| Field {
            start: base + field.start,
            name_end: base + field.name_end,
            value_end: base + field.value_end,
        }));
    }

    /// Appends the fields to `output` as HTTP/1.1 writes them, each line ended by CR LF, no empty line after the
    /// last.
    pub fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.text);
    }

    /// Counts the bytes that [`write`](Self::write) appends.
    pub(super) fn written_len(&self) -> usize {
        self.text.len()
    }

    /// Returns the first value of that name, if there is one and it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_bytes(name).and_then(|value| core::str::from_utf8(value).ok())
    }

    /// Returns the first value of that name as bytes; a peer may send bytes that are no UTF-8.
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| self.name_is(field, name)).map(|field| self.value(field))
    }

    /// Iterates over all the values of that name, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> Values<'a> {
        Values { headers: self, name, fields: self.fields.iter() }
    }

    /// Iterates over the names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (core::str::from_utf8(self.name(field)).unwrap_or_default(), self.value(field)))
    }

    /// Iterates over the names and values as bytes, in order.
    #[inline]
    pub(super) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.name(field), self.value(field)))
    }

    /// Says whether a field of that name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.get_bytes(name).is_some()
    }

    /// Counts the fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Says whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Says whether the comma-separated lists of that name hold an element, compared without regard to case.
    pub(super) fn list_contains(&self, name: &str, element: &str) -> bool {
        self.get_all(name).any(|value| token::has_element(value, element))
    }

    fn name(&self, field: &Field) -> &[u8] {
        self.text.get(field.start..field.name_end).unwrap_or_default()
    }

    fn value(&self, field: &Field) -> &[u8] {
        self.text.get(field.name_end + SEPARATOR.len()..field.value_end).unwrap_or_default()
    }

    fn name_is(&self, field: &Field, name: &str) -> bool {
        let own = self.name(field);
        // Most are written as we write them, which is found out faster.
        own.len() == name.len() && (own == name.as_bytes() || own.eq_ignore_ascii_case(name.as_bytes()))
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.0.eq_ignore_ascii_case(b.0) && a.1 == b.1)
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    /// Writes names and values, but for those that log somebody in: what is printed for debugging ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            if SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
                map.entry(&name, &format_args!("(not shown)"));
            } else {
                map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
            }
        }
        map.finish()
    }
}

/// Fields whose values are or may be secrets.
const SECRET: [&str; 4] = ["Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie"];

/// An iterator over the values of one header field name; see [`Headers::get_all`].
///
/// ```
/// use sockeye::handshake::Headers;
///
/// let mut headers = Headers::default();
/// headers.append("Via", "1.1 a")?;
/// headers.append("via", "1.1 b")?;
/// assert_eq!(headers.get_all("Via").count(), 2);
/// # Ok::<(), sockeye::handshake::InvalidHeader>(())
/// ```
#[derive(Clone)]
pub struct Values<'a> {
    headers: &'a Headers,
    name: &'a str,
    fields: core::slice::Iter<'a, Field>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let field = self.fields.find(|field| self.headers.name_is(field, self.name))?;
        Some(self.headers.value(field))
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(<[u8]>::escape_ascii)).finish()
    }
}

/// What stands between a name and its value.
const SEPARATOR: &[u8] = b": ";

const LINE_END: &[u8] = b"\r\n";
