//! The half that subscribes and receives, and that catches up with what was missed.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;

use ::redis::aio::MultiplexedConnection;
use bytes::Buf;

use super::super::backplane::{Arrival, Arrived, BackplaneError, Inbound, Publication, within};
use super::super::catch_up::{CatchUp, PAGE, ROUNDS, Read, beat};
use super::super::pattern::Pattern;
use super::super::position::Position;
use super::inbox::{Inbox, Pushed};
use super::read::{Which, read};
use super::{Common, failed};

/// The half of a connection to a [`RedisBackplane`](super::RedisBackplane) that subscribes and receives.
pub struct RedisInbound {
    connection: MultiplexedConnection,
    inbox: Arc<Inbox>,
    common: Arc<Common>,
    /// What has come and goes before what is in the inbox.
    pending: VecDeque<Arrival>,
    /// How often a pattern of Redis is asked for: several of ours may need the same.
    globs: HashMap<String, usize>,
    heartbeat: Pin<Box<dyn Future<Output = Result<Infallible, BackplaneError>> + Send>>,
    /// Where Redis numbers.
    catch_up: Option<CatchUp>,
}

impl RedisInbound {
    pub(super) fn new(
        connection: MultiplexedConnection,
        inbox: Arc<Inbox>,
        common: Arc<Common>,
        begun: Option<Position>,
    ) -> Self {
        let pinging = connection.clone();
        let heartbeat = Box::pin(beat(common.config.heartbeat, move || ping(pinging.clone())));
        let (pending, globs) = (VecDeque::new(), HashMap::new());
        Self { connection, inbox, common, pending, globs, heartbeat, catch_up: begun.map(CatchUp::new) }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, BackplaneError>> {
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.settle(&self.common.knowledge, &mut self.pending);
        }
        for _ in 0..ROUNDS {
            if let Some(arrival) = self.pending.pop_front() {
                return Poll::Ready(Ok(arrival));
            }
            if let Poll::Ready(Err(error)) = self.heartbeat.as_mut().poll(cx) {
                return Poll::Ready(Err(error));
            }
            if self.poll_read(cx)?.is_ready() {
                continue;
            }
            match self.inbox.poll_next(cx) {
                Poll::Ready(Some(pushed)) => {
                    if let Some(arrival) = self.take(pushed)? {
                        return Poll::Ready(Ok(arrival));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Err(BackplaneError::lost())),
                Poll::Pending => return Poll::Pending,
            }
        }
        // Much that is not for us must not keep the thread from others.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads on where a topic is behind; ready when a page was read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BackplaneError>> {
        let Some(catch_up) = &mut self.catch_up else { return Poll::Pending };
        let (connection, common, epoch) = (&self.connection, &self.common, catch_up.epoch);
        catch_up.poll_read(cx, &mut self.pending, |topic, after| {
            Box::pin(page(connection.clone(), common.clone(), epoch, topic, after))
        })
    }

    /// What has come as a message; `None` if it is none, or is read from the stream.
    fn take(&mut self, pushed: Pushed) -> Result<Option<Arrival>, BackplaneError> {
        let Pushed { channel, mut data } = pushed;
        let position = match &self.catch_up {
            Some(_) => match split_position(&data) {
                Some((position, len)) => {
                    data.advance(len);
                    Some(position)
                }
                None => return Ok(self.ignore()),
            },
            None => None,
        };
        let Some(topic) = self.common.keys.topic(&channel) else { return Ok(self.ignore()) };
        let Ok(publication) = Publication::decode(topic, data) else { return Ok(self.ignore()) };
        if let (Some(catch_up), Some(position)) = (&mut self.catch_up, position) {
            if position.epoch != catch_up.epoch {
                return Err(began_anew());
            }
            if !catch_up.is_next(&self.common.knowledge, topic, position) {
                return Ok(None);
            }
        }
        Ok(Some(Arrival::Message(Arrived { publication, position })))
    }

    fn ignore(&self) -> Option<Arrival> {
        self.common.knowledge.ignore();
        None
    }

    async fn subscribe_to_topic(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        let topic = pattern.as_str();
        self.connection.subscribe(self.common.keys.channel(topic)).await.map_err(failed)?;
        let Some(catch_up) = &mut self.catch_up else { return Ok(None) };
        let from = after.unwrap_or(Position { epoch: catch_up.epoch, sequence: 0 });
        let (newest, read) = read(&mut self.connection, &self.common, topic, from, 0, Which::Oldest).await?;
        if newest.epoch != catch_up.epoch {
            return Err(began_anew());
        }
        if after.is_some() && !read.is_complete {
            catch_up.add_topic(topic, from);
        }
        Ok(Some(newest))
    }

    async fn subscribe_to_pattern(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        for glob in self.common.keys.globs(pattern) {
            if !self.globs.contains_key(&glob) {
                self.connection.psubscribe(&glob).await.map_err(failed)?;
            }
            *self.globs.entry(glob).or_default() += 1;
        }
        let Some(catch_up) = &mut self.catch_up else { return Ok(()) };
        let heard = self.common.knowledge.heard().of(pattern);
        let keys = &self.common.keys;
        let mut count = ::redis::cmd("HGET");
        let count: u64 = count.arg(&keys.state).arg("count").query_async(&mut self.connection).await.map_err(failed)?;
        let mut topics = Vec::new();
        if let Some(heard) = heard {
            // What was published since, also in topics that nobody here has heard of.
            let from = if heard.epoch == catch_up.epoch { heard.sequence } else { 0 };
            let mut call = ::redis::cmd("ZRANGEBYSCORE");
            call.arg(&keys.topics).arg(alloc::format!("({from}")).arg("+inf");
            topics = call.query_async::<Vec<String>>(&mut self.connection).await.map_err(failed)?;
        }
        let topics = topics.into_iter().filter(|topic| !topic.is_empty() && pattern.matches(topic));
        catch_up.add_pattern(pattern, count, heard, topics.map(Arc::from));
        Ok(())
    }
}

impl Inbound for RedisInbound {
    async fn subscribe(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        if pattern.is_exact() {
            return self.subscribe_to_topic(pattern, after).await;
        }
        self.subscribe_to_pattern(pattern).await?;
        Ok(self.catch_up.as_ref().map(|catch_up| Position { epoch: catch_up.epoch, sequence: 0 }))
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.remove(pattern);
        }
        if pattern.is_exact() {
            return self.connection.unsubscribe(self.common.keys.channel(pattern.as_str())).await.map_err(failed);
        }
        for glob in self.common.keys.globs(pattern) {
            let Some(count) = self.globs.get_mut(&glob) else { continue };
            *count -= 1;
            if *count == 0 {
                self.connection.punsubscribe(&glob).await.map_err(failed)?;
                self.globs.remove(&glob);
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Arrival, BackplaneError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }
}

impl Drop for RedisInbound {
    fn drop(&mut self) {
        if let Some(catch_up) = &mut self.catch_up {
            // What is in the inbox was not handed out, and is behind all that was.
            catch_up.end(&self.common.knowledge, &mut self.pending, core::iter::empty());
        }
    }
}

impl fmt::Debug for RedisInbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisInbound").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// Tries the connection.
async fn ping(mut connection: MultiplexedConnection) -> Result<(), BackplaneError> {
    ::redis::cmd("PING").exec_async(&mut connection).await.map_err(failed)
}

/// Reads the next page of a topic that is behind.
async fn page(
    mut connection: MultiplexedConnection,
    common: Arc<Common>,
    epoch: u64,
    topic: Arc<str>,
    after: Position,
) -> Result<Read, BackplaneError> {
    let read = read(&mut connection, &common, &topic, after, PAGE, Which::Oldest);
    let (newest, read) = within(common.config.heartbeat, read).await?;
    if newest.epoch == epoch { Ok(read) } else { Err(began_anew()) }
}

/// Reads the position that a numbered message begins with, and says how many bytes it and the space behind it take.
fn split_position(data: &[u8]) -> Option<(Position, usize)> {
    let end = data.iter().take(LONGEST_POSITION + 1).position(|byte| *byte == b' ')?;
    Some((core::str::from_utf8(&data[..end]).ok()?.parse().ok()?, end + 1))
}

fn began_anew() -> BackplaneError {
    BackplaneError::new("the engine has begun to count anew")
}

/// The most bytes of a position as text: 16 hexadecimal digits, `-`, 20 decimal digits.
const LONGEST_POSITION: usize = 16 + 1 + 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_split_off_and_anything_else_refused() {
        let at = |epoch, sequence| Position { epoch, sequence };
        assert_eq!(split_position(b"f-17 x y"), Some((at(0xf, 17), 5)));
        let longest = b"ffffffffffffffff-18446744073709551615 ";
        assert_eq!(split_position(longest), Some((at(u64::MAX, u64::MAX), longest.len())));
        for data in [&b""[..], b" ", b"f-17", b"f 17 ", b"\xff-1 ", &[b'1'; 100]] {
            assert_eq!(split_position(data), None);
        }
    }
}
