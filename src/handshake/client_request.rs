//! A client's opening handshake (§4.1): the request, and the checks on the server's answer.

use super::acceptance::Response;
use super::authority::Authority;
use super::client::RefusedResponse;
#[cfg(feature = "deflate")]
use super::error::InvalidDeflate;
use super::error::{BuildError, ResponseError};
use super::extension::{Extension, Extensions};
use super::headers::Headers;
use super::key::Key;
use super::origin::Origin;
use super::request::is_target_byte;
use super::{
    CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PREFIX, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE, is_one_of,
    starts_with_ignore_case, token,
};
#[cfg(feature = "deflate")]
use crate::deflate::{Agreement, Deflate, Demand, NAME};
use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
#[cfg(feature = "std")]
use rand::Rng as _;

/// A request to open a WebSocket connection, to be written to a server.
///
/// ```
/// use sockeye::handshake::ClientRequest;
///
/// let request = ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce")?
///     .origin("http://example.com")?
///     .subprotocol("chat")?
///     .subprotocol("superchat")?;
/// let mut output = Vec::new();
/// request.write(&mut output);
/// assert!(output.starts_with(b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"));
/// # Ok::<(), sockeye::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    authority: String,
    target: String,
    key: Key,
    origin: Option<String>,
    /// As they stand in the header field; so the extensions.
    subprotocols: String,
    extensions: String,
    headers: Headers,
    #[cfg(feature = "deflate")]
    deflate: Option<Box<Deflate>>,
}

impl ClientRequest {
    /// Creates a request with a random key.
    ///
    /// `authority` is the host, with `:port` behind it unless that is the scheme's own (80, or 443 over TLS). An
    /// IPv6 address with a port stands in brackets; one alone may stand without and is given them. `target` is a
    /// path with an optional query; it starts with `/`.
    ///
    /// # Errors
    /// [`BuildError::Authority`] or [`BuildError::Target`] if one of them is not what is described here.
    #[cfg(feature = "std")]
    pub fn new(authority: &str, target: &str) -> Result<Self, BuildError> {
        let mut key = [0; 16];
        rand::rng().fill_bytes(&mut key);
        Self::with_key(authority, target, key)
    }

    /// Creates a request with a given key, for tests and where there is no `std`.
    ///
    /// `authority` and `target` are as with `new`, which is there with `std`: a host with an optional port, and a
    /// path with an optional query. The key must be chosen at random for each connection (§4.1): it proves that
    /// the answer is not an old one.
    ///
    /// # Errors
    /// [`BuildError::Authority`] or [`BuildError::Target`], as with `new`.
    pub fn with_key(authority: &str, target: &str, key: [u8; 16]) -> Result<Self, BuildError> {
        let authority = if Authority::parse(authority).is_some() {
            authority.to_owned()
        } else if authority.parse::<Ipv6Addr>().is_ok() {
            format!("[{authority}]")
        } else {
            return Err(BuildError::Authority { authority: authority.to_owned() });
        };
        if !target.starts_with('/') || !target.bytes().all(is_target_byte) {
            return Err(BuildError::Target { target: target.to_owned() });
        }
        Ok(Self {
            authority,
            target: target.to_owned(),
            key: Key::new(key),
            origin: None,
            subprotocols: String::new(),
            extensions: String::new(),
            headers: Headers::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
        })
    }

