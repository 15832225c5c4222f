//! What an adapter that queues output in pieces needs of a connection beyond the public verbs.
//!
//! Such an adapter writes payloads from where they lie and takes the headers alone; it drops what was written from its
//! queue when that suits it, not at once; and it tells whoever waits for a pong that it is here.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Coding, Connection};
use crate::error::SendError;
use crate::extension::Fin;
use crate::frame::{FrameHead, Rsv};
use crate::message::MessageKind;
use crate::prepared::{Encoded, PreparedMessage};

impl Connection {
    /// Returns the header of the next fragment, or of a whole message if it is the first and the last, for a payload that
    /// the caller writes behind it, as it is; a client's is masked in place. The first one of a message is marked with `rsv`.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`]; [`SendError::FragmentKind`] for another kind than that of the open message.
    pub(crate) fn fragment_head(
        &mut self,
        kind: MessageKind,
        rsv: Rsv,
        fin: Fin,
        payload: &mut [u8],
    ) -> Result<FrameHead, SendError> {
        self.sender.fragment_head(kind, rsv, fin, payload)
    }

    /// Appends the next piece of a message as [`Self::send_fragment`] does, by its bytes, so that a text can be cut inside
    /// a character. The caller vouches for the whole to be UTF-8. How the message is encoded, the first piece says.
    ///
    /// # Errors
    ///
    /// As [`Self::send_fragment`].
    pub(crate) fn send_piece(
        &mut self,
        kind: MessageKind,
        coding: Coding,
        piece: &[u8],
        fin: Fin,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.sender.send_piece(kind, coding, piece, fin, output)
    }

    /// Whether sending runs no code of others, which may panic: see [`Sender::is_plain`](crate::Sender).
    #[inline]
    pub(crate) fn sends_plainly(&self) -> bool {
        self.sender.is_plain()
    }

    /// Returns how a message that begins now is to be encoded; `len` is its length where known.
    pub(crate) fn coding(&mut self, kind: MessageKind, len: Option<usize>, may_be_encoded: bool) -> Coding {
        self.sender.coding(kind, len, may_be_encoded)
    }

