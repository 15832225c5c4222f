//! What can be set of a client, as plain data.

use core::net::IpAddr;
use core::time::Duration;

/// How long each stage of connecting may take; what takes longer is [`Error::TimedOut`](super::Error::TimedOut).
///
/// ```
/// use core::time::Duration;
/// use sockeye::client::{Client, Timeouts};
///
/// let mut timeouts = Timeouts::default();
/// timeouts.connect = Some(Duration::from_secs(3));
/// timeouts.total = Some(Duration::from_secs(10));
/// let client = Client::new().timeouts(timeouts);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the addresses of a name; 10 seconds. Addresses of one family are used if only the other one's are late. `None`: as
    /// long as the resolver takes.
    pub lookup: Option<Duration>,
    /// For a connection to one of the addresses, from the first attempt on; 10 seconds. `None`: as long as the system tries,
    /// which is minutes.
    pub connect: Option<Duration>,
    /// For the way through a proxy, if there is one; 30 seconds, for it looks up and connects meanwhile. `None`: for ever.
    pub proxy: Option<Duration>,
    /// For the TLS handshake, with the server or with a proxy; 10 seconds. `None`: for ever.
    pub tls: Option<Duration>,
    /// For the opening handshake; 10 seconds. `None`: for ever.
    pub handshake: Option<Duration>,
    /// For everything together, redirects included; `None` by default, for the stages are bounded.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            lookup: STAGE,
            connect: STAGE,
            proxy: Some(Duration::from_secs(30)),
            tls: STAGE,
            handshake: STAGE,
            total: None,
        }
    }
}

/// How TCP connections are made.
///
/// ```
/// use core::time::Duration;
/// use sockeye::client::{Client, TcpOptions};
///
/// let mut tcp = TcpOptions::default();
/// tcp.keepalive = Some(Duration::from_secs(60));
/// tcp.bind = Some("127.0.0.1".parse()?);
/// let client = Client::new().tcp(tcp);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Whether small messages are sent at once (`TCP_NODELAY`); true.
    pub nodelay: bool,
    /// After how long a silence the system asks the other side whether it is still there; `None`, never: the connection's own
    /// pings ([`Config::ping_interval`](crate::Config)) find out more.
    pub keepalive: Option<Duration>,
    /// The size of the system's send buffer in bytes; `None`, the system's own choice.
    pub send_buffer: Option<usize>,
    /// The size of the system's receive buffer in bytes; `None`, the system's own choice.
    pub receive_buffer: Option<usize>,
    /// The address of this machine to connect from; `None`, the system's own choice. With it, only addresses of its family are
    /// looked up.
    pub bind: Option<IpAddr>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self { nodelay: true, keepalive: None, send_buffer: None, receive_buffer: None, bind: None }
    }
}

/// How several addresses of a host are tried (Happy Eyeballs, RFC 8305): those of IPv6 and IPv4 in turn, each a moment
/// after the one before, and the first that answers wins.
///
/// The defaults are those of RFC 8305 §8.
///
/// ```
/// use sockeye::client::{Client, Family, HappyEyeballs};
///
/// let mut happy_eyeballs = HappyEyeballs::default();
/// happy_eyeballs.prefer = Family::V4;
/// let client = Client::new().happy_eyeballs(happy_eyeballs);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HappyEyeballs {
    /// Which family comes first; IPv6.
    pub prefer: Family,
    /// How long the addresses of the preferred family are waited for once those of the other are there; 50 ms.
    pub resolution_delay: Duration,
    /// How long an attempt is given before the next one begins beside it; 250 ms. It begins at once when one fails.
    pub attempt_delay: Duration,
    /// How many addresses of each family are tried, however many the name has; 8.
    pub max_addresses: usize,
}

impl Default for HappyEyeballs {
    fn default() -> Self {
        Self {
            prefer: Family::V6,
            resolution_delay: Duration::from_millis(50),
            attempt_delay: Duration::from_millis(250),
            max_addresses: 8,
        }
    }
}

/// A family of addresses.
///
/// ```
/// use sockeye::client::{Family, HappyEyeballs};
///
/// let mut policy = HappyEyeballs::default();
/// policy.prefer = Family::V4;   // IPv6 is still tried
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4: `A` records.
    V4,
    /// IPv6: `AAAA` records.
    V6,
}

impl Family {
    /// Returns the family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Returns the other one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

const STAGE: Option<Duration> = Some(Duration::from_secs(10));
