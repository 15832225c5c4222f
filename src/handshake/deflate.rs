//! permessage-deflate in the opening handshake (RFC 7692 §7.1): what a client offers, what a server answers, and what the
//! client makes of the answer.

use super::error::{BuildError, InvalidDeflate};
use super::extension::{Extension, ExtensionRef, Extensions};
use crate::config::Role;
use crate::deflate::{Agreement, Context, Deflate, Direction, NAME, PeerLimits, WindowBits};
use alloc::vec::Vec;

/// The parameters of an offer or an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    client_max_window_bits: Option<ClientBits>,
}

/// The value of `client_max_window_bits`, which may have none in an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientBits {
    Any,
    AtMost(WindowBits),
}

impl Deflate {
    /// Returns what a client offers, in order: the second offer, if there is one, is for servers that do not let us set
    /// limits to what they send.
    ///
    /// [`ClientRequest::deflate`](crate::handshake::ClientRequest::deflate) puts them into a request. For who writes
    /// `Sec-WebSocket-Extensions` by himself, in this order, with `, ` between them:
    ///
    /// ```
    /// use sockeye::deflate::Deflate;
    ///
    /// let offers = Deflate::default().offers();
    /// assert_eq!(offers[0].as_str(), "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12");
    /// assert_eq!(offers[1].as_str(), "permessage-deflate; client_max_window_bits=12");
    /// ```
    #[must_use]
    pub fn offers(&self) -> Vec<Extension> {
        let wanted = Parameters {
            server_no_context_takeover: self.peer_context == Context::NoTakeover,
            client_no_context_takeover: self.context == Context::NoTakeover,
            server_max_window_bits: Some(self.peer_window_bits).filter(|&bits| bits < WindowBits::MAX),
            client_max_window_bits: Some(match self.window_bits {
                WindowBits::MAX => ClientBits::Any,
                bits => ClientBits::AtMost(bits),
            }),
        };
        let plain = Parameters { server_no_context_takeover: false, server_max_window_bits: None, ..wanted };
        let mut offers = alloc::vec![wanted];
        if plain != wanted && self.peer_limits == PeerLimits::Wished {
            offers.push(plain);
        }
        offers.into_iter().filter_map(|offer| offer.write().ok()).collect()
    }

    /// Chooses among a client's offers as a server: what is agreed on, and the answer that tells the client; `None` if there
    /// is none that can be accepted.
    ///
    /// Offers are looked at in order. One with an unknown parameter, a parameter that is there twice or a wrong value is passed
    /// over (RFC 7692 §7), as is one that does not let us set a limit that we demand.
    ///
    /// [`Request::upgrade`](crate::handshake::Request::upgrade) does this. For HTTP/2 and frameworks that answer by
    /// themselves:
    ///
    /// ```
    /// use sockeye::deflate::Deflate;
    /// use sockeye::handshake::Extensions;
    ///
    /// let offers = Extensions::parse("permessage-deflate; client_max_window_bits, x-other");
    /// let (agreement, answer) = Deflate::default().answer(offers).ok_or("no compression")?;
    /// assert_eq!(answer.as_str(), "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12");
    /// assert_eq!(agreement.client_max_window_bits().get(), 12);
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn answer(&self, offers: Extensions<'_>) -> Option<(Agreement, Extension)> {
        // RFC 6455 §9.1: a list that does not follow the grammar is none.
        if offers.clone().any(|offer| offer.is_err()) {
            return None;
        }
        offers.flatten().filter(|offer| offer.name() == NAME).find_map(|offer| self.answer_one(&offer))
    }

    /// Checks a server's answer against what [`Self::offers`] says, as its client.
    ///
    /// ```
    /// use sockeye::deflate::Deflate;
    /// use sockeye::handshake::{Extensions, InvalidDeflate};
    ///
    /// let answer = |text| Extensions::parse(text).next().and_then(Result::ok).ok_or(InvalidDeflate::Name);
    /// assert!(Deflate::default().confirm(&answer("permessage-deflate; client_max_window_bits=10")?).is_ok());
    /// let wrong = Deflate::default().confirm(&answer("permessage-deflate; server_max_window_bits=7")?);
    /// assert_eq!(wrong, Err(InvalidDeflate::Value));
    /// # Ok::<(), InvalidDeflate>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidDeflate`]: what is wrong with it. The client then fails the handshake (RFC 7692 §7.1).
    pub fn confirm(&self, answer: &ExtensionRef<'_>) -> Result<Agreement, InvalidDeflate> {
        let agreement = self.agreed(Role::Client, answer)?;
        let accepted = Parameters::read(answer)?;
        // §7.1.2.2: it answers with no more than was offered. Where it does not answer, we may do as we like.
        if accepted.client_max_window_bits.is_some() && agreement.client_max_window_bits() > self.window_bits {
            return Err(InvalidDeflate::NotOffered);
        }
        // §7.1.1.1, §7.1.2.1: a server accepts these by saying so; the second offer does without.
        let is_within = (self.peer_context == Context::Takeover || accepted.server_no_context_takeover)
            && accepted.server_max_window_bits.unwrap_or(WindowBits::MAX) <= self.peer_window_bits;
        match self.peer_limits {
            PeerLimits::Demanded if !is_within => Err(InvalidDeflate::NotOffered),
            PeerLimits::Demanded | PeerLimits::Wished => Ok(agreement),
        }
    }

