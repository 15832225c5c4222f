//! What is spoken with a proxy until the tunnel is open: a machine without I/O, and the two that drive it.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::io::{Read, Write};

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ::tokio::time::timeout;

use super::connect::HttpConnect;
use super::error::{ProxyError, TunnelError};
use super::socks5::Socks5;
use super::tunneled::Tunneled;
use super::{Proxy, ProxyScheme, host_and_port};
use crate::blocking::Transport;
use crate::client::timed::{Timed, is_time_over};

/// Limits of what a proxy may send, and of the time that it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelConfig {
    /// How long the head of an HTTP proxy's answer may be, in bytes, interim responses included; 16 KiB.
    pub max_head_size: usize,
    /// How many header fields it may have; 100.
    pub max_headers: usize,
    /// How long it may take until the tunnel is open; 30 seconds, for the proxy resolves and connects meanwhile. `None` waits
    /// for ever.
    pub timeout: Option<Duration>,
}

impl Default for TunnelConfig {
    fn default() -> Self {
        Self { max_head_size: 16 * 1024, max_headers: 100, timeout: Some(Duration::from_secs(30)) }
    }
}

/// A tunnel that is being opened: bytes of the proxy in, bytes for the proxy out. Time is the caller's business.
///
/// ```
/// use sockeye::client::proxy::{Proxy, Tunnel, TunnelConfig, TunnelState};
///
/// let proxy: Proxy = "http://proxy.example:3128".parse()?;
/// let mut output = Vec::new();
/// let mut tunnel = Tunnel::new(&proxy, "server.example", 443, &TunnelConfig::default(), &mut output)?;
/// assert_eq!(output, b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n");
/// output.clear(); // it was sent
/// let mut input = &b"HTTP/1.1 200 OK\r\n\r\nfirst bytes of the server"[..];
/// assert_eq!(tunnel.receive(&mut input, &mut output)?, TunnelState::Open);
/// assert_eq!(input, b"first bytes of the server");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tunnel {
    target: String,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Connect(HttpConnect),
    Socks5(Socks5),
    Open,
    Failed(TunnelError),
}

/// How far a [`Tunnel`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelState {
    /// All input was taken: send the output, then read more.
    Opening,
    /// The tunnel is open: what is left of the input came through it.
    Open,
}

impl Tunnel {
    /// Begins to open a tunnel to a server, and appends to `output` what is to be sent first. `host` is a name or an address, an IPv6
    /// address with or without brackets.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Host`] and [`TunnelError::SocksCredentialsLength`] for what the protocol cannot carry.
    pub fn new(
        proxy: &Proxy,
        host: &str,
        port: u16,
        config: &TunnelConfig,
        output: &mut Vec<u8>,
    ) -> Result<Self, TunnelError> {
        let host = check_host(host)?;
        let target = host_and_port(host, port);
        let state = match proxy.scheme {
            ProxyScheme::Http | ProxyScheme::Https => State::Connect(HttpConnect::new(proxy, &target, config, output)),
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => State::Socks5(Socks5::new(proxy, host, port, output)?),
        };
        Ok(Self { target, state })
    }

