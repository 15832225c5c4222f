//! The half that publishes, and reads history for clients that come back.

use alloc::sync::Arc;
use core::fmt;

use ::redis::aio::MultiplexedConnection;

use super::super::backplane::{BackplaneError, History, Outbound, Publication};
use super::super::position::Position;
use super::read::{Which, read};
use super::{Common, failed, hex};

/// The half of a connection to a [`RedisBackplane`](super::RedisBackplane) that publishes.
pub struct RedisOutbound {
    connection: MultiplexedConnection,
    common: Arc<Common>,
    /// The epoch in which the connection began, where Redis numbers.
    epoch: Option<u64>,
}

impl RedisOutbound {
    pub(super) fn new(connection: MultiplexedConnection, common: Arc<Common>, epoch: Option<u64>) -> Self {
        Self { connection, common, epoch }
    }

    async fn publish_numbered(&mut self, batch: &[Publication], epoch: u64) -> Result<(), BackplaneError> {
        let Some(first) = batch.first() else { return Ok(()) };
        let Common { config, keys, scripts, .. } = &*self.common;
        let mut call = scripts.publish.prepare_invoke();
        call.key(&keys.state).key(&keys.topics).key(keys.node(first.origin.node));
        let stay = u64::try_from(config.retention.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST);
        call.arg(&keys.channels).arg(&keys.streams).arg(hex(epoch)).arg(config.history).arg(stay);
        call.arg(config.max_topics.max(1));
        for publication in batch {
            call.key(keys.stream(&publication.topic));
            call.arg(publication.origin.number).arg(&*publication.topic).arg(&publication.encode()[..]);
        }
        let count = call.invoke_async(&mut self.connection).await.map_err(failed)?;
        self.common.knowledge.knows(count);
        Ok(())
    }
}

impl Outbound for RedisOutbound {
    async fn publish(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
        if let Some(epoch) = self.epoch {
            return self.publish_numbered(batch, epoch).await;
        }
        let mut pipe = ::redis::pipe();
        for publication in batch {
            let channel = self.common.keys.channel(&publication.topic);
            pipe.cmd("PUBLISH").arg(channel).arg(&publication.encode()[..]).ignore();
        }
        pipe.exec_async(&mut self.connection).await.map_err(failed)
    }

    async fn history(&mut self, topic: &str, after: Position, limit: usize) -> Result<History, BackplaneError> {
        if self.epoch.is_none() || limit == 0 {
            return Ok(History::default());
        }
        let (_, read) = read(&mut self.connection, &self.common, topic, after, limit, Which::Newest).await?;
        Ok(History { messages: read.messages, is_complete: read.is_complete })
    }
}

impl fmt::Debug for RedisOutbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOutbound").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// Ten years, in milliseconds.
const LONGEST: u64 = 10 * 365 * 24 * 60 * 60 * 1000;