    /// Makes one that is addressed to nobody, for [`Self::for_address`].
    #[cfg(feature = "client")]
    pub(crate) fn template() -> Self {
        Self {
            authority: String::new(),
            target: String::new(),
            key: Key::new([0; 16]),
            origin: None,
            subprotocols: String::new(),
            extensions: String::new(),
            headers: Headers::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// The same request to another address, with a new key.
    #[cfg(feature = "client")]
    pub(crate) fn for_address(&self, authority: &str, target: &str) -> Result<Self, BuildError> {
        let Self { authority, target, key, .. } = Self::new(authority, target)?;
        Ok(Self { authority, target, key, ..self.clone() })
    }

    /// The same request with those of the application's header fields whose name is to be kept.
    #[cfg(feature = "client")]
    pub(crate) fn with_headers(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut headers = Headers::new();
        self.headers.iter().filter(|(name, _)| keep(name)).for_each(|(name, value)| headers.push(name, value));
        Self { headers, ..self.clone() }
    }

    /// Offers a subprotocol, after those that are offered already: put the one that you like best first.
    ///
    /// # Errors
    /// A name that is not a token, or that is offered already.
    pub fn subprotocol(mut self, subprotocol: &str) -> Result<Self, BuildError> {
        if !token::is_token(subprotocol.as_bytes()) {
            return Err(BuildError::Subprotocol { subprotocol: subprotocol.to_owned() });
        }
        if self.offers_subprotocol(subprotocol.as_bytes()) {
            return Err(BuildError::DuplicateSubprotocol { subprotocol: subprotocol.to_owned() });
        }
        push_element(&mut self.subprotocols, subprotocol);
        Ok(self)
    }

    /// Offers an extension, after those that are offered already; one may be offered again with other parameters.
    #[must_use]
    pub fn extension(mut self, extension: &Extension) -> Self {
        push_element(&mut self.extensions, extension.as_str());
        self
    }

    /// Offers permessage-deflate (RFC 7692), whatever [`ClientConfig::deflate`](super::ClientConfig::deflate) says; an
    /// adapter then does what the server answers.
    ///
    /// ```
    /// use sockeye::deflate::{Deflate, WindowBits};
    /// use sockeye::handshake::ClientRequest;
    ///
    /// let mut deflate = Deflate::default();
    /// deflate.peer_window_bits = WindowBits::MAX;
    /// let request = ClientRequest::new("server.example.com", "/chat")?.deflate(deflate);
    /// let mut output = Vec::new();
    /// request.write(&mut output);
    /// let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n";
    /// assert!(String::from_utf8(output)?.contains(offer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.deflate = Some(Box::new(deflate));
        self
    }

    /// Offers permessage-deflate, unless the request has something of its own to say about it.
    #[cfg(feature = "deflate")]
    pub(super) fn or_deflate(self, deflate: Option<&Deflate>) -> Self {
        let is_offered = self.deflate.is_some() || self.offers_extension(NAME);
        match deflate {
            Some(deflate) if !is_offered => self.deflate(deflate.clone()),
            Some(_) | None => self,
        }
    }

    /// Names the origin of the page on whose behalf the connection is opened; for browsers and what acts as one.
    ///
    /// # Errors
    /// What is neither a scheme, host and optional port, nor `null`.
    pub fn origin(mut self, origin: &str) -> Result<Self, BuildError> {
        if origin != "null" && Origin::parse(origin).is_none() {
            return Err(BuildError::Origin { origin: origin.to_owned() });
        }
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Adds a header field, `Authorization` or `Cookie` say.
    ///
    /// # Errors
    /// One that the handshake writes itself, `Origin` among them, or that could break the head apart.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, BuildError> {
        let reserved = is_one_of(name, &[HOST, UPGRADE, CONNECTION, ORIGIN, CONTENT_LENGTH, TRANSFER_ENCODING])
            || starts_with_ignore_case(name, SEC_WEBSOCKET_PREFIX);
        if reserved {
            return Err(BuildError::ReservedHeader { name: name.to_owned() });
        }
        self.headers.append(name, value)?;
        Ok(self)
    }

    /// Appends the request to `output` as HTTP/1.1.
    ///
    /// Nothing more may be sent until the server has answered (§4.1).
    pub fn write(&self, output: &mut Vec<u8>) {
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| output.extend_from_slice(part.as_bytes()));
        put(&["GET ", &self.target, " HTTP/1.1\r\n"]);
        put(&[HOST, ": ", &self.authority, "\r\n"]);
        put(&[UPGRADE, ": websocket\r\n", CONNECTION, ": Upgrade\r\n"]);
        put(&[SEC_WEBSOCKET_KEY, ": ", self.key.as_str(), "\r\n"]);
        if let Some(origin) = &self.origin {
            put(&[ORIGIN, ": ", origin, "\r\n"]);
        }
        if !self.subprotocols.is_empty() {
            put(&[SEC_WEBSOCKET_PROTOCOL, ": ", &self.subprotocols, "\r\n"]);
        }
        put(&[SEC_WEBSOCKET_VERSION, ": 13\r\n"]);
        let extensions = self.offered_extensions();
        if !extensions.is_empty() {
            put(&[SEC_WEBSOCKET_EXTENSIONS, ": ", &extensions, "\r\n"]);
        }
        self.headers.write(output);
        output.extend_from_slice(b"\r\n");
    }

