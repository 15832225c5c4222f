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
    /// Bytes on the wire: headers, payloads and control frames.
    pub wire_bytes: u64,
}
