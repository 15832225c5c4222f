//! The public interface, name by name: what is removed or changes its shape does not compile here.

#![expect(clippy::type_complexity, reason = "signatures are what this file is for")]

extern crate alloc;

use alloc::sync::Arc;
use core::fmt::Debug;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use sockeye::{
    Assembler, Assembly, Chunk, Close, CloseCode, CloseCodeClass, Config, Connection, ControlPayload, Counters,
    Decoded, Decoder, Encoder, EndCause, Event, ExtensionError, Fin, FrameHead, FrameHeader, Instant, MaskingKeys,
    MaskingPolicy, Message, MessageKind, MessageRef, Next, OpCode, OutgoingKind, OutgoingRef, Payload, PreparedMessage,
    ProtocolError, Received, Receiver, Receiving, Reply, Role, Rsv, SendError, Sender, SharedMessage, SharedText,
    State, Teardown, Timeout, Uncompressed, Variant, mask,
};

/// What values must be able to do that are kept, compared and printed.
fn is_value<T: Clone + PartialEq + Debug + Send + Sync>() {}

/// What errors must be able to do.
fn is_error<T: core::error::Error + Clone + PartialEq + Send + Sync + 'static>() {}

/// What can move to another thread.
fn is_send<T: Send + Debug>() {}

#[test]
fn every_type_of_the_crate_root_has_the_traits_that_it_promises() {
    is_value::<Assembly<'_>>();
    is_value::<Chunk<'_>>();
    is_value::<Close>();
    is_value::<CloseCode>();
    is_value::<CloseCodeClass>();
    is_value::<Config>();
    is_value::<ControlPayload>();
    is_value::<Counters>();
    is_value::<Decoded<'_>>();
    is_value::<EndCause>();
    is_value::<Event<'_>>();
    is_value::<Fin>();
    is_value::<FrameHead>();
    is_value::<FrameHeader>();
    is_value::<Instant>();
    is_value::<MaskingPolicy>();
    is_value::<Message>();
    is_value::<MessageKind>();
    is_value::<MessageRef<'_>>();
    is_value::<OpCode>();
    is_value::<OutgoingKind>();
    is_value::<OutgoingRef<'_>>();
    is_value::<Payload<'_>>();
    is_value::<Received<'_>>();
    is_value::<Receiving>();
    is_value::<Reply>();
    is_value::<Role>();
    is_value::<Rsv>();
    is_value::<SharedMessage>();
    is_value::<SharedText>();
    is_value::<State>();
    is_value::<Teardown>();
    is_value::<Timeout>();
    is_value::<Uncompressed<&str>>();
    is_value::<Variant>();
    is_error::<ExtensionError>();
    is_error::<ProtocolError>();
    is_error::<SendError>();
    is_send::<Assembler>();
    is_send::<Connection>();
    is_send::<PreparedMessage>();
    is_send::<Receiver>();
    is_send::<Sender>();
    is_send::<Box<dyn Encoder>>();
    is_send::<Box<dyn Decoder>>();
    is_send::<Box<dyn MaskingKeys>>();
    let _: fn(&mut [u8], [u8; 4]) = mask;
}

type Input<'a, 'b> = &'a mut &'b mut [u8];

