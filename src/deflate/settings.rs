//! What may be set of permessage-deflate (RFC 7692): how we compress, what we ask of the peer, and what we put up with.

use core::fmt;
use core::num::NonZeroU32;

use thiserror::Error;

/// How permessage-deflate (RFC 7692) is offered, accepted and done. The defaults are measured: see
/// [the module](crate::deflate) for what each setting costs and gives.
///
/// | field | a server's parameter (RFC 7692 §7.1) | a client's |
/// |---|---|---|
/// | `window_bits` | `server_max_window_bits` | `client_max_window_bits` |
/// | `peer_window_bits` | `client_max_window_bits` | `server_max_window_bits` |
/// | `context` | `server_no_context_takeover` | `client_no_context_takeover` |
/// | `peer_context` | `client_no_context_takeover` | `server_no_context_takeover` |
///
/// The others are nobody's business but ours, and are not negotiated.
///
/// ```
/// use sockeye::deflate::{Context, Deflate, Level, MemoryLevel, WindowBits};
///
/// let mut deflate = Deflate::default();
/// deflate.level = Level::new(9).ok_or("a level is 0 to 9")?;
/// deflate.window_bits = WindowBits::MAX;
/// deflate.peer_context = Context::NoTakeover;
/// deflate.threshold = 256;
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// What becomes of a handshake with a peer that does not take part. Default [`Demand::Optional`].
    pub demand: Demand,
    /// How hard we try to compress. Default 1: by far the most bytes saved for the time that it takes.
    pub level: Level,
    /// How much memory the compressor takes for the symbols of a block. Default 5.
    pub memory_level: MemoryLevel,
    /// How far back we look for repetitions. Default 12: 4 KiB. With [`Context::Takeover`] a connection keeps as much of
    /// what it sent. The peer's `*_max_window_bits` makes it smaller where that is less.
    pub window_bits: WindowBits,
    /// How far back the peer may refer. Default 12: with [`Context::Takeover`] a connection keeps as much of what it
    /// received. See [`Self::peer_limits`] for peers that cannot be told.
    pub peer_window_bits: WindowBits,
    /// Whether we compress a message by what was in those before it. Default [`Context::Takeover`].
    pub context: Context,
    /// Whether the peer may do so. Default [`Context::Takeover`].
    pub peer_context: Context,
    /// Whether we insist on [`Self::peer_window_bits`] and [`Self::peer_context`]. Default [`PeerLimits::Wished`].
    pub peer_limits: PeerLimits,
    /// The shortest message that is compressed, in bytes. Default 64: what is shorter fits into a packet anyway. Without context
    /// takeover 256 is a better choice: less is hardly made shorter. A message that would not get shorter is sent as it is; but
    /// one that goes out in pieces, as what is longer than [`fragment_size`](crate::Config::fragment_size) may, is compressed
    /// whatever it comes to, and with a threshold of 0 all are.
    pub threshold: usize,
    /// How many times as long as its compressed form a received message may be; a longer one fails the connection with
    /// 1009. Default `None`: the limit on messages is what bounds memory and time. It only counts from 64 KiB of inflated data
    /// on, for a few bytes of repetition may well stand for a thousand; and it is looked at every 64 KiB and at the end, so a
    /// message can be refused for its beginning that would not be so as a whole. Deflate comes to 1,032 at most.
    pub max_ratio: Option<NonZeroU32>,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            demand: Demand::Optional,
            level: Level(1),
            memory_level: MemoryLevel(5),
            window_bits: WindowBits(12),
            peer_window_bits: WindowBits(12),
            context: Context::Takeover,
            peer_context: Context::Takeover,
            peer_limits: PeerLimits::Wished,
            threshold: 64,
            max_ratio: None,
        }
    }
}

/// What becomes of a handshake with a peer that does not take part. Default [`Demand::Optional`].
///
/// ```
/// use sockeye::deflate::{Deflate, Demand};
/// use sockeye::handshake::ServerConfig;
///
/// let mut deflate = Deflate::default();
/// deflate.demand = Demand::Required;
/// let mut config = ServerConfig::default();
/// config.deflate = Some(deflate);   // now clients that do not compress are rejected
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demand {
    /// The connection opens without compression.
    #[default]
    Optional,
    /// The handshake fails: a server rejects it with 400, a client gives an error.
    Required,
}

