//! What can be wrong with a transport, at which byte.

use std::io::ErrorKind;

/// What goes wrong in one direction of a pair, and where: positions count the bytes of that direction from 0, so that a
/// fault at 0 is there from the first byte on.
///
/// A fault at a byte lets everything before it through. Where several are due at once, an error comes before the end,
/// and the end before a stall.
///
/// ```
/// use sockeye::test_kit::{Clock, Expect, Faults, Pair, run};
///
/// let clock = Clock::new();
/// run(&clock, async {
///     let mut pair = Pair::new(&clock);
///     pair.to_client = Faults::new().end(9).max_read(1);   // "one" takes 5 bytes, so the next one breaks off
///     let (mut client, mut server) = pair.sockets();
///     server.send("one").await.unwrap();
///     server.send("two").await.unwrap();
///     client.expect_text("one").await;
///     client.expect_lost().await;
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub(super) read_error: Option<(u64, ErrorKind)>,
    pub(super) write_error: Option<(u64, ErrorKind)>,
    pub(super) end: Option<u64>,
    pub(super) stalled_reads: Option<u64>,
    pub(super) stalled_writes: Option<u64>,
    pub(super) max_read: Option<usize>,
    pub(super) max_write: Option<usize>,
    pub(super) corrupt: Vec<(u64, u8)>,
}

impl Faults {
    /// Nothing is wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever reads gets so many bytes and then an error: [`ErrorKind::Interrupted`] once, any other for good.
    #[must_use]
    pub fn fail_reads(self, at: u64, kind: ErrorKind) -> Self {
        Self { read_error: Some((at, kind)), ..self }
    }

    /// Whoever writes gets rid of so many bytes and then gets an error: [`ErrorKind::Interrupted`] once, any other for
    /// good.
    #[must_use]
    pub fn fail_writes(self, at: u64, kind: ErrorKind) -> Self {
        Self { write_error: Some((at, kind)), ..self }
    }

    /// Whoever reads gets so many bytes and then the end of the stream. What is written behind it is taken and lost.
    #[must_use]
    pub fn end(self, at: u64) -> Self {
        Self { end: Some(at), ..self }
    }

    /// Whoever reads gets so many bytes and then waits, until [`Link::resume`](super::Link::resume). Writes go on until
    /// the capacity of the direction is full.
    #[must_use]
    pub fn stall_reads(self, at: u64) -> Self {
        Self { stalled_reads: Some(at), ..self }
    }

    /// Whoever writes gets rid of so many bytes and then waits, until [`Link::resume`](super::Link::resume).
    #[must_use]
    pub fn stall_writes(self, at: u64) -> Self {
        Self { stalled_writes: Some(at), ..self }
    }

    /// One read gives no more bytes than that; 0 counts as 1.
    #[must_use]
    pub fn max_read(self, len: usize) -> Self {
        Self { max_read: Some(len.max(1)), ..self }
    }

    /// One write takes no more bytes than that; 0 counts as 1.
    #[must_use]
    pub fn max_write(self, len: usize) -> Self {
        Self { max_write: Some(len.max(1)), ..self }
    }

    /// Turns those bits of the byte at this position over. Any number of bytes can be spoilt.
    #[must_use]
    pub fn corrupt(mut self, at: u64, bits: u8) -> Self {
        self.corrupt.push((at, bits));
        self
    }
}
