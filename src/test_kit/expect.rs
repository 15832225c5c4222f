//! What a test expects of a connection, and what it is told when something else comes.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::future::Future;
use core::panic::Location;
use core::time::Duration;

use super::clock::Clock;
use super::run::Awaited;
use crate::close::{Close, CloseCode};
use crate::driver::{Error, Receiver, Transport, WebSocket};
use crate::message::{Message, MessageRef};

/// Receives, and panics unless what comes is what was expected. For every [`WebSocket`] and [`Receiver`] of the driver,
/// on whichever transport.
///
/// The panic says what was expected, what came instead, and where the expectation stands in the test.
///
/// ```should_panic
/// use sockeye::test_kit::{Clock, Expect, Pair, run};
///
/// let clock = Clock::new();
/// run(&clock, async {
///     let (mut client, mut server) = Pair::new(&clock).sockets();
///     server.send("goodbye").await.unwrap();
///     client.expect_text("hello").await;   // expected the text "hello", but the text "goodbye" came
/// });
/// ```
///
/// Under [`run`](super::run()), one that nothing can ever fulfil panics, too. Under another executor it waits, like any
/// receive.
///
/// # Cancel safety
///
/// Nothing is lost by dropping one of the futures.
pub trait Expect {
    /// Receives, as the expectations do: `None` is a clean close. Implement this and the next one for a type of your
    /// own, and it has all the others.
    ///
    /// # Errors
    ///
    /// What ended the connection.
    fn next_message(&mut self) -> impl Future<Output = Result<Option<Message>, Error>>;

    /// Returns the Close that the peer sent.
    fn close_of_peer(&self) -> Option<Close>;

    /// Expects this message: a `&str` is text, a `&[u8]` is binary.
    ///
    /// ```
    /// # use sockeye::test_kit::{Clock, Expect, Pair, run};
    /// # let clock = Clock::new();
    /// # run(&clock, async {
    /// let (mut client, server) = Pair::new(&clock).sockets();
    /// let (mut receiver, _sender) = server.split();
    /// client.send("hello").await.unwrap();
    /// receiver.expect_message("hello").await;
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    fn expect_message<'m>(&mut self, message: impl Into<MessageRef<'m>>) -> impl Future<Output = ()> {
        let message = message.into();
        let expected = Expected::new(shown(message));
        async move {
            match expected.of(self.next_message()).await {
                Ok(Some(came)) if came.as_ref() == message => {}
                came => expected.but(&tell(came, self.close_of_peer())),
            }
        }
    }

    /// Expects this text message.
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    fn expect_text(&mut self, text: &str) -> impl Future<Output = ()> {
        self.expect_message(text)
    }

    /// Expects this binary message.
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    fn expect_binary(&mut self, bytes: &[u8]) -> impl Future<Output = ()> {
        self.expect_message(bytes)
    }

    /// Expects a clean close with this code of the peer's, and gives the peer's Close, which has the reason.
    ///
    /// ```
    /// # use sockeye::test_kit::{Clock, Expect, Pair, run};
    /// use sockeye::{Close, CloseCode};
    ///
    /// # let clock = Clock::new();
    /// # run(&clock, async {
    /// let (mut client, mut server) = Pair::new(&clock).sockets();
    /// server.close(Close::new(CloseCode::GOING_AWAY, "restarting").unwrap()).await.unwrap();
    /// let close = client.expect_close(CloseCode::GOING_AWAY).await;
    /// assert_eq!(close.reason(), "restarting");
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    fn expect_close(&mut self, code: CloseCode) -> impl Future<Output = Close> {
        let expected = Expected::new(format!("a close with {code}"));
        async move {
            let came = expected.of(self.next_message()).await;
            match (&came, self.close_of_peer()) {
                (Ok(None), Some(close)) if close.code() == code => close,
                _ => expected.but(&tell(came, self.close_of_peer())),
            }
        }
    }

    /// Expects the connection to be lost without a closing handshake.
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes: also for a stream that failed, which [`Self::expect_error`] expects.
    #[track_caller]
    fn expect_lost(&mut self) -> impl Future<Output = ()> {
        let expected = Expected::new("the connection to be lost".into());
        async move {
            match expected.of(self.next_message()).await {
                Err(Error::Lost) => {}
                came => expected.but(&tell(came, self.close_of_peer())),
            }
        }
    }

    /// Expects that the connection ends with an error, and gives it.
    ///
    /// ```
    /// # use sockeye::test_kit::{Clock, Expect, Pair, run};
    /// # use core::time::Duration;
    /// use sockeye::Timeout;
    /// use sockeye::driver::Error;
    ///
    /// # let clock = Clock::new();
    /// # run(&clock, async {
    /// let mut pair = Pair::new(&clock);
    /// pair.server.message_timeout = Some(Duration::from_secs(5));
    /// let (mut client, mut server) = pair.raw_client();
    /// client.write(b"\x81");   // a message begins
    /// assert!(matches!(server.expect_error().await, Error::Timeout(Timeout::Message)));
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    fn expect_error(&mut self) -> impl Future<Output = Error> {
        let expected = Expected::new("an error".into());
        async move {
            match expected.of(self.next_message()).await {
                Err(error) => error,
                came => expected.but(&tell(came, self.close_of_peer())),
            }
        }
    }

    /// Expects that nothing comes for so long, neither a message nor the end. Pings and pongs may.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use sockeye::test_kit::{Clock, Expect, Pair, run};
    /// # let clock = Clock::new();
    /// # run(&clock, async {
    /// let (mut client, _server) = Pair::new(&clock).sockets();
    /// client.expect_nothing(&clock, Duration::from_secs(60)).await;
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, if anything comes.
    #[track_caller]
    fn expect_nothing(&mut self, clock: &Clock, time: Duration) -> impl Future<Output = ()> {
        let expected = Expected::new(format!("nothing for {time:?}"));
        async move {
            if let Some(came) = clock.timeout(time, expected.of(self.next_message())).await {
                expected.but(&tell(came, self.close_of_peer()));
            }
        }
    }
}

