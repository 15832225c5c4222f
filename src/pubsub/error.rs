//! Why somebody may not subscribe or publish.

use thiserror::Error;

use super::pattern::PatternError;
use crate::adapter::Error;

/// Why a subscription was not made.
///
/// ```
/// use sockeye::pubsub::{PatternError, SubscribeError};
///
/// let error = SubscribeError::TooManySubscriptions { max: 100 };
/// assert_eq!(error.to_string(), "the connection has 100 subscriptions, and may have no more");
/// assert_eq!(SubscribeError::from(PatternError::Empty), SubscribeError::Pattern(PatternError::Empty));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// What it is to is no topic and no pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// [`Hooks::may_subscribe`](super::Hooks::may_subscribe) says no.
    #[error("the connection may not subscribe to this")]
    Refused,
    /// The connection has as many as it may have.
    #[error("the connection has {max} subscriptions, and may have no more")]
    TooManySubscriptions {
        /// [`HubConfig::max_subscriptions`](super::HubConfig::max_subscriptions).
        max: usize,
    },
    /// There are as many topics as there may be, and all are needed.
    #[error("there are {max} topics, and may be no more")]
    TooManyTopics {
        /// [`HubConfig::max_topics`](super::HubConfig::max_topics).
        max: usize,
    },
    /// The connection is closing, and has left the hub.
    #[error("the connection has left the hub")]
    Left,
}

/// Why a message was not published.
///
/// ```
/// use sockeye::pubsub::{Hub, HubConfig, PublishError};
///
/// let hub = Hub::<()>::new(HubConfig::default());
/// assert!(matches!(hub.publish("room/+", "a pattern is no topic"), Err(PublishError::Topic(_))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Where it is to be published is no topic.
    #[error(transparent)]
    Topic(#[from] PatternError),
    /// [`Hooks::may_publish`](super::Hooks::may_publish) says no.
    #[error("the connection may not publish here")]
    Refused,
    /// There are as many topics as there may be, and all are needed.
    #[error("there are {max} topics, and may be no more")]
    TooManyTopics {
        /// [`HubConfig::max_topics`](super::HubConfig::max_topics).
        max: usize,
    },
}

impl From<SubscribeError> for Error {
    /// So that `?` does in a handler; it is an [`Error::Application`].
    fn from(error: SubscribeError) -> Self {
        Self::application(error)
    }
}

impl From<PublishError> for Error {
    /// So that `?` does in a handler; it is an [`Error::Application`].
    fn from(error: PublishError) -> Self {
        Self::application(error)
    }
}

impl From<PatternError> for Error {
    /// So that `?` does in a handler; it is an [`Error::Application`].
    fn from(error: PatternError) -> Self {
        Self::application(error)
    }
}