    /// Takes bytes off the front of `input`, and appends to `output` what is to be sent.
    ///
    /// # Errors
    ///
    /// The proxy refuses, or does not speak as it should: the connection is to be closed. Another call says the same.
    pub fn receive(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<TunnelState, TunnelError> {
        let received = match &mut self.state {
            State::Connect(connect) => connect.receive(&self.target, input),
            State::Socks5(socks5) => socks5.receive(&self.target, input, output),
            State::Open => Ok(Some(())),
            State::Failed(error) => Err(error.clone()),
        };
        match received {
            Ok(None) => Ok(TunnelState::Opening),
            Ok(Some(())) => {
                self.state = State::Open;
                Ok(TunnelState::Open)
            }
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Tells that the proxy has closed the connection.
    ///
    /// # Errors
    ///
    /// The tunnel was not open, or had failed before.
    pub fn receive_eof(&mut self) -> Result<(), TunnelError> {
        match &self.state {
            State::Open => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Connect(_) | State::Socks5(_) => {
                let error = TunnelError::Closed { target: self.target.clone() };
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Takes what one read gave; returns what came through the tunnel once that is open.
    fn receive_read(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> Result<Option<Vec<u8>>, TunnelError> {
        if input.is_empty() {
            self.receive_eof()?;
        }
        let state = self.receive(&mut input, output)?;
        Ok((state == TunnelState::Open).then(|| input.to_vec()))
    }

    fn timed_out(&self, timeout: Duration) -> ProxyError {
        TunnelError::TimedOut { target: self.target.clone(), timeout }.into()
    }
}

impl Proxy {
    /// Opens a tunnel to a server through a stream to this proxy, which speaks TLS already where [`Self::wants_tls`] says so.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Tunnel`] if the proxy refuses, speaks wrongly or takes too long; [`ProxyError::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        host: &str,
        port: u16,
        config: &TunnelConfig,
    ) -> Result<Tunneled<S>, ProxyError> {
        let mut output = Vec::new();
        let mut tunnel = Tunnel::new(self, host, port, config, &mut output)?;
        let opening = async {
            let mut buffer = [0; READ_SIZE];
            loop {
                stream.write_all(&output).await?;
                stream.flush().await?;
                output.clear();
                let n = stream.read(&mut buffer).await?;
                if let Some(leftover) = tunnel.receive_read(buffer.get(..n).unwrap_or_default(), &mut output)? {
                    return Ok(leftover);
                }
            }
        };
        let leftover = match config.timeout {
            Some(limit) => match timeout(limit, opening).await {
                Ok(opened) => opened,
                Err(_) => Err(tunnel.timed_out(limit)),
            },
            None => opening.await,
        };
        Ok(Tunneled::new(stream, leftover?))
    }

    /// Opens a tunnel to a server through a blocking stream to this proxy, which speaks TLS already where [`Self::wants_tls`] says so.
    ///
    /// The timeout holds as far as the stream can bound a read ([`Transport::set_read_timeout`]); what is written is some hundred bytes,
    /// which a socket takes at once.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Tunnel`] if the proxy refuses, speaks wrongly or takes too long; [`ProxyError::Io`] if the stream fails, or has
    /// nothing to read for now.
    pub fn tunnel_blocking<S: Transport>(
        &self,
        stream: S,
        host: &str,
        port: u16,
        config: &TunnelConfig,
    ) -> Result<Tunneled<S>, ProxyError> {
        let mut output = Vec::new();
        let mut tunnel = Tunnel::new(self, host, port, config, &mut output)?;
        let mut stream = Timed::new(stream, config.timeout)?;
        let mut buffer = [0; READ_SIZE];
        loop {
            stream.write_all(&output)?;
            stream.flush()?;
            output.clear();
            let n = match (stream.read(&mut buffer), config.timeout) {
                (Ok(n), _) => n,
                (Err(error), Some(limit)) if is_time_over(&error) => return Err(tunnel.timed_out(limit)),
                (Err(error), _) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                (Err(error), _) => return Err(error.into()),
            };
            if let Some(leftover) = tunnel.receive_read(buffer.get(..n).unwrap_or_default(), &mut output)? {
                return Ok(Tunneled::new(stream.into_inner()?, leftover));
            }
        }
    }
}

/// Lets an address pass, and a name of characters that names have, without brackets. RFC 1928 §5 has one byte for the length.
fn check_host(host: &str) -> Result<&str, TunnelError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).filter(|bare| bare.contains(':'));
    let bare = bare.unwrap_or(host);
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_name = (1..=255).contains(&bare.len()) && bare.bytes().all(is_name_byte);
    if is_name || bare.parse::<Ipv6Addr>().is_ok() {
        Ok(bare)
    } else {
        Err(TunnelError::Host { host: host.to_owned() })
    }
}

/// An answer takes a few hundred bytes.
const READ_SIZE: usize = 2048;
