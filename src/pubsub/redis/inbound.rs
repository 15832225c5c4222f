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
use core::time::Duration;
use std::collections::HashMap;

use ::redis::aio::MultiplexedConnection;
use bytes::Buf;
use tokio::time::{sleep, timeout};

use super::super::backplane::{Arrival, Arrived, BackplaneError, Inbound, Publication};
use super::super::behind::{Behind, Caught};
use super::super::pattern::Pattern;
use super::super::position::Position;
use super::inbox::{Inbox, Pushed};
use super::read::{Read, Which, read};
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
    numbered: Option<Numbered>,
}

/// What there is where Redis numbers.
struct Numbered {
    epoch: u64,
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

impl RedisInbound {
    pub(super) fn new(
        connection: MultiplexedConnection,
        inbox: Arc<Inbox>,
        common: Arc<Common>,
        begun: Option<(u64, u64)>,
    ) -> Self {
        let heartbeat = Box::pin(beat(connection.clone(), common.config.heartbeat));
        let numbered = begun.map(|(epoch, last)| {
            let (behind, patterns) = (Behind::default(), HashMap::new());
            Numbered { epoch, behind, reading: None, last, patterns, is_settled: false }
        });
        let (pending, globs) = (VecDeque::new(), HashMap::new());
        Self { connection, inbox, common, pending, globs, heartbeat, numbered }
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
        let Some(numbered) = &mut self.numbered else { return Poll::Pending };
        let (topic, reading) = match &mut numbered.reading {
            Some(reading) => reading,
            none => {
                let Some((topic, after)) = numbered.behind.next() else { return Poll::Pending };
                let page = page(self.connection.clone(), self.common.clone(), topic.clone(), after);
                none.insert((topic, Box::pin(page)))
            }
        };
        let Poll::Ready(read) = reading.as_mut().poll(cx) else { return Poll::Pending };
        let topic = topic.clone();
        numbered.reading = None;
        let Read { is_complete, messages, end, page, .. } = read?;
        if end.epoch != numbered.epoch {
            return Poll::Ready(Err(began_anew()));
        }
        let gap = || Arrival::Gap { topic: topic.clone() };
        self.pending.extend((!is_complete).then(gap));
        self.pending.extend(messages.into_iter().map(Arrival::Message));
        if numbered.behind.turn(&topic, end, page) == Caught::WithGap {
            self.pending.push_back(gap());
        }
        Poll::Ready(Ok(()))
    }

