//! What a member's task is told while it serves its connection.

use alloc::sync::Arc;

use crate::message::Message;

/// What a member's task is told.
///
/// ```
/// use sockeye::driver::Transport;
/// use sockeye::pubsub::{Event, Member};
///
/// /// Serves a client that is to know what it missed.
/// async fn serve<T: Transport>(mut member: Member<T>) -> Result<(), sockeye::Error> {
///     while let Some(event) = member.next().await? {
///         match event {
///             Event::Message(message) => println!("{message:?}"),
///             Event::Gap { topic } => member.send_first(format!("gap {topic}")).await?,
///             Event::Skipped { topic, messages } => member.send_first(format!("skipped {topic} {messages}")).await?,
///             Event::Overrun { topic } => eprintln!("too slow for {topic}"),   // is being closed: nothing to send, go on
///             _ => {}
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The client has sent a message.
    Message(Message),
    /// The connection was too slow: so many messages of a topic were not sent to it, and will not be. Not told of where only
    /// the latest is wanted and was sent; [`Member::skipped`](super::Member::skipped) counts these, too. Tell the client, if it is to
    /// know.
    Skipped {
        /// The name of the topic. Where topics have vanished because there were too many
        /// ([`HubConfig::max_topics`](super::HubConfig::max_topics)), and where 64 events wait to be told, it is the pattern that the
        /// connection subscribes to, for all that it matched: the names would have no end while a client does not read.
        topic: Arc<str>,
        /// How many.
        messages: u64,
    },
    /// Messages of a topic are missing that nobody has any more: not all that followed
    /// [`Subscription::since`](super::Subscription::since) is there, or a backplane has lost some; or its node cannot tell what the client has had,
    /// and some may come again. How many is not known.
    Gap {
        /// The name of the topic. Where 64 events wait to be told, it is the pattern that the connection subscribes to, for all that
        /// it matches.
        topic: Arc<str>,
    },
    /// The connection missed messages of a topic, and is being closed with 1013 for that.
    Overrun {
        /// The name of the topic.
        topic: Arc<str>,
    },
}
