//! A header is in its only encoding, and once enough bytes are there to judge it, more of them change nothing.
#![no_main]

use sockeye::FrameHeader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = FrameHeader::parse(bytes);
    if let Ok(Some((header, len))) = &whole {
        assert_eq!(header.encode()[..], bytes[..*len]);
    }
    for cut in 0..bytes.len().min(FrameHeader::MAX) {
        let verdict = FrameHeader::parse(&bytes[..cut]);
        assert!(verdict == Ok(None) || verdict == whole);
    }
});
