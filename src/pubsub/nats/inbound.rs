//! The half that subscribes and receives, and that catches up with what was missed.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
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
use tokio::time::{sleep, timeout};

use super::super::backplane::{Arrival, Arrived, BackplaneError, Inbound, Publication};
use super::super::behind::{Behind, Caught};
use super::super::pattern::Pattern;
use super::super::position::Position;
use super::outbound::unless;
use super::stream::{Log, Read};
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
    numbered: Option<Numbered>,
}

/// What there is where the stream numbers.
struct Numbered {
    log: Arc<Log>,
    behind: Behind,
    /// The page that is being read, and of what.
    reading: Option<(Arc<str>, Reading)>,
    /// The last number that was handed out as it came.
    last: u64,
    /// The patterns with wildcards, and with which number each began.
    patterns: HashMap<Pattern, u64>,
    /// Whether all was subscribed to that was before.
    is_settled: bool,
}

type Reading = Pin<Box<dyn Future<Output = Result<Read, BackplaneError>> + Send>>;

impl NatsInbound {
    pub(super) fn new(client: Client, echo: Echo, lost: Lost, common: Arc<Common>, log: Option<Arc<Log>>) -> Self {
        let beat = beat(log.clone(), common.config.heartbeat);
        let watching = lost.clone();
        let watch = Box::pin(async move {
            match unless(watching, beat).await {
                Ok(never) => match never {},
                Err(error) => error,
            }
        });
        let numbered = log.map(|log| {
            let (behind, patterns, last) = (Behind::default(), HashMap::new(), log.begun);
            Numbered { log, behind, reading: None, last, patterns, is_settled: false }
        });
        let (pending, taken) = (VecDeque::new(), VecDeque::new());
        let (subscriptions, handles) = (SelectAll::new(), HashMap::new());
        Self { client, echo, lost, common, pending, taken, subscriptions, handles, watch, numbered }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, BackplaneError>> {
        if let Some(numbered) = self.numbered.as_mut().filter(|numbered| !numbered.is_settled) {
            numbered.is_settled = true;
            self.pending.extend(self.common.heard().settle().into_iter().map(|topic| Arrival::Gap { topic }));
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
        let Some(numbered) = &mut self.numbered else { return Poll::Pending };
        let (topic, reading) = match &mut numbered.reading {
            Some(reading) => reading,
            none => {
                let Some((topic, after)) = numbered.behind.next() else { return Poll::Pending };
                let page = page(numbered.log.clone(), topic.clone(), after, self.common.config.heartbeat);
                none.insert((topic, Box::pin(page)))
            }
        };
        let Poll::Ready(read) = reading.as_mut().poll(cx) else { return Poll::Pending };
        let topic = topic.clone();
        numbered.reading = None;
        let Read { is_complete, messages, end, page } = read?;
        let gap = || Arrival::Gap { topic: topic.clone() };
        self.pending.extend((!is_complete).then(gap));
        self.pending.extend(messages.into_iter().map(Arrival::Message));
        if numbered.behind.turn(&topic, end, page) == Caught::WithGap {
            self.pending.push_back(gap());
        }
        Poll::Ready(Ok(()))
    }

    /// What has come as an arrival; `None` if it is none of ours, or is read from the stream.
    fn take(&mut self, message: Message) -> Option<Arrival> {
        let topic = self.common.subjects.topic(&message.subject);
        let position = match &self.numbered {
            Some(numbered) => sequence(&message, &numbered.log.name).map(|sequence| Some(numbered.log.at(sequence))),
            None => Some(None),
        };
        let (Some(topic), Some(position)) = (topic, position) else {
            self.common.ignore();
            return None;
        };
        let publication = match Publication::decode(&topic, message.payload.clone()) {
            Ok(publication) => Some(publication),
            // What was too long to be published.
            Err(_) if message.payload.is_empty() => None,
            Err(_) => {
                self.common.ignore();
                return None;
            }
        };
        if let (Some(numbered), Some(position)) = (&mut self.numbered, position) {
            self.common.knows(position.sequence);
            numbered.last = numbered.last.max(position.sequence);
            if !numbered.behind.is_next(&topic, position) {
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
        let Some(numbered) = &mut self.numbered else { return Ok(None) };
        if pattern.is_exact() {
            let newest = numbered.log.newest(pattern.as_str()).await?;
            if let Some(after) = after.filter(|after| *after != newest) {
                numbered.behind.add(pattern.as_str().into(), after);
            }
            return Ok(Some(newest));
        }
        let heard = self.common.heard().of(pattern);
        let from = match heard {
            Some(_) => 0,
            None => numbered.log.check().await?.state.last_sequence,
        };
        numbered.patterns.insert(pattern.clone(), from);
        if let Some(heard) = heard {
            // What was published since, also in topics that nobody here has heard of.
            for topic in numbered.log.topics(pattern).await? {
                numbered.behind.add_of_pattern(topic.into(), heard);
            }
        }
        Ok(Some(numbered.log.at(0)))
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
        if let Some(Numbered { behind, patterns, .. }) = &mut self.numbered {
            patterns.remove(pattern);
            if pattern.is_exact() && !patterns.keys().any(|other| other.matches(pattern.as_str())) {
                behind.remove(pattern.as_str());
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }
}

impl Drop for NatsInbound {
    fn drop(&mut self) {
        let Some(numbered) = &mut self.numbered else { return };
        // What is still in the subscriptions may be older than what was handed out of another one.
        while let Some(Some(message)) = unconstrained(self.subscriptions.next()).now_or_never() {
            self.taken.push_back(message);
        }
        let pending = self.pending.iter().filter_map(|arrival| match arrival {
            Arrival::Message(arrived) => arrived.position.map(|position| position.sequence),
            Arrival::Gap { .. } => None,
        });
        let taken = self.taken.iter().filter_map(|message| sequence(message, &numbered.log.name));
        let before = pending.chain(taken).map(|sequence| sequence.saturating_sub(1));
        let lowest = before.chain(numbered.behind.lowest()).min();
        let sequence = lowest.map_or(numbered.last, |lowest| lowest.min(numbered.last));
        let patterns = numbered.patterns.drain().map(|(pattern, from)| (pattern, from.max(sequence)));
        let gaps = self.pending.iter().filter_map(|arrival| match arrival {
            Arrival::Gap { topic } => Some(topic.clone()),
            Arrival::Message(_) => None,
        });
        self.common.heard().end(numbered.log.epoch, patterns, gaps);
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

/// Looks now and then whether the stream is still the same; the client itself tries the connection.
async fn beat(log: Option<Arc<Log>>, interval: Duration) -> Result<Infallible, BackplaneError> {
    loop {
        sleep(interval).await;
        if let Some(log) = &log {
            timeout(interval, log.check()).await.map_err(BackplaneError::new)??;
        }
    }
}

/// Reads the next page of a topic that is behind.
async fn page(log: Arc<Log>, topic: Arc<str>, after: Position, most: Duration) -> Result<Read, BackplaneError> {
    timeout(most, log.read(&topic, after)).await.map_err(BackplaneError::new)?
}

/// Messages that are looked at in one poll.
const ROUNDS: usize = 64;
