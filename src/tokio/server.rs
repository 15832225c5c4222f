//! A server around the acceptor: the loop that takes connections in, a task for each, and an end that hurts nobody.

use alloc::sync::Arc;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use ::tokio::sync::Notify;
use ::tokio::task::JoinSet;
use ::tokio::time::{sleep, timeout};

use super::{Accepting, Acceptor, Error, Timer};
use crate::driver::{Drain, Drained, Gate, Limits};

/// Takes in connections over TCP, each in a task of its own, until it is told to shut down.
///
/// ```
/// use sockeye::driver::Drain;
/// use sockeye::tokio::Server;
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let server = Server::bind("127.0.0.1:0").await?;
///     let (address, handle) = (server.local_addr()?, server.handle());
///     let serving = tokio::spawn(server.run(|accepting, _peer| async move {
///         let mut socket = accepting.accept().await?;
///         while let Some(message) = socket.receive().await? {
///             socket.send(message).await?;
///         }
///         Ok(())
///     }));
///
///     let mut client = sockeye::tokio::connect(&format!("ws://{address}/")).await?;
///     client.send("hello").await?;
///     assert_eq!(client.receive().await?, Some("hello".into()));
///
///     let stopping = tokio::spawn(async move { handle.shutdown(Drain::default()).await });   // on a signal, say
///     assert_eq!(client.receive().await?, None);
///     assert_eq!(client.close_code(), Some(sockeye::CloseCode::GOING_AWAY));
///     assert_eq!(stopping.await?.aborted, 0);
///     serving.await??;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    acceptor: Acceptor,
    handle: ServerHandle,
    log: Log,
}