    /// Returns the encoding of a prepared message that many connections share, if this one takes it.
    ///
    /// # Errors
    ///
    /// What the extension says.
    pub(crate) fn encoding<'p>(&mut self, message: &'p PreparedMessage) -> Result<Option<&'p Encoded>, SendError> {
        self.sender.encoding(message)
    }

    /// Returns the header and the payload of a prepared message's frame, as [`Self::prepared`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn prepared_parts<'p>(
        &mut self,
        message: &'p PreparedMessage,
    ) -> Result<(&'p FrameHead, &'p Bytes), SendError> {
        self.sender.prepared_parts(message)
    }

    /// Whether [`Self::prepared`] gives a message as [`Self::send_prepared`] sends it: on a server that encodes it in a way
    /// that many share, or not at all.
    pub(crate) fn shares(&mut self, message: &PreparedMessage) -> bool {
        self.sender.shares(message)
    }

    /// Gives the parts of a prepared message's frame that everybody can have, not counted as sent.
    #[cfg(feature = "pubsub")]
    pub(crate) fn shared_parts<'p>(
        &mut self,
        message: &'p PreparedMessage,
        may_be_encoded: bool,
    ) -> Result<Option<(&'p FrameHead, &'p Bytes)>, SendError> {
        self.sender.shared_parts(message, may_be_encoded)
    }

    /// Counts a message as sent whose parts [`Self::shared_parts`] gave.
    #[cfg(feature = "pubsub")]
    pub(crate) fn count_shared(&mut self, message: &PreparedMessage, head: &FrameHead, payload: &Bytes) {
        self.sender.count_shared(message, head, payload);
    }

    /// Says how many bytes at the front of the output are written already and will be dropped from it later. They do not
    /// wait. Say 0 when they were dropped.
    pub(crate) fn set_written(&mut self, bytes: usize) {
        self.written = bytes;
    }

    /// Returns the number of the newest ping of [`Self::ping`] or of the keepalive; 0 before the first.
    pub(crate) fn newest_ping(&self) -> u64 {
        let (newest, _) = self.keepalive.pings();
        newest
    }

    /// Returns the number of the newest ping whose pong was here at the last call of [`Self::handle_timeout`]; 0 before
    /// the first. All before it count as answered, too (RFC 6455 §5.5.3).
    pub(crate) fn answered_ping(&self) -> u64 {
        let (_, answered) = self.keepalive.pings();
        answered
    }

    /// How many bytes were sent so far, as they stand on the wire.
    #[inline]
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sender.sent_bytes()
    }

    /// Whether our Close was sent, or can be no more.
    #[inline]
    pub(crate) fn is_close_sent(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the input has ended.
    pub(crate) fn is_transport_ended(&self) -> bool {
        self.is_transport_ended
    }

    /// Whether a deadline has ended the connection without waiting for the peer.
    pub(crate) fn is_overdue(&self) -> bool {
        self.is_overdue
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec;
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::close::Close;
    use crate::config::Config;
    use crate::extension::{Encoder, ExtensionError};
    use crate::message::MessageRef;
    use crate::time::{Instant, Timeout};

    const PLAIN: Coding = Coding::AsIs(Rsv::NONE);

    fn server() -> Connection {
        Connection::server(Config::default())
    }

    fn client() -> Connection {
        Connection::client_with_keys(Config::default(), || [1, 2, 3, 4])
    }

    fn ends() -> [Connection; 2] {
        [client(), server()]
    }

    fn at(secs: u64) -> Instant {
        Duration::from_secs(secs).into()
    }

    /// Turns each byte around, and holds back all of a piece that is not the last.
    struct Invert(Vec<u8>);

    impl Encoder for Invert {
        fn encode(&mut self, piece: &[u8], fin: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
            self.0.extend(piece.iter().map(|byte| !byte));
            if fin == Fin::Last {
                output.append(&mut self.0);
            }
            Ok(())
        }
    }

    /// A message in pieces by heads, with the payloads written behind these.
    fn by_heads(connection: &mut Connection, kind: MessageKind, pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            let fin = if n + 1 == pieces.len() { Fin::Last } else { Fin::More };
            let mut payload = piece.clone();
            wire.extend_from_slice(&connection.fragment_head(kind, Rsv::NONE, fin, &mut payload).unwrap());
            wire.extend(payload);
        }
        wire
    }

    proptest! {
        #[test]
        fn heads_and_payloads_give_the_bytes_that_fragments_give(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
        ) {
            for (mut connection, mut twin) in ends().into_iter().zip(ends()) {
                let mut wire = by_heads(&mut connection, MessageKind::Binary, &pieces);
                let mut expected = Vec::new();
                for (n, piece) in pieces.iter().enumerate() {
                    let fin = if n + 1 == pieces.len() { Fin::Last } else { Fin::More };
                    twin.send_fragment(&piece[..], fin, &mut expected).unwrap();
                }
                prop_assert_eq!(&wire, &expected);
                prop_assert_eq!(connection.sent(), twin.sent());
                // And what follows is a message of its own.
                connection.send_text("next", &mut wire).unwrap();
                twin.send_text("next", &mut expected).unwrap();
                prop_assert_eq!(wire, expected);
            }
        }

        #[test]
        fn shared_heads_are_those_of_a_server(
            lens in prop::collection::vec(0usize..70_000, 1..5),
        ) {
            let (mut sharing, mut masking) = (server(), server());
            for (n, len) in lens.iter().enumerate() {
                let fin = if n + 1 == lens.len() { Fin::Last } else { Fin::More };
                let shared = sharing.shared_fragment_head(MessageKind::Text, Rsv::NONE, fin, *len).unwrap();
                prop_assert_eq!(shared, masking.fragment_head(MessageKind::Text, Rsv::NONE, fin, &mut vec![0; *len]).unwrap());
            }
            prop_assert_eq!(sharing.sent(), masking.sent());
            prop_assert!(!sharing.is_sending_message());
        }

        #[test]
        fn a_text_cut_anywhere_arrives_whole(
            text in "\\PC{0,30}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.sort_unstable();
            for (mut sender, mut receiver) in ends().into_iter().zip([server(), client()]) {
                let (mut wire, mut from) = (Vec::new(), 0);
                for &cut in &cuts {
                    sender.send_piece(MessageKind::Text, PLAIN, &text.as_bytes()[from..cut], Fin::More, &mut wire).unwrap();
                    from = cut;
                }
                sender.send_piece(MessageKind::Text, PLAIN, &text.as_bytes()[from..], Fin::Last, &mut wire).unwrap();
                let mut assembler = receiver.assembler();
                let mut input = &mut wire[..];
                let received = receiver.receive_message(&mut input, &mut assembler, &mut Vec::new()).unwrap();
                prop_assert_eq!(received, Some(crate::Received::Message(MessageRef::Text(&text))));
            }
        }
    }

    #[test]
    fn a_client_masks_the_payload_in_place_and_shares_none() {
        let mut payload = *b"\0\0\0\0\0";
        let head = client().fragment_head(MessageKind::Text, Rsv::NONE, Fin::More, &mut payload).unwrap();
        assert_eq!((&*head, payload), (&[0x01, 0x85, 1, 2, 3, 4][..], [1, 2, 3, 4, 1]));
        let mut client = client();
        let shared = client.shared_fragment_head(MessageKind::Text, Rsv::NONE, Fin::More, 5);
        assert_eq!(shared, Err(SendError::MaskRequired));
        assert!(!client.is_sending_message(), "nothing has begun");
    }

    #[test]
    fn section_5_4_control_frames_may_stand_between_heads() {
        let (mut server, mut wire) = (server(), Vec::new());
        wire.extend_from_slice(&server.shared_fragment_head(MessageKind::Text, Rsv::NONE, Fin::More, 1).unwrap());
        wire.push(b'a');
        server.send_ping(b"", &mut wire).unwrap();
        wire.extend_from_slice(&server.shared_fragment_head(MessageKind::Text, Rsv::NONE, Fin::Last, 1).unwrap());
        wire.push(b'b');
        assert_eq!(wire, b"\x01\x01a\x89\x00\x80\x01b");
    }

    #[test]
    fn section_5_4_a_message_that_heads_have_begun_is_open_to_every_other_verb() {
        for mut connection in ends() {
            let mut output = Vec::new();
            connection.fragment_head(MessageKind::Text, Rsv::NONE, Fin::More, &mut []).unwrap();
            assert!(connection.is_sending_message());
            assert_eq!(connection.send_text("whole", &mut output), Err(SendError::MessageOpen));
            assert_eq!(connection.head(MessageKind::Text, &mut []).map(drop), Err(SendError::MessageOpen));
            let other = connection.fragment_head(MessageKind::Binary, Rsv::NONE, Fin::Last, &mut []);
            assert_eq!(other.map(drop), Err(SendError::FragmentKind));
            let other = connection.send_piece(MessageKind::Binary, PLAIN, b"", Fin::Last, &mut output);
            assert_eq!((other, output.len()), (Err(SendError::FragmentKind), 0));
            connection.send_fragment("end", Fin::Last, &mut output).unwrap();
            assert_eq!((output[0], connection.is_sending_message()), (0x80, false));
        }
    }

    #[test]
    fn section_5_5_1_nothing_follows_our_close() {
        for mut connection in ends() {
            let mut output = Vec::new();
            connection.close(Close::normal(), &mut output).unwrap();
            let (sent, mut payload) = (connection.sent(), *b"late");
            let head = connection.fragment_head(MessageKind::Text, Rsv::NONE, Fin::Last, &mut payload);
            assert_eq!((head.map(drop), payload), (Err(SendError::Closed), *b"late"));
            let piece = connection.send_piece(MessageKind::Text, PLAIN, b"late", Fin::Last, &mut output);
            assert_eq!((piece, connection.sent()), (Err(SendError::Closed), sent));
        }
        let mut server = server();
        server.close(Close::normal(), &mut Vec::new()).unwrap();
        assert_eq!(server.shared_fragment_head(MessageKind::Text, Rsv::NONE, Fin::Last, 0), Err(SendError::Closed));
    }

    #[test]
    fn pieces_go_through_the_extension() {
        let (mut server, mut output) = (server(), Vec::new());
        assert_eq!(server.coding(MessageKind::Text, None, true), PLAIN);
        server.extend(Rsv::RSV1, Box::new(Invert(Vec::new())));
        let coding = server.coding(MessageKind::Text, None, true);
        assert_eq!((coding, server.coding(MessageKind::Text, None, false)), (Coding::Encoded, PLAIN));
        server.send_piece(MessageKind::Text, coding, b"a", Fin::More, &mut output).unwrap();
        assert_eq!(output, b"", "all of it is held back");
        server.send_piece(MessageKind::Text, coding, b"b", Fin::Last, &mut output).unwrap();
        assert_eq!(output, [0xc1, 2, !b'a', !b'b']);
    }

    #[test]
    fn bytes_that_were_written_already_do_not_wait() {
        for mut connection in ends() {
            let mut output = Vec::new();
            connection.handle_timeout(at(0), &mut output);
            connection.ping(&mut output).unwrap();
            connection.set_written(output.len() - 1);
            connection.handle_timeout(at(1), &mut output);
            assert_eq!(connection.poll_timeout(), Some(at(21)), "the ping waits to be written");
            connection.set_written(output.len());
            connection.handle_timeout(at(2), &mut output);
            assert_eq!(connection.poll_timeout(), Some(at(22)), "it was written now");
            output.clear();
            connection.set_written(0);
            assert_eq!(connection.handle_timeout(at(21), &mut output), None);
            assert_eq!(connection.handle_timeout(at(22), &mut output), Some(Timeout::Pong));
        }
    }

    #[test]
    fn more_that_was_written_is_progress_and_dropping_it_is_not() {
        for mut connection in ends() {
            let mut output = Vec::new();
            connection.send_binary(&[7; 100], &mut output).unwrap();
            connection.handle_timeout(at(0), &mut output);
            assert_eq!(connection.poll_timeout(), Some(at(30)));
            connection.set_written(50);
            connection.handle_timeout(at(20), &mut output);
            output.drain(..50);
            connection.set_written(0);
            for second in 21..50 {
                assert_eq!(connection.handle_timeout(at(second), &mut output), None, "after {second} s");
            }
            assert_eq!(connection.handle_timeout(at(50), &mut output), Some(Timeout::Output));
        }
    }

    /// The pong that answers the ping with that number.
    fn answer(connection: &mut Connection, number: u64) {
        let mut peer = match connection.role() {
            crate::Role::Client => server(),
            crate::Role::Server => client(),
        };
        let mut wire = Vec::new();
        peer.send_pong(&number.to_be_bytes(), &mut wire).unwrap();
        let mut input = &mut wire[..];
        while connection.receive(&mut input, &mut Vec::new()).unwrap().is_some() {}
    }

    #[test]
    fn a_ping_is_answered_when_the_time_is_told_after_its_pong() {
        for mut connection in ends() {
            let mut output = Vec::new();
            connection.handle_timeout(at(0), &mut output);
            assert_eq!((connection.newest_ping(), connection.answered_ping()), (0, 0));
            connection.ping(&mut output).unwrap();
            assert_eq!((connection.newest_ping(), connection.answered_ping()), (1, 0));
            output.clear();
            connection.handle_timeout(at(1), &mut output);
            answer(&mut connection, 7);
            connection.handle_timeout(at(2), &mut output);
            assert_eq!(connection.answered_ping(), 0, "that is no ping of ours");
            answer(&mut connection, 1);
            assert_eq!(connection.answered_ping(), 0, "its round trip is not known yet");
            connection.handle_timeout(at(3), &mut output);
            assert_eq!((connection.newest_ping(), connection.answered_ping()), (1, 1));
            assert_eq!(connection.round_trip(), Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn the_answer_to_a_ping_counts_for_those_before_it_and_is_not_forgotten_for_the_next() {
        for mut connection in ends() {
            let mut output = Vec::new();
            connection.ping(&mut output).unwrap();
            connection.ping(&mut output).unwrap();
            answer(&mut connection, 2);
            // The next one is sent before anybody looked.
            connection.ping(&mut output).unwrap();
            assert_eq!((connection.newest_ping(), connection.answered_ping()), (3, 2));
            answer(&mut connection, 3);
            connection.handle_timeout(at(0), &mut output);
            assert_eq!((connection.newest_ping(), connection.answered_ping()), (3, 3));
        }
    }

    #[test]
    fn pings_of_the_keepalive_are_numbered_with_the_others() {
        let (mut server, mut output) = (server(), Vec::new());
        server.handle_timeout(at(0), &mut output);
        server.handle_timeout(at(30), &mut output);
        assert_eq!((server.newest_ping(), server.answered_ping()), (1, 0));
        server.ping(&mut output).unwrap();
        assert_eq!(server.newest_ping(), 2);
    }
}
