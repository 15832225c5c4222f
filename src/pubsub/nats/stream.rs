//! The stream of JetStream that numbers messages and keeps them.
//!
//! All that goes from it goes from its front, oldest first, either of all topics (by age) or of one (by number). From that follows what is
//! missing: nothing of a topic, from its oldest message on.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, Republish, StorageType, Stream,
};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use super::super::backplane::{Arrived, BackplaneError, History, Publication};
use super::super::behind::Page;
use super::super::catch_up::{PAGE, Read};
use super::super::knowledge::Known;
use super::super::pattern::Pattern;
use super::super::position::Position;
use super::{Common, began_anew, failed};

/// The stream, as a connection knows it.
pub(super) struct Log {
    pub(super) context: Context,
    pub(super) name: String,
    stream: Stream,
    common: Arc<Common>,
    pub(super) epoch: u64,
    /// How far it had counted when the connection began.
    pub(super) begun: u64,
}

/// What there is behind a position.
struct Rest {
    subject: String,
    /// The number of the position, or 0 if it is none that is known.
    from: u64,
    /// The number of the first message behind it.
    next: Option<u64>,
    /// Whether nothing is missing between the position and that.
    is_complete: bool,
    /// The last number of the stream.
    last: u64,
}

type Consumer = consumer::Consumer<pull::Config>;

impl Log {
    /// Makes the stream if it is not there, and looks whether it has lost something.
    pub(super) async fn open(client: &Client, common: Arc<Common>) -> Result<Self, BackplaneError> {
        let context = jetstream::new(client.clone());
        let wanted = wanted(&common);
        let name = wanted.name.clone();
        let stream = match context.get_stream(&name).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
                context.get_or_create_stream(wanted.clone()).await.map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        let info = stream.cached_info();
        let is = &info.config;
        let carries_all = is.subjects == wanted.subjects && is.republish == wanted.republish;
        let keeps_all = is.max_messages_per_subject == wanted.max_messages_per_subject && is.max_age == wanted.max_age;
        if !carries_all || !keeps_all {
            let description = is.description.clone();
            context.update_stream(Config { description, ..wanted.clone() }).await.map_err(failed)?;
        }
        let (mut epoch, begun) = (epoch_of(info), info.state.last_sequence);
        let known = *common.knowledge.known();
        if known.epoch == Some(epoch) && known.last > begun {
            // All who see it on this run of the server choose the same.
            epoch = mix(epoch, client.server_info().server_id.as_bytes());
            let description = Some(format!("{EPOCH}{epoch:x}"));
            context.update_stream(Config { description, ..wanted }).await.map_err(failed)?;
        }
        *common.knowledge.known() = Known { epoch: Some(epoch), last: begun };
        Ok(Self { context, name, stream, common, epoch, begun })
    }

    /// The newest message of a topic; where there is none, where the stream stands.
    pub(super) async fn newest(&self, topic: &str) -> Result<Position, BackplaneError> {
        // In this order: what is published in between is seen by the second.
        let last = self.check().await?.state.last_sequence;
        let sequence = match self.stream.get_last_raw_message_by_subject(&self.subject(topic)).await {
            Ok(message) => message.sequence,
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => last,
            Err(error) => return Err(failed(error)),
        };
        Ok(self.at(sequence))
    }

    /// Looks whether the stream is still the same.
    pub(super) async fn check(&self) -> Result<Info, BackplaneError> {
        // Before the server is asked: the other half hears of newer messages meanwhile, which its answer does not count.
        let known = *self.common.knowledge.known();
        let info = self.stream.get_info().await.map_err(failed)?;
        if epoch_of(&info) != self.epoch || (known.epoch == Some(self.epoch) && info.state.last_sequence < known.last) {
            return Err(began_anew());
        }
        Ok(info)
    }

    /// Reads a page of what a topic has behind a position.
    pub(super) async fn read(&self, topic: &str, after: Position) -> Result<Read, BackplaneError> {
        let Rest { subject, from, next, mut is_complete, .. } = self.rest(topic, after).await?;
        let Some(next) = next else {
            return Ok(Read { is_complete, messages: Vec::new(), end: self.at(from), page: Page::Last });
        };
        let consumer = self.consume(&subject, next).await?;
        let page = fetch(&consumer).await?;
        self.let_go(&consumer).await;
        let end = page.last().map_or(next, |(sequence, _)| *sequence);
        let (len, mut messages) = (page.len(), Vec::new());
        is_complete &= self.take(topic, page, &mut messages);
        let page = if len < PAGE { Page::Last } else { Page::More };
        Ok(Read { is_complete, messages, end: self.at(end), page })
    }

