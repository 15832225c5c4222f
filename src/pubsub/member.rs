//! A connection that has joined a hub, as the task has it that serves it.
//!
//! One future does all: it sends what the connection's topics have, as much as the socket takes, and receives what the client
//! sends. What a topic has stays in its log until the socket has taken it; nothing is moved to a queue of the connection's own.

mod sending;

use alloc::sync::Arc;
use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use super::attach::Subscribed;
use super::delivery::Delivery;
use super::error::{PublishError, SubscribeError};
use super::event::Event;
use super::hub::{Hub, Published};
use super::peer::{Attention, Lost, Orders, Peer};
use super::position::Position;
use super::told::Told;
use super::{Pattern, PatternError, Subscription};
use crate::close::Close;
use crate::driver::{Error, Outgoing, Transport, WebSocket};
use crate::message::Message;

/// A connection that has joined a [`Hub`]: it can subscribe, and is sent what its topics have whenever [`Self::next`] is
/// awaited. It leaves when it is dropped.
///
/// ```
/// use sockeye::pubsub::{Event, Hub, HubConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (stream, far) = tokio::io::duplex(4096);
/// # let client = async {
/// #     let request = sockeye::handshake::ClientRequest::new("example.com", "/")?;
/// #     let mut client = sockeye::tokio::Connector::default().handshake(far, request).await?;
/// #     client.send("hello").await?;
/// #     assert_eq!(client.receive().await?, Some("hello".into()));
/// #     client.close(sockeye::Close::normal()).await?;
/// #     assert_eq!(client.receive().await?, None);
/// #     Ok::<_, Box<dyn std::error::Error>>(())
/// # };
/// # let serve = async {
/// let hub = Hub::<()>::new(HubConfig::default());
/// let mut member = hub.join(sockeye::tokio::accept(stream).await?, ());
/// member.subscribe("chat")?;
/// while let Some(event) = member.next().await? {
///     if let Event::Message(message) = event {
///         member.publish("chat", message)?;
///     }
/// }
/// #     Ok::<_, Box<dyn std::error::Error>>(())
/// # };
/// # let (client, serve) = tokio::join!(client, serve);
/// # client.and(serve)
/// # }
/// ```
///
/// Of a function that takes one, the type is `Member<sockeye::tokio::Transport<TcpStream>, User>`, or with a `T: Transport` in place of
/// the first, as the example of [`Event`] has it.
///
/// # Order
///
/// Within a topic, messages come in the order of their publishing, each at most once. Across topics and with what the
/// connection sends by itself ([`Self::send`]), what was published or sent before something else, by the same task or in a
/// way that the other could know of it, comes before that.
pub struct Member<T: Transport, S: Send + Sync + 'static = ()> {
    socket: WebSocket<T>,
    place: Place<S>,
    told: Told,
    /// How often something was gathered.
    turn: u64,
    /// Whether nothing is delivered any more: the connection is closing, or has failed.
    has_left: bool,
}

/// A connection's place in a hub, which ends when it is dropped.
struct Place<S: Send + Sync + 'static> {
    hub: Hub<S>,
    peer: Peer<S>,
}

impl<S: Send + Sync + 'static> Drop for Place<S> {
    fn drop(&mut self) {
        self.hub.leave(&self.peer);
    }
}

