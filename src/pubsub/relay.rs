//! The task that keeps a hub connected to its backplane.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::HashSet;

use tokio::time::{Instant, sleep};

use super::ask::Asked;
use super::backplane::{Backplane, BackplaneError, History, Inbound, Outbound, within};
use super::bridge::Queue;
use super::changes::{Change, Interest};
use super::config::BridgeConfig;
use super::hub::Hub;
use super::pattern::Pattern;

/// What joins a hub to those of other nodes, as long as [`Self::run`] is polled: make it with [`Hub::bridge`].
///
/// From then on a message that is published goes to all nodes, and what others publish comes here, for those topics and
/// patterns that somebody has subscribed to. When the bridge is dropped, the hub is by itself again.
///
/// ```
/// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, MemoryBackplane, Numbering};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let engine = MemoryBackplane::new(Numbering::Engine);
/// let nodes = [(); 2].map(|()| Hub::<()>::new(HubConfig::default()));
/// for node in &nodes {
///     tokio::spawn(node.bridge(engine.clone(), BridgeConfig::default()).run());
/// }
/// # }
/// ```
#[must_use = "a bridge does nothing unless it runs"]
pub struct Bridge<B: Backplane, S: Send + Sync + 'static = ()> {
    backplane: B,
    hub: Hub<S>,
    queue: Arc<Queue<S>>,
}

impl<S: Send + Sync + 'static> Hub<S> {
    /// Joins the hub to those of other nodes by a backplane. Spawn what [`Bridge::run`] gives. A hub has one bridge: one that it
    /// had before does nothing any more.
    ///
    /// It takes a moment to connect. Who comes back before that is told of a gap, as while the backplane is away; so a node that has been
    /// started anew should take nobody in, and publish nothing, before [`Self::bridge_up`] is ready, or before
    /// it has waited for that as long as it wants to.
    ///
    /// ```
    /// use sockeye::pubsub::{BridgeConfig, Hub, HubConfig, MemoryBackplane, Numbering};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let engine = MemoryBackplane::new(Numbering::Engine);   // or one for Redis or NATS
    /// let hub = Hub::<()>::new(HubConfig::default());
    /// tokio::spawn(hub.bridge(engine, BridgeConfig::default()).run());
    /// # }
    /// ```
    pub fn bridge<B: Backplane>(&self, backplane: B, config: BridgeConfig) -> Bridge<B, S> {
        let queue = Arc::new(Queue::new(backplane.numbering(), config));
        self.shared.set_bridge(Some(queue.clone()));
        Bridge { backplane, hub: self.clone(), queue }
    }
}

