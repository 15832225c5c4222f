//! What the receiving halves of engines that number have in common: they read what was missed before they hand out what comes, and
//! remember at their end how far they have come.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::HashMap;

use tokio::time::sleep;

use super::backplane::{Arrival, Arrived, BackplaneError, within};
use super::behind::{Behind, Caught, Page};
use super::knowledge::Knowledge;
use super::pattern::Pattern;
use super::position::Position;

/// What was read of a topic.
pub(super) struct Read {
    /// Whether nothing is missing behind the position.
    pub(super) is_complete: bool,
    pub(super) messages: Vec<Arrived>,
    /// Where it ended.
    pub(super) end: Position,
    pub(super) page: Page,
}

/// A page that is being read.
pub(super) type Reading = Pin<Box<dyn Future<Output = Result<Read, BackplaneError>> + Send>>;

/// How a connection stands to what its engine has counted.
pub(super) struct CatchUp {
    pub(super) epoch: u64,
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

impl CatchUp {
    /// Begins where the engine stands.
    pub(super) fn new(begun: Position) -> Self {
        let Position { epoch, sequence: last } = begun;
        let (behind, patterns) = (Behind::default(), HashMap::new());
        Self { epoch, behind, reading: None, last, patterns, is_settled: false }
    }

    /// Takes note that a topic that is asked for by its name is to be read from behind a position.
    pub(super) fn add_topic(&mut self, topic: &str, after: Position) {
        self.behind.add(topic.into(), after);
    }

    /// Takes note of a pattern: with which number it begins, if it was not heard before, or else up to where it was, and the topics
    /// that may have more.
    pub(super) fn add_pattern(
        &mut self,
        pattern: &Pattern,
        begin: u64,
        heard: Option<Position>,
        topics: impl Iterator<Item = Arc<str>>,
    ) {
        self.patterns.insert(pattern.clone(), if heard.is_some() { 0 } else { begin });
        if let Some(heard) = heard {
            topics.for_each(|topic| self.behind.add_of_pattern(topic, heard));
        }
    }

    /// Takes note that a topic or a pattern is asked for no more.
    pub(super) fn remove(&mut self, pattern: &Pattern) {
        self.patterns.remove(pattern);
        if pattern.is_exact() && !self.patterns.keys().any(|other| other.matches(pattern.as_str())) {
            self.behind.remove(pattern.as_str());
        }
    }

    /// Takes note that something is received now, so that all was asked for that is to be: what is to be told first.
    pub(super) fn settle(&mut self, knowledge: &Knowledge, pending: &mut VecDeque<Arrival>) {
        if !core::mem::replace(&mut self.is_settled, true) {
            pending.extend(knowledge.heard().settle().into_iter().map(|topic| Arrival::Gap { topic }));
        }
    }

    /// Reads on where a topic is behind; ready when a page was read.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        pending: &mut VecDeque<Arrival>,
        read: impl FnOnce(Arc<str>, Position) -> Reading,
    ) -> Poll<Result<(), BackplaneError>> {
        let (topic, reading) = match &mut self.reading {
            Some(reading) => reading,
            none => {
                let Some((topic, after)) = self.behind.next() else { return Poll::Pending };
                none.insert((topic.clone(), read(topic, after)))
            }
        };
        let Poll::Ready(read) = reading.as_mut().poll(cx) else { return Poll::Pending };
        let topic = topic.clone();
        self.reading = None;
        let Read { is_complete, messages, end, page } = read?;
        let gap = || Arrival::Gap { topic: topic.clone() };
        pending.extend((!is_complete).then(gap));
        pending.extend(messages.into_iter().map(Arrival::Message));
        if self.behind.turn(&topic, end, page) == Caught::WithGap {
            pending.push_back(gap());
        }
        Poll::Ready(Ok(()))
    }

    /// Takes note of a message that has come, and says whether it is to be handed out: otherwise it is read in its turn.
    pub(super) fn is_next(&mut self, knowledge: &Knowledge, topic: &str, position: Position) -> bool {
        knowledge.knows(position.sequence);
        self.last = self.last.max(position.sequence);
        self.behind.is_next(topic, position)
    }

    /// Takes note that the connection has ended: of what is pending, and of the numbers of what else has come and was not handed out.
    pub(super) fn end(
        &mut self,
        knowledge: &Knowledge,
        pending: &mut VecDeque<Arrival>,
        taken: impl Iterator<Item = u64>,
    ) {
        let mut sequence = taken.map(|taken| taken.saturating_sub(1)).chain(self.behind.lowest(self.epoch)).min();
        let mut gaps = Vec::new();
        for arrival in pending.drain(..) {
            match arrival {
                Arrival::Message(Arrived { position: Some(position), .. }) => {
                    let before = position.sequence.saturating_sub(1);
                    sequence = Some(sequence.map_or(before, |lowest| lowest.min(before)));
                }
                Arrival::Message(_) => {}
                Arrival::Gap { topic } => gaps.push(topic),
            }
        }
        let sequence = sequence.map_or(self.last, |lowest| lowest.min(self.last));
        let patterns = self.patterns.drain().map(|(pattern, from)| (pattern, from.max(sequence)));
        knowledge.heard().end(self.epoch, patterns, gaps.into_iter());
    }
}

/// Tries something now and then, until it fails or takes too long.
pub(super) async fn beat<F: Future<Output = Result<(), BackplaneError>>>(
    interval: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<Infallible, BackplaneError> {
    loop {
        sleep(interval).await;
        within(interval, attempt()).await?;
    }
}

/// Messages that are looked at in one poll.
pub(super) const ROUNDS: usize = 64;

/// Messages that are read at a time.
pub(super) const PAGE: usize = 64;
