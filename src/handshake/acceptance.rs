//! A server's opening handshake under construction (§4.2.2).

use super::error::BuildError;
use super::extension::{Extension, ExtensionRef, Extensions};
use super::headers::Headers;
use super::key::AcceptKey;
use super::request::Request;
use super::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PREFIX,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE, is_one_of, starts_with_ignore_case,
};
#[cfg(feature = "deflate")]
use super::{error::RequestError, rejection::Rejection};
#[cfg(feature = "deflate")]
use crate::deflate::{Agreement, Deflate, Demand, NAME};
use alloc::borrow::ToOwned;
#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The consent to a request: choose subprotocol, extensions and header fields, then [`respond`](Self::respond).
///
/// Made by [`Request::upgrade`]. Without any choice the response names no subprotocol and no extension.
#[derive(Clone, Debug)]
pub struct Acceptance<'r> {
    request: &'r Request,
    accept: AcceptKey,
    subprotocol: Option<&'r str>,
    /// The extensions as they will stand in the header field.
    extensions: String,
    headers: Headers,
    #[cfg(feature = "deflate")]
    deflate: Option<Box<(Agreement, Extension)>>,
}

impl<'r> Acceptance<'r> {
    pub(super) fn new(request: &'r Request, accept: AcceptKey) -> Self {
        Self {
            request,
            accept,
            subprotocol: None,
            extensions: String::new(),
            headers: Headers::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// Chooses the subprotocol; the last choice counts.
    ///
    /// # Errors
    /// One that the client does not offer: §4.2.2 allows none but those. Names are compared exactly.
    pub fn subprotocol(mut self, subprotocol: &str) -> Result<Self, BuildError> {
        let offered = self.request.subprotocols().find(|offered| *offered == subprotocol);
        let offered =
            offered.ok_or_else(|| BuildError::SubprotocolNotOffered { subprotocol: subprotocol.to_owned() })?;
        self.subprotocol = Some(offered);
        Ok(self)
    }

    /// Chooses the subprotocol that the client likes best among those that are `supported`; none if it offers none
    /// of them.
    #[must_use]
    pub fn select_subprotocol(mut self, supported: &[&str]) -> Self {
        let mut offered = self.request.subprotocols();
        self.subprotocol = offered.find(|offered| supported.contains(offered));
        self
    }

    /// Uses an extension, with the parameters that were negotiated, after those that are used already (§9.1).
    ///
    /// # Errors
    /// One that the client does not offer, or that is used already.
    pub fn extension(mut self, extension: &Extension) -> Result<Self, BuildError> {
        let name = extension.name();
        let mut offers = self.request.extensions().flatten();
        if !offers.any(|offer| offer.name() == name) {
            return Err(BuildError::ExtensionNotOffered { name: name.to_owned() });
        }
        if self.uses(name) {
            return Err(BuildError::DuplicateExtension { name: name.to_owned() });
        }
        self.push_extension(extension);
        Ok(self)
    }

    /// Compresses messages as this says, or not at all, whatever [`ServerConfig::deflate`](super::ServerConfig::deflate) says;
    /// an adapter then does what was agreed on. Where the client offers none that can be accepted, messages go uncompressed, if
    /// that is not [`Required`](crate::deflate::Demand::Required): see [`Response::deflate`]. What the configuration requires
    /// is refused before anything here is asked.
    ///
    /// ```
    /// use sockeye::deflate::Deflate;
    /// use sockeye::handshake::{Acceptance, Rejection, Response};
    ///
    /// fn decide(acceptance: Acceptance<'_>) -> Result<Response, Rejection> {
    ///     // What this one sends is compressed already.
    ///     let deflate = (acceptance.request().path() != "/images").then(Deflate::default);
    ///     Ok(acceptance.deflate(deflate.as_ref())?.respond())
    /// }
    /// ```
    ///
    /// # Errors
    /// A 400 for [`RequestError::DeflateRequired`].
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: Option<&Deflate>) -> Result<Self, Rejection> {
        self.deflate = deflate.and_then(|deflate| deflate.answer(self.request.extensions())).map(Box::new);
        match deflate {
            Some(deflate) if deflate.demand == Demand::Required && self.deflate.is_none() => {
                Err(RequestError::DeflateRequired.into())
            }
            Some(_) | None => Ok(self),
        }
    }

    /// Adds a header field, `Set-Cookie` say.
    ///
    /// # Errors
    /// One that the handshake writes itself, or that could break the head apart.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, BuildError> {
        let reserved = is_one_of(name, &[UPGRADE, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING])
            || starts_with_ignore_case(name, SEC_WEBSOCKET_PREFIX);
        if reserved {
            return Err(BuildError::ReservedHeader { name: name.to_owned() });
        }
        self.headers.append(name, value)?;
        Ok(self)
    }

