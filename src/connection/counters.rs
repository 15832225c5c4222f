//! What a connection has seen so far.

/// What went over a connection in one direction since it opened.
///
/// ```
/// use sockeye::{Config, Connection};
///
/// let (mut server, mut output) = (Connection::server(Config::default()), Vec::new());
/// server.send_text("hello", &mut output)?;
/// let sent = server.sent();
/// assert_eq!((sent.messages, sent.frames, sent.payload_bytes, sent.wire_bytes), (1, 1, 5, 7));
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that are complete.
    pub messages: u64,
    /// Frames whose header is complete, control frames among them.
    pub frames: u64,
    /// Bytes of payload in messages, as they stand on the wire.
    pub payload_bytes: u64,
    /// Bytes of those messages that an extension encoded, as the application has them. Whoever receives them in
    /// [chunks](crate::Payload::Encoded) without [`Assembler::decode`](crate::Assembler::decode) sees 0.
    pub decoded_bytes: u64,
    /// Bytes of the same messages as they stand on the wire, which are in `payload_bytes`, too. Divided by
    /// `decoded_bytes`, this is how well they were compressed.
    pub encoded_bytes: u64,
    /// Bytes on the wire: headers, payloads and control frames.
    pub wire_bytes: u64,
}

/// What each direction of a connection counts itself; what an extension does, it knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: u64,
    pub(super) frames: u64,
    pub(super) payload_bytes: u64,
    pub(super) wire_bytes: u64,
}

impl Tally {
    /// The whole, with what an extension was given and gave.
    pub(super) fn with(self, decoded_bytes: u64, encoded_bytes: u64) -> Counters {
        let Self { messages, frames, payload_bytes, wire_bytes } = self;
        Counters { messages, frames, payload_bytes, decoded_bytes, encoded_bytes, wire_bytes }
    }
}
