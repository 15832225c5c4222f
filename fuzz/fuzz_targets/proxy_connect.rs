//! The answer of an HTTP proxy is read in two pieces as in one.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u16, &[u8])| sockeye_fuzz::tunnel("http://proxy.example", data));