    /// Reads the newest messages that a topic has behind a position, so many at most, and hardly more of it than that.
    pub(super) async fn history(&self, topic: &str, after: Position, limit: usize) -> Result<History, BackplaneError> {
        let Rest { subject, next, mut is_complete, last, .. } = self.rest(topic, after).await?;
        let Some(next) = next else { return Ok(History { messages: Vec::new(), is_complete }) };
        let (consumer, begin) = self.consume_newest(&subject, next, last, limit).await?;
        is_complete &= begin == next;
        let mut messages = Vec::new();
        loop {
            let page = fetch(&consumer).await?;
            // What is published meanwhile comes as it is.
            let is_last = page.len() < PAGE || page.last().is_some_and(|(sequence, _)| *sequence >= last);
            is_complete &= self.take(topic, page, &mut messages);
            let over = messages.len().saturating_sub(limit);
            is_complete &= over == 0;
            messages.drain(..over);
            if is_last {
                break;
            }
        }
        self.let_go(&consumer).await;
        Ok(History { messages, is_complete })
    }

    /// How a topic stands to a position.
    async fn rest(&self, topic: &str, after: Position) -> Result<Rest, BackplaneError> {
        let subject = self.subject(topic);
        let state = self.check().await?.state;
        let last = state.last_sequence;
        let is_known = after.epoch == self.epoch && after.sequence <= last;
        let from = if is_known { after.sequence } else { 0 };
        let reaches_back = state.first_sequence <= from + 1;
        let Some(next) = self.first(&subject, from + 1).await? else {
            return Ok(Rest { subject, from, next: None, is_complete: is_known && reaches_back, last });
        };
        let is_complete = is_known
            && (self.first(&subject, 1).await?.is_some_and(|oldest| oldest <= from)
                || (reaches_back && self.count(&subject).await? < most(&self.common)));
        Ok(Rest { subject, from, next: Some(next), is_complete, last })
    }

    /// Adds what was read to the messages. `false` if one of them is one that was too long to be published.
    fn take(&self, topic: &str, page: Vec<(u64, Bytes)>, messages: &mut Vec<Arrived>) -> bool {
        let name: Arc<str> = topic.into();
        let mut is_whole = true;
        for (sequence, payload) in page {
            is_whole &= !payload.is_empty();
            match Publication::decode(topic, payload) {
                Ok(publication) => {
                    let publication = Publication { topic: name.clone(), ..publication };
                    messages.push(Arrived { publication, position: Some(self.at(sequence)) });
                }
                Err(_) => self.common.knowledge.ignore(),
            }
        }
        is_whole
    }

    /// The topics that have messages and that a pattern matches.
    pub(super) async fn topics(&self, pattern: &Pattern) -> Result<Vec<String>, BackplaneError> {
        let mut topics = Vec::new();
        for subject in self.common.subjects.stored(pattern) {
            let mut subjects = self.stream.info_with_subjects(subject).await.map_err(failed)?;
            while let Some((subject, _)) = subjects.try_next().await.map_err(failed)? {
                topics.extend(self.common.subjects.stored_topic(&subject));
            }
        }
        Ok(topics)
    }