/// Whether the compressor of one direction refers from a message to those before it (RFC 7692 §7.1.1). Default
/// [`Context::Takeover`].
///
/// ```
/// use sockeye::deflate::{Context, Deflate};
///
/// // For very many idle connections: nothing is kept between two messages.
/// let mut deflate = Deflate::default();
/// (deflate.context, deflate.peer_context) = (Context::NoTakeover, Context::NoTakeover);
/// deflate.threshold = 256;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Context {
    /// It does, and both ends keep as many bytes as the window takes for as long as the connection is there.
    #[default]
    Takeover,
    /// Each message stands alone, and nothing is kept between two.
    NoTakeover,
}

/// Whether the limits that we set to the peer's compressor are demands. Default [`PeerLimits::Wished`].
///
/// ```
/// use sockeye::deflate::{Deflate, PeerLimits, WindowBits};
/// use sockeye::handshake::Extensions;
///
/// let mut deflate = Deflate::default();
/// (deflate.peer_window_bits, deflate.peer_limits) = (WindowBits::MIN, PeerLimits::Demanded);
/// // This client cannot be told to use a smaller window.
/// assert_eq!(deflate.answer(Extensions::parse("permessage-deflate")), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PeerLimits {
    /// A peer that does not keep to them is accepted, and a connection with it keeps up to 32 KiB. A client offers twice,
    /// the second time without them.
    #[default]
    Wished,
    /// A server goes on without compression, a client fails the handshake.
    Demanded,
}

/// A number with a range.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident, $min:literal..=$max:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u8);

        impl $name {
            /// The smallest.
            pub const MIN: Self = Self($min);
            /// The largest.
            pub const MAX: Self = Self($max);

            /// Makes one of a number; `None` if that is out of range.
            #[must_use]
            pub const fn new(number: u8) -> Option<Self> {
                if matches!(number, $min..=$max) { Some(Self(number)) } else { None }
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> u8 {
                self.0
            }
        }

        impl TryFrom<u8> for $name {
            type Error = OutOfRange;

            fn try_from(number: u8) -> Result<Self, OutOfRange> {
                Self::new(number).ok_or(OutOfRange { what: $what, min: $min, max: $max, number })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

bounded! {
    /// How hard a compressor tries: 0 not at all, 1 fast, 6 well, 9 best.
    ///
    /// ```
    /// use sockeye::deflate::Level;
    ///
    /// assert_eq!(Level::new(6).map(Level::get), Some(6));
    /// assert_eq!(Level::try_from(10).unwrap_err().to_string(), "10 is no compression level: that is 0 to 9");
    /// ```
    Level, 0..=9, "compression level"
}

bounded! {
    /// How much memory a compressor takes for the symbols of a block, 1 to 9: each step doubles it.
    ///
    /// ```
    /// use sockeye::deflate::MemoryLevel;
    ///
    /// assert_eq!((MemoryLevel::MIN.get(), MemoryLevel::MAX.get()), (1, 9));
    /// ```
    MemoryLevel, 1..=9, "memory level"
}

bounded! {
    /// The base-2 logarithm of how far back a compressor refers, in bytes: 8 to 15 (RFC 7692 §7.1.2).
    ///
    /// With 8 we compress as with 9: zlib knows no smaller window, but with that one it never refers back by more than 250
    /// bytes, which is within the 256 agreed on.
    ///
    /// ```
    /// use sockeye::deflate::WindowBits;
    ///
    /// assert_eq!(WindowBits::new(12).map(WindowBits::size), Some(4096));
    /// assert_eq!(WindowBits::new(16), None);
    /// ```
    WindowBits, 8..=15, "number of window bits"
}

impl WindowBits {
    /// Returns the size of the window, in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        1 << self.0
    }

    /// The window that zlib uses for this one.
    pub(super) fn of_zlib(self) -> u8 {
        self.0.max(9)
    }
}

/// A number that a setting cannot have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{number} is no {what}: that is {min} to {max}")]
#[non_exhaustive]
pub struct OutOfRange {
    /// What the number was to be.
    pub what: &'static str,
    /// The smallest there is.
    pub min: u8,
    /// The largest there is.
    pub max: u8,
    /// What was given.
    pub number: u8,
}
