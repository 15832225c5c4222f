//! The half that subscribes and receives, and that catches up with what was missed.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::HashMap;

use async_nats::header::{NATS_SEQUENCE, NATS_STREAM};
use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, FutureExt};
use futures_util::stream::{Abortable, SelectAll, abortable};
use tokio::task::unconstrained;

use super::super::backplane::{Arrival, Arrived, BackplaneError, Inbound, Publication, within};
use super::super::catch_up::{CatchUp, ROUNDS, Read, beat};
use super::super::pattern::Pattern;
use super::super::position::Position;
use super::outbound::unless;
use super::stream::Log;
use super::{Common, Echo, Lost, failed};

/// The half of a connection to a [`NatsBackplane`](super::NatsBackplane) that subscribes and receives.
pub struct NatsInbound {
    client: Client,
    echo: Echo,
    lost: Lost,
    common: Arc<Common>,
    /// What has come and goes before what is still to be taken.
    pending: VecDeque<Arrival>,
    /// What was taken out of the subscriptions, which came before others were made.
    taken: VecDeque<Message>,
    subscriptions: SelectAll<Abortable<Subscriber>>,
    handles: HashMap<Pattern, Vec<AbortHandle>>,
    /// Ends when the connection is lost.
    watch: Pin<Box<dyn Future<Output = BackplaneError> + Send>>,
    /// Where the stream numbers.
    numbered: Option<Numbered>,
}

/// What there is where the stream numbers.
struct Numbered {
    log: Arc<Log>,
    catch_up: CatchUp,
}

