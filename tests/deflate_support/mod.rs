//! Blocks of RFC 1951 written bit by bit, and what a second inflater, as plain as it can be, makes of them.

#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

mod bits;
mod inflate;

pub(crate) use bits::Bits;
pub(crate) use inflate::inflate;

/// What is put behind a message before it is inflated (RFC 7692 §7.2.2).
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
