//! A client that connects to the real world: by URL, over IPv6 or IPv4, whichever works, and with words for what does not.
//!
//! ```
//! # use std::error::Error;
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn Error>> {
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let url = format!("ws://user:pw@{}/chat?room=1", listener.local_addr()?);
//! #     tokio::spawn(async move {
//! #         let mut socket = sockeye::tokio::accept(listener.accept().await?.0).await?;
//! #         while let Some(message) = socket.receive().await? {
//! #             socket.send(message).await?;
//! #             socket.close(sockeye::Close::normal()).await?;
//! #         }
//! #         Ok::<_, sockeye::tokio::Error>(())
//! #     });
//! // To a `url` such as `wss://user:pw@example.com/chat?room=1`.
//! let mut socket = sockeye::client::connect(&url).await?;
//! socket.send("hello").await?;
//! while let Some(message) = socket.receive().await? {
//!     println!("{message:?}");
//! #     assert_eq!(message, "hello".into());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What is to be different from the defaults is set of a [`Client`]; on threads, without a runtime, it is
//! [`Client::connect_blocking`]. What comes out is a [`tokio::WebSocket`](crate::tokio::WebSocket) on a [`Stream`], whatever the way
//! was. [`Reconnecting`] gives connection after connection.
//!
//! ```text
//!  URL ─▶ name lookup ─▶ connect ─▶ (proxy) ─▶ (TLS) ─▶ opening handshake ─▶ WebSocket
//!   ▲     A and AAAA     a race                             │
//!   └───────────────────── redirect, if allowed ────────────┘
//! ```
//!
//! # What it does unless told otherwise
//!
//! - It asks for addresses of IPv6 and IPv4 at once, tries them in turn, and keeps the first that answers ([`HappyEyeballs`]).
//! - Each stage may take ten seconds, a proxy thirty ([`Timeouts`]).
//! - Credentials in the URL are sent as Basic authentication, and are in no message and no log.
//! - No redirect is followed ([`Client::redirects`]), no proxy asked, and the environment not looked at
//!   ([`Client::proxies`]).
//! - What the server sends before the connection is open is bounded: a head of 16 KiB, and 4 KiB of the body of a refusal
//!   ([`ClientConfig`](crate::handshake::ClientConfig)).
//! - An [`Error`] says at which [`Stage`] it went wrong and why, in a line for whoever has to do something about it, and whether
//!   another attempt can help.
//!
//! # TLS
//!
//! `wss` takes the feature of a library, and with rustls one that says whom to trust: `rustls` and `platform-verifier`, or `rustls` and
//! `webpki-roots`, or `native-tls`. See [`tls`] for all of them, for certificate authorities of one's own and for client certificates.

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
mod refused;
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
pub use self::error::{Error, FailedAttempt, Stage};
pub use self::options::{Family, HappyEyeballs, TcpOptions, Timeouts};
pub use self::reconnect::{Failure, Reconnecting, Retry};
pub use self::redirect::RedirectError;
pub use self::refused::Refused;
pub use self::resolve::{BoxFuture, Resolve, SystemResolver};
pub use self::retry_after::RetryAfter;
pub use self::stream::Stream;
pub use self::tcp::Connect;
pub use self::url::{UrlError, WsUrl};

/// A connection that a [`Client`] opened.
pub type WebSocket = crate::tokio::WebSocket<Stream>;
