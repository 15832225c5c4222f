//! The tunnel of a SOCKS5 proxy: RFC 1928, with user name and password of RFC 1929.
//!
//! Three answers come one after the other, each of a length that is known after its first bytes. No more is taken of the input than
//! belongs to them, and each byte is looked at when it is there, so that input can be cut anywhere.

use core::fmt;
use core::net::IpAddr;

use super::Proxy;
use super::error::{SocksReply, TunnelError};
use crate::client::credentials::Credentials;

/// Waits for the answers of a SOCKS5 proxy.
#[derive(Clone)]
pub(super) struct Socks5 {
    state: State,
    /// What was read of the answer that is waited for: 262 bytes at most.
    answer: Vec<u8>,
    /// RFC 1929 §2, to be sent if it is asked for.
    authentication: Option<Vec<u8>>,
    /// RFC 1928 §4, to be sent last.
    request: Vec<u8>,
}

/// Which answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// RFC 1928 §3: the method of authentication.
    Method,
    /// RFC 1929 §2: whether the user name and the password were right.
    Authentication,
    /// RFC 1928 §6: whether there is a connection.
    Reply,
}

impl Socks5 {
    /// Appends the greeting to `output`; `host` is an address or a name that was checked.
    pub(super) fn new(proxy: &Proxy, host: &str, port: u16, output: &mut Vec<u8>) -> Result<Self, TunnelError> {
        let authentication = proxy.credentials.as_ref().map(authentication).transpose()?;
        let request = request(host, port)?;
        output.extend_from_slice(match authentication {
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_NAME_AND_PASSWORD],
            None => &[VERSION, 1, NO_AUTHENTICATION],
        });
        Ok(Self { state: State::Method, answer: Vec::new(), authentication, request })
    }

    /// Takes bytes off the front of `input` until the tunnel is open, and appends to `output` what is to be sent meanwhile.
    pub(super) fn receive(
        &mut self,
        target: &str,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<()>, TunnelError> {
        while let Some((&byte, rest)) = input.split_first() {
            self.answer.push(byte);
            *input = rest;
            match self.state {
                State::Method => self.receive_method(output)?,
                State::Authentication => self.receive_authentication(output)?,
                State::Reply if self.receive_reply(target)? => return Ok(Some(())),
                State::Reply => {}
            }
        }
        Ok(None)
    }

    /// ```text
    /// +-----+--------+
    /// | VER | METHOD |
    /// +-----+--------+
    /// ```
    fn receive_method(&mut self, output: &mut Vec<u8>) -> Result<(), TunnelError> {
        check_version(&self.answer)?;
        let Some(&method) = self.answer.get(1) else { return Ok(()) };
        self.answer.clear();
        match (method, self.authentication.take()) {
            (NO_AUTHENTICATION, _) => {
                self.state = State::Reply;
                output.append(&mut self.request);
                Ok(())
            }
            (USER_NAME_AND_PASSWORD, Some(mut authentication)) => {
                self.state = State::Authentication;
                output.append(&mut authentication);
                Ok(())
            }
            (NO_ACCEPTABLE_METHOD, None) => Err(TunnelError::SocksCredentialsWanted),
            (NO_ACCEPTABLE_METHOD, Some(_)) => Err(TunnelError::SocksMethodsRefused),
            // RFC 1928 §3: the method is one of those offered.
            (method, _) => Err(TunnelError::SocksMethod { method }),
        }
    }

    /// ```text
    /// +-----+--------+
    /// | VER | STATUS |
    /// +-----+--------+
    /// ```
    /// The version, here that of the negotiation, is told as 5 by some proxies; nothing depends on it.
    fn receive_authentication(&mut self, output: &mut Vec<u8>) -> Result<(), TunnelError> {
        let Some(&status) = self.answer.get(1) else { return Ok(()) };
        // RFC 1929 §2: any other status than 0 is a failure.
        if status != 0 {
            return Err(TunnelError::SocksCredentialsRefused);
        }
        self.answer.clear();
        self.state = State::Reply;
        output.append(&mut self.request);
        Ok(())
    }

    /// ```text
    /// +-----+-----+-------+------+----------+----------+
    /// | VER | REP | X'00' | ATYP | BND.ADDR | BND.PORT |
    /// +-----+-----+-------+------+----------+----------+
    /// ```
    /// The address is that of the proxy's own side, and of no use here.
    fn receive_reply(&self, target: &str) -> Result<bool, TunnelError> {
        check_version(&self.answer)?;
        // A refusal is one as soon as it is there: some proxies send no more.
        if let Some(&reply) = self.answer.get(1).filter(|&&reply| reply != 0) {
            return Err(TunnelError::SocksRefused { target: target.to_owned(), reply: SocksReply(reply) });
        }
        let address = match (self.answer.get(3), self.answer.get(4)) {
            (None, _) | (Some(&DOMAIN_NAME), None) => return Ok(false),
            (Some(&IPV4), _) => 4,
            (Some(&IPV6), _) => 16,
            (Some(&DOMAIN_NAME), Some(&len)) => 1 + usize::from(len),
            (Some(&kind), _) => return Err(TunnelError::SocksAddress { kind }),
        };
        Ok(self.answer.len() == 4 + address + 2)
    }
}

impl fmt::Debug for Socks5 {
    /// Writes how far it is, and not what is still to be sent: there is the password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5").field("state", &self.state).finish_non_exhaustive()
    }
}

fn check_version(answer: &[u8]) -> Result<(), TunnelError> {
    match answer.first() {
        Some(&version) if version != VERSION => Err(TunnelError::SocksVersion { version }),
        _ => Ok(()),
    }
}

/// RFC 1929 §2.
///
/// ```text
/// +-----+------+----------+------+----------+
/// | VER | ULEN |  UNAME   | PLEN |  PASSWD  |
/// +-----+------+----------+------+----------+
/// ```
fn authentication(credentials: &Credentials) -> Result<Vec<u8>, TunnelError> {
    let (user, password) = (credentials.user(), credentials.password());
    let (Ok(user_len @ 1..), Ok(password_len)) = (u8::try_from(user.len()), u8::try_from(password.len())) else {
        return Err(TunnelError::SocksCredentialsLength);
    };
    Ok([&[1, user_len], user.as_bytes(), &[password_len], password.as_bytes()].concat())
}

/// RFC 1928 §4.
///
/// ```text
/// +-----+-----+-------+------+----------+----------+
/// | VER | CMD | X'00' | ATYP | DST.ADDR | DST.PORT |
/// +-----+-----+-------+------+----------+----------+
/// ```
fn request(host: &str, port: u16) -> Result<Vec<u8>, TunnelError> {
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            let len = u8::try_from(host.len()).map_err(|_| TunnelError::Host { host: host.to_owned() })?;
            request.extend_from_slice(&[DOMAIN_NAME, len]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

const VERSION: u8 = 0x05;
const CONNECT: u8 = 0x01;
const NO_AUTHENTICATION: u8 = 0x00;
const USER_NAME_AND_PASSWORD: u8 = 0x02;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const IPV4: u8 = 0x01;
const DOMAIN_NAME: u8 = 0x03;
const IPV6: u8 = 0x04;