    /// What has come as a message; `None` if it is none, or is read from the stream.
    fn take(&mut self, pushed: Pushed) -> Result<Option<Arrival>, BackplaneError> {
        let Pushed { channel, mut data } = pushed;
        let position = match &self.numbered {
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
        if let (Some(numbered), Some(position)) = (&mut self.numbered, position) {
            if position.epoch != numbered.epoch {
                return Err(began_anew());
            }
            self.common.knows(position.sequence);
            numbered.last = numbered.last.max(position.sequence);
            if !numbered.behind.is_next(topic, position) {
                return Ok(None);
            }
        }
        Ok(Some(Arrival::Message(Arrived { publication, position })))
    }

    fn ignore(&self) -> Option<Arrival> {
        self.common.ignore();
        None
    }

    async fn subscribe_to_topic(
        &mut self,
        pattern: &Pattern,
        after: Option<Position>,
    ) -> Result<Option<Position>, BackplaneError> {
        let topic = pattern.as_str();
        self.connection.subscribe(self.common.keys.channel(topic)).await.map_err(failed)?;
        let Some(numbered) = &mut self.numbered else { return Ok(None) };
        let from = after.unwrap_or(Position { epoch: numbered.epoch, sequence: 0 });
        let read = read(&mut self.connection, &self.common, topic, from, 0, Which::Oldest).await?;
        if read.newest.epoch != numbered.epoch {
            return Err(began_anew());
        }
        if after.is_some() && !read.is_complete {
            numbered.behind.add(topic.into(), from);
        }
        Ok(Some(read.newest))
    }

    async fn subscribe_to_pattern(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        for glob in self.common.keys.globs(pattern) {
            if !self.globs.contains_key(&glob) {
                self.connection.psubscribe(&glob).await.map_err(failed)?;
            }
            *self.globs.entry(glob).or_default() += 1;
        }
        let Some(numbered) = &mut self.numbered else { return Ok(()) };
        let heard = self.common.heard().of(pattern);
        let keys = &self.common.keys;
        let mut count = ::redis::cmd("HGET");
        let count: u64 = count.arg(&keys.state).arg("count").query_async(&mut self.connection).await.map_err(failed)?;
        numbered.patterns.insert(pattern.clone(), if heard.is_some() { 0 } else { count });
        if let Some(heard) = heard {
            // What was published since, also in topics that nobody here has heard of.
            let from = if heard.epoch == numbered.epoch { heard.sequence } else { 0 };
            let mut call = ::redis::cmd("ZRANGEBYSCORE");
            call.arg(&keys.topics).arg(alloc::format!("({from}")).arg("+inf");
            let topics: Vec<String> = call.query_async(&mut self.connection).await.map_err(failed)?;
            for topic in topics.into_iter().filter(|topic| !topic.is_empty() && pattern.matches(topic)) {
                numbered.behind.add_of_pattern(topic.into(), heard);
            }
        }
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
        Ok(self.numbered.as_ref().map(|numbered| Position { epoch: numbered.epoch, sequence: 0 }))
    }

    async fn unsubscribe(&mut self, pattern: &Pattern) -> Result<(), BackplaneError> {
        if pattern.is_exact() {
            if let Some(Numbered { behind, patterns, .. }) = &mut self.numbered {
                if !patterns.keys().any(|other| other.matches(pattern.as_str())) {
                    behind.remove(pattern.as_str());
                }
            }
            return self.connection.unsubscribe(self.common.keys.channel(pattern.as_str())).await.map_err(failed);
        }
        if let Some(numbered) = &mut self.numbered {
            numbered.patterns.remove(pattern);
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
        let Some(numbered) = &mut self.numbered else { return };
        let not_handed_out = self.pending.iter().filter_map(|arrival| match arrival {
            Arrival::Message(arrived) => arrived.position.map(|position| position.sequence.saturating_sub(1)),
            Arrival::Gap { .. } => None,
        });
        let lowest = not_handed_out.chain(numbered.behind.lowest()).min();
        let sequence = lowest.map_or(numbered.last, |lowest| lowest.min(numbered.last));
        let patterns = numbered.patterns.drain().map(|(pattern, from)| (pattern, from.max(sequence)));
        let gaps = self.pending.iter().filter_map(|arrival| match arrival {
            Arrival::Gap { topic } => Some(topic.clone()),
            Arrival::Message(_) => None,
        });
        self.common.heard().end(numbered.epoch, patterns, gaps);
    }
}

impl fmt::Debug for RedisInbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisInbound").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// Tries the connection now and then, until it is lost.
async fn beat(mut connection: MultiplexedConnection, interval: Duration) -> Result<Infallible, BackplaneError> {
    loop {
        sleep(interval).await;
        let ping = ::redis::cmd("PING");
        timeout(interval, ping.exec_async(&mut connection)).await.map_err(BackplaneError::new)?.map_err(failed)?;
    }
}

/// Reads the next page of a topic that is behind.
async fn page(
    mut connection: MultiplexedConnection,
    common: Arc<Common>,
    topic: Arc<str>,
    after: Position,
) -> Result<Read, BackplaneError> {
    let read = read(&mut connection, &common, &topic, after, PAGE, Which::Oldest);
    timeout(common.config.heartbeat, read).await.map_err(BackplaneError::new)?
}

/// Reads the position that a numbered message begins with, and says how many bytes it and the space behind it take.
fn split_position(data: &[u8]) -> Option<(Position, usize)> {
    let end = data.iter().take(LONGEST_POSITION + 1).position(|byte| *byte == b' ')?;
    Some((core::str::from_utf8(&data[..end]).ok()?.parse().ok()?, end + 1))
}

fn began_anew() -> BackplaneError {
    BackplaneError::new("the engine has begun to count anew")
}

/// Messages that are read at a time.
const PAGE: usize = 64;

/// The most bytes of a position as text: 16 hexadecimal digits, `-`, 20 decimal digits.
const LONGEST_POSITION: usize = 16 + 1 + 20;

/// Messages that are looked at in one poll.
const ROUNDS: usize = 64;

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
