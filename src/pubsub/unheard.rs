//! What this node has published to an engine that numbers, and has not come back yet.
//!
//! Whoever takes something out gets it, with the peers that it was not for, to be let go without a lock: with the last of a peer goes
//! the application's state, and with a message what owns its payload, which may use the hub.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::backplane::Publication;
use super::config::Bounds;
use super::peer::Peer;

/// The publications that have not come back, oldest first.
pub(super) struct Unheard<S> {
    publications: VecDeque<Sent<S>>,
    bytes: usize,
}

/// A publication, and whom it is not for.
pub(super) struct Sent<S> {
    pub(super) publication: Publication,
    pub(super) sender: Option<Peer<S>>,
    /// Whether it is not to be delivered here before it comes back.
    pub(super) is_forgotten: bool,
}

impl<S> Default for Unheard<S> {
    fn default() -> Self {
        Self { publications: VecDeque::new(), bytes: 0 }
    }
}

impl<S> Unheard<S> {
    /// Keeps a publication until it has come back; the oldest go where there are too many.
    #[must_use]
    pub(super) fn push(&mut self, sent: Sent<S>, bounds: Bounds) -> Vec<Sent<S>> {
        let mut gone = Vec::new();
        self.bytes += sent.publication.payload.len();
        self.publications.push_back(sent);
        while self.publications.len() > bounds.messages || self.bytes > bounds.bytes {
            let Some(sent) = self.pop() else { break };
            gone.push(sent);
        }
        gone
    }

    /// Takes the oldest one; with the last, the memory for them.
    pub(super) fn pop(&mut self) -> Option<Sent<S>> {
        let Some(sent) = self.publications.pop_front() else {
            self.publications = VecDeque::new();
            return None;
        };
        self.bytes -= sent.publication.payload.len();
        Some(sent)
    }

    /// Takes note that none of a topic is to be delivered here before it comes back, nor what still waits to be published, which nobody
    /// wanted until now. Lets go of nobody.
    pub(super) fn forget<'p>(&mut self, topic: &str, waiting: impl Iterator<Item = &'p Publication>) {
        let of_topic = self.publications.iter_mut().filter(|sent| *sent.publication.topic == *topic);
        of_topic.for_each(|sent| sent.is_forgotten = true);
        for publication in waiting.filter(|publication| *publication.topic == *topic) {
            let number = publication.origin.number;
            let place = self.publications.partition_point(|sent| sent.publication.origin.number < number);
            if self.publications.get(place).is_none_or(|sent| sent.publication.origin.number != number) {
                self.bytes += publication.payload.len();
                let sent = Sent { publication: publication.clone(), sender: None, is_forgotten: true };
                self.publications.insert(place, sent);
            }
        }
    }

    /// Takes out a publication that has come back, and with it all before in its topic: whom it is not for, and what else goes.
    #[must_use]
    pub(super) fn heard(&mut self, publication: &Publication) -> (Option<Peer<S>>, Heard<S>) {
        let number = publication.origin.number;
        let mut heard = Heard { first: None, others: Vec::new() };
        if self.publications.front().is_some_and(|first| first.publication.origin.number == number) {
            heard.first = self.pop();
            return (heard.first.as_mut().and_then(|first| first.sender.take()), heard);
        }
        let mut sender = None;
        let Self { publications, bytes } = self;
        publications.retain_mut(|sent| {
            let known = sent.publication.origin.number;
            let is_kept = known > number || sent.publication.topic != publication.topic;
            if !is_kept {
                *bytes -= sent.publication.payload.len();
                let mut peer = sent.sender.take();
                if known == number {
                    sender = peer.take();
                }
                heard.others.push((peer, core::mem::take(&mut sent.publication.payload)));
            }
            is_kept
        });
        (sender, heard)
    }
}

/// What has come back, and what was before it: to be dropped when the lock is free.
pub(super) struct Heard<S> {
    first: Option<Sent<S>>,
    others: Vec<(Option<Peer<S>>, Bytes)>,
}