impl<T: Transport> Expect for WebSocket<T> {
    async fn next_message(&mut self) -> Result<Option<Message>, Error> {
        self.receive().await
    }

    fn close_of_peer(&self) -> Option<Close> {
        self.peer_close().cloned()
    }
}

impl<T: Transport> Expect for Receiver<T> {
    async fn next_message(&mut self) -> Result<Option<Message>, Error> {
        self.receive().await
    }

    fn close_of_peer(&self) -> Option<Close> {
        self.sender().peer_close()
    }
}

/// What a test expects, and where it says so.
#[derive(Debug)]
pub(super) struct Expected {
    what: String,
    location: &'static Location<'static>,
}

impl Expected {
    #[track_caller]
    pub(super) fn new(what: String) -> Self {
        Self { what, location: Location::caller() }
    }

    /// Waits for it, and says so if nothing can happen any more.
    pub(super) async fn of<F: Future>(&self, future: F) -> F::Output {
        let _awaited = Awaited::new(&self.what, self.location);
        future.await
    }

    /// Panics, because something else came.
    pub(super) fn but(&self, came: &str) -> ! {
        panic!("expected {}, but {came}; at {}", self.what, self.location)
    }
}

/// What came, in words.
fn tell(came: Result<Option<Message>, Error>, close: Option<Close>) -> String {
    match (came, close) {
        (Ok(Some(message)), _) => format!("{} came", shown(message.as_ref())),
        (Ok(None), Some(close)) => format!("a close with {} and the reason {:?} came", close.code(), close.reason()),
        (Ok(None), None) => "a close came".into(),
        (Err(error), _) => format!("the connection ended: {error} ({error:?})"),
    }
}

/// A message in words.
fn shown(message: MessageRef<'_>) -> String {
    match message {
        MessageRef::Text(text) if text.len() <= SHOWN => format!("the text {text:?}"),
        MessageRef::Text(text) => {
            let front: String = text.chars().take(SHOWN).collect();
            format!("the text of {} bytes that begins with {front:?}", text.len())
        }
        MessageRef::Binary(bytes) => format!("the binary message {}", Bytes(bytes)),
    }
}

/// Bytes in words.
pub(super) struct Bytes<'b>(pub(super) &'b [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.len() <= SHOWN => write!(f, "b\"{}\"", bytes.escape_ascii()),
            bytes => write!(f, "of {} bytes that begins with b\"{}\"", bytes.len(), bytes[..SHOWN].escape_ascii()),
        }
    }
}

/// The longest payload that a panic shows whole, in bytes.
const SHOWN: usize = 200;
