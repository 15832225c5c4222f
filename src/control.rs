//! The payload of a control frame (RFC 6455 §5.5): at most 125 bytes, held inline.

use core::fmt;
use core::ops::Deref;

use crate::error::SendError;

/// The application data of a Ping or Pong frame: 0 to 125 bytes, held without allocation.
///
/// ```
/// use sockeye::{ControlPayload, SendError};
///
/// let payload = ControlPayload::new(b"are you there?")?;
/// assert_eq!(&payload[..], b"are you there?");
/// assert_eq!(ControlPayload::new(&[0; 126]), Err(SendError::ControlTooLong { len: 126 }));
/// # Ok::<(), SendError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ControlPayload {
    len: u8,
    bytes: [u8; ControlPayload::MAX],
}

impl ControlPayload {
    /// The longest payload of a control frame, in bytes.
    pub const MAX: usize = 125;

    /// The empty payload.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; Self::MAX] };

    /// Copies a payload.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`] for more than 125 bytes.
    pub fn new(payload: &[u8]) -> Result<Self, SendError> {
        let mut this = Self::EMPTY;
        match (this.bytes.get_mut(..payload.len()), u8::try_from(payload.len())) {
            (Some(bytes), Ok(len)) => {
                bytes.copy_from_slice(payload);
                this.len = len;
                Ok(this)
            }
            _ => Err(SendError::ControlTooLong { len: payload.len() }),
        }
    }

    /// Appends as much of `bytes` as fits; returns how much that was.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> usize {
        let free = &mut self.bytes[usize::from(self.len)..];
        let taken = free.len().min(bytes.len());
        free[..taken].copy_from_slice(&bytes[..taken]);
        // `taken` is at most 125, and so is the sum.
        self.len += u8::try_from(taken).unwrap_or(0);
        taken
    }

    /// The payload, to unmask it.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..usize::from(self.len)]
    }
}

impl Deref for ControlPayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl AsRef<[u8]> for ControlPayload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for ControlPayload {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for ControlPayload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ControlPayload {}

impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}
