//! The connection: a receiving half, a sending half, and what ties them together.
//!
//! The glue is thin: it answers pings and Closes, turns violations into the Close that tells the peer, drives the
//! deadlines, and remembers what ended the connection. Who wants the halves in different threads splits it and passes
//! the replies from one to the other.

mod counters;
mod event;
mod keepalive;
mod owned;
#[cfg(feature = "driver")]
mod queueing;
mod receiver;
mod sender;
mod sending;
mod state;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use self::counters::Counters;
pub use self::event::{Event, Received, Reply};
pub use self::receiver::{Next, Receiver};
#[cfg(feature = "driver")]
pub(crate) use self::sender::Coding;
pub use self::sender::{MaskingKeys, Sender};
pub use self::state::{EndCause, Receiving, State, Teardown};

use self::keepalive::{Due, Facts, Keepalive};
use crate::assembler::{Assembler, Assembly};
use crate::close::{Close, CloseCode};
use crate::config::{Config, Role};
use crate::control::ControlPayload;
use crate::error::ProtocolError;
use crate::extension::Encoder;
use crate::frame::Rsv;
use crate::message::Chunk;
#[cfg(feature = "std")]
use crate::message::MessageRef;
use crate::time::{Instant, Timeout};

/// One WebSocket connection after its opening handshake, as a machine that turns bytes into events and messages into
/// bytes.
///
/// The caller owns both buffers. [`Self::receive`] decodes in place what was read and lends it; everything that sends
/// appends to `output`, which the caller writes to the transport whenever it likes and then clears. Replies to pings
/// and Closes are appended by themselves. See the [crate's documentation](crate) for the loop.
///
/// A connection takes 256 bytes at most where it lies, 160 elsewhere, and its share of the configuration; a few more while a
/// control frame is broken off or a pong is [owed](Self::owes_pong), and once it ends.
///
/// ```
/// use sockeye::{Config, Connection, MessageRef, Received};
///
/// let (mut client, mut server) = (Connection::client(Config::default()), Connection::server(Config::default()));
/// let (mut up, mut down) = (Vec::new(), Vec::new());   // what is on its way to the server, and to the client
/// client.send_text("hello", &mut up)?;
///
/// let mut assembler = server.assembler();
/// let mut input = &mut up[..];
/// while let Some(received) = server.receive_message(&mut input, &mut assembler, &mut down)? {
///     if let Received::Message(message) = received {
///         assert_eq!(message, MessageRef::Text("hello"));
///         server.send(message, &mut down)?;
///     }
/// }
/// assert_eq!(down, b"\x81\x05hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    role: Role,
    is_transport_ended: bool,
    /// Whether the closing handshake has taken as long as it may.
    is_overdue: bool,
    /// Whether a Close was asked for that waits behind a message: its time runs.
    is_close_asked: bool,
    /// Bytes that were taken out of the output and are not written yet.
    in_flight: usize,
    /// Bytes at the front of the output that are written already.
    written: usize,
    /// The pong for the newest ping, while the output has no room for it.
    owed_pong: Option<Box<ControlPayload>>,
    /// These two stand elsewhere, for there are many connections that have not ended.
    cause: Option<Box<EndCause>>,
    peer_close: Option<Box<Close>>,
    /// Boxed, because it is looked at once for many messages.
    keepalive: Box<Keepalive>,
}

impl Connection {
    /// Creates the server's end of a connection whose opening handshake is done.
    #[must_use]
    pub fn server(config: impl Into<Arc<Config>>) -> Self {
        Self::new(Role::Server, None, config.into())
    }

