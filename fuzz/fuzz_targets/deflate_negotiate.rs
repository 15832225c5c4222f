//! Whatever is offered or answered, nothing panics, and an answer of ours can be taken for what was agreed on.
#![no_main]

use sockeye::Role;
use sockeye::deflate::Deflate;
use sockeye::handshake::Extensions;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let deflate = Deflate::default();
    if let Some((agreement, answer)) = deflate.answer(Extensions::parse(text)) {
        let theirs = deflate.agreed(Role::Client, &answer.view()).expect("our answers are sound");
        assert_eq!(agreement.server_context(), theirs.server_context());
        assert_eq!(agreement.client_context(), theirs.client_context());
        assert_eq!(agreement.server_max_window_bits(), theirs.server_max_window_bits());
        assert_eq!(agreement.client_max_window_bits(), theirs.client_max_window_bits());
    }
    for answer in Extensions::parse(text).flatten() {
        let _ = deflate.confirm(&answer);
    }
});