    /// Checks a server's answer against this request (§4.1), given its status and header fields.
    ///
    /// [`ClientHandshake`](super::ClientHandshake) does this with the head that it reads; this is for those who have
    /// read it otherwise.
    ///
    /// # Errors
    /// [`ResponseError::Refused`] if the status is not 101, without a body; else the first thing that is wrong.
    pub fn verify(&self, status: u16, headers: Headers) -> Result<Response, ResponseError> {
        if status != 101 {
            return Err(ResponseError::Refused(Box::new(RefusedResponse::new(status, String::new(), headers))));
        }
        if !only(&headers, UPGRADE)?.eq_ignore_ascii_case(b"websocket") {
            return Err(ResponseError::NotWebSocket);
        }
        if !headers.contains(CONNECTION) {
            return Err(ResponseError::Missing { header: CONNECTION });
        }
        if !headers.list_contains(CONNECTION, "upgrade") {
            return Err(ResponseError::ConnectionLacksUpgrade);
        }
        if only(&headers, SEC_WEBSOCKET_ACCEPT)? != self.key.accept().as_bytes() {
            return Err(ResponseError::AcceptMismatch);
        }
        self.verify_subprotocol(&headers)?;
        self.verify_extensions(&headers)?;
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate {
            let agreement = confirm(deflate, &headers)?;
            return Ok(Response::new(headers).with_deflate(agreement));
        }
        Ok(Response::new(headers))
    }

    /// Returns the host and port to which the request is addressed.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the header fields that the application added.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// §4.1, item 6 of the second list; §11.3.4: in a response the header field stands once.
    fn verify_subprotocol(&self, headers: &Headers) -> Result<(), ResponseError> {
        if !headers.contains(SEC_WEBSOCKET_PROTOCOL) {
            return Ok(());
        }
        let chosen = only(headers, SEC_WEBSOCKET_PROTOCOL)?;
        if !token::is_token(chosen) {
            return Err(ResponseError::Malformed { header: SEC_WEBSOCKET_PROTOCOL });
        }
        if !self.offers_subprotocol(chosen) {
            let subprotocol = String::from_utf8_lossy(chosen).into_owned();
            return Err(ResponseError::UnofferedSubprotocol { subprotocol });
        }
        Ok(())
    }

    /// §4.1, item 5 of the second list; §11.3.2: in a response the header field stands once.
    fn verify_extensions(&self, headers: &Headers) -> Result<(), ResponseError> {
        if !headers.contains(SEC_WEBSOCKET_EXTENSIONS) {
            return Ok(());
        }
        only(headers, SEC_WEBSOCKET_EXTENSIONS)?;
        // All seen are offered and unique, so there are never more of them than offers.
        let mut seen: Vec<&str> = Vec::new();
        for extension in Extensions::new(headers) {
            let name = extension.map_err(|_| ResponseError::Malformed { header: SEC_WEBSOCKET_EXTENSIONS })?.name();
            if !self.offers_extension(name) {
                return Err(ResponseError::UnofferedExtension { name: name.to_owned() });
            }
            if seen.contains(&name) {
                return Err(ResponseError::DuplicateExtension { name: name.to_owned() });
            }
            seen.push(name);
        }
        Ok(())
    }

    /// What stands in the header field.
    fn offered_extensions(&self) -> Cow<'_, str> {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate {
            let mut extensions = self.extensions.clone();
            for offer in deflate.offers() {
                push_element(&mut extensions, offer.as_str());
            }
            return extensions.into();
        }
        Cow::Borrowed(&self.extensions)
    }

    fn offers_extension(&self, name: &str) -> bool {
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() && name == NAME {
            return true;
        }
        Extensions::parse(&self.extensions).flatten().any(|offer| offer.name() == name)
    }

    fn offers_subprotocol(&self, subprotocol: &[u8]) -> bool {
        token::elements(self.subprotocols.as_bytes()).any(|offered| offered == subprotocol)
    }
}

/// Returns the value of a header field that must be there once.
fn only<'h>(headers: &'h Headers, header: &'static str) -> Result<&'h [u8], ResponseError> {
    let mut values = headers.get_all(header);
    let value = values.next().ok_or(ResponseError::Missing { header })?;
    if values.next().is_some() { Err(ResponseError::Duplicate { header }) } else { Ok(value) }
}

/// Checks what the server made of our offers of permessage-deflate, in header fields that were found to be sound.
#[cfg(feature = "deflate")]
fn confirm(deflate: &Deflate, headers: &Headers) -> Result<Option<Agreement>, ResponseError> {
    let answer = Extensions::new(headers).flatten().find(|extension| extension.name() == NAME);
    match (answer, deflate.demand) {
        (Some(answer), _) => Ok(Some(deflate.confirm(&answer)?)),
        (None, Demand::Optional) => Ok(None),
        (None, Demand::Required) => Err(InvalidDeflate::Required.into()),
    }
}

fn push_element(list: &mut String, element: &str) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    list.push_str(element);
}