    /// Creates the client's end of a connection whose opening handshake is done, with masking keys from `rand`'s
    /// thread-local CSPRNG.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn client(config: impl Into<Arc<Config>>) -> Self {
        Self::client_with_keys(config, self::sender::thread_key)
    }

    /// Creates the client's end of a connection with masking keys from a source of the caller's: for `no_std`, and for
    /// tests.
    #[must_use]
    pub fn client_with_keys(config: impl Into<Arc<Config>>, keys: impl MaskingKeys + 'static) -> Self {
        Self::new(Role::Client, Some(Box::new(keys)), config.into())
    }

    fn new(role: Role, keys: Option<Box<dyn MaskingKeys>>, config: Arc<Config>) -> Self {
        Self {
            receiver: Receiver::new(role, config.clone()),
            sender: Sender::new(keys, config),
            role,
            is_transport_ended: false,
            is_overdue: false,
            is_close_asked: false,
            in_flight: 0,
            written: 0,
            owed_pong: None,
            cause: None,
            peer_close: None,
            keepalive: Box::default(),
        }
    }

    /// Lets a negotiated extension encode what is sent and own reserved bits of what is received (RFC 6455 §9). It takes
    /// the place of one that was there before.
    ///
    /// The other direction belongs to the assembler: [`Assembler::extend`].
    pub fn extend(&mut self, rsv: Rsv, encoder: Box<dyn Encoder>) {
        self.receiver.allow(rsv);
        self.sender.extend(rsv, encoder);
    }

    /// Receives the next event from the front of `input` and advances `input` over what it took.
    ///
    /// Call it until it gives `None`: then every byte was taken, and more are needed. Events borrow the input and not
    /// the connection, so an answer can be sent from inside the loop. Payloads are unmasked in place. What we owe for
    /// an event is appended to `output` before it is reported. After the peer's Close, input is taken and ignored.
    ///
    /// # Errors
    ///
    /// What the peer did wrong; everything before it was reported. The Close that tells the peer is in `output`, the
    /// connection is closed, and every later call says the same again. Write the output, then see [`Self::teardown`].
    #[inline]
    pub fn receive<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        if self.owed_pong.is_none() {
            match self.receiver.receive_single(input, usize::MAX) {
                Ok(Some(message)) => return Ok(Some(Event::Data(Chunk::from(message)))),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error, output)),
            }
        }
        if let Some(chunk) = self.receive_fragment(input, u64::MAX, output)? {
            return Ok(Some(Event::Data(chunk)));
        }
        self.receive_any(input, u64::MAX, output)
    }

    /// Receives the next whole message, ping, pong or Close, as [`Self::receive`] does.
    ///
    /// A message that lies whole in the input is lent from there, another one from the assembler.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`], and what the assembler refuses.
    #[inline]
    pub fn receive_message<'m, 'b: 'm>(
        &mut self,
        input: &mut &'b mut [u8],
        assembler: &'m mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<Received<'m>>, ProtocolError> {
        self.receive_buffered(input, 0, assembler, output)
    }

    /// Receives the next whole message, ping, pong or Close, and leaves a message in the input that has only begun there,
    /// where the whole of it may fit into `room` bytes.
    ///
    /// So a message that reads have cut is lent from the input, and not copied into the assembler first. Where `None` leaves
    /// something in the input, read on behind it, for [`Self::lacks`] bytes or more, and receive again; when the input ends
    /// or there is nothing to read for now, give it to [`Self::receive_message`], which takes what there is.
    ///
    /// `room` is what the buffer holds that the input lies in.
    ///
    /// ```
    /// use sockeye::{Config, Connection, MessageRef, ProtocolError, Received};
    ///
    /// /// Reads from `wire` as from a socket, as many bytes as lack or else up to 4 KiB, and gives what the messages say.
    /// fn texts(mut wire: &[u8]) -> Result<Vec<String>, ProtocolError> {
    ///     let mut client = Connection::client(Config::default());
    ///     let (mut assembler, mut output, mut texts) = (client.assembler(), Vec::new(), Vec::new());
    ///     let (mut buffer, mut len) = (vec![0; 64 * 1024], 0);   // the first `len` bytes are read, and not yet received
    ///     while !wire.is_empty() {
    ///         let most = client.lacks(&buffer[..len]).unwrap_or(4096).min(buffer.len() - len).min(wire.len());
    ///         buffer[len..len + most].copy_from_slice(&wire[..most]);
    ///         (wire, len) = (&wire[most..], len + most);
    ///
    ///         let room = buffer.len();
    ///         let mut input = &mut buffer[..len];
    ///         while let Some(received) = client.receive_buffered(&mut input, room, &mut assembler, &mut output)? {
    ///             if let Received::Message(MessageRef::Text(text)) = received {
    ///                 texts.push(text.to_owned());
    ///             }
    ///         }
    ///         let left = input.len();
    ///         buffer.copy_within(len - left..len, 0);
    ///         len = left;
    ///     }
    ///     Ok(texts)
    /// }
    ///
    /// assert_eq!(texts(b"\x81\x05Hello\x01\x03Hel\x80\x02lo")?, ["Hello", "Hello"]);
    /// # Ok::<(), ProtocolError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::receive_message`]. What is wrong with a text that is left in the input is found when more of it is there.
    #[inline]
    pub fn receive_buffered<'m, 'b: 'm>(
        &mut self,
        input: &mut &'b mut [u8],
        room: usize,
        assembler: &'m mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<Received<'m>>, ProtocolError> {
        if self.owed_pong.is_none() && !assembler.is_open() {
            match self.receiver.receive_single(input, assembler.max()) {
                Ok(Some(message)) => return Ok(Some(Received::Message(message))),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error, output)),
            }
        }
        self.receive_gathered(input, room, assembler, output)
    }

    /// Takes note that the transport's input ended, or that the transport failed.
    ///
    /// Without a closing handshake the connection is lost: [`CloseCode::ABNORMAL`] is reported, never sent.
    pub fn receive_eof(&mut self) {
        self.is_transport_ended = true;
        if self.receiver.state() == Receiving::Open {
            self.receiver.receive_eof();
            self.sender.shut();
            self.note_cause(EndCause::TransportLost);
        }
    }

    /// Fails the connection for what the caller found wrong in the peer's data (RFC 6455 §7.1.7); gives the error back.
    pub fn fail(&mut self, error: ProtocolError, output: &mut Vec<u8>) -> ProtocolError {
        if self.receiver.state() != Receiving::Closed {
            self.receiver.fail(error.clone());
            self.sender.reply(Reply::from(&error), output);
            self.owed_pong = None;
            self.note_cause(EndCause::Violation(error.clone()));
        }
        error
    }

    /// Takes note of the time and does what is due: sends a keepalive ping, or ends the connection and says which
    /// deadline did.
    ///
    /// Call it once at the start, after each batch of received input, and when [`Self::poll_timeout`] says; a call that
    /// is early does nothing. What happened since the last call counts as of now. An empty `output` is taken as the
    /// sign that everything sent so far was written.
    ///
    /// After [`Timeout::Idle`], [`Timeout::Message`] and [`Timeout::Lifetime`] our Close is in `output` and the closing
    /// handshake has begun. After [`Timeout::Pong`], [`Timeout::Output`] and [`Timeout::Close`] the connection is closed:
    /// [`Self::teardown`].
    pub fn handle_timeout(&mut self, now: Instant, output: &mut Vec<u8>) -> Option<Timeout> {
        self.pay_owed_pong(output);
        if self.is_overdue || (self.is_transport_ended && self.state() == State::Closed) {
            return None;
        }
        let facts = Facts {
            received_bytes: self.receiver.received().wire_bytes,
            incomplete: self.receiver.incomplete(),
            is_open: self.is_open_in_time(),
            is_output_empty: self.waiting(output) == 0,
            written_bytes: self.written_bytes(output),
        };
        let timeout = match self.keepalive.handle(now, facts, self.receiver.config())? {
            Due::Ping(number) => {
                // The connection is open, and eight bytes fit.
                let _ = self.sender.send_ping(&number.to_be_bytes(), output);
                return None;
            }
            Due::Expired(timeout) => timeout,
        };
        self.note_cause(EndCause::Timeout(timeout));
        let code = match timeout {
            // Nobody would take a Close.
            Timeout::Close | Timeout::Output => {
                self.is_overdue = true;
                self.abandon();
                return Some(timeout);
            }
            Timeout::Pong => CloseCode::INTERNAL_ERROR,
            Timeout::Idle | Timeout::Lifetime => CloseCode::GOING_AWAY,
            Timeout::Message => CloseCode::POLICY_VIOLATION,
        };
        self.sender.reply(Reply::Close(Close::explaining(code, &timeout.to_string())), output);
        if timeout == Timeout::Pong {
            self.is_overdue = true;
            self.abandon();
        }
        Some(timeout)
    }

    /// Says how many bytes were taken out of the output and are not written yet, where they are written elsewhere.
    ///
    /// They count as output that waits: a ping among them was not sent yet, and pongs are held back behind many. Say it
    /// again as the transport takes them, for [`Config::output_timeout`] looks for that. Who clears the output only once
    /// it was written need not call this.
    pub fn set_in_flight(&mut self, bytes: usize) {
        self.in_flight = bytes;
    }

    /// Returns what [`Self::set_in_flight`] said last.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Splits the connection into halves for two owners, such as two threads.
    ///
    /// Deadlines and the round-trip time stay behind: they need both. What is owed goes from the receiver to the sender
    /// by [`Event::reply`] and `Reply::from(&error)`. The third part is the pong that was [owed](Self::owes_pong) so far.
    ///
    /// ```
    /// use sockeye::{Config, Connection};
    ///
    /// let (mut receiver, mut sender, owed) = Connection::server(Config::default()).split();
    /// assert_eq!(owed, None);
    /// let (mut read, mut output) = (*b"\x89\x80\0\0\0\0", Vec::new());   // a ping
    /// let mut input = &mut read[..];
    /// while let Some(event) = receiver.receive(&mut input)? {
    ///     if let Some(reply) = event.reply() {
    ///         sender.reply(reply, &mut output);   // in another thread, as often as not
    ///     }
    /// }
    /// assert_eq!(output, b"\x8a\x00");
    /// # Ok::<(), sockeye::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn split(self) -> (Receiver, Sender, Option<Reply>) {
        (self.receiver, self.sender, self.owed_pong.map(|payload| Reply::Pong(*payload)))
    }

    /// Returns the next time at which [`Self::handle_timeout`] has something to do; `None` before its first call, and
    /// where no deadline is set.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_overdue || (self.is_transport_ended && self.state() == State::Closed) {
            return None;
        }
        self.keepalive.poll(self.is_open_in_time(), self.config())
    }

    /// Returns whether a pong is held back, because more output than [`Config::max_pending_pongs`] was waiting.
    ///
    /// It is appended by the next [`Self::receive`] or [`Self::handle_timeout`] that finds the output shorter: where this
    /// holds after output was written, call one of them, an empty input will do.
    #[must_use]
    pub fn owes_pong(&self) -> bool {
        self.owed_pong.is_some()
    }

    /// Returns where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(self.sender.is_closed(), self.receiver.state())
    }

    /// Returns what is to be done with the transport.
    #[must_use]
    pub fn teardown(&self) -> Teardown {
        if self.is_overdue || (self.is_transport_ended && self.state() == State::Closed) {
            return Teardown::Close;
        }
        match (self.state(), self.receiver.state(), self.role) {
            (State::Open | State::Closing, _, _) => Teardown::Keep,
            (State::Closed, Receiving::Failed, _) => Teardown::Linger,
            // §7.1.1: the server closes the TCP connection first.
            (State::Closed, Receiving::Closed, Role::Client) => Teardown::AwaitPeer,
            (State::Closed, Receiving::Closed, Role::Server) => Teardown::Close,
            (State::Closed, Receiving::Open | Receiving::Lost, _) => Teardown::Close,
        }
    }

    /// Returns what ended the connection, or is ending it; `None` while it is open.
    #[must_use]
    pub fn end_cause(&self) -> Option<&EndCause> {
        self.cause.as_deref()
    }

    /// Returns the Close that the peer sent.
    #[must_use]
    pub fn peer_close(&self) -> Option<&Close> {
        self.peer_close.as_deref()
    }

    /// Returns the close code of the connection as RFC 6455 §7.1.5 has it, once it is closed: that of the peer's Close, or
    /// [`CloseCode::ABNORMAL`] where none came.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        match (&self.peer_close, self.state()) {
            (Some(close), _) => Some(close.code()),
            (None, State::Closed) => Some(CloseCode::ABNORMAL),
            (None, State::Open | State::Closing) => None,
        }
    }

    /// Creates an assembler with the limit of this connection's configuration.
    #[must_use]
    pub fn assembler(&self) -> Assembler {
        Assembler::new(self.receiver.config().clone())
    }

    /// Returns which end of the connection this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns what a call of [`Self::receive`] with this input will give: see [`Receiver::peek`].
    #[must_use]
    pub fn peek(&self, input: &[u8]) -> Next {
        self.receiver.peek(input)
    }

    /// Returns how many bytes have to be read behind this input, at least, for the message that begins at its front to lie in
    /// it whole, with the limits of the configuration; `None` where that is so already, and where there is something else.
    ///
    /// See [`Self::receive_buffered`].
    #[must_use]
    pub fn lacks(&self, input: &[u8]) -> Option<usize> {
        self.lacks_within(input, usize::MAX, self.config().max_message_size)
    }

    /// How many bytes the input lacks for such a message of no more than `max` bytes; `None` also where the whole is longer than
    /// `room`, as far as can be told.
    pub(crate) fn lacks_within(&self, input: &[u8], room: usize, max: usize) -> Option<usize> {
        if self.owed_pong.is_some() {
            return None;
        }
        let lacking = usize::try_from(self.receiver.lacks(input, max)?).ok()?;
        (lacking <= room.saturating_sub(input.len())).then_some(lacking)
    }

    /// Returns whether a fragmented message of ours has begun and not ended.
    #[must_use]
    pub fn is_sending_message(&self) -> bool {
        self.sender.is_sending_message()
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.receiver.config()
    }

    /// Whether the deadlines of an open connection are to be kept, and not those of one that closes.
    fn is_open_in_time(&self) -> bool {
        self.state() == State::Open && !self.is_close_asked
    }

    /// Takes note that a Close was asked for which goes out behind a message that has begun. Its time runs from when the time is
    /// told next.
    #[cfg(feature = "driver")]
    pub(crate) fn note_close_asked(&mut self) {
        self.is_close_asked = true;
    }

    /// Whether a message that is being received, or a frame of one, has begun and not ended.
    #[cfg(feature = "driver")]
    pub(crate) fn is_receiving_message(&self) -> bool {
        self.receiver.incomplete().is_some()
    }

    /// How long a message may be that is received next: what goes on with one whose beginning went elsewhere is only skipped.
    pub(crate) fn longest_for(&self, assembler: &Assembler) -> u64 {
        let is_skipped = self.receiver.is_inside_message() && !assembler.is_open();
        if is_skipped { u64::MAX } else { assembler.max() as u64 }
    }

    /// Whether the next thing to be received is a whole message of no more than `max` bytes that lies in the input, and
    /// nothing has to be done before.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn has_whole(&self, input: &[u8], max: usize) -> bool {
        self.owed_pong.is_none() && self.receiver.has_whole(input, max) && !self.has_pong()
    }

    /// Whether that is a message in one frame.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn has_single(&self, input: &[u8], max: usize) -> bool {
        self.owed_pong.is_none() && self.receiver.has_single(input, max) && !self.has_pong()
    }

    /// Receives such a message; `None` where it is not there or turns out to be wrong.
    #[cfg(feature = "driver")]
    #[inline(always)]
    pub(crate) fn receive_single<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max: usize,
        output: &mut Vec<u8>,
    ) -> Option<MessageRef<'b>> {
        match self.receiver.receive_single(input, max) {
            Ok(message) => message,
            Err(error) => {
                self.fail(error, output);
                None
            }
        }
    }

    /// Whether a pong waits for the time to be told. An adapter tells it before the application gets what came behind.
    #[cfg(feature = "std")]
    pub(crate) fn has_pong(&self) -> bool {
        self.keepalive.has_pong()
    }

    /// Returns the time between the last answered ping of [`Self::ping`] or of the keepalive and its pong, to the
    /// accuracy of the times given to [`Self::handle_timeout`].
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// Returns what was received so far.
    #[must_use]
    pub fn received(&self) -> Counters {
        self.receiver.received()
    }

    /// Returns what was sent so far.
    #[must_use]
    pub fn sent(&self) -> Counters {
        self.sender.sent()
    }

    /// The long path of [`Self::receive`], which refuses a message of more than `max_message` bytes by its headers.
    pub(crate) fn receive_any<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max_message: u64,
        output: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        self.pay_owed_pong(output);
        let event = match self.receiver.receive_any(input, max_message) {
            Ok(event) => event,
            Err(error) => return Err(self.fail(error, output)),
        };
        match &event {
            Some(Event::Ping(payload)) if self.has_room_for_pong(output) => {
                self.sender.reply(Reply::Pong(*payload), output);
            }
            Some(Event::Ping(payload)) => self.owed_pong = Some(Box::new(*payload)),
            Some(Event::Pong(payload)) => self.keepalive.pong(payload),
            Some(Event::Close(close)) => {
                self.note_cause(EndCause::Remote);
                self.peer_close = Some(Box::new(close.clone()));
                self.owed_pong = None;
                if let Some(reply) = event.as_ref().and_then(Event::reply) {
                    self.sender.reply(reply, output);
                }
            }
            Some(Event::Data(_)) | None => {}
        }
        Ok(event)
    }

    /// The long path of [`Self::receive_message`] and [`Self::receive_buffered`].
    fn receive_gathered<'m, 'b: 'm>(
        &mut self,
        input: &mut &'b mut [u8],
        room: usize,
        assembler: &'m mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<Received<'m>>, ProtocolError> {
        // As most calls end that come after the last message.
        if self.owed_pong.is_none() && input.is_empty() && self.receiver.is_quiet() {
            return Ok(None);
        }
        assembler.keep_only(self.receiver.open_message());
        if self.owed_pong.is_none() {
            match self.receiver.receive_fragments(input, assembler.max()) {
                Ok(Some(message)) => return Ok(Some(Received::Message(message))),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error, output)),
            }
            if room > 0 && self.lacks_within(input, room, assembler.max()).is_some() {
                return Ok(None);
            }
        }
        loop {
            let max = self.longest_for(assembler);
            let chunk = match self.receive_fragment(input, max, output)? {
                Some(chunk) => chunk,
                None => match self.receive_any(input, max, output)? {
                    Some(Event::Data(chunk)) => chunk,
                    Some(Event::Ping(payload)) => return Ok(Some(Received::Ping(payload))),
                    Some(Event::Pong(payload)) => return Ok(Some(Received::Pong(payload))),
                    Some(Event::Close(close)) => return Ok(Some(Received::Close(close))),
                    None => return Ok(None),
                },
            };
            let pushed = assembler.push(chunk);
            match pushed {
                Ok(Assembly::Whole(message)) => return Ok(Some(Received::Message(message))),
                Ok(Assembly::Complete) => break,
                Ok(Assembly::Partial) => {}
                Err(error) => {
                    *input = &mut [];
                    return Err(self.fail(error, output));
                }
            }
        }
        self.note_decoded(assembler);
        Ok(Some(Received::Message(assembler.message())))
    }

    /// Receives a whole message of at most `max` bytes that lies in the input, by a short path; `None`, with nothing touched,
    /// where there is something else.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn receive_whole<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max: usize,
        output: &mut Vec<u8>,
    ) -> Result<Option<MessageRef<'b>>, ProtocolError> {
        if self.owed_pong.is_some() {
            return Ok(None);
        }
        match self.receiver.receive_single(input, max) {
            Ok(None) => {}
            Ok(Some(message)) => return Ok(Some(message)),
            Err(error) => return Err(self.fail(error, output)),
        }
        match self.receiver.receive_fragments(input, max) {
            Err(error) => Err(self.fail(error, output)),
            message => message,
        }
    }

    /// Receives a frame of a message in several, if it lies whole in the input: see [`Receiver::receive_fragment`].
    #[inline]
    pub(crate) fn receive_fragment<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        max_message: u64,
        output: &mut Vec<u8>,
    ) -> Result<Option<Chunk<'b>>, ProtocolError> {
        if self.owed_pong.is_some() {
            return Ok(None);
        }
        self.receiver.receive_fragment(input, max_message).map_err(|error| self.fail(error, output))
    }

    /// Counts what the extension of an assembler has decoded.
    pub(crate) fn note_decoded(&mut self, assembler: &mut Assembler) {
        self.receiver.note_decoded(assembler.take_decoded());
    }

    /// Counts what an extension has decoded.
    #[cfg(feature = "std")]
    pub(crate) fn count_decoded(&mut self, bytes: u64) {
        self.receiver.note_decoded(bytes);
    }

    /// Whether the chunk that this input will give is for an extension to decode.
    #[cfg(feature = "std")]
    pub(crate) fn is_next_encoded(&self, input: &[u8]) -> bool {
        self.receiver.is_next_encoded(input)
    }

    /// Appends the pong for the newest ping, if there is one and room for it (RFC 6455 §5.5.3).
    fn pay_owed_pong(&mut self, output: &mut Vec<u8>) {
        if self.owed_pong.is_some() && self.has_room_for_pong(output) {
            if let Some(payload) = self.owed_pong.take() {
                self.sender.reply(Reply::Pong(*payload), output);
            }
        }
    }

    /// Whether a pong may join the output: always if nothing waits.
    fn has_room_for_pong(&self, output: &[u8]) -> bool {
        let waiting = self.waiting(output);
        waiting == 0 || waiting < self.config().max_pending_pongs
    }

    /// How many bytes of output wait to be written.
    fn waiting(&self, output: &[u8]) -> usize {
        output.len().saturating_add(self.in_flight).saturating_sub(self.written)
    }

    /// How many bytes of ours were written in all. Below zero where the output holds bytes of the caller's.
    fn written_bytes(&self, output: &[u8]) -> i64 {
        let sent = i64::try_from(self.sender.sent().wire_bytes).unwrap_or(i64::MAX);
        sent.saturating_sub_unsigned(self.waiting(output) as u64)
    }

    /// Takes note of what ended the connection, if nothing did before.
    fn note_cause(&mut self, cause: EndCause) {
        self.cause.get_or_insert_with(|| Box::new(cause));
    }

    /// Gives up waiting for the peer.
    fn abandon(&mut self) {
        self.receiver.receive_eof();
        self.sender.shut();
    }
}
