//! Reconnecting on tokio: one future to ask for the next connection, which can be dropped and asked again.
//!
//! The attempt that is under way is kept here, not in the future: a caller that waits for other things, too, and
//! drops the future whenever one of them is ready, would otherwise begin one attempt after the other and finish none.

use core::fmt;
use core::future::Future;
use core::pin::Pin;

use ::tokio::time::{Instant as TokioInstant, sleep_until};

use super::{Failure, LONGEST, Plan, Retry};
use crate::client::WebSocket;
use crate::client::backoff::BackoffConfig;
use crate::client::builder::Client;
use crate::client::error::Error;
use crate::client::url::WsUrl;
use crate::close::CloseCode;
use crate::time::Instant;

/// Connects, and connects again whenever it is asked for the next connection.
///
/// The first attempt is made at once. Later ones wait as [`BackoffConfig`] says, longer each time, until a connection has
/// been healthy for a while. What may heal is tried again: refused and reset connections, names that are not found for now,
/// timeouts, the statuses 408, 425, 429 and 5xx, and closes such as 1012. What will not, ends it.
///
/// The loop is the application's: it subscribes again at its top, because a server knows nothing of the connection before.
/// What was under way when that was lost is lost, unless the application numbers its messages and asks for what it missed.
///
/// ```no_run
/// use sockeye::client::{BackoffConfig, Client};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), sockeye::client::Error> {
/// let mut reconnecting = Client::new().reconnecting("wss://example.com/prices", BackoffConfig::default())?;
/// while let Some(mut socket) = reconnecting.next().await? {
///     let talk = async {
///         socket.send("subscribe prices").await?;
///         while let Some(message) = socket.receive().await? {
///             println!("{message:?}");
///         }
///         Ok::<_, sockeye::Error>(())
///     };
///     if let Err(error) = talk.await {
///         eprintln!("{error}");   // such as a connection that was lost
///     }
///     reconnecting.closed(socket.close_code());   // after a 1000, or a 1008, there is no next one
/// }
/// # Ok(())
/// # }
/// ```
pub struct Reconnecting<T = WebSocket, E = Error> {
    connect: Box<dyn FnMut() -> Attempt<T, E> + Send>,
    attempt: Option<Attempt<T, E>>,
    plan: Plan<E>,
    /// What the plan's clock counts from.
    origin: TokioInstant,
}

type Attempt<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Client {
    /// Opens connection after connection to a URL. Call it inside of a runtime of tokio, whose clock is read.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL. All else, [`Reconnecting::next`] tells.
    pub fn reconnecting<U>(&self, url: U, config: BackoffConfig) -> Result<Reconnecting, Error>
    where
        U: TryInto<WsUrl>,
        Error: From<U::Error>,
    {
        let (client, url) = (self.clone(), url.try_into()?);
        Ok(Reconnecting::with(config, move || connect(client.clone(), url.clone())))
    }
}

impl<T, E: Failure> Reconnecting<T, E> {
    /// Connects with a closure of the caller's, which is called for each attempt: it may ask for a new token first, or choose
    /// another server. Call this inside of a runtime of tokio, whose clock is read.
    ///
    /// ```no_run
    /// # async fn new_token() -> String { String::new() }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), sockeye::client::Error> {
    /// use sockeye::client::{BackoffConfig, Client, Reconnecting};
    ///
    /// let connect = || async {
    ///     Client::new().bearer_auth(&new_token().await)?.connect("wss://example.com/prices").await
    /// };
    /// let mut reconnecting = Reconnecting::with(BackoffConfig::default(), connect);
    /// # reconnecting.next().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with<F>(config: BackoffConfig, mut connect: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        Self {
            connect: Box::new(move || Box::pin(connect())),
            attempt: None,
            plan: Plan::new(config),
            origin: TokioInstant::now(),
        }
    }

    /// Has a closure told before each wait: of what failed, and how long it is until the next attempt.
    #[must_use]
    pub fn on_retry(mut self, observer: impl FnMut(&Retry<'_, E>) + Send + 'static) -> Self {
        self.plan.observer = Some(Box::new(observer));
        self
    }

    /// Waits as long as it should, and connects, until that succeeds; `None` once [`Self::closed`] was told of a close that
    /// no other connection would heal.
    ///
    /// Who asks has done with the connection before: unless [`Self::closed`] was told already, it counts as lost now.
    ///
    /// # Errors
    ///
    /// What will not heal ([`Failure::is_permanent`]), or the last failure, when there were
    /// [`BackoffConfig::max_failures`] in a row. One that asks again after that waits and tries again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future: another call waits for the rest of the time, or goes on with the attempt that
    /// is under way.
    pub async fn next(&mut self) -> Result<Option<T>, E> {
        self.closed(None);
        if self.plan.is_done {
            return Ok(None);
        }
        loop {
            let attempt = match &mut self.attempt {
                Some(attempt) => attempt,
                None => {
                    if let Some(deadline) = self.deadline() {
                        sleep_until(deadline).await;
                    }
                    self.attempt.insert((self.connect)())
                }
            };
            let connected = attempt.await;
            self.attempt = None;
            match connected {
                Ok(connection) => {
                    self.plan.connected(self.now());
                    return Ok(Some(connection));
                }
                Err(error) => self.plan.failed(self.now(), error)?,
            }
        }
    }

    /// Takes note of how the connection ended: `socket.close_code()`, or `None` if that is not known. The wait for the next
    /// one begins now.
    ///
    /// Without a call, [`Self::next`] takes the connection for lost. With one, it gives `None` after 1000, which ends what both
    /// sides wanted, and after what would end the next one in the same way: 1002, 1003, 1007, 1008, 1009 and
    /// 1010. After 1012 and 1013 it waits as [`BackoffConfig::restart`] says. What else the connection may have ended
    /// with, such as codes of the application's own, is for the application to know, which leaves its loop then.
    pub fn closed(&mut self, code: Option<CloseCode>) {
        self.plan.lost(self.now(), code);
    }

    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }

    /// When to make the next attempt; `None` if that is now.
    fn deadline(&self) -> Option<TokioInstant> {
        let wait = self.plan.next - self.now();
        if wait.is_zero() { None } else { Some(TokioInstant::now() + wait.min(LONGEST)) }
    }
}

impl<T, E> fmt::Debug for Reconnecting<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting")
            .field("is_connecting", &self.attempt.is_some())
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

async fn connect(client: Client, url: WsUrl) -> Result<WebSocket, Error> {
    client.connect(url).await
}
