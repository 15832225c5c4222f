//! The answers of a SOCKS5 proxy are read in two pieces as in one.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u16, &[u8])| sockeye_fuzz::tunnel("socks5h://me:secret@proxy.example", data));
