//! Receiving messages to be given away: what is long is split off the caller's input, so that its payload stays where it was read
//! to.
//!
//! A `String` has memory of its own, so the text of a [`Message`] is copied: best as it comes, while it is in the cache next to the
//! core. That of a [`SharedMessage`] is not.

mod place;

use alloc::vec::Vec;

use bytes::{Buf, BytesMut};

use self::place::{Given, Place};
use super::{Connection, Event, Next};
use crate::assembler::{Assembler, Assembly};
use crate::error::ProtocolError;
use crate::frame::{FrameHeader, OpCode};
use crate::message::{Message, SharedMessage};

impl Connection {
    /// Receives the next whole message and gives it away: a binary one of 16 KiB or more is split off the input and not copied.
    ///
    /// A message that has only begun is left in the input, which is given room for the rest of it, but for no more than 16 KiB and
    /// four times the bytes that are there; what is wrong with a text that is left there is found when it is whole. Gathered as they
    /// come, and so copied, are text that begins with a frame of 64 KiB or more, a message with a ping between its fragments, and
    /// one in more than eight fragments that are not all there at once.
    /// Where `None` leaves something in the input, read on behind it, as much as there is room for, and receive again; when the
    /// input ends or there is nothing to read for now, give it to [`Self::receive_message`], which takes what there is, and clear
    /// it.
    ///
    /// Pings and Closes are answered as ever and, like pongs, not told of: see [`Self::state`] and [`Self::peer_close`].
    ///
    /// A message that was split off shares the memory of the input: who keeps it keeps all of that. The input has it back
    /// for the next ones, when it is in need of room and the message is gone.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use sockeye::{Config, Connection, Message, ProtocolError};
    ///
    /// /// Reads from `wire` as from a socket, up to 4 KiB at once.
    /// fn messages(mut wire: &[u8]) -> Result<Vec<Message>, ProtocolError> {
    ///     let mut client = Connection::client(Config::default());
    ///     let (mut assembler, mut output, mut messages) = (client.assembler(), Vec::new(), Vec::new());
    ///     let mut input = BytesMut::new();
    ///     while !wire.is_empty() {
    ///         let (read, rest) = wire.split_at(wire.len().min(4096));
    ///         input.extend_from_slice(read);
    ///         wire = rest;
    ///         while let Some(message) = client.receive_owned(&mut input, &mut assembler, &mut output)? {
    ///             messages.push(message);
    ///         }
    ///     }
    ///     Ok(messages)
    /// }
    ///
    /// assert_eq!(messages(b"\x81\x05Hello\x01\x03Hel\x80\x02lo")?, ["Hello".into(), "Hello".into()]);
    /// # Ok::<(), ProtocolError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::receive_message`]; the input is empty then.
    pub fn receive_owned(
        &mut self,
        input: &mut BytesMut,
        assembler: &mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<Message>, ProtocolError> {
        self.receive_given(input, assembler, output)
    }

    /// Receives the next whole message and gives it away as [`Self::receive_owned`] does, but for text: one of 16 KiB or more is split
    /// off the input, too, and not copied, whatever the length of its frames.
    ///
    /// So a text shares the memory of the input, and who keeps it keeps all of that. What needs a `String` is better off with
    /// [`Self::receive_owned`].
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use sockeye::{Config, Connection, MessageRef, SharedMessage};
    ///
    /// let mut client = Connection::client(Config::default());
    /// let (mut assembler, mut output) = (client.assembler(), Vec::new());
    /// let mut input = BytesMut::from(&b"\x81\x05Hello\x82\x02\x01\x02"[..]);
    /// while let Some(message) = client.receive_shared(&mut input, &mut assembler, &mut output)? {
    ///     match &message {
    ///         SharedMessage::Text(text) => assert_eq!(text.as_str(), "Hello"),
    ///         SharedMessage::Binary(bytes) => assert_eq!(bytes[..], [1, 2]),
    ///     }
    ///     client.send(&message, &mut output)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::receive_message`]; the input is empty then.
    pub fn receive_shared(
        &mut self,
        input: &mut BytesMut,
        assembler: &mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<SharedMessage>, ProtocolError> {
        self.receive_given(input, assembler, output)
    }

    #[inline(always)]
    fn receive_given<M: Given>(
        &mut self,
        input: &mut BytesMut,
        assembler: &mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<M>, ProtocolError> {
        if self.owed_pong.is_none() && !assembler.is_open() {
            let (origin, len) = (input.as_ptr().addr(), input.len());
            let mut rest = &mut input[..];
            if let Ok(Some(message)) = self.receiver.receive_single(&mut rest, assembler.max()) {
                let (place, taken) = (Place::<M>::new(message, origin), len - rest.len());
                return Ok(Some(place.take(input, taken)));
            }
            // What was wrong is said again.
        }
        let received = self.receive_long(input, assembler, output);
        if received.is_err() {
            input.clear();
        }
        received
    }

    /// The long path of [`Self::receive_owned`] and [`Self::receive_shared`].
    fn receive_long<M: Given>(
        &mut self,
        input: &mut BytesMut,
        assembler: &mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<M>, ProtocolError> {
        // As most calls end that come after the last message.
        if self.owed_pong.is_none() && input.is_empty() && self.receiver.is_quiet() {
            return Ok(None);
        }
        assembler.keep_only(self.receiver.open_message());
        let max = assembler.max();
        loop {
            let (origin, len) = (input.as_ptr().addr(), input.len());
            let is_gathered = !M::KEEPS_TEXT && self.is_best_gathered(input);
            if !is_gathered && self.owed_pong.is_none() {
                let mut rest = &mut input[..];
                match self.receiver.receive_fragments(&mut rest, max) {
                    Ok(Some(message)) => {
                        let (place, taken) = (Place::<M>::new(message, origin), len - rest.len());
                        return Ok(Some(place.take(input, taken)));
                    }
                    Ok(None) => {}
                    Err(error) => return Err(self.fail(error, output)),
                }
                if let Some(lacking) = self.lacks_within(input, usize::MAX, max) {
                    make_room(input, lacking);
                    return Ok(None);
                }
            }
            let is_whole = !is_gathered && self.peek(input) == Next::Message;
            let step = if is_whole { len } else { len.min(STEP) };
            let (mut rest, longest) = (&mut input[..step], self.longest_for(assembler));
            let event = match self.receive_fragment(&mut rest, longest, output)? {
                Some(chunk) => Some(Event::Data(chunk)),
                None => self.receive_any(&mut rest, longest, output)?,
            };
            let taken = step - rest.len();
            let place = match event {
                Some(Event::Data(chunk)) => match chunk.whole() {
                    Some(message) => Some(Place::<M>::new(message, origin)),
                    None => match assembler.gather(chunk, len - taken) {
                        Ok(Assembly::Complete) => Some(Place::Elsewhere(M::gathered(assembler.take()))),
                        Ok(Assembly::Partial | Assembly::Whole(_)) => None,
                        Err(error) => return Err(self.fail(error, output)),
                    },
                },
                Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => None,
            };
            self.note_decoded(assembler);
            match place {
                Some(place) => return Ok(Some(place.take(input, taken))),
                None => input.advance(taken),
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Whether a text begins at the front of the input, which has to be copied sooner or later, and is so long that sooner is
    /// better.
    fn is_best_gathered(&self, input: &[u8]) -> bool {
        self.receiver
            .next_frame(input)
            .is_some_and(|header| header.payload_len > SHORT && header.opcode == OpCode::Text)
    }
}

/// Makes room for what lacks of a message, as far as bytes of it have come: what is only announced takes no memory.
///
/// Where it has room for all of the message and no more, the input begins anew at its front with the next one, and what it
/// lies in stays in the cache.
fn make_room(input: &mut BytesMut, lacking: usize) {
    let (room, most) = (input.capacity() - input.len(), STEP.saturating_add(input.len().saturating_mul(4)));
    if room < lacking && (room < STEP || lacking <= most) {
        input.reserve(lacking.min(most));
    }
}

/// The longest frame that a short path of the receiver takes.
const SHORT: u64 = 64 * 1024 - 1;

/// The most bytes that are received at once to be gathered, as much as takes half of the smallest cache next to a core: a frame
/// of 16 KiB.
const STEP: usize = 16 * 1024 + FrameHeader::MAX;
