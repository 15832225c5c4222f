//! Where a server sends us, and whether we go there (RFC 9110 §15.4): the policy, without I/O.
//!
//! What a redirect must not do is to leak: so it never leads from `wss` to `ws`, and beyond the origin that the application named, the
//! request goes without anything that could be a credential. That is every header field of the application but a few that are
//! known to be none, for a name like `X-Api-Key` says it only to people. What was dropped is dropped for good. Subprotocols go along, for
//! without them the messages would mean nothing, and so does the origin.

use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use super::error::Error;
use super::refused::{LOCATION, Refused};
use super::url::{UrlError, WsUrl};
use crate::handshake::{BuildError, ClientRequest};

/// The way from the URL that was asked for to the server that answers.
#[derive(Debug)]
pub(super) struct Journey {
    /// Where we are, and were.
    url: WsUrl,
    visited: Vec<WsUrl>,
    /// What the application wants to be sent, or the rest of it.
    request: ClientRequest,
    /// The `Authorization` header field; `None` where there is none, or none any more.
    authorization: Option<String>,
    /// How many redirects may be followed.
    max: usize,
}

impl Journey {
    /// Begins at a URL, whose credentials count unless there are others.
    pub(super) fn new(url: WsUrl, request: ClientRequest, authorization: Option<String>, max: usize) -> Self {
        let authorization = authorization.or_else(|| url.credentials().map(|credentials| credentials.to_basic()));
        Self { url, visited: Vec::new(), request, authorization, max }
    }

    /// Returns where we are.
    pub(super) const fn url(&self) -> &WsUrl {
        &self.url
    }

    /// Returns what is to be asked there.
    pub(super) fn request(&self) -> Result<ClientRequest, BuildError> {
        let request = self.request.for_address(&self.url.authority(), &self.url.target())?;
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => Ok(request),
        }
    }

    /// Goes where a server that refused sends us.
    ///
    /// # Errors
    ///
    /// The refusal itself, if it is no redirect or redirects are not followed; [`RedirectError`] if it leads nowhere.
    pub(super) fn follow(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Refused(refused) if self.max > 0 && is_redirect(refused.response.status) => Ok(self.go(&refused)?),
            error => Err(error),
        }
    }

    fn go(&mut self, refused: &Refused) -> Result<(), RedirectError> {
        let from = || refused.endpoint.clone();
        let location =
            refused.response.headers.get(LOCATION).ok_or_else(|| RedirectError::NoLocation { from: from() })?;
        let to = self.url.join(location).map_err(|source| RedirectError::Location { from: from(), source })?;
        if self.url.is_secure() && !to.is_secure() {
            return Err(RedirectError::Downgrade { from: from(), to: to.endpoint() });
        }
        let is_visited = |url: &WsUrl| url.as_url() == to.as_url();
        if is_visited(&self.url) || self.visited.iter().any(is_visited) {
            return Err(RedirectError::Loop { to: to.endpoint() });
        }
        if self.visited.len() >= self.max {
            return Err(RedirectError::TooMany { max: self.max });
        }
        if !to.is_same_origin(&self.url) {
            self.authorization = None;
            self.request = self.request.with_headers(|name| KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept)));
        }
        self.visited.push(core::mem::replace(&mut self.url, to));
        Ok(())
    }
}

/// Says whether a status sends us elsewhere with the same method.
const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Why a redirect was not followed.
///
/// ```
/// use sockeye::client::{Error, RedirectError};
///
/// fn goes_in_circles(error: &Error) -> bool {
///     matches!(error, Error::Redirect(RedirectError::Loop { .. } | RedirectError::TooMany { .. }))
/// }
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// There was one more than are followed.
    #[error("the server redirects more often than {max} times")]
    TooMany {
        /// How many are followed.
        max: usize,
    },
    /// It leads to where we were already.
    #[error("the redirects lead in a circle, back to {to}")]
    Loop {
        /// The URL, without its query.
        to: String,
    },
    /// It leads from TLS to plain text.
    #[error("{from} redirects from wss to {to}, which is not encrypted: that is never followed")]
    Downgrade {
        /// The URL that was asked, without its query.
        from: String,
        /// Where it leads, without its query.
        to: String,
    },
    /// It does not say where to go.
    #[error("{from} redirects without saying where to")]
    NoLocation {
        /// The URL that was asked, without its query.
        from: String,
    },
    /// Where it leads is no WebSocket server.
    #[error("{from} redirects to what is no URL of a WebSocket server: {source}")]
    Location {
        /// The URL that was asked, without its query.
        from: String,
        /// What is wrong with it.
        source: UrlError,
    },
}

pub(super) const AUTHORIZATION: &str = "Authorization";

/// The header fields that go along to another origin.
const KEPT: [&str; 2] = ["User-Agent", "Accept-Language"];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    /// A redirect to there.
    fn redirect(location: &str) -> Result<Error, BuildError> {
        let mut headers = crate::handshake::Headers::new();
        headers.append(LOCATION, location)?;
        let refused = ClientRequest::template().verify(302, headers);
        let Err(crate::handshake::ResponseError::Refused(response)) = refused else { panic!("{refused:?}") };
        Ok(Error::Refused(Box::new(Refused { endpoint: "here".into(), response: *response })))
    }

    fn journey(url: &str) -> Journey {
        let request = ClientRequest::template().header("X-Api-Key", "secret").unwrap();
        Journey::new(url.parse().unwrap(), request, Some("Bearer secret".to_string()), 3)
    }

    fn written(journey: &Journey) -> String {
        let mut written = Vec::new();
        journey.request().unwrap().write(&mut written);
        String::from_utf8(written).unwrap()
    }

    fn location() -> impl Strategy<Value = String> {
        prop_oneof!["[ -~]{0,20}", "(https?|wss?|ftp|)(:|://|//|/|)(h|g|h:443|u:p@h|\\[::1\\]|)[/?#a@:\\\\.%]{0,6}",]
    }

    proptest! {
        /// Wherever servers send us: over TLS to the end, to a request that can be made, and to no other server with a secret.
        #[test]
        fn no_location_leads_where_it_must_not(locations in prop::collection::vec(location(), 1..6)) {
            let mut journey = journey("wss://h/");
            let mut has_left = false;
            for location in &locations {
                let Ok(error) = redirect(location) else { continue };
                if journey.follow(error).is_err() {
                    continue;
                }
                prop_assert!(journey.url().is_secure());
                has_left |= !journey.url().is_same_origin(&"wss://h/".parse().unwrap());
                prop_assert_eq!(written(&journey).contains("secret"), !has_left);
                prop_assert!(journey.visited.len() <= 3);
            }
        }
    }

    #[test]
    fn what_was_dropped_is_not_sent_on_the_way_back_either() {
        let mut journey = journey("wss://h/");
        assert!(written(&journey).contains("X-Api-Key: secret\r\n"));
        journey.follow(redirect("/x").unwrap()).unwrap();
        assert!(written(&journey).contains("Authorization: Bearer secret\r\n"));
        journey.follow(redirect("//g/").unwrap()).unwrap();
        assert!(!written(&journey).contains("secret"));
        journey.follow(redirect("https://h/back").unwrap()).unwrap();
        assert!(!written(&journey).contains("secret"), "{}", written(&journey));
        assert_eq!(format!("{}", journey.url()), "wss://h/back");
    }
}
