//! The header fields of a request that decide on it (§4.2.1), found in one pass over all of them.
//!
//! A browser sends some fifteen, and a dozen questions are asked: so they are answered while each field is looked at once.
//! In which order the answers are judged, the [`Request`](super::Request) says.

use super::authority::Authority;
use super::error::RequestError;
use super::headers::Headers;
use super::server::ServerConfig;
use super::{
    CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE, token,
};
use alloc::string::String;

/// What the header fields say.
#[derive(Debug, Default)]
pub(super) struct Fields<'h> {
    pub(super) host: Single<'h>,
    pub(super) key: Single<'h>,
    version: Single<'h>,
    origin: Single<'h>,
    pub(super) has_body: bool,
    has_upgrade: bool,
    upgrades_to_websocket: bool,
    connection_upgrades: bool,
    pub(super) has_subprotocols: bool,
    pub(super) has_extensions: bool,
}

/// A field that must be there once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Single<'h> {
    #[default]
    Missing,
    Here(&'h [u8]),
    Several,
}

impl<'h> Fields<'h> {
    /// Looks at the header fields.
    pub(super) fn of(headers: &'h Headers) -> Self {
        let mut this = Self::default();
        for (name, value) in headers.fields() {
            // Most are written as we write them, which is found out faster.
            let is = |other: &str| name == other.as_bytes() || name.eq_ignore_ascii_case(other.as_bytes());
            // By length, so that nearly all are compared with one other or with none.
            match name.len() {
                4 if is(HOST) => this.host.put(value),
                6 if is(ORIGIN) => this.origin.put(value),
                7 if is(UPGRADE) => {
                    this.has_upgrade = true;
                    this.upgrades_to_websocket |= token::has_element(value, "websocket");
                }
                10 if is(CONNECTION) => this.connection_upgrades |= token::has_element(value, "upgrade"),
                14 if is(CONTENT_LENGTH) => this.has_body |= value != b"0",
                17 if is(SEC_WEBSOCKET_KEY) => this.key.put(value),
                17 if is(TRANSFER_ENCODING) => this.has_body = true,
                21 if is(SEC_WEBSOCKET_VERSION) => this.version.put(value),
                22 if is(SEC_WEBSOCKET_PROTOCOL) => this.has_subprotocols = true,
                24 if is(SEC_WEBSOCKET_EXTENSIONS) => this.has_extensions = true,
                _ => {}
            }
        }
        this
    }

    /// §4.2.1, items 3 and 4.
    pub(super) fn check_upgrade(&self) -> Result<(), RequestError> {
        if !self.has_upgrade {
            return Err(RequestError::NotAnUpgrade);
        }
        if !self.upgrades_to_websocket {
            return Err(RequestError::NotWebSocket);
        }
        if !self.connection_upgrades {
            return Err(RequestError::ConnectionLacksUpgrade);
        }
        Ok(())
    }

    /// §4.2.1, item 6, and §4.4: a client of another version is told which one is spoken here.
    pub(super) fn check_version(&self) -> Result<(), RequestError> {
        match self.version {
            Single::Here(b"13") => Ok(()),
            Single::Here(_) | Single::Missing => Err(RequestError::UnsupportedVersion),
            Single::Several => Err(RequestError::Duplicate { header: SEC_WEBSOCKET_VERSION }),
        }
    }

    /// §10.2. More than one origin is refused under every policy: which one would count?
    pub(super) fn check_origin(&self, config: &ServerConfig, host: Authority<'_>) -> Result<(), RequestError> {
        let origin = match self.origin {
            Single::Here(origin) => origin,
            Single::Missing => return Ok(()),
            Single::Several => return Err(RequestError::Duplicate { header: ORIGIN }),
        };
        let is_allowed = |origin: &str| config.origins.allows_at(origin, || Some(host));
        match core::str::from_utf8(origin) {
            Ok(origin) if is_allowed(origin) => Ok(()),
            Ok(origin) => Err(RequestError::OriginRefused { origin: origin.into() }),
            Err(_) => match String::from_utf8_lossy(origin) {
                origin if is_allowed(&origin) => Ok(()),
                origin => Err(RequestError::OriginRefused { origin: origin.into_owned() }),
            },
        }
    }
}

impl<'h> Single<'h> {
    fn put(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Missing => Self::Here(value),
            Self::Here(_) | Self::Several => Self::Several,
        };
    }

    /// Returns the value of the field, which must be there once.
    pub(super) fn only(self, header: &'static str) -> Result<&'h [u8], RequestError> {
        match self {
            Self::Here(value) => Ok(value),
            Self::Missing => Err(RequestError::Missing { header }),
            Self::Several => Err(RequestError::Duplicate { header }),
        }
    }
}
