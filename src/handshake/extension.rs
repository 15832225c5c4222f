//! Extensions as the `Sec-WebSocket-Extensions` header field lists them (§9.1).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = token *( ";" extension-param )
//! extension-param = token [ "=" ( token | quoted-string ) ]     what is quoted is a token, too
//! ```
//!
//! Reading borrows from the header fields and is done element by element: no list is ever built, so what a peer sends
//! costs no memory.

use super::error::{BuildError, InvalidExtensions};
use super::headers::{Headers, Values};
use super::{SEC_WEBSOCKET_EXTENSIONS, token};
use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use core::fmt;

/// An extension with its parameters, to be offered by a client or accepted by a server.
///
/// ```
/// use sockeye::handshake::Extension;
///
/// let offer = Extension::new("permessage-deflate")?
///     .flag("client_no_context_takeover")?
///     .parameter("client_max_window_bits", "10")?;
/// assert_eq!(offer.to_string(), "permessage-deflate; client_no_context_takeover; client_max_window_bits=10");
/// # Ok::<(), sockeye::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The extension as it is written.
    text: String,
    name_len: usize,
}

impl Extension {
    /// Creates an extension without parameters.
    ///
    /// # Errors
    /// A name that is not a token.
    pub fn new(name: &str) -> Result<Self, BuildError> {
        check_token(name)?;
        Ok(Self { text: name.to_owned(), name_len: name.len() })
    }

    /// Adds a parameter that has no value.
    ///
    /// # Errors
    /// A name that is not a token.
    pub fn flag(mut self, name: &str) -> Result<Self, BuildError> {
        check_token(name)?;
        self.text.push_str("; ");
        self.text.push_str(name);
        Ok(self)
    }

    /// Adds a parameter with a value.
    ///
    /// # Errors
    /// A name or value that is not a token (§9.1 wants one even within quotes).
    pub fn parameter(self, name: &str, value: &str) -> Result<Self, BuildError> {
        check_token(value)?;
        let mut extension = self.flag(name)?;
        extension.text.push('=');
        extension.text.push_str(value);
        Ok(extension)
    }

    /// Returns a view of the extension as a reader has it.
    pub fn view(&self) -> ExtensionRef<'_> {
        let (name, parameters) = self.text.split_at(self.name_len);
        ExtensionRef { name, parameters }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        self.view().name
    }

    /// Returns the extension as it stands in the header field.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An extension as a peer listed it, borrowed from the header field.
///
/// ```
/// use sockeye::handshake::Extensions;
///
/// let offer = Extensions::parse("permessage-deflate; client_max_window_bits").next().expect("there is one")?;
/// assert_eq!(offer.name(), "permessage-deflate");
/// assert_eq!(offer.parameters().next(), Some(("client_max_window_bits", None)));
/// # Ok::<(), sockeye::handshake::InvalidExtensions>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionRef<'a> {
    name: &'a str,
    /// All after the name, known to be sound.
    parameters: &'a str,
}

impl<'a> ExtensionRef<'a> {
    /// Returns the name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Iterates over the parameters, in order: name, and the value if there is one, without quotes.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> + use<'a> {
        let mut reader = Reader { rest: self.parameters };
        core::iter::from_fn(move || reader.parameter().ok().flatten())
    }

    /// Makes an owned copy, with quoted values unquoted.
    pub fn to_extension(&self) -> Extension {
        let mut text = self.name.to_owned();
        for (name, value) in self.parameters() {
            text.push_str("; ");
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(&value);
            }
        }
        Extension { text, name_len: self.name.len() }
    }
}

/// An iterator over the extensions in the `Sec-WebSocket-Extensions` header fields of a request or response, in
/// order.
///
/// It ends after the first error.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    values: Option<Values<'a>>,
    /// What is left of the header field being read.
    current: Option<&'a str>,
}

impl<'a> Extensions<'a> {
    pub(super) fn new(headers: &'a Headers) -> Self {
        Self { values: Some(headers.get_all(SEC_WEBSOCKET_EXTENSIONS)), current: None }
    }