#[test]
fn every_method_of_a_connection_has_its_signature() {
    let _: fn(Config) -> Connection = Connection::server;
    let _: fn(Config) -> Connection = Connection::client;
    let _: fn(Arc<Config>, fn() -> [u8; 4]) -> Connection = Connection::client_with_keys;
    let _: fn(&mut Connection, Rsv, Box<dyn Encoder>) = Connection::extend;
    let _: for<'b> fn(&mut Connection, Input<'_, 'b>, &mut Vec<u8>) -> Result<Option<Event<'b>>, ProtocolError> =
        Connection::receive;
    let _: fn(&mut Connection, &mut BytesMut, &mut Assembler, &mut Vec<u8>) -> Result<Option<Message>, ProtocolError> =
        Connection::receive_owned;
    let _: fn(
        &mut Connection,
        &mut BytesMut,
        &mut Assembler,
        &mut Vec<u8>,
    ) -> Result<Option<SharedMessage>, ProtocolError> = Connection::receive_shared;
    let _: fn(&SharedText) -> &str = SharedText::as_str;
    let _: fn(SharedText) -> Bytes = SharedText::into_bytes;
    let _: fn(&SharedMessage) -> MessageRef<'_> = SharedMessage::as_ref;
    let _: fn(SharedMessage) -> Bytes = SharedMessage::into_payload;
    let _: fn(&mut Connection) = Connection::receive_eof;
    let _: fn(&mut Connection, ProtocolError, &mut Vec<u8>) -> ProtocolError = Connection::fail;
    let _: fn(&mut Connection, MessageRef<'static>, &mut Vec<u8>) -> Result<(), SendError> = Connection::send;
    let _: fn(&mut Connection, &str, &mut Vec<u8>) -> Result<(), SendError> = Connection::send_text;
    let _: fn(&mut Connection, &[u8], &mut Vec<u8>) -> Result<(), SendError> = Connection::send_binary;
    let _: fn(&mut Connection, &'static str, Fin, &mut Vec<u8>) -> Result<(), SendError> = Connection::send_fragment;
    let _: fn(&mut Connection, MessageKind, &mut [u8]) -> Result<FrameHead, SendError> = Connection::head;
    let _: fn(&mut Connection, MessageKind, &[u8]) -> Result<FrameHead, SendError> = Connection::shared_head;
    let _: for<'p> fn(&mut Connection, &'p PreparedMessage) -> Result<[&'p [u8]; 2], SendError> = Connection::prepared;
    let _: for<'p> fn(&mut Connection, &'p PreparedMessage) -> Result<&'p [u8], SendError> = Connection::prepared_frame;
    let _: fn(&mut Connection, &PreparedMessage, &mut Vec<u8>) -> Result<(), SendError> = Connection::send_prepared;
    let _: fn(&mut Connection, &mut Vec<u8>) -> Result<(), SendError> = Connection::ping;
    let _: fn(&mut Connection, &[u8], &mut Vec<u8>) -> Result<(), SendError> = Connection::send_ping;
    let _: fn(&mut Connection, &[u8], &mut Vec<u8>) -> Result<(), SendError> = Connection::send_pong;
    let _: fn(&mut Connection, Close, &mut Vec<u8>) -> Result<(), SendError> = Connection::close;
    let _: fn(&mut Connection, Instant, &mut Vec<u8>) -> Option<Timeout> = Connection::handle_timeout;
    let _: fn(Connection) -> (Receiver, Sender, Option<Reply>) = Connection::split;
    let _: fn(&Connection) -> bool = Connection::owes_pong;
    let _: fn(&Connection) -> Option<Instant> = Connection::poll_timeout;
    let _: fn(&Connection) -> State = Connection::state;
    let _: fn(&Connection) -> Teardown = Connection::teardown;
    let _: fn(&Connection) -> Option<&EndCause> = Connection::end_cause;
    let _: fn(&Connection) -> Option<&Close> = Connection::peer_close;
    let _: fn(&Connection) -> Option<CloseCode> = Connection::close_code;
    let _: fn(&Connection) -> Role = Connection::role;
    let _: fn(&Connection, &[u8]) -> Next = Connection::peek;
    let _: fn(&Connection, &[u8]) -> Option<usize> = Connection::lacks;
    let _: fn(&Connection) -> Option<Duration> = Connection::round_trip;
    let _: fn(&Connection) -> Counters = Connection::received;
    let _: fn(&Connection) -> Counters = Connection::sent;
}

/// A message can be lent from the input or from the assembler, whichever lives shorter.
#[test]
fn receiving_a_message_borrows_the_input_and_the_assembler_but_not_the_connection() {
    fn receive<'m, 'b: 'm>(
        connection: &mut Connection,
        input: Input<'_, 'b>,
        assembler: &'m mut Assembler,
        output: &mut Vec<u8>,
    ) -> Result<Option<Received<'m>>, ProtocolError> {
        connection.receive_message(input, assembler, output)
    }
    let mut server = Connection::server(Config::default());
    let mut assembler = Assembler::new(Config::default());
    let (mut bytes, mut output) = (*b"\x81\x80\0\0\0\0", Vec::new());
    let received = receive(&mut server, &mut &mut bytes[..], &mut assembler, &mut output).unwrap();
    server.send_text("while it is borrowed", &mut output).unwrap();
    assert_eq!(received, Some(Received::Message(MessageRef::Text(""))));
}

