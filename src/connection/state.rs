//! Open, closing, closed (RFC 6455 §4.1, §7): where a connection stands, and what ended it.
//!
//! Each direction has a state of its own, and the connection's follows from the two:
//!
//! ```text
//!                            what we receive
//!                  Open          Closed          Failed | Lost
//!              +-------------+--------------+------------------+
//!  our   not   |    Open     |   Closing    |                  |
//!  Close sent  | send, recv  | reply owed   |                  |
//!              +-------------+--------------+      Closed      |
//!        sent  |   Closing   |    Closed    |                  |
//!              | recv only   |   cleanly    |                  |
//!              +-------------+--------------+------------------+
//!
//!  close()            our Close is sent                   down one row
//!  Close arrives      theirs is here, ours is the reply   right, then down
//!  violation, limit   Close with its code is sent         right to Failed
//!  deadline           Close is sent (close, output: none) down, or (pong, close, output) right to Lost
//!  end of input       without a Close: 1006               right to Lost
//! ```
//!
//! Every event moves right or down, so the state only moves forward.

use crate::error::ProtocolError;
use crate::time::Timeout;

/// Where a connection stands, both directions taken together.
///
/// ```
/// use sockeye::{Close, Config, Connection, State};
///
/// let mut server = Connection::server(Config::default());
/// assert_eq!(server.state(), State::Open);
/// server.close(Close::normal(), &mut Vec::new())?;
/// assert_eq!(server.state(), State::Closing);   // until the client has closed, too
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Both sides may send.
    Open,
    /// A Close was sent or received, and the other one is missing.
    Closing,
    /// Nothing more will be sent or received; see [`Teardown`] for what is left to do with the transport.
    Closed,
}

impl State {
    /// The state that follows from those of the two directions.
    pub(crate) fn of(close_sent: bool, receiving: Receiving) -> Self {
        match (close_sent, receiving) {
            (false, Receiving::Open) => Self::Open,
            (true, Receiving::Open) | (false, Receiving::Closed) => Self::Closing,
            (true, Receiving::Closed) | (_, Receiving::Failed | Receiving::Lost) => Self::Closed,
        }
    }
}

/// Where the receiving direction of a connection stands.
///
/// ```
/// use sockeye::{Config, Connection, Receiving};
///
/// let (mut receiver, _sender, _owed) = Connection::server(Config::default()).split();
/// receiver.receive_eof();
/// assert_eq!(receiver.state(), Receiving::Lost);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Receiving {
    /// Frames are received.
    Open,
    /// The peer's Close was received; what follows it is ignored (RFC 6455 §5.5.1).
    Closed,
    /// The peer broke the protocol or went beyond a limit; what follows is ignored (§7.1.7).
    Failed,
    /// The input ended without a Close, or was given up.
    Lost,
}

/// What ended a connection, or is ending it: the first thing that did.
///
/// ```
/// use sockeye::{Config, Connection, EndCause};
///
/// let mut server = Connection::server(Config::default());
/// server.receive_eof();
/// assert_eq!(server.end_cause(), Some(&EndCause::TransportLost));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// We closed.
    Local,
    /// The peer closed.
    Remote,
    /// The peer broke the protocol or went beyond a limit.
    Violation(ProtocolError),
    /// A deadline passed.
    Timeout(Timeout),
    /// The transport ended before a closing handshake: 1006.
    TransportLost,
}

/// What is to be done with the transport (RFC 6455 §7.1.1, §7.1.7).
///
/// ```
/// use sockeye::{Config, Connection, Teardown};
///
/// let mut server = Connection::server(Config::default());
/// assert_eq!(server.teardown(), Teardown::Keep);
/// server.receive_eof();
/// assert_eq!(server.teardown(), Teardown::Close);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Teardown {
    /// Nothing: the connection is not closed yet.
    Keep,
    /// Write what is queued and wait for the peer to close the transport, until the deadline: a client after a clean
    /// close, because the server closes first.
    AwaitPeer,
    /// Write what is queued, shut our direction down, and read and discard until the peer closes or the deadline comes:
    /// a transport closed over unread bytes is reset, and the reset may overtake our Close frame.
    Linger,
    /// Write what is queued, as far as the transport takes it without waiting for ever, then close the transport.
    Close,
}
