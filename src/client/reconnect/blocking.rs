//! Reconnecting on threads. It waits on a condition variable, so that another thread can end it: a wait may be a minute long,
//! and a program that is told to stop has not got that.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time;

use super::{Failure, LONGEST, Plan, Retry};
use crate::client::backoff::BackoffConfig;
use crate::client::blocking::WebSocket;
use crate::client::builder::Client;
use crate::client::error::Error;
use crate::client::url::WsUrl;
use crate::close::CloseCode;
use crate::time::Instant;

/// As [`Reconnecting`](super::Reconnecting), on the thread that asks.
///
/// ```no_run
/// use sockeye::client::{BackoffConfig, Client};
///
/// let mut reconnecting = Client::new().reconnecting_blocking("wss://example.com/prices", BackoffConfig::default())?;
/// while let Some(mut socket) = reconnecting.next()? {
///     let mut talk = || {
///         socket.send("subscribe prices")?;
///         while let Some(message) = socket.receive()? {
///             println!("{message:?}");
///         }
///         Ok::<_, sockeye::Error>(())
///     };
///     if let Err(error) = talk() {
///         eprintln!("{error}");
///     }
///     reconnecting.closed(socket.close_code());
/// }
/// # Ok::<(), sockeye::client::Error>(())
/// ```
pub struct Reconnecting<T = WebSocket, E = Error> {
    connect: Box<dyn FnMut() -> Result<T, E> + Send>,
    plan: Plan<E>,
    /// What the plan's clock counts from.
    origin: time::Instant,
    stop: Stop,
}

/// Ends a [`Reconnecting`] from another thread.
///
/// ```
/// use sockeye::client::{BackoffConfig, Client};
///
/// # // Where nobody listens any more.
/// # let url = format!("ws://{}/", std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?);
/// let mut reconnecting = Client::new().reconnecting_blocking(&*url, BackoffConfig::default())?;
/// let stop = reconnecting.stop_handle();
/// std::thread::spawn(move || stop.stop());   // on a signal, say
/// while let Some(socket) = reconnecting.next()? {
///     println!("{socket:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Client {
    /// Opens connection after connection to a URL, on the thread that asks for them.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL. All else, [`Reconnecting::next`] tells.
    pub fn reconnecting_blocking<U>(&self, url: U, config: BackoffConfig) -> Result<Reconnecting, Error>
    where
        U: TryInto<WsUrl>,
        Error: From<U::Error>,
    {
        let (client, url) = (self.clone(), url.try_into()?);
        Ok(Reconnecting::with(config, move || connect(&client, url.clone())))
    }
}

impl<T, E: Failure> Reconnecting<T, E> {
    /// Connects with a closure of the caller's, which is called for each attempt.
    pub fn with(config: BackoffConfig, connect: impl FnMut() -> Result<T, E> + Send + 'static) -> Self {
        Self {
            connect: Box::new(connect),
            plan: Plan::new(config),
            origin: time::Instant::now(),
            stop: Stop::default(),
        }
    }

    /// Has a closure told before each wait: of what failed, and how long it is until the next attempt.
    #[must_use]
    pub fn on_retry(mut self, observer: impl FnMut(&Retry<'_, E>) + Send + 'static) -> Self {
        self.plan.observer = Some(Box::new(observer));
        self
    }

    /// Waits as long as it should, and connects, until that succeeds; `None` once [`Self::closed`] was told of a close that
    /// no other connection would heal, or another thread has ended it.
    ///
    /// # Errors
    ///
    /// What will not heal ([`Failure::is_permanent`]), or the last failure, when there were
    /// [`BackoffConfig::max_failures`] in a row. One that asks again after that waits and tries again.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: it is told how what it gave has ended")]
    pub fn next(&mut self) -> Result<Option<T>, E> {
        self.closed(None);
        loop {
            if self.plan.is_done || self.stop.wait(self.plan.next - self.now()) {
                return Ok(None);
            }
            match (self.connect)() {
                Ok(connection) => {
                    self.plan.connected(self.now());
                    return Ok(Some(connection));
                }
                Err(error) => self.plan.failed(self.now(), error)?,
            }
        }
    }

    /// Takes note of how the connection ended: see [`super::Reconnecting::closed`].
    pub fn closed(&mut self, code: Option<CloseCode>) {
        self.plan.lost(self.now(), code);
    }

    /// Returns what ends it from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    fn now(&self) -> Instant {
        self.origin.elapsed().into()
    }
}

impl<T, E> fmt::Debug for Reconnecting<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Stop {
    /// Ends the wait for another connection, now and for ever. An attempt that is under way is finished, and a connection
    /// that is open stays so: close it.
    pub fn stop(&self) {
        let (is_stopped, changed) = &*self.shared;
        *is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits; returns whether it is over.
    fn wait(&self, delay: Duration) -> bool {
        let (is_stopped, changed) = &*self.shared;
        let is_stopped = is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(is_stopped, delay.min(LONGEST), |is_stopped| !*is_stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn connect(client: &Client, url: WsUrl) -> Result<WebSocket, Error> {
    client.connect_blocking(url)
}