#[test]
fn every_method_of_the_halves_has_its_signature() {
    let _: for<'b> fn(&mut Receiver, Input<'_, 'b>) -> Result<Option<Event<'b>>, ProtocolError> = Receiver::receive;
    let _: fn(&mut Receiver) = Receiver::receive_eof;
    let _: fn(&mut Receiver, ProtocolError) = Receiver::fail;
    let _: fn(&Receiver) -> Receiving = Receiver::state;
    let _: fn(&Receiver, &[u8]) -> Next = Receiver::peek;
    let _: fn(&Receiver) -> bool = Receiver::is_mid_message;
    let _: fn(&Receiver) -> Counters = Receiver::received;
    let _: fn(&mut Sender, MessageRef<'static>, &mut Vec<u8>) -> Result<(), SendError> = Sender::send;
    let _: fn(&mut Sender, &str, &mut Vec<u8>) -> Result<(), SendError> = Sender::send_text;
    let _: fn(&mut Sender, &[u8], &mut Vec<u8>) -> Result<(), SendError> = Sender::send_binary;
    let _: fn(&mut Sender, &'static str, Fin, &mut Vec<u8>) -> Result<(), SendError> = Sender::send_fragment;
    let _: fn(&mut Sender, MessageKind, &mut [u8]) -> Result<FrameHead, SendError> = Sender::head;
    let _: fn(&mut Sender, MessageKind, &[u8]) -> Result<FrameHead, SendError> = Sender::shared_head;
    let _: for<'p> fn(&mut Sender, &'p PreparedMessage) -> Result<[&'p [u8]; 2], SendError> = Sender::prepared;
    let _: for<'p> fn(&mut Sender, &'p PreparedMessage) -> Result<&'p [u8], SendError> = Sender::prepared_frame;
    let _: fn(&mut Sender, &PreparedMessage, &mut Vec<u8>) -> Result<(), SendError> = Sender::send_prepared;
    let _: fn(&mut Sender, &[u8], &mut Vec<u8>) -> Result<(), SendError> = Sender::send_ping;
    let _: fn(&mut Sender, &[u8], &mut Vec<u8>) -> Result<(), SendError> = Sender::send_pong;
    let _: fn(&mut Sender, Close, &mut Vec<u8>) -> Result<(), SendError> = Sender::close;
    let _: fn(&mut Sender, Reply, &mut Vec<u8>) = Sender::reply;
    let _: fn(&Sender) -> bool = Sender::is_closed;
    let _: fn(&Sender) -> Counters = Sender::sent;
    let _: fn(&Event<'static>) -> Option<Reply> = Event::reply;
    let _: fn(&'static ProtocolError) -> Reply = Reply::from;
}

#[test]
fn every_method_of_messages_and_frames_has_its_signature() {
    let _: fn(Config) -> Assembler = Assembler::new;
    let _: fn(&mut Assembler, Box<dyn Decoder>) = Assembler::extend;
    let _: for<'b> fn(&mut Assembler, Chunk<'b>) -> Result<Assembly<'b>, ProtocolError> = Assembler::push;
    let _: fn(&Assembler) -> MessageRef<'_> = Assembler::message;
    let _: fn(&mut Assembler) -> Message = Assembler::take;
    let _: fn(&mut Assembler) = Assembler::release;
    let _: fn(&Chunk<'static>) -> Payload<'static> = Chunk::payload;
    let _: fn(&Chunk<'static>) -> MessageKind = Chunk::kind;
    let _: fn(&Chunk<'static>) -> bool = Chunk::is_first;
    let _: fn(&Chunk<'static>) -> bool = Chunk::is_last;
    let _: fn(&Chunk<'static>) -> u64 = Chunk::frame_remaining;
    let _: fn(&Chunk<'static>) -> Option<MessageRef<'static>> = Chunk::whole;
    let _: fn(MessageRef<'static>) -> Chunk<'static> = Chunk::from;
    let _: fn(&Message) -> MessageRef<'_> = Message::as_ref;
    let _: fn(&Message) -> Option<&str> = Message::as_text;
    let _: fn(&Message) -> Option<&[u8]> = Message::as_binary;
    let _: fn(MessageRef<'static>) -> MessageKind = MessageRef::kind;
    let _: fn(MessageRef<'static>) -> &'static [u8] = MessageRef::payload;
    let _: fn(MessageRef<'static>) -> Message = MessageRef::to_owned;
    let _: fn(MessageRef<'static>, usize) -> (MessageRef<'static>, MessageRef<'static>) = MessageRef::split_at;
    let _: fn(Message) -> PreparedMessage = PreparedMessage::new;
    const _: PreparedMessage = PreparedMessage::from_static_text("text");
    const _: PreparedMessage = PreparedMessage::from_static_binary(b"binary");
    let _: fn(&PreparedMessage) -> MessageKind = PreparedMessage::kind;
    let _: fn(&PreparedMessage) -> &bytes::Bytes = PreparedMessage::payload;
    let _: fn(&[u8]) -> Result<Option<(FrameHeader, usize)>, ProtocolError> = FrameHeader::parse;
    let _: fn(&FrameHeader) -> FrameHead = FrameHeader::encode;
    let _: fn(&FrameHead) -> &[u8] = FrameHead::as_ref;
    assert_eq!(FrameHeader::MAX, 14);
    let _: fn(OpCode) -> bool = OpCode::is_control;
    let _: fn(Rsv, Rsv) -> bool = Rsv::contains;
    let _: fn(Rsv) -> bool = Rsv::is_empty;
    let _: [Rsv; 4] = [Rsv::NONE, Rsv::RSV1, Rsv::RSV2, Rsv::RSV3];
    let _: fn(&[u8]) -> Result<ControlPayload, SendError> = ControlPayload::new;
    assert_eq!((ControlPayload::MAX, ControlPayload::EMPTY.len()), (125, 0));
}

#[test]
fn every_method_of_closing_time_and_extensions_has_its_signature() {
    let _: fn(CloseCode, &str) -> Result<Close, SendError> = Close::new;
    let _: fn() -> Close = Close::normal;
    let _: fn() -> Close = Close::without_status;
    let _: fn(&Close) -> CloseCode = Close::code;
    let _: fn(&Close) -> &str = Close::reason;
    assert_eq!(Close::MAX_REASON, 123);
    let _: fn(CloseCode) -> CloseCodeClass = CloseCode::class;
    let _: fn(CloseCode) -> bool = CloseCode::may_be_sent;
    let _: fn(&ProtocolError) -> CloseCode = ProtocolError::close_code;
    let _: fn(Duration) -> Instant = Instant::from;
    let _: fn(Instant, Duration) -> Instant = core::ops::Add::add;
    let _: fn(Instant, Instant) -> Duration = core::ops::Sub::sub;
    const _: ExtensionError = ExtensionError::new("what", CloseCode::INVALID_PAYLOAD);
    let _: fn(&ExtensionError) -> CloseCode = ExtensionError::close_code;
    let Variant { extension: _, number: _ } = Variant { extension: "name", number: 1 };
    let _: fn(&OutgoingRef<'static>) -> MessageRef<'static> = OutgoingRef::message;
    let _: fn(&OutgoingRef<'static>) -> bool = OutgoingRef::may_be_encoded;
    let _: fn(&OutgoingKind) -> MessageKind = OutgoingKind::kind;
    let _: fn(&OutgoingKind) -> bool = OutgoingKind::may_be_encoded;
    let _: [OutgoingKind; 2] = [MessageKind::Text.into(), Uncompressed(MessageKind::Text).into()];
    let _: [OutgoingRef<'_>; 3] = ["text".into(), b"binary".into(), Uncompressed(MessageRef::Text("text")).into()];
    let _ = |assembler: &mut Assembler, rest: &mut Option<Chunk<'static>>| {
        let piece: Result<Option<Chunk<'_>>, ProtocolError> = assembler.decode(rest);
        piece.is_ok()
    };
}

#[cfg(feature = "deflate")]
#[test]
fn every_name_of_deflate_has_its_shape() {
    use core::num::NonZeroU32;
    use sockeye::deflate::{
        Agreement, Context, Deflate, Demand, Level, MemoryLevel, OutOfRange, PeerLimits, WindowBits, keep_compressors,
    };
    use sockeye::handshake::{
        Acceptance, ClientConfig, ClientRequest, Extension, ExtensionRef, Extensions, InvalidDeflate, Rejection,
        Response, ServerConfig,
    };

    is_value::<Agreement>();
    let _: fn(usize) = keep_compressors;
    is_value::<Deflate>();
    is_error::<InvalidDeflate>();
    is_error::<OutOfRange>();
    let mut deflate = Deflate::default();
    (deflate.demand, deflate.peer_limits) = (Demand::Required, PeerLimits::Demanded);
    (deflate.level, deflate.memory_level) = (Level::MAX, MemoryLevel::MIN);
    (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MIN, WindowBits::MAX);
    (deflate.context, deflate.peer_context) = (Context::NoTakeover, Context::Takeover);
    (deflate.threshold, deflate.max_ratio) = (0, NonZeroU32::new(100));
    assert_ne!(deflate, Deflate::default());
    let _: fn(&Deflate) -> Vec<Extension> = Deflate::offers;
    let _: fn(&Deflate, Extensions<'static>) -> Option<(Agreement, Extension)> = Deflate::answer;
    let _: fn(&Deflate, &ExtensionRef<'static>) -> Result<Agreement, InvalidDeflate> = Deflate::confirm;
    let _: fn(&Deflate, Role, &ExtensionRef<'static>) -> Result<Agreement, InvalidDeflate> = Deflate::agreed;
    let _: fn(sockeye::blocking::Acceptor, Deflate) -> sockeye::blocking::Acceptor =
        sockeye::blocking::Acceptor::with_deflate;
    let _: fn(sockeye::blocking::Connector, Deflate) -> sockeye::blocking::Connector =
        sockeye::blocking::Connector::with_deflate;
    let _: fn(&sockeye::blocking::WebSocket<std::net::TcpStream>) -> Option<&Agreement> =
        sockeye::blocking::WebSocket::deflate;
    let _: fn(&mut Connection, &mut Vec<u8>) -> Result<(), SendError> = Connection::flush_message;
    let _: fn(&Agreement) -> Box<dyn Encoder> = Agreement::encoder;
    let _: fn(&Agreement) -> Box<dyn Decoder> = Agreement::decoder;
    let _: [fn(&Agreement) -> Context; 2] = [Agreement::server_context, Agreement::client_context];
    let _: [fn(&Agreement) -> WindowBits; 2] = [Agreement::server_max_window_bits, Agreement::client_max_window_bits];
    let _: fn(Acceptance<'static>, Option<&Deflate>) -> Result<Acceptance<'static>, Rejection> = Acceptance::deflate;
    let _: fn(ClientRequest, Deflate) -> ClientRequest = ClientRequest::deflate;
    let _: fn(&Response) -> Option<&Agreement> = Response::deflate;
    assert_eq!((ServerConfig::default().deflate, ClientConfig::default().deflate), (None, None));
}

#[test]
fn the_close_codes_have_their_registered_values() {
    let codes = [
        (CloseCode::NORMAL, 1000),
        (CloseCode::GOING_AWAY, 1001),
        (CloseCode::PROTOCOL_ERROR, 1002),
        (CloseCode::UNSUPPORTED_DATA, 1003),
        (CloseCode::NO_STATUS, 1005),
        (CloseCode::ABNORMAL, 1006),
        (CloseCode::INVALID_PAYLOAD, 1007),
        (CloseCode::POLICY_VIOLATION, 1008),
        (CloseCode::MESSAGE_TOO_BIG, 1009),
        (CloseCode::MANDATORY_EXTENSION, 1010),
        (CloseCode::INTERNAL_ERROR, 1011),
        (CloseCode::SERVICE_RESTART, 1012),
        (CloseCode::TRY_AGAIN_LATER, 1013),
        (CloseCode::BAD_GATEWAY, 1014),
        (CloseCode::TLS_HANDSHAKE, 1015),
    ];
    for (code, value) in codes {
        assert_eq!((u16::from(code), code.to_string()), (value, value.to_string()));
    }
}

#[test]
fn every_field_of_a_configuration_can_be_set() {
    let mut config = Config::default();
    config.max_frame_size = 1u64;
    config.max_message_size = 1usize;
    config.max_fragments = 1u32;
    config.max_pending_pongs = 1usize;
    config.fragment_size = 1usize;
    config.high_water_mark = 1usize;
    config.low_water_mark = 1usize;
    config.masking = MaskingPolicy::Either;
    let some: Option<Duration> = Some(Duration::ZERO);
    config.ping_interval = some;
    config.pong_timeout = some;
    config.output_timeout = some;
    config.idle_timeout = some;
    config.message_timeout = some;
    config.lifetime = some;
    config.close_timeout = some;
    assert_ne!(config, Config::default());
}

#[test]
fn every_variant_that_a_caller_may_match_is_there() {
    let _ = |event: Event<'_>| match event {
        Event::Data(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => (),
    };
    let _ = |received: Received<'_>| match received {
        Received::Message(_) | Received::Ping(_) | Received::Pong(_) | Received::Close(_) => (),
    };
    let _ = |message: Message| match message {
        Message::Text(_) | Message::Binary(_) => (),
    };
    let _ = |payload: Payload<'_>| match payload {
        Payload::Text { completed: _, text: _ } | Payload::Binary(_) | Payload::Encoded { kind: _, bytes: _ } => (),
    };
    let _ = |assembly: Assembly<'_>| match assembly {
        Assembly::Whole(_) | Assembly::Complete | Assembly::Partial => (),
    };
    let _ = |reply: Reply| match reply {
        Reply::Pong(_) | Reply::Close(_) => (),
    };
    let _ = |state: State| match state {
        State::Open | State::Closing | State::Closed => (),
    };
    let _ = |receiving: Receiving| match receiving {
        Receiving::Open | Receiving::Closed | Receiving::Failed | Receiving::Lost => (),
    };
    let _ = |teardown: Teardown| match teardown {
        Teardown::Keep | Teardown::AwaitPeer | Teardown::Linger | Teardown::Close => (),
    };
    let _ = |opcode: OpCode| match opcode {
        OpCode::Continuation | OpCode::Text | OpCode::Binary | OpCode::Close | OpCode::Ping | OpCode::Pong => (),
    };
    let _ = |class: CloseCodeClass| match class {
        CloseCodeClass::Unused
        | CloseCodeClass::Defined
        | CloseCodeClass::LocalOnly
        | CloseCodeClass::Reserved
        | CloseCodeClass::Registered
        | CloseCodeClass::Private
        | CloseCodeClass::Undefined => (),
    };
    let _ = [
        EndCause::Local,
        EndCause::Remote,
        EndCause::Violation(ProtocolError::Masked),
        EndCause::Timeout(Timeout::Pong),
        EndCause::TransportLost,
    ];
    let _ = [Timeout::Pong, Timeout::Output, Timeout::Idle, Timeout::Message, Timeout::Lifetime, Timeout::Close];
    let _ = [MaskingPolicy::ByRole, MaskingPolicy::Either];
    let _ = [(Role::Client, Fin::More, Decoded::All(&[])), (Role::Server, Fin::Last, Decoded::More(&[1]))];
    let _ = [MessageKind::Text, MessageKind::Binary];
}

#[test]
fn errors_say_in_lower_case_what_was_wrong() {
    let extension = ExtensionError::new("no such window", CloseCode::PROTOCOL_ERROR);
    let protocol = [
        ProtocolError::ReservedBits,
        ProtocolError::ReservedOpCode(3),
        ProtocolError::FragmentedControl,
        ProtocolError::ControlTooLong,
        ProtocolError::Unmasked,
        ProtocolError::Masked,
        ProtocolError::NonMinimalLength,
        ProtocolError::LengthOverflow,
        ProtocolError::UnexpectedContinuation,
        ProtocolError::ExpectedContinuation,
        ProtocolError::InvalidUtf8,
        ProtocolError::TruncatedCloseCode,
        ProtocolError::InvalidCloseCode(1005),
        ProtocolError::FrameTooBig { len: 2, max: 1 },
        ProtocolError::MessageTooBig { len: 2, max: 1 },
        ProtocolError::TooManyFragments { max: 1 },
        ProtocolError::Extension(extension),
    ];
    let send = [
        SendError::Closed,
        SendError::ControlTooLong { len: 126 },
        SendError::MessageOpen,
        SendError::FragmentKind,
        SendError::CloseCode(1005),
        SendError::ReasonTooLong { len: 124 },
        SendError::MaskRequired,
        SendError::Extension(extension),
    ];
    for words in protocol.iter().map(ToString::to_string).chain(send.iter().map(ToString::to_string)) {
        assert!(words.starts_with(|first: char| first.is_lowercase()), "{words}");
        assert!(!words.ends_with('.') && words.len() <= Close::MAX_REASON, "{words}");
    }
}
