//! Whatever a peer that compresses sends: no panic, the same however it is cut up and taken, and memory within its limits.
//! The first bytes are the role, what was agreed on, the limit and where to cut; the others are frames, or the wire itself.
#![no_main]

use sockeye::{Config, MaskingPolicy, ProtocolError, Role};
use sockeye_fuzz::deflate::{SETTINGS, agreed, decode, end, frames, receive_within_memory, settings};
use sockeye_fuzz::replay::{Seen, cut, receive_messages_with};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&[flags, limit, seed], input)) = input.split_first_chunk() else { return };
    let Some((&bytes, input)) = input.split_first_chunk::<SETTINGS>() else { return };
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let deflate = settings(bytes);
    let no_context = if flags & 2 == 0 { "" } else { "; server_no_context_takeover; client_no_context_takeover" };
    let bits = deflate.peer_window_bits;
    let answer =
        format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}{no_context}");
    let agreement = agreed(&deflate, role, &answer);
    let mut config = Config::default();
    config.max_message_size = 64 << (limit % 12);
    // Lets the fuzzer find whole frames more easily.
    config.masking = if flags & 8 == 0 { MaskingPolicy::Either } else { MaskingPolicy::default() };
    let wire = if flags & 4 == 0 { frames(role, input) } else { input.to_vec() };

    let receive = |pieces: Vec<&[u8]>| {
        let (mut connection, mut assembler) = end(role, &config, &agreement);
        receive_messages_with(&mut connection, &mut assembler, &config, pieces)
    };
    let sizes = sockeye_fuzz::sizes(seed);
    let whole = receive(vec![&wire[..]]);
    let in_pieces = receive(cut(&wire, &sizes));
    // How much of the compressed form is taken at a milestone may differ by what is read ahead of the bits that are used.
    if deflate.max_ratio.is_some() {
        return receive_within_memory(role, &config, &agreement, &cut(&wire, &sizes));
    }
    assert_eq!(in_pieces, whole);

    let messages: Vec<_> = whole
        .seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Message(message) => Some((message.as_ref().kind(), message.as_ref().payload().to_vec())),
            Seen::Ping(_) | Seen::Pong(_) | Seen::Close(_) => None,
        })
        .collect();
    for pieces in [vec![&wire[..]], cut(&wire, &sizes)] {
        let decoded = decode(end(role, &config, &agreement), pieces);
        // Who takes chunks counts for himself.
        if matches!(whole.error, Some(ProtocolError::MessageTooBig { .. })) {
            assert_eq!(decoded.messages[..messages.len()], messages);
        } else {
            assert_eq!((&decoded.messages, &decoded.error), (&messages, &whole.error));
        }
    }
    receive_within_memory(role, &config, &agreement, &cut(&wire, &sizes));
});
