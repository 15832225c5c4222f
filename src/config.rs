//! What may be set of a connection: limits, deadlines and the size of outgoing fragments.

use core::time::Duration;

/// Limits, deadlines and habits of a connection. The defaults are safe; change what you must.
///
/// Hand over an `Arc<Config>` where many connections share one: then it costs each of them a pointer.
///
/// ```
/// use core::time::Duration;
/// use sockeye::{Config, Connection};
///
/// let mut config = Config::default();
/// config.max_message_size = 64 * 1024;
/// config.ping_interval = Some(Duration::from_secs(10));
/// let connection = Connection::server(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The longest frame payload that is accepted, in bytes. Default 16 MiB. Costs nothing by itself: a frame is never
    /// gathered as such. A longer one fails the connection with 1009 when its header has arrived.
    pub max_frame_size: u64,
    /// The longest message that an [`Assembler`](crate::Assembler) puts together, after any extension, in bytes.
    /// Default 16 MiB. It is all that an assembler can be made to hold. Who drives the engine gives the assembler the same
    /// configuration as the connection, whose own copy of this limit is not looked at. Chunks that are streamed instead
    /// are not counted.
    pub max_message_size: usize,
    /// The most frames that one message may come in. Default 131,072. Guards against a message of empty fragments
    /// that never ends; fragments hold no memory beyond their bytes.
    pub max_fragments: u32,
    /// The most bytes of output that pongs are added to. Default 16 KiB. Where more is waiting to be written, a pong is
    /// held back, and only the one for the newest ping is sent, once the output is shorter (RFC 6455 §5.5.3):
    /// [`Connection::owes_pong`](crate::Connection::owes_pong).
    pub max_pending_pongs: usize,
    /// The longest frame payload that is sent: a longer message goes out in fragments of this size, so that a control
    /// frame can be sent between them. Default 128 KiB.
    pub fragment_size: usize,
    /// How many bytes of output may be queued: where a message would make it more, an adapter first writes, and a send
    /// waits. Default 64 KiB, which gathers small messages into few writes. It bounds what a peer that reads slowly makes
    /// us hold, but for the message that is longer by itself. For adapters: the engine does not look at it.
    pub high_water_mark: usize,
    /// How few bytes of output are queued when a send that waited may go on. Default 16 KiB: low enough that it does not
    /// stop again at once, high enough that the transport always has something to take. For adapters whose sends wait
    /// without a thread: the engine does not look at it.
    pub low_water_mark: usize,
    /// Which frames are accepted as regards masking. Default [`MaskingPolicy::ByRole`].
    pub masking: MaskingPolicy,
    /// Sends a ping when nothing was received for so long. Default 30 seconds: with `pong_timeout` it finds a peer that is
    /// gone without a word, and it keeps address translators and proxies on the way, many of which drop what was silent
    /// for a minute, from doing so. A ping and its pong cost a silent connection some 30 bytes.
    pub ping_interval: Option<Duration>,
    /// Ends the connection (1011) when a ping of the keepalive, or of [`Connection::ping`](crate::Connection::ping), was
    /// written and nothing at all was received for so long after. Any byte is proof of life, not only the pong. Default
    /// 20 seconds: longer than any round trip, and than most breaks of a mobile network.
    pub pong_timeout: Option<Duration>,
    /// Ends the connection when output waits to be written and the transport has taken nothing of it for so long: a peer
    /// that no longer reads holds our output no longer. Default 30 seconds: a peer that reads slowly takes some of it in
    /// that time, and one byte is enough. What the transport took shows in the length of the output, and in
    /// [`Connection::set_in_flight`](crate::Connection::set_in_flight).
    pub output_timeout: Option<Duration>,
    /// Closes the connection (1001) when nothing was received for so long. Pings and pongs count: a peer that sends no
    /// messages but answers the pings of a shorter `ping_interval` is never idle. Default `None`, off: pings already find
    /// a peer that is gone, and one that is there may have nothing to say.
    pub idle_timeout: Option<Duration>,
    /// Closes the connection (1008) when a message that has begun is not complete after so long. Default `None`, off: a
    /// message that is streamed may take hours, and one that does not go on holds no more than it has brought.
    pub message_timeout: Option<Duration>,
    /// Closes the connection (1001) when it is so old. Default `None`, off: what is too old, only the application knows.
    pub lifetime: Option<Duration>,
    /// Ends the connection when a closing handshake that has begun is not complete after so long, whatever else is
    /// received meanwhile (RFC 6455 §7.1.1). Default 10 seconds: a peer that is there answers in a round trip, behind
    /// the messages that it was sending. The time runs from when the Close is asked for, also where a message in fragments goes out
    /// before it: one that takes longer is cut off.
    pub close_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame_size: 16 * 1024 * 1024,
            max_message_size: 16 * 1024 * 1024,
            max_fragments: 128 * 1024,
            max_pending_pongs: 16 * 1024,
            fragment_size: 128 * 1024,
            high_water_mark: 64 * 1024,
            low_water_mark: 16 * 1024,
            masking: MaskingPolicy::ByRole,
            ping_interval: Some(Duration::from_secs(30)),
            pong_timeout: Some(Duration::from_secs(20)),
            output_timeout: Some(Duration::from_secs(30)),
            idle_timeout: None,
            message_timeout: None,
            lifetime: None,
            close_timeout: Some(Duration::from_secs(10)),
        }
    }
}

/// Which frames are accepted as regards masking (RFC 6455 §5.1).
///
/// ```
/// use sockeye::{Config, MaskingPolicy};
///
/// assert_eq!(Config::default().masking, MaskingPolicy::ByRole);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MaskingPolicy {
    /// As RFC 6455 demands: a server refuses frames that are not masked, a client those that are.
    #[default]
    ByRole,
    /// Masked or not, both are accepted: for frames that come through a trusted party which has already unmasked
    /// them. On a connection from a browser this would break RFC 6455 §5.1.
    Either,
}

/// Which end of the connection this is.
///
/// ```
/// use sockeye::{Config, Connection, Role};
///
/// assert_eq!(Connection::server(Config::default()).role(), Role::Server);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sent the opening handshake; masks what it sends.
    Client,
    /// Answered the opening handshake; closes the transport first.
    Server,
}
