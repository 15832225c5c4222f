//! Whatever a server sends: no panic, and output and memory stay within their limits.
#![no_main]

use sockeye::Role;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sockeye_fuzz::receive(Role::Client, bytes);
    sockeye_fuzz::receive_within_memory(Role::Client, bytes);
});