    /// Returns the request that is accepted.
    pub fn request(&self) -> &'r Request {
        self.request
    }

    /// Finishes the response; write it, and the connection is open.
    #[cfg_attr(not(feature = "deflate"), expect(unused_mut, reason = "nothing is added then"))]
    pub fn respond(mut self) -> Response {
        // What the application does itself it need not have done for it.
        #[cfg(feature = "deflate")]
        let agreement = match self.deflate.take().filter(|_| !self.uses(NAME)) {
            Some(deflate) => {
                let (agreement, answer) = *deflate;
                self.push_extension(&answer);
                Some(agreement)
            }
            None => None,
        };
        let mut headers = Headers::with_capacity(5 + self.headers.len(), 256);
        headers.push(UPGRADE, b"websocket");
        headers.push(CONNECTION, b"Upgrade");
        headers.push(SEC_WEBSOCKET_ACCEPT, self.accept.as_bytes());
        if let Some(subprotocol) = self.subprotocol {
            headers.push(SEC_WEBSOCKET_PROTOCOL, subprotocol.as_bytes());
        }
        // §11.3.2: in a response the header field stands once, whatever the number of extensions.
        if !self.extensions.is_empty() {
            headers.push(SEC_WEBSOCKET_EXTENSIONS, self.extensions.as_bytes());
        }
        headers.extend(&self.headers);
        let response = Response::new(headers);
        #[cfg(feature = "deflate")]
        let response = response.with_deflate(agreement);
        response
    }

    fn push_extension(&mut self, extension: &Extension) {
        if !self.extensions.is_empty() {
            self.extensions.push_str(", ");
        }
        self.extensions.push_str(extension.as_str());
    }

    fn uses(&self, name: &str) -> bool {
        Extensions::parse(&self.extensions).flatten().any(|extension| extension.name() == name)
    }
}

/// A server's answer that opens the connection: status 101 and the header fields.
///
/// A server makes it with [`Acceptance::respond`]; a client gets it from
/// [`ClientHandshake::receive`](super::ClientHandshake::receive), checked.
///
/// ```
/// use sockeye::handshake::{ClientConfig, ClientHandshake, ClientRequest, ServerConfig, ServerHandshake};
///
/// let mut client = ClientHandshake::new(ClientRequest::new("example.com", "/")?, &ClientConfig::default());
/// let (mut request, mut output) = (Vec::new(), Vec::new());
/// client.request().write(&mut request);
/// let mut server = ServerHandshake::new(&ServerConfig::default());
/// let request = server.receive(&mut &request[..])?.expect("it is whole");
/// request.upgrade(&ServerConfig::default())?.respond().write(&mut output);
/// assert!(output.starts_with(b"HTTP/1.1 101 "));
/// let response = client.receive(&mut &output[..])?.expect("it is whole");
/// assert_eq!(response.subprotocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    headers: Headers,
    #[cfg(feature = "deflate")]
    deflate: Option<Box<Agreement>>,
}

impl Response {
    pub(super) fn new(headers: Headers) -> Self {
        Self {
            headers,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    #[cfg(feature = "deflate")]
    pub(super) fn with_deflate(self, agreement: Option<Agreement>) -> Self {
        Self { deflate: agreement.map(Box::new), ..self }
    }

    /// Appends the response to `output` as HTTP/1.1.
    pub fn write(&self, output: &mut Vec<u8>) {
        output.reserve(STATUS_LINE.len() + self.headers.written_len() + 2);
        output.extend_from_slice(STATUS_LINE);
        self.headers.write(output);
        output.extend_from_slice(b"\r\n");
    }

    /// Returns the header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns what was agreed on about permessage-deflate (RFC 7692); `None` if messages are not compressed.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<&Agreement> {
        self.deflate.as_deref()
    }

    /// Returns the subprotocol that both sides will speak, if they agreed on one.
    pub fn subprotocol(&self) -> Option<&str> {
        self.headers.get(SEC_WEBSOCKET_PROTOCOL)
    }

    /// Iterates over the extensions in use, in the order in which they transform the data (§9.1).
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionRef<'_>> {
        Extensions::new(&self.headers).flatten()
    }
}

const STATUS_LINE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n";
