//! The client for the real world: proxies, TLS.

pub mod proxy;
mod timed;
