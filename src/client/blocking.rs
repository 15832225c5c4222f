//! The client on threads, without a runtime.

pub use super::reconnect::blocking::{Reconnecting, Stop};
