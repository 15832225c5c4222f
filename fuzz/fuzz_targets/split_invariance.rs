//! However the same bytes are cut up on their way, a connection makes the same of them. The first two bytes say who
//! receives, and where to cut.
#![no_main]

use sockeye::Role;
use sockeye_fuzz::replay::{
    connection, cut, receive_buffered, receive_chunks, receive_messages, receive_owned, receive_shared, small_limits,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let &[role, seed, ref bytes @ ..] = input else { return };
    let (role, config) = (if role & 1 == 0 { Role::Server } else { Role::Client }, small_limits());
    for receive in [receive_buffered, receive_chunks, receive_messages, receive_owned, receive_shared] {
        let whole = receive(&mut connection(role, &config), &config, vec![bytes]);
        for sizes in [&sockeye_fuzz::sizes(seed)[..], &[1]] {
            assert_eq!(receive(&mut connection(role, &config), &config, cut(bytes, sizes)), whole);
        }
    }
});