/// What sees the errors.
#[derive(Clone)]
struct Log(Arc<dyn Fn(SocketAddr, Error) + Send + Sync>);

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Stops a [`Server`], and tells how many are on it. Clones are for the same server.
///
/// ```
/// use sockeye::driver::Drain;
/// use sockeye::tokio::Server;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:0").await?;
/// let handle = server.handle();
/// let running = tokio::spawn(server.run(|accepting, _peer| async move {
///     let _socket = accepting.accept().await?;
///     Ok(())
/// }));
/// assert_eq!(handle.connections(), 0);
/// handle.shutdown(Drain::default()).await;
/// running.await?
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gate: Mutex<Gate>,
    /// Told once nobody is to be taken in any more, and once everybody is gone or was aborted.
    stop: Notify,
    over: Notify,
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::new(TcpListener::bind(address).await?))
    }

    /// Makes a server of a listener, with the default limits and deadlines.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        let log = Log(Arc::new(|_, _| ()));
        let handle = ServerHandle::new(Gate::default());
        let mut acceptor = Acceptor::default();
        acceptor.gate = Some(handle.gate());
        Self { listener, acceptor, handle, log }
    }

    /// Accepts connections with the limits, deadlines and origins of this acceptor, and with its gate if it has one.
    #[must_use]
    pub fn with_acceptor(mut self, acceptor: Acceptor) -> Self {
        if let Some(gate) = acceptor.gate.clone() {
            *self.handle.shared.gate() = gate;
        }
        self.acceptor = acceptor;
        self.acceptor.gate = Some(self.handle.gate());
        self
    }

    /// Limits how many may be in.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.handle.gate().set_limits(limits);
        self
    }

    /// Lets `log` see what went wrong on each connection that ended with an error, and from where it came; handshakes that
    /// were refused among them, and not those that only found no one to send to ([`Error::is_closed`]).
    #[must_use]
    pub fn on_error(mut self, log: impl Fn(SocketAddr, Error) + Send + Sync + 'static) -> Self {
        self.log = Log(Arc::new(log));
        self
    }

    /// Returns the address that the server listens on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns a handle to stop the server.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until it is told to [shut down](ServerHandle::shutdown): `handler` gets each opening handshake that has begun and
    /// the address that it comes from, answers it and serves the connection. What goes wrong on a connection ends that one
    /// only; [`Self::on_error`] sees it.
    ///
    /// `TCP_NODELAY` is set. Errors of taking a connection in, such as too few file descriptors, are waited out.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts every connection.
    pub async fn run<H, F>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Accepting<TcpStream>, SocketAddr) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let acceptor = self.acceptor.clone();
        self.serve(move |stream, peer| {
            // Whoever is not let in is told so by this, too.
            let accepting = acceptor.start_from(stream, Some(peer.ip()));
            handler(accepting, peer)
        })
        .await
    }

    /// As [`Self::run`], over what `wrap` makes of each stream, such as TLS; within the time of the opening handshake.
    ///
    /// Whoever is not let in is told so by the end of the stream, because there is no TLS yet to say it over.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts every connection.
    pub async fn run_over<S, W, WF, H, F>(self, wrap: W, handler: H) -> io::Result<()>
    where
        S: ::tokio::io::AsyncRead + ::tokio::io::AsyncWrite + Unpin + Send + 'static,
        W: Fn(TcpStream) -> WF + Send + Sync + 'static,
        WF: Future<Output = io::Result<S>> + Send + 'static,
        H: Fn(Accepting<S>, SocketAddr) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let acceptor = self.acceptor.clone();
        let gate = self.handle.gate();
        let both = Arc::new((wrap, handler));
        self.serve(move |stream, peer| {
            let (acceptor, both, admitted) = (acceptor.clone(), both.clone(), gate.admit(Some(peer.ip())));
            async move {
                let seat = admitted.map_err(|rejection| Error::Rejected(Box::new(rejection)))?;
                let (wrap, handler) = &*both;
                let wrapping = wrap(stream);
                let stream = match acceptor.handshake.timeout {
                    Some(limit) => timeout(limit, wrapping).await.map_err(io::Error::from)??,
                    None => wrapping.await?,
                };
                handler(acceptor.start_seated(stream, seat), peer).await
            }
        })
        .await
    }

    /// The loop: takes connections in and lets `begin` make a task of each.
    async fn serve<B, F>(self, begin: B) -> io::Result<()>
    where
        B: Fn(TcpStream, SocketAddr) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let Self { listener, handle, log, .. } = self;
        let mut tasks = JoinSet::new();
        let mut stopped = pin!(handle.shared.stop.notified());
        loop {
            let taken = poll_fn(|cx| {
                while let Poll::Ready(Some(_)) = tasks.poll_join_next(cx) {}
                match stopped.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(None),
                    Poll::Pending => listener.poll_accept(cx).map(Some),
                }
            })
            .await;
            match taken {
                None => break,
                Some(Ok((stream, peer))) => {
                    // A stream on which this fails will fail the handshake, too.
                    let _ = stream.set_nodelay(true);
                    // Boxed, for a future is copied into one that waits for it.
                    let (serving, log) = (Box::pin(begin(stream, peer)), log.clone());
                    tasks.spawn(async move {
                        match serving.await {
                            Err(error) if !error.is_closed() => (log.0)(peer, error),
                            Ok(()) | Err(_) => {}
                        }
                    });
                }
                // Nothing is gained by asking again at once: the next one waits for the same file descriptor.
                Some(Err(_)) => sleep(PAUSE).await,
            }
        }
        drop(listener);
        let mut over = pin!(handle.shared.over.notified());
        poll_fn(|cx| {
            while let Poll::Ready(Some(_)) = tasks.poll_join_next(cx) {}
            if tasks.is_empty() { Poll::Ready(()) } else { over.as_mut().poll(cx) }
        })
        .await;
        // A task that does not look at its connection did not learn that it was aborted.
        tasks.shutdown().await;
        Ok(())
    }
}

impl ServerHandle {
    fn new(gate: Gate) -> Self {
        let shared = Shared { gate: Mutex::new(gate), stop: Notify::new(), over: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Shuts the server down: takes nobody in any more, answers handshakes in progress with 503, closes the connections as
    /// `drain` says, and aborts those that are left when time is up. Then [`Server::run`] returns.
    ///
    /// # Cancel safety
    ///
    /// Who was told to close stays told; another call goes on with the others.
    pub async fn shutdown(&self, drain: Drain) -> Drained {
        self.shared.stop.notify_one();
        let gate = self.gate();
        let drained = gate.drain(Timer::default(), drain).await;
        self.shared.over.notify_one();
        drained
    }

    /// Returns how many are in, those in their opening handshake among them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.gate().connections()
    }

    /// Returns the gate of the server.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.shared.gate().clone()
    }
}

/// The pause after taking a connection in has failed.
const PAUSE: Duration = Duration::from_millis(100);