    /// Takes an answer for what was agreed on, without regard to an offer: for a connection that somebody else has upgraded.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn agreed(&self, role: Role, answer: &ExtensionRef<'_>) -> Result<Agreement, InvalidDeflate> {
        if answer.name() != NAME {
            return Err(InvalidDeflate::Name);
        }
        let answer = Parameters::read(answer)?;
        let client_max_window_bits = match answer.client_max_window_bits {
            None => WindowBits::MAX,
            Some(ClientBits::AtMost(bits)) => bits,
            // §7.1.2.2: in an answer it has a value.
            Some(ClientBits::Any) => return Err(InvalidDeflate::Value),
        };
        let server = Direction::new(answer.server_no_context_takeover, answer.server_max_window_bits);
        let client = Direction::new(answer.client_no_context_takeover, Some(client_max_window_bits));
        Ok(Agreement::new(role, server, client, self))
    }

    /// Answers one offer, if it can be accepted.
    fn answer_one(&self, offer: &ExtensionRef<'_>) -> Option<(Agreement, Extension)> {
        let offer = Parameters::read(offer).ok()?;
        let client_max_window_bits = match offer.client_max_window_bits {
            Some(ClientBits::Any) => Some(self.peer_window_bits),
            Some(ClientBits::AtMost(bits)) => Some(bits.min(self.peer_window_bits)),
            None => None,
        };
        // §7.1.2.2: who does not offer the parameter cannot be told.
        if self.peer_limits == PeerLimits::Demanded
            && client_max_window_bits.is_none()
            && self.peer_window_bits < WindowBits::MAX
        {
            return None;
        }
        let server_max_window_bits = self.window_bits.min(offer.server_max_window_bits.unwrap_or(WindowBits::MAX));
        let answer = Parameters {
            server_no_context_takeover: offer.server_no_context_takeover || self.context == Context::NoTakeover,
            // §7.1.1.2: it may be in the answer though it was not in the offer.
            client_no_context_takeover: offer.client_no_context_takeover || self.peer_context == Context::NoTakeover,
            // §7.1.2.1: it must be there if it was offered.
            server_max_window_bits: Some(server_max_window_bits)
                .filter(|&bits| offer.server_max_window_bits.is_some() || bits < WindowBits::MAX),
            client_max_window_bits: client_max_window_bits
                .filter(|&bits| bits < WindowBits::MAX)
                .map(ClientBits::AtMost),
        };
        let server = Direction::new(answer.server_no_context_takeover, answer.server_max_window_bits);
        let client = Direction::new(answer.client_no_context_takeover, client_max_window_bits);
        Some((Agreement::new(Role::Server, server, client, self), answer.write().ok()?))
    }
}

impl Direction {
    fn new(is_alone: bool, max_window_bits: Option<WindowBits>) -> Self {
        Self {
            context: if is_alone { Context::NoTakeover } else { Context::Takeover },
            max_window_bits: max_window_bits.unwrap_or(WindowBits::MAX),
        }
    }
}

impl Parameters {
    /// Reads what stands behind the name.
    fn read(extension: &ExtensionRef<'_>) -> Result<Self, InvalidDeflate> {
        let mut this = Self::default();
        for (name, value) in extension.parameters() {
            let value = value.as_deref();
            let is_new = match name {
                SERVER_NO_CONTEXT_TAKEOVER => set_flag(&mut this.server_no_context_takeover, value)?,
                CLIENT_NO_CONTEXT_TAKEOVER => set_flag(&mut this.client_no_context_takeover, value)?,
                SERVER_MAX_WINDOW_BITS => {
                    let bits = bits(value.ok_or(InvalidDeflate::Value)?)?;
                    this.server_max_window_bits.replace(bits).is_none()
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let bits = value.map_or(Ok(ClientBits::Any), |value| bits(value).map(ClientBits::AtMost))?;
                    this.client_max_window_bits.replace(bits).is_none()
                }
                _ => return Err(InvalidDeflate::UnknownParameter),
            };
            if !is_new {
                return Err(InvalidDeflate::DuplicateParameter);
            }
        }
        Ok(this)
    }

    /// Writes an offer or an answer.
    fn write(&self) -> Result<Extension, BuildError> {
        let mut extension = Extension::new(NAME)?;
        if self.server_no_context_takeover {
            extension = extension.flag(SERVER_NO_CONTEXT_TAKEOVER)?;
        }
        if self.client_no_context_takeover {
            extension = extension.flag(CLIENT_NO_CONTEXT_TAKEOVER)?;
        }
        if let Some(bits) = self.server_max_window_bits {
            extension = extension.parameter(SERVER_MAX_WINDOW_BITS, &alloc::format!("{bits}"))?;
        }
        match self.client_max_window_bits {
            Some(ClientBits::AtMost(bits)) => extension.parameter(CLIENT_MAX_WINDOW_BITS, &alloc::format!("{bits}")),
            Some(ClientBits::Any) => extension.flag(CLIENT_MAX_WINDOW_BITS),
            None => Ok(extension),
        }
    }
}

/// Sets a parameter that has no value; says whether it was not set before.
fn set_flag(flag: &mut bool, value: Option<&str>) -> Result<bool, InvalidDeflate> {
    match value {
        None => Ok(!core::mem::replace(flag, true)),
        Some(_) => Err(InvalidDeflate::Value),
    }
}

/// Reads a number of window bits: §7.1.2: 8 to 15, without leading zeros.
fn bits(value: &str) -> Result<WindowBits, InvalidDeflate> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    let number = value.parse().ok().filter(|_| is_plain);
    number.and_then(WindowBits::new).ok_or(InvalidDeflate::Value)
}

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
