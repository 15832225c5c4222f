//! A user name and a password, as Basic authentication sends them (RFC 7617); never printed.

use alloc::format;
use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

/// A user name and a password.
///
/// ```
/// use sockeye::client::Credentials;
///
/// let credentials = Credentials::new("me", "open sesame")?;
/// assert_eq!(credentials.to_basic(), "Basic bWU6b3BlbiBzZXNhbWU=");
/// assert!(!format!("{credentials:?}").contains("sesame"));
/// # Ok::<(), sockeye::client::InvalidCredentials>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Takes a user name and a password; either may be empty.
    ///
    /// # Errors
    ///
    /// A user name with a colon in it, which nobody could tell from the password (RFC 7617 §2), or a control character in either.
    pub fn new(user: &str, password: &str) -> Result<Self, InvalidCredentials> {
        if user.contains(':') {
            return Err(InvalidCredentials::Colon);
        }
        if user.chars().chain(password.chars()).any(char::is_control) {
            return Err(InvalidCredentials::ControlCharacter);
        }
        Ok(Self { user: user.into(), password: password.into() })
    }

    /// Returns the user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the value of an `Authorization` or `Proxy-Authorization` header field.
    #[must_use]
    pub fn to_basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl fmt::Debug for Credentials {
    /// Writes the user name and no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a user name and password, or a token, cannot be sent. It does not repeat them.
///
/// ```
/// use sockeye::client::{Credentials, InvalidCredentials};
///
/// assert!(matches!(Credentials::new("a:b", "secret"), Err(InvalidCredentials::Colon)));
/// ```
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidCredentials {
    /// The user name has a colon in it.
    #[error("a user name cannot have a colon in it")]
    Colon,
    /// There is a control character in it.
    #[error("a user name or password cannot have a control character in it")]
    ControlCharacter,
    /// A bearer token is not one (RFC 6750 §2.1): letters, digits and `-._~+/`, with `=` at the end.
    #[error("a bearer token consists of letters, digits and -._~+/= only")]
    Token,
}

/// Returns the value of an `Authorization` header field for a bearer token (RFC 6750 §2.1).
pub(super) fn bearer(token: &str) -> Result<String, InvalidCredentials> {
    let body = token.trim_end_matches('=');
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(is_token_byte) {
        return Err(InvalidCredentials::Token);
    }
    Ok(format!("Bearer {token}"))
}
