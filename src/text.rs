//! Text in memory that is shared: bytes that were checked.
//!
//! A `String` owns its memory, so a text that was read into a buffer beside others has to be copied into one. What it earns not to do that is in
//! `benches/profiles/receive.md`: to receive a text of 16 KiB and more, and to keep it, takes about half of the time.
#![expect(unsafe_code, reason = "text that was checked is not to be checked whenever it is looked at")]

use alloc::string::String;
use core::fmt;
use core::ops::Deref;
use core::str;

use bytes::Bytes;

use crate::copy;

/// UTF-8 text in memory that it may share with others: a clone copies nothing.
///
/// [`Connection::receive_shared`](crate::Connection::receive_shared) gives it. It is used as the `&str` that it derefs to.
///
/// ```
/// use sockeye::SharedText;
///
/// let text = SharedText::from("größer");
/// assert!(text.starts_with("gr"));
/// assert_eq!(text.len(), 8);
/// assert_eq!(text.clone().into_bytes(), "größer".as_bytes());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedText(Bytes);

impl SharedText {
    /// Makes a text of bytes that were checked.
    ///
    /// # Safety
    ///
    /// The bytes must be UTF-8.
    #[inline]
    pub(crate) unsafe fn from_utf8_unchecked(bytes: Bytes) -> Self {
        debug_assert!(str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    /// Lends the text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        // SAFETY: whatever makes one of these has text, or says so; and `Bytes` never change.
        unsafe { str::from_utf8_unchecked(&self.0) }
    }

    /// Gives away the bytes of the text, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for SharedText {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for SharedText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

/// Takes the memory of the `String`.
impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Copies the text.
impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self(copy::bytes(text.as_bytes()))
    }
}

/// Copies the text.
impl From<SharedText> for String {
    fn from(text: SharedText) -> Self {
        text.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_that_which_it_was_made_of(text: String) {
            let twin = str::from_utf8(text.as_bytes()).unwrap();
            // SAFETY: the bytes are those of a text.
            let unchecked = unsafe { SharedText::from_utf8_unchecked(text.clone().into()) };
            for shared in [SharedText::from(twin), SharedText::from(text.clone()), unchecked] {
                prop_assert_eq!(&*shared, twin);
                prop_assert_eq!(shared.as_ref(), twin);
                prop_assert_eq!(shared.to_string(), twin);
                prop_assert_eq!(format!("{shared:?}"), format!("{twin:?}"));
                prop_assert_eq!(String::from(shared.clone()), twin);
                prop_assert_eq!(shared.into_bytes(), twin.as_bytes());
            }
        }
    }
}