impl NatsInbound {
    pub(super) fn new(client: Client, echo: Echo, lost: Lost, common: Arc<Common>, log: Option<Arc<Log>>) -> Self {
        let looked_at = log.clone();
        // The client itself tries the connection.
        let beat = beat(common.config.heartbeat, move || look(looked_at.clone()));
        let watching = lost.clone();
        let watch = Box::pin(async move {
            match unless(watching, beat).await {
                Ok(never) => match never {},
                Err(error) => error,
            }
        });
        let numbered = log.map(|log| Numbered { catch_up: CatchUp::new(log.at(log.begun)), log });
        let (pending, taken) = (VecDeque::new(), VecDeque::new());
        let (subscriptions, handles) = (SelectAll::new(), HashMap::new());
        Self { client, echo, lost, common, pending, taken, subscriptions, handles, watch, numbered }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, BackplaneError>> {
        if let Some(numbered) = &mut self.numbered {
            numbered.catch_up.settle(&self.common.knowledge, &mut self.pending);
        }
        for _ in 0..ROUNDS {
            if let Some(arrival) = self.pending.pop_front() {
                return Poll::Ready(Ok(arrival));
            }
            if let Poll::Ready(error) = self.watch.as_mut().poll(cx) {
                return Poll::Ready(Err(error));
            }
            if self.poll_read(cx)?.is_ready() {
                continue;
            }
            let message = match self.taken.pop_front() {
                Some(message) => message,
                None => match self.subscriptions.poll_next_unpin(cx) {
                    Poll::Ready(Some(message)) => message,
                    // Nothing is subscribed to.
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                },
            };
            if let Some(arrival) = self.take(message) {
                return Poll::Ready(Ok(arrival));
            }
        }
        // Much that is not for us must not keep the thread from others.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads on where a topic is behind; ready when a page was read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BackplaneError>> {
        let Some(Numbered { log, catch_up }) = &mut self.numbered else { return Poll::Pending };
        let heartbeat = self.common.config.heartbeat;
        catch_up.poll_read(cx, &mut self.pending, |topic, after| Box::pin(page(log.clone(), topic, after, heartbeat)))
    }

    /// What has come as an arrival; `None` if it is none of ours, or is read from the stream.
    fn take(&mut self, message: Message) -> Option<Arrival> {
        let topic = self.common.subjects.topic(&message.subject);
        let position = match &self.numbered {
            Some(numbered) => sequence(&message, &numbered.log.name).map(|sequence| Some(numbered.log.at(sequence))),
            None => Some(None),
        };
        let (Some(topic), Some(position)) = (topic, position) else {
            self.common.knowledge.ignore();
            return None;
        };
        let publication = match Publication::decode(&topic, message.payload.clone()) {
            Ok(publication) => Some(publication),
            // What was too long to be published.
            Err(_) if message.payload.is_empty() => None,
            Err(_) => {
                self.common.knowledge.ignore();
                return None;
            }
        };
        if let (Some(numbered), Some(position)) = (&mut self.numbered, position) {
            if !numbered.catch_up.is_next(&self.common.knowledge, &topic, position) {
                return None;
            }
        }
        Some(match publication {
            Some(publication) => Arrival::Message(Arrived { publication, position }),
            None => Arrival::Gap { topic: topic.into() },
        })
    }

    /// Subscribes, and takes what has come before out of the other subscriptions: what they have of the same topic is older than
    /// what the new ones will have.
    async fn listen(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        let mut made = Vec::new();
        for subject in self.common.subjects.subscribe(pattern) {
            made.push(self.client.subscribe(subject).await.map_err(failed)?);
        }
        self.echo.round_trip().await?;
        while let Some(Some(message)) = unconstrained(self.subscriptions.next()).now_or_never() {
            self.taken.push_back(message);
        }
        for subscriber in made {
            let (subscription, handle) = abortable(subscriber);
            self.subscriptions.push(subscription);
            self.handles.entry(pattern.clone()).or_default().push(handle);
        }
        Ok(())
    }

    async fn subscribe_to(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        self.listen(pattern).await?;
        let Some(Numbered { log, catch_up }) = &mut self.numbered else { return Ok(None) };
        if pattern.is_exact() {
            let newest = log.newest(pattern.as_str()).await?;
            if let Some(after) = after.filter(|after| *after != newest) {
                catch_up.add_topic(pattern.as_str(), after);
            }
            return Ok(Some(newest));
        }
        let heard = self.common.knowledge.heard().of(pattern);
        let begin = log.check().await?.state.last_sequence;
        // What was published since, also in topics that nobody here has heard of.
        let topics = if heard.is_some() { log.topics(pattern).await? } else { Vec::new() };
        catch_up.add_pattern(pattern, begin, heard, topics.into_iter().map(Arc::from));
        Ok(Some(log.at(0)))
    }
}

impl Inbound for NatsInbound {
    async fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        unless(self.lost.clone(), self.subscribe_to(pattern, after)).await
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        self.lost.check()?;
        // The streams end, and are dropped, which unsubscribes.
        self.handles.remove(pattern).into_iter().flatten().for_each(|handle| handle.abort());
        if let Some(numbered) = &mut self.numbered {
            numbered.catch_up.remove(pattern);
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }
}

impl Drop for NatsInbound {
    fn drop(&mut self) {
        let Some(Numbered { log, catch_up }) = &mut self.numbered else { return };
        // What is still in the subscriptions may be older than what was handed out of another one.
        while let Some(Some(message)) = unconstrained(self.subscriptions.next()).now_or_never() {
            self.taken.push_back(message);
        }
        let taken = self.taken.iter().filter_map(|message| sequence(message, &log.name));
        catch_up.end(&self.common.knowledge, &mut self.pending, taken);
    }
}

impl fmt::Debug for NatsInbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsInbound").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// The number that the stream of this name gave a message.
fn sequence(message: &Message, stream: &str) -> Option<u64> {
    let headers = message.headers.as_ref()?;
    if headers.get(NATS_STREAM)?.as_str() != stream {
        return None;
    }
    headers.get(NATS_SEQUENCE)?.as_str().parse().ok()
}

/// Looks whether the stream is still the same.
async fn look(log: Option<Arc<Log>>) -> Result<(), BackplaneError> {
    match log {
        Some(log) => log.check().await.map(drop),
        None => Ok(()),
    }
}

/// Reads the next page of a topic that is behind.
async fn page(log: Arc<Log>, topic: Arc<str>, after: Position, most: Duration) -> Result<Read, BackplaneError> {
    within(most, log.read(&topic, after)).await
}
