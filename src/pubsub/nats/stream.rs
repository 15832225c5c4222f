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
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, Republish, StorageType, Stream,
};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use super::super::backplane::{Arrived, BackplaneError, Publication};
use super::super::behind::Page;
use super::super::pattern::Pattern;
use super::super::position::Position;
use super::{Common, Known, failed};

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

/// What was read.
pub(super) struct Read {
    /// Whether nothing is missing behind the position.
    pub(super) is_complete: bool,
    pub(super) messages: Vec<Arrived>,
    /// Where it ended.
    pub(super) end: Position,
    pub(super) page: Page,
}

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
        if is.max_messages_per_subject != wanted.max_messages_per_subject || is.max_age != wanted.max_age {
            let description = is.description.clone();
            context.update_stream(Config { description, ..wanted.clone() }).await.map_err(failed)?;
        }
        let (mut epoch, begun) = (epoch_of(info), info.state.last_sequence);
        let known = *common.known();
        if known.epoch == epoch && known.last > begun {
            // All who see it on this run of the server choose the same.
            epoch = mix(epoch, client.server_info().server_id.as_bytes());
            let description = Some(format!("{EPOCH}{epoch:x}"));
            context.update_stream(Config { description, ..wanted }).await.map_err(failed)?;
        }
        *common.known() = Known { epoch, last: begun };
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
        let info = self.stream.get_info().await.map_err(failed)?;
        let known = *self.common.known();
        if epoch_of(&info) != self.epoch || (known.epoch == self.epoch && info.state.last_sequence < known.last) {
            return Err(BackplaneError::new("the stream has begun to count anew"));
        }
        Ok(info)
    }

    /// Reads a page of what a topic has behind a position.
    pub(super) async fn read(&self, topic: &str, after: Position) -> Result<Read, BackplaneError> {
        let subject = self.subject(topic);
        let state = self.check().await?.state;
        let is_known = after.epoch == self.epoch && after.sequence <= state.last_sequence;
        let from = if is_known { after.sequence } else { 0 };
        let reaches_back = state.first_sequence <= from + 1;
        let Some(next) = self.first(&subject, from + 1).await? else {
            let (is_complete, messages, end) = (is_known && reaches_back, Vec::new(), self.at(from));
            return Ok(Read { is_complete, messages, end, page: Page::Last });
        };
        let mut is_complete = is_known
            && (self.first(&subject, 1).await?.is_some_and(|oldest| oldest <= from)
                || (reaches_back && self.count(&subject).await? < most(&self.common)));
        let mut read = self.page(&subject, next).await?;
        let (mut messages, mut end, len) = (Vec::new(), next, read.len());
        let name: Arc<str> = topic.into();
        for (sequence, payload) in read.drain(..) {
            end = sequence;
            // What was too long to be published.
            is_complete &= !payload.is_empty();
            match Publication::decode(topic, payload) {
                Ok(publication) => {
                    let publication = Publication { topic: name.clone(), ..publication };
                    messages.push(Arrived { publication, position: Some(self.at(sequence)) });
                }
                Err(_) => self.common.ignore(),
            }
        }
        let page = if len < PAGE { Page::Last } else { Page::More };
        Ok(Read { is_complete, messages, end: self.at(end), page })
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

    /// The messages from a number on, with their numbers.
    async fn page(&self, subject: &str, from: u64) -> Result<Vec<(u64, Bytes)>, BackplaneError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
            ack_policy: AckPolicy::None,
            filter_subject: subject.to_string(),
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = self.stream.create_consumer(config).await.map_err(failed)?;
        let mut batch = consumer.fetch().max_messages(PAGE).messages().await.map_err(failed)?;
        let mut messages = Vec::new();
        while let Some(message) = batch.next().await {
            let message = message.map_err(BackplaneError::new)?;
            let sequence = message.info().map_err(BackplaneError::new)?.stream_sequence;
            messages.push((sequence, message.message.payload));
        }
        let consumer = consumer.cached_info().name.clone();
        // If it stays, it goes when nobody asks it for a while.
        let _ = self.stream.delete_consumer(&consumer).await;
        Ok(messages)
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

/// Messages that are read at a time.
const PAGE: usize = 64;
