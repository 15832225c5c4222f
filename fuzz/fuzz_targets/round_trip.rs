//! What one end sends is what the other end sees. The first two bytes say who sends, and where the wire is cut; the
//! others are the program.
#![no_main]

use sockeye::{Close, Config, Role};
use sockeye_fuzz::replay::{connection, cut, other, receive_messages, send, small_limits};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let &[role, seed, ref script @ ..] = input else { return };
    let (role, config) = (if role & 1 == 0 { Role::Server } else { Role::Client }, Config::default());
    let (wire, sent) = send(&mut connection(role, &small_limits()), &sockeye_fuzz::steps(script), &Close::normal());
    let pieces = cut(&wire, &sockeye_fuzz::sizes(seed));
    assert_eq!(receive_messages(&mut connection(other(role), &config), &config, pieces).seen, sent);
});