impl<B: Backplane, S: Send + Sync + 'static> Bridge<B, S> {
    /// Keeps the hub connected: does not end. Within a runtime of tokio whose time driver is enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the bridge. What waited to be published to other nodes is lost.
    pub async fn run(self) {
        let mut wait = Duration::ZERO;
        let mut was_up = false;
        loop {
            let error = match limited(&self.queue, self.backplane.connect()).await {
                Ok((outbound, inbound)) => {
                    let begun = Instant::now();
                    let error = self.serve(outbound, inbound, core::mem::replace(&mut was_up, true)).await;
                    // One that takes connections and does nothing with them is no better than one that is away.
                    if begun.elapsed() > wait {
                        wait = Duration::ZERO;
                    }
                    error
                }
                Err(error) => error,
            };
            self.queue.down(&self.hub.shared, &error);
            let BridgeConfig { backoff, max_backoff, .. } = *self.queue.config();
            wait = (wait * 2).clamp(backoff.min(max_backoff), max_backoff);
            // A random part of it, so that the nodes do not all come at once.
            sleep(wait.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
        }
    }

    /// Serves a connection until it fails.
    async fn serve(&self, outbound: B::Outbound, inbound: B::Inbound, was_up: bool) -> BackplaneError {
        // What was to be done on a connection that is gone is in what is wanted now, but for the questions.
        let changes = self.queue.up();
        let interests = self.hub.shared.interests();
        if was_up {
            self.queue.tell_gaps(&self.hub.shared);
        }
        for change in changes {
            if let Change::Ask(ask) = change {
                let unasked = self.queue.ask(ask);
                unasked.into_iter().for_each(|ask| ask.answer(&self.hub.shared, History::default()));
            }
        }
        let inbound = self.serve_inbound(inbound, interests);
        let outbound = self.serve_outbound(outbound);
        match race(inbound, outbound).await {
            Either::Left(Err(error)) | Either::Right(Err(error)) => error,
            Either::Left(Ok(never)) | Either::Right(Ok(never)) => match never {},
        }
    }

    /// Keeps what is wanted up to date, and delivers what comes.
    async fn serve_inbound(
        &self,
        mut inbound: B::Inbound,
        interests: Vec<Interest>,
    ) -> Result<Infallible, BackplaneError> {
        let mut wanted = HashSet::new();
        for interest in interests {
            self.want(&mut inbound, &mut wanted, interest).await?;
        }
        loop {
            while let Some(change) = self.queue.next_change() {
                match change {
                    Change::Interest(interest) => self.want(&mut inbound, &mut wanted, interest).await?,
                    Change::Renew => self.renew(&mut inbound, &mut wanted).await?,
                    Change::Ask(ask) => self.queue.pass_on(ask),
                }
            }
            match race(self.queue.inbound.notified(), inbound.receive()).await {
                Either::Left(()) => {}
                Either::Right(arrival) => self.queue.arrive(&self.hub.shared, arrival?),
            }
        }
    }

    /// Asks for what is wanted now, and for nothing else.
    async fn renew(&self, inbound: &mut B::Inbound, wanted: &mut HashSet<Pattern>) -> Result<(), BackplaneError> {
        let interests = self.hub.shared.interests();
        // What has not been heard may have vanished and come back: it is to be told anew where it stands.
        let is_kept = |interest: &&Interest| interest.after.is_some() || !interest.pattern.is_exact();
        let kept: HashSet<_> = interests.iter().filter(is_kept).map(|interest| interest.pattern.clone()).collect();
        let over: Vec<_> = wanted.iter().filter(|pattern| !kept.contains(*pattern)).cloned().collect();
        for pattern in over {
            self.want(inbound, wanted, Interest { pattern, after: None, is_wanted: false }).await?;
        }
        for interest in interests {
            self.want(inbound, wanted, interest).await?;
        }
        Ok(())
    }

    /// Subscribes, or does so no more, if that changes anything.
    async fn want(
        &self,
        inbound: &mut B::Inbound,
        wanted: &mut HashSet<Pattern>,
        interest: Interest,
    ) -> Result<(), BackplaneError> {
        let Interest { pattern, after, is_wanted } = interest;
        if is_wanted && wanted.insert(pattern.clone()) {
            let newest = limited(&self.queue, inbound.subscribe(&pattern, after)).await?;
            self.queue.begin(&self.hub.shared, &pattern, newest);
        } else if !is_wanted && wanted.remove(&pattern) {
            limited(&self.queue, inbound.unsubscribe(&pattern)).await?;
        }
        Ok(())
    }

    /// Publishes what waits, and asks what is asked.
    async fn serve_outbound(&self, mut outbound: B::Outbound) -> Result<Infallible, BackplaneError> {
        loop {
            let batch = self.queue.batch();
            if !batch.is_empty() {
                limited(&self.queue, outbound.publish(&batch)).await?;
                self.queue.published(batch.len());
            }
            let ask = self.queue.next_ask();
            if let Some(ask) = ask {
                if ask.is_over() {
                    continue;
                }
                let (topic, after, limit) = (ask.topic.name.clone(), ask.after(), ask.limit(&self.hub.shared));
                let asked = Asked::new(ask, &self.hub.shared);
                let history = limited(&self.queue, outbound.history(&topic, after, limit)).await?;
                asked.answer(history);
            } else if batch.is_empty() {
                self.queue.outbound.notified().await;
            }
        }
    }
}

impl<B: Backplane, S: Send + Sync + 'static> Drop for Bridge<B, S> {
    fn drop(&mut self) {
        self.hub.shared.unset_bridge(&self.queue);
        self.queue.down(&self.hub.shared, &BackplaneError::new("the bridge was dropped"));
    }
}

impl<B: Backplane, S: Send + Sync + 'static> fmt::Debug for Bridge<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("status", &self.queue.status()).finish_non_exhaustive()
    }
}

/// What was first of two.
enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Waits for the first of two futures, and drops the other.
async fn race<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> Either<A, B> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(a) = a.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(a));
        }
        b.as_mut().poll(cx).map(Either::Right)
    })
    .await
}

/// Gives a call to the engine so much time and no more.
async fn limited<T, S>(
    queue: &Queue<S>,
    call: impl Future<Output = Result<T, BackplaneError>>,
) -> Result<T, BackplaneError> {
    within(queue.config().timeout, call).await
}
