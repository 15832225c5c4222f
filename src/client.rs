//! A client that connects to the real world: by URL, over IPv6 or IPv4, whichever works, and with words for what does not.
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut socket = sockeye::client::connect("wss://user:pw@example.com/chat?room=1").await?;
//!     socket.send("hello").await?;
//!     while let Some(message) = socket.receive().await? {
//!         println!("{message:?}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! What is to be different from the defaults is set of a [`Client`]. What comes out is a
//! [`tokio::WebSocket`](crate::tokio::WebSocket) on a [`Stream`].
//!
//! ```text
//!  WsUrl ─▶ name lookup ─▶ connect ─▶ opening handshake ─▶ WebSocket
//!    ▲      (A and AAAA)   (race)          │
//!    └───────────── redirect ──────────────┘
//! ```

mod backoff;
pub mod blocking;
mod budget;
mod builder;
mod connect;
mod credentials;
mod error;
mod happy_eyeballs;
mod options;
pub mod proxy;
mod race;
mod reconnect;
mod redirect;
mod resolve;
mod retry_after;
mod route;
mod stream;
mod tcp;
mod timed;
pub mod tls;
mod url;

pub use self::backoff::{Backoff, BackoffConfig};
pub use self::builder::Client;
pub use self::connect::connect;
pub use self::credentials::{Credentials, InvalidCredentials};
pub use self::error::{Error, FailedAttempt, Refused, Stage};
pub use self::options::{Family, HappyEyeballs, TcpOptions, Timeouts};
pub use self::reconnect::{Failure, Reconnecting, Retry};
pub use self::redirect::RedirectError;
pub use self::resolve::{BoxFuture, Resolve, SystemResolver};
pub use self::retry_after::RetryAfter;
pub use self::stream::Stream;
pub use self::tcp::Connect;
pub use self::url::{UrlError, WsUrl};

/// A connection that a [`Client`] opened.
pub type WebSocket = crate::tokio::WebSocket<Stream>;