    /// Reads the value of a header field.
    ///
    /// ```
    /// use sockeye::handshake::Extensions;
    ///
    /// let names: Vec<_> = Extensions::parse("one; a=1, two").flatten().map(|extension| extension.name()).collect();
    /// assert_eq!(names, ["one", "two"]);
    /// ```
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        Self { values: None, current: Some(text) }
    }

    /// Reads the next element of the current header field, or the first of the next.
    fn read(&mut self) -> Result<Option<ExtensionRef<'a>>, InvalidExtensions> {
        loop {
            if let Some(rest) = self.current.take() {
                let mut reader = Reader { rest };
                reader.skip_empty_elements();
                if !reader.rest.is_empty() {
                    let extension = reader.extension()?;
                    self.current = Some(reader.rest);
                    return Ok(Some(extension));
                }
            }
            let Some(value) = self.values.as_mut().and_then(Iterator::next) else {
                return Ok(None);
            };
            // §9.1: 1#extension, so a header field without any does not follow the grammar.
            if token::elements(value).next().is_none() {
                return Err(InvalidExtensions);
            }
            self.current = Some(core::str::from_utf8(value).map_err(|_| InvalidExtensions)?);
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<ExtensionRef<'a>, InvalidExtensions>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if matches!(item, Some(Err(_))) {
            *self = Self { values: None, current: None };
        }
        item
    }
}

/// A name, and the value if there is one.
type Parameter<'a> = (&'a str, Option<Cow<'a, str>>);

/// Reads the grammar from left to right.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Reads one element of the list, up to the comma after it.
    fn extension(&mut self) -> Result<ExtensionRef<'a>, InvalidExtensions> {
        let name = self.token()?;
        let parameters = self.rest;
        while self.parameter()?.is_some() {}
        let parameters = parameters.get(..parameters.len() - self.rest.len()).unwrap_or_default();
        if self.rest.is_empty() || self.rest.starts_with(',') {
            Ok(ExtensionRef { name, parameters })
        } else {
            Err(InvalidExtensions)
        }
    }

    /// Reads a semicolon and the parameter after it; `None` if there is no semicolon.
    fn parameter(&mut self) -> Result<Option<Parameter<'a>>, InvalidExtensions> {
        self.skip_whitespace();
        if !self.skip(b';') {
            return Ok(None);
        }
        self.skip_whitespace();
        let name = self.token()?;
        self.skip_whitespace();
        if !self.skip(b'=') {
            return Ok(Some((name, None)));
        }
        self.skip_whitespace();
        let value = if self.skip(b'"') { self.quoted()? } else { Cow::Borrowed(self.token()?) };
        Ok(Some((name, Some(value))))
    }

    fn token(&mut self) -> Result<&'a str, InvalidExtensions> {
        let len = self.rest.bytes().take_while(|&byte| token::is_token_byte(byte)).count();
        if len == 0 {
            return Err(InvalidExtensions);
        }
        Ok(self.advance(len))
    }

    /// Reads a quoted string from behind its opening quote.
    fn quoted(&mut self) -> Result<Cow<'a, str>, InvalidExtensions> {
        let plain = self.token().unwrap_or_default();
        if !plain.is_empty() && self.skip(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut value = plain.to_owned();
        loop {
            let byte = self.byte()?;
            let byte = match byte {
                b'"' if value.is_empty() => return Err(InvalidExtensions),
                b'"' => return Ok(Cow::Owned(value)),
                b'\\' => self.byte()?,
                other => other,
            };
            // What is quoted must be a token all the same, so it is ASCII.
            if !token::is_token_byte(byte) {
                return Err(InvalidExtensions);
            }
            value.push(char::from(byte));
        }
    }

    fn byte(&mut self) -> Result<u8, InvalidExtensions> {
        let byte = *self.rest.as_bytes().first().ok_or(InvalidExtensions)?;
        if !byte.is_ascii() {
            return Err(InvalidExtensions);
        }
        self.advance(1);
        Ok(byte)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.as_bytes().first() == Some(&byte);
        if found {
            self.advance(1);
        }
        found
    }

    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn skip_empty_elements(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// Takes `len` bytes, all of them ASCII, off the front.
    fn advance(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

fn check_token(text: &str) -> Result<(), BuildError> {
    if token::is_token(text.as_bytes()) { Ok(()) } else { Err(BuildError::Extension { text: text.to_owned() }) }
}
