//! What the application decides, and what it is told.

use super::config::Bounds;
use super::hub::Hub;
use super::pattern::Pattern;
use super::peer::Peer;

/// Decides who may subscribe and publish, and is told who joins and leaves topics. By default everybody may do everything.
///
/// ```
/// use sockeye::pubsub::{Hooks, Hub, HubConfig, Pattern, Peer};
///
/// struct User {
///     name: String,
///     is_admin: bool,
/// }
///
/// struct Rules;
///
/// impl Hooks<User> for Rules {
///     fn may_subscribe(&self, peer: &Peer<User>, pattern: &Pattern) -> bool {
///         // A pattern may match more than is meant, so it is for those who may see everything.
///         peer.state().is_admin || (pattern.is_exact() && pattern.as_str().starts_with("room/"))
///     }
///     fn joined(&self, hub: &Hub<User>, topic: &str, peer: &Peer<User>) {
///         let _ = hub.publish(topic, format!("{} is here", peer.state().name));
///     }
/// }
///
/// let hub = Hub::with_hooks(HubConfig::default(), Rules);
/// ```
///
/// No lock is held while a hook runs, so it may use the hub. It runs in the task of whoever caused it: it must not block. If it
/// panics, it takes that task along and nothing else; but [`Self::left`] runs where a member is dropped, also by a panic, and a
/// panic during a panic ends the process.
pub trait Hooks<S>: Send + Sync + 'static {
    /// Returns whether a connection may subscribe to this, at its own wish or not: asked in
    /// [`Member::subscribe`](super::Member::subscribe).
    fn may_subscribe(&self, peer: &Peer<S>, pattern: &Pattern) -> bool {
        let _ = (peer, pattern);
        true
    }

    /// Returns whether a connection may publish here: asked in [`Member::publish`](super::Member::publish) for each
    /// message, and not in [`Hub::publish`].
    fn may_publish(&self, peer: &Peer<S>, topic: &str) -> bool {
        let _ = (peer, topic);
        true
    }

    /// A connection has subscribed to a topic by its name and is seen there. Not called for patterns, which look on.
    fn joined(&self, hub: &Hub<S>, topic: &str, peer: &Peer<S>) {
        let _ = (hub, topic, peer);
    }

    /// A connection that was told of by [`Self::joined`] has unsubscribed or is gone.
    fn left(&self, hub: &Hub<S>, topic: &str, peer: &Peer<S>) {
        let _ = (hub, topic, peer);
    }

    /// Returns what a topic keeps as its history; `None` for what [`HubConfig::history`](super::HubConfig::history) says.
    /// Asked when a topic comes to exist, and for each message to a topic that does not.
    fn history(&self, topic: &str) -> Option<Bounds> {
        let _ = topic;
        None
    }
}

impl<S> Hooks<S> for () {}
