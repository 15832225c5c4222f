//! The answer of a server that opens no connection, in a line.
//!
//! What a server wrote is shown, for it may say what is to be done; but not as it came, for it may be long, and steer a terminal.

use alloc::string::String;
use core::fmt;

use crate::handshake::{Headers, RefusedResponse};

/// The answer of a server that opens no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The URL that was asked, without its query.
    pub endpoint: String,
    /// Status, header fields and the beginning of the body.
    pub response: RefusedResponse,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RefusedResponse { status, reason, headers, body, .. } = &self.response;
        match status {
            200..=299 => write!(f, "{} is not a WebSocket endpoint: the server answered ", self.endpoint)?,
            300..=399 => write!(f, "{} is somewhere else: the server answered ", self.endpoint)?,
            _ => write!(f, "{} refused the connection: the server answered ", self.endpoint)?,
        }
        write!(f, "{status}")?;
        if !reason.is_empty() {
            write!(f, " {}", excerpt(reason))?;
        }
        if let (300..=399, Some(location)) = (status, headers.get(LOCATION)) {
            return write!(f, ", to go to {}", excerpt(without_secrets(location)));
        }
        let text = readable(body).trim();
        match media_type(headers) {
            // A page is made for browsers, and says little in its first line.
            Some(kind) if !is_for_people(kind) && !body.is_empty() => write!(f, " with {}", excerpt(kind)),
            Some(_) | None if !text.is_empty() => write!(f, ", saying {:?}", excerpt(text)),
            Some(_) | None => Ok(()),
        }
    }
}

impl core::error::Error for Refused {}

/// The text of a body, which may be cut within a character; nothing if it is no text.
fn readable(body: &[u8]) -> &str {
    let end = match core::str::from_utf8(body) {
        Ok(text) => return text,
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => 0,
    };
    body.get(..end).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
}

/// The type of the body, without its parameters.
fn media_type(headers: &Headers) -> Option<&str> {
    headers.get("Content-Type")?.split(';').next().map(str::trim)
}

/// Says whether a body of this type can be read as it is.
fn is_for_people(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    media_type == "text/plain" || media_type.ends_with("/json") || media_type.ends_with("+json")
}

/// What can be shown of a `Location`: neither a query nor a user name.
fn without_secrets(location: &str) -> &str {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let shown = location.get(..end).unwrap_or_default();
    shown.rsplit_once('@').map_or(shown, |(_, shown)| shown)
}

/// The beginning of what somebody else wrote, in one line, with nothing in it that would steer a terminal.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut is_blank = false;
    for character in text.trim().chars() {
        if shown.len() >= MAX_EXCERPT {
            shown.push('…');
            break;
        }
        match character {
            ' ' | '\t' | '\r' | '\n' => is_blank = true,
            character => {
                if core::mem::take(&mut is_blank) {
                    shown.push(' ');
                }
                // What changes the direction of writing is no control character, and would turn the rest of the line around.
                let is_hidden = character.is_control()
                    || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                shown.push(if is_hidden { char::REPLACEMENT_CHARACTER } else { character });
            }
        }
    }
    shown
}

/// How many bytes of what a server wrote stand in a message.
const MAX_EXCERPT: usize = 200;

pub(super) const LOCATION: &str = "Location";
