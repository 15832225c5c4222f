//! Which way leads to a server: the decision, which both styles of I/O share.

use alloc::format;
use alloc::string::String;
use core::time::Duration;
#[cfg(unix)]
use std::path::Path;

use super::builder::Client;
use super::error::{Error, Stage};
use super::options::Family;
use super::proxy::{Proxy, ProxyError, Security, TunnelConfig, TunnelError};
use super::race::Target;
#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
use super::tls::{TlsConnector, TlsError};
use super::url::WsUrl;

/// The way to a server.
#[derive(Debug)]
pub(super) enum Route<'a> {
    #[cfg(unix)]
    Unix(&'a Path),
    Direct,
    Proxy(&'a Proxy),
}

impl Client {
    /// Decides which way leads to a server.
    pub(super) fn route(&self, url: &WsUrl) -> Route<'_> {
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            return Route::Unix(path);
        }
        let security = if url.is_secure() { Security::Tls } else { Security::Plain };
        match self.proxies.as_ref().and_then(|rules| rules.proxy_for(security, url.host(), url.port())) {
            Some(proxy) => Route::Proxy(proxy),
            None => Route::Direct,
        }
    }

    /// Returns what speaks TLS.
    #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
    pub(super) fn tls_connector(&self) -> Result<TlsConnector, TlsError> {
        match &self.tls {
            Some(connector) => Ok(connector.clone()),
            None => TlsConnector::shared(),
        }
    }

    /// Says what to connect to, and within which time.
    pub(super) fn target<'a>(&self, host: &'a str, port: u16, peer: &'a str, left: Option<Duration>) -> Target<'a> {
        Target {
            host,
            port,
            peer,
            family: self.tcp.bind.map(Family::of),
            options: self.happy_eyeballs,
            lookup: self.timeouts.lookup,
            connect: self.timeouts.connect,
            left,
        }
    }

    /// Returns the limits of what a proxy says.
    pub(super) fn tunnel_config(&self, timeout: Option<Duration>) -> TunnelConfig {
        TunnelConfig { max_head_size: self.handshake.max_head_size, max_headers: self.handshake.max_headers, timeout }
    }
}

/// Refuses what needs TLS where there is none, before anybody is connected to.
pub(super) fn check_tls(url: &WsUrl) -> Result<(), Error> {
    let has_tls = cfg!(any(feature = "rustls-no-provider", feature = "native-tls"));
    if url.is_secure() && !has_tls { Err(Error::NoTls { endpoint: url.endpoint() }) } else { Ok(()) }
}

/// Names a proxy in an error.
pub(super) fn proxy_name(proxy: &Proxy) -> String {
    format!("the proxy {proxy}")
}

/// Makes an error of what went wrong with a proxy.
pub(super) fn proxy_error(proxy: &Proxy, source: ProxyError) -> Error {
    match source {
        ProxyError::Tunnel(TunnelError::TimedOut { target, timeout }) => {
            let peer = format!("{} to {target}", proxy_name(proxy));
            Error::TimedOut { stage: Stage::Proxy, peer, after: timeout }
        }
        source => Error::Proxy { proxy: format!("{proxy}"), source },
    }
}