impl<T: Transport, S: Send + Sync + 'static> Member<T, S> {
    pub(super) fn new(hub: Hub<S>, peer: Peer<S>, socket: WebSocket<T>) -> Self {
        let place = Place { hub, peer };
        Self { socket, place, told: Told::default(), turn: 0, has_left: false }
    }

    /// Waits for what comes next, and delivers what the connection's topics have meanwhile; `None` after a clean close.
    ///
    /// What was published in one turn goes out in one write. While something else is awaited, nothing is delivered: see
    /// [`SlowConsumer`](super::SlowConsumer).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::receive`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost or sent twice by dropping the future.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Self::next`], for who only wants the client's messages: other events are dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::next`].
    pub async fn receive(&mut self) -> Result<Option<Message>, Error> {
        loop {
            match self.next().await? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(Event::Skipped { .. } | Event::Gap { .. } | Event::Overrun { .. }) => {}
                None => return Ok(None),
            }
        }
    }

    /// As [`Self::next`], to be polled.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        loop {
            if let Some(orders) = self.place.peer.take_orders() {
                self.obey(*orders);
            }
            if let Some(event) = self.told.events.pop_front() {
                return Poll::Ready(Ok(Some(event)));
            }
            let progress = if self.has_left { Progress::All } else { self.deliver(cx, u64::MAX, Heed::Events) };
            if let Some(event) = self.told.events.pop_front() {
                return Poll::Ready(Ok(Some(event)));
            }
            match self.socket.poll_receive(cx) {
                Poll::Ready(Ok(Some(message))) => return Poll::Ready(Ok(Some(Event::Message(message)))),
                Poll::Ready(end) => {
                    self.leave();
                    return Poll::Ready(end.map(|_| None));
                }
                Poll::Pending => {}
            }
            // To receive is to write what is queued. Where that went out now, nothing wakes us for more room.
            if progress == Progress::Stuck && !self.has_left && self.socket.queued() == 0 {
                continue;
            }
            if self.place.peer.wait(cx.waker(), progress != Progress::All || self.has_left) == Attention::None {
                return Poll::Pending;
            }
        }
    }

    /// Subscribes to a topic, or to all that a pattern matches, also those that come to exist later. To subscribe again to
    /// what one has subscribed to changes nothing.
    ///
    /// A message that several subscriptions match is delivered once.
    ///
    /// # Errors
    ///
    /// If it is no topic or pattern, [`Hooks::may_subscribe`](super::Hooks::may_subscribe) says no, or there are too many.
    pub fn subscribe(&mut self, subscription: impl Into<Subscription>) -> Result<(), SubscribeError> {
        let subscription = subscription.into();
        let pattern = subscription.pattern.as_ref().map_err(|error| *error)?;
        if !self.place.hub.shared.hooks.may_subscribe(&self.place.peer, pattern) {
            return Err(SubscribeError::Refused);
        }
        if self.place.hub.subscribe(&self.place.peer, &subscription)? == Subscribed::Gap {
            self.told.miss(Lost::named(pattern.as_str().into()));
        }
        Ok(())
    }

    /// Ends a subscription, by the name or pattern that it was made with; returns whether there was one. What was published
    /// before and is not sent yet is not sent any more.
    ///
    /// # Errors
    ///
    /// If it is no topic or pattern.
    pub fn unsubscribe(&mut self, pattern: &str) -> Result<bool, PatternError> {
        Ok(self.place.hub.unsubscribe(&self.place.peer, &Pattern::new(pattern)?))
    }

    /// Publishes a message to all subscribers of a topic, this connection among them if it is one: see [`Hub::publish`].
    ///
    /// # Errors
    ///
    /// As there, and if [`Hooks::may_publish`](super::Hooks::may_publish) says no.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<Outgoing<'m>>) -> Result<Published, PublishError> {
        self.check_publish(topic)?;
        self.place.hub.shared.publish(topic, message.into(), None)
    }

    /// Publishes a message to all subscribers of a topic but this connection.
    ///
    /// The message has a number all the same: a client that looks for holes between the numbers that it is sent finds one here, unless it is
    /// told [`Published::position`]. And it is in the history: the same client on another connection is sent it there, by
    /// [`Subscription::since`] and [`Subscription::last`]. Who must never see it again puts its author into the message.
    ///
    /// # Errors
    ///
    /// As [`Self::publish`].
    pub fn publish_to_others<'m>(
        &self,
        topic: &str,
        message: impl Into<Outgoing<'m>>,
    ) -> Result<Published, PublishError> {
        self.check_publish(topic)?;
        self.place.hub.shared.publish(topic, message.into(), Some(&self.place.peer))
    }

    /// Leaves the hub and begins the closing handshake, behind what was published before, if the client takes that at once.
    /// Go on with [`Self::next`] until `None`.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::close`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn close(&mut self, close: Close) -> Result<(), Error> {
        if !self.has_left {
            poll_fn(|cx| {
                let until = self.place.hub.shared.now();
                // What is not taken now is not waited for.
                self.deliver(cx, until, Heed::Nothing);
                Poll::Ready(())
            })
            .await;
            self.leave();
        }
        self.socket.close(close).await
    }

    /// Returns the application's state of the connection.
    #[must_use]
    pub fn state(&self) -> &S {
        self.place.peer.state()
    }

    /// Returns the connection as others see it.
    #[must_use]
    pub fn peer(&self) -> &Peer<S> {
        &self.place.peer
    }

    /// Returns the hub.
    #[must_use]
    pub fn hub(&self) -> &Hub<S> {
        &self.place.hub
    }

    /// Returns the connection, to be asked.
    #[must_use]
    pub fn socket(&self) -> &WebSocket<T> {
        &self.socket
    }

    /// Returns the place of the last message of a topic that the connection was sent, or of where its subscription began; `None`
    /// if it does not subscribe to the topic.
    #[must_use]
    pub fn position(&self, topic: &str) -> Option<Position> {
        let (topic, seat) = self.attachment(topic)?;
        topic.lock().sent(seat, self.place.peer.id())
    }

    /// Returns how many messages a topic has that the connection was not sent yet; `None` if it does not subscribe to it.
    #[must_use]
    pub fn lag(&self, topic: &str) -> Option<u64> {
        let (topic, seat) = self.attachment(topic)?;
        topic.lock().lag(seat, self.place.peer.id())
    }

    /// Returns how many messages the connection was not sent because it was too slow.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.told.skipped
    }

    /// Leaves the hub, and gives the connection back. What was published and not sent is not sent.
    #[must_use]
    pub fn into_socket(self) -> WebSocket<T> {
        self.socket
    }

    fn attachment(&self, topic: &str) -> Option<(Arc<super::post::Topic<S>>, u32)> {
        let topic = self.place.hub.shared.find(topic)?;
        let seat = self.place.peer.mailbox().attachments.get(topic.id)?.seat;
        Some((topic, seat))
    }

    fn check_publish(&self, topic: &str) -> Result<(), PublishError> {
        if self.place.hub.shared.hooks.may_publish(&self.place.peer, topic) {
            Ok(())
        } else {
            Err(PublishError::Refused)
        }
    }

    /// Delivers what was published up to a stamp, as much as goes now.
    fn deliver(&mut self, cx: &Context<'_>, until: u64, heed: Heed) -> Progress {
        let mut delivery = SCRATCH.take();
        let progress = self.deliver_with(cx, until, heed, &mut delivery);
        SCRATCH.replace(delivery);
        progress
    }

    fn deliver_with(&mut self, cx: &Context<'_>, until: u64, heed: Heed, delivery: &mut Delivery) -> Progress {
        for _ in 0..ROUNDS {
            self.turn += 1;
            let Self { place: Place { hub, peer }, told, turn, .. } = self;
            let until = until.min(hub.shared.now());
            let is_all = delivery.gather(peer, *turn, until, &mut |topic, messages, is_told| {
                hub.shared.count_skipped(messages);
                if is_told {
                    let wish = || peer.mailbox().wish(topic.id(), topic.name());
                    told.skip(topic.name(), messages, || wish().unwrap_or_else(|| topic.name().clone()));
                } else {
                    told.skipped += messages;
                }
            });
            // What tells of a gap comes before what follows it: also what was told after this began.
            let is_told = heed == Heed::Events && (!told.events.is_empty() || peer.has_orders());
            if delivery.items.is_empty() || is_told {
                delivery.settle(peer, 0);
                return Progress::All;
            }
            let gathered = delivery.items.len();
            let shared = self.socket.poll_share(cx, &delivery.items);
            let sent = match &shared {
                Poll::Ready(Ok(sent)) => *sent,
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            delivery.settle(&self.place.peer, sent);
            match shared {
                Poll::Ready(Ok(_)) if is_all && sent == gathered => return Progress::All,
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Progress::Stuck,
                // Receiving tells what the matter is.
                Poll::Ready(Err(_)) => {
                    self.leave();
                    return Progress::All;
                }
            }
        }
        // A client that takes everything at once must not keep the thread from others.
        cx.waker().wake_by_ref();
        Progress::Yielded
    }

    /// Does what others have ordered.
    fn obey(&mut self, orders: Orders) {
        if self.has_left {
            return;
        }
        if let Some(close) = self.told.note(orders) {
            self.close_as_ordered(close);
        }
    }

    fn close_as_ordered(&mut self, close: Close) {
        self.leave();
        // Who has closed already needs not be told.
        let _ = self.socket.start_close(close);
    }

    fn leave(&mut self) {
        self.has_left = true;
        self.place.hub.leave(&self.place.peer);
    }
}

/// How far a delivery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Everything that is to be sent now is, or was queued; or nothing can be sent any more.
    All,
    /// The socket takes no more: what is queued waits for room.
    Stuck,
    /// It had its share of the thread, and goes on soon.
    Yielded,
}

/// Whether a delivery stops where there is something to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heed {
    Events,
    Nothing,
}

std::thread_local! {
    /// What is being written, whoever writes: empty in between.
    static SCRATCH: RefCell<Delivery> = RefCell::default();
}

/// Writes of one poll before others get their turn.
const ROUNDS: usize = 16;

impl<T: Transport, S: Send + Sync + 'static> fmt::Debug for Member<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.place.peer.id()).finish_non_exhaustive()
    }
}