    /// A consumer of a subject's messages from a number on.
    async fn consume(&self, subject: &str, from: u64) -> Result<Consumer, BackplaneError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
            ack_policy: AckPolicy::None,
            filter_subject: subject.to_string(),
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        self.stream.create_consumer(config).await.map_err(failed)
    }

    /// A consumer of a subject's newest messages between two numbers, so many or a few more, and with which number it begins.
    ///
    /// The server has no name for that place. But it says how many messages are before a new consumer, so the place is guessed
    /// from how many there are between two that are known, and every other time half-way, so that it is found soon however
    /// they lie.
    async fn consume_newest(
        &self,
        subject: &str,
        first: u64,
        last: u64,
        limit: usize,
    ) -> Result<(Consumer, u64), BackplaneError> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let enough = limit.saturating_add((limit / 4).max(FEW));
        let (mut begin, mut consumer) = (first, self.consume(subject, first).await?);
        // From here on there are too few.
        let (mut end, mut behind_end) = (last.saturating_add(1), 0);
        let mut is_half = false;
        while pending(&consumer) > enough && end - begin > 1 {
            let (range, messages) = (end - begin, pending(&consumer).saturating_sub(behind_end).max(1));
            let wanted = limit.saturating_add(FEW / 2).saturating_sub(behind_end);
            let guess = u128::from(range) * u128::from(wanted) / u128::from(messages);
            let back = if is_half { range / 2 } else { u64::try_from(guess).unwrap_or(range) };
            is_half = !is_half;
            let middle = end - back.clamp(1, range - 1);
            let other = self.consume(subject, middle).await?;
            let count = pending(&other);
            if count >= limit {
                self.let_go(&core::mem::replace(&mut consumer, other)).await;
                begin = middle;
            } else {
                self.let_go(&other).await;
                (end, behind_end) = (middle, count);
            }
        }
        Ok((consumer, begin))
    }

    /// Deletes a consumer. If it stays, it goes when nobody asks it for a while.
    async fn let_go(&self, consumer: &Consumer) {
        let _ = self.stream.delete_consumer(&consumer.cached_info().name).await;
    }

    /// The number of the first message of a subject, from a number on.
    async fn first(&self, subject: &str, from: u64) -> Result<Option<u64>, BackplaneError> {
        match self.stream.get_first_raw_message_by_subject(subject, from).await {
            Ok(message) => Ok(Some(message.sequence)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// How many messages of a subject there are.
    async fn count(&self, subject: &str) -> Result<i64, BackplaneError> {
        let mut subjects = self.stream.info_with_subjects(subject).await.map_err(failed)?;
        let first = subjects.try_next().await.map_err(failed)?;
        Ok(first.map_or(0, |(_, count)| i64::try_from(count).unwrap_or(i64::MAX)))
    }

    fn subject(&self, topic: &str) -> String {
        self.common.subjects.publish(topic)
    }

    pub(super) fn at(&self, sequence: u64) -> Position {
        Position { epoch: self.epoch, sequence }
    }
}

/// How many messages a consumer had before it when it was made.
fn pending(consumer: &Consumer) -> u64 {
    consumer.cached_info().num_pending
}

/// The next messages of a consumer, with their numbers.
async fn fetch(consumer: &Consumer) -> Result<Vec<(u64, Bytes)>, BackplaneError> {
    let mut batch = consumer.fetch().max_messages(PAGE).messages().await.map_err(failed)?;
    let mut messages = Vec::new();
    while let Some(message) = batch.next().await {
        let message = message.map_err(BackplaneError::new)?;
        let sequence = message.info().map_err(BackplaneError::new)?.stream_sequence;
        messages.push((sequence, message.message.payload));
    }
    Ok(messages)
}

fn wanted(common: &Common) -> Config {
    let Common { config, subjects, .. } = common;
    Config {
        name: config.prefix.clone(),
        subjects: [subjects.all_published()].into(),
        max_messages_per_subject: most(common),
        max_age: config.retention,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: config.replicas.max(1),
        duplicate_window: config.retention.min(Duration::from_secs(120)),
        republish: Some(Republish {
            source: subjects.all_published(),
            destination: subjects.all_subscribed(),
            headers_only: false,
        }),
        ..Config::default()
    }
}

/// One more than is asked for: who has the one before the history misses nothing, and that can be seen.
fn most(common: &Common) -> i64 {
    i64::from(common.config.history) + 1
}

/// When the stream was made, or what was chosen since because it had lost something.
fn epoch_of(info: &Info) -> u64 {
    let chosen = info.config.description.as_deref().and_then(|text| text.strip_prefix(EPOCH));
    let chosen = chosen.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    chosen.unwrap_or_else(|| mix(FIRST, &info.created.unix_timestamp_nanos().to_be_bytes()))
}

/// A number that follows from another and some bytes, the same on all nodes (FNV-1a).
fn mix(from: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(from, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

const FIRST: u64 = 0xcbf2_9ce4_8422_2325;

/// What is before the epoch in the stream's description.
const EPOCH: &str = "sockeye epoch ";

/// So many messages more than are wanted are read rather than looked for.
const FEW: u64 = 8;
