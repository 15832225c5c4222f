//! The half that publishes, and reads history for clients that come back.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::pin;

use async_nats::Client;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures_util::future::{Either, select};

use super::super::backplane::{BackplaneError, History, Origin, Outbound, Publication};
use super::super::position::Position;
use super::stream::Log;
use super::{Common, Echo, Lost, began_anew, failed};

/// The half of a connection to a [`NatsBackplane`](super::NatsBackplane) that publishes.
pub struct NatsOutbound {
    client: Client,
    echo: Echo,
    lost: Lost,
    common: Arc<Common>,
    log: Option<Arc<Log>>,
}

impl NatsOutbound {
    pub(super) fn new(client: Client, echo: Echo, lost: Lost, common: Arc<Common>, log: Option<Arc<Log>>) -> Self {
        Self { client, echo, lost, common, log }
    }

    /// What is published: nothing, if the server does not take that much.
    fn payload(&self, publication: &Publication) -> Bytes {
        let most = self.client.server_info().max_payload.saturating_sub(HEADERS);
        if publication.payload.len() > most { Bytes::new() } else { publication.encode() }
    }

    async fn publish_plain(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
        for publication in batch {
            let subject = self.common.subjects.publish(&publication.topic);
            self.client.publish(subject, self.payload(publication)).await.map_err(failed)?;
        }
        self.echo.round_trip().await
    }

    async fn publish_numbered(&mut self, batch: &[Publication], log: &Log) -> Result<(), BackplaneError> {
        // What is stored from now on is behind this, unless somebody has made the stream anew.
        let last = self.common.knowledge.known().last;
        let mut acknowledgements: Vec<PublishAckFuture> = Vec::with_capacity(batch.len());
        for publication in batch {
            let Origin { node, number } = publication.origin;
            let message = PublishMessage::build().payload(self.payload(publication));
            let message = message.message_id(format!("{node:x}-{number}")).expected_stream(&log.name);
            let subject = self.common.subjects.publish(&publication.topic);
            acknowledgements.push(log.context.send_publish(subject, message).await.map_err(failed)?);
        }
        for acknowledgement in acknowledgements {
            let stored = acknowledgement.await.map_err(failed)?;
            if !stored.duplicate && stored.sequence <= last {
                return Err(began_anew());
            }
            self.common.knowledge.knows(stored.sequence);
        }
        Ok(())
    }
}

impl Outbound for NatsOutbound {
    async fn publish(&mut self, batch: &[Publication]) -> Result<(), BackplaneError> {
        let lost = self.lost.clone();
        lost.check()?;
        let log = self.log.clone();
        let publish = async {
            match &log {
                Some(log) => self.publish_numbered(batch, log).await,
                None => self.publish_plain(batch).await,
            }
        };
        unless(lost, publish).await
    }

    async fn history(&mut self, topic: &str, after: Position, limit: usize) -> Result<History, BackplaneError> {
        let Some(log) = &self.log else { return Ok(History::default()) };
        unless(self.lost.clone(), log.history(topic, after, limit)).await
    }
}

impl fmt::Debug for NatsOutbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOutbound").finish_non_exhaustive()
    }
}

/// Does something unless the connection is lost meanwhile: the client would wait until it has another one.
pub(super) async fn unless<T>(
    lost: Lost,
    future: impl Future<Output = Result<T, BackplaneError>>,
) -> Result<T, BackplaneError> {
    match select(pin!(future), pin!(lost.wait())).await {
        Either::Left((result, _)) => result,
        Either::Right((error, _)) => Err(error),
    }
}

/// More than a message's headers, which count as well, and what we put before the payload.
const HEADERS: usize = 512;
